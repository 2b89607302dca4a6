//! What another site can make a visitor's browser do: sign out, or open a `WebSocket`.

use crate::support::World;
use crate::support::browser::{Browser, encode};
use crate::support::http::{Connection, Response};

const APP: &str = "app.example.com";
const AUTH: &str = "auth.example.com";
const SIGN_OUT: &str = "https://app.example.com/.gatekeep/sign_out";

fn octocat(world: &World) -> Browser {
    let (browser, page) = world.signed_in("octocat", &format!("https://{APP}/"));
    assert_eq!(page.status, 200, "{}", page.text());
    browser
}

/// The token of the form on the page that asks whether to sign out.
fn token(browser: &mut Browser, host: &str) -> String {
    let page = browser.get(&format!("https://{host}/.gatekeep/sign_out"));
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let value = text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    value.expect("a form with a token").to_owned()
}

/// Posts to sign-out as a browser does, with these header fields about where it came from.
fn post(browser: &mut Browser, from: &[(&str, &str)], form: &[(&str, &str)]) -> Response {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    browser.send("POST", SIGN_OUT, &[&kind, from].concat(), &encode(form))
}

/// Whether the app answers at each of the two hosts, as it does for a visitor.
fn is_signed_in(browser: &mut Browser) -> [bool; 2] {
    [APP, AUTH].map(|host| match browser.fetch(&format!("https://{host}/x")).status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    })
}

const OWN: [(&str, &str); 2] =
    [("origin", "https://app.example.com"), ("sec-fetch-site", "same-origin")];

/// `<img src=".../sign_out">` on any page of the web: a GET must change nothing.
#[test]
fn a_get_signs_nobody_out() {
    let world = World::new();
    let mut browser = octocat(&world);
    for url in [SIGN_OUT.to_owned(), format!("{SIGN_OUT}?csrf={}", token(&mut browser, APP))] {
        for method in ["GET", "HEAD"] {
            let answer = browser.send(method, &url, &OWN, "");
            assert_eq!(answer.status, 200, "{method} {url}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{method} {url}");
        }
        assert_eq!(is_signed_in(&mut browser), [true, true]);
    }
}

/// Cross-site request forgery: another site posts the form, or a neighbour host does, or somebody
/// who has a token of a session of his own.
#[test]
fn a_form_that_is_not_ours_signs_nobody_out() {
    let world = World::new();
    let mut browser = octocat(&world);
    let good = token(&mut browser, APP);
    let (mut mallory, _) = world.signed_in("mona", &format!("https://{APP}/"));
    let other = token(&mut mallory, APP);
    let short = &good[1..];
    let forms: [&[(&str, &str)]; 7] = [
        &[],
        &[("csrf", "")],
        &[("csrf", "x")],
        &[("csrf", short)],
        &[("csrf", &other)],
        &[("CSRF", &good)],
        &[("csrf", &good), ("csrf", &good)],
    ];
    for form in forms {
        let answer = post(&mut browser, &OWN, form);
        assert_eq!((answer.status, answer.all("set-cookie").count()), (403, 0), "{form:?}");
    }
    let in_query = format!("{SIGN_OUT}?csrf={good}");
    assert_eq!(browser.send("POST", &in_query, &OWN, "").status, 403, "a query is no form");
    assert_eq!(is_signed_in(&mut browser), [true, true]);
}

/// The same where the attacker has got hold of the token: the browser itself says that the form
/// came from elsewhere.
#[test]
fn a_form_from_elsewhere_signs_nobody_out() {
    let world = World::new();
    let mut browser = octocat(&world);
    let good = token(&mut browser, APP);
    let own = "https://app.example.com";
    let places: [&[(&str, &str)]; 16] = [
        &[("origin", "https://evil.example")],
        &[("origin", "https://auth.example.com")],
        &[("origin", "http://app.example.com")],
        &[("origin", "https://app.example.com:8443")],
        &[("origin", "https://app.example.com.evil.example")],
        &[("origin", "https://xapp.example.com")],
        &[("origin", "HTTPS://APP.EXAMPLE.COM")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", own), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site\u{e9}")],
        &[("origin", own), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ];
    for from in places {
        let answer = post(&mut browser, from, &[("csrf", &good)]);
        assert_eq!((answer.status, answer.all("set-cookie").count()), (403, 0), "{from:?}");
        assert_eq!(is_signed_in(&mut browser), [true, true], "{from:?}");
    }
    assert_eq!(post(&mut browser, &OWN, &[("csrf", &good)]).status, 200, "the token was good");
    assert_eq!(is_signed_in(&mut browser), [false, false]);
}

/// Signing out is final: at this host, at the one where the sign-in was handed over from, and for
/// whoever kept a copy of the cookies.
#[test]
fn the_right_form_signs_out_on_every_host_for_good() {
    for host in [APP, AUTH] {
        // A browser sends Origin and Fetch Metadata; an old one sends neither.
        for is_old in [false, true] {
            let world = World::new();
            let mut browser = octocat(&world);
            let mut copy = browser.clone();
            assert_eq!(is_signed_in(&mut copy), [true, true], "the copy is good before");
            let csrf = token(&mut browser, host);
            let answer = sign_out(&mut browser, host, &csrf, is_old);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(browser.session(host), None, "the cookie is gone");
            assert_eq!(is_signed_in(&mut browser), [false, false], "signed out at {host}");
            let before = world.app.hits();
            assert_eq!(is_signed_in(&mut copy), [false, false], "copies are void");
            assert_eq!(world.app.hits(), before);
        }
    }
}

fn sign_out(browser: &mut Browser, host: &str, csrf: &str, is_old: bool) -> Response {
    let url = format!("https://{host}/.gatekeep/sign_out");
    if is_old {
        browser.send("POST", &url, &[("accept", "text/html")], &encode(&[("csrf", csrf)]))
    } else {
        browser.post(&url, &[("csrf", csrf)])
    }
}

/// Opens a `WebSocket` at the app; the status, and the connection.
fn open_socket(world: &World, path: &str, fields: &str) -> (u16, Connection) {
    let mut connection = Connection::open(world.gate.address);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {APP}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    connection.send(request.as_bytes()).expect("the server reads");
    let answer = connection.receive(false).expect("an answer");
    (answer.status, connection)
}

fn cookie(browser: &Browser) -> String {
    format!("cookie: __Host-gatekeep={}\r\n", browser.session(APP).expect("signed in"))
}

/// Cross-site `WebSocket` hijacking: sockets know no same-origin policy, so a page of another site
/// reads and writes with the visitor's cookie (Gitpod CVE-2023-0957).
#[test]
fn a_page_of_another_site_opens_no_socket() {
    let world = World::new();
    let cookie = cookie(&octocat(&world));
    let before = world.app.hits();
    for origin in [
        "https://evil.example",
        "https://auth.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://app.example.com/",
        "https://APP.example.com",
        "null",
        "",
        "https://app.example.com\r\norigin: https://evil.example",
    ] {
        let (status, _) = open_socket(&world, "/ws", &format!("{cookie}origin: {origin}\r\n"));
        assert_eq!((status, world.app.hits()), (403, before), "{origin}");
    }
}

/// The app's own pages open theirs, and so do programs, which send no Origin; bytes pass both ways.
#[test]
fn a_page_of_the_app_and_a_program_open_a_socket() {
    let world = World::new();
    let cookie = cookie(&octocat(&world));
    for origin in ["origin: https://app.example.com\r\n", ""] {
        let (status, mut socket) = open_socket(&world, "/ws", &format!("{cookie}{origin}"));
        assert_eq!(status, 101, "{origin}");
        socket.send(b"hello").expect("the socket takes bytes");
        assert_eq!(socket.read_some(5), b"hello");
        let seen = world.app.requests().pop().expect("reached");
        assert_eq!(seen.all("x-forwarded-user"), ["octocat"]);
    }
}

/// An upgrade is a request like any other: without a session it does not reach the app.
#[test]
fn nobody_opens_a_socket_without_a_session() {
    let world = World::new();
    let before = world.app.hits();
    let void = "cookie: __Host-gatekeep=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
    for fields in ["", "origin: https://app.example.com\r\n", void] {
        let (status, _) = open_socket(&world, "/ws", fields);
        assert_eq!((status, world.app.hits()), (401, before), "{fields}");
    }
}

/// "h2c smuggling": an app that takes an upgrade to HTTP/2 turns the connection into a tunnel, in
/// which further requests pass by every rule. `WebSocket` alone is passed on.
#[test]
fn no_other_upgrade_reaches_the_app() {
    let world = World::new();
    let mut browser = octocat(&world);
    let session = browser.session(APP).expect("signed in");
    for (protocol, connection) in [
        ("h2c", "Upgrade, HTTP2-Settings"),
        ("h2c", "Upgrade"),
        ("TLS/1.0", "Upgrade"),
        ("websocket, h2c", "Upgrade"),
        ("h2c, websocket", "Upgrade"),
    ] {
        let request = format!(
            "GET /x HTTP/1.1\r\nhost: {APP}\r\nupgrade: {protocol}\r\nconnection: {connection}\r\n\
             http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\
             cookie: __Host-gatekeep={session}\r\n\r\n"
        );
        let before = world.app.hits();
        let status = world.gate.raw(request.as_bytes()).map(|answer| answer.status);
        if world.app.hits() > before {
            let seen = world.app.requests().pop().expect("reached");
            let upgrade = ["upgrade", "http2-settings", "connection"].map(|name| seen.header(name));
            assert_eq!((status, upgrade), (Some(200), [None; 3]), "{protocol}");
        } else {
            assert_eq!(status, Some(400), "{protocol}");
        }
    }
    assert_eq!(is_signed_in(&mut browser), [true, true]);
}
