//! Withdrawals: whether somebody has ended the authorisation at GitHub, and what follows. A token
//! that is refused proves it only where no refresh explains it and GitHub says that it is dead.

use std::time::Duration;

use super::ending::Cause;
use super::recheck::{Rechecks, Trouble};
use crate::clock::Time;
use crate::credential::Credential;
use crate::defence::{Defence, stands};
use crate::github::{Asking, TokenError};
use crate::store::{AccountRecord, Principal, Unavailable};

/// A token that GitHub refuses twice, so far apart, is dead, even if GitHub does not say so.
const REFUSED_TWICE: Duration = Duration::from_secs(2);

// === impl Rechecks ===

impl Rechecks {
    /// Somebody is said to have withdrawn the authorisation: ends what rests on it if that is so.
    /// `false` when it is not. Where no token is held there is nothing to ask with.
    pub(super) async fn check_authorization(
        &self,
        asking: &Asking,
        account: u64,
    ) -> Result<bool, Trouble> {
        // One at a time, and not beside a re-check.
        let _turn = self.flight(asking.keys.realm(), account).lock_owned().await;
        let mut found = match self.tokens.usable(asking, account).await {
            Ok(found) => found,
            Err(TokenError::SignInAgain) => {
                let stored = self.tokens.credentials().read(&asking.keys, account).await?;
                let version = stored.map(|stored| stored.credential.version);
                return Ok(self.revoke(asking, account, version).await?);
            }
            Err(error) => return Err(error.into()),
        };
        loop {
            if stands(Defence::WebhookCheck) && asking.github.is_alive(&found.grant.access).await? {
                return Ok(false);
            }
            match self.successor(asking, account, &found).await? {
                Some(newer) => found = newer,
                None => return Ok(self.revoke(asking, account, Some(found.version)).await?),
            }
        }
    }

    /// Ends whatever rests on an account's authorisation at GitHub, which is gone. `false` when
    /// somebody has signed in with another version of the tokens since.
    async fn revoke(
        &self,
        asking: &Asking,
        account: u64,
        dead: Option<u64>,
    ) -> Result<bool, Unavailable> {
        let (keys, now) = (&asking.keys, self.clock.now());
        let credentials = self.tokens.credentials();
        let record = self.sessions.accounts().read(keys, account).await?;
        // Read after the list: a session that is not in it stays, and so do its tokens.
        let stored = credentials.read(keys, account).await?;
        if stored.as_ref().is_some_and(|stored| Some(stored.credential.version) != dead) {
            return Ok(false);
        }
        let doomed: Vec<_> = record.iter().flat_map(AccountRecord::all_sessions).collect();
        for key in doomed {
            self.sessions.end(keys, account, key, now).await?;
            Cause::Revoked.count(&self.metrics, 1);
        }
        self.github_api.forget_all(Principal::User { realm: keys.realm(), id: account }).await;
        if let Some(stored) = stored {
            credentials.remove(keys, &stored, now).await?;
        }
        tracing::info!(user.id = account, "the authorisation was withdrawn at GitHub: signed out");
        Ok(true)
    }

    /// GitHub refused a token: the one to use in its place, or `None` when it is alive all the
    /// same. Ends the sessions where it is dead and nothing takes its place.
    pub(super) async fn after_refusal(
        &self,
        asking: &Asking,
        account: u64,
        credential: &Credential,
        refused: &mut Option<(u64, Time)>,
    ) -> Result<Option<Credential>, Trouble> {
        let version = credential.version;
        // Refreshed meanwhile, which ends the old token: no refusal of the person.
        if let Some(newer) = self.tokens.newer(asking, account, version).await? {
            return Ok(Some(newer));
        }
        if !self.is_dead(asking, credential, refused).await? {
            return Ok(None);
        }
        if let Some(newer) = self.successor(asking, account, credential).await? {
            return Ok(Some(newer));
        }
        if credential.is_lost {
            // Its end was lost on the way, and is no news of the person.
            self.tokens.end(asking, account, version).await?;
            return Err(Trouble::SignInAgain);
        }
        let is_over = self.revoke(asking, account, Some(version)).await?;
        Err(if is_over { Trouble::Revoked } else { Trouble::PutOff })
    }

    /// What takes the place of a dead token: another node may be refreshing it just now, which ends
    /// it before the new one is written down. So a refresh decides, if there can be one.
    async fn successor(
        &self,
        asking: &Asking,
        account: u64,
        dead: &Credential,
    ) -> Result<Option<Credential>, Trouble> {
        let found = if dead.can_refresh(self.clock.now()) {
            self.tokens.refreshed(asking, account, dead.version).await.map(Some)
        } else {
            self.tokens.newer(asking, account, dead.version).await
        };
        match found {
            Ok(found) => Ok(found.filter(|found| found.version != dead.version)),
            Err(TokenError::SignInAgain) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a token that GitHub refuses is dead, for it also refuses living ones in bad moments.
    async fn is_dead(
        &self,
        asking: &Asking,
        credential: &Credential,
        refused: &mut Option<(u64, Time)>,
    ) -> Result<bool, Trouble> {
        let (now, version) = (self.clock.now(), credential.version);
        let first = refused.filter(|(of, _)| *of == version).map_or(now, |(_, first)| first);
        match asking.github.is_alive(&credential.grant.access).await {
            Ok(is_alive) => {
                *refused = None;
                Ok(!is_alive)
            }
            Err(_) if now.since(first) >= REFUSED_TWICE => Ok(true),
            Err(error) => {
                *refused = Some((version, first));
                Err(error.into())
            }
        }
    }
}
