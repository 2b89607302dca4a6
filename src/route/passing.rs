//! What is changed in a request on its way to the app, beside the identity that goes with it.

use std::fmt;

use http::{HeaderName, HeaderValue, Method};

/// What a route changes. By default nothing, and that costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// Parameters of the query that do not pass with a visitor's request.
    pub strip_query: Vec<Box<str>>,
    /// Fields of the client that do not pass, in whatever spelling a framework takes for them.
    pub strip_headers: Vec<HeaderName>,
    /// The cookie that goes where no other does.
    pub placeholder_cookie: Option<HeaderValue>,
    /// What `X-Forwarded-For` says.
    pub forwarded_for: ForwardedFor,
    /// What is sent once more when a kept connection turns out to be closed.
    pub resend: Resend,
}

/// What `X-Forwarded-For` says of a client behind a trusted proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedFor {
    /// The client and the proxy that spoke for it.
    #[default]
    Chain,
    /// The client alone.
    Client,
}

/// What may be sent a second time after an answer that did not come: RFC 9110 §9.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resend {
    /// Whatever does no more when it is done twice: PUT and DELETE are among it.
    #[default]
    Idempotent,
    /// What changes nothing.
    Safe,
}

// === impl Passing ===

impl Passing {
    /// Whether a field of the client does not pass: CGI and its heirs take `X_Session_ID` for
    /// `X-Session-ID`, and some drop the punctuation altogether.
    pub fn strips(&self, name: &HeaderName) -> bool {
        !self.strip_headers.is_empty()
            && self.strip_headers.iter().any(|unwanted| letters(unwanted).eq(letters(name)))
    }
}

fn letters(name: &HeaderName) -> impl Iterator<Item = u8> {
    name.as_str().bytes().filter(u8::is_ascii_alphanumeric)
}

// === impl Resend, ForwardedFor ===

impl Resend {
    /// Whether a request with this method may be sent once more.
    pub fn takes(self, method: &Method) -> bool {
        match self {
            Self::Idempotent => method.is_idempotent(),
            Self::Safe => method.is_safe(),
        }
    }
}

impl fmt::Display for Resend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idempotent => "idempotent",
            Self::Safe => "safe",
        })
    }
}

impl fmt::Display for ForwardedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Client => "client",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_stripped_in_every_spelling() {
        let strip_headers = vec![HeaderName::from_static("x-session-id")];
        let passing = Passing { strip_headers, ..Passing::default() };
        for (name, is) in [
            ("x-session-id", true),
            ("x_session_id", true),
            ("x.session-id", true),
            ("xsessionid", true),
            ("x-session-ids", false),
            ("x-session", false),
            ("session-id", false),
        ] {
            assert_eq!(passing.strips(&HeaderName::from_static(name)), is, "{name}");
        }
        assert!(!Passing::default().strips(&HeaderName::from_static("x-session-id")));
    }

    #[test]
    fn a_write_may_be_sent_once_more_where_that_does_no_more() {
        for (method, resends) in [
            (Method::GET, [true, true]),
            (Method::PUT, [true, false]),
            (Method::DELETE, [true, false]),
            (Method::POST, [false, false]),
            (Method::PATCH, [false, false]),
        ] {
            let found = [Resend::Idempotent, Resend::Safe].map(|resend| resend.takes(&method));
            assert_eq!(found, resends, "{method}");
        }
    }
}
