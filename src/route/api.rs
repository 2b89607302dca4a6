//! GitHub's API behind a route, instead of an app.

use std::fmt;

use crate::passage::cors::Origins;
use crate::passage::permitted::Rules;

/// How GitHub's API is asked for the visitors of a route.
#[derive(Clone, Debug)]
pub struct Api {
    /// In whose name GitHub is asked.
    pub acts_as: ActsAs,
    /// Whether the paths are those of a GitHub Enterprise Server, `/api/v3/…`, for clients that take
    /// a host name alone.
    pub enterprise_paths: bool,
    /// Whether one visitor's question may be answered with what another one fetched, once GitHub has
    /// said that it is the very same.
    pub share: bool,
    /// Which paths are passed on.
    pub rules: Rules,
    /// Pages of which other origins may ask.
    pub origins: Origins,
    /// With which status the gateway refuses what a limit of GitHub's stands against.
    pub limit_status: LimitStatus,
    /// Whether answers also say what the cache did in the words of other caches.
    pub cache_headers: bool,
}

/// In whose name GitHub is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActsAs {
    /// The visitor.
    Visitor,
    /// An installation of the GitHub App.
    Installation {
        /// Its number, or the account that it is installed on.
        which: Box<str>,
        /// Whether the visitor reads what it may not.
        or_visitor: bool,
    },
}

/// The status of a refusal. GitHub uses both, and some clients know one alone: with 429 `PyGithub`
/// raises no `RateLimitExceededException`, and Octokit's plugin-retry asks three times more before
/// anybody hears of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitStatus {
    /// 429.
    TooManyRequests,
    /// 403, which all of them take for a limit.
    #[default]
    Forbidden,
    /// What GitHub used last for this budget; 403 when it never refused.
    AsGitHub,
}

// === impl LimitStatus ===

impl fmt::Display for LimitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyRequests => "429",
            Self::Forbidden => "403",
            Self::AsGitHub => "github",
        })
    }
}

// === impl ActsAs ===

impl ActsAs {
    /// Whether the one asked for can be another than the one who answers.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Installation { or_visitor: true, .. })
    }
}

impl fmt::Display for ActsAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visitor => f.write_str("the visitor"),
            Self::Installation { which, or_visitor: false } => {
                write!(f, "the installation {which}")
            }
            Self::Installation { which, or_visitor: true } => {
                write!(f, "the installation {which}, or the visitor")
            }
        }
    }
}
