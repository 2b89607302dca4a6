//! A route that asks in the name of an installation of the GitHub App.

use std::sync::Arc;
use std::time::Duration;

use gatekeep::simulator::{Gate, Installation, Trouble};
use gatekeep::store::Memory;
use serde_json::json;

use super::{at, cache, write};
use crate::support::browser::Browser;
use crate::support::ears::Ears;
use crate::support::nodes::Nodes;
use crate::support::{World, eventually};
use crate::webhooks::{SECRET, send};

pub(super) const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme } }
    allow: anyone
";

const LIST: &str = "/installation/repositories";
const MINT: &str = "POST /app/installations/5/access_tokens";

/// The world with the App installed on acme, and a browser in which octocat is signed in.
fn world() -> (World, Browser) {
    let world = World::with_app(ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    (world, browser)
}

#[test]
fn a_route_acts_as_the_installation_it_names() {
    let (_world, mut browser) = world();
    let list = browser.get(&at(LIST));
    assert_eq!(list.status, 200, "{}", list.text());
    assert!(list.text().contains("\"full_name\":\"acme/notes\""), "{}", list.text());
    // What the visitor may do is of no use here.
    assert_eq!(browser.get(&at("/user")).status, 403);
}

#[test]
fn an_installation_that_is_gone_is_no_outage() {
    let (world, mut browser) = world();
    assert_eq!(browser.get(&at(LIST)).status, 200);
    world.github.uninstall(5);
    // GitHub may need some seconds until all of it knows a new token.
    world.gate.clock.advance(Duration::from_secs(10));
    let gone = browser.get(&at(LIST));
    assert_eq!(gone.status, 403, "{}", gone.text());
    assert!(gone.text().contains("installation-unusable"), "{}", gone.text());
}

/// Many ask in its name, and what one of them thinks to be recent enough is not the others' word.
#[test]
fn nobody_gets_anything_older_for_the_asking() {
    let (world, mut browser) = world();
    let mut with = |wishes: &str| {
        let fields = [("accept", "application/json"), ("cache-control", wishes)];
        browser.send("GET", &at(LIST), &fields, "")
    };
    assert_eq!(with("").status, 200);
    world.gate.clock.advance(Duration::from_secs(30));
    let confirmed = with("max-stale=60");
    assert_eq!(confirmed.header("cache-status"), Some("gatekeep; fwd=stale; fwd-status=304"));
    assert_eq!(with("max-stale, only-if-cached").status, 504);
}

/// What a mutation changes is in its text alone: nothing is believed that was asked for before, and all
/// of it can still be confirmed for nothing.
#[test]
fn a_mutation_throws_nothing_away_that_is_on_its_way() {
    let (world, browser) = world();
    let barrier = Gate::new();
    world.github.knobs().once(LIST, Trouble::Hold(barrier.clone()));
    std::thread::scope(|scope| {
        let mut asking = browser.clone();
        let under_way = scope.spawn(move || asking.fetch(&at(LIST)));
        assert!(barrier.wait_for(1, Duration::from_secs(10)));
        write(&mut browser.clone(), "POST", "/graphql", r#"{"query":"mutation { nothing }"}"#);
        assert!(world.github.calls("POST /api/graphql") > 0, "it is sent");
        barrier.release();
        assert_eq!(under_way.join().expect("an answer").status, 200);
    });
    let again = browser.clone().fetch(&at(LIST));
    assert!(cache(&again).starts_with("fwd=stale; fwd-status=304"), "{}", cache(&again));
}

/// GitHub's validators are made with the token; what is held outlives it all the same.
#[test]
fn a_new_token_fetches_nothing_anew() {
    let (world, mut browser) = world();
    let before = browser.get(&at(LIST));
    world.github.advance(Duration::from_secs(3600));
    world.gate.clock.advance(Duration::from_secs(3600));
    let after = browser.get(&at(LIST));
    assert_eq!(
        after.header("cache-status"),
        Some("gatekeep; fwd=stale; fwd-status=304; detail=rotated")
    );
    assert_eq!((after.status, after.text()), (200, before.text()));
}

/// GitHub says that an installation has other rights: what it was shown is asked for anew, with another
/// token, on all nodes. It says nothing of any other.
#[test]
fn what_an_installation_was_shown_goes_with_its_rights_on_every_node() {
    let keys = format!("github.timeout: 5s, app: @GITHUB_APP@, webhook: {{ secret: {SECRET} }}\n");
    let nodes = Nodes::with(&keys, ROUTES, |clock| Arc::new(Memory::new(clock)));
    let github = &nodes.world.github;
    github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (browser, _) = nodes.world.signed_in("octocat", "https://app.example.com/x");
    let mut both = [browser.clone(), nodes.double(&browser)];
    let (unknown, known) = ("fwd=uri-miss; fwd-status=200; stored", "fwd=stale; fwd-status=304");
    for browser in &mut both {
        assert_eq!(cache(&browser.fetch(&at(LIST))), unknown);
    }
    let minted = || github.calls(MINT);
    assert_eq!(minted(), 1, "one for both");
    let tell = |event, payload| {
        let answer = send(&nodes.world.gate, &github.webhook(event, payload, SECRET));
        assert_eq!((answer.status, &*answer.text()), (200, r#"{"result":"done"}"#));
    };
    let of = |id: u64| json!({ "id": id, "account": { "login": "acme", "id": 9 } });
    tell("installation", json!({ "action": "suspend", "installation": of(6) }));
    for browser in &mut both {
        assert_eq!(cache(&browser.fetch(&at(LIST))), known, "of another");
    }
    assert_eq!(minted(), 1);
    for (event, action) in [
        ("installation", "new_permissions_accepted"),
        ("installation_repositories", "removed"),
        ("installation", "suspend"),
        ("installation", "deleted"),
    ] {
        let before = minted();
        tell(event, json!({ "action": action, "installation": of(5) }));
        assert_eq!(cache(&both[0].fetch(&at(LIST))), unknown, "{action}");
        eventually("the other node forgets", || cache(&both[1].fetch(&at(LIST))) == unknown);
        assert!(minted() >= before + 2, "{action}");
    }
}

/// A node hears its own announcements, after what it has done by then.
#[test]
fn what_a_node_tells_the_others_costs_itself_no_other_token() {
    let keys = format!("github.timeout: 5s, app: @GITHUB_APP@, webhook: {{ secret: {SECRET} }}\n");
    let mut ears = None;
    let world = World::build(&keys, ROUTES, |clock| {
        ears.insert(Arc::new(Ears::new(Memory::new(clock)))).clone()
    });
    let (ears, github) = (ears.expect("the gateway has a store"), &world.github);
    github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (mut browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    assert_eq!(browser.fetch(&at(LIST)).status, 200);
    eventually("all is heard", || ears.has_heard_all());
    ears.set_deaf(true);
    let (before, minted) = (ears.announced(), github.calls(MINT));
    let changed = json!({ "action": "new_permissions_accepted",
                          "installation": { "id": 5, "account": { "login": "acme", "id": 9 } } });
    let answer = send(&world.gate, &github.webhook("installation", changed, SECRET));
    assert_eq!(answer.status, 200);
    assert_eq!(browser.fetch(&at(LIST)).status, 200);
    assert_eq!(github.calls(MINT), minted + 1, "it has changed");
    eventually("it is announced", || ears.announced() != before);
    assert!(!ears.has_heard_all());
    ears.set_deaf(false);
    eventually("it is heard", || ears.has_heard_all());
    assert_eq!(cache(&browser.fetch(&at(LIST))), "fwd=stale; fwd-status=304");
    assert_eq!(github.calls(MINT), minted + 1, "and costs nothing more");
}
