//! What the app is told about a visitor comes from the session and from nowhere else, however the
//! client spells it.
//!
//! The app reads its headers three ways: by their exact names, as CGI does, and with all
//! punctuation dropped. Whatever a client adds, each of the three must stay as it is without.

use std::collections::BTreeMap;

use gatekeep::simulator::Seen;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::http::{Connection, Response};

/// Names that carry identity or the way a request came, by their words.
const RESERVED: [&[&str]; 21] = [
    &["X", "Gatekeep", "Jwt"],
    &["X", "Gatekeep", "Anything"],
    &["X", "Forwarded", "User"],
    &["X", "Forwarded", "Email"],
    &["X", "Forwarded", "Groups"],
    &["X", "Forwarded", "Preferred", "Username"],
    &["X", "Forwarded", "Access", "Token"],
    &["X", "Forwarded", "For"],
    &["X", "Forwarded", "Proto"],
    &["X", "Forwarded", "Host"],
    &["X", "Forwarded", "Uri"],
    &["Forwarded"],
    &["X", "Real", "Ip"],
    &["X", "Client", "Ip"],
    &["X", "Auth", "Request", "User"],
    &["X", "Auth", "Request", "Email"],
    &["X", "Original", "Url"],
    &["X", "Rewrite", "Url"],
    &["Remote", "User"],
    &["X", "Remote", "User"],
    &["Proxy"],
];

/// Names by which frameworks let a request change its method.
const OVERRIDES: [&[&str]; 3] =
    [&["X", "Http", "Method", "Override"], &["X", "Http", "Method"], &["X", "Method", "Override"]];

/// The punctuation that a field name may hold (RFC 9110 §5.6.2).
const PUNCTUATION: &str = "!#$%&'*+-.^_`|~";

/// The headers that the gateway sets for a signed-in visitor, beside Host.
const SET_BY_US: [&str; 11] = [
    "x-gatekeep-jwt",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "x-request-id",
    "cookie",
];

const HOST: &str = "app.example.com";

/// One visitor: the start of each request, and how the app reads it without anything added.
struct Visitor {
    head: String,
    plain: String,
}

impl Visitor {
    fn new(world: &World, path: &str, cookie: &str) -> Self {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\n\
             cookie: theme=dark{cookie}\r\n"
        );
        let mut visitor = Self { head, plain: String::new() };
        visitor.plain = readings(&visitor.ask(&mut Connection::open(world.gate.address), ""));
        visitor
    }

    /// A signed-in one, and one on a public path.
    fn both(world: &World) -> [Self; 2] {
        let session = session_cookie(world);
        [Self::new(world, "/", &session), Self::new(world, "/public/x", "")]
    }

    fn ask(&self, connection: &mut Connection, fields: &str) -> Response {
        connection.send(format!("{}{fields}\r\n", self.head).as_bytes()).expect("it reads");
        connection.receive(false).unwrap_or_else(|| panic!("no answer to {fields}"))
    }

    fn plain_headers(&self) -> BTreeMap<String, Value> {
        let views: Value = serde_json::from_str(&format!("{{{}", self.plain)).expect("JSON");
        serde_json::from_value(views["views"]["exact"].clone()).expect("a map")
    }
}

fn session_cookie(world: &World) -> String {
    let (browser, page) = world.signed_in("octocat", &format!("https://{HOST}/"));
    assert_eq!(page.status, 200);
    format!("; __Host-gatekeep={}", browser.session(HOST).expect("signed in"))
}

/// The three readings as text, without the request's id, which differs each time.
fn readings(response: &Response) -> String {
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    let at = text.find("\"views\":").expect("the app's readings");
    let marker = "\"xrequestid\":[\"";
    let id = text.find(marker).expect("a request id") + marker.len();
    text[at..].replace(&text[id..id + 16], "ID")
}

/// Every way to join words by a separator: alone, doubled, before, after, mixed with hyphens.
fn spellings(words: &[&str]) -> Vec<String> {
    let mut all = vec![words.concat(), words.join("-")];
    for mark in PUNCTUATION.chars().map(String::from) {
        let joined = words.join(&mark);
        all.push(format!("{mark}{joined}"));
        all.push(format!("{joined}{mark}"));
        all.push(words.join(&mark.repeat(2)));
        all.push(words.join("-").replacen('-', &mark, 1));
        all.push(joined);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn cases(name: &str) -> [String; 4] {
    let odd = |(at, c): (usize, char)| match at % 2 {
        0 => c.to_ascii_lowercase(),
        _ => c.to_ascii_uppercase(),
    };
    let alternating = name.char_indices().map(odd).collect();
    [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase(), alternating]
}

fn lines(name: &str) -> [String; 4] {
    [
        format!("{name}: mallory\r\n"),
        format!("{name}: mallory\r\n{name}: octocat\r\n"),
        format!("{name}: mallory, octocat\r\n"),
        format!("{name}:\r\n"),
    ]
}

/// Spoofed fields, spread evenly over all combinations.
fn spoofs(names: &[&[&str]], every: usize) -> Vec<String> {
    let all = names.iter().flat_map(|words| spellings(words));
    let all = all.flat_map(|name| cases(&name)).flat_map(|name| lines(&name));
    all.step_by(every).collect()
}

fn send_all(world: &World, visitor: &Visitor, fields: &[String]) {
    let mut connection = Connection::open(world.gate.address);
    for field in fields {
        let seen = readings(&visitor.ask(&mut connection, field));
        assert_eq!(seen, visitor.plain, "the app was told more by {field:?}");
    }
}

/// oauth2-proxy CVE-2025-64484, Traefik CVE-2026-39858 and CVE-2026-88011, Caddy CVE-2026-30851:
/// a client sends `X_Forwarded-User` or `X.Forwarded.User`, the proxy removes `X-Forwarded-User`
/// alone, and the app's framework folds the names together.
#[test]
fn an_identity_cannot_be_spoofed_in_any_spelling() {
    let world = World::new();
    let visitors = Visitor::both(&world);
    // Three is prime to the four cases and four values, so all of them take their turn.
    let fields = spoofs(&RESERVED, 3);
    assert!(fields.len() * visitors.len() > 14_000, "{} are few", fields.len());
    let before = world.app.hits();
    std::thread::scope(|scope| {
        for visitor in &visitors {
            for share in fields.chunks(fields.len().div_ceil(2)) {
                scope.spawn(|| send_all(&world, visitor, share));
            }
        }
    });
    assert_eq!(world.app.hits() - before, fields.len() * visitors.len(), "all reached the app");
}

/// The control for all the others here: what the app is told when nobody cheats.
#[test]
fn the_app_is_told_who_a_visitor_is_and_nothing_about_others() {
    let world = World::new();
    let [signed_in, public] = Visitor::both(&world);
    let way = BTreeMap::from([
        ("x-forwarded-for".to_owned(), json!(["127.0.0.1"])),
        ("x-forwarded-host".to_owned(), json!([HOST])),
        ("x-forwarded-proto".to_owned(), json!(["https"])),
        ("x-real-ip".to_owned(), json!(["127.0.0.1"])),
    ]);
    assert_eq!(public.plain_headers(), way);
    let mut told = signed_in.plain_headers();
    let token = told.remove("x-gatekeep-jwt").expect("a token");
    assert_eq!(token.as_array().map(Vec::len), Some(1), "{token}");
    assert_eq!(token[0].as_str().map(|jwt| jwt.split('.').count()), Some(3), "{token}");
    let mut who = way;
    for (name, value) in [
        ("x-forwarded-user", "octocat"),
        ("x-forwarded-preferred-username", "octocat"),
        ("x-forwarded-email", "octocat@github.example"),
        ("x-forwarded-groups", "acme,acme/platform"),
    ] {
        who.insert(name.to_owned(), json!([value]));
    }
    assert_eq!(told, who);
}

/// Headers that are nobody's business but the app's must arrive, or the spoofing test would be
/// passed by a gateway that drops everything.
#[test]
fn other_headers_arrive_as_they_were_sent() {
    let world = World::new();
    for visitor in Visitor::both(&world) {
        let fields = "X-Custom: a\r\nx-custom: b\r\nX-Csrf-Token: t\r\nX-Forward: f\r\n\
                      Range: bytes=0-1\r\nX-Users: u\r\nAuthorization: Basic eDp5\r\n";
        visitor.ask(&mut Connection::open(world.gate.address), fields);
        let seen = last(&world);
        for (name, values) in [
            ("x-custom", &["a", "b"][..]),
            ("x-csrf-token", &["t"]),
            ("x-forward", &["f"]),
            ("range", &["bytes=0-1"]),
            ("x-users", &["u"]),
            ("authorization", &["Basic eDp5"]),
            ("cookie", &["theme=dark"]),
        ] {
            assert_eq!(seen.all(name), values, "{name}");
        }
    }
}

/// Frameworks read the method from a header (`X-HTTP-Method-Override: DELETE`); a rule for
/// `DELETE` would judge another request than the app answers.
#[test]
fn a_method_override_never_arrives() {
    let world = World::new();
    for visitor in Visitor::both(&world) {
        send_all(&world, &visitor, &spoofs(&OVERRIDES, 7));
    }
}

/// A client that chooses the request id could forge the operator's log.
#[test]
fn a_request_id_is_always_our_own() {
    let world = World::new();
    for visitor in Visitor::both(&world) {
        send_all(&world, &visitor, &spoofs(&[&["X", "Request", "Id"]], 7));
    }
    let mut ids: Vec<_> = world.app.requests().iter().map(one_id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "each request has an id of its own");
}

fn one_id(seen: &Seen) -> String {
    let ids = seen.all("x-request-id");
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(ids[0].len() == 16 && ids[0].bytes().all(|b| b.is_ascii_hexdigit()), "{ids:?}");
    ids[0].to_owned()
}

fn last(world: &World) -> Seen {
    world.app.requests().pop().expect("the app was reached")
}

/// Methods that apps know, from RFC 9110 and `WebDAV`, and one that nobody knows.
const METHODS: [&str; 16] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "MOVE",
    "COPY", "LOCK", "REPORT", "SEARCH", "PURGE", "NONSENSE",
];

/// What has opened a gate somewhere: health checks, preflights, forwarded paths, other people's
/// tokens.
const TRICKS: [&str; 32] = [
    "",
    "User-Agent: GoogleHC/1.0",
    "User-Agent: kube-probe/1.30",
    "User-Agent: ELB-HealthChecker/2.0",
    "Origin: https://app.example.com\r\nAccess-Control-Request-Method: GET",
    "Access-Control-Request-Method: GET",
    "Access-Control-Request-Headers: authorization",
    "X-Forwarded-Uri: /public/x",
    "X-Original-Url: /public/x",
    "X-Original-Uri: /public/x",
    "X-Rewrite-Url: /public/x",
    "X-Forwarded-Prefix: /public",
    "X-Forwarded-Path: /public/x",
    "X-Forwarded-Method: OPTIONS",
    "X-HTTP-Method-Override: OPTIONS",
    "X-Forwarded-Host: auth.example.com",
    "X-Forwarded-Proto: http",
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=auth.example.com",
    "X-Forwarded-User: octocat",
    "X-Auth-Request-User: octocat",
    "X-Gatekeep-Jwt: eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "Authorization: Basic b2N0b2NhdDpvY3RvY2F0",
    "Cookie: __Host-gatekeep=",
    "Cookie: __Host-gatekeep=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Cookie: _oauth2_proxy=x; user=octocat",
    "Referer: https://app.example.com/public/x",
    "Sec-Purpose: prefetch",
    "Connection: Upgrade\r\nUpgrade: websocket",
    "X-Requested-With: XMLHttpRequest",
];

/// oauth2-proxy CVE-2026-34457: an exception for health checks that believed a header. Exceptions
/// are routes here: nothing that a client says about itself opens a path.
#[test]
fn no_header_and_no_method_opens_a_protected_path() {
    let world = World::new();
    let ask = |method: &str, fields: &str| {
        let request = format!(
            "{method} /secret HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\
             content-length: 0\r\n{fields}\r\n"
        );
        world.gate.raw(request.as_bytes()).map(|answer| answer.status)
    };
    for method in METHODS {
        for trick in TRICKS {
            let line = if trick.is_empty() { String::new() } else { format!("{trick}\r\n") };
            assert_eq!(ask(method, &line), Some(401), "{method} {trick}");
        }
    }
    assert_eq!(world.app.hits(), 0);
    let session = format!("Cookie: x=y{}\r\n", session_cookie(&world));
    for method in METHODS {
        let before = world.app.hits();
        assert_eq!(ask(method, &session), Some(200), "{method} of a visitor");
        assert_eq!(world.app.hits(), before + 1);
    }
}

/// Every way to nominate a header for removal on this hop.
fn nominations(name: &str) -> Vec<String> {
    vec![
        format!("Connection: {name}\r\n"),
        format!("connection: {}\r\n", name.to_ascii_uppercase()),
        format!("CoNnEcTiOn: {name}\r\n"),
        format!("Connection: keep-alive\r\nConnection: {name}\r\n"),
        format!("Connection: {name}\r\nConnection: {name}\r\n"),
        format!("Connection: , ,\t{name} ,,\r\n"),
        format!("Connection: close, {name}\r\n"),
        format!("Connection: keep-alive, {name}\r\n"),
        format!("Connection: {name}, te\r\nTE: trailers\r\n"),
        format!("Proxy-Connection: {name}\r\n"),
        format!("Keep-Alive: {name}\r\nConnection: keep-alive\r\n"),
        format!("Connection: {name}\r\n{name}: mallory\r\n"),
    ]
}

/// Traefik CVE-2024-45410 and CVE-2026-29054, oathkeeper GHSA-w9mr-28mw-j8hg: the client nominates
/// `X-Forwarded-User` or `X-Real-IP` in `Connection`, and the proxy removes its own header as
/// hop-by-hop after it has set it.
#[test]
fn a_nomination_in_connection_takes_none_of_our_headers_away() {
    let world = World::new();
    let mut passed = 0;
    for visitor in Visitor::both(&world) {
        for name in SET_BY_US.into_iter().chain(["host"]) {
            for fields in nominations(name) {
                // Two Hosts and two cookie fields are other tests' business.
                if fields.ends_with("mallory\r\n") && matches!(name, "host" | "cookie") {
                    continue;
                }
                passed += usize::from(is_whole(&world, &visitor, &fields));
            }
        }
    }
    assert!(passed >= 150, "{passed} passed; a gateway that refuses all proves nothing");
}

/// Whether the request passed, and then told the app all; the other good answer is 400.
fn is_whole(world: &World, visitor: &Visitor, fields: &str) -> bool {
    let before = world.app.hits();
    let answer = visitor.ask(&mut Connection::open(world.gate.address), fields);
    if answer.status == 400 {
        assert_eq!(world.app.hits(), before, "refused and forwarded: {fields:?}");
        return false;
    }
    assert_eq!(readings(&answer), visitor.plain, "{fields:?}");
    let hop = ["connection", "proxy-connection", "keep-alive", "te"];
    let seen = last(world);
    let left: Vec<_> = hop.into_iter().filter(|name| seen.header(name).is_some()).collect();
    assert_eq!(left, [""; 0], "{fields:?} went further than one hop");
    true
}

const BEARER: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: anyone
    public: [/public/*]
    token: { header: Authorization }
  - name: open
    host: auth.example.com
    upstream: @APP@
    allow: anyone
";

/// Where the app reads the visitor's token from `Authorization`, a token of the client's own would
/// be taken for ours.
#[test]
fn authorization_is_replaced_where_the_route_sets_it() {
    let world = World::with("", BEARER);
    let [signed_in, public] = Visitor::both(&world);
    let token = &signed_in.plain_headers()["authorization"];
    let token = token[0].as_str().expect("text");
    assert!(token.starts_with("Bearer ey") && token.split('.').count() == 3, "{token}");
    assert_eq!(public.plain_headers().get("authorization"), None);
    for name in
        ["Authorization", "authorization", "AUTHORIZATION", "Author-ization", "-authoriz_ation"]
    {
        for visitor in [&signed_in, &public] {
            send_all(&world, visitor, &lines(name));
        }
    }
}

/// On every other route it is the app's own: a client's API key must arrive.
#[test]
fn authorization_is_left_alone_where_the_route_does_not_set_it() {
    let world = World::new();
    for visitor in Visitor::both(&world) {
        let mut connection = Connection::open(world.gate.address);
        visitor.ask(&mut connection, "Authorization: Bearer of-the-app\r\n");
        assert_eq!(last(&world).all("authorization"), ["Bearer of-the-app"]);
    }
}

/// `X-Forwarded-For` fields, and what the app should be told: the chain and the client.
const CHAINS: [(&[&[u8]], &str, &str); 11] = [
    (&[], "127.0.0.1", "127.0.0.1"),
    (&[b"203.0.113.7"], "203.0.113.7, 127.0.0.1", "203.0.113.7"),
    (&[b"6.6.6.6, 203.0.113.7"], "203.0.113.7, 127.0.0.1", "203.0.113.7"),
    (&[b"6.6.6.6", b"203.0.113.7"], "203.0.113.7, 127.0.0.1", "203.0.113.7"),
    (&[b"6.6.6.6, 203.0.113.7,127.0.0.1"], "203.0.113.7, 127.0.0.1", "203.0.113.7"),
    (&[b"::ffff:203.0.113.7"], "203.0.113.7, 127.0.0.1", "203.0.113.7"),
    (&[b"2001:db8::7"], "2001:db8::7, 127.0.0.1", "2001:db8::7"),
    (&[b"127.0.0.1"], "127.0.0.1", "127.0.0.1"),
    // What cannot be read ends the chain: beyond it nobody vouches.
    (&[b"6.6.6.6, unknown"], "127.0.0.1", "127.0.0.1"),
    (&[b"6.6.6.6", b"\xff"], "127.0.0.1", "127.0.0.1"),
    (&[b"6.6.6.6", b"\xff, 127.0.0.1"], "127.0.0.1", "127.0.0.1"),
];

fn chain_of(world: &World, fields: &[&[u8]]) -> (String, String) {
    let mut request = format!("GET /public/x HTTP/1.1\r\nhost: {HOST}\r\n").into_bytes();
    for field in fields {
        request.extend_from_slice(&[b"X-Forwarded-For: ", *field, b"\r\n"].concat());
    }
    request.extend_from_slice(b"connection: close\r\n\r\n");
    assert_eq!(world.gate.raw(&request).map(|answer| answer.status), Some(200));
    let seen = last(world);
    let one = |name| match seen.all(name)[..] {
        [value] => value.to_owned(),
        ref other => panic!("{name}: {other:?}"),
    };
    (one("x-forwarded-for"), one("x-real-ip"))
}

/// oauth2-proxy takes the first element of `X-Forwarded-For`, which the client wrote. From a peer
/// that nobody trusts the whole field means nothing.
#[test]
fn a_stranger_cannot_say_where_it_comes_from() {
    let world = World::new();
    for (fields, _, _) in CHAINS {
        let told = chain_of(&world, fields);
        assert_eq!(told, ("127.0.0.1".to_owned(), "127.0.0.1".to_owned()), "{fields:?}");
    }
}

/// A trusted proxy is believed about its own peer, the rightmost, and about nobody beyond.
#[test]
fn a_trusted_proxy_is_believed_from_the_right() {
    let world = World::with("trusted_proxies: [127.0.0.1]\n", crate::support::ROUTES);
    for (fields, chain, client) in CHAINS {
        let told = chain_of(&world, fields);
        assert_eq!(told, (chain.to_owned(), client.to_owned()), "{fields:?}");
    }
}
