//! What GitHub says of somebody is asked again: who leaves loses access without a new sign-in, who
//! joins gains it, and while GitHub gives no answer nobody is signed out for that.

use std::time::{Duration, Instant};

use gatekeep::simulator::cast::Person;
use gatekeep::simulator::{Etags, ExpiringTokens, Gate as Barrier, Trouble};
use gatekeep::store::Table;

use crate::support::browser::Browser;
use crate::support::nodes::Nodes;
use crate::support::{eventually, journal};

const PAGE: &str = "https://app.example.com/page";
const SIGN_OUT: &str = "https://app.example.com/.gatekeep/sign_out";

/// The default of `session.recheck`, and where its last fifth begins.
const EVERY: Duration = Duration::from_secs(600);
const AGING: Duration = Duration::from_secs(480);

/// What GitHub is asked of somebody.
const ASKED: [&str; 4] = ["GET /user", "GET /user/emails", "GET /user/orgs", "GET /user/teams"];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn status(browser: &Browser) -> u16 {
    browser.clone().fetch(PAGE).status
}

fn unauthorized() -> Trouble {
    Trouble::answer(401, "application/json", r#"{"message":"Bad credentials"}"#)
}

fn failing() -> Trouble {
    Trouble::answer(502, "text/html", "<h1>Unicorn!</h1>")
}

fn sign_out(browser: &mut Browser) {
    let page = browser.get(SIGN_OUT).text();
    let token = page.split("name=\"csrf\" value=\"").nth(1).expect("a form with a token");
    let token = token.split('"').next().expect("its end").to_owned();
    assert_eq!(browser.post(SIGN_OUT, &[("csrf", &token)]).status, 200);
}

// === News of a person ===

#[test]
fn who_leaves_an_organisation_loses_access_beside_a_request_while_the_facts_are_aging() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    github.remove_from_org("octocat", "acme");
    nodes.advance(seconds(479));
    assert_eq!(status(&octocat), 200, "what is young is believed");
    assert_eq!(github.calls("GET /user"), 1, "it is not even asked");
    nodes.advance(seconds(1));
    assert_eq!(status(&octocat), 200, "nobody waits");
    eventually("access ends", || status(&octocat) == 403);
    assert_eq!(github.calls("GET /user"), 2);
    assert_eq!(status(&nodes.double(&octocat)), 403, "on every node");
    assert_eq!(github.calls("GET /user"), 2);
}

#[test]
fn who_leaves_an_organisation_loses_access_before_a_request_when_the_facts_are_outdated() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    github.remove_from_org("octocat", "acme");
    nodes.advance(EVERY);
    let page = octocat.clone().fetch(PAGE);
    assert_eq!((page.status, &page.json()["reason"]), (403, &"not-admitted".into()));
    assert_eq!(page.all("set-cookie").count(), 0, "signed in as before");
    assert_eq!(status(&nodes.double(&octocat)), 403);
}

#[test]
fn who_joins_is_let_in_without_a_new_sign_in() {
    let nodes = Nodes::new("");
    let (stranger, github) = (nodes.signed_in("stranger"), &nodes.world.github);
    assert_eq!(status(&stranger), 403);
    github.change("stranger", |person| *person = person.clone().member_of("acme"));
    assert_eq!(status(&stranger), 403);
    nodes.advance(EVERY);
    assert_eq!(status(&stranger), 200);
    assert_eq!(status(&nodes.double(&stranger)), 200);
}

#[test]
fn a_new_name_shows_to_the_app() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    let user = |browser: &Browser| {
        assert_eq!(status(browser), 200);
        let seen = nodes.world.app.requests().pop().expect("a request");
        seen.header("x-forwarded-user").map(str::to_owned)
    };
    assert_eq!(user(&octocat).as_deref(), Some("octocat"));
    github.rename("octocat", "decacat");
    assert_eq!(user(&octocat).as_deref(), Some("octocat"));
    nodes.advance(EVERY);
    assert_eq!(user(&octocat).as_deref(), Some("decacat"));
    assert_eq!(user(&nodes.double(&octocat)).as_deref(), Some("decacat"));
}

#[test]
fn what_has_not_changed_costs_no_rate_limit() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    for round in 1..=3 {
        nodes.advance(EVERY);
        assert_eq!(status(&octocat), 200);
        for asked in ASKED {
            let answered = [200, 304].map(|status| github.answered(asked, status));
            assert_eq!(answered, [1, round], "{asked}");
        }
    }
    github.remove_from_org("octocat", "acme");
    nodes.advance(EVERY);
    assert_eq!(status(&octocat), 403);
    let answered = ASKED.map(|asked| [200, 304].map(|status| github.answered(asked, status)));
    assert_eq!(answered, [[1, 4], [1, 4], [2, 3], [2, 3]]);
    assert_eq!(nodes.count(r#"gatekeep_rechecks_total{result="renewed"}"#), 4);
}

/// How often these were answered anew and as before, once the app's token is another one.
fn asked_with_a_new_token(nodes: &Nodes, octocat: &Browser) -> [[usize; 2]; 4] {
    let github = &nodes.world.github;
    nodes.advance(seconds(28_500));
    assert_eq!(status(octocat), 200);
    assert_eq!(github.refreshes(), 1, "the token is new");
    ASKED.map(|asked| [200, 304].map(|status| github.answered(asked, status)))
}

#[test]
fn after_a_new_token_what_has_not_changed_costs_no_rate_limit() {
    let nodes = Nodes::new("");
    let github = &nodes.world.github;
    github.expire_tokens(Some(ExpiringTokens::default()));
    let octocat = nodes.signed_in("octocat");
    assert_eq!(asked_with_a_new_token(&nodes, &octocat), [[1, 1]; 4]);
    github.remove_from_org("octocat", "acme");
    nodes.advance(EVERY);
    assert_eq!(status(&octocat), 403, "what has changed is heard");
}

#[test]
fn where_github_s_tags_are_made_otherwise_a_new_token_asks_anew() {
    let nodes = Nodes::new("");
    let github = &nodes.world.github;
    github.knobs().etags(Etags::Salted);
    github.expire_tokens(Some(ExpiringTokens::default()));
    let octocat = nodes.signed_in("octocat");
    assert_eq!(asked_with_a_new_token(&nodes, &octocat), [[2, 0]; 4]);
}

/// Two hundred at once, when the facts are outdated: one asks, all wait for it.
#[test]
fn many_requests_are_one_question() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    nodes.advance(EVERY);
    github.knobs().on("/user", Trouble::Delay(Duration::from_millis(300)));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| status(&octocat))).collect();
        for asked in asked {
            assert_eq!(asked.join().expect("an answer"), 200);
        }
    });
    assert_eq!(github.calls("GET /user"), 2);
}

// === GitHub in trouble ===

/// An hour of grace: until then what was said last counts, and then nobody passes and nobody is
/// signed out. GitHub is asked less and less often, and the log has few lines.
#[test]
fn while_github_is_down_what_it_said_last_counts_for_a_while() {
    const ID: u64 = 7_310_001;
    journal::listen();
    let nodes = Nodes::new("session: { recheck_grace: 1h }\n");
    let github = &nodes.world.github;
    github.add_person(Person::new(ID, "patience").member_of("acme"));
    let visitor = nodes.signed_in("patience");
    github.knobs().on("/", failing());
    nodes.advance(EVERY);
    let asked = |after: u64, times: usize| {
        nodes.advance(seconds(after));
        for _ in 0..20 {
            assert_eq!(status(&visitor), 200);
        }
        assert_eq!(github.calls("GET /user"), 1 + times, "after {after} s");
    };
    for (after, times) in
        [(0, 1), (4, 1), (1, 2), (9, 2), (1, 3), (19, 3), (1, 4), (40, 5), (80, 6), (160, 7)]
    {
        asked(after, times);
    }
    // Five minutes are the longest.
    for (after, times) in [(299, 7), (1, 8), (300, 9), (300, 10)] {
        asked(after, times);
    }
    assert_eq!(nodes.count("gatekeep_facts_kept_total"), 14 * 20);
    assert_eq!(nodes.count(r#"gatekeep_rechecks_total{result="failed"}"#), 10);
    let told = journal::lines(&["still counts", &format!("user.id={ID}")]);
    assert!((2..=10).contains(&told.len()), "{told:#?}");
    let passed = 315 + 900;
    nodes.advance(seconds(3600 - passed - 1));
    assert_eq!(status(&visitor), 200, "the last second of grace");
    nodes.advance(seconds(1));
    for browser in [&visitor, &nodes.double(&visitor)] {
        let page = browser.clone().fetch(PAGE);
        assert_eq!((page.status, &page.json()["reason"]), (503, &"github-unavailable".into()));
        assert_eq!(page.header("retry-after"), Some("30"));
        assert_eq!(page.all("set-cookie").count(), 0, "nobody is signed out");
    }
    github.knobs().clear();
    nodes.advance(seconds(300));
    assert_eq!(status(&visitor), 200, "GitHub answers again");
    assert_eq!(status(&nodes.double(&visitor)), 200);
}

#[test]
fn a_slow_github_slows_nobody_down_while_the_facts_are_aging() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    let barrier = Barrier::new();
    github.knobs().on("/user", Trouble::Hold(barrier.clone()));
    nodes.advance(AGING);
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(status(&octocat), 200);
    }
    assert!(begun.elapsed() < seconds(3), "{:?}", begun.elapsed());
    assert!(barrier.wait_for(1, seconds(10)));
    assert_eq!(github.calls("GET /user"), 2, "one question is under way");
    barrier.release();
    let renewed = r#"gatekeep_rechecks_total{result="renewed"}"#;
    eventually("they are renewed", || nodes.count(renewed) == 1);
}

/// A limit is no news of a person: who has an address keeps it.
#[test]
fn a_limit_takes_no_fact_away() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    let limit = Trouble::Answer {
        status: 403,
        headers: vec![("x-ratelimit-remaining".to_owned(), "0".to_owned())],
        body: "{}".into(),
    };
    github.knobs().at("/user/emails", limit);
    nodes.advance(EVERY);
    assert_eq!(status(&octocat), 200);
    let seen = nodes.world.app.requests().pop().expect("a request");
    assert_eq!(seen.header("x-forwarded-email"), Some("octocat@github.example"));
    assert_eq!(nodes.count(r#"gatekeep_rechecks_total{result="failed"}"#), 1);
    nodes.advance(seconds(299));
    assert_eq!(status(&octocat), 200);
    assert_eq!(github.calls("GET /user"), 2, "whoever keeps asking is refused for longer");
}

/// Anybody can use up their own limit. It is worth no day to somebody who has left.
#[test]
fn who_has_left_stays_no_longer_for_a_limit_used_up() {
    for refusal in [
        Trouble::Answer {
            status: 403,
            headers: vec![("x-ratelimit-remaining".to_owned(), "0".to_owned())],
            body: "{}".into(),
        },
        Trouble::answer(403, "application/json", "{}"),
        Trouble::answer(429, "application/json", "{}"),
    ] {
        let nodes = Nodes::new("");
        let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
        github.remove_from_org("octocat", "acme");
        github.knobs().on("/user", refusal.clone());
        nodes.advance(EVERY);
        assert_eq!(status(&octocat), 200, "{refusal:?}: it may be a bad moment");
        nodes.advance(EVERY);
        assert_eq!(status(&octocat), 503, "{refusal:?}");
        nodes.advance(seconds(3600));
        assert_eq!(status(&octocat), 503, "{refusal:?}");
        github.knobs().clear();
        nodes.advance(EVERY);
        assert_eq!(status(&octocat), 403, "{refusal:?}: GitHub answers again");
    }
}

// === Tokens that GitHub refuses ===

#[test]
fn a_withdrawn_authorisation_ends_the_sessions_of_that_person_on_every_node() {
    let nodes = Nodes::new("");
    let github = &nodes.world.github;
    let [desk, phone] = [0, 1].map(|_| nodes.signed_in("octocat"));
    let mona = nodes.signed_in("mona");
    let doubles = [&desk, &phone, &mona].map(|browser| nodes.double(browser));
    assert_eq!(doubles.each_ref().map(status), [200, 200, 200]);
    assert_eq!(nodes.rows(Table::Credential), 2);
    github.revoke_grant("octocat");
    nodes.advance(EVERY);
    let page = desk.clone().fetch(PAGE);
    assert_eq!((page.status, &page.json()["reason"]), (401, &"session-ended".into()));
    assert_eq!(status(&phone), 401);
    eventually("the other node hears", || {
        doubles[..2].iter().all(|double| {
            let page = double.clone().fetch(PAGE);
            page.status == 401 && page.json()["reason"] == "session-ended"
        })
    });
    for browser in [&mona, &doubles[2]] {
        assert_eq!(status(browser), 200, "others stay");
    }
    assert_eq!(nodes.rows(Table::Credential), 1);
    assert_eq!(nodes.rows(Table::Account), 1);
    let refused: usize = ["GET /user", "GET /user/emails", "GET /user/orgs", "GET /user/teams"]
        .iter()
        .map(|call| github.answered(call, 401))
        .sum();
    assert!(refused <= 2, "{refused} requests with a dead token");
    assert_eq!(nodes.count(r#"gatekeep_sessions_ended_total{cause="revoked"}"#), 2);
    let mut desk = desk;
    assert_eq!(nodes.world.sign_in(&mut desk, "octocat", PAGE).status, 200, "he may come back");
}

#[test]
fn a_token_that_is_refused_and_alive_signs_nobody_out() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    github.knobs().on("/user", unauthorized());
    nodes.advance(EVERY);
    for after in [0, 5, 10, 20] {
        nodes.advance(seconds(after));
        assert_eq!(status(&octocat), 200);
    }
    let checks = requests(&nodes, "POST", "/token");
    assert_eq!(checks, 4, "GitHub says each time that it is alive");
    github.knobs().clear();
    nodes.advance(seconds(40));
    assert_eq!(status(&octocat), 200);
    assert_eq!(nodes.count(r#"gatekeep_rechecks_total{result="renewed"}"#), 1);
}

#[test]
fn a_token_that_is_refused_twice_is_dead_even_if_github_does_not_say_so() {
    let nodes = Nodes::new("");
    let (octocat, github) = (nodes.signed_in("octocat"), &nodes.world.github);
    let both = || {
        github.knobs().on("/user", unauthorized());
        github.knobs().on("/applications", failing());
    };
    both();
    nodes.advance(EVERY);
    assert_eq!(status(&octocat), 200, "the first time");
    assert_eq!(status(&octocat), 200, "it is not asked again at once");
    assert_eq!(github.answered("GET /user", 401), 1);
    github.knobs().clear();
    nodes.advance(seconds(5));
    assert_eq!(status(&octocat), 200, "it was a bad moment");
    both();
    nodes.advance(EVERY);
    assert_eq!(status(&octocat), 200, "which is forgotten: this is a first time again");
    nodes.advance(seconds(5));
    assert_eq!(status(&octocat), 401, "the second");
    assert_eq!(nodes.rows(Table::Credential), 0);
}

// === The end of the last session ===

fn requests(nodes: &Nodes, method: &str, end: &str) -> usize {
    let all = nodes.world.github.requests();
    let is_such = |path: &str| path.contains("/applications/") && path.ends_with(end);
    all.iter().filter(|seen| seen.method == method && is_such(seen.path())).count()
}

#[test]
fn the_last_sign_out_forgets_the_token_and_revokes_it_where_that_is_wanted() {
    for revokes in [true, false] {
        let nodes = Nodes::new(&format!("github.timeout: 5s, revoke_tokens: {revokes}\n"));
        let github = &nodes.world.github;
        let [mut desk, mut phone] = [0, 1].map(|_| nodes.signed_in("octocat"));
        nodes.signed_in("mona");
        sign_out(&mut desk);
        assert_eq!((status(&desk), status(&phone)), (401, 200));
        assert_eq!(nodes.rows(Table::Credential), 2, "the other session needs it");
        let newest = github.tokens_of("octocat").pop().expect("a token");
        nodes.advance(EVERY);
        assert_eq!(status(&phone), 200);
        assert_eq!(requests(&nodes, "DELETE", "/token"), 0);
        sign_out(&mut phone);
        assert_eq!(nodes.rows(Table::Credential), 1, "mona's");
        if revokes {
            eventually("it is revoked", || !github.is_alive(&newest));
        } else {
            // The next request comes after whatever the sign-out had begun.
            nodes.signed_in("stranger");
            assert!(github.is_alive(&newest));
            assert_eq!(requests(&nodes, "DELETE", "/token"), 0);
        }
        assert_eq!(github.tokens_of("mona").len(), 1);
    }
}

#[test]
fn nothing_is_left_of_the_last_visitor() {
    let nodes = Nodes::new("");
    let mut octocat = nodes.signed_in("octocat");
    let tables = [Table::Credential, Table::Account, Table::Session];
    assert_eq!(tables.map(|table| nodes.rows(table)), [1, 1, 1]);
    sign_out(&mut octocat);
    assert_eq!(tables.map(|table| nodes.rows(table)), [0, 0, 0]);
}
