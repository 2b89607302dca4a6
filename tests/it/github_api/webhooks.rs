//! Webhooks keep what is held true: what they tell of is believed for a minute, and not a moment longer
//! than until they tell that it has changed.

use std::time::Duration;

use gatekeep::simulator::{Gate as Barrier, Trouble};
use serde_json::{Value, json};

use super::{ROUTES, at, cache, is_hit};
use crate::support::World;
use crate::support::browser::Browser;
use crate::webhooks::{SECRET, send};

pub(super) const HELLO: &str = "octocat/hello-world";
pub(super) const ISSUES: &str = "/repos/octocat/hello-world/issues";

/// So long after a change nothing is believed, and a second more.
pub(super) const WARY: Duration = Duration::from_secs(11);

/// Webhooks are taken, and people asked for leave to write.
pub(super) fn keys() -> String {
    let scopes = "[read:user, user:email, read:org, public_repo]";
    format!("github.timeout: 5s, scopes: {scopes}, webhook: {{ secret: {SECRET} }}\n")
}

/// A world that takes webhooks, and a browser in which octocat is signed in.
fn world() -> (World, Browser) {
    let world = World::with(&keys(), ROUTES);
    let (browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    (world, browser)
}

/// A repository as webhooks show it.
pub(super) fn repository(id: u64, full_name: &str) -> Value {
    let (owner, name) = full_name.split_once('/').expect("owner/name");
    json!({ "id": id, "name": name, "full_name": full_name,
            "owner": { "login": owner, "id": 583_231 } })
}

/// The payload of an event about the repository that is there from the beginning.
pub(super) fn about(world: &World, full_name: &str, more: Value) -> Value {
    let mut payload = more;
    let id = world.github.repository_id(full_name);
    payload["repository"] = repository(id, full_name);
    payload
}

/// Delivers an event, which is heeded.
pub(super) fn deliver(world: &World, event: &str, payload: Value) {
    let answer = send(&world.gate, &world.github.webhook(event, payload, SECRET));
    assert_eq!((answer.status, &*answer.text()), (200, r#"{"result":"done"}"#));
}

/// A webhook of the repository says that it is there.
fn ping(world: &World) {
    deliver(world, "ping", about(world, HELLO, world.github.ping()));
}

fn advance(world: &World, by: Duration) {
    world.gate.clock.advance(by);
    world.github.advance(by);
}

/// Asks until GitHub need not be asked.
fn warm(browser: &mut Browser, path: &str) {
    browser.fetch(&at(path));
    assert!(is_hit(browser, path), "{path}");
}

#[test]
fn what_a_webhook_tells_of_is_fresh_for_a_minute() {
    let (world, mut octocat) = world();
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES), "no webhook tells of it");
    ping(&world);
    octocat.fetch(&at(ISSUES));
    let calls = world.github.calls(&format!("GET {ISSUES}"));
    assert_eq!(cache(&octocat.fetch(&at(ISSUES))), "hit; ttl=60");
    advance(&world, Duration::from_secs(59));
    assert_eq!(cache(&octocat.fetch(&at(ISSUES))), "hit; ttl=1");
    assert_eq!(world.github.calls(&format!("GET {ISSUES}")), calls);
    advance(&world, Duration::from_secs(1));
    assert_eq!(cache(&octocat.fetch(&at(ISSUES))), "fwd=stale; fwd-status=304");
    let elsewhere = "/repos/acme/handbook/issues";
    octocat.fetch(&at(elsewhere));
    assert!(!is_hit(&mut octocat, elsewhere), "it tells of one repository alone");
}

#[test]
fn a_webhook_that_told_nothing_for_a_day_is_not_believed() {
    let (world, _) = world();
    ping(&world);
    advance(&world, Duration::from_secs(24 * 3600 - 1));
    let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
    warm(&mut octocat, ISSUES);
    advance(&world, Duration::from_secs(61));
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES));
    deliver(&world, "star", about(&world, HELLO, json!({ "action": "created" })));
    advance(&world, WARY);
    warm(&mut octocat, ISSUES);
}

#[test]
fn a_webhook_that_is_deleted_says_so_itself() {
    let (world, mut octocat) = world();
    ping(&world);
    warm(&mut octocat, ISSUES);
    deliver(&world, "meta", about(&world, HELLO, json!({ "action": "deleted", "hook_id": 3 })));
    advance(&world, WARY);
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES));
}

#[test]
fn a_webhook_of_an_organization_tells_of_all_its_repositories() {
    let (world, mut octocat) = world();
    let (issues, elsewhere) = ("/repos/acme/handbook/issues", ISSUES);
    let mut payload = world.github.ping();
    payload["organization"] = json!({ "login": "acme", "id": 9 });
    let mut webhook = world.github.webhook("ping", payload.clone(), SECRET);
    assert_eq!(send(&world.gate, &webhook).status, 200);
    octocat.fetch(&at(issues));
    assert!(!is_hit(&mut octocat, issues), "an app may be installed on some of them alone");
    for (name, value) in &mut webhook.headers {
        if name == "X-GitHub-Hook-Installation-Target-Type" {
            "organization".clone_into(value);
        }
    }
    assert_eq!(send(&world.gate, &webhook).status, 200);
    octocat.fetch(&at(issues));
    assert!(!is_hit(&mut octocat, issues), "nobody has signed the header");
    payload["hook"]["type"] = "Organization".into();
    let webhook = world.github.webhook("ping", payload, SECRET);
    assert_eq!(send(&world.gate, &webhook).status, 200);
    warm(&mut octocat, issues);
    octocat.fetch(&at(elsewhere));
    assert!(!is_hit(&mut octocat, elsewhere));
}

/// The list is at the repository's name, its second page at its number.
#[test]
fn what_an_event_tells_of_is_asked_for_anew_by_name_and_by_number() {
    let (world, mut octocat) = world();
    let id = world.github.repository_id(HELLO);
    let second = format!("/repositories/{id}/issues?page=2");
    let (labels, other) = (format!("/repositories/{id}/labels"), format!("{ISSUES}/2"));
    ping(&world);
    for path in [ISSUES, &second, &labels, &other] {
        warm(&mut octocat, path);
    }
    let number = world.github.add_issue(HELLO, "mona", "New", "");
    assert!(is_hit(&mut octocat, ISSUES), "nobody has told yet");
    let issue = json!({ "action": "opened", "issue": { "number": number } });
    deliver(&world, "issues", about(&world, HELLO, issue));
    for path in [ISSUES, &second] {
        let answer = octocat.fetch(&at(path));
        assert_eq!(cache(&answer), "fwd=stale; fwd-status=200; stored", "{path}");
    }
    assert!(octocat.fetch(&at(ISSUES)).text().contains("\"New\""));
    // GitHub's replicas may not know yet what its events tell.
    assert_eq!(cache(&octocat.fetch(&at(ISSUES))), "fwd=stale; fwd-status=304");
    assert!(is_hit(&mut octocat, &labels) && is_hit(&mut octocat, &other), "nothing else");
    advance(&world, WARY);
    warm(&mut octocat, ISSUES);
    warm(&mut octocat, &second);
}

#[test]
fn an_unknown_event_is_about_all_of_its_repository() {
    let (world, mut octocat) = world();
    ping(&world);
    warm(&mut octocat, ISSUES);
    deliver(&world, "never_heard_of", about(&world, HELLO, json!({})));
    assert!(!is_hit(&mut octocat, ISSUES));
}

#[test]
fn an_answer_that_is_under_way_when_an_event_comes_is_not_fresh() {
    for has_changed in [false, true] {
        let (world, octocat) = world();
        ping(&world);
        let barrier = Barrier::new();
        world.github.knobs().once(ISSUES, Trouble::Hold(barrier.clone()));
        std::thread::scope(|scope| {
            let mut asking = octocat.clone();
            let under_way = scope.spawn(move || asking.fetch(&at(ISSUES)));
            assert!(barrier.wait_for(1, Duration::from_secs(10)));
            if has_changed {
                let issue = json!({ "action": "edited", "issue": { "number": 65 } });
                deliver(&world, "issues", about(&world, HELLO, issue));
            }
            barrier.release();
            assert_eq!(under_way.join().expect("an answer").status, 200);
        });
        advance(&world, WARY);
        assert_eq!(is_hit(&mut octocat.clone(), ISSUES), !has_changed);
    }
}

/// Renamed: both names, and from then on the new name goes with the number.
#[test]
fn a_repository_that_is_renamed_is_asked_for_anew_by_both_names() {
    let (world, mut octocat) = world();
    let id = world.github.repository_id(HELLO);
    let by_number = format!("/repositories/{id}/issues?page=2");
    ping(&world);
    warm(&mut octocat, ISSUES);
    warm(&mut octocat, &by_number);
    world.github.rename_repository(HELLO, "octocat/hello-there");
    assert!(is_hit(&mut octocat, ISSUES), "nobody has told yet");
    let from = json!({ "action": "renamed",
                       "changes": { "repository": { "name": { "from": "hello-world" } } } });
    deliver(&world, "repository", about(&world, "octocat/hello-there", from));
    let moved = octocat.fetch(&at(ISSUES));
    assert_eq!((moved.status, cache(&moved)), (301, "fwd=stale; fwd-status=301"));
    assert!(!is_hit(&mut octocat, &by_number));
    advance(&world, WARY);
    warm(&mut octocat, &by_number);
    // By its new name alone, as a write through the gateway has it.
    let issue = at("/repos/octocat/hello-there/issues/1");
    let headers = [("origin", "https://app.example.com"), ("content-type", "application/json")];
    let written = octocat.send("PATCH", &issue, &headers, r#"{"title":"Changed"}"#);
    assert_eq!(written.status, 200, "{}", written.text());
    assert!(!is_hit(&mut octocat, &by_number));
}

/// A signature is good for ever, and whoever may look at a hook's deliveries has some.
#[test]
fn what_is_sent_again_covers_no_longer_than_it_did() {
    let (world, _) = world();
    let event = || {
        let payload = about(&world, HELLO, json!({ "action": "created" }));
        world.github.webhook("star", payload, SECRET)
    };
    let old = event();
    advance(&world, Duration::from_secs(24 * 3600));
    let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
    assert_eq!(send(&world.gate, &old).status, 200);
    advance(&world, WARY);
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES));
    assert_eq!(send(&world.gate, &event()).status, 200);
    advance(&world, WARY);
    warm(&mut octocat, ISSUES);
    let mut undated = about(&world, HELLO, json!({ "action": "created" }));
    undated["repository"]["updated_at"] = Value::Null;
    let gone = about(&world, HELLO, json!({ "action": "deleted", "hook_id": 3 }));
    for (event, payload) in [("meta", gone), ("label", undated)] {
        assert_eq!(send(&world.gate, &world.github.webhook(event, payload, SECRET)).status, 200);
    }
    advance(&world, WARY);
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES), "it does not say when");
}

/// By the new name alone: see the test above.
#[test]
fn what_is_sent_again_gives_nothing_its_old_name() {
    for is_sent_again in [false, true] {
        let (world, _) = world();
        let id = world.github.repository_id(HELLO);
        let by_number = format!("/repositories/{id}/issues?page=2");
        let (created, from) = (json!({ "action": "created" }), json!({ "name": { "from": "x" } }));
        let old = ["star", "repository"].map(|event| {
            let mut payload = about(&world, HELLO, created.clone());
            if event == "repository" {
                payload["action"] = "renamed".into();
                payload["changes"] = json!({ "repository": from });
            }
            world.github.webhook(event, payload, SECRET)
        });
        world.github.rename_repository(HELLO, "octocat/hello-there");
        advance(&world, Duration::from_secs(5 * 24 * 3600));
        let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
        let from = json!({ "action": "renamed",
                           "changes": { "repository": { "name": { "from": "hello-world" } } } });
        deliver(&world, "repository", about(&world, "octocat/hello-there", from));
        if is_sent_again {
            for old in &old {
                assert_eq!(send(&world.gate, old).status, 200);
            }
        }
        advance(&world, WARY);
        warm(&mut octocat, &by_number);
        let issue = at("/repos/octocat/hello-there/issues/1");
        let headers = [("origin", "https://app.example.com"), ("content-type", "application/json")];
        let written = octocat.send("PATCH", &issue, &headers, r#"{"title":"Changed"}"#);
        assert_eq!(written.status, 200, "{}", written.text());
        assert!(!is_hit(&mut octocat, &by_number), "{is_sent_again}");
    }
}

/// What was public and is not any more is not even asked about for others.
#[test]
fn what_changes_as_a_whole_is_not_offered_for_others() {
    let labels = "/repos/octocat/hello-world/labels";
    let told = "fwd=stale; fwd-status=304; detail=cross-principal";
    let (world, mut octocat) = world();
    let reader = |person| world.signed_in(person, "https://app.example.com/x").0;
    let mut mona = reader("mona");
    octocat.fetch(&at(labels));
    assert_eq!(cache(&mona.fetch(&at(labels))), told);
    deliver(&world, "repository", about(&world, HELLO, json!({ "action": "archived" })));
    let mut hubot = reader("hubot");
    assert_eq!(cache(&hubot.fetch(&at(labels))), "fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(cache(&mona.fetch(&at(labels))), "fwd=stale; fwd-status=304", "her own");
}

/// The control of all above: no signature, no effect.
#[test]
fn what_is_not_signed_changes_nothing() {
    let (world, mut octocat) = world();
    let event = about(&world, HELLO, json!({ "action": "opened", "issue": { "number": 1 } }));
    let forged = world.github.webhook("issues", event.clone(), "of-somebody-else-entirely");
    assert_eq!(send(&world.gate, &forged).status, 403);
    octocat.fetch(&at(ISSUES));
    assert!(!is_hit(&mut octocat, ISSUES), "nothing is covered");
    ping(&world);
    warm(&mut octocat, ISSUES);
    assert_eq!(send(&world.gate, &forged).status, 403);
    assert!(is_hit(&mut octocat, ISSUES), "nothing is outdated");
    deliver(&world, "issues", event);
    assert!(!is_hit(&mut octocat, ISSUES));
}
