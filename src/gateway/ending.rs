//! Ending sessions, and what goes with an account's last one.

use super::{Gateway, Request};
use crate::github::Asking;
use crate::session::SessionKey;
use crate::store::{Left, StoredCredential, Unavailable};

// === impl Gateway ===

impl Gateway {
    /// Ends a session everywhere; an error means that it may not be over.
    pub(super) async fn end_session(
        &self,
        request: &Request<'_>,
        key: SessionKey,
        account: u64,
    ) -> Result<(), Unavailable> {
        let asking = request.snapshot.asking();
        // Read before: a sign-in that comes in between writes newer ones, which stay.
        let tokens = self.tokens.credentials().read(&asking.keys, account).await?;
        let left = self.sessions.end(&asking.keys, key, self.clock.now()).await?;
        match tokens {
            Some(tokens) if left == Left::None => {
                self.forget(tokens, asking, request.config().github.revoke_tokens).await
            }
            _ => Ok(()),
        }
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
