//! What operators are told of installations that cannot act: each thing once, until it is another. Who
//! asks again and again is no news.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was told last, by what it is about.
#[derive(Default)]
pub(in crate::gateway) struct Complaints {
    told: Mutex<HashMap<String, String>>,
    /// Whether there is anything: most of the time that is all that anybody wants to know.
    is_any: AtomicBool,
}

/// More are told each time: a configuration names far fewer.
const MOST: usize = 1000;

// === impl Complaints ===

impl Complaints {
    /// Whether this is news of it.
    pub(super) fn is_news(&self, of: &str, what: &str) -> bool {
        let mut told = self.told();
        if told.get(of).is_some_and(|known| known == what) {
            return false;
        }
        if told.len() < MOST || told.contains_key(of) {
            told.insert(of.to_owned(), what.to_owned());
        }
        self.is_any.store(true, Ordering::Release);
        true
    }

    /// Whether anything is wrong at all.
    pub(super) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Acquire)
    }

    /// All is well with it. Whether that is news.
    pub(super) fn is_over(&self, of: &str) -> bool {
        let mut told = self.told();
        let is_news = told.remove(of).is_some();
        self.is_any.store(!told.is_empty(), Ordering::Release);
        is_news
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // A map of words holds whatever happened to whoever held it.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_until_it_is_another() {
        let complaints = Complaints::default();
        assert!(!complaints.is_any() && !complaints.is_over("5"), "nothing is wrong");
        assert!(complaints.is_news("5", "gone") && !complaints.is_news("5", "gone"));
        assert!(complaints.is_news("6", "gone"), "of another");
        assert!(complaints.is_news("5", "suspended") && complaints.is_news("5", "gone"));
        assert!(complaints.is_any() && complaints.is_over("5") && !complaints.is_over("5"));
        assert!(complaints.is_news("5", "gone"), "again");
        assert!(complaints.is_over("6") && complaints.is_over("5") && !complaints.is_any());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let complaints = Complaints::default();
        for n in 0..2 * MOST {
            assert!(complaints.is_news(&n.to_string(), "gone"));
        }
        assert_eq!(complaints.told().len(), MOST);
        assert!(!complaints.is_news("0", "gone") && complaints.is_news("0", "suspended"));
    }
}
