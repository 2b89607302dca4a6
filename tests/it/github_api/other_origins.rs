//! Pages of other origins: those that the route names ask with an API key, others learn nothing, and
//! nobody's cookie works from there.

use super::{ROUTES, at};
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::support::{World, eventually};

const TOOLS: &str = "https://tools.example.com";
const EVIL: &str = "https://evil.example";
const ACCOUNT: &str = "https://app.example.com/.gatekeep/account";
const ALLOWED: &str = "access-control-allow-origin";

fn world(origins: &str) -> World {
    let upstream = format!("upstream: {{ github: {{ origins: {origins} }} }}");
    World::with("", &ROUTES.replace("upstream: github", &upstream))
}

/// A key of octocat's for the route, by the form of the account page.
fn key(browser: &mut Browser) -> String {
    let between = |text: &str, start: &str, end: &str| {
        let found = text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
        found.map(|(inside, _)| inside.to_owned()).expect("it is on the page")
    };
    let page = browser.get(ACCOUNT).text();
    let form = between(&page, "action=\"/.gatekeep/api_keys\"", "</form>");
    let token = between(&form, "name=\"csrf\" value=\"", "\"");
    let fields = [("csrf", token.as_str()), ("name", "tools"), ("days", "7"), ("route", "github")];
    let made = browser.post("https://app.example.com/.gatekeep/api_keys", &fields).text();
    between(&made, "<dt>API key</dt><dd><code>", "</code>")
}

/// What the script of a page sends, with these fields beside.
fn from(
    page: &str,
    browser: &mut Browser,
    line: (&str, &str),
    fields: &[(&str, &str)],
) -> Response {
    let own = [
        ("accept", "application/json"),
        ("origin", page),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "cross-site"),
    ];
    let fields: Vec<_> = own.iter().chain(fields).copied().collect();
    browser.send(line.0, &at(line.1), &fields, "")
}

fn preflight(page: &str, world: &World) -> Response {
    let fields = [
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization,content-type,x-github-api-version"),
    ];
    from(page, &mut world.browser(), ("OPTIONS", "/user"), &fields)
}

fn varies_by_origin(answer: &Response) -> bool {
    answer.all("vary").any(|names| names.split(", ").any(|name| name == "Origin"))
}

#[test]
fn a_page_that_is_named_asks_with_a_key() {
    let world = world(r#"["https://tools.example.com"]"#);
    let told = preflight(TOOLS, &world);
    assert_eq!((told.status, told.body.len()), (204, 0));
    for (name, value) in [
        (ALLOWED, TOOLS),
        ("access-control-allow-methods", "GET, HEAD, POST, PATCH, PUT, DELETE"),
        ("access-control-max-age", "7200"),
    ] {
        assert_eq!(told.header(name), Some(value), "{name}");
    }
    let taken = told.header("access-control-allow-headers").expect("a list").to_ascii_lowercase();
    let taken: Vec<_> = taken.split(", ").collect();
    for name in ["authorization", "content-type", "x-github-api-version", "if-none-match"] {
        assert!(taken.contains(&name), "{name} in {taken:?}");
    }
    eventually("the log says why", || world.gate.access_log().contains("preflight"));

    let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
    let key = format!("Bearer {}", key(&mut octocat));
    let mut page = world.browser();
    let shown = [("authorization", key.as_str())];
    for (line, status) in [
        (("GET", "/user"), 200),
        (("GET", "/user"), 200),
        (("GET", "/users/nobody-at-all"), 404),
        (("GET", "/app"), 403),
        (("PATCH", "/repos/octocat/hello-world/issues/1"), 404),
    ] {
        let answer = from(TOOLS, &mut page, line, &shown);
        assert_eq!(answer.status, status, "{line:?} {}", answer.text());
        assert_eq!(answer.header(ALLOWED), Some(TOOLS), "{line:?}");
        let read = answer.header("access-control-expose-headers").expect("a list");
        assert!(["ETag", "Link", "X-RateLimit-Remaining"].iter().all(|name| read.contains(name)));
        assert!(varies_by_origin(&answer), "{line:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    assert_eq!(world.github.calls("PATCH /repos/octocat/hello-world/issues/1"), 1);
    // Its script can read, too, that the key is none.
    let refused = from(TOOLS, &mut page, ("GET", "/user"), &[("authorization", "Bearer gk_none")]);
    assert_eq!((refused.status, refused.header(ALLOWED)), (401, Some(TOOLS)));
}

#[test]
fn no_other_page_learns_anything() {
    let world = world(r#"["https://tools.example.com"]"#);
    let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
    let key = format!("Bearer {}", key(&mut octocat));
    for page in [EVIL, "null", "http://tools.example.com", "https://tools.example.com.evil.example"]
    {
        let told = preflight(page, &world);
        assert_eq!((told.status, told.header(ALLOWED)), (401, None), "{page}");
        let fields = [("authorization", key.as_str())];
        let answer = from(page, &mut world.browser(), ("GET", "/user"), &fields);
        assert_eq!((answer.status, answer.header(ALLOWED)), (200, None), "{page}");
        assert!(varies_by_origin(&answer), "a cache must not give it to others");
    }
}

#[test]
fn a_cookie_does_nothing_for_a_page_of_another_origin() {
    for origins in [r#"["https://tools.example.com"]"#, r#"["*"]"#] {
        let world = world(origins);
        let (mut octocat, _) = world.signed_in("octocat", "https://app.example.com/x");
        let read = from(TOOLS, &mut octocat, ("GET", "/user"), &[]);
        let kept_from_the_page = [ALLOWED, "access-control-allow-credentials"];
        assert_eq!(kept_from_the_page.map(|name| read.header(name)), [None, None]);
        let key = format!("Bearer {}", key(&mut octocat));
        let by_key =
            from(TOOLS, &mut world.browser(), ("GET", "/user"), &[("authorization", &key)]);
        assert!(by_key.header(ALLOWED).is_some(), "control");
        let path = "/repos/octocat/hello-world/issues/1";
        let written = from(TOOLS, &mut octocat, ("PATCH", path), &[]);
        assert_eq!((written.status, &written.json()["reason"]), (403, &"cross-site-form".into()));
        assert_eq!(world.github.calls(&format!("PATCH {path}")), 0);
    }
}

#[test]
fn every_page_may_ask_where_the_route_says_so_and_none_where_it_says_nothing() {
    let open = world(r#"["*"]"#);
    for page in [TOOLS, EVIL, "null"] {
        let told = preflight(page, &open);
        assert_eq!((told.status, told.header(ALLOWED)), (204, Some("*")), "{page}");
        assert!(!varies_by_origin(&told));
    }
    let closed = World::with("", ROUTES);
    let told = preflight(TOOLS, &closed);
    assert_eq!((told.status, told.header(ALLOWED)), (401, None));
    assert!(!varies_by_origin(&told));
}
