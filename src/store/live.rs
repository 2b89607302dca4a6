//! A session held open in this process.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Account;
use crate::api_key::Terms;
use crate::clock::Time;
use crate::keys::Digest;
use crate::session::{Lifetimes, Session, SessionKey, Standing, standing};

/// A session held open in this process. All cookies of one sign-in share it.
#[derive(Debug)]
pub struct Live<M> {
    /// Its name in the store.
    pub key: SessionKey,
    /// Whose it is, as known by now.
    pub account: Arc<Account>,
    /// When it began.
    pub created: Time,
    /// What its owner said of it, when it is that of an API key.
    pub api_key: Option<Box<Terms>>,
    /// What the gateway remembers beside it.
    pub memo: M,
    expires: AtomicI64,
    seen: AtomicI64,
    stored_seen: AtomicI64,
    ended: AtomicBool,
    /// The cookie under which its weight is counted.
    pub(super) home: OnceLock<Digest>,
}

/// What is remembered beside a session, and what that costs.
pub trait Memo: Default + Send + Sync + 'static {
    /// Bytes of memory, about.
    fn bytes(&self) -> usize;

    /// Lets go of what is of no use any more.
    fn tidy(&self, now: Time);
}

/// How stale the stored "last seen" may be: a write a minute per active visitor.
const SEEN_WRITTEN_EVERY: Duration = Duration::from_secs(60);

// === impl Live ===

impl<M: Default> Live<M> {
    pub(super) fn new(
        key: SessionKey,
        account: Arc<Account>,
        session: &Session,
        seen: Time,
    ) -> Self {
        Self {
            key,
            account,
            created: session.created,
            api_key: session.api_key.clone().map(Box::new),
            memo: M::default(),
            expires: AtomicI64::new(session.expires.unix()),
            seen: AtomicI64::new(seen.unix()),
            stored_seen: AtomicI64::new(seen.unix()),
            ended: AtomicBool::new(false),
            home: OnceLock::new(),
        }
    }
}

impl<M> Live<M> {
    /// Whether it was ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// When it was last used.
    pub fn seen(&self) -> Time {
        Time::from_unix(self.seen.load(Ordering::Relaxed))
    }

    /// When it ends, whatever happens; that of an instance's server goes on with each new token.
    pub fn expires(&self) -> Time {
        Time::from_unix(self.expires.load(Ordering::Relaxed))
    }

    /// It goes on until then at least.
    pub(super) fn prolong(&self, end: Time) {
        self.expires.fetch_max(end.unix(), Ordering::Relaxed);
    }

    /// The instance of the broker's whose server has it, if one does.
    pub fn instance(&self) -> Option<&str> {
        self.api_key.as_ref()?.instance.as_deref()
    }

    /// Whether it is that of an API key: of a program, which carries out nobody else's wishes.
    pub fn is_api_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// Whether it opens a route: an API key opens those that it names.
    pub fn opens(&self, route: &str) -> bool {
        self.api_key.as_ref().is_none_or(|terms| terms.opens(route))
    }

    /// Whether it is good now.
    pub fn standing(&self, now: Time, lifetimes: Lifetimes) -> Standing {
        let lifetimes = if self.is_api_key() { Lifetimes::UNBOUND } else { lifetimes };
        standing(self.created, self.expires(), self.seen(), now, lifetimes)
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

    /// Takes over a use that another node has written down.
    pub(super) fn seen_elsewhere(&self, seen: Time) {
        self.seen.fetch_max(seen.unix(), Ordering::Relaxed);
    }
}

impl Memo for () {
    fn bytes(&self) -> usize {
        0
    }

    fn tidy(&self, _now: Time) {}
}
