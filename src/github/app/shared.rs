//! Which node asks for a token: of those that share a store, one at a time, and the others take what it
//! got.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::installations::{Installations, Job};
use super::token::Need;
use super::{AppError, InstallationId, InstallationToken, Scope};
use crate::clock::Time;
use crate::github::Client;
use crate::keys::Keys;
use crate::store::{Lease, Unavailable};

/// Who asks.
enum Turn {
    /// Nobody: another node has just done so.
    Nobodys(InstallationToken),
    /// This node, for all.
    Ours(Lease),
    /// This node, for itself: the store is of no help.
    Alone,
}

/// How often somebody who waits for another node looks whether it is done,
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// and how long one waits for it, and for the store: a token more does no harm.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the store may take to write a token down, or to forget one.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

// === impl Installations ===

impl Installations {
    /// A token from GitHub, or the one that another node has just had from there; and the word for
    /// metrics.
    pub(super) async fn obtain(
        &self,
        job: &Job,
    ) -> Result<(InstallationToken, &'static str), AppError> {
        let lease = match self.turn(job).await {
            Turn::Nobodys(token) => return Ok((token, "shared")),
            Turn::Ours(lease) => Some(lease),
            Turn::Alone => None,
        };
        let result = self.ask(job).await;
        if let Some(lease) = lease {
            let token = result.as_ref().ok();
            let shared = timeout(WRITTEN_WITHIN, self.share(job, token, &lease)).await;
            if !matches!(shared, Ok(Ok(()))) {
                tracing::debug!("other nodes cannot have a token of this node's");
            }
        }
        Ok((result?, "minted"))
    }

    /// What GitHub says of an installation makes what other nodes share of it useless.
    pub async fn forget_shared(&self, github: &Client, keys: &Keys, installation: InstallationId) {
        let Ok(place) = Self::place(github, installation, &Scope::whole()) else { return };
        let name = place.bytes();
        let removed = timeout(WRITTEN_WITHIN, self.shared.remove(keys, &name.parts())).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::debug!("a token of an installation is still in the store");
        }
    }

    async fn turn(&self, job: &Job) -> Turn {
        match timeout(PATIENCE, self.turn_by_store(job)).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(unavailable)) => {
                tracing::debug!("a token is asked for without other nodes: {unavailable}");
                Turn::Alone
            }
            Err(_) => Turn::Alone,
        }
    }

    async fn turn_by_store(&self, job: &Job) -> Result<Turn, Unavailable> {
        let name = job.place.bytes();
        loop {
            if let Some(token) = self.found(job).await? {
                return Ok(Turn::Nobodys(token));
            }
            let lease = self.shared.lease(&job.keys, &name.parts(), self.clock.now()).await?;
            let Some(lease) = lease else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            // Somebody may have been done between the two.
            let Some(token) = self.found(job).await? else { return Ok(Turn::Ours(lease)) };
            self.shared.release(&lease, self.clock.now()).await?;
            return Ok(Turn::Nobodys(token));
        }
    }

    /// The token that is shared, if it is good for a while, and from after what is known of its
    /// installation.
    async fn found(&self, job: &Job) -> Result<Option<InstallationToken>, Unavailable> {
        let (name, place) = (job.place.bytes(), &job.place);
        let Some(shared) = self.shared.read(&job.keys, &name.parts()).await? else {
            return Ok(None);
        };
        let ahead = self.jwt.ahead();
        let token =
            InstallationToken::of_another_node(&shared, place.installation, place.scope, ahead);
        let is_good = token.need(self.clock.now()) == Need::Nothing
            && self.dropped_at(place.installation).is_none_or(|at| token.is_from_after(at));
        Ok(is_good.then_some(token))
    }

    /// Has other nodes find a token, and lets the next one ask.
    async fn share(
        &self,
        job: &Job,
        token: Option<&InstallationToken>,
        lease: &Lease,
    ) -> Result<(), Unavailable> {
        if let Some(token) = token {
            let (name, shared) = (job.place.bytes(), token.shared(self.jwt.ahead()));
            self.shared.write(&job.keys, &name.parts(), &shared, token.ends).await?;
        }
        self.shared.release(lease, self.clock.now()).await
    }

    /// When it was last heard that an installation is another than before, or gone.
    fn dropped_at(&self, installation: InstallationId) -> Option<Time> {
        let of_all = *self.all_dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        of_all.max(self.dropped.get(&installation).map(|at| *at))
    }
}
