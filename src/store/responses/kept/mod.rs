//! Answers that outlive the process: in memory first, and behind it in a store, which is asked only for
//! what is not in memory, and written when the answer has been given.
//!
//! What comes from the store is never fresh: what has changed since it was written, nobody here knows.
//! GitHub is asked with its validator, and a 304 is free.
//!
//! After the store has failed this process believes nothing in it from before: what came after may not
//! have been written, and a store that comes back may have lost what was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::memory::Offer;
use super::{
    Body, BodyHash, HeldResponses, KEPT, OFFERED, Principal, ResponseKey, ResponseStore, Shared,
    Validation,
};
use crate::clock::{Clock, Time};
use crate::freshness::tags::Tag;
use crate::keys::{Keys, Opened};
use crate::metrics::Metrics;
use crate::store::{Store, Unavailable};

mod breaker;
mod queue;
mod row;
mod writer;
mod written;
#[cfg(test)]
mod tests;

use breaker::Breaker;
use queue::{Forget, Note, Queue, Told};
use row::{Row, Word};
use written::{Written, mark_of};

/// Answers in memory and in a store.
pub struct KeptResponses {
    held: HeldResponses,
    kept: Arc<Kept>,
    /// How often something was forgotten: what was read before that is not believed.
    forgotten: AtomicU64,
}

/// Where answers are kept, and with what.
pub struct Keeping {
    /// Where: nothing else may be in its tables for answers.
    pub store: Arc<dyn Store>,
    /// What the rows may weigh, in bytes.
    pub bound: u64,
    /// Whether the store keeps to the bound by itself; else this process removes what it has written
    /// beyond it.
    pub is_bounded: bool,
    /// What the rows are sealed with.
    pub keys: Keys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where failures are counted.
    pub metrics: Arc<Metrics>,
}

/// What the readers share with the task that writes.
struct Kept {
    store: Arc<dyn Store>,
    is_bounded: bool,
    keys: ArcSwap<Keys>,
    queue: Queue,
    written: Written,
    breaker: Breaker,
    is_written: AtomicBool,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// What expires sooner than that stays in memory.
const LEAST: Duration = Duration::from_secs(3600);

/// How long a client waits for the store, when memory has nothing for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long somebody waits for something to be forgotten in the store as well: it is not given from
/// there meanwhile.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(1);

// === impl KeptResponses ===

impl KeptResponses {
    /// Holds in memory what `held` has room for, and keeps it.
    pub fn new(held: HeldResponses, keeping: Keeping) -> Self {
        let kept = Kept {
            store: keeping.store,
            is_bounded: keeping.is_bounded,
            keys: ArcSwap::from_pointee(keeping.keys),
            queue: Queue::default(),
            written: Written::new(keeping.bound),
            breaker: Breaker::default(),
            is_written: AtomicBool::new(false),
            clock: keeping.clock,
            metrics: keeping.metrics,
        };
        Self { held, kept: Arc::new(kept), forgotten: AtomicU64::new(0) }
    }

    /// What is in the store, and in memory from now on.
    async fn restored(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable> {
        let before = self.forgotten.load(Ordering::SeqCst);
        if self.kept.queue.is_to_forget(who, key) {
            return Ok(None);
        }
        let found = self.kept.ask(self.kept.shown(&self.held, who, key)).await;
        let Some((shown, body)) = found else { return Ok(None) };
        let shown = Arc::new(shown);
        self.held.note(who, *key, shown.clone(), body.clone()).await?;
        if self.forgotten.load(Ordering::SeqCst) != before {
            self.held.forget(who, key).await?;
            return Ok(None);
        }
        Ok(Some((shown, body)))
    }

    /// Has something forgotten in the store, and not given from there from now on.
    fn forget_kept(&self, forget: Forget, told: Option<Told>) {
        self.kept.queue.forget(forget, told);
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        Kept::begin(&self.kept);
    }

    /// Waits a while for something to be forgotten in the store, unless that cannot be soon.
    async fn wait_until(&self, forgotten: oneshot::Receiver<()>) {
        if self.kept.breaker.left().is_none() {
            // Done or not, somebody is at it.
            drop(timeout(FORGOTTEN_WITHIN, forgotten).await);
        }
    }
}

#[async_trait]
impl ResponseStore for KeptResponses {
    async fn shown(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable> {
        match self.held.shown(who, key).await? {
            None => self.restored(who, key).await,
            held => Ok(held),
        }
    }

    async fn shown_to_anybody(&self, key: &ResponseKey) -> Result<Option<Shared>, Unavailable> {
        if let Some(shared) = self.held.shown_to_anybody(key).await? {
            return Ok(Some(shared));
        }
        let before = self.forgotten.load(Ordering::SeqCst);
        let found = self.kept.ask(self.kept.offer(&self.held, key)).await;
        let Some((offer, body)) = found else { return Ok(None) };
        let (about, media_type) = ([offer.about.clone()], offer.media_type.clone());
        self.held.offer(*key, offer, &body);
        if self.forgotten.load(Ordering::SeqCst) != before {
            self.held.unshare(&about).await?;
            return Ok(None);
        }
        Ok(Some(Shared { body, media_type }))
    }

    async fn note(
        &self,
        who: Principal,
        key: ResponseKey,
        validation: Arc<Validation>,
        body: Body,
    ) -> Result<(), Unavailable> {
        self.held.note(who, key, validation.clone(), body.clone()).await?;
        Kept::note(&self.kept, Note { who, key, shown: validation, body });
        Ok(())
    }

    /// From the store as soon as may be; it is not given from there meanwhile.
    async fn forget(&self, who: Principal, key: &ResponseKey) -> Result<(), Unavailable> {
        self.forget_kept(Forget::Shown(who, *key), None);
        self.held.forget(who, key).await
    }

    /// From the store when this returns, or, where that takes long, as soon as may be; it is not given
    /// from there meanwhile.
    async fn forget_all(&self, who: Principal) -> Result<(), Unavailable> {
        let (told, forgotten) = oneshot::channel();
        self.forget_kept(Forget::All(who.subject()), Some(told));
        self.held.forget_all(who).await?;
        self.wait_until(forgotten).await;
        Ok(())
    }

    /// The same of everything.
    async fn forget_everything(&self) -> Result<(), Unavailable> {
        let (told, forgotten) = oneshot::channel();
        self.forget_kept(Forget::Everything, Some(told));
        self.held.forget_everything().await?;
        self.wait_until(forgotten).await;
        Ok(())
    }

    async fn unshare(&self, owners: &[Tag]) -> Result<(), Unavailable> {
        for about in owners {
            self.forget_kept(Forget::Offers(about.clone()), None);
        }
        self.held.unshare(owners).await
    }

    async fn sweep(&self, now: Time) -> Result<(), Unavailable> {
        self.held.sweep(now).await?;
        if self.kept.breaker.left().is_none() {
            self.kept.store.sweep().await?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.held.bytes()
    }

    async fn settle(&self) {
        let (told, settled) = oneshot::channel();
        self.kept.queue.settle(told);
        Kept::begin(&self.kept);
        // Whoever writes may have been stopped with its runtime.
        drop(settled.await);
    }

    fn take_keys(&self, keys: &Keys) {
        self.kept.keys.store(Arc::new(keys.clone()));
    }
}

impl Drop for KeptResponses {
    /// What waits is written, and then the store is let go.
    fn drop(&mut self) {
        self.kept.queue.close();
    }
}

// === impl Kept ===

impl Kept {
    /// Takes an answer to be written, if that is worth it and the store keeps up.
    fn note(this: &Arc<Self>, note: Note) {
        let row = Row::Shown(note.who, note.key);
        if note.shown.longest < LEAST {
            // What was written before is older than what is held.
            if this.written.knows(row) {
                this.queue.forget(Forget::Shown(note.who, note.key), None);
                Self::begin(this);
            }
            return;
        }
        if this.written.is_recent(row, &mark_of(&note.shown), this.clock.now()) {
            return;
        }
        if this.breaker.left().is_none() && this.queue.note(note) {
            Self::begin(this);
        } else {
            this.metrics.github_cache_dropped.inc();
        }
    }

    /// Asks the store, unless it is better left alone. Its failure is nobody's but its own.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<Option<T>, Unavailable>>,
    ) -> Option<T> {
        if self.breaker.left().is_some() {
            return None;
        }
        let is_trial = self.breaker.is_in_trouble();
        let answer = timeout(PATIENCE, question).await;
        match answer.unwrap_or_else(|_| Err(Unavailable("it takes too long".into()))) {
            Ok(found) => {
                self.worked();
                // What it brings is from before the store failed.
                let found = found.filter(|_| !is_trial);
                self.metrics.github_cache_restored.inc_by(u64::from(found.is_some()));
                found
            }
            Err(unavailable) => {
                self.failed("read", &unavailable);
                None
            }
        }
    }

    /// The store has answered. After a failure nothing in it from before is believed.
    fn worked(&self) {
        self.breaker.worked(|| self.written.begin_anew(self.clock.now()));
    }

    fn failed(&self, operation: &str, unavailable: &Unavailable) {
        self.metrics.github_cache_failures.with_label_values(&[operation]).inc();
        self.breaker.failed(unavailable);
    }

    /// What an asker was shown, if that is not too long ago.
    async fn shown(
        &self,
        held: &HeldResponses,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Validation, Body)>, Unavailable> {
        let row = Row::Shown(who, *key);
        let (common, words, sealed) =
            tokio::join!(self.common_words(), self.all_sealed(Row::Word(who)), self.sealed(row));
        let (common, words, Some(sealed)) = (common?, words?, sealed?) else { return Ok(None) };
        let words = self.open_words(Row::Word(who), &common, &words);
        let shown = self.open_with_any(row, &words, &sealed);
        let shown = shown.and_then(|packed| row::read_shown(&packed));
        let is_recent = |shown: &Validation| {
            self.clock.now().since(shown.asked) < KEPT.min(shown.longest)
                && self.written.is_believed(shown.asked)
        };
        let Some(shown) = shown.filter(is_recent) else { return Ok(None) };
        let body = self.body(held, &shown.body).await?;
        Ok(body.map(|body| (shown, body)))
    }

    /// What may be offered to others, unless that was taken back since.
    async fn offer(
        &self,
        held: &HeldResponses,
        key: &ResponseKey,
    ) -> Result<Option<(Offer, Body)>, Unavailable> {
        let row = Row::Shared(*key);
        let (common, sealed) = tokio::join!(self.common_words(), self.sealed(row));
        let (common, Some(sealed)) = (common?, sealed?) else { return Ok(None) };
        let opened = self.open_with_any(row, &common, &sealed);
        let is_recent = |offer: &Offer| {
            self.clock.now().since(offer.since) < OFFERED && self.written.is_believed(offer.since)
        };
        let offer = opened.and_then(|packed| row::read_offer(&packed)).filter(is_recent);
        let Some(offer) = offer else { return Ok(None) };
        if self.is_unshared(&offer).await? {
            return Ok(None);
        }
        let body = self.body(held, &offer.body).await?;
        Ok(body.map(|body| (offer, body)))
    }

    /// Whether nothing is offered of what was shown so long ago. What does not open says so of all.
    async fn is_unshared(&self, offer: &Offer) -> Result<bool, Unavailable> {
        if self.queue.is_to_unshare(&offer.about) {
            return Ok(true);
        }
        let row = Row::unshared(&offer.about);
        let marks = self.all_sealed(row).await?;
        Ok(marks.iter().any(|sealed| {
            let since = row.open(&self.keys.load(), &[], sealed);
            let since = since.and_then(|bytes| row::read_time(&bytes));
            since.is_none_or(|since| offer.since <= since)
        }))
    }

    async fn body(
        &self,
        held: &HeldResponses,
        hash: &BodyHash,
    ) -> Result<Option<Body>, Unavailable> {
        if let Some(body) = held.body(hash) {
            return Ok(Some(body));
        }
        let (row, hash, keys) = (Row::Body(*hash), *hash, self.keys.load_full());
        let Some(sealed) = self.sealed(row).await? else { return Ok(None) };
        let opened = tokio::task::spawn_blocking(move || {
            row.open(&keys, &[], &sealed).and_then(|packed| row::read_body(&hash, &packed))
        });
        Ok(opened.await.unwrap_or_default())
    }

    /// The word of all, one for each master by which something may be sealed; none where nothing is kept.
    async fn common_words(&self) -> Result<Vec<Word>, Unavailable> {
        let sealed = self.all_sealed(Row::CommonWord).await?;
        Ok(sealed.iter().filter_map(|word| self.open_word(Row::CommonWord, &[], word)).collect())
    }

    /// Those words of a place that open with any of these.
    fn open_words(&self, row: Row, with: &[Word], sealed: &[Vec<u8>]) -> Vec<Word> {
        let open = |sealed: &Vec<u8>| with.iter().find_map(|it| self.open_word(row, it, sealed));
        sealed.iter().filter_map(open).collect()
    }

    fn open_with_any(&self, row: Row, words: &[Word], sealed: &[u8]) -> Opened {
        words.iter().find_map(|word| row.open(&self.keys.load(), word, sealed))
    }

    /// A word that is sealed with another one, or with none.
    fn open_word(&self, row: Row, with: &[u8], sealed: &[u8]) -> Option<Word> {
        row.open(&self.keys.load(), with, sealed)?.try_into().ok()
    }

    /// All rows of a place: nodes that list the masters in different orders write under different names.
    async fn all_sealed(&self, row: Row) -> Result<Vec<Vec<u8>>, Unavailable> {
        let names = row.names(&self.keys.load());
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            found.extend(self.store.get(row.table(), &name).await?);
        }
        Ok(found)
    }

    /// A row as it stands, under the newest name that it has.
    async fn sealed(&self, row: Row) -> Result<Option<Vec<u8>>, Unavailable> {
        let names = row.names(&self.keys.load());
        for name in names {
            if let Some(sealed) = self.store.get(row.table(), &name).await? {
                return Ok(Some(sealed));
            }
        }
        Ok(None)
    }
}
