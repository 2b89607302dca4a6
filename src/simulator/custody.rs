//! What tests ask and change about tokens.

use std::sync::atomic::Ordering;

use super::{github::Simulator, record::lock, scopes, tokens::ExpiringTokens};

// === impl Simulator ===

impl Simulator {
    /// Makes the app a GitHub App: from now on the tokens it gets expire and come with a refresh
    /// token, and permissions stand in for scopes. With `None`, how it starts, it is an OAuth app,
    /// whose tokens live until somebody ends them.
    pub fn expire_tokens(&self, lives: Option<ExpiringTokens>) {
        lock(&self.shared.world).tokens.expiring = lives;
    }

    /// A token of this person with these scopes (separated by spaces), without any flow.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn token_for(&self, person: &str, scopes: &str) -> String {
        let at_most = self.shared.knobs.tokens_together();
        let mut world = lock(&self.shared.world);
        let person = world.find(person).expect("the person is in the cast");
        let now = world.now();
        world.tokens.issue(person, scopes::normalise(scopes), now, at_most).word
    }

    /// The refresh token that goes with this access token, even when that one has expired.
    pub fn refresh_token_of(&self, access_token: &str) -> Option<String> {
        lock(&self.shared.world).tokens.refresh_token(access_token).map(str::to_owned)
    }

    /// Somebody's live access tokens, oldest first; none if nobody is called so.
    pub fn tokens_of(&self, person: &str) -> Vec<String> {
        let world = lock(&self.shared.world);
        let Some(person) = world.find(person) else { return Vec::new() };
        let tokens = world.tokens.of(person, world.now());
        tokens.into_iter().map(|token| token.word.clone()).collect()
    }

    /// Whether the API still takes this access token.
    pub fn is_alive(&self, token: &str) -> bool {
        let world = lock(&self.shared.world);
        world.tokens.live(token, world.now()).is_some()
    }

    /// How many times a refresh token was used up for a new pair.
    pub fn refreshes(&self) -> usize {
        lock(&self.shared.world).tokens.renewed()
    }

    /// How many times somebody tried, whatever came of it.
    pub fn refresh_attempts(&self) -> usize {
        self.shared.refresh_attempts.load(Ordering::Relaxed)
    }

    /// Makes an access token invalid, and its refresh token; `false` if it was already.
    pub fn revoke_token(&self, token: &str) -> bool {
        lock(&self.shared.world).tokens.revoke(token)
    }

    /// Somebody's live tokens have these scopes (separated by spaces) from now on, whatever they had.
    pub fn rescope_tokens(&self, login: &str, scopes: &str) {
        let mut world = lock(&self.shared.world);
        if let Some(key) = world.find(login) {
            world.tokens.rescope(key, &scopes::normalise(scopes));
        }
    }

    /// Somebody withdraws the app's authorisation: all their tokens die, consent is asked anew.
    pub fn revoke_grant(&self, login: &str) {
        let mut world = lock(&self.shared.world);
        if let Some(key) = world.find(login) {
            world.revoke_grant(key);
        }
    }
}
