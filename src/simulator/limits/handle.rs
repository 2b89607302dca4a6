//! What tests ask and change about the limits.

use super::{Payer, Resource};
use crate::simulator::{github::Simulator, record::lock};

// === impl Simulator ===

impl Simulator {
    /// Points taken from budgets so far, whoever paid: a 304 to who is authorised takes none.
    pub fn charged(&self) -> u64 {
        lock(&self.shared.meter.0).windows.charged_to_all()
    }

    /// Points taken from this person's budgets.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn charged_to(&self, login: &str) -> u64 {
        let payer = self.payer(login);
        lock(&self.shared.meter.0).windows.charged(payer)
    }

    /// Makes so much remain of a person's budget (`core`, `search` or `graphql`), in the window
    /// that is open or opens now.
    ///
    /// # Panics
    /// If nobody is called so, or no budget.
    pub fn set_remaining(&self, login: &str, resource: &str, remaining: u64) {
        let resource = Resource::named(resource).expect("core, search or graphql");
        let (limits, payer) = (self.shared.knobs.allows(), self.payer(login));
        let now = lock(&self.shared.world).now();
        let mut state = lock(&self.shared.meter.0);
        state.windows.leave(&limits, (payer, resource), now, remaining);
    }

    /// The same of the budget of the app and its installations.
    ///
    /// # Panics
    /// If there is no such budget.
    pub fn set_remaining_of_app(&self, resource: &str, remaining: u64) {
        let resource = Resource::named(resource).expect("core, search or graphql");
        let limits = self.shared.knobs.allows();
        let now = lock(&self.shared.world).now();
        let mut state = lock(&self.shared.meter.0);
        state.windows.leave(&limits, (Payer::App, resource), now, remaining);
    }

    /// How many requests were refused for haste, whoever was hasty.
    pub fn violations(&self) -> u64 {
        lock(&self.shared.meter.0).haste.violations_of_all()
    }

    /// Whether anybody is refused for good; see [`Limits::ban_after`](super::Limits::ban_after).
    pub fn banned(&self) -> bool {
        let limits = self.shared.knobs.allows();
        lock(&self.shared.meter.0).haste.anybody_banned(&limits)
    }

    /// The most requests to the API that one person, or app, had at the same time.
    pub fn most_at_once(&self) -> usize {
        lock(&self.shared.meter.0).haste.most_in_flight()
    }

    fn payer(&self, login: &str) -> Payer {
        let person = lock(&self.shared.world).find(login).expect("the person is in the cast");
        Payer::Person(person)
    }
}
