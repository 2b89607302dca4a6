//! GitHub, as a client: its addresses, OAuth, and who somebody is.

use std::sync::Arc;
use std::time::Duration;

use crate::reason::Reason;
use crate::secret::Secret;

pub mod api;
pub mod app;
mod applications;
pub mod budgets;
mod client;
mod dating;
mod oauth;
mod pauses;
mod tokens;
mod payload;
mod shape;
mod verbatim;
mod webhook;
mod who;

pub use client::Client;
pub(crate) use client::trusting;
pub use oauth::scopes_for;
pub use pauses::{LONGEST_PAUSE, Pauses};
pub use tokens::{Asking, TokenError, Tokens};
pub use verbatim::Verbatim;
pub use webhook::{
    Delivery, Event, Forged, Hook, HookSecret, REDELIVERED, Signature, WebhookMode, signature,
};
pub use who::Said;

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
    /// Certificates in PEM to trust instead of the system's.
    pub ca: Option<Arc<Vec<u8>>>,
    /// Scopes to ask for; `None` asks for what the policies need.
    pub scopes: Option<Vec<String>>,
    /// For one answer of GitHub, from connecting to the last byte.
    pub timeout: Duration,
    /// What GitHub signs its webhooks with; several are a rotation, none takes no webhooks.
    pub webhook_secrets: Vec<HookSecret>,
    /// What is done with what they tell.
    pub webhook_mode: WebhookMode,
    /// Whether GitHub is asked to send again what webhooks of the app nobody took.
    pub redeliver: bool,
    /// Whether a token is revoked at GitHub when its account's last session ends.
    pub revoke_tokens: bool,
    /// The GitHub App as itself, where it is one and speaks for its installations.
    pub app: Option<Arc<app::App>>,
}

/// Why GitHub gave nothing to work with. `Display` is for the operator's log; it holds no token.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// It was never asked: no connection.
    #[error(
        "GitHub cannot be reached for {0}: {1}; check the network, and github.web and github.api"
    )]
    Unreachable(&'static str, String),
    /// It was asked, and no answer came: what was asked for may have happened.
    #[error("GitHub gave no answer to {0}: {1}")]
    NoAnswer(&'static str, String),
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
    /// The refresh token is spent, expired or withdrawn.
    #[error("GitHub does not take the refresh token: {0}")]
    BadRefreshToken(String),
    /// The answer makes no sense.
    #[error("GitHub's answer to {0} cannot be used: {1}")]
    Malformed(&'static str, String),
}

// === impl Settings ===

impl Settings {
    /// Whether webhooks of the app itself are taken.
    pub fn takes_webhooks_of_the_app(&self) -> bool {
        self.webhook_secrets.iter().any(|known| known.hook.may_be_of_app())
    }

    /// The app at its GitHub: whose accounts and sessions these are.
    pub fn realm(&self) -> String {
        format!("{} {}", self.web, self.client_id)
    }

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
            Self::Unreachable(..) | Self::NoAnswer(..) | Self::Failed(..) => {
                Reason::GitHubUnavailable
            }
            Self::Refused(..) => Reason::GitHubRefused,
            // The browser brought the code: that is no fault of GitHub.
            Self::BadCode(_) => Reason::AttemptSpent,
            Self::BadRefreshToken(_) => Reason::FactsOutdated,
            Self::Malformed(..) => Reason::BadAnswer,
        }
    }
}
