//! What passes through the gateway to the app and back: unchanged, unbuffered, and with the
//! identity of the visitor who sent it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatekeep::clock::Clock;
use gatekeep::simulator::{Echo, EchoSettings};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::child::Run;
use crate::support::http::{Connection, Response};
use crate::support::upstream::{self, Authority};
use crate::support::{World, eventually};

const APP: &str = "app.example.com";
const HOME: &str = "https://app.example.com/";
const MIB: u64 = 1024 * 1024;

// === helpers ===

/// A header of a signed-in visitor: the request line, Host, cookie, and whatever else.
fn head(browser: &Browser, line: &str, more: &str) -> String {
    let id = browser.session(APP).expect("signed in");
    format!("{line} HTTP/1.1\r\nhost: {APP}\r\ncookie: __Host-gatekeep={id}\r\n{more}\r\n")
}

/// A public request.
fn public(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {APP}\r\n{more}\r\n")
}

fn exchange(connection: &mut Connection, request: &str) -> Response {
    connection.send(request.as_bytes()).expect("the gateway reads");
    connection.receive(request.starts_with("HEAD ")).expect("an answer")
}

/// Whether the other side closes before it says anything.
fn is_closed(connection: &mut Connection) -> bool {
    let mut byte = [0];
    match connection.stream().read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Routes with one public app at this upstream.
fn public_route(upstream: &str, more: &str) -> String {
    format!(
        "\n  - {{ name: app, host: {APP}, upstream: '{upstream}', public: ['/*'], allow: anyone, \
         {more} }}\n"
    )
}

/// Presses the button of the sign-out page.
fn sign_out(browser: &mut Browser) -> Response {
    let page = browser.get("https://app.example.com/.gatekeep/sign_out").text();
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    let token = rest.split('"').next().expect("a token").to_owned();
    browser.post("https://app.example.com/.gatekeep/sign_out", &[("csrf", &token)])
}

// === streams ===

const HANDSHAKE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         origin: https://app.example.com\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                         upgrade: websocket\r\n\r\n";

#[test]
fn a_websocket_carries_bytes_both_ways_until_its_visitor_signs_out() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", HOME);
    let mut socket = Connection::open(world.gate.address);
    let answer = exchange(&mut socket, &head(&browser, "GET /ws", HANDSHAKE));
    assert_eq!(answer.status, 101, "{}", answer.text());
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for text in [&b"hello"[..], b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"] {
        socket.send(text).expect("it is open");
        assert_eq!(socket.read_some(text.len()), text);
    }
    assert_eq!(world.app.open_streams(), 1);
    assert!(sign_out(&mut browser).text().contains("You are signed out"));
    // The gateway asks whenever data flows, so the next byte is the last.
    drop(socket.send(b"still there?"));
    assert!(is_closed(&mut socket), "the socket of a visitor who left is open");
    eventually("the app's end is closed", || world.app.open_streams() == 0);
}

/// A socket that stays open is no way around: its visitor is asked about while it is in use.
#[test]
fn a_websocket_ends_when_its_visitor_has_left_the_organisation() {
    let world = World::new();
    let (browser, _) = world.signed_in("octocat", HOME);
    let mut socket = Connection::open(world.gate.address);
    assert_eq!(exchange(&mut socket, &head(&browser, "GET /ws", HANDSHAKE)).status, 101);
    let mut echoes = || socket.send(b"ping").is_ok() && socket.read_some(4) == b"ping";
    let every = Duration::from_secs(600);
    world.gate.clock.advance(every);
    assert!(echoes(), "control: facts are renewed beside it");
    let renewed = "gatekeep_rechecks_total{result=\"renewed\"}";
    eventually("they are", || world.gate.metric(renewed) == Some(1.0));
    assert!(echoes(), "control: and it goes on");
    world.github.remove_from_org("octocat", "acme");
    world.gate.clock.advance(every);
    eventually("the socket is cut", || !echoes());
}

/// Takes every socket that is asked for and says back what it is told; the header of each.
fn take_socket(stream: &mut (impl Read + Write)) -> Option<String> {
    let head = upstream::read_head(stream)?;
    drop(stream.write_all(SWITCHING.as_bytes()).and_then(|()| stream.flush()));
    say_back(stream);
    Some(head)
}

fn say_back(stream: &mut (impl Read + Write)) {
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        drop(stream.write_all(&bytes[..count]).and_then(|()| stream.flush()));
    }
}

/// Whether a socket opens and then carries a word to the app and back.
fn opens_socket(world: &World) -> bool {
    let mut socket = Connection::open(world.gate.address);
    let answer = exchange(&mut socket, &public("GET /ws", HANDSHAKE));
    assert_eq!(answer.status, 101, "{}", answer.text());
    let mut said = [0; 5];
    // One that is closed may take it all the same.
    drop(socket.send(b"hello"));
    socket.stream().read_exact(&mut said).is_ok() && &said == b"hello"
}

/// As quick as an app can be: its answer is there before the request.
#[test]
fn a_websocket_stays_open_however_quickly_the_app_answers() {
    let app = upstream::serve(|_, mut stream| {
        drop(stream.write_all(SWITCHING.as_bytes()));
        if upstream::read_head(&mut stream).is_some() {
            say_back(&mut stream);
        }
    });
    let world = World::with("", &public_route(&format!("http://{app}"), ""));
    let closed = (0..100).filter(|_| !opens_socket(&world)).count();
    assert_eq!(closed, 0, "of 100");
}

#[test]
fn a_websocket_opens_by_unix_socket_and_by_tls_with_the_header_that_was_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let (came, heads) = channel();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let by_unix = came.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            drop(by_unix.send(take_socket(&mut stream)));
        }
    });
    let authority = Authority::new();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("it can be written");
    let config = authority.issue(directory.path(), "app", &["app.internal"]).server_config();
    let app = upstream::serve(move |_, stream| {
        let session = rustls::ServerConnection::new(config.clone()).expect("a session");
        let head = take_socket(&mut rustls::StreamOwned::new(session, stream));
        drop(came.send(head));
    });
    let tls = format!("upstream_tls: {{ ca: '{}', server_name: app.internal }}", ca.display());
    for (upstream, more) in
        [(format!("unix:{}", path.display()), ""), (format!("https://{app}"), &*tls)]
    {
        let world = World::with("", &public_route(&upstream, more));
        assert!(opens_socket(&world), "{upstream}");
        let head = heads.recv().expect("the socket ends").expect("it was asked for");
        assert!(head.starts_with("GET /ws HTTP/1.1\r\n"), "{head}");
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            assert_eq!(upstream::field(&head, name), Some(value), "{upstream}: {head}");
        }
    }
}

/// An app that refuses is heard, and no connection to it is left behind.
#[test]
fn a_websocket_that_the_app_refuses_is_an_answer_like_any_other() {
    let closed: Arc<Mutex<Vec<usize>>> = Arc::default();
    let ended = closed.clone();
    let app = upstream::serve(move |connection, mut stream| {
        while let Some(head) = upstream::read_head(&mut stream) {
            let wants_socket = upstream::field(&head, "upgrade").is_some();
            upstream::answer(&mut stream, if wants_socket { "not here" } else { "a page" });
        }
        ended.lock().expect("nobody panics").push(connection);
    });
    let world = World::with("", &public_route(&format!("http://{app}"), ""));
    let mut connection = Connection::open(world.gate.address);
    let mut ask = |more: &str| exchange(&mut connection, &public("GET /ws", more));
    for _ in 0..3 {
        let (refusal, page) = (ask(HANDSHAKE), ask(""));
        assert_eq!((refusal.status, refusal.text().as_str()), (200, "not here"));
        assert_eq!((page.status, page.text().as_str()), (200, "a page"));
    }
    // The three pages share the second.
    eventually("the connections of the refused are closed, and no other", || {
        let mut closed = closed.lock().expect("nobody panics").clone();
        closed.sort_unstable();
        closed == [0, 2, 3]
    });
}

#[test]
fn a_websocket_without_a_session_gets_no_further_than_the_gateway() {
    let world = World::new();
    let request = public("GET /ws", HANDSHAKE);
    let answer = world.gate.raw(request.as_bytes()).expect("an answer");
    assert_eq!((answer.status, world.app.hits()), (401, 0));
}

#[test]
fn an_event_reaches_the_browser_before_the_next_one_is_sent() {
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let app = upstream::serve(move |_, mut stream| {
        upstream::read_head(&mut stream).expect("a request");
        let mut say = |text: &str| drop(stream.write_all(text.as_bytes()));
        say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
        for event in ["data: 2\n\n", "data: 3\n\n"] {
            if wait.lock().expect("one visitor").recv().is_err() {
                return;
            }
            say(event);
        }
    });
    let world = World::with("", &public_route(&format!("http://{app}"), ""));
    let mut connection = Connection::open(world.gate.address);
    let request = public("GET /events", "accept: text/event-stream\r\n");
    connection.send(request.as_bytes()).expect("the gateway reads");
    let head = upstream::read_head(connection.stream()).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let chunked = upstream::field(&head, "transfer-encoding") == Some("chunked");
    for number in 1..=3 {
        if number > 1 {
            go_on.send(()).expect("the app waits");
        }
        let event = format!("data: {number}\n\n");
        let framed = if chunked { format!("9\r\n{event}\r\n") } else { event };
        assert_eq!(String::from_utf8_lossy(&connection.read_some(framed.len())), framed);
    }
}

/// A gateway in a process of its own, so that its memory can be told from the test's.
fn alone(app: &Echo) -> Run {
    Run::start(&format!(
        "listen: [{{ address: '127.0.0.1:0' }}]\nadmin: 127.0.0.1:0\n\
         public_url: https://auth.example.com\nsecret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\nthreads: 2\nroutes:{}",
        public_route(app.url(), "")
    ))
}

fn echo() -> Echo {
    let settings = EchoSettings { jwks_url: None, prefix: "/.gatekeep".to_owned() };
    Echo::start("127.0.0.1:0".parse().expect("an address"), settings).expect("the app starts")
}

/// The growth of the gateway's memory, at its peak, while something is done.
fn growth(run: &Run, work: impl FnOnce(SocketAddr)) -> u64 {
    let (_, before) = run.child.memory();
    work(run.address);
    run.child.memory().0.saturating_sub(before)
}

#[test]
fn a_download_of_300_mb_streams_through_little_memory() {
    const SIZE: u64 = 300_000_000;
    let app = echo();
    let run = alone(&app);
    let grown = growth(&run, |address| {
        let mut connection = Connection::open(address);
        let request = public(&format!("GET /big?bytes={SIZE}"), "connection: close\r\n");
        connection.send(request.as_bytes()).expect("the gateway reads");
        let head = upstream::read_head(connection.stream()).expect("an answer");
        assert_eq!(upstream::field(&head, "content-length"), Some("300000000"), "{head}");
        let sink = &mut std::io::sink();
        assert_eq!(std::io::copy(connection.stream(), sink).expect("all comes"), SIZE);
    });
    assert!(grown <= 64 * MIB, "the gateway grew by {} MiB", grown / MIB);
}

#[test]
fn an_upload_of_100_mb_streams_through_little_memory() {
    const SIZE: usize = 100_000_000;
    let app = echo();
    let run = alone(&app);
    let grown = growth(&run, |address| {
        let mut connection = Connection::open(address);
        let request = public("POST /upload", &format!("content-length: {SIZE}\r\n"));
        connection.send(request.as_bytes()).expect("the gateway reads");
        let piece = vec![b'u'; 100_000];
        for _ in 0..SIZE / piece.len() {
            connection.send(&piece).expect("the gateway reads on");
        }
        let answer = connection.receive(false).expect("an answer");
        assert_eq!((answer.status, &answer.json()["body_bytes"]), (200, &json!(SIZE)));
    });
    assert!(grown <= 64 * MIB, "the gateway grew by {} MiB", grown / MIB);
}

// === upstreams ===

#[test]
fn an_app_on_a_unix_socket_is_reached() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (came, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some(head) = upstream::read_head(&mut stream) {
                drop(came.send(head));
                upstream::answer(&mut stream, "by unix socket");
            }
        }
    });
    let world = World::with("", &public_route(&format!("unix:{}", path.display()), ""));
    let answer = world.gate.raw(public("GET /a?b=c", "").as_bytes()).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "by unix socket"));
    let head = heads.recv().expect("the app was asked");
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert_eq!(upstream::field(&head, "host"), Some(APP));
}

/// An app that speaks TLS with a certificate for `app.internal`.
fn tls_app(authority: &Authority, directory: &std::path::Path) -> SocketAddr {
    let config = authority.issue(directory, "app", &["app.internal"]).server_config();
    upstream::serve(move |_, stream| {
        let session = rustls::ServerConnection::new(config.clone()).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, stream);
        while upstream::read_head(&mut stream).is_some() {
            upstream::answer(&mut stream, "by TLS");
        }
    })
}

#[test]
fn an_app_with_tls_is_believed_by_the_routes_own_authority_and_name_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (ours, foreign) = (Authority::new(), Authority::new());
    std::fs::write(path("ours.pem"), ours.pem()).expect("it can be written");
    std::fs::write(path("foreign.pem"), foreign.pem()).expect("it can be written");
    let app = tls_app(&ours, directory.path());
    let route = |name: &str, ca: &str, server_name: &str| {
        format!(
            "\n  - {{ name: {name}, host: {APP}, path: /{name}, upstream: 'https://{app}', \
             upstream_tls: {{ ca: '{}', server_name: {server_name} }}, public: ['/{name}'], \
             allow: anyone }}",
            path(ca)
        )
    };
    let routes = [
        route("good", "ours.pem", "app.internal"),
        route("wrong-ca", "foreign.pem", "app.internal"),
        route("wrong-name", "ours.pem", "other.internal"),
    ];
    let world = World::with("", &(routes.concat() + "\n"));
    // In this order, so that a good connection lies in the pool when the others are asked.
    for (path, status, words) in [
        ("/good", 200, "by TLS"),
        ("/wrong-ca", 502, "Reason: upstream-unavailable"),
        ("/wrong-name", 502, "Reason: upstream-unavailable"),
        ("/good", 200, "by TLS"),
    ] {
        let request = public(&format!("GET {path}"), "");
        let answer = world.gate.raw(request.as_bytes()).expect("an answer");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
    }
}

/// A port where nobody listens and nobody else can begin to: our own end of a connection.
fn deaf_port() -> (TcpListener, TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let stream = TcpStream::connect(address).expect("it listens");
    let deaf = stream.local_addr().expect("it is bound");
    (listener, stream, deaf)
}

#[test]
fn an_app_that_is_down_gives_a_502_page_whose_request_is_in_the_log() {
    let (_listener, _stream, deaf) = deaf_port();
    let hangs_up = upstream::serve(|_, mut stream| drop(upstream::read_head(&mut stream)));
    let apps = [format!("http://{deaf}"), format!("http://{hangs_up}"), "unix:/no/such".into()];
    for (app, handshake) in apps.iter().flat_map(|app| [(app, ""), (app, HANDSHAKE)]) {
        let world = World::with("", &public_route(app, ""));
        let fields = format!("accept: application/json\r\n{handshake}");
        let request = public("GET /notes?secret=1", &fields);
        let answer = world.gate.raw(request.as_bytes()).expect("an answer");
        let page = answer.json();
        let id = page["request_id"].as_str().expect("an id");
        let expected = json!({
            "title": "The app does not answer",
            "message": "The gateway is well, but the app behind it is out of reach or broke off.",
            "error": page["message"],
            "help": ["Try again in a moment."],
            "facts": {},
            "reason": "upstream-unavailable",
            "request_id": id,
            "actions": [],
        });
        assert_eq!((answer.status, &page), (502, &expected), "{app}");
        eventually("the access line", || world.gate.access_log().contains(id));
        let log = world.gate.access_log();
        let line = log.lines().find(|line| line.contains(id)).expect("a line");
        for part in
            [" route=app ", " path=/notes ", " status=502 ", " reason=upstream-unavailable "]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!log.contains("secret=1"), "{log}");
    }
}

#[test]
fn an_app_that_takes_too_long_gives_a_504_page() {
    let world = World::with("", &public_route("@APP@", "timeouts: { read: 1s }"));
    let answer = world.gate.raw(public("GET /hang", "").as_bytes()).expect("an answer");
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("Reason: upstream-timeout"), "{}", answer.text());
    let control = world.gate.raw(public("GET /slow?ms=10", "").as_bytes()).expect("an answer");
    assert_eq!(control.status, 200);
}

#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    let world = World::with("", &public_route("@APP@", ""));
    let mut connection = Connection::open(world.gate.address);
    let mut ask = |line: &str, more: &str| exchange(&mut connection, &public(line, more));
    let head = ask("HEAD /big?bytes=70000", "");
    assert_eq!((head.status, head.header("content-length")), (200, Some("70000")));
    let unchanged = ask("GET /status/304", "if-none-match: \"a\"\r\n");
    assert_eq!((unchanged.status, unchanged.header("content-type")), (304, None));
    assert_eq!(ask("GET /status/204", "").status, 204);
    let get = ask("GET /big?bytes=70000", "");
    assert_eq!((get.status, get.body.len()), (200, 70_000));
    let seen: Vec<_> = world.app.requests().into_iter().map(|seen| seen.method).collect();
    assert_eq!(seen, ["HEAD", "GET", "GET", "GET"]);
    let validator = world.app.requests()[1].header("if-none-match").map(str::to_owned);
    assert_eq!(validator.as_deref(), Some("\"a\""));
}

// === connections shared by visitors ===

/// What an app was told: on which connection, for which path, who it is.
type Told = (usize, String, Option<String>, bool);

/// An app that notes whom each request is from.
fn noting_app() -> (SocketAddr, Arc<Mutex<Vec<Told>>>) {
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let notes = told.clone();
    let address = upstream::serve(move |connection, mut stream| {
        while let Some(head) = upstream::read_head(&mut stream) {
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            let user = upstream::field(&head, "x-forwarded-user").map(str::to_owned);
            let token = upstream::field(&head, "x-gatekeep-jwt").is_some();
            notes.lock().expect("nobody panics").push((connection, path, user, token));
            upstream::answer(&mut stream, "noted");
        }
    });
    (address, told)
}

#[test]
fn one_connection_to_the_app_serves_all_visitors_and_mixes_up_none() {
    let (app, told) = noting_app();
    let routes = format!(
        "\n  - {{ name: app, host: {APP}, upstream: 'http://{app}', allow: anyone, \
         public: ['/public/*'] }}\n"
    );
    let world = World::with("", &routes);
    let (octocat, _) = world.signed_in("octocat", HOME);
    let (mona, _) = world.signed_in("mona", HOME);
    told.lock().expect("nobody panics").clear();
    // One connection of the browser side, too: as behind a proxy in front.
    let mut connection = Connection::open(world.gate.address);
    let mut expected = Vec::new();
    for round in 0..5 {
        for (who, browser) in [("octocat", &octocat), ("mona", &mona)] {
            let path = format!("/{who}/{round}");
            let answer = exchange(&mut connection, &head(browser, &format!("GET {path}"), ""));
            assert_eq!(answer.status, 200);
            expected.push((path, Some(who.to_owned()), true));
        }
        let path = format!("/public/{round}");
        assert_eq!(exchange(&mut connection, &public(&format!("GET {path}"), "")).status, 200);
        expected.push((path, None, false));
    }
    let told = told.lock().expect("nobody panics").clone();
    let connections: std::collections::BTreeSet<_> = told.iter().map(|told| told.0).collect();
    assert_eq!(connections.len(), 1, "the connection was not reused: {told:?}");
    let told: Vec<_> = told.into_iter().map(|(_, path, user, jwt)| (path, user, jwt)).collect();
    assert_eq!(told, expected);
}

// === identity tokens ===

/// A token taken apart: header, claims, what is signed, the signature.
fn parts(token: &str) -> (Value, Value, String, Vec<u8>) {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let parse = |part: &str| serde_json::from_slice(&decode(part)).expect("JSON");
    let pieces: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = pieces[..] else { panic!("{token} is no JWT") };
    (parse(header), parse(claims), format!("{header}.{claims}"), decode(signature))
}

/// The token that the app got last.
fn token(world: &World, name: &str) -> String {
    let seen = world.app.requests();
    let seen = seen.last().expect("the app was reached");
    assert_eq!(seen.all(name).len(), 1, "{name} of {:?}", seen.headers);
    seen.header(name).expect("a token").trim_start_matches("Bearer ").to_owned()
}

fn published(world: &World) -> Value {
    let mut nobody = world.browser();
    let keys = nobody.fetch("https://auth.example.com/.well-known/jwks.json");
    assert_eq!(keys.status, 200);
    keys.json()
}

#[test]
fn the_identity_token_verifies_with_the_published_key_and_says_who_for_whom_and_until_when() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", HOME);
    assert_eq!(browser.fetch("https://app.example.com/x").status, 200);
    let (header, claims, signed, signature) = parts(&token(&world, "x-gatekeep-jwt"));
    let jwk = published(&world)["keys"][0].take();
    let expected = json!({"alg": "ES256", "typ": "gatekeep-identity+jwt", "kid": jwk["kid"]});
    assert_eq!(header, expected);
    let point = |name: &str| {
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a coordinate")).expect("base64url")
    };
    let public = [vec![4], point("x"), point("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    key.verify(signed.as_bytes(), &signature).expect("the signature is good");
    let altered = signed.replacen('.', ".A", 1);
    assert!(key.verify(altered.as_bytes(), &signature).is_err());
    let now = world.gate.clock.now().unix();
    let host = world.github.url().strip_prefix("http://").expect("a URL");
    assert_eq!(
        claims,
        json!({
            "iss": "https://auth.example.com", "sub": format!("github:{host}:583231"),
            "aud": "https://app.example.com", "iat": now, "nbf": now - 30, "exp": now + 300,
            "sid": claims["sid"], "login": "octocat", "name": "The Octocat",
            "email": "octocat@github.example", "orgs": ["acme"], "teams": ["acme/platform"],
        })
    );
    let session = browser.session(APP).expect("signed in");
    let sid = claims["sid"].as_str().expect("a name of the session");
    assert!(sid.len() == 22 && !session.contains(sid), "{sid}");
}

#[test]
fn a_token_is_reused_for_four_fifths_of_its_life_and_then_renewed() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", HOME);
    let mut next = || {
        assert_eq!(browser.fetch("https://app.example.com/x").status, 200);
        token(&world, "x-gatekeep-jwt")
    };
    let first = next();
    assert_eq!(next(), first);
    world.gate.clock.advance(Duration::from_secs(239));
    assert_eq!(next(), first);
    world.gate.clock.advance(Duration::from_secs(1));
    let second = next();
    let (old, new) = (parts(&first).1, parts(&second).1);
    assert_ne!(second, first);
    assert_eq!(new["exp"].as_i64(), old["exp"].as_i64().map(|exp| exp + 240));
    assert_eq!(new["sid"], old["sid"]);
}

const SHARED: &str = "a-secret-that-the-app-shares-0123456789";

#[test]
fn a_route_with_a_shared_secret_gets_hs256_tokens() {
    let routes = format!(
        "\n  - {{ name: app, host: {APP}, upstream: '@APP@', allow: anyone, token: \
         {{ algorithm: HS256, secret: {SHARED}, audience: notes }} }}\n"
    );
    let world = World::with("", &routes);
    world.signed_in("octocat", HOME);
    let (header, claims, signed, signature) = parts(&token(&world, "x-gatekeep-jwt"));
    assert_eq!(header, json!({"alg": "HS256", "typ": "gatekeep-identity+jwt"}));
    assert_eq!((&claims["aud"], &claims["login"]), (&json!("notes"), &json!("octocat")));
    let verify = |secret: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        ring::hmac::verify(&key, signed.as_bytes(), &signature)
    };
    verify(SHARED).expect("the signature is good");
    assert!(verify("another-secret-of-the-same-length-012345").is_err());
}

#[test]
fn a_route_may_get_its_token_as_a_bearer_token_in_place_of_the_clients_own() {
    let routes = format!(
        "\n  - {{ name: app, host: {APP}, upstream: '@APP@', allow: anyone, \
         token: {{ header: Authorization }} }}\n"
    );
    let world = World::with("", &routes);
    let (browser, _) = world.signed_in("octocat", HOME);
    let request = head(&browser, "GET /x", "authorization: Bearer forged\r\n");
    assert_eq!(world.gate.raw(request.as_bytes()).expect("an answer").status, 200);
    let seen = world.app.requests().pop().expect("the app was reached");
    let field = seen.header("authorization").expect("a token").to_owned();
    let token = field.strip_prefix("Bearer ").expect("a bearer token");
    assert_eq!(parts(token).1["login"], "octocat");
    assert_eq!(seen.all("authorization").len(), 1);
    assert_eq!(seen.header("x-gatekeep-jwt"), None);
}

#[test]
fn the_keys_are_published_without_sign_in_where_apps_look_for_them() {
    let world = World::new();
    let mut nobody = world.browser();
    let keys = published(&world);
    let jwk = keys["keys"][0].as_object().expect("a key");
    let names: Vec<_> = jwk.keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    for url in [
        "https://auth.example.com/.gatekeep/jwks.json",
        "https://app.example.com/.gatekeep/jwks.json",
    ] {
        let answer = nobody.fetch(url);
        assert_eq!((answer.status, answer.json()), (200, keys.clone()), "{url}");
    }
    // On an app's host the well-known path is the app's own, behind its policy.
    let elsewhere = nobody.fetch("https://app.example.com/.well-known/jwks.json");
    assert_eq!((elsewhere.status, world.app.hits()), (401, 0));
}
