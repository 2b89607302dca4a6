//! Whoever sends or reads slowly holds up nobody else, and nobody for long.

use std::fmt::Write as _;

use gatekeep::simulator::{Gate, Trouble};

use super::{ROUTES, SCOPES, at, entitled, write};
use crate::support::browser::{Browser, split};
use crate::support::http::{Connection, Response};
use crate::support::upstream::{Authority, read_head};
use crate::support::{World, eventually};

const ISSUES: &str = "/repos/octocat/hello-world/issues";
const CREATE: &str = "POST /repos/octocat/hello-world/issues";
const UPLOAD: &str = "/_uploads/repos/octocat/hello-world/releases/1/assets?name=slow.bin";
const NEW: &str = r#"{"title":"New"}"#;

/// A file that is too large to be read whole.
const FILE: usize = 3_000_000;

/// A body that is as large as what is read whole.
const WHOLE: usize = 1_000_000;

/// The answer to a write, or a reading, that is larger than the sockets and is held whole.
const LARGE: usize = 7_500_000;

/// A short answer, of which many fit into the sockets and a hundred do not.
const SHORT: usize = 60_000;

const CROWDED: &str = "Too much is on its way, yours or everybody's: large bodies to GitHub, or \
                       large answers to what was sent before. GitHub has not heard of this. Send it \
                       again when one has arrived.";

/// A request of somebody's on a connection of its own: its header, and what is sent of its body.
fn begin(world: &World, who: &Browser, line: &str, length: usize, sent: &str) -> Connection {
    begin_patiently(world, who, line, length, sent, 30)
}

fn begin_patiently(
    world: &World,
    who: &Browser,
    line: &str,
    length: usize,
    sent: &str,
    max_wait: u8,
) -> Connection {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let (host, target) = split(&at(path));
    let cookies: Vec<_> = who.cookies(&host).iter().map(|(n, v)| format!("{n}={v}")).collect();
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    let origin = "origin: https://app.example.com\r\nsec-fetch-site: same-origin\r\n";
    write!(head, "{origin}accept: application/json\r\nx-gatekeep-max-wait: {max_wait}\r\n")
        .expect("memory is written");
    if method == "POST" {
        write!(head, "content-type: application/json\r\ncontent-length: {length}\r\n")
            .expect("memory is written");
    }
    write!(head, "cookie: {}\r\n\r\n", cookies.join("; ")).expect("memory is written");
    let mut connection = Connection::open(world.gate.address);
    connection.send(head.as_bytes()).expect("the gateway reads");
    // It may refuse what it has not read.
    drop(connection.send(sent.as_bytes()));
    connection
}

/// The header of the answer, of which the body stays where it is.
fn head_of(connection: &mut Connection) -> String {
    read_head(connection.stream()).expect("a header")
}

/// Requests whose turn has come.
fn turns(world: &World) -> f64 {
    let line = r#"gatekeep_github_wait_seconds_count{resource="core"}"#;
    world.gate.metric(line).unwrap_or_default()
}

/// Begins to upload a file, and goes on only when its turn has come.
fn trickle(world: &World, who: &Browser) -> Connection {
    let before = turns(world);
    let begun = begin(world, who, &format!("POST {UPLOAD}"), FILE, &"x".repeat(FILE / 2));
    eventually("its turn comes", || turns(world) > before);
    begun
}

fn finish(mut begun: Connection, length: usize) -> Response {
    begun.send("x".repeat(length).as_bytes()).expect("the gateway reads");
    begun.receive(false).expect("an answer")
}

fn uploads(world: &World) -> usize {
    let all = world.github.requests();
    all.iter().filter(|request| request.path().starts_with("/api/uploads")).count()
}

fn assert_is_crowded(answer: &Response) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
    let said = answer.json();
    assert_eq!((&said["reason"], &said["message"]), (&"crowded".into(), &CROWDED.into()));
}

/// GitHub's answer to whatever is asked at a path: a text of this letter.
fn large(letter: &str) -> Trouble {
    Trouble::answer(200, "application/json", format!("\"{}\"", letter.repeat(LARGE)))
}

/// Others of the same account go on: with a body that is still to come whole, and with one that flows.
#[test]
fn who_sends_slowly_holds_up_no_write() {
    let (world, mut browser) = entitled();
    let issue = format!("{NEW}{}", " ".repeat(WHOLE));
    let (first, second) = issue.split_at(WHOLE / 2);
    let mut whole = begin(&world, &browser, CREATE, issue.len(), first);
    let flowing = trickle(&world, &browser);
    for _ in 0..2 {
        let made = write(&mut browser, "POST", ISSUES, NEW);
        assert_eq!(made.status, 201, "{}", made.text());
    }
    assert_eq!((uploads(&world), world.github.calls(CREATE)), (0, 2));
    // And they arrive.
    whole.send(second.as_bytes()).expect("the gateway reads");
    assert_eq!(whole.receive(false).expect("an answer").status, 201);
    let made = finish(flowing, FILE / 2);
    assert!(made.header("cache-status").is_some_and(|it| it.contains("fwd=method")), "{made:?}");
    assert_eq!((uploads(&world), world.github.calls(CREATE)), (1, 3));
}

/// GitHub works on one write of an account's at a time, whatever its body was: it is only the client's
/// time that nobody waits for.
#[test]
fn what_github_works_on_is_waited_for() {
    let (world, mut browser) = entitled();
    let gate = Gate::new();
    world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
    let issue = format!("{NEW}{}", " ".repeat(WHOLE));
    let mut first = begin(&world, &browser, CREATE, issue.len(), &issue);
    assert!(gate.wait_for(1, std::time::Duration::from_secs(20)));
    let refused = write(&mut browser, "POST", ISSUES, NEW);
    assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("queue")));
    gate.release();
    assert_eq!(first.receive(false).expect("an answer").status, 201);
}

/// Five files of one account flow at once. The sixth is refused, and is no business of anybody else's.
#[test]
fn an_account_s_uploads_are_few_and_keep_nobody_else_out() {
    let (world, mut browser) = entitled();
    let (other, _) = world.signed_in("hubot", "https://app.example.com/x");
    let mut trickles: Vec<_> = (0..5).map(|_| trickle(&world, &browser)).collect();
    let line = format!("POST {UPLOAD}");
    let whole = "x".repeat(FILE);
    let upload = |who: &Browser| {
        let mut begun = begin_patiently(&world, who, &line, FILE, &whole, 0);
        begun.receive(false).expect("an answer")
    };
    assert_is_crowded(&upload(&browser));
    eventually("it is logged", || world.gate.access_log().contains("crowded"));
    assert_eq!(write(&mut browser, "POST", ISSUES, NEW).status, 201, "what is small passes");
    assert_eq!(uploads(&world), 0);
    let told = upload(&other);
    assert_eq!(uploads(&world), 1, "so does what is another's: {told:?}");
    drop(trickles.pop());
    let answer = || begin(&world, &browser, &line, FILE, &whole).receive(false);
    assert_ne!(answer().expect("an answer").status, 503, "one less is one place more");
    assert_eq!(uploads(&world), 2);
}

/// What has come of bodies is held in memory: an account fills its own part of that.
#[test]
fn an_account_s_half_bodies_keep_nobody_else_out() {
    let (world, mut browser) = entitled();
    let (mut other, _) = world.signed_in("hubot", "https://app.example.com/x");
    let path = "/repos/octocat/hello-world/labels";
    world.github.knobs().at(path, Trouble::answer(200, "application/json", "{}"));
    let half = "x".repeat(WHOLE);
    let begin_one = || begin(&world, &browser, &format!("POST {path}"), WHOLE + 1, &half);
    // All that fit of sixteen mebibytes. What is sent beside them may take the place of the last one.
    let mut halves: Vec<_> = (0..16).map(|_| begin_one()).collect();
    let mut writer = browser.clone();
    eventually("all of it is here", || {
        // Where one that still comes was refused with the first, the second finds room.
        let is_full = (0..2).all(|_| write(&mut writer, "POST", path, &half).status == 503);
        halves.extend((!is_full).then(begin_one));
        is_full
    });
    let sent = world.github.calls(&format!("POST {path}"));
    assert_is_crowded(&write(&mut browser, "POST", path, &half));
    assert_eq!(world.github.calls(&format!("POST {path}")), sent, "GitHub has not heard of it");
    assert_eq!(write(&mut browser, "POST", path, "{}").status, 200, "what is small fits");
    assert_eq!(write(&mut other, "POST", path, &half).status, 200, "others have their own");
    drop(halves);
    eventually("the room is free again", || write(&mut browser, "POST", path, &half).status == 200);
}

/// Who does not read whole answers fills a part of their memory. What was written is told all the same,
/// and the next write waits for its reader.
#[test]
fn an_account_s_unread_answers_keep_nobody_else_out() {
    let (world, mut browser) = entitled();
    let (mut other, _) = world.signed_in("hubot", "https://app.example.com/x");
    let mut unread = Vec::new();
    for letter in ["a", "b", "c", "d"] {
        let path = format!("/users/{letter}");
        world.github.knobs().at(&path, large(letter));
        let mut begun = begin(&world, &browser, &format!("GET {path}"), 0, "");
        assert!(head_of(&mut begun).starts_with("HTTP/1.1 200"));
        unread.push(begun);
    }
    world.github.knobs().at("/users/e", large("e"));
    let refused = browser.fetch(&at("/users/e"));
    assert_eq!((refused.status, &refused.json()["reason"]), (503, &"crowded".into()));
    assert_eq!(browser.fetch(&at("/users/mona")).status, 200, "what is small passes");
    assert_eq!(other.fetch(&at("/users/e")).body.len(), LARGE + 2, "others have their own");

    // It has happened, so nobody is told that it has not.
    world.github.knobs().once(ISSUES, large("w"));
    let mut written = begin(&world, &browser, CREATE, NEW.len(), NEW);
    assert!(head_of(&mut written).starts_with("HTTP/1.1 200"));
    assert_is_crowded(&write(&mut browser, "POST", ISSUES, NEW));
    assert_eq!(world.github.calls(CREATE), 1, "GitHub has not heard of it");
    assert_ne!(write(&mut other, "POST", ISSUES, NEW).status, 503, "others write");
    assert_eq!(browser.fetch(&at("/users/mona")).status, 200, "and reading is no writing");
    let text = written.read_some(LARGE + 2);
    assert_eq!(text.len(), LARGE + 2);
    assert!(text[1..=LARGE].iter().all(|byte| *byte == b'w'), "whole, and nothing else");
    eventually("it is noticed", || write(&mut browser, "POST", ISSUES, NEW).status == 201);

    // Two wait for their turn, seconds after that one.
    let sent = world.github.calls(CREATE);
    world.github.knobs().once(ISSUES, large("w"));
    let mut both = [(); 2].map(|()| begin(&world, &browser, CREATE, NEW.len(), NEW));
    let mut told = both.each_mut().map(|one| head_of(one)[..12].to_owned());
    told.sort_unstable();
    assert_eq!(
        told,
        ["HTTP/1.1 200", "HTTP/1.1 503"],
        "the second waits for the first one's reader"
    );
    assert_eq!(world.github.calls(CREATE), sent + 1, "GitHub has heard of one");
    drop((both, unread));
    eventually("there is room again", || browser.fetch(&at("/users/e")).status == 200);
}

/// What waits for its reader when the session ends is not read on, and no other session's ends with it.
#[test]
fn a_long_answer_ends_with_its_session() {
    let (world, octocat) = entitled();
    let (hubot, _) = world.signed_in("hubot", "https://app.example.com/x");
    world.github.knobs().at("/users/a", large("a"));
    let [mut mine, mut theirs] = [&octocat, &hubot].map(|who| {
        let mut begun = begin(&world, who, "GET /users/a", 0, "");
        assert!(head_of(&mut begun).starts_with("HTTP/1.1 200"));
        begun
    });
    let done = world.gate.operate("POST", "/sessions/revoke", r#"{"user": "octocat"}"#);
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(mine.read_some(LARGE + 2).len() < LARGE, "it goes on to its end");
    assert_eq!(theirs.read_some(LARGE + 2).len(), LARGE + 2);
}

/// Texts of somebody's who takes none of them, until there is no room for another.
async fn hoard(client: &reqwest::Client, cookie: &str, paths: &[String]) -> Vec<reqwest::Response> {
    let mut unread = Vec::new();
    for path in paths {
        let request = client.get(at(path)).header("cookie", cookie);
        let answer = request.header("accept", "application/json").send().await.expect("a header");
        assert_eq!(answer.version(), reqwest::Version::HTTP_2);
        if answer.status() == 503 {
            return unread;
        }
        assert_eq!(answer.status(), 200);
        unread.push(answer);
    }
    unread
}

/// On one connection of HTTP/2 a hundred short answers can wait for a client that takes none of them.
#[test]
fn short_answers_that_nobody_takes_are_counted_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let pair = authority.issue(directory.path(), "app", &["app.example.com"]);
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let listen = format!(
        "listen: [{{ address: '127.0.0.1:0' }}, {{ address: '127.0.0.1:0', \
         tls: [{{ certificate: '{certificate}', key: '{key}' }}] }}]\n"
    );
    let world = World::with(&format!("{SCOPES}{listen}"), ROUTES);
    let [(mut octocat, _), (mut hubot, _)] =
        ["octocat", "hubot"].map(|who| world.signed_in(who, "https://app.example.com/x"));
    let paths: Vec<_> = (0..100).map(|number| format!("/users/short-{number}")).collect();
    for path in &paths {
        let text = format!("\"{path}{}\"", "x".repeat(SHORT));
        world.github.knobs().at(path, Trouble::answer(200, "application/json", text));
    }
    // Nearly all of the account's room is taken.
    let large = ["a", "b", "c", "d"].map(|letter| {
        let path = format!("/users/{letter}");
        world.github.knobs().at(&path, large(letter));
        let mut begun = begin(&world, &octocat, &format!("GET {path}"), 0, "");
        assert!(head_of(&mut begun).starts_with("HTTP/1.1 200"));
        begun
    });
    for path in &paths {
        assert_eq!(octocat.fetch(&at(path)).status, 200, "who reads may have any number");
    }
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).expect("PEM");
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve("app.example.com", world.gate.addresses[1])
        .http2_initial_stream_window_size(0)
        .build()
        .expect("a client");
    let session = octocat.session("app.example.com").expect("a session");
    let cookie = format!("__Host-gatekeep={session}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let unread = runtime.block_on(hoard(&client, &cookie, &paths));
    assert!((50..90).contains(&unread.len()), "{} are unread", unread.len());
    let refused = octocat.fetch(&at(&paths[99]));
    assert_eq!((refused.status, &refused.json()["reason"]), (503, &"crowded".into()));
    assert_eq!(hubot.fetch(&at(&paths[99])).status, 200, "others have their own");
    drop(unread);
    eventually("there is room again", || octocat.fetch(&at(&paths[99])).status == 200);
    drop((runtime, large));
}
