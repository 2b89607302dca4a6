//! Who a browser is on the simulated GitHub: a cookie remembers.

use http::{HeaderValue, StatusCode, header};
use url::form_urlencoded;

use super::{
    authorize::AUTHORIZE,
    github::Shared,
    record::{Recorded, lock},
    web::{Reply, first, redirect},
    world::PersonKey,
};

const COOKIE: &str = "simulated_github_user";

/// Whom this browser's cookie names.
pub(super) fn remembered(shared: &Shared, request: &Recorded) -> Option<PersonKey> {
    let cookies = request.headers.iter().filter(|(name, _)| name == "cookie");
    let mut pairs = cookies.flat_map(|(_, value)| value.split(';'));
    let ours = |pair: &str| pair.trim().strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned);
    let login = pairs.find_map(ours)?;
    let login = form_urlencoded::parse(login.as_bytes()).next()?.0;
    lock(&shared.world).find(&login)
}

/// The login goes in percent-encoded: whatever a test calls people, the cookie is well-formed.
pub(super) fn remember(mut reply: Reply, login: &str) -> Reply {
    let login: String = form_urlencoded::byte_serialize(login.as_bytes()).collect();
    set_cookie(&mut reply, &format!("{COOKIE}={login}; Path=/; HttpOnly; SameSite=Lax"));
    reply
}

/// `/logout`: forgets the person; goes back only to this GitHub's own flow.
pub(super) fn log_out(request: &Recorded) -> Reply {
    let query = request.query();
    let own = |to: &&str| to.starts_with(AUTHORIZE);
    let to = first(&query, "return_to").filter(own).unwrap_or("/");
    let mut reply = redirect(StatusCode::SEE_OTHER, to);
    let gone = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    set_cookie(&mut reply, &gone);
    reply
}

fn set_cookie(reply: &mut Reply, cookie: &str) {
    let value = HeaderValue::from_str(cookie).expect("our cookies are ASCII");
    reply.headers_mut().append(header::SET_COOKIE, value);
}
