//! The ways to read a path: which segments it has, and which other address means the same.

use super::template::{Doubt, fits};

/// One way to read a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// As it was asked for.
    path: Vec<Segment>,
    /// The same thing under its documented name, where it was asked for by its number.
    named: Option<Vec<Segment>>,
}

/// A piece between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Decoded, in lower case.
    Text(String),
    /// A name that only GitHub knows: the path holds a number instead.
    Unknown,
}

/// Nobody escapes an escape more often.
const MOST_LAYERS: usize = 4;

/// Every way to read a path: segment by segment, and as the least careful server would, for which
/// an escaped slash is a slash. `None` where it climbs, or is escaped again and again.
pub(super) fn readings(path: &str) -> Option<Vec<Reading>> {
    let careful: Vec<_> = path.split('/').map(decoded).collect::<Option<_>>()?;
    let careless: Vec<_> =
        careful.iter().flat_map(|segment| segment.split(['/', '\\'])).map(cut).collect();
    if careless.iter().any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    let careless = careless.iter().map(|segment| segment.trim_end_matches(['.', ' ']));
    let careless = Reading::new(careless);
    let careful = Reading::new(careful.iter().map(String::as_str));
    Some(if careful == careless { vec![careful] } else { vec![careful, careless] })
}

/// What some servers leave of a segment with parameters.
fn cut(segment: &str) -> &str {
    segment.split([';', '?', '#', '\0']).next().unwrap_or(segment)
}

/// A segment decoded until nothing is left to decode, in lower case.
fn decoded(segment: &str) -> Option<String> {
    let mut text = segment.to_ascii_lowercase().into_bytes();
    for _ in 0..MOST_LAYERS {
        if !text.contains(&b'%') {
            break;
        }
        let next = decoded_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    let is_plain = !text.contains(&b'%') || decoded_once(&text) == text;
    is_plain.then(|| String::from_utf8_lossy(&text).to_ascii_lowercase())
}

fn decoded_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let (byte, tail) = escape(rest).unwrap_or((*byte, tail));
        out.push(byte);
        rest = tail;
    }
    out
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

// === impl Reading ===

impl Reading {
    /// Empty segments are none.
    fn new<'s>(segments: impl Iterator<Item = &'s str>) -> Self {
        let path = segments.filter(|segment| !segment.is_empty());
        let path: Vec<_> = path.map(|segment| Segment::Text(segment.to_owned())).collect();
        let named = named(&path);
        Self { path, named }
    }

    /// Whether the path could be one of a template's.
    pub(super) fn may_fit(&self, template: &str) -> bool {
        self.forms().any(|path| fits(template, path, Doubt::Fits))
    }

    /// Whether it is one for certain.
    pub(super) fn surely_fits(&self, template: &str) -> bool {
        self.forms().any(|path| fits(template, path, Doubt::Differs))
    }

    fn forms(&self) -> impl Iterator<Item = &[Segment]> {
        [Some(&self.path), self.named.as_ref()].into_iter().flatten().map(Vec::as_slice)
    }
}

/// GitHub's pages and redirects lead to numbers instead of names: `/repositories/1296269/issues` is
/// `/repos/octocat/hello-world/issues`.
fn named(path: &[Segment]) -> Option<Vec<Segment>> {
    let words: Vec<_> = path.iter().map(Segment::text).collect();
    let (start, rest): (&[_], usize) = match *words.as_slice() {
        ["repositories", _, ..] => (&[Some("repos"), None, None], 2),
        ["organizations", _, "team", _, ..] => (&[Some("orgs"), None, Some("teams"), None], 4),
        ["organizations", _, ..] => (&[Some("orgs"), None], 2),
        ["teams", _, ..] => (&[Some("orgs"), None, Some("teams"), None], 2),
        ["user", id, ..] if id.bytes().all(|b| b.is_ascii_digit()) => (&[Some("users"), None], 2),
        _ => return None,
    };
    let segment = |word: &Option<_>| match *word {
        Some(word) => Segment::Text(str::to_owned(word)),
        None => Segment::Unknown,
    };
    Some(start.iter().map(segment).chain(path[rest..].iter().cloned()).collect())
}

// === impl Segment ===

impl Segment {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Unknown => "",
        }
    }
}
