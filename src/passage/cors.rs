//! Pages of other origins that may ask, and what their browsers are told of it: the Fetch standard's
//! CORS protocol, <https://fetch.spec.whatwg.org/#http-cors-protocol>.
//!
//! The page shows an API key, as any program does. To whatever comes with a cookie nothing is told,
//! and no answer allows credentials: a browser keeps from the page what its visitor's session brought.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, COOKIE,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use crate::defence::{Defence, stands};
use crate::origin::Origin;

/// Whose pages may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of every origin, as at GitHub.
    Any,
    /// Those of these origins.
    Listed(Vec<Origin>),
}

/// What the browser of one request is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Whose page may read the answer, if any may.
    origin: Option<HeaderValue>,
    /// Whether others are told something else.
    varies: bool,
}

/// What a page may read beside the body.
const SHOWN: &str = "ETag, Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, \
                     X-RateLimit-Used, X-RateLimit-Reset, X-RateLimit-Resource, X-OAuth-Scopes, \
                     X-Accepted-OAuth-Scopes, X-Accepted-GitHub-Permissions, X-Poll-Interval, \
                     X-GitHub-Media-Type, X-GitHub-SSO, X-GitHub-Request-Id, Deprecation, Sunset, \
                     Cache-Status, Age, X-Gatekeep-Stale, X-Gatekeep-Refused, \
                     X-Gatekeep-Asked-As";

/// What a page may send: the key, and what means something to GitHub or to the cache.
const TAKEN: &str = "Authorization, Accept, Content-Type, Cache-Control, If-Match, If-None-Match, \
                     Range, User-Agent, Time-Zone, GraphQL-Features, X-GitHub-Api-Version, \
                     X-GitHub-Next-Global-ID, X-Requested-With, X-Gatekeep-Max-Wait";

const METHODS: &str = "GET, HEAD, POST, PATCH, PUT, DELETE";

/// For how many seconds a browser may remember it: Chromium keeps nothing longer than two hours.
const REMEMBERED: &str = "7200";

/// Whether a browser asks if a page of another origin may ask.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

// === impl Origins ===

impl Default for Origins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Origins {
    /// What is told to the browser of a request.
    pub fn sharing(&self, headers: &HeaderMap) -> Sharing {
        let varies = matches!(self, Self::Listed(listed) if !listed.is_empty());
        let is_by_cookie = headers.contains_key(COOKIE) && stands(Defence::OtherOrigins);
        Sharing { origin: self.reader(headers).filter(|_| !is_by_cookie), varies }
    }

    /// Whose page may read what a key brings.
    fn reader(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let Self::Listed(listed) = self else {
            return Some(HeaderValue::from_static("*"));
        };
        let mut said = headers.get_all(ORIGIN).iter();
        let only = said.next().filter(|_| said.next().is_none());
        let is_listed = |said: &&HeaderValue| {
            listed.iter().any(|origin| origin.to_string().as_bytes() == said.as_bytes())
        };
        only.filter(is_listed).cloned()
    }
}

// === impl Sharing ===

impl Sharing {
    /// Whether the page may read the answer.
    pub fn is_open(&self) -> bool {
        self.origin.is_some()
    }

    /// Says so in an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
        }
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// What a browser that asks beforehand is told beside that.
    pub fn preflight() -> HeaderMap {
        HeaderMap::from_iter([
            (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
            (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(TAKEN)),
            (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(origins: &[&'static str]) -> HeaderMap {
        origins.iter().map(|origin| (ORIGIN, HeaderValue::from_static(origin))).collect()
    }

    #[test]
    fn pages_of_the_listed_origins_may_ask() {
        let listed = ["https://tools.example.com", "http://localhost:8080"];
        let origins = Origins::Listed(listed.map(|origin| origin.parse().unwrap()).to_vec());
        for (said, is_open) in [
            (&["https://tools.example.com"][..], true),
            (&["http://localhost:8080"], true),
            (&[], false),
            (&["null"], false),
            (&["*"], false),
            (&["http://tools.example.com"], false),
            (&["https://tools.example.com:8443"], false),
            (&["https://tools.example.com.evil.example"], false),
            (&["https://eviltools.example.com"], false),
            (&["https://tools.example.com", "https://evil.example"], false),
        ] {
            let sharing = origins.sharing(&asking(said));
            assert_eq!(sharing.is_open(), is_open, "{said:?}");
            let mut headers = HeaderMap::new();
            sharing.tell(&mut headers);
            let told = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|told| told.to_str().unwrap());
            assert_eq!(told, is_open.then(|| said[0]), "{said:?}");
            assert_eq!(headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS), is_open);
            assert_eq!(headers[VARY], "Origin");
        }
    }

    #[test]
    fn every_page_may_ask_or_none_without_a_word_to_caches() {
        for (origins, told) in [(Origins::Any, Some("*")), (Origins::default(), None)] {
            for said in [&[][..], &["https://evil.example"], &["null"]] {
                let mut headers = HeaderMap::new();
                origins.sharing(&asking(said)).tell(&mut headers);
                let allowed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
                assert_eq!(allowed.map(|allowed| allowed.to_str().unwrap()), told);
                assert!(!headers.contains_key(VARY));
            }
        }
    }

    #[test]
    fn a_preflight_is_told_by_its_fields() {
        let mut headers = asking(&["https://tools.example.com"]);
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("GET"));
        assert!(is_preflight(&Method::OPTIONS, &headers));
        assert!(!is_preflight(&Method::GET, &headers));
        headers.remove(ORIGIN);
        assert!(!is_preflight(&Method::OPTIONS, &headers));
    }
}
