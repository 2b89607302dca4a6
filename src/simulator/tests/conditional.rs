//! The `ETag`, and answers that need no body because the client has it.

use super::*;

fn conditional(github: &Simulator, path: &str, token: &str, tags: &str) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\nIf-None-Match: {tags}\r\n");
    ask(github.address(), &format!("GET /api/v3{path}"), &headers, "")
}

fn used(answer: &Answer) -> u32 {
    answer.header("x-ratelimit-used").unwrap().parse().unwrap()
}

fn vary(answer: &Answer) -> Vec<&str> {
    answer.head.lines().filter_map(|line| line.strip_prefix("vary: ")).collect()
}

const VARY: [&str; 2] =
    ["Accept, Authorization, Cookie, X-GitHub-OTP", "Accept-Encoding, Accept, X-Requested-With"];

#[test]
fn who_has_it_gets_304_for_nothing() {
    let github = github();
    let token = github.token_for("mona", "read:user user:email read:org");
    for path in ["/user", "/user/emails", "/user/orgs", "/user/teams", "/user/memberships/orgs"] {
        let full = get(&github, path, &token);
        let tag = full.header("etag").unwrap();
        assert_eq!((full.status, tag.len()), (200, 66), "{path}");
        assert_eq!(vary(&full), VARY);
        let private = Some("private, max-age=60, s-maxage=60");
        assert_eq!(full.header("cache-control"), private);
        for tags in [tag, &format!("W/{tag}"), &format!("\"x\", W/{tag}"), "*"] {
            let same = conditional(&github, path, &token, tags);
            assert_eq!((same.status, same.body.as_str()), (304, ""), "{path} {tags}");
            assert_eq!((same.header("etag"), same.header("cache-control")), (Some(tag), private));
            assert_eq!((vary(&same), used(&same)), (VARY.to_vec(), used(&full)));
        }
        let changed = conditional(&github, path, &token, "\"x\", \"y\"");
        assert_eq!((changed.status, used(&changed)), (200, used(&full) + 1));
        assert_eq!(changed.body, full.body);
        let call = format!("GET {path}");
        assert_eq!((github.answered(&call, 200), github.answered(&call, 304)), (2, 4));
        assert_eq!(github.calls(&call), 6);
    }
}

#[test]
fn a_change_is_seen() {
    let github = github();
    let token = github.token_for("mona", "read:org");
    let path = "/user/orgs?per_page=1";
    let full = get(&github, path, &token);
    let tag = full.header("etag").unwrap();
    let same = conditional(&github, path, &token, tag);
    assert_eq!((same.status, same.header("link")), (304, full.header("link")));
    github.remove_from_org("mona", "acme");
    let changed = conditional(&github, path, &token, tag);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag));
    github.revoke_token(&token);
    let dead = conditional(&github, path, &token, tag);
    assert_eq!((dead.status, dead.header("etag")), (401, None), "a dead token has nothing");
    assert_eq!(conditional(&github, "/nowhere", &token, "*").status, 401);
    let token = github.token_for("mona", "read:org");
    let nowhere = conditional(&github, "/nowhere", &token, "*");
    assert_eq!((nowhere.status, nowhere.header("etag")), (404, None));
}

#[test]
fn another_token_has_another_tag_unless_a_knob_says_so() {
    let github = github();
    let tokens = [github.token_for("mona", "read:user"), github.token_for("mona", "read:user")];
    let tags = || {
        tokens
            .each_ref()
            .map(|token| get(&github, "/user", token).header("etag").map(str::to_owned))
    };
    let [one, two] = tags();
    assert_ne!(one, two);
    let body = get(&github, "/user", &tokens[0]).body;
    let hashed = format!("Bearer {}:{body}", tokens[0]);
    let hash = ring::digest::digest(&ring::digest::SHA256, hashed.as_bytes());
    assert_eq!(one, Some(format!("\"{}\"", world::hex(hash.as_ref()))), "GitHub's formula");
    let foreign = conditional(&github, "/user", &tokens[1], &one.clone().unwrap());
    assert_eq!(foreign.status, 200);
    github.knobs().etags(Etags::Salted);
    let [salted, other] = tags();
    assert!(salted != other && salted != one && salted.is_some());
    github.knobs().etags(Etags::OfBytes);
    let [shared, other] = tags();
    assert_eq!(shared, other);
    assert_eq!(conditional(&github, "/user", &tokens[1], &shared.unwrap()).status, 304);
    github.knobs().etags(Etags::Absent);
    assert_eq!(tags(), [None, None]);
    assert_eq!(conditional(&github, "/user", &tokens[0], "*").status, 200);
    github.knobs().clear();
    assert_eq!(tags(), [one, two]);
}
