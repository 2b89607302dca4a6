//! What webhooks show of things, kept for the installation that was told, for when GitHub gives no answer.
//!
//! It stands beside what GitHub has answered, under a name of its own: it has no tag to ask with, is
//! offered to nobody, and gives way to any answer that is younger. It is as old as what GitHub signed
//! says, whenever it comes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use quick_cache::sync::Cache;
use ring::digest::{Context, SHA256};
use serde_json::Value;
use tokio::sync::Mutex;

use super::read::Known;
use super::reply::{Finding, Outcome};
use super::{Api, Question};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::accept::USUAL;
use crate::freshness::tags::tags_of;
use crate::freshness::{ApiPath, Asked, Key, STALE_PRIVATE, handling};
use crate::github::app::{InstallationId, Scope};
use crate::github::{Delivery, dating};
use crate::passage::request::VERSION;
use crate::store::{Body, Principal, ResponseKey, Unavailable, Validation};

/// What is remembered of what webhooks have shown.
pub(super) struct FromWebhooks {
    /// What was said before is not kept: which rights have ended since, and what GitHub has taken back,
    /// is remembered by the process alone.
    begun: Time,
    /// Where something is kept, and as of when: the first younger answer removes it.
    kept: Cache<(Principal, ResponseKey), Time>,
    /// When GitHub last took something back: what was said before stays gone.
    denied: Cache<(Principal, ResponseKey), Time>,
    /// One delivery at a time: an older one must see what a younger one has left.
    turn: Mutex<()>,
}

/// Something that an event shows, as the API answers it under its URL.
#[derive(Clone)]
struct Thing {
    path: ApiPath,
    /// In JSON; nothing where it is there no more.
    body: Bytes,
    /// When it last changed.
    changed: Time,
}

/// What an event shows whole, by the event's name and the member's. The repository is in all of them.
const SHOWN: [(&str, &str); 9] = [
    ("commit_comment", "comment"),
    ("deployment", "deployment"),
    ("issue_comment", "comment"),
    ("issue_comment", "issue"),
    ("issues", "issue"),
    ("milestone", "milestone"),
    ("pull_request", "pull_request"),
    ("pull_request_review_comment", "comment"),
    ("release", "release"),
];

const REPOSITORY: &str = "repository";

/// After these an event's own thing is not where it was, or not for everybody.
const GONE: [&str; 3] = ["deleted", "transferred", "unpublished"];

/// The largest thing that is kept.
const LARGEST: usize = 256 << 10;

/// In the place of a token's fingerprint: no token has been used.
const BY_NO_TOKEN: [u8; 16] = *b"told by webhook\0";

/// Sets these names apart from those of answers.
const PURPOSE: &[u8] = b"gatekeep from webhook 1";

/// Things of which it is remembered that they are kept, each in some hundred bytes.
const MOST: usize = 20_000;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The members of an event that may be kept.
pub(in crate::github) fn is_heeded(member: &str) -> bool {
    member == REPOSITORY || SHOWN.iter().any(|(_, shown)| *shown == member)
}

/// An installation with all that it may.
pub fn installation(realm: u64, id: InstallationId) -> Principal {
    let scope = Scope::whole().hash();
    let scope = u64::from_le_bytes(scope[..8].try_into().expect("it has 32 bytes"));
    Principal::Installation { realm, id: id.0, scope }
}

/// Whether a webhook has shown this.
pub(super) fn is_from_webhook(shown: &Validation) -> bool {
    shown.token == BY_NO_TOKEN
}

// === impl Api ===

impl Api {
    /// Keeps what an app's webhook shows, for the installation that it names and for nobody else. `base`
    /// is where the API is.
    pub async fn keep_told(&self, realm: u64, base: &str, delivery: &Delivery) {
        let payload = &delivery.payload;
        let Some(id) = payload["installation"]["id"].as_u64() else { return };
        let (who, now) = (installation(realm, InstallationId(id)), self.clock.now());
        let Some(said) = dating::said_at(payload, now).filter(|_| delivery.hook.may_be_of_app())
        else {
            return;
        };
        if now.since(said) > STALE_PRIVATE {
            // Whatever it shows, it is of no use any more.
            return;
        }
        let _turn = self.from_webhooks.turn.lock().await;
        for thing in things(&delivery.kind, payload, base, said, now) {
            if let Err(unavailable) = self.keep_thing(who, base, &thing, said).await {
                self.store_failed("write", &unavailable);
            }
        }
    }

    async fn keep_thing(
        &self,
        who: Principal,
        base: &str,
        thing: &Thing,
        said: Time,
    ) -> Result<(), Unavailable> {
        let (key, before) = (key_of(&thing.path, base), self.changes.latest());
        let place = place_of(&key);
        let answered = self.store.shown(who, &key).await?;
        let told = self.store.shown(who, &place).await?;
        let denied = || self.from_webhooks.denied.get(&(who, place)).is_some_and(|at| said <= at);
        let is_late = said < self.from_webhooks.begun
            || denied()
            || answered.is_some_and(|(shown, _)| shown.asked >= said)
            || told.is_some_and(|(shown, _)| thing.is_older_than(&shown, said))
            || self.changes.ended_by(who, said);
        if is_late && stands(Defence::WebhookAge) {
            return Ok(());
        }
        let body = Body::new(thing.body.clone());
        let shown = Arc::new(thing.shown(&body, said));
        self.from_webhooks.kept.insert((who, place), said);
        self.store.note(who, place, shown, body).await?;
        // Looked at afterwards: whoever forgets an asker says so first.
        if self.changes.has_ended(who, before) || denied() {
            self.store.forget(who, &place).await?;
        }
        Ok(())
    }

    /// What the asker was shown, or what a webhook has told since, where GitHub gave no answer.
    pub(super) async fn known_or_told(
        &self,
        question: &Question,
        known: Known,
        found: &Finding,
    ) -> Known {
        if !question.by_webhooks || matches!(found, Finding::Answer(_)) {
            return known;
        }
        let told = Box::pin(self.told_of(question)).await;
        let is_younger =
            |since: &Validation| known.as_ref().is_none_or(|(shown, _)| shown.asked < since.asked);
        match told.filter(|(shown, _)| is_younger(shown)) {
            None => known,
            told => told,
        }
    }

    /// The same, where the asker asked alone.
    pub(super) async fn known_or_told_after(
        &self,
        question: &Question,
        known: Known,
        outcome: &Outcome,
    ) -> Known {
        match outcome {
            Outcome::Found(found) => self.known_or_told(question, known, found).await,
            Outcome::Alone(_) => known,
        }
    }

    /// What a webhook has told of it, if that is of any use.
    pub(super) async fn told_of(&self, question: &Question) -> Known {
        if question.who.user().is_some() || self.forgetting.is_to_forget(question.who) {
            return None;
        }
        let place = place_of(&question.key);
        match self.store.shown(question.who, &place).await {
            // Where it is gone there is nothing to show.
            Ok(told) => {
                told.filter(|(shown, body)| is_from_webhook(shown) && !body.bytes.is_empty())
            }
            Err(unavailable) => {
                self.store_failed("read", &unavailable);
                None
            }
        }
    }

    /// GitHub has answered, asked at that moment: what a webhook told before is of no use any more.
    pub(super) async fn answered_since(&self, question: &Question, asked: Time) {
        let place = place_of(&question.key);
        let kept = self.from_webhooks.kept.get(&(question.who, place));
        if kept.is_some_and(|said| said <= asked) {
            self.forget_told(question).await;
        }
    }

    /// Forgets what a webhook told of it.
    pub(super) async fn forget_told(&self, question: &Question) {
        let place = place_of(&question.key);
        self.from_webhooks.denied.insert((question.who, place), self.clock.now());
        self.from_webhooks.kept.remove(&(question.who, place));
        if let Err(unavailable) = self.store.forget(question.who, &place).await {
            self.store_failed("forget", &unavailable);
        }
    }
}

// === impl FromWebhooks ===

impl FromWebhooks {
    pub(super) fn since(begun: Time) -> Self {
        Self { begun, kept: Cache::new(MOST), denied: Cache::new(MOST), turn: Mutex::default() }
    }

    /// Forgets where something is kept for an asker.
    pub(super) fn forget_all(&self, who: Principal) {
        self.kept.retain(|(owner, _), _| owner.subject() != who.subject());
    }
}

// === impl Thing ===

impl Thing {
    fn of(object: &Value, gone: Option<Time>, base: &str, now: Time) -> Option<Self> {
        // A push shows the repository by the address of its page.
        let path = object["url"].as_str()?.strip_prefix(base)?;
        let path = ApiPath::parse(path).ok().filter(|path| path.query().is_none())?;
        let body = if gone.is_some() { Vec::new() } else { serde_json::to_vec(object).ok()? };
        let may_be_kept = handling(&path, USUAL).store && body.len() <= LARGEST;
        let changed = dating::latest(object, now).or(gone)?;
        may_be_kept.then(|| Self { path, body: body.into(), changed })
    }

    /// Whether what is kept is younger, by its own word or else by that of its delivery. What is gone
    /// is younger than what was there in the same second.
    fn is_older_than(&self, kept: &Validation, said: Time) -> bool {
        let kept_gone = kept.body == Body::new(Bytes::new()).hash;
        let gone = self.body.is_empty();
        (self.changed, said, gone) < (kept.linked, kept.asked, kept_gone)
    }

    /// As it is kept. No tag and no link belong to it, so `linked` says when it last changed.
    fn shown(&self, body: &Body, said: Time) -> Validation {
        let about = tags_of(&self.path, None).into_iter().next();
        Validation {
            body: body.hash,
            about: about.expect("everything is about something"),
            etag: "".into(),
            token: BY_NO_TOKEN,
            offered: false,
            formula_holds: false,
            headers: Arc::new(HeaderMap::from_iter([(CONTENT_TYPE, JSON)])),
            linked: self.changed,
            items: None,
            asked: said,
            change: 0,
            fresh: Duration::ZERO,
            longest: STALE_PRIVATE,
        }
    }
}

/// What an event shows whole.
fn things(event: &str, payload: &Value, base: &str, said: Time, now: Time) -> Vec<Thing> {
    let action = payload["action"].as_str().unwrap_or_default();
    let is_end = GONE.contains(&action);
    let own = SHOWN.iter().filter(|(name, _)| *name == event).map(|(_, member)| *member);
    let subject = own.clone().next().unwrap_or(event);
    if is_end && payload[subject].is_null() {
        // The event's name is not signed: this may be the end of what it shows.
        return Vec::new();
    }
    own.chain([REPOSITORY])
        .filter_map(|member| {
            let gone = (is_end && member == subject).then_some(said);
            Thing::of(&payload[member], gone, base, now)
        })
        .collect()
}

/// Where the API answers it: in JSON as whoever has no wish of one's own gets it.
fn key_of(path: &ApiPath, base: &str) -> ResponseKey {
    let version = VERSION;
    let version = version.to_str().unwrap_or_default();
    let asked = Asked { upstream: base, path, accept: USUAL, version, time_zone: None };
    *Key::of(&asked).as_bytes()
}

/// Where it is kept: no answer of GitHub's is there.
fn place_of(key: &ResponseKey) -> ResponseKey {
    let mut context = Context::new(&SHA256);
    context.update(PURPOSE);
    context.update(key);
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "https://api.github.com";
    /// 2026-11-21 04:37:00 UTC.
    const NOW: Time = Time::from_unix(1_795_235_820);

    fn object(path: &str) -> Value {
        json!({ "url": format!("{BASE}{path}"), "updated_at": "2026-11-21T04:36:00Z" })
    }

    /// The paths of what an event shows; in brackets where it is gone.
    fn shown(event: &str, payload: &Value) -> Vec<String> {
        let shown = things(event, payload, BASE, NOW, NOW).into_iter().map(|thing| {
            let path = thing.path.as_str();
            if thing.body.is_empty() { format!("[{path}]") } else { path.to_owned() }
        });
        shown.collect()
    }

    #[test]
    fn an_event_shows_its_own_thing_and_the_repository() {
        let (repo, issue) = ("/repos/acme/wiki", "/repos/acme/wiki/issues/7");
        let comment = "/repos/acme/wiki/issues/comments/9";
        let with = |action: &str| {
            json!({ "action": action, "repository": object(repo), "issue": object(issue),
                    "comment": object(comment), "sender": object("/users/mona") })
        };
        let gone = |path: &str| format!("[{path}]");
        assert_eq!(shown("issues", &with("edited")), [issue, repo]);
        assert_eq!(shown("issues", &with("deleted")), [&gone(issue), repo]);
        assert_eq!(shown("issue_comment", &with("created")), [comment, issue, repo]);
        assert_eq!(shown("issue_comment", &with("deleted")), [&gone(comment), issue, repo]);
        assert_eq!(shown("repository", &with("edited")), [repo]);
        assert_eq!(shown("repository", &with("deleted")), [gone(repo)]);
        assert!(shown("star", &with("deleted")).is_empty(), "the star, or the repository?");
        let mut alone = with("deleted");
        alone["comment"] = Value::Null;
        assert!(shown("issue_comment", &alone).is_empty(), "the end of the issue, renamed");
        assert_eq!(shown("pull_request_review", &with("submitted")), [repo], "a part of it");
    }

    #[test]
    fn what_the_api_does_not_answer_under_its_url_is_not_kept() {
        for url in [
            "https://github.com/acme/wiki",
            "https://api.github.com.evil.example/repos/acme/wiki",
            "https://api.github.com/repos/acme/wiki?x=1",
            "https://api.github.com/repos/../app",
            "https://api.github.com/search/issues",
            "https://api.github.com",
            "",
        ] {
            let mut payload = json!({ "repository": object("/repos/acme/wiki") });
            assert_eq!(shown("push", &payload), ["/repos/acme/wiki"], "control");
            payload["repository"]["url"] = url.into();
            assert!(shown("push", &payload).is_empty(), "{url}");
        }
        let mut undated = object("/repos/acme/wiki");
        undated["updated_at"] = Value::Null;
        assert!(shown("star", &json!({ "repository": undated })).is_empty());
        let mut large = object("/repos/acme/wiki");
        large["description"] = "x".repeat(LARGEST).into();
        assert!(shown("star", &json!({ "repository": large })).is_empty());
    }

    #[test]
    fn of_two_the_younger_thing_stays_and_then_the_younger_word() {
        let at = |seconds| NOW - Duration::from_secs(seconds);
        let payload = json!({ "repository": object("/repos/acme/wiki") });
        let one = things("star", &payload, BASE, NOW, NOW).remove(0);
        let thing = |seconds| Thing { changed: at(seconds), ..one.clone() };
        let body = Body::new(one.body.clone());
        let kept = thing(60).shown(&body, at(30));
        assert!(is_from_webhook(&kept));
        for (changed, said, is_older) in
            [(61, 0, true), (60, 31, true), (60, 30, false), (60, 29, false), (59, 59, false)]
        {
            assert_eq!(thing(changed).is_older_than(&kept, at(said)), is_older, "{changed} {said}");
        }
        let gone = thing(60).shown(&Body::new(Bytes::new()), at(30));
        assert!(thing(60).is_older_than(&gone, at(30)), "its own end was in the same second");
        assert!(!thing(59).is_older_than(&gone, at(30)), "it is there again");
    }
}
