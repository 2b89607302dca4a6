//! The limits on haste: requests at the same time, points a minute, things made a minute.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Limits, Payer, Resource};
use crate::simulator::record::{API, Recorded};

const MINUTE: Duration = Duration::from_secs(60);

/// The words of a path that are part of its endpoint's name; all others are parameters.
const WORDS: [&str; 44] = [
    "applications",
    "assets",
    "blob",
    "blobs",
    "branches",
    "comments",
    "commits",
    "contents",
    "diff",
    "emails",
    "events",
    "git",
    "grant",
    "graphql",
    "installation",
    "installations",
    "issues",
    "labels",
    "latest",
    "memberships",
    "meta",
    "notifications",
    "orgs",
    "pulls",
    "rate_limit",
    "releases",
    "repos",
    "repositories",
    "search",
    "stats",
    "tags",
    "tarball",
    "teams",
    "token",
    "trees",
    "user",
    "users",
    "zipball",
    "app",
    "hook",
    "deliveries",
    "attempts",
    "uploads",
    "access_tokens",
];

/// What was done lately, by whom.
#[derive(Debug, Default)]
pub(super) struct Haste {
    recent: HashMap<(Payer, String), VecDeque<(Duration, u64)>>,
    in_flight: HashMap<Payer, usize>,
    most_in_flight: usize,
    penalties: HashMap<Payer, Duration>,
    violations: HashMap<Payer, u64>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too hasty; so long everything is refused.
    For(Duration),
    /// For good.
    Banned,
}

// === impl Haste ===

impl Haste {
    pub(super) fn enter(&mut self, payer: Payer) {
        let count = self.in_flight.entry(payer).or_default();
        *count += 1;
        self.most_in_flight = self.most_in_flight.max(*count);
    }

    pub(super) fn leave(&mut self, payer: Payer) {
        let count = self.in_flight.entry(payer).or_default();
        *count = count.saturating_sub(1);
    }

    /// Counts the request, and says whether it was one too many.
    pub(super) fn judge(
        &mut self,
        limits: &Limits,
        payer: Payer,
        request: &Recorded,
        now: Duration,
    ) -> Result<(), Refused> {
        let too_much = self.count(limits, payer, request, now);
        if self.banned_by(limits, payer) {
            return Err(Refused::Banned);
        }
        let running = self.penalties.get(&payer).copied().filter(|until| now < *until);
        if running.is_none() && !too_much {
            return Ok(());
        }
        *self.violations.entry(payer).or_default() += 1;
        let until = running.unwrap_or(now + limits.penalty);
        self.penalties.insert(payer, until);
        Err(Refused::For(until.saturating_sub(now)))
    }

    /// How often this payer was refused for haste.
    pub(super) fn violations(&self, payer: Payer) -> u64 {
        self.violations.get(&payer).copied().unwrap_or_default()
    }

    pub(super) fn violations_of_all(&self) -> u64 {
        self.violations.values().sum()
    }

    pub(super) fn anybody_banned(&self, limits: &Limits) -> bool {
        self.violations.keys().any(|payer| self.banned_by(limits, *payer))
    }

    /// The most requests that one payer had at the same time.
    pub(super) fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }

    fn banned_by(&self, limits: &Limits, payer: Payer) -> bool {
        limits.ban_after.is_some_and(|most| self.violations(payer) >= most)
    }

    /// Whether there is too much of anything, this request included.
    fn count(&mut self, limits: &Limits, payer: Payer, request: &Recorded, now: Duration) -> bool {
        let graphql = Resource::of(request) == Resource::Graphql;
        let writes = if graphql { mutates(request) } else { !reads(request) };
        let most = if graphql { limits.graphql_points } else { limits.points };
        let points = self.spend(payer, endpoint(request), now, if writes { 5 } else { 1 });
        let makes = writes && request.method == "POST";
        let made = self.spend(payer, "creations".to_owned(), now, u64::from(makes));
        let together = self.in_flight.get(&payer).copied().unwrap_or_default();
        points > most || made > limits.creations || together > limits.concurrent
    }

    /// What was spent on this within the last minute, with these points.
    fn spend(&mut self, payer: Payer, on: String, now: Duration, points: u64) -> u64 {
        let recent = self.recent.entry((payer, on)).or_default();
        while recent.front().is_some_and(|(then, _)| *then + MINUTE <= now) {
            recent.pop_front();
        }
        if points > 0 {
            recent.push_back((now, points));
        }
        recent.iter().map(|(_, points)| points).sum()
    }
}

/// Whether the request changes nothing.
pub(super) fn reads(request: &Recorded) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS")
}

fn mutates(request: &Recorded) -> bool {
    let body = String::from_utf8_lossy(&request.body);
    body.contains("mutation")
}

/// `GET /repos/{}/{}/issues/{}`; the numeric alias is the same endpoint.
fn endpoint(request: &Recorded) -> String {
    let path = request.path().strip_prefix(API).unwrap_or(request.path());
    let mut segments = path.split('/').skip(1).enumerate().peekable();
    let mut template = request.method.clone();
    template.push(' ');
    while let Some((at, segment)) = segments.next() {
        match segment {
            "repositories" if at == 0 => {
                segments.next();
                template.push_str("/repos/{}/{}");
            }
            // Owner and repository may be called like anything.
            "repos" if at == 0 => {
                segments.next();
                segments.next();
                template.push_str("/repos/{}/{}");
            }
            word if WORDS.contains(&word) => {
                template.push('/');
                template.push_str(word);
            }
            _ => template.push_str("/{}"),
        }
    }
    template
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn request(method: &str, target: &str) -> Recorded {
        let request = Request::builder().method(method).uri(target).body(()).unwrap();
        Recorded::new(&request, Bytes::new())
    }

    #[test]
    fn an_endpoint_has_one_name_whatever_its_parameters() {
        for (target, expected) in [
            ("/api/v3/repos/acme/issues/issues/7?x=1", "GET /repos/{}/{}/issues/{}"),
            ("/api/v3/repositories/7/issues/8", "GET /repos/{}/{}/issues/{}"),
            ("/api/v3/repos/a/b", "GET /repos/{}/{}"),
            ("/api/v3/users/mona", "GET /users/{}"),
            ("/api/graphql", "GET /{}/graphql"),
        ] {
            assert_eq!(endpoint(&request("GET", target)), expected, "{target}");
        }
    }

    #[test]
    fn haste_is_refused_for_a_while_and_at_last_for_good() {
        let limits = Limits { points: 6, ban_after: Some(2), ..Limits::default() };
        let (mut haste, at) = (Haste::default(), Duration::from_secs);
        let mut judge = |payer, method, now| {
            haste.judge(&limits, payer, &request(method, "/api/v3/user"), at(now))
        };
        assert_eq!(judge(Payer::App, "PATCH", 0), Ok(()));
        assert_eq!([judge(Payer::App, "GET", 1); 2], [Ok(()); 2], "another endpoint");
        assert_eq!(judge(Payer::App, "PATCH", 3), Err(Refused::For(at(60))));
        assert_eq!(judge(Payer::Nobody, "GET", 3), Ok(()), "others are not concerned");
        assert_eq!(judge(Payer::App, "GET", 33), Err(Refused::For(at(30))));
        assert_eq!(judge(Payer::App, "GET", 300), Err(Refused::Banned));
    }

    #[test]
    fn a_minute_later_there_is_room_again() {
        let limits = Limits { points: 1, penalty: Duration::ZERO, ..Limits::default() };
        let (mut haste, user) = (Haste::default(), request("GET", "/api/v3/user"));
        let mut judge = |now| haste.judge(&limits, Payer::App, &user, Duration::from_secs(now));
        assert_eq!(judge(0), Ok(()));
        assert!(judge(59).is_err());
        assert_eq!(judge(119), Ok(()));
    }
}
