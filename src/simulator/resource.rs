//! How people, organizations, teams and memberships look in the API.

use ring::digest;
use serde_json::{Value, json};

use super::cast::{Membership, Person};

/// `GET /user`.
pub(super) fn user(base: &str, api: &str, person: &Person) -> Value {
    let mut user = simple_user(base, api, person);
    let more = json!({
        "user_view_type": "private", "name": person.name, "company": null, "blog": "",
        "location": null, "email": null, "hireable": null, "bio": null, "twitter_username": null,
        "notification_email": null, "public_repos": 2, "public_gists": 0, "followers": 1,
        "following": 0, "created_at": "2011-01-25T18:44:36Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    if let (Value::Object(user), Value::Object(more)) = (&mut user, more) {
        user.extend(more);
    }
    user
}

/// `GET /user/emails`.
pub(super) fn emails(person: &Person) -> Vec<Value> {
    let email = |email: &super::Email| {
        json!({
            "email": email.address, "primary": email.primary, "verified": email.verified,
            "visibility": email.primary.then_some("private"),
        })
    };
    person.emails.iter().map(email).collect()
}

/// One of `GET /user/orgs`.
pub(super) fn organization(base: &str, api: &str, login: &str) -> Value {
    let url = format!("{api}/orgs/{login}");
    json!({
        "login": login, "id": number(login), "node_id": format!("O_{}", number(login)), "url": url,
        "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events"),
        "hooks_url": format!("{url}/hooks"), "issues_url": format!("{url}/issues"),
        "members_url": format!("{url}/members{{/member}}"),
        "public_members_url": format!("{url}/public_members{{/member}}"),
        "avatar_url": format!("{base}/avatars/u/{}?v=4", number(login)), "description": "",
    })
}

/// One of `GET /user/teams`; a team is written `org/slug`.
pub(super) fn team(base: &str, api: &str, team: &str) -> Value {
    let (org, slug) = team.split_once('/').unwrap_or(("", team));
    let url = format!("{api}/organizations/{}/team/{}", number(org), number(team));
    json!({
        "name": slug, "id": number(team), "node_id": format!("T_{}", number(team)), "slug": slug,
        "description": "", "privacy": "closed", "notification_setting": "notifications_enabled",
        "permission": "pull", "url": url, "html_url": format!("{base}/orgs/{org}/teams/{slug}"),
        "members_url": format!("{url}/members{{/member}}"),
        "repositories_url": format!("{url}/repos"), "parent": null,
        "members_count": 1, "repos_count": 0, "organization": organization(base, api, org),
    })
}

/// A place in an organization, as all membership endpoints show it.
pub(super) fn membership(base: &str, api: &str, person: &Person, of: &Membership) -> Value {
    let url = format!("{api}/orgs/{}", of.org);
    json!({
        "url": format!("{url}/memberships/{}", person.login),
        "state": if of.pending { "pending" } else { "active" },
        "role": if of.owner { "admin" } else { "member" },
        "direct_membership": true, "enterprise_teams_providing_indirect_membership": [],
        "organization_url": url, "organization": organization(base, api, &of.org),
        "user": simple_user(base, api, person),
        "permissions": { "can_create_repository": true },
    })
}

/// Somebody as others' resources show them.
pub(super) fn simple_user(base: &str, api: &str, person: &Person) -> Value {
    let url = format!("{api}/users/{}", person.login);
    json!({
        "login": person.login, "id": person.id, "node_id": format!("U_{}", person.id),
        "avatar_url": format!("{base}/avatars/u/{}?v=4", person.id), "gravatar_id": "", "url": url,
        "html_url": format!("{base}/{}", person.login),
        "followers_url": format!("{url}/followers"),
        "organizations_url": format!("{url}/orgs"), "repos_url": format!("{url}/repos"),
        "type": "User", "site_admin": false,
    })
}

/// A number that stays the same for the same name.
pub(super) fn number(name: &str) -> u32 {
    let digest = digest::digest(&digest::SHA256, name.to_lowercase().as_bytes());
    let first = digest.as_ref().iter().take(4);
    first.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte)) >> 1
}
