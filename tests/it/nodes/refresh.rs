//! A refresh token works once. However many ask at however many gateways, it is used once.

use std::time::{Duration, Instant};

use gatekeep::simulator::{ExpiringTokens, Trouble};

use super::{APP, OCTOCAT, OPEN, PATIENT};
use crate::support::browser::Browser;
use crate::support::redis_nodes::{Nodes, Tally, all_ask, middle_and_longest};

const KEYS: &str = "github.timeout: 20s\nsession: { lifetime: 390d, idle: 390d, recheck: 10m, recheck_grace: 10m }\n";
const EXCHANGE: &str = "/login/oauth/access_token";
const EIGHT_HOURS: Duration = Duration::from_secs(28_800);

/// Visitors at each gateway.
const EACH: usize = 32;

fn signed_in() -> Option<(Nodes, Browser)> {
    let nodes = Nodes::start(KEYS, OPEN, PATIENT)?;
    nodes.world.github.expire_tokens(Some(ExpiringTokens::default()));
    let (browser, page) = nodes.world.signed_in(OCTOCAT, APP);
    assert_eq!(page.status, 200, "{}", page.text());
    Some((nodes, browser))
}

fn all_well(requests: usize) -> Tally {
    Tally::from([("200".to_owned(), requests)])
}

/// The moment its token ends a person's requests arrive at both gateways at once: all are let in,
/// and GitHub is asked for a new token once. `GATEKEEP_ROUNDS=200` makes
/// as many rounds of a thousand requests.
#[test]
fn a_token_is_refreshed_once_for_all_gateways() {
    let Some((nodes, browser)) = signed_in() else { return };
    let large = std::env::var("GATEKEEP_ROUNDS").ok().and_then(|n| n.parse().ok());
    let mut visitors = nodes.crowd(&browser, APP, EACH);
    let rounds = large.map_or(vec![(200, 128), (10, 1024)], |large| vec![(large, 1024)]);
    for (rounds, requests) in rounds {
        let mut spans = Vec::new();
        for round in 0..rounds {
            nodes.advance(EIGHT_HOURS);
            let before = nodes.world.github.refreshes();
            let begun = Instant::now();
            let tally = all_ask(&mut visitors, requests / (2 * EACH));
            spans.push(begun.elapsed());
            assert_eq!(tally, all_well(requests), "round {round}");
            let refreshes = nodes.world.github.refreshes() - before;
            assert_eq!(refreshes, 1, "round {round} of {requests} requests");
        }
        assert_eq!(nodes.world.github.refresh_attempts(), nodes.world.github.refreshes());
        let (middle, longest) = middle_and_longest(spans);
        println!(
            "{rounds} rounds of {requests} requests: a refresh each, {middle:?}, at most {longest:?}"
        );
    }
}

/// A refresh that takes longer than most people's patience is still the only one.
#[test]
fn a_slow_refresh_is_the_only_one() {
    let Some((nodes, browser)) = signed_in() else { return };
    let mut visitors = nodes.crowd(&browser, APP, EACH);
    nodes.advance(EIGHT_HOURS);
    nodes.world.github.knobs().once(EXCHANGE, Trouble::Late(Duration::from_secs(8)));
    let begun = Instant::now();
    assert_eq!(all_ask(&mut visitors, 8), all_well(16 * EACH));
    println!("a refresh of eight seconds is waited for: {:?}", begun.elapsed());
    assert!(begun.elapsed() >= Duration::from_secs(8), "control: it was slow");
    assert_eq!((nodes.world.github.refreshes(), nodes.world.github.refresh_attempts()), (1, 1));
}

/// GitHub uses the refresh token up and its answer is lost: nobody can have the new one. The person
/// is asked to sign in, once, and then all is well; GitHub is not asked again and again.
#[test]
fn a_lost_answer_costs_one_sign_in_and_no_more() {
    let Some((nodes, mut browser)) = signed_in() else { return };
    let github = &nodes.world.github;
    for round in 0..20 {
        nodes.advance(EIGHT_HOURS);
        github.knobs().once(EXCHANGE, Trouble::Swallow);
        let before = github.refresh_attempts();
        let tally = all_ask(&mut nodes.crowd(&browser, APP, 8), 8);
        let asked = Tally::from([("401 facts-outdated".to_owned(), 128)]);
        assert_eq!(tally, asked, "round {round}");
        assert_eq!(
            github.refresh_attempts() - before,
            2,
            "it is asked once more, in round {round}"
        );
        // Eight hours are longer than the memory for loops lasts.
        browser.forget("auth.example.com", "__Host-gatekeep-trail");
        browser.forget("app.example.com", "__Host-gatekeep-trail");
        let page = nodes.world.sign_in(&mut browser, OCTOCAT, APP);
        assert_eq!(page.status, 200, "round {round}: {}", page.text());
        let tally = all_ask(&mut nodes.crowd(&browser, APP, 8), 8);
        assert_eq!(tally, all_well(128), "round {round}");
        assert_eq!(github.refresh_attempts() - before, 2, "round {round}");
    }
}
