//! What the store of answers is still to forget for what other nodes have told. A task of its own sees
//! to it: whoever hears other nodes waits for no store. What is still to be forgotten is not given.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::freshness::tags::Tag;
use crate::store::Principal;

/// What is to be forgotten, each thing once.
#[derive(Default)]
pub(super) struct Forgetting {
    waiting: Mutex<Waiting>,
    /// Whether there is anything: most of the time that is all that anybody wants to know.
    is_any: AtomicBool,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    /// How often something was put here.
    count: u64,
    /// When each was put here last, by that count: what is put here again is done again.
    askers: HashMap<Principal, u64>,
    owners: HashMap<Tag, u64>,
    everything: Option<u64>,
}

/// Something to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// All that an asker was shown.
    Asker(Principal),
    /// That anybody was shown anything of these repositories and accounts.
    Offers(Vec<Tag>),
    /// All that anybody was shown.
    Everything,
}

/// What waits at most, before everything is forgotten instead.
const MOST: usize = 10_000;

// === impl Forgetting ===

impl Forgetting {
    /// Takes what is to be forgotten.
    pub(super) fn put(&self, askers: &[Principal], owners: &[Tag]) {
        if askers.is_empty() && owners.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        waiting.count += 1;
        let count = waiting.count;
        waiting.askers.extend(askers.iter().map(|who| (who.subject(), count)));
        waiting.owners.extend(owners.iter().map(|about| (about.clone(), count)));
        if waiting.askers.len() + waiting.owners.len() > MOST {
            tracing::warn!(
                "there is more to forget of GitHub's answers than can be waited for: all are forgotten"
            );
            waiting.put_everything();
        }
        self.filled(&waiting);
    }

    /// Takes it that everything is to be forgotten.
    pub(super) fn put_everything(&self) {
        let mut waiting = self.waiting();
        waiting.put_everything();
        self.filled(&waiting);
    }

    /// Whether what an asker was shown is still to be forgotten.
    pub(super) fn is_to_forget(&self, who: Principal) -> bool {
        self.is_any() && self.waiting().has_asker(who)
    }

    /// Whether nothing of these is to be offered, and still may be.
    pub(super) fn is_to_unshare(&self, about: &[Tag]) -> bool {
        self.is_any() && self.waiting().has_any_of(about)
    }

    /// Something that is to be forgotten, once there is any, and its number for [`Self::done`].
    pub(super) async fn next(&self) -> (Forget, u64) {
        loop {
            let next = self.waiting().next();
            if let Some(next) = next {
                return next;
            }
            self.filled.notified().await;
        }
    }

    /// It is forgotten as it was to be at that number.
    pub(super) fn done(&self, forget: &Forget, number: u64) {
        let mut waiting = self.waiting();
        match forget {
            Forget::Asker(who) => settle(&mut waiting.askers, who, number),
            Forget::Offers(owners) => {
                for about in owners {
                    settle(&mut waiting.owners, about, number);
                }
            }
            Forget::Everything => {
                waiting.everything = waiting.everything.filter(|last| *last > number);
            }
        }
        self.is_any.store(!waiting.is_empty(), Ordering::Release);
    }

    fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    fn filled(&self, waiting: &Waiting) {
        self.is_any.store(!waiting.is_empty(), Ordering::Release);
        self.filled.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Maps hold whatever happened to whoever held them.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    /// All else is part of it.
    fn put_everything(&mut self) {
        self.count += 1;
        *self = Self { count: self.count, everything: Some(self.count), ..Self::default() };
    }

    fn is_empty(&self) -> bool {
        self.askers.is_empty() && self.owners.is_empty() && self.everything.is_none()
    }

    fn has_asker(&self, who: Principal) -> bool {
        self.everything.is_some() || self.askers.contains_key(&who.subject())
    }

    fn has_any_of(&self, about: &[Tag]) -> bool {
        self.everything.is_some() || about.iter().any(|about| self.owners.contains_key(about))
    }

    fn next(&self) -> Option<(Forget, u64)> {
        let forget = if self.everything.is_some() {
            Forget::Everything
        } else if let Some(who) = self.askers.keys().next() {
            Forget::Asker(*who)
        } else if self.owners.is_empty() {
            return None;
        } else {
            Forget::Offers(self.owners.keys().cloned().collect())
        };
        Some((forget, self.count))
    }
}

/// Takes out what was put in no later than that.
fn settle<K: Eq + Hash>(of: &mut HashMap<K, u64>, key: &K, number: u64) {
    if of.get(key).is_some_and(|last| *last <= number) {
        of.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTOCAT: Principal = Principal::User { realm: 1, id: 1 };
    const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

    fn tag(text: &str) -> Tag {
        Tag::from(text.to_owned())
    }

    #[tokio::test]
    async fn what_is_to_be_forgotten_is_until_it_is_done() {
        let forgetting = Forgetting::default();
        let (wiki, other) = ([tag("repo:acme/wiki")], [tag("repo:acme/other")]);
        forgetting.put(&[OCTOCAT], &wiki);
        assert!(forgetting.is_to_forget(OCTOCAT) && !forgetting.is_to_forget(HUBOT));
        assert!(forgetting.is_to_unshare(&wiki) && !forgetting.is_to_unshare(&other));
        let (first, number) = forgetting.next().await;
        assert_eq!(first, Forget::Asker(OCTOCAT));
        assert!(forgetting.is_to_forget(OCTOCAT), "it is under way");
        forgetting.done(&first, number);
        assert!(!forgetting.is_to_forget(OCTOCAT));
        let (second, number) = forgetting.next().await;
        assert_eq!(second, Forget::Offers(wiki.to_vec()));
        forgetting.done(&second, number);
        assert!(!forgetting.is_to_unshare(&wiki));
        assert!(!forgetting.is_any());
    }

    #[tokio::test]
    async fn what_is_to_be_forgotten_once_more_is_done_once_more() {
        let forgetting = Forgetting::default();
        forgetting.put(&[OCTOCAT], &[]);
        let (first, number) = forgetting.next().await;
        forgetting.put(&[OCTOCAT], &[]);
        forgetting.done(&first, number);
        assert!(forgetting.is_to_forget(OCTOCAT));
        let (again, number) = forgetting.next().await;
        assert_eq!(again, first);
        forgetting.done(&again, number);
        assert!(!forgetting.is_to_forget(OCTOCAT));
    }

    #[test]
    fn an_installation_is_forgotten_whatever_its_token_may() {
        let of = |id, scope| Principal::Installation { realm: 1, id, scope };
        let forgetting = Forgetting::default();
        forgetting.put(&[of(5, 1)], &[]);
        assert!(forgetting.is_to_forget(of(5, 2)) && !forgetting.is_to_forget(of(6, 1)));
    }

    #[tokio::test]
    async fn what_is_too_much_is_everything() {
        let forgetting = Forgetting::default();
        let user = |id| Principal::User { realm: 1, id };
        let many: Vec<_> = (0..MOST as u64).map(user).collect();
        forgetting.put(&many, &[]);
        let stranger = user(MOST as u64 + 7);
        assert!(!forgetting.is_to_forget(stranger), "there is room for so many");
        forgetting.put(&[], &[tag("repo:acme/wiki")]);
        assert!(forgetting.is_to_forget(stranger));
        assert!(forgetting.is_to_unshare(&[tag("repo:acme/other")]));
        let (all, number) = forgetting.next().await;
        assert_eq!(all, Forget::Everything);
        forgetting.done(&all, number);
        assert!(!forgetting.is_any() && !forgetting.is_to_forget(many[0]));
    }
}
