//! Addresses in answers: what is GitHub's API leads through the gateway, by the way that the client
//! came; everything else stays as GitHub wrote it. Redirects are the client's to follow.

use std::time::Duration;

use gatekeep::simulator::Trouble;
use serde_json::{Value, json};

use super::{SCOPES, at, entitled, world, write};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const HELLO: &str = "/repos/octocat/hello-world";
const OLD: &str = "octocat/hello-world";
const JSON: &str = "application/json; charset=utf-8";

/// As on a GitHub Enterprise Server of its own, at another port than the usual one.
const FACADE: &str = r"
  - name: github
    host: ghes.example.com
    upstream: { github: { enterprise_paths: true } }
    allow: anyone
";

const SERVER: &str = "https://ghes.example.com:8443";

fn facade() -> (World, Browser) {
    let keys = format!("{SCOPES}public_url: https://auth.example.com:8443\n");
    let world = World::with(&keys, FACADE);
    let (browser, page) = world.signed_in("octocat", &format!("{SERVER}/api/v3/user"));
    assert_eq!(page.status, 200, "{}", page.text());
    (world, browser)
}

/// An answer of GitHub's with this `Link`.
fn linking(link: &str) -> Trouble {
    let headers = [("content-type", JSON), ("link", link)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Trouble::Answer { status: 200, headers, body: "[]".into() }
}

/// All texts in JSON, with the names they stand under.
fn texts<'j>(value: &'j Value, name: &'j str, found: &mut Vec<(&'j str, &'j str)>) {
    match value {
        Value::String(text) => found.push((name, text)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| texts(value, name, found));
        }
        _ => {}
    }
}

/// Nothing in an answer leads past the gateway to the API or the uploads; something leads to `base`.
fn leads_here(world: &World, answer: &Response, base: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (json, mut found) = (answer.json(), Vec::new());
    texts(&json, "", &mut found);
    let (api, uploads) = (world.github.api_url(), world.github.uploads_url());
    let past = |text: &str| text.starts_with(api) || text.starts_with(&uploads);
    let is_written = |name: &str| matches!(name, "body" | "title" | "message");
    for (name, text) in &found {
        assert!(is_written(name) || !past(text), "{name}: {text}");
    }
    let here = found.iter().filter(|(_, text)| text.starts_with(base)).count();
    assert!(here > 0, "nothing leads to {base}: {}", answer.text());
}

#[test]
fn links_lead_where_the_client_came_from_and_others_stay() {
    let (world, mut browser) = world();
    let (api, uploads) = (world.github.api_url(), world.github.uploads_url());
    let others = format!(
        "<https://docs.github.com/x>; rel=\"deprecation\"; type=\"text/html\", \
         <{api}.evil.example/repositories/1>; rel=\"first\", <{api}x/y>; title=\"<{api}/a>\""
    );
    let said = format!(
        "<{api}/repositories/1/issues?a=%2F&page=2>; rel=\"next\", <{uploads}/x>; rel=\"up\", {others}"
    );
    world.github.knobs().at(&format!("{HELLO}/labels"), linking(&said));
    let answer = browser.fetch(&at(&format!("{HELLO}/labels")));
    let expected = format!(
        "<{}>; rel=\"next\", <{}>; rel=\"up\", {others}",
        at("/repositories/1/issues?a=%2F&page=2"),
        at("/_uploads/x")
    );
    assert_eq!(answer.header("link"), Some(expected.as_str()));
}

#[test]
fn every_address_of_the_api_in_a_body_leads_through_the_gateway() {
    let (world, mut browser) = world();
    for path in [
        "/user",
        HELLO,
        "/repos/octocat/hello-world/issues?per_page=5",
        "/repos/octocat/hello-world/pulls",
        "/repos/octocat/hello-world/commits",
        "/repos/octocat/hello-world/contents",
        "/repos/octocat/hello-world/releases/latest",
        "/users/mona",
    ] {
        leads_here(&world, &browser.fetch(&at(path)), &at("/"));
    }
    let repository = browser.fetch(&at(HELLO)).json();
    // Templates stay templates, and what is for people and for Git stays at GitHub.
    let template = format!("{}{{/number}}", at(&format!("{HELLO}/issues")));
    assert_eq!(repository["issues_url"], template);
    let web = format!("{}/octocat/hello-world", world.github.url());
    assert_eq!(repository["html_url"], web);
    assert_eq!(repository["clone_url"], format!("{web}.git"));
}

/// What people write is theirs, whatever it looks like; and what is held is what GitHub sent, or GitHub
/// could not confirm it.
#[test]
fn what_people_write_stays_and_what_is_held_is_githubs() {
    let (world, mut browser) = entitled();
    let url = format!("{}/x", world.github.api_url());
    let text = json!({ "title": url, "body": url }).to_string();
    let made = write(&mut browser, "POST", &format!("{HELLO}/issues"), &text);
    assert_eq!(made.status, 201, "{}", made.text());
    let issue = at(&format!("{HELLO}/issues/67"));
    for answer in [made, browser.fetch(&issue), browser.fetch(&issue)] {
        let said = answer.json();
        assert_eq!((&said["title"], &said["body"]), (&json!(url), &json!(url)));
        assert_eq!(said["url"], issue);
        assert_eq!(said["repository_url"], at(HELLO));
    }
    let call = format!("GET {HELLO}/issues/67");
    assert_eq!([200, 304].map(|status| world.github.answered(&call, status)), [1, 1]);
}

/// A file is bytes, even where it is JSON with addresses in it.
#[test]
fn files_are_not_touched() {
    let (world, mut browser) = world();
    let file = format!("{{\"url\":\"{}/user\"}}", world.github.api_url());
    world.github.put_file(OLD, "a.json", file.clone());
    let url = at(&format!("{HELLO}/contents/a.json"));
    let raw = [("accept", "application/vnd.github.raw+json")];
    let answer = browser.send("GET", &url, &raw, "");
    assert_eq!((answer.status, answer.text()), (200, file));
    leads_here(&world, &browser.fetch(&url), &url);
}

/// JSON that is far longer than a page still has its addresses turned, and is still confirmed for nothing.
#[test]
fn long_json_is_turned_too() {
    let (world, mut browser) = world();
    world.github.put_file(OLD, "large.bin", vec![b'x'; 3 << 20]);
    let url = at(&format!("{HELLO}/contents/large.bin"));
    let answer = browser.fetch(&url);
    assert!(answer.body.len() > 4 << 20);
    leads_here(&world, &answer, &url);
    let again = browser.fetch(&url);
    assert_eq!(again.header("cache-status"), Some("gatekeep; fwd=stale; fwd-status=304"));
    assert_eq!(again.body, answer.body);
}

#[test]
fn the_paths_of_an_enterprise_server_lead_to_the_same_api() {
    let (world, mut browser) = facade();
    let base = format!("{SERVER}/api/v3");
    for path in ["/user", HELLO, "/repos/octocat/hello-world/releases/latest"] {
        leads_here(&world, &browser.fetch(&format!("{base}{path}")), &format!("{base}/"));
    }
    let page = browser.fetch(&format!("{base}{HELLO}/issues"));
    let id = world.github.repository_id(OLD);
    let next = format!("<{base}/repositories/{id}/issues?page=2>; rel=\"next\"");
    assert!(page.header("link").is_some_and(|link| link.starts_with(&next)), "{page:?}");
    let headers = [("origin", SERVER), ("sec-fetch-site", "same-origin")];
    let query = json!({ "query": "{ viewer { login } }" }).to_string();
    let answer = browser.send("POST", &format!("{SERVER}/api/graphql"), &headers, &query);
    assert_eq!(answer.json()["data"]["viewer"]["login"], "octocat", "{}", answer.text());
    assert_eq!(world.github.calls("POST /api/graphql"), 1);
    let template = browser.fetch(&format!("{base}{HELLO}/releases/latest")).json();
    let template = template["upload_url"].as_str().expect("a template").to_owned();
    let place = template.strip_suffix("{?name,label}").expect("a template");
    assert!(place.starts_with(&format!("{SERVER}/api/uploads/repos/octocat/")), "{place}");
    let made = browser.send("POST", &format!("{place}?name=a.txt"), &headers, "of mine");
    assert_eq!(made.status, 201, "{}", made.text());
    let asset = &world.github.assets(OLD)[0];
    assert_eq!((asset.name.as_str(), asset.bytes), ("a.txt", 7));
    assert!(made.json()["url"].as_str().is_some_and(|url| url.starts_with(&base)));
}

/// The root is the API as well, and whoever comes by it stays there; what nobody gets, nobody gets
/// by another path.
#[test]
fn the_facade_is_one_more_way_and_not_a_way_around() {
    let (world, mut browser) = facade();
    leads_here(&world, &browser.fetch(&format!("{SERVER}/user")), &format!("{SERVER}/users/"));
    let asked = world.github.requests().len();
    for path in ["/api/v3/app", "/api/v3/applications/x/token", "/app", "/api/v3/authorizations"] {
        let answer = browser.fetch(&format!("{SERVER}{path}"));
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
    assert_eq!(world.github.requests().len(), asked);
    // Without the key they are paths of the API like any other.
    let (world, mut browser) = super::world();
    assert_eq!(browser.fetch(&at("/api/v3/user")).status, 404);
    assert_eq!(world.github.calls("GET /api/v3/api/v3/user"), 1);
}

/// A repository that was renamed: the client is led to its number below the gateway, and asking by the
/// old name costs nothing for a minute.
#[test]
fn a_renamed_repository_is_found_and_remembered_for_a_minute() {
    let (world, mut browser) = world();
    let id = world.github.repository_id(OLD);
    world.github.rename_repository(OLD, "octocat/hi");
    let path = format!("{HELLO}/issues/1?a=%2F");
    let moved = browser.fetch(&at(&path));
    let expected = at(&format!("/repositories/{id}/issues/1?a=%2F"));
    assert_eq!((moved.status, moved.location()), (301, expected.as_str()));
    assert_eq!(moved.json()["url"], expected);
    assert_eq!(moved.header("cache-status"), Some("gatekeep; fwd=uri-miss; fwd-status=301"));
    let issue = browser.fetch(moved.location());
    assert_eq!((issue.status, &issue.json()["number"]), (200, &json!(1)));
    let charged = world.github.charged_to("octocat");
    world.gate.clock.advance(Duration::from_secs(59));
    let again = browser.fetch(&at(&path));
    assert_eq!((again.status, again.location(), &again.body), (301, &*expected, &moved.body));
    assert_eq!(again.header("cache-status"), Some("gatekeep; hit; ttl=1"));
    assert_eq!(again.header("age"), Some("59"));
    assert_eq!(world.github.charged_to("octocat"), charged);
    world.gate.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.fetch(&at(&path)).status, 301);
    assert_eq!(world.github.charged_to("octocat"), charged + 1);
}

/// A write is not sent on by the gateway: 307 tells the client where, and the client sends it again.
#[test]
fn a_write_to_the_old_name_is_the_client_s_to_repeat() {
    let (world, mut browser) = entitled();
    let id = world.github.repository_id(OLD);
    world.github.rename_repository(OLD, "octocat/hi");
    let patch = json!({ "title": "Renamed" }).to_string();
    let moved = write(&mut browser, "PATCH", &format!("{HELLO}/issues/1"), &patch);
    let expected = format!("/repositories/{id}/issues/1");
    assert_eq!((moved.status, moved.location()), (307, &*at(&expected)), "{}", moved.text());
    assert_eq!(moved.json()["url"], at(&expected));
    assert_eq!(world.github.calls(&format!("PATCH {expected}")), 0);
    let written = write(&mut browser, "PATCH", &expected, &patch);
    assert_eq!((written.status, &written.json()["title"]), (200, &json!("Renamed")));
}

/// An archive is elsewhere, at an address that works once: it is the client's to fetch, with no
/// credential of ours, and it is not kept.
#[test]
fn a_redirect_off_the_api_is_passed_on_and_not_followed() {
    let (world, mut browser) = entitled();
    for round in 0..2 {
        let answer = browser.fetch(&at("/repos/acme/rocket/tarball/main"));
        assert_eq!((answer.status, answer.body.len()), (302, 0));
        let place = answer.location().to_owned();
        assert!(place.contains("/legacy.tar.gz/") && place.contains("?token="), "{place}");
        assert!(!place.starts_with(world.github.url()), "{place}");
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        assert_eq!(answer.header("etag"), None);
        assert!(!world.gate.access_log().contains("token="), "it opens a private file");
        assert_eq!(world.github.downloads().len(), round, "the gateway follows nothing");
        browser.fetch(&place);
    }
    assert_eq!(world.github.calls("GET /repos/acme/rocket/tarball/main"), 2);
    let [first, second] = &world.github.downloads()[..] else {
        panic!("the client followed twice")
    };
    for request in [first, second] {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("cookie"), None);
    }
}
