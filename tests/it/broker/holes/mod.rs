//! The 21 holes of the service that stood here before, each as the attack that it was open to: refused,
//! and beside it what is right and goes through.
//!
//! What it was: a program with its users in memory, one secret that all instances shared, and GitHub's
//! tokens in addresses.

use super::*;

/// Who somebody is: what GitHub says, and what it does not say.
mod identity;
/// The service to all who are none of its visitors.
mod service;
/// The way to GitHub and back, and on to the instance.
mod sign_in;
/// What is given to browsers and servers.
mod tokens;

/// Refused as a browser is: a status, and no way anywhere.
fn led_nowhere(answer: &Response) -> u16 {
    assert_eq!(answer.header("location"), None, "{}", answer.text());
    answer.status
}
