//! Answers as gin writes them: no `Cache-Control`, errors as `{"error":"…"}`.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::simulator::web::{self, Reply, escape, full};

/// A handler's end.
pub(super) type Answered = Result<Reply, Refusal>;

/// A refusal on its way to its answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    words: String,
}

// === impl Refusal ===

impl Refusal {
    /// `{"error":"…"}`.
    pub(super) fn reply(self) -> Reply {
        json_with(self.status, &json!({ "error": self.words }))
    }
}

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = web::reply(status, content_type, full(body));
    reply.headers_mut().remove(header::CACHE_CONTROL);
    reply
}

pub(super) fn json_with(status: StatusCode, value: &Value) -> Reply {
    typed(status, "application/json; charset=utf-8", value.to_string())
}

pub(super) fn fine(value: &Value) -> Reply {
    json_with(StatusCode::OK, value)
}

pub(super) fn error(status: StatusCode, words: impl Into<String>) -> Refusal {
    Refusal { status, words: words.into() }
}

/// 307, with a link in the body, as Go's `http.Redirect` has it.
pub(super) fn temporary_redirect(to: &str) -> Reply {
    let body = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape(to));
    let mut reply = typed(StatusCode::TEMPORARY_REDIRECT, "text/html; charset=utf-8", body);
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    reply.headers_mut().insert(header::LOCATION, to);
    reply
}
