//! What an account's clients have still to take of short answers. There are too many of those to look
//! for each one's room, and together they are as much as long ones: a hundred on one connection of
//! HTTP/2 whose client takes nothing. So each account has some of its own, counted without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of short answers on their way to one account's clients.
#[derive(Debug, Default)]
pub struct Unread(Arc<AtomicUsize>);

/// The bytes of one answer, for as long as it is on its way.
#[derive(Debug)]
pub struct Noted {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

/// Bytes of one account's. Clients that read have a few of them at a time.
const MOST: usize = 1 << 20;

// === impl Unread ===

impl Unread {
    /// Notes an answer of so many bytes; `None` where there are too many on their way.
    pub fn note(&self, bytes: usize) -> Option<Noted> {
        // Dropped where it is too much, which takes it back.
        let noted = Noted { all: self.0.clone(), bytes };
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        (before.saturating_add(bytes) <= MOST).then_some(noted)
    }

    /// Whether nothing is on its way.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

// === impl Noted ===

impl Drop for Noted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_may_be_on_its_way_and_what_is_taken_makes_room() {
        let unread = Unread::default();
        let mut noted: Vec<_> = (0..4).map(|_| unread.note(MOST / 4).unwrap()).collect();
        assert!(unread.note(1).is_none());
        assert!(Unread::default().note(1).is_some(), "others have their own");
        noted.pop();
        assert!(unread.note(MOST / 4 + 1).is_none());
        assert!(unread.note(MOST / 4).is_some(), "what was refused is not counted");
        assert!(unread.note(usize::MAX).is_none());
        assert!(!unread.is_nothing());
        noted.clear();
        assert!(unread.is_nothing());
    }
}
