//! GitHub's API behind a route, instead of an app.

use crate::passage::permitted::Rules;

/// How GitHub's API is asked for the visitors of a route.
#[derive(Clone, Debug)]
pub struct Api {
    /// Whether the paths are those of a GitHub Enterprise Server, `/api/v3/…`, for clients that take
    /// a host name alone.
    pub enterprise_paths: bool,
    /// Whether one visitor's question may be answered with what another one fetched, once GitHub has
    /// said that it is the very same.
    pub share: bool,
    /// Which paths are passed on.
    pub rules: Rules,
}
