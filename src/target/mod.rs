//! The canonical request target: the one form of host and path that is judged and forwarded.
//!
//! Route, policy and upstream see the same bytes. What could be read in two ways is refused, for
//! every product of this kind that tried to guess has let somebody in: oauth2-proxy
//! CVE-2025-54576 and CVE-2026-41059, Pomerium CVE-2023-33189, Caddy CVE-2026-27587 and -52844,
//! Traefik CVE-2025-66490. The rules are RFC 3986 §6.2.2 (percent-encoding), RFC 9112 §3.2 (Host)
//! and RFC 9113 §8.3.1 (`:authority`).

use std::borrow::Cow;

use crate::defence::{Defence, stands};

mod host;
mod path;
pub(crate) mod query;

pub(crate) use host::parse_host;
use path::{canonical_path, canonical_query};

/// Where a request wants to go, in canonical form. Borrows from the request whatever was canonical
/// already, which is nearly always everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
    path: Cow<'a, str>,
    query: Option<Cow<'a, str>>,
    loose: bool,
    absolute: bool,
}

/// Why a target is refused; always answered with 400. `Display` is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguity {
    /// HTTP/1.1 without a Host (RFC 9112 §3.2).
    #[error("the request names no host")]
    HostMissing,
    /// More than one Host, or one that differs from the authority.
    #[error("the request names two hosts")]
    HostTwice,
    /// Not `name[:port]`; userinfo, a trailing dot and non-ASCII names are among it.
    #[error("the Host is malformed")]
    HostMalformed,
    /// Neither `/path` nor `http://host/path`.
    #[error("the request target is neither a path nor an absolute URL")]
    Form,
    /// A fragment, a backslash, a control byte or a space.
    #[error("the request target holds a byte that no URL holds")]
    Byte,
    /// `%` without two hexadecimal digits, or an overlong UTF-8 sequence.
    #[error("the path is wrongly percent-encoded")]
    Encoding,
    /// An encoded dot, backslash or control byte, once or several times over; a letter, a digit or a
    /// slash that comes out at the second decoding.
    #[error("the path hides a character in percent-encoding")]
    Hidden,
    /// `//`, `/./` or `/../`.
    #[error("the path has an empty segment or a dot segment")]
    Segment,
}

// === impl Target ===

impl<'a> Target<'a> {
    /// Reads the target of a request: the bytes of the request line (or `:path`), every `Host`
    /// field, and the authority of HTTP/2's `:authority`, if any.
    pub fn parse(
        line: &'a [u8],
        mut hosts: impl Iterator<Item = &'a [u8]>,
        authority: Option<&'a str>,
    ) -> Result<Self, Ambiguity> {
        let (in_line, rest) = split_absolute(line)?;
        let (first, second) = (hosts.next(), hosts.next());
        if second.is_some() {
            return Err(Ambiguity::HostTwice);
        }
        let mut named = [first, in_line, authority.map(str::as_bytes)].into_iter().flatten();
        let (host, port) = parse_host(named.next().ok_or(Ambiguity::HostMissing)?)?;
        for other in named {
            if parse_host(other)? != (host.clone(), port) {
                return Err(Ambiguity::HostTwice);
            }
        }
        let (path, query) = match rest.iter().position(|&b| b == b'?') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let (path, loose) = if stands(Defence::CanonicalTarget) {
            canonical_path(path)?
        } else {
            (String::from_utf8_lossy(path), false)
        };
        let query = query.map(canonical_query).transpose()?;
        Ok(Self { host, port, path, query, loose, absolute: in_line.is_some() })
    }

    /// The host in lower case, without port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that the client named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path, from its first slash on.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether the path holds an encoded slash or a `;`, which only routes without path rules may
    /// take, and only byte for byte.
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    /// Path and query as they go upstream.
    pub fn path_and_query(&self) -> Cow<'_, str> {
        match &self.query {
            None => Cow::Borrowed(&self.path),
            Some(query) => Cow::Owned(format!("{}?{query}", self.path)),
        }
    }

    /// Whether path and query are, byte for byte, what the client sent; an absolute URL is not, or
    /// the app would get its host beside ours.
    pub fn is_verbatim(&self) -> bool {
        !self.absolute
            && matches!(self.path, Cow::Borrowed(_))
            && !matches!(self.query, Some(Cow::Owned(_)))
    }

    /// Whether a Host field is the canonical authority already, byte for byte.
    pub fn is_spelled(&self, field: &[u8]) -> bool {
        match (field.strip_prefix(self.host.as_bytes()), self.port) {
            (Some([]), None) => true,
            (Some([b':', digits @ ..]), Some(port)) => {
                let number = |n: u32, digit: &u8| n * 10 + u32::from(digit - b'0');
                let is_plain = digits.len() <= 5 && digits.first() != Some(&b'0');
                is_plain
                    && digits.iter().all(u8::is_ascii_digit)
                    && digits.iter().fold(0, number) == u32::from(port)
            }
            _ => false,
        }
    }

    /// The Host field as it goes upstream.
    pub fn authority(&self) -> Cow<'_, str> {
        match self.port {
            None => Cow::Borrowed(&self.host),
            Some(port) => Cow::Owned(format!("{}:{port}", self.host)),
        }
    }
}

/// Splits `http://host/path` into host and path (RFC 9112 §3.2.2); a plain path has no host.
fn split_absolute(line: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Ambiguity> {
    if line.first() == Some(&b'/') {
        return Ok((None, line));
    }
    let rest = [&b"http://"[..], b"https://"]
        .iter()
        .find(|scheme| {
            line.len() > scheme.len() && line[..scheme.len()].eq_ignore_ascii_case(scheme)
        })
        .map(|scheme| &line[scheme.len()..])
        .ok_or(Ambiguity::Form)?;
    let slash = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    match rest.get(slash) {
        Some(b'/') => Ok((Some(&rest[..slash]), &rest[slash..])),
        Some(_) => Err(Ambiguity::Form),
        None => Ok((Some(rest), b"/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at_host(line: &[u8]) -> Result<Target<'_>, Ambiguity> {
        Target::parse(line, std::iter::once(&b"app.example"[..]), None)
    }

    #[test]
    fn harmless_targets_reach_the_upstream() {
        for (sent, forwarded) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/a?u=https://elsewhere/x//../y;z", "/a?u=https://elsewhere/x//../y;z"),
            ("/%61%7Eb", "/a~b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a|b{c}", "/a%7Cb%7Bc%7D"),
            ("/x?q=a>b&r=\"c\"", "/x?q=a%3Eb&r=%22c%22"),
            ("/100%25", "/100%25"),
            ("/a%2520b%25C3%25A9", "/a%2520b%25C3%25A9"),
            ("/a%20b", "/a%20b"),
            ("/a%3Bb", "/a%3Bb"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/x?", "/x?"),
            ("/%E9", "/%E9"),
        ] {
            let target = at_host(sent.as_bytes()).unwrap_or_else(|e| panic!("{sent}: {e}"));
            assert_eq!(target.path_and_query(), forwarded, "{sent}");
            assert!(!target.is_loose(), "{sent}");
            assert_eq!(target.is_verbatim(), sent == forwarded, "{sent}");
        }
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        use Ambiguity::{Byte, Encoding, Form, Hidden, Segment};
        for (sent, why) in [
            ("//a", Segment),
            ("/a//b", Segment),
            ("/./a", Segment),
            ("/a/..", Segment),
            ("/a/../b", Segment),
            ("/a/..;x/b", Segment),
            ("/a/;x/b", Segment),
            ("/a/..%2fb", Segment),
            ("/a%2f%2fb", Segment),
            ("/a/%2e%2e/b", Hidden),
            ("/a%2Ejs", Hidden),
            ("/a%5cb", Hidden),
            ("/a%252e%252e/b", Hidden),
            ("/a%25252eb", Hidden),
            ("/a%25%32%65b", Hidden),
            ("/a%25%32%66b", Hidden),
            ("/a;%25%35%63b", Hidden),
            ("/%2561dmin", Hidden),
            ("/a%00b", Hidden),
            ("/a%0d%0ab", Hidden),
            ("/a\\b", Byte),
            ("/a#b", Byte),
            ("/a?b#c", Byte),
            ("/a b", Byte),
            ("/a\tb", Byte),
            ("/a?b\x7f", Byte),
            ("/a%", Encoding),
            ("/a%2", Encoding),
            ("/a%zz", Encoding),
            ("/a%u002e", Encoding),
            ("/a%c0%afb", Encoding),
            ("/a%e0%80%afb", Encoding),
            ("a", Form),
            ("", Form),
            ("*", Form),
            ("ftp://app.example/", Form),
            ("http://app.example?x", Form),
        ] {
            assert_eq!(at_host(sent.as_bytes()), Err(why), "{sent}");
        }
    }

    #[test]
    fn encoded_slashes_and_semicolons_are_loose_and_stay_as_they_were() {
        for sent in ["/a%2fb", "/a%2Fb/%7e", "/a;b=c/d", "/a%252Fb", "/%61;x"] {
            let target = at_host(sent.as_bytes()).unwrap();
            assert!(target.is_loose(), "{sent}");
            assert_eq!(target.path(), sent);
            assert!(target.is_verbatim());
        }
    }

    #[test]
    fn a_host_is_one_plain_name() {
        for (sent, name, port) in [
            ("App.Example", "app.example", None),
            ("app.example:8443", "app.example", Some(8443)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:80", "[::1]", Some(80)),
            ("[0:0:0::1]", "[::1]", None),
            ("my_app", "my_app", None),
        ] {
            assert_eq!(parse_host(sent.as_bytes()), Ok((name.into(), port)), "{sent}");
        }
        for bad in [
            "",
            "a.",
            ".a",
            "a..b",
            "a@b",
            "user@app.example",
            "a b",
            "a/b",
            "a:",
            "a:x",
            "a:99999",
            "a:80:80",
            "[::1",
            "[x]",
            "[::1]x",
            "ä.example",
            "a%2eb",
            "a,b",
            "a:+80",
        ] {
            assert_eq!(parse_host(bad.as_bytes()), Err(Ambiguity::HostMalformed), "{bad}");
        }
    }

    #[test]
    fn a_canonical_host_is_known_by_sight() {
        for (sent, is) in [
            ("a.example", true),
            ("A.example", false),
            ("a.example:8443", true),
            ("a.example:08443", false),
            ("[::1]:80", true),
            ("[0::1]:80", false),
        ] {
            let target = Target::parse(b"/", std::iter::once(sent.as_bytes()), None).unwrap();
            assert_eq!(target.is_spelled(sent.as_bytes()), is, "{sent}");
            assert_eq!(is, target.authority() == sent, "{sent}");
        }
    }

    #[test]
    fn hosts_must_agree() {
        let parse = |line: &'static str, hosts: &[&'static str], authority| {
            Target::parse(line.as_bytes(), hosts.iter().map(|h| h.as_bytes()), authority)
                .map(|t| t.authority().into_owned())
        };
        assert_eq!(parse("/", &[], None), Err(Ambiguity::HostMissing));
        assert_eq!(parse("/", &["a", "a"], None), Err(Ambiguity::HostTwice));
        assert_eq!(parse("http://b/", &["a"], None), Err(Ambiguity::HostTwice));
        assert_eq!(parse("http://u@a/", &["a"], None), Err(Ambiguity::HostMalformed));
        assert_eq!(parse("/", &["a"], Some("b")), Err(Ambiguity::HostTwice));
        assert_eq!(parse("/", &["a:1"], Some("a:2")), Err(Ambiguity::HostTwice));
        assert_eq!(parse("http://A:1/x", &["a:1"], None), Ok("a:1".into()));
        assert_eq!(parse("/", &[], Some("A")), Ok("a".into()));
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(path in "/[ -~é]{0,40}") {
            if let Ok(target) = at_host(path.as_bytes()) {
                let once = target.path_and_query().into_owned();
                let again = at_host(once.as_bytes()).expect("canonical stays acceptable");
                prop_assert_eq!(again.path_and_query(), once.as_str());
                prop_assert!(again.is_verbatim());
                prop_assert_eq!(again.is_loose(), target.is_loose());
            }
        }

        #[test]
        fn no_bytes_panic(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(at_host(&path));
        }
    }
}
