//! One suite for every implementation: what the engine relies on. It panics at what does not hold.

#![expect(clippy::unwrap_used, reason = "a store that gives no answer has failed")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use http::{HeaderMap, HeaderValue};

use super::{Body, Principal, ResponseKey, ResponseStore, Validation};
use crate::clock::Time;
use crate::freshness::tags::Tag;

/// Somebody.
pub const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };

/// Somebody else.
pub const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

/// A key by its number.
pub fn key(n: u64) -> ResponseKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    key
}

/// A body with this text.
pub fn body(text: &str) -> Body {
    Body::new(Bytes::copy_from_slice(text.as_bytes()))
}

/// What something belongs to.
pub fn about(text: &str) -> Tag {
    Tag::from(text.to_owned())
}

/// That somebody was shown a body at a moment.
pub fn validation(body: &Body, formula_holds: bool, asked: Time) -> Arc<Validation> {
    let fields: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, "application/json"), (LINK, "<https://api.example.com/2>; rel=\"next\"")];
    let fields = fields.map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()));
    Arc::new(Validation {
        body: body.hash,
        about: about("repo:acme/wiki"),
        etag: "\"1\"".into(),
        token: [1; 16],
        offered: true,
        formula_holds,
        headers: Arc::new(HeaderMap::from_iter(fields)),
        linked: asked,
        items: Some(30),
        asked,
        change: 0,
        fresh: Duration::ZERO,
        longest: Duration::MAX,
    })
}

/// Runs the suite against an empty store at a moment.
pub async fn run(store: &dyn ResponseStore, now: Time) {
    everything_is_forgotten_at_once(store, now).await;
    what_one_asker_was_shown_is_no_others(store, now).await;
    a_body_is_a_guess_for_others_where_its_tag_can_be_computed(store, now).await;
    the_newer_answer_counts(store, now).await;
    what_is_one_s_own_is_offered_to_nobody(store, now).await;
    what_is_not_shared_any_more_stays_with_who_has_seen_it(store, now).await;
    what_is_forgotten_is_gone_for_that_asker_alone(store, now).await;
    an_installation_is_forgotten_with_all_its_rights(store, now).await;
}

async fn everything_is_forgotten_at_once(store: &dyn ResponseStore, now: Time) {
    let page = body("page");
    for who in [OCTOCAT, HUBOT, of(5, 1)] {
        store.note(who, key(10), validation(&page, true, now), page.clone()).await.unwrap();
    }
    assert!(store.shown(of(5, 1), &key(10)).await.unwrap().is_some());
    store.settle().await;
    store.forget_everything().await.unwrap();
    for who in [OCTOCAT, HUBOT, of(5, 1)] {
        assert_eq!(store.shown(who, &key(10)).await.unwrap(), None);
    }
    assert_eq!(store.shown_to_anybody(&key(10)).await.unwrap(), None);
}

async fn what_one_asker_was_shown_is_no_others(store: &dyn ResponseStore, now: Time) {
    let secret = body("octocat's");
    let shown = validation(&secret, false, now);
    store.note(OCTOCAT, key(1), shown.clone(), secret.clone()).await.unwrap();
    assert_eq!(store.shown(OCTOCAT, &key(1)).await.unwrap(), Some((shown, secret)));
    assert_eq!(store.shown(HUBOT, &key(1)).await.unwrap(), None);
    assert_eq!(store.shown(OCTOCAT, &key(2)).await.unwrap(), None);
    assert_eq!(store.shown_to_anybody(&key(1)).await.unwrap(), None);
}

async fn a_body_is_a_guess_for_others_where_its_tag_can_be_computed(
    store: &dyn ResponseStore,
    now: Time,
) {
    let page = body("[]");
    store.note(OCTOCAT, key(3), validation(&page, true, now), page.clone()).await.unwrap();
    let shared = store.shown_to_anybody(&key(3)).await.unwrap().unwrap();
    assert_eq!((shared.body, shared.media_type.as_bytes()), (page, &b"application/json"[..]));
    assert_eq!(store.shown(HUBOT, &key(3)).await.unwrap(), None);
}

async fn the_newer_answer_counts(store: &dyn ResponseStore, now: Time) {
    for text in ["one", "two"] {
        let page = body(text);
        store.note(OCTOCAT, key(4), validation(&page, true, now), page).await.unwrap();
    }
    assert_eq!(store.shown(OCTOCAT, &key(4)).await.unwrap().unwrap().1, body("two"));
    assert_eq!(store.shown_to_anybody(&key(4)).await.unwrap().unwrap().body, body("two"));
}

async fn what_is_one_s_own_is_offered_to_nobody(store: &dyn ResponseStore, now: Time) {
    let page = body("page");
    let mut shown = validation(&page, true, now);
    Arc::make_mut(&mut shown).offered = false;
    store.note(OCTOCAT, key(7), shown, page).await.unwrap();
    assert_eq!(store.shown_to_anybody(&key(7)).await.unwrap(), None);
    assert!(store.shown(OCTOCAT, &key(7)).await.unwrap().is_some());
}

async fn what_is_not_shared_any_more_stays_with_who_has_seen_it(
    store: &dyn ResponseStore,
    now: Time,
) {
    let page = body("page");
    for (n, owner) in [(8, "repo:acme/rocket"), (9, "repo:acme/other")] {
        let mut shown = validation(&page, true, now);
        Arc::make_mut(&mut shown).about = about(owner);
        store.note(OCTOCAT, key(n), shown, page.clone()).await.unwrap();
    }
    store.unshare(&[about("repo:acme/rocket"), about("repo:#7")]).await.unwrap();
    assert_eq!(store.shown_to_anybody(&key(8)).await.unwrap(), None);
    assert!(store.shown(OCTOCAT, &key(8)).await.unwrap().is_some());
    assert!(store.shown_to_anybody(&key(9)).await.unwrap().is_some());
}

async fn an_installation_is_forgotten_with_all_its_rights(store: &dyn ResponseStore, now: Time) {
    let page = body("page");
    for who in [of(5, 1), of(5, 2), of(6, 1)] {
        store.note(who, key(1), validation(&page, false, now), page.clone()).await.unwrap();
    }
    store.forget_all(of(5, 0)).await.unwrap();
    assert_eq!(store.shown(of(5, 1), &key(1)).await.unwrap(), None);
    assert_eq!(store.shown(of(5, 2), &key(1)).await.unwrap(), None);
    assert!(store.shown(of(6, 1), &key(1)).await.unwrap().is_some());
}

/// An installation with some of its rights.
fn of(id: u64, scope: u64) -> Principal {
    Principal::Installation { realm: 1, id, scope }
}

async fn what_is_forgotten_is_gone_for_that_asker_alone(store: &dyn ResponseStore, now: Time) {
    let page = body("page");
    let shown = validation(&page, false, now);
    for who in [OCTOCAT, HUBOT] {
        for n in [5, 6] {
            store.note(who, key(n), shown.clone(), page.clone()).await.unwrap();
        }
    }
    store.forget(OCTOCAT, &key(5)).await.unwrap();
    assert_eq!(store.shown(OCTOCAT, &key(5)).await.unwrap(), None);
    assert!(store.shown(OCTOCAT, &key(6)).await.unwrap().is_some());
    store.forget_all(OCTOCAT).await.unwrap();
    assert_eq!(store.shown(OCTOCAT, &key(6)).await.unwrap(), None);
    assert!(store.shown(HUBOT, &key(5)).await.unwrap().is_some());
    store.note(OCTOCAT, key(6), shown, page).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(6)).await.unwrap().is_some());
    store.settle().await;
    store.sweep(now).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(6)).await.unwrap().is_some());
}

/// Runs the suite for stores that outlive the process: `again` is the same, seen by a process that
/// has nothing in memory. The store holds what [`run`] has left in it.
pub async fn outlives(store: &dyn ResponseStore, again: &dyn ResponseStore, now: Time) {
    store.settle().await;
    let page = body("page");
    let (shown, restored) = again.shown(HUBOT, &key(5)).await.unwrap().unwrap();
    assert_eq!((shown, restored), (validation(&page, false, now), page.clone()));
    let secret = again.shown(OCTOCAT, &key(6)).await.unwrap();
    assert_eq!(secret.unwrap().1, page, "noted after all was forgotten");
    let gone = [(OCTOCAT, 1), (OCTOCAT, 3), (OCTOCAT, 5), (HUBOT, 1), (of(5, 1), 1), (of(5, 2), 1)];
    let all_gone = [(OCTOCAT, 10), (HUBOT, 10), (of(5, 1), 10)];
    for (who, n) in gone.into_iter().chain(all_gone) {
        assert_eq!(again.shown(who, &key(n)).await.unwrap(), None, "{who:?} {n}");
    }
    assert!(again.shown(of(6, 1), &key(1)).await.unwrap().is_some());
    for n in [7, 8, 10] {
        assert_eq!(again.shown_to_anybody(&key(n)).await.unwrap(), None, "{n}");
    }
    assert!(again.shown_to_anybody(&key(9)).await.unwrap().is_some());
    assert_eq!(again.shown_to_anybody(&key(4)).await.unwrap().unwrap().body, body("two"));
    assert_eq!(again.shown_to_anybody(&key(1)).await.unwrap(), None);
}
