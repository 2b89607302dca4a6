//! The sessions that this process holds open: bounded in bytes, so that a signed-in request costs
//! one look-up and no I/O, and a million sessions do not cost all memory.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::live::{Live, Memo};
use crate::clock::Time;
use crate::keys::Digest;
use crate::session::SessionKey;

/// Sessions by cookie, and by name.
pub(super) struct Held<M> {
    by_cookie: Cache<Digest, Weighed<M>, Weigh, DefaultHashBuilder, Forget<M>>,
    by_key: Arc<DashMap<SessionKey, Arc<Live<M>>>>,
    /// Sessions that ended a moment ago, so that a load that began before finds out.
    ended: DashMap<SessionKey, Time>,
}

/// A session with its weight at the time it was put in: the cache counts on it.
struct Weighed<M> {
    live: Arc<Live<M>>,
    bytes: u32,
}

#[derive(Clone, Copy)]
struct Weigh;

/// What is evicted is forgotten by name, too.
struct Forget<M>(Arc<DashMap<SessionKey, Arc<Live<M>>>>);

/// A session without what the gateway remembers beside it: measured by `benches/sessions.rs`.
const LIVE_BYTES: usize = 720;

/// How long an ended session is remembered as ended.
const ENDED_IS_KEPT: Duration = Duration::from_secs(60);

// === impl Held ===

impl<M: Memo> Held<M> {
    /// Holds so many bytes at most.
    pub(super) fn new(bytes: usize) -> Self {
        let by_key = Arc::new(DashMap::new());
        let options = OptionsBuilder::new()
            .estimated_items_capacity((bytes / LIVE_BYTES).max(64))
            .weight_capacity(bytes as u64)
            .ghost_allocation(0.1)
            .build()
            .expect("both capacities are given");
        let forget = Forget(by_key.clone());
        let by_cookie = Cache::with_options(options, Weigh, DefaultHashBuilder::default(), forget);
        Self { by_cookie, by_key, ended: DashMap::new() }
    }

    /// The session that a cookie opens.
    pub(super) fn get(&self, cookie: &Digest) -> Option<Arc<Live<M>>> {
        self.by_cookie.get(cookie).map(|held| held.live)
    }

    /// A session by its name.
    pub(super) fn by_key(&self, key: SessionKey) -> Option<Arc<Live<M>>> {
        self.by_key.get(&key).map(|live| live.clone())
    }

    /// Of several that load a session at once, one stays: all must share its end.
    pub(super) fn share(&self, live: Live<M>) -> Arc<Live<M>> {
        self.by_key.entry(live.key).or_insert_with(|| Arc::new(live)).clone()
    }

    /// Holds a session for a cookie.
    pub(super) fn hold(&self, cookie: Digest, live: Arc<Live<M>>) {
        let is_home = *live.home.get_or_init(|| cookie) == cookie;
        self.by_cookie.insert(cookie, Weighed::new(live, is_home));
    }

    /// Lets a cookie's session go.
    pub(super) fn drop_cookie(&self, cookie: &Digest) {
        self.by_cookie.remove(cookie);
    }

    /// Counts anew what is remembered beside a session. A cookie that was let go stays so.
    pub(super) fn weigh(&self, live: &Arc<Live<M>>) {
        if let Some(home) = live.home.get() {
            drop(self.by_cookie.replace(*home, Weighed::new(live.clone(), true), true));
        }
    }

    /// Marks a session as ended, whether or not it is held.
    pub(super) fn end(&self, key: SessionKey, now: Time) {
        self.ended.insert(key, now);
        if let Some(live) = self.by_key.get(&key) {
            live.end();
        }
    }

    /// Marks a session that was loaded while it ended.
    pub(super) fn mark_if_ended(&self, live: &Live<M>) {
        if self.ended.contains_key(&live.key) {
            live.end();
        }
    }

    /// Lets go of what is over, and of what is remembered in vain. Whatever somebody still holds, a
    /// connection perhaps, stays known by name, or it would never learn of its end.
    pub(super) fn sweep(&self, is_over: impl Fn(&Live<M>) -> bool, now: Time) {
        self.ended.retain(|_, ended| now.since(*ended) < ENDED_IS_KEPT);
        self.by_cookie.retain(|_, held| !is_over(&held.live));
        self.by_key.retain(|_, live| {
            live.memo.tidy(now);
            Arc::strong_count(live) > 1
        });
    }

    /// The names of all that are held.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.by_key.iter().map(|live| *live.key()).collect()
    }

    /// How many sessions are held.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Their weight in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.by_cookie.weight()
    }
}

// === impl Weighed ===

impl<M: Memo> Weighed<M> {
    fn new(live: Arc<Live<M>>, is_home: bool) -> Self {
        let memo = if is_home { live.memo.bytes() } else { 0 };
        let terms = live.api_key.as_ref().map_or(0, |terms| terms.bytes());
        Self { live, bytes: u32::try_from(LIVE_BYTES + terms + memo).unwrap_or(u32::MAX) }
    }
}

impl<M> Clone for Weighed<M> {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), bytes: self.bytes }
    }
}

impl<M> Weighter<Digest, Weighed<M>> for Weigh {
    fn weight(&self, _cookie: &Digest, held: &Weighed<M>) -> u64 {
        u64::from(held.bytes)
    }
}

// === impl Forget ===

impl<M> Clone for Forget<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Lifecycle<Digest, Weighed<M>> for Forget<M> {
    type RequestState = ();

    /// One count is the evicted cookie's, one is the map's own; any other is a cookie that stays
    /// or a request under way, and the next sweep looks again.
    fn on_evict(&self, (): &mut (), _cookie: Digest, held: Weighed<M>) {
        self.0.remove_if(&held.live.key, |_, live| {
            Arc::ptr_eq(live, &held.live) && Arc::strong_count(live) <= 2
        });
    }
}
