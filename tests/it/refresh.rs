//! Tokens that end after eight hours: renewed ahead of their end, once, by one gateway of many, and
//! nobody signs in again for it unless GitHub leaves no other way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gatekeep::clock::Time;
use gatekeep::simulator::{ExpiringTokens, Gate as Barrier, Trouble};
use gatekeep::store::{Heard, Memory, Page, Store, Table, Unavailable};

use crate::support::browser::Browser;
use crate::support::http::Connection;
use crate::support::nodes::Nodes;
use crate::support::{eventually, journal};

const PAGE: &str = "https://app.example.com/page";
const TOKENS: &str = "/login/oauth/access_token";
const EVERY: Duration = Duration::from_secs(600);
/// An access token's life, and the last ten minutes of it.
const LIFE: Duration = Duration::from_secs(8 * 3600);
const SOON: Duration = Duration::from_secs(8 * 3600 - 300);

const REFRESHED: &str = r#"gatekeep_token_refreshes_total{result="refreshed"}"#;
const FAILED: &str = r#"gatekeep_token_refreshes_total{result="failed"}"#;
const SUPERSEDED: &str = r#"gatekeep_token_refreshes_total{result="superseded"}"#;
const LOST: &str = r#"gatekeep_token_refreshes_total{result="lost"}"#;
const RENEWED: &str = r#"gatekeep_rechecks_total{result="renewed"}"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn status(browser: &Browser) -> u16 {
    browser.clone().fetch(PAGE).status
}

fn answer(status: u16, body: &'static str) -> Trouble {
    Trouble::answer(status, "application/json", body)
}

/// Two gateways, a GitHub App whose tokens end, and somebody signed in.
fn world(keys: &str) -> (Nodes, Browser) {
    begun(Nodes::new(keys), ExpiringTokens::default())
}

fn begun(nodes: Nodes, lives: ExpiringTokens) -> (Nodes, Browser) {
    journal::listen();
    nodes.world.github.expire_tokens(Some(lives));
    let octocat = nodes.signed_in("octocat");
    (nodes, octocat)
}

fn token(nodes: &Nodes) -> String {
    let tokens = nodes.world.github.tokens_of("octocat");
    assert_eq!(tokens.len(), 1, "octocat has one token");
    tokens[0].clone()
}

/// No request was made with a token that had ended.
fn assert_no_dead_token_was_used(nodes: &Nodes) {
    for call in ["GET /user", "GET /user/emails", "GET /user/orgs", "GET /user/teams"] {
        assert_eq!(nodes.world.github.answered(call, 401), 0, "{call}");
    }
}

/// Refreshed, tried, lost.
fn counts(nodes: &Nodes) -> (usize, usize) {
    (nodes.world.github.refreshes(), nodes.world.github.refresh_attempts())
}

#[test]
fn a_token_is_refreshed_ahead_of_its_end_when_it_is_used() {
    let (nodes, octocat) = world("");
    let first = token(&nodes);
    nodes.advance(seconds(27_900));
    assert_eq!(status(&octocat), 200);
    assert_eq!((token(&nodes), counts(&nodes)), (first.clone(), (0, 0)), "not yet");
    nodes.advance(seconds(600));
    assert_eq!(status(&octocat), 200);
    assert_ne!(token(&nodes), first);
    assert_eq!(counts(&nodes), (1, 1));
    assert_eq!((nodes.count(REFRESHED), nodes.count(RENEWED)), (1, 2));
    for _ in 0..40 {
        nodes.advance(EVERY);
        assert_eq!(status(&nodes.double(&octocat)), 200, "and for ever on, at every node");
        assert_eq!(status(&octocat), 200);
    }
    assert_eq!(counts(&nodes), (1, 1), "within its life it stays");
    assert_no_dead_token_was_used(&nodes);
}

#[test]
fn two_hundred_requests_at_its_end_are_one_refresh() {
    let (nodes, octocat) = world("");
    nodes.advance(LIFE);
    nodes.world.github.knobs().at(TOKENS, Trouble::Delay(Duration::from_millis(200)));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| status(&octocat))).collect();
        for asked in asked {
            assert_eq!(asked.join().expect("an answer"), 200);
        }
    });
    assert_eq!(counts(&nodes), (1, 1));
    assert_no_dead_token_was_used(&nodes);
}

#[test]
fn two_gateways_are_one_refresh() {
    let (nodes, octocat) = world("");
    let double = nodes.double(&octocat);
    assert_eq!(status(&double), 200);
    for round in 1..=3 {
        nodes.advance(LIFE);
        nodes.world.github.knobs().at(TOKENS, Trouble::Delay(Duration::from_millis(200)));
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..100)
                .flat_map(|_| [&octocat, &double])
                .map(|browser| scope.spawn(|| status(browser)))
                .collect();
            for asked in asked {
                assert_eq!(asked.join().expect("one"), 200);
            }
        });
        assert_eq!(counts(&nodes), (round, round));
    }
    assert_no_dead_token_was_used(&nodes);
}

/// GitHub has spent the refresh token and its answer never came. It is asked once more, which tells
/// that the pair is lost. One sign-in, on one of his devices, puts it right for all of them.
#[test]
fn a_lost_answer_costs_one_sign_in() {
    let (nodes, octocat) = world("");
    let (mut desk, phone) = (octocat, nodes.signed_in("octocat"));
    nodes.advance(LIFE);
    nodes.world.github.knobs().once(TOKENS, Trouble::Swallow);
    for _ in 0..3 {
        let page = desk.clone().fetch(PAGE);
        assert_eq!((page.status, &page.json()["reason"]), (401, &"facts-outdated".into()));
        assert_eq!(page.all("set-cookie").count(), 0);
        assert_eq!(status(&phone), 401);
        assert_eq!(counts(&nodes), (1, 2), "asked once more, and never again");
    }
    assert_eq!(nodes.count(LOST), 1);
    assert_eq!(nodes.world.sign_in(&mut desk, "octocat", PAGE).status, 200);
    assert_eq!((status(&desk), status(&phone)), (200, 200));
    nodes.advance(LIFE);
    assert_eq!((status(&desk), status(&phone)), (200, 200));
    assert_eq!(counts(&nodes), (2, 3));
}

/// The same ahead of the end: the old token looks good and is dead.
#[test]
fn a_lost_answer_ahead_of_the_end_costs_one_sign_in() {
    let (nodes, mut octocat) = world("");
    let double = nodes.double(&octocat);
    nodes.advance(SOON);
    nodes.world.github.knobs().once(TOKENS, Trouble::Swallow);
    for browser in [&octocat, &double, &octocat] {
        let page = browser.clone().fetch(PAGE);
        assert_eq!((page.status, &page.json()["reason"]), (401, &"facts-outdated".into()));
    }
    assert_eq!(counts(&nodes), (1, 2));
    assert_eq!(nodes.world.github.answered("GET /user", 401), 1, "the dead token is used once");
    assert_eq!(nodes.world.sign_in(&mut octocat, "octocat", PAGE).status, 200);
    assert_eq!((status(&octocat), status(&nodes.double(&octocat))), (200, 200));
}

/// A gateway that was suspended in the midst of a refresh, so that another did it.
#[test]
fn a_refresh_token_that_another_node_has_spent_signs_nobody_out() {
    let (nodes, octocat) = world("");
    let double = nodes.double(&octocat);
    let (barrier, knobs) = (Barrier::new(), nodes.world.github.knobs());
    knobs.once(TOKENS, Trouble::Hold(barrier.clone()));
    nodes.advance(LIFE);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| status(&octocat));
        assert!(barrier.wait_for(1, seconds(10)));
        // The lease is over.
        nodes.advance(seconds(31));
        assert_eq!(status(&double), 200);
        assert_eq!(counts(&nodes), (1, 2));
        barrier.release();
        assert_eq!(slow.join().expect("an answer"), 200);
    });
    assert_eq!(counts(&nodes), (1, 2));
    assert_eq!(nodes.count(LOST), 0);
    nodes.advance(LIFE);
    assert_eq!((status(&octocat), status(&double)), (200, 200));
    assert_eq!(counts(&nodes), (2, 3));
    assert_no_dead_token_was_used(&nodes);
}

/// Without a newer version it is what it says: the person is asked, and GitHub is not asked again.
#[test]
fn a_refresh_token_that_is_spent_leads_to_a_sign_in() {
    let (nodes, mut octocat) = world("");
    let refresh = nodes.world.github.refresh_token_of(&token(&nodes)).expect("a refresh token");
    nodes.advance(LIFE);
    let bad = r#"{"error":"bad_refresh_token","error_description":"expired"}"#;
    nodes.world.github.knobs().once(TOKENS, answer(200, bad));
    for _ in 0..3 {
        assert_eq!(status(&octocat), 401);
        assert_eq!(status(&nodes.double(&octocat)), 401);
    }
    assert_eq!(counts(&nodes), (0, 1));
    assert_eq!(nodes.world.sign_in(&mut octocat, "octocat", PAGE).status, 200);
    assert_eq!(journal::lines(&[&refresh]), Vec::<String>::new());
}

#[test]
fn a_sign_in_during_a_refresh_wins_and_the_late_token_is_ended() {
    let (nodes, octocat) = world("");
    let github = &nodes.world.github;
    let barrier = Barrier::new();
    github.knobs().once(TOKENS, Trouble::Hold(barrier.clone()));
    nodes.advance(LIFE);
    let desk = std::thread::scope(|scope| {
        let slow = scope.spawn(|| status(&octocat));
        assert!(barrier.wait_for(1, seconds(10)));
        let desk = nodes.signed_in("octocat");
        let of_sign_in = token(&nodes);
        barrier.release();
        assert_eq!(slow.join().expect("an answer"), 200);
        eventually("the late token is ended", || github.tokens_of("octocat") == [&*of_sign_in]);
        desk
    });
    assert_eq!((nodes.count(SUPERSEDED), counts(&nodes)), (1, (1, 1)));
    nodes.advance(EVERY);
    assert_eq!((status(&octocat), status(&desk)), (200, 200));
    assert_eq!((counts(&nodes), token(&nodes).is_empty()), ((1, 1), false));
}

/// Five minutes of trouble, then it ends: the old token does it, and GitHub is asked less and less.
#[test]
fn while_refreshes_fail_the_old_token_is_used_and_the_pauses_grow() {
    let html = || Trouble::answer(500, "text/html", "<h1>Unicorn!</h1>");
    for (trouble, times) in [(html(), 1), (Trouble::Refuse, 2), (answer(429, "{}"), 1)] {
        let (nodes, octocat) = world("session: { recheck: 1m }\n");
        let github = &nodes.world.github;
        let first = token(&nodes);
        nodes.advance(seconds(28_205));
        github.knobs().at(TOKENS, trouble);
        for (minute, attempts) in [1, 2, 3, 4, 5, 5, 6, 6, 6].into_iter().enumerate() {
            assert_eq!(status(&octocat), 200, "minute {minute}");
            assert_eq!(github.refresh_attempts(), attempts * times, "minute {minute}");
            assert!(nodes.count(RENEWED) > u64::try_from(minute).expect("few"));
            nodes.advance(seconds(60));
        }
        assert_eq!((nodes.count(FAILED), token(&nodes)), (6, first));
        // Past its end: what GitHub said last counts, and nobody is signed out.
        nodes.advance(seconds(60));
        assert_eq!(status(&octocat), 200);
        assert_eq!(nodes.count("gatekeep_facts_kept_total"), 1);
        github.knobs().clear();
        nodes.advance(seconds(300));
        assert_eq!((status(&octocat), github.refreshes()), (200, 1));
        assert_no_dead_token_was_used(&nodes);
    }
}

#[test]
fn a_wrong_client_secret_signs_nobody_out() {
    let (nodes, octocat) = world("");
    nodes.advance(LIFE);
    let wrong = r#"{"error":"incorrect_client_credentials"}"#;
    nodes.world.github.knobs().at(TOKENS, answer(200, wrong));
    for after in [0, 1, 10] {
        nodes.advance(seconds(after));
        assert_eq!(status(&octocat), 200);
    }
    assert_eq!((nodes.count(LOST), nodes.count(FAILED)), (0, 2));
    nodes.world.github.knobs().clear();
    nodes.advance(seconds(20));
    assert_eq!(status(&octocat), 200);
    assert_eq!((nodes.count(RENEWED), counts(&nodes)), (1, (1, 3)));
}

/// One node asks with a token while another refreshes it: the answer 401 is no news of the person.
#[test]
fn a_token_that_is_refreshed_while_it_is_used_is_tried_again_with_the_new_one() {
    let (nodes, octocat) = world("");
    let double = nodes.double(&octocat);
    let (barrier, github) = (Barrier::new(), &nodes.world.github);
    nodes.advance(seconds(27_900));
    github.knobs().once("/user", Trouble::Hold(barrier.clone()));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| status(&octocat));
        assert!(barrier.wait_for(1, seconds(10)));
        nodes.other.clock.advance(seconds(600));
        assert_eq!(status(&double), 200);
        assert_eq!(counts(&nodes), (1, 1));
        barrier.release();
        assert_eq!(slow.join().expect("an answer"), 200);
    });
    assert_eq!(github.answered("GET /user", 401), 1);
    assert_eq!(counts(&nodes), (1, 1));
    assert_eq!((status(&octocat), status(&double)), (200, 200));
}

/// The same, and the other node has the new token and has not written it down yet. GitHub says
/// that the old one is dead, which is true, and still nobody is signed out.
#[test]
fn a_token_that_is_being_refreshed_elsewhere_is_waited_for() {
    let (nodes, octocat) = world("");
    let double = nodes.double(&octocat);
    let (asking, github) = (Barrier::new(), &nodes.world.github);
    nodes.advance(seconds(27_900));
    github.knobs().once("/user", Trouble::Hold(asking.clone()));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| status(&octocat));
        assert!(asking.wait_for(1, seconds(10)));
        nodes.other.clock.advance(seconds(600));
        github.knobs().once(TOKENS, Trouble::Late(Duration::from_secs(2)));
        let other = scope.spawn(|| status(&double));
        eventually("it is refreshed at GitHub", || github.refreshes() == 1);
        asking.release();
        assert_eq!(slow.join().expect("an answer"), 200);
        assert_eq!(other.join().expect("an answer"), 200);
    });
    assert_eq!(counts(&nodes), (1, 1));
    assert_eq!((status(&octocat), status(&double)), (200, 200));
}

/// A store that takes no credentials while the test says so.
struct Torn {
    inner: Memory,
    is_torn: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Torn {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.inner.insert(table, key, value, end).await
    }

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        if table == Table::Credential && self.is_torn.load(Ordering::SeqCst) {
            return Err(Unavailable("it is torn".to_owned()));
        }
        self.inner.replace(table, key, old, new, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.inner.take(table, key).await
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        self.inner.scan(table, from).await
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        self.inner.sweep().await
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.inner.announce(news).await
    }

    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        self.inner.listen(since).await
    }
}

#[test]
fn a_token_that_cannot_be_written_down_is_kept_until_it_can() {
    let is_torn = Arc::new(AtomicBool::new(false));
    let of_store = is_torn.clone();
    let nodes = Nodes::on("github.timeout: 1s\n", |clock| {
        Arc::new(Torn { inner: Memory::new(clock), is_torn: of_store })
    });
    let (nodes, octocat) = begun(nodes, ExpiringTokens::default());
    let double = nodes.double(&octocat);
    nodes.advance(LIFE);
    is_torn.store(true, Ordering::SeqCst);
    assert_eq!(status(&octocat), 200, "GitHub is well, and what it said last counts");
    assert_eq!((counts(&nodes), nodes.count(REFRESHED)), ((1, 1), 1));
    assert_eq!(nodes.count("gatekeep_facts_kept_total"), 1);
    // Another node, when the lease is over, finds the refresh token spent and cannot say so.
    nodes.advance(seconds(31));
    assert_eq!(status(&double), 200);
    assert_eq!(counts(&nodes), (1, 2));
    is_torn.store(false, Ordering::SeqCst);
    let written = || {
        nodes.advance(seconds(300));
        (status(&octocat), status(&double)) == (200, 200) && nodes.count(RENEWED) == 1
    };
    eventually("it is written down", written);
    assert_eq!(counts(&nodes).0, 1);
    assert_no_dead_token_was_used(&nodes);
}

#[test]
fn a_visitor_who_leaves_breaks_no_refresh_off() {
    let (nodes, octocat) = world("");
    let (barrier, github) = (Barrier::new(), &nodes.world.github);
    github.knobs().once(TOKENS, Trouble::Hold(barrier.clone()));
    nodes.advance(LIFE);
    let cookie = octocat.session("app.example.com").expect("a session");
    let mut gone = Connection::open(nodes.world.gate.address);
    let request = format!(
        "GET /page HTTP/1.1\r\nhost: app.example.com\r\ncookie: __Host-gatekeep={cookie}\r\n\r\n"
    );
    gone.send(request.as_bytes()).expect("the gateway reads");
    assert!(barrier.wait_for(1, seconds(10)));
    drop(gone);
    barrier.release();
    eventually("it is refreshed", || nodes.count(REFRESHED) == 1);
    assert_eq!((status(&octocat), counts(&nodes)), (200, (1, 1)));
}

/// Half a year without a visit. (Here two hours are.)
#[test]
fn when_the_refresh_token_has_ended_the_visitor_signs_in_once() {
    let lives = ExpiringTokens { access: seconds(3600), refresh: seconds(7200) };
    let (nodes, mut octocat) = begun(Nodes::new(""), lives);
    nodes.advance(seconds(7200));
    for _ in 0..3 {
        let page = octocat.clone().fetch(PAGE);
        assert_eq!((page.status, &page.json()["reason"]), (401, &"facts-outdated".into()));
    }
    assert_eq!(counts(&nodes), (0, 0), "nobody even tries");
    assert_eq!(octocat.get(PAGE).status, 303);
    assert_eq!(nodes.world.sign_in(&mut octocat, "octocat", PAGE).status, 200);
    nodes.advance(seconds(3700));
    assert_eq!((status(&octocat), counts(&nodes)), (200, (1, 1)));
}

#[test]
fn no_log_line_and_no_metric_has_a_token() {
    let (nodes, octocat) = world("");
    let github = &nodes.world.github;
    let mut secrets = vec![token(&nodes), github.client_secret().to_owned()];
    for trouble in [
        None,
        Some(answer(500, "{}")),
        Some(answer(200, r#"{"access_token":"ghu_of_an_answer","token_type":[]}"#)),
        Some(Trouble::Cut { after: 40 }),
        Some(Trouble::Swallow),
    ] {
        if let Some(trouble) = trouble {
            github.knobs().at(TOKENS, trouble);
        }
        nodes.advance(LIFE);
        status(&octocat);
        github.knobs().clear();
        nodes.advance(seconds(300));
        status(&octocat);
        for token in github.tokens_of("octocat") {
            secrets.extend(github.refresh_token_of(&token));
            secrets.push(token);
        }
    }
    assert!(secrets.len() >= 4, "{}", secrets.len());
    assert!(!journal::lines(&["still counts"]).is_empty(), "the control: something was said");
    secrets.extend(["gho_", "ghu_", "ghr_"].map(str::to_owned));
    let metrics = crate::support::child::get(nodes.world.gate.admin, "/metrics").text();
    for secret in &secrets {
        assert_eq!(journal::lines(&[secret]), Vec::<String>::new());
        assert!(!metrics.contains(secret.as_str()), "{secret} is in the metrics");
        assert!(!nodes.world.gate.access_log().contains(secret.as_str()), "{secret} is logged");
    }
}
