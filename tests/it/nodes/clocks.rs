//! Clocks that jump by an hour and are set right again: nobody stays for longer than allowed, nobody
//! is sent away for it, and what was noted by the wrong clock does no harm by the right one.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use gatekeep::clock::{Clock, Time};
use gatekeep::simulator::{ExpiringTokens, Trouble};
use gatekeep::store::{Embedded, Memory, Store};
use tempfile::TempDir;

use super::{APP, OCTOCAT, OPEN, PATIENT};
use crate::support::browser::Browser;
use crate::support::redis::RedisServer;
use crate::support::redis_nodes::{Nodes, store, words};
use crate::support::{Gate, ROUTES, World, eventually};

const KEYS: &str = "session: { lifetime: 4h, idle: 2h, recheck: 10m, recheck_grace: 10m }\n";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;
const EXCHANGE: &str = "/login/oauth/access_token";

/// What keeps the sessions, and which of the gateways have wrong clocks.
#[derive(Clone, Copy, Debug)]
enum Case {
    Memory,
    Embedded,
    Redis,
    /// The first of two gateways has a wrong clock.
    First,
    /// The second has.
    Second,
    Both,
}

const CASES: [Case; 6] =
    [Case::Memory, Case::Embedded, Case::Redis, Case::First, Case::Second, Case::Both];

/// One gateway or two, and the right time.
struct Clocks {
    place: Place,
    case: Case,
    wall: Cell<Time>,
}

enum Place {
    One(Box<World>, #[expect(dead_code, reason = "it is kept until the end")] Kept),
    Two(Box<Nodes>),
}

/// What must outlive the gateway.
enum Kept {
    Nothing,
    Directory(#[expect(dead_code, reason = "it is kept until the end")] TempDir),
    Server(#[expect(dead_code, reason = "it is kept until the end")] RedisServer),
}

// === impl Clocks ===

impl Clocks {
    fn new(case: Case, keys: &str, routes: &str) -> Option<Self> {
        let one = |kept, store: &dyn Fn(Arc<gatekeep::clock::Manual>) -> Arc<dyn Store>| {
            Place::One(Box::new(World::build(keys, routes, |clock| store(clock))), kept)
        };
        let place = match case {
            Case::Memory => one(Kept::Nothing, &|clock| Arc::new(Memory::new(clock))),
            Case::Embedded => {
                let directory = tempfile::tempdir().expect("a directory");
                let path = directory.path().to_owned();
                one(Kept::Directory(directory), &|clock| {
                    Arc::new(Embedded::open(&path, clock).expect("it is new"))
                })
            }
            Case::Redis => {
                let server = RedisServer::start("")?;
                let url = server.url();
                one(Kept::Server(server), &|clock| Arc::new(store(&url, clock, PATIENT)))
            }
            Case::First | Case::Second | Case::Both => {
                Place::Two(Box::new(Nodes::start(keys, routes, PATIENT)?))
            }
        };
        let wall = Cell::new(Time::from_unix(0));
        let clocks = Self { place, case, wall };
        clocks.wall.set(clocks.world().gate.clock.now());
        Some(clocks)
    }

    fn world(&self) -> &World {
        match &self.place {
            Place::One(world, _) => world,
            Place::Two(nodes) => &nodes.world,
        }
    }

    fn gates(&self) -> Vec<&Gate> {
        match &self.place {
            Place::One(world, _) => vec![&world.gate],
            Place::Two(nodes) => nodes.gates().to_vec(),
        }
    }

    /// Time passes, by right clocks and by wrong ones.
    fn pass(&self, span: Duration) {
        self.wall.set(self.wall.get() + span);
        self.world().github.advance(span);
        self.gates().iter().for_each(|gate| gate.clock.advance(span));
    }

    /// Clocks go wrong by so many seconds.
    fn jump(&self, seconds: i64) {
        for (n, gate) in self.gates().iter().enumerate() {
            let is_right = matches!((self.case, n), (Case::First, 1) | (Case::Second, 0));
            if !is_right {
                gate.clock.set(Time::from_unix(self.wall.get().unix() + seconds));
            }
        }
    }

    /// All clocks are right again.
    fn set_right(&self) {
        self.gates().iter().for_each(|gate| gate.clock.set(self.wall.get()));
    }

    fn signed_in(&self) -> Browser {
        let (browser, page) = self.world().signed_in(OCTOCAT, APP);
        assert_eq!(page.status, 200, "{:?}: {}", self.case, page.text());
        browser
    }

    /// What each gateway says to a browser.
    fn seen(&self, browser: &Browser) -> Vec<String> {
        let ask = |gate: &&Gate| words(&browser.at(gate.address).fetch(APP));
        self.gates().iter().map(ask).collect()
    }

    #[track_caller]
    fn all_say(&self, browser: &Browser, expected: &str, what: &str) {
        let seen = self.seen(browser);
        assert!(seen.iter().all(|said| said == expected), "{:?}, {what}: {seen:?}", self.case);
    }
}

/// An hour ahead or back in the middle of a session. One that is in use goes on to its end, to the
/// second; one that nobody uses is there for as long as it may idle, less the jump.
#[test]
fn a_jump_in_the_middle_changes_no_session_s_end() {
    for case in CASES {
        for hours in [HOUR, -HOUR] {
            let Some(clocks) = Clocks::new(case, KEYS, OPEN) else { return };
            let (busy, lazy) = (clocks.signed_in(), clocks.signed_in());
            for browser in [&busy, &lazy] {
                clocks.all_say(browser, "200", "at first");
            }
            clocks.pass(30 * MINUTE);
            clocks.jump(hours);
            clocks.all_say(&busy, "200", "while clocks are wrong");
            clocks.pass(20 * MINUTE);
            clocks.all_say(&busy, "200", "while clocks are wrong");
            clocks.set_right();
            clocks.all_say(&busy, "200", "when they are right again");
            clocks.pass(65 * MINUTE);
            clocks.all_say(&lazy, "200", "five minutes before it has idled for too long");
            clocks.all_say(&busy, "200", "after two hours");
            clocks.pass(65 * MINUTE);
            clocks.all_say(&busy, "200", "after three hours");
            clocks.pass(Duration::from_secs(3599));
            clocks.all_say(&busy, "200", "at its last second");
            clocks.pass(Duration::from_secs(1));
            clocks.all_say(&busy, "401 session-ended", "at its end");
        }
    }
}

/// An hour ahead or back when a session has half an hour left. By the right clocks it is there to
/// its end and never after it, whoever used it, and whoever else signed in by the wrong ones.
#[test]
fn a_jump_near_the_end_of_a_session_changes_nothing_by_the_right_clock() {
    for case in CASES {
        for (hours, used) in [(HOUR, true), (-HOUR, true), (HOUR, false), (-HOUR, false)] {
            let Some(clocks) = Clocks::new(case, KEYS, OPEN) else { return };
            let browser = clocks.signed_in();
            for _ in 0..2 {
                clocks.pass(105 * MINUTE);
                clocks.all_say(&browser, "200", "on its way");
            }
            clocks.jump(hours);
            if used {
                clocks.seen(&browser);
                clocks.signed_in();
                clocks.seen(&browser);
            }
            clocks.pass(29 * MINUTE);
            clocks.set_right();
            clocks.all_say(&browser, "200", "a minute is left");
            clocks.jump(hours);
            if used {
                clocks.seen(&browser);
            }
            clocks.pass(MINUTE);
            if used {
                clocks.seen(&browser);
            }
            clocks.set_right();
            clocks.all_say(&browser, "401 session-ended", "it is over");
        }
    }
}

/// What GitHub said by a clock that was an hour ahead is no news of the future, and by one that is
/// an hour back it cannot be told how old it is: GitHub is asked, once, and what it says counts.
#[test]
fn facts_from_the_future_are_asked_for_again() {
    for case in CASES {
        for hours in [HOUR, -HOUR] {
            let Some(clocks) = Clocks::new(case, KEYS, ROUTES) else { return };
            let browser = clocks.signed_in();
            clocks.all_say(&browser, "200", "at first");
            clocks.jump(hours);
            clocks.all_say(&browser, "200", "while clocks are wrong");
            clocks.set_right();
            clocks.world().github.remove_from_org(OCTOCAT, "acme");
            if matches!(case, Case::First | Case::Second) {
                // The other gateway may just have asked, by a clock that was right.
                clocks.pass(10 * MINUTE);
            }
            eventually("what is asked is heeded", || {
                clocks.seen(&browser).iter().all(|said| said == "403 not-admitted")
            });
            let asked = clocks.world().github.calls("GET /user");
            for _ in 0..10 {
                clocks.all_say(&browser, "403 not-admitted", "it has heard");
            }
            assert_eq!(clocks.world().github.calls("GET /user"), asked, "{case:?} {hours}");
        }
    }
}

/// GitHub fails while clocks are an hour ahead, and is not asked for a moment. That moment is not an
/// hour when they are right again.
#[test]
fn what_was_put_off_by_a_wrong_clock_is_done_by_the_right_one() {
    for case in CASES {
        let Some(clocks) = Clocks::new(case, KEYS, ROUTES) else { return };
        let browser = clocks.signed_in();
        clocks.all_say(&browser, "200", "at first");
        let github = &clocks.world().github;
        github.knobs().on("/user", Trouble::Refuse);
        clocks.jump(HOUR);
        let asked = github.calls("GET /user");
        clocks.seen(&browser);
        assert!(github.calls("GET /user") > asked, "control: it was asked in vain");
        github.knobs().clear();
        clocks.set_right();
        github.remove_from_org(OCTOCAT, "acme");
        clocks.pass(10 * MINUTE);
        eventually("GitHub is asked again", || {
            clocks.seen(&browser).iter().all(|said| said == "403 not-admitted")
        });
    }
}

const TOKENS: &str = "session: { lifetime: 30d, idle: 30d, recheck: 10m, recheck_grace: 10m }\n";

/// A clock that is an hour ahead renews tokens early and once; one that is an hour back finds at
/// GitHub that a token has ended, renews it, and takes that for no withdrawal.
#[test]
fn tokens_are_renewed_once_by_wrong_clocks_too() {
    for case in CASES {
        let Some(clocks) = Clocks::new(case, TOKENS, OPEN) else { return };
        let github = &clocks.world().github;
        github.expire_tokens(Some(ExpiringTokens::default()));
        let browser = clocks.signed_in();
        let is_renewed = |times: usize, what: &str| {
            std::thread::scope(|scope| {
                let asking: Vec<_> = clocks
                    .gates()
                    .into_iter()
                    .cycle()
                    .take(8)
                    .map(|gate| scope.spawn(|| words(&browser.at(gate.address).fetch(APP))))
                    .collect();
                for asked in asking {
                    assert_eq!(asked.join().expect("an answer"), "200", "{case:?}, {what}");
                }
            });
            assert_eq!(github.refreshes(), times, "{case:?}, {what}");
            assert_eq!(github.refresh_attempts(), times, "{case:?}, {what}");
        };
        clocks.pass(7 * 60 * MINUTE);
        clocks.jump(HOUR);
        is_renewed(1, "an hour ahead, when seven have passed");
        clocks.pass(MINUTE);
        clocks.set_right();
        is_renewed(1, "right again");
        clocks.pass(8 * 60 * MINUTE);
        clocks.jump(-HOUR);
        is_renewed(2, "an hour back, when eight have passed");
        clocks.set_right();
        is_renewed(2, "right again");
    }
}

/// Clocks jump while a token is being renewed: the other gateway waits all the same.
#[test]
fn a_jump_while_a_token_is_renewed_makes_no_second_renewal() {
    for (case, hours) in [Case::First, Case::Second, Case::Both]
        .into_iter()
        .flat_map(|case| [(case, HOUR), (case, -HOUR)])
    {
        let Some(clocks) = Clocks::new(case, TOKENS, OPEN) else { return };
        let github = &clocks.world().github;
        github.expire_tokens(Some(ExpiringTokens::default()));
        let browser = clocks.signed_in();
        clocks.pass(8 * 60 * MINUTE);
        let gates = clocks.gates();
        let ask = |gate: &Gate| words(&browser.at(gate.address).fetch(APP));
        github.knobs().once(EXCHANGE, Trouble::Late(Duration::from_secs(1)));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(gates[0]));
            eventually("GitHub is asked", || github.refresh_attempts() == 1);
            for (n, gate) in gates.iter().enumerate() {
                let is_right = matches!((case, n), (Case::First, 1) | (Case::Second, 0));
                let wall = clocks.wall.get().unix();
                gate.clock.set(Time::from_unix(if is_right { wall } else { wall + hours }));
            }
            assert_eq!(ask(gates[1]), "200", "{case:?} {hours}");
            assert_eq!(first.join().expect("an answer"), "200", "{case:?} {hours}");
        });
        clocks.set_right();
        clocks.all_say(&browser, "200", "right again");
        assert_eq!((github.refreshes(), github.refresh_attempts()), (1, 1), "{case:?} {hours}");
    }
}

/// A sign-in under way when clocks jump: it is begun anew at worst, and works once at best.
#[test]
fn an_attempt_works_once_whatever_the_clocks_do() {
    for case in CASES {
        for hours in [HOUR, -HOUR] {
            let Some(clocks) = Clocks::new(case, KEYS, OPEN) else { return };
            let world = clocks.world();
            let mut browser = world.browser();
            let authorize = world.authorize_url(&mut browser, APP);
            let callback = world.github.approve(&authorize, OCTOCAT);
            let before = browser.clone();
            assert_eq!(browser.follow(&callback).1.status, 200, "{case:?}");
            for seconds in [hours, 0, -hours, 0] {
                clocks.jump(seconds);
                for gate in clocks.gates() {
                    let again = before.at(gate.address).get(&callback);
                    assert_eq!(again.status, 400, "{case:?} {seconds}: {}", again.text());
                    assert_eq!(again.sets("__Host-gatekeep"), None, "{case:?} {seconds}");
                }
            }
            clocks.set_right();
            // Begun by a clock that may be wrong, finished by the right one: anew at worst.
            clocks.jump(hours);
            let mut other = world.browser();
            let authorize = world.authorize_url(&mut other, APP);
            clocks.set_right();
            let callback = world.github.approve(&authorize, OCTOCAT);
            let page = other.follow(&callback).1;
            assert!(matches!(page.status, 200 | 400), "{case:?} {hours}: {}", page.text());
            clocks.pass(MINUTE);
            assert_eq!(world.sign_in(&mut world.browser(), OCTOCAT, APP).status, 200, "{case:?}");
        }
    }
}
