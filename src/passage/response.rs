//! The fields of GitHub's answer that the client sees.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS,
};

use super::is_hop_by_hop;

/// Speak for GitHub's site, not for ours: cookies, the transport, the browser's policies and its
/// reports, and the question for GitHub's password.
const OF_THE_SITE: [&str; 23] = [
    "accept-ch",
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "critical-ch",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "expect-ct",
    "nel",
    "origin-agent-cluster",
    "permissions-policy",
    "public-key-pins",
    "public-key-pins-report-only",
    "report-to",
    "reporting-endpoints",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "www-authenticate",
    "x-frame-options",
];

/// Speak for bytes that the client does not get: those of before decompression and rewriting; and
/// the caching that GitHub allows to others than we do.
const OF_THE_BYTES: [&str; 11] = [
    "cache-control",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-md5",
    "digest",
    "etag",
    "expires",
    "pragma",
    "repr-digest",
    "vary",
];

/// Ours alone, or the browser's permission for other sites.
const STEMS: [&str; 2] = ["access-control-", "x-gatekeep-"];

/// Set in every answer. Whatever a document of somebody's says, a browser that opens it here runs
/// nothing and gives it no origin.
const OURS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    (
        VARY,
        HeaderValue::from_static(
            "Accept, Authorization, Cookie, Accept-Encoding, X-GitHub-Api-Version",
        ),
    ),
    // No page of another origin gets it as a script, whatever `callback` it asks for.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    ),
];

/// What the client sees of an answer's fields, and ours. `Link` and `Location` are still GitHub's;
/// `ETag`, `Content-Length`, `Age` and the account of the cache are set by whoever sends it.
pub fn fields(upstream: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(upstream.len() + OURS.len());
    for (name, value) in upstream {
        if passes(name) && !is_hop_by_hop(upstream, name) {
            fields.append(name, value.clone());
        }
    }
    for (name, value) in OURS {
        fields.insert(name, value);
    }
    fields
}

fn passes(name: &HeaderName) -> bool {
    let name = name.as_str();
    !OF_THE_SITE.contains(&name)
        && !OF_THE_BYTES.contains(&name)
        && !STEMS.iter().any(|stem| name.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(upstream: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in upstream {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        fields(&headers)
    }

    #[test]
    fn what_clients_of_the_api_read_passes() {
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("content-range", "bytes 0-1/2"),
            ("content-disposition", "attachment; filename=a.zip"),
            ("last-modified", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("date", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("link", "<https://api.github.com/x>; rel=\"next\""),
            ("location", "https://api.github.com/repositories/1"),
            ("retry-after", "7"),
            ("x-ratelimit-remaining", "1"),
            ("x-oauth-scopes", "repo"),
            ("x-accepted-oauth-scopes", "repo"),
            ("x-accepted-github-permissions", "issues=read"),
            ("x-github-sso", "required; url=https://github.com/orgs/a/sso"),
            ("x-github-otp", "required; app"),
            ("x-github-request-id", "1:2"),
            ("x-github-media-type", "github.v3; format=json"),
            ("x-poll-interval", "60"),
            ("deprecation", "true"),
            ("sunset", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(shown(&[(name, value)])[name], value, "{name}");
        }
        let twice = shown(&[("link", "<a>"), ("link", "<b>")]);
        assert_eq!(twice.get_all("link").iter().collect::<Vec<_>>(), ["<a>", "<b>"]);
    }

    #[test]
    fn what_speaks_for_github_alone_does_not() {
        for name in [
            "set-cookie",
            "strict-transport-security",
            "server",
            "content-security-policy",
            "content-security-policy-report-only",
            "public-key-pins",
            "x-frame-options",
            "access-control-allow-origin",
            "access-control-expose-headers",
            "alt-svc",
            "clear-site-data",
            "www-authenticate",
            "etag",
            "content-encoding",
            "content-length",
            "content-md5",
            "cache-control",
            "expires",
            "vary",
            "connection",
            "keep-alive",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "proxy-authenticate",
            "x-gatekeep-stale",
        ] {
            let fields = shown(&[(name, "theirs"), (name, "again")]);
            assert!(fields.values().all(|value| value != "theirs" && value != "again"), "{name}");
        }
    }

    #[test]
    fn what_the_connection_names_ends_here() {
        let named = [("connection", "close, X-Hop"), ("x-hop", "1"), ("x-end", "1")];
        let fields = shown(&named);
        assert!(!fields.contains_key("x-hop") && fields.contains_key("x-end"));
    }

    #[test]
    fn ours_are_set_once() {
        let theirs = [
            ("cache-control", "private, max-age=60, s-maxage=60"),
            ("vary", "Accept, Authorization, Cookie, X-GitHub-OTP"),
            ("vary", "Accept-Encoding, Accept, X-Requested-With"),
            ("x-content-type-options", "nosniff"),
        ];
        for upstream in [&theirs[..], &[]] {
            let fields = shown(upstream);
            assert_eq!(fields.len(), 5, "{fields:?}");
            for (name, value) in [
                ("cache-control", "private, no-cache"),
                ("vary", "Accept, Authorization, Cookie, Accept-Encoding, X-GitHub-Api-Version"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
            ] {
                assert_eq!(fields[name], value);
            }
        }
    }
}
