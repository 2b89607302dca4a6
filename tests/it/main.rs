//! Tests through the front door: the gateway, the simulated GitHub and an app, over real HTTP.

mod support;

/// The mod lines of `src/lib.rs` are the architecture.
mod architecture;
/// Signing in, coming back, signing out.
mod sign_in;
