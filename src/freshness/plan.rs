//! What is done with a request: the client's `Cache-Control` and what is known already decide.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

/// The client's `Cache-Control` (RFC 9111 §5.2.1, RFC 5861 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Nothing is looked up, nothing is kept.
    pub no_store: bool,
    /// GitHub is asked in any case.
    pub no_cache: bool,
    /// GitHub is not asked in any case.
    pub only_if_cached: bool,
    /// How long ago GitHub may have confirmed the answer.
    pub max_age: Option<Duration>,
    /// How long after its window the answer is still welcome; without a number, however long.
    pub max_stale: Option<Duration>,
    /// How old the answer may be when GitHub gives none.
    pub stale_if_error: Option<Duration>,
}

/// What is known of the asker's own answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// How long ago GitHub gave or confirmed it to this asker.
    pub age: Duration,
    /// How long it is believed: [`Fresh::window`](super::Fresh::window).
    pub window: Duration,
    /// Whether no tag of it was bumped since, nor within [`WARY`](super::WARY).
    pub untouched: bool,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The answer is given as it is; GitHub hears nothing.
    Serve,
    /// GitHub is asked, with the tag of what is there.
    Revalidate,
    /// GitHub is asked, and its answer is not kept.
    Bypass,
    /// 504: the client wants no question asked, and there is nothing fresh.
    Unsatisfiable,
}

/// What to do, by the asker's own answer, if there is one, and the client's wishes. A client can
/// ask for a younger answer than the window gives, and for an older one up to `stale_max`.
pub fn plan(validated: Option<&Validated>, wishes: &Directives, stale_max: Duration) -> Plan {
    let suits = validated.is_some_and(|known| known.suits(wishes, stale_max));
    match wishes {
        Directives { no_store: true, only_if_cached: true, .. } => Plan::Unsatisfiable,
        Directives { no_store: true, .. } => Plan::Bypass,
        _ if suits => Plan::Serve,
        Directives { only_if_cached: true, .. } => Plan::Unsatisfiable,
        _ => Plan::Revalidate,
    }
}

// === impl Validated ===

impl Validated {
    fn suits(&self, wishes: &Directives, stale_max: Duration) -> bool {
        let window = if self.untouched { self.window } else { Duration::ZERO };
        let over = self.age.saturating_sub(window);
        let fresh = self.untouched && self.age < self.window;
        let welcome = wishes.max_stale.is_some_and(|most| over <= most) && self.age <= stale_max;
        let young = wishes.max_age.is_none_or(|most| self.age <= most && !most.is_zero());
        !wishes.no_cache && young && (fresh || welcome)
    }
}

// === impl Directives ===

impl Directives {
    /// Reads the fields of a request. What cannot be read is as if it were not there, but for a
    /// `max-age` or `stale-if-error` without a sensible number, which is zero: the careful side.
    pub fn read(headers: &HeaderMap) -> Self {
        let lines =
            headers.get_all(CACHE_CONTROL).into_iter().filter_map(|line| line.to_str().ok());
        let mut read = Self::default();
        for directive in lines.flat_map(|line| line.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = seconds(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => read.no_store = true,
                "no-cache" => read.no_cache = true,
                "only-if-cached" => read.only_if_cached = true,
                "max-age" => read.max_age = Some(least(read.max_age, seconds)),
                "max-stale" if value.is_empty() => read.max_stale = Some(Duration::MAX),
                "max-stale" => read.max_stale = seconds,
                "stale-if-error" => {
                    read.stale_if_error = Some(least(read.stale_if_error, seconds));
                }
                _ => {}
            }
        }
        read
    }
}

fn least(known: Option<Duration>, said: Option<Duration>) -> Duration {
    let said = said.unwrap_or_default();
    known.map_or(said, |known| known.min(said))
}

/// Whole seconds, quoted or not; more than fit are as many as fit (RFC 9111 §1.2.2).
fn seconds(value: &str) -> Option<Duration> {
    let digits = value.trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn read(lines: &[&str]) -> Directives {
        let fields = lines.iter().map(|line| (CACHE_CONTROL, line.parse().unwrap()));
        Directives::read(&fields.collect())
    }

    #[test]
    fn wishes_are_read_from_all_fields() {
        let none = Directives::default();
        assert_eq!(read(&[]), none);
        assert_eq!(read(&["", "private, no-transform, x=1"]), none);
        assert_eq!(read(&["No-Cache"]), Directives { no_cache: true, ..none });
        assert_eq!(
            read(&["no-store,only-if-cached"]),
            Directives { no_store: true, only_if_cached: true, ..none }
        );
        for (line, seconds) in [
            ("max-age=5", 5),
            ("max-age=\"5\"", 5),
            (" Max-Age = 5 ", 5),
            ("max-age", 0),
            ("max-age=x", 0),
            ("max-age=-1", 0),
            ("max-age=5, max-age=3", 3),
            ("max-age=99999999999999999999999", u64::from(u32::MAX)),
        ] {
            let max_age = Some(Duration::from_secs(seconds));
            assert_eq!(read(&[line]), Directives { max_age, ..none }, "{line}");
        }
        assert_eq!(read(&["max-stale"]).max_stale, Some(Duration::MAX));
        assert_eq!(read(&["max-stale=7"]).max_stale, Some(7 * SECOND));
        assert_eq!(read(&["max-stale=x"]).max_stale, None);
        let both = Directives { no_cache: true, stale_if_error: Some(Duration::ZERO), ..none };
        assert_eq!(read(&["no-cache", "stale-if-error=0"]), both);
    }

    fn at(age: u64, window: u64) -> Validated {
        let seconds = Duration::from_secs;
        Validated { age: seconds(age), window: seconds(window), untouched: true }
    }

    fn planned(known: Validated, line: &str) -> Plan {
        plan(Some(&known), &read(&[line]), HOUR)
    }

    #[test]
    fn within_its_window_an_answer_is_given() {
        assert_eq!(planned(at(0, 60), ""), Plan::Serve);
        assert_eq!(planned(at(59, 60), ""), Plan::Serve);
        assert_eq!(planned(at(60, 60), ""), Plan::Revalidate);
        assert_eq!(planned(at(0, 0), ""), Plan::Revalidate);
        let touched = Validated { untouched: false, ..at(0, 60) };
        assert_eq!(planned(touched, ""), Plan::Revalidate);
        assert_eq!(plan(None, &Directives::default(), HOUR), Plan::Revalidate);
    }

    #[test]
    fn a_client_can_ask_for_a_younger_answer() {
        assert_eq!(planned(at(10, 60), "max-age=10"), Plan::Serve);
        assert_eq!(planned(at(11, 60), "max-age=10"), Plan::Revalidate);
        assert_eq!(planned(at(0, 60), "max-age=0"), Plan::Revalidate);
        assert_eq!(planned(at(0, 60), "no-cache"), Plan::Revalidate);
        assert_eq!(planned(at(0, 0), "max-age=60"), Plan::Revalidate, "no longer than the window");
        assert_eq!(planned(at(0, 60), "no-store"), Plan::Bypass);
    }

    #[test]
    fn a_client_can_ask_for_an_older_answer_up_to_a_point() {
        assert_eq!(planned(at(70, 60), "max-stale=10"), Plan::Serve);
        assert_eq!(planned(at(71, 60), "max-stale=10"), Plan::Revalidate);
        assert_eq!(planned(at(3600, 0), "max-stale"), Plan::Serve);
        assert_eq!(planned(at(3601, 0), "max-stale"), Plan::Revalidate);
        assert_eq!(planned(at(70, 60), "max-stale, max-age=60"), Plan::Revalidate);
        assert_eq!(planned(at(70, 60), "max-stale, no-cache"), Plan::Revalidate);
    }

    #[test]
    fn a_client_can_ask_for_no_question() {
        assert_eq!(planned(at(0, 60), "only-if-cached"), Plan::Serve);
        for (known, line) in [
            (at(60, 60), "only-if-cached"),
            (at(0, 60), "only-if-cached, no-cache"),
            (at(0, 60), "only-if-cached, no-store"),
        ] {
            assert_eq!(planned(known, line), Plan::Unsatisfiable, "{line}");
        }
        assert_eq!(plan(None, &read(&["only-if-cached"]), HOUR), Plan::Unsatisfiable);
    }
}
