//! What GitHub's API costs through the gateway: `GATEKEEP_ANSWERS=1000000 cargo bench --bench github_api`.
//! Without a number it is a small run that shows that all of it works.
//!
//! Each measurement is a process of its own, so that none finds memory that another has left. How many
//! fresh answers a core gives is the load test's business: see `benches/load/README.md`.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatekeep::clock::Time;
use gatekeep::freshness::tags::Tag;
use gatekeep::simulator::{Person, Simulator};
use gatekeep::store::{Body, HeldResponses, Principal, ResponseKey, ResponseStore, Validation};
use http::{HeaderMap, HeaderName, HeaderValue};

use support::browser::{Browser, join};
use support::http::Connection;

/// What a way through Pingora takes; its allocator is that of all of them.
#[path = "load/bare.rs"]
mod bare;

/// The client of the tests.
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/support"]
mod support {
    pub(crate) mod browser;
    pub(crate) mod http;
}

/// A gateway of its own process, and the GitHub that it asks.
struct Stage {
    github: Simulator,
    gateway: Process,
    people: Vec<Asker>,
}

/// Somebody who asks, by the gateway or GitHub itself.
struct Asker {
    cookie: String,
    token: String,
}

/// A process that ends with this one's interest in it.
struct Process {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

/// One way to ask, and how long each answer took.
struct Way {
    name: &'static str,
    connection: Connection,
    took: Vec<Duration>,
}

/// How much a store of answers may hold.
const BOUND: u64 = 256 << 20;

/// Bodies of GitHub's answers, by turns: from an empty list to a page of a hundred.
const SIZES: [usize; 8] = [2, 300, 1_500, 3_600, 3_600, 6_000, 12_000, 40_000];

/// Bodies of single things alone: what is kept beside them weighs more than they do.
const SMALL: [usize; 1] = [300];

/// Fields of GitHub's answer that pass to clients, as long as they are.
const FIELDS: [(&str, &str); 23] = [
    ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
    ("content-type", "application/json; charset=utf-8"),
    ("last-modified", "Sat, 21 Nov 2026 11:00:00 GMT"),
    ("x-oauth-scopes", "read:org, repo, user:email"),
    ("x-accepted-oauth-scopes", "repo"),
    ("x-oauth-client-id", "Iv1.0123456789abcdef"),
    ("x-github-media-type", "github.v3; format=json"),
    ("x-github-api-version-selected", "2022-11-28"),
    ("x-accepted-github-permissions", "issues=read; pull_requests=read"),
    ("link", "<https://api.github.com/repositories/1296269/issues?page=2>; rel=\"next\""),
    ("x-ratelimit-limit", "5000"),
    ("x-ratelimit-remaining", "4999"),
    ("x-ratelimit-reset", "1795000000"),
    ("x-ratelimit-used", "1"),
    ("x-ratelimit-resource", "core"),
    ("referrer-policy", "origin-when-cross-origin, strict-origin-when-cross-origin"),
    ("x-xss-protection", "0"),
    ("x-github-request-id", "ABCD:1234:5678900:9876543:6560A1B2"),
    ("cache-control", "private, no-cache"),
    ("vary", "Accept, Authorization, Cookie, Accept-Encoding, X-GitHub-Api-Version"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("x-request-server-time", "0.031"),
];

/// People that share the work: GitHub's pace is kept for each.
const PEOPLE: usize = 40;

/// Questions on one connection, which the gateway ends after ten thousand.
const ON_ONE_CONNECTION: usize = 9_000;

/// About as long as an answer of GitHub's is in the middle.
const PAGE: &str = "/repos/octocat/hello-world/issues?per_page=2";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["held", "small"] => held("300 bytes each", &SMALL),
        ["held", _] => held("of all lengths", &SIZES),
        ["fields"] => fields(),
        ["asked"] => asked(),
        [_, _, _] => bare::main(),
        _ => all(),
    }
}

fn all() {
    let program = std::env::current_exe().expect("this program");
    for phase in [&["held", "all"][..], &["held", "small"], &["fields"], &["asked"]] {
        let ended = Command::new(&program).args(phase).status();
        assert!(ended.is_ok_and(|status| status.success()), "{phase:?} failed");
    }
}

fn count() -> usize {
    let asked = std::env::var("GATEKEEP_ANSWERS").ok();
    asked.map_or(2_000, |number| number.parse().expect("GATEKEEP_ANSWERS is a number"))
}

// === What is measured ===

/// What a store weighs to which very many answers are given, each at a URL of its own.
fn held(what: &str, sizes: &[usize]) {
    let (count, runtime) = (count(), runtime());
    // All that is there before answers are: the runtime and the first page of everything.
    runtime.block_on(keep(&HeldResponses::new(1 << 20), 0, 300));
    let before = resident();
    let store = HeldResponses::new(BOUND);
    let mut most = 0;
    for number in 0..count {
        runtime.block_on(keep(&store, number, sizes[number % sizes.len()]));
        if number % 1_000 == 0 {
            most = resident().saturating_sub(before).max(most);
        }
    }
    let now = resident().saturating_sub(before);
    most = most.max(now);
    let (kept, bytes) = runtime.block_on(kept(&store, count));
    title(&format!("{} answers, {what}", grouped(count as u64)));
    row(&["what", ""]);
    row(&["---", "---:"]);
    row(&["bound", &megabytes(BOUND)]);
    row(&["counted by the store", &megabytes(store.bytes())]);
    row(&["memory of the process, most", &megabytes(most)]);
    row(&["memory ÷ bound", &hundredths(most, BOUND)]);
    row(&["answers held at the end", &grouped(kept)]);
    row(&["memory each", &format!("{} bytes", grouped(now / kept.max(1)))]);
    row(&["of it the body", &format!("{} bytes", grouped(bytes / kept.max(1)))]);
}

/// What the gateway itself keeps beside a body: the same few bodies at very many URLs.
fn fields() {
    let stage = Stage::new();
    let count = count().min(ON_ONE_CONNECTION);
    let mut connection = Connection::open(stage.gateway.address);
    let mut ask = |number: usize| {
        let path = format!("/github/repos/octocat/hello-world/commits?per_page=1&n={number}");
        let asker = &stage.people[number % PEOPLE];
        let answer = asker.ask_by_gateway(&mut connection, &path);
        assert!(answer.contains("stored"), "{answer}");
    };
    (0..count / 10).for_each(&mut ask);
    let before = stage.gateway.resident();
    (count / 10..count).for_each(&mut ask);
    let grown = stage.gateway.resident().saturating_sub(before);
    title(&format!(
        "{} answers of the same few bodies, through the gateway",
        grouped(count as u64)
    ));
    row(&["what", ""]);
    row(&["---", "---:"]);
    let each = grown / (count - count / 10) as u64;
    row(&["memory each, without a body", &format!("{} bytes", grouped(each))]);
}

/// What the gateway adds to GitHub's own time when it says that nothing has changed.
fn asked() {
    let stage = Stage::new();
    let bare = through_pingora(stage.github.address());
    let rounds = count().min(ON_ONE_CONNECTION);
    let open = |name, address| Way { name, connection: Connection::open(address), took: vec![] };
    let mut ways = [
        open("GitHub itself, asked for a 304", stage.github.address()),
        open("the same through bare Pingora", bare.address),
        open("a confirmed answer through the gateway", stage.gateway.address),
        open("a fresh answer of the gateway", stage.gateway.address),
    ];
    let tags = stage.tags();
    let blob = stage.blob();
    for round in 0..rounds + PEOPLE {
        for turn in 0..ways.len() {
            let which = (round + turn) % ways.len();
            let (person, way) = (round % PEOPLE, &mut ways[which]);
            let asker = &stage.people[person];
            let begun = Instant::now();
            let answer = match which {
                0 | 1 => asker.ask_github(&mut way.connection, Some(&tags[person])),
                2 => asker.ask_by_gateway(&mut way.connection, &format!("/github{PAGE}")),
                _ => asker.ask_by_gateway(&mut way.connection, &blob),
            };
            let took = begun.elapsed();
            // Each has to be told once before it can be confirmed.
            if round >= PEOPLE {
                let word = ["304", "304", "fwd-status=304", "; hit"][which];
                assert!(answer.contains(word), "{answer}");
                way.took.push(took);
            }
        }
    }
    tell(&ways);
}

fn tell(ways: &[Way; 4]) {
    title(&format!("{} questions, one after the other", grouped(ways[0].took.len() as u64)));
    row(&["what", "p50", "p99"]);
    row(&["---", "---:", "---:"]);
    for way in ways {
        let took: Vec<_> = way.took.iter().map(Duration::as_nanos).collect();
        row(&[way.name, &percentile(took.clone(), 50), &percentile(took, 99)]);
    }
    for (name, way) in [("bare Pingora adds", &ways[1]), ("the gateway adds", &ways[2])] {
        let pairs = way.took.iter().zip(&ways[0].took);
        let added: Vec<_> = pairs.map(|(a, b)| a.saturating_sub(*b).as_nanos()).collect();
        row(&[name, &percentile(added.clone(), 50), &percentile(added, 99)]);
    }
}

// === Answers ===

const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };

async fn keep(store: &HeldResponses, number: usize, size: usize) {
    let body = Body::new(Bytes::from(text(number, size)));
    let validation = Validation {
        body: body.hash,
        about: Tag::from("repo:octocat/hello-world".to_owned()),
        etag: format!("W/\"{}\"", "0123456789abcdef".repeat(4)).into(),
        token: [7; 16],
        offered: true,
        formula_holds: true,
        headers: Arc::new(received()),
        linked: Time::from_unix(1_795_000_000),
        items: Some(30),
        asked: Time::from_unix(1_795_000_000),
        change: 0,
        fresh: Duration::ZERO,
        longest: Duration::MAX,
    };
    let noted = store.note(OCTOCAT, key(number), Arc::new(validation), body).await;
    noted.expect("memory is there");
}

/// How many answers are held, and the bytes of their bodies.
async fn kept(store: &HeldResponses, count: usize) -> (u64, u64) {
    let (mut kept, mut bytes) = (0, 0);
    for number in 0..count {
        let found = store.shown(OCTOCAT, &key(number)).await.expect("memory is there");
        if let Some((_, body)) = found {
            kept += 1;
            bytes += body.bytes.len() as u64;
        }
    }
    (kept, bytes)
}

fn key(number: usize) -> ResponseKey {
    Body::new(Bytes::copy_from_slice(&number.to_le_bytes())).hash
}

/// A body like no other, in a buffer that grew as a body came in.
fn text(number: usize, size: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in format!("{number:0>size$}").as_bytes().chunks(1_400) {
        text.extend_from_slice(chunk);
    }
    text
}

/// Fields as they come: values that share the buffer that the head was read into.
fn received() -> HeaderMap {
    let mut buffer = Vec::with_capacity(8_192);
    let value = |buffer: &mut Vec<u8>, text: &str| {
        let start = buffer.len();
        buffer.extend_from_slice(text.as_bytes());
        start..buffer.len()
    };
    let places: Vec<_> = FIELDS.iter().map(|(_, text)| value(&mut buffer, text)).collect();
    let buffer = Bytes::from(buffer);
    let mut fields = HeaderMap::with_capacity(FIELDS.len() + 8);
    for ((name, _), place) in FIELDS.iter().zip(places) {
        let value = HeaderValue::from_maybe_shared(buffer.slice(place)).expect("it is a value");
        fields.append(HeaderName::from_static(name), value);
    }
    fields
}

// === impl Stage ===

impl Stage {
    fn new() -> Self {
        let github = Simulator::start(loopback(0)).expect("the simulator starts");
        // Otherwise it would refuse what a measurement asks within a minute.
        github.knobs().limits(|limits| limits.enabled = false);
        for number in 0..PEOPLE {
            github.add_person(Person::new(80_000 + number as u64, &format!("person-{number}")));
        }
        let gateway = gateway(&github);
        github.register_callback(&format!("http://{}/.gatekeep/callback", gateway.address));
        let asker = |number| {
            let login = format!("person-{number}");
            let cookie = sign_in(&github, gateway.address, &login);
            let token = github.tokens_of(&login).pop().expect("who signed in has a token");
            Asker { cookie, token }
        };
        let people = (0..PEOPLE).map(asker).collect();
        Self { github, gateway, people }
    }

    /// What GitHub calls the page, for each of the people.
    fn tags(&self) -> Vec<String> {
        let mut connection = Connection::open(self.github.address());
        let tag = |asker: &Asker| asker.ask_github(&mut connection, None);
        self.people.iter().map(tag).collect()
    }

    /// The path of something that cannot change.
    fn blob(&self) -> String {
        let id = self.github.put_file("octocat/hello-world", "big.txt", "0123456789".repeat(270));
        format!("/github/repos/octocat/hello-world/commits/{id}")
    }
}

/// The gateway, as it is shipped, on the first core.
fn gateway(github: &Simulator) -> Process {
    let address = free();
    let (url, api) = (github.url(), github.api_url());
    let (id, secret) = (github.client_id(), github.client_secret());
    let yaml = format!(
        "listen: [{{ address: '{address}' }}]\npublic_url: 'http://{address}'\n\
         secret: 0123456789-of-a-measurement-abcdefghijklmnopqrst\nstore: memory\nthreads: 1\n\
         log: {{ access: false }}\n\
         github: {{ client_id: '{id}', client_secret: '{secret}', web: '{url}', api: '{api}' }}\n\
         routes:\n  - {{ name: github, host: 127.0.0.1, path: /github, upstream: github, allow: anyone }}\n"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gatekeep.yaml");
    std::fs::write(&file, yaml).expect("a file");
    let file = file.display().to_string();
    Process::start(env!("CARGO_BIN_EXE_gatekeep"), &["run", &file], address, directory)
}

/// Bare Pingora before GitHub.
fn through_pingora(upstream: SocketAddr) -> Process {
    let (address, directory) = (free(), tempfile::tempdir().expect("a directory"));
    let program = std::env::current_exe().expect("this program").display().to_string();
    let (here, there) = (address.to_string(), upstream.to_string());
    Process::start(&program, &[&here, &there, "1"], address, directory)
}

/// Signs somebody in, and returns the cookie.
fn sign_in(github: &Simulator, gateway: SocketAddr, login: &str) -> String {
    let mut browser = Browser::new(gateway);
    let mut at = format!("http://{gateway}/github/user");
    while !at.starts_with(github.url()) {
        at = join(&at, browser.get(&at).location());
    }
    let (_, page) = browser.follow(&github.approve(&at, login));
    assert_eq!(page.status, 200, "{}", page.text());
    let cookies = browser.cookies(&gateway.to_string());
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

// === impl Asker ===

impl Asker {
    /// What the gateway says of its cache.
    fn ask_by_gateway(&self, connection: &mut Connection, path: &str) -> String {
        let cookie = &self.cookie;
        let text = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: {cookie}\r\n\r\n");
        connection.send(text.as_bytes()).expect("it reads");
        let answer = connection.receive(false).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("cache-status").unwrap_or_default().to_owned()
    }

    /// GitHub's tag of the page, or `304` where it is the one that is known.
    fn ask_github(&self, connection: &mut Connection, known: Option<&str>) -> String {
        let mut text = format!(
            "GET /api/v3{PAGE} HTTP/1.1\r\nhost: github\r\naccept: application/vnd.github+json\r\n\
             user-agent: bench\r\nauthorization: Bearer {}\r\n",
            self.token
        );
        if let Some(tag) = known {
            write!(text, "if-none-match: {tag}\r\n").expect("memory is written");
        }
        text += "\r\n";
        connection.send(text.as_bytes()).expect("it reads");
        let answer = connection.receive(false).expect("an answer");
        match answer.status {
            200 => answer.header("etag").expect("a tag").to_owned(),
            other => other.to_string(),
        }
    }
}

// === impl Process ===

impl Process {
    fn start(
        program: &str,
        arguments: &[&str],
        address: SocketAddr,
        directory: tempfile::TempDir,
    ) -> Self {
        let mut command = Command::new("taskset");
        command
            .args(["-c", "0", program])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("taskset is there");
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, _directory: directory }
    }

    fn resident(&self) -> u64 {
        resident_of(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === Helpers ===

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind(loopback(0)).expect("a port");
    listener.local_addr().expect("an address")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Memory that this process has now.
fn resident() -> u64 {
    resident_of("self")
}

fn resident_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

fn percentile(mut nanoseconds: Vec<u128>, percent: usize) -> String {
    nanoseconds.sort_unstable();
    let at = (nanoseconds.len() * percent / 100).min(nanoseconds.len() - 1);
    let tenths = nanoseconds[at] / 100;
    format!("{}.{} µs", tenths / 10, tenths % 10)
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn hundredths(part: u64, whole: u64) -> String {
    let hundredths = part * 100 / whole;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn title(text: &str) {
    println!("\n## {text}\n");
}

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn row(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}
