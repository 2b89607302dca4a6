//! What is left of a limit, and what may still be asked for by it.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_left_is_known_from_every_answer() {
    let world = World::new();
    let key = BudgetKey::User(1);
    assert_eq!(world.budgets.standing(&key, Resource::Core), None);
    world.ask(get(1), 200, &rate("core", 4000, NOW + 900), "").await;
    world.ask(of_kind(Kind::Revalidation), 304, &rate("core", 3999, NOW + 900), "").await;
    world.ask(get(1), 502, &HeaderMap::new(), "").await;
    // What was predicted to be one resource turns out to be another.
    world.ask(get(1), 200, &rate("code_search", 9, NOW + 60), "").await;
    drop(world.enter(get(1)).await);
    let standing = world.budgets.standing(&key, Resource::Core).unwrap();
    assert_eq!((standing.remaining, standing.reset), (3999, Time::from_unix(NOW + 900)));
    assert_eq!(world.budgets.all(&key).len(), 2);
    world.budgets.sweep();
    for line in [
        r#"gatekeep_github_charged_total{resource="core"} 4"#,
        r#"gatekeep_github_budget_remaining{resource="core"} 3999"#,
        r#"gatekeep_github_budget_remaining{resource="code_search"} 9"#,
        r#"gatekeep_github_wait_seconds_count{resource="core"} 5"#,
    ] {
        assert!(world.metric(line), "{line}");
    }
    world.clock.advance(Duration::from_secs(901));
    tokio::time::advance(Duration::from_secs(200)).await;
    world.budgets.sweep();
    assert!(!world.metric(r#"gatekeep_github_budget_remaining{resource="core"} 3999"#));
    assert_eq!(world.budgets.purses.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_still_used_is_not_forgotten() {
    let world = World::new();
    let permit = world.enter(get(1)).await;
    tokio::time::advance(Duration::from_secs(4000)).await;
    world.budgets.sweep();
    assert_eq!(world.budgets.purses.len(), 1);
    drop(permit);
    tokio::time::advance(Duration::from_secs(4000)).await;
    world.budgets.sweep();
    assert_eq!(world.budgets.purses.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_left_only_trials_go_until_one_is_refused() {
    let world = World::new();
    let spent = rate("core", 0, NOW + 900);
    world.ask(get(1), 200, &spent, "").await;
    for kind in [Kind::Ordinary, Kind::Mutation, Kind::Reserved] {
        let refused = world.enter(of_kind(kind)).await.err().unwrap();
        let told = (refused.kind, refused.retry_after);
        assert_eq!(told, (RefusedKind::Primary, Duration::from_secs(901)), "{kind:?}");
        let closed = world.budgets.closed(&BudgetKey::User(1), Resource::Core);
        assert_eq!(closed, Some(refused));
    }
    assert_eq!(world.budgets.closed(&BudgetKey::User(1), Resource::Search), None);
    let trials = world.send_all(vec![of_kind(Kind::Revalidation); 3]).await;
    assert!(smallest_gap(&trials) >= Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let short = Call { max_wait: Duration::from_millis(3500), ..of_kind(Kind::Revalidation) };
    let crowd = world.send_all(vec![short; 9]).await;
    assert_eq!(crowd.iter().filter(|(.., went)| *went).count(), 4, "after 0, 1, 2 and 3 seconds");

    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = r#"{"message":"API rate limit exceeded for user ID 1."}"#;
    let limited = world.ask(of_kind(Kind::Revalidation), 403, &spent, body).await;
    let reset = Some(Time::from_unix(NOW + 900));
    assert_eq!(limited, Some(Limited::Primary { reset }));
    let refused = world.enter(of_kind(Kind::Revalidation)).await.err().unwrap();
    assert_eq!(refused.kind, RefusedKind::Primary);
    world.clock.advance(Duration::from_secs(900));
    assert!(world.enter(get(1)).await.is_err());
    world.clock.advance(Duration::from_secs(1));
    assert!(world.enter(get(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_comes_too_late_hears_of_the_limit() {
    let world = World::new();
    world.ask(get(1), 200, &rate("core", 0, NOW + 900), "").await;
    drop(world.enter(of_kind(Kind::Revalidation)).await.unwrap());
    let hasty = Call { max_wait: QUICK, ..of_kind(Kind::Revalidation) };
    assert_eq!(world.enter(hasty).await.err().unwrap().kind, RefusedKind::Primary);
}

#[tokio::test(start_paused = true)]
async fn the_reserve_lets_the_gateways_own_pass() {
    let world = World::new();
    world.ask(get(1), 200, &rate("core", 100, NOW + 900), "").await;
    assert_eq!(world.enter(get(1)).await.err().unwrap().kind, RefusedKind::Primary);
    assert!(world.enter(of_kind(Kind::Reserved)).await.is_ok());
    assert!(world.enter(of_kind(Kind::Revalidation)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_budget_is_not_spent_twice() {
    let world = World::new();
    world.ask(get(1), 200, &rate("core", 101, NOW + 900), "").await;
    let free = world.enter(of_kind(Kind::Revalidation)).await;
    let mut first = world.enter(get(1)).await.unwrap();
    let second = tokio::spawn({
        let budgets = world.budgets.clone();
        async move { budgets.enter(get(1)).await.err().map(|refused| refused.kind) }
    });
    tokio::time::sleep(QUICK).await;
    assert!(!second.is_finished(), "the first may turn out to be free");
    first.answered(StatusCode::OK, &rate("core", 100, NOW + 900), b"", QUICK);
    assert_eq!(second.await.unwrap(), Some(RefusedKind::Primary));
    drop(free);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_knows_to_be_left_counts_here() {
    let world = World::new();
    let standing = Standing::from_headers(&rate("core", 0, NOW + 60), Resource::Core).unwrap();
    world.budgets.note(&BudgetKey::Installation(5), Heard::Left(standing));
    let of_installation = Call { key: BudgetKey::Installation(5), ..get(1) };
    assert!(world.enter(of_installation).await.is_err());
    assert!(world.enter(Call { key: BudgetKey::User(5), ..get(1) }).await.is_ok());
}
