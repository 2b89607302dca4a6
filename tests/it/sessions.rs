//! Sessions: how long they last, when a new one begins, what happens when the store gives no
//! answer, and how each kind of client is asked to sign in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use gatekeep::clock::Clock;
use gatekeep::store::{Memory, Store};
use serde_json::json;

use crate::support::browser::{Browser, join};
use crate::support::fuse::Fuse;
use crate::support::http::Response;
use crate::support::{Gate, PUBLIC, ROUTES, World, yaml};

const SESSION: &str = "__Host-gatekeep";
const AUTH: &str = "https://auth.example.com";
const APP: &str = "https://app.example.com/page";

/// A world on a store with a fuse, the fuse, and the store.
fn fused() -> (World, Arc<AtomicI64>, Arc<dyn Store>) {
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let (of_store, mut store) = (left.clone(), None);
    let world = World::build("", ROUTES, |clock| {
        let fuse = Arc::new(Fuse::new(Memory::new(clock), of_store));
        store = Some(fuse.clone() as Arc<dyn Store>);
        fuse
    });
    (world, left, store.expect("the gateway has a store"))
}

/// Another gateway on the same store, which holds no session open yet; and the browser's double
/// that talks to it.
fn second_gate(world: &World, store: Arc<dyn Store>, browser: &Browser) -> (Gate, Browser) {
    let text = yaml(&world.github, "", &ROUTES.replace("@APP@", world.app.url()));
    let gate = Gate::start(&text, |_| store);
    let mut double = Browser::new(gate.address);
    for host in ["auth.example.com", "app.example.com"] {
        for (name, value) in browser.cookies(host) {
            double.plant(host, &name, &value);
        }
    }
    (gate, double)
}

fn assert_unavailable(response: &Response, what: &str) {
    let text = response.text();
    assert_eq!(response.status, 503, "{what}: {text}");
    assert_eq!(response.header("retry-after"), Some("2"), "{what}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(response.header("location"), None, "{what}");
    assert_eq!(response.all("set-cookie").count(), 0, "{what}");
    assert!(text.contains("store-unavailable"), "{what}: {text}");
}

fn user_at(world: &World, browser: &mut Browser, page: &str) -> Option<String> {
    let response = browser.fetch(page);
    let seen = world.app.requests().pop().filter(|_| response.status == 200)?;
    seen.header("x-forwarded-user").map(str::to_owned)
}

// === Lifetimes ===

/// A session ends half an hour after its last use, and not a second earlier.
#[test]
fn a_session_that_nobody_uses_ends() {
    let world = World::with("session: { lifetime: 2h, idle: 30m }\n", ROUTES);
    let (mut browser, _) = world.signed_in("octocat", APP);
    for (seconds, status) in [(1799, 200), (1799, 200), (1799, 200), (1800, 401), (1, 401)] {
        world.gate.clock.advance(Duration::from_secs(seconds));
        let response = browser.fetch(APP);
        assert_eq!(response.status, status, "{seconds} s later");
        let reason = if status == 401 { json!("session-ended") } else { json!(null) };
        assert_eq!(response.json()["reason"], reason);
    }
}

/// A session ends two hours after the sign-in, however busy it is.
#[test]
fn a_session_that_is_always_in_use_ends_too() {
    let world = World::with("session: { lifetime: 2h, idle: 30m }\n", ROUTES);
    let (mut browser, _) = world.signed_in("octocat", APP);
    for minute in (10..=120).step_by(10) {
        world.gate.clock.advance(Duration::from_secs(if minute == 120 { 599 } else { 600 }));
        assert_eq!(browser.fetch(APP).status, 200, "minute {minute}");
    }
    world.gate.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.fetch(APP).status, 401);
    assert_eq!(user_at(&world, &mut browser, &format!("{AUTH}/x")), None, "at the other host, too");
    let page = world.sign_in(&mut browser, "octocat", APP);
    assert_eq!(page.status, 200, "control: signing in again helps");
}

/// The cookie goes when the session does, and a hand-over late in its life gives no more time.
#[test]
fn a_cookie_does_not_outlive_its_session() {
    let world = World::with("session: { lifetime: 2h, idle: 2h }\n", ROUTES);
    let (mut browser, _) = world.signed_in("octocat", &format!("{AUTH}/"));
    world.gate.clock.advance(Duration::from_secs(3600));
    let (mut at, mut ages) = (APP.to_owned(), Vec::new());
    for _ in 0..3 {
        let response = browser.get(&at);
        let set = response.all("set-cookie").find(|cookie| cookie.starts_with("__Host-gatekeep="));
        ages.extend(set.and_then(|cookie| cookie.split("Max-Age=").nth(1)).map(str::to_owned));
        at = join(&at, response.location());
    }
    assert_eq!(ages, ["3600"]);
    assert_eq!(browser.fetch(APP).status, 200);
    world.gate.clock.advance(Duration::from_secs(3600));
    assert_eq!(browser.fetch(APP).status, 401);
}

// === A new session for each sign-in ===

/// Each sign-in makes a new id, and the old one opens nothing any more.
#[test]
fn each_sign_in_makes_a_new_session_and_ends_the_old() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", APP);
    let mut seen = vec![browser.session("app.example.com").expect("a session")];
    for _ in 0..3 {
        let old = browser.clone();
        let again = "https://app.example.com/.gatekeep/start?rd=/page&prompt=select_account";
        assert_eq!(world.sign_in(&mut browser, "octocat", again).status, 200);
        let new = browser.session("app.example.com").expect("a session");
        assert!(!seen.contains(&new));
        seen.push(new);
        for page in [APP.to_owned(), format!("{AUTH}/")] {
            assert_eq!(user_at(&world, &mut old.clone(), &page), None, "the old one at {page}");
        }
    }
    assert_eq!(user_at(&world, &mut browser, APP).as_deref(), Some("octocat"), "control");
}

/// Session fixation: the attacker plants a session of his own in the victim's browser and waits for
/// her to sign in. She becomes herself under a new id, and his copy does not become hers.
#[test]
fn a_planted_session_is_never_upgraded() {
    let world = World::new();
    let page = format!("{AUTH}/page");
    let (mut attacker, _) = world.signed_in("stranger", &page);
    let planted = attacker.session("auth.example.com").expect("a session");
    let mut victim = world.browser();
    victim.plant("auth.example.com", SESSION, &planted);
    let start = format!("{AUTH}/.gatekeep/start?rd=/page&prompt=select_account");
    assert_eq!(world.sign_in(&mut victim, "octocat", &start).status, 200);
    assert_eq!(user_at(&world, &mut victim, &page).as_deref(), Some("octocat"));
    assert_ne!(victim.session("auth.example.com"), Some(planted));
    assert_ne!(user_at(&world, &mut attacker, &page).as_deref(), Some("octocat"));
}

// === The store gives no answer ===

/// The store dies after each number of answers in a sign-in at two hosts. Until all were given
/// nobody is signed in, and every refusal says so; when the store is back, signing in works.
#[test]
fn a_sign_in_without_a_store_signs_nobody_in() {
    let (world, left, _) = fused();
    let mut refused = 0;
    let arrived = (0..20).find(|&answers| {
        let mut browser = world.browser();
        let authorize = world.authorize_url(&mut browser, APP);
        let callback = world.github.approve(&authorize, "octocat");
        left.store(answers, Ordering::SeqCst);
        let response = follow_to_end(&world, &mut browser, &callback);
        left.store(i64::MAX, Ordering::SeqCst);
        if response.status == 200 {
            return true;
        }
        assert_unavailable(&response, &format!("after {answers} answers"));
        assert_eq!(browser.session("app.example.com"), None, "after {answers} answers");
        let page = follow_to_end(&world, &mut browser, APP);
        assert_eq!(page.status, 200, "when it is back, after {answers} answers");
        refused += 1;
        false
    });
    // Attempt; account (looked up and written), cookie, session, tokens (looked up and written);
    // hand-over; redeeming, cookie there, and its note in the session (looked up and written).
    assert_eq!((arrived, refused), (Some(12), 12));
}

/// Follows redirects to their end; GitHub, where it is asked, says yes.
fn follow_to_end(world: &World, browser: &mut Browser, url: &str) -> Response {
    let mut at = url.to_owned();
    for _ in 0..10 {
        let response = browser.get(&at);
        if response.status != 303 {
            return response;
        }
        at = join(&at, response.location());
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, "octocat");
        }
    }
    panic!("{url} leads round and round to {at}");
}

/// A sign-out that the store does not confirm is not reported as done: 503, the cookie stays, the
/// session lives. When the store is back, it is done on both hosts.
#[test]
fn a_sign_out_without_a_store_is_not_reported_as_done() {
    let (world, left, _) = fused();
    let (mut browser, _) = world.signed_in("octocat", APP);
    let url = "https://app.example.com/.gatekeep/sign_out";
    let form = browser.get(url).text();
    let token = form.split_once("name=\"csrf\" value=\"").expect("a token").1;
    let token = token.split_once('"').expect("a token").0;
    left.store(0, Ordering::SeqCst);
    let response = browser.post(url, &[("csrf", token)]);
    assert_unavailable(&response, "the sign-out");
    assert!(!response.text().contains("signed out"), "{}", response.text());
    assert!(browser.session("app.example.com").is_some());
    assert_eq!(user_at(&world, &mut browser, APP).as_deref(), Some("octocat"));
    left.store(i64::MAX, Ordering::SeqCst);
    let kept = browser.clone();
    let response = browser.post(url, &[("csrf", token)]);
    assert_eq!((response.status, response.sets(SESSION)), (200, Some("")));
    for page in [APP.to_owned(), format!("{AUTH}/")] {
        assert_eq!(user_at(&world, &mut kept.clone(), &page), None, "{page}");
    }
}

/// A gateway that cannot ask whether a cookie is good neither lets its owner in nor signs her out:
/// 503 everywhere, no redirect to GitHub, no cookie touched. When the store is back, she is in.
#[test]
fn a_visitor_whose_session_is_unknown_is_neither_in_nor_out() {
    let (world, left, store) = fused();
    let (browser, _) = world.signed_in("octocat", APP);
    let (_gate, mut double) = second_gate(&world, store, &browser);
    left.store(0, Ordering::SeqCst);
    let hits = world.app.hits();
    for page in [
        APP,
        "https://app.example.com/.gatekeep/account",
        "https://app.example.com/.gatekeep/sign_out",
        "https://app.example.com/.gatekeep/start?rd=/page",
        "https://auth.example.com/",
        "https://auth.example.com/.gatekeep/start?rd=/",
    ] {
        assert_unavailable(&double.get(page), page);
        assert_unavailable(&double.fetch(page), page);
    }
    let url = "https://app.example.com/.gatekeep/sign_out";
    assert_unavailable(&double.post(url, &[("csrf", "x")]), "a sign-out");
    assert_unavailable(&double.post(APP, &[("a", "b")]), "a form");
    assert_eq!(world.app.hits(), hits, "nothing reached the app");
    let public = double.get("https://app.example.com/public/x");
    assert_eq!(public.status, 200, "what is public needs no store");
    left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(user_at(&world, &mut double, APP).as_deref(), Some("octocat"), "control");
    assert_eq!(double.session("app.example.com"), browser.session("app.example.com"));
}

/// Who is signed in and known to this gateway goes on while the store is away.
#[test]
fn a_visitor_who_is_known_goes_on_without_a_store() {
    let (world, left, _) = fused();
    let (mut browser, _) = world.signed_in("octocat", APP);
    left.store(0, Ordering::SeqCst);
    for seconds in [0, 1, 61, 3600] {
        world.gate.clock.advance(Duration::from_secs(seconds));
        assert_eq!(user_at(&world, &mut browser, APP).as_deref(), Some("octocat"));
    }
    let nobody = world.browser().fetch(APP);
    assert_eq!(nobody.status, 401, "who brings no cookie needs no store to be told so");
}

// === The account page ===

/// The account page says what the apps learn, and until when.
#[test]
fn the_account_page_shows_the_facts() {
    let world = World::with("session: { lifetime: 2h, idle: 30m }\n", ROUTES);
    let begun = world.gate.clock.now();
    let (mut browser, _) = world.signed_in("octocat", APP);
    world.gate.clock.advance(Duration::from_secs(60));
    let now = world.gate.clock.now();
    let response = browser.fetch("https://app.example.com/.gatekeep/account");
    assert_eq!(response.status, 200);
    let github = world.github.url().strip_prefix("http://").expect("a URL");
    let expected = json!({
        "Signed in as": "octocat",
        "Name": "The Octocat",
        "E-mail": "octocat@github.example",
        "Organisations": "acme",
        "Teams": "acme/platform",
        "GitHub account": format!("number 583231 at {github}"),
        "Checked at GitHub": begun.to_string(),
        "Signed in at": begun.to_string(),
        "Session ends": (begun + Duration::from_secs(7200)).to_string(),
        "Ends when unused at": (now + Duration::from_secs(1800)).to_string(),
    });
    assert_eq!(response.json()["facts"], expected);
    let nobody = world.browser().get("https://app.example.com/.gatekeep/account");
    assert_eq!(nobody.status, 303, "who is not signed in is asked to");
}

// === How each kind of client is asked to sign in ===

/// Name, method, header fields, status, and the type of the answer.
type Client = (&'static str, &'static str, Fields, u16, &'static str);
type Fields = &'static [(&'static str, &'static str)];

/// Only a navigation leaves for GitHub and gets an attempt's cookie; a redirect would help nobody
/// else.
const CLIENTS: &[Client] = &[
    ("a link", "GET", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")], 303, ""),
    ("an old browser", "GET", &[("accept", "text/html,*/*;q=0.8")], 303, ""),
    ("HEAD of a link", "HEAD", &[("accept", "text/html")], 303, ""),
    (
        "fetch",
        "GET",
        &[("accept", "application/json"), ("sec-fetch-mode", "cors")],
        401,
        "application/json",
    ),
    ("a bare fetch", "GET", &[("accept", "*/*"), ("sec-fetch-mode", "cors")], 401, "text/plain"),
    (
        "XHR",
        "GET",
        &[("accept", "application/json, */*"), ("x-requested-with", "XMLHttpRequest")],
        401,
        "application/json",
    ),
    (
        "XHR for HTML",
        "GET",
        &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")],
        401,
        "text/html",
    ),
    ("an API client", "GET", &[("accept", "application/json")], 401, "application/json"),
    ("curl", "GET", &[("accept", "*/*")], 401, "text/plain"),
    ("nothing said", "GET", &[], 401, "text/plain"),
    ("an image", "GET", &[("accept", "image/*"), ("sec-fetch-mode", "no-cors")], 401, "text/plain"),
    (
        "events",
        "GET",
        &[("accept", "text/event-stream"), ("sec-fetch-mode", "cors")],
        401,
        "text/plain",
    ),
    (
        "a prefetch",
        "GET",
        &[("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")],
        401,
        "text/html",
    ),
    (
        "a prerender",
        "GET",
        &[("accept", "text/html"), ("sec-purpose", "prefetch;prerender")],
        401,
        "text/html",
    ),
    (
        "a form",
        "POST",
        &[("accept", "text/html"), ("sec-fetch-mode", "navigate")],
        401,
        "text/html",
    ),
    ("an API call", "POST", &[("accept", "application/json")], 401, "application/json"),
    ("a DELETE", "DELETE", &[("accept", "application/json")], 401, "application/json"),
];

/// What a client without a session, or with one that ended, is told.
#[test]
fn each_kind_of_client_is_asked_to_sign_in_in_its_own_way() {
    let world = World::with("session: { lifetime: 2h, idle: 30m }\n", ROUTES);
    let (ended, _) = world.signed_in("octocat", APP);
    world.gate.clock.advance(Duration::from_secs(1800));
    let hits = world.app.hits();
    for (browser, reason) in [(world.browser(), "no-session"), (ended, "session-ended")] {
        for (what, method, headers, status, kind) in CLIENTS {
            let what = format!("{what}, {reason}");
            let response = browser.clone().send(method, APP, headers, "");
            assert_eq!(response.status, *status, "{what}: {}", response.text());
            if *status == 303 {
                let start = format!("{PUBLIC}/.gatekeep/start?");
                assert!(response.location().starts_with(&start), "{what}");
                assert_eq!(response.all("set-cookie").count(), 1, "{what}");
            } else {
                assert_asked(&response, kind, reason, &what);
            }
        }
    }
    assert_eq!(world.app.hits(), hits, "nothing reached the app");
}

fn assert_asked(response: &Response, kind: &str, reason: &str, what: &str) {
    let found = response.header("content-type").expect("a type");
    assert!(found.starts_with(kind), "{what}: {found}");
    assert_eq!(response.all("set-cookie").count(), 0, "{what}: no login is begun");
    assert_eq!(response.header("location"), None, "{what}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
    let challenge = "Gatekeep realm=\"https://app.example.com\", \
                     sign_in=\"https://app.example.com/.gatekeep/start?rd=%2F\"";
    assert_eq!(response.header("www-authenticate"), Some(challenge), "{what}");
    assert!(response.text().contains("/.gatekeep/start?rd=%2F"), "{what}: {}", response.text());
    assert!(response.text().contains(reason), "{what}: {}", response.text());
    if kind == "application/json" {
        let json = response.json();
        assert_eq!(json["reason"], json!(reason), "{what}");
        assert_eq!(json["actions"][0]["href"], json!("/.gatekeep/start?rd=%2F"), "{what}");
    }
}

/// A WebSocket without a session gets a 401 and starts no login either.
#[test]
fn a_websocket_without_a_session_is_refused() {
    let world = World::new();
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "https://app.example.com"),
    ];
    let response = world.browser().send("GET", "https://app.example.com/ws", &headers, "");
    assert_eq!((response.status, response.all("set-cookie").count()), (401, 0));
    assert_eq!(world.app.hits(), 0);
}

/// A form was posted when the session had ended: a page says that it was not passed on, and leads
/// back to the page of the form.
#[test]
fn a_form_posted_too_late_gets_a_page_that_leads_back() {
    let world = World::new();
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("origin", "https://app.example.com"),
        ("referer", "https://app.example.com/edit?id=7"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let mut browser = world.browser();
    let response = browser.send("POST", "https://app.example.com/save", &headers, "text=long");
    let text = response.text();
    assert_eq!(response.status, 401);
    assert!(text.contains("What you sent was not passed on"), "{text}");
    assert!(text.contains("href=\"/.gatekeep/start?rd=%2Fedit%3Fid%3D7\""), "{text}");
    assert_eq!((response.all("set-cookie").count(), world.app.hits()), (0, 0));
    let back = "https://app.example.com/.gatekeep/start?rd=%2Fedit%3Fid%3D7";
    assert_eq!(world.sign_in(&mut browser, "octocat", back).status, 200);
    assert_eq!(world.app.requests().pop().expect("the app was reached").target, "/edit?id=7");
}
