//! Signed out at one gateway is signed out at the other, and nobody is told so before it is true.

use std::time::{Duration, Instant};

use super::{APP, OCTOCAT, OPEN, PATIENT, form_token, sign_out};
use crate::support::http::Response;
use crate::support::redis_nodes::{
    Nodes, Tally, Visitor, all_ask, middle_and_longest, until, words,
};
use crate::support::toxic::Poison;

const ROUNDS: usize = 100;

/// Who asks at the other gateway all the while.
const VISITORS: usize = 16;

/// Asks until it is refused; when that was, and how often it was let in before.
fn is_refused(visitor: &mut Visitor) -> (Instant, usize) {
    let begun = Instant::now();
    let mut let_in = 0;
    loop {
        match &*words(&visitor.ask()) {
            "200" => let_in += 1,
            "401 session-ended" => return (Instant::now(), let_in),
            other => panic!("{other}"),
        }
        assert!(begun.elapsed().as_secs() < 20, "it is never refused");
    }
}

/// A hundred sign-ins are signed out at the first gateway, each while sixteen connections use it at
/// the second: the second refuses them all at once, and from then on always.
#[test]
fn a_sign_out_holds_at_the_other_gateway_at_once() {
    let Some(nodes) = Nodes::start("", OPEN, PATIENT) else { return };
    let (mut spans, mut let_in, mut after) = (Vec::new(), 0, Tally::new());
    for _ in 0..ROUNDS {
        let (mut browser, _) = nodes.world.signed_in(OCTOCAT, APP);
        let mut visitors: Vec<_> =
            (0..VISITORS).map(|_| Visitor::new(&nodes.second, &browser, APP)).collect();
        let token = form_token(&mut browser);
        let warm = all_ask(&mut visitors, 2);
        assert_eq!(warm, Tally::from([("200".to_owned(), 2 * VISITORS)]));
        let span = std::thread::scope(|scope| {
            let asking: Vec<_> =
                visitors.iter_mut().map(|visitor| scope.spawn(|| is_refused(visitor))).collect();
            let page = sign_out(&mut browser, &token);
            let told = Instant::now();
            assert_eq!(page.status, 200, "{}", page.text());
            let refused = asking.into_iter().map(|asked| {
                let (at, times) = asked.join().expect("answers");
                let_in += times;
                at
            });
            refused.max().expect("somebody asked").saturating_duration_since(told)
        });
        spans.push(span);
        for (words, n) in all_ask(&mut visitors, 10) {
            *after.entry(words).or_default() += n;
        }
    }
    let refused = ROUNDS * VISITORS * 10;
    assert_eq!(after, Tally::from([("401 session-ended".to_owned(), refused)]));
    assert!(let_in > 0, "control: some came before the sign-out");
    let (middle, longest) = middle_and_longest(spans);
    println!(
        "from the answer to a sign-out until the other gateway refused all of {VISITORS} \
         connections: {middle:?}, at most {longest:?}; then 0 of {refused} were let in"
    );
    assert!(middle < Duration::from_millis(100), "{middle:?}");
}

fn says_signed_out(page: &Response) -> bool {
    page.text().contains("You are signed out")
}

/// The second gateway cannot tell the first, so the visitor is told to try again. Whatever Redis did
/// of it meanwhile: who reads "you are signed out" at last, at any gateway and on whichever page, is
/// so at all of them.
#[test]
fn a_sign_out_that_cannot_be_announced_is_not_reported_as_done() {
    let Some(nodes) = Nodes::start("", OPEN, Duration::from_secs(1)) else { return };
    let third = nodes.fresh("", OPEN);
    for (is_cut_off, again_at) in [(true, &nodes.second), (false, &nodes.second), (false, &third)] {
        let (browser, _) = nodes.world.signed_in(OCTOCAT, APP);
        let mut elsewhere = Visitor::new(&nodes.world.gate, &browser, APP);
        let mut browser = browser.at(nodes.second.address);
        let token = form_token(&mut browser);
        assert_eq!(words(&elsewhere.ask()), "200");
        if is_cut_off {
            nodes.toxic.set(Poison::Blackhole);
        } else {
            nodes.redis.ask::<()>("ACL SETUSER default -xadd");
        }
        let page = sign_out(&mut browser, &token);
        assert_eq!(page.status, 503, "{}", page.text());
        assert!(!says_signed_out(&page) && page.all("set-cookie").count() == 0, "{page:?}");
        assert_eq!(words(&elsewhere.ask()), "200", "control: it has not been announced");
        nodes.toxic.set(Poison::Pass);
        nodes.redis.ask::<()>("ACL SETUSER default +xadd");
        until(Instant::now(), "the visitor is told", || {
            let mut copy = browser.at(again_at.address);
            says_signed_out(&sign_out(&mut copy, &token))
        });
        let told = Instant::now();
        let span = until(told, "the first gateway refuses", || words(&elsewhere.ask()) != "200");
        println!("announced late, a sign-out holds after {span:?}");
        assert!(span < Duration::from_secs(1), "{span:?}");
        assert_eq!(words(&elsewhere.ask()), "401 session-ended");
    }
}

/// What GitHub says at a sign-in counts at every gateway at once, those that knew the person before
/// among them; else signing in anew would not help who has just been let into an organisation.
#[test]
fn what_a_sign_in_learns_counts_at_the_other_gateway() {
    let routes = crate::support::ROUTES;
    let Some(nodes) = Nodes::start("", routes, PATIENT) else { return };
    let admin = "https://app.example.com/admin";
    let (browser, _) = nodes.world.signed_in(OCTOCAT, APP);
    let mut there = browser.at(nodes.second.address);
    assert_eq!((there.fetch(APP).status, there.fetch(admin).status), (200, 403));
    nodes.advance(Duration::from_secs(60));
    nodes.world.github.change(OCTOCAT, |person| person.teams.push("acme/admins".to_owned()));
    let mut other = nodes.world.browser();
    assert_eq!(nodes.world.sign_in(&mut other, OCTOCAT, admin).status, 200);
    assert_eq!(other.at(nodes.second.address).fetch(admin).status, 200, "the new session");
    assert_eq!(there.fetch(admin).status, 200, "and the old one");
}
