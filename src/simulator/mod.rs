//! A GitHub to play with and an app to stand behind the gateway, both over real HTTP.
//!
//! [`Simulator`] is GitHub: the web flow with its pages, tokens from exchange to revocation, the
//! endpoints that tell who somebody is, the app's installations, and signed webhooks, with a small [cast] of people and
//! [`Knobs`] to make it misbehave. Repositories with issues, commits, files and releases, `ETag`s
//! by GitHub's formula and [`Limits`] that are really counted make it an API to test a cache and
//! a throttle against.
//! [`Echo`] is the app: it shows or returns exactly what reached it. [`Trackeep`] is another: an
//! instance that signs in through a control service. Nothing here uses the rest of
//! the crate, or it would agree with our mistakes.

mod web;
mod record;
mod lines;
mod serve;
mod calendar;
mod media;
mod gzip;
mod date;
mod gate;
mod trouble;
mod spoil;
mod scopes;
pub mod cast;
mod tokens;
mod lockout;
mod repositories;
mod world;
mod etag;
mod limits;
mod present;
mod knobs;
mod callback;
mod visitor;
mod authorize;
mod pages;
mod client;
mod refusal;
mod refresh;
mod exchange;
mod paginate;
mod resource;
mod caller;
mod asker;
mod outcome;
mod applications;
mod app_jwt;
mod installations;
mod deliveries;
mod app;
mod rest;
mod journal;
mod codeload;
mod github;
mod custody;
mod webhook;
mod echo;
mod trackeep;
#[cfg(test)]
mod tests;

pub use cast::{Email, Membership, Person};
pub use deliveries::Delivery;
pub use echo::{Echo, EchoSettings, Seen};
pub use etag::Etags;
pub use gate::Gate;
pub use github::Simulator;
pub use installations::Installation;
pub use journal::Entry;
pub use knobs::Knobs;
pub use limits::Limits;
pub use lockout::LockOut;
pub use present::Presentation;
pub use record::Recorded;
pub use repositories::{Asset, Role};
pub use tokens::ExpiringTokens;
pub use trackeep::{Trackeep, TrackeepUser};
pub use trouble::Trouble;
pub use webhook::Webhook;
