//! A route that asks in the name of an installation of the GitHub App.

use std::time::Duration;

use gatekeep::simulator::Installation;

use super::at;
use crate::support::World;
use crate::support::browser::Browser;

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme } }
    allow: anyone
";

const LIST: &str = "/installation/repositories";

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
