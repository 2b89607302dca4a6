//! The app's own token (RFC 7519), by which it asks about its installations.
//!
//! It is signed for nine minutes and used for eight, by GitHub's clock: how far that is from ours
//! is learnt from the `Date` of GitHub's answers.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::DATE;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{App, AppError, moment, words};
use crate::clock::{Clock, Time};
use crate::github::client::{API_VERSION, Answer};
use crate::github::{Client, Pauses};
use crate::secret::Secret;

/// The app's word for itself, and what is known of GitHub's clock.
pub struct AppJwt {
    clock: Arc<dyn Clock>,
    /// By how many seconds GitHub's clock is ahead of ours.
    ahead: AtomicI64,
    state: Mutex<State>,
}

/// A question in the app's own name.
pub(super) struct Question {
    /// The template, for errors.
    pub(super) what: &'static str,
    pub(super) method: Method,
    /// Below the API's address.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    refused: Option<Refused>,
}

/// A token in use.
struct Held {
    app: Arc<App>,
    /// The place of its key in the list.
    key: usize,
    word: Arc<Secret<String>>,
    /// By GitHub's clock.
    made: Time,
}

/// None of the app's keys was taken.
struct Refused {
    app: Arc<App>,
    pauses: Pauses,
    words: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

/// So long ago a token says it was made: clocks differ.
const MADE_AGO: Duration = Duration::from_secs(60);

/// A token's end; GitHub takes ten minutes at most.
const LIFE: Duration = Duration::from_secs(540);

/// From then on another one is made.
const RENEW_AFTER: Duration = Duration::from_secs(480);

/// Clocks this many seconds apart are the same: an answer was under way.
const SAME: i64 = 5;

/// What GitHub says when a clock is wrong, as octokit lists it.
const SKEWED: [&str; 3] = [
    "'Expiration time' claim ('exp') is too far in the future",
    "'Expiration time' claim ('exp') must be a numeric value representing the future time",
    "'Issued at' claim ('iat') must be an Integer representing the time",
];

/// What GitHub says of an issuer that it does not know, with status 404.
const UNKNOWN_ISSUER: &str = "Integration not found";

// === impl AppJwt ===

impl AppJwt {
    /// Nothing signed yet, and clocks as one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead: AtomicI64::new(0), state: Mutex::default() }
    }

    /// By how many seconds GitHub's clock is ahead of ours.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Learns GitHub's time from an answer of any kind; whether it is another than was thought.
    pub fn learn(&self, headers: &HeaderMap) -> bool {
        let date = headers.get(DATE).and_then(|date| moment::of_http(date.to_str().ok()?));
        let Some(date) = date else { return false };
        let ahead = date.unix() - self.clock.now().unix();
        let is_news = (ahead - self.ahead()).abs() > SAME;
        if is_news {
            tracing::warn!(
                "GitHub's clock is {ahead} s ahead of the one here; that is allowed for"
            );
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        is_news
    }

    /// Asks GitHub in the app's name. An answer that does not take the app's word is an error; any
    /// other is the caller's to read.
    pub(super) async fn ask(
        &self,
        github: &Client,
        question: &Question,
    ) -> Result<Answer, AppError> {
        let app = github.app()?;
        self.may_ask(app)?;
        let first = self.key_in_use(app);
        let mut said = String::new();
        for step in 0..app.keys.len() {
            let key = (first + step) % app.keys.len();
            let answer = self.ask_with(github, app, key, question).await?;
            let Some(complaint) = complaint(&answer) else {
                self.lock().refused = None;
                return Ok(answer);
            };
            tracing::warn!("GitHub does not take {:?}: {complaint}", app.keys[key]);
            said = complaint;
        }
        Err(self.give_up(app, said))
    }

    /// Asks with one key, and once more where the clock was at fault and is right now.
    async fn ask_with(
        &self,
        github: &Client,
        app: &Arc<App>,
        key: usize,
        question: &Question,
    ) -> Result<Answer, AppError> {
        let (answer, learnt) = self.send(github, app, key, question).await?;
        if learnt && complaint(&answer).is_some_and(|words| is_of_clocks(&words)) {
            return Ok(self.send(github, app, key, question).await?.0);
        }
        Ok(answer)
    }

    async fn send(
        &self,
        github: &Client,
        app: &Arc<App>,
        key: usize,
        question: &Question,
    ) -> Result<(Answer, bool), AppError> {
        let url = format!("{}{}", github.settings.api, question.path);
        let mut request = github
            .request(question.method.clone(), &url)
            .bearer_auth(self.word(app, key).expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(body) = &question.body {
            request = request.json(body);
        }
        let answer = github.send(question.what, request).await?;
        let learnt = self.learn(&answer.headers);
        Ok((answer, learnt))
    }

    /// The token that is in use, or another one when that is old, of another key or of another
    /// configuration.
    fn word(&self, app: &Arc<App>, key: usize) -> Arc<Secret<String>> {
        let now = Time::from_unix(self.clock.now().unix().saturating_add(self.ahead()));
        let mut state = self.lock();
        let held = state.held.as_ref();
        if let Some(held) = held.filter(|held| held.is_good(app, key, now)) {
            return held.word.clone();
        }
        let (iat, exp) = ((now - MADE_AGO).unix(), (now + LIFE).unix());
        let word = Arc::new(app.keys[key].sign(&Claims { iat, exp, iss: &app.issuer }));
        state.held = Some(Held { app: app.clone(), key, word: word.clone(), made: now });
        word
    }

    /// The key that GitHub took last, or the first.
    fn key_in_use(&self, app: &Arc<App>) -> usize {
        let state = self.lock();
        let held = state.held.as_ref().filter(|held| Arc::ptr_eq(&held.app, app));
        held.map_or(0, |held| held.key)
    }

    /// Who keeps coming with keys that are not taken is locked out; a reload begins anew.
    fn may_ask(&self, app: &Arc<App>) -> Result<(), AppError> {
        let now = self.clock.now();
        match &self.lock().refused {
            Some(refused) if Arc::ptr_eq(&refused.app, app) && refused.pauses.hold(now) => {
                Err(AppError::Refused(refused.words.clone()))
            }
            _ => Ok(()),
        }
    }

    fn give_up(&self, app: &Arc<App>, words: String) -> AppError {
        let mut state = self.lock();
        // Next time from the first key on.
        state.held = None;
        let before = state.refused.take().filter(|refused| Arc::ptr_eq(&refused.app, app));
        let mut pauses = before.map(|refused| refused.pauses).unwrap_or_default();
        pauses.fail(self.clock.now());
        state.refused = Some(Refused { app: app.clone(), pauses, words: words.clone() });
        AppError::Refused(words)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AppJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppJwt").field("ahead", &self.ahead()).finish_non_exhaustive()
    }
}

// === impl Held ===

impl Held {
    fn is_good(&self, app: &Arc<App>, key: usize, now: Time) -> bool {
        let is_it = Arc::ptr_eq(&self.app, app) && self.key == key;
        // GitHub's clock, as it is known now, may be behind what was known before.
        is_it && now + MADE_AGO / 2 >= self.made && now < self.made + RENEW_AFTER
    }
}

// === Helpers ===

/// What GitHub says against the app's word, if it does not take it.
fn complaint(answer: &Answer) -> Option<String> {
    let said = words(&answer.body);
    match answer.status {
        StatusCode::UNAUTHORIZED => Some(said),
        StatusCode::NOT_FOUND if said == UNKNOWN_ISSUER => Some(said),
        _ => None,
    }
}

fn is_of_clocks(words: &str) -> bool {
    SKEWED.iter().any(|skewed| words.contains(skewed))
}

#[cfg(test)]
mod tests;
