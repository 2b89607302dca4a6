//! GitHub's API for the signed-in visitor: what passes, what is held, what never does.

/// A world in which all that passes is looked at when the test ends.
mod room;
/// What one visitor may see says nothing about another.
mod privacy;
/// What makes two questions one, and what reaches GitHub of a question.
mod questions;
/// What is held is true when it is given: GitHub said so, just now or within its time.
mod revalidation;
/// Lists of which nobody knows anything yet.
mod empty_lists;
/// What is held outlives the gateway, and goes with it from node to node.
mod kept;
/// What is never held, for its path or for what it says.
mod never_held;
/// What is not passed on at all.
mod permitted;
/// No token leaves the gateway but to GitHub.
mod secrecy;
/// In the name of the GitHub App.
/// A day of a hundred people, and what of it GitHub counted.
mod day;
mod installations;
/// In the name of the App, and of the visitor where the App may not.
mod or_visitor;
/// What people see of GitHub's limits.
mod shown;
/// `GET /rate_limit`.
mod rate_limit;
/// Pages of other origins.
mod other_origins;
/// Clients that know one way alone.
mod manners;
/// Equal questions at the same time are one question to GitHub.
mod coalescing;
/// GitHub's limits: what is left is told, what is spent is not asked for, and a pause is kept.
mod limits;
/// Who may go when.
mod turns;
/// Many clients that know no measure, and a GitHub that bans for it.
mod soak;
/// GitHub as it is in production.
mod http2;
/// Files to GitHub and from it: whole or visibly broken, in little memory.
mod files;
/// Who sends or reads slowly.
mod slow;
/// What the log says of each answer.
mod logged;
/// Addresses in answers, and redirects.
mod links;
/// Pages of a list.
mod pages;
/// GitHub slow, down, or out of order.
mod trouble;
/// What is sent to GitHub, and what it changes.
mod writes;
/// What GitHub tells, and what is fresh for it.
mod webhooks;
/// Whose webhooks: what is signed speaks for itself alone, and ends something once.
mod hooks;
/// What webhooks have told to have changed is asked for ahead.
mod refreshes;
/// What webhooks show, where GitHub gives no answer.
mod from_webhooks;
/// What somebody was shown by rights that are gone.
mod scopes;
/// Several nodes: what one hears, all heed.
mod other_nodes;
/// Whoever leaves is forgotten.
mod ends;

use std::fmt::Write as _;

use crate::support::browser::{Browser, split};
use crate::support::http::{Connection, Response};
use crate::support::{World, eventually};

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

/// A world in which apps may write, too.
fn world_of_writers(keys: &str) -> World {
    World::with(&format!("{SCOPES}{keys}"), ROUTES)
}

/// A script that acts for somebody.
fn script_of(world: &World, person: &str) -> Browser {
    let (browser, page) = world.signed_in(person, &at("/meta"));
    assert_eq!(page.status, 200, "{}", page.text());
    browser
}

/// What GitHub's API answers a script. Scripts of one session may ask at the same time.
fn ask(script: &Browser, line: &str, fields: &[(&str, &str)], body: &str) -> Response {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let fields = [&[("accept", "application/json")], fields].concat();
    script.clone().send(method, &at(path), &fields, body)
}

/// Sends a request of a script's, and leaves the answer for later, or for nobody.
fn begin(world: &World, script: &Browser, line: &str, body: &str) -> Connection {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let (host, target) = split(&at(path));
    let cookies: Vec<_> = script.cookies(&host).iter().map(|(n, v)| format!("{n}={v}")).collect();
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    write!(text, "cookie: {}\r\nx-gatekeep-max-wait: 30\r\n", cookies.join("; "))
        .expect("memory is written");
    if method == "POST" {
        write!(text, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())
            .expect("memory is written");
    }
    let mut connection = Connection::open(world.gate.address);
    connection.send(format!("{text}\r\n{body}").as_bytes()).expect("the gateway reads");
    connection
}

/// Waits until so many requests of apps are under way, and have found their place.
fn under_way(world: &World, count: u32) {
    let line = "gatekeep_http_requests_in_flight";
    eventually("requests come and go", || world.gate.metric(line) == Some(f64::from(count)));
    for _ in 0..20 {
        assert_eq!(world.gate.metric(line), Some(f64::from(count)));
    }
}

/// The path below the API, through the gateway.
fn at(path: &str) -> String {
    format!("{BASE}{path}")
}

/// What the cache did, without the gateway's name.
fn cache(answer: &Response) -> &str {
    let all = answer.header("cache-status").unwrap_or_else(|| panic!("{answer:?}"));
    all.strip_prefix("gatekeep; ").expect("the gateway's")
}

fn is_hit(browser: &mut Browser, path: &str) -> bool {
    let answer = browser.fetch(&at(path));
    cache(&answer).starts_with("hit")
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
