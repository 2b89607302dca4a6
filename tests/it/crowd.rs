//! Many people at once: nobody gets another's session, and tabs do not disturb each other (the
//! class of CVE-2026-33544, where a verifier lived in a place that two logins shared).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatekeep::simulator::Person;

use crate::support::World;
use crate::support::browser::{Browser, parameter};

const LOGINS: usize = 2000;
const PEOPLE: usize = 200;
const THREADS: usize = 32;
const EXCHANGE: &str = "POST /login/oauth/access_token";

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
";

fn populated() -> World {
    let world = World::with("", ROUTES);
    for number in 0..PEOPLE {
        let person = Person::new(10_000 + number as u64, &name(number))
            .email(&format!("{}@acme.example", name(number)), true)
            .member_of("acme");
        world.github.add_person(person);
    }
    world
}

fn name(number: usize) -> String {
    format!("person-{}", number % PEOPLE)
}

/// Every second login is at the callback host itself, every other one goes on to another.
fn page(login: usize) -> String {
    let host = if login.is_multiple_of(2) { "auth" } else { "app" };
    format!("https://{host}.example.com/who/{login}")
}

/// Eight logins of eight people, begun one after the other and finished the other way round, so
/// that each is open while the others are.
fn batch(world: &World, first: usize) {
    let mut open: Vec<(usize, Browser, String)> = (first..first + 8)
        .map(|login| {
            let mut browser = world.browser();
            let authorize = world.authorize_url(&mut browser, &page(login));
            (login, browser, authorize)
        })
        .collect();
    while let Some((login, mut browser, authorize)) = open.pop() {
        let callback = world.github.approve(&authorize, &name(login));
        let (at, response) = browser.follow(&callback);
        assert_eq!((at, response.status), (page(login), 200), "{}", response.text());
        let account = browser.fetch(&page(login).replace("/who/", "/.gatekeep/account?"));
        assert_eq!(account.json()["facts"]["Signed in as"], name(login).as_str());
    }
}

/// 2,000 logins of 200 people, 32 at a time and eight under way in each: for every one the app sees
/// the person who signed in, and every session cookie is another.
#[test]
fn in_a_crowd_everybody_gets_a_session_of_their_own() {
    let world = populated();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(8, Ordering::Relaxed);
                    if first >= LOGINS {
                        return;
                    }
                    batch(&world, first);
                }
            });
        }
    });
    let seen = world.app.requests().into_iter().map(|seen| {
        let of = |name| seen.header(name).unwrap_or_default().to_owned();
        (seen.target.clone(), (of("x-forwarded-user"), of("x-forwarded-email")))
    });
    let seen: BTreeMap<_, _> = seen.collect();
    let expected: BTreeMap<_, _> = (0..LOGINS)
        .map(|login| {
            let person = name(login);
            (format!("/who/{login}"), (person.clone(), format!("{person}@acme.example")))
        })
        .collect();
    assert_eq!((world.app.hits(), seen.len()), (LOGINS, LOGINS));
    assert!(seen == expected, "somebody got another's session");
    assert_eq!(world.github.calls(EXCHANGE), LOGINS);
}

fn attempts(browser: &Browser, host: &str) -> usize {
    let cookies = browser.cookies(host);
    cookies.keys().filter(|name| name.starts_with("__Host-gatekeep-login-")).count()
}

/// Five tabs of one browser each begin a sign-in, at two hosts; finished in any order, each lands
/// on its own page, as whoever signed in there last.
#[test]
fn tabs_of_one_browser_do_not_disturb_each_other() {
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
        let world = populated();
        let mut browser = world.browser();
        let begun: Vec<_> =
            (0..5).map(|tab| world.authorize_url(&mut browser, &page(tab))).collect();
        assert_eq!(attempts(&browser, "auth.example.com"), 5);
        for tab in order {
            let callback = world.github.approve(&begun[tab], &name(tab));
            let (at, response) = browser.follow(&callback);
            assert_eq!((at, response.status), (page(tab), 200), "tab {tab} of {order:?}");
            let seen = world.app.requests().pop().expect("the app was reached");
            assert_eq!(seen.header("x-forwarded-user"), Some(name(tab).as_str()));
        }
        assert_eq!(world.github.calls(EXCHANGE), 5);
        for host in ["auth.example.com", "app.example.com"] {
            assert_eq!(attempts(&browser, host), 0, "each finished attempt tidies up at {host}");
        }
    }
}

/// A browser that begins and begins holds five attempts at most: the latest, which are still good;
/// the older ones are not.
#[test]
fn a_browser_holds_the_five_latest_attempts() {
    let world = populated();
    let mut browser = world.browser();
    let begun: Vec<_> = (0..12)
        .map(|tab| {
            world.gate.clock.advance(Duration::from_secs(1));
            let authorize = world.authorize_url(&mut browser, &page(2 * tab));
            assert_eq!(attempts(&browser, "auth.example.com"), (tab + 1).min(5));
            authorize
        })
        .collect();
    for (tab, authorize) in begun.iter().enumerate() {
        let mut copy = browser.clone();
        let callback = world.github.approve(authorize, "octocat");
        let response = copy.get(&callback);
        let expected = if tab < 7 { 400 } else { 303 };
        assert_eq!(response.status, expected, "tab {tab}");
        assert_eq!(copy.session("auth.example.com").is_some(), tab >= 7, "tab {tab}");
    }
}

/// Attempt cookies that somebody planted do not keep a browser from signing in: they go first.
#[test]
fn planted_attempt_cookies_make_room() {
    let world = populated();
    let mut browser = world.browser();
    for number in 0..12 {
        browser.plant("auth.example.com", &format!("__Host-gatekeep-login-x{number}"), "junk");
    }
    let authorize = world.authorize_url(&mut browser, &page(0));
    assert_eq!(attempts(&browser, "auth.example.com"), 5);
    assert!(parameter(&authorize, "state").is_some());
    let callback = world.github.approve(&authorize, "octocat");
    assert_eq!(browser.follow(&callback).1.status, 200);
}
