//! What the API answers, before its headers are on.

use http::StatusCode;
use serde_json::{Value, json};

const DOCS: &str = "https://docs.github.com/rest";

/// An answer before its headers.
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    /// `None` is no body at all.
    pub(super) body: Option<Value>,
    pub(super) link: Option<String>,
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn fine(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), link: None }
    }

    pub(super) fn page(items: Vec<Value>, link: Option<String>) -> Self {
        Self { link, ..Self::fine(Value::Array(items)) }
    }

    pub(super) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, link: None }
    }

    pub(super) fn error(status: StatusCode, words: &str) -> Self {
        let code = status.as_u16().to_string();
        let body = json!({ "message": words, "documentation_url": DOCS, "status": code });
        Self { status, body: Some(body), link: None }
    }

    pub(super) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(super) fn invalid() -> Self {
        Self::error(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed")
    }

    pub(super) fn membership_scope() -> Self {
        let words = "You need at least read:org scope or user scope to list your organization \
                     memberships";
        Self::error(StatusCode::FORBIDDEN, words)
    }
}
