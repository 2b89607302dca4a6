//! The clock: time as a value that is asked for, so that tests can move it.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment of wall time, in whole seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

/// Where the gateway reads the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Time;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

/// A clock that stands still until it is moved by hand.
#[derive(Debug)]
pub struct Manual(AtomicI64);

// === impl Time ===

impl Time {
    /// A moment given in seconds since 1970-01-01 UTC.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01 UTC.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// As people read it, to the minute: `2026-11-21 04:37 UTC`.
    pub fn to_minute(self) -> String {
        let ([year, month, day], [hour, minute, _]) = self.calendar();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }

    /// As RFC 3339 writes it: `2026-11-21T04:37:00Z`.
    pub fn to_rfc3339(self) -> String {
        let ([year, month, day], [hour, minute, second]) = self.calendar();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// How long ago `earlier` was; zero when it lies ahead (clocks jump).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Year, month, day; hour, minute, second.
    fn calendar(self) -> ([i64; 3], [i64; 3]) {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        ([year, month, day], [seconds / 3600, seconds / 60 % 60, seconds % 60])
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Time {
    /// As people read it: `2026-11-21 04:37:00 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], [hour, minute, second]) = self.calendar();
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

// === impl Clock ===

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

impl Manual {
    /// A clock that shows `start`.
    pub fn at(start: Time) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, to: Time) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// Year, month and day of a count of days since 1970-01-01 (Howard Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_people_write_it() {
        for (unix, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_235_820, "2026-11-21 04:37:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
        ] {
            assert_eq!(Time::from_unix(unix).to_string(), text);
            assert_eq!(Time::from_unix(unix).to_minute(), format!("{} UTC", &text[..16]));
        }
    }

    #[test]
    fn a_moment_ahead_is_no_time_ago() {
        assert_eq!(Time::from_unix(10).since(Time::from_unix(20)), Duration::ZERO);
        assert_eq!(Time::from_unix(20).since(Time::from_unix(10)), Duration::from_secs(10));
    }

    #[test]
    fn a_manual_clock_moves_by_hand() {
        let clock = Manual::at(Time::from_unix(5));
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.now(), Time::from_unix(12));
    }
}
