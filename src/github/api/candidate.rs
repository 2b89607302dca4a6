//! What GitHub is asked to confirm, by its tag.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::Means;
use crate::freshness::EMPTY_LIST;
use crate::freshness::etag::Hashed;
use crate::passage::response;
use crate::store::{Body, Validation};

/// A body that the asker may well be shown again, and the validator that says so.
pub(super) struct Candidate {
    pub(super) body: Body,
    pub(super) tag: HeaderValue,
    pub(super) origin: Origin,
    /// Where the asker was never shown it.
    media_type: Option<HeaderValue>,
}

/// How one came to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// GitHub gave the tag to this token.
    Own,
    /// It gave one to an earlier token of the same asker.
    Rotated,
    /// The body was shown to somebody else.
    Others,
    /// Nobody was ever shown anything: it is an empty list, as many are.
    Empty,
}

/// What GitHub calls its JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

// === impl Candidate ===

impl Candidate {
    /// What the asker was shown, by whatever tag GitHub can know it.
    pub(super) fn of_own(
        shown: &Validation,
        body: &Body,
        means: &Means,
        hashed: Hashed,
    ) -> Option<Self> {
        if shown.token == means.fingerprint && !shown.etag.is_empty() {
            let tag = HeaderValue::from_str(&shown.etag).ok()?;
            return Some(Self { body: body.clone(), tag, origin: Origin::Own, media_type: None });
        }
        let rotated = || Self::computed(body.clone(), means, hashed, Origin::Rotated);
        shown.formula_holds.then(rotated)
    }

    /// What somebody else was shown.
    pub(super) fn of_others(
        body: Body,
        media_type: HeaderValue,
        means: &Means,
        hashed: Hashed,
    ) -> Self {
        let computed = Self::computed(body, means, hashed, Origin::Others);
        Self { media_type: Some(media_type), ..computed }
    }

    /// The empty list.
    pub(super) fn of_nothing(means: &Means, hashed: Hashed) -> Self {
        let body = Body::new(Bytes::from_static(EMPTY_LIST));
        let computed = Self::computed(body, means, hashed, Origin::Empty);
        Self { media_type: Some(JSON), ..computed }
    }

    fn computed(body: Body, means: &Means, hashed: Hashed, origin: Origin) -> Self {
        let tag = hashed.computed(means.accept(), means.authorization(), &body.bytes);
        let tag = HeaderValue::from_str(&tag).expect("a hash in quotes is printable ASCII");
        Self { body, tag, origin, media_type: None }
    }

    /// Whether the asker was never shown it: what comes back may well be something else.
    pub(super) fn is_a_guess(&self) -> bool {
        matches!(self.origin, Origin::Others | Origin::Empty)
    }

    /// The fields of an answer whose body is this one: what GitHub says with its confirmation counts
    /// before what it said earlier.
    pub(super) fn fields(&self, stored: Option<&HeaderMap>, confirmed: &HeaderMap) -> HeaderMap {
        let newer = response::fields(confirmed);
        let mut fields = stored.cloned().unwrap_or_default();
        if let Some(media_type) = &self.media_type {
            fields.insert(CONTENT_TYPE, media_type.clone());
        }
        for name in newer.keys() {
            fields.remove(name);
        }
        for (name, value) in &newer {
            fields.append(name, value.clone());
        }
        fields
    }
}

// === impl Origin ===

impl Origin {
    /// In a word for `Cache-Status`, where it is worth one.
    pub(super) fn detail(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::Rotated => Some("rotated"),
            Self::Others => Some("cross-principal"),
            Self::Empty => Some("empty-guess"),
        }
    }
}
