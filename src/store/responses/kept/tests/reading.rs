//! What comes from the store, and for how long.

use super::*;

#[tokio::test]
async fn what_comes_from_the_store_is_not_fresh() {
    let scene = Scene::new();
    let (page, process) = (body("page"), scene.process());
    let shown = validation(&page, false, scene.now());
    let fresh = Validation { fresh: Duration::from_secs(300), change: 9, ..(*shown).clone() };
    process.note(OCTOCAT, key(1), Arc::new(fresh.clone()), page.clone()).await.unwrap();
    process.settle().await;
    assert_eq!(*process.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().0, fresh);
    assert_eq!(scene.process().shown(OCTOCAT, &key(1)).await.unwrap().unwrap().0, shown);
    assert_eq!(scene.metrics.github_cache_restored.get(), 1);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_what_anybody_was_shown_for_a_week() {
    let scene = Scene::new();
    let (page, process) = (body("page"), scene.process());
    let shown = validation(&page, true, scene.now());
    process.note(OCTOCAT, key(1), shown, page.clone()).await.unwrap();
    process.settle().await;
    let second = Duration::from_secs(1);
    scene.clock.advance(KEPT.saturating_sub(second));
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(page.clone()));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
    scene.clock.advance(OFFERED.saturating_sub(KEPT + second));
    let shared = scene.process().shown_to_anybody(&key(1)).await.unwrap();
    assert_eq!(shared.map(|shared| shared.body), Some(page));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.process().shown_to_anybody(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_expires_soon_stays_in_memory() {
    let scene = Scene::new();
    let process = scene.process();
    let note = async |text: &str, longest| {
        let page = body(text);
        let shown = validation(&page, false, scene.now());
        let shown = Validation { longest, ..(*shown).clone() };
        process.note(OCTOCAT, key(1), Arc::new(shown), page).await.unwrap();
        process.settle().await;
    };
    note("for long", Duration::MAX).await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("for long")));
    note("for a minute", Duration::from_secs(60)).await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, None, "nor is what was there before");
    assert_eq!(process.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().1, body("for a minute"));
    note("for two hours", Duration::from_secs(7200)).await;
    scene.clock.advance(Duration::from_secs(7199));
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("for two hours")));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
}
