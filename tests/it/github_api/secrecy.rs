//! No token leaves the gateway but to GitHub, whatever happens: not in an answer, the log, the
//! metrics or the journal. (Each test of this room looks when it ends; here everything happens.)

use gatekeep::simulator::Trouble;

use super::room::{Room, tokens_in};
use crate::support::journal;

const ISSUES: &str = "/repos/octocat/hello-world/issues";

#[test]
fn a_token_would_be_found() {
    for (text, count) in [
        ("Bearer ghu_0123456789abcdef01", 1),
        ("{\"a\":\"gho_0123456789abcdef01\",\"b\":\"ghr_0123456789abcdef01\"}", 2),
        ("?token=github_pat_11AAAAAAA0123456789", 1),
        ("ghs_123456_eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl", 1),
        ("ghu_short, gho_, a right_word", 0),
    ] {
        assert_eq!(tokens_in(text), count, "{text}");
    }
}

#[test]
fn whatever_happens_no_token_is_told() {
    journal::listen();
    let room = Room::new();
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let github = &room.world.github;
    let first = github.tokens_of("octocat").pop().expect("a token");
    // Held, confirmed, guessed, refused, not there.
    for path in ["/user", ISSUES, "/repos/acme/rocket", "/app", "/nothing", "/search/issues?q=x"] {
        assert!(octocat.get(path).status > 0);
        assert!(octocat.get(path).status > 0);
        assert!(mona.get(path).status > 0);
    }
    let archive = octocat.get("/repos/acme/rocket/tarball/main");
    assert_eq!(archive.status, 302);
    assert!(!archive.location().contains(&first), "{}", archive.location());
    assert_eq!(octocat.send("POST", ISSUES, &[], r#"{"title":"New"}"#).status, 201);
    let query = r#"{"query":"{ viewer { login } }"}"#;
    assert_eq!(octocat.send("POST", "/graphql", &[], query).status, 200);
    // GitHub in trouble.
    for trouble in [
        Trouble::Refuse,
        Trouble::Swallow,
        Trouble::Cut { after: 3 },
        Trouble::answer(500, "text/html", "<h1>Unicorn!</h1>"),
        Trouble::answer(200, "application/json", "{ not json"),
        Trouble::SecondaryLimit { status: 403, retry_after: Some(1) },
    ] {
        github.knobs().at("/repos/octocat/hello-world/labels", trouble.clone());
        assert!(octocat.get("/repos/octocat/hello-world/labels").status >= 200);
        room.later(61);
    }
    github.knobs().clear();
    // Renewed, and then withdrawn.
    room.later(8 * 3600 - 900);
    assert_eq!(octocat.get(ISSUES).status, 200);
    assert_eq!(github.refreshes(), 1);
    let second = github.tokens_of("octocat").pop().expect("a token");
    assert_ne!(first, second);
    github.revoke_grant("octocat");
    assert_eq!(octocat.get(ISSUES).status, 401);
    let said = [&first, &second].map(|token| journal::lines(&[token]));
    assert_eq!(said, [Vec::<String>::new(), Vec::new()]);
    assert!(!journal::lines(&["GitHub refused a token"]).is_empty(), "the journal is heard");
}
