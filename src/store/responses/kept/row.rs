//! What is kept of an answer, row by row: JSON or a body, compressed, and sealed for its place.
//!
//! An asker's rows open only with the asker's word, which is a row of its own: without it they are so
//! many bytes, whatever else is left of them. The words, and what may be offered to others, open only
//! with the word of all, so that everything can be forgotten at once.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::super::memory::Offer;
use super::super::{Body, BodyHash, Principal, ResponseKey, Validation};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::tags::Tag;
use crate::keys::{Digest, Keys, Opened};
use crate::store::Table;

/// A place in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// The word of all.
    CommonWord,
    /// The asker's word.
    Word(Principal),
    /// What an asker was shown at a URL.
    Shown(Principal, ResponseKey),
    /// What was last shown to anybody there.
    Shared(ResponseKey),
    /// Since when nothing is offered of what was shown of a repository or account.
    Unshared([u8; 32]),
    /// A body.
    Body(BodyHash),
}

/// Seals an asker's rows together with the master secret.
pub(super) type Word = [u8; 16];

/// What an asker was shown, as it is written.
#[derive(Serialize, Deserialize)]
struct ShownRow {
    body: String,
    about: Tag,
    etag: Box<str>,
    token: String,
    offered: bool,
    formula_holds: bool,
    headers: Vec<(String, String)>,
    linked: Time,
    items: Option<usize>,
    asked: Time,
    /// In seconds; without a number, however long.
    longest: Option<u64>,
}

/// What was last shown to anybody, as it is written.
#[derive(Serialize, Deserialize)]
struct SharedRow {
    body: String,
    media_type: String,
    about: Tag,
    since: Time,
}

/// Between speed and size: a page of JSON comes to a sixth in less than a millisecond.
const LEVEL: i32 = 3;

/// No row is larger when it is unpacked.
const LARGEST: usize = 64 << 20;

// === impl Row ===

impl Row {
    /// Since when nothing of this is offered.
    pub(super) fn unshared(about: &Tag) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, about.as_str().as_bytes());
        Self::Unshared(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    pub(super) fn table(self) -> Table {
        match self {
            Self::CommonWord | Self::Word(_) => Table::Asker,
            Self::Shown(..) | Self::Shared(_) | Self::Unshared(_) => Table::Answer,
            Self::Body(_) => Table::AnswerBody,
        }
    }

    /// Its name for new rows.
    pub(super) fn name(self, keys: &Keys) -> Digest {
        self.with_parts(&[], |parts| keys.answer_digest(parts))
    }

    /// Every name that it may have: an older master's as well.
    pub(super) fn names(self, keys: &Keys) -> Vec<Digest> {
        self.with_parts(&[], |parts| keys.answer_digests(parts).collect())
    }

    pub(super) fn seal(self, keys: &Keys, word: &[u8], plain: &[u8]) -> Vec<u8> {
        self.with_place(word, |place| keys.seal_common(place, plain))
    }

    pub(super) fn open(self, keys: &Keys, word: &[u8], sealed: &[u8]) -> Opened {
        self.with_place(word, |place| keys.open_common(place, sealed))
    }

    /// Where it stands: sealed for here, it opens nowhere else.
    fn with_place<T>(self, word: &[u8], look: impl FnOnce(&[&[u8]]) -> T) -> T {
        if stands(Defence::AnswerBinding) {
            self.with_parts(word, look)
        } else {
            look(&[self.table().name().as_bytes()])
        }
    }

    fn with_parts<T>(self, word: &[u8], look: impl FnOnce(&[&[u8]]) -> T) -> T {
        let table = self.table().name().as_bytes();
        match self {
            Self::CommonWord => look(&[table, b"common", word]),
            Self::Word(who) => look(&[table, b"word", &named(who.subject()), word]),
            Self::Shown(who, key) => look(&[table, b"shown", &named(who), &key, word]),
            Self::Shared(key) => look(&[table, b"shared", &key, word]),
            Self::Unshared(about) => look(&[table, b"unshared", &about, word]),
            Self::Body(hash) => look(&[table, b"body", &hash, word]),
        }
    }
}

/// An asker in bytes, no two alike.
fn named(who: Principal) -> Vec<u8> {
    let (kind, numbers) = match who {
        Principal::User { realm, id } => (0, vec![realm, id]),
        Principal::Installation { realm, id, scope } => (1, vec![realm, id, scope]),
    };
    let bytes = numbers.into_iter().flat_map(u64::to_be_bytes);
    std::iter::once(kind).chain(bytes).collect()
}

// === Rows in bytes ===

/// What an asker was shown. `None` where a field is no text, which GitHub's are.
pub(super) fn write_shown(shown: &Validation) -> Option<Vec<u8>> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    };
    let row = ShownRow {
        body: text(&shown.body),
        about: shown.about.clone(),
        etag: shown.etag.clone(),
        token: text(&shown.token),
        offered: shown.offered,
        formula_holds: shown.formula_holds,
        headers: shown.headers.iter().map(field).collect::<Option<_>>()?,
        linked: shown.linked,
        items: shown.items,
        asked: shown.asked,
        longest: (shown.longest != Duration::MAX).then_some(shown.longest.as_secs()),
    };
    Some(pack(&serde_json::to_vec(&row).expect("rows are plain JSON")))
}

/// The same, read. It is not fresh: what has changed since it was written, nobody knows here.
pub(super) fn read_shown(packed: &[u8]) -> Option<Validation> {
    let row: ShownRow = serde_json::from_slice(&unpack(packed)?).ok()?;
    let mut headers = HeaderMap::with_capacity(row.headers.len());
    for (name, value) in row.headers {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(Validation {
        body: bytes(&row.body)?,
        about: row.about,
        etag: row.etag,
        token: bytes(&row.token)?,
        offered: row.offered,
        formula_holds: row.formula_holds,
        headers: Arc::new(headers),
        linked: row.linked,
        items: row.items,
        asked: row.asked,
        change: 0,
        fresh: Duration::ZERO,
        longest: row.longest.map_or(Duration::MAX, Duration::from_secs),
    })
}

pub(super) fn write_offer(offer: &Offer) -> Option<Vec<u8>> {
    let row = SharedRow {
        body: text(&offer.body),
        media_type: offer.media_type.to_str().ok()?.to_owned(),
        about: offer.about.clone(),
        since: offer.since,
    };
    Some(pack(&serde_json::to_vec(&row).expect("rows are plain JSON")))
}

pub(super) fn read_offer(packed: &[u8]) -> Option<Offer> {
    let row: SharedRow = serde_json::from_slice(&unpack(packed)?).ok()?;
    Some(Offer {
        body: bytes(&row.body)?,
        media_type: HeaderValue::try_from(row.media_type).ok()?,
        about: row.about,
        since: row.since,
    })
}

pub(super) fn write_time(time: Time) -> Vec<u8> {
    time.unix().to_be_bytes().to_vec()
}

pub(super) fn read_time(bytes: &[u8]) -> Option<Time> {
    Some(Time::from_unix(i64::from_be_bytes(bytes.try_into().ok()?)))
}

pub(super) fn write_body(body: &Bytes) -> Vec<u8> {
    pack(body)
}

/// A body, if it is the one that has this hash.
pub(super) fn read_body(hash: &BodyHash, packed: &[u8]) -> Option<Body> {
    let body = Body::new(Bytes::from(unpack(packed)?));
    (body.hash == *hash).then_some(body)
}

fn pack(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, LEVEL).expect("memory is written")
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    let size = usize::try_from(size).ok().filter(|size| *size <= LARGEST)?;
    zstd::bulk::decompress(packed, size).ok()
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };
    const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

    fn keys(masters: &[u8]) -> Keys {
        let masters: Vec<_> = masters.iter().map(|&byte| Secret::new(vec![byte; 32])).collect();
        Keys::derive(&masters, "github.com/app")
    }

    fn everywhere() -> Vec<Row> {
        let of = |scope| Principal::Installation { realm: 1, id: 583_231, scope };
        let (installation, narrow) = (of(0), of(1));
        let (key, other) = ([1; 32], [2; 32]);
        vec![
            Row::CommonWord,
            Row::Word(OCTOCAT),
            Row::Word(HUBOT),
            Row::Word(installation),
            Row::Shown(OCTOCAT, key),
            Row::Shown(OCTOCAT, other),
            Row::Shown(HUBOT, key),
            Row::Shown(installation, key),
            Row::Shown(narrow, key),
            Row::Shared(key),
            Row::Shared(other),
            Row::Unshared(key),
            Row::Unshared(other),
            Row::Body(key),
            Row::Body(other),
        ]
    }

    #[test]
    fn a_row_opens_in_its_own_place_alone() {
        let (keys, word) = (keys(&[1]), [7; 16]);
        for (at, row) in everywhere().into_iter().enumerate() {
            let sealed = row.seal(&keys, &word, b"hello");
            for (to, other) in everywhere().into_iter().enumerate() {
                let opened = other.open(&keys, &word, &sealed);
                assert_eq!(opened.is_some(), at == to, "{row:?} in the place of {other:?}");
                assert_eq!(row.name(&keys) == other.name(&keys), at == to);
            }
            assert_eq!(row.open(&keys, &[8; 16], &sealed), None, "with another word");
        }
    }

    #[test]
    fn a_rotation_finds_and_opens_what_was_kept() {
        let (old, rotated) = (keys(&[1]), keys(&[2, 1]));
        let row = Row::Shown(OCTOCAT, [1; 32]);
        let sealed = row.seal(&old, &[7; 16], b"hello");
        assert_eq!(row.open(&rotated, &[7; 16], &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(row.names(&rotated), [row.name(&rotated), row.name(&old)]);
        assert_eq!(row.open(&keys(&[2]), &[7; 16], &sealed), None);
    }

    #[test]
    fn what_was_written_is_read_but_for_its_freshness() {
        let headers =
            [("link", "<https://a>; rel=\"next\""), ("link", "\u{e9}"), ("etag", "\"1\"")];
        let headers = headers.map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut shown = Validation {
            body: [3; 32],
            about: Tag::from("repo:acme/wiki".to_owned()),
            etag: "\"1\"".into(),
            token: [4; 16],
            offered: false,
            formula_holds: true,
            headers: Arc::new(HeaderMap::from_iter(headers)),
            linked: Time::from_unix(5),
            items: Some(30),
            asked: Time::from_unix(6),
            change: 7,
            fresh: Duration::from_secs(60),
            longest: Duration::from_secs(7200),
        };
        for longest in [Duration::from_secs(7200), Duration::MAX] {
            shown.longest = longest;
            let read = read_shown(&write_shown(&shown).unwrap()).unwrap();
            let expected = Validation { change: 0, fresh: Duration::ZERO, ..shown.clone() };
            assert_eq!(read, expected);
        }
        assert_eq!(read_shown(b"rubbish"), None);
    }

    #[test]
    fn a_body_is_the_one_that_has_its_hash() {
        let body = Body::new(Bytes::from("[1,2,3]".repeat(1000)));
        let packed = write_body(&body.bytes);
        assert!(packed.len() < 100, "{}", packed.len());
        assert_eq!(read_body(&body.hash, &packed), Some(body));
        assert_eq!(read_body(&[0; 32], &packed), None);
        assert_eq!(read_body(&[0; 32], b"rubbish"), None);
        let empty = Body::new(Bytes::new());
        assert_eq!(read_body(&empty.hash, &write_body(&empty.bytes)), Some(empty));
    }
}
