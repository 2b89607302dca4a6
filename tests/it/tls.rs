//! TLS for browsers: certificates by name, HTTP/2, the way from plain HTTP, and new certificates
//! without a restart.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::support::child::Run;
use crate::support::upstream::{Authority, Pair, read_head};
use crate::support::{ROUTES, World};

type Client = StreamOwned<ClientConnection, TcpStream>;

/// A handshake as a browser that trusts this authority and asks for this name.
fn handshake(
    address: SocketAddr,
    authority: &Authority,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<Client> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(authority.client_config(protocols), name);
    let stream = TcpStream::connect(address)?;
    let mut client = StreamOwned::new(session.expect("a session"), stream);
    while client.conn.is_handshaking() {
        client.conn.complete_io(&mut client.sock)?;
    }
    Ok(client)
}

/// Whether the server showed this very certificate.
fn shows(client: &Client, pair: &Pair) -> bool {
    client.conn.peer_certificates().is_some_and(|chain| chain[0] == pair.der())
}

/// `listen` with a plain, a TLS and a redirecting listener.
fn listen(pairs: &[&Pair]) -> String {
    let pair = |pair: &&Pair| {
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        format!("{{ certificate: '{certificate}', key: '{key}' }}")
    };
    let pairs: Vec<_> = pairs.iter().map(pair).collect();
    format!(
        "listen: [{{ address: '127.0.0.1:0' }}, {{ address: '127.0.0.1:0', tls: [{}] }}, \
         {{ address: '127.0.0.1:0', redirect: https }}]\n",
        pairs.join(", ")
    )
}

struct Tls {
    world: World,
    authority: Authority,
    auth: Pair,
    app: Pair,
    _directory: tempfile::TempDir,
}

/// The usual world with two certificates; the first is good for the bare address, too.
fn world() -> Tls {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let auth = authority.issue(directory.path(), "auth", &["auth.example.com", "127.0.0.1"]);
    let app = authority.issue(directory.path(), "app", &["*.example.com"]);
    let world = World::with(&listen(&[&auth, &app]), ROUTES);
    Tls { world, authority, auth, app, _directory: directory }
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_the_browser_asks_for() {
    let tls = world();
    let address = tls.world.gate.addresses[1];
    for (name, pair) in [
        ("auth.example.com", &tls.auth),
        ("app.example.com", &tls.app),
        ("other.example.com", &tls.app),
        // No name is sent for an address: the first certificate answers.
        ("127.0.0.1", &tls.auth),
    ] {
        let client = handshake(address, &tls.authority, name, &[]).expect(name);
        assert!(shows(&client, pair), "{name} got another certificate");
    }
    // A name that no certificate fits gets the first, which the browser refuses.
    let refused = handshake(address, &tls.authority, "elsewhere.example", &[]);
    let error = refused.expect_err("the certificate is for others").to_string();
    assert!(error.contains("auth.example.com"), "{error}");
    // And a browser that trusts somebody else comes no further.
    let foreign = handshake(address, &Authority::new(), "app.example.com", &[]);
    assert!(foreign.is_err());
}

#[test]
fn http_2_is_spoken_to_those_who_ask_for_it() {
    let tls = world();
    let address = tls.world.gate.addresses[1];
    for (asked, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"][..], Some("http/1.1")),
        (&[][..], None),
    ] {
        let client = handshake(address, &tls.authority, "app.example.com", asked).expect("TLS");
        let found = client.conn.alpn_protocol().map(String::from_utf8_lossy);
        assert_eq!(found.as_deref(), chosen);
    }
    let mut client =
        handshake(address, &tls.authority, "app.example.com", &["http/1.1"]).expect("TLS");
    let request = b"GET /healthz HTTP/1.1\r\nhost: app.example.com\r\n\r\n";
    client.write_all(request).expect("it is sent");
    let head = read_head(&mut client).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

#[test]
fn http_2_is_not_spoken_where_it_is_not_wanted() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let app = authority.issue(directory.path(), "app", &["*.example.com"]);
    let (pair, plain) = (listen(&[&app]), ", tls: [");
    let listen = pair.replacen(plain, ", http2: false, tls: [", 1);
    assert_ne!(listen, pair);
    let world = World::with(&listen, ROUTES);
    let address = world.gate.addresses[1];
    for (asked, chosen) in [
        (&["h2", "http/1.1"][..], Some("http/1.1")),
        (&["http/1.1"][..], Some("http/1.1")),
        (&[][..], None),
    ] {
        let client = handshake(address, &authority, "app.example.com", asked).expect("TLS");
        let found = client.conn.alpn_protocol().map(String::from_utf8_lossy);
        assert_eq!(found.as_deref(), chosen);
    }
    let h2_alone = handshake(address, &authority, "app.example.com", &["h2"]);
    assert!(h2_alone.is_err(), "there is nothing that both speak");
    let mut client =
        handshake(address, &authority, "app.example.com", &["h2", "http/1.1"]).expect("TLS");
    let request = b"GET /public/x?a>=1 HTTP/1.1\r\nhost: app.example.com\r\n\r\n";
    client.write_all(request).expect("it is sent");
    let head = read_head(&mut client).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(world.app.requests().pop().expect("it was reached").target, "/public/x?a%3E=1");
}

/// A client as a browser is one: HTTP/2 where it can be had, several cookie fields.
fn browser(tls: &Tls) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(tls.authority.pem().as_bytes()).expect("PEM");
    reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve("app.example.com", tls.world.gate.addresses[1])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn cookies_that_http_2_splits_authenticate_and_reach_the_app_as_one_field() {
    let tls = world();
    let (signed_in, _) = tls.world.signed_in("octocat", "https://app.example.com/");
    let session = format!("__Host-gatekeep={}", signed_in.session("app.example.com").expect("one"));
    let client = browser(&tls);
    let (version, status) = block_on(async {
        let request = client
            .get("https://app.example.com/h2?x=1")
            .header("cookie", "first=1")
            .header("cookie", session)
            .header("cookie", "last=2; more=3");
        let answer = request.send().await.expect("an answer");
        (answer.version(), answer.status())
    });
    assert_eq!((version, status.as_u16()), (reqwest::Version::HTTP_2, 200));
    let seen = tls.world.app.requests().pop().expect("the app was reached");
    assert_eq!(seen.target, "/h2?x=1");
    assert_eq!(seen.all("cookie"), ["first=1; last=2; more=3"]);
    assert_eq!(seen.header("x-forwarded-user"), Some("octocat"));
    assert_eq!(seen.header("host"), Some("app.example.com"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn http_2_carries_bodies_and_many_requests_at_once() {
    let tls = world();
    let client = browser(&tls);
    let sizes: [usize; 4] = [0, 1, 70_000, 1_000_000];
    let found = block_on(async {
        let tasks = sizes.map(|size| {
            let request = client.post(format!("https://app.example.com/public/{size}"));
            let sent = request.body(vec![b'x'; size]).send();
            tokio::spawn(async move {
                let answer = sent.await.expect("an answer");
                let version = answer.version();
                let echo: serde_json::Value =
                    serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
                (version, echo["target"].clone(), echo["body_bytes"].clone())
            })
        });
        let mut found = Vec::new();
        for task in tasks {
            found.push(task.await.expect("it ends well"));
        }
        found
    });
    let expected =
        sizes.map(|size| (reqwest::Version::HTTP_2, json!(format!("/public/{size}")), json!(size)));
    assert_eq!(found, expected);
}

/// Frames of HTTP/2 are no request lines: nothing in them is rewritten or taken for a fragment, on
/// the first request of a connection as on the last.
#[test]
fn http_2_fields_and_bodies_arrive_as_they_were_sent() {
    let tls = world();
    let client = browser(&tls);
    let odd = r#"a<b>c"d`e#f"#;
    let found = block_on(async {
        let mut found = Vec::new();
        for _ in 0..20 {
            let request = client.post("https://app.example.com/public/echo").header("x-odd", odd);
            let answer = request.body(odd.repeat(50)).send().await.expect("an answer");
            let version = answer.version();
            let body = answer.bytes().await.expect("a body");
            let echo: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            found.push((version, echo["body"].clone()));
        }
        found
    });
    assert_eq!(found, vec![(reqwest::Version::HTTP_2, json!(odd.repeat(50))); 20]);
    let seen = tls.world.app.requests();
    assert!(seen.iter().all(|request| request.header("x-odd") == Some(odd)), "{seen:?}");
}

#[test]
fn plain_http_is_sent_to_https_for_known_hosts_alone() {
    let tls = world();
    let redirecting = tls.world.gate.addresses[2];
    let ask = |host: &str, target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        crate::support::http::raw(redirecting, request.as_bytes()).expect("an answer")
    };
    for (host, target, location) in [
        ("app.example.com", "/a/b?c=%20d&e", "https://app.example.com/a/b?c=%20d&e"),
        ("auth.example.com", "/", "https://auth.example.com/"),
        ("app.example.com:80", "/x", "https://app.example.com/x"),
    ] {
        let answer = ask(host, target);
        assert_eq!((answer.status, answer.location()), (308, location), "{host}{target}");
        assert_eq!(answer.body, b"");
    }
    for host in ["elsewhere.example", "example.com", "app.example.com.evil.example"] {
        let answer = ask(host, "/");
        assert_eq!((answer.status, answer.header("location")), (404, None), "{host}");
    }
    assert_eq!(tls.world.app.hits(), 0);
}

/// A configuration whose certificates are these files.
fn yaml(pair: &Pair) -> String {
    format!(
        "{}admin: 127.0.0.1:0\npublic_url: https://auth.example.com\n\
         secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\nthreads: 2\n\
         routes: [{{ name: app, upstream: 'http://127.0.0.1:1', allow: anyone }}]\n",
        listen(&[pair])
    )
}

#[test]
fn new_certificates_are_taken_up_on_sighup_and_bad_ones_are_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let issue = || authority.issue(directory.path(), "leaf", &["auth.example.com"]);
    let keep = |pair: &Pair, name: &str| -> Pair {
        let copy = |from: &Path| {
            let to = directory.path().join(name).with_extension(from.extension().expect("one"));
            std::fs::copy(from, &to).expect("it can be copied");
            to
        };
        Pair { certificate: copy(&pair.certificate), key: copy(&pair.key) }
    };
    let first = issue();
    let old = keep(&first, "old");
    let mut run = Run::start(&yaml(&first));
    let address = run.addresses[1];
    let shown = |pair: &Pair| {
        let client = handshake(address, &authority, "auth.example.com", &[]).expect("TLS");
        shows(&client, pair)
    };
    assert!(shown(&old));
    let new = keep(&issue(), "new");
    assert!(shown(&old), "the files are read on reload alone");
    run.hang_up();
    assert!(shown(&new));
    // A key that does not fit: what is in force stays.
    std::fs::copy(&old.key, &first.key).expect("it can be copied");
    run.child.signal("HUP");
    run.child.wait_for("the running configuration was kept", 1);
    assert!(shown(&new));
    assert_eq!(run.metric("gatekeep_config_last_reload_successful"), Some(0.0));
}
