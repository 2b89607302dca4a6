//! A refresh token for a new pair: `grant_type=refresh_token` at the token endpoint.

use super::{
    github::Shared,
    record::{Recorded, lock},
    refusal::{Refusal, WRONG_REFRESH_TOKEN},
    tokens::Token,
    web::{Pairs, first},
};

/// How a form asks for it.
pub(super) const GRANT: &str = "refresh_token";

/// Whether this request is one for a new pair, whatever comes of it.
pub(super) fn attempted(request: &Recorded) -> bool {
    request.method == "POST"
        && request.path() == super::exchange::PATH
        && first(&request.form(), "grant_type") == Some(GRANT)
}

/// Uses the refresh token up: from now on it and the old access token are dead.
pub(super) fn refresh(shared: &Shared, form: &Pairs) -> Result<Token, Refusal> {
    let given = first(form, "refresh_token").unwrap_or_default();
    let mut world = lock(&shared.world);
    let now = world.now();
    world.tokens.renew(given, now).ok_or(WRONG_REFRESH_TOKEN)
}
