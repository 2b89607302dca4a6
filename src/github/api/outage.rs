//! When GitHub has failed again and again it is left alone for moments: whoever can be answered from
//! what is held does not wait for one more failure.
//!
//! Anybody can ask what GitHub fails at. So one account's failures are an outage for that account alone, and
//! for all only where another's questions fail as well.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Api;
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::github::GitHubError;

/// How GitHub has answered lately.
#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Failures>>);

/// Failures in a row, whoever asked.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    first: Time,
    /// Whose question failed first.
    account: u64,
    /// Whether another's has failed as well.
    is_common: bool,
    /// When somebody tried last, and who.
    last_try: Time,
    tried_by: u64,
}

/// So many in a row are no accident,
const MOST: u32 = 5;

/// if they come within this time.
const SPAN: Duration = Duration::from_secs(10);

/// How long nobody tries again.
const PAUSE: Duration = Duration::from_secs(2);

// === impl Api ===

impl Api {
    /// Notes what came of asking GitHub's API in a person's name for the gateway itself. What the app
    /// asks as itself is nobody's: one question stands for many who wait, and is put off by itself.
    pub fn note_asked(&self, account: u64, failed: Option<&GitHubError>) {
        self.outage.note(account, is_an_answer(failed), self.clock.now());
    }
}

/// Whether GitHub's API has answered, be it that it gives nothing.
fn is_an_answer(failed: Option<&GitHubError>) -> bool {
    match failed {
        Some(GitHubError::Unreachable(..) | GitHubError::NoAnswer(..)) => false,
        Some(GitHubError::Failed(_, status)) => !(502..=504).contains(status),
        _ => true,
    }
}

// === impl Outage ===

impl Outage {
    /// Whether GitHub is left alone now by an account. Whoever is told otherwise after a pause tries for
    /// all.
    pub(super) fn is_on(&self, account: u64, now: Time) -> bool {
        let mut failures = self.failures();
        let Some(failures) = failures.as_mut().filter(|failures| failures.concern(account)) else {
            return false;
        };
        let is_pause = failures.is_pause(account, now);
        if !is_pause {
            (failures.last_try, failures.tried_by) = (now, account);
        }
        is_pause
    }

    /// Whether an account may have to leave GitHub alone: it takes no turn to try.
    pub(super) fn concerns(&self, account: u64) -> bool {
        self.failures().as_ref().is_some_and(|failures| failures.concern(account))
    }

    /// Notes whether GitHub has answered an account.
    pub(super) fn note(&self, account: u64, is_answered: bool, now: Time) {
        let mut failures = self.failures();
        *failures = (!is_answered).then(|| match *failures {
            Some(row) if row.count >= MOST || now.since(row.first) <= SPAN => row.and(account, now),
            _ => Failures::of(account, now),
        });
    }

    fn failures(&self) -> MutexGuard<'_, Option<Failures>> {
        // Some numbers hold whatever happened to whoever held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Failures ===

impl Failures {
    fn of(account: u64, now: Time) -> Self {
        Self { count: 1, first: now, account, is_common: false, last_try: now, tried_by: account }
    }

    /// One more. What fails during an outage is asked by those who have nothing to fall back on: it puts
    /// off nobody's try.
    fn and(self, account: u64, now: Time) -> Self {
        let is_common = self.is_common || account != self.account;
        let begins = self.count < MOST || is_common != self.is_common;
        let (last_try, tried_by) =
            if begins { (now, account) } else { (self.last_try, self.tried_by) };
        Self { count: self.count.saturating_add(1), is_common, last_try, tried_by, ..self }
    }

    /// Whether they are an outage for an account.
    fn concern(&self, account: u64) -> bool {
        let is_concerned = self.is_common || account == self.account;
        self.count >= MOST && (is_concerned || !stands(Defence::OutageOfAll))
    }

    /// Whether an account leaves GitHub alone for now. In an outage of all, who has tried last lets others
    /// try first: they may have more luck.
    fn is_pause(&self, account: u64, now: Time) -> bool {
        let is_again = self.is_common && account == self.tried_by;
        let pause = if is_again { 2 * PAUSE } else { PAUSE };
        now.since(self.last_try) < pause && now >= self.last_try
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONA: u64 = 1;
    const OCTOCAT: u64 = 2;
    const HUBOT: u64 = 3;

    fn at(second: i64) -> Time {
        Time::from_unix(1_000 + second)
    }

    fn failing(seconds: &[i64]) -> Outage {
        let outage = Outage::default();
        for second in seconds {
            outage.note(MONA, false, at(*second));
        }
        outage
    }

    #[test]
    fn five_failures_in_a_row_within_ten_seconds_are_an_outage() {
        assert!(!Outage::default().is_on(MONA, at(0)));
        assert!(!failing(&[0, 1, 2, 3]).is_on(MONA, at(3)));
        assert!(failing(&[0, 1, 2, 3, 4]).is_on(MONA, at(4)));
        assert!(failing(&[0, 0, 0, 0, 10]).is_on(MONA, at(10)));
        assert!(!failing(&[0, 0, 0, 0, 11]).is_on(MONA, at(11)), "too long ago");
        let outage = failing(&[0, 1, 2]);
        outage.note(OCTOCAT, true, at(2));
        outage.note(MONA, false, at(3));
        outage.note(MONA, false, at(4));
        assert!(!outage.is_on(MONA, at(4)), "not in a row");
    }

    #[test]
    fn whoever_only_wants_to_know_takes_nobody_s_turn() {
        let outage = failing(&[0, 0, 0, 0, 0]);
        assert!(outage.concerns(MONA) && !outage.concerns(OCTOCAT));
        assert!(!outage.is_on(MONA, at(2)), "the turn is still to be taken");
        assert!(!failing(&[0, 0, 0, 0]).concerns(MONA));
    }

    #[test]
    fn what_the_gateway_asks_itself_in_vain_counts_where_github_is_to_blame() {
        let what = "/user";
        for (failed, expected) in [
            (None, true),
            (Some(GitHubError::Unreachable(what, "refused".into())), false),
            (Some(GitHubError::NoAnswer(what, "reset".into())), false),
            (Some(GitHubError::Failed(what, 502)), false),
            (Some(GitHubError::Failed(what, 504)), false),
            (Some(GitHubError::Failed(what, 401)), true),
            (Some(GitHubError::Failed(what, 429)), true),
            (Some(GitHubError::Malformed(what, "no JSON".into())), true),
        ] {
            assert_eq!(is_an_answer(failed.as_ref()), expected, "{failed:?}");
        }
    }

    #[test]
    fn every_two_seconds_somebody_tries() {
        let outage = failing(&[0, 0, 0, 0, 0]);
        assert!(outage.is_on(MONA, at(1)));
        assert!(!outage.is_on(MONA, at(2)));
        assert!(outage.is_on(MONA, at(2)), "one is enough");
        assert!(outage.is_on(MONA, at(3)));
        outage.note(MONA, false, at(3));
        assert!(outage.is_on(MONA, at(3)), "it was in vain");
        assert!(!outage.is_on(MONA, at(4)), "and puts off no other");
        assert!(!outage.is_on(MONA, at(60)));
        outage.note(MONA, true, at(60));
        assert!(!outage.is_on(MONA, at(60)));
    }

    #[test]
    fn one_account_s_failures_are_no_outage_for_others() {
        let outage = failing(&[0; 50]);
        assert!(outage.is_on(MONA, at(1)), "control");
        assert!(!outage.is_on(OCTOCAT, at(1)) && !outage.is_on(HUBOT, at(1)));
        outage.note(OCTOCAT, true, at(1));
        assert!(!outage.is_on(MONA, at(1)), "it was no outage");
    }

    #[test]
    fn failures_of_two_accounts_are_an_outage_for_all() {
        let outage = failing(&[0; 4]);
        outage.note(OCTOCAT, false, at(1));
        for account in [MONA, OCTOCAT, HUBOT] {
            assert!(outage.is_on(account, at(2)), "{account}");
        }
        // The other's may come when it is an outage for one already.
        let outage = failing(&[0; 9]);
        outage.note(OCTOCAT, false, at(100));
        assert!(outage.is_on(HUBOT, at(101)));
    }

    /// Somebody who fails on purpose does not take all the tries.
    #[test]
    fn in_an_outage_of_all_they_take_turns_to_try() {
        let outage = failing(&[0; 4]);
        outage.note(OCTOCAT, false, at(0));
        assert!(!outage.is_on(MONA, at(2)));
        outage.note(MONA, false, at(2));
        assert!(outage.is_on(HUBOT, at(3)));
        assert!(outage.is_on(MONA, at(4)), "hers was the last");
        assert!(!outage.is_on(HUBOT, at(4)));
        assert!(!outage.is_on(MONA, at(6)), "and then it is hers again");
        assert!(outage.is_on(MONA, at(9)));
        assert!(!outage.is_on(MONA, at(10)), "at the latest, if nobody else asks");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_it() {
        assert!(!failing(&[100; 5]).is_on(MONA, at(0)));
    }
}
