//! Seconds since 1970 as GitHub writes a time: `2026-01-31T08:05:09Z`, and as HTTP does.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The proleptic Gregorian calendar in UTC.
pub(super) fn written(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `Sat, 31 Jan 2026 08:05:09 GMT`, as in `Last-Modified` (RFC 9110, section 5.6.7).
pub(super) fn http_date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    let name = |names: &[&'static str], at: u64| names[usize::try_from(at).unwrap_or_default()];
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month - 1));
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// What sorts as the moments do: year, month, day and time of an HTTP date.
pub(super) fn order(http_date: &str) -> Option<(u64, usize, u64, String)> {
    let words: Vec<&str> = http_date.split_ascii_whitespace().collect();
    let &[_, day, month, year, time, "GMT"] = &words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    Some((year.parse().ok()?, month, day.parse().ok()?, time.to_owned()))
}

/// Counts in years that begin in March, so that the leap day is a year's last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_github_does() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_769_846_709, "2026-01-31T08:05:09Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(written(seconds), expected);
        }
    }

    #[test]
    fn dates_of_http_sort_as_they_happened() {
        let seconds = [0, 951_782_399, 951_782_400, 1_709_251_200, 1_769_846_709];
        let dates = seconds.map(http_date);
        assert_eq!(dates[0], "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(dates[4], "Sat, 31 Jan 2026 08:05:09 GMT");
        assert!(dates.iter().map(|date| order(date).unwrap()).is_sorted());
        assert_eq!(order("yesterday"), None);
    }
}
