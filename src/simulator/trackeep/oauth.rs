//! Signing in as the version before did: the browser brings a signed token, which the service is shown
//! again. What it says of GitHub is taken without a look at its signature, and kept in the instance's own.

use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::{
    Shared,
    answer::{Answered, Refusal, error, fine, temporary_redirect},
    control::{ControllerUser, Repository, User},
    github, redirect, strict, token, token_with,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{Reply, encode, first},
};

#[derive(Default, Deserialize)]
struct Validated {
    #[serde(rename = "token")]
    _token: Option<String>,
    user: Option<User>,
}

/// Whether this is the version before.
pub(super) fn is_spoken(shared: &Shared) -> bool {
    shared.setting(|of| of.oauth_service.is_some())
}

/// `GET /api/v1/auth/github`: where it is to end travels in the callback's own query.
pub(super) fn start(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let service = shared.setting(|of| of.oauth_service.clone())?;
    let mut callback = format!("{}/api/v1/auth/oauth/callback", redirect::base(shared, request));
    if let Some(target) = redirect::wanted(shared, request) {
        callback = format!("{callback}?{}", encode([&("frontend_redirect".to_owned(), target)]));
    }
    let query = encode([&("redirect_uri".to_owned(), callback)]);
    Some(temporary_redirect(&format!("{service}/auth/github?{query}")))
}

/// `GET /api/v1/auth/oauth/callback`.
pub(super) async fn finish(shared: &Shared, request: &Recorded) -> Answered {
    const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
    let query = request.query();
    let missing = || error(StatusCode::BAD_REQUEST, "No token provided");
    let word = first(&query, "token").filter(|word| !word.is_empty()).ok_or_else(missing)?;
    let who = validate(shared, word).await.ok_or_else(|| unauthorized("Invalid OAuth token"))?;
    if shared.setting(|of| of.demo) {
        return Err(error(StatusCode::SERVICE_UNAVAILABLE, "Database not available"));
    }
    let now = shared.clock.unix();
    let user = lock(&shared.database).users.synchronize(&who, now);
    let user = user.map_err(|_| error(BROKEN, "Failed to synchronize user"))?;
    let parts = word.split('.').count();
    if parts != 3 {
        return Err(unauthorized("Invalid OAuth token claims"));
    }
    let own = token_with(shared, &user, token::said(word, "access_token").as_deref());
    let to = redirect::with_token(shared, first(&query, "frontend_redirect"), &own);
    let to = to.ok_or_else(|| error(BROKEN, "Frontend redirect URL not configured"))?;
    Ok(temporary_redirect(&to))
}

/// The repositories, with the token for GitHub that the bearer's own token holds.
pub(super) async fn repositories(shared: &Shared, request: &Recorded) -> Answered {
    let bearer = request.header("authorization").unwrap_or_default();
    let held = token::said(bearer, "access_token").filter(|token| !token.is_empty());
    let missing = "GitHub access token not found. Please reconnect GitHub.";
    let held = held.ok_or_else(|| error(StatusCode::BAD_REQUEST, missing))?;
    let listed = "/user/repos?type=owner&sort=updated&per_page=100";
    let failed = |why: String| {
        error(StatusCode::INTERNAL_SERVER_ERROR, format!("Failed to fetch repos: {why}"))
    };
    let body = github::at_github(shared, listed, &held).await.map_err(failed)?;
    let repos: Vec<Repository> =
        serde_json::from_slice(&body).map_err(|why| failed(why.to_string()))?;
    Ok(fine(&json!({ "repos": repos })))
}

fn unauthorized(words: &str) -> Refusal {
    error(StatusCode::UNAUTHORIZED, words)
}

/// Whom the service says that a token is for: 200 alone will do.
async fn validate(shared: &Shared, word: &str) -> Option<ControllerUser> {
    let service = shared.setting(|of| of.oauth_service.clone())?;
    let request = shared
        .outside
        .client()
        .ok()?
        .post(format!("{service}/api/v1/auth/oauth/callback"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(json!({ "token": word }).to_string());
    let answer = request.send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    let found: Validated = strict::read(&answer.bytes().await.ok()?).ok()?;
    Some(found.user.unwrap_or_default().into())
}
