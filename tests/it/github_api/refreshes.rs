//! What installations hold is asked for anew once a webhook has told that it has changed, before anybody
//! asks.

use std::time::Duration;

use gatekeep::simulator::Installation;
use serde_json::json;

use super::webhooks::{HELLO, ISSUES, WARY, about, deliver};
use super::{at, cache, is_hit};
use crate::support::browser::Browser;
use crate::support::{World, eventually};
use crate::webhooks::SECRET;

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme } }
    allow: anyone
  - { name: people, host: app.example.com, path: /people, upstream: github, allow: anyone }
";

const LABELS: &str = "/repos/octocat/hello-world/labels";

/// A world that asks ahead, a visitor, and webhooks that tell of a repository.
fn world() -> (World, Browser) {
    let keys =
        "github.timeout: 5s, app: @GITHUB_APP@, webhook: { secret: @SECRET@, mode: refresh }\n";
    let world = World::with(&keys.replace("@SECRET@", SECRET), ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    deliver(&world, "ping", about(&world, HELLO, world.github.ping()));
    (world, browser)
}

/// The same in the visitor's own name.
fn own(path: &str) -> String {
    format!("https://app.example.com/people{path}")
}

fn advance(world: &World, by: Duration) {
    world.gate.clock.advance(by);
    world.github.advance(by);
}

fn edited(world: &World) {
    let issue = json!({ "action": "opened", "issue": { "number": 1 } });
    deliver(world, "issues", about(world, HELLO, issue));
}

fn asked(world: &World, path: &str) -> usize {
    world.github.calls(&format!("GET {path}"))
}

/// How many refreshes came to this.
fn refreshes(world: &World, result: &str) -> f64 {
    let line = format!(r#"gatekeep_github_refreshes_total{{result="{result}"}}"#);
    world.gate.metric(&line).unwrap_or_default()
}

#[test]
fn what_has_changed_is_there_before_anybody_asks() {
    let (world, mut octocat) = world();
    octocat.fetch(&at(ISSUES));
    octocat.fetch(&at(LABELS));
    octocat.fetch(&own(ISSUES));
    world.github.add_issue(HELLO, "mona", "New", "");
    edited(&world);
    let before = asked(&world, ISSUES);
    advance(&world, WARY);
    eventually("it is asked for", || asked(&world, ISSUES) == before + 1);
    eventually("it is held", || refreshes(&world, "done") > 0.0);
    let answer = octocat.fetch(&at(ISSUES));
    assert!(cache(&answer).starts_with("hit; ttl="), "{}", cache(&answer));
    assert!(answer.text().contains("\"New\""));
    assert_eq!(asked(&world, ISSUES), before + 1, "a person's is that person's to ask for");
    assert_eq!(cache(&octocat.fetch(&own(ISSUES))), "fwd=stale; fwd-status=200; stored");
    assert_eq!(asked(&world, LABELS), 1, "nothing else has changed");
}

#[test]
fn a_storm_of_events_is_one_question() {
    let (world, mut octocat) = world();
    for path in [ISSUES, LABELS] {
        octocat.fetch(&at(path));
    }
    let label = json!({ "action": "edited", "label": { "name": "bug" } });
    deliver(&world, "label", about(&world, HELLO, label));
    for _ in 0..20 {
        edited(&world);
    }
    let before = asked(&world, ISSUES);
    advance(&world, Duration::from_secs(6));
    edited(&world);
    advance(&world, Duration::from_secs(6));
    eventually("what is quiet is asked for", || refreshes(&world, "done") > 0.0);
    assert_eq!((asked(&world, LABELS), asked(&world, ISSUES)), (2, before), "it is put off");
    advance(&world, Duration::from_secs(6));
    eventually("the storm is over", || refreshes(&world, "done") > 1.0);
    assert_eq!(asked(&world, ISSUES), before + 1);
    assert!(is_hit(&mut octocat, ISSUES) && is_hit(&mut octocat, LABELS));
}

#[test]
fn half_of_the_budget_is_for_those_who_ask_themselves() {
    let (world, mut octocat) = world();
    octocat.fetch(&at(ISSUES));
    world.github.set_remaining_of_app("core", 2500);
    octocat.fetch(&at(LABELS));
    edited(&world);
    let before = asked(&world, ISSUES);
    advance(&world, WARY);
    eventually("it is spared", || refreshes(&world, "spared") > 0.0);
    assert_eq!(asked(&world, ISSUES), before);
    assert!(!is_hit(&mut octocat, ISSUES));
    // The control: with more than half it is asked for.
    world.github.set_remaining_of_app("core", 2600);
    advance(&world, Duration::from_secs(3_600));
    octocat.fetch(&at(ISSUES));
    edited(&world);
    let before = asked(&world, ISSUES);
    advance(&world, WARY);
    eventually("it is asked for", || asked(&world, ISSUES) == before + 1);
}

/// Whose rights have changed is shown nothing of before, and asked for nothing.
#[test]
fn nothing_is_asked_for_an_installation_that_is_gone() {
    let (world, mut octocat) = world();
    octocat.fetch(&at(ISSUES));
    edited(&world);
    let gone = json!({ "action": "deleted", "installation": { "id": 5 } });
    deliver(&world, "installation", gone);
    let before = asked(&world, ISSUES);
    octocat.fetch(&at(LABELS));
    let label = json!({ "action": "edited", "label": { "name": "bug" } });
    deliver(&world, "label", about(&world, HELLO, label));
    advance(&world, WARY);
    eventually("the control is asked for", || refreshes(&world, "done") > 0.0);
    assert_eq!((asked(&world, LABELS), asked(&world, ISSUES)), (2, before));
}
