//! The scopes of people's tokens, which people can take away at GitHub while the token stays: what
//! somebody was shown by more rights than are left is not shown again without asking.
//! <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use quick_cache::sync::Cache;

use super::Api;
use crate::defence::{Defence, stands};
use crate::store::{Principal, Validation};

/// What GitHub said last of each person's token.
pub(super) struct Scopes(Cache<Principal, Arc<str>>);

const SCOPES: HeaderName = HeaderName::from_static("x-oauth-scopes");

/// People whose scopes are remembered, each in some hundred bytes.
const MOST: usize = 20_000;

// === impl Api ===

impl Api {
    /// Heeds what GitHub says of a token with its answer. `shown` is what the asker was shown there
    /// before, perhaps by another process.
    pub(super) async fn heed_scopes(
        &self,
        who: Principal,
        answer: &HeaderMap,
        shown: Option<&Validation>,
    ) {
        let Some(scopes) = of(answer).filter(|_| who.user().is_some()) else { return };
        let before = shown.and_then(|shown| of(&shown.headers));
        if self.scopes.are_fewer(who, scopes, before) && stands(Defence::Scopes) {
            tracing::info!("a token has fewer scopes than before: what it was shown is forgotten");
            Box::pin(self.forget_all(who)).await;
        }
    }

    /// Notes the scopes that GitHub says a person's token has, asked by the gateway itself.
    pub async fn note_scopes(&self, who: Principal, scopes: &str) {
        if self.scopes.are_fewer(who, scopes, None) && stands(Defence::Scopes) {
            self.forget_all(who).await;
        }
    }

    /// Whether the asker's token has all the scopes that it had when this was shown, as far as is
    /// known: another process may have kept it.
    pub(super) fn has_scopes_of(&self, who: Principal, shown: &Validation) -> bool {
        let Some(then) = of(&shown.headers) else { return true };
        let now = self.scopes.0.get(&who);
        now.is_none_or(|now| is_within(then, &now)) || !stands(Defence::Scopes)
    }
}

// === impl Scopes ===

impl Scopes {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Notes the scopes of a person's token, and says whether one of those is gone that it had, or had
    /// as `shown` tells.
    fn are_fewer(&self, who: Principal, scopes: &str, shown: Option<&str>) -> bool {
        let before = self.0.get(&who);
        if before.as_deref() != Some(scopes) {
            self.0.insert(who, scopes.into());
        }
        let known = [before.as_deref(), shown];
        known.into_iter().flatten().any(|had| !is_within(had, scopes))
    }
}

fn of(fields: &HeaderMap) -> Option<&str> {
    fields.get(SCOPES).and_then(|scopes| scopes.to_str().ok())
}

/// Whether each of these scopes is one of the others by name. That `repo` gives what `public_repo` does
/// is not known here, and costs a question.
fn is_within(some: &str, all: &str) -> bool {
    some == all || words(some).all(|scope| words(all).any(|other| other == scope))
}

fn words(scopes: &str) -> impl Iterator<Item = &str> {
    scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTOCAT: Principal = Principal::User { realm: 1, id: 1 };
    const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

    #[test]
    fn scopes_that_are_gone_are_noticed_once() {
        let scopes = Scopes::new();
        for (said, are_fewer) in [
            ("gist, repo", false),
            ("gist, repo", false),
            ("repo,gist", false),
            ("gist, repo, user:email", false),
            ("gist, user:email", true),
            ("gist, user:email", false),
            ("", true),
            ("repo", false),
        ] {
            assert_eq!(scopes.are_fewer(OCTOCAT, said, None), are_fewer, "{said}");
        }
        assert!(!scopes.are_fewer(HUBOT, "", None), "somebody else's");
    }

    #[test]
    fn what_another_process_kept_tells_of_the_scopes_of_then() {
        let scopes = Scopes::new();
        assert!(!scopes.are_fewer(OCTOCAT, "gist, repo", Some("repo")));
        assert!(scopes.are_fewer(OCTOCAT, "gist, repo", Some("repo, user")));
    }
}
