//! Two gateways on one store, beside GitHub and an app; time moves for all of them together.

use std::sync::Arc;
use std::time::Duration;

use gatekeep::clock::Manual;
use gatekeep::store::{Memory, Store, Table};

use super::browser::Browser;
use super::{Gate, ROUTES, World, yaml};

/// A world whose gateway is not alone.
pub(crate) struct Nodes {
    pub(crate) world: World,
    pub(crate) other: Gate,
    pub(crate) store: Arc<dyn Store>,
}

const HOSTS: [&str; 2] = ["auth.example.com", "app.example.com"];

// === impl Nodes ===

impl Nodes {
    pub(crate) fn new(keys: &str) -> Self {
        Self::on(keys, |clock| Arc::new(Memory::new(clock)))
    }

    /// On a store of the test's own.
    pub(crate) fn on(keys: &str, store: impl FnOnce(Arc<Manual>) -> Arc<dyn Store>) -> Self {
        Self::with(keys, ROUTES, store)
    }

    /// With routes of the test's own, too.
    pub(crate) fn with(
        keys: &str,
        routes: &str,
        store: impl FnOnce(Arc<Manual>) -> Arc<dyn Store>,
    ) -> Self {
        let mut kept = None;
        let world = World::build(keys, routes, |clock| kept.insert(store(clock)).clone());
        let store = kept.expect("the gateway has a store");
        let text = yaml(&world.github, keys, &routes.replace("@APP@", world.app.url()));
        let other = Gate::start(&text, |_| store.clone());
        Self { world, other, store }
    }

    /// A browser that is signed in.
    pub(crate) fn signed_in(&self, person: &str) -> Browser {
        self.world.signed_in(person, "https://app.example.com/").0
    }

    /// A browser's double, with its cookies, at the other gateway.
    pub(crate) fn double(&self, browser: &Browser) -> Browser {
        let mut double = Browser::new(self.other.address);
        for host in HOSTS {
            for (name, value) in browser.cookies(host) {
                double.plant(host, &name, &value);
            }
        }
        double
    }

    /// Lets time pass, at GitHub, too.
    pub(crate) fn advance(&self, by: Duration) {
        for clock in [&self.world.gate.clock, &self.other.clock] {
            clock.advance(by);
        }
        self.world.github.advance(by);
    }

    /// How many rows of a table are in the store.
    pub(crate) fn rows(&self, table: Table) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.store.scan(table, None)).expect("an answer").rows.len()
    }

    /// A counter of the first gateway; what was never counted is zero.
    pub(crate) fn count(&self, line: &str) -> u64 {
        let value = self.world.gate.metric(line).unwrap_or_default();
        format!("{value:.0}").parse().expect("a count")
    }
}
