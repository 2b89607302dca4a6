//! Answers to writes for which there is no room. The write has happened: told that it was refused, its
//! client would do it once more. So such an answer goes out all the same, and what bounds them is that
//! its account sends nothing more that changes anything until the client has taken it. Who is refused
//! then is refused before GitHub hears of it, and may truly send it again.

use std::sync::Arc;

use dashmap::DashMap;

/// Who has such an answer on its way.
#[derive(Default)]
pub(super) struct Debts(DashMap<u64, Arc<()>>);

/// One such answer, for as long as it is on its way.
pub(super) struct Debt(
    #[expect(dead_code, reason = "it counts for as long as it is held")] Arc<()>,
);

// === impl Debts ===

impl Debts {
    /// Notes an answer that goes out although there is no room for it.
    pub(super) fn owe(&self, account: u64) -> Debt {
        Debt(self.0.entry(account).or_default().clone())
    }

    /// Whether an account has one that is not taken yet.
    pub(super) fn stand_against(&self, account: u64) -> bool {
        self.0.get(&account).is_some_and(|debts| Arc::strong_count(&debts) > 1)
    }

    /// Forgets accounts that have none.
    pub(super) fn sweep(&self) {
        self.0.retain(|_, debts| Arc::strong_count(debts) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_stands_against_its_account_until_the_last_is_taken() {
        let debts = Debts::default();
        let two = [(); 2].map(|()| debts.owe(1));
        assert!(debts.stand_against(1) && !debts.stand_against(2));
        let [first, second] = two;
        drop(first);
        debts.sweep();
        assert!(debts.stand_against(1));
        drop(second);
        assert!(!debts.stand_against(1));
        debts.sweep();
        assert_eq!(debts.0.len(), 0);
    }
}
