//! Stopping: what is under way ends well, nothing new begins, and nobody waits for the idle.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::child::Run;
use crate::support::http::Connection;
use crate::support::upstream::Held;
use crate::support::{World, eventually};

fn yaml(held: &Held, grace: &str) -> String {
    format!(
        "listen: [{{ address: '127.0.0.1:0' }}]\nadmin: 127.0.0.1:0\n\
         public_url: https://auth.example.com\nsecret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\nthreads: 2\n\
         grace: {grace}\nroutes:\n  - {{ name: app, host: app.example.com, upstream: '{}', \
         public: ['/*'] }}\n",
        held.url
    )
}

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nhost: app.example.com\r\n\r\n";

#[test]
fn on_sigterm_the_request_under_way_ends_well_and_then_the_process_at_once() {
    let held = Held::start();
    let mut run = Run::start(&yaml(&held, "300s"));
    // One that was served and is idle, one that never said anything, one under way.
    let mut idle = Connection::open(run.address);
    idle.send(REQUEST).expect("the gateway reads");
    held.arrived();
    held.release();
    assert_eq!(idle.receive(false).expect("an answer").status, 200);
    let _silent = Connection::open(run.address);
    let mut under_way = Connection::open(run.address);
    under_way.send(REQUEST).expect("the gateway reads");
    held.arrived();
    run.child.signal("TERM");
    run.child.wait_for("stopping: requests in flight have 300s to finish", 1);
    let address = run.address;
    eventually("new connections are refused", || TcpStream::connect(address).is_err());
    held.release();
    let answer = under_way.receive(false).expect("it is answered");
    assert_eq!((answer.status, answer.text().as_str()), (200, "finished after 0 bytes"));
    let begun = Instant::now();
    assert_eq!(run.child.end().code(), Some(0));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "it waited {took:?} after the last request");
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let held = Held::start();
    for signal in ["TERM", "INT"] {
        let mut run = Run::start(&yaml(&held, "300s"));
        let mut idle: Vec<_> = (0..5).map(|_| Connection::open(run.address)).collect();
        for connection in &mut idle {
            connection.send(REQUEST).expect("the gateway reads");
            held.arrived();
            held.release();
            assert_eq!(connection.receive(false).expect("an answer").status, 200);
        }
        run.child.signal(signal);
        let begun = Instant::now();
        assert_eq!(run.child.end().code(), Some(0), "SIG{signal}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn the_grace_period_bounds_the_waiting() {
    let held = Held::start();
    let mut run = Run::start(&yaml(&held, "1s"));
    let mut under_way = Connection::open(run.address);
    under_way.send(REQUEST).expect("the gateway reads");
    held.arrived();
    let begun = Instant::now();
    run.child.signal("TERM");
    assert_eq!(run.child.end().code(), Some(0));
    let took = begun.elapsed();
    let bounds = Duration::from_millis(900)..Duration::from_secs(15);
    assert!(bounds.contains(&took), "it ended after {took:?}");
    assert!(under_way.receive(false).is_none(), "the app never answered");
}

#[test]
fn a_download_under_way_comes_to_its_end() {
    const SIZE: usize = 30_000_000;
    let routes = "\n  - { name: app, host: app.example.com, upstream: '@APP@', public: ['/*'] }\n";
    let mut world = World::with("grace: 300s", routes);
    let mut connection = Connection::open(world.gate.address);
    let request = format!("GET /big?bytes={SIZE} HTTP/1.1\r\nhost: app.example.com\r\n\r\n");
    connection.send(request.as_bytes()).expect("the gateway reads");
    // Far more than all buffers on the way hold, so most of it is still to come.
    let begun = connection.read_some(100_000);
    world.gate.stop();
    let address = world.gate.address;
    eventually("new connections are refused", || TcpStream::connect(address).is_err());
    let rest = connection.read_some(2 * SIZE);
    let all = [begun, rest].concat();
    let head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a header");
    assert_eq!(all.len() - head - 4, SIZE);
    world.gate.join();
}
