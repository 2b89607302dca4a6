//! What a route changes in requests on their way to the app.

use http::{HeaderName, HeaderValue, header};

use super::super::field::{At, Field};
use super::super::raw::Route;
use super::super::report::Fault;
use super::super::scalar::{Text, not};
use super::Check;
use crate::cookie;
use crate::route::{ForwardedFor, Passing, Resend};

/// Fields without which a request is none, or another one.
const NEEDED: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::COOKIE,
    header::EXPECT,
];

// === impl Check ===

impl Check<'_> {
    pub(super) fn passing(&mut self, raw: &Route) -> Passing {
        let forwarded_for =
            [ForwardedFor::Chain, ForwardedFor::Client].map(|way| (way.to_string(), way));
        let resend = [Resend::Idempotent, Resend::Safe].map(|what| (what.to_string(), what));
        Passing {
            strip_query: words(&raw.strip_query),
            strip_headers: self.header_names(&raw.strip_headers),
            placeholder_cookie: raw.placeholder_cookie.given().and_then(|at| self.cookie(at)),
            forwarded_for: self
                .word(&raw.forwarded_for, "a form of `X-Forwarded-For`", &named(&forwarded_for))
                .unwrap_or_default(),
            resend: self
                .word(&raw.resend, "a kind of requests", &named(&resend))
                .unwrap_or_default(),
        }
    }

    fn header_names(&mut self, field: &Field<Vec<At<Text>>>) -> Vec<HeaderName> {
        field.items().iter().filter_map(|at| self.header_name(at)).collect()
    }

    fn header_name(&mut self, at: &At<Text>) -> Option<HeaderName> {
        let text = at.value.0.as_str();
        let Ok(name) = text.parse::<HeaderName>() else {
            self.problem(
                &at.place,
                not(text, "the name of a header field").note("as in `X-Session-ID`"),
            );
            return None;
        };
        if NEEDED.contains(&name) {
            let fault = Fault::new(format!("a request is not complete without its `{text}`"));
            self.problem(&at.place, fault.help("leave it out"));
        }
        Some(name)
    }

    fn cookie(&mut self, at: &At<Text>) -> Option<HeaderValue> {
        let text = at.value.0.as_str();
        let fits = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let is_cookie = text.split_once('=').is_some_and(|(name, value)| fits(name) && fits(value));
        let Some(value) = HeaderValue::from_str(text).ok().filter(|_| is_cookie) else {
            let fault =
                not(text, "a cookie").note("letters, digits, `-`, `_` and `.`, as in `gk=1`");
            self.problem(&at.place, fault);
            return None;
        };
        if cookie::sets_ours(&value) {
            let fault = Fault::new("this is a name of the gateway's own cookies");
            self.problem(&at.place, fault.suggest(Some("gk=1")));
        }
        Some(value)
    }
}

/// Names, in whatever letter case.
pub(super) fn words(field: &Field<Vec<At<Text>>>) -> Vec<Box<str>> {
    field.items().iter().map(|at| at.value.0.as_str().into()).collect()
}

fn named<T: Copy>(words: &[(String, T); 2]) -> [(&str, T); 2] {
    words.each_ref().map(|(word, value)| (word.as_str(), *value))
}
