use super::*;

const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };
const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

fn validation(body: &Body, formula_holds: bool) -> Arc<Validation> {
    Arc::new(Validation {
        body: body.hash,
        about: about("repo:acme/wiki"),
        etag: "\"1\"".into(),
        token: [1; 16],
        offered: true,
        formula_holds,
        headers: Arc::new(HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )])),
        linked: Time::from_unix(0),
        items: None,
        asked: Time::from_unix(0),
        change: 0,
        fresh: Duration::ZERO,
        longest: Duration::MAX,
    })
}

fn about(text: &str) -> Tag {
    Tag::from(text.to_owned())
}

fn key(n: u64) -> ResponseKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    key
}

fn body(text: &str) -> Body {
    Body::new(Bytes::copy_from_slice(text.as_bytes()))
}

#[tokio::test]
async fn what_one_asker_was_shown_is_no_others() {
    let store = HeldResponses::new(1 << 20);
    let secret = body("octocat's");
    store.note(OCTOCAT, key(1), validation(&secret, false), secret.clone()).await.unwrap();
    assert_eq!(store.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().1, secret);
    assert!(store.shown(HUBOT, &key(1)).await.unwrap().is_none());
    assert!(store.shown(OCTOCAT, &key(2)).await.unwrap().is_none());
    assert!(store.shown_to_anybody(&key(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_body_is_a_guess_for_others_where_its_tag_can_be_computed() {
    let store = HeldResponses::new(1 << 20);
    let page = body("[]");
    store.note(OCTOCAT, key(1), validation(&page, true), page.clone()).await.unwrap();
    assert_eq!(store.shown_to_anybody(&key(1)).await.unwrap().unwrap().body, page);
    assert!(store.shown(HUBOT, &key(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_forgotten_is_gone_for_that_asker_alone() {
    let store = HeldResponses::new(1 << 20);
    let page = body("page");
    for who in [OCTOCAT, HUBOT] {
        for n in [1, 2] {
            store.note(who, key(n), validation(&page, false), page.clone()).await.unwrap();
        }
    }
    store.forget(OCTOCAT, &key(1)).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(1)).await.unwrap().is_none());
    assert!(store.shown(OCTOCAT, &key(2)).await.unwrap().is_some());
    store.forget_all(OCTOCAT).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(2)).await.unwrap().is_none());
    assert!(store.shown(HUBOT, &key(1)).await.unwrap().is_some());
    store.note(OCTOCAT, key(2), validation(&page, false), page.clone()).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn it_stays_within_its_bound() {
    let bound = 1 << 20;
    let store = HeldResponses::new(bound);
    for n in 0..20_000 {
        let page = body(&format!("{n:0>400}"));
        store.note(OCTOCAT, key(n), validation(&page, true), page).await.unwrap();
        assert!(store.bytes() <= bound, "{} after {n}", store.bytes());
    }
    assert!(store.bytes() > bound / 2, "{}", store.bytes());
}

#[tokio::test]
async fn what_is_not_shared_any_more_stays_with_who_has_seen_it() {
    let store = HeldResponses::new(1 << 20);
    let page = body("page");
    for (n, owner) in [(1, "repo:acme/wiki"), (2, "repo:acme/other")] {
        let mut shown = validation(&page, true);
        Arc::make_mut(&mut shown).about = about(owner);
        store.note(OCTOCAT, key(n), shown, page.clone()).await.unwrap();
    }
    store.unshare(&[about("repo:acme/wiki"), about("repo:#7")]).await.unwrap();
    assert!(store.shown_to_anybody(&key(1)).await.unwrap().is_none());
    assert!(store.shown(OCTOCAT, &key(1)).await.unwrap().is_some());
    assert!(store.shown_to_anybody(&key(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_one_s_own_is_offered_to_nobody() {
    let store = HeldResponses::new(1 << 20);
    let page = body("page");
    let mut shown = validation(&page, true);
    Arc::make_mut(&mut shown).offered = false;
    store.note(OCTOCAT, key(1), shown, page.clone()).await.unwrap();
    assert!(store.shown_to_anybody(&key(1)).await.unwrap().is_none());
    assert!(store.shown(OCTOCAT, &key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn an_installation_is_forgotten_with_all_its_rights() {
    let store = HeldResponses::new(1 << 20);
    let page = body("page");
    let of = |id, scope| Principal::Installation { realm: 1, id, scope };
    for who in [of(5, 1), of(5, 2), of(6, 1)] {
        store.note(who, key(1), validation(&page, false), page.clone()).await.unwrap();
    }
    store.forget_all(of(5, 0)).await.unwrap();
    assert!(store.shown(of(5, 1), &key(1)).await.unwrap().is_none());
    assert!(store.shown(of(5, 2), &key(1)).await.unwrap().is_none());
    assert!(store.shown(of(6, 1), &key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_one_was_shown_is_kept_for_a_day_and_what_all_may_see_for_a_week() {
    let store = HeldResponses::new(1 << 20);
    let (own, common) = (body("octocat's"), body("of all"));
    let start = Time::from_unix(0);
    let second = Duration::from_secs(1);
    store.note(OCTOCAT, key(1), validation(&own, false), own.clone()).await.unwrap();
    store.note(OCTOCAT, key(2), validation(&common, true), common.clone()).await.unwrap();
    for (now, is_known, is_offered) in [
        (start + KEPT - second, true, true),
        (start + KEPT, false, true),
        (start + OFFERED - second, false, true),
        (start + OFFERED, false, false),
    ] {
        store.sweep(now).await.unwrap();
        for n in [1, 2] {
            assert_eq!(store.shown(OCTOCAT, &key(n)).await.unwrap().is_some(), is_known);
        }
        let offered = store.shown_to_anybody(&key(2)).await.unwrap();
        assert_eq!(offered.map(|it| it.body), is_offered.then(|| common.clone()));
    }
    assert_eq!(store.bytes(), 0);
}

#[tokio::test]
async fn a_body_that_nobody_needs_goes_with_the_next_sweep() {
    let store = HeldResponses::new(1 << 20);
    let page = body("octocat's own, and of some length");
    store.note(OCTOCAT, key(1), validation(&page, false), page.clone()).await.unwrap();
    store.sweep(Time::from_unix(0)).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(1)).await.unwrap().is_some());
    store.forget_all(OCTOCAT).await.unwrap();
    store.sweep(Time::from_unix(0)).await.unwrap();
    assert_eq!(store.bytes(), 0);
}
