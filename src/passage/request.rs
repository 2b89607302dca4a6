//! The fields of a call to GitHub: a list of what passes, and our own.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    IF_MATCH, RANGE, USER_AGENT,
};

use super::is_hop_by_hop;
use crate::secret::Secret;

/// What a call is, as far as its fields go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GET or HEAD that may be answered for others too, or from the cache.
    Read,
    /// GET of a file that is passed on uncached, in parts if the client likes.
    Download,
    /// Whatever changes something, and GraphQL.
    Write,
    /// A file for GitHub.
    Upload,
}

/// The version of the API that is asked for where nobody says otherwise.
/// <https://docs.github.com/en/rest/about-the-rest-api/api-versions>
pub const VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");

/// The media type that all names of "GitHub's JSON" become, so that they share an entry.
pub const GITHUB_JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

/// The field that names the version of the API.
pub const API_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");

/// What means no more than GitHub's JSON.
const SAME_JSON: [&str; 6] = [
    "",
    "*/*",
    "application/json",
    "application/vnd.github.v3+json",
    "application/vnd.github.json",
    "application/vnd.github+json",
];

/// Passes with every call.
const ALWAYS: [HeaderName; 1] = [HeaderName::from_static("time-zone")];

/// Passes with what is sent. In a reading that others share these would be theirs, too.
static WITH_WRITES: [HeaderName; 5] = [
    CONTENT_TYPE,
    CONTENT_LENGTH,
    IF_MATCH,
    HeaderName::from_static("graphql-features"),
    HeaderName::from_static("x-github-next-global-id"),
];

/// GitHub formats its JSON for people when the agent's name holds one of these: other bytes than
/// those that its `ETag` is made of.
const BROWSERS: [&str; 4] = ["curl", "wget", "safari", "firefox"];

/// The fields to send to GitHub but for the token, which [`authorization`] makes; `agent` is ours. What
/// may be shared must be keyed by these, not by the client's: of a field that came several times only
/// one passes.
pub fn fields(client: &HeaderMap, kind: Kind, agent: &HeaderValue) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(12);
    fields.insert(ACCEPT, accept(client));
    fields.insert(API_VERSION, said(client, &API_VERSION).unwrap_or(&VERSION).clone());
    fields.insert(USER_AGENT, agent.clone());
    fields.insert(ACCEPT_ENCODING, kind.encoding());
    for name in ALWAYS.iter().chain(kind.passes()) {
        if let Some(value) = said(client, name) {
            fields.insert(name, value.clone());
        }
    }
    fields
}

/// The gateway's name in its calls, with the app's (`Gatekeep/1.2.3 (my-app)`) where that is a
/// plain name without a browser's in it.
pub fn agent(app: Option<&str>) -> HeaderValue {
    let own = concat!("Gatekeep/", env!("CARGO_PKG_VERSION"));
    let is_plain = |app: &&str| {
        let lower = app.to_ascii_lowercase();
        !app.is_empty()
            && app.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !BROWSERS.iter().any(|browser| lower.contains(browser))
    };
    let full = app.filter(is_plain).and_then(|app| format!("{own} ({app})").parse().ok());
    full.unwrap_or(HeaderValue::from_static(own))
}

/// The token as GitHub takes it; `None` where it is no field value. Always spelled like this, for it is part of what GitHub's `ETag` is made of.
pub fn authorization(token: &Secret<String>) -> Option<HeaderValue> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let text = Secret::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(text.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What the client accepts: every name of GitHub's JSON as one, everything else as it was said.
fn accept(client: &HeaderMap) -> HeaderValue {
    if is_hop_by_hop(client, &ACCEPT) {
        return GITHUB_JSON;
    }
    let all: Vec<_> =
        client.get_all(ACCEPT).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    let all = all.join(&b", "[..]);
    if SAME_JSON.iter().any(|same| all.eq_ignore_ascii_case(same.as_bytes())) {
        return GITHUB_JSON;
    }
    let all = HeaderValue::from_bytes(&all).ok().filter(|value| value.to_str().is_ok());
    all.unwrap_or(GITHUB_JSON)
}

fn said<'h>(client: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    // What is no text could not be part of a key.
    let is_said = |value: &&HeaderValue| value.to_str().is_ok_and(|text| !text.is_empty());
    client.get(name).filter(|value| is_said(value) && !is_hop_by_hop(client, name))
}

// === impl Kind ===

impl Kind {
    /// A part of a file is counted in the bytes of the file, not of its compressed form.
    fn encoding(self) -> HeaderValue {
        HeaderValue::from_static(if self == Self::Download { "identity" } else { "gzip" })
    }

    /// What passes with such a call alone. A precondition in a read that others share would be
    /// theirs, too.
    fn passes(self) -> &'static [HeaderName] {
        match self {
            Self::Read => &[],
            Self::Download => &[RANGE, IF_MATCH],
            Self::Write => &WITH_WRITES,
            Self::Upload => &[CONTENT_TYPE, CONTENT_LENGTH, IF_MATCH, RANGE],
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn sent(client: &[(&'static str, &'static str)], kind: Kind) -> HeaderMap {
        let client = client
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        client.for_each(|(name, value)| _ = headers.append(name, value));
        let token = Secret::new("ghu_1".to_owned());
        let mut fields = fields(&headers, kind, &agent(Some("notes")));
        fields.insert(AUTHORIZATION, authorization(&token).unwrap());
        fields
    }

    fn names(fields: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    const OWN: [&str; 5] =
        ["accept", "accept-encoding", "authorization", "user-agent", "x-github-api-version"];

    /// What clients say in every kind of call.
    const SAID: [(&str, &str); 9] = [
        ("accept", "application/vnd.github.diff"),
        ("content-type", "application/json"),
        ("content-length", "2"),
        ("x-github-api-version", "2026-03-10"),
        ("time-zone", "Europe/Berlin"),
        ("graphql-features", "sub_issues"),
        ("x-github-next-global-id", "1"),
        ("if-match", "\"x\""),
        ("range", "bytes=0-1"),
    ];

    #[test]
    fn a_call_without_fields_gets_ours() {
        let fields = sent(&[], Kind::Read);
        assert_eq!(names(&fields), OWN);
        assert_eq!(fields[AUTHORIZATION], "Bearer ghu_1");
        assert!(fields[AUTHORIZATION].is_sensitive());
        assert_eq!(fields[ACCEPT], "application/vnd.github+json");
        assert_eq!(fields[API_VERSION], "2022-11-28");
        assert_eq!(fields[ACCEPT_ENCODING], "gzip");
        let agent = concat!("Gatekeep/", env!("CARGO_PKG_VERSION"), " (notes)");
        assert_eq!(fields[USER_AGENT], agent);
    }

    #[test]
    fn the_list_passes_by_the_kind_of_call() {
        let always = ["time-zone"];
        let written = ["content-length", "content-type", "graphql-features", "if-match"];
        for (kind, more) in [
            (Kind::Read, &[][..]),
            (Kind::Download, &["if-match", "range"]),
            (Kind::Write, &[&written[..], &["x-github-next-global-id"]].concat()),
            (Kind::Upload, &["content-length", "content-type", "if-match", "range"]),
        ] {
            let fields = sent(&SAID, kind);
            let mut expected = [&OWN[..], &always, more].concat();
            expected.sort_unstable();
            assert_eq!(names(&fields), expected, "{kind:?}");
            assert_eq!(fields[ACCEPT], "application/vnd.github.diff");
            assert_eq!(fields[API_VERSION], "2026-03-10");
        }
    }

    #[test]
    fn nothing_else_reaches_github() {
        let secret = [
            ("authorization", "token gk_client"),
            ("cookie", "session=1"),
            ("x-github-otp", "123456"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=192.0.2.1"),
            ("origin", "https://evil.example"),
            ("referer", "https://app.example/secret"),
            ("user-agent", "Mozilla/5.0 Safari/537.36"),
            ("accept-encoding", "br"),
            ("accept-language", "de"),
            ("if-none-match", "\"gk1-x\""),
            ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("if-range", "\"x\""),
            ("expect", "100-continue"),
            ("connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-http-method-override", "DELETE"),
            ("x-gatekeep-user", "octocat"),
            ("host", "gate.example"),
        ];
        for kind in [Kind::Read, Kind::Download, Kind::Write, Kind::Upload] {
            let fields = sent(&secret, kind);
            assert_eq!(names(&fields), OWN, "{kind:?}");
            for (name, value) in secret {
                assert!(fields.get(name).is_none_or(|sent| sent != value), "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn one_name_for_githubs_json() {
        let json = "application/vnd.github+json";
        for (said, sent_as) in [
            (&["*/*"][..], json),
            (&["application/json"], json),
            (&["Application/JSON "], json),
            (&["application/vnd.github.v3+json"], json),
            (&["application/vnd.github.json"], json),
            (&[json], json),
            (&[""], json),
            (&["application/vnd.github.raw+json"], "application/vnd.github.raw+json"),
            (&["application/vnd.github.v3.diff"], "application/vnd.github.v3.diff"),
            (&[" application/octet-stream\t"], "application/octet-stream"),
            (&["text/html,*/*;q=0.8"], "text/html,*/*;q=0.8"),
            (&["application/json; charset=utf-8"], "application/json; charset=utf-8"),
            (&["text/html", "*/*"], "text/html, */*"),
        ] {
            let client: Vec<_> = said.iter().map(|value| ("accept", *value)).collect();
            let fields = sent(&client, Kind::Read);
            assert_eq!(fields[ACCEPT], sent_as, "{said:?}");
            assert_eq!(fields.get_all(ACCEPT).iter().count(), 1);
        }
    }

    #[test]
    fn of_two_values_one_passes_and_what_the_connection_names_does_not() {
        let twice = [("time-zone", "UTC"), ("time-zone", "CET"), ("x-github-api-version", "")];
        let fields = sent(&twice, Kind::Read);
        assert_eq!(fields.get_all("time-zone").iter().collect::<Vec<_>>(), ["UTC"]);
        assert_eq!(fields[API_VERSION], "2022-11-28");
        let named = [("time-zone", "UTC"), ("connection", "close, Time-Zone")];
        assert_eq!(names(&sent(&named, Kind::Read)), OWN);
    }

    #[test]
    fn a_token_that_is_no_field_value_sends_nothing() {
        for (token, goes) in [
            ("ghu_1", true),
            ("ghs_1_eyJ.eyJ.x-y_z", true),
            ("", false),
            ("a b", false),
            ("a\r\nX: y", false),
            ("\u{e9}", false),
        ] {
            let token = Secret::new(token.to_owned());
            assert_eq!(authorization(&token).is_some(), goes);
        }
    }

    #[test]
    fn the_agent_is_no_browser() {
        let bare = concat!("Gatekeep/", env!("CARGO_PKG_VERSION"));
        for (app, named) in [
            (Some("my-app-2"), true),
            (None, false),
            (Some(""), false),
            (Some("my-Curl-app"), false),
            (Some("wgetter"), false),
            (Some("on-safari"), false),
            (Some("firefoxes"), false),
            (Some("a) b"), false),
            (Some("a\r\nb"), false),
        ] {
            let expected = if named { format!("{bare} (my-app-2)") } else { bare.to_owned() };
            assert_eq!(agent(app), expected.as_str(), "{app:?}");
        }
    }
}
