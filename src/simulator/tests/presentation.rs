//! What answers look like, and the ways of saying that nothing changed.

use super::*;

const ISSUES: &str = "/repos/acme/rocket/issues?per_page=2";
const ISSUE: &str = "/repos/acme/rocket/issues/1";

fn with(github: &Simulator, path: &str, token: &str, headers: &str) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n{headers}");
    ask(github.address(), &format!("GET /api/v3{path}"), &headers, "")
}

fn sha256(words: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, words.as_bytes());
    format!("\"{}\"", world::hex(hash.as_ref()))
}

#[test]
fn the_tag_is_of_what_vary_names_and_of_the_body() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let mine = with(&github, ISSUE, &token, "Accept: a/b\r\n");
    let hashed = format!("a/b:Bearer {token}:{}", mine.body);
    assert_eq!(mine.header("etag"), Some(sha256(&hashed).as_str()));
    let line = "GET /api/v3/repos/octocat/hello-world";
    let public = ask(github.address(), line, "", "");
    assert_eq!(public.header("etag"), Some(sha256(&public.body).as_str()));
    assert_eq!(public.header("cache-control"), Some("public, max-age=60, s-maxage=60"));
    let vary: Vec<&str> =
        public.head.lines().filter_map(|line| line.strip_prefix("vary: ")).collect();
    assert_eq!(vary, ["Accept", "Accept-Encoding, Accept, X-Requested-With"]);
    let secret = format!("{}:{}", github.client_id(), github.client_secret());
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret);
    let app = ask(github.address(), line, &format!("Authorization: Basic {basic}\r\n"), "");
    assert_eq!((app.header("etag"), &app.body), (public.header("etag"), &public.body));
    assert_eq!(app.header("x-ratelimit-limit"), Some("5000"));
    let wrong = ask(github.address(), line, "Authorization: Basic eDp5\r\n", "");
    assert_eq!(wrong.status, 401);
}

#[test]
fn a_304_says_as_much_as_the_knobs_let_it() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let full = get(&github, ISSUES, &token);
    let tag = full.header("etag").unwrap();
    let known = format!("If-None-Match: {tag}\r\n");
    let seen = || {
        let same = with(&github, ISSUES, &token, &known);
        assert_eq!((same.status, same.body.as_str()), (304, ""));
        assert!(same.header("x-ratelimit-remaining").is_some());
        (same.header("etag").map(str::to_owned), same.header("link").map(str::to_owned))
    };
    let (tag, link) =
        (full.header("etag").map(str::to_owned), full.header("link").map(str::to_owned));
    assert!(link.is_some());
    assert_eq!(seen(), (tag.clone(), link.clone()));
    github.knobs().presentation(|looks| looks.link_with_304 = false);
    assert_eq!(seen(), (tag, None));
    github.knobs().presentation(|looks| looks.etag_with_304 = false);
    assert_eq!(seen(), (None, None));
}

#[test]
fn tags_take_the_other_forms_they_had() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let tag = || get(&github, ISSUE, &token).header("etag").unwrap().to_owned();
    github.knobs().etags(Etags::Short);
    assert_eq!(tag().len(), 34);
    github.knobs().etags(Etags::Alternating);
    let (one, other) = (tag(), tag());
    assert_eq!(one.starts_with("W/"), !other.starts_with("W/"));
    assert_eq!(one.trim_start_matches("W/"), other.trim_start_matches("W/"));
    for sent in [&one, &other] {
        let same = with(&github, ISSUE, &token, &format!("If-None-Match: {sent}\r\n"));
        assert_eq!(same.status, 304);
    }
}

#[test]
fn a_date_alone_is_believed_and_a_tag_is_believed_more() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let date = get(&github, ISSUE, &token).header("last-modified").unwrap().to_owned();
    let since = format!("If-Modified-Since: {date}\r\n");
    assert_eq!(with(&github, ISSUE, &token, &since).status, 304);
    let both = format!("{since}If-None-Match: \"other\"\r\n");
    assert_eq!(with(&github, ISSUE, &token, &both).status, 200);
    let before = "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\n";
    assert_eq!(with(&github, ISSUE, &token, before).status, 200);
    github.advance(Duration::from_secs(2));
    github.edit_issue("acme/rocket", 1, "Another");
    assert_eq!(with(&github, ISSUE, &token, &since).status, 200);
    assert_eq!(get(&github, ISSUES, &token).header("last-modified"), None, "lists have none");
    github.knobs().presentation(|looks| looks.last_modified = false);
    assert_eq!(get(&github, ISSUE, &token).header("last-modified"), None);
}

#[test]
fn people_get_line_breaks_after_the_tag_was_made() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let plain = get(&github, ISSUE, &token);
    let request = format!(
        "GET /api/v3{ISSUE} HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla Safari/1\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let pretty = || String::from_utf8(raw(github.address(), &request)).unwrap();
    let answer = pretty();
    assert!(answer.contains(&format!("etag: {}\r\n", plain.header("etag").unwrap())));
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.starts_with("{\n  \"") && body != plain.body);
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), plain.json());
    github.knobs().presentation(|looks| looks.pretty = false);
    assert!(pretty().ends_with(&plain.body));
}

#[test]
fn gzip_is_given_to_who_asks_and_the_tag_stays() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let plain = get(&github, ISSUE, &token);
    let request = format!(
        "GET /api/v3{ISSUE} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nAccept-Encoding: br, gzip\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(github.address(), &request);
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..at]);
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    assert!(head.contains(plain.header("etag").unwrap()));
    assert_eq!(&answer[at..], gzip::wrap(plain.body.as_bytes()));
    github.knobs().presentation(|looks| looks.gzip = false);
    assert!(raw(github.address(), &request).ends_with(plain.body.as_bytes()));
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let full = get(&github, ISSUE, &token);
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let head = ask(github.address(), &format!("HEAD /api/v3{ISSUE}"), &authorization, "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["etag", "content-type", "content-length", "last-modified", "cache-control"] {
        assert_eq!(head.header(name), full.header(name), "{name}");
    }
}
