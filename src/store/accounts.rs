//! Accounts: what GitHub said of somebody, shared by all their sessions, and which sessions are
//! theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use serde::{Deserialize, Serialize};

use super::named::Named;
use super::rows::{Row, Rows};
use super::unread::Unread;
use super::{Store, Table, Unavailable, is_swept};
use crate::clock::Time;
use crate::identity::{Identity, Login};
use crate::keys::{Digest, Keys};
use crate::session::SessionKey;

/// All accounts that have sessions.
pub struct Accounts {
    store: Arc<dyn Store>,
    /// Those of the sessions that this process holds open, by realm and number.
    known: DashMap<(u64, u64), Arc<Account>>,
}

/// An account whose sessions this process holds open.
#[derive(Debug)]
pub struct Account {
    /// The account's number at its GitHub.
    pub id: u64,
    /// What its clients have still to take.
    pub unread: Unread,
    profile: ArcSwap<Profile>,
}

/// What GitHub said of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Who it is.
    pub identity: Identity,
    /// When GitHub said so.
    pub checked: Time,
}

/// GitHub's `ETag`s by what was asked, so that asking again costs no rate limit.
pub type Validators = BTreeMap<String, String>;

/// What is kept of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountRecord {
    /// What GitHub said last.
    pub profile: Profile,
    /// By which to ask again.
    pub validators: Validators,
    sessions: Vec<Listed>,
}

/// One session in the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listed {
    key: SessionKey,
    expires: Time,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_api_key: bool,
    /// The instance of the broker's that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<Box<str>>,
}

/// Whether an API key came onto the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Enlisted {
    /// And these are too many of its instance's.
    Yes(Vec<SessionKey>),
    /// There are as many as there may be.
    TooMany,
    /// The session that asked for it is not on the list any more.
    Over,
}

/// What became of an account when one of its sessions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It has other sessions.
    Others,
    /// That was the last.
    None,
}

/// Sessions of one account without its API keys; the oldest gives way.
const MOST_SESSIONS: usize = 500;

/// Sessions of one account that one instance has; the oldest gives way, for it keeps the newest.
const MOST_OF_AN_INSTANCE: usize = 10;

/// API keys of one account; none gives way.
pub const MOST_API_KEYS: usize = 50;

// === impl Accounts ===

impl Accounts {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: DashMap::new() }
    }

    /// Notes a sign-in: what GitHub said, and the new session. Returns the sessions that are one
    /// too many.
    pub(super) async fn sign_in(
        &self,
        keys: &Keys,
        profile: &Profile,
        validators: &Validators,
        (key, expires): (SessionKey, Time),
    ) -> Result<(Arc<Account>, Vec<SessionKey>), Unavailable> {
        let mut surplus = Vec::new();
        self.update(keys, profile.identity.id, |old| {
            let mut sessions = old.map_or_else(Vec::new, |old| old.sessions);
            // A while later, as everywhere: a clock that jumps must not strike off what still lives.
            sessions.retain(|entry| !is_swept(entry.expires, profile.checked));
            sessions.push(Listed { key, expires, is_api_key: false, instance: None });
            surplus = take_surplus(&mut sessions);
            let (profile, validators) = (profile.clone(), validators.clone());
            Some(AccountRecord { profile, validators, sessions })
        })
        .await?;
        Ok((self.adopt(keys, profile.clone()), surplus))
    }

    /// Notes an API key, or an instance's session, that a session of the account asked for. Once that session is over it gets
    /// no more, so that whoever ends all sessions finds every key on the list.
    pub(super) async fn enlist(
        &self,
        keys: &Keys,
        (id, owner): (u64, SessionKey),
        (key, expires): (SessionKey, Time),
        instance: Option<Box<str>>,
        now: Time,
    ) -> Result<Enlisted, Unavailable> {
        let mut enlisted = Enlisted::Over;
        self.update(keys, id, |old| {
            enlisted = Enlisted::Over;
            let mut record = old.filter(|old| old.all_sessions().any(|key| key == owner))?;
            if instance.is_none() && record.is_full(now) {
                enlisted = Enlisted::TooMany;
                return None;
            }
            let surplus = record.take_surplus_of(instance.as_deref());
            let instance = instance.clone();
            record.sessions.push(Listed { key, expires, is_api_key: true, instance });
            enlisted = Enlisted::Yes(surplus);
            Some(record)
        })
        .await?;
        Ok(enlisted)
    }

    /// Notes that a session goes on until then at least.
    pub(super) async fn prolong(
        &self,
        keys: &Keys,
        id: u64,
        key: SessionKey,
        end: Time,
    ) -> Result<(), Unavailable> {
        self.update(keys, id, |old| {
            let mut record = old?;
            let entry = record.sessions.iter_mut().find(|entry| entry.key == key)?;
            entry.expires = entry.expires.max(end);
            Some(record)
        })
        .await
    }

    /// Notes what GitHub said of an account that has sessions, and makes it count at once. What
    /// somebody noted since `before` was read stays: it was said later.
    pub async fn renew(
        &self,
        keys: &Keys,
        before: Time,
        profile: &Profile,
        validators: &Validators,
    ) -> Result<(), Unavailable> {
        let mut counts = None;
        self.update(keys, profile.identity.id, |old| {
            let old = old?;
            if old.profile.checked != before {
                counts = Some(old.profile);
                return None;
            }
            counts = Some(profile.clone());
            let (profile, validators) = (profile.clone(), validators.clone());
            Some(AccountRecord { profile, validators, ..old })
        })
        .await?;
        if let Some(profile) = counts {
            self.adopt(keys, profile);
        }
        Ok(())
    }

    /// What is kept of an account.
    pub async fn read(&self, keys: &Keys, id: u64) -> Result<Option<AccountRecord>, Unavailable> {
        Ok(self.find(keys, id).await?.and_then(|(_, row)| row.value))
    }

    /// The numbers of the accounts with sessions that had this login when GitHub was asked last.
    /// Reads every account; who has a number need not.
    pub async fn with_login(
        &self,
        keys: &Keys,
        login: &Login,
    ) -> Result<BTreeSet<u64>, Unavailable> {
        let (mut found, mut from) = (BTreeSet::new(), None);
        loop {
            let page = self.store.scan(Table::Account, from.as_deref()).await?;
            let records = page.rows.into_iter().filter_map(|(name, sealed)| {
                self.rows(keys).row::<AccountRecord>(&name, sealed).value
            });
            let identities = records.map(|record| record.profile.identity);
            found.extend(identities.filter(|who| who.login == *login).map(|who| who.id));
            from = page.next;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    /// The account of a session, from this process or from the store: GitHub spoke of it when the
    /// session began, perhaps to another node, and that counts.
    pub(super) async fn open(
        &self,
        keys: &Keys,
        id: u64,
        begun: Time,
    ) -> Result<Option<Arc<Account>>, Unavailable> {
        if let Some(known) = self.known.get(&(keys.realm(), id))
            && known.profile().checked >= begun
        {
            return Ok(Some(known.clone()));
        }
        let Some(record) = self.read(keys, id).await? else { return Ok(None) };
        // Of several that load at once, one stays: all sessions must see the same renewals.
        let known = self.known.entry((keys.realm(), id));
        let known = known.or_insert_with(|| Account::new(record.profile.clone())).clone();
        if known.profile().checked < record.profile.checked {
            known.profile.store(Arc::new(record.profile));
        }
        Ok(Some(known))
    }

    /// Reads again what another node has changed.
    pub(super) async fn refresh(&self, keys: &Keys, id: u64) -> Result<(), Unavailable> {
        if self.known.contains_key(&(keys.realm(), id))
            && let Some(record) = self.read(keys, id).await?
        {
            self.adopt(keys, record.profile);
        }
        Ok(())
    }

    /// Takes a session off the list of its account. The account goes with its last session.
    pub(super) async fn forget_session(
        &self,
        keys: &Keys,
        id: u64,
        key: SessionKey,
        now: Time,
    ) -> Result<Left, Unavailable> {
        let mut left = Left::Others;
        self.update(keys, id, |old| {
            let mut record = old?;
            record.sessions.retain(|entry| entry.key != key && !is_swept(entry.expires, now));
            left = Left::Others;
            if record.sessions(now).next().is_none() {
                left = Left::None;
                record.sessions.clear();
            }
            Some(record)
        })
        .await?;
        Ok(left)
    }

    /// Lets go of accounts without a session in this process, and without an answer on its way.
    pub(super) fn sweep(&self) {
        let is_of_use =
            |account: &Arc<Account>| Arc::strong_count(account) > 1 || !account.unread.is_nothing();
        self.known.retain(|_, account| is_of_use(account));
    }

    /// Changes a record, again and again until nobody else was faster. `None` leaves it as it is;
    /// a record without sessions is removed.
    async fn update(
        &self,
        keys: &Keys,
        id: u64,
        mut change: impl FnMut(Option<AccountRecord>) -> Option<AccountRecord> + Send,
    ) -> Result<(), Unavailable> {
        let rows = self.rows(keys);
        loop {
            let found = self.find(keys, id).await?;
            let old = found.as_ref().and_then(|(_, row)| row.value.clone());
            let Some(new) = change(old) else { return Ok(()) };
            let end = new.last_end();
            let written = match (&found, end) {
                (Some((name, row)), Some(end)) => rows.write(name, Some(row), &new, end).await?,
                (Some((name, row)), None) => {
                    rows.remove(name, row, Time::from_unix(i64::MIN)).await?
                }
                (None, Some(end)) => rows.insert(&keys.account_digest(id), &new, end).await?,
                (None, None) => true,
            };
            if written {
                return Ok(());
            }
        }
    }

    /// The row of an account with its name: after a rotation of the master, perhaps an older one.
    async fn find(
        &self,
        keys: &Keys,
        id: u64,
    ) -> Result<Option<(Digest, Row<AccountRecord>)>, Unavailable> {
        let names: Vec<_> = keys.account_digests(id).collect();
        self.rows(keys).find(&names).await
    }

    /// Makes a profile count in this process, for all sessions of its account.
    pub fn adopt(&self, keys: &Keys, profile: Profile) -> Arc<Account> {
        match self.known.entry((keys.realm(), profile.identity.id)) {
            Entry::Occupied(known) => {
                known.get().profile.store(Arc::new(profile));
                known.get().clone()
            }
            Entry::Vacant(place) => place.insert(Account::new(profile)).clone(),
        }
    }

    fn rows<'a>(&'a self, keys: &'a Keys) -> Rows<'a> {
        Rows { store: &*self.store, keys, table: Table::Account }
    }
}

// === impl Account ===

impl Account {
    fn new(profile: Profile) -> Arc<Self> {
        let id = profile.identity.id;
        Arc::new(Self { id, unread: Unread::default(), profile: ArcSwap::from_pointee(profile) })
    }

    /// What GitHub said last, without a lock.
    pub fn profile(&self) -> Guard<Arc<Profile>> {
        self.profile.load()
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        self.profile().identity.clone()
    }
}

// === impl AccountRecord ===

impl AccountRecord {
    /// The account's sessions that have not expired, oldest first. Some may have ended since.
    pub fn sessions(&self, now: Time) -> impl Iterator<Item = SessionKey> {
        let live = self.sessions.iter().filter(move |entry| now < entry.expires);
        live.map(|entry| entry.key)
    }

    /// The same with those that have expired a short while ago.
    pub fn all_sessions(&self) -> impl Iterator<Item = SessionKey> {
        self.sessions.iter().map(|entry| entry.key)
    }

    /// Those without the API keys.
    pub(super) fn sign_ins(&self) -> impl Iterator<Item = SessionKey> {
        self.sessions.iter().filter(|entry| !entry.is_api_key).map(|entry| entry.key)
    }

    /// Whether there is no room for one more API key of the account's own.
    fn is_full(&self, now: Time) -> bool {
        let lasts =
            |entry: &&Listed| entry.is_api_key && entry.instance.is_none() && now < entry.expires;
        self.sessions.iter().filter(lasts).count() >= MOST_API_KEYS
    }

    /// Takes the oldest of an instance's when there is no room for one more.
    fn take_surplus_of(&mut self, instance: Option<&str>) -> Vec<SessionKey> {
        let is_its = |entry: &Listed| instance.is_some() && entry.instance.as_deref() == instance;
        let count = self.sessions.iter().filter(|entry| is_its(entry)).count();
        let mut too_many = (count + 1).saturating_sub(MOST_OF_AN_INSTANCE);
        let oldest = |entry: &mut Listed| {
            let goes = too_many > 0 && is_its(entry);
            too_many -= usize::from(goes);
            goes
        };
        self.sessions.extract_if(.., oldest).map(|entry| entry.key).collect()
    }

    /// When the last of its sessions ends; `None` without any.
    fn last_end(&self) -> Option<Time> {
        self.sessions.iter().map(|entry| entry.expires).max()
    }
}

impl Named for AccountRecord {
    fn end(&self) -> Time {
        self.last_end().unwrap_or(Time::from_unix(i64::MIN))
    }

    fn absorb(&mut self, other: Self) {
        let own: Vec<_> = self.sessions.iter().map(|entry| entry.key).collect();
        self.sessions.extend(other.sessions.into_iter().filter(|entry| !own.contains(&entry.key)));
    }
}

/// Takes the oldest sessions when there are too many.
fn take_surplus(sessions: &mut Vec<Listed>) -> Vec<SessionKey> {
    let sign_ins = sessions.iter().filter(|entry| !entry.is_api_key).count();
    let mut too_many = sign_ins.saturating_sub(MOST_SESSIONS);
    let oldest = |entry: &mut Listed| {
        let goes = too_many > 0 && !entry.is_api_key;
        too_many -= usize::from(goes);
        goes
    };
    sessions.extract_if(.., oldest).map(|entry| entry.key).collect()
}
