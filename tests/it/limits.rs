//! Bounds that protect the gateway: on time, header, connections and bodies; and that they spare
//! those who keep within them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::http::{Connection, Response};
use crate::support::{World, eventually};

const APP: &str = "app.example.com";

fn routes(more: &str) -> String {
    format!(
        "\n  - {{ name: app, host: {APP}, upstream: '@APP@', public: ['/*'], allow: anyone, \
         {more} }}\n"
    )
}

fn world(limits: &str) -> World {
    World::with(&format!("limits: {{ {limits} }}\n"), &routes(""))
}

fn request(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {APP}\r\n{more}\r\n")
}

fn exchange(connection: &mut Connection, request: &str) -> Response {
    connection.send(request.as_bytes()).expect("the gateway reads");
    connection.receive(false).expect("an answer")
}

// === time ===

/// How long the pauses of a slow client are: it listens meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Sends byte by byte, pausing after each, until the gateway answers or closes; returns how long
/// that took and what was answered. `None` when everything was sent first.
fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> Option<(Duration, Vec<u8>)> {
    let begun = Instant::now();
    stream.set_read_timeout(Some(PAUSE)).expect("it can be set");
    for byte in bytes {
        let sent = stream.write_all(&[*byte]);
        let mut answer = vec![0; 4096];
        match stream.read(&mut answer) {
            Ok(count) => {
                answer.truncate(count);
                return Some((begun.elapsed(), answer));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                sent.expect("it is open");
            }
            Err(_) => return Some((begun.elapsed(), Vec::new())),
        }
    }
    None
}

#[test]
fn a_header_that_trickles_in_is_cut_at_the_deadline_though_each_byte_comes_in_time() {
    let world = world("header_timeout: 1s");
    let endless = request("GET /", &format!("x-slow: {}\r\n", "s".repeat(400)));
    // The second header of a connection has the same deadline as the first.
    for before in [0, 1] {
        let mut connection = Connection::open(world.gate.address);
        for _ in 0..before {
            assert_eq!(exchange(&mut connection, &request("GET /", "")).status, 200);
        }
        let cut = trickle(connection.stream(), endless.as_bytes());
        let (after, _) = cut.expect("the header takes twenty seconds");
        let bounds = Duration::from_millis(900)..Duration::from_secs(10);
        assert!(bounds.contains(&after), "cut after {after:?}");
    }
    assert_eq!(world.app.hits(), 1);
}

#[test]
fn a_header_that_stops_after_its_first_byte_is_cut() {
    let world = world("header_timeout: 1s");
    let mut connection = Connection::open(world.gate.address);
    connection.send(b"G").expect("the gateway reads");
    let begun = Instant::now();
    connection.read_some(1);
    assert!(begun.elapsed() < Duration::from_secs(10), "it was held {:?}", begun.elapsed());
    eventually("the place is free", || world.gate.metric("gatekeep_connections ") == Some(0.0));
}

#[test]
fn a_client_that_is_slow_but_honest_is_not_cut() {
    let world = world("header_timeout: 1s");
    let mut connection = Connection::open(world.gate.address);
    // The header in pieces, but soon; the body far slower than any header may be.
    let head = request("POST /upload", "content-length: 40\r\n");
    let (first, second) = head.split_at(20);
    assert_eq!(trickle(connection.stream(), &first.as_bytes()[..4]), None);
    connection.send(&first.as_bytes()[4..]).expect("it is open");
    connection.send(second.as_bytes()).expect("it is open");
    let begun = Instant::now();
    assert_eq!(trickle(connection.stream(), &[b'b'; 39]), None);
    assert!(begun.elapsed() > Duration::from_millis(1500), "that was not slow");
    connection.stream().set_read_timeout(Some(Duration::from_secs(30))).expect("it can be set");
    connection.send(b"b").expect("it is open");
    let answer = connection.receive(false).expect("an answer");
    assert_eq!((answer.status, &answer.json()["body_bytes"]), (200, &serde_json::json!(40)));
    // An answer may take longer than a header, and so may the silence before the next request.
    assert_eq!(exchange(&mut connection, &request("GET /slow?ms=1500", "")).status, 200);
    let mut byte = [0];
    connection.stream().set_read_timeout(Some(Duration::from_millis(1500))).expect("it can");
    let silence = connection.stream().read(&mut byte).expect_err("nobody says anything");
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    connection.stream().set_read_timeout(Some(Duration::from_secs(30))).expect("it can be set");
    assert_eq!(exchange(&mut connection, &request("GET /", "")).status, 200);
}

// === the header's size ===

fn is_bad_header(answer: &Response) -> bool {
    answer.status == 400 && answer.text().contains("Reason: bad-header")
}

#[test]
fn a_header_with_too_many_bytes_or_fields_is_refused_and_one_that_just_fits_is_not() {
    let world = world("header_bytes: 4KiB, header_fields: 20");
    let ask = |more: &str| {
        let request = request("GET /x", more);
        world.gate.raw(request.as_bytes()).expect("an answer")
    };
    // `/x`, and name, value and `: ` `\r\n` of Host and of the long field.
    let used = "/x".len() + "host".len() + APP.len() + 4 + "x-long".len() + 4;
    let long = |count: usize| format!("x-long: {}\r\n", "l".repeat(count));
    let fields = |count: usize| -> String {
        let names: Vec<_> = (1..count).map(|number| format!("x-{number}: v\r\n")).collect();
        names.concat()
    };
    assert_eq!(ask(&long(4096 - used)).status, 200);
    assert!(is_bad_header(&ask(&long(4097 - used))));
    assert_eq!(ask(&fields(20)).status, 200);
    assert!(is_bad_header(&ask(&fields(21))));
    // A long path counts, too.
    let path = format!("GET /{} HTTP/1.1\r\nhost: {APP}\r\n\r\n", "p".repeat(4096));
    assert!(is_bad_header(&world.gate.raw(path.as_bytes()).expect("an answer")));
    assert_eq!(world.app.hits(), 2);
    let refused = |log: &str| log.matches(r#"reason=bad-header user="" status=400 "#).count();
    eventually("three access lines", || refused(&world.gate.access_log()) == 3);
    let written = world.gate.access_log();
    assert!(!written.contains("llllllll"), "{written}");
}

#[test]
fn a_header_beyond_every_bound_is_refused_or_cut_without_reaching_the_app() {
    let world = world("header_bytes: 4KiB");
    let request = request("GET /", &format!("x-long: {}\r\n", "l".repeat(3 * 1024 * 1024)));
    let mut connection = Connection::open(world.gate.address);
    // The gateway need not read to the end.
    drop(connection.send(request.as_bytes()));
    if let Some(answer) = connection.receive(false) {
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert_eq!(world.app.hits(), 0);
}

// === connections ===

/// A connection from one of this machine's own addresses that was served once.
fn served(world: &World) -> Connection {
    let mut connection = Connection::open(world.gate.address);
    assert_eq!(exchange(&mut connection, &request("GET /", "")).status, 200);
    connection
}

/// Whether the gateway closes a new connection at once.
fn is_refused(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it can be set");
    let sent = stream.write_all(request("GET /", "connection: close\r\n").as_bytes());
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer.is_empty(),
        Err(error) => sent.is_err() || error.kind() == ErrorKind::ConnectionReset,
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

/// A connection from another address of this machine.
fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let stream = runtime.expect("a runtime").block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(from.parse().expect("an address"), 0)).expect("it is ours");
        socket.connect(to).await.expect("it listens").into_std().expect("it is a socket")
    });
    stream.set_nonblocking(false).expect("it can be set");
    stream
}

#[test]
fn connections_in_all_are_limited_and_a_closed_one_makes_room() {
    let world = world("connections: 2, connections_per_address: 2");
    let refused = r#"gatekeep_connections_refused_total{limit="connections"}"#;
    let first = served(&world);
    let _second = served(&world);
    assert_eq!(world.gate.metric(refused), None);
    assert!(is_refused(connect(world.gate.address)));
    assert!(is_refused(connect_from("127.0.0.2", world.gate.address)));
    assert_eq!(world.gate.metric(refused), Some(2.0));
    assert_eq!(world.gate.metric("gatekeep_connections "), Some(2.0));
    drop(first);
    eventually("there is room", || world.gate.metric("gatekeep_connections ") == Some(1.0));
    assert!(!is_refused(connect(world.gate.address)));
    assert_eq!(world.gate.metric(refused), Some(2.0));
}

#[test]
fn connections_of_one_address_are_limited_and_others_are_served_meanwhile() {
    let world = world("connections: 10, connections_per_address: 2");
    let refused = r#"gatekeep_connections_refused_total{limit="connections_per_address"}"#;
    let first = served(&world);
    let _second = served(&world);
    assert!(is_refused(connect(world.gate.address)));
    assert!(!is_refused(connect_from("127.0.0.2", world.gate.address)));
    assert_eq!(world.gate.metric(refused), Some(1.0));
    drop(first);
    eventually("there is room", || world.gate.metric("gatekeep_connections ") == Some(1.0));
    assert!(!is_refused(connect(world.gate.address)));
}

// === bodies ===

#[test]
fn a_body_that_announces_too_much_is_refused_before_the_app_hears_of_it() {
    let world = World::with("", &routes("body_limit: 1KiB"));
    let ask = |length: usize| {
        let head = request("POST /upload", &format!("content-length: {length}\r\n"));
        let mut connection = Connection::open(world.gate.address);
        connection.send(head.as_bytes()).expect("the gateway reads");
        drop(connection.send(&vec![b'x'; length]));
        connection.receive(false).expect("an answer")
    };
    let answer = ask(1025);
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("Reason: body-too-large"), "{}", answer.text());
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(world.app.hits(), 0);
    assert_eq!(ask(1024).status, 200);
    assert_eq!(world.app.requests()[0].body_bytes, 1024);
}

#[test]
fn a_body_in_chunks_is_counted_and_the_app_never_has_all_of_it() {
    let world = World::with("", &routes("body_limit: 1KiB"));
    let head = request("POST /upload", "transfer-encoding: chunked\r\n");
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let ask = |chunks: usize| {
        let mut connection = Connection::open(world.gate.address);
        connection.send(head.as_bytes()).expect("the gateway reads");
        for _ in 0..chunks {
            drop(connection.send(chunk.as_bytes()));
        }
        drop(connection.send(b"0\r\n\r\n"));
        connection.receive(false).expect("an answer")
    };
    assert_eq!(ask(2).status, 200);
    let answer = ask(3);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("Reason: body-too-large"), "{}", answer.text());
    let bodies: Vec<_> = world.app.requests().iter().map(|seen| seen.body_bytes).collect();
    assert_eq!(bodies[0], 1024);
    assert!(bodies[1..].iter().all(|&bytes| bytes == 0), "the app had all of it: {bodies:?}");
}

/// A list of equal lengths is one length to us; an app that reads it as none takes the body for the
/// next request.
#[test]
fn a_length_is_said_once_and_as_a_number() {
    let world = World::new();
    let ask = |lengths: &str| {
        let request = format!("POST /public/x HTTP/1.1\r\nhost: {APP}\r\n{lengths}\r\n12345");
        world.gate.raw(request.as_bytes()).expect("an answer").status
    };
    for bad in [
        "content-length: 5, 5\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5,5\r\ncontent-length: 5\r\n",
        "content-length: +5\r\n",
    ] {
        assert_eq!(ask(bad), 400, "{bad}");
    }
    assert_eq!(world.app.hits(), 0);
    assert_eq!(ask("content-length: 5\r\n"), 200);
}

/// A header that is sent in pieces is not gathered without bound.
#[test]
fn a_header_without_an_end_is_cut_long_before_a_megabyte() {
    use std::io::Write;
    let world = World::new();
    let mut connection = Connection::open(world.gate.address);
    let mut sent = format!("GET /public/x HTTP/1.1\r\nhost: {APP}\r\n").len();
    let begun = connection.send(format!("GET /public/x HTTP/1.1\r\nhost: {APP}\r\n").as_bytes());
    begun.expect("the gateway reads");
    let piece = format!("x-more: {}\r\n", "a".repeat(8 * 1024));
    while sent < 900 * 1024 && connection.stream().write_all(piece.as_bytes()).is_ok() {
        sent += piece.len();
    }
    assert!(connection.receive(false).is_none(), "it was cut");
    assert_eq!(world.app.hits(), 0);
}
