//! Redis stopped, slow, cut off from one gateway, restarted, emptied. Who is signed in is never sent
//! to GitHub for it and keeps the cookie; who has signed out is never let in again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekeep::clock::{Clock, System};
use gatekeep::keys::Keys;
use gatekeep::secret::Secret;
use gatekeep::session::Session;
use gatekeep::store::{Profile, Sessions, Validators};

use super::{APP, OCTOCAT, OPEN, form_token, sign_out};
use crate::support::browser::Browser;
use crate::support::redis::{self, RedisServer};
use crate::support::redis_nodes::{Nodes, Visitor, until, user, words};
use crate::support::toxic::Poison;

const KEYS: &str = "cache: { staleness: 3s }\n";
const STALENESS: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_millis(500);

/// Who is signed in, and who has signed out, at one of the gateways.
struct Watch {
    inside: Visitor,
    outside: Visitor,
    /// The one who is signed in, as a browser that follows links.
    browser: Browser,
}

// === impl Watch ===

impl Watch {
    fn new(nodes: &Nodes, gate: usize, inside: &Browser, outside: &Browser) -> Self {
        let gate = nodes.gates()[gate];
        let visitor = |browser| Visitor::new(gate, browser, APP);
        Self {
            inside: visitor(inside),
            outside: visitor(outside),
            browser: inside.at(gate.address),
        }
    }

    /// Whether the one who is signed in is let in. Whatever happens, there is no third way for her
    /// beside "try again", and none in for the other.
    fn looks(&mut self) -> bool {
        let page = self.inside.ask();
        let said = words(&page);
        assert!(said == "200" || said == "503 store-unavailable", "{said}");
        assert!(page.status != 200 || user(&page).as_deref() == Some(OCTOCAT), "{}", page.text());
        let link = self.browser.get(APP);
        assert!(matches!(link.status, 200 | 503), "{} {}", link.status, link.text());
        assert_eq!(link.all("set-cookie").count(), 0);
        assert!(link.status == 200 || link.header("retry-after").is_some(), "{link:?}");
        let other = words(&self.outside.ask());
        assert!(other == "401 session-ended" || other == "503 store-unavailable", "{other}");
        said == "200"
    }

    /// Looks until the one who is signed in is not let in any more.
    fn looks_until_unknown(&mut self, begun: Instant) -> Duration {
        let span = until(begun, "nothing is known any more", || !self.looks());
        // Perhaps it had heard the latest a second before.
        let least = STALENESS.saturating_sub(Duration::from_millis(1500));
        assert!(least < span && span < STALENESS + Duration::from_secs(1), "{span:?}");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            assert!(!self.looks(), "it stays so");
        }
        span
    }

    /// Looks until the one who is signed in is let in; from then on she always is.
    fn looks_until_known(&mut self, begun: Instant) -> Duration {
        let span = until(begun, "all is known again", || self.looks());
        assert!(span < Duration::from_secs(2), "{span:?}");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1500) {
            assert!(self.looks(), "it stays so");
        }
        span
    }
}

/// Two people who signed in and are known at both gateways, and one of whom has signed out.
fn watched() -> Option<(Nodes, Browser, [Watch; 2])> {
    let nodes = Nodes::start(KEYS, OPEN, LIMIT)?;
    let (inside, _) = nodes.world.signed_in(OCTOCAT, APP);
    let (mut outside, _) = nodes.world.signed_in("mona", APP);
    let kept = outside.clone();
    let mut watches = [0, 1].map(|gate| Watch::new(&nodes, gate, &inside, &kept));
    for watch in &mut watches {
        assert_eq!(words(&watch.inside.ask()), "200");
        assert_eq!(user(&watch.outside.ask()).as_deref(), Some("mona"));
    }
    let token = form_token(&mut outside);
    assert_eq!(sign_out(&mut outside, &token).status, 200);
    until(Instant::now(), "both refuse", || {
        watches.iter_mut().all(|watch| words(&watch.outside.ask()) == "401 session-ended")
    });
    Some((nodes, inside, watches))
}

fn in_touch(nodes: &Nodes) {
    for gate in nodes.gates() {
        until(Instant::now(), "it hears again", || {
            gate.metric("gatekeep_store_in_touch ") == Some(1.0)
        });
    }
}

fn at_once(
    watches: &mut [Watch; 2],
    look: impl Fn(&mut Watch) -> Duration + Sync,
) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let look = &look;
        let looking = watches.each_mut().map(|watch| scope.spawn(move || look(watch)));
        looking.into_iter().map(|looked| looked.join().expect("it is so")).collect()
    })
}

/// Redis dies. For as long as may be the gateways believe what they know, then nothing; when it is
/// back with its data, so are the visitors.
#[test]
fn a_stopped_redis_signs_nobody_in_and_nobody_out() {
    let Some((mut nodes, inside, mut watches)) = watched() else { return };
    for _ in 0..2 {
        in_touch(&nodes);
        nodes.redis.stop();
        let begun = Instant::now();
        let mut fresh = Visitor::new(&nodes.second, &inside, "https://app.example.com/page?2");
        let spans = at_once(&mut watches, |watch| watch.looks_until_unknown(begun));
        println!("without Redis they are known for {spans:?}");
        assert_eq!(words(&fresh.ask()), "503 store-unavailable");
        let begun = nodes.redis.restart();
        let spans = at_once(&mut watches, |watch| watch.looks_until_known(begun));
        println!("when Redis is back they are known after {spans:?}");
        assert_eq!(words(&fresh.ask()), "200");
    }
    signs_out_everywhere(&nodes, &inside, &mut watches);
}

/// The one who was signed in all the while signs out at the second gateway, and is out at both.
fn signs_out_everywhere(nodes: &Nodes, inside: &Browser, watches: &mut [Watch; 2]) {
    in_touch(nodes);
    let mut browser = inside.at(nodes.second.address);
    let token = form_token(&mut browser);
    assert_eq!(sign_out(&mut browser, &token).status, 200);
    for watch in watches {
        until(Instant::now(), "it is refused", || words(&watch.inside.ask()) != "200");
        assert_eq!(words(&watch.inside.ask()), "401 session-ended");
    }
}

/// The second gateway is cut off from Redis for longer than it may believe what it knows. What ends
/// meanwhile at the first has ended there, too, when it is back, and was not let in while it could
/// not be known.
#[test]
fn what_ends_while_a_gateway_is_cut_off_has_ended_there() {
    let Some((nodes, inside, [mut near, mut far])) = watched() else { return };
    for poison in [Poison::Refuse, Poison::Blackhole, Poison::Delay(Duration::from_secs(1))] {
        let (mut other, _) = nodes.world.signed_in("hubot", APP);
        let mut others = Visitor::new(&nodes.second, &other, APP);
        assert_eq!(user(&others.ask()).as_deref(), Some("hubot"), "{poison:?}");
        in_touch(&nodes);
        nodes.toxic.set(poison);
        if matches!(poison, Poison::Refuse) {
            nodes.toxic.reset_all();
        }
        let begun = Instant::now();
        let token = form_token(&mut other);
        assert_eq!(sign_out(&mut other, &token).status, 200);
        let mut last_in = Duration::ZERO;
        let unknown = until(begun, "nothing is known any more", || {
            if words(&others.ask()) == "200" {
                last_in = begun.elapsed();
            }
            !far.looks()
        });
        assert!(last_in < STALENESS + Duration::from_secs(1), "{poison:?}: {last_in:?}");
        for _ in 0..20 {
            assert_eq!(words(&others.ask()), "503 store-unavailable", "{poison:?}");
            assert!(!far.looks(), "{poison:?}");
            assert!(near.looks(), "the first gateway has Redis");
        }
        nodes.toxic.set(Poison::Pass);
        let begun = Instant::now();
        let known = until(begun, "all is known again", || {
            let other = words(&others.ask());
            assert_ne!(other, "200", "{poison:?}: it ended while the gateway was away");
            far.looks() && other == "401 session-ended"
        });
        println!("{poison:?}: known for {unknown:?}, and again after {known:?}");
        assert!(known < Duration::from_secs(2), "{poison:?}: {known:?}");
        in_touch(&nodes);
        for _ in 0..100 {
            assert_eq!(words(&others.ask()), "401 session-ended", "{poison:?}");
        }
    }
    signs_out_everywhere(&nodes, &inside, &mut [near, far]);
}

/// Every tenth request to Redis breaks its connection: nobody is mistaken for anybody.
#[test]
fn a_bad_line_to_redis_makes_no_wrong_decision() {
    let Some((nodes, inside, [_, mut far])) = watched() else { return };
    nodes.toxic.set(Poison::ResetEvery(10));
    let (mut known, mut unknown) = (0, 0);
    for round in 0..300 {
        // A page at another path makes no difference; a gateway that knows nobody would ask Redis.
        *if far.looks() { &mut known } else { &mut unknown } += 1;
        if round % 100 == 99 {
            nodes.toxic.reset_all();
        }
    }
    println!("with every tenth request reset {known} are let in and {unknown} are asked to wait");
    nodes.toxic.set(Poison::Pass);
    far.looks_until_known(Instant::now());
    let mut watches = [Watch::new(&nodes, 0, &inside, &inside), far];
    signs_out_everywhere(&nodes, &inside, &mut watches);
}

/// All data is lost: who was signed in is asked to sign in, is not told of any trouble, and can do
/// so at once.
#[test]
fn when_all_data_is_lost_visitors_sign_in_again() {
    let Some(mut nodes) = Nodes::start(KEYS, OPEN, LIMIT) else { return };
    for way in ["FLUSHALL", "a restart without data"] {
        let (browser, page) = nodes.world.signed_in(OCTOCAT, APP);
        assert_eq!(page.status, 200, "{way}");
        let mut visitors = nodes.crowd(&browser, APP, 1);
        assert!(visitors.iter_mut().all(|visitor| words(&visitor.ask()) == "200"));
        in_touch(&nodes);
        let begun = if way == "FLUSHALL" {
            nodes.redis.ask::<()>(way);
            Instant::now()
        } else {
            nodes.redis.restart_empty()
        };
        for visitor in &mut visitors {
            let span = until(begun, "the loss is noticed", || {
                let said = words(&visitor.ask());
                let is_known =
                    ["200", "401 session-ended", "503 store-unavailable"].contains(&&*said);
                assert!(is_known && (way != "FLUSHALL" || !said.starts_with("503")), "{said}");
                said == "401 session-ended"
            });
            println!("{way} is noticed after {span:?}");
            assert!(span < Duration::from_secs(3), "{way}: {span:?}");
        }
        for gate in nodes.gates() {
            let mut again = browser.at(gate.address);
            let page = nodes.world.sign_in(&mut again, OCTOCAT, APP);
            assert_eq!(user(&again.fetch(APP)).as_deref(), Some(OCTOCAT), "{}", page.text());
            for gate in nodes.gates() {
                assert_eq!(words(&again.at(gate.address).fetch(APP)), "200", "{way}");
            }
        }
        for visitor in &mut visitors {
            assert_eq!(words(&visitor.ask()), "401 session-ended", "{way}: the old cookie");
        }
    }
}

/// A gateway that holds many sessions compares them with Redis within a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sessions_are_compared_within_a_moment() {
    const SESSIONS: u64 = 10_000;
    let Some(server) = RedisServer::start("appendfsync no\n") else { return };
    let store = Arc::new(redis::store(&server.url(), |_| ()));
    let sessions = Arc::new(Sessions::<()>::new(store, 64 << 20));
    let keys = Keys::derive(&[Secret::new(vec![1; 32])], "realm");
    let now = System.now();
    let beginning: Vec<_> = (0..8)
        .map(|part| {
            let (sessions, keys) = (sessions.clone(), keys.clone());
            tokio::spawn(async move {
                let mut first = None;
                for id in (part..SESSIONS).step_by(8) {
                    let identity = serde_json::json!({ "id": id + 1, "login": "octocat" });
                    let identity = serde_json::from_value(identity).expect("an identity");
                    let profile = Profile { identity, checked: now };
                    let expires = now + Duration::from_secs(3600);
                    let session = Session {
                        account: id + 1,
                        created: now,
                        expires,
                        device: String::new(),
                        from: None,
                        api_key: None,
                    };
                    let begun =
                        sessions.begin(&keys, session, "a", &profile, &Validators::new()).await;
                    first.get_or_insert(begun.expect("Redis is there").0);
                }
                first.expect("there was one")
            })
        })
        .collect();
    let mut lives = Vec::new();
    for begun in beginning {
        lives.push(begun.await.expect("they begin"));
    }
    let begun = Instant::now();
    sessions.reconcile(now).await.expect("Redis is there");
    println!("{SESSIONS} sessions are compared within {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(lives.iter().all(|live| !live.has_ended()), "they are all there");
    server.ask::<()>("FLUSHALL");
    sessions.reconcile(now).await.expect("Redis is there");
    assert!(lives.iter().all(|live| live.has_ended()), "they are all gone");
}
