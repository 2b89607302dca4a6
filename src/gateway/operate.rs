//! What operators do: see and end sessions, see and rotate signing keys, see what GitHub leaves to
//! whom, seal the store's rows under a new master.

use std::collections::HashSet;

use super::ending::Cause;
use super::{Gateway, Snapshot};
use crate::github::api::Tallied;
use crate::github::budgets::Known;
use crate::identity::{Login, UserPattern};
use crate::keys::KeyInfo;
use crate::session::SessionKey;
use crate::store::{
    AccountRecord, Changed, KeysError, Listed, News, Rekey, RekeyError, RekeyPlace, Rekeyed,
    Unavailable,
};

/// Why an operator does not get what was asked for. `Display` is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The account has no sessions.
    #[error(
        "nobody is signed in as `{0}`, so nothing was done; logins change: an account's number, as \
         in `id:583231`, stays"
    )]
    Nobody(UserPattern),
    /// A login that was given up and taken by somebody else.
    #[error("`{0}` was the login of several accounts: {numbers}; name one by its number", numbers = numbers(.1))]
    Several(Login, Vec<u64>),
    /// The session is not there.
    #[error("there is no session `{0}`, so nothing was done; it may have ended before")]
    NoSession(SessionKey),
    /// The accounts cannot be searched.
    #[error("{0}; an account's number, as in `id:583231`, takes no search of the store")]
    Search(Unavailable),
    /// Some sessions were ended, and then the store gave no answer.
    #[error("{1}; {0} sessions were ended before, and the others may not be: run it again")]
    Halfway(usize, Unavailable),
    /// The store gave no answer.
    #[error("{0}; it is not known whether anything was done: run it again")]
    Store(#[from] Unavailable),
    /// The signing keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No signing key has been had so far.
    #[error("this gateway has had no signing keys from the store so far; its log says why")]
    NoKeys,
    /// A page was not sealed anew.
    #[error(transparent)]
    Rekey(#[from] RekeyError),
}

/// What a rotation of the signing keys came to.
#[derive(Debug)]
pub struct Rotation {
    /// Whether this node did it; else another did so at the same moment.
    pub is_ours: bool,
    /// Whether the other nodes were told; else they see it within a minute.
    pub is_announced: bool,
}

/// What is known of one budget at GitHub.
#[derive(Debug)]
pub struct Budgeted {
    /// What GitHub leaves.
    pub known: Known,
    /// What became of the requests that would be charged to it.
    pub tallied: Option<Tallied>,
}

// === impl Budgeted ===

impl Budgeted {
    /// Whoever must wait comes first, then whoever has the least left.
    fn urgency(&self) -> impl Ord + use<> {
        let left = self.known.standings.iter().map(|standing| standing.remaining);
        (self.known.paused.is_none(), left.min().unwrap_or(u32::MAX))
    }
}

// === impl OperateError ===

impl OperateError {
    fn halfway(ended: usize, unavailable: Unavailable) -> Self {
        if ended == 0 { unavailable.into() } else { Self::Halfway(ended, unavailable) }
    }
}

// === impl Gateway ===

impl Gateway {
    /// The sessions of an account, the one used last first.
    pub async fn sessions_of(
        &self,
        snapshot: &Snapshot,
        user: &UserPattern,
    ) -> Result<Vec<Listed>, OperateError> {
        let account = self.account_meant(snapshot, user).await?;
        let keys = &snapshot.config.keys;
        let listed = self.sessions.list(keys, account, self.clock.now()).await?;
        if listed.is_empty() {
            return Err(OperateError::Nobody(user.clone()));
        }
        Ok(listed)
    }

    /// Ends all sessions of an account, on every host and node, and returns how many.
    pub async fn end_sessions_of(
        &self,
        snapshot: &Snapshot,
        user: &UserPattern,
    ) -> Result<usize, OperateError> {
        let account = self.account_meant(snapshot, user).await?;
        let keys = &snapshot.config.keys;
        let mut ended = HashSet::new();
        // Again until there are no more: one that was ended may have made an API key meanwhile.
        loop {
            let record = self.sessions.accounts().read(keys, account).await;
            let record =
                record.map_err(|unavailable| OperateError::halfway(ended.len(), unavailable))?;
            let mut doomed: Vec<_> = record.iter().flat_map(AccountRecord::all_sessions).collect();
            doomed.retain(|key| !ended.contains(key));
            if doomed.is_empty() {
                break;
            }
            for key in doomed {
                self.end_session(snapshot, key, account, Cause::Operator)
                    .await
                    .map_err(|unavailable| OperateError::Halfway(ended.len(), unavailable))?;
                ended.insert(key);
            }
        }
        if ended.is_empty() {
            return Err(OperateError::Nobody(user.clone()));
        }
        tracing::info!(user.id = account, sessions = ended.len(), "an operator ended sessions");
        Ok(ended.len())
    }

    /// Ends one session, on every host and node.
    pub async fn end_one_session(
        &self,
        snapshot: &Snapshot,
        key: SessionKey,
    ) -> Result<(), OperateError> {
        let account = self.sessions.account_of(&snapshot.config.keys, key).await?;
        let account = account.ok_or(OperateError::NoSession(key))?;
        self.end_session(snapshot, key, account, Cause::Operator).await?;
        tracing::info!(user.id = account, "an operator ended a session");
        Ok(())
    }

    /// What is known of the budgets at GitHub, the most urgent first.
    pub fn github_budgets(&self) -> Vec<Budgeted> {
        let with_tally = |known: Known| {
            let tallied = self.github_api.tally().of(&known.key);
            Budgeted { known, tallied }
        };
        let every = self.github_api.budgets().every();
        let mut listed: Vec<_> = every.into_iter().map(with_tally).collect();
        listed.sort_by_key(Budgeted::urgency);
        listed
    }

    /// What is known of the signing keys.
    pub fn key_list(&self) -> Result<Vec<KeyInfo>, OperateError> {
        let keys = self.signing_keys.list(self.clock.now());
        if keys.is_empty() { Err(OperateError::NoKeys) } else { Ok(keys) }
    }

    /// Makes a new signing key, which signs once every verifier knows it; or, for a key that was
    /// stolen, at once and alone.
    pub async fn rotate_keys(
        &self,
        snapshot: &Snapshot,
        at_once: bool,
    ) -> Result<Rotation, OperateError> {
        let (keys, now) = (&snapshot.config.keys, self.clock.now());
        let changed = if at_once {
            self.signing_keys.rotate_at_once(keys, now).await?
        } else {
            self.signing_keys.rotate(keys, now).await?
        };
        let announced = self.sessions.announce(keys, &News::SigningKeys).await;
        if let Err(unavailable) = &announced {
            tracing::warn!("the other nodes learn of the new signing key late: {unavailable}");
        }
        tracing::info!(at_once, "an operator rotated the signing keys");
        Ok(Rotation { is_ours: changed == Changed::Rotated, is_announced: announced.is_ok() })
    }

    /// Seals a page of the store's rows under the newest master, and with the last the signing keys.
    pub async fn rekey(
        &self,
        snapshot: &Snapshot,
        place: &RekeyPlace,
    ) -> Result<Rekeyed, OperateError> {
        let (config, now) = (&snapshot.config, self.clock.now());
        let (store, keys) = (self.store.clone(), config.keys.clone());
        let done = Rekey::new(store, keys, config.session.lifetime, now).page(place).await?;
        if done.next.is_none() {
            self.signing_keys.reseal(&config.keys, now).await?;
            tracing::info!("an operator had the store sealed under the newest master secret");
        }
        Ok(done)
    }

    /// The number of the account that is meant.
    async fn account_meant(
        &self,
        snapshot: &Snapshot,
        user: &UserPattern,
    ) -> Result<u64, OperateError> {
        let login = match user {
            UserPattern::Id(id) => return Ok(*id),
            UserPattern::Login(login) => login,
        };
        let accounts = self.sessions.accounts();
        let found = accounts.with_login(&snapshot.config.keys, login).await;
        let found: Vec<_> = found.map_err(OperateError::Search)?.into_iter().collect();
        match found.as_slice() {
            [] => Err(OperateError::Nobody(user.clone())),
            [account] => Ok(*account),
            _ => Err(OperateError::Several(login.clone(), found)),
        }
    }
}

fn numbers(accounts: &[u64]) -> String {
    accounts.iter().map(|id| format!("`id:{id}`")).collect::<Vec<_>>().join(", ")
}
