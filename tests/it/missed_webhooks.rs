//! Webhooks of the app that nobody took: the gateway has GitHub send them again.

use std::sync::Arc;

use gatekeep::simulator::{Delivery, Simulator, Trouble};
use gatekeep::store::{Memory, Table};
use serde_json::json;

use crate::support::nodes::Nodes;
use crate::support::{Gate, ROUTES, eventually, yaml};
use crate::webhooks::{SECRET, send};

const LIST: &str = "GET /app/hook/deliveries";

fn keys(more: &str) -> String {
    format!("github.timeout: 5s, app: @GITHUB_APP@, webhook: {{ secret: {SECRET}{more} }}\n")
}

/// Two nodes that have looked for what was missed before they were there.
fn nodes() -> Nodes {
    let nodes = Nodes::with(&keys(""), ROUTES, |clock| Arc::new(Memory::new(clock)));
    looked(&nodes, 2);
    nodes
}

fn looked(nodes: &Nodes, times: usize) {
    eventually("they look", || nodes.world.github.answered(LIST, 200) == times);
}

/// One more node, which has just started.
fn another(nodes: &Nodes) -> Gate {
    let (github, app) = (&nodes.world.github, nodes.world.app.url());
    Gate::start(&yaml(github, &keys(""), &ROUTES.replace("@APP@", app)), |_| nodes.store.clone())
}

/// A webhook that nobody takes; the next ones are taken.
fn lose(nodes: &Nodes) -> Delivery {
    let github = &nodes.world.github;
    github.set_hook("http://127.0.0.1:9/hook", SECRET);
    let payload = json!({ "action": "deleted", "installation": { "id": 5 } });
    let lost = github.deliver("installation", payload);
    assert_eq!((lost.status, lost.redelivery), (0, false));
    github.set_hook(&format!("{}/hook", nodes.world.app.url()), SECRET);
    lost
}

fn attempts(lost: &Delivery) -> String {
    format!("/app/hook/deliveries/{}/attempts", lost.id)
}

/// The attempt at which a webhook was taken.
fn taken(github: &Simulator, lost: &Delivery) -> Delivery {
    let found = || {
        let sent = github.deliveries();
        sent.into_iter().find(|it| it.guid == lost.guid && it.redelivery)
    };
    eventually("it is sent again", || found().is_some());
    found().expect("it was there")
}

/// Oldest first, and each attempt once: another node that comes later asks for what was lost since.
#[test]
fn what_nobody_took_is_sent_again_once() {
    let nodes = nodes();
    let github = &nodes.world.github;
    let first = lose(&nodes);
    assert_eq!(github.deliver("ping", github.ping()).status, 200);
    let _third = another(&nodes);
    let again = taken(github, &first);
    assert_eq!((again.status, &again.webhook), (200, &first.webhook));
    assert_eq!(send(&nodes.world.gate, &again.webhook).json()["result"], "done");
    let second = lose(&nodes);
    let _fourth = another(&nodes);
    assert_eq!(taken(github, &second).status, 200);
    for lost in [&first, &second] {
        assert_eq!(github.calls(&format!("POST {}", attempts(lost))), 1);
    }
    assert_eq!(github.deliveries().len(), 5, "what was taken is left alone");
}

#[test]
fn what_github_could_not_send_again_is_asked_for_the_next_time() {
    let nodes = nodes();
    let github = &nodes.world.github;
    let lost = lose(&nodes);
    let broken = Trouble::answer(500, "application/json", "{}");
    github.knobs().on(&attempts(&lost), broken);
    let _third = another(&nodes);
    eventually("it was tried", || github.answered(&format!("POST {}", attempts(&lost)), 500) > 0);
    eventually("it is anybody's again", || nodes.rows(Table::Delivery) == 0);
    github.knobs().clear();
    let _fourth = another(&nodes);
    assert_eq!(taken(github, &lost).status, 200);
}

/// The control is above: by default it looks at its start.
#[test]
fn who_does_not_want_it_is_sent_nothing_again() {
    let keys = keys(", redeliver: false");
    let nodes = Nodes::with(&keys, ROUTES, |clock| Arc::new(Memory::new(clock)));
    nodes.signed_in("octocat");
    assert_eq!(nodes.world.github.calls(LIST), 0);
    let _third = another(&nodes);
    looked(&nodes, 1);
}
