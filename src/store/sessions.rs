//! Sessions: opened by the HMAC of a cookie's id, kept sealed in the store, and held open in this
//! process, so that a signed-in request costs one look-up and neither I/O nor decryption.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::{Digest, Keys, random};
use crate::session::{Lifetimes, Session, SessionId, SessionKey, Standing};

/// All sessions. `M` is what the gateway remembers beside each.
pub struct Sessions<M> {
    store: Arc<dyn Store>,
    tickets: DashMap<Digest, Arc<Live<M>>>,
    by_key: DashMap<SessionKey, Arc<Live<M>>>,
}

/// A session held open in this process. All cookies of one sign-in share it.
#[derive(Debug)]
pub struct Live<M> {
    /// Its name in the store.
    pub key: SessionKey,
    /// What was established at sign-in.
    pub session: Session,
    /// What the gateway remembers beside it.
    pub memo: M,
    seen: AtomicI64,
    stored_seen: AtomicI64,
    /// When it was ended, in seconds since 1970; zero while it was not.
    ended: AtomicI64,
    /// The cookies it was given, host by host; the oldest go.
    tickets: Mutex<Vec<(Box<str>, Digest)>>,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepReport {
    /// Sessions that are held open now.
    pub open: usize,
}

/// The row of a session.
#[derive(Serialize, Deserialize)]
struct SessionRow {
    session: Session,
    seen: Time,
}

/// The row of a host's cookie.
#[derive(Serialize, Deserialize)]
struct TicketRow {
    session: SessionKey,
}

/// Cookies of one session at one host: a browser needs one, and tabs that sign in at once a few.
const TICKETS_PER_HOST: usize = 4;

/// How long an ended session is remembered as ended.
const ENDED_IS_KEPT: Duration = Duration::from_secs(60);

/// How stale the stored "last seen" may be: a write a minute per active visitor.
const SEEN_WRITTEN_EVERY: Duration = Duration::from_secs(60);

// === impl Sessions ===

impl<M: Default> Sessions<M> {
    /// Sessions in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, tickets: DashMap::new(), by_key: DashMap::new() }
    }

    /// Begins a session; it exists once this returns.
    pub async fn begin(
        &self,
        keys: &Keys,
        session: Session,
        now: Time,
    ) -> Result<Arc<Live<M>>, Unavailable> {
        let live = Arc::new(Live::new(SessionKey::new(random()), session, now));
        let (key, end) = (live.key, live.session.expires);
        self.store.insert(Table::Session, key.as_bytes(), live.sealed(keys), end).await?;
        self.by_key.insert(key, live.clone());
        Ok(live)
    }

    /// Makes a cookie's id for a session at a host.
    pub async fn open_at(
        &self,
        keys: &Keys,
        live: &Arc<Live<M>>,
        host: &str,
    ) -> Result<SessionId, Unavailable> {
        let id = SessionId::new(random());
        let digest = keys.session_digest(id.expose(), host);
        let plain = serde_json::to_vec(&TicketRow { session: live.key }).expect("plain JSON");
        let sealed = keys.seal_record(&row(Table::Ticket, &digest), &plain);
        self.store.insert(Table::Ticket, &digest, sealed, live.session.expires).await?;
        self.tickets.insert(digest, live.clone());
        if let Some(surplus) = live.note_ticket(host, digest) {
            self.tickets.remove(&surplus);
            self.store.take(Table::Ticket, &surplus).await?;
        }
        Ok(id)
    }

    /// The session that an id opens at a host, if this process holds it open.
    pub fn peek(&self, keys: &Keys, id: &SessionId, host: &str) -> Option<Arc<Live<M>>> {
        keys.session_digests(id.expose(), host)
            .find_map(|digest| self.tickets.get(&digest).map(|live| Arc::clone(&live)))
            .filter(|live| !live.has_ended())
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
        for digest in digests {
            let Some(sealed) = self.store.get(Table::Ticket, &digest).await? else { continue };
            let opened = keys.open_record(&row(Table::Ticket, &digest), &sealed);
            let Some(ticket) = opened.and_then(|plain| from_json::<TicketRow>(&plain)) else {
                continue;
            };
            let Some(live) = self.by_key(keys, ticket.session).await? else { continue };
            self.tickets.insert(digest, live.clone());
            return Ok(Some(live));
        }
        Ok(None)
    }

    /// A session by its name.
    pub async fn by_key(
        &self,
        keys: &Keys,
        key: SessionKey,
    ) -> Result<Option<Arc<Live<M>>>, Unavailable> {
        if let Some(live) = self.by_key.get(&key) {
            return Ok(Some(Arc::clone(&live)).filter(|live| !live.has_ended()));
        }
        let Some(sealed) = self.store.get(Table::Session, key.as_bytes()).await? else {
            return Ok(None);
        };
        let opened = keys.open_record(&row(Table::Session, key.as_bytes()), &sealed);
        let Some(stored) = opened.and_then(|plain| from_json::<SessionRow>(&plain)) else {
            return Ok(None);
        };
        let live = Arc::new(Live::new(key, stored.session, stored.seen));
        // Of several that load at once, one stays: all must share its `ended`.
        let shared = self.by_key.entry(key).or_insert(live).clone();
        Ok(Some(shared).filter(|live| !live.has_ended()))
    }

    /// Ends a session on every host. It is over when this returns `Ok`; with an error it may not
    /// be over elsewhere, and the caller must not say so.
    pub async fn end(&self, live: &Arc<Live<M>>, now: Time) -> Result<(), Unavailable> {
        self.store.take(Table::Session, live.key.as_bytes()).await?;
        live.end_at(now);
        // The ended one stays for a while, so that a load that began before finds it.
        if let Some(other) = self.by_key.insert(live.key, live.clone()) {
            other.end_at(now);
        }
        Ok(())
    }

    /// Writes down that a session is in use, if it still is in the store.
    pub async fn write_seen(&self, keys: &Keys, live: &Live<M>) -> Result<(), Unavailable> {
        let key = live.key.as_bytes();
        if let Some(old) = self.store.get(Table::Session, key).await? {
            let (new, end) = (live.sealed(keys), live.session.expires);
            self.store.replace(Table::Session, key, &old, new, end).await?;
        }
        Ok(())
    }

    /// Lets go of sessions that are over, here and in the store.
    pub async fn sweep(&self, lifetimes: Lifetimes, now: Time) -> Result<SweepReport, Unavailable> {
        let is_over = |live: &Live<M>| {
            let ended = Time::from_unix(live.ended.load(Ordering::Acquire));
            live.standing(now, lifetimes) != Standing::Live
                || (live.has_ended() && now.since(ended) >= ENDED_IS_KEPT)
        };
        self.tickets.retain(|_, live| !is_over(live));
        self.by_key.retain(|_, live| !is_over(live));
        self.store.sweep().await?;
        Ok(SweepReport { open: self.by_key.len() })
    }
}

// === impl Live ===

impl<M: Default> Live<M> {
    fn new(key: SessionKey, session: Session, seen: Time) -> Self {
        Self {
            key,
            session,
            memo: M::default(),
            seen: AtomicI64::new(seen.unix()),
            stored_seen: AtomicI64::new(seen.unix()),
            ended: AtomicI64::new(0),
            tickets: Mutex::default(),
        }
    }
}

impl<M> Live<M> {
    /// Whether it was ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire) != 0
    }

    fn end_at(&self, now: Time) {
        self.ended.store(now.unix().max(1), Ordering::SeqCst);
    }

    /// Notes a new cookie for a host; returns one that is too many.
    fn note_ticket(&self, host: &str, digest: Digest) -> Option<Digest> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.push((host.into(), digest));
        let at_host = tickets.iter().filter(|(known, _)| &**known == host).count();
        let oldest = tickets.iter().position(|(known, _)| &**known == host);
        oldest.filter(|_| at_host > TICKETS_PER_HOST).map(|place| tickets.remove(place).1)
    }

    fn sealed(&self, keys: &Keys) -> Vec<u8> {
        let stored = SessionRow { session: self.session.clone(), seen: self.seen() };
        let plain = serde_json::to_vec(&stored).expect("plain JSON");
        keys.seal_record(&row(Table::Session, self.key.as_bytes()), &plain)
    }

    /// When it was last used.
    pub fn seen(&self) -> Time {
        Time::from_unix(self.seen.load(Ordering::Relaxed))
    }

    /// Whether it is good now.
    pub fn standing(&self, now: Time, lifetimes: Lifetimes) -> Standing {
        self.session.standing(self.seen(), now, lifetimes)
    }

    /// Notes that it is in use. `true` once a minute: then somebody should write it down.
    pub fn touch(&self, now: Time) -> bool {
        let now = now.unix();
        if self.seen.load(Ordering::Relaxed) == now {
            return false;
        }
        self.seen.fetch_max(now, Ordering::Relaxed);
        let stored = self.stored_seen.load(Ordering::Relaxed);
        let is_due = Time::from_unix(now).since(Time::from_unix(stored)) >= SEEN_WRITTEN_EVERY;
        is_due
            && self
                .stored_seen
                .compare_exchange(stored, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The associated data of a row: a record moved to another row does not open.
fn row(table: Table, key: &[u8]) -> [&[u8]; 2] {
    [table.name().as_bytes(), key]
}

fn from_json<T: serde::de::DeserializeOwned>(plain: &[u8]) -> Option<T> {
    serde_json::from_slice(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::secret::Secret;
    use crate::store::Memory;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn octocat() -> Session {
        let identity = serde_json::from_str(r#"{"id":1,"login":"octocat"}"#).unwrap();
        Session { identity, created: at(1000), expires: at(2000), device: String::new() }
    }

    fn keys() -> Keys {
        Keys::derive(&[Secret::new(vec![1; 32])])
    }

    fn store() -> (Arc<Manual>, Arc<dyn Store>) {
        let clock = Arc::new(Manual::at(at(1000)));
        (clock.clone(), Arc::new(Memory::new(clock)))
    }

    #[tokio::test]
    async fn an_id_opens_its_session_at_its_host_alone() {
        let sessions = Sessions::<()>::new(store().1);
        let live = sessions.begin(&keys(), octocat(), at(1000)).await.unwrap();
        let id = sessions.open_at(&keys(), &live, "a").await.unwrap();
        let other = SessionId::new([9; 32]);
        assert!(sessions.find(&keys(), &id, "a").await.unwrap().is_some());
        assert!(sessions.find(&keys(), &id, "b").await.unwrap().is_none());
        assert!(sessions.find(&keys(), &other, "a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_store_alone_is_enough() {
        let (_, store) = store();
        let first = Sessions::<()>::new(store.clone());
        let live = first.begin(&keys(), octocat(), at(1000)).await.unwrap();
        let id = first.open_at(&keys(), &live, "a").await.unwrap();
        let second = Sessions::<()>::new(store);
        assert!(second.peek(&keys(), &id, "a").is_none());
        let found = second.find(&keys(), &id, "a").await.unwrap().unwrap();
        assert_eq!(found.session, octocat());
        assert!(second.peek(&keys(), &id, "a").is_some());
    }

    #[tokio::test]
    async fn an_ended_session_is_over_on_every_host_and_stays_so() {
        let sessions = Sessions::<()>::new(store().1);
        let live = sessions.begin(&keys(), octocat(), at(1000)).await.unwrap();
        let a = sessions.open_at(&keys(), &live, "a").await.unwrap();
        let b = sessions.open_at(&keys(), &live, "b").await.unwrap();
        sessions.end(&live, at(1000)).await.unwrap();
        sessions.write_seen(&keys(), &live).await.unwrap();
        sessions.sweep(Lifetimes::default(), at(1030)).await.unwrap();
        for (id, host) in [(&a, "a"), (&b, "b")] {
            assert!(sessions.find(&keys(), id, host).await.unwrap().is_none(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_session_has_a_few_cookies_at_a_host_and_no_more() {
        let sessions = Sessions::<()>::new(store().1);
        let live = sessions.begin(&keys(), octocat(), at(1000)).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..TICKETS_PER_HOST + 2 {
            ids.push(sessions.open_at(&keys(), &live, "a").await.unwrap());
        }
        let other = sessions.open_at(&keys(), &live, "b").await.unwrap();
        let mut open = Vec::new();
        for id in &ids {
            open.push(sessions.find(&keys(), id, "a").await.unwrap().is_some());
        }
        assert_eq!(open, [false, false, true, true, true, true]);
        assert!(sessions.find(&keys(), &other, "b").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn use_is_written_down_once_a_minute() {
        let sessions = Sessions::<()>::new(store().1);
        let live = sessions.begin(&keys(), octocat(), at(1000)).await.unwrap();
        let due: Vec<_> =
            [1000, 1030, 1060, 1061, 1119, 1121].map(|now| live.touch(at(now))).into();
        assert_eq!(due, [false, false, true, false, false, true]);
        assert_eq!(live.seen(), at(1121));
        assert!(!live.touch(at(1100)), "a clock that jumps back does not make a session older");
        assert_eq!(live.seen(), at(1121));
    }

    #[tokio::test]
    async fn a_sweep_lets_go_of_what_is_over() {
        let (clock, store) = store();
        let sessions = Sessions::<()>::new(store);
        let live = sessions.begin(&keys(), octocat(), at(1000)).await.unwrap();
        sessions.open_at(&keys(), &live, "a").await.unwrap();
        let lifetimes = Lifetimes::default();
        assert_eq!(sessions.sweep(lifetimes, at(1500)).await, Ok(SweepReport { open: 1 }));
        clock.advance(Duration::from_secs(1000));
        assert_eq!(sessions.sweep(lifetimes, at(2000)).await, Ok(SweepReport { open: 0 }));
        assert!(sessions.tickets.is_empty());
    }
}
