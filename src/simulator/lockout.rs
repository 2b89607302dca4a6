//! The limit of failed log-ins: who keeps coming with dead tokens is locked out, live ones and all.

use std::{collections::HashMap, time::Duration};

use super::world::PersonKey;

/// Failures are counted over this long.
const WINDOW: Duration = Duration::from_secs(60);

/// When somebody is locked out, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOut {
    /// This many requests with dead tokens of the person within a minute.
    pub after: usize,
    /// So long all requests with tokens of the person are refused.
    pub lasts: Duration,
}

/// Who failed, and who is locked out.
#[derive(Debug, Default)]
pub(super) struct LockOuts {
    failures: HashMap<PersonKey, Vec<Duration>>,
    until: HashMap<PersonKey, Duration>,
}

// === impl LockOuts ===

impl LockOuts {
    pub(super) fn holds(&self, person: PersonKey, now: Duration) -> bool {
        self.until.get(&person).is_some_and(|until| now < *until)
    }

    /// A dead token of this person was used.
    pub(super) fn failed(&mut self, person: PersonKey, now: Duration, limit: LockOut) {
        let times = self.failures.entry(person).or_default();
        times.retain(|time| now < *time + WINDOW);
        times.push(now);
        if times.len() >= limit.after {
            times.clear();
            self.until.insert(person, now + limit.lasts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_within_a_minute_count() {
        let at = Duration::from_secs;
        let limit = LockOut { after: 3, lasts: at(10) };
        let mut outs = LockOuts::default();
        for second in [0, 1, 60] {
            outs.failed(7, at(second), limit);
        }
        assert!(!outs.holds(7, at(60)), "the first was a minute ago");
        outs.failed(7, at(60), limit);
        assert!(outs.holds(7, at(60)) && outs.holds(7, at(69)));
        assert!(!outs.holds(7, at(70)) && !outs.holds(8, at(60)));
    }
}
