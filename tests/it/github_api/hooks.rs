//! Whose webhooks: GitHub signs a body, and neither its event's name nor whose hook sends it. What is
//! signed is believed under its own name, of its own hook, and ends something once.

use gatekeep::simulator::{Installation, Webhook};
use serde_json::{Value, json};

use super::installations::ROUTES as INSTALLATION;
use super::webhooks::ISSUES;
use super::{ROUTES, at, cache, is_hit};
use crate::support::World;
use crate::support::browser::Browser;
use crate::webhooks::send;

const APP: &str = "webhook-8fZq-of-the-app-itself";
const ORGANIZATION: &str = "webhook-2kXw-of-organizations";
const REPOSITORY: &str = "webhook-5tRb-of-repositories";
const AUTHORIZATION: &str = "github_app_authorization";
const PAGE: &str = "https://app.example.com/x";
const TARGET: &str = "x-github-hook-installation-target-type";
/// Of a repository of an organization.
const OTHER: &str = "/repos/acme/handbook/issues";

/// A secret for each kind of hook.
fn keys() -> String {
    format!(
        "github.timeout: 5s, app: @GITHUB_APP@, webhook: {{ secret: {APP}, \
         organization_secret: {ORGANIZATION}, repository_secret: {REPOSITORY} }}\n"
    )
}

fn world() -> (World, Browser) {
    let world = World::with(&keys(), ROUTES);
    let (octocat, _) = world.signed_in("octocat", PAGE);
    (world, octocat)
}

fn deliver(world: &World, webhook: &Webhook) -> (u16, Value) {
    let answer = send(&world.gate, webhook);
    let result = if answer.status == 200 { answer.json()["result"].clone() } else { Value::Null };
    (answer.status, result)
}

fn taken(word: &str) -> (u16, Value) {
    (200, word.into())
}

/// Refused with this status.
fn refused(status: u16) -> (u16, Value) {
    (status, Value::Null)
}

/// The same body with its signature, under another name.
fn named(webhook: &Webhook, header: &str, value: &str) -> Webhook {
    let mut changed = webhook.clone();
    changed.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
    changed.headers.push((header.to_owned(), value.to_owned()));
    changed
}

/// Whether a session is over since somebody had withdrawn the authorisation.
fn ended(world: &World) -> bool {
    let line = r#"gatekeep_sessions_ended_total{cause="revoked"}"#;
    world.gate.metric(line).is_some_and(|count| count > 0.0)
}

#[test]
fn only_the_secret_of_the_app_says_who_has_withdrawn_it() {
    let (world, _octocat) = world();
    let revoked = |secret| {
        let payload = world.github.authorization_revoked("octocat");
        world.github.webhook(AUTHORIZATION, payload, secret)
    };
    world.github.revoke_grant("octocat");
    for secret in [ORGANIZATION, REPOSITORY] {
        assert_eq!(deliver(&world, &revoked(secret)), refused(403));
    }
    assert!(!ended(&world));
    assert_eq!(deliver(&world, &revoked(APP)), taken("done"));
    assert!(ended(&world), "the control");
}

/// Whoever may look at a hook's deliveries at GitHub has bodies with their signatures.
#[test]
fn a_signed_body_is_believed_under_its_own_name_alone() {
    let (world, _octocat) = world();
    let sender = world.github.authorization_revoked("octocat")["sender"].clone();
    world.github.revoke_grant("octocat");
    for own in [
        json!({ "action": "revoked", "repository": { "id": 1 }, "sender": sender }),
        json!({ "action": "revoked", "organization": { "id": 1 }, "sender": sender }),
        json!({ "action": "revoked", "token": { "id": 1 }, "sender": sender }),
    ] {
        let webhook = world.github.webhook("never_heard_of", own, APP);
        let renamed = named(&webhook, "x-github-event", AUTHORIZATION);
        assert_eq!(deliver(&world, &renamed), refused(400));
        assert_eq!(deliver(&world, &webhook).0, 200, "it is signed");
    }
    let payload = world.github.authorization_revoked("octocat");
    let own = world.github.webhook(AUTHORIZATION, payload, APP);
    assert_eq!(deliver(&world, &named(&own, "x-github-event", "installation")), refused(400));
    assert!(!ended(&world));
    assert_eq!(deliver(&world, &own), taken("done"));
    assert!(ended(&world), "the control");
}

/// A repository's hook vouches for its repository, whatever a header says.
#[test]
fn only_the_secret_of_an_organization_vouches_for_all_its_repositories() {
    let (world, mut octocat) = world();
    let ping = |secret| {
        let mut payload = world.github.ping();
        payload["organization"] = json!({ "login": "acme", "id": 9 });
        let id = world.github.repository_id("octocat/hello-world");
        payload["repository"] = json!({ "id": id, "full_name": "octocat/hello-world" });
        named(&world.github.webhook("ping", payload, secret), TARGET, "organization")
    };
    for secret in [APP, REPOSITORY] {
        assert_eq!(deliver(&world, &ping(secret)), taken("done"));
        octocat.fetch(&at(OTHER));
        assert!(!is_hit(&mut octocat, OTHER), "{secret}");
        octocat.fetch(&at(ISSUES));
        assert!(is_hit(&mut octocat, ISSUES), "{secret}: it tells of the repository");
    }
    let of_organization = named(&ping(ORGANIZATION), TARGET, "repository");
    assert_eq!(deliver(&world, &of_organization), taken("done"));
    octocat.fetch(&at(OTHER));
    assert!(is_hit(&mut octocat, OTHER), "the control");
    let mut payload = world.github.ping();
    payload["organization"] = json!({ "login": "acme", "id": 9 });
    let of_no_repository = world.github.webhook("ping", payload, REPOSITORY);
    assert_eq!(deliver(&world, &of_no_repository), refused(403));
}

/// One secret for all hooks, as it always was.
#[test]
fn one_secret_alone_is_that_of_every_hook() {
    let keys = format!("github.timeout: 5s, webhook: {{ secret: {APP} }}\n");
    let world = World::with(&keys, ROUTES);
    let (mut octocat, _) = world.signed_in("octocat", PAGE);
    let mut payload = world.github.ping();
    payload["organization"] = json!({ "login": "acme", "id": 9 });
    let ping = world.github.webhook("ping", payload, APP);
    deliver(&world, &named(&ping, TARGET, "organization"));
    octocat.fetch(&at(OTHER));
    assert!(!is_hit(&mut octocat, OTHER), "nobody has signed the header");
    let mut payload = world.github.ping();
    payload["organization"] = json!({ "login": "acme", "id": 9 });
    payload["hook"]["type"] = "Organization".into();
    let ping = world.github.webhook("ping", payload, APP);
    assert_eq!(deliver(&world, &ping), taken("done"));
    octocat.fetch(&at(OTHER));
    assert!(is_hit(&mut octocat, OTHER));
    world.github.revoke_grant("octocat");
    let revoked = world.github.authorization_revoked("octocat");
    let revoked = world.github.webhook(AUTHORIZATION, revoked, APP);
    assert_eq!(deliver(&world, &revoked), taken("done"));
}

/// What an installation was shown goes with its rights, once: the same body again, under another number,
/// has it asked for anew, and throws nothing away that a question for nothing confirms.
#[test]
fn one_body_throws_what_is_held_away_once() {
    let world = World::with(&keys(), INSTALLATION);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (mut octocat, _) = world.signed_in("octocat", PAGE);
    let list = at("/installation/repositories");
    let (unknown, known) = ("fwd=uri-miss; fwd-status=200; stored", "fwd=stale; fwd-status=304");
    let told = |action: &str, secret| {
        let installation = json!({ "id": 5, "account": { "login": "acme", "id": 9 } });
        let payload = json!({ "action": action, "installation": installation });
        world.github.webhook("installation", payload, secret)
    };
    assert_eq!(cache(&octocat.fetch(&list)), unknown);
    for secret in [ORGANIZATION, REPOSITORY] {
        assert_eq!(deliver(&world, &told("suspend", secret)), refused(403));
        assert_eq!(cache(&octocat.fetch(&list)), known);
    }
    let suspended = told("suspend", APP);
    assert_eq!(deliver(&world, &suspended), taken("done"));
    assert_eq!(cache(&octocat.fetch(&list)), unknown);
    for replay in [&suspended, &named(&suspended, "x-github-delivery", "another")] {
        assert_eq!(deliver(&world, replay), taken("duplicate"));
        // It may be with another token, for the node hears of the suspension from itself as well.
        let again = octocat.fetch(&list);
        assert!(cache(&again).starts_with(known), "{}", cache(&again));
    }
    assert_eq!(deliver(&world, &told("unsuspend", APP)), taken("done"));
    assert_eq!(cache(&octocat.fetch(&list)), unknown, "the control");
}
