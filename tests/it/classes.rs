//! Parts of a route that are treated in a way of their own: closed, in JSON, with other bounds.

use std::sync::{Arc, Mutex};

use crate::redirects::targets;
use crate::support::World;
use crate::support::browser::{Browser, encode, join, origin_of};
use crate::support::http::{Connection, Response};
use crate::support::upstream;

const APP: &str = "app.example.com";

const ROUTES: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    public: [/api/shared/*, /closed/*]
    body_limit: 1KiB
    timeouts: { read: 1s }
    rules:
      - { path: /closed, allow: nobody }
      - { path: /half, methods: [POST], allow: nobody }
      - { path: /api/closed, allow: nobody, answers: json }
      - { path: /api/admin, allow: { teams: [acme/admins] }, answers: json }
      - { path: /api/back, answers: pages }
      - { path: /api/large, body_limit: 4KiB, answers: json }
      - { path: /slow, timeouts: { read: 30s } }
      - { path: /api, answers: json }
";

fn url(path: &str) -> String {
    format!("https://{APP}{path}")
}

fn someone(world: &World) -> Browser {
    world.signed_in("octocat", &url("/")).0
}

/// Whether it is JSON that says what is wrong where programs look for it, and leads nowhere.
fn is_json(answer: &Response, reason: &str) -> bool {
    let said = answer.header("content-type").is_some_and(|kind| kind.contains("json"));
    said && answer.header("location").is_none()
        && answer.json()["reason"] == reason
        && answer.json()["error"].as_str().is_some_and(|words| !words.is_empty())
}

/// An app may have doors that nobody should find, such as one that installs updates without asking
/// who is there. No right opens them, and nobody is asked to sign in for nothing.
#[test]
fn what_is_closed_is_closed_to_everybody() {
    let world = World::with("", ROUTES);
    let mut admin = world.signed_in("mona", &url("/")).0;
    let hits = world.app.hits();
    for path in ["/closed", "/closed/", "/closed/x/y", "/api/closed", "/closed/x?y=z"] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            for browser in [&mut world.browser(), &mut admin] {
                let answer = browser.send(method, &url(path), &[("accept", "text/html")], "");
                assert_eq!((answer.status, world.app.hits()), (403, hits), "{method} {path}");
                let own = [("authorization", "Bearer of-the-app")];
                let answer = browser.send(method, &url(path), &own, "");
                assert_eq!((answer.status, world.app.hits()), (403, hits), "{method} {path}");
            }
        }
    }
    for path in ["/CLOSED", "/closed.", "/closed%20", "/closed%3Bx", "/Api/Closed"] {
        let status = admin.get(&url(path)).status;
        assert_eq!((status, world.app.hits()), (400, hits), "{path} may be the same to the app");
    }
    assert!(is_json(&admin.get(&url("/api/closed")), "path-closed"));
    for (method, path, status) in
        [("GET", "/half", 200), ("POST", "/half", 403), ("GET", "/closedx", 200)]
    {
        assert_eq!(admin.send(method, &url(path), &[], "").status, status, "{method} {path}");
    }
}

/// A program cannot follow a redirect to GitHub, whatever it accepts.
#[test]
fn where_programs_ask_the_gateway_answers_in_json_and_never_leads_away() {
    let world = World::with("", ROUTES);
    let mut nobody = world.browser();
    for path in ["/api", "/api/x", "/api/large/x"] {
        let answer = nobody.get(&url(path));
        assert!(answer.status == 401 && is_json(&answer, "no-session"), "{path}");
    }
    for path in ["/", "/apix", "/api/back", "/api/back/x"] {
        assert_eq!(nobody.get(&url(path)).status, 303, "control: {path} leads to GitHub");
    }
    let mut hubot = world.signed_in("octocat", &url("/")).0;
    let refused = hubot.get(&url("/api/admin"));
    assert!(refused.status == 403 && is_json(&refused, "not-admitted"), "{}", refused.text());
    let page = hubot.get(&url("/.gatekeep/account"));
    assert!(page.text().contains("<!doctype html>"), "our own pages stay pages");
    let stranger = world.signed_in("stranger", &url("/")).1;
    assert!(stranger.status == 403 && stranger.text().contains("<!doctype html>"));
}

#[test]
fn a_rule_that_does_not_say_whom_it_lets_in_leaves_it_to_the_route_and_to_what_is_public() {
    let world = World::with("", ROUTES);
    assert_eq!(world.browser().get(&url("/api/shared/x")).status, 200, "public");
    assert_eq!(world.browser().get(&url("/api/x")).status, 401);
    let mut browser = someone(&world);
    assert_eq!(browser.get(&url("/api/x")).status, 200);
    let seen = world.app.requests().pop().expect("it came");
    assert_eq!(seen.all("x-forwarded-user"), ["octocat"]);
    let (_, stranger) = world.signed_in("stranger", &url("/"));
    assert_eq!(stranger.status, 403);
}

fn upload(world: &World, browser: &Browser, path: &str, bytes: usize, length: bool) -> Response {
    let id = browser.session(APP).expect("signed in");
    let mut connection = Connection::open(world.gate.address);
    let body = "x".repeat(bytes);
    let (field, body) = if length {
        (format!("content-length: {bytes}"), body)
    } else {
        ("transfer-encoding: chunked".to_owned(), format!("{bytes:x}\r\n{body}\r\n0\r\n\r\n"))
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {APP}\r\ncookie: __Host-gatekeep={id}\r\n{field}\r\n\r\n"
    );
    // A body that is refused is not read to its end.
    drop(connection.send(format!("{head}{body}").as_bytes()));
    connection.receive(false).expect("an answer")
}

#[test]
fn a_rule_has_bounds_of_its_own() {
    let world = World::with("", ROUTES);
    let mut browser = someone(&world);
    for length in [true, false] {
        let status =
            |path: &str, bytes: usize| upload(&world, &browser, path, bytes, length).status;
        assert_eq!(status("/x", 1024), 200);
        assert_eq!(status("/x", 1025), 413);
        assert_eq!(status("/api/large", 4096), 200);
        assert_eq!(status("/api/large", 4097), 413);
    }
    let refused = upload(&world, &browser, "/api/large", 5000, true);
    assert!(is_json(&refused, "body-too-large"), "{}", refused.text());
    assert_eq!(browser.fetch(&url("/slow?ms=1500")).status, 200, "a rule gives it 30 seconds");
    assert_eq!(browser.fetch(&url("/hang")).status, 504, "control: elsewhere one");
}

// === tokens of the app's own ===

const TOKENS: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    rules:
      - { path: /api/admin, allow: { teams: [acme/admins] }, answers: json }
      - { path: /api/closed, allow: nobody }
      - { path: /api/files, bearer: { prefix: tk_ } }
      - { path: /api/down, bearer: { query: token } }
      - { path: /api/any, bearer: any }
";

const OWN: &str = "Bearer tk_0123456789";

/// Names and values.
type Fields<'f> = &'f [(&'f str, &'f str)];

/// A program: whatever it is asked to say, and no cookie.
fn program(world: &World, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
    world.browser().send(method, &url(path), fields, "")
}

#[test]
fn a_token_of_the_apps_own_passes_untouched_and_as_nobody() {
    let world = World::with("", TOKENS);
    for (method, path, token) in [
        ("GET", "/api/files", OWN),
        ("POST", "/api/files/upload?x=y", OWN),
        ("DELETE", "/api/any/1", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"),
    ] {
        let hits = world.app.hits();
        let claims = [
            ("authorization", token),
            ("x-forwarded-user", "octocat"),
            ("x-gatekeep-jwt", "x.y.z"),
            ("x_forwarded_user", "octocat"),
        ];
        let answer = program(&world, method, path, &claims);
        assert_eq!((answer.status, world.app.hits()), (200, hits + 1), "{method} {path}");
        let seen = world.app.requests().pop().expect("it came");
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, path));
        assert_eq!(seen.all("authorization"), [token]);
        for name in ["x-forwarded-user", "x-gatekeep-jwt", "x_forwarded_user", "cookie"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
    let download = "/api/down/1?token=eyJ.eyJ.x&y=z";
    assert_eq!(program(&world, "GET", download, &[]).status, 200);
    assert_eq!(world.app.requests().pop().expect("it came").target, download);
    assert!(world.gate.access_log().contains("reason=app-token"));
    assert!(!world.gate.access_log().contains("eyJ"), "no token is logged");
}

/// The gateway cannot judge these tokens, so it takes them where a rule says so, in the very form
/// that it says, and nowhere else.
#[test]
fn a_token_of_the_apps_own_opens_nothing_but_what_it_is_for() {
    let world = World::with("", TOKENS);
    let hits = world.app.hits();
    let own = ("authorization", OWN);
    let key = format!("Bearer gk_{}", "A".repeat(43));
    let cases: [(&str, Fields<'_>, u16); 17] = [
        ("/", &[own], 401),
        ("/api", &[own], 401),
        ("/api/filesx", &[own], 401),
        ("/api/admin", &[own], 401),
        ("/api/closed", &[own], 403),
        ("/api/FILES", &[own], 400),
        ("/api/files/..%2fadmin", &[own], 400),
        ("/api/files", &[], 401),
        ("/api/files?token=tk_0123456789", &[], 401),
        ("/api/files", &[("authorization", "")], 401),
        ("/api/files", &[("authorization", "Bearer eyJ.eyJ.x")], 401),
        ("/api/files", &[("authorization", "tk_0123456789")], 401),
        ("/api/files", &[("authorization", "Basic dGtfMDp4")], 401),
        ("/api/files", &[own, own], 401),
        ("/api/files", &[own, ("authorization", &key)], 401),
        ("/api/any", &[("authorization", &key)], 401),
        ("/api/down?token=", &[], 401),
    ];
    for (path, fields, status) in cases {
        let answer = program(&world, "GET", path, fields);
        assert_eq!((answer.status, world.app.hits()), (status, hits), "{path} {fields:?}");
        assert_eq!(answer.header("location"), None, "{path}");
    }
    let navigation = world.browser().get(&url("/api/files/1"));
    assert!(navigation.status == 401 && is_json(&navigation, "no-session"), "never a redirect");
    assert_eq!(program(&world, "GET", "/api/files", &[own]).status, 200, "control");
}

/// A session is judged as anywhere: a token beside it gives no rights, and takes none.
#[test]
fn beside_a_session_a_token_changes_nothing() {
    let world = World::with("", TOKENS);
    let own = [("authorization", OWN)];
    let mut octocat = someone(&world);
    assert_eq!(octocat.send("GET", &url("/api/files"), &own, "").status, 200);
    let seen = world.app.requests().pop().expect("it came");
    assert_eq!(seen.all("x-forwarded-user"), ["octocat"]);
    assert_eq!(seen.all("authorization"), [OWN]);
    let mut stranger = world.signed_in("stranger", &url("/")).0;
    let hits = world.app.hits();
    let refused = stranger.send("GET", &url("/api/files"), &own, "");
    assert_eq!((refused.status, world.app.hits()), (403, hits));
}

// === pages of other origins ===

const GUARDED: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    same_origin: true
    public: [/hook]
    rules: [{ path: /api, bearer: any }]
  - name: open
    host: auth.example.com
    upstream: @APP@
    allow: anyone
";

const PAGE: (&str, &str) = ("origin", "https://app.example.com");

/// An app that takes the gateway's word for who asks has no token of its own in its forms. A page of
/// a neighbour host gets the cookie sent along: cross-site request forgery.
#[test]
fn a_page_of_another_origin_changes_nothing() {
    let world = World::with("", GUARDED);
    let mut browser = someone(&world);
    let hits = world.app.hits();
    let places: [&[(&str, &str)]; 15] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "https://auth.example.com")],
        &[("origin", "http://app.example.com")],
        &[("origin", "https://app.example.com:8443")],
        &[("origin", "https://app.example.com.evil.example")],
        &[("origin", "https://APP.example.com")],
        &[("origin", "null")],
        &[("origin", "")],
        &[PAGE, ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "none")],
        &[PAGE, ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ];
    for from in places {
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let answer = browser.send(method, &url("/api/notes"), from, "");
            assert_eq!((answer.status, world.app.hits()), (403, hits), "{method} {from:?}");
            assert!(is_json(&answer, "cross-origin-write"), "{}", answer.text());
        }
    }
    let controls: [&[(&str, &str)]; 3] =
        [&[PAGE], &[("sec-fetch-site", "same-origin")], &[PAGE, ("sec-fetch-site", "same-origin")]];
    for from in controls {
        assert_eq!(browser.send("POST", &url("/api/notes"), from, "").status, 200, "{from:?}");
    }
}

#[test]
fn reading_and_whatever_has_no_cookie_of_ours_needs_no_page() {
    let world = World::with("", GUARDED);
    let mut browser = someone(&world);
    for method in ["GET", "HEAD", "OPTIONS"] {
        let from = [("sec-fetch-site", "cross-site")];
        assert_eq!(browser.send(method, &url("/x"), &from, "").status, 200, "{method}");
    }
    let hook = program(&world, "POST", "/hook", &[("origin", "https://elsewhere.example")]);
    assert_eq!(hook.status, 200, "public");
    let token = program(&world, "POST", "/api/notes", &[("authorization", OWN)]);
    assert_eq!(token.status, 200, "a token of the app's own");
    let own = "https://auth.example.com/x";
    assert_eq!(browser.send("POST", own, &[], "").status, 200, "a route that does not ask for it");
}

/// The status of a request to open a socket.
fn opens_socket(world: &World, browser: &Browser, origin: &str) -> u16 {
    let id = browser.session(APP).expect("signed in");
    let mut connection = Connection::open(world.gate.address);
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: {APP}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\
         cookie: __Host-gatekeep={id}\r\n\r\n"
    );
    connection.send(request.as_bytes()).expect("the gateway reads");
    connection.receive(false).expect("an answer").status
}

#[test]
fn a_socket_without_an_origin_is_no_page_s() {
    let world = World::with("", GUARDED);
    let browser = someone(&world);
    let own = "origin: https://app.example.com\r\n";
    for (origin, status) in [(own, 101), ("", 403), ("origin: https://evil.example\r\n", 403)] {
        assert_eq!(opens_socket(&world, &browser, origin), status, "{origin:?}");
    }
}

// === what passes to the app ===

const CAREFUL: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    strip_query: [token]
    strip_headers: [X-Session-ID]
    placeholder_cookie: gk=1
    forwarded_for: client
    public: [/public]
    rules: [{ path: /api, bearer: { query: token } }]
";

/// An app that takes a token from the query lets a link say who is asking: whoever follows it writes
/// notes into somebody else's account.
#[test]
fn a_parameter_that_is_stripped_names_nobody_else() {
    let world = World::with("", CAREFUL);
    let mut browser = someone(&world);
    for (sent, came) in [
        ("/x?token=evil", "/x"),
        ("/x?a=1&token=evil&b=%20", "/x?a=1&b=%20"),
        ("/api/x?Token=evil&tok%65n=evil&a", "/api/x?a"),
        ("/x?a;token=evil", "/x?a"),
        ("/x?tokens=1", "/x?tokens=1"),
        ("/x?", "/x?"),
    ] {
        assert_eq!(browser.fetch(&url(sent)).status, 200, "{sent}");
        let seen = world.app.requests().pop().expect("it came");
        assert_eq!(
            (seen.target.as_str(), seen.header("x-forwarded-user")),
            (came, Some("octocat"))
        );
    }
    for sent in ["/public?token=own", "/api/x?token=own"] {
        assert_eq!(program(&world, "GET", sent, &[]).status, 200, "{sent}");
        assert_eq!(world.app.requests().pop().expect("it came").target, sent, "control: as nobody");
    }
}

#[test]
fn fields_that_are_stripped_never_reach_the_app() {
    let world = World::with("", CAREFUL);
    let mut browser = someone(&world);
    let fields =
        [("X-Session-Id", "1"), ("x_session_id", "2"), ("XSessionID", "3"), ("x-ses", "4")];
    assert_eq!(browser.send("GET", &url("/x"), &fields, "").status, 200);
    assert_eq!(program(&world, "GET", "/public", &fields).status, 200);
    for seen in world.app.requests().iter().rev().take(2) {
        let is_ours = |name: &str| name.contains("session");
        assert!(!seen.headers.iter().any(|(name, _)| is_ours(name)), "{seen:?}");
        assert_eq!(seen.header("x-ses"), Some("4"));
    }
}

/// Some caches take a request without a cookie for one whose answer everybody may be shown.
#[test]
fn an_app_that_wants_a_cookie_gets_one() {
    let world = World::with("", CAREFUL);
    let mut browser = someone(&world);
    let cookies = |world: &World| {
        let seen = world.app.requests().pop().expect("it came");
        seen.all("cookie").join(" + ")
    };
    browser.fetch(&url("/x"));
    assert_eq!(cookies(&world), "gk=1", "the session's own does not pass");
    program(&world, "GET", "/public", &[]);
    assert_eq!(cookies(&world), "gk=1");
    browser.plant(APP, "theme", "dark");
    browser.fetch(&url("/x"));
    assert_eq!(cookies(&world), "theme=dark");
}

#[test]
fn an_app_that_counts_clients_gets_one_address() {
    let world = World::with("trusted_proxies: [127.0.0.1]\n", CAREFUL);
    let chained =
        World::with("trusted_proxies: [127.0.0.1]\n", &CAREFUL.replace("client", "chain"));
    for (world, said) in [(&world, "203.0.113.7"), (&chained, "203.0.113.7, 127.0.0.1")] {
        let browser = world.browser().coming_from("198.51.100.9, 203.0.113.7");
        let claims = [("forwarded", "for=192.0.2.1"), ("x-real-ip", "192.0.2.1")];
        let answer = browser.clone().send("GET", &url("/public"), &claims, "");
        assert_eq!(answer.status, 200);
        let seen = world.app.requests().pop().expect("it came");
        assert_eq!(seen.all("x-forwarded-for"), [said]);
        assert_eq!(seen.all("x-real-ip"), ["203.0.113.7"]);
        assert_eq!(seen.header("forwarded"), None);
    }
}

/// What reaches an app that answers once on its first connection, then reads a request and closes.
fn seen_by_a_closing_app(method: &str, more: &str) -> (u16, Vec<String>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = seen.clone();
    let app = upstream::serve(move |connection, mut stream| {
        for number in 0.. {
            let Some(head) = upstream::read_head(&mut stream) else { return };
            let line = head.split(' ').next().unwrap_or_default().to_owned();
            lines.lock().expect("nobody panics").push(line);
            if connection == 0 && number == 1 {
                return;
            }
            upstream::answer(&mut stream, "done");
        }
    });
    let routes = format!(
        "\n  - {{ name: app, host: {APP}, upstream: 'http://{app}', public: ['/*'], allow: anyone{more} }}\n"
    );
    let world = World::with("", &routes);
    // On one connection: its second request comes when the app's is free again.
    let mut client = Connection::open(world.gate.address);
    let mut status = |method: &str| {
        let request = format!("{method} / HTTP/1.1\r\nhost: {APP}\r\n\r\n");
        client.send(request.as_bytes()).expect("the gateway reads");
        client.receive(false).expect("an answer").status
    };
    assert_eq!(status("GET"), 200);
    let status = status(method);
    let seen = seen.lock().expect("nobody panics").clone();
    (status, seen)
}

/// The app may have done what it did not answer: a backup is not made twice.
#[test]
fn a_write_that_breaks_off_is_not_sent_again() {
    let safe = ", resend: safe";
    let preset = ", preset: trackeep";
    for (method, more, status, times) in [
        ("POST", preset, 502, 1),
        ("PUT", preset, 502, 1),
        ("PATCH", preset, 502, 1),
        ("DELETE", preset, 502, 1),
        // With the one that went well.
        ("GET", preset, 200, 3),
        ("POST", "", 502, 1),
        ("PATCH", safe, 502, 1),
        ("PUT", safe, 502, 1),
        ("DELETE", safe, 502, 1),
        ("PUT", "", 200, 2),
        ("OPTIONS", safe, 200, 2),
    ] {
        let (answered, seen) = seen_by_a_closing_app(method, more);
        let count = seen.iter().filter(|line| *line == method).count();
        assert_eq!((answered, count), (status, times), "{method}{more}: {seen:?}");
    }
}

// === redirects of the app ===

const LEADING: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    public: [/login/public]
    rules:
      - { path: /login, own_redirects: { parameters: [next], cookies: [next_page] } }
      - { path: /back, own_redirects: { location: true } }
";

const HERE: &str = "https://app.example.com";

/// The old wound of such logins: a link says where the app sends its visitor's token. Whatever the
/// link says, the app hears of its own site or nothing.
#[test]
fn a_link_cannot_ask_the_app_to_lead_elsewhere() {
    let world = World::with("", LEADING);
    let mut browser = someone(&world);
    let (mut refused, mut passed) = (0, 0);
    for target in targets().into_iter().filter(|target| !target.is_empty()) {
        for path in ["/login", "/login/public"] {
            let hits = world.app.hits();
            let link = url(&format!("{path}?a=b&{}", encode(&[("next", &target)])));
            let status = browser.get(&link).status;
            if status == 200 {
                passed += 1;
                let page = url(path);
                assert_eq!(origin_of(&join(&page, &target)), HERE, "{target:?} reached the app");
            } else {
                refused += 1;
                assert_eq!((status, world.app.hits()), (400, hits), "{target:?}");
            }
        }
    }
    assert!(refused > 200, "{refused} refused, {passed} passed");
    let (hits, evil) = (world.app.hits(), "https%3A%2F%2Fevil.example");
    for query in [
        format!("next={evil}"),
        format!("NEXT={evil}"),
        format!("n%65xt={evil}"),
        format!("next=%2Fa&next={evil}"),
        format!("next={evil}&next=%2Fa"),
        format!("a=b;next={evil}"),
        "next=https://auth.example.com/".to_owned(),
    ] {
        for browser in [&mut world.browser(), &mut browser] {
            let answer = browser.get(&url(&format!("/login?{query}")));
            assert_eq!((answer.status, world.app.hits()), (400, hits), "{query}");
            assert!(answer.text().contains("foreign-redirect"), "{}", answer.text());
        }
    }
    for good in [
        "next=/notes%3Fa=b",
        "next=",
        "next=https://app.example.com/auth/callback",
        "next=https://app.example.com",
        "to=https://evil.example",
    ] {
        assert_eq!(browser.get(&url(&format!("/login?{good}"))).status, 200, "control: {good}");
    }
    assert_eq!(browser.get(&url(&format!("/other?next={evil}"))).status, 200, "control: elsewhere");
}

/// A neighbour host plants a cookie for all of the domain, or the link stands on its own page.
#[test]
fn a_planted_cookie_or_the_page_before_leads_nobody_elsewhere() {
    let world = World::with("", LEADING);
    let mut browser = someone(&world);
    browser.plant(APP, "theme", "dark");
    let sent = |world: &World, browser: &mut Browser, fields: &[(&str, &str)]| {
        assert_eq!(browser.send("GET", &url("/login"), fields, "").status, 200);
        let seen = world.app.requests().pop().expect("it came");
        ["cookie", "referer", "origin"].map(|name| seen.header(name).unwrap_or("").to_owned())
    };
    for evil in [
        "https://evil.example",
        "https%3A%2F%2Fevil.example%2F",
        "\"https://evil.example\"",
        "//evil.example",
        "/%2Fevil.example=x",
        "/%2Fevil.example&x",
        "%2F%2Fevil.example",
        "/%5Cevil.example",
        "https://app.example.com@evil.example/",
        "javascript:alert(1)",
    ] {
        browser.plant(APP, "next_page", evil);
        assert_eq!(sent(&world, &mut browser, &[])[0], "theme=dark", "{evil}");
        browser.forget(APP, "next_page");
        browser.plant(APP, "Next_Page", evil);
        assert_eq!(sent(&world, &mut browser, &[])[0], "theme=dark", "{evil}");
        browser.forget(APP, "Next_Page");
    }
    for own in ["https%3A%2F%2Fapp.example.com%2Fauth%2Fcallback", "/notes?a=b", ""] {
        browser.plant(APP, "next_page", own);
        let cookies = sent(&world, &mut browser, &[])[0].clone();
        assert!(cookies.contains(&format!("next_page={own}")), "control: {cookies}");
    }
    let evil = [("referer", "https://evil.example/"), ("origin", "https://evil.example")];
    assert_eq!(sent(&world, &mut browser, &evil)[1..], ["", ""]);
    assert_eq!(sent(&world, &mut browser, &evil[..1])[1..], ["", ""]);
    let own = [("referer", "https://app.example.com/notes?a=b"), ("origin", HERE)];
    assert_eq!(sent(&world, &mut browser, &own)[1..], own.map(|(_, value)| value), "control");
}

/// The app itself may be wrong, or told wrong: what it hands over goes nowhere else.
#[test]
fn an_answer_that_leads_elsewhere_is_not_passed_on() {
    let app = upstream::serve(|_, mut stream| {
        while let Some(head) = upstream::read_head(&mut stream) {
            let name = upstream::field(&head, "x-name").unwrap_or("location");
            let Some(value) = upstream::field(&head, "x-value") else {
                upstream::answer(&mut stream, "a page");
                continue;
            };
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\n{name}: {value}\r\ncontent-length: 0\r\n\r\n"
            );
            if std::io::Write::write_all(&mut stream, answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let world = World::with("", &LEADING.replace("@APP@", &format!("http://{app}")));
    let mut browser = world.signed_in("octocat", &url("/")).0;
    for (name, value) in [
        ("location", "https://evil.example/?token=x"),
        ("location", "//evil.example/"),
        ("location", "/\\evil.example/"),
        ("location", "http://app.example.com/"),
        ("location", "https://app.example.com:8443/"),
        ("location", "https://app.example.com@evil.example/"),
        ("location", "https://user@app.example.com/"),
        ("location", "javascript:alert(1)"),
        ("refresh", "0;url=https://evil.example"),
    ] {
        let lead = [("x-name", name), ("x-value", value), ("accept", "text/html")];
        let answer = browser.send("GET", &url("/back"), &lead, "");
        assert_eq!((answer.status, answer.header("location")), (502, None), "{value}");
        assert!(answer.text().contains("redirected-away"), "{}", answer.text());
        assert_eq!(browser.send("GET", &url("/login"), &lead, "").status, 307, "control: {value}");
    }
    for value in ["https://app.example.com/auth/callback?token=x", "/notes", "notes", "?a"] {
        let answer = browser.send("GET", &url("/back"), &[("x-value", value)], "");
        assert_eq!(answer.status, 307, "control: {value}");
    }
}
