//! How a route answers clients that know one way alone: the status of a refusal, and what the cache did
//! in older words.

use gatekeep::simulator::Trouble;

use super::room::{Room, account};
use super::{at, world};
use crate::support::http::Response;

const HELLO: &str = "/repos/octocat/hello-world";

#[test]
fn a_refusal_has_the_status_that_the_route_names() {
    for (upstream, github, expected) in [
        ("github", 429, 403),
        ("{ github: { limit_status: 403 } }", 429, 403),
        ("{ github: { limit_status: 429 } }", 403, 429),
        ("{ github: { limit_status: github } }", 429, 429),
        ("{ github: { limit_status: github } }", 403, 403),
    ] {
        let room = Room::of(upstream);
        let mut octocat = room.visitor("octocat");
        let limit = Trouble::SecondaryLimit { status: github, retry_after: Some(60) };
        room.world.github.knobs().once("/user/repos", limit);
        assert_eq!(octocat.get("/user/repos").status, github, "GitHub's own answer passes");
        let refused = octocat.get("/user/repos");
        assert_eq!((refused.status, account(&refused)), (expected, "gatekeep; detail=refused"));
        assert_eq!(refused.header("x-gatekeep-refused"), Some("secondary"), "{upstream}");
    }
}

/// `gh` sends an empty `Accept`, and curl whatever there is.
#[test]
fn what_the_gateway_refuses_is_json_for_whoever_asks_for_nothing_else() {
    let (world, octocat) = world();
    let kinds = |url: &str, accept: &str| {
        [octocat.clone(), world.browser()].map(|mut browser| {
            let answer = browser.send("GET", url, &[("accept", accept)], "");
            let kind = answer.header("content-type").unwrap_or_default().to_owned();
            let is_readable = kind.starts_with("application/json")
                && answer.json()["message"].as_str().is_some_and(|message| !message.is_empty());
            (answer.status, if is_readable { "json".to_owned() } else { kind })
        })
    };
    let [json, text] = ["json", "text/plain; charset=utf-8"].map(str::to_owned);
    for accept in ["", "*/*", "application/vnd.github+json", "image/png"] {
        let expected = [(403, json.clone()), (401, json.clone())];
        assert_eq!(kinds(&at("/app"), accept), expected, "{accept}");
    }
    let expected = [(403, text.clone()), (401, text.clone())];
    assert_eq!(kinds(&at("/app"), "text/plain"), expected);
    // A page of the gateway's own, and an app that is no API.
    let own = "https://app.example.com/.gatekeep/nothing";
    assert_eq!(kinds(own, "*/*"), [(404, text.clone()), (404, text.clone())]);
    assert_eq!(kinds("https://app.example.com/y", "*/*")[1], (401, text));
}

fn older(answer: &Response) -> [Option<&str>; 2] {
    ["x-cache-mode", "x-from-cache"].map(|name| answer.header(name))
}

#[test]
fn what_the_cache_did_is_said_in_older_words_where_the_route_says_so() {
    let room = Room::of("{ github: { cache_headers: true } }");
    let mut octocat = room.visitor("octocat");
    let (mode, free) = (|word| [Some(word), None], |word| [Some(word), Some("1")]);
    assert_eq!(older(&octocat.get(HELLO)), mode("MISS"));
    assert_eq!(older(&octocat.get(HELLO)), free("REVALIDATED"));
    assert_eq!(older(&octocat.get("/licenses")), mode("MISS"));
    assert_eq!(older(&octocat.get("/search/issues?q=repo:acme/rocket+leak")), mode("NO-STORE"));
    assert_eq!(
        older(&octocat.send("POST", "/graphql", &[], r#"{"query":"{viewer{login}}"}"#)),
        mode("SKIP")
    );
    room.world.github.knobs().at(HELLO, Trouble::Refuse);
    assert_eq!(older(&octocat.get(HELLO)), free("REVALIDATED"), "stale");
    assert_eq!(older(&octocat.get("/repos/octocat/hello-world/topics")), mode("MISS"));
    let limit = Trouble::SecondaryLimit { status: 403, retry_after: Some(60) };
    room.world.github.knobs().once("/user/repos", limit);
    octocat.get("/user/repos");
    assert_eq!(older(&octocat.get("/user/repos")), mode("ERROR"));

    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for _ in 0..2 {
        assert_eq!(older(&octocat.get(HELLO)), [None, None]);
    }
}
