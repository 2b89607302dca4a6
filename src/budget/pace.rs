//! How fast to go: an account of what was sent lately, to stay below limits that GitHub does not
//! tell until they are broken.

use std::collections::HashMap;
use std::time::Duration;

use super::Load;
use super::load::Lane;
use super::rolling::Rolling;

/// What one budget sent lately. Moments are spans since some beginning of the caller's choice, on a
/// clock that never jumps.
#[derive(Debug)]
pub struct Pace {
    /// Under way in each lane.
    under_way: [u32; LANES],
    /// When the last one of each lane began.
    last: [Option<Duration>; LANES],
    last_creation: Option<Duration>,
    /// Points, by account.
    points: HashMap<&'static str, Rolling>,
    /// Milliseconds that GitHub took.
    time: Rolling,
    graphql_time: Rolling,
    creations: Rolling,
}

/// When a request may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After so long.
    After(Duration),
    /// When one of its kind has ended, and perhaps later.
    WhenOneEnds,
}

const LANES: usize = 4;

/// Points a minute for one REST endpoint: four fifths of GitHub's 900.
const POINTS: u64 = 720;

/// Points a minute for GraphQL: four fifths of GitHub's 2,000.
const GRAPHQL_POINTS: u64 = 1_600;

/// Milliseconds of GitHub's time a minute: four fifths of its 90 s.
const TIME: u64 = 72_000;

/// The same for GraphQL: four fifths of its 60 s.
const GRAPHQL_TIME: u64 = 48_000;

/// Creations an hour: four fifths of GitHub's 500. Its limit of 80 a minute is never met by what keeps
/// three seconds apart.
const CREATIONS: u64 = 400;

// === impl Pace ===

impl Pace {
    /// Nothing was sent yet.
    pub fn new() -> Self {
        Self {
            under_way: [0; LANES],
            last: [None; LANES],
            last_creation: None,
            points: HashMap::new(),
            time: Rolling::minute(),
            graphql_time: Rolling::minute(),
            creations: Rolling::hour(),
        }
    }

    /// When a request may begin.
    pub fn turn(&self, load: &Load, now: Duration) -> Turn {
        if load.lane.is_single() && self.under_way[load.lane as usize] > 0 {
            return Turn::WhenOneEnds;
        }
        let waits = [
            self.spacing(load, now),
            self.points(load, now),
            self.time(load, now),
            self.creations(load, now),
        ];
        match waits.into_iter().max() {
            Some(wait) if !wait.is_zero() => Turn::After(wait),
            _ => Turn::Now,
        }
    }

    /// Notes that a request begins.
    pub fn begin(&mut self, load: &Load, now: Duration) {
        self.under_way[load.lane as usize] += 1;
        self.points
            .entry(load.account)
            .or_insert_with(Rolling::minute)
            .add(load.points.into(), now);
        if load.creates {
            self.creations.add(1, now);
        }
        self.delay(load, now);
    }

    /// Notes that a request which had begun is on its way only now.
    pub fn delay(&mut self, load: &Load, now: Duration) {
        self.last[load.lane as usize] = Some(now);
        if load.creates {
            self.last_creation = Some(now);
        }
    }

    /// Notes that a request has ended, for which GitHub took so long.
    pub fn end(&mut self, load: &Load, took: Duration, now: Duration) {
        let under_way = &mut self.under_way[load.lane as usize];
        *under_way = under_way.saturating_sub(1);
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).min(TIME);
        self.time.add(took, now);
        if load.is_graphql {
            self.graphql_time.add(took, now);
        }
    }

    /// Drops what counts no more, and says whether nothing does.
    pub fn forget(&mut self, now: Duration) -> bool {
        self.points.retain(|_, points| !points.is_empty(now));
        let sums = [&self.creations, &self.time, &self.graphql_time];
        let is_quiet = self.points.is_empty() && sums.iter().all(|sum| sum.is_empty(now));
        is_quiet && self.under_way == [0; LANES]
    }

    fn spacing(&self, load: &Load, now: Duration) -> Duration {
        let creation =
            self.last_creation.filter(|_| load.creates).map(|last| last + load.spacing());
        // A creation is a write, and between writes a second is enough.
        let apart = load.spacing().min(match load.lane {
            Lane::Write => Duration::from_secs(1),
            _ => Duration::MAX,
        });
        let lane = self.last[load.lane as usize].map(|last| last + apart);
        creation.max(lane).map_or(Duration::ZERO, |earliest| earliest.saturating_sub(now))
    }

    fn points(&self, load: &Load, now: Duration) -> Duration {
        let limit = if load.is_graphql { GRAPHQL_POINTS } else { POINTS };
        let wait = |points: &Rolling| points.wait(load.points.into(), limit, now);
        self.points.get(load.account).map_or(Duration::ZERO, wait)
    }

    fn time(&self, load: &Load, now: Duration) -> Duration {
        let of_graphql = self.graphql_time.wait(1, GRAPHQL_TIME, now);
        let all = self.time.wait(1, TIME, now);
        if load.is_graphql { all.max(of_graphql) } else { all }
    }

    fn creations(&self, load: &Load, now: Duration) -> Duration {
        if load.creates { self.creations.wait(1, CREATIONS, now) } else { Duration::ZERO }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::{Kind, Resource};
    use super::*;

    fn load(kind: Kind, method: &Method, template: &'static str) -> Load {
        Load::of(kind, method, Resource::predicted(method, template), template)
    }

    /// When each of `count` requests begins, of which each takes `took` and the next is asked for
    /// at once.
    fn beginnings(load: &Load, count: usize, took: Duration) -> Vec<Duration> {
        let (mut pace, mut now) = (Pace::new(), Duration::from_millis(400));
        let mut begun = Vec::new();
        while begun.len() < count {
            match pace.turn(load, now) {
                Turn::Now => {
                    pace.begin(load, now);
                    begun.push(now);
                    now += took;
                    pace.end(load, took, now);
                }
                Turn::After(wait) => now += wait,
                Turn::WhenOneEnds => panic!("none is under way"),
            }
        }
        begun
    }

    /// The most that begin within a span.
    fn densest(begun: &[Duration], span: Duration) -> usize {
        let within =
            |from: Duration| begun.iter().filter(|t| (from..from + span).contains(*t)).count();
        begun.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    fn smallest_gap(begun: &[Duration]) -> Duration {
        begun.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min().unwrap()
    }

    const MINUTE: Duration = Duration::from_secs(60);
    const QUICK: Duration = Duration::from_millis(1);

    #[test]
    fn points_of_one_endpoint_are_limited_by_the_minute() {
        let reads = load(Kind::Ordinary, &Method::GET, "/user");
        assert_eq!(densest(&beginnings(&reads, 1500, QUICK), MINUTE), 720);
        let queries = load(Kind::Ordinary, &Method::POST, "/graphql");
        assert_eq!(densest(&beginnings(&queries, 3400, QUICK), MINUTE), 1600);
        let mut pace = Pace::new();
        (0..720).for_each(|_| pace.begin(&reads, QUICK));
        assert!(matches!(pace.turn(&reads, QUICK), Turn::After(_)));
        let other = load(Kind::Ordinary, &Method::GET, "/gists");
        assert_eq!(pace.turn(&other, QUICK), Turn::Now, "each endpoint has its own");
    }

    #[test]
    fn writes_keep_a_second_and_creations_three_and_have_limits_of_their_own() {
        let writes = beginnings(&load(Kind::Ordinary, &Method::PATCH, "/user"), 200, QUICK);
        assert_eq!(smallest_gap(&writes), Duration::from_secs(1));
        let issues = load(Kind::Ordinary, &Method::POST, "/repos/{o}/{r}/issues");
        let created = beginnings(&issues, 900, QUICK);
        assert_eq!(smallest_gap(&created), Duration::from_secs(3));
        assert_eq!(densest(&created, MINUTE), 20, "far below GitHub's 80");
        assert_eq!(densest(&created, MINUTE * 60), 400);
        let mutations = beginnings(&load(Kind::Mutation, &Method::POST, "/graphql"), 50, QUICK);
        assert_eq!(smallest_gap(&mutations), Duration::from_secs(1));
    }

    #[test]
    fn a_creation_and_another_write_are_a_second_apart() {
        let (issue, edit) = (
            load(Kind::Ordinary, &Method::POST, "/repos/{o}/{r}/issues"),
            load(Kind::Ordinary, &Method::PATCH, "/user"),
        );
        let mut pace = Pace::new();
        pace.begin(&issue, Duration::ZERO);
        assert_eq!(pace.turn(&edit, Duration::ZERO), Turn::WhenOneEnds);
        pace.end(&issue, QUICK, QUICK);
        assert_eq!(pace.turn(&edit, QUICK), Turn::After(Duration::from_millis(999)));
        assert_eq!(pace.turn(&issue, QUICK), Turn::After(Duration::from_millis(2999)));
        pace.begin(&edit, Duration::from_millis(2500));
        pace.end(&edit, QUICK, Duration::from_millis(2501));
        let wait = pace.turn(&issue, Duration::from_millis(2501));
        assert_eq!(wait, Turn::After(Duration::from_millis(999)));
        pace.begin(&edit, Duration::from_secs(4));
        pace.delay(&edit, Duration::from_secs(6));
        pace.end(&edit, QUICK, Duration::from_secs(6));
        let wait = pace.turn(&edit, Duration::from_secs(6));
        assert_eq!(wait, Turn::After(Duration::from_secs(1)), "from when it really went");
    }

    #[test]
    fn searches_keep_two_seconds_and_never_overlap() {
        let search = load(Kind::Ordinary, &Method::GET, "/search/issues");
        let begun = beginnings(&search, 60, QUICK);
        assert_eq!(smallest_gap(&begun), Duration::from_secs(2));
        assert_eq!(densest(&begun, MINUTE), 30);
        let mut pace = Pace::new();
        pace.begin(&search, Duration::ZERO);
        assert_eq!(pace.turn(&search, Duration::from_secs(9)), Turn::WhenOneEnds);
        let read = load(Kind::Ordinary, &Method::GET, "/user");
        pace.begin(&read, Duration::ZERO);
        assert_eq!(pace.turn(&read, Duration::ZERO), Turn::Now, "reads overlap");
    }

    #[test]
    fn tokens_come_one_at_a_time_and_at_once() {
        let mint = load(Kind::Reserved, &Method::POST, "/app/installations/{id}/access_tokens");
        assert_eq!(smallest_gap(&beginnings(&mint, 100, QUICK)), QUICK);
        let mut pace = Pace::new();
        pace.begin(&mint, Duration::ZERO);
        assert_eq!(pace.turn(&mint, Duration::ZERO), Turn::WhenOneEnds);
    }

    #[test]
    fn githubs_time_is_limited_by_the_minute() {
        let took = Duration::from_secs(1);
        let read = load(Kind::Ordinary, &Method::GET, "/user");
        let query = load(Kind::Ordinary, &Method::POST, "/graphql");
        for (load, most) in [(&read, 72), (&query, 48)] {
            let mut pace = Pace::new();
            for _ in 0..most {
                assert_eq!(pace.turn(load, took), Turn::Now);
                pace.begin(load, took);
                pace.end(load, took, took);
            }
            assert_eq!(pace.turn(load, took), Turn::After(MINUTE + took));
            let read_too = if most == 72 { Turn::After(MINUTE + took) } else { Turn::Now };
            assert_eq!(pace.turn(&read, took), read_too);
            assert_eq!(pace.turn(load, took * 2 + MINUTE), Turn::Now);
        }
    }

    #[test]
    fn what_counts_no_more_is_forgotten() {
        let mut pace = Pace::new();
        assert!(pace.forget(Duration::ZERO));
        let issue = load(Kind::Ordinary, &Method::POST, "/repos/{o}/{r}/issues");
        pace.begin(&issue, Duration::ZERO);
        assert!(!pace.forget(MINUTE * 90), "it is under way");
        pace.end(&issue, QUICK, QUICK);
        assert!(!pace.forget(MINUTE * 59));
        assert!(pace.forget(MINUTE * 62));
    }
}
