//! GitHub's secondary limits: the pauses that it asks for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pause_holds_for_the_whole_budget_and_nobody_else() {
    let world = World::new();
    let mut creating = world.enter(create(1)).await.unwrap();
    let waiting = tokio::spawn({
        let budgets = world.budgets.clone();
        async move { budgets.enter(create(2)).await.err().map(|refused| refused.kind) }
    });
    tokio::task::yield_now().await;
    let fields: HeaderMap = [(http::header::RETRY_AFTER, 7.into())].into_iter().collect();
    let limited = creating.answered(StatusCode::FORBIDDEN, &fields, b"", QUICK);
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(limited, Some(Limited::Secondary { retry_after }));
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap(), Some(RefusedKind::Secondary), "who waits is told");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for kind in [Kind::Ordinary, Kind::Revalidation, Kind::Reserved] {
        let refused = world.enter(of_kind(kind)).await.err().unwrap();
        assert_eq!(refused.kind, RefusedKind::Secondary, "{kind:?}");
        assert_eq!(refused.answer(LimitStatus::AsGitHub, false, "").0, StatusCode::FORBIDDEN);
    }
    let other = || Call { key: BudgetKey::User(2), ..get(1) };
    assert!(world.enter(other()).await.is_ok());

    let elsewhere = World::new();
    elsewhere.hear(&world.budgets.to_tell().await);
    assert!(elsewhere.enter(get(1)).await.is_err() && elsewhere.enter(other()).await.is_ok());
    for there in [&world, &elsewhere] {
        there.clock.advance(Duration::from_secs(7));
        assert!(there.enter(get(1)).await.is_err());
        there.clock.advance(Duration::from_secs(1));
        assert!(there.enter(get(1)).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_time_lasts_longer_each_time() {
    let world = World::new();
    for seconds in [61, 121] {
        world.ask(get(1), 429, &HeaderMap::new(), "").await;
        let refused = world.enter(get(1)).await.err().unwrap();
        assert_eq!(refused.retry_after, Duration::from_secs(seconds));
        let (status, ..) = refused.answer(LimitStatus::AsGitHub, false, "");
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        world.clock.advance(refused.retry_after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_node_meets_is_told_once_and_by_none_who_heard_it() {
    let (here, there) = (World::new(), World::new());
    here.ask(get(1), 200, &rate("core", 101, NOW + 60), "").await;
    assert_eq!(here.told().await, [], "there is something left");
    here.ask(get(1), 200, &rate("core", 100, NOW + 60), "").await;
    let spent = here.told().await;
    assert!(matches!(&spent[..], [Limit::Spent(BudgetKey::User(1), _)]), "{spent:?}");
    for (remaining, reset) in [(99, NOW + 60), (98, NOW + 61)] {
        here.ask(of_kind(Kind::Reserved), 200, &rate("core", remaining, reset), "").await;
        assert_eq!(here.told().await, [], "nothing else");
    }
    there.hear(&spent);
    let refused = there.enter(get(1)).await.err().unwrap();
    assert_eq!(refused.kind, RefusedKind::Primary);
    assert!(there.enter(Call { key: BudgetKey::User(2), ..get(1) }).await.is_ok());
    let fields: HeaderMap = [(http::header::RETRY_AFTER, 7.into())].into_iter().collect();
    here.ask(of_kind(Kind::Reserved), 403, &fields, "").await;
    let struck = here.told().await;
    assert!(matches!(&struck[..], [Limit::Struck(BudgetKey::User(1), _)]), "{struck:?}");
    there.hear(&struck);
    let refused = there.enter(of_kind(Kind::Reserved)).await.err().unwrap();
    assert_eq!(refused.kind, RefusedKind::Secondary);
    assert_eq!(there.told().await, [], "an echo goes on for ever");
    // The next window is another matter.
    for world in [&here, &there] {
        world.clock.advance(Duration::from_secs(70));
    }
    here.ask(get(1), 200, &rate("core", 100, NOW + 3700), "").await;
    assert_eq!(here.told().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn graphql_is_refused_apart_and_in_its_own_shape() {
    let world = World::new();
    let (method, path) = (&Method::POST, "/graphql");
    let query = || Call { method, path, template: path, ..get(1) };
    let body = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
    let limited = world.ask(query(), 200, &rate("graphql", 0, NOW + 60), body).await;
    assert!(matches!(limited, Some(Limited::Primary { .. })));
    let refused = world.enter(query()).await.err().unwrap();
    let (status, headers, body) = refused.answer(LimitStatus::TooManyRequests, true, "01JQ8Z");
    let text = "API rate limit exceeded. GitHub was not asked; the limit is reset in 61 seconds.";
    let expected = format!(r#"{{"errors":[{{"message":"{text}","type":"RATE_LIMITED"}}]}}"#);
    assert_eq!((status, String::from_utf8(body).unwrap()), (StatusCode::OK, expected));
    assert_eq!(headers["x-ratelimit-remaining"], "0");
    assert_eq!(headers["x-ratelimit-resource"], "graphql");
    assert!(world.enter(get(1)).await.is_ok(), "the REST API has a limit of its own");
}

/// Many clients who never pause, for four minutes: what reaches GitHub stays below its limits.
#[tokio::test(start_paused = true)]
async fn a_crowd_stays_below_the_secondary_limits() {
    const TOOK: Duration = Duration::from_millis(55);
    let world = World::new();
    let (begun, log) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let mut clients = Vec::new();
    for n in 0..40_u64 {
        let (budgets, log) = (world.budgets.clone(), log.clone());
        let template = ["/user", "/gists", "/events", ISSUES][usize::try_from(n % 4).unwrap()];
        clients.push(tokio::spawn(async move {
            while begun.elapsed() < Duration::from_secs(240) {
                let mut permit = match budgets.enter(Call { template, ..get(n) }).await {
                    Ok(permit) => permit,
                    Err(refused) => {
                        tokio::time::sleep(refused.retry_after).await;
                        continue;
                    }
                };
                let at = begun.elapsed();
                tokio::time::sleep(TOOK).await;
                permit.answered(StatusCode::OK, &HeaderMap::new(), b"", TOOK);
                log.lock().unwrap().push((at, template));
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let log = log.lock().unwrap();
    for from in (0..180).map(Duration::from_secs) {
        let within: Vec<_> = log
            .iter()
            .filter(|(at, _)| (from..from + Duration::from_secs(60)).contains(at))
            .collect();
        for template in ["/user", "/gists", "/events", ISSUES] {
            assert!(within.iter().filter(|(_, of)| *of == template).count() <= 720);
        }
        let time = TOOK * u32::try_from(within.len()).unwrap();
        assert!(time < Duration::from_secs(73), "{time:?} of 90 s");
    }
    let all = TOOK * u32::try_from(log.len()).unwrap();
    assert!(all > Duration::from_secs(200), "and most of what is allowed is used: {all:?}");
}
