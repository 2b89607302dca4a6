//! Who calls the API with a user's token.

use http::StatusCode;

use super::{
    cast::Person,
    github::Shared,
    outcome::Outcome,
    record::{Recorded, lock},
    scopes,
    tokens::Rights,
    world::PersonKey,
};

const LOCKED_OUT: &str = "Maximum number of login attempts exceeded. Please try again later.";

/// What the caller is: a token's person and rights.
pub(super) struct Caller {
    pub(super) key: PersonKey,
    pub(super) person: Person,
    pub(super) rights: Rights,
}

// === impl Caller ===

impl Caller {
    /// Whom the request's token stands for; with one that is dead, whoever it was has failed once.
    pub(super) fn identify(shared: &Shared, request: &Recorded) -> Result<Self, Outcome> {
        let unauthorized = |words| Outcome::error(StatusCode::UNAUTHORIZED, words);
        let given = bearer(request).ok_or_else(|| unauthorized("Requires authentication"))?;
        let limit = shared.knobs.locks_out();
        let mut world = lock(&shared.world);
        let now = world.now();
        let live = world.tokens.live(given, now).cloned();
        let whose = live.as_ref().map(|token| token.person).or(world.tokens.former(given));
        if limit.is_some() && whose.is_some_and(|person| world.lock_outs.holds(person, now)) {
            return Err(Outcome::error(StatusCode::FORBIDDEN, LOCKED_OUT));
        }
        let Some(token) = live else {
            if let (Some(limit), Some(person)) = (limit, whose) {
                world.lock_outs.failed(person, now, limit);
            }
            return Err(unauthorized("Bad credentials"));
        };
        let person = world.person(token.person).clone();
        Ok(Self { key: token.person, person, rights: token.rights })
    }

    /// Whether the token gives what any of these scopes would.
    pub(super) fn allows(&self, any: &[&str]) -> bool {
        match &self.rights {
            Rights::Scopes(granted) => any.iter().any(|scope| scopes::allow(granted, scope)),
            Rights::Permissions => true,
        }
    }
}

/// The token shown, whatever it is worth.
pub(super) fn bearer(request: &Recorded) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    let ours = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    ours.then(|| token.trim())
}
