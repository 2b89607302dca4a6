//! Answers to operators' commands: JSON, and a finished sentence where something is wrong.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::gateway::OperateError;
use crate::store::{KeysError, RekeyError};

/// Why a command is not done.
pub(super) enum Refusal {
    /// No token, or a wrong one.
    Token,
    /// It takes another method.
    Method(Method),
    /// The body is too long.
    TooLong,
    /// The body did not come in time.
    TooSlow,
    /// The request makes no sense.
    Nonsense(String),
    /// The gateway seals under another master than whoever asks.
    OtherMaster,
    /// The gateway cannot do it.
    Operate(OperateError),
}

// === impl Refusal ===

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Nonsense(_) => StatusCode::BAD_REQUEST,
            Self::OtherMaster => StatusCode::CONFLICT,
            Self::Operate(error) => status(error),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Token => {
                "this takes the token that is derived from the gateway's master secret, as \
                 `gatekeep sessions`, `gatekeep keys` and `gatekeep rekey` send it"
            }
            Self::Method(method) => return format!("only {method} is answered here"),
            Self::TooLong => "the body is longer than 4096 bytes",
            Self::TooSlow => "the body did not come within 10 seconds",
            Self::Nonsense(why) => return why.clone(),
            Self::OtherMaster => {
                "the running gateway seals under another master secret than the first of `secret` \
                 in this file, so nothing was done: reload the gateway (SIGHUP) and run this again"
            }
            Self::Operate(error) => return error.to_string(),
        }
        .to_owned()
    }

    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = answer(self.status(), &json!({ "error": self.sentence() }));
        let headers = response.headers_mut();
        match self {
            Self::Token => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method(method) => {
                let method = HeaderValue::from_str(method.as_str()).expect("a method is a word");
                headers.insert(ALLOW, method);
            }
            _ => {}
        }
        response
    }
}

impl From<OperateError> for Refusal {
    fn from(error: OperateError) -> Self {
        Self::Operate(error)
    }
}

/// What was asked for.
pub(super) fn done(value: &Value) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, value)
}

fn answer(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn status(error: &OperateError) -> StatusCode {
    match error {
        OperateError::Nobody(_) | OperateError::NoSession(_) => StatusCode::NOT_FOUND,
        OperateError::Several(..)
        | OperateError::Rekey(RekeyError::Busy)
        | OperateError::Keys(KeysError::Foreign | KeysError::Unreadable) => StatusCode::CONFLICT,
        OperateError::Search(_)
        | OperateError::Halfway(..)
        | OperateError::Store(_)
        | OperateError::NoKeys
        | OperateError::Keys(KeysError::Unavailable(_))
        | OperateError::Rekey(RekeyError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
