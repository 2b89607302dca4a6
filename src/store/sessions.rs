//! Sessions: opened by the HMAC of a cookie's id or of an API key, kept sealed in the store, and held open in this
//! process, so that a signed-in request costs one look-up and neither I/O nor decryption.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::accounts::{AccountRecord, Accounts, Left, Profile, Validators};
use super::held::Held;
use super::live::{Live, Memo};
use super::news::News;
use super::rows::Rows;
use super::tickets::{Ticket, TicketRow, take_surplus};
use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::keys::{Digest, Keys, random};
use crate::session::{Lifetimes, Session, SessionId, SessionKey, Standing};

/// All sessions. `M` is what the gateway remembers beside each.
pub struct Sessions<M> {
    store: Arc<dyn Store>,
    accounts: Accounts,
    held: Held<M>,
    /// Whether this process hears what other nodes end; else the store is asked each time.
    in_touch: AtomicBool,
}

/// A session as its visitor sees it in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub key: SessionKey,
    /// What was established at sign-in.
    pub session: Session,
    /// When it was last used; up to a minute old.
    pub seen: Time,
}

/// Which sessions of an account are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// All, and all API keys.
    All,
    /// The same but for the one that asks.
    AllBut(SessionKey),
    /// All but the one that asks; API keys go on.
    SignInsBut(SessionKey),
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepReport {
    /// Sessions that are held open now.
    pub open: usize,
    /// Their weight in bytes.
    pub bytes: u64,
}

/// The row of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SessionRow {
    pub(super) session: Session,
    seen: Time,
    /// Its cookies; the oldest go.
    tickets: Vec<Ticket>,
}

/// Sessions that the store is asked of at once, when all that are held are compared with it.
const ASKED_AT_ONCE: usize = 64;

// === impl Sessions ===

impl<M: Memo> Sessions<M> {
    /// Sessions in a store, of which this process holds so many bytes at most.
    pub fn new(store: Arc<dyn Store>, bytes: usize) -> Self {
        let accounts = Accounts::new(store.clone());
        Self { store, accounts, held: Held::new(bytes), in_touch: AtomicBool::new(true) }
    }

    /// The accounts of these sessions.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Begins a session with a cookie for a host. All of it is in the store once this returns.
    pub async fn begin(
        &self,
        keys: &Keys,
        session: Session,
        host: &str,
        profile: &Profile,
        validators: &Validators,
    ) -> Result<(Arc<Live<M>>, SessionId), Unavailable> {
        let (key, id) = (SessionKey::new(random()), SessionId::new(random()));
        let (expires, now) = (session.expires, session.created);
        let digest = keys.session_digest(id.expose(), host);
        let ticket = Ticket { host: host.to_owned(), digest };
        let row = SessionRow { session, seen: now, tickets: vec![ticket] };
        // At once, so that a store which groups its writes makes them durable together.
        let row_of_ticket = TicketRow::of(key);
        let (tickets, sessions) = (self.rows(keys, Table::Ticket), self.rows(keys, Table::Session));
        let ((account, surplus), _, _) = tokio::try_join!(
            self.accounts.sign_in(keys, profile, validators, (key, expires)),
            tickets.insert(&digest, &row_of_ticket, expires),
            sessions.insert(key.as_bytes(), &row, expires),
        )?;
        for old in surplus {
            self.end(keys, account.id, old, now).await?;
        }
        let live = self.held.share(Live::new(key, account, &row.session, now));
        self.held.hold(digest, live.clone());
        Ok((live, id))
    }

    /// Makes a cookie's id for a session at a further host.
    pub async fn open_at(
        &self,
        keys: &Keys,
        live: &Arc<Live<M>>,
        host: &str,
    ) -> Result<SessionId, Unavailable> {
        let id = SessionId::new(random());
        let digest = keys.session_digest(id.expose(), host);
        let row = TicketRow::of(live.key);
        self.rows(keys, Table::Ticket).insert(&digest, &row, live.expires()).await?;
        let mut surplus = None;
        self.update(keys, live, |row| {
            row.tickets.push(Ticket { host: host.to_owned(), digest });
            surplus = take_surplus(&mut row.tickets, host);
        })
        .await?;
        self.held.hold(digest, live.clone());
        if let Some(ticket) = surplus {
            self.held.drop_cookie(&ticket.digest);
            self.store.take(Table::Ticket, &ticket.digest).await?;
        }
        Ok(id)
    }

    /// The session that an id opens at a host, if this process holds it open under its newest name:
    /// under an older one it is looked for in the store, and named anew there.
    pub fn peek(&self, keys: &Keys, id: &SessionId, host: &str) -> Option<Arc<Live<M>>> {
        self.held_open(&keys.session_digest(id.expose(), host))
    }

    /// The session that an id opens at a host, from the store if need be.
    pub async fn find(
        &self,
        keys: &Keys,
        id: &SessionId,
        host: &str,
    ) -> Result<Option<Arc<Live<M>>>, Unavailable> {
        if let Some(live) = self.peek(keys, id, host) {
            return Ok(Some(live));
        }
        let digests: Vec<_> = keys.session_digests(id.expose(), host).collect();
        Ok(self.open(keys, &digests).await?.map(|(live, _)| live))
    }

    /// What a ticket opens, if this process holds it open.
    fn held_open(&self, ticket: &Digest) -> Option<Arc<Live<M>>> {
        self.held.get(ticket).filter(|live| !live.has_ended() && self.is_in_touch())
    }

    /// What a ticket opens that is in the store under one of its names, the newest of which is first,
    /// and when it ends, if ahead of its session. Such a one is looked for each time.
    async fn open(
        &self,
        keys: &Keys,
        digests: &[Digest],
    ) -> Result<Option<(Arc<Live<M>>, Option<Time>)>, Unavailable> {
        let newest = digests[0];
        let tickets = self.rows(keys, Table::Ticket);
        for digest in digests {
            let Some(ticket) = tickets.get::<TicketRow>(digest).await? else { continue };
            let Some(live) = self.by_key(keys, ticket.session).await? else { continue };
            if *digest != newest {
                // Named by a master that is on its way out: known by the new one from now on.
                let ends = ticket.ends.unwrap_or_else(|| live.expires());
                tickets.insert(&newest, &ticket, ends).await?;
            }
            if ticket.ends.is_none() {
                self.held.hold(newest, live.clone());
            }
            return Ok(Some((live, ticket.ends)));
        }
        Ok(None)
    }

    /// A session by its name.
    pub async fn by_key(
        &self,
        keys: &Keys,
        key: SessionKey,
    ) -> Result<Option<Arc<Live<M>>>, Unavailable> {
        if self.is_in_touch()
            && let Some(live) = self.held.by_key(key)
        {
            return Ok(Some(live).filter(|live| !live.has_ended()));
        }
        let Some(stored) = self.read(keys, key).await? else { return Ok(None) };
        let (account, created) = (stored.session.account, stored.session.created);
        let Some(account) = self.accounts.open(keys, account, created).await? else {
            return Ok(None);
        };
        let live = self.held.share(Live::new(key, account, &stored.session, stored.seen));
        live.seen_elsewhere(stored.seen);
        self.held.mark_if_ended(&live);
        Ok(Some(live).filter(|live| !live.has_ended()))
    }

    /// Whose session this is, if it is in the store.
    pub async fn account_of(
        &self,
        keys: &Keys,
        key: SessionKey,
    ) -> Result<Option<u64>, Unavailable> {
        Ok(self.read(keys, key).await?.map(|row| row.session.account))
    }

    /// Ends a session on every host and node. It is over when this returns `Ok`; with an error it
    /// may not be over elsewhere, and the caller must not say so. Tells whether its account has
    /// other sessions.
    pub async fn end(
        &self,
        keys: &Keys,
        account: u64,
        key: SessionKey,
        now: Time,
    ) -> Result<Left, Unavailable> {
        // Told first: while the row is there, an end that breaks off can be asked for again, on
        // any node. Who hears it before the row is gone holds it for ended all the same.
        self.announce(keys, &News::Ended(vec![key])).await?;
        self.store.take(Table::Session, key.as_bytes()).await?;
        self.held.end(key, now);
        self.accounts.forget_session(keys, account, key, now).await
    }

    /// Ends sessions of an account, and returns how many there were.
    pub async fn end_all(
        &self,
        keys: &Keys,
        account: u64,
        doomed: Doomed,
        now: Time,
    ) -> Result<usize, Unavailable> {
        let mut ended = HashSet::new();
        // Again until there are no more: one that was ended may have made an API key meanwhile.
        while let Some(record) = self.accounts.read(keys, account).await? {
            let mut doomed = doomed.of(&record);
            doomed.retain(|key| !ended.contains(key));
            if doomed.is_empty() {
                break;
            }
            for key in doomed {
                self.end(keys, account, key, now).await?;
                ended.insert(key);
            }
        }
        Ok(ended.len())
    }

    /// The sessions of an account, the one used last first.
    pub async fn list(
        &self,
        keys: &Keys,
        account: u64,
        now: Time,
    ) -> Result<Vec<Listed>, Unavailable> {
        let Some(record) = self.accounts.read(keys, account).await? else { return Ok(vec![]) };
        let names: Vec<_> = record.sessions(now).collect();
        let mut listed = Vec::new();
        for key in names {
            let Some(row) = self.read(keys, key).await? else { continue };
            let here = self.held.by_key(key).map(|live| live.seen());
            let seen = here.map_or(row.seen, |here| here.max(row.seen));
            listed.push(Listed { key, session: row.session, seen });
        }
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.seen));
        Ok(listed)
    }

    /// Writes down that a session is in use, if it still is in the store; learns whether another
    /// node has used it later.
    pub async fn write_seen(&self, keys: &Keys, live: &Arc<Live<M>>) -> Result<(), Unavailable> {
        let seen = live.seen();
        self.update(keys, live, |row| {
            live.seen_elsewhere(row.seen);
            row.seen = row.seen.max(seen);
        })
        .await
    }

    /// When a session was last used on any node, as far as the store knows.
    pub async fn look_again(&self, keys: &Keys, live: &Live<M>) -> Result<(), Unavailable> {
        if let Some(row) = self.read(keys, live.key).await? {
            live.seen_elsewhere(row.seen);
        }
        Ok(())
    }

    /// Counts anew what the gateway remembers beside a session.
    pub fn weigh(&self, live: &Arc<Live<M>>) {
        self.held.weigh(live);
    }

    /// Lets go of sessions that are over, here and in the store.
    pub async fn sweep(&self, lifetimes: Lifetimes, now: Time) -> Result<SweepReport, Unavailable> {
        let is_over =
            |live: &Live<M>| live.has_ended() || live.standing(now, lifetimes) != Standing::Live;
        self.held.sweep(is_over, now);
        self.accounts.sweep();
        self.store.sweep().await?;
        Ok(SweepReport { open: self.held.len(), bytes: self.held.bytes() })
    }

    async fn read(&self, keys: &Keys, key: SessionKey) -> Result<Option<SessionRow>, Unavailable> {
        self.rows(keys, Table::Session).get(key.as_bytes()).await
    }

    /// Changes the row of a session, if it is there: what has ended must not come back.
    async fn update(
        &self,
        keys: &Keys,
        live: &Live<M>,
        mut change: impl FnMut(&mut SessionRow) + Send,
    ) -> Result<(), Unavailable> {
        let (rows, key) = (self.rows(keys, Table::Session), live.key.as_bytes());
        while let Some(old) = rows.read::<SessionRow>(key).await? {
            let Some(mut new) = old.value.clone() else { break };
            change(&mut new);
            // Another node may have prolonged it.
            let end = new.session.expires;
            if rows.write(key, Some(&old), &new, end).await? {
                break;
            }
        }
        Ok(())
    }

    fn rows<'a>(&'a self, keys: &'a Keys, table: Table) -> Rows<'a> {
        Rows { store: &*self.store, keys, table }
    }
}

// === impl Doomed ===

impl Doomed {
    /// Those that are over by this clock as well: it may be wrong, and another one right.
    fn of(self, record: &AccountRecord) -> Vec<SessionKey> {
        match self {
            Self::All => record.all_sessions().collect(),
            Self::AllBut(own) => record.all_sessions().filter(|key| *key != own).collect(),
            Self::SignInsBut(own) => record.sign_ins().filter(|key| *key != own).collect(),
        }
    }
}

// === Other nodes ===

impl<M: Memo> Sessions<M> {
    /// Whether this process hears what other nodes end. Else what it holds is not believed.
    pub fn is_in_touch(&self) -> bool {
        self.in_touch.load(Ordering::Acquire)
    }

    /// Says whether it does.
    pub fn set_in_touch(&self, in_touch: bool) {
        self.in_touch.store(in_touch, Ordering::Release);
    }

    /// Tells every node.
    pub async fn announce(&self, keys: &Keys, news: &News) -> Result<(), Unavailable> {
        self.store.announce(&news.seal(keys)).await
    }

    /// Heeds what a node told.
    pub async fn heed(&self, keys: &Keys, news: &News, now: Time) -> Result<(), Unavailable> {
        match news {
            News::Ended(_) if !stands(Defence::Hearing) => Ok(()),
            News::Ended(ended) => {
                for key in ended {
                    self.held.end(*key, now);
                }
                Ok(())
            }
            News::Renewed(account) => self.accounts.refresh(keys, *account).await,
            // Theirs are other rooms.
            News::SigningKeys | News::AtGitHub(..) => Ok(()),
        }
    }

    /// Asks the store of every session that is held, many at once: some may have ended unheard.
    pub async fn reconcile(&self, now: Time) -> Result<(), Unavailable> {
        let (mut names, mut asked) = (self.held.keys().into_iter(), JoinSet::new());
        loop {
            for key in names.by_ref().take(ASKED_AT_ONCE - asked.len()) {
                let store = self.store.clone();
                asked.spawn(async move { (key, store.get(Table::Session, key.as_bytes()).await) });
            }
            let Some(answer) = asked.join_next().await else { return Ok(()) };
            let (key, row) = answer.map_err(|stopped| Unavailable(stopped.to_string()))?;
            if row?.is_none() {
                self.held.end(key, now);
            }
        }
    }
}

mod api_keys;
mod instance_tokens;
#[cfg(test)]
mod tests;

pub use api_keys::Made;
pub use instance_tokens::{GRACE as INSTANCE_TOKEN_GRACE, Opened as OpenedByInstance};
