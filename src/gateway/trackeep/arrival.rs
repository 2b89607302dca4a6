//! The page on which a visitor arrives at an instance: it tells the instance's pages that somebody is
//! signed in, and who, with a placeholder for the token that they never get.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response};

use super::super::action::Answer;
use super::super::{LiveSession, Request};
use super::seat::{self, Seat};
use crate::cookie;
use crate::keys::random;
use crate::reason::Reason;
use crate::return_to::ReturnTo;

const TEMPLATE: &str = include_str!("arrival.html");

/// The longest that browsers keep a cookie (RFC 6265bis §5.5).
const KNOWN_FOR: Duration = Duration::from_secs(400 * 86_400);

/// What the cookie says while a browser that has just signed out goes to the page for that.
const LEFT: &str = "left";

/// How long it may take to get there.
const ON_THE_WAY: Duration = Duration::from_secs(60);

/// Where the instance's pages go after its own sign-out.
const SIGN_IN: &str = "/login";

/// The instance's first page.
pub(super) const HOME: &str = "/app";

/// Where the instance's own sign-in ends.
const BACK: &str = "/auth/callback";

/// Where the instance's pages go when they find nobody signed in, and where they come from then.
const OUTSIDE: &[&str] = &["", SIGN_IN, BACK];

/// Whether a visitor comes to the instance by a page, and this browser's pages do not know who it is:
/// they never did, somebody else was here before, or they have forgotten.
pub(super) fn is_due(request: &Request<'_>, live: &LiveSession) -> bool {
    is_page(request) && (is_outside(request.target.path()) || !is_known_here(request, live))
}

/// The same where the instance's own pages keep its token, and come by one of theirs with it.
pub(super) fn is_new_here(request: &Request<'_>, live: &LiveSession) -> bool {
    let brings_token = request.target.path().trim_end_matches('/') == BACK;
    is_page(request) && !brings_token && !is_known_here(request, live)
}

fn is_page(request: &Request<'_>) -> bool {
    let is_of_api = request.target.path().starts_with("/api/");
    *request.method == Method::GET && !is_of_api && request.is_navigation()
}

/// With or without a slash at the end: the pages read both alike.
fn is_outside(path: &str) -> bool {
    OUTSIDE.contains(&path.trim_end_matches('/'))
}

/// Whether a page that is asked for with a token is asked for with the visitor's own: the pages of the
/// instance take any for theirs, and a link may carry somebody else's.
pub(super) fn brings_own_token(request: &Request<'_>, live: &LiveSession) -> bool {
    if !is_page(request) {
        return true;
    }
    match request.parameter("token") {
        Ok(None) => true,
        Ok(Some(token)) => seat::is_of(&token, live.account.id),
        Err(_) => false,
    }
}

/// Whether a script shows the visitor's own token of the instance.
pub(super) fn shows_own_token(request: &Request<'_>, live: &LiveSession) -> bool {
    let shown = request.headers.get(AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let token = shown.map(|shown| shown.strip_prefix("Bearer ").unwrap_or(shown));
    token.is_some_and(|token| seat::is_of(token, live.account.id))
}

/// Whether the pages of this browser were told of this very account.
fn is_known_here(request: &Request<'_>, live: &LiveSession) -> bool {
    let account = live.account.id.to_string();
    knows(request, &account)
}

/// Whether a browser goes where the instance's pages go once it has signed out there.
pub(super) fn has_left(request: &Request<'_>) -> bool {
    is_page(request) && request.target.path() == SIGN_IN && knows(request, LEFT)
}

fn knows(request: &Request<'_>, word: &str) -> bool {
    cookie::values(request.headers, request.jar().instance()).any(|known| known == word)
}

/// The page, which goes on to what was asked for.
pub(super) fn page(request: &Request<'_>, live: &LiveSession, seat: &Seat) -> Answer {
    let nonce = STANDARD.encode(random::<16>());
    let html = TEMPLATE
        .replace("{{nonce}}", &nonce)
        .replace("{{onward}}", &onward(request))
        // Last, for it may hold anything.
        .replace("{{user}}", &literal(&seat.user));
    let mut response = Response::new(Bytes::from(html));
    *response.headers_mut() = headers(&nonce, response.body().len());
    response.headers_mut().append(SET_COOKIE, mark(request, live));
    Answer { response, reason: Reason::Endpoint }
}

/// The cookie that says whom this browser's pages know. It opens nothing.
pub(super) fn mark(request: &Request<'_>, live: &LiveSession) -> HeaderValue {
    let jar = request.jar();
    jar.set(jar.instance(), &live.account.id.to_string(), KNOWN_FOR)
}

/// The cookie that says that nobody is known, and why.
pub(super) fn left(request: &Request<'_>) -> HeaderValue {
    let jar = request.jar();
    jar.set(jar.instance(), LEFT, ON_THE_WAY)
}

/// Removes it.
pub(super) fn forget(request: &Request<'_>) -> HeaderValue {
    let jar = request.jar();
    jar.clear(jar.instance())
}

/// The same address again, with what only the browser knows of it; from outside the page that
/// the instance's own sign-in would lead to.
fn onward(request: &Request<'_>) -> String {
    let path = request.target.path();
    if !is_outside(path) && path != super::GITHUB_SIGN_IN {
        return "location.reload();".to_owned();
    }
    let next = request.parameter("next").ok().flatten().filter(|_| path == SIGN_IN);
    let next = next.map(|next| ReturnTo::on(request.here(), &next));
    let next = next.as_ref().map(ReturnTo::path).filter(|next| !is_outside(bare(next)));
    format!("location.replace({});", literal(next.unwrap_or(HOME)))
}

fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// A text as a literal of a script within a page: nothing in it can end the script.
fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '{' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn headers(nonce: &str, length: usize) -> HeaderMap {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("base64 is plain ASCII");
    let mut headers: HeaderMap = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ]
    .into_iter()
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .collect();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_literal_ends_the_script() {
        for (text, written) in [
            ("plain", r#""plain""#),
            ("{{user}}", r#""\u007b\u007buser}}""#),
            ("</script><!--", r#""\u003c/script\u003e\u003c!--""#),
            ("\"; alert(1); \"\\", r#""\"; alert(1); \"\\""#),
            ("a&b\u{2028}\n", r#""a\u0026b\u2028\n""#),
        ] {
            assert_eq!(literal(text), written);
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
        }
    }
}
