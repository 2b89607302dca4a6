//! The memory of bodies on their way to GitHub while they are read whole: what has come of them counts,
//! not what is announced, so whoever sends slowly keeps little.

use super::shares::{Shares, Taken};

/// Room for them, in bytes.
pub(super) struct Bodies(Shares);

/// The place of one body, as large as what has come of it.
pub struct BodyPlace<'b> {
    bodies: &'b Bodies,
    account: u64,
    taken: Option<Taken>,
}

/// Bytes in all.
const ROOM: usize = 128 << 20;

/// Bytes of one account.
const OF_ACCOUNT: usize = ROOM / 8;

// === impl Bodies ===

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Shares::new(ROOM, OF_ACCOUNT))
    }

    /// A place for a body of that account, empty yet.
    pub(super) fn place_for(&self, account: u64) -> BodyPlace<'_> {
        BodyPlace { bodies: self, account, taken: None }
    }

    /// Forgets accounts of which no body is on its way.
    pub(super) fn sweep(&self) {
        self.0.sweep();
    }
}

// === impl BodyPlace ===

impl BodyPlace<'_> {
    /// Makes room for so many bytes more. Where there is none, nobody waits for it: two who each held a
    /// part of the last of it would wait for each other.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Some(more) = self.bodies.0.take(self.account, bytes) else { return false };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// How many bodies of a mebibyte fit.
    fn fill<'b>(bodies: &'b Bodies, account: u64, held: &mut Vec<BodyPlace<'b>>) -> usize {
        let before = held.len();
        loop {
            let mut place = bodies.place_for(account);
            if !(place.grow(MIB / 2) && place.grow(MIB / 2)) {
                return held.len() - before;
            }
            held.push(place);
        }
    }

    #[test]
    fn what_one_account_sends_keeps_no_other_out() {
        let bodies = Bodies::new();
        let mut held = Vec::new();
        assert_eq!(fill(&bodies, 1, &mut held), OF_ACCOUNT / MIB);
        assert_eq!(fill(&bodies, 2, &mut held), OF_ACCOUNT / MIB);
        for account in 3..20 {
            fill(&bodies, account, &mut held);
        }
        assert_eq!(held.len(), ROOM / MIB, "all together are bounded");
        held.clear();
        assert_eq!(fill(&bodies, 1, &mut held), OF_ACCOUNT / MIB);
    }

    #[test]
    fn what_has_not_come_takes_no_room() {
        let bodies = Bodies::new();
        let slow: Vec<_> = (0..100_000).map(|_| bodies.place_for(1)).collect();
        assert!(bodies.place_for(1).grow(OF_ACCOUNT));
        assert_eq!(slow.len(), 100_000);
    }
}
