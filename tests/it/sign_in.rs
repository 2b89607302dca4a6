//! Signing in, coming back to the page asked for, and signing out.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::browser::{Browser, encode, join, parameter};

const SESSION: &str = "__Host-gatekeep";
const EXCHANGE: &str = "POST /login/oauth/access_token";
const APP: &str = "https://app.example.com/page";

fn user_at(world: &World, browser: &mut Browser, page: &str) -> Option<String> {
    let response = browser.fetch(page);
    let seen = world.app.requests().pop().filter(|_| response.status == 200)?;
    seen.header("x-forwarded-user").map(str::to_owned)
}

#[test]
fn a_visitor_signs_in_and_lands_on_the_page_asked_for() {
    let world = World::new();
    let url = "https://app.example.com/deep/link?u=https://elsewhere.example/x&y=1";
    let (browser, page) = world.signed_in("octocat", url);
    assert_eq!(page.status, 200, "{}", page.text());
    let seen = world.app.requests();
    let seen = seen.last().expect("the app was reached");
    assert_eq!(seen.target, "/deep/link?u=https://elsewhere.example/x&y=1");
    assert_eq!(seen.header("x-forwarded-user"), Some("octocat"));
    assert_eq!(seen.header("x-forwarded-groups"), Some("acme,acme/platform"));
    assert!(browser.session("app.example.com").is_some());
    assert!(browser.session("auth.example.com").is_some());
}

/// The button on the sign-in page does what a link to the page does.
#[test]
fn the_sign_in_page_leads_to_the_page_asked_for() {
    let world = World::new();
    let mut browser = world.browser();
    let query = encode(&[("rd", "/page?a=b")]);
    let page = browser.fetch(&format!("https://app.example.com/.gatekeep/sign_in?{query}")).json();
    let way = page["actions"][0]["href"].as_str().expect("an address");
    let way = join("https://app.example.com/", way);
    assert_eq!(world.sign_in(&mut browser, "octocat", &way).status, 200);
    assert_eq!(world.app.requests().pop().expect("a request").target, "/page?a=b");
}

// === Callbacks that come late ===

/// The visitor presses "back", or opens the callback from the history: she is signed in, so she
/// simply lands on the page of then, with the same session and without GitHub being asked.
#[test]
fn a_stale_callback_of_a_signed_in_visitor_lands_on_the_page() {
    let world = World::new();
    let mut browser = world.browser();
    let page = "https://auth.example.com/page?a=1";
    let authorize = world.authorize_url(&mut browser, page);
    let before = browser.clone();
    let callback = world.github.approve(&authorize, "octocat");
    assert_eq!(browser.follow(&callback).1.status, 200);
    let session = browser.session("auth.example.com");

    let response = browser.get(&callback);
    assert_eq!((response.status, response.location()), (303, "/"), "the attempt is forgotten");
    assert_eq!(response.sets(SESSION), None);
    for (name, value) in before.cookies("auth.example.com") {
        browser.plant("auth.example.com", &name, &value);
    }
    let response = browser.get(&callback);
    assert_eq!((response.status, response.location()), (303, "/page?a=1"), "it is remembered");
    assert_eq!(response.sets(SESSION), None);
    assert_eq!(browser.session("auth.example.com"), session);
    assert_eq!(world.github.calls(EXCHANGE), 1);
    let (at, response) = browser.follow(&callback);
    assert_eq!((at.as_str(), response.status), (page, 200));
}

/// Without an app at the callback host the same visitor lands on her account page.
#[test]
fn a_stale_callback_lands_on_the_account_page_where_there_is_no_app() {
    let routes = "\n  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone }\n";
    let world = World::with("", routes);
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, APP);
    let callback = world.github.approve(&authorize, "octocat");
    assert_eq!(browser.follow(&callback).1.status, 200);
    let (at, page) = browser.follow(&callback);
    assert_eq!((at.as_str(), page.status), ("https://auth.example.com/.gatekeep/account", 200));
}

/// A stale hand-over of a signed-in visitor lands on its page, too.
#[test]
fn a_stale_handover_of_a_signed_in_visitor_lands_on_the_page() {
    let world = World::new();
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, APP);
    let callback = world.github.approve(&authorize, "octocat");
    let handover = browser.get(&callback).location().to_owned();
    let attempts = browser.cookies("app.example.com");
    assert_eq!(browser.follow(&handover).1.status, 200);
    for (name, value) in attempts {
        browser.plant("app.example.com", &name, &value);
    }
    let response = browser.get(&handover);
    assert_eq!((response.status, response.location()), (303, "/page"));
    assert_eq!(response.sets(SESSION), None);
}

// === Loops ===

/// A browser that keeps every cookie but the session's would go round for ever: page, GitHub, page.
/// After three sign-ins in vain it gets a page that says why; "Try once more" begins again. In a
/// browser that keeps its cookies nothing of the kind happens.
#[test]
fn a_sign_in_that_goes_round_in_circles_is_stopped() {
    for (host, page) in
        [("auth.example.com", "https://auth.example.com/p"), ("app.example.com", APP)]
    {
        let world = World::new();
        let mut browser = world.browser();
        for round in 0..3 {
            assert!(go_without_session(&world, &mut browser, page, host), "round {round}");
        }
        let response = browser.get(page);
        let text = response.text();
        assert_eq!(response.status, 400, "{text}");
        assert!(text.contains("<code>sign-in-loop</code>"), "{text}");
        assert!(text.contains("href=\"/.gatekeep/sign_in\""), "{text}");
        assert_eq!(response.header("location"), None);
        assert_eq!(world.github.calls(EXCHANGE), if host == "app.example.com" { 1 } else { 3 });
        let once_more = format!("https://{host}/.gatekeep/start?rd=%2Fagain");
        let (_, page) = end_of(&world, &mut browser, &once_more);
        assert_eq!(page, 200, "a browser that accepts cookies now gets in");
    }
}

/// One round from a page to GitHub, if need be, and back to it, in a browser that drops the
/// session's cookie of a host; whether it came back.
fn go_without_session(world: &World, browser: &mut Browser, page: &str, host: &str) -> bool {
    let mut at = page.to_owned();
    for _ in 0..6 {
        let response = browser.get(&at);
        browser.forget(host, SESSION);
        assert_eq!(response.status, 303, "{at}: {}", response.text());
        at = join(&at, response.location());
        if at == page {
            return true;
        }
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, "octocat");
        }
    }
    false
}

fn end_of(world: &World, browser: &mut Browser, url: &str) -> (String, u16) {
    let mut at = url.to_owned();
    for _ in 0..10 {
        let response = browser.get(&at);
        if response.status != 303 {
            return (at, response.status);
        }
        at = join(&at, response.location());
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, "octocat");
        }
    }
    panic!("{url} leads round and round to {at}");
}

/// A browser that refuses every cookie is told after one round: its callback fits no attempt.
#[test]
fn a_browser_without_cookies_is_told_so() {
    let world = World::new();
    let authorize = world.authorize_url(&mut world.browser(), "https://auth.example.com/");
    let callback = world.github.approve(&authorize, "octocat");
    let response = world.browser().get(&callback);
    let text = response.text();
    assert_eq!(response.status, 400);
    assert!(text.contains("<code>unknown-attempt</code>"), "{text}");
    assert!(text.contains("allow cookies for this site"), "{text}");
    assert_eq!(world.github.calls(EXCHANGE), 0);
}

/// Signing in and out again and again on purpose is no loop.
#[test]
fn signing_out_and_in_again_is_no_loop() {
    let world = World::new();
    let mut browser = world.browser();
    for round in 0..5 {
        let page = world.sign_in(&mut browser, "octocat", "https://auth.example.com/");
        assert_eq!(page.status, 200, "round {round}");
        let url = "https://auth.example.com/.gatekeep/sign_out";
        let form = browser.get(url).text();
        let token = form.split_once("name=\"csrf\" value=\"").expect("a token").1;
        let token = token.split_once('"').expect("a token").0;
        assert_eq!(browser.post(url, &[("csrf", token)]).status, 200, "round {round}");
    }
}

// === Several tabs ===

/// Two tabs ask for two pages; the first to come back signs the browser in, and the second still
/// lands on its own page.
#[test]
fn each_tab_lands_on_its_own_page() {
    let world = World::new();
    let mut browser = world.browser();
    let pages = ["https://app.example.com/one", "https://app.example.com/two?x=y"];
    let begun = pages.map(|page| world.authorize_url(&mut browser, page));
    for (authorize, page) in begun.iter().zip(pages).rev() {
        let callback = world.github.approve(authorize, "octocat");
        let (at, response) = browser.follow(&callback);
        assert_eq!((at.as_str(), response.status), (page, 200));
    }
}

/// A tab that waited at GitHub for longer than ten minutes gets a page and a way to begin again;
/// if another tab has signed in meanwhile, it lands.
#[test]
fn a_tab_that_waited_too_long_is_told_so_or_lands() {
    for other_tab in [false, true] {
        let world = World::new();
        let mut browser = world.browser();
        let late = world.authorize_url(&mut browser, "https://auth.example.com/late");
        world.gate.clock.advance(Duration::from_secs(601));
        if other_tab {
            world.sign_in(&mut browser, "octocat", "https://auth.example.com/");
        }
        let response = browser.get(&world.github.approve(&late, "octocat"));
        if other_tab {
            assert_eq!((response.status, response.location()), (303, "/late"));
        } else {
            assert_eq!(response.status, 400);
            assert!(response.text().contains("<code>attempt-spent</code>"));
            assert!(response.text().contains("href=\"/.gatekeep/start?rd=%2F\""));
        }
        assert_eq!(response.sets(SESSION), None);
    }
}

// === No, and somebody else ===

/// Who declines at GitHub gets a page that says so, with a way to begin again, and is not signed
/// in; the way works. Who was signed in before stays so.
#[test]
fn who_declines_at_github_is_told_and_can_begin_again() {
    let world = World::new();
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, "https://auth.example.com/page");
    let decline = |authorize: &str| {
        let state = parameter(authorize, "state").expect("a state");
        let query = encode(&[("error", "access_denied"), ("state", &state)]);
        format!("https://auth.example.com/.gatekeep/callback?{query}")
    };
    let page = browser.fetch(&decline(&authorize));
    let json = page.json();
    assert_eq!((page.status, &json["reason"]), (403, &json!("access-denied")));
    assert_eq!(json["title"], json!("You declined at GitHub"));
    assert_eq!(browser.session("auth.example.com"), None);
    assert_eq!(world.github.calls(EXCHANGE), 0);
    let attempts = browser.cookies("auth.example.com");
    assert!(attempts.is_empty(), "the attempt is cleared away: {attempts:?}");
    let way =
        join("https://auth.example.com/", json["actions"][0]["href"].as_str().expect("a way"));
    assert_eq!(world.sign_in(&mut browser, "octocat", &way).status, 200);

    let again = "https://auth.example.com/.gatekeep/start?rd=/&prompt=select_account";
    let authorize = world.authorize_url(&mut browser, again);
    assert_eq!(browser.get(&decline(&authorize)).status, 403);
    let user = user_at(&world, &mut browser, "https://auth.example.com/");
    assert_eq!(user.as_deref(), Some("octocat"), "no is no sign-out");
}

/// "Use another account" asks GitHub to let the visitor pick, at whichever host it is pressed, and
/// she goes on as somebody else everywhere. Without it a signed-in visitor is not asked at all.
#[test]
fn a_visitor_can_switch_to_another_account() {
    for host in ["auth.example.com", "app.example.com"] {
        let world = World::new();
        let page = format!("https://{host}/page");
        let (mut browser, _) = world.signed_in("octocat", &page);
        let plain = format!("https://{host}/.gatekeep/start?rd=/page");
        let response = browser.get(&plain);
        assert_eq!((response.status, response.location()), (303, "/page"), "control");
        let account = browser.fetch(&format!("https://{host}/.gatekeep/account")).json();
        let ways = account["actions"].as_array().expect("actions").clone();
        let way = ways.iter().find(|way| way["label"] == json!("Use another account"));
        let way = join(&page, way.expect("a way")["href"].as_str().expect("an address"));
        let authorize = world.authorize_url(&mut browser, &way);
        assert_eq!(parameter(&authorize, "prompt").as_deref(), Some("select_account"), "{host}");
        let callback = world.github.approve(&authorize, "hubot");
        assert_eq!(browser.follow(&callback).1.status, 200, "{host}");
        for page in ["https://auth.example.com/x", "https://app.example.com/x"] {
            assert_eq!(end_of(&world, &mut browser, page).1, 200, "{host}");
            assert_eq!(user_at(&world, &mut browser, page).as_deref(), Some("hubot"), "{host}");
        }
    }
}

/// A first sign-in does not ask GitHub to let the visitor pick: who is signed in there goes on.
#[test]
fn a_plain_sign_in_does_not_ask_to_pick_an_account() {
    let world = World::new();
    let authorize = world.authorize_url(&mut world.browser(), APP);
    assert_eq!(parameter(&authorize, "prompt"), None);
}
