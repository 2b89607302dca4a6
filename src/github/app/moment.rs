//! Moments as GitHub writes them: in a header, and in JSON.

use crate::clock::Time;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Date` of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7); the older forms are not read.
pub(super) fn of_http(text: &str) -> Option<Time> {
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<_> = rest.split(' ').collect();
    let [day, month, year, clock, "GMT"] = parts[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    time(number(year)?, i64::try_from(month).ok()?, number(day)?, clock)
}

/// RFC 3339 in UTC: `2026-11-21T04:37:00Z`, with or without a fraction of a second.
pub(in crate::github) fn of_json(text: &str) -> Option<Time> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let parts: Vec<_> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    time(number(year)?, number(month)?, number(day)?, clock)
}

fn time(year: i64, month: i64, day: i64, clock: &str) -> Option<Time> {
    let parts: Vec<_> = clock.split(':').collect();
    let [hour, minute, second] = parts[..] else { return None };
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = hour * 3600 + minute * 60 + second;
    fits.then(|| Time::from_unix(days(year, month, day) * 86_400 + seconds))
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (http, json, unix) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z", 951_782_400),
            ("Sat, 21 Nov 2026 04:37:00 GMT", "2026-11-21T04:37:00Z", 1_795_235_820),
            ("Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59Z", 4_107_542_399),
        ] {
            assert_eq!(of_http(http), Some(Time::from_unix(unix)), "{http}");
            assert_eq!(of_json(json), Some(Time::from_unix(unix)), "{json}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nox 1994 08:49:37 GMT", "never"] {
            assert_eq!(of_http(text), None, "{text}");
        }
        for text in
            ["", "2026-11-21", "2026-13-21T04:37:00Z", "2026-11-21T04:37:00+01:00", "-1-1-1T1:1:1Z"]
        {
            assert_eq!(of_json(text), None, "{text}");
        }
    }
}
