//! The access line: whoever is answered is named, with the route and why it opened, wherever the answer
//! is from.

use gatekeep::simulator::Trouble;

use super::{at, cache, entitled, write};
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::support::{World, eventually};

const ISSUES: &str = "/repos/octocat/hello-world/issues";

/// Asks with these fields, as a script does.
fn ask(browser: &mut Browser, line: &str, fields: &[(&str, &str)]) -> Response {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let fields = [&[("accept", "application/json")], fields].concat();
    browser.send(method, &at(path), &fields, "")
}

/// The line of an answer says so much of the visitor, the route and the reason.
fn assert_is_logged(world: &World, answer: &Response, reason: &str) {
    let status = format!(" status={} ", answer.status);
    let expected = format!(" reason={reason} user=octocat{status}");
    // Two in a row have no status in common, so it is this one's line.
    let last = || world.gate.access_log().lines().last().map(str::to_owned).unwrap_or_default();
    eventually(&status, || last().contains(&status));
    let line = last();
    assert!(line.contains(" route=github ") && line.contains(&expected), "{expected}: {line}");
}

#[test]
fn whatever_is_answered_the_line_names_visitor_route_and_reason() {
    let (world, mut browser) = entitled();
    let denied = ask(&mut browser, "GET /app", &[]);
    assert_eq!(denied.status, 403);
    assert_is_logged(&world, &denied, "api-path-denied");

    let held = "GET /meta";
    let first = ask(&mut browser, held, &[]);
    let tag = first.header("etag").expect("a tag").to_owned();
    assert_eq!(first.status, 200);
    assert_is_logged(&world, &first, "anyone");
    let known = ask(&mut browser, held, &[("if-none-match", &tag)]);
    assert_eq!(known.status, 304);
    assert!(cache(&known).starts_with("hit"), "{known:?}");
    assert_is_logged(&world, &known, "anyone");
    let hit = ask(&mut browser, held, &[]);
    assert!(cache(&hit).starts_with("hit"), "{hit:?}");
    assert_is_logged(&world, &hit, "anyone");

    let nobody = "GET /users/nobody-of-that-name";
    let missing = ask(&mut browser, nobody, &[]);
    assert_eq!(missing.status, 404);
    assert_is_logged(&world, &missing, "anyone");
    let brief = ask(&mut browser, nobody, &[]);
    assert_eq!(brief.status, 404);
    assert!(cache(&brief).starts_with("hit"), "{brief:?}");
    assert_is_logged(&world, &brief, "anyone");

    let written = write(&mut browser, "POST", ISSUES, r#"{"title":"New"}"#);
    assert_eq!(written.status, 201);
    assert_is_logged(&world, &written, "anyone");
    let file = vec![0; 3_000_000];
    world.github.knobs().at("/users/file", Trouble::answer(200, "application/octet-stream", file));
    let flowing = ask(&mut browser, "GET /users/file", &[]);
    assert_eq!((flowing.status, flowing.body.len()), (200, 3_000_000));
    assert_is_logged(&world, &flowing, "anyone");

    let mut page = browser.clone();
    let elsewhere = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let forged = ask(&mut page, &format!("POST {ISSUES}"), &elsewhere);
    assert_eq!(forged.status, 403);
    assert_is_logged(&world, &forged, "cross-site-form");
    let unsatisfied = ask(&mut browser, "GET /users/mona", &[("cache-control", "only-if-cached")]);
    assert_eq!(unsatisfied.status, 504);
    assert_is_logged(&world, &unsatisfied, "github-unavailable");

    world.github.set_remaining("octocat", "core", 0);
    assert_ne!(ask(&mut browser, "GET /users/hubot", &[]).status, 200, "GitHub says it");
    let mona = ask(&mut browser, "GET /users/mona", &[]);
    assert_eq!(mona.header("x-gatekeep-refused"), Some("primary"), "{mona:?}");
    assert_is_logged(&world, &mona, "anyone");
}
