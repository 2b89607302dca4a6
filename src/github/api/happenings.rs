//! What happens at GitHub and to those who ask: by writes through this node, by webhooks, by sign-outs,
//! and by what other nodes tell of theirs.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::forgetting::Forget;
use super::{Api, LONGEST_FRESH};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::tags::{Tag, covered_by, event_tags, names_in, renamed};
use crate::github::{Delivery, REDELIVERED, dating};
use crate::store::{Happened, Principal, Unavailable};

/// What a webhook has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether anything here is another than before.
    pub has_changed: bool,
    /// What is no longer fresh.
    pub changed: Vec<Tag>,
    /// The installation that is gone, or whose rights are others now: its tokens are to go.
    pub installation: Option<u64>,
}

/// Names that are learnt of one webhook: it is about few things.
const MOST_NAMES: usize = 32;

/// How long the store of answers may take to forget something that another node has told of,
const PATIENCE: Duration = Duration::from_secs(5);

/// and how long it is left alone when that was in vain.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Api ===

impl Api {
    /// Heeds a webhook of the GitHub of a realm. An error means that some of it is not heeded.
    ///
    /// It may have been sent before, by GitHub or by whoever has seen it: what it says has changed is
    /// asked for anew, which does no harm. What else it says counts from when GitHub said it.
    pub async fn told(&self, realm: u64, delivery: &Delivery) -> Result<Told, Unavailable> {
        let Delivery { kind, target, payload, .. } = delivery;
        let (now, said) = (self.clock.now(), self.said_at(delivery));
        let owned = |(name, id): (&str, u64)| (name.to_owned(), id);
        let names: Vec<_> = names_in(payload).take(MOST_NAMES).map(owned).collect();
        // Of what is younger each body is heeded once.
        let is_heeded_once = said.is_some_and(|said| now.since(said) < REDELIVERED);
        let renamed = renamed(kind, payload).filter(|_| is_heeded_once).map(owned);
        let renamed: Vec<_> = renamed.into_iter().collect();
        self.changes.learn_names(&names, &renamed);
        let invalidation = event_tags(kind, payload);
        let installation = invalidation.installation;
        let ended = installation.map(|id| Principal::Installation { realm, id, scope: 0 });
        let happened = Happened {
            names,
            renamed,
            changed: self.changes.with_twins(invalidation.bump),
            unshared: self.changes.with_twins(invalidation.purge_shared),
            covered: if said.is_some() { covered_by(target, payload) } else { Vec::new() },
            said,
            uncovered: invalidation.uncovered,
            ended: ended.into_iter().collect(),
            ..Happened::default()
        };
        let told = [&happened.changed, &happened.covered, &happened.uncovered];
        let has_changed = ended.is_some() || told.iter().any(|tags| !tags.is_empty());
        // First, for a store that hangs here is no reason for others not to hear.
        self.outbox.put(happened.clone());
        self.apply(&happened).await?;
        Ok(Told { has_changed, changed: happened.changed, installation })
    }

    /// Heeds a webhook that was heeded before. Whoever sends it again ends nothing by it: what it is
    /// about is asked for anew, and that is all.
    pub fn told_again(&self, realm: u64, delivery: &Delivery) {
        let invalidation = event_tags(&delivery.kind, &delivery.payload);
        self.changed(invalidation.bump);
        if let Some(id) = invalidation.installation {
            self.changed_for(Principal::Installation { realm, id, scope: 0 });
        }
    }

    /// When GitHub said what a webhook says.
    fn said_at(&self, delivery: &Delivery) -> Option<Time> {
        let now = self.clock.now();
        if stands(Defence::WebhookAge) {
            dating::said_at(&delivery.payload, now)
        } else {
            Some(now)
        }
    }

    /// Something was written through this node.
    pub(super) fn changed(&self, tags: Vec<Tag>) {
        if tags.is_empty() {
            return;
        }
        let changed = self.changes.with_twins(tags);
        self.changes.note(changed.clone(), self.clock.now());
        self.outbox.put(Happened { changed, ..Happened::default() });
    }

    /// Something was written through this node, and what is not known.
    pub(super) fn changed_for(&self, who: Principal) {
        self.changes.note_everything(who, self.clock.now());
        self.outbox.put(Happened { changed_for: vec![who], ..Happened::default() });
    }

    /// Forgets all that an asker was shown, on every node: nobody asks in that name any more.
    pub async fn forget_all(&self, who: Principal) {
        let ended = Happened { ended: vec![who], ..Happened::default() };
        if let Err(unavailable) = self.apply(&ended).await {
            self.store_failed("forget", &unavailable);
        }
        self.outbox.put(ended);
    }

    /// Whether it is this node that tells something.
    pub fn tells(&self, happened: &Happened) -> bool {
        happened.node == self.node
    }

    /// Heeds what another node tells. It waits for no store: what the store of answers is to forget is
    /// not given from now on, and [`Api::forget_heard`] sees to the rest.
    pub fn heed(&self, happened: &Happened) {
        self.note_happened(happened);
        for limit in &happened.limits {
            self.budgets.heed(limit);
        }
        if happened.everything {
            self.forgetting.put_everything();
        }
        let ended: &[_] = if stands(Defence::Forgetting) { &happened.ended } else { &[] };
        for who in ended {
            self.note_ended(*who);
        }
        self.forgetting.put(ended, &self.changes.with_twins(happened.unshared.clone()));
    }

    /// Has the store of answers forget, for ever, what other nodes have told of.
    pub async fn forget_heard(&self) -> Infallible {
        loop {
            let (forget, number) = self.forgetting.next().await;
            let done = timeout(PATIENCE, self.forget_in_store(&forget)).await;
            match done.unwrap_or_else(|_| Err(Unavailable("it takes too long".into()))) {
                Ok(()) => self.forgetting.done(&forget, number),
                Err(unavailable) => {
                    self.store_failed("forget", &unavailable);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn forget_in_store(&self, forget: &Forget) -> Result<(), Unavailable> {
        match forget {
            Forget::Asker(who) => self.store.forget_all(*who).await,
            Forget::Offers(owners) => self.store.unshare(owners).await,
            Forget::Everything => self.store.forget_everything().await,
        }
    }

    /// What other nodes are to be told, once there is something.
    pub async fn to_tell(&self) -> Happened {
        let happened = tokio::select! {
            happened = self.outbox.take() => happened,
            limits = self.budgets.to_tell() => Happened { limits, ..Happened::default() },
        };
        Happened { node: self.node, ..happened }
    }

    /// They could not be told.
    pub fn tell_again(&self, happened: Happened) {
        self.outbox.put(happened);
    }

    /// Says whether this node hears the others. While it does not, no webhook counts, for another may
    /// take it.
    pub fn set_in_touch(&self, in_touch: bool) {
        self.coverage.set_in_touch(in_touch);
        if !in_touch {
            self.missed_news();
        }
    }

    /// Others may have told something that was not heard: nothing that is held is fresh any more.
    pub fn missed_news(&self) {
        self.changes.note_all(self.clock.now());
    }

    /// Work that belongs to no request: call it every minute or so.
    pub async fn sweep(&self) {
        let now = self.clock.now();
        self.changes.sweep(LONGEST_FRESH, now);
        self.coverage.sweep(now);
        self.budgets.sweep();
        self.flows.sweep();
        self.uploads.sweep();
        self.bodies.sweep();
        self.room.sweep();
        if let Err(unavailable) = self.store.sweep(now).await {
            self.store_failed("sweep", &unavailable);
        }
        self.metrics.github_cache_bytes.set(i64::try_from(self.store.bytes()).unwrap_or(i64::MAX));
    }

    async fn apply(&self, happened: &Happened) -> Result<(), Unavailable> {
        self.note_happened(happened);
        for who in &happened.ended {
            self.forget_here(*who).await?;
        }
        if !happened.unshared.is_empty() {
            let unshared = self.changes.with_twins(happened.unshared.clone());
            self.store.unshare(&unshared).await?;
        }
        Ok(())
    }

    /// Notes what is not fresh any more, and of what webhooks tell.
    fn note_happened(&self, happened: &Happened) {
        let now = self.clock.now();
        self.changes.learn_names(&happened.names, &happened.renamed);
        if happened.all {
            self.changes.note_all(now);
        }
        self.changes.note(happened.changed.clone(), now);
        for who in &happened.changed_for {
            self.changes.note_everything(*who, now);
        }
        if let Some(said) = happened.said {
            self.coverage.note(&happened.covered, said);
        }
        if !happened.uncovered.is_empty() {
            self.coverage.remove(&happened.uncovered, now);
        }
        if happened.everything {
            self.coverage.remove_all(now);
        }
    }

    async fn forget_here(&self, who: Principal) -> Result<(), Unavailable> {
        if !stands(Defence::Forgetting) {
            return Ok(());
        }
        // First, so that an answer which comes just now is not kept either.
        self.note_ended(who);
        self.store.forget_all(who).await
    }

    /// Nobody asks in that name any more.
    fn note_ended(&self, who: Principal) {
        self.briefs.forget_all(who);
        self.beyond.forget_all(who);
        self.limits.forget_all(who);
        self.refreshes.forget_all(who);
        self.from_webhooks.forget_all(who);
        if let Some(id) = who.user() {
            self.verbatim.forget(id);
        }
        self.changes.note_end(who, self.clock.now());
    }
}
