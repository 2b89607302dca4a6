//! What the API answers, before its headers are on.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

const DOCS: &str = "https://docs.github.com/rest";

/// An answer before its headers.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    /// In a box, for an outcome is often the error of a `Result`.
    pub(super) content: Box<Content>,
    pub(super) link: Option<String>,
    pub(super) tag: Tag,
    /// When it changed last, in the simulator's time: for `Last-Modified`.
    pub(super) changed: Option<Duration>,
    /// Set last, so they replace the usual ones.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The body.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Raw {
        media_type: &'static str,
        bytes: Bytes,
    },
    /// So many bytes, made while they are sent.
    Filler(u64),
}

/// What the `ETag` is made of.
#[derive(Debug)]
pub(super) enum Tag {
    Body,
    /// The id of a Git object, whoever asks.
    Object(String),
    Absent,
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn new(status: StatusCode, content: Content) -> Self {
        let (link, tag, changed, headers) = (None, Tag::Body, None, Vec::new());
        Self { status, content: Box::new(content), link, tag, changed, headers }
    }

    pub(super) fn fine(body: Value) -> Self {
        Self::new(StatusCode::OK, Content::Json(body))
    }

    pub(super) fn page(items: Vec<Value>, link: Option<String>) -> Self {
        Self { link, ..Self::fine(Value::Array(items)) }
    }

    pub(super) fn raw(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, Content::Raw { media_type, bytes: bytes.into() })
    }

    /// Something new, which has an address of its own.
    pub(super) fn created(body: Value) -> Self {
        let place = body["url"].as_str().unwrap_or_default().to_owned();
        Self::new(StatusCode::CREATED, Content::Json(body)).with("location", place)
    }

    pub(super) fn done() -> Self {
        Self::new(StatusCode::NO_CONTENT, Content::Nothing)
    }

    pub(super) fn error(status: StatusCode, words: &str) -> Self {
        Self::error_with(status, words, DOCS)
    }

    /// An error that says where it is explained.
    pub(super) fn error_with(status: StatusCode, words: &str, docs: &str) -> Self {
        let code = status.as_u16().to_string();
        let body = json!({ "message": words, "documentation_url": docs, "status": code });
        Self::new(status, Content::Json(body))
    }

    pub(super) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(super) fn invalid() -> Self {
        Self::error(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed")
    }

    pub(super) fn requires_authentication() -> Self {
        Self::error(StatusCode::UNAUTHORIZED, "Requires authentication")
    }

    pub(super) fn membership_scope() -> Self {
        let words = "You need at least read:org scope or user scope to list your organization \
                     memberships";
        Self::error(StatusCode::FORBIDDEN, words)
    }

    /// With one more header.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Changed last at this moment.
    pub(super) fn changed(self, at: Duration) -> Self {
        Self { changed: Some(at), ..self }
    }

    /// Tagged with a Git object's id.
    pub(super) fn object(self, id: &str) -> Self {
        Self { tag: Tag::Object(id.to_owned()), ..self }
    }

    pub(super) fn untagged(self) -> Self {
        Self { tag: Tag::Absent, ..self }
    }
}
