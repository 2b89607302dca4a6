//! GitHub's API for the signed-in visitor: what passes, what is held, what never does.

/// A world in which all that passes is looked at when the test ends.
mod room;
/// What one visitor may see says nothing about another.
mod privacy;
/// What makes two questions one, and what reaches GitHub of a question.
mod questions;
/// What is held is true when it is given: GitHub said so, just now or within its time.
mod revalidation;
/// What is never held, for its path or for what it says.
mod never_held;
/// What is not passed on at all.
mod permitted;
/// No token leaves the gateway but to GitHub.
mod secrecy;
/// In the name of the GitHub App.
mod installations;
/// What people see of GitHub's limits.
mod shown;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

/// Files to GitHub and from it: whole or visibly broken, in little memory.
mod files;
/// Addresses in answers, and redirects.
mod links;
/// Pages of a list.
mod pages;
/// GitHub slow, down, or out of order.
mod trouble;
/// What is sent to GitHub, and what it changes.
mod writes;

const ROUTES: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
  - name: github
    host: app.example.com
    path: /github
    upstream: github
    allow: anyone
";

const BASE: &str = "https://app.example.com/github";

/// The world, and a browser in which octocat is signed in.
fn world() -> (World, Browser) {
    let world = World::with("", ROUTES);
    let (browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    (world, browser)
}

/// Scopes of tokens that write, and see what is private.
const SCOPES: &str = "github.timeout: 5s, scopes: [repo, 'read:org', 'read:user', 'user:email']\n";

/// The same world, where tokens have more rights.
fn entitled() -> (World, Browser) {
    let world = World::with(SCOPES, ROUTES);
    let (browser, _) = world.signed_in("octocat", "https://app.example.com/x");
    (world, browser)
}

/// A write by a script of the gateway's own origin.
fn write(browser: &mut Browser, method: &str, path: &str, body: &str) -> Response {
    let headers = [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("origin", "https://app.example.com"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-origin"),
    ];
    browser.send(method, &at(path), &headers, body)
}

/// The path below the API, through the gateway.
fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

#[test]
fn a_visitor_reads_the_api_without_a_token() {
    let (world, mut browser) = world();
    let answer = browser.get(&at("/user"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"login\":\"octocat\""), "{}", answer.text());
    assert_eq!(
        answer.header("cache-status"),
        Some("gatekeep; fwd=uri-miss; fwd-status=200; stored")
    );
    let again = browser.get(&at("/user"));
    assert_eq!(again.status, 200);
    assert_eq!(again.body, answer.body);
    assert_eq!(again.header("cache-status"), Some("gatekeep; fwd=stale; fwd-status=304"));
    assert_eq!(world.browser().get(&at("/user")).status, 303);
}
