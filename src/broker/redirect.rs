//! Where a browser may be sent with what is for an instance: a registered origin and path, and a
//! target that two readers cannot read differently (RFC 9700 §4.1 and §4.11).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use url::Url;
use url::form_urlencoded;

use crate::defence::{Defence, stands};
use crate::origin::Origin;
use crate::route::PathPrefix;
use crate::target;

/// A registered place: an origin, and a path with everything below it by whole segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    origin: Origin,
    path: PathPrefix,
}

/// Where a request wants a browser sent. One that is registered nowhere is good for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    origin: Origin,
    /// Empty where none was named.
    path: String,
    query: Option<String>,
}

/// Why a text registers nothing. `Display` is a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// Not `https://host/path`.
    #[error("`{0}` is not an origin with or without a path")]
    Form(String),
    /// Plain http leads past anybody on the way.
    #[error("`{0}` is plain http, on which anybody on the way reads what is for the instance")]
    Plain(String),
    /// A query or fragment.
    #[error("`{0}` holds a query or a fragment")]
    Query(String),
    /// A path that would match nothing.
    #[error("the path of `{0}` would match no target")]
    Path(String),
}

/// The longest target in bytes: it travels in an address, and the whole of that in another one.
const LONGEST: usize = 600;

// === impl Redirect ===

impl Redirect {
    /// Whether a target is this place, or below it.
    pub fn covers(&self, target: &Target) -> bool {
        let is_here = self.origin == target.origin && self.path.covers(&target.path);
        is_here || !stands(Defence::RegisteredTargets)
    }

    /// The place beside this one, if this one is at a path of that name.
    pub fn beside(&self, path: &str, other: &str) -> Option<Self> {
        let before = self.path.as_str().strip_suffix(path)?;
        let path = PathPrefix::new(&format!("{before}{other}"));
        Some(Self { origin: self.origin.clone(), path })
    }

    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether some target belongs to both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.origin == other.origin
            && (self.path.covers(other.path.as_str()) || other.path.covers(self.path.as_str()))
    }
}

impl FromStr for Redirect {
    type Err = BadRedirect;

    fn from_str(text: &str) -> Result<Self, BadRedirect> {
        let owned = || text.to_owned();
        let (origin, rest) = split(text).ok_or_else(|| BadRedirect::Form(owned()))?;
        if !origin.is_secure() && !origin.is_loopback() {
            return Err(BadRedirect::Plain(owned()));
        }
        if rest.contains(['?', '#']) {
            return Err(BadRedirect::Query(owned()));
        }
        if rest.contains('*') || (!rest.is_empty() && !is_canonical(rest)) {
            return Err(BadRedirect::Path(owned()));
        }
        Ok(Self { origin, path: PathPrefix::new(rest) })
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path.as_str())
    }
}

// === impl Target ===

impl Target {
    /// Reads a target that can be read in one way only. Names that will be added must not be in it:
    /// of two the instance may heed the first.
    pub fn parse(text: &str, added: &[&str]) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#');
        if text.len() > LONGEST || !text.bytes().all(is_plain) {
            return None;
        }
        let (origin, rest) = split(text)?;
        if !origin.is_secure() && !origin.is_loopback() {
            return None;
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let names = |query: &String| {
            let names = form_urlencoded::parse(query.as_bytes());
            names.map(|(name, _)| name).any(|name| added.contains(&&*name))
        };
        if query.as_ref().is_some_and(names) || !(path.is_empty() || is_canonical(path)) {
            return None;
        }
        let target = Self { origin, path: path.to_owned(), query };
        target.browsers_agree(text).then_some(target)
    }

    /// The front of a site.
    pub fn front(origin: Origin) -> Self {
        Self { origin, path: String::new(), query: None }
    }

    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What its query says under a name, decoded as forms are; every time that it does.
    pub fn values<'t>(&'t self, name: &'t str) -> impl Iterator<Item = Cow<'t, str>> {
        let query = self.query.as_deref().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// The same at a usual path, where it names none.
    #[must_use]
    pub fn at_usual_path(mut self, usual: &str) -> Self {
        if matches!(&*self.path, "" | "/") {
            usual.clone_into(&mut self.path);
        }
        self
    }

    /// The address with further parameters, behind the ones that it has.
    pub fn with(&self, further: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(further);
        let own = self.query.as_deref().filter(|own| !own.is_empty());
        let own = own.map_or_else(String::new, |own| format!("{own}&"));
        let path = if self.path.is_empty() { "/" } else { &self.path };
        format!("{}{path}?{own}{}", self.origin, query.finish())
    }

    /// Whether a browser reads the text in the same way.
    fn browsers_agree(&self, text: &str) -> bool {
        let Ok(url) = Url::parse(text) else { return false };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        url.origin().ascii_serialization() == self.origin.to_string()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == path
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// An origin, spelled just as we do, and what follows it.
fn split(text: &str) -> Option<(Origin, &str)> {
    let after_scheme = text.find("://")? + 3;
    let end = text[after_scheme..].find(['/', '?', '#']).map_or(text.len(), |at| after_scheme + at);
    let (origin, rest) = text.split_at(end);
    let parsed: Origin = origin.parse().ok()?;
    (parsed.to_string() == origin).then_some((parsed, rest))
}

/// Whether a path is in the one form that is compared, and holds nothing that could be read in two
/// ways.
fn is_canonical(path: &str) -> bool {
    let host = std::iter::once(&b"host"[..]);
    target::Target::parse(path.as_bytes(), host, None)
        .is_ok_and(|target| target.is_verbatim() && !target.is_loose() && target.query().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(text: &str) -> Redirect {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn target(text: &str) -> Option<Target> {
        Target::parse(text, &["token", "user"])
    }

    #[test]
    fn what_can_be_registered_reads_back() {
        for (text, written) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("https://a.example:8443/app/", "https://a.example:8443/app"),
            ("http://localhost:8080/x", "http://localhost:8080/x"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(registered(text).to_string(), written);
        }
        for text in [
            "",
            "a.example",
            "//a.example",
            "https://A.example",
            "https://a.example:443",
            "https://u@a.example",
            "ftp://a.example",
            "http://a.example",
            "http://localhost.a.example",
            "https://*.a.example",
            "https://a.example/*",
            "https://a.example//x",
            "https://a.example/a/../b",
            "https://a.example/%2e%2e/b",
            "https://a.example/a%2Fb",
            "https://a.example/?x",
            "https://a.example?x",
            "https://a.example#x",
            "https://a.example\\b",
        ] {
            assert!(text.parse::<Redirect>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_is_registered_by_its_exact_origin_and_whole_segments() {
        let place = registered("https://a.example/app");
        for (text, is) in [
            ("https://a.example/app", true),
            ("https://a.example/app/", true),
            ("https://a.example/app/auth/callback?x=1", true),
            ("https://a.example/apps", false),
            ("https://a.example/", false),
            ("https://a.example", false),
            ("https://a.example/App", false),
            ("https://b.a.example/app", false),
            ("https://a.example:8443/app", false),
            ("http://localhost/app", false),
        ] {
            let target = target(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(place.covers(&target), is, "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_target() {
        for text in [
            "",
            "/",
            "//a.example/",
            "a.example",
            "https:a.example",
            "https:/a.example",
            "https:///a.example",
            "https://A.example/",
            "https://a.example:443/",
            "https://a.example:/",
            "https://a.example./",
            "https://u@a.example/",
            "https://a.example@evil.example/",
            "https://a.example\\@evil.example/",
            "https://a.example#@evil.example/",
            "https://a.example/#token",
            "https://a.example/..//evil",
            "https://a.example/%2e%2e/x",
            "https://a.example/a%2fb",
            "https://a.example/a;b",
            "https://a.example//x",
            "https://a.example/ x",
            "https://a.example/\tx",
            "https://a.example/\u{e9}",
            "http://a.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/?token=mine",
            "https://a.example/?x=1&token=mine",
            "https://a.example/?t%6fken=mine",
            "https://a.example/?user=somebody",
        ] {
            assert_eq!(target(text), None, "{text:?}");
        }
        assert_eq!(target(&format!("https://a.example/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn parameters_come_behind_those_that_are_there() {
        let with = |text: &str| {
            target(text).unwrap().at_usual_path("/auth/callback").with(&[("token", "a+b c&d")])
        };
        for (text, sent) in [
            ("https://a.example", "https://a.example/auth/callback?token=a%2Bb+c%26d"),
            ("https://a.example/", "https://a.example/auth/callback?token=a%2Bb+c%26d"),
            ("https://a.example/x", "https://a.example/x?token=a%2Bb+c%26d"),
            ("https://a.example/x/", "https://a.example/x/?token=a%2Bb+c%26d"),
            ("https://a.example/x?", "https://a.example/x?token=a%2Bb+c%26d"),
            (
                "https://a.example/x?r=https%3A%2F%2Fa.example%2Fy%3Fz",
                "https://a.example/x?r=https%3A%2F%2Fa.example%2Fy%3Fz&token=a%2Bb+c%26d",
            ),
        ] {
            assert_eq!(with(text), sent);
        }
    }
}
