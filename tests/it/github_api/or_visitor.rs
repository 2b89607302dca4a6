//! A route that asks in the name of an installation, and of the visitor where that may not read.

use std::time::Duration;

use gatekeep::simulator::{Gate, Installation, Trouble};
use serde_json::json;

use super::{at, cache, write};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::webhooks::{SECRET, send};

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme, or_visitor: true } }
    allow: anyone
  - name: alone
    host: app.example.com
    path: /alone
    upstream: { github: { installation: acme } }
    allow: anyone
  - name: own
    host: app.example.com
    path: /own
    upstream: github
    allow: anyone
";

/// What the installation alone sees here,
const INSTALLATIONS: &str = "/installation/repositories";
/// and what octocat and hubot see, and a stranger does not.
const ROCKET: &str = "/repos/acme/rocket";

/// The world with the App installed on acme, and a browser in which octocat is signed in.
fn world() -> (World, Browser) {
    let keys = format!(
        "github.timeout: 5s, app: @GITHUB_APP@, scopes: [repo, 'read:org', 'read:user'], \
         webhook: {{ secret: {SECRET} }}\n"
    );
    let world = World::with(&keys, ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let octocat = person(&world, "octocat");
    (world, octocat)
}

fn person(world: &World, login: &str) -> Browser {
    world.signed_in(login, "https://app.example.com/own/meta").0
}

/// The status, and in whose name it was asked for in the end.
fn asked_as(answer: &Response) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-gatekeep-asked-as"))
}

const AS_INSTALLATION: (u16, Option<&str>) = (200, Some("installation"));
const AS_VISITOR: (u16, Option<&str>) = (200, Some("visitor"));

/// What reached GitHub's API at a path since: in whose name, and what came of it.
fn reached(world: &World, seen: usize, path: &str) -> Vec<(Option<String>, u16)> {
    let path = format!("/api/v3{path}");
    let journal = world.github.journal();
    let of_path = journal[seen..].iter().filter(|entry| entry.request.path() == path);
    of_path.map(|entry| (entry.who.clone(), entry.status.unwrap_or_default())).collect()
}

fn by_octocat(status: u16) -> (Option<String>, u16) {
    (Some("octocat".to_owned()), status)
}

fn with(browser: &mut Browser, path: &str, name: &str, value: &str) -> Response {
    browser.send("GET", &at(path), &[("accept", "application/json"), (name, value)], "")
}

#[test]
fn what_the_installation_may_not_read_the_visitor_reads() {
    let (world, mut browser) = world();
    for (path, expected) in
        [(INSTALLATIONS, AS_INSTALLATION), (ROCKET, AS_VISITOR), ("/user", AS_VISITOR)]
    {
        let answer = browser.fetch(&at(path));
        assert_eq!(asked_as(&answer), expected, "{path}: {}", answer.text());
    }
    assert_eq!(browser.fetch(&at("/user")).json()["login"], "octocat");
    assert_eq!(person(&world, "hubot").fetch(&at("/user")).json()["login"], "hubot");
    let nothing = browser.fetch(&at("/repos/octocat/nothing"));
    assert_eq!(asked_as(&nothing), (404, Some("visitor")));
    // Not unless the route says so, and where it is plain nothing is said.
    for (path, expected) in [(INSTALLATIONS, 200), (ROCKET, 404), ("/user", 403)] {
        let alone = browser.fetch(&format!("https://app.example.com/alone{path}"));
        assert_eq!(asked_as(&alone), (expected, None), "{path}");
    }
}

/// What came by a visitor's rights is that visitor's, and what is held for the installation is not the
/// visitors' where they are asked.
#[test]
fn each_answer_is_held_for_whom_github_gave_it() {
    let (world, mut octocat) = world();
    let mut stranger = person(&world, "stranger");
    let first = octocat.fetch(&at(ROCKET));
    assert_eq!(
        (asked_as(&first), cache(&first)),
        (AS_VISITOR, "fwd=uri-miss; fwd-status=200; stored")
    );
    for _ in 0..2 {
        let refused = stranger.fetch(&at(ROCKET));
        assert_eq!(asked_as(&refused), (404, Some("visitor")), "{}", refused.text());
        assert!(!refused.text().contains("rocket"), "{}", refused.text());
    }
    let again = octocat.fetch(&at(ROCKET));
    assert_eq!((asked_as(&again), cache(&again)), (AS_VISITOR, "fwd=stale; fwd-status=304"));
    assert_eq!(again.body, first.body);
    // The same answer by the route that asks in the visitor's own name.
    let own = octocat.fetch(&format!("https://app.example.com/own{ROCKET}"));
    assert_eq!(cache(&own), "fwd=stale; fwd-status=304");
    // The installation's is everybody's whom the route lets in, and nobody's in their own name.
    for browser in [&mut octocat, &mut stranger] {
        assert_eq!(asked_as(&browser.fetch(&at(INSTALLATIONS))), AS_INSTALLATION);
        let own = browser.fetch(&format!("https://app.example.com/own{INSTALLATIONS}"));
        assert_eq!(own.status, 404, "{}", own.text());
    }
}

#[test]
fn each_answer_counts_against_whom_it_was_asked_for() {
    let (world, mut browser) = world();
    let before = world.github.charged_to("octocat");
    let own = |answer: &Response| answer.header("x-ratelimit-limit") == Some("5000");
    let installation = browser.fetch(&at(INSTALLATIONS));
    assert_eq!(asked_as(&installation), AS_INSTALLATION);
    assert!(!own(&installation));
    assert_eq!(world.github.charged_to("octocat"), before);
    let visitor = browser.fetch(&at(ROCKET));
    assert_eq!(asked_as(&visitor), AS_VISITOR);
    assert!(own(&visitor));
    assert_eq!(world.github.charged_to("octocat"), before + 1);
}

/// The installation is not asked each time for what it may not see; and soon when it may.
#[test]
fn what_the_installation_may_not_see_is_remembered_for_a_minute() {
    let (world, mut browser) = world();
    let seen = world.github.journal().len();
    let asked = |answer: Response, expected: &[(Option<String>, u16)]| {
        assert_eq!(asked_as(&answer), AS_VISITOR);
        let reached = reached(&world, seen, ROCKET);
        assert!(reached.ends_with(expected), "{reached:?}");
        reached.iter().filter(|(who, _)| who.is_none()).count()
    };
    assert_eq!(asked(browser.fetch(&at(ROCKET)), &[(None, 404), by_octocat(200)]), 1);
    world.gate.clock.advance(Duration::from_secs(59));
    assert_eq!(asked(browser.fetch(&at(ROCKET)), &[by_octocat(200), by_octocat(304)]), 1);
    assert_eq!(asked(person(&world, "hubot").fetch(&at(ROCKET)), &[]), 1, "nor for anybody else");
    let anew = with(&mut browser, ROCKET, "cache-control", "no-cache");
    assert_eq!(asked(anew, &[(None, 404), by_octocat(304)]), 2, "the client wants to know");
    world.gate.clock.advance(Duration::from_secs(60));
    assert_eq!(asked(browser.fetch(&at(ROCKET)), &[(None, 404), by_octocat(304)]), 3);
    let tell = |action: &str| {
        let installation = json!({ "id": 5, "account": { "login": "acme", "id": 9 } });
        let payload = json!({ "action": action, "installation": installation });
        let webhook = world.github.webhook("installation_repositories", payload, SECRET);
        assert_eq!(send(&world.gate, &webhook).status, 200);
    };
    assert_eq!(asked(browser.fetch(&at(ROCKET)), &[by_octocat(304)]), 3, "control");
    tell("added");
    assert_eq!(asked(browser.fetch(&at(ROCKET)), &[(None, 404), by_octocat(304)]), 4);
}

/// What may have happened is not tried again in another name, nor what surely did not: nobody becomes
/// the author of something by a failure.
#[test]
fn a_write_is_the_installations_alone() {
    let (world, mut browser) = world();
    let issues = format!("{ROCKET}/issues");
    let body = json!({ "title": "Mine" }).to_string();
    let seen = world.github.journal().len();
    let refused = write(&mut browser, "POST", &issues, &body);
    assert_eq!(asked_as(&refused), (404, Some("installation")), "{}", refused.text());
    assert_eq!(reached(&world, seen, &issues), [(None, 404)]);
    world.github.knobs().at(&issues, Trouble::Swallow);
    let lost = write(&mut browser, "POST", &issues, &body);
    assert_eq!(asked_as(&lost), (502, Some("installation")));
    world.github.knobs().clear();
    world.github.uninstall(5);
    world.gate.clock.advance(Duration::from_secs(10));
    let gone = write(&mut browser, "POST", &issues, &body);
    assert_eq!(gone.status, 403, "{}", gone.text());
    assert!(reached(&world, seen, &issues).iter().all(|(who, _)| who.is_none()));
    // The visitor may, where a route says that it is the visitor who writes.
    let headers = [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("origin", "https://app.example.com"),
        ("sec-fetch-site", "same-origin"),
    ];
    let url = format!("https://app.example.com/own{issues}");
    assert_eq!(browser.send("POST", &url, &headers, &body).status, 201);
    assert_eq!(reached(&world, seen, &issues).last(), Some(&by_octocat(201)));
}

#[test]
fn a_limit_a_failure_and_silence_are_no_lack_of_rights() {
    let (world, mut browser) = world();
    let knobs = world.github.knobs();
    let seen = world.github.journal().len();
    let failure = || Trouble::answer(502, "application/json", "{}");
    let haste = || Trouble::SecondaryLimit { status: 403, retry_after: Some(7) };
    for (path, trouble, status) in
        [("/user", failure(), 502), (ROCKET, Trouble::Refuse, 502), ("/user/orgs", haste(), 403)]
    {
        knobs.at(path, trouble);
        let answer = browser.fetch(&at(path));
        assert_eq!(asked_as(&answer), (status, Some("installation")), "{path}: {}", answer.text());
        let reached = reached(&world, seen, path);
        assert!(reached.iter().all(|(who, _)| who.is_none()), "{path}: {reached:?}");
        knobs.off(path);
    }
    // The pause is the installation's, and so is the refusal until it ends.
    let refused = browser.fetch(&at("/user/orgs"));
    assert_eq!(asked_as(&refused), (403, Some("installation")));
    assert_eq!(refused.header("x-gatekeep-refused"), Some("secondary"));
    world.gate.clock.advance(Duration::from_secs(30));
    assert_eq!(asked_as(&browser.fetch(&at("/user/orgs"))), AS_VISITOR, "control");
}

#[test]
fn an_installation_that_cannot_act_leaves_reading_to_the_visitor() {
    let (world, mut browser) = world();
    let end: [(&str, &dyn Fn()); 2] =
        [("suspended", &|| world.github.suspend(5, true)), ("gone", &|| world.github.uninstall(5))];
    for (what, end) in end {
        assert_eq!(asked_as(&browser.fetch(&at(INSTALLATIONS))), AS_INSTALLATION, "control");
        end();
        // GitHub may need some seconds until all of it knows a new token.
        world.gate.clock.advance(Duration::from_secs(10));
        assert_eq!(asked_as(&browser.fetch(&at("/user"))), AS_VISITOR, "{what}");
        assert_eq!(asked_as(&browser.fetch(&at(INSTALLATIONS))), (404, Some("visitor")), "{what}");
        let alone = browser.fetch(&format!("https://app.example.com/alone{INSTALLATIONS}"));
        assert_ne!(alone.status, 200, "{what}");
        world.github.install(Installation::new(5, "acme").repository(1, "notes"));
        world.gate.clock.advance(Duration::from_secs(61));
    }
    // That GitHub cannot be asked for its token says nothing of its rights.
    world.github.advance(Duration::from_secs(3600));
    world.gate.clock.advance(Duration::from_secs(3600));
    world.github.knobs().on("/app", Trouble::answer(502, "application/json", "{}"));
    let seen = world.github.journal().len();
    assert_ne!(browser.fetch(&at(ROCKET)).status, 200);
    assert_eq!(reached(&world, seen, ROCKET), []);
}

/// A part of a file is read as the whole is.
#[test]
fn parts_of_files_are_read_likewise() {
    let (world, mut browser) = world();
    let mut part = |path: &str| with(&mut browser, path, "range", "bytes=0-9");
    assert_eq!(asked_as(&part(INSTALLATIONS)), AS_INSTALLATION);
    assert_eq!(asked_as(&part(ROCKET)), AS_VISITOR);
    world.github.uninstall(5);
    world.gate.clock.advance(Duration::from_secs(10));
    assert_eq!(asked_as(&part(ROCKET)), AS_VISITOR);
}

/// Visitors who ask the same at once are one question for the installation, and each one's own.
#[test]
fn those_who_ask_together_wait_for_the_installation_together() {
    let (world, octocat) = world();
    let hubot = person(&world, "hubot");
    let gate = Gate::default();
    world.github.knobs().once(ROCKET, Trouble::Hold(gate.clone()));
    let seen = world.github.journal().len();
    let ask = |mut browser: Browser| move || browser.fetch(&at(ROCKET));
    let answers = std::thread::scope(|scope| {
        let both = [octocat, hubot].map(|browser| scope.spawn(ask(browser)));
        super::under_way(&world, 2);
        gate.release();
        both.map(|asked| asked.join().expect("it was answered"))
    });
    for answer in &answers {
        assert_eq!(asked_as(answer), AS_VISITOR, "{}", answer.text());
    }
    let mut reached = reached(&world, seen, ROCKET);
    reached.sort();
    assert_eq!(reached, [(None, 404), (Some("hubot".to_owned()), 200), by_octocat(200)]);
}
