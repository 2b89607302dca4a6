//! One token of an installation: its word, its scope and its life.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::moment;
use super::{InstallationId, Scope, ScopeHash};
use crate::clock::Time;
use crate::github::GitHubError;
use crate::secret::Secret;
use crate::store::SharedToken;

/// A token by which the app acts for an installation. Its word is opaque: GitHub's have 40
/// characters, or about 520 with two dots in them.
#[derive(Debug)]
pub struct InstallationToken {
    word: Secret<String>,
    /// Whose it is.
    pub installation: InstallationId,
    /// By which scope it was asked for.
    pub scope: ScopeHash,
    /// What it allows, in GitHub's words: `contents` to `read`.
    pub permissions: BTreeMap<String, String>,
    /// Since when it is held, by this clock.
    pub minted: Time,
    /// When GitHub takes it no more, by this clock.
    pub ends: Time,
}

/// What there is to do about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is good.
    Nothing,
    /// It is good, and its end is near.
    Soon,
    /// It may end on its way to GitHub.
    Now,
}

/// GitHub's answer with a token in it.
#[derive(Deserialize)]
pub(super) struct Minted {
    token: String,
    expires_at: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    repository_selection: Option<String>,
}

/// So long before its end a token is renewed beside its use.
const RENEW_AHEAD: Duration = Duration::from_secs(300);

/// So long before its end nobody sets out with it.
const TOO_LATE: Duration = Duration::from_secs(60);

/// GitHub may need so long until all of it knows a new token.
const YOUNG: Duration = Duration::from_secs(5);

/// After these pauses a young token is tried again that GitHub did not know.
const TRY_AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Longer ones than this do not fit beside other headers everywhere.
const LONGEST_WORD: usize = 2048;

pub(super) const WHAT: &str = "/app/installations/{installation_id}/access_tokens";

// === impl InstallationToken ===

impl InstallationToken {
    /// The word itself, for `Authorization: Bearer`.
    pub fn word(&self) -> &Secret<String> {
        &self.word
    }

    /// Whether GitHub may not know it everywhere yet, so that a 401 does not mean its end.
    pub fn is_young(&self, now: Time) -> bool {
        now.since(self.minted) < YOUNG
    }

    /// How long to wait before this token is tried again that got 401 now; `None` when it is of no
    /// use any more. `tries` counts the earlier ones.
    pub fn pause_after_401(&self, tries: usize, now: Time) -> Option<Duration> {
        TRY_AGAIN_AFTER.get(tries).copied().filter(|_| self.is_young(now))
    }

    /// The token as other nodes read it. `ahead` is by how much GitHub's clock is ahead, in seconds.
    pub(super) fn shared(&self, ahead: i64) -> SharedToken {
        let at_github = |time: Time| Time::from_unix(time.unix().saturating_add(ahead));
        SharedToken {
            word: self.word.expose().clone(),
            permissions: self.permissions.clone(),
            minted: at_github(self.minted),
            ends: at_github(self.ends),
        }
    }

    /// A token that another node has had from GitHub.
    pub(super) fn of_another_node(
        shared: &SharedToken,
        installation: InstallationId,
        scope: ScopeHash,
        ahead: i64,
    ) -> Self {
        let here = |time: Time| Time::from_unix(time.unix().saturating_sub(ahead));
        Self {
            word: Secret::new(shared.word.clone()),
            installation,
            scope,
            permissions: shared.permissions.clone(),
            minted: here(shared.minted),
            ends: here(shared.ends),
        }
    }

    /// Whether it was surely given after something that happened at a moment, whatever the clocks.
    pub(super) fn is_from_after(&self, moment: Time) -> bool {
        self.minted > moment + YOUNG
    }

    /// Whether it is still good at all.
    pub(super) fn lives(&self, now: Time) -> bool {
        now < self.ends
    }

    pub(super) fn need(&self, now: Time) -> Need {
        // A clock that jumped back makes no token live longer than GitHub's hour.
        if now + TOO_LATE >= self.ends || now + YOUNG < self.minted {
            Need::Now
        } else if now + RENEW_AHEAD >= self.ends {
            Need::Soon
        } else {
            Need::Nothing
        }
    }
}

// === impl Minted ===

impl Minted {
    /// The token, if it is what was asked for. `ahead` is by how much GitHub's clock is ahead, in
    /// seconds.
    pub(super) fn token(
        self,
        installation: InstallationId,
        scope: &Scope,
        now: Time,
        ahead: i64,
    ) -> Result<InstallationToken, GitHubError> {
        let word = Secret::new(self.token);
        let malformed = |why: &str| GitHubError::Malformed(WHAT, why.to_owned());
        let fits = (1..=LONGEST_WORD).contains(&word.expose().len())
            && word.expose().bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(malformed("the token is none that fits a header"));
        }
        if scope.is_of_some() && self.repository_selection.as_deref() == Some("all") {
            return Err(malformed("the token is for more repositories than were asked for"));
        }
        let ends = moment::of_json(&self.expires_at)
            .ok_or_else(|| malformed("the token does not say when it ends"))?;
        Ok(InstallationToken {
            word,
            installation,
            scope: scope.hash(),
            permissions: self.permissions,
            minted: now,
            ends: Time::from_unix(ends.unix().saturating_sub(ahead)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_795_235_820);

    fn minted(token: &str, ends: &str, selection: &str) -> Minted {
        let json = serde_json::json!({
            "token": token, "expires_at": ends, "permissions": { "contents": "read" },
            "repository_selection": selection,
        });
        serde_json::from_value(json).unwrap()
    }

    fn token() -> InstallationToken {
        let minted = minted("ghs_x", "2026-11-21T05:37:00Z", "all");
        minted.token(InstallationId(1), &Scope::whole(), NOW, 0).unwrap()
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end() {
        let token = token();
        let after = |seconds| token.need(NOW + Duration::from_secs(seconds));
        assert_eq!([after(0), after(3299)], [Need::Nothing; 2]);
        assert_eq!([after(3300), after(3539)], [Need::Soon; 2]);
        assert_eq!([after(3540), after(3600), after(90_000)], [Need::Now; 3]);
        assert_eq!(token.need(NOW - Duration::from_secs(3600)), Need::Now);
        assert!(token.lives(NOW + Duration::from_secs(3599)));
        assert!(!token.lives(NOW + Duration::from_secs(3600)));
    }

    #[test]
    fn its_end_is_by_the_clock_here() {
        for (ahead, ends) in [(0, 3600), (300, 3300), (-300, 3900)] {
            let minted = minted("ghs_x", "2026-11-21T05:37:00Z", "all");
            let token = minted.token(InstallationId(1), &Scope::whole(), NOW, ahead).unwrap();
            assert_eq!(token.ends, NOW + Duration::from_secs(ends));
        }
    }

    #[test]
    fn a_young_token_is_tried_twice_more() {
        let token = token();
        let second = Duration::from_secs(1);
        assert_eq!(token.pause_after_401(0, NOW), Some(second));
        assert_eq!(token.pause_after_401(1, NOW + second), Some(2 * second));
        assert_eq!(token.pause_after_401(2, NOW + second), None);
        assert_eq!(token.pause_after_401(0, NOW + 5 * second), None);
    }

    #[test]
    fn an_answer_that_cannot_be_meant_is_no_token() {
        let fine = "2026-11-21T05:37:00Z";
        let some = Scope::whole().of_repository_ids([1]).unwrap();
        let whole = Scope::whole();
        let long = format!("ghs_{}", "x".repeat(2044));
        assert!(minted(&long, fine, "all").token(InstallationId(1), &whole, NOW, 0).is_ok());
        let too_long = format!("{long}x");
        for (token, ends, selection, scope) in [
            ("", fine, "all", &whole),
            ("ghs_x\r\nx: y", fine, "all", &whole),
            (too_long.as_str(), fine, "all", &whole),
            ("ghs_x", "tomorrow", "all", &whole),
            ("ghs_x", fine, "all", &some),
        ] {
            let minted = minted(token, ends, selection);
            let error = minted.token(InstallationId(1), scope, NOW, 0).unwrap_err();
            assert!(!error.to_string().contains("ghs_"), "{error}");
        }
        assert!(minted("ghs_x", fine, "selected").token(InstallationId(1), &some, NOW, 0).is_ok());
    }

    #[test]
    fn debug_shows_no_word() {
        assert!(!format!("{:?}", token()).contains("ghs_"));
    }
}
