//! Signing in through the control service: the way there, and the way back.

use http::{HeaderValue, StatusCode, header};

use super::{
    Shared,
    answer::{Answered, Refusal, error, temporary_redirect},
    control, oauth, redirect, token_for,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{Reply, decode, encode, first},
};

const COOKIE: &str = "control_auth_frontend_redirect";
/// Of the cookie, in seconds.
const LIFE: u32 = 600;

/// `GET /api/v1/auth/github`: remembers where it is to end, unchecked, and sends the browser to the
/// control service. There is no state.
pub(super) fn start(shared: &Shared, request: &Recorded) -> Reply {
    if let Some(reply) = oauth::start(shared, request) {
        return reply;
    }
    let callback = format!("{}/api/v1/auth/control/callback", redirect::base(shared, request));
    let query = encode([&("redirect_uri".to_owned(), callback)]);
    let control = shared.setting(|of| of.control.clone());
    let mut reply = temporary_redirect(&format!("{control}/auth/github?{query}"));
    let target = redirect::wanted(shared, request);
    set_cookie(&mut reply, request, target.as_deref().map(|target| (target, LIFE)));
    reply
}

/// `GET /api/v1/auth/control/callback`: whoever brings a token that the control service takes is
/// signed in as whom it names.
pub(super) async fn finish(shared: &Shared, request: &Recorded) -> Reply {
    let target = cookie(request);
    let finished = exchange(shared, request, target.as_deref()).await;
    let mut reply = finished.unwrap_or_else(Refusal::reply);
    set_cookie(&mut reply, request, None);
    reply
}

async fn exchange(shared: &Shared, request: &Recorded, target: Option<&str>) -> Answered {
    const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
    let query = request.query();
    let word = first(&query, "token").map(str::trim).filter(|word| !word.is_empty());
    let missing = || error(StatusCode::BAD_REQUEST, "Controller token is required");
    let word = word.ok_or_else(missing)?;
    let (token, who) = control::validate(shared, word)
        .await
        .map_err(|why| error(StatusCode::UNAUTHORIZED, why))?;
    if shared.setting(|of| of.demo) {
        return Err(error(StatusCode::SERVICE_UNAVAILABLE, "Database not available"));
    }
    let now = shared.clock.unix();
    let user = {
        let mut database = lock(&shared.database);
        let user = database.users.synchronize(&who, now);
        let user = user.map_err(|_| error(BROKEN, "Failed to synchronize user"))?;
        database.sessions.insert(user.id, token);
        user
    };
    let to = redirect::with_token(shared, target, &token_for(shared, &user));
    let to = to.ok_or_else(|| error(BROKEN, "Frontend redirect URL not configured"))?;
    Ok(temporary_redirect(&to))
}

/// The cookie's address, if it is one.
fn cookie(request: &Recorded) -> Option<String> {
    let lines = request.headers.iter().filter(|(name, _)| name == "cookie");
    let mut pairs = lines.flat_map(|(_, line)| line.split(';')).map(str::trim);
    let value = pairs.find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='))?;
    redirect::normalize(&decode(&value.replace('+', " ")))
}

/// Sets the cookie, or takes it away.
fn set_cookie(reply: &mut Reply, request: &Recorded, target: Option<(&str, u32)>) {
    let (value, age) = target.unwrap_or_default();
    let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let secure = redirect::part(request, "x-forwarded-proto")
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let secure = if secure { "; Secure" } else { "" };
    let line = format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly{secure}; SameSite=Lax");
    let line = HeaderValue::from_str(&line).expect("what is encoded is plain text");
    reply.headers_mut().append(header::SET_COOKIE, line);
}
