//! The path of a request to the API: its bytes for the upstream, and its meaning for the rules.

use std::borrow::Cow;

use super::place::Place;
use super::template::template;

/// Path and query below the API's base, just as the client sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPath {
    sent: Box<str>,
    /// The path without its query and without needless escapes: what all rules look at.
    plain: Box<str>,
}

/// Why a path is refused: GitHub might read it in another way than the rules did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    Form,
    /// A control character, a space, a backslash, `#`, or anything that is not ASCII.
    #[error("the path holds a byte that no URL holds")]
    Byte,
    /// `%` without two hexadecimal digits.
    #[error("the path is wrongly percent-encoded")]
    Escape,
    /// `//`
    #[error("the path has an empty segment")]
    Empty,
    /// `.` or `..` between two slashes, percent-encoded or not.
    #[error("the path has a dot segment")]
    Dot,
}

const LIMITS: &str = "/rate_limit";

// === impl ApiPath ===

impl ApiPath {
    /// Reads a path with its query. It is never repaired: what is refused here was not meant for
    /// GitHub.
    pub fn parse(sent: &str) -> Result<Self, BadPath> {
        let path = sent.split('?').next().unwrap_or(sent);
        if !path.starts_with('/') {
            return Err(BadPath::Form);
        }
        if sent.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'#')) {
            return Err(BadPath::Byte);
        }
        if path.contains("//") {
            return Err(BadPath::Empty);
        }
        let plain = plain(path)?;
        if has_dots(&plain) {
            return Err(BadPath::Dot);
        }
        Ok(Self { sent: sent.into(), plain: plain.into() })
    }

    /// What is left of the limits. GitHub looks at nothing but the path.
    pub fn of_limits() -> Self {
        Self { sent: LIMITS.into(), plain: LIMITS.into() }
    }

    /// Whether it is that, in whatever spelling and with whatever query.
    pub fn is_of_limits(&self) -> bool {
        self.plain.strip_suffix('/').unwrap_or(&self.plain).eq_ignore_ascii_case(LIMITS)
    }

    /// Path and query, byte for byte as they were sent: this is what goes upstream.
    pub fn as_str(&self) -> &str {
        &self.sent
    }

    /// The path alone, as it was sent.
    pub fn path(&self) -> &str {
        self.sent.split_once('?').map_or(&*self.sent, |(path, _)| path)
    }

    /// What follows the first `?`, as it was sent.
    pub fn query(&self) -> Option<&str> {
        self.sent.split_once('?').map(|(_, query)| query)
    }

    /// The segments of the path; unreserved characters are decoded, other escapes in capitals.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.plain[1..].split('/').filter(|_| self.plain.len() > 1)
    }

    /// Path and query with the hexadecimal digits of escapes in capitals (RFC 3986 §6.2.2.1); the
    /// order of the query is kept, for GitHub may regard it.
    pub fn canonical(&self) -> Cow<'_, str> {
        if self.sent.contains('%') {
            Cow::Owned(upper_escapes(&self.sent))
        } else {
            Cow::Borrowed(&self.sent)
        }
    }

    /// The route's name in GitHub's documentation, such as `/repos/{owner}/{repo}/issues`; `other`
    /// when it is none of the usual ones. For metrics and pacing: a closed set. Looked up each time:
    /// what is answered without GitHub needs none.
    pub fn template(&self) -> &'static str {
        template(self.place())
    }

    /// What the path is about.
    pub(super) fn place(&self) -> Place<'_> {
        Place::of(&self.plain)
    }
}

fn upper_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push('%');
        match part.split_at_checked(2) {
            Some((digits, rest)) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                out.push_str(&digits.to_ascii_uppercase());
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// The path as GitHub will understand it, whatever was escaped needlessly (RFC 3986 §6.2.2.2).
fn plain(path: &str) -> Result<String, BadPath> {
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(BadPath::Escape)?;
        match escaped(digits.as_bytes()).ok_or(BadPath::Escape)? {
            byte if is_unreserved(byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        out.push_str(rest);
    }
    Ok(out)
}

/// Whether a server that decodes again and again would find a `.` or `..` between two slashes.
fn has_dots(plain: &str) -> bool {
    let mut path = plain.as_bytes().to_vec();
    loop {
        let mut segments = path.split(|b| matches!(b, b'/' | b'\\'));
        if segments.any(|segment| matches!(segment, b"." | b"..")) {
            return true;
        }
        let decoded = decode(&path);
        if decoded.len() == path.len() {
            return false;
        }
        path = decoded;
    }
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let byte = tail.get(..2).filter(|_| *first == b'%').and_then(escaped);
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    out
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = digits else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(path: &str) -> Result<String, BadPath> {
        ApiPath::parse(path).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn what_is_read_goes_upstream_byte_for_byte() {
        for path in [
            "/",
            "/user",
            "/repos/o/r/contents/a%2Fb%2fc",
            "/search/issues?q=a+b&q=%e9&q",
            "/repos/o/r/compare/v1...v2",
            "/repos/o/r/contents/.github/..x/x..",
            "/repos/o/r/issues?a=2&a=1&b",
            "/repos/o/r/issues?q=/../&x=//&y=?",
            "/repos/o/r/",
            "/repos/o/r/contents/100%25",
        ] {
            assert_eq!(parse(path), Ok(path.to_owned()));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (path, why) in [
            ("", BadPath::Form),
            ("user", BadPath::Form),
            ("?x", BadPath::Form),
            ("*", BadPath::Form),
            ("https://api.github.com/user", BadPath::Form),
            ("/user#x", BadPath::Byte),
            ("/user?x#y", BadPath::Byte),
            ("/us er", BadPath::Byte),
            ("/user\r\nX: y", BadPath::Byte),
            ("/user\0", BadPath::Byte),
            ("/us\u{7f}er", BadPath::Byte),
            ("/users/\u{e9}", BadPath::Byte),
            ("/user?q=\u{e9}", BadPath::Byte),
            ("/users\\..\\x", BadPath::Byte),
            ("//evil.example/user", BadPath::Empty),
            ("/repos//r", BadPath::Empty),
            ("/user//", BadPath::Empty),
            ("/repos/o/r/..", BadPath::Dot),
            ("/repos/o/../user", BadPath::Dot),
            ("/./user", BadPath::Dot),
            ("/repos/%2e%2E/user", BadPath::Dot),
            ("/repos/.%2e/user", BadPath::Dot),
            ("/repos/%2e/user", BadPath::Dot),
            ("/repos/%252e%252e/user", BadPath::Dot),
            ("/repos/%25252e./user", BadPath::Dot),
            ("/repos/%25%32%65%2e/user", BadPath::Dot),
            ("/repos/o/r/contents/a%2f..%2Fb", BadPath::Dot),
            ("/repos/o/r/contents/a%252f..%252Fb", BadPath::Dot),
            ("/repos/o/r/contents/a%5c..%5Cb", BadPath::Dot),
            ("/repos/%zz", BadPath::Escape),
            ("/repos/%2", BadPath::Escape),
            ("/repos/%", BadPath::Escape),
            ("/repos/%+2", BadPath::Escape),
        ] {
            assert_eq!(parse(path), Err(why), "{path:?}");
        }
    }

    #[test]
    fn path_and_query_are_parted_at_the_first_mark() {
        let path = ApiPath::parse("/repos/o/r?x=?y").unwrap();
        assert_eq!((path.path(), path.query()), ("/repos/o/r", Some("x=?y")));
        assert_eq!(path.segments().collect::<Vec<_>>(), ["repos", "o", "r"]);
        let root = ApiPath::parse("/").unwrap();
        assert_eq!((root.path(), root.query(), root.segments().count()), ("/", None, 0));
    }

    #[test]
    fn needless_escapes_deceive_no_rule_and_stay_as_they_are() {
        let path = ApiPath::parse("/%75ser/%6b%65ys?%61=%6f%c3").unwrap();
        assert_eq!(path.template(), "/user/keys");
        assert_eq!(path.as_str(), "/%75ser/%6b%65ys?%61=%6f%c3");
        assert_eq!(path.canonical(), "/%75ser/%6B%65ys?%61=%6F%C3");
    }

    #[test]
    fn the_limits_are_known_in_every_spelling() {
        assert_eq!(ApiPath::parse("/rate_limit").unwrap(), ApiPath::of_limits());
        for (path, is_it) in [
            ("/rate_limit", true),
            ("/rate_limit/", true),
            ("/rate_limit?x=1", true),
            ("/Rate%5fLIMIT", true),
            ("/", false),
            ("/rate_limits", false),
            ("/rate_limit/x", false),
            ("/x/rate_limit", false),
        ] {
            let path = ApiPath::parse(path).unwrap();
            assert_eq!(path.is_of_limits(), is_it, "{path:?}");
            assert_eq!(path.template() == "/rate_limit", is_it, "{path:?}");
        }
    }

    #[test]
    fn the_canonical_form_changes_the_digits_of_escapes_alone() {
        for (sent, canonical) in [
            ("/a%2fb?x=%e9&a", "/a%2Fb?x=%E9&a"),
            ("/Repos/o/r?b=2&a=1&b=1", "/Repos/o/r?b=2&a=1&b=1"),
            ("/x?q=100%&y=%a", "/x?q=100%&y=%a"),
            ("/x?q=%%ab%", "/x?q=%%AB%"),
        ] {
            assert_eq!(ApiPath::parse(sent).unwrap().canonical(), canonical, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_dots_come_through(text in "/?[-a.%/25eEfF?é]{0,24}") {
            if let Ok(path) = ApiPath::parse(&text) {
                prop_assert_eq!(path.as_str(), text.as_str());
                let again = ApiPath::parse(&path.canonical()).expect("canonical is no worse");
                prop_assert_eq!(again.canonical(), path.canonical());
                prop_assert!(path.segments().all(|segment| segment != "." && segment != ".."));
            }
        }
    }
}
