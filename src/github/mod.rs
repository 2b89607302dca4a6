//! GitHub, as a client: its addresses, OAuth, and who somebody is.

use std::time::Duration;

use crate::reason::Reason;
use crate::secret::Secret;

mod client;
mod oauth;
mod who;

pub use client::Client;
pub use oauth::{Authorization, scopes_for};

/// GitHub's addresses and the gateway's credentials there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The OAuth or GitHub App's client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret<String>,
    /// Where people sign in: `https://github.com`, without a slash at the end.
    pub web: String,
    /// The REST API: `https://api.github.com`, without a slash at the end.
    pub api: String,
    /// Scopes to ask for; `None` asks for what the policies need.
    pub scopes: Option<Vec<String>>,
    /// For one answer of GitHub, from connecting to the last byte.
    pub timeout: Duration,
}

/// Why GitHub gave nothing to work with. `Display` is for the operator's log; it holds no token.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// No answer, or none in time.
    #[error(
        "GitHub cannot be reached for {0}: {1}; check the network, and github.web and github.api"
    )]
    Unreachable(&'static str, String),
    /// GitHub's own trouble: 5xx, or a limit.
    #[error("GitHub answered {0} with status {1}")]
    Failed(&'static str, u16),
    /// GitHub does not take the gateway's credentials or settings.
    #[error(
        "GitHub refused {0}: {1}; check github.client_id, github.client_secret and the callback URL registered at GitHub"
    )]
    Refused(&'static str, String),
    /// The visitor's code is not good (any more).
    #[error("GitHub does not know the code: {0}")]
    BadCode(String),
    /// The answer makes no sense.
    #[error("GitHub's answer to {0} cannot be used: {1}")]
    Malformed(&'static str, String),
}

// === impl Settings ===

impl Settings {
    /// The host where people sign in: part of an identity, for each GitHub counts its own.
    pub fn host(&self) -> &str {
        self.web.split_once("://").map_or(self.web.as_str(), |(_, host)| host)
    }
}

// === impl GitHubError ===

impl GitHubError {
    /// The word for page, log and metric.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable(..) | Self::Failed(..) => Reason::GitHubUnavailable,
            Self::Refused(..) => Reason::GitHubRefused,
            // The browser brought the code: that is no fault of GitHub.
            Self::BadCode(_) => Reason::AttemptSpent,
            Self::Malformed(..) => Reason::BadAnswer,
        }
    }
}
