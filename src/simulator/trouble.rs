//! The ways for an answer to go wrong, and the rules by which they happen.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;

use super::{
    gate::Gate,
    record::{API, lock},
};

/// One way for an answer to go wrong.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The right answer, this much later: what it does on GitHub's side happens only then, and not
    /// at all if the client is gone before.
    Delay(Duration),
    /// It happens on GitHub's side at once, and the right answer comes this much later: its rate
    /// headers are older than those of answers that overtook it.
    Late(Duration),
    /// The right answer, once the gate is released.
    Hold(Gate),
    /// No answer: the connection closes. Nothing happens on GitHub's side either.
    Refuse,
    /// It happens on GitHub's side, but the connection closes without a byte of an answer.
    Swallow,
    /// This answer instead of the right one, byte for byte. Nothing happens on GitHub's side.
    Answer {
        /// The status; one that HTTP does not know becomes 500.
        status: u16,
        /// The headers, `content-type` included: none are added.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The right answer happens and its headers arrive, but the connection breaks after this many
    /// bytes of its body.
    Cut {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// The right answer happens and its headers arrive, but after this many bytes of its body
    /// nothing more comes, and the connection stays open.
    Stall {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// A secondary rate limit, without anything having happened.
    SecondaryLimit {
        /// GitHub uses 403 and 429.
        status: u16,
        /// Seconds for `Retry-After`; `None` leaves the header out.
        retry_after: Option<u64>,
    },
    /// The right answer, one byte of its body each time this much has passed.
    Trickle(Duration),
    /// The right status and headers, then a body of this many bytes; `u64::MAX` never ends.
    Huge(u64),
}

// === impl Trouble ===

impl Trouble {
    /// An [`Trouble::Answer`] with only a content type for headers.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self::Answer { status, headers, body: body.into() }
    }
}

/// What goes wrong where.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    path: String,
    exact: bool,
    /// How often it still applies; `None` is for ever.
    left: Option<usize>,
    trouble: Trouble,
}

// === impl Rules ===

impl Rules {
    pub(super) fn add(&self, path: &str, exact: bool, left: Option<usize>, trouble: Trouble) {
        lock(&self.0).push(Rule { path: plain(path).to_owned(), exact, left, trouble });
    }

    pub(super) fn remove(&self, path: &str) {
        let path = plain(path);
        lock(&self.0).retain(|rule| rule.path != path);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What goes wrong with a request to this path; a rule that is used up goes away.
    pub(super) fn apply(&self, path: &str) -> Option<Trouble> {
        let path = plain(path);
        let mut rules = lock(&self.0);
        let rank = |(at, rule): &(usize, &Rule)| (rule.exact, rule.path.len(), *at);
        let matching = rules.iter().enumerate().filter(|(_, rule)| rule.covers(path));
        let at = matching.max_by_key(rank)?.0;
        let trouble = rules[at].trouble.clone();
        if let Some(left) = &mut rules[at].left {
            *left -= 1;
            if *left == 0 {
                rules.remove(at);
            }
        }
        Some(trouble)
    }
}

impl Rule {
    fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || (!self.exact && rest.starts_with('/')))
    }
}

/// The path as rules know it: without the API's prefix, without a slash at the end.
fn plain(path: &str) -> &str {
    path.strip_prefix(API).unwrap_or(path).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(rules: &Rules, path: &str) -> Option<usize> {
        match rules.apply(path) {
            Some(Trouble::Cut { after }) => Some(after),
            _ => None,
        }
    }

    #[test]
    fn the_nearest_rule_applies() {
        let rules = Rules::default();
        rules.add("/", false, None, Trouble::Cut { after: 0 });
        rules.add("/user", false, None, Trouble::Cut { after: 1 });
        rules.add("/user/teams", true, None, Trouble::Cut { after: 2 });
        for (path, after) in [
            ("/login/oauth/authorize", 0),
            ("/api/v3/user", 1),
            ("/api/v3/user/emails", 1),
            ("/api/v3/user/teams", 2),
            ("/api/v3/users", 0),
        ] {
            assert_eq!(cut(&rules, path), Some(after), "{path}");
        }
        rules.remove("/");
        assert_eq!(cut(&rules, "/api/v3/users"), None);
    }

    #[test]
    fn a_rule_for_one_request_is_used_up_by_it() {
        let rules = Rules::default();
        rules.add("/user", true, Some(1), Trouble::Cut { after: 7 });
        assert_eq!(cut(&rules, "/api/v3/user"), Some(7));
        assert_eq!(cut(&rules, "/api/v3/user"), None);
    }
}
