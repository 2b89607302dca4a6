//! A credential: what GitHub gave the gateway to ask in somebody's name, and when to renew it.
//!
//! OAuth apps get a token that lasts; GitHub Apps one of eight hours and a refresh token that works
//! once. <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens>

use std::time::Duration;

use crate::clock::Time;
use crate::secret::Secret;

/// The tokens of an account. Every change has another version.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Counts the changes from anywhere: a result that is based on another one is discarded.
    pub version: u64,
    /// What GitHub gave.
    pub grant: Grant,
    /// Whether GitHub still takes the refresh token, as far as is known.
    pub is_lost: bool,
}

/// What GitHub gave at a sign-in or a refresh.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token.
    pub access: Secret<String>,
    /// When it ends; `None` for tokens that last.
    pub access_ends: Option<Time>,
    /// The refresh token, where there is one.
    pub refresh: Option<Secret<String>>,
    /// When the refresh token ends.
    pub refresh_ends: Option<Time>,
    /// The scopes that were granted; none for GitHub Apps.
    pub scopes: Vec<String>,
}

/// What a credential needs before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// It is good, and ends soon: a refresh beside the use.
    RefreshSoon,
    /// It has ended: a refresh before the use.
    RefreshNow,
    /// The person has to sign in again.
    SignIn,
}

/// An access token is renewed so long before its end.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// A token that ends within this is not used any more: it may end on its way.
const LAST_MOMENT: Duration = Duration::from_secs(10);

// === impl Credential ===

impl Credential {
    /// What it needs before it is used now.
    pub fn need(&self, now: Time) -> Need {
        let Some(end) = self.grant.access_ends else { return Need::Nothing };
        let can_refresh = self.can_refresh(now);
        match (now + LAST_MOMENT < end, can_refresh) {
            (true, true) if now + AHEAD >= end => Need::RefreshSoon,
            (true, _) => Need::Nothing,
            (false, true) => Need::RefreshNow,
            (false, false) => Need::SignIn,
        }
    }

    /// Whether there is a refresh token that may be good.
    pub fn can_refresh(&self, now: Time) -> bool {
        !self.is_lost
            && self.grant.refresh.is_some()
            && self.grant.refresh_ends.is_none_or(|end| now < end)
    }

    /// The same, known to be of no use.
    #[must_use]
    pub fn ended(mut self, now: Time) -> Self {
        self.is_lost = true;
        self.grant.access_ends = Some(now);
        self
    }

    /// Whether both hold the same tokens.
    pub fn is_same_grant(&self, other: &Self) -> bool {
        self.grant.access.matches(other.grant.access.expose().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn credential(access_ends: Option<i64>, refresh_ends: Option<i64>) -> Credential {
        let token = || Secret::new("token".to_owned());
        let grant = Grant {
            access: token(),
            access_ends: access_ends.map(at),
            refresh: refresh_ends.map(|_| token()),
            refresh_ends: refresh_ends.map(at),
            scopes: vec![],
        };
        Credential { version: 1, grant, is_lost: false }
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end_where_it_can_be() {
        use Need::{Nothing, RefreshNow, RefreshSoon, SignIn};
        for (access, refresh, now, need) in [
            (None, None, 1_000_000, Nothing),
            (Some(10_000), Some(90_000), 9_399, Nothing),
            (Some(10_000), Some(90_000), 9_400, RefreshSoon),
            (Some(10_000), Some(90_000), 9_989, RefreshSoon),
            (Some(10_000), Some(90_000), 9_990, RefreshNow),
            (Some(10_000), Some(90_000), 89_999, RefreshNow),
            (Some(10_000), Some(90_000), 90_000, SignIn),
            (Some(10_000), None, 9_900, Nothing),
            (Some(10_000), None, 10_000, SignIn),
        ] {
            assert_eq!(credential(access, refresh).need(at(now)), need, "{access:?} {now}");
        }
    }

    #[test]
    fn a_lost_refresh_token_is_not_tried_again() {
        let lost = Credential { is_lost: true, ..credential(Some(10_000), Some(90_000)) };
        assert_eq!(lost.need(at(9_900)), Need::Nothing, "the access token is good to its end");
        assert_eq!(lost.need(at(10_000)), Need::SignIn);
    }

    #[test]
    fn what_is_of_no_use_is_not_used() {
        for known in [credential(None, None), credential(Some(10_000), Some(90_000))] {
            assert_eq!(known.ended(at(5_000)).need(at(5_000)), Need::SignIn);
        }
    }
}
