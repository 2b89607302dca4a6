//! A GitHub to play with and an app to stand behind the gateway, both over real HTTP.
//!
//! [`Simulator`] is GitHub: the web flow with its pages, the token exchange and the endpoints that
//! tell who somebody is, with a small [cast] of people and [`Knobs`] to make it misbehave.
//! [`Echo`] is the app: it shows or returns exactly what reached it. Nothing here uses the rest of
//! the crate, or it would agree with our mistakes.

mod web;
mod record;
mod serve;
mod gate;
mod knobs;
mod spoil;
mod scopes;
pub mod cast;
mod world;
mod callback;
mod visitor;
mod authorize;
mod pages;
mod exchange;
mod paginate;
mod resource;
mod rest;
mod github;
mod echo;
#[cfg(test)]
mod tests;

pub use cast::{Email, Membership, Person};
pub use echo::{Echo, EchoSettings, Seen};
pub use gate::Gate;
pub use github::Simulator;
pub use knobs::{Knobs, Trouble};
pub use record::Recorded;
