//! What is not passed on at all: routes about credentials, what the route denies, what a page of
//! another site asks for, and whatever nobody stands behind.

use super::room::{Room, Visitor};
use super::{BASE, at};
use crate::support::http::Response;

/// Questions to GitHub's API by the gateway for its visitors, not for its own sign-ins.
fn passed(room: &Room) -> usize {
    let all = room.world.github.requests();
    let own = ["/user", "/user/emails", "/user/orgs", "/user/teams"];
    let of_api = all.iter().filter(|seen| seen.path().starts_with("/api/"));
    of_api.filter(|seen| !own.iter().any(|path| seen.path() == format!("/api/v3{path}"))).count()
}

fn outcome(answer: &Response) -> (u16, String) {
    let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
    (answer.status, reason)
}

fn is(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

fn every_method(octocat: &mut Visitor<'_>, path: &str, expected: &(u16, String)) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let answer = octocat.send(method, path, &[], "");
        assert_eq!(outcome(&answer), *expected, "{method} {path}");
    }
    let head = octocat.send("HEAD", path, &[], "");
    assert_eq!(head.status, expected.0, "HEAD {path}");
}

#[test]
fn what_is_about_credentials_is_not_passed_on() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let denied = is(403, "api-path-denied");
    for path in [
        "/app",
        "/app/installations/1/access_tokens",
        "/app/hook/config",
        "/applications/Iv1.simulated0gatekeep/token",
        "/applications/x/grant",
        "/app-manifests/x/conversions",
        "/installation/token",
        "/credentials/revoke",
        "/authorizations",
        "/orgs/acme/personal-access-tokens",
        "/orgs/acme/personal-access-token-requests/1",
        "/repos/acme/rocket/actions/runners/registration-token",
        "/repositories/1296270/actions/runners/remove-token",
        "/orgs/acme/actions/runners/generate-jitconfig",
        "/user/migrations/1/archive",
        "/repos/acme/rocket/installation",
        // However they are spelt.
        "/App/Installations",
        "/%61pp/installations",
        "/app/",
        "/applications%2Fx%2Ftoken",
    ] {
        every_method(&mut octocat, path, &denied);
    }
    assert_eq!(passed(&room), 0);
    // What only begins like them is.
    assert_eq!(octocat.get("/apps/gatekeep").status, 404);
    assert_eq!(octocat.get("/user").status, 200);
    assert_eq!(passed(&room), 1);
}

#[test]
fn an_operator_s_allow_list_is_all_that_passes() {
    let room = Room::of(
        r#"{ github: { allow: ["GET /repos/*/*/issues/**", "* /user"], deny: ["* /repos/acme/**"] } }"#,
    );
    let mut octocat = room.visitor("octocat");
    let denied = is(403, "api-path-denied");
    for path in [
        "/repos/octocat/hello-world",
        "/repos/acme/rocket/issues",
        "/repos/ACME/rocket/issues/1",
        "/repos/octocat%2Fhello-world/x/issues",
        "/user/orgs",
        "/users/mona",
        "/search/issues?q=x",
    ] {
        every_method(&mut octocat, path, &denied);
    }
    // By its number it may be any repository, the denied one as well.
    assert_eq!(outcome(&octocat.get("/repositories/1296270/issues")), denied);
    let patch = octocat.send("PATCH", "/repos/octocat/hello-world/issues/1", &[], "{}");
    assert_eq!(outcome(&patch), denied);
    assert_eq!(outcome(&octocat.send("POST", "/graphql", &[], "{}")), denied);
    assert_eq!(passed(&room), 0);
    for path in ["/repos/octocat/hello-world/issues", "/repos/octocat/hello-world/issues/1"] {
        assert_eq!(octocat.get(path).status, 200, "{path}");
    }
    assert_eq!(octocat.get("/user").status, 200);
    assert_eq!(passed(&room), 2);
}

#[test]
fn an_operator_s_deny_list_leaves_all_else() {
    let room = Room::of(r#"{ github: { deny: ["DELETE /**", "* /user/emails"] } }"#);
    let mut octocat = room.visitor("octocat");
    let denied = is(403, "api-path-denied");
    let comment = "/repos/octocat/hello-world/issues/comments/1";
    assert_eq!(outcome(&octocat.send("DELETE", comment, &[], "")), denied);
    // A query asks for the same in other words.
    assert_eq!(outcome(&octocat.send("POST", "/graphql", &[], QUERY)), denied);
    assert_eq!(outcome(&octocat.get("/user/emails?page=2")), denied);
    assert_eq!(outcome(&octocat.get("/user/%65mails")), denied);
    assert_eq!(passed(&room), 0);
    assert_eq!(octocat.get("/repos/octocat/hello-world").status, 200);
    assert_eq!(octocat.get("/user/orgs").status, 200);
}

#[test]
fn graphql_passes_beside_denials_where_it_is_named() {
    let room =
        Room::of(r#"{ github: { allow: ["* /**", "POST /graphql"], deny: ["* /user/emails"] } }"#);
    let mut octocat = room.visitor("octocat");
    let denied = is(403, "api-path-denied");
    for spelled in ["/graphql/", "/GraphQL"] {
        assert_eq!(outcome(&octocat.send("POST", spelled, &[], QUERY)), denied, "{spelled}");
    }
    assert_eq!(passed(&room), 0);
    assert_eq!(octocat.send("POST", "/graphql", &[], QUERY).status, 200);
    assert_eq!(outcome(&octocat.get("/user/emails")), denied);
}

const QUERY: &str = r#"{"query":"{ viewer { login } }"}"#;
const ISSUES: &str = "/repos/octocat/hello-world/issues";
const NEW: &str = r#"{"title":"New"}"#;

/// What came of a POST with these fields and no others about where it comes from.
fn posted(visitor: &mut Visitor<'_>, fields: &[(&str, &str)]) -> Response {
    let plain = [("accept", "application/json"), ("content-type", "application/json")];
    let fields: Vec<_> = plain.iter().chain(fields).copied().collect();
    visitor.browser.send("POST", &at(ISSUES), &fields, NEW)
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for fields in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "https://auth.example.com")],
        &[("origin", "http://app.example.com")],
        &[("origin", "https://app.example.com:8443")],
        &[("origin", "https://app.example.com.evil.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://app.example.com"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://app.example.com"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
    ] {
        assert_eq!(
            outcome(&posted(&mut octocat, fields)),
            is(403, "cross-site-form"),
            "{fields:?}"
        );
    }
    for (method, path) in [("PUT", "/user/starred/a/b"), ("PATCH", ISSUES), ("DELETE", "/user/x")] {
        let fields = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        let answer = octocat.send(method, path, &fields, "");
        assert_eq!(outcome(&answer), is(403, "cross-site-form"), "{method}");
    }
    let graphql = octocat.send("POST", "/graphql", &[("origin", "https://evil.example")], "{}");
    assert_eq!(outcome(&graphql), is(403, "cross-site-form"));
    assert_eq!(passed(&room), 0);
    // Its reading changes nothing, and what it reads stays here: no other origin is let in.
    let read = octocat.get_with(ISSUES, &[("origin", "https://evil.example")]);
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None));
}

#[test]
fn a_page_of_the_route_s_own_origin_and_a_program_write() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let own = [("origin", "https://app.example.com"), ("sec-fetch-site", "same-origin")];
    for (number, fields) in [&own[..], &own[..1], &own[1..], &[]].into_iter().enumerate() {
        let made = posted(&mut octocat, fields);
        assert_eq!(made.status, 201, "{fields:?} {}", made.text());
        assert_eq!(made.json()["number"], 67 + number);
    }
    assert_eq!(passed(&room), 4);
}

#[test]
fn nobody_asks_github_in_nobody_s_name() {
    let room = Room::new();
    let mut stranger = room.world.browser();
    let before = room.world.github.requests().len();
    let paths = ["/user", "/repos/octocat/hello-world", "/rate_limit", "/zen", "", "/graphql"];
    for path in paths {
        let navigation = stranger.get(&at(path));
        assert_eq!(navigation.status, 303, "{path}");
        assert!(!navigation.location().starts_with(&at("")), "{}", navigation.location());
        let script = stranger.fetch(&at(path));
        assert_eq!((script.status, script.json()["reason"].as_str()), (401, Some("no-session")));
        for method in ["POST", "DELETE"] {
            let json = [("accept", "application/json")];
            assert_eq!(
                stranger.send(method, &at(path), &json, "{}").status,
                401,
                "{method} {path}"
            );
        }
    }
    for bearer in ["Bearer gho_0123456789012345", "token x", "Basic eDp5"] {
        let fields = [("accept", "application/json"), ("authorization", bearer)];
        assert_eq!(stranger.send("GET", &at("/user"), &fields, "").status, 401, "{bearer}");
    }
    // A session that is over is none.
    let mut octocat = room.visitor("octocat");
    assert_eq!(octocat.get("/zen").status, 404, "which GitHub said");
    let asked = room.world.github.requests().len();
    assert!(asked > before, "of a visitor GitHub hears");
    let (host, cookies) = ("app.example.com", octocat.browser.cookies("app.example.com"));
    for name in cookies.keys() {
        octocat.browser.plant(host, name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
    }
    assert_eq!(octocat.get("/user").status, 401);
    assert_eq!(room.world.github.requests().len(), asked);
}

#[test]
fn whom_the_route_does_not_admit_github_does_not_hear_of() {
    let room = Room::of("github\n    deny: { users: [mona] }");
    let (mut mona, mut octocat) = (room.visitor("mona"), room.visitor("octocat"));
    let before = passed(&room);
    for path in ["/user", ISSUES, "/graphql"] {
        assert_eq!(outcome(&mona.get(path)), is(403, "user-denied"), "{path}");
        let post = mona.send("POST", path, &[], NEW);
        assert_eq!(outcome(&post), is(403, "user-denied"), "{path}");
    }
    assert_eq!(passed(&room), before);
    assert_eq!(octocat.get(ISSUES).status, 200);
    assert_eq!(passed(&room), before + 1);
}

#[test]
fn a_method_that_would_show_the_token_is_not_passed_on() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let before = room.world.github.requests().len();
    for method in ["TRACE", "get", "Post"] {
        let answer = octocat.send(method, "/user", &[], "");
        assert_eq!(outcome(&answer).1, "bad-method", "{method} {}", answer.status);
    }
    assert_eq!(room.world.github.requests().len(), before);
    assert!(BASE.ends_with("/github"));
}
