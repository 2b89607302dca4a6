//! When GitHub said something, by what it has signed: neither the moment of a delivery nor its number is
//! part of that, but most events show what they are about, with the moment when it last changed.

use std::time::Duration;

use serde_json::Value;

use super::app::moment;
use crate::clock::Time;

/// What an event shows, where it says itself when it changed.
const DATED: [&str; 13] = [
    "check_suite",
    "comment",
    "deployment",
    "deployment_status",
    "hook",
    "installation",
    "issue",
    "milestone",
    "pull_request",
    "release",
    "repository",
    "review",
    "workflow_run",
];

/// GitHub's own moments. Not `created_at` and the like: that of a release is a commit's, which people
/// write, and those of a check are an app's.
const MOMENTS: [&str; 4] = ["updated_at", "pushed_at", "published_at", "submitted_at"];

/// The same of an event as a whole: `star` and `status`.
const OF_EVENT: [&str; 2] = ["starred_at", "updated_at"];

/// By how much GitHub's clock may be ahead. What is dated later than that is dated by somebody else.
const AHEAD: Duration = Duration::from_secs(600);

/// The members of an event that are read for its date.
pub(super) fn is_heeded(member: &str) -> bool {
    DATED.contains(&member) || OF_EVENT.contains(&member)
}

/// The latest moment that an event shows: it was not sent before. Whoever sends it again makes it no
/// younger. `None` where it shows none, as with a label.
pub(super) fn said_at(payload: &Value, now: Time) -> Option<Time> {
    let of_event = OF_EVENT.iter().map(|name| &payload[*name]);
    let shown = DATED.iter().map(|member| latest(&payload[*member], now));
    let of_event = of_event.map(|moment| at(moment, now));
    of_event.chain(shown).flatten().max()
}

/// When something that GitHub shows last changed, as far as it says so.
pub(super) fn latest(object: &Value, now: Time) -> Option<Time> {
    MOMENTS.iter().filter_map(|name| at(&object[*name], now)).max()
}

/// A moment as text, or in seconds, as the repository of a push has it.
fn at(moment: &Value, now: Time) -> Option<Time> {
    let text = moment.as_str().and_then(moment::of_json);
    let time = text.or_else(|| moment.as_i64().map(Time::from_unix))?;
    (time <= now + AHEAD).then(|| time.min(now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-21 04:37:00 UTC.
    const NOW: Time = Time::from_unix(1_795_235_820);

    #[test]
    fn an_event_is_as_old_as_the_youngest_thing_in_it() {
        let minute = |n: u64| Some(NOW - Duration::from_secs(60 * n));
        for (payload, expected) in [
            (json!({ "issue": { "updated_at": "2026-11-21T04:36:00Z" } }), minute(1)),
            (
                json!({ "issue": { "updated_at": "2026-11-21T04:30:00Z" },
                     "comment": { "updated_at": "2026-11-21T04:35:00Z" } }),
                minute(2),
            ),
            (
                json!({ "repository": { "updated_at": "2020-01-01T00:00:00Z",
                                     "pushed_at": NOW.unix() - 180 } }),
                minute(3),
            ),
            (json!({ "starred_at": "2026-11-21T04:33:00Z" }), minute(4)),
            (json!({ "action": "created", "starred_at": null, "label": { "name": "x" } }), None),
            (json!({ "release": { "created_at": "2026-11-21T04:36:00Z" } }), None),
            (json!({ "sender": { "updated_at": "2026-11-21T04:36:00Z" } }), None),
            (json!({ "issue": { "updated_at": "yesterday" } }), None),
            (json!([]), None),
        ] {
            assert_eq!(said_at(&payload, NOW), expected, "{payload}");
        }
    }

    #[test]
    fn nothing_is_younger_than_now() {
        let at = |text: &str| said_at(&json!({ "issue": { "updated_at": text } }), NOW);
        assert_eq!(at("2026-11-21T04:47:00Z"), Some(NOW), "clocks differ");
        assert_eq!(at("2026-11-21T04:47:01Z"), None);
    }
}
