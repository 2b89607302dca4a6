//! The URLs in GitHub's JSON, for clients that follow them and insist on the host they know.

use std::borrow::Cow;
use std::ops::Range;

use super::json::{Member, members};
use super::{Bases, ends_there};

/// What a body is: by what the client asked for, and by what GitHub says it is.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    /// The `Accept` that was sent to GitHub.
    pub accept: &'a str,
    /// The `Content-Type` of the answer.
    pub content_type: &'a str,
}

/// What people and programs write, object or not: a deployment's `payload` may be any JSON. An
/// object called `content` is GitHub's own, as in the answer to a new file.
const WRITTEN: [&[u8]; 9] = [
    b"body",
    b"message",
    b"text",
    b"description",
    b"patch",
    b"title",
    b"payload",
    b"diff",
    b"fragment",
];

/// Bytes of a file or a patch, though the type may end in `+json`.
const FILES: [&str; 5] = ["raw", "diff", "patch", "sha", "octet-stream"];

/// Turns the URLs in a body: strings that begin with an address of GitHub's, directly in a member
/// named `url`, `…_url` or `href`. Every other byte stays what it was. What is not GitHub's JSON, or
/// not JSON at all, stays whole.
pub fn body<'b>(bytes: &'b [u8], media: Media<'_>, bases: &Bases) -> Cow<'b, [u8]> {
    if !media.is_json() {
        return Cow::Borrowed(bytes);
    }
    let turns = std::str::from_utf8(bytes).ok().and_then(|text| turns(text, bases));
    match turns {
        Some(turns) if !turns.is_empty() => Cow::Owned(apply(bytes, &turns)),
        _ => Cow::Borrowed(bytes),
    }
}

/// Some bytes, and what replaces them.
type Turn<'s> = (Range<usize>, &'s str);

/// What to replace, in order; `None` where the text is not JSON.
fn turns<'s>(text: &str, bases: &'s Bases) -> Option<Vec<Turn<'s>>> {
    // GitHub's own bodies hold about seven URLs a kilobyte.
    let mut turns = Vec::with_capacity(text.len() / 128);
    let is_written = |key: &[u8]| WRITTEN.contains(&&*plain(key));
    let scanned = members(text, is_written, |member| {
        if is_url(&plain(member.key)) {
            turns.extend(turn(text.as_bytes(), &member, bases));
        }
    });
    scanned.ok().map(|()| turns)
}

fn turn<'s>(text: &[u8], member: &Member<'_>, bases: &'s Bases) -> Option<Turn<'s>> {
    let value = &text[member.value.clone()];
    let start = member.value.start;
    bases.swaps.iter().find_map(|swap| {
        let base = swap.upstream.as_bytes();
        let length = if member.is_escaped { spelled(value, base) } else { written(value, base) }?;
        Some((start..start + length, &*swap.escaped))
    })
}

fn apply(bytes: &[u8], turns: &[Turn<'_>]) -> Vec<u8> {
    let grown: usize = turns.iter().map(|(_, public)| public.len()).sum();
    let mut out = Vec::with_capacity(bytes.len() + grown);
    let mut done = 0;
    for (range, public) in turns {
        out.extend_from_slice(&bytes[done..range.start]);
        out.extend_from_slice(public.as_bytes());
        done = range.end;
    }
    out.extend_from_slice(&bytes[done..]);
    out
}

fn is_url(key: &[u8]) -> bool {
    key.ends_with(b"url") && (key.len() == 3 || key[key.len() - 4] == b'_') || key == b"href"
}

/// A key without its escapes.
fn plain(key: &[u8]) -> Cow<'_, [u8]> {
    if !key.contains(&b'\\') {
        return Cow::Borrowed(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    serde_json::from_slice::<String>(&quoted)
        .map_or(Cow::Borrowed(key), |key| Cow::Owned(key.into_bytes()))
}

/// The length of the address that a URL begins with.
fn written(url: &[u8], base: &[u8]) -> Option<usize> {
    let rest = url.strip_prefix(base)?;
    ends_there(rest.first().copied()).then_some(base.len())
}

/// The same for a URL with escapes in it (`https:\/\/`): the length as it is spelled.
fn spelled(url: &[u8], base: &[u8]) -> Option<usize> {
    let mut rest = url;
    for wanted in base {
        let (byte, after) = letter(rest)?;
        if byte != Some(*wanted) {
            return None;
        }
        rest = after;
    }
    let ends = letter(rest).is_none_or(|(next, _)| next.is_some() && ends_there(next));
    ends.then(|| url.len() - rest.len())
}

/// The first letter of a string with escapes, and the rest; a letter that no address holds is
/// `None`.
fn letter(string: &[u8]) -> Option<(Option<u8>, &[u8])> {
    match string {
        [] => None,
        [b'\\', b'u', a, b, c, d, rest @ ..] => {
            let code = [a, b, c, d].into_iter().try_fold(0, |code, digit| {
                char::from(*digit).to_digit(16).map(|digit| code << 4 | digit)
            });
            let ascii = code.and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii);
            Some((ascii, rest))
        }
        [b'\\', b'/', rest @ ..] => Some((Some(b'/'), rest)),
        [b'\\', _, rest @ ..] => Some((None, rest)),
        [byte, rest @ ..] => Some((Some(*byte), rest)),
    }
}

// === impl Media ===

impl Media<'_> {
    /// Whether the body is GitHub's JSON, and not a file of somebody's that may be JSON as well.
    pub fn is_json(self) -> bool {
        let (kind, subtype) = essence(self.content_type);
        kind.eq_ignore_ascii_case("application")
            && (subtype.eq_ignore_ascii_case("json") || ends_in_json(subtype))
            && !is_file(self.content_type)
            && !self.accept.split(',').any(is_file)
    }
}

fn ends_in_json(subtype: &str) -> bool {
    subtype.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}

/// Whether a media type names the bytes of a file: `application/vnd.github.v3.raw+json`.
fn is_file(media_type: &str) -> bool {
    let (_, subtype) = essence(media_type);
    let mut words = subtype.split(['.', '+']);
    words.any(|word| FILES.iter().any(|file| word.eq_ignore_ascii_case(file)))
}

/// Type and subtype, without parameters.
fn essence(media_type: &str) -> (&str, &str) {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').unwrap_or((essence, ""))
}
