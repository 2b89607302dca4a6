//! GitHub as it is in production: behind TLS, with many requests at once on one connection of HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use gatekeep::simulator::{Gate, Person, Simulator, Trouble};
use http::Version;
use serde_json::json;
use tempfile::TempDir;

use super::{ROUTES, at, begin, cache, script_of};
use crate::support::upstream::{Authority, read_head};
use crate::support::{World, eventually};

const ISSUE: &str = "/repos/octocat/hello-world/issues/1";
const COMMENTS: &str = "/repos/octocat/hello-world/issues/2/comments";
const COMMENT: &str = r#"{"body":"Once."}"#;
const PATIENCE: Duration = Duration::from_secs(20);

/// GitHub with a certificate of an authority that nobody knows but who is told.
pub(super) struct Secure {
    pub(super) github: Simulator,
    directory: TempDir,
}

// === impl Secure ===

impl Secure {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let pair = authority.issue(directory.path(), "github", &["127.0.0.1"]);
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("it is written");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let tls = pair.server_config_of(&["h2", "http/1.1"]);
        Self { github: Simulator::start_secure(any, tls).expect("it starts"), directory }
    }

    /// The keys of `github` in a configuration that trusts it.
    pub(super) fn keys(&self) -> String {
        let ca = self.directory.path().join("ca.pem");
        let scopes = "[repo, 'read:org', 'read:user', 'user:email']";
        format!("github.timeout: 5s, ca: '{}', scopes: {scopes}\n", ca.display())
    }

    fn world(self, keys: &str) -> (World, TempDir) {
        let keys = format!("{}{keys}", self.keys());
        (World::around(self.github, &keys, ROUTES), self.directory)
    }
}

/// The statuses with which GitHub answered a call so far, and how often it came.
fn calls(world: &World, call: &str, status: u16) -> (usize, usize) {
    (world.github.calls(call), world.github.answered(call, status))
}

#[test]
fn readings_confirmations_and_writes_share_one_connection() {
    let (world, _directory) = Secure::start().world("");
    let octocat = script_of(&world, "octocat");
    let before = world.github.connections();
    let seen = world.github.journal().len();
    let ask = |line: &str, body: &str| {
        let fields = [("content-type", "application/json"), ("origin", "https://app.example.com")];
        super::ask(&octocat, line, &fields, body)
    };
    let first = ask(&format!("GET {ISSUE}"), "");
    assert_eq!((first.status, cache(&first)), (200, "fwd=uri-miss; fwd-status=200; stored"));
    let again = ask(&format!("GET {ISSUE}"), "");
    assert_eq!((again.status, cache(&again)), (200, "fwd=stale; fwd-status=304"));
    assert_eq!(again.body, first.body);
    assert_eq!(ask(&format!("POST {COMMENTS}"), COMMENT).status, 201);
    assert_eq!(ask(&format!("GET {COMMENTS}"), "").json()[0]["body"], "Once.");
    let asked = world.github.journal().split_off(seen);
    assert_eq!(asked.len(), 4);
    for entry in asked {
        let request = &entry.request;
        assert_eq!(request.version, Version::HTTP_2, "{}", request.target);
        assert!(request.header("cookie").is_none(), "{}", request.target);
    }
    assert_eq!(world.github.connections(), before, "one for all of them");
}

/// The gateway's secrets go to nobody but who is vouched for.
#[test]
fn a_github_that_nobody_vouches_for_is_told_nothing() {
    let Secure { github, directory: _directory } = Secure::start();
    let world = World::around(github, "", ROUTES);
    let (_, page) = world.signed_in("octocat", &at("/user"));
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(page.text().contains("github-unavailable"), "{}", page.text());
    assert!(world.github.connections() > 0, "it was tried");
    assert_eq!(world.github.requests().len(), 0);
    assert_eq!(world.gate.metric("gatekeep_sessions"), Some(0.0));
}

/// GitHub takes a hundred at once of everybody together.
#[test]
fn no_more_than_ninety_are_under_way_on_it() {
    let (world, _directory) = Secure::start().world("limits: { connections_per_address: 2000 }\n");
    let scripts: Vec<_> = (0..10)
        .map(|n| {
            world.github.add_person(Person::new(10_000 + n, &format!("person-{n}")));
            script_of(&world, &format!("person-{n}"))
        })
        .collect();
    let gate = Gate::new();
    world.github.knobs().on("/repos/octocat/hello-world/issues", Trouble::Hold(gate.clone()));
    let connections = world.github.connections();
    let line = |number: usize| format!("GET /repos/octocat/hello-world/issues/{number}");
    let asked = scripts.iter().flat_map(|script| (1..=10).map(move |number| (script, number)));
    let asked: Vec<_> =
        asked.map(|(script, number)| begin(&world, script, &line(number), "")).collect();
    assert!(gate.wait_for(90, PATIENCE), "{} came", gate.arrived());
    super::under_way(&world, 100);
    assert_eq!(gate.arrived(), 90, "the others wait their turn");
    gate.release();
    for mut one in asked {
        assert_eq!(one.receive(false).expect("an answer").status, 200);
    }
    assert_eq!((gate.arrived(), world.github.most_under_way()), (100, 90));
    assert_eq!(world.github.connections(), connections, "one for all of them");
}

/// Answers that flow to slow readers keep their streams: whoever finds none waits for a turn here, not on
/// the connection, and is told when it does not come.
#[test]
fn a_connection_full_of_slow_readers_takes_the_others_in_turn() {
    const FLOWING: usize = 30;
    let (world, _directory) = Secure::start().world("limits: { connections_per_address: 2000 }\n");
    let scripts: Vec<_> = (0..11)
        .map(|n| {
            world.github.add_person(Person::new(10_000 + n, &format!("person-{n}")));
            script_of(&world, &format!("person-{n}"))
        })
        .collect();
    let flowing: Vec<_> = (0..FLOWING)
        .map(|n| {
            let mut begun = begin(&world, &scripts[n / 3], "GET /blob/100000000000", "");
            let head = read_head(begun.stream()).expect("a header");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            begun
        })
        .collect();
    let gate = Gate::new();
    world.github.knobs().on("/repos/octocat/hello-world/issues", Trouble::Hold(gate.clone()));
    let line = |number: usize| format!("GET /repos/octocat/hello-world/issues/{number}");
    let asked = scripts[..10].iter().flat_map(|script| (1..=10).map(move |n| (script, n)));
    let asked: Vec<_> = asked.map(|(script, n)| begin(&world, script, &line(n), "")).collect();
    assert!(gate.wait_for(90 - FLOWING, PATIENCE), "{} came", gate.arrived());
    super::under_way(&world, 130);
    let impatient = [("x-gatekeep-max-wait", "1")];
    let refused = super::ask(&scripts[10], &line(1), &impatient, "");
    assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("queue")));
    assert_eq!(gate.arrived(), 90 - FLOWING, "the others wait their turn");
    gate.release();
    for mut one in asked {
        assert_eq!(one.receive(false).expect("an answer").status, 200);
    }
    drop(flowing);
}

/// GitHub replaces a server: what is under way ends well, and what comes goes elsewhere.
#[test]
fn a_connection_that_takes_no_more_loses_nothing() {
    let (world, _directory) = Secure::start().world("");
    let octocat = script_of(&world, "octocat");
    let gate = Gate::new();
    for path in [ISSUE, COMMENTS] {
        world.github.knobs().once(path, Trouble::Hold(gate.clone()));
    }
    let mut reading = begin(&world, &octocat, &format!("GET {ISSUE}"), "");
    let mut writing = begin(&world, &octocat, &format!("POST {COMMENTS}"), COMMENT);
    assert!(gate.wait_for(2, PATIENCE), "{} came", gate.arrived());
    let connections = world.github.connections();
    world.github.go_away();
    eventually("what comes goes by another connection", || {
        let other = super::ask(&octocat, "GET /repos/octocat/hello-world", &[], "");
        assert_eq!(other.status, 200, "{}", other.text());
        world.github.connections() == connections + 1
    });
    gate.release();
    assert_eq!(reading.receive(false).expect("an answer").status, 200);
    assert_eq!(writing.receive(false).expect("an answer").status, 201);
    assert_eq!(calls(&world, &format!("GET {ISSUE}"), 200), (1, 1));
    assert_eq!(calls(&world, &format!("POST {COMMENTS}"), 201), (1, 1));
}

/// What is read is read again; what may have been written is not written again.
#[test]
fn a_connection_that_breaks_repeats_no_write() {
    let (world, _directory) = Secure::start().world("");
    let octocat = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once(ISSUE, Trouble::Hold(gate.clone()));
    // It is written at once, and said only later.
    world.github.knobs().once(COMMENTS, Trouble::Late(PATIENCE * 3));
    let mut reading = begin(&world, &octocat, &format!("GET {ISSUE}"), "");
    let mut writing = begin(&world, &octocat, &format!("POST {COMMENTS}"), COMMENT);
    assert!(gate.wait_for(1, PATIENCE), "it was asked for");
    eventually("the comment is written", || {
        let journal = world.github.journal();
        let mut paid = journal.iter().filter(|it| it.charged > 0).map(|it| &it.request);
        paid.any(|request| request.method == "POST" && request.path().ends_with(COMMENTS))
    });
    world.github.break_connections();
    assert_eq!(reading.receive(false).expect("an answer").status, 200, "read again");
    let lost = writing.receive(false).expect("an answer");
    assert_eq!(lost.status, 502, "{}", lost.text());
    assert_eq!(world.github.calls(&format!("GET {ISSUE}")), 2);
    assert_eq!(world.github.calls(&format!("POST {COMMENTS}")), 1);
    let now = super::ask(&octocat, &format!("GET {COMMENTS}"), &[], "").json();
    assert_eq!(now.as_array().map(Vec::len), Some(1), "{now}");
    assert_eq!(now[0]["body"], json!("Once."));
}
