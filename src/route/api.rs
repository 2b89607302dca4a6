//! GitHub's API behind a route, instead of an app.

use std::fmt;

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
}

/// In whose name GitHub is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActsAs {
    /// The visitor.
    Visitor,
    /// An installation of the GitHub App: its number, or the account that it is installed on.
    Installation(Box<str>),
}

// === impl ActsAs ===

impl fmt::Display for ActsAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visitor => f.write_str("the visitor"),
            Self::Installation(which) => write!(f, "the installation {which}"),
        }
    }
}
