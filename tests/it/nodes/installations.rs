//! A token of an installation is asked for once. However many want one at however many gateways, one of
//! them asks, and the others take what it got.

use std::time::Duration;

use gatekeep::simulator::Installation;

use super::{APP, OCTOCAT, PATIENT};
use crate::support::redis_nodes::{Nodes, Tally, all_ask};
use crate::support::toxic::Poison;

/// Whoever hears nothing believes for long what it holds.
const KEYS: &str = "github.timeout: 5s, app: @GITHUB_APP@\ncache: { staleness: 300s }\n";

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme } }
    allow: anyone
";

const LIST: &str = "https://app.example.com/github/installation/repositories";
const MINT: &str = "POST /app/installations/5/access_tokens";

fn nodes() -> Option<Nodes> {
    let nodes = Nodes::start(KEYS, ROUTES, PATIENT)?;
    nodes.world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    Some(nodes)
}

/// What became of the tokens that each gateway wanted.
fn results(nodes: &Nodes, result: &str) -> [u32; 2] {
    let line = format!("gatekeep_installation_tokens_total{{result=\"{result}\"}} ");
    nodes.gates().map(|gate| {
        let value = gate.metric(&line).unwrap_or_default();
        format!("{value:.0}").parse().expect("a count")
    })
}

#[test]
fn a_token_is_asked_for_once_for_all_gateways() {
    let Some(nodes) = nodes() else { return };
    let (browser, _) = nodes.world.signed_in(OCTOCAT, APP);
    let mut visitors = nodes.crowd(&browser, LIST, 8);
    for round in 1..=5 {
        assert_eq!(all_ask(&mut visitors, 2), Tally::from([("200".to_owned(), 32)]), "{round}");
        assert_eq!(nodes.world.github.calls(MINT), round, "a token each time the last one ends");
        nodes.advance(Duration::from_secs(3590));
    }
    let (minted, shared) = (results(&nodes, "minted"), results(&nodes, "shared"));
    assert_eq!(minted.iter().sum::<u32>(), 5, "{minted:?}");
    assert_eq!(shared.iter().sum::<u32>(), 5, "{shared:?}");
}

/// What another gateway got is no use to who cannot reach the store, and no harm.
#[test]
fn without_the_store_each_gateway_asks_for_itself() {
    for is_cut_off in [false, true] {
        let Some(nodes) = nodes() else { return };
        let (mut browser, _) = nodes.world.signed_in(OCTOCAT, APP);
        let mut there = browser.at(nodes.second.address);
        assert_eq!(there.fetch(APP).status, 200, "the second knows the session");
        assert_eq!(browser.fetch(LIST).status, 200);
        if is_cut_off {
            nodes.toxic.set(Poison::Refuse);
            nodes.toxic.reset_all();
        }
        let list = there.fetch(LIST);
        assert_eq!(list.status, 200, "{}", list.text());
        let second = u32::from(is_cut_off);
        assert_eq!(results(&nodes, "minted"), [1, second]);
        assert_eq!(results(&nodes, "shared"), [0, 1 - second]);
        assert_eq!(nodes.world.github.calls(MINT), usize::from(is_cut_off) + 1);
    }
}
