//! What happens at one node counts on all: webhooks, writes, and what was missed.

use std::sync::Arc;

use gatekeep::simulator::Trouble;
use gatekeep::store::Memory;
use serde_json::json;

use super::webhooks::{HELLO, ISSUES, WARY, about, deliver, keys};
use super::{ROUTES, at, is_hit};
use crate::support::browser::Browser;
use crate::support::nodes::Nodes;
use crate::support::toxic::Poison;
use crate::support::{eventually, redis_nodes};

const PAGE: &str = "https://app.example.com/x";

fn nodes() -> Nodes {
    Nodes::with(&keys(), ROUTES, |clock| Arc::new(Memory::new(clock)))
}

/// Somebody at both nodes.
fn signed_in(nodes: &Nodes, person: &str) -> [Browser; 2] {
    let (browser, _) = nodes.world.signed_in(person, PAGE);
    let double = nodes.double(&browser);
    [browser, double]
}

/// Asks until GitHub need not be asked.
fn warm(browsers: &mut [Browser], path: &str) {
    for browser in browsers {
        eventually("it is fresh", || is_hit(browser, path));
    }
}

fn ping(nodes: &Nodes) {
    deliver(&nodes.world, "ping", about(&nodes.world, HELLO, nodes.world.github.ping()));
}

/// Told by name at one node, and so known at the other, by number as well, which never asked.
#[test]
fn a_webhook_at_one_node_counts_on_all() {
    let nodes = nodes();
    let mut octocat = signed_in(&nodes, "octocat");
    let id = nodes.world.github.repository_id(HELLO);
    let second = format!("/repositories/{id}/issues?page=2");
    let labels = format!("/repositories/{id}/labels");
    ping(&nodes);
    for path in [ISSUES, &second, &labels] {
        warm(&mut octocat, path);
    }
    let issue = json!({ "action": "edited", "issue": { "number": 3 } });
    deliver(&nodes.world, "issues", about(&nodes.world, HELLO, issue));
    for browser in &mut octocat {
        for path in [ISSUES, &second] {
            eventually("it is asked for anew", || !is_hit(browser, path));
            assert!(!is_hit(browser, path), "and stays so");
        }
        assert!(is_hit(browser, &labels), "nothing else");
    }
    nodes.advance(WARY);
    warm(&mut octocat, ISSUES);
}

/// A write through one node: all others who see it, on all nodes.
#[test]
fn a_write_through_one_node_counts_on_all_for_everybody() {
    let nodes = nodes();
    let mut readers = signed_in(&nodes, "mona");
    let [mut octocat, _] = signed_in(&nodes, "octocat");
    let (issue, other) = (format!("{ISSUES}/1"), format!("{ISSUES}/2"));
    ping(&nodes);
    for path in [ISSUES, &issue, &other, "/repos/octocat/hello-world"] {
        warm(&mut readers, path);
    }
    let headers = [("origin", "https://app.example.com"), ("content-type", "application/json")];
    let written = octocat.send("PATCH", &at(&issue), &headers, r#"{"title":"By one node"}"#);
    assert_eq!(written.status, 200, "{}", written.text());
    for browser in &mut readers {
        for path in [ISSUES, &issue, "/repos/octocat/hello-world"] {
            eventually("it is asked for anew", || !is_hit(browser, path));
        }
        assert!(browser.fetch(&at(&issue)).text().contains("By one node"));
        assert!(is_hit(browser, &other), "another issue is as it was");
    }
}

/// A mutation of GraphQL may have changed anything that its sender sees.
#[test]
fn a_mutation_counts_on_all_nodes_for_its_sender() {
    let nodes = nodes();
    let mut octocat = signed_in(&nodes, "octocat");
    let mut mona = signed_in(&nodes, "mona");
    ping(&nodes);
    warm(&mut octocat, ISSUES);
    warm(&mut mona, ISSUES);
    let headers = [("origin", "https://app.example.com"), ("content-type", "application/json")];
    let query = r#"{"query":"mutation { addStar { clientMutationId } }"}"#;
    octocat[0].send("POST", &at("/graphql"), &headers, query);
    for browser in &mut octocat {
        eventually("it is asked for anew", || !is_hit(browser, ISSUES));
    }
    assert!(mona.iter_mut().all(|browser| is_hit(browser, ISSUES)), "others asked for nothing");
}

/// Two gateways on one Redis, and two people at both of them. An operation on it may take a while.
fn on_redis() -> Option<(redis_nodes::Nodes, [[Browser; 2]; 2])> {
    let patient = std::time::Duration::from_secs(5);
    let nodes = redis_nodes::Nodes::start(&keys(), ROUTES, patient)?;
    let people = ["octocat", "mona"].map(|person| {
        let (browser, _) = nodes.world.signed_in(person, PAGE);
        let there = browser.at(nodes.second.address);
        [browser, there]
    });
    Some((nodes, people))
}

/// The other node would run into the same pause, and GitHub bans who does so again and again.
#[test]
fn a_pause_that_one_node_is_asked_for_holds_at_the_other() {
    let Some((nodes, people)) = on_redis() else { return };
    let [[mut octocat, mut there], [_, mut mona]] = people;
    let (user, unknown) = ("/users/hubot", "/users/octocat");
    for browser in [&mut there, &mut mona] {
        assert_eq!(browser.fetch(&at(user)).status, 200);
    }
    let github = &nodes.world.github;
    github
        .knobs()
        .once("/users/mona", Trouble::SecondaryLimit { status: 403, retry_after: Some(30) });
    assert_eq!(octocat.fetch(&at("/users/mona")).status, 403);
    // GitHub itself would let it pass.
    let stale = "x-gatekeep-stale";
    eventually("the other node hears of it", || {
        there.fetch(&at(user)).header(stale) == Some("secondary-rate-limit")
    });
    let asked = github.requests().len();
    assert_eq!(there.fetch(&at(unknown)).header("x-gatekeep-refused"), Some("secondary"));
    assert_eq!(github.requests().len(), asked, "GitHub hears nothing of that");
    let hers = mona.fetch(&at(user));
    assert_eq!((hers.status, hers.header(stale)), (200, None), "others are not concerned");
    nodes.advance(std::time::Duration::from_secs(32));
    assert_eq!(there.fetch(&at(unknown)).status, 200, "and then it is over");
}

#[test]
fn what_one_node_has_spent_the_other_does_not_ask_for() {
    let Some((nodes, people)) = on_redis() else { return };
    let [[mut octocat, mut there], [_, mut mona]] = people;
    let (fresh, unknown) = ("/meta", "/users/octocat");
    warm(std::slice::from_mut(&mut there), fresh);
    let github = &nodes.world.github;
    github.set_remaining("octocat", "core", 1);
    assert_eq!(octocat.fetch(&at("/users/mona")).header("x-ratelimit-remaining"), Some("0"));
    let asked = github.requests().len();
    // What is fresh tells what is left without asking.
    eventually("the other node hears of it", || {
        there.fetch(&at(fresh)).header("x-ratelimit-remaining") == Some("0")
    });
    assert_eq!(there.fetch(&at(unknown)).header("x-gatekeep-refused"), Some("primary"));
    assert_eq!(github.requests().len(), asked, "GitHub hears nothing of that");
    assert_eq!(mona.fetch(&at(unknown)).status, 200, "others are not concerned");
}

/// Cut off for a moment: what was told meanwhile is not known, so nothing that is held is fresh.
#[test]
fn a_node_that_missed_news_believes_nothing_from_before() {
    let keys = format!("{}cache: {{ staleness: 2s }}\n", keys());
    let patient = std::time::Duration::from_secs(5);
    let Some(nodes) = redis_nodes::Nodes::start(&keys, ROUTES, patient) else { return };
    let (browser, _) = nodes.world.signed_in("octocat", PAGE);
    let mut octocat = [browser.clone(), browser.at(nodes.second.address)];
    deliver(&nodes.world, "ping", about(&nodes.world, HELLO, nodes.world.github.ping()));
    warm(&mut octocat, ISSUES);
    let in_touch = || nodes.second.metric("gatekeep_store_in_touch ");
    nodes.toxic.set(Poison::Refuse);
    nodes.toxic.reset_all();
    eventually("it hears nothing", || in_touch() == Some(0.0));
    nodes.toxic.set(Poison::Pass);
    eventually("it hears again", || in_touch() == Some(1.0));
    assert!(!is_hit(&mut octocat[1], ISSUES));
    assert!(is_hit(&mut octocat[0], ISSUES), "the other node has heard all");
    nodes.advance(WARY);
    warm(&mut octocat, ISSUES);
}
