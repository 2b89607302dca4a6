//! Tables for fields and bodies.

use std::borrow::Cow;

use serde_json::json;

use super::*;

pub(super) fn bases() -> Bases {
    let github = Addresses::upstream("https://api.github.com");
    Bases::new(&github, &Addresses::public("https://gate.example:8443", "/github"))
}

fn enterprise() -> Bases {
    let github = Addresses::upstream("https://ghe.example/api/v3");
    Bases::new(&github, &Addresses::facade("https://gate.example"))
}

pub(super) const JSON: Media<'static> = Media {
    accept: "application/vnd.github+json",
    content_type: "application/json; charset=utf-8",
};

pub(super) fn turned(text: &str) -> String {
    String::from_utf8(body(text.as_bytes(), JSON, &bases()).into_owned()).unwrap()
}

#[test]
fn a_location_is_turned_at_the_exact_address() {
    for (from, to) in [
        (
            "https://api.github.com/repositories/1?a=2&a=1&b",
            "https://gate.example:8443/github/repositories/1?a=2&a=1&b",
        ),
        ("https://api.github.com", "https://gate.example:8443/github"),
        ("https://api.github.com?x", "https://gate.example:8443/github?x"),
        ("https://uploads.github.com/a", "https://gate.example:8443/github/_uploads/a"),
        (
            "https://api.github.com/a?next=https://api.github.com/b",
            "https://gate.example:8443/github/a?next=https://api.github.com/b",
        ),
    ] {
        assert_eq!(location(from, &bases()), to);
    }
    for elsewhere in [
        "https://codeload.github.com/a/b/legacy.zip/main?token=x",
        "https://api.github.com.evil.example/x",
        "https://api.github.com@evil.example/x",
        "https://api.github.com:444/x",
        "https://api.github.com\\x",
        "http://api.github.com/x",
        "https://API.github.com/x",
        "https://evil.example/?https://api.github.com/x",
        "//api.github.com/x",
        "",
    ] {
        assert!(matches!(location(elsewhere, &bases()), Cow::Borrowed(_)), "{elsewhere}");
    }
}

#[test]
fn the_addresses_of_enterprise_server_are_told_apart() {
    for (from, to) in [
        ("https://ghe.example/api/v3/user", "https://gate.example/api/v3/user"),
        ("https://ghe.example/api/uploads/a", "https://gate.example/api/uploads/a"),
        ("https://ghe.example/api/v3x", "https://ghe.example/api/v3x"),
        ("https://ghe.example/octocat", "https://ghe.example/octocat"),
    ] {
        assert_eq!(location(from, &enterprise()), to);
    }
    // A server whose uploads lie below its API.
    let at = |api: &str, uploads: &str| Addresses {
        api: api.to_owned(),
        graphql: String::new(),
        uploads: uploads.to_owned(),
    };
    let nested = Bases::new(&at("http://h", "http://h/up"), &at("https://g", "https://g/_uploads"));
    assert_eq!(location("http://h/up/1", &nested), "https://g/_uploads/1");
    assert_eq!(location("http://h/upper", &nested), "https://g/upper");
}

#[test]
fn a_link_is_turned_target_by_target() {
    for (from, to) in [
        (
            r#"<https://api.github.com/repositories/1/issues?per_page=3&page=2>; rel="next", <https://api.github.com/repositories/1/issues?per_page=3&page=9>; rel="last""#,
            r#"<https://gate.example:8443/github/repositories/1/issues?per_page=3&page=2>; rel="next", <https://gate.example:8443/github/repositories/1/issues?per_page=3&page=9>; rel="last""#,
        ),
        (
            r#"<https://docs.github.com/x>; rel="deprecation", <https://api.github.com/y>; rel="next""#,
            r#"<https://docs.github.com/x>; rel="deprecation", <https://gate.example:8443/github/y>; rel="next""#,
        ),
        (
            r#"<https://api.github.com/y>; title="<https://api.github.com/z> \"<https://api.github.com/z>""#,
            r#"<https://gate.example:8443/github/y>; title="<https://api.github.com/z> \"<https://api.github.com/z>""#,
        ),
    ] {
        assert_eq!(link(from, &bases()), to);
    }
    for same in [
        r#"<https://docs.github.com/x>; rel="deprecation"; type="text/html""#,
        r#"<https://api.github.com.evil.example/y>; rel="next""#,
        "https://api.github.com/y",
        "<https://api.github.com/y",
        "",
    ] {
        assert!(matches!(link(same, &bases()), Cow::Borrowed(_)), "{same}");
    }
}

#[test]
fn urls_are_turned_and_what_people_wrote_is_not() {
    for (from, to) in [
        (
            r#"{"url": "https://api.github.com/repos/a/b"}"#,
            r#"{"url": "https://gate.example:8443/github/repos/a/b"}"#,
        ),
        (r#"{"url":"https://api.github.com"}"#, r#"{"url":"https://gate.example:8443/github"}"#),
        (
            r#"[{"commits_url":"https://api.github.com/repos/a/b/commits{/sha}"}]"#,
            r#"[{"commits_url":"https://gate.example:8443/github/repos/a/b/commits{/sha}"}]"#,
        ),
        (
            r#"{"current_user_url":"https://api.github.com{?x}"}"#,
            r#"{"current_user_url":"https://gate.example:8443/github{?x}"}"#,
        ),
        (
            r#"{"upload_url":"https://uploads.github.com/repos/a/b/releases/1/assets{?name,label}"}"#,
            r#"{"upload_url":"https://gate.example:8443/github/_uploads/repos/a/b/releases/1/assets{?name,label}"}"#,
        ),
        (
            r#"{"_links":{"self":{"href":"https://api.github.com/x"}}}"#,
            r#"{"_links":{"self":{"href":"https://gate.example:8443/github/x"}}}"#,
        ),
        (
            r#"{"url":"https:\/\/api.github.com\/x\/\u00e9"}"#,
            r#"{"url":"https://gate.example:8443/github\/x\/\u00e9"}"#,
        ),
        (
            r#"{"\u0075rl":"\u0068ttps://api.github.com\u002fx"}"#,
            r#"{"\u0075rl":"https://gate.example:8443/github\u002fx"}"#,
        ),
        (
            r#"{"content":{"git_url":"https://api.github.com/x"},"body":"https://api.github.com/x"}"#,
            r#"{"content":{"git_url":"https://gate.example:8443/github/x"},"body":"https://api.github.com/x"}"#,
        ),
        (
            r#"{"payload":{"a":[{"url":"https://api.github.com/x"}]},"url":"https://api.github.com/x"}"#,
            r#"{"payload":{"a":[{"url":"https://api.github.com/x"}]},"url":"https://gate.example:8443/github/x"}"#,
        ),
        (
            r#"{"url":null,"a":[],"b":{},"url":"https://api.github.com/x","c":-1.5e+3}"#,
            r#"{"url":null,"a":[],"b":{},"url":"https://gate.example:8443/github/x","c":-1.5e+3}"#,
        ),
    ] {
        assert_eq!(turned(from), to);
    }
}

#[test]
fn everything_else_stays() {
    let url = "https://api.github.com/x";
    for key in ["body", "message", "text", "description", "content", "patch", "title", "payload"] {
        let text = json!({ key: url, "x": [url, { key: [url] }] }).to_string();
        assert_eq!(turned(&text), text);
    }
    for key in ["diff", "fragment", "curl", "URL", "urls", "hrefs", "url_", "name", ""] {
        let text = json!({ key: url }).to_string();
        assert_eq!(turned(&text), text);
    }
    for other in [
        "https://github.com/octocat",
        "https://avatars.githubusercontent.com/u/1",
        "https://api.github.com.evil.example/",
        "https://api.github.community/",
        "https://api.github.com@evil.example/",
        "https://api.github.com#x",
        "https://api.github.com\u{e9}",
        "https://api.github.com\n/x",
        "https://api.github.com\\/x",
        " https://api.github.com/x",
        "https://api.github.co",
        "",
    ] {
        let text = json!({ "url": other, "urls": { "a": url }, "b_url": [url] }).to_string();
        assert_eq!(turned(&text), text);
    }
    for text in [r#""https://api.github.com/x""#, r#"["url","https://api.github.com/x"]"#] {
        assert_eq!(turned(text), text);
    }
}

#[test]
fn an_escape_is_a_letter_and_not_a_byte() {
    let umlaut = Addresses::upstream("https://h/\u{e9}");
    let bases = Bases::new(&umlaut, &Addresses::public("https://g", ""));
    let turned = |text: &'static str| body(text.as_bytes(), JSON, &bases);
    assert!(matches!(turned("{\"url\":\"https:\\/\\/h/\u{e9}/x\"}"), Cow::Owned(_)));
    assert!(matches!(turned(r#"{"url":"https:\/\/h/\u00c3\u00a9/x"}"#), Cow::Borrowed(_)));
}

#[test]
fn what_is_not_json_stays_whole() {
    let good = r#"{"url":"https://api.github.com/x","a":[1,{}]}"#;
    assert_ne!(turned(good), good);
    for end in 0..good.len() {
        assert_eq!(turned(&good[..end]), &good[..end]);
    }
    for broken in [
        r#"{"url":"https://api.github.com/x",}"#,
        r#"{"url":"https://api.github.com/x"}}"#,
        r#"{"url":"https://api.github.com/x"]"#,
        r#"{"url":"https://api.github.com/x"} x"#,
        r#"{"url":"https://api.github.com/x","a":01}"#,
        r#"{"url":"https://api.github.com/x","a":1.}"#,
        r#"{"url":"https://api.github.com/x","a":1e}"#,
        r#"{"url":"https://api.github.com/x","a":-}"#,
        r#"{"url":"https://api.github.com/x","a":nul}"#,
        r#"{"url":"https://api.github.com/x","a":"\x"}"#,
        r#"{"url":"https://api.github.com/x","a":"\u12g4"}"#,
        "{\"url\":\"https://api.github.com/x\",\"a\":\"\n\"}",
        r#"{"url":"https://api.github.com/x" "a":1}"#,
        r#"{"url" "https://api.github.com/x"}"#,
        r#"{url:"https://api.github.com/x"}"#,
        r#"{"url":"https://api.github.com/x",1:2}"#,
        "\u{feff}{\"url\":\"https://api.github.com/x\"}",
    ] {
        assert_eq!(turned(broken), broken);
    }
    let mut bytes = good.as_bytes().to_vec();
    bytes[30] = 0xff;
    assert!(matches!(body(&bytes, JSON, &bases()), Cow::Borrowed(_)));
}

#[test]
fn only_githubs_json_is_turned() {
    let text = br#"{"url":"https://api.github.com/x"}"#;
    let json = "application/vnd.github+json";
    for (accept, content_type, is_turned) in [
        (json, "application/json", true),
        (json, "Application/JSON ; charset=utf-8", true),
        (json, "application/vnd.github.object+json", true),
        ("application/vnd.github.html+json", "application/json", true),
        ("text/html, */*;q=0.8", "application/json", true),
        (json, "text/html; charset=utf-8", false),
        (json, "text/json", false),
        (json, "application/jsonp", false),
        (json, "application/vnd.github.raw+json; charset=utf-8", false),
        (json, "application/vnd.github.v3.raw", false),
        (json, "", false),
        ("application/vnd.github.raw+json", "application/json", false),
        ("application/vnd.github.v3.diff", "application/json", false),
        ("application/vnd.github.patch", "application/json", false),
        ("application/vnd.github.sha", "application/json", false),
        ("application/octet-stream", "application/json", false),
        ("application/json;q=0.1, Application/Octet-Stream", "application/json", false),
    ] {
        let out = body(text, Media { accept, content_type }, &bases());
        assert_eq!(matches!(out, Cow::Owned(_)), is_turned, "{accept} -> {content_type}");
    }
}

#[test]
fn deep_nesting_is_no_recursion() {
    let depth = 200_000;
    let text = format!(
        r#"{}{{"url":"https://api.github.com/x"}}{}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert_eq!(turned(&text).len(), text.len() + "https://gate.example:8443/github".len() - 22);
}
