//! Two gateways on one store are one service.

use super::*;
use crate::support::nodes::Nodes;
use crate::support::{Gate, eventually};

const INFO: &str = "/api/v1/github/app/info";

fn two() -> Nodes {
    Nodes::with(&format!("github.timeout: 5s, {SCOPES}\n{BROKER}"), ROUTES, |clock| {
        std::sync::Arc::new(gatekeep::store::Memory::new(clock))
    })
}

fn exchange_at(gate: &Gate, code: &str) -> Response {
    let headers = [PLAIN[0], ("content-type", "application/json")];
    let body = serde_json::json!({ "token": code }).to_string();
    let url = format!("{SERVICE}/api/v1/auth/control/callback");
    Browser::new(gate.address).called("Trackeep").send("POST", &url, &headers, &body)
}

fn ask_at(gate: &Gate, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [PLAIN[0], ("authorization", bearer.as_str())];
    Browser::new(gate.address).called("Trackeep").send(
        "GET",
        &format!("{SERVICE}{INFO}"),
        &headers,
        "",
    )
}

/// Whether a token is good at each of them.
fn good_at(nodes: &Nodes, token: &str) -> [bool; 2] {
    [&nodes.world.gate, &nodes.other].map(|gate| ask_at(gate, token).status == 200)
}

/// The other one hears of it.
fn is_over_at_both(nodes: &Nodes, token: &str) {
    eventually("the token is over at both", || good_at(nodes, token) == [false, false]);
}

#[test]
fn a_code_of_one_is_exchanged_at_the_other_once() {
    let nodes = two();
    let code = code_for(&nodes.world, &mut nodes.world.browser(), "octocat");
    let token = decoded::<Validated>(&exchange_at(&nodes.other, &code)).token;
    assert_eq!(good_at(&nodes, &token), [true, true]);
    // It comes again where it was made: two had it, and what the first one got is over on both.
    let again = refusal(&exchange_at(&nodes.world.gate, &code));
    assert_eq!(again.0, 401, "{again:?}");
    is_over_at_both(&nodes, &token);
}

#[test]
fn of_many_at_both_one_gets_a_token() {
    let nodes = two();
    let code = code_for(&nodes.world, &mut nodes.world.browser(), "octocat");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let gates = [&nodes.world.gate, &nodes.other].into_iter().cycle().take(40);
        let asking: Vec<_> =
            gates.map(|gate| scope.spawn(|| exchange_at(gate, &code).status)).collect();
        asking.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let given = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(given, 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 401)), "{statuses:?}");
}

#[test]
fn a_token_that_follows_at_one_is_used_at_the_other() {
    let nodes = two();
    let (_, first) = signed_in_at(&nodes.world, "octocat", "https://apps.example.com/trackeep/cb");
    nodes.advance(Duration::from_secs(45 * 60));
    let second = next(&ask_at(&nodes.world.gate, &first)).expect("another token");
    assert_eq!(next(&ask_at(&nodes.other, &first)), Some(second.clone()), "the same of both");
    assert_eq!(good_at(&nodes, &second), [true, true]);
    assert_eq!(good_at(&nodes, &first), [true, true], "for a while");
    nodes.advance(Duration::from_secs(5 * 60));
    assert_eq!(good_at(&nodes, &first), [false, false]);
    assert_eq!(good_at(&nodes, &second), [true, true]);
}

#[test]
fn what_is_ended_at_one_is_over_at_the_other() {
    let nodes = two();
    let (mut browser, token) = signed_in(&nodes.world, "octocat");
    assert_eq!(good_at(&nodes, &token), [true, true]);
    end(&mut browser, "home");
    is_over_at_both(&nodes, &token);
}
