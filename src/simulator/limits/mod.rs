//! How much GitHub answers: the hourly budgets and the limits on haste, counted for who pays.

mod handle;
mod metered;
mod primary;
mod secondary;

use std::{sync::Mutex, time::Duration};

use primary::Windows;
use secondary::Haste;

use super::{
    caller::bearer,
    client::Credentials,
    github::Shared,
    record::{Recorded, lock},
    world::PersonKey,
};

pub(super) use metered::{Receipt, budgets, metered, secondary, standing};
pub(super) use primary::{Rate, Resource};

/// How much is answered, and what happens to who asks for more. The default is GitHub's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Limits {
    /// Whether there are any: a GitHub Enterprise Server has none unless told so. Without, no
    /// answer has `x-ratelimit-*` headers and `/rate_limit` is 404.
    pub enabled: bool,
    /// Requests an hour, of a person with all their tokens or of an app.
    pub core: u64,
    /// Searches a minute.
    pub search: u64,
    /// GraphQL points an hour.
    pub graphql: u64,
    /// Requests an hour from who does not say who they are.
    pub anonymous: u64,
    /// The status beyond a budget: 403, or 429.
    pub status: u16,
    /// Whether a 304, which costs nothing, is still given when the budget is spent.
    pub unchanged_when_spent: bool,
    /// `x-ratelimit-reset` moves by a second from answer to answer.
    pub jitter: bool,
    /// Two windows with different `used` and `reset`, counted and shown in turns.
    pub two_windows: bool,
    /// Requests at the same time.
    pub concurrent: usize,
    /// Points a minute at one endpoint: a read costs 1, a write 5.
    pub points: u64,
    /// The same for GraphQL, where a mutation costs 5.
    pub graphql_points: u64,
    /// Things made a minute.
    pub creations: u64,
    /// How long everything is refused to who was too hasty.
    pub penalty: Duration,
    /// Whether that refusal has a `Retry-After`.
    pub retry_after: bool,
    /// Refusals for haste after which everything is refused for good; `None` is never.
    pub ban_after: Option<u64>,
}

/// Whose budget a request is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Person(PersonKey),
    App,
    Nobody,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    windows: Windows,
    haste: Haste,
}

/// A request that is being answered: it counts as one at the same time until it is dropped.
pub(super) struct Flight<'a> {
    meter: &'a Meter,
    payer: Payer,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            core: 5_000,
            search: 30,
            graphql: 5_000,
            anonymous: 60,
            status: 403,
            unchanged_when_spent: true,
            jitter: false,
            two_windows: false,
            concurrent: 100,
            points: 900,
            graphql_points: 2_000,
            creations: 80,
            penalty: Duration::from_secs(60),
            retry_after: true,
            ban_after: None,
        }
    }
}

impl Limits {
    /// How much of this resource the payer has in one window.
    fn of(&self, payer: Payer, resource: Resource) -> u64 {
        match (payer, resource) {
            (_, Resource::Search) => self.search,
            (_, Resource::Graphql) => self.graphql,
            (Payer::Nobody, Resource::Core) => self.anonymous,
            (_, Resource::Core) => self.core,
        }
    }
}

// === impl Payer ===

impl Payer {
    /// Who pays for this request; a dead token is nobody's.
    pub(super) fn of(shared: &Shared, request: &Recorded) -> Self {
        let world = lock(&shared.world);
        let live = bearer(request).and_then(|word| world.tokens.live(word, world.now()));
        match live {
            Some(token) => Self::Person(token.person),
            None if Credentials::basic(request).is_some_and(|app| app.right()) => Self::App,
            None => Self::Nobody,
        }
    }
}

// === impl Meter ===

impl Meter {
    /// Counts the payer's request as one at the same time.
    pub(super) fn enter(&self, payer: Payer) -> Flight<'_> {
        lock(&self.0).haste.enter(payer);
        Flight { meter: self, payer }
    }
}

// === impl Flight ===

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(&self.meter.0).haste.leave(self.payer);
    }
}
