//! The gateway's cookies: their names, reading them as RFC 6265bis servers should, writing them.
//!
//! A name counts only byte for byte, after trimming spaces and tabs: no Unicode trimming, no quoted
//! strings, no `$Version` (the "cookie sandwich" and `__Host-` bypasses of 2024 and 2025).

use std::time::Duration;

use ::cookie::time::Duration as CookieSpan;
use ::cookie::{Cookie, SameSite};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The gateway's cookies on one kind of origin. `__Host-` ties a cookie to this very host and to
/// TLS; plain http on this machine has to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jar {
    secure: bool,
}

/// The word that all our names share; an app can neither see nor set a cookie that begins with it.
const STEM: &str = "gatekeep";

// === impl Jar ===

impl Jar {
    /// The cookies of an origin with or without TLS.
    pub const fn new(secure: bool) -> Self {
        Self { secure }
    }

    /// The name of the session cookie.
    pub const fn session(self) -> &'static str {
        if self.secure { "__Host-gatekeep" } else { STEM }
    }

    /// What the names of login attempts begin with.
    pub const fn login(self) -> &'static str {
        if self.secure { "__Host-gatekeep-login-" } else { "gatekeep-login-" }
    }

    /// The name of the cookie that counts sign-ins which did not arrive.
    pub const fn trail(self) -> &'static str {
        if self.secure { "__Host-gatekeep-trail" } else { "gatekeep-trail" }
    }

    /// The name of the cookie that says whom the pages of an instance know.
    pub const fn instance(self) -> &'static str {
        if self.secure { "__Host-gatekeep-instance" } else { "gatekeep-instance" }
    }

    /// A `Set-Cookie` value. `None` as lifetime means until the browser closes.
    pub fn set(self, name: &str, value: &str, lifetime: Duration) -> HeaderValue {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let cookie = Cookie::build((name, value))
            .path("/")
            .secure(self.secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(CookieSpan::seconds(seconds))
            .build();
        HeaderValue::from_str(&cookie.to_string()).expect("our names and values are plain ASCII")
    }

    /// A `Set-Cookie` value that removes a cookie.
    pub fn clear(self, name: &str) -> HeaderValue {
        self.set(name, "", Duration::ZERO)
    }
}

/// Every cookie of a request as name and value, in the order sent. HTTP/2 splits `Cookie` into
/// several fields (RFC 9113 §8.2.3); all are read.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|&b| b == b';'))
        .filter_map(|pair| {
            // One by one: a cookie in another encoding must not hide its neighbours.
            let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
            Some((name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
        })
}

/// The values of every cookie with this very name.
pub fn values<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    pairs(headers).filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// The one `Cookie` field to send upstream: everything but ours, as far as it may pass by name and
/// value. `None` when nothing is left.
pub fn for_upstream(
    headers: &HeaderMap,
    passes: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<HeaderValue> {
    let mut out: Vec<u8> = Vec::new();
    for field in headers.get_all(COOKIE) {
        for pair in field.as_bytes().split(|&b| b == b';') {
            let pair = pair.trim_ascii();
            let end = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..end], pair.get(end + 1..).unwrap_or_default());
            if pair.is_empty() || is_ours(name) || !passes(name.trim_ascii(), value.trim_ascii()) {
                continue;
            }
            if !out.is_empty() {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(pair);
        }
    }
    if out.is_empty() { None } else { HeaderValue::from_bytes(&out).ok() }
}

/// Whether a `Set-Cookie` of an app would set one of our cookies.
pub fn sets_ours(set_cookie: &HeaderValue) -> bool {
    let first = set_cookie.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
    is_ours(first.split(|&b| b == b'=').next().unwrap_or(first))
        // A nameless cookie: browsers take `=gatekeep=x` for the text `gatekeep=x` when sending.
        || first.trim_ascii_start().strip_prefix(b"=").is_some_and(|rest| {
            is_ours(rest.split(|&b| b == b'=').next().unwrap_or(rest))
        })
}

/// Whether a name is ours in any case and with any prefix: a browser keeps `GATEKEEP` apart from
/// `gatekeep`, an app's framework may not.
fn is_ours(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    let stripped = [&b"__host-"[..], b"__secure-"]
        .into_iter()
        .find_map(|prefix| strip_prefix_ignore_case(name, prefix))
        .unwrap_or(name);
    strip_prefix_ignore_case(stripped, STEM.as_bytes())
        .is_some_and(|rest| rest.first().is_none_or(|&b| b == b'-'))
}

fn strip_prefix_ignore_case<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn all_fields_are_read_and_names_count_byte_for_byte() {
        for (fields, values_found) in [
            (&["a=1; __Host-gatekeep=x"][..], &["x"][..]),
            (&["a=1", "__Host-gatekeep=x", "b=2"], &["x"]),
            (&["__Host-gatekeep=x;__Host-gatekeep=y"], &["x", "y"]),
            (&["\t__Host-gatekeep\t=\tx "], &["x"]),
            (&["__host-gatekeep=x"], &[]),
            (&["\u{2000}__Host-gatekeep=x"], &[]),
            (&["\u{a0}__Host-gatekeep=x"], &[]),
            (&["\u{85}__Host-gatekeep=x"], &[]),
            (&["a=\"; __Host-gatekeep=x; b=\""], &["x"]),
            (&["$Version=1; __Host-gatekeep=x"], &["x"]),
            (&["=__Host-gatekeep=x"], &[]),
            (&["__Host-gatekeep"], &[]),
            (&["__Host-gatekeepx=x", "x__Host-gatekeep=x"], &[]),
        ] {
            let headers = headers(fields);
            let found: Vec<_> = values(&headers, Jar::new(true).session()).collect();
            assert_eq!(found, values_found, "{fields:?}");
        }
    }

    #[test]
    fn the_app_gets_one_field_without_ours() {
        for (fields, sent) in [
            (&["a=1; __Host-gatekeep=x; b=2"][..], Some("a=1; b=2")),
            (&["a=1", "__Host-gatekeep-login-1=x", "b=2"], Some("a=1; b=2")),
            (&["__Host-gatekeep=x"], None),
            (&["GATEKEEP=x; gatekeep-trail=1"], None),
            (&["gatekeeper=1; __Secure-gatekeep=x"], Some("gatekeeper=1")),
            (&["a=b=c;;  d"], Some("a=b=c; d")),
            (&[], None),
        ] {
            let sent = sent.map(HeaderValue::from_static);
            assert_eq!(for_upstream(&headers(fields), |_, _| true), sent, "{fields:?}");
        }
    }

    #[test]
    fn an_app_cannot_set_ours() {
        for (value, ours) in [
            ("__Host-gatekeep=x; Path=/", true),
            ("  __host-GateKeep-login-3=x", true),
            ("gatekeep=x", true),
            ("=gatekeep=x", true),
            ("gatekeep", true),
            ("gatekeeper=x", false),
            ("session=__Host-gatekeep", false),
        ] {
            assert_eq!(sets_ours(&HeaderValue::from_static(value)), ours, "{value}");
        }
    }

    #[test]
    fn a_cookie_is_bound_to_its_host() {
        assert_eq!(
            Jar::new(true).set("__Host-gatekeep", "v", Duration::from_secs(60)),
            "__Host-gatekeep=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            Jar::new(false).clear("gatekeep"),
            "gatekeep=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        );
    }
}
