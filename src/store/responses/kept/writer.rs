//! The task that writes behind the answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::memory::Offer;
use super::super::{KEPT, OFFERED};
use super::queue::{Forget, Note, Order, Work};
use super::row::{self, Row, Word};
use super::written::{Mark, Wrote, mark_of, mark_of_offer};
use super::{Kept, Principal, ResponseKey};
use crate::clock::Time;
use crate::keys::random;
use crate::store::Unavailable;

/// Whoever writes; one at a time.
struct Writer(Arc<Kept>);

/// What is written together.
#[derive(Default)]
struct Batch {
    plans: Vec<Plan>,
    rows: HashSet<Row>,
    words: HashMap<Principal, Word>,
    common: Word,
}

/// A row that is to be written.
struct Plan {
    row: Row,
    word: Option<Word>,
    says: Says,
    mark: Mark,
    end: Time,
}

/// What a row says.
enum Says {
    Packed(Vec<u8>),
    Body(Bytes),
}

/// A body outlasts the row that names it, so that it is not written each time that row is.
const BODY_LONGER: Duration = Duration::from_secs(2 * 3600);
const OFFERED_LONGER: Duration = Duration::from_secs(24 * 3600);

/// How long an asker's word is kept, and for how long it must last when something is sealed by it.
const WORD: Duration = Duration::from_secs(3 * 24 * 3600);
const WORD_LASTS: Duration = Duration::from_secs(25 * 3600);

/// The same of the word of all, which is written anew every minute: a store that is full lets go of what
/// was written longest ago.
const COMMON: Duration = Duration::from_secs(10 * 24 * 3600);
const COMMON_LASTS: Duration = COMMON.saturating_sub(Duration::from_secs(60));

/// Rows at once: a store that groups its writes makes them durable together.
const AT_ONCE: usize = 32;

/// How often it is tried to agree with other nodes on an asker's word.
const ATTEMPTS: usize = 5;

// === impl Kept ===

impl Kept {
    /// Sees to it that somebody writes: that takes a runtime, which was not there at the beginning.
    pub(super) fn begin(this: &Arc<Self>) {
        if !this.is_written.swap(true, Ordering::SeqCst) {
            tokio::spawn(Writer(this.clone()).write());
        }
    }

    /// Writes answers, newest first, so that of two at one place the newer one is written.
    async fn write(self: &Arc<Self>, notes: Vec<Note>) {
        let many = u64::try_from(notes.len()).unwrap_or(u64::MAX);
        if self.breaker.left().is_some() {
            return self.metrics.github_cache_dropped.inc_by(many);
        }
        let written = async {
            let common = self.common_word_to_seal_with().await?;
            let mut batch = Batch { common, ..Batch::default() };
            for note in notes.iter().rev() {
                self.plan(note, &mut batch).await?;
            }
            let is_body = |plan: &Plan| matches!(plan.row, Row::Body(_));
            // Nothing names a body that is not there.
            let (bodies, others) = batch.plans.into_iter().partition(is_body);
            self.put_all(bodies).await?;
            self.put_all(others).await
        };
        match written.await {
            Ok(()) => self.worked(),
            Err(unavailable) => {
                self.metrics.github_cache_dropped.inc_by(many);
                self.failed("write", &unavailable);
            }
        }
    }

    /// The rows that an answer takes: those that are there already are left alone.
    async fn plan(&self, note: &Note, batch: &mut Batch) -> Result<(), Unavailable> {
        let (shown, now) = (&note.shown, self.clock.now());
        let (row, mark) = (Row::Shown(note.who, note.key), mark_of(shown));
        let end = shown.asked + KEPT.min(shown.longest);
        let is_known = batch.rows.contains(&row) || self.written.is_recent(row, &mark, now);
        if end <= now || is_known {
            return Ok(());
        }
        let Some(packed) = row::write_shown(shown) else { return Ok(()) };
        let subject = note.who.subject();
        let word = match batch.words.get(&subject) {
            Some(word) => *word,
            None => self.asker_s_word_to_seal_with(subject, &batch.common).await?,
        };
        batch.words.insert(subject, word);
        batch.add(Plan { row, word: Some(word), says: Says::Packed(packed), mark, end });
        let (needed, lasts) = match Offer::of(shown) {
            Some(offer) => self.plan_offer(note.key, &offer, batch),
            None => (end, end + BODY_LONGER),
        };
        let row = Row::Body(shown.body);
        if !self.written.lasts(row, needed) {
            let says = Says::Body(note.body.bytes.clone());
            batch.add(Plan { row, word: None, says, mark: Mark::default(), end: lasts });
        }
        Ok(())
    }

    /// What others may be shown once GitHub has said so. How long the body must last, and shall.
    fn plan_offer(&self, key: ResponseKey, offer: &Offer, batch: &mut Batch) -> (Time, Time) {
        let (row, end) = (Row::Shared(key), offer.since + OFFERED);
        let mark = mark_of_offer(offer);
        if !self.written.is_recent(row, &mark, self.clock.now())
            && let Some(packed) = row::write_offer(offer)
        {
            let word = Some(batch.common);
            batch.add(Plan { row, word, says: Says::Packed(packed), mark, end });
        }
        (end, end + OFFERED_LONGER)
    }

    async fn put_all(self: &Arc<Self>, plans: Vec<Plan>) -> Result<(), Unavailable> {
        let (places, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for plan in plans {
            let (kept, places) = (self.clone(), places.clone());
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                kept.put(plan).await
            });
        }
        let mut result = Ok(());
        while let Some(put) = tasks.join_next().await {
            let stopped = |_| Err(Unavailable("sealing was stopped".into()));
            result = result.and(put.unwrap_or_else(stopped));
        }
        result
    }

    async fn put(&self, plan: Plan) -> Result<(), Unavailable> {
        let Plan { row, word, says, mark, end } = plan;
        let keys = self.keys.load_full();
        let word = word.as_ref().map_or(Vec::new(), |word| word.to_vec());
        let sealed = tokio::task::spawn_blocking(move || {
            let packed = match says {
                Says::Packed(packed) => packed,
                Says::Body(body) => row::write_body(&body),
            };
            (row.name(&keys), row.seal(&keys, &word, &packed))
        });
        let stopped = |_| Unavailable("sealing was stopped".into());
        let (name, sealed) = sealed.await.map_err(stopped)?;
        let bytes = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        self.store.put(row.table(), &name, sealed, end).await?;
        self.written.note(row, Wrote { mark, at: self.clock.now(), end, bytes });
        Ok(())
    }

    /// An asker's word.
    async fn asker_s_word_to_seal_with(
        &self,
        who: Principal,
        common: &Word,
    ) -> Result<Word, Unavailable> {
        self.word_to_seal_with(Row::Word(who), common, (WORD, WORD_LASTS)).await
    }

    /// The word of all.
    async fn common_word_to_seal_with(&self) -> Result<Word, Unavailable> {
        self.word_to_seal_with(Row::CommonWord, &[], (COMMON, COMMON_LASTS)).await
    }

    /// A word, sealed with another one or none, which lasts longer than what is sealed by it. It is
    /// never written blindly: another node may have forgotten it, and all that was sealed by it. For the
    /// same reason none moves to another name: in a rotation of the master each name has a word of its
    /// own, and what was sealed by the older one opens with that.
    async fn word_to_seal_with(
        &self,
        row: Row,
        with: &[u8],
        (span, lasts): (Duration, Duration),
    ) -> Result<Word, Unavailable> {
        let keys = self.keys.load_full();
        let (table, name) = (row.table(), row.name(&keys));
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let end = now + span;
            let there = self.store.get(table, &name).await?;
            let found = there.as_ref().and_then(|sealed| self.open_word(row, with, sealed));
            if let Some(word) = found
                && self.written.lasts(row, now + lasts)
            {
                return Ok(word);
            }
            // One that does not open was sealed with a forgotten word.
            let word = found.unwrap_or_else(random);
            let anew = row.seal(&keys, with, &word);
            let is_written = match there {
                Some(old) => self.store.replace(table, &name, &old, anew, end).await?,
                None => self.store.insert(table, &name, anew, end).await?,
            };
            if is_written {
                self.note_word(row, end);
                return Ok(word);
            }
        }
        Err(Unavailable("other nodes change a word all the time".into()))
    }

    fn note_word(&self, row: Row, end: Time) {
        let (mark, at) = (Mark::default(), self.clock.now());
        self.written.note(row, Wrote { mark, at, end, bytes: 0 });
    }

    /// Forgets, or sees to it that it is tried again.
    async fn forget(self: &Arc<Self>, order: Order) {
        if let Some(left) = self.breaker.left().filter(|_| !self.queue.is_closed()) {
            tokio::time::sleep(left).await;
        }
        match self.try_to_forget(&order.what).await {
            Ok(()) => {
                self.worked();
                self.queue.forgotten(order);
            }
            Err(unavailable) => {
                self.failed("forget", &unavailable);
                if self.queue.is_closed() {
                    tracing::error!("what should be forgotten is still in the store of answers");
                } else {
                    self.queue.give_back(order);
                }
            }
        }
    }

    async fn try_to_forget(self: &Arc<Self>, forget: &Forget) -> Result<(), Unavailable> {
        match forget {
            Forget::Shown(who, key) => {
                let row = Row::Shown(*who, *key);
                self.written.forget(row);
                self.remove(row).await
            }
            Forget::All(who) => {
                // Without the word nothing opens that was sealed by it.
                self.remove(Row::Word(*who)).await?;
                self.remove_all(self.written.forget_all(*who).into_iter()).await
            }
            Forget::Everything => {
                self.written.forget_everything();
                // Without the word of all nothing opens.
                self.remove(Row::CommonWord).await
            }
            Forget::Offers(about) => {
                self.written.forget_offers();
                let (row, now, keys) = (Row::unshared(about), self.clock.now(), self.keys.load());
                let sealed = row.seal(&keys, &[], &row::write_time(now));
                // It lasts longer than whatever was offered until now.
                let end = now + OFFERED + OFFERED_LONGER;
                self.store.put(row.table(), &row.name(&keys), sealed, end).await
            }
        }
    }

    async fn remove(&self, row: Row) -> Result<(), Unavailable> {
        let names = row.names(&self.keys.load());
        for name in names {
            self.store.take(row.table(), &name).await?;
        }
        Ok(())
    }

    async fn remove_all(
        self: &Arc<Self>,
        rows: impl Iterator<Item = Row>,
    ) -> Result<(), Unavailable> {
        let (places, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for row in rows {
            let (kept, places) = (self.clone(), places.clone());
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                kept.remove(row).await
            });
        }
        let mut result = Ok(());
        while let Some(removed) = tasks.join_next().await {
            let stopped = |_| Err(Unavailable("removing was stopped".into()));
            result = result.and(removed.unwrap_or_else(stopped));
        }
        result
    }

    /// Removes what this process has written beyond its bound, where the store does not.
    async fn make_room(self: &Arc<Self>) {
        if self.breaker.left().is_some() {
            return;
        }
        let evicted = self.written.take_evicted();
        if self.is_bounded || evicted.is_empty() {
            return;
        }
        // An asker's word goes with the asker alone, and that of all with everything.
        let is_word = |row: &Row| matches!(row, Row::CommonWord | Row::Word(_));
        let evicted = evicted.into_iter().filter(|row| !is_word(row));
        if let Err(unavailable) = self.remove_all(evicted).await {
            self.failed("write", &unavailable);
        }
    }
}

// === impl Batch ===

impl Batch {
    /// Of two rows at one place the first counts.
    fn add(&mut self, plan: Plan) {
        if self.rows.insert(plan.row) {
            self.plans.push(plan);
        }
    }
}

// === impl Writer ===

impl Writer {
    async fn write(self) {
        let kept = &self.0;
        while let Some(work) = kept.queue.next().await {
            match work {
                Work::Notes(notes) => kept.write(notes).await,
                Work::Forget(order) => kept.forget(order).await,
                // Whoever waited may have gone.
                Work::Settle(told) => drop(told.send(())),
            }
            kept.make_room().await;
        }
    }
}

impl Drop for Writer {
    /// Stopped with its runtime: whoever comes next begins anew, on theirs.
    fn drop(&mut self) {
        self.0.is_written.store(false, Ordering::SeqCst);
    }
}
