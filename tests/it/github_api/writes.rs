//! What is sent to GitHub: once, answered in GitHub's words, and what it changes is not believed any
//! more of what is held.

use std::time::Duration;

use gatekeep::simulator::Trouble;
use serde_json::json;

use super::{at, entitled, write};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const HELLO: &str = "/repos/octocat/hello-world";
const FORWARDED: &str = "gatekeep; fwd=stale; fwd-status=200; stored";

fn issues() -> String {
    format!("{HELLO}/issues")
}

/// An answer that GitHub wants to be believed for a minute.
fn believed() -> Trouble {
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("etag", "\"4f2b\""),
        ("x-poll-interval", "60"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Trouble::Answer { status: 200, headers, body: "{}".into() }
}

/// A world in which these paths, once read, are believed for a minute.
fn believing(paths: &[&str]) -> (World, [Browser; 2]) {
    let (world, octocat) = entitled();
    let (hubot, _) = world.signed_in("hubot", "https://app.example.com/x");
    for path in paths {
        world.github.knobs().at(path, believed());
    }
    // Nothing that was said at the beginning disturbs it.
    world.gate.clock.advance(Duration::from_secs(60));
    (world, [octocat, hubot])
}

/// Whether GitHub is asked for something, as the answer says.
fn is_asked(browser: &mut Browser, path: &str) -> bool {
    let answer = browser.fetch(&at(path));
    let account = answer.header("cache-status").expect("an account").to_owned();
    assert_eq!(answer.status, 200, "{path}: {account}");
    assert!(account.contains("; hit; ttl=") || account.contains("; fwd="), "{account}");
    !account.contains("; hit")
}

fn edited(browser: &mut Browser) -> Response {
    let patch = json!({ "title": "Edited" }).to_string();
    write(browser, "PATCH", &format!("{}/1", issues()), &patch)
}

/// The issue, the lists that show it, and the repository; for whoever reads them.
#[test]
fn a_write_ends_what_is_held_of_the_thing_and_of_what_shows_it() {
    let shows = [HELLO, "/repos/octocat/hello-world/pulls"];
    let apart = [
        "/repos/octocat/hello-world/branches",
        "/repos/octocat/hello-world/issues/2",
        "/repos/acme/handbook",
        "/users/mona",
    ];
    let (world, mut visitors) = believing(&[&shows[..], &apart].concat());
    for visitor in &mut visitors {
        for path in shows.iter().chain(&apart) {
            assert!(is_asked(visitor, path), "{path} the first time");
            assert!(!is_asked(visitor, path), "{path} is believed");
        }
    }
    let written = edited(&mut visitors[0]);
    assert_eq!((written.status, &written.json()["title"]), (200, &json!("Edited")));
    assert_eq!(written.header("cache-status"), Some("gatekeep; fwd=method; fwd-status=200"));
    for visitor in &mut visitors {
        for path in shows {
            assert!(is_asked(visitor, path), "{path} has changed");
            assert!(is_asked(visitor, path), "{path} may be from a replica that does not know it");
        }
        for path in apart {
            assert!(!is_asked(visitor, path), "{path} has not");
        }
    }
    // Ten seconds later what GitHub says is believed again.
    world.gate.clock.advance(Duration::from_secs(10));
    for path in shows {
        assert!(is_asked(&mut visitors[1], path));
        assert!(!is_asked(&mut visitors[1], path), "{path}");
    }
}

/// Who writes and then reads gets what was written.
#[test]
fn the_writer_reads_what_was_written() {
    let (_world, mut browser) = entitled();
    let first = browser.fetch(&at(&issues()));
    assert_eq!(first.json()[0]["number"], 66);
    let made = write(&mut browser, "POST", &issues(), r#"{"title":"New"}"#);
    assert_eq!((made.status, &made.json()["number"]), (201, &json!(67)));
    let again = browser.fetch(&at(&issues()));
    assert_eq!(again.json()[0]["title"], "New");
    assert_eq!(again.header("cache-status"), Some(FORWARDED));
}

/// What was not there a moment ago is there when somebody has made it.
#[test]
fn what_was_not_found_is_found_once_it_is_made() {
    let (world, mut browser) = entitled();
    let issue = format!("{}/67", issues());
    let asked = || world.github.calls(&format!("GET {issue}"));
    for _ in 0..3 {
        assert_eq!(browser.fetch(&at(&issue)).status, 404);
    }
    assert_eq!(asked(), 1, "impatience costs nothing");
    assert_eq!(write(&mut browser, "POST", &issues(), r#"{"title":"New"}"#).status, 201);
    let found = browser.fetch(&at(&issue));
    assert_eq!((found.status, asked()), (200, 2), "{}", found.text());
}

/// Nobody knows whether it has happened: it is not sent again, and what it may have changed is not
/// believed.
#[test]
fn a_write_without_an_answer_is_not_repeated() {
    let (world, [mut octocat, _]) = believing(&[HELLO]);
    for (trouble, created) in [(Trouble::Swallow, 1), (Trouble::Refuse, 1)] {
        world.github.knobs().off(HELLO);
        world.github.knobs().at(HELLO, believed());
        assert!(is_asked(&mut octocat, HELLO));
        assert!(!is_asked(&mut octocat, HELLO));
        let before = world.github.calls(&format!("POST {}", issues()));
        world.github.knobs().once(&issues(), trouble);
        let told = write(&mut octocat, "POST", &issues(), r#"{"title":"Once"}"#);
        assert_eq!((told.status, &told.json()["reason"]), (502, &json!("github-unavailable")));
        assert_eq!(told.header("cache-status"), Some("gatekeep; fwd=method"));
        assert_eq!(world.github.calls(&format!("POST {}", issues())), before + 1);
        assert!(is_asked(&mut octocat, HELLO));
        world.gate.clock.advance(Duration::from_secs(60));
        let last = octocat.fetch(&at(&format!("{}?per_page=1", issues()))).json();
        assert_eq!(last[0]["number"], 66 + created);
    }
}

/// A refused write has changed nothing; that GitHub was asked at all is heeded until it has answered.
#[test]
fn github_s_errors_are_passed_on_in_its_words() {
    let (world, mut browser) = entitled();
    let invalid = write(&mut browser, "POST", &issues(), "{}");
    assert_eq!((invalid.status, &invalid.json()["message"]), (422, &json!("Validation Failed")));
    let missing = write(&mut browser, "PATCH", &format!("{}/999", issues()), "{}");
    assert_eq!((missing.status, &missing.json()["message"]), (404, &json!("Not Found")));
    world.github.set_issues("octocat/hello-world", false);
    for answer in
        [write(&mut browser, "POST", &issues(), r#"{"title":"x"}"#), browser.fetch(&at(&issues()))]
    {
        let message = "Issues are disabled for this repo";
        assert_eq!((answer.status, &answer.json()["message"]), (410, &json!(message)));
        assert!(answer.header("x-github-request-id").is_some());
        assert_eq!(answer.header("etag"), None);
    }
    let trouble = Trouble::answer(500, "application/json", r#"{"message":"Server Error"}"#);
    world.github.knobs().once(&issues(), trouble);
    let told = write(&mut browser, "POST", &issues(), r#"{"title":"x"}"#);
    assert_eq!((told.status, &told.json()["message"]), (500, &json!("Server Error")));
}

/// An answer without content has no length either.
#[test]
fn nothing_is_answered_with_nothing() {
    let (world, mut browser) = entitled();
    let path = "/user/starred/octocat/hello-world";
    let nothing = Trouble::Answer { status: 204, headers: Vec::new(), body: "".into() };
    world.github.knobs().at(path, nothing);
    for method in ["PUT", "DELETE"] {
        let done = write(&mut browser, method, path, "");
        assert_eq!((done.status, done.body.len()), (204, 0));
        assert_eq!(done.header("content-length"), None, "RFC 9110 §8.6");
        assert_eq!(done.header("transfer-encoding"), None);
        assert_eq!(world.github.calls(&format!("{method} {path}")), 1);
    }
}

/// A question to GraphQL changes nothing; what a mutation changes stands in its text alone, so nothing
/// that its sender was shown is believed after it. What others were shown is theirs.
#[test]
fn a_mutation_ends_what_is_held_for_its_sender() {
    let paths = [HELLO, "/users/mona"];
    let (world, [mut octocat, mut hubot]) = believing(&paths);
    let id = format!("R_{}", world.github.repository_id("octocat/hello-world"));
    let send = |octocat: &mut Browser, query: &str| {
        let input = json!({ "input": { "repositoryId": id, "title": "By GraphQL" } });
        let text = json!({ "query": query, "variables": input }).to_string();
        let answer = write(octocat, "POST", "/graphql", &text);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    for path in paths {
        for visitor in [&mut octocat, &mut hubot] {
            assert!(is_asked(visitor, path) && !is_asked(visitor, path));
        }
    }
    assert_eq!(send(&mut octocat, "{ viewer { login } }")["data"]["viewer"]["login"], "octocat");
    for path in paths {
        assert!(!is_asked(&mut octocat, path), "{path}");
    }
    let mutation =
        "mutation($input: CreateIssueInput!) { createIssue(input: $input) { issue { number } } }";
    let made = send(&mut octocat, mutation);
    assert_eq!(made["data"]["createIssue"]["issue"]["number"], 67, "{made}");
    for path in paths {
        assert!(is_asked(&mut octocat, path), "{path}");
        assert!(!is_asked(&mut hubot, path), "{path}");
    }
}
