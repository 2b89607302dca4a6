//! The request line before Pingora sees it: what Pingora's URL type would refuse or cut silently.
//!
//! Real clients send `"`, `<`, `>` and `` ` `` raw in queries and paths. They are harmless, and the
//! `http` crate has no place for them, so they are percent-encoded here (RFC 3986 §2.1). A fragment
//! never belongs on the wire (RFC 9112 §3.2); the crate would drop it, and what was judged would
//! not be what was sent, so its presence is noted and the request refused.

/// What the bytes of a request line hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inspected {
    /// How many of the bytes belong to the line, its end included.
    pub(super) length: usize,
    /// Whether the line ends within them.
    pub(super) ends: bool,
    /// Whether there is a `#`.
    pub(super) fragment: bool,
    /// The line with raw characters encoded, where there are any.
    pub(super) rewritten: Option<Vec<u8>>,
}

/// Looks at the next bytes of a request line.
pub(super) fn inspect(bytes: &[u8]) -> Inspected {
    // Servers skip empty lines before the first one (RFC 9112 §2.2).
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let end = bytes[blank..].iter().position(|&b| b == b'\n').map(|at| blank + at);
    let length = end.map_or(bytes.len(), |at| at + 1);
    let line = &bytes[..length];
    let is_raw = |b: &u8| matches!(b, b'"' | b'<' | b'>' | b'`');
    Inspected {
        length,
        ends: end.is_some(),
        fragment: line.contains(&b'#'),
        rewritten: line.iter().any(is_raw).then(|| encode(line)),
    }
}

fn encode(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 16);
    for &byte in line {
        match byte {
            b'"' => out.extend_from_slice(b"%22"),
            b'<' => out.extend_from_slice(b"%3C"),
            b'>' => out.extend_from_slice(b"%3E"),
            b'`' => out.extend_from_slice(b"%60"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(bytes: &str) -> Option<String> {
        inspect(bytes.as_bytes()).rewritten.map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn raw_characters_of_the_line_are_encoded_and_nothing_after_it() {
        for (sent, line) in [
            ("GET /?q=a>b HTTP/1.1\r\nX: <>\r\n", Some("GET /?q=a%3Eb HTTP/1.1\r\n")),
            ("GET /\"`<> HTTP/1.1\r\n", Some("GET /%22%60%3C%3E HTTP/1.1\r\n")),
            ("GET /?q=a HTTP/1.1\r\nX: <>\r\n", None),
            ("GET /?q=a>", Some("GET /?q=a%3E")),
        ] {
            assert_eq!(rewritten(sent).as_deref(), line, "{sent}");
        }
    }

    #[test]
    fn a_fragment_is_noted_in_the_line_alone() {
        assert!(inspect(b"GET /a#b HTTP/1.1\r\n").fragment);
        assert!(inspect(b"\r\n\r\nGET /a#b HTTP/1.1\r\n").fragment);
        assert!(!inspect(b"GET /a HTTP/1.1\r\nX: #\r\n").fragment);
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let first = inspect(b"GET /lo");
        assert_eq!((first.length, first.ends), (7, false));
        let second = inspect(b"ng HTTP/1.1\r\nHost: a\r\n");
        assert_eq!((second.length, second.ends), (13, true));
    }
}
