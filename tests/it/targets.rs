//! The target that was judged is the target that the app gets, and no app reads it otherwise.
//!
//! Apps and the servers before them decode once or twice, merge slashes, cut segments at `;`, take
//! `\` for `/`, or look into a file system without regard to case. In none of these readings may
//! a request without a session reach anything but what is public.

use std::net::SocketAddr;

use gatekeep::target::Target;

use crate::support::World;
use crate::support::http::{Connection, Response};

const HOST: &str = "app.example.com";

const ROUTES: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: anyone
    public: [/public/*, /healthz]
    rules:
      - { path: /admin, allow: { teams: [acme/admins] } }
      - { path: /public/private, allow: { teams: [acme/admins] } }
  - name: loose
    host: loose.example.com
    upstream: @APP@
    allow: anyone
    loose_paths: true
  - name: open
    host: auth.example.com
    upstream: @APP@
    allow: anyone
";

fn world() -> World {
    World::with("", ROUTES)
}

// === The client ===

/// Sends targets as they are, over one connection as long as the server keeps it.
struct Client {
    gate: SocketAddr,
    cookie: String,
    connection: Option<Connection>,
}

impl Client {
    fn new(world: &World, cookie: &str) -> Self {
        Self { gate: world.gate.address, cookie: cookie.to_owned(), connection: None }
    }

    /// Somebody of the route's people, but none of the admins.
    fn octocat(world: &World) -> Self {
        let (browser, page) = world.signed_in("octocat", &format!("https://{HOST}/"));
        assert_eq!(page.status, 200, "{}", page.text());
        let session = browser.session(HOST).expect("signed in");
        Self::new(world, &format!("cookie: __Host-gatekeep={session}\r\n"))
    }

    /// The target as the app got it; `None` when it did not get it.
    fn arrives(&mut self, target: &[u8]) -> Option<String> {
        let answer = self.send(target);
        let is_apps = answer.status == 200 && answer.text().contains("\"views\":");
        is_apps.then(|| answer.json()["target"].as_str().expect("a target").to_owned())
    }

    fn send(&mut self, target: &[u8]) -> Response {
        let gate = self.gate;
        let mut connection = self.connection.take().unwrap_or_else(|| Connection::open(gate));
        let rest =
            format!(" HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\n{}\r\n", self.cookie);
        connection.send(&[b"GET ", target, rest.as_bytes()].concat()).expect("it reads");
        let shown = String::from_utf8_lossy(target);
        let answer = connection.receive(false).unwrap_or_else(|| panic!("no answer to {shown}"));
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        answer
    }
}

// === The ways to read a path ===

/// What an app makes of the path that it gets.
type Reading = fn(&[u8]) -> Vec<u8>;

/// Each reading that an app or the server before it is known for.
const READINGS: [(&str, Reading); 8] = [
    ("raw", |path| path.to_vec()),
    ("decoded once, dot segments removed", |path| remove_dots(&decode(path))),
    ("decoded twice, dot segments removed", |path| remove_dots(&decode(&decode(path)))),
    ("dot segments removed, then decoded", |path| decode(&remove_dots(path))),
    ("nginx: decoded, slashes merged", |path| remove_dots(&merge_slashes(&decode(path)))),
    ("Tomcat: cut at `;`, decoded", |path| remove_dots(&merge_slashes(&decode(&cut(path))))),
    ("Windows: `\\` is `/`, no case", |path| {
        remove_dots(&merge_slashes(&turn_slashes(&decode(path)))).to_ascii_lowercase()
    }),
    ("decoded twice, merged, no case", |path| {
        remove_dots(&merge_slashes(&decode(&decode(path)))).to_ascii_lowercase()
    }),
];

fn turn_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect()
}

fn decode(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|&b| char::from(b).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|a, b| (*a, *b) == (b'/', b'/'));
    out
}

fn cut(path: &[u8]) -> Vec<u8> {
    let name = |segment: &[u8]| segment.split(|&b| b == b';').next().unwrap_or(&[]).to_vec();
    path.split(|&b| b == b'/').map(name).collect::<Vec<_>>().join(&b'/')
}

/// RFC 3986 §5.2.4.
fn remove_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|&b| b == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    kept.pop();
                }
                if last {
                    kept.push(b"");
                }
            }
            other => kept.push(other),
        }
    }
    kept.iter().flat_map(|segment| [b"/", *segment].concat()).collect()
}

fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.first().is_none_or(|&b| b == b'/'))
}

fn is_public(path: &[u8]) -> bool {
    let at_public = path == b"/healthz" || path.starts_with(b"/public/");
    at_public && !is_for_admins(path)
}

fn is_for_admins(path: &[u8]) -> bool {
    is_below(path, b"/admin") || is_below(path, b"/public/private")
}

fn path_of(target: &str) -> &[u8] {
    target.split('?').next().unwrap_or(target).as_bytes()
}

// === The corpus ===

const BASES: [&str; 6] = ["/public/", "/public/x/", "/healthz/", "/", "/public", "/healthz"];
const GOALS: [&str; 4] = ["admin", "admin/users", "public/private", "secret"];
/// Ways up, sideways, or out of what a rule sees.
const STEPS: [&str; 46] = [
    "",
    "private/../",
    "../",
    "../../",
    "..//",
    "./../",
    ".././",
    "%2e%2e/",
    "%2E%2e/",
    ".%2e/",
    "..%2f",
    "..%2F",
    "%2e%2e%2f",
    "..%5c",
    "..\\",
    "\\..\\",
    "%5c..%5c",
    "..;/",
    "..;x=y/",
    ";/../",
    ";x/",
    "%2e%2e;/",
    "..%3b/",
    "%3b/../",
    "%252e%252e/",
    "%252e%252e%252f",
    "..%252f",
    "..%255c",
    "%25252e%25252e/",
    "%25%32%65%25%32%65/",
    "..%25%32%66",
    "%%32%65%%32%65/",
    "%c0%ae%c0%ae/",
    "..%c0%af",
    "%e0%80%ae%e0%80%ae/",
    "..%e0%80%af",
    "%f0%80%80%ae%f0%80%80%ae/",
    "%u002e%u002e/",
    "..%u2215",
    "\u{ff0e}\u{ff0e}/",
    "..%ef%bc%8f",
    "..%00/",
    "%00/../",
    "..%0d%0a/",
    "..%09/",
    "%23/../",
];

/// What an attacker does to a path.
const MUTATORS: [fn(&str) -> Vec<u8>; 24] = [
    |path| path.as_bytes().to_vec(),
    |path| path.replacen('/', "//", 1).into_bytes(),
    |path| path.replace('/', "//").into_bytes(),
    |path| path.replacen("/public", "/./public", 1).into_bytes(),
    |path| after_first_slash(path, &path.replace('/', "%2f")),
    |path| after_first_slash(path, &path.replace('/', "%5C")),
    |path| path.replace('%', "%25").into_bytes(),
    |path| path.replace('a', "%61").into_bytes(),
    |path| path.replace('d', "%2564").into_bytes(),
    |path| path.replace('p', "%25%37%30").into_bytes(),
    |path| swap_case(path).into_bytes(),
    |path| path.replace("min", "MIN").replace("priv", "PRIV").into_bytes(),
    |path| format!("{path}/").into_bytes(),
    |path| format!("{path}.").into_bytes(),
    |path| format!("{path}%20").into_bytes(),
    |path| format!("{path};.css").into_bytes(),
    |path| format!("{path}%00.css").into_bytes(),
    |path| format!("{path}?/public/x").into_bytes(),
    |path| format!("{path}#/../../public/x").into_bytes(),
    |path| format!("/public/x?{path}").into_bytes(),
    |path| format!("http://{HOST}{path}").into_bytes(),
    |path| format!("http://{HOST}:80@evil.example{path}").into_bytes(),
    |path| [path.as_bytes(), b"\x01"].concat(),
    |path| [path.as_bytes(), b"\x80\xff"].concat(),
];

fn after_first_slash(path: &str, rest: &str) -> Vec<u8> {
    assert!(path.starts_with('/'));
    format!("/{}", &rest[3..]).into_bytes()
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| {
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    text.chars().map(swap).collect()
}

fn seeds() -> Vec<String> {
    let below = |base| STEPS.iter().map(move |step| format!("{base}{step}"));
    let all = BASES.into_iter().flat_map(below);
    all.flat_map(|start| GOALS.map(|goal| format!("{start}{goal}"))).collect()
}

fn corpus() -> Vec<Vec<u8>> {
    let seeds = seeds();
    assert!(seeds.len() >= 200);
    let mutate = |seed: &String| MUTATORS.map(|mutator| mutator(seed));
    let mut all: Vec<_> = seeds.iter().flat_map(mutate).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Sends a share of the corpus and checks each target that arrives; returns how many did.
fn probe(mut client: Client, corpus: &[Vec<u8>], is_good: fn(&[u8]) -> bool) -> usize {
    let mut arrived = 0;
    for sent in corpus {
        let shown = String::from_utf8_lossy(sent);
        let Some(got) = client.arrives(sent) else { continue };
        for (name, read) in READINGS {
            let read = read(path_of(&got));
            let read_as = String::from_utf8_lossy(&read);
            assert!(is_good(&read), "{shown} arrived as {got}, which reads {read_as} ({name})");
        }
        arrived += 1 + usize::from(is_fixed(&mut client, sent, &got));
    }
    arrived
}

/// Whether a target that was put into another form was sent again in that form; it must stay.
fn is_fixed(client: &mut Client, sent: &[u8], got: &str) -> bool {
    // A fragment is none of a request's business: it is dropped before anything is judged.
    let line = sent.split(|&b| b == b'#').next().unwrap_or(sent);
    let judged = Target::parse(line, [HOST.as_bytes()].into_iter(), None);
    let judged = judged.expect("what arrived was judged");
    assert_eq!(judged.path_and_query(), got, "judged and forwarded differ");
    let is_other = sent != got.as_bytes();
    if is_other {
        assert_eq!(client.arrives(got.as_bytes()).as_deref(), Some(got), "{got} is canonical");
    }
    is_other
}

fn probe_all(world: &World, client: impl Fn() -> Client, is_good: fn(&[u8]) -> bool) -> usize {
    let corpus = corpus();
    let before = world.app.hits();
    let arrived: usize = std::thread::scope(|scope| {
        let shares = corpus.chunks(corpus.len().div_ceil(4));
        let spawn = |share| {
            scope.spawn({
                let client = client();
                move || probe(client, share, is_good)
            })
        };
        let probes: Vec<_> = shares.map(spawn).collect();
        probes.into_iter().map(|probe| probe.join().expect("no probe fails")).sum()
    });
    assert_eq!(world.app.hits() - before, arrived, "the app got requests that nobody sent");
    arrived
}

/// oauth2-proxy CVE-2025-54576 and CVE-2026-41059, Pomerium CVE-2023-33189, oathkeeper
/// CVE-2026-33494, Traefik CVE-2025-66490, Caddy CVE-2026-52844: a path that looks public to the
/// gate and reads `/admin` to the app.
#[test]
fn without_a_session_nothing_but_the_public_is_reached_in_any_reading() {
    let world = world();
    let arrived = probe_all(&world, || Client::new(&world, ""), is_public);
    assert!(arrived >= 500, "{arrived} arrived; a gateway that refuses all proves nothing");
}

/// The same against rules: whoever is signed in, but no admin, reaches nothing of the admins'.
#[test]
fn without_the_rule_s_rights_nothing_below_it_is_reached_in_any_reading() {
    let world = world();
    let signed_in = Client::octocat(&world);
    let cookie = signed_in.cookie;
    let arrived = probe_all(&world, || Client::new(&world, &cookie), |path| !is_for_admins(path));
    assert!(arrived >= 1_000, "{arrived} arrived; a gateway that refuses all proves nothing");
}

/// The oracle itself: each reading finds what it is there for.
#[test]
fn the_readings_find_what_they_are_there_for() {
    let found = |path: &str| -> Vec<usize> {
        let hits = |(_, read): &(&str, Reading)| is_for_admins(&read(path.as_bytes()));
        (0..READINGS.len()).filter(|&at| hits(&READINGS[at])).collect()
    };
    for (path, by) in [
        ("/admin", &[0, 1, 2, 3, 4, 5, 6, 7][..]),
        ("/public/x", &[]),
        ("/public/../admin", &[1, 2, 3, 4, 5, 6, 7]),
        ("/public/%2e%2e/admin", &[1, 2, 4, 5, 6, 7]),
        ("/public/%252e%252e/admin", &[2, 7]),
        ("/%2561dmin", &[2, 7]),
        ("//admin", &[4, 5, 6, 7]),
        ("/public/..;/admin", &[5]),
        ("/public/..%5cadmin", &[6]),
        ("/ADMIN", &[6, 7]),
    ] {
        assert_eq!(found(path), by, "{path}");
    }
}

/// What clients really send must arrive: an over-careful gate is switched off by its operators.
#[test]
fn harmless_targets_arrive() {
    let world = world();
    let mut client = Client::octocat(&world);
    for (sent, arrives) in [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("/public/a?u=https://elsewhere.example/x//../y;z", ""),
        ("/a?redirect=http://[::1]/%2e%2e/%00", ""),
        ("/a?x={y:[1|2]}^\u{e9}", "/a?x=%7By:[1%7C2]%7D%5E%C3%A9"),
        ("/a|b{c}", "/a%7Cb%7Bc%7D"),
        ("/caf\u{e9}/\u{65e5}\u{672c}", "/caf%C3%A9/%E6%97%A5%E6%9C%AC"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/latin%E9", ""),
        ("/%61%7eb", "/a~b"),
        ("/100%25", ""),
        ("/twice%2520and%25C3%25A9", ""),
        ("/a%20b%3Bc%3Fd%23e", ""),
        ("/a:b@c!$&'()*+,=", ""),
        ("/...", ""),
        ("/.well-known/x", ""),
        ("/a..b/c.", ""),
        ("/Administrator", ""),
        ("/adminx", ""),
        ("/x?", ""),
    ] {
        let expected = if arrives.is_empty() { sent } else { arrives };
        assert_eq!(client.arrives(sent.as_bytes()).as_deref(), Some(expected), "{sent}");
    }
}

/// A route that takes encoded slashes gets them untouched; every other refuses them.
#[test]
fn a_loose_path_arrives_byte_for_byte_where_the_route_takes_it() {
    let world = world();
    let (browser, _) = world.signed_in("octocat", "https://loose.example.com/");
    let session = browser.session("loose.example.com").expect("signed in");
    for path in
        ["/a%2Fb", "/a%2fb/%7e", "/a;v=1/b;w", "/pkg/@scope%2fname?q=%2F;", "/a;b%20c%c3%a9"]
    {
        let ask = |host: &str| {
            let text = format!(
                "GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n\
                 cookie: __Host-gatekeep={session}\r\nconnection: close\r\n\r\n"
            );
            world.gate.raw(text.as_bytes()).expect("an answer")
        };
        let answer = ask("loose.example.com");
        assert_eq!((answer.status, &answer.json()["target"]), (200, &path.into()), "{path}");
        let before = world.app.hits();
        assert_eq!((ask(HOST).status, world.app.hits()), (400, before), "{path}");
    }
    for path in ["/a%2f../b", "/a/..;/b", "/a%2e/b", "/a;%25%35%63b", "/a;/../b", "/a%2f%2fb"] {
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: loose.example.com\r\n\
             cookie: __Host-gatekeep={session}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(world.gate.raw(text.as_bytes()).map(|a| a.status), Some(400), "{path}");
    }
}

/// Sends a header as it is; the status, and the Host and target that the app got.
fn outcome(world: &World, head: &[u8]) -> (u16, Option<(String, String)>) {
    let before = world.app.hits();
    let request = [head, b"accept: application/json\r\nconnection: close\r\n\r\n"].concat();
    let status = world.gate.raw(&request).map_or(0, |answer| answer.status);
    let seen = (world.app.hits() > before).then(|| {
        let seen = world.app.requests().pop().expect("the app was reached");
        (seen.all("host").join("+"), seen.target)
    });
    (status, seen)
}

/// Two hosts in one request, or one that reads in two ways: the route is chosen by one and the app
/// acts on the other. Caddy CVE-2026-27588, Authelia CVE-2026-48794.
#[test]
fn a_host_is_refused_unless_it_is_plainly_one() {
    let world = world();
    for host in [
        "",
        "host:\r\n",
        "host: app.example.com\r\nhost: app.example.com\r\n",
        "host: app.example.com\r\nHost: auth.example.com\r\n",
        "host: app.example.com, auth.example.com\r\n",
        "host: user@app.example.com\r\n",
        "host: auth.example.com@app.example.com\r\n",
        "host: app.example.com.\r\n",
        "host: app.example.com:\r\n",
        "host: app.example.com:65536\r\n",
        "host: app.example.com:+80\r\n",
        "host: app.example.com:80:80\r\n",
        "host: app.example.com/public\r\n",
        "host: app.example.com?\r\n",
        "host: app.example.com#\r\n",
        "host: app.example.com\\\r\n",
        "host: app..example.com\r\n",
        "host: app.example.com evil\r\n",
        "host: app%2eexample.com\r\n",
        "host: \u{ff41}pp.example.com\r\n",
        "host: [::1\r\n",
    ] {
        let head = format!("GET /public/x HTTP/1.1\r\n{host}");
        assert_eq!(outcome(&world, head.as_bytes()), (400, None), "{host:?}");
    }
    for line in [
        "http://auth.example.com/public/x",
        "http://app.example.com@auth.example.com/public/x",
        "http://user@app.example.com/public/x",
        "http://app.example.com./public/x",
        "http:///public/x",
        "http://app.example.com?/public/x",
        "ftp://app.example.com/public/x",
        "app.example.com/public/x",
        "*",
        "?/public/x",
    ] {
        let head = format!("GET {line} HTTP/1.1\r\nhost: app.example.com\r\n");
        assert_eq!(outcome(&world, head.as_bytes()), (400, None), "{line}");
    }
}

/// One host in another spelling is brought into one form, for the app as for the rules.
#[test]
fn a_host_arrives_in_its_one_form() {
    let world = world();
    let arrived = |host: &str| (200, Some((host.to_owned(), "/public/x".to_owned())));
    for (head, host) in [
        ("GET /public/x HTTP/1.1\r\nhost: app.example.com\r\n", "app.example.com"),
        ("GET /public/x HTTP/1.1\r\nHOST:\tAPP.Example.COM \r\n", "app.example.com"),
        ("GET /public/x HTTP/1.1\r\nhost: app.example.com:8443\r\n", "app.example.com:8443"),
        ("GET /public/x HTTP/1.1\r\nhost: app.example.com:080\r\n", "app.example.com:80"),
        (
            "GET http://app.example.com/public/x HTTP/1.1\r\nhost: app.example.com\r\n",
            "app.example.com",
        ),
        (
            "GET HTTP://app.example.com/public/x HTTP/1.1\r\nhost: app.example.com\r\n",
            "app.example.com",
        ),
        ("GET /public/x HTTP/1.0\r\nhost: app.example.com\r\n", "app.example.com"),
    ] {
        assert_eq!(outcome(&world, head.as_bytes()), arrived(host), "{head}");
        let seen = world.app.requests().pop().expect("the app was reached");
        assert_eq!(seen.all("x-forwarded-host"), [host], "{head}");
    }
}

/// Where the app wants its own name as Host, it still learns which one the visitor asked for.
#[test]
fn an_app_that_gets_its_own_host_learns_the_visitor_s() {
    let routes = ROUTES.replacen("@APP@", "@APP@\n    preserve_host: false", 1);
    let world = World::with("", &routes);
    let own = world.app.address().to_string();
    for head in [
        "GET /public/x HTTP/1.1\r\nhost: APP.example.com\r\n",
        "GET http://app.example.com/public/x HTTP/1.1\r\nhost: app.example.com\r\n",
    ] {
        let arrived = (200, Some((own.clone(), "/public/x".to_owned())));
        assert_eq!(outcome(&world, head.as_bytes()), arrived, "{head}");
        let seen = world.app.requests().pop().expect("the app was reached");
        assert_eq!(seen.all("x-forwarded-host"), [HOST], "{head}");
    }
}

/// A host that is nobody's gets no app, not even a default one.
#[test]
fn an_unknown_host_reaches_no_app() {
    let world = world();
    for host in
        ["evil.example", "example.com", "x.app.example.com", "127.0.0.1", "[::1]", "localhost"]
    {
        let head = format!("GET /public/x HTTP/1.1\r\nhost: {host}\r\n");
        assert_eq!(outcome(&world, head.as_bytes()), (404, None), "{host}");
    }
}

/// HTTP/1.0 without a Host: which of the apps is meant nobody can say.
#[test]
fn http_1_0_without_a_host_is_refused() {
    let world = world();
    assert_eq!(outcome(&world, b"GET /public/x HTTP/1.0\r\n"), (400, None));
}

/// A rule for `GET` says nothing of `get`, and an app may take both for one. `TRACE` returns
/// headers that the gateway set; `CONNECT` is no way to an app.
#[test]
fn strange_methods_are_refused() {
    let world = world();
    for (line, status) in [
        ("get /public/x", 405),
        ("Get /public/x", 405),
        ("GET1 /public/x", 405),
        ("G!T /public/x", 405),
        ("TRACE /public/x", 405),
        ("CONNECT /public/x", 405),
        ("CONNECT app.example.com:443", 405),
        ("OPTIONS *", 400),
    ] {
        let head = format!("{line} HTTP/1.1\r\nhost: app.example.com\r\n");
        assert_eq!(outcome(&world, head.as_bytes()), (status, None), "{line}");
    }
    for method in ["GET", "OPTIONS", "DELETE", "PROPFIND", "M-SEARCH"] {
        let head = format!("{method} /public/x HTTP/1.1\r\nhost: app.example.com\r\n");
        assert_eq!(outcome(&world, head.as_bytes()).0, 200, "{method}");
    }
}
