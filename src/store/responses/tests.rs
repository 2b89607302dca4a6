use super::*;

const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };
const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

fn validation(body: &Body, formula_holds: bool) -> Arc<Validation> {
    Arc::new(Validation {
        body: body.hash,
        etag: "\"1\"".into(),
        token: [1; 16],
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
