//! GitHub's limits as values: what is left, who is refused until when, and how fast to go.
//!
//! GitHub counts requests by the hour and tells in headers what is left (the *primary* limits, one
//! for each [`Resource`]). It also looks at concurrency, points, time and content created by the
//! minute, tells nothing of that, and refuses for a while (the *secondary* limits). So the first
//! are read ([`Standing`], [`Budget`]), the second are stayed below ([`Pace`]), and a refusal is
//! obeyed ([`Limited`], [`Penalty`]).
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

mod key;
mod limited;
mod load;
mod pace;
mod penalty;
mod resource;
mod rolling;
mod standing;
mod window;

pub use key::BudgetKey;
pub use limited::Limited;
pub use load::Load;
pub use pace::{Pace, Turn};
pub use penalty::{Penalty, Strike};
pub use resource::Resource;
pub use standing::{OF_THE_LIMIT, Standing};
pub use window::{Budget, Gate};

/// What a request is, to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It costs what its method says.
    Ordinary,
    /// It changes something, though its method does not tell: a mutation of GraphQL.
    Mutation,
    /// It carries the exact `ETag` of something held, so a 304 is likely, which is free.
    Revalidation,
    /// The gateway's own: sign-ins, organisations and teams, token refreshes. It may spend the
    /// reserve.
    Reserved,
}
