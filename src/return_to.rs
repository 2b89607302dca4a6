//! Where a browser may be sent back to: a path of one of our own sites, and nothing else.
//!
//! Open redirects are this field's oldest wound: oauth2-proxy CVE-2020-5233, CVE-2021-21291 and
//! GHSA-j7px-6hwj-hpjg, Pomerium CVE-2021-29651, Caddy CVE-2022-28923, Pocket ID CVE-2026-28512.
//! Three things must agree here: a short rule over bytes, the WHATWG parser that browsers share,
//! and the list of configured origins.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::defence::{Defence, stands};
use crate::origin::Origin;

/// A page of one of our own sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTo {
    origin: Origin,
    path: String,
}

/// The longest path with its query, in bytes.
const LONGEST: usize = 2048;

// === impl ReturnTo ===

impl ReturnTo {
    /// The front page of a site.
    pub fn front_page(origin: Origin) -> Self {
        Self { origin, path: "/".to_owned() }
    }

    /// A path with its query on a known site; the front page when the path breaks a rule.
    pub fn on(origin: Origin, path: &str) -> Self {
        if is_safe(&origin, path) || !stands(Defence::ReturnTo) {
            Self { origin, path: path.to_owned() }
        } else {
            Self::front_page(origin)
        }
    }

    /// What `rd=` asks for: a path on this site, or a full URL whose origin is ours. Anything else
    /// is the front page of this site.
    pub fn parse(rd: &str, here: &Origin, is_ours: impl Fn(&Origin) -> bool) -> Self {
        if !stands(Defence::ReturnTo) {
            return Self::on(here.clone(), rd);
        }
        if rd.starts_with('/') {
            return Self::on(here.clone(), rd);
        }
        match split_origin(rd) {
            Some((origin, path)) if is_ours(&origin) => Self::on(origin, path),
            _ => Self::front_page(here.clone()),
        }
    }

    /// The site.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The `Location` to send a browser that is on `here`: a path when it stays, else a URL.
    pub fn location(&self, here: &Origin) -> String {
        if *here == self.origin { self.path.clone() } else { self.to_url() }
    }

    /// The full URL.
    pub fn to_url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

/// Whether a text that a server may take for an address is a path, or a URL of this very origin, in
/// whatever way it is read.
pub fn stays_at(text: &str, own: &Origin) -> bool {
    if text.starts_with('/') {
        return is_safe(own, text);
    }
    match split_origin(text) {
        Some((origin, path)) => origin == *own && is_safe(own, path),
        None => text == own.to_string(),
    }
}

/// Whether a browser on a page of this origin stays there when it follows a `Location`.
pub fn leads_home(location: &[u8], own: &Origin) -> bool {
    let Ok(base) = Url::parse(&own.to_string()) else { return false };
    let url = std::str::from_utf8(location).ok().and_then(|text| base.join(text).ok());
    url.is_some_and(|url| {
        url.origin() == base.origin() && url.username().is_empty() && url.password().is_none()
    })
}

/// `https://host:port` and the rest, which begins with a slash. The text must spell the origin just
/// as we do, so that no second reading of it exists.
fn split_origin(url: &str) -> Option<(Origin, &str)> {
    let after_scheme = url.find("://")? + 3;
    let slash = after_scheme + url[after_scheme..].find('/')?;
    let (origin, path) = url.split_at(slash);
    let parsed: Origin = origin.parse().ok()?;
    (parsed.to_string() == origin).then_some((parsed, path))
}

fn is_safe(origin: &Origin, path: &str) -> bool {
    let bytes = path.as_bytes();
    let shape = bytes.first() == Some(&b'/')
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.len() <= LONGEST
        && bytes.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
    shape && browsers_agree(origin, path)
}

/// Whether a browser on `origin` that follows this path stays there and asks for the same path.
fn browsers_agree(origin: &Origin, path: &str) -> bool {
    let Ok(base) = Url::parse(&origin.to_string()) else { return false };
    let Ok(url) = base.join(path) else { return false };
    let wanted = path.split('?').next().unwrap_or(path);
    url.origin() == base.origin()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rd: &str) -> String {
        let here: Origin = "https://app.example".parse().unwrap();
        let other: Origin = "https://wiki.example".parse().unwrap();
        ReturnTo::parse(rd, &here, |origin| *origin == here || *origin == other).to_url()
    }

    #[test]
    fn deep_links_survive() {
        for path in [
            "/",
            "/a/b?c=d&e=f",
            "/x?u=https://elsewhere.example/y",
            "/x?u=//elsewhere&v=/../..",
            "/a%2Fb",
            "/a;b=c",
            "/q?name='o''clock'",
            "/a:b@c",
            "/a//b",
            "/[x]?[y]=1",
        ] {
            assert_eq!(parse(path), format!("https://app.example{path}"));
        }
        assert_eq!(parse("https://wiki.example/a?b"), "https://wiki.example/a?b");
        assert_eq!(parse("https://app.example/a"), "https://app.example/a");
    }

    #[test]
    fn nothing_outside_is_a_target() {
        for hostile in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "https:evil.example",
            "https:/evil.example",
            "https://app.example@evil.example/",
            "https://app.example.evil.example/",
            "https://app.example:8443/",
            "http://app.example/",
            "https://APP.example/",
            "https://app.example",
            "https://app.example\\@evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "/ /evil.example",
            "/../..//evil.example",
            "/.//evil.example",
            "/%2e%2e//evil.example/",
            "/a#b",
            "/\u{ff0f}evil.example",
            "data:text/html,x",
        ] {
            assert_eq!(parse(hostile), "https://app.example/", "{hostile:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(parse(&long), "https://app.example/");
    }
}
