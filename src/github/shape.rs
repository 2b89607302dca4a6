//! The shapes of events that end something. GitHub signs the body of a delivery, and neither the name
//! of its event nor whose hook sends it: a body is believed under its own name alone.
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>

use serde_json::Value;

/// The body of an event.
struct Shape {
    event: &'static str,
    /// Members that are there.
    has: &'static [&'static str],
    /// Members that may be there. Any other belongs to another event.
    may_have: &'static [&'static str],
    /// What `action` says; none where it is no member.
    actions: &'static [&'static str],
}

/// That somebody has withdrawn the app's authorisation.
pub(super) const AUTHORIZATION: &str = "github_app_authorization";

/// What a GitHub App is told of itself: the hook of a repository or an organization never says so.
const OF_APPS: [&str; 4] =
    [AUTHORIZATION, "installation", "installation_repositories", "installation_target"];

const SHAPES: [Shape; 6] = [
    Shape {
        event: AUTHORIZATION,
        has: &["action", "sender"],
        may_have: &["enterprise", "installation"],
        actions: &["revoked"],
    },
    Shape {
        event: "installation",
        has: &["action", "installation"],
        may_have: &["enterprise", "organization", "repositories", "requester", "sender"],
        actions: &["created", "deleted", "new_permissions_accepted", "suspend", "unsuspend"],
    },
    Shape {
        event: "installation_repositories",
        has: &["action", "installation"],
        may_have: &[
            "enterprise",
            "organization",
            "repositories_added",
            "repositories_removed",
            "repository_selection",
            "requester",
            "sender",
        ],
        actions: &["added", "removed"],
    },
    Shape {
        event: "repository",
        has: &["action", "repository"],
        may_have: &["changes", "enterprise", "installation", "organization", "sender"],
        actions: &[
            "archived",
            "created",
            "deleted",
            "edited",
            "privatized",
            "publicized",
            "renamed",
            "transferred",
            "unarchived",
        ],
    },
    Shape {
        event: "public",
        has: &["repository"],
        may_have: &["enterprise", "installation", "organization", "sender"],
        actions: &[],
    },
    Shape {
        event: "meta",
        has: &["action", "hook_id"],
        may_have: &["enterprise", "hook", "installation", "organization", "repository", "sender"],
        actions: &["deleted"],
    },
];

/// Whether an event ends something, of which once is enough.
pub(super) fn ends_something(event: &str) -> bool {
    SHAPES.iter().any(|shape| shape.event == event)
}

/// Whether an app alone is told of this.
pub(super) fn is_of_apps(event: &str) -> bool {
    OF_APPS.contains(&event)
}

/// Whether a payload may be that of this event. Of events that end nothing it may be any.
pub(super) fn fits(event: &str, payload: &Value) -> bool {
    SHAPES.iter().find(|shape| shape.event == event).is_none_or(|shape| shape.is_of(payload))
}

// === impl Shape ===

impl Shape {
    fn is_of(&self, payload: &Value) -> bool {
        let Some(members) = payload.as_object() else { return false };
        let action = payload["action"].as_str().unwrap_or_default();
        self.has.iter().all(|name| members.contains_key(*name))
            && members.keys().all(|name| self.knows(name))
            && (self.actions.is_empty() || self.actions.contains(&action))
    }

    fn knows(&self, name: &str) -> bool {
        self.has.contains(&name) || self.may_have.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// GitHub's own bodies, by their members alone.
    fn bodies() -> Vec<(&'static str, Value)> {
        let (of, repo, sender) = (json!({"id": 5}), json!({"id": 1}), json!({"id": 7}));
        let hook = json!({"id": 3});
        let body = |event, mut body: Value, more: &[(&str, &Value)]| {
            for (name, value) in more {
                body[name] = (*value).clone();
            }
            (event, body)
        };
        vec![
            body(AUTHORIZATION, json!({"action": "revoked"}), &[("sender", &sender)]),
            body(
                "installation",
                json!({"action": "suspend"}),
                &[("installation", &of), ("sender", &sender)],
            ),
            body(
                "installation_repositories",
                json!({"action": "removed", "repository_selection": "selected",
                       "repositories_added": [], "repositories_removed": [{"id": 1}]}),
                &[("installation", &of), ("sender", &sender)],
            ),
            body(
                "repository",
                json!({"action": "deleted"}),
                &[("repository", &repo), ("sender", &sender), ("installation", &of)],
            ),
            body("public", json!({}), &[("repository", &repo), ("sender", &sender)]),
            body(
                "meta",
                json!({"action": "deleted", "hook_id": 3}),
                &[("hook", &hook), ("repository", &repo), ("sender", &sender)],
            ),
        ]
    }

    #[test]
    fn a_body_fits_its_own_event_alone() {
        for (own, body) in bodies() {
            for shape in SHAPES {
                assert_eq!(
                    fits(shape.event, &body),
                    shape.event == own,
                    "{own} as {}",
                    shape.event
                );
            }
            assert!(fits("push", &body) && fits("never_heard_of", &body), "they end nothing");
        }
    }

    #[test]
    fn no_other_event_fits_one_that_ends_something() {
        let others = [
            json!({"action": "deleted", "issue": {}, "repository": {}, "sender": {}}),
            json!({"action": "deleted", "starred_at": null, "repository": {}, "sender": {}}),
            json!({"action": "started", "repository": {}, "sender": {}}),
            json!({"action": "removed", "member": {}, "repository": {}, "sender": {}}),
            json!({"action": "revoked", "repository": {}, "sender": {}}),
            json!({"action": "revoked", "organization": {}, "sender": {}}),
            json!({"action": "deleted", "organization": {}, "membership": {}, "sender": {}}),
            json!({"zen": "…", "hook_id": 3, "hook": {}, "repository": {}, "sender": {}}),
            json!({"ref": "refs/heads/main", "commits": [], "repository": {}, "sender": {}}),
            json!({"forkee": {}, "repository": {}, "sender": {}}),
            json!({"action": "renamed", "account": {}, "changes": {}, "installation": {}}),
            json!([]),
        ];
        for body in others {
            for shape in SHAPES {
                assert!(!fits(shape.event, &body), "{body} as {}", shape.event);
            }
        }
    }
}
