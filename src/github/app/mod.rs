//! The GitHub App as itself: the token by which it says who it is, and the tokens by which it acts
//! for its installations.
//!
//! Tokens of installations are shared through the store, so that of many nodes one asks for each. But
//! a new one ends no other: where the store gives no answer, a node asks for itself.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Client, GitHubError};
use crate::keys::RsaKey;

mod about;
mod deliveries;
mod installations;
mod jwt;
mod listing;
pub(super) mod moment;
mod scope;
mod shared;
mod slot;
mod token;

pub use deliveries::Missed;
pub use installations::Installations;
pub use jwt::AppJwt;
pub use listing::{Installation, Owner};
pub use scope::{Level, Scope, ScopeFault, ScopeHash};
pub use token::InstallationToken;

/// The app's number and keys.
#[derive(Debug, PartialEq, Eq)]
pub struct App {
    /// GitHub's number for it.
    pub id: u64,
    /// What its tokens name as their issuer: the client id, or the number for a GitHub Enterprise
    /// that knows it by nothing else.
    pub issuer: String,
    /// Its keys; the first that GitHub takes is used. Never empty.
    pub keys: Vec<RsaKey>,
}

/// GitHub's number for one account's installation of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstallationId(pub u64);

/// Why the app cannot act for an installation. `Display` is for the operator's log; it holds no
/// token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration has no app.
    #[error("there is no `github.app` in the configuration, so nothing can be done in its name")]
    NoApp,
    /// GitHub knows no installation of the app there (any more).
    #[error("the app is not installed there: GitHub knows no {0}")]
    Gone(String),
    /// The account's owner or GitHub has suspended the installation.
    #[error("GitHub lets the app do nothing for installation {0}: {1}")]
    Suspended(InstallationId, String),
    /// More was asked for than the installation was granted.
    #[error(
        "GitHub gives installation {0} no token of this scope: {1}; grant it at GitHub, or ask for less"
    )]
    Scope(InstallationId, String),
    /// GitHub does not take the app's own token.
    #[error(
        "GitHub does not take the app's word: {0}; check github.app.id, github.app.private_key and the clock"
    )]
    Refused(String),
    /// GitHub gave no answer to work with.
    #[error(transparent)]
    GitHub(#[from] Arc<GitHubError>),
}

/// The longest part of GitHub's own words that is shown.
const LONGEST_WORDS: usize = 200;

// === impl InstallationId ===

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl AppError ===

impl From<GitHubError> for AppError {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(Arc::new(error))
    }
}

impl AppError {
    /// The word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoApp | Self::Refused(_) | Self::Scope(..) => "refused",
            Self::Gone(_) => "gone",
            Self::Suspended(..) => "suspended",
            Self::GitHub(_) => "failed",
        }
    }
}

// === impl Client ===

impl Client {
    /// The app of the configuration.
    fn app(&self) -> Result<&Arc<App>, AppError> {
        self.settings.app.as_ref().ok_or(AppError::NoApp)
    }

    /// The app at its GitHub, by a number: whose installations are meant. No secret.
    fn app_home(&self) -> Result<u64, AppError> {
        let home = format!("{} {}", self.settings.api, self.app()?.id);
        let digest = ring::digest::digest(&ring::digest::SHA256, home.as_bytes());
        let (tag, _) = digest.as_ref().split_first_chunk().expect("a digest has 32 bytes");
        Ok(u64::from_be_bytes(*tag))
    }
}

/// What GitHub says in `message`, in one line.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Complaint {
        message: String,
    }
    let said = serde_json::from_slice(body).map_or(String::new(), |it: Complaint| it.message);
    said.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
}
