//! What GitHub's tags are made of, as its answers have shown: other fields of the question for one kind
//! of token than for another. Only what the formula was seen to hold with is believed.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::freshness::etag::Hashed;
use crate::store::Principal;

/// The fields, by the kind of token.
#[derive(Default)]
pub(super) struct Varies {
    of_users: Seen,
    of_installations: Seen,
}

/// A bit for each field that does not count: at first all of them do.
#[derive(Default)]
struct Seen(AtomicU8);

const NO_ACCEPT: u8 = 1;
const NO_AUTHORIZATION: u8 = 2;

// === impl Varies ===

impl Varies {
    /// What a tag for this asker is made of.
    pub(super) fn of(&self, who: Principal) -> Hashed {
        let seen = self.kind(who).0.load(Ordering::Relaxed);
        Hashed { accept: seen & NO_ACCEPT == 0, authorization: seen & NO_AUTHORIZATION == 0 }
    }

    /// Notes what one was made of.
    pub(super) fn note(&self, who: Principal, hashed: Hashed) {
        let without = |is_hashed: bool, bit: u8| if is_hashed { 0 } else { bit };
        let seen =
            without(hashed.accept, NO_ACCEPT) | without(hashed.authorization, NO_AUTHORIZATION);
        self.kind(who).0.store(seen, Ordering::Relaxed);
    }

    fn kind(&self, who: Principal) -> &Seen {
        if who.user().is_some() { &self.of_users } else { &self.of_installations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Principal = Principal::User { realm: 1, id: 2 };
    const INSTALLATION: Principal = Principal::Installation { realm: 1, id: 2, scope: 3 };

    #[test]
    fn one_kind_of_token_says_nothing_of_the_other() {
        let varies = Varies::default();
        assert_eq!([varies.of(USER), varies.of(INSTALLATION)], [Hashed::default(); 2]);
        for (accept, authorization) in [(true, false), (false, true), (false, false), (true, true)]
        {
            let hashed = Hashed { accept, authorization };
            varies.note(USER, hashed);
            assert_eq!([varies.of(USER), varies.of(INSTALLATION)], [hashed, Hashed::default()]);
        }
    }
}
