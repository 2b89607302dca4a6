//! Many clients that know no measure, and a GitHub that bans for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gatekeep::clock::Clock as _;
use gatekeep::simulator::{Person, Trouble};

use super::{ask, script_of, world_of_writers};
use crate::support::World;
use crate::support::browser::Browser;

/// What some clients ask for, again and again; the others read one issue after the other.
const MIXED: [(&str, &str); 6] = [
    ("GET /repos/octocat/hello-world/issues?per_page=5", ""),
    ("GET /user", ""),
    ("GET /search/issues?q=number", ""),
    ("GET /repos/octocat/hello-world", ""),
    ("POST /repos/octocat/hello-world/issues", r#"{"title":"Noise"}"#),
    ("POST /graphql", r#"{"query":"{ viewer { login } }"}"#),
];

/// The most that GitHub takes of one person at one endpoint in a minute.
const MOST: usize = 900;

/// Requests of one person at the same time: ten of clients, and the gateway's own three when it asks
/// again who the person is, which wait for nobody.
const MOST_AT_ONCE: usize = 10 + 3;

/// How many answers there are at least, however slow the machine is.
const LEAST: usize = 1000;

/// What came of the requests, by status and refusal.
type Tally = BTreeMap<String, usize>;

fn populated(people: u64) -> (World, Vec<Browser>) {
    let world = world_of_writers("limits: { connections_per_address: 2000 }\n");
    let name = |n: u64| format!("person-{n}");
    let scripts = (0..people).map(|n| {
        let person = Person::new(10_000 + n, &name(n)).member_of("acme");
        world.github.add_person(person);
        script_of(&world, &name(n))
    });
    let scripts = scripts.collect();
    world.github.knobs().limits(|limits| limits.ban_after = Some(1));
    world.github.knobs().on("/", Trouble::Late(Duration::from_millis(20)));
    (world, scripts)
}

/// What a client asks for at a step.
fn wanted(client: usize, step: usize) -> (String, &'static str) {
    if client.is_multiple_of(4) {
        let (line, body) = MIXED[(client + step) % MIXED.len()];
        return (line.to_owned(), body);
    }
    let issue = 1 + (client * 7 + step) % 65;
    (format!("GET /repos/octocat/hello-world/issues/{issue}"), "")
}

/// Asks without a pause, whatever is answered, until the time is over and all have had enough.
fn hammer(script: &Browser, client: usize, until: Instant, answers: &AtomicUsize) -> Tally {
    let mut tally = Tally::new();
    let goes_on = || Instant::now() < until || answers.load(Ordering::Relaxed) < LEAST;
    for step in (0..).take_while(|_| goes_on()) {
        let (line, body) = wanted(client, step);
        let answer = ask(script, &line, &[("content-type", "application/json")], body);
        answers.fetch_add(1, Ordering::Relaxed);
        let [refused, stale] =
            ["x-gatekeep-refused", "x-gatekeep-stale"].map(|it| answer.header(it));
        let how = refused.or(stale).unwrap_or("well");
        *tally.entry(format!("{} {how}", answer.status)).or_default() += 1;
    }
    tally
}

fn all_hammer(world: &World, scripts: &[Browser], clients: usize, span: Duration) -> Tally {
    let (start, begun) = (world.gate.clock.now(), Instant::now());
    let (mut all, answers) = (Tally::new(), &AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let script = |client: usize| &scripts[client / 4 % scripts.len()];
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || hammer(script(client), client, begun + span, answers))
            })
            .collect();
        // GitHub's time passes by itself.
        while !clients.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            world.gate.clock.set(start + begun.elapsed());
            std::thread::park_timeout(Duration::from_millis(500));
        }
        let tallies = clients.into_iter().flat_map(|client| client.join().expect("a client"));
        for (what, count) in tallies {
            *all.entry(what).or_default() += count;
        }
    });
    all
}

/// A GitHub that bans at the first refusal for haste bans nobody, though the clients want far more
/// than it gives. `GATEKEEP_SOAK=600` has 500 clients do so for ten minutes:
/// `GATEKEEP_SOAK=600 cargo test --test it github_api::soak:: -- --nocapture`.
#[test]
fn however_hasty_the_clients_nobody_is_banned() {
    let asked = std::env::var("GATEKEEP_SOAK").ok().and_then(|seconds| seconds.parse().ok());
    let (people, clients, span) = asked.map_or((2, 32, 10), |span| (10, 500, span));
    let (world, scripts) = populated(people);
    let tally = all_hammer(&world, &scripts, clients, Duration::from_secs(span));
    let (at_once, points) = (world.github.most_at_once(), world.github.charged());
    println!("{clients} clients of {people} people, {span} s: {tally:?}");
    println!("GitHub counted {points} points, {at_once} requests of one person at once at most");
    assert!(!world.github.banned(), "{tally:?}");
    assert_eq!(world.github.violations(), 0);
    assert!((5..=MOST_AT_ONCE).contains(&at_once), "{at_once}, and many at once there are");
    let is_paced =
        ["403 queue", "200 secondary-rate-limit"].iter().any(|it| tally.contains_key(*it));
    assert!(is_paced, "control: they want more than they get: {tally:?}");
    assert!(tally["200 well"] > MOST / 2, "and they get what there is: {tally:?}");
    let expected = [
        "200 well",
        "201 well",
        "200 secondary-rate-limit",
        "200 primary-rate-limit",
        "403 queue",
        "403 primary",
    ];
    assert!(tally.keys().all(|what| expected.contains(&what.as_str())), "{tally:?}");
}

/// The control: the same haste without a gateway that paces is banned.
#[test]
fn the_same_haste_without_pacing_is_banned() {
    let (world, _) = populated(1);
    world.github.knobs().off("/");
    let token = world.github.token_for("person-0", "repo");
    let line = "GET /api/v3/repos/octocat/hello-world/issues/1";
    for _ in 0..=MOST {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: h\r\nuser-agent: t\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        crate::support::http::raw(world.github.address(), request.as_bytes()).expect("an answer");
    }
    assert!(world.github.banned());
}
