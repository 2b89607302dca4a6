//! The attempts of a browser: each sealed in a cookie of its own, so that tabs do not meet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use subtle::ConstantTimeEq;

use super::Request;
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::login::{AT_ONCE, LIFE, LoginAttempt};

fn attempt_row<'r>(request: &'r Request<'_>) -> [&'r [u8]; 2] {
    [b"login-attempt", request.target.host().as_bytes()]
}

/// The cookie of a new attempt.
pub(super) fn attempt_cookie(request: &Request<'_>, attempt: &LoginAttempt) -> HeaderValue {
    let plain = serde_json::to_vec(attempt).expect("an attempt is plain JSON");
    let sealed = request.config().keys.seal_attempt(&attempt_row(request), &plain);
    let name = attempt_name(request, &attempt.state);
    request.jar().set(&name, &URL_SAFE_NO_PAD.encode(sealed), LIFE)
}

fn attempt_name(request: &Request<'_>, state: &str) -> String {
    format!("{}{}", request.jar().login(), LoginAttempt::cookie_suffix(state))
}

/// Removes the cookie of an attempt.
pub(super) fn clear_attempt(request: &Request<'_>, attempt: &LoginAttempt) -> HeaderValue {
    request.jar().clear(&attempt_name(request, &attempt.state))
}

fn open_attempt(request: &Request<'_>, value: &str) -> Option<LoginAttempt> {
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let plain = request.config().keys.open_attempt(&attempt_row(request), &sealed)?;
    serde_json::from_slice(&plain).ok()
}

/// The attempt of this browser that a `state` belongs to.
pub(super) fn find_attempt(request: &Request<'_>, state: &str) -> Option<LoginAttempt> {
    if !stands(Defence::State) {
        return attempts(request).next().map(|(_, attempt)| attempt);
    }
    let name = attempt_name(request, state);
    attempts(request)
        .find(|(found, attempt)| {
            *found == name && bool::from(attempt.state.as_bytes().ct_eq(state.as_bytes()))
        })
        .map(|(_, attempt)| attempt)
}

fn attempts<'r>(request: &'r Request<'_>) -> impl Iterator<Item = (&'r str, LoginAttempt)> {
    cookie::pairs(request.headers)
        .filter(|(name, _)| name.starts_with(request.jar().login()))
        .take(4 * AT_ONCE)
        .filter_map(|(name, value)| Some((name, open_attempt(request, value)?)))
}

/// Cookies that make room for one more attempt: the oldest go, and whatever does not open.
pub(super) fn forget_oldest(request: &Request<'_>) -> Vec<HeaderValue> {
    let jar = request.jar();
    let mut known: Vec<_> = cookie::pairs(request.headers)
        .filter(|(name, _)| name.starts_with(jar.login()))
        .take(8 * AT_ONCE)
        .filter(|(name, _)| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
        .map(|(name, value)| (open_attempt(request, value).map(|attempt| attempt.started), name))
        .collect();
    known.sort_unstable();
    let surplus = (known.len() + 1).saturating_sub(AT_ONCE);
    known.into_iter().take(surplus).map(|(_, name)| jar.clear(name)).collect()
}
