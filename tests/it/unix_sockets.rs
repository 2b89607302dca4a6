//! A listener on a Unix socket: who may open it reaches the gateway, and has no address.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gatekeep::simulator::Seen;
use tempfile::TempDir;

use crate::support::child::Run;
use crate::support::http::{Connection, Response};
use crate::support::upstream::Held;
use crate::support::{ROUTES, World, eventually};

const HOST: &str = "app.example.com";

/// A world whose gateway listens on two sockets beside its port.
struct Place {
    world: World,
    paths: [PathBuf; 2],
    _directory: TempDir,
}

// === impl Place ===

impl Place {
    fn new(keys: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = ["one.sock", "two.sock"].map(|name| directory.path().join(name));
        let [one, two] = paths.each_ref().map(|path| path.display().to_string());
        let listen = format!(
            "listen: [{{ address: '127.0.0.1:0' }}, {{ unix: {one} }}, {{ unix: {two}, mode: \"0660\" }}]\n"
        );
        let world = World::with(&format!("{listen}{keys}"), ROUTES);
        Self { world, paths, _directory: directory }
    }

    /// What is answered at the first socket.
    fn get(&self, path: &str, fields: &str) -> Response {
        let mut connection = Connection::at_socket(&self.paths[0]).expect("it listens");
        exchange(&mut connection, path, fields).expect("an answer")
    }

    /// What the app was told.
    fn told(&self, fields: &str) -> Seen {
        assert_eq!(self.get("/public/x", fields).status, 200);
        self.world.app.requests().pop().expect("the app was asked")
    }
}

/// The log says so of so many requests.
fn logged(place: &Place, times: usize, words: &str) {
    eventually("it is logged", || {
        let log = place.world.gate.access_log();
        log.lines().filter(|line| line.contains(words)).count() == times
    });
}

fn exchange<S: std::io::Read + std::io::Write>(
    connection: &mut Connection<S>,
    path: &str,
    fields: &str,
) -> Option<Response> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{fields}\r\n");
    connection.send(request.as_bytes()).ok()?;
    connection.receive(false)
}

#[test]
fn a_socket_leads_where_a_port_does() {
    let place = Place::new("");
    assert_eq!(place.get("/public/x", "").status, 200);
    for (path, mode) in place.paths.iter().zip([0o600, 0o660]) {
        let there = fs::metadata(path).expect("it is there");
        assert_eq!(there.permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let mut connection = Connection::at_socket(&place.paths[1]).expect("it listens");
    for _ in 0..3 {
        let again = exchange(&mut connection, "/public/x", "").expect("it is kept open");
        assert_eq!(again.status, 200);
    }
    logged(&place, 4, "client=unix");
}

/// What the gateway says of itself is `public_url`'s, whatever comes over which wire and claims what.
#[test]
fn what_is_secure_stays_so() {
    let place = Place::new("trusted_proxies: [unix]\n");
    let page = "accept: text/html\r\nsec-fetch-mode: navigate\r\nx-forwarded-proto: http\r\n";
    let asked = place.get("/page", page);
    assert_eq!(asked.status, 303, "{}", asked.text());
    let cookies: Vec<_> = asked.all("set-cookie").collect();
    assert!(!cookies.is_empty(), "an attempt to sign in begins");
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    }
    assert_eq!(place.told("x-forwarded-proto: http\r\n").all("x-forwarded-proto"), ["https"]);
}

const CLAIM: &str = "x-forwarded-for: 6.6.6.6, 203.0.113.7\r\nx-real-ip: 6.6.6.6\r\n";

#[test]
fn who_comes_by_a_socket_has_no_address_to_claim() {
    for (trusted, is_nobody) in
        [("", true), ("trusted_proxies: [127.0.0.1]\n", true), (UNIX, false)]
    {
        let place = Place::new(trusted);
        let told = place.told(CLAIM);
        let addresses = [told.all("x-forwarded-for"), told.all("x-real-ip")];
        if is_nobody {
            assert_eq!(addresses, [[""; 0]; 2], "{trusted}");
        } else {
            assert_eq!(addresses, [["203.0.113.7"]; 2]);
        }
    }
}

const UNIX: &str = "trusted_proxies: [unix]\n";

#[test]
fn a_trusted_proxy_at_a_socket_is_believed_from_the_right() {
    let place = Place::new("trusted_proxies: [unix, 10.0.0.0/8]\n");
    for (chain, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
    ] {
        let told = place.told(&format!("x-forwarded-for: {chain}\r\n"));
        assert_eq!([told.all("x-forwarded-for"), told.all("x-real-ip")], [[client]; 2], "{chain}");
    }
    logged(&place, 2, "client=203.0.113.7 ");
    logged(&place, 1, "client=10.9.9.9 ");
    for unclear in ["", "x-forwarded-for: 6.6.6.6, unknown\r\n", "x-forwarded-for: unix:\r\n"] {
        let told = place.told(unclear);
        assert_eq!([told.all("x-forwarded-for"), told.all("x-real-ip")], [[""; 0]; 2]);
    }
    // Of who comes to the port nothing of it is believed.
    let request =
        format!("GET /public/x HTTP/1.1\r\nhost: {HOST}\r\n{CLAIM}connection: close\r\n\r\n");
    assert_eq!(place.world.gate.raw(request.as_bytes()).expect("an answer").status, 200);
    let told = place.world.app.requests().pop().expect("the app was asked");
    assert_eq!([told.all("x-forwarded-for"), told.all("x-real-ip")], [["127.0.0.1"]; 2]);
}

/// A socket counts as one address, and each for itself; a trusted proxy's visitors share no limit.
#[test]
fn a_socket_has_the_limit_of_one_address_unless_it_brings_many() {
    for (trusted, limit) in [("", 3), (UNIX, 8)] {
        let place = Place::new(&format!("limits: {{ connections_per_address: 3 }}\n{trusted}"));
        let mut open: Vec<_> =
            (0..8).map(|_| Connection::at_socket(&place.paths[0]).expect("it listens")).collect();
        let served = open
            .iter_mut()
            .filter_map(|connection| exchange(connection, "/public/x", ""))
            .filter(|answer| answer.status == 200);
        assert_eq!(served.count(), limit, "{trusted}");
        let mut other = Connection::at_socket(&place.paths[1]).expect("it listens");
        assert!(exchange(&mut other, "/public/x", "").is_some(), "another socket is another's");
        let mut port = Connection::open(place.world.gate.address);
        assert!(exchange(&mut port, "/public/x", "").is_some(), "so is the port");
    }
}

fn yaml(held: &Held, socket: &str) -> String {
    format!(
        "listen: [{{ address: '127.0.0.1:0' }}, {{ unix: {socket} }}]\nadmin: 127.0.0.1:0\n\
         public_url: https://auth.example.com\nsecret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\nthreads: 2\n\
         grace: 300s\nroutes:\n  - {{ name: app, host: {HOST}, upstream: '{}', \
         public: ['/*'] }}\n",
        held.url
    )
}

/// The socket goes when nothing new is taken, and what is under way ends well.
#[test]
fn a_graceful_stop_takes_the_socket_away_and_a_hard_end_is_no_obstacle() {
    let (held, directory) = (Held::start(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("api.sock");
    let yaml = yaml(&held, &path.display().to_string());
    let mut killed = Run::start(&yaml);
    killed.child.wait_for(&format!("listening on unix:{}", path.display()), 1);
    killed.child.signal("KILL");
    killed.child.end();
    assert!(path.exists() && Connection::at_socket(&path).is_err(), "it left its socket");
    let mut run = Run::start(&yaml);
    let mut under_way = Connection::at_socket(&path).expect("it listens");
    under_way
        .send(format!("GET /x HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes())
        .expect("the gateway reads");
    held.arrived();
    run.child.signal("TERM");
    eventually("the socket goes", || !path.exists());
    held.release();
    assert_eq!(under_way.receive(false).expect("it is answered").status, 200);
    assert_eq!(run.child.end().code(), Some(0));
}

#[test]
fn a_second_gateway_is_refused_and_the_first_goes_on() {
    let (held, directory) = (Held::start(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("api.sock");
    let yaml = yaml(&held, &path.display().to_string());
    let _first = Run::start(&yaml);
    let config = gatekeep::config::Config::parse("gatekeep.yaml".as_ref(), &yaml, &|_| None);
    let config = config.expect("a configuration");
    let second = gatekeep::server::Server::bind(
        config,
        None,
        std::sync::Arc::new(gatekeep::clock::System),
        gatekeep::log::AccessLog::to_stdout(),
    );
    let told = second.err().expect("it is refused").to_string();
    let expected = "another process does; stop that one, or choose another path";
    assert!(told.ends_with(expected), "{told}");
    assert!(Connection::at_socket(&path).is_ok());
}
