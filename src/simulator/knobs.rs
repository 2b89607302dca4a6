//! What a test may turn to make the simulated GitHub misbehave.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;

use super::{
    gate::Gate,
    record::{API, lock},
};

/// One way for an answer to go wrong.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The right answer, this much later.
    Delay(Duration),
    /// The right answer, once the gate is released.
    Hold(Gate),
    /// No answer: the connection closes. Nothing happens on GitHub's side either.
    Refuse,
    /// This answer instead of the right one, byte for byte. Nothing happens on GitHub's side.
    Answer {
        /// The status; one that HTTP does not know becomes 500.
        status: u16,
        /// The headers, `content-type` included: none are added.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The right answer happens, but the connection breaks after this many bytes of its body.
    Cut {
        /// Bytes of the body that still arrive.
        after: usize,
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

/// The knobs. Paths of the API are written as GitHub's documentation does: `/user`.
#[derive(Debug, Default)]
pub struct Knobs {
    rules: Mutex<Vec<Rule>>,
    require_pkce: Mutex<bool>,
    grant_at_most: Mutex<Option<String>>,
    reuse_codes: Mutex<bool>,
}

#[derive(Debug)]
struct Rule {
    path: String,
    exact: bool,
    /// How often it still applies; `None` is for ever.
    left: Option<usize>,
    trouble: Trouble,
}

// === impl Knobs ===

impl Knobs {
    /// Troubles this path and all below it: `/user` also means `/user/emails`, `/` means all.
    ///
    /// An exact rule beats a prefix, a longer prefix a shorter one, a later rule an earlier one.
    pub fn on(&self, prefix: &str, trouble: Trouble) {
        self.add(prefix, false, None, trouble);
    }

    /// Troubles this path alone.
    pub fn at(&self, path: &str, trouble: Trouble) {
        self.add(path, true, None, trouble);
    }

    /// Troubles this path alone, for its next request only.
    pub fn once(&self, path: &str, trouble: Trouble) {
        self.add(path, true, Some(1), trouble);
    }

    /// Takes back everything said about exactly this path or prefix.
    pub fn off(&self, path: &str) {
        let path = plain(path);
        lock(&self.rules).retain(|rule| rule.path != path);
    }

    /// Takes back everything: GitHub behaves.
    pub fn clear(&self) {
        lock(&self.rules).clear();
        self.require_pkce(false);
        self.grant_at_most(None);
        self.reuse_codes(false);
    }

    /// Refuses authorisation requests without a PKCE challenge. GitHub itself does not.
    pub fn require_pkce(&self, required: bool) {
        *lock(&self.require_pkce) = required;
    }

    /// People grant no more than these scopes (separated by spaces), whatever the app asks for.
    pub fn grant_at_most(&self, scopes: Option<&str>) {
        *lock(&self.grant_at_most) = scopes.map(str::to_owned);
    }

    /// Lets a code be exchanged again and again. GitHub itself does not: this shows whether an app
    /// relies on that.
    pub fn reuse_codes(&self, reusable: bool) {
        *lock(&self.reuse_codes) = reusable;
    }

    pub(super) fn reuses_codes(&self) -> bool {
        *lock(&self.reuse_codes)
    }

    pub(super) fn requires_pkce(&self) -> bool {
        *lock(&self.require_pkce)
    }

    pub(super) fn grants_at_most(&self) -> Option<String> {
        lock(&self.grant_at_most).clone()
    }

    /// What goes wrong with a request to this path.
    pub(super) fn trouble(&self, path: &str) -> Option<Trouble> {
        let path = plain(path);
        let mut rules = lock(&self.rules);
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

    fn add(&self, path: &str, exact: bool, left: Option<usize>, trouble: Trouble) {
        lock(&self.rules).push(Rule { path: plain(path).to_owned(), exact, left, trouble });
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

    fn cut(knobs: &Knobs, path: &str) -> Option<usize> {
        match knobs.trouble(path) {
            Some(Trouble::Cut { after }) => Some(after),
            _ => None,
        }
    }

    #[test]
    fn the_nearest_rule_applies() {
        let knobs = Knobs::default();
        knobs.on("/", Trouble::Cut { after: 0 });
        knobs.on("/user", Trouble::Cut { after: 1 });
        knobs.at("/user/teams", Trouble::Cut { after: 2 });
        for (path, after) in [
            ("/login/oauth/authorize", 0),
            ("/api/v3/user", 1),
            ("/api/v3/user/emails", 1),
            ("/api/v3/user/teams", 2),
            ("/api/v3/users", 0),
        ] {
            assert_eq!(cut(&knobs, path), Some(after), "{path}");
        }
        knobs.off("/");
        assert_eq!(cut(&knobs, "/api/v3/users"), None);
    }

    #[test]
    fn once_is_once() {
        let knobs = Knobs::default();
        knobs.once("/user", Trouble::Cut { after: 7 });
        assert_eq!(cut(&knobs, "/api/v3/user"), Some(7));
        assert_eq!(cut(&knobs, "/api/v3/user"), None);
    }
}
