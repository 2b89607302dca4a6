//! When an answer that GitHub cannot confirm is better than none.

use std::time::Duration;

use super::handling::Handling;
use super::plan::Directives;

/// Why GitHub cannot be asked, or gives no answer. A 401, 403, 404, 410 or 451 is an answer: after
/// it nothing old is given. Nor while a token cannot be renewed: nobody knows whose it still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The hour's budget is spent.
    PrimaryRateLimit,
    /// GitHub has asked for a pause.
    SecondaryRateLimit,
    /// 5xx, or no connection.
    UpstreamError,
    /// No answer in time.
    Timeout,
    /// GitHub has failed again and again, and is left alone.
    Outage,
}

/// How old an answer may be that GitHub gave for this asker's token.
pub const STALE_PRIVATE: Duration = Duration::from_secs(3600);

/// The same for one that GitHub called `public`.
pub const STALE_PUBLIC: Duration = Duration::from_secs(24 * 3600);

/// Whether the asker's own answer of this age may be given although GitHub did not confirm it.
/// `public` is what GitHub's `Cache-Control` said of it; the client may ask for less, even nothing:
/// `stale-if-error=0`.
pub fn may_be_stale(handling: &Handling, public: bool, age: Duration, wishes: &Directives) -> bool {
    let most = if public { STALE_PUBLIC } else { STALE_PRIVATE };
    let wanted = wishes.stale_if_error.unwrap_or(most);
    handling.store && !wishes.no_store && !wanted.is_zero() && age <= most.min(wanted)
}

// === impl Cause ===

impl Cause {
    /// The word in `X-Gatekeep-Stale`, in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PrimaryRateLimit => "primary-rate-limit",
            Self::SecondaryRateLimit => "secondary-rate-limit",
            Self::UpstreamError => "upstream-error",
            Self::Timeout => "timeout",
            Self::Outage => "outage",
        }
    }

    /// The `detail` in `Cache-Status` (RFC 9211 §2.8).
    pub const fn detail(self) -> &'static str {
        match self {
            Self::PrimaryRateLimit => "rate-limited",
            Self::SecondaryRateLimit => "secondary",
            Self::UpstreamError | Self::Timeout => "stale-if-error",
            Self::Outage => "outage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::handling::Fresh;

    const KEPT: Handling = Handling { store: true, share: false, fresh: Fresh::Revalidate };

    #[test]
    fn an_old_answer_is_given_up_to_an_age() {
        let at = |public, seconds| {
            may_be_stale(&KEPT, public, Duration::from_secs(seconds), &Directives::default())
        };
        assert!(at(false, 3600) && !at(false, 3601));
        assert!(at(true, 86_400) && !at(true, 86_401));
    }

    #[test]
    fn what_is_never_kept_is_never_given_old() {
        let never = Handling { store: false, ..KEPT };
        assert!(!may_be_stale(&never, true, Duration::ZERO, &Directives::default()));
        assert!(may_be_stale(&KEPT, true, Duration::ZERO, &Directives::default()));
    }

    #[test]
    fn a_client_may_ask_for_less_and_never_for_more() {
        let with = |stale_if_error, seconds| {
            let stale_if_error = Some(Duration::from_secs(stale_if_error));
            let wishes = Directives { stale_if_error, no_cache: true, ..Directives::default() };
            may_be_stale(&KEPT, false, Duration::from_secs(seconds), &wishes)
        };
        assert!(with(60, 60) && !with(60, 61));
        assert!(!with(0, 0));
        assert!(with(99_999, 3600) && !with(99_999, 3601));
        let no_store = Directives { no_store: true, ..Directives::default() };
        assert!(!may_be_stale(&KEPT, true, Duration::ZERO, &no_store));
    }
}
