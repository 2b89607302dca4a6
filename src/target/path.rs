//! The path and the query of a request: one spelling, or a refusal.

use std::borrow::Cow;

use super::Ambiguity;

/// What a byte of a path means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself.
    Plain,
    /// `/`
    Slash,
    /// `;`, by which some servers cut a segment short.
    Semicolon,
    /// `%`
    Percent,
    /// Harmless, sent raw by real clients, and to be percent-encoded.
    Raw,
    /// No URL holds it.
    Forbidden,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Raw; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 256")]
        let b = byte as u8;
        table[byte] = match b {
            b'/' => Class::Slash,
            b';' => Class::Semicolon,
            b'%' => Class::Percent,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Plain,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
                Class::Plain
            }
            0..=0x20 | 0x7f | b'#' | b'\\' => Class::Forbidden,
            _ => Class::Raw,
        };
        byte += 1;
    }
    table
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// The canonical path and whether it is loose (holds an encoded slash or a `;`). A loose path keeps
/// its escapes as they were sent; any other gets unreserved characters decoded and hexadecimal
/// digits in capitals.
pub(super) fn canonical_path(path: &[u8]) -> Result<(Cow<'_, str>, bool), Ambiguity> {
    let loose = check_bytes(path)?;
    check_segments(path)?;
    let verbatim = path.iter().all(|&b| !matches!(class(b), Class::Percent | Class::Raw));
    if verbatim {
        let text = std::str::from_utf8(path).map_err(|_| Ambiguity::Byte)?;
        return Ok((Cow::Borrowed(text), loose));
    }
    let plain = rewrite(path, true)?;
    // Escaped digits can complete another escape: `%25%32%65` is `%252e`.
    if check_bytes(plain.as_bytes())? != loose {
        return Err(Ambiguity::Hidden);
    }
    let out = if loose { rewrite(path, false)? } else { plain };
    Ok(if out.as_bytes() == path {
        // It was canonical with its escapes: borrow, so that `is_verbatim` tells the truth.
        (Cow::Borrowed(std::str::from_utf8(path).map_err(|_| Ambiguity::Byte)?), loose)
    } else {
        (Cow::Owned(out), loose)
    })
}

/// Percent-encodes raw bytes and, where asked to, brings escapes into their one form.
fn rewrite(path: &[u8], escapes: bool) -> Result<String, Ambiguity> {
    let mut out = String::with_capacity(path.len() + 16);
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match class(*byte) {
            Class::Percent if escapes => {
                let (code, after) = escape(tail).ok_or(Ambiguity::Encoding)?;
                rest = after;
                push_escape(&mut out, code, !is_unreserved(code));
            }
            Class::Raw => push_escape(&mut out, *byte, true),
            _ => out.push(char::from(*byte)),
        }
    }
    Ok(out)
}

/// Refuses forbidden bytes and hidden ones; says whether the path is loose.
fn check_bytes(path: &[u8]) -> Result<bool, Ambiguity> {
    let mut loose = false;
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match class(*byte) {
            Class::Forbidden => return Err(Ambiguity::Byte),
            Class::Semicolon => loose = true,
            Class::Percent => {
                let (code, after) = innermost(tail)?;
                rest = after;
                match code {
                    b'.' | b'\\' | 0..=0x1f | 0x7f => return Err(Ambiguity::Hidden),
                    // No encoder escapes a letter, and surely not twice; who decodes twice would
                    // read another path than the rules did.
                    _ if is_unreserved(code) && !is_outermost(tail, code) => {
                        return Err(Ambiguity::Hidden);
                    }
                    b'/' => loose = true,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    check_utf8(path)?;
    Ok(loose)
}

/// Follows `%2525…2e` to the byte at its heart, for servers that decode again and again. What it
/// skips are the `25`s alone.
fn innermost(after_percent: &[u8]) -> Result<(u8, &[u8]), Ambiguity> {
    let (mut code, mut rest) = escape(after_percent).ok_or(Ambiguity::Encoding)?;
    while code == b'%' {
        match escape(rest) {
            Some((inner, after)) => (code, rest) = (inner, after),
            None => break,
        }
    }
    Ok((code, rest))
}

fn is_outermost(after_percent: &[u8], code: u8) -> bool {
    escape(after_percent).is_some_and(|(outer, _)| outer == code)
}

fn escape(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = digits else { return None };
    Some((hex(*high)? << 4 | hex(*low)?, rest))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Refuses overlong UTF-8, by which lenient decoders find a slash or a dot (`%c0%af`).
fn check_utf8(path: &[u8]) -> Result<(), Ambiguity> {
    if !path.iter().any(|&b| b == b'%' || b >= 0x80) {
        return Ok(());
    }
    let decoded = decode(path);
    let overlong = |pair: &[u8]| {
        matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xc0 | 0xc1, 0x80..=0xbf])
    };
    if decoded.windows(2).any(overlong) { Err(Ambiguity::Encoding) } else { Ok(()) }
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        let decoded = if *byte == b'%' { escape(tail) } else { None };
        let (code, after) = decoded.unwrap_or((*byte, tail));
        out.push(code);
        rest = after;
    }
    out
}

/// Refuses empty segments and dot segments, also where a `;` or an encoded slash makes them.
fn check_segments(path: &[u8]) -> Result<(), Ambiguity> {
    if !path.contains(&b'%') {
        return segments_are_plain(path);
    }
    // Read it as the least careful server would: decoded until nothing is left to decode.
    let mut decoded = decode(path);
    while decoded.contains(&b'%') {
        let again = decode(&decoded);
        if again == decoded {
            break;
        }
        decoded = again;
    }
    segments_are_plain(&decoded)
}

fn segments_are_plain(path: &[u8]) -> Result<(), Ambiguity> {
    let segments = path.strip_prefix(b"/").ok_or(Ambiguity::Form)?;
    let mut iter = segments.split(|&b| b == b'/').peekable();
    while let Some(segment) = iter.next() {
        let name = segment.split(|&b| b == b';').next().unwrap_or(segment);
        let last = iter.peek().is_none();
        if name == b"." || name == b".." || (name.is_empty() && !(last && segment.is_empty())) {
            return Err(Ambiguity::Segment);
        }
    }
    Ok(())
}

/// The query goes upstream as it came; raw bytes that a URL does not hold are percent-encoded.
pub(super) fn canonical_query(query: &[u8]) -> Result<Cow<'_, str>, Ambiguity> {
    if query.iter().any(|&b| b <= 0x20 || b == 0x7f || b == b'#') {
        return Err(Ambiguity::Byte);
    }
    let raw = |b: u8| {
        b >= 0x80 || matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if !query.iter().any(|&b| raw(b)) {
        return Ok(Cow::Borrowed(std::str::from_utf8(query).map_err(|_| Ambiguity::Byte)?));
    }
    let mut out = String::with_capacity(query.len() + 16);
    for &byte in query {
        push_escape(&mut out, byte, raw(byte));
    }
    Ok(Cow::Owned(out))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn push_escape(out: &mut String, byte: u8, encode: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if encode {
        out.push('%');
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    } else {
        out.push(char::from(byte));
    }
}
