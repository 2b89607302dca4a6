//! Who waits: callers take turns, and each caller's own requests keep their order.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::books::Asking;
use super::refusal::Refused;

/// Requests that wait for their turn, by caller.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In the order of their turns: who was served goes to the end.
    callers: VecDeque<(u64, VecDeque<Waiting>)>,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) asking: Asking,
    pub(super) tell: oneshot::Sender<Outcome>,
}

/// What a waiting request is told.
pub(super) type Outcome = Result<(), Refused>;

// === impl Queue ===

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        let caller = waiting.asking.caller;
        match self.callers.iter_mut().find(|(of, _)| *of == caller) {
            Some((_, line)) => line.push_back(waiting),
            None => self.callers.push_back((caller, VecDeque::from([waiting]))),
        }
    }

    /// Takes out a request that left.
    pub(super) fn remove(&mut self, id: u64) {
        for (_, line) in &mut self.callers {
            line.retain(|waiting| waiting.id != id);
        }
        self.callers.retain(|(_, line)| !line.is_empty());
    }

    /// Takes out the next request of which `judge` says what becomes of it.
    pub(super) fn next(
        &mut self,
        mut judge: impl FnMut(&Asking) -> Option<Outcome>,
    ) -> Option<(Waiting, Outcome)> {
        let mut lines = self.callers.iter().enumerate();
        let (caller, (place, outcome)) =
            lines.find_map(|(caller, (_, line))| Some((caller, decided(line, &mut judge)?)))?;
        let (of, mut line) = self.callers.remove(caller)?;
        let waiting = line.remove(place)?;
        if !line.is_empty() {
            self.callers.push_back((of, line));
        }
        Some((waiting, outcome))
    }

    pub(super) fn find(&self, id: u64) -> Option<&Waiting> {
        self.all().find(|waiting| waiting.id == id)
    }

    /// How many wait for the same as this one and came before it.
    pub(super) fn ahead_of(&self, id: u64) -> usize {
        let Some(this) = self.find(id) else { return 0 };
        self.all().filter(|one| one.id < id && one.is_before(&this.asking)).count()
    }

    /// How many wait for the same as a newcomer would.
    pub(super) fn ahead_of_newcomer(&self, asking: &Asking) -> usize {
        self.all().filter(|one| one.is_before(asking)).count()
    }

    /// How many of a caller's wait.
    pub(super) fn len_of(&self, caller: u64) -> usize {
        self.callers.iter().find(|(of, _)| *of == caller).map_or(0, |(_, line)| line.len())
    }

    pub(super) fn len(&self) -> usize {
        self.callers.iter().map(|(_, line)| line.len()).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.callers.iter().flat_map(|(_, line)| line)
    }
}

// === impl Waiting ===

impl Waiting {
    fn is_before(&self, asking: &Asking) -> bool {
        asking.load.queues_behind(&self.asking.load)
    }
}

/// The first of a caller's requests that is decided and overtakes none that waits for the same.
fn decided(
    line: &VecDeque<Waiting>,
    mut judge: impl FnMut(&Asking) -> Option<Outcome>,
) -> Option<(usize, Outcome)> {
    line.iter().enumerate().find_map(|(place, waiting)| {
        let load = &waiting.asking.load;
        let overtakes = line.range(..place).any(|one| load.queues_behind(&one.asking.load));
        let outcome = if overtakes { None } else { judge(&waiting.asking) };
        Some((place, outcome?))
    })
}
