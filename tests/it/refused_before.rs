//! Five attacks on an instance behind the gateway. The instance has no answer to any of them, so it must
//! not see them: what it saw is counted each time, and beside each stands what is right and arrives.

use crate::one_sign_in::{Scene, code_of, url};
use crate::support::browser::Browser;
use crate::support::http::{Connection, Response};

const HOST: &str = "trackeep.example.com";

const OWN_PAGE: [(&str, &str); 2] =
    [("origin", "https://trackeep.example.com"), ("sec-fetch-site", "same-origin")];

const EVIL_PAGE: [(&str, &str); 2] =
    [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];

/// Refused: a status, nothing that leads anywhere, and nothing at the instance.
fn is_refused(scene: &Scene, status: u16, attack: impl FnOnce() -> Response) {
    let before = scene.trackeep.requests().len();
    let answer = attack();
    assert_eq!((answer.status, answer.header("location")), (status, None), "{}", answer.text());
    let seen = scene.trackeep.requests();
    assert_eq!(seen.len(), before, "the instance saw {:?}", seen.last());
}

/// Right, and at the instance.
fn arrives(scene: &Scene, ask: impl FnOnce() -> Response) -> Response {
    let before = scene.trackeep.requests().len();
    let answer = ask();
    assert!(scene.trackeep.requests().len() > before, "control: {}", answer.text());
    answer
}

/// A page of another site posts with the visitor's cookie, and the gateway's word would sign it.
#[test]
fn one_a_post_of_another_site() {
    let scene = Scene::new("gateway");
    let browser = scene.signed_in("octocat");
    let post = |path: &str, fields: &[(&str, &str)]| {
        let form = [&[("content-type", "text/plain")], fields].concat();
        browser.clone().send("POST", &url(path), &form, r#"{"title":"mine"}"#)
    };
    for path in ["/api/v1/notes", "/api/v1/github/backups", "/api/v1/auth/logout"] {
        for from in [&EVIL_PAGE[..], &EVIL_PAGE[1..], &[("origin", "null")], &[]] {
            is_refused(&scene, 403, || post(path, from));
        }
    }
    arrives(&scene, || post("/api/v1/notes", &OWN_PAGE));
}

/// What a browser is answered that wants a WebSocket from a page of this origin.
fn socket(scene: &Scene, browser: &Browser, origin: &str) -> Response {
    let id = browser.session(HOST).expect("signed in");
    let mut connection = Connection::open(scene.world.gate.address);
    let request = format!(
        "GET /api/v1/messages/ws?token=gatekeep HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncookie: __Host-gatekeep={id}\r\n\
         {origin}\r\n"
    );
    connection.send(request.as_bytes()).expect("the gateway reads");
    connection.receive(false).expect("an answer")
}

/// Trackeep takes a WebSocket from every origin, and it would be the visitor's: their messages.
#[test]
fn two_a_websocket_of_another_site() {
    let scene = Scene::new("gateway");
    let browser = scene.signed_in("octocat");
    // A first question takes the seat, so that nothing but the socket is counted.
    browser.clone().fetch(&url("/api/v1/auth/me"));
    for origin in ["origin: https://evil.example\r\n", "origin: null\r\n", ""] {
        is_refused(&scene, 403, || socket(&scene, &browser, origin));
    }
    let own = format!("origin: https://{HOST}\r\n");
    assert_eq!(arrives(&scene, || socket(&scene, &browser, &own)).status, 101);
}

/// Trackeep sends its token to whatever the link names.
#[test]
fn three_a_link_that_leads_the_token_to_another_site() {
    for by in ["gateway", "browser", "button"] {
        let scene = Scene::new(by);
        let browser = scene.signed_in("octocat");
        let link = |to: &str| url(&format!("/api/v1/auth/github?frontend_redirect={to}"));
        for to in ["https://evil.example", "//evil.example", "https%3A%2F%2Fevil.example%2Fa"] {
            for browser in [&browser, &scene.world.browser()] {
                is_refused(&scene, 400, || browser.clone().get(&link(to)));
            }
        }
        let (at, _) = browser.clone().follow(&link("https%3A%2F%2Ftrackeep.example.com"));
        assert!(at.starts_with(&url("/")), "control: {at}");
    }
}

/// A code that was used, and one that somebody else made: the victim would work in another account.
#[test]
fn four_a_code_that_was_used_or_is_somebody_elses() {
    let scene = Scene::new("button");
    let (own, eve) = (scene.signed_in("octocat"), scene.signed_in("hubot"));
    let bring = |browser: &Browser, code: &str| {
        browser.clone().get(&url(&format!("/api/v1/auth/control/callback?token={code}")))
    };
    let foreign = code_of(&scene, &eve, "hubot");
    is_refused(&scene, 403, || bring(&own, &foreign));
    let good = code_of(&scene, &own, "octocat");
    assert_eq!(arrives(&scene, || bring(&own, &good)).status, 307);
    is_refused(&scene, 403, || bring(&own, &good));
    is_refused(&scene, 403, || bring(&eve, &good));
}

/// Trackeep asks nobody who it is, and starts containers anew.
#[test]
fn five_an_update_that_nobody_installs() {
    let scene = Scene::new("gateway");
    let member = scene.signed_in("octocat");
    let install = |browser: &Browser| {
        browser.clone().send("POST", &url("/api/updates/install"), &OWN_PAGE, "{}")
    };
    let token = format!("Bearer {}", scene.trackeep.token_of("octocat"));
    for browser in [&scene.world.browser(), &member] {
        is_refused(&scene, 403, || install(browser));
        is_refused(&scene, 403, || {
            let fields = [&OWN_PAGE[..], &[("authorization", token.as_str())]].concat();
            browser.clone().send("POST", &url("/api/updates/install"), &fields, "{}")
        });
    }
    assert_eq!(scene.trackeep.updates_installed(), 0);
    arrives(&scene, || member.clone().fetch(&url("/api/updates/check")));
}
