//! Files to GitHub and from it: of any length, in little memory, and never a part for the whole.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use gatekeep::simulator::{Simulator, Trouble};
use ring::digest::{SHA256, digest};

use super::http2::Secure;
use super::{SCOPES, at, entitled, world};
use crate::support::browser::{Browser, join};
use crate::support::child::Run;
use crate::support::http::{Connection, Response};
use crate::support::upstream::read_head;
use crate::support::{World, eventually, yaml};

const HOST: &str = "app.example.com";
const ORIGIN: &str = "https://app.example.com";
const REPOSITORY: &str = "octocat/hello-world";
const LATEST: &str = "/repos/octocat/hello-world/releases/latest";

/// More than is held of any answer.
const LARGE: usize = 3_000_000;

/// A route whose bodies are no longer than a mebibyte.
const NARROW: &str = r"
  - name: github
    host: app.example.com
    path: /github
    upstream: github
    allow: anyone
    body_limit: 1MiB
";

/// Any body fits.
const WIDE: &str = r"
  - name: github
    host: app.example.com
    path: /github
    upstream: github
    allow: anyone
    body_limit: none
";

/// The header of a visitor's request; `fields` end their lines.
fn head(visitor: &Browser, line: &str, fields: &str) -> Vec<u8> {
    let mut head = format!("{line}\r\nhost: {HOST}\r\norigin: {ORIGIN}\r\n{fields}");
    head += "sec-fetch-site: same-origin\r\naccept: application/json\r\ncookie: ";
    for (name, value) in visitor.cookies(HOST) {
        write!(head, "{name}={value}; ").expect("memory is written");
    }
    (head + "\r\n\r\n").replace("; \r\n\r\n", "\r\n\r\n").into_bytes()
}

/// Asks for something, and reads the answer's header.
fn begin(gate: SocketAddr, visitor: &Browser, path: &str) -> (String, Connection) {
    let mut connection = Connection::open(gate);
    let line = format!("GET /github{path} HTTP/1.1");
    connection.send(&head(visitor, &line, "")).expect("the gateway reads");
    let head = read_head(connection.stream()).expect("a header");
    (head.to_ascii_lowercase(), connection)
}

/// Path and query where assets of the latest release are sent.
fn upload_target(visitor: &mut Browser, name: &str) -> String {
    let release = visitor.fetch(&at(LATEST)).json();
    let template = release["upload_url"].as_str().expect("a template").to_owned();
    let place = template.strip_suffix("{?name,label}").expect("a template");
    let target = place.strip_prefix(ORIGIN).expect("it leads through the gateway");
    format!("{target}?name={name}")
}

fn uploads(github: &Simulator) -> usize {
    github.requests().iter().filter(|request| request.path().starts_with("/api/uploads")).count()
}

/// Sends a header with a body.
fn send(gate: SocketAddr, head: &[u8], body: &[u8]) -> Response {
    let mut connection = Connection::open(gate);
    connection.send(head).expect("the gateway reads");
    // It may refuse what it has not read.
    drop(connection.send(body));
    connection.receive(false).expect("an answer")
}

/// A body that no part of another resembles.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * at / 7 + at / 251) % 251).expect("below 251")).collect()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

// === to GitHub ===

#[test]
fn an_asset_of_five_megabytes_arrives_as_it_was_sent() {
    let (world, mut browser) = entitled();
    let (target, body) = (upload_target(&mut browser, "a.bin"), noise(5_000_000));
    let length = format!("content-length: {}\r\ncontent-type: application/zip\r\n", body.len());
    let line = format!("POST {target} HTTP/1.1");
    let made = send(world.gate.address, &head(&browser, &line, &length), &body);
    assert_eq!(made.status, 201, "{}", made.text());
    let hash = digest(&SHA256, &body).as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("memory is written");
        hex
    });
    let asset = &world.github.assets(REPOSITORY)[0];
    assert_eq!((asset.bytes, &asset.sha256), (body.len() as u64, &hash));
    let url = made.json()["url"].as_str().expect("an address").to_owned();
    assert!(url.starts_with(&at("/repos/octocat/hello-world/releases/assets/")), "{url}");
    let seen = world.github.requests().pop().expect("a request");
    assert_eq!(seen.header("content-length"), Some("5000000"));
    assert_eq!(seen.header("content-type"), Some("application/zip"));
    assert_eq!(seen.header("cookie"), None);
}

/// Whoever sends slowly is no reason to give up: GitHub answers when it has all.
#[test]
fn an_upload_takes_as_long_as_its_client() {
    let (world, mut browser) = entitled();
    let line = format!("POST {} HTTP/1.1", upload_target(&mut browser, "slow.bin"));
    let body = noise(LARGE);
    let mut connection = Connection::open(world.gate.address);
    let length = format!("content-length: {}\r\n", body.len());
    connection.send(&head(&browser, &line, &length)).expect("the gateway reads");
    let (first, second) = body.split_at(LARGE / 2);
    connection.send(first).expect("the gateway reads");
    // Longer than GitHub may be silent.
    std::thread::sleep(Duration::from_secs(12));
    connection.send(second).expect("the gateway reads");
    let made = connection.receive(false).expect("an answer");
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(world.github.assets(REPOSITORY)[0].bytes, LARGE as u64);
}

/// `curl` asks before it sends a long body, and waits a second for a word.
#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let (world, mut browser) = entitled();
    let line = format!("POST {} HTTP/1.1", upload_target(&mut browser, "a.bin"));
    let fields = "content-length: 100000\r\nexpect: 100-continue\r\n";
    let mut connection = Connection::open(world.gate.address);
    connection.send(&head(&browser, &line, fields)).expect("the gateway reads");
    let go_on = read_head(connection.stream()).expect("a word");
    assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
    connection.send(&noise(100_000)).expect("the gateway reads");
    assert_eq!(connection.receive(false).expect("an answer").status, 201);
}

/// What breaks off on the way in breaks off at GitHub, whichever way the body says its length.
#[test]
fn an_upload_that_breaks_off_is_not_taken_for_whole() {
    let (world, mut browser) = entitled();
    let line = format!("POST {} HTTP/1.1", upload_target(&mut browser, "a.bin"));
    let half = noise(100_000);
    let announced = ("content-length: 200000\r\n", half.clone());
    let unannounced = ("transfer-encoding: chunked\r\n", chunked(&half));
    // What is so large flows.
    let large = noise(LARGE / 2);
    let large_announced = ("content-length: 3000000\r\n", large.clone());
    let large_unannounced = ("transfer-encoding: chunked\r\n", chunked(&large));
    let all = [large_announced, large_unannounced, announced, unannounced];
    for (count, (fields, part)) in all.into_iter().enumerate() {
        let mut connection = Connection::open(world.gate.address);
        connection.send(&head(&browser, &line, fields)).expect("the gateway reads");
        connection.send(&part).expect("the gateway reads");
        connection.stream().shutdown(Shutdown::Write).expect("it is open");
        eventually("the gateway notices", || {
            world.gate.access_log().matches("/_uploads/").count() == count + 1
        });
        let log = world.gate.access_log();
        let last = log.lines().last().expect("a line");
        assert!(last.contains("client-gone"), "{last}");
    }
    assert_eq!((uploads(&world.github), world.github.assets(REPOSITORY).len()), (0, 0));
    // Whole, each of them arrives.
    let ended = |part: &[u8]| [chunked(part), b"0\r\n\r\n".to_vec()].concat();
    let whole = [
        ("content-length: 1500000\r\n", large.clone()),
        ("transfer-encoding: chunked\r\n", ended(&large)),
        ("content-length: 100000\r\n", half.clone()),
        ("transfer-encoding: chunked\r\n", ended(&half)),
    ];
    for (fields, body) in whole {
        let made = send(world.gate.address, &head(&browser, &line, fields), &body);
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let sizes: Vec<_> = world.github.assets(REPOSITORY).iter().map(|asset| asset.bytes).collect();
    assert_eq!((uploads(&world.github), sizes), (4, vec![1_500_000, 1_500_000, 100_000, 100_000]));
}

/// What is signed out sends no more: neither what is read whole, nor what flows.
#[test]
fn an_upload_ends_with_its_session() {
    for bytes in [100_000, 1_500_000] {
        ends_with_its_session(&chunked(&noise(bytes)));
    }
}

fn ends_with_its_session(half: &[u8]) {
    let (world, mut browser) = entitled();
    let line = format!("POST {} HTTP/1.1", upload_target(&mut browser, "a.bin"));
    let upload = |is_signed_out: bool| {
        let mut connection = Connection::open(world.gate.address);
        let fields = "transfer-encoding: chunked\r\nexpect: 100-continue\r\n";
        connection.send(&head(&browser, &line, fields)).expect("the gateway reads");
        // Who is asked to go on was let in.
        let go_on = read_head(connection.stream()).expect("a word");
        assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
        connection.send(half).expect("the gateway reads");
        if is_signed_out {
            let done = world.gate.operate("POST", "/sessions/revoke", r#"{"user": "octocat"}"#);
            assert_eq!(done.status, 200, "{}", done.text());
        }
        // It may be closed by now.
        drop(connection.send(&[half, b"0\r\n\r\n"].concat()));
        connection.receive(false).map(|answer| answer.status)
    };
    assert_eq!((upload(false), uploads(&world.github)), (Some(201), 1));
    assert_ne!(upload(true), Some(201));
    assert_eq!((uploads(&world.github), world.github.assets(REPOSITORY).len()), (1, 1));
}

#[test]
fn a_body_beyond_the_route_s_limit_does_not_arrive() {
    let world = World::with(SCOPES, NARROW);
    let (mut browser, _) = world.signed_in("octocat", &at("/user"));
    let line = format!("POST {} HTTP/1.1", upload_target(&mut browser, "a.bin"));
    let most = noise(1 << 20);
    let over = [&most[..], b"x"].concat();
    let announced = ("content-length: 1048577\r\nexpect: 100-continue\r\n", over.clone());
    let unannounced =
        ("transfer-encoding: chunked\r\n", [chunked(&over), b"0\r\n\r\n".to_vec()].concat());
    for (fields, body) in [announced, unannounced] {
        let refused = send(world.gate.address, &head(&browser, &line, fields), &body);
        assert_eq!(refused.status, 413, "{}", refused.text());
        assert_eq!((uploads(&world.github), world.github.assets(REPOSITORY).len()), (0, 0));
    }
    let fields = "content-length: 1048576\r\n";
    let made = send(world.gate.address, &head(&browser, &line, fields), &most);
    assert_eq!((made.status, uploads(&world.github)), (201, 1), "{}", made.text());
}

// === from GitHub ===

#[test]
fn a_large_answer_flows_with_its_length() {
    let (world, mut browser) = world();
    let url = at(&format!("/blob/{LARGE}"));
    for _ in 0..2 {
        let answer = browser.fetch(&url);
        assert_eq!((answer.status, answer.body.len()), (200, LARGE));
        assert!(answer.body.iter().all(|byte| *byte == b' '));
        assert_eq!(answer.header("content-length"), Some("3000000"));
        assert_eq!(answer.header("cache-status"), Some("gatekeep; fwd=uri-miss; fwd-status=200"));
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        assert!(answer.header("x-ratelimit-remaining").is_some());
    }
    assert_eq!(world.github.calls(&format!("GET /blob/{LARGE}")), 2, "it is not held");
}

/// Where GitHub says how much will come, nothing is held back until enough is here to know it.
#[test]
fn a_large_answer_begins_at_once() {
    let (world, browser) = world();
    world.github.knobs().at(&format!("/blob/{LARGE}"), Trouble::Stall { after: 1_000_000 });
    let (head, mut connection) = begin(world.gate.address, &browser, &format!("/blob/{LARGE}"));
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 3000000"), "{head}");
    assert_eq!(connection.read_some(500_000).len(), 500_000);
}

/// What GitHub packs is unpacked on the way, however large; its packed length is nobody's business.
#[test]
fn a_large_packed_file_is_unpacked_on_the_way() {
    let (world, mut browser) = world();
    let file = noise(LARGE);
    world.github.put_file(REPOSITORY, "large.bin", file.clone());
    let url = at("/repos/octocat/hello-world/contents/large.bin");
    let raw = [("accept", "application/vnd.github.raw+json")];
    let answer = browser.send("GET", &url, &raw, "");
    assert!(answer.status == 200 && answer.body == file, "{} bytes", answer.body.len());
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("content-length"), None);
    let seen = world.github.requests().pop().expect("a request");
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
}

/// A file that breaks off is no shorter file: with a length too little comes, without one the last chunk
/// is missing. The same whole is the control.
#[test]
fn an_answer_that_breaks_off_midway_is_seen_to() {
    let (world, browser) = world();
    world.github.put_file(REPOSITORY, "large.bin", noise(LARGE));
    let raw = "accept: application/vnd.github.raw\r\n";
    for (path, framing) in [
        (format!("/blob/{LARGE}"), "content-length"),
        ("/repos/octocat/hello-world/contents/large.bin".to_owned(), "transfer-encoding"),
    ] {
        let ask = || {
            let mut connection = Connection::open(world.gate.address);
            let line = format!("GET /github{path} HTTP/1.1");
            let head = String::from_utf8(head(&browser, &line, "")).expect("text");
            let head = head.replace("accept: application/json\r\n", raw);
            connection.send(head.as_bytes()).expect("the gateway reads");
            connection
        };
        let whole = ask().receive(false).expect("an answer");
        assert_eq!((whole.status, whole.body.len()), (200, LARGE), "{path}");
        assert!(whole.header(framing).is_some(), "{whole:?}");
        world.github.knobs().once(&path, Trouble::Cut { after: 2_800_000 });
        let mut connection = ask();
        let head = read_head(connection.stream()).expect("a header");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let came = connection.read_some(LARGE + 10_000);
        assert!((1_000_000..LARGE).contains(&came.len()), "{} bytes of {path}", came.len());
        assert!(!came.ends_with(b"0\r\n\r\n"), "it ends as if it were whole: {path}");
    }
}

#[test]
fn what_breaks_off_early_is_asked_for_again_and_then_an_error() {
    let (world, mut browser) = world();
    world.github.knobs().once("/users/mona", Trouble::Cut { after: 10 });
    assert_eq!(browser.fetch(&at("/users/mona")).status, 200);
    assert_eq!(world.github.calls("GET /users/mona"), 2);
    world.github.knobs().at("/users/hubot", Trouble::Cut { after: 10 });
    let answer = browser.fetch(&at("/users/hubot"));
    assert_eq!((answer.status, &answer.json()["reason"]), (502, &"github-unavailable".into()));
    assert_eq!(world.github.calls("GET /users/hubot"), 2);
}

/// An old client knows no chunks: it reads as much as is announced, or to the end of the connection.
#[test]
fn a_client_of_http_1_0_gets_it_whole() {
    const LARGER: usize = 9_000_000;
    let (world, browser) = world();
    // JSON is held longer than files are; nobody says how much comes.
    world.github.knobs().presentation(|looks| looks.gzip = false);
    world.github.knobs().at("/meta", Trouble::Huge(LARGER as u64));
    let known = "GET /github/blob/9000000 HTTP/1.0";
    let unknown = "GET /github/meta HTTP/1.0";
    for (line, length) in [(known, Some("9000000")), (unknown, None)] {
        let mut connection = Connection::open(world.gate.address);
        connection.send(&head(&browser, line, "")).expect("the gateway reads");
        let answer = connection.receive(false).expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (200, LARGER), "{line}");
        assert_eq!(answer.header("content-length"), length);
        assert_eq!(answer.header("transfer-encoding"), None);
    }
}

/// HEAD says what GET would, without the body, and the connection goes on.
#[test]
fn a_head_has_the_header_of_its_get() {
    let (world, mut browser) = world();
    let large = format!("/blob/{LARGE}");
    let mut connection = Connection::open(world.gate.address);
    for path in ["/user", "/repos/octocat/hello-world/issues", large.as_str()] {
        let full = browser.fetch(&at(path));
        let line = format!("HEAD /github{path} HTTP/1.1");
        connection.send(&head(&browser, &line, "")).expect("the gateway reads");
        let head = connection.receive(true).expect("an answer");
        assert_eq!(head.status, 200, "{path}");
        for name in ["content-length", "content-type", "etag", "link", "vary", "last-modified"] {
            assert_eq!(head.header(name), full.header(name), "{name} of {path}");
        }
    }
    let asked = world.github.requests();
    assert!(asked.iter().all(|request| request.method != "HEAD"), "HEAD and GET share an entry");
}

/// A part of a file is of the file itself, and is never taken for the whole.
#[test]
fn a_part_of_a_file_is_passed_on_and_not_held() {
    let (world, mut browser) = world();
    let path = "/repos/octocat/hello-world/contents/README.md";
    let headers =
        [("content-type", "application/vnd.github.raw"), ("content-range", "bytes 0-3/15")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let part = Trouble::Answer { status: 206, headers, body: "# He".into() };
    world.github.knobs().once(path, part);
    let fields = [("accept", "application/vnd.github.raw"), ("range", "bytes=0-3")];
    let answer = browser.send("GET", &at(path), &fields, "");
    assert_eq!((answer.status, answer.text().as_str()), (206, "# He"));
    assert_eq!(answer.header("content-range"), Some("bytes 0-3/15"));
    let seen = world.github.requests().pop().expect("a request");
    assert_eq!(seen.header("range"), Some("bytes=0-3"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"), "bytes of the file are counted");
    let whole = browser.send("GET", &at(path), &fields[..1], "");
    assert_eq!((whole.status, whole.text().as_str()), (200, "# Hello World\n"));
    assert_eq!(
        whole.header("cache-status"),
        Some("gatekeep; fwd=uri-miss; fwd-status=200; stored")
    );
}

/// Who takes nothing of what flows holds up nobody but who does the same.
#[test]
fn a_few_answers_flow_at_once_and_hold_up_nobody_else() {
    let (world, mut browser) = world();
    let (mut other, _) = world.signed_in("hubot", "https://app.example.com/x");
    let mut stalled: Vec<_> = (0..4)
        .map(|_| begin(world.gate.address, &browser, "/blob/100000000000"))
        .inspect(|(head, _)| assert!(head.starts_with("http/1.1 200"), "{head}"))
        .collect();
    let url = at(&format!("/blob/{LARGE}"));
    let fields = [("accept", "application/json"), ("x-gatekeep-max-wait", "0")];
    let large = |visitor: &mut Browser| visitor.send("GET", &url, &fields, "");
    let refused = large(&mut browser);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let said = refused.json();
    assert_eq!(said["reason"], "crowded");
    let message = "Too many large answers are on their way, yours or everybody's. Ask again when \
                   one has arrived.";
    assert_eq!(said["message"], message);
    eventually("it is logged", || world.gate.access_log().contains("crowded"));
    // What is small passes, and so does what is another's.
    for _ in 0..12 {
        assert_eq!(browser.fetch(&at("/users/mona")).status, 200);
    }
    assert_eq!(large(&mut other).body.len(), LARGE);
    // One reader less is one place more.
    drop(stalled.pop());
    eventually("the gateway notices", || large(&mut browser).status == 200);
}

/// A download does not outlive the session that began it, and no other session's download ends with it.
#[test]
fn a_stream_ends_with_its_session() {
    const MORE: usize = 64 << 20;
    let (world, browser) = world();
    let (other, _) = world.signed_in("hubot", "https://app.example.com/x");
    let [mut mine, mut theirs] = [&browser, &other].map(|visitor| {
        let (head, mut stream) = begin(world.gate.address, visitor, "/blob/100000000000");
        assert!(head.contains("content-length: 100000000000"), "{head}");
        assert_eq!(stream.read_some(8 << 20).len(), 8 << 20);
        stream
    });
    let done = world.gate.operate("POST", "/sessions/revoke", r#"{"user": "octocat"}"#);
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(mine.read_some(MORE).len() < MORE, "it goes on and on");
    assert_eq!(theirs.read_some(MORE).len(), MORE);
}

// === memory ===

/// Bytes of the large bodies: of an archive of a large repository.
const LARGEST: u64 = 300_000_000;

/// A gateway in a process of its own, and octocat signed in there.
fn apart(github: &Simulator, keys: &str) -> (Run, Browser) {
    github.register_callback("https://auth.example.com/.gatekeep/callback");
    let run = Run::start(&yaml(github, keys, WIDE));
    let mut browser = Browser::new(run.address);
    let page = at("/user");
    let mut place = join(&page, browser.get(&page).location());
    while !place.starts_with(github.url()) {
        place = join(&place, browser.get(&place).location());
    }
    let (_, page) = browser.follow(&github.approve(&place, "octocat"));
    assert_eq!(page.status, 200, "{}", page.text());
    (run, browser)
}

fn download(run: &Run, browser: &Browser, bytes: u64) {
    let (head, mut connection) = begin(run.address, browser, &format!("/blob/{bytes}"));
    assert!(head.contains(&format!("content-length: {bytes}\r\n")), "{head}");
    let mut came = 0;
    while came < bytes {
        let wanted = usize::try_from(bytes - came).unwrap_or(usize::MAX).min(1 << 20);
        let part = connection.read_some(wanted).len() as u64;
        assert!(part > 0, "it ends after {came} bytes");
        came += part;
    }
}

fn upload(run: &Run, browser: &Browser, target: &str, bytes: u64) {
    let mut connection = Connection::open(run.address);
    let length = format!("content-length: {bytes}\r\n");
    let line = format!("POST {target} HTTP/1.1");
    connection.send(&head(browser, &line, &length)).expect("the gateway reads");
    let (part, mut left) = (vec![b'x'; 1 << 20], bytes);
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(part.len());
        connection.stream().write_all(&part[..now]).expect("the gateway reads");
        left -= now as u64;
    }
    let made = connection.receive(false).expect("an answer");
    assert_eq!((made.status, &made.json()["size"]), (201, &bytes.into()), "{}", made.text());
}

/// However long a body is, little of it is in memory at once.
#[test]
fn large_bodies_flow_through_little_memory() {
    let github = Simulator::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
    flow_through_little_memory(&github, SCOPES);
}

/// Nor on a connection that many share.
#[test]
fn large_bodies_flow_through_little_memory_over_http_2() {
    let secure = Secure::start();
    flow_through_little_memory(&secure.github, &secure.keys());
}

fn flow_through_little_memory(github: &Simulator, keys: &str) {
    const LITTLE: u64 = 24 << 20;
    let (run, mut browser) = apart(github, keys);
    let target = upload_target(&mut browser, "large.bin");
    let transfer = |bytes| {
        download(&run, &browser, bytes);
        upload(&run, &browser, &target, bytes);
        run.child.memory().0
    };
    let before = transfer(4_000_000);
    let after = transfer(LARGEST);
    assert!(after < before + LITTLE, "from {before} bytes of memory to {after}");
}
