//! What a test may turn to make the simulated GitHub misbehave.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::{
    etag::Etags,
    limits::Limits,
    lockout::LockOut,
    present::Presentation,
    record::lock,
    tokens::TOGETHER,
    trouble::{Rules, Trouble},
};

/// The knobs. Paths of the API are written as GitHub's documentation does: `/user`.
#[derive(Debug, Default)]
pub struct Knobs {
    rules: Rules,
    settings: Mutex<Settings>,
    turn: AtomicBool,
}

/// What is not a rule for a path; the default is how GitHub behaves.
#[derive(Clone, Debug, Default)]
struct Settings {
    require_pkce: bool,
    grant_at_most: Option<String>,
    reuse_codes: bool,
    keep_all_tokens: bool,
    lock_out: Option<LockOut>,
    etags: Etags,
    limits: Limits,
    presentation: Presentation,
}

// === impl Knobs ===

impl Knobs {
    /// Troubles this path and all below it: `/user` also means `/user/emails`, `/` means all.
    ///
    /// An exact rule beats a prefix, a longer prefix a shorter one, a later rule an earlier one.
    pub fn on(&self, prefix: &str, trouble: Trouble) {
        self.rules.add(prefix, false, None, trouble);
    }

    /// Troubles this path alone.
    pub fn at(&self, path: &str, trouble: Trouble) {
        self.rules.add(path, true, None, trouble);
    }

    /// Troubles this path alone, for its next request only.
    pub fn once(&self, path: &str, trouble: Trouble) {
        self.rules.add(path, true, Some(1), trouble);
    }

    /// Troubles this path alone, for its next so many requests: a burst.
    pub fn times(&self, count: usize, path: &str, trouble: Trouble) {
        self.rules.add(path, true, Some(count), trouble);
    }

    /// Takes back everything said about exactly this path or prefix.
    pub fn off(&self, path: &str) {
        self.rules.remove(path);
    }

    /// Takes back everything: GitHub behaves.
    pub fn clear(&self) {
        self.rules.clear();
        *lock(&self.settings) = Settings::default();
    }

    /// Refuses authorisation requests without a PKCE challenge. GitHub itself does not.
    pub fn require_pkce(&self, required: bool) {
        lock(&self.settings).require_pkce = required;
    }

    /// People grant no more than these scopes (separated by spaces), whatever the app asks for.
    pub fn grant_at_most(&self, scopes: Option<&str>) {
        lock(&self.settings).grant_at_most = scopes.map(str::to_owned);
    }

    /// Lets a code be exchanged again and again. GitHub itself does not: this shows whether an app
    /// relies on that.
    pub fn reuse_codes(&self, reusable: bool) {
        lock(&self.settings).reuse_codes = reusable;
    }

    /// Lets a person have any number of tokens. GitHub keeps the ten youngest of the same scopes
    /// and revokes the oldest when there is an eleventh.
    pub fn keep_all_tokens(&self, keep: bool) {
        lock(&self.settings).keep_all_tokens = keep;
    }

    /// Locks a person out whose dead tokens are used again and again. `None`, how it starts, never
    /// does.
    pub fn lock_out(&self, after: Option<LockOut>) {
        lock(&self.settings).lock_out = after;
    }

    /// How the API makes its tags for conditional requests.
    pub fn etags(&self, etags: Etags) {
        lock(&self.settings).etags = etags;
    }

    /// Changes how much is answered, and what happens to who asks for more.
    pub fn limits(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut lock(&self.settings).limits);
    }

    /// Changes what the API's answers look like.
    pub fn presentation(&self, change: impl FnOnce(&mut Presentation)) {
        change(&mut lock(&self.settings).presentation);
    }

    pub(super) fn allows(&self) -> Limits {
        lock(&self.settings).limits.clone()
    }

    pub(super) fn presents(&self) -> Presentation {
        lock(&self.settings).presentation.clone()
    }

    pub(super) fn reuses_codes(&self) -> bool {
        lock(&self.settings).reuse_codes
    }

    pub(super) fn requires_pkce(&self) -> bool {
        lock(&self.settings).require_pkce
    }

    pub(super) fn grants_at_most(&self) -> Option<String> {
        lock(&self.settings).grant_at_most.clone()
    }

    /// How many tokens of the same person and scopes may live.
    pub(super) fn tokens_together(&self) -> usize {
        if lock(&self.settings).keep_all_tokens { usize::MAX } else { TOGETHER }
    }

    pub(super) fn locks_out(&self) -> Option<LockOut> {
        lock(&self.settings).lock_out
    }

    pub(super) fn makes_etags(&self) -> Etags {
        lock(&self.settings).etags
    }

    /// True every other time.
    pub(super) fn other_turn(&self) -> bool {
        self.turn.fetch_not(Ordering::Relaxed)
    }

    /// What goes wrong with a request to this path.
    pub(super) fn trouble(&self, path: &str) -> Option<Trouble> {
        self.rules.apply(path)
    }
}
