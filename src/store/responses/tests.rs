use super::conformance::{OCTOCAT, body, key, run, validation};
use super::*;

const START: Time = Time::from_unix(0);

#[tokio::test]
async fn memory_conforms() {
    run(&HeldResponses::new(1 << 20), Time::from_unix(1_000)).await;
}

#[test]
fn what_was_asked_in_the_future_has_no_age() {
    let page = body("page");
    let asked = Validation {
        longest: Duration::from_secs(60),
        ..(*validation(&page, true, START)).clone()
    };
    let seconds = |seconds| Time::from_unix(seconds);
    assert_eq!(asked.age(seconds(7)), Some(Duration::from_secs(7)));
    assert!(asked.may_be_shown(seconds(60)) && !asked.may_be_shown(seconds(61)));
    assert_eq!(asked.age(seconds(-1)), None);
    assert!(!asked.may_be_shown(seconds(-1)));
    let lasting = Validation { longest: Duration::MAX, ..asked };
    assert!(lasting.may_be_shown(seconds(-1)), "GitHub can confirm it");
}

#[tokio::test]
async fn it_stays_within_its_bound() {
    let bound = 1 << 20;
    let store = HeldResponses::new(bound);
    for n in 0..20_000 {
        let page = body(&format!("{n:0>400}"));
        store.note(OCTOCAT, key(n), validation(&page, true, START), page).await.unwrap();
        assert!(store.bytes() <= bound, "{} after {n}", store.bytes());
    }
    assert!(store.bytes() > bound / 2, "{}", store.bytes());
}

#[tokio::test]
async fn what_one_was_shown_is_kept_for_a_day_and_what_all_may_see_for_a_week() {
    let store = HeldResponses::new(1 << 20);
    let (own, common) = (body("octocat's"), body("of all"));
    let second = Duration::from_secs(1);
    store.note(OCTOCAT, key(1), validation(&own, false, START), own.clone()).await.unwrap();
    store.note(OCTOCAT, key(2), validation(&common, true, START), common.clone()).await.unwrap();
    for (now, is_known, is_offered) in [
        (START + KEPT - second, true, true),
        (START + KEPT, false, true),
        (START + OFFERED - second, false, true),
        (START + OFFERED, false, false),
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
    store.note(OCTOCAT, key(1), validation(&page, false, START), page.clone()).await.unwrap();
    store.sweep(START).await.unwrap();
    assert!(store.shown(OCTOCAT, &key(1)).await.unwrap().is_some());
    store.forget_all(OCTOCAT).await.unwrap();
    store.sweep(START).await.unwrap();
    assert_eq!(store.bytes(), 0);
}
