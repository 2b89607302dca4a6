//! What GitHub said of people, byte for byte: after a new token it confirms that for nothing, where the
//! validator that it gave to the old one would say nothing to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// The answers of GitHub about people, in this process alone.
pub struct Verbatim {
    by_person: Cache<u64, Arc<Answers>, Weigh>,
    /// How often anybody was forgotten.
    ends: AtomicU64,
}

/// Whole answers about one person, by the question's path.
pub(super) type Answers = BTreeMap<&'static str, Bytes>;

/// A moment among the ends of people's sessions.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

#[derive(Clone, Copy)]
struct Weigh;

/// For all people together.
const BYTES: u64 = 16 << 20;

/// For one person; who is in hundreds of organizations is asked about anew.
pub(super) const LARGEST: usize = 64 << 10;

/// What a person's answers cost beside their bytes.
const ENTRY: u64 = 512;

// === impl Verbatim ===

impl Default for Verbatim {
    fn default() -> Self {
        Self::new()
    }
}

impl Verbatim {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(BYTES / 4096).expect("four thousand"))
            .weight_capacity(BYTES)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let by_person = Cache::with_options(options, Weigh, hasher, lifecycle);
        Self { by_person, ends: AtomicU64::new(0) }
    }

    /// What was said of somebody.
    pub(super) fn of(&self, id: u64) -> Arc<Answers> {
        self.by_person.get(&id).unwrap_or_default()
    }

    /// From now on: take it before you ask.
    pub(super) fn since(&self) -> Since {
        Since(self.ends.load(Ordering::SeqCst))
    }

    /// Keeps what was said of somebody, unless anybody was forgotten since the question: it may have
    /// been this one.
    pub(super) fn keep(&self, id: u64, answers: Answers, since: Since) {
        let size: usize = answers.values().map(Bytes::len).sum();
        if size > LARGEST {
            return self.by_person.remove(&id).map_or((), drop);
        }
        self.by_person.insert(id, Arc::new(answers));
        // Looked at afterwards: whoever forgets somebody says so first.
        if self.ends.load(Ordering::SeqCst) != since.0 {
            self.by_person.remove(&id);
        }
    }

    /// Forgets somebody, who is signed in no more.
    pub(super) fn forget(&self, id: u64) {
        self.ends.fetch_add(1, Ordering::SeqCst);
        self.by_person.remove(&id);
    }
}

// === impl Weigh ===

impl Weighter<u64, Arc<Answers>> for Weigh {
    fn weight(&self, _id: &u64, answers: &Arc<Answers>) -> u64 {
        answers.values().fold(ENTRY, |sum, body| sum + body.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &'static str) -> Answers {
        Answers::from([("/user", Bytes::from_static(text.as_bytes()))])
    }

    #[test]
    fn what_was_said_of_somebody_is_kept_until_they_are_forgotten() {
        let verbatim = Verbatim::new();
        verbatim.keep(7, said("seven"), verbatim.since());
        verbatim.keep(8, said("eight"), verbatim.since());
        assert_eq!(verbatim.of(7)["/user"], "seven");
        verbatim.forget(7);
        assert!(verbatim.of(7).is_empty());
        assert_eq!(verbatim.of(8)["/user"], "eight", "control");
    }

    #[test]
    fn what_comes_after_the_end_is_not_kept() {
        let verbatim = Verbatim::new();
        let since = verbatim.since();
        verbatim.forget(7);
        verbatim.keep(7, said("seven"), since);
        assert!(verbatim.of(7).is_empty());
        verbatim.keep(7, said("seven"), verbatim.since());
        assert_eq!(verbatim.of(7)["/user"], "seven", "control");
    }

    #[test]
    fn all_people_together_have_their_bound() {
        let verbatim = Verbatim::new();
        let large = Bytes::from(vec![b' '; LARGEST - 1]);
        for id in 0..1000 {
            verbatim.keep(id, Answers::from([("/user", large.clone())]), verbatim.since());
        }
        assert!(verbatim.by_person.weight() <= BYTES);
        assert!(verbatim.by_person.len() > 200, "control");
        let too_large = Bytes::from(vec![b' '; LARGEST + 1]);
        verbatim.keep(2000, Answers::from([("/user", too_large)]), verbatim.since());
        assert!(verbatim.of(2000).is_empty());
    }
}
