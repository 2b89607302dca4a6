//! A world in which all that passes is looked at when its test ends: no token is in an answer, the
//! log or the metrics, and GitHub gets nothing of the browser's that is none of its business.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatekeep::simulator::{Entry, ExpiringTokens};

use super::{ROUTES, at};
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::support::{World, child};

/// A world with a GitHub App, which sees private repositories where its visitor does.
pub(super) struct Room {
    pub(super) world: World,
    answers: Mutex<String>,
}

/// Somebody who is signed in.
pub(super) struct Visitor<'r> {
    pub(super) browser: Browser,
    room: &'r Room,
    login: String,
}

/// What GitHub sends where something is held for the first time, and where it still holds.
pub(super) const STORED: &str = "gatekeep; fwd=uri-miss; fwd-status=200; stored";
pub(super) const UNCHANGED: &str = "gatekeep; fwd=stale; fwd-status=304";

/// What a script of a page at the gateway says.
const SCRIPT: [(&str, &str); 3] =
    [("accept", "application/json"), ("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")];

/// No question to GitHub has any of these.
const NEVER_SENT: [&str; 12] = [
    "cookie",
    "forwarded",
    "if-modified-since",
    "if-unmodified-since",
    "origin",
    "referer",
    "sec-fetch-site",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-gatekeep-user",
    "x-github-otp",
    "x-real-ip",
];

/// GitHub lays its JSON out for whoever has one of these in the name.
const BROWSERS: [&str; 4] = ["curl", "wget", "safari", "firefox"];

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self::of("github")
    }

    /// With an `upstream` of the test's own.
    pub(super) fn of(upstream: &str) -> Self {
        let routes = ROUTES.replace("upstream: github", &format!("upstream: {upstream}"));
        let world = World::with("", &routes);
        Self::within(world)
    }

    /// In a world of the test's own.
    pub(super) fn within(world: World) -> Self {
        world.github.expire_tokens(Some(ExpiringTokens::default()));
        Self { world, answers: Mutex::default() }
    }

    pub(super) fn visitor(&self, login: &str) -> Visitor<'_> {
        let (browser, _) = self.world.signed_in(login, "https://app.example.com/x");
        self.at(browser, login)
    }

    /// Somebody who is signed in with this browser.
    pub(super) fn at(&self, browser: Browser, login: &str) -> Visitor<'_> {
        Visitor { browser, room: self, login: login.to_owned() }
    }

    /// Lets time pass here and at GitHub.
    pub(super) fn later(&self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.world.gate.clock.advance(by);
        self.world.github.advance(by);
    }

    /// What GitHub was asked at a path with its query.
    pub(super) fn asked(&self, path: &str) -> Vec<Entry> {
        let target = format!("/api/v3{path}");
        let all = self.world.github.journal();
        all.into_iter().filter(|entry| entry.request.target == target).collect()
    }

    /// How often GitHub was asked for what is left, in whatever words.
    pub(super) fn limits_asked(&self) -> usize {
        let all = self.world.github.journal();
        let is_it = |entry: &&Entry| entry.request.target.to_lowercase().contains("limit");
        all.iter().filter(is_it).count()
    }

    /// The value of a counter; what was never counted is zero.
    pub(super) fn count(&self, line: &str) -> u64 {
        let value = self.world.gate.metric(line).unwrap_or_default();
        format!("{value:.0}").parse().expect("a count")
    }

    fn note(&self, answer: &Response) {
        let mut answers = self.answers();
        for (name, value) in &answer.headers {
            writeln!(answers, "{name}: {value}").expect("memory is written");
        }
        answers.push_str(&answer.text());
    }

    fn answers(&self) -> MutexGuard<'_, String> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every secret that there was between the gateway and GitHub.
    fn secrets(&self) -> Vec<String> {
        let github = &self.world.github;
        let all = github.requests();
        let shown = all.iter().filter_map(|request| request.header("authorization"));
        let tokens = shown.filter_map(|value| value.split_once(' ')).map(|(_, token)| token);
        let mut secrets: Vec<_> = tokens.map(str::to_owned).collect();
        secrets.sort_unstable();
        secrets.dedup();
        let refresh: Vec<_> =
            secrets.iter().filter_map(|token| github.refresh_token_of(token)).collect();
        secrets.extend(refresh);
        secrets.push(github.client_secret().to_owned());
        secrets
    }

    /// What must hold for all tests of this room.
    fn look_at_all(&self) {
        for entry in self.world.github.journal() {
            if entry.request.path().starts_with("/api/") {
                assert_is_discreet(&entry);
            }
        }
        let metrics = child::get(self.world.gate.admin, "/metrics").text();
        let log = self.world.gate.access_log();
        assert!(metrics.contains("gatekeep_decisions_total{"), "{metrics}");
        for secret in self.secrets() {
            for (place, text) in
                [("an answer", &*self.answers()), ("the metrics", &metrics), ("the log", &log)]
            {
                assert!(!text.contains(&secret), "{secret} is in {place}");
            }
        }
        let shapes = tokens_in(&self.answers()) + tokens_in(&metrics) + tokens_in(&log);
        assert_eq!(shapes, 0, "something like a token was shown");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.look_at_all();
        }
    }
}

fn assert_is_discreet(entry: &Entry) {
    let (request, target) = (&entry.request, &entry.request.target);
    for name in NEVER_SENT {
        assert_eq!(request.header(name), None, "{name} in {target}");
    }
    let agent = request.header("user-agent").expect("a name").to_ascii_lowercase();
    assert!(BROWSERS.iter().all(|browser| !agent.contains(browser)), "{agent} in {target}");
    let tags: Vec<_> = request.headers.iter().filter(|(name, _)| name == "if-none-match").collect();
    assert!(tags.len() <= 1, "{target} with {tags:?}");
    assert!(tags.iter().all(|(_, tag)| tag != "*" && !tag.contains(',')), "{target} with {tags:?}");
}

/// How many words look like a token of GitHub's.
pub(super) fn tokens_in(text: &str) -> usize {
    let kinds = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_long = |rest: &str| rest.bytes().take_while(is_letter).count() >= 16;
    kinds.iter().map(|kind| text.split(kind).skip(1).filter(|rest| is_long(rest)).count()).sum()
}

// === impl Visitor ===

impl Visitor<'_> {
    /// A script's `fetch` of a path below the API.
    pub(super) fn get(&mut self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    /// The same with further fields, or others.
    pub(super) fn get_with(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.send("GET", path, fields, "")
    }

    /// Any request of a script.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let is_said = |name: &str| fields.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
        let usual = SCRIPT.iter().filter(|(name, _)| !is_said(name));
        let fields: Vec<_> = usual.chain(fields).copied().collect();
        let answer = self.browser.send(method, &at(path), &fields, body);
        self.room.note(&answer);
        answer
    }

    /// What GitHub was asked at a path in this visitor's name.
    pub(super) fn asked(&self, path: &str) -> Vec<Entry> {
        let all = self.room.asked(path).into_iter();
        all.filter(|entry| entry.who.as_deref() == Some(&self.login)).collect()
    }

    /// Points that this visitor's questions at a path have cost.
    pub(super) fn charged(&self, path: &str) -> u64 {
        self.asked(path).iter().map(|entry| entry.charged).sum()
    }
}

/// What the cache did.
pub(super) fn account(answer: &Response) -> &str {
    answer.header("cache-status").unwrap_or("nothing is said of the cache")
}

/// The validator of a question, if it had one.
pub(super) fn validator(entry: &Entry) -> Option<&str> {
    entry.request.header("if-none-match")
}
