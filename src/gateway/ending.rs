//! Ending sessions, and what goes with an account's last one.

use super::{Gateway, LiveSession, Request, Snapshot};
use crate::github::Asking;
use crate::metrics::Metrics;
use crate::session::SessionKey;
use crate::store::{Doomed, Left, Principal, StoredCredential, Unavailable};

/// What ends a session before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its visitor signed out there.
    SignOut,
    /// Its visitor ended it from another session.
    EndedByOwner,
    /// A new sign-in in the same browser.
    Replaced,
    /// The authorisation was withdrawn at GitHub.
    Revoked,
    /// An operator ended it.
    Operator,
    /// What it was made with came twice.
    Replayed,
}

// === impl Cause ===

impl Cause {
    /// The word that the metric has for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::SignOut => "sign-out",
            Self::EndedByOwner => "ended-by-owner",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Operator => "operator",
            Self::Replayed => "replayed",
        }
    }

    /// Counts sessions that it ended.
    pub(super) fn count(self, metrics: &Metrics, ended: usize) {
        let ended = u64::try_from(ended).unwrap_or(u64::MAX);
        metrics.sessions_ended.with_label_values(&[self.word()]).inc_by(ended);
    }
}

// === impl Gateway ===

impl Gateway {
    /// Ends a session everywhere; an error means that it may not be over.
    pub(super) async fn end_session(
        &self,
        snapshot: &Snapshot,
        key: SessionKey,
        account: u64,
        cause: Cause,
    ) -> Result<(), Unavailable> {
        let asking = snapshot.asking();
        // Read before: a sign-in that comes in between writes newer ones, which stay.
        let tokens = self.tokens.credentials().read(&asking.keys, account).await?;
        let left = self.sessions.end(&asking.keys, account, key, self.clock.now()).await?;
        cause.count(&self.metrics, 1);
        if left == Left::None {
            self.github_api
                .forget_all(Principal::User { realm: asking.keys.realm(), id: account })
                .await;
        }
        match tokens {
            Some(tokens) if left == Left::None => {
                self.forget(tokens, asking, snapshot.config.github.revoke_tokens).await
            }
            _ => Ok(()),
        }
    }

    /// Ends all sessions of a visitor but the one that asks; API keys go on. With an error some may
    /// not be over.
    pub(super) async fn end_others(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        cause: Cause,
    ) -> Result<(), Unavailable> {
        self.end_all(request, live, Doomed::SignInsBut(live.key), cause).await
    }

    /// Ends all sessions and API keys of a visitor. The one that asks goes last: until all others are over it
    /// stays, so that the visitor can ask again.
    pub(super) async fn end_everywhere(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        cause: Cause,
    ) -> Result<(), Unavailable> {
        self.end_all(request, live, Doomed::AllBut(live.key), cause).await?;
        self.end_session(request.snapshot, live.key, live.account.id, cause).await
    }

    async fn end_all(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        doomed: Doomed,
        cause: Cause,
    ) -> Result<(), Unavailable> {
        let (keys, now) = (&request.config().keys, self.clock.now());
        let ended = self.sessions.end_all(keys, live.account.id, doomed, now).await?;
        cause.count(&self.metrics, ended);
        Ok(())
    }

    /// Forgets the tokens that nobody is signed in with any more.
    async fn forget(
        &self,
        tokens: StoredCredential,
        asking: Asking,
        revokes: bool,
    ) -> Result<(), Unavailable> {
        let credentials = self.tokens.credentials();
        if credentials.remove(&asking.keys, &tokens, self.clock.now()).await? && revokes {
            tokio::spawn(async move {
                if let Err(error) = asking.github.revoke(&tokens.credential.grant.access).await {
                    tracing::warn!("a token could not be revoked at GitHub: {error}");
                }
            });
        }
        Ok(())
    }
}
