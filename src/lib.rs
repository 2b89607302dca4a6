//! Gatekeep: a reverse proxy that lets people into self-hosted web apps by who they are on GitHub.
//!
//! # The rooms, from the ground up
//!
//! The order of the `mod` lines below is the architecture: a module uses only modules declared
//! above its line (`tests/it/architecture.rs` holds it). The lower rooms are rules: plain values
//! and functions without I/O, clock or Pingora. The middle rooms are hands: they talk to the store
//! and to GitHub. `gateway` is what Gatekeep does, still without Pingora; `server` alone names it.
//!
//! # The way of one request
//!
//! [`server`] accepts a connection, reads the header within its limits and builds a
//! [`gateway::Request`], whose [`target::Target`] is the one canonical form of host and path.
//! [`gateway::Gateway::handle`] answers it: one of our own pages, or [`gateway::Gateway::decide`]
//! finds the route, the session and the verdict, and the request is forwarded with the visitor's
//! identity, or the visitor is asked to sign in, or refused with a reason. On a route to GitHub's API
//! `gateway/github_api` answers: at once from what is held, or once the server has brought it what the
//! client sends.
//!
//! # What always holds
//!
//! * Every error path denies; a store that gives no answer signs nobody in and nobody out.
//! * The target that was judged is byte for byte the target that is forwarded.
//! * Identity headers are stripped first, always; only a `Visitor` can set them, and only `decide`
//!   makes one.
//! * One request sees one configuration.
//! * Secrets live in [`secret::Secret`], session ids in the browser alone.

// -- words --
pub mod secret;
pub mod clock;
pub mod reason;
pub mod defence;
// -- rules: pure, synchronous, no I/O --
pub mod identity;
pub mod target;
pub mod origin;
pub mod policy;
pub mod passage;
pub mod route;
pub mod broker;
pub mod api_key;
pub mod session;
pub mod credential;
pub mod claims;
pub mod cookie;
pub mod return_to;
pub mod login;
pub mod budget;
pub mod allowance;
pub mod freshness;
// -- hands: I/O --
pub mod metrics;
pub mod log;
pub mod keys;
pub mod store;
pub mod github;
// -- settings --
pub mod config;
// -- the gateway, still without Pingora --
pub mod gateway;
// -- the server: the only room that names Pingora --
pub mod server;
// -- a GitHub to play with --
#[doc(hidden)]
pub mod simulator;
// -- the command line --
pub mod cli;
