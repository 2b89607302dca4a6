//! Several hosts: how a sign-in at the callback host becomes a cookie at another, and that nobody
//! else can make use of the way (RFC 9700 §4.5, §4.7, §4.12).

use std::time::Duration;

use crate::support::World;
use crate::support::browser::{Browser, join, parameter};
use crate::support::http::Response;

const SESSION: &str = "__Host-gatekeep";
const EXCHANGE: &str = "POST /login/oauth/access_token";
const HOSTS: [&str; 3] = ["auth.example.com", "app.example.com", "wiki.example.com"];
const APP: &str = "https://app.example.com/page?a=1";
const WIKI: &str = "https://wiki.example.com/wiki/";

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone }
  - { name: wiki, host: wiki.example.com, upstream: @APP@, allow: anyone }
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
";

fn world() -> World {
    World::with("", ROUTES)
}

/// A browser that is signed in at the callback host and nowhere else.
fn signed_in_at_auth(world: &World, person: &str) -> Browser {
    world.signed_in(person, "https://auth.example.com/").0
}

/// Follows redirects from a page and stops before the hand-over is opened.
fn handover_url(browser: &mut Browser, page: &str) -> String {
    let mut at = page.to_owned();
    while !at.contains("/.gatekeep/handover?") {
        let response = browser.get(&at);
        assert_eq!(response.status, 303, "{at}: {}", response.text());
        at = join(&at, response.location());
    }
    at
}

/// Asks for a page and stops at the callback host's `start`: the state and challenge are fresh.
fn start_url(browser: &mut Browser, page: &str) -> String {
    let response = browser.get(page);
    assert!(response.location().starts_with("https://auth.example.com/.gatekeep/start?"));
    response.location().to_owned()
}

fn handover(host: &str, code: &str, state: &str) -> String {
    format!("https://{host}/.gatekeep/handover?code={code}&state={state}")
}

fn code_of(url: &str) -> String {
    parameter(url, "code").expect("a code")
}

fn state_of(url: &str) -> String {
    parameter(url, "state").expect("a state")
}

fn assert_refused(response: &Response, reason: &str, what: &str) {
    let text = response.text();
    assert_eq!(response.status, 400, "{what}: {text}");
    assert_eq!(response.sets(SESSION), None, "{what}");
    assert!(text.contains(&format!("<code>{reason}</code>")), "{what}: {text}");
    assert!(text.contains("href=\"/.gatekeep/start?rd=%2F\""), "{what}: {text}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
}

fn user_at(world: &World, browser: &mut Browser, page: &str) -> Option<String> {
    let hits = world.app.hits();
    let status = browser.fetch(page).status;
    let seen = world.app.requests().pop().filter(|_| status == 200 && world.app.hits() > hits);
    seen.and_then(|seen| seen.header("x-forwarded-user").map(str::to_owned))
}

// === How it works ===

/// Signed in at one host, a visitor comes to the others without GitHub asking, each gives a cookie
/// of its own, and none opens another host.
#[test]
fn each_host_has_a_cookie_of_its_own_and_github_asks_once() {
    let world = world();
    let (mut browser, page) = world.signed_in("octocat", APP);
    assert_eq!(page.status, 200);
    let (at, page) = browser.follow(WIKI);
    assert_eq!((at.as_str(), page.status), (WIKI, 200));
    assert_eq!(world.github.calls(EXCHANGE), 1);
    let sessions: Vec<_> = HOSTS.iter().filter_map(|host| browser.session(host)).collect();
    assert_eq!(sessions.len(), 3);
    for (at, host) in HOSTS.iter().enumerate() {
        for (of, session) in sessions.iter().enumerate() {
            let mut other = world.browser();
            other.plant(host, SESSION, session);
            let user = user_at(&world, &mut other, &format!("https://{host}/x"));
            assert_eq!(user.is_some(), at == of, "the cookie of {} at {host}", HOSTS[of]);
        }
    }
}

/// Every cookie we set, all along the way and at the end, is bound to its host.
#[test]
fn no_cookie_has_a_domain() {
    let world = world();
    let mut browser = world.browser();
    let (mut at, mut cookies) = (APP.to_owned(), Vec::new());
    loop {
        let response = browser.get(&at);
        cookies.extend(response.all("set-cookie").map(str::to_owned));
        if response.status == 200 {
            break;
        }
        at = join(&at, response.location());
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, "octocat");
        }
    }
    assert_eq!(cookies.iter().filter(|cookie| cookie.starts_with("__Host-gatekeep=")).count(), 2);
    assert!(cookies.len() >= 8, "{cookies:?}");
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-gatekeep"), "{cookie}");
        assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
    }
}

/// Whoever signs out at one host is signed out at all of them.
#[test]
fn signing_out_at_one_host_ends_the_session_at_all() {
    let world = world();
    let (mut browser, _) = world.signed_in("octocat", APP);
    browser.follow(WIKI);
    let page = browser.get("https://wiki.example.com/.gatekeep/sign_out").text();
    let token = page.split_once("name=\"csrf\" value=\"").expect("a token").1;
    let token = token.split_once('"').expect("a token").0.to_owned();
    let kept = browser.clone();
    let out = browser.post("https://wiki.example.com/.gatekeep/sign_out", &[("csrf", &token)]);
    assert_eq!(out.status, 200);
    for host in HOSTS {
        let mut again = kept.clone();
        let user = user_at(&world, &mut again, &format!("https://{host}/"));
        assert_eq!(user, None, "the old cookie at {host}");
    }
}

// === What a code is good for ===

/// A hand-over's address is opened a second time, with the very cookies of the first.
#[test]
fn a_code_works_once() {
    let world = world();
    let mut browser = signed_in_at_auth(&world, "octocat");
    let url = handover_url(&mut browser, APP);
    let mut again = browser.clone();
    let landed = browser.get(&url);
    assert_eq!((landed.status, landed.location()), (303, "/page?a=1"));
    assert!(landed.sets(SESSION).is_some(), "control: the first time it is good");
    assert_refused(&again.get(&url), "attempt-spent", "the second time");
}

/// A code lives a minute: 59 seconds are fine, 60 are too many.
#[test]
fn a_code_lives_a_minute() {
    for (seconds, good) in [(0, true), (59, true), (60, false), (600, false)] {
        let world = world();
        let mut browser = signed_in_at_auth(&world, "octocat");
        let url = handover_url(&mut browser, APP);
        world.gate.clock.advance(Duration::from_secs(seconds));
        let response = browser.get(&url);
        assert_eq!(response.sets(SESSION).is_some(), good, "after {seconds} s");
        if !good {
            assert_refused(&response, "attempt-spent", "too late");
        }
    }
}

/// A code for one host is brought to others: with their own attempt, with the first one's attempt
/// planted there, and at the callback host. Control: at its own host it is still good afterwards.
#[test]
fn a_code_opens_its_own_host_alone() {
    let world = world();
    let mut browser = signed_in_at_auth(&world, "octocat");
    let url = handover_url(&mut browser, APP);
    let (code, state) = (code_of(&url), state_of(&url));
    let wiki_state = state_of(&start_url(&mut browser, WIKI));
    for (name, value) in browser.cookies("app.example.com") {
        browser.plant("wiki.example.com", &name, &value);
        browser.plant("auth.example.com", &name, &value);
    }
    let mut elsewhere = browser.clone();
    elsewhere.forget("auth.example.com", SESSION);
    for (host, state, reason) in [
        ("wiki.example.com", &wiki_state, "attempt-spent"),
        ("wiki.example.com", &state, "unknown-attempt"),
        ("auth.example.com", &state, "unknown-attempt"),
    ] {
        assert_refused(&elsewhere.get(&handover(host, &code, state)), reason, host);
    }
    assert!(browser.get(&url).sets(SESSION).is_some(), "control");
}

/// Anything but the one code with the one state, each given once, is refused. Control: the right
/// address is good after all of that.
#[test]
fn a_mangled_handover_opens_nothing() {
    let world = world();
    let mut browser = signed_in_at_auth(&world, "octocat");
    let url = handover_url(&mut browser, APP);
    let (code, state) = (code_of(&url), state_of(&url));
    let flip = |text: &str| {
        let other = if text.starts_with('A') { "B" } else { "A" };
        format!("{other}{}", &text[1..])
    };
    for query in [
        String::new(),
        format!("code={code}"),
        format!("state={state}"),
        format!("code=&state={state}"),
        format!("code={code}&state="),
        format!("code={code}&code={code}&state={state}"),
        format!("code={code}&state={state}&state={state}"),
        format!("code={}&state={state}", flip(&code)),
        format!("code={}&state={state}", &code[..42]),
        format!("code={code}A&state={state}"),
        format!("code={code}&state={}", flip(&state)),
        format!("code={code}&state={state}A"),
        format!("code={code}&state={}", &state[..42]),
    ] {
        let mut copy = browser.clone();
        let response = copy.get(&format!("https://app.example.com/.gatekeep/handover?{query}"));
        assert_eq!((response.status, response.sets(SESSION)), (400, None), "{query}");
        assert!(response.text().contains("href=\"/.gatekeep/start?rd=%2F\""), "{query}");
    }
    assert!(browser.get(&url).sets(SESSION).is_some(), "control");
}

// === Attacks between browsers ===

/// Theft: the attacker reads the victim's hand-over (a proxy's log, a screen) before she opens it,
/// and brings her code back: at her address as it is, and with a state and a cookie of his own. The
/// reverse: her browser opens a hand-over of his. Control: left alone, the code is good in the
/// browser that asked.
#[test]
fn a_code_taken_by_another_browser_opens_nothing() {
    let world = world();
    let mut victim = signed_in_at_auth(&world, "octocat");
    let mut attacker = signed_in_at_auth(&world, "stranger");
    let stolen = handover_url(&mut victim, APP);
    let state = state_of(&start_url(&mut attacker, APP));
    assert_refused(&attacker.get(&stolen), "unknown-attempt", "the victim's address as it is");
    let response = attacker.get(&handover("app.example.com", &code_of(&stolen), &state));
    assert_refused(&response, "attempt-spent", "the victim's code, the attacker's attempt");
    assert_eq!(attacker.session("app.example.com"), None);
    assert_eq!(user_at(&world, &mut attacker, APP), None);

    let bait = handover_url(&mut attacker, APP);
    assert_refused(&victim.get(&bait), "unknown-attempt", "the attacker's address as it is");
    assert_eq!(victim.session("app.example.com"), None);

    let good = handover_url(&mut victim, APP);
    assert_eq!(victim.get(&good).status, 303, "control");
    assert_eq!(user_at(&world, &mut victim, APP).as_deref(), Some("octocat"));
}

/// Login CSRF: the victim has a hand-over under way, whose state the attacker has seen; he lets her
/// browser open one with her state and a code of his, so that she would work in his account.
/// Control: his code is good in his own browser, with his own state.
#[test]
fn a_code_of_the_attacker_signs_no_victim_in_as_him() {
    let world = world();
    let mut victim = signed_in_at_auth(&world, "octocat");
    let mut attacker = signed_in_at_auth(&world, "stranger");
    let victims = handover_url(&mut victim, APP);
    let bait = handover_url(&mut attacker, APP);
    let forced = handover("app.example.com", &code_of(&bait), &state_of(&victims));
    let response = victim.get(&forced);
    assert_refused(&response, "attempt-spent", "the attacker's code, the victim's attempt");
    assert_eq!(victim.session("app.example.com"), None);
    let own = handover_url(&mut attacker, APP);
    assert!(attacker.get(&own).sets(SESSION).is_some(), "control");
}

/// Login CSRF with the errand: the attacker begins at the app, and lets the victim, who is signed
/// in, open the callback host's `start` of his own attempt. Her browser gets a code for him, which
/// it takes to our app alone, unread by any other site and without a trace in the log; there it
/// fits no attempt of hers.
#[test]
fn an_errand_of_another_browser_signs_nobody_in() {
    let world = world();
    let mut victim = signed_in_at_auth(&world, "octocat");
    let mut attacker = world.browser();
    let start = start_url(&mut attacker, APP);
    let response = victim.get(&start);
    assert_eq!(response.status, 303);
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    let url = response.location().to_owned();
    assert!(url.starts_with("https://app.example.com/.gatekeep/handover?"), "{url}");
    let end = victim.get(&url);
    assert_refused(&end, "unknown-attempt", "the victim's browser");
    assert!(!end.text().contains(&code_of(&url)));
    assert!(!world.gate.access_log().contains(&code_of(&url)));
    assert_eq!(victim.session("app.example.com"), None);
}

/// Login CSRF over the whole way: the attacker's errand is finished at GitHub in the attacker's
/// browser, and the victim's opens the hand-over at the end. A victim who is signed in already
/// stays who she is.
#[test]
fn a_handover_does_not_change_who_is_signed_in() {
    let world = world();
    let (mut victim, _) = world.signed_in("octocat", APP);
    let before = victim.session("app.example.com");
    let mut attacker = signed_in_at_auth(&world, "stranger");
    let bait = handover_url(&mut attacker, APP);
    let response = victim.get(&bait);
    assert_eq!((response.status, response.location()), (303, "/"));
    assert_eq!(response.sets(SESSION), None);
    assert_eq!(victim.session("app.example.com"), before);
    assert_eq!(user_at(&world, &mut victim, APP).as_deref(), Some("octocat"));
    assert!(attacker.get(&bait).sets(SESSION).is_some(), "control: in its own browser it is good");
}

/// `start` with an errand sends codes to our own hosts alone, and without a well-formed errand to
/// no handover at all.
#[test]
fn a_code_goes_to_our_own_hosts_alone() {
    let world = world();
    let mut browser = signed_in_at_auth(&world, "octocat");
    let start = start_url(&mut browser, APP);
    let token = |name| parameter(&start, name).expect("the parameter");
    let (state, challenge) = (token("state"), token("challenge"));
    let mut go = |rd: &str, state: &str, challenge: &str| {
        let query = [("rd", rd), ("state", state), ("challenge", challenge)];
        let query = crate::support::browser::encode(&query);
        let response = browser.get(&format!("https://auth.example.com/.gatekeep/start?{query}"));
        join("https://auth.example.com/.gatekeep/start", response.location())
    };
    let good = go(APP, &state, &challenge);
    assert!(good.starts_with("https://app.example.com/.gatekeep/handover?code="), "control {good}");
    for rd in [
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:8443/",
        "http://app.example.com/",
        "//evil.example/",
        "https://other.example.com/",
    ] {
        let to = go(rd, &state, &challenge);
        assert!(to.starts_with("https://auth.example.com/"), "{rd}: {to}");
    }
    for (state, challenge) in [
        ("", challenge.as_str()),
        (state.as_str(), ""),
        ("short", &challenge),
        (&state, "short"),
        (&format!("{}&x", &state[..41]), &challenge),
    ] {
        let to = go(APP, state, challenge);
        assert!(to.starts_with("https://app.example.com/.gatekeep/start?rd="), "{to}");
        assert!(!to.contains("code="), "{to}");
    }
}

/// A name under a wildcard may lead elsewhere: to a tenant's server, or to whoever took over a
/// forgotten one. The attacker begins at the gateway under that name, lures a signed-in visitor to
/// the errand, reads the code at his own server, and comes back with it. So nobody is sent to such
/// a name without a word: the visitor is asked, and a consent is good for one errand alone.
#[test]
fn a_name_under_a_wildcard_gets_no_code_without_consent() {
    let routes = r"
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
  - { name: tenants, host: '*.w.example.com', upstream: @APP@, allow: anyone }
";
    let world = World::with("", routes);
    let mut attacker = world.browser();
    let errand = start_url(&mut attacker, "https://evil.w.example.com/");
    let mut victim = signed_in_at_auth(&world, "octocat");
    let lured = victim.get(&errand);
    assert_eq!(lured.status, 200);
    assert!(lured.text().contains("<h1>Continue to evil.w.example.com?</h1>"), "{}", lured.text());
    assert_eq!(lured.header("location"), None);

    // The visitor's own way there works, after one click.
    let mut own = start_url(&mut victim, "https://mine.w.example.com/notes?a=1");
    let page = victim.get(&own).text();
    let href = page.split("href=\"").find(|part| part.contains("consent=")).expect("a link");
    let href = href.split('"').next().expect("its end").replace("&amp;", "&");
    own = crate::support::browser::join("https://auth.example.com/", &href);
    let (url, arrived) = victim.follow(&own);
    assert_eq!((url.as_str(), arrived.status), ("https://mine.w.example.com/notes?a=1", 200));

    // That consent opens no other errand.
    let consent = parameter(&own, "consent").expect("a consent");
    assert_eq!(victim.get(&format!("{errand}&consent={consent}")).status, 200);
}
