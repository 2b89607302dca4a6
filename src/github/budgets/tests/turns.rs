//! Who may go, and when.

use super::*;

#[tokio::test(start_paused = true)]
async fn ten_go_at_once_and_the_next_when_one_ends() {
    let world = World::new();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(world.enter(get(1)).await.unwrap());
    }
    let refused = world.enter(get(1)).await.err().unwrap();
    assert_eq!(refused.kind, RefusedKind::Queue);
    let next = tokio::spawn({
        let budgets = world.budgets.clone();
        async move { budgets.enter(get(1)).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!next.is_finished());
    held.pop();
    assert!(next.await.unwrap());
    let other = Call { key: BudgetKey::User(2), ..get(1) };
    assert!(world.enter(other).await.is_ok(), "another user waits for nobody");
}

#[tokio::test(start_paused = true)]
async fn ninety_go_over_all_budgets() {
    let world = World::new();
    let mut held = Vec::new();
    for n in 0..90 {
        held.push(world.enter(Call { key: BudgetKey::User(n / 10), ..get(1) }).await.unwrap());
    }
    let late = || Call { key: BudgetKey::App("Iv1.8a61f9b3a7aba766".into()), ..get(1) };
    assert_eq!(world.enter(late()).await.err().unwrap().kind, RefusedKind::Queue);
    held.pop();
    assert!(world.enter(late()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_take_turns_and_each_keeps_its_order() {
    let world = World::new();
    let calls = [vec![create(7); 6], vec![create(8); 2]].concat();
    let begun = world.send_all(calls).await;
    let order: Vec<_> = begun.iter().map(|(caller, ..)| *caller).collect();
    assert_eq!(order, [7, 7, 8, 7, 8, 7, 7, 7], "the first two came before anybody of the other");
    assert!(smallest_gap(&begun) >= Duration::from_secs(3));
    assert!(begun.iter().all(|(.., went)| *went));
}

#[tokio::test(start_paused = true)]
async fn writes_of_a_caller_do_not_overtake_each_other() {
    let world = World::new();
    drop(world.enter(create(1)).await.unwrap());
    // An edit could go after one second, a creation after three.
    let edit = |caller| Call { method: &Method::PATCH, ..get(caller) };
    let calls = vec![create(7), edit(7), edit(8)];
    let begun = world.send_all(calls).await;
    let order: Vec<_> = begun.iter().map(|(caller, at, _)| (*caller, at.as_secs())).collect();
    assert_eq!(order, [(8, 1), (7, 3), (7, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_write_held_up_by_others_keeps_its_distance_all_the_same() {
    let world = World::new();
    let mut held = Vec::new();
    for n in 10..100 {
        held.push(world.enter(Call { key: BudgetKey::User(n / 5), ..get(1) }).await.unwrap());
    }
    let edit = || Call { method: &Method::PATCH, ..get(1) };
    let budgets = world.budgets.clone();
    let first = tokio::spawn(async move { drop(budgets.enter(edit()).await.unwrap()) });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!first.is_finished());
    held.clear();
    first.await.unwrap();
    let begun = Instant::now();
    assert!(world.enter(edit()).await.is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn many_writes_of_one_starve_nobody() {
    let world = World::new();
    let mut calls = vec![create(7); 50];
    calls.push(get(8));
    calls.push(create(8));
    let begun = world.send_all(calls).await;
    let of = |caller| begun.iter().filter(move |(of, ..)| *of == caller);
    assert_eq!(of(8).next().unwrap().1, Duration::ZERO, "reading waits for no write");
    assert!(of(8).nth(1).unwrap().1 <= Duration::from_secs(6), "the second turn");
    let went: Vec<_> = begun.iter().filter(|(_, at, went)| *went && !at.is_zero()).collect();
    assert_eq!(went.len(), 10, "ten more fit into the time");
    assert_eq!(begun.iter().filter(|(.., went)| !went).count(), 40);
}

#[tokio::test(start_paused = true)]
async fn searches_keep_their_distance() {
    let world = World::new();
    let search = Call {
        path: "/search/issues",
        template: "/search/issues",
        max_wait: Duration::from_secs(120),
        ..get(1)
    };
    let begun = world.send_all(vec![search; 20]).await;
    assert!(smallest_gap(&begun) >= Duration::from_secs(2));
    assert!(begun.iter().all(|(.., went)| *went));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_frees_the_place() {
    let world = World::new();
    drop(world.enter(create(1)).await.unwrap());
    let left = (0..100).map(|n| Box::pin(world.budgets.enter(create(1 + n % 5))));
    let mut left: Vec<_> = left.collect();
    for waiting in &mut left {
        let moment = tokio::time::timeout(Duration::ZERO, waiting).await;
        assert!(moment.is_err(), "it waits");
    }
    let full = world.enter(create(6)).await.err().unwrap();
    assert_eq!(full.kind, RefusedKind::Queue);
    assert_eq!(full.retry_after, Duration::from_secs(3 + 20 * 3), "there are many ahead");
    let own = world.enter(of_kind(Kind::Reserved)).await;
    assert!(own.is_ok(), "the gateway's own finds room");
    // One has been told that it may go, and leaves before it has heard so.
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(left);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    assert!(world.enter(create(2)).await.is_ok());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_caller_does_not_fill_the_queue() {
    let world = World::new();
    drop(world.enter(create(1)).await.unwrap());
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(world.enter(create(1)))).collect();
    for one in &mut waiting {
        assert!(tokio::time::timeout(Duration::ZERO, one).await.is_err(), "it waits");
    }
    let begun = Instant::now();
    let refused = world.enter(create(1)).await.err().unwrap();
    assert_eq!((refused.kind, begun.elapsed()), (RefusedKind::Queue, Duration::ZERO));
    assert!(world.enter(Call { kind: Kind::Reserved, ..get(1) }).await.is_ok());
    let other = tokio::time::timeout(Duration::ZERO, world.enter(create(2))).await;
    assert!(other.is_err(), "it waits");
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_another_s_turn_hears_why_it_did_not_come() {
    let world = World::new();
    let later = |call: &Call<'_>| {
        let refused = world.budgets.too_late(call);
        (refused.kind, refused.retry_after.as_secs())
    };
    drop(world.enter(create(1)).await.unwrap());
    let waiting = world.enter(create(1));
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits");
    assert_eq!(later(&create(1)), (RefusedKind::Queue, 6));
    drop(waiting.await.unwrap());
    world.ask(get(1), 403, &rate("core", 0, NOW + 900), "").await;
    let confirming = of_kind(Kind::Revalidation);
    assert_eq!(later(&confirming), (RefusedKind::Primary, 901));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_served_in_time_is_told_at_once() {
    let world = World::new();
    drop(world.enter(create(1)).await.unwrap());
    let begun = Instant::now();
    let hasty = Call { max_wait: Duration::from_secs(2), ..create(1) };
    let refused = world.enter(hasty).await.err().unwrap();
    assert_eq!((refused.kind, refused.retry_after), (RefusedKind::Queue, Duration::from_secs(3)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(world.metric(r#"gatekeep_github_refused_total{kind="queue",resource="core"} 1"#));
}

/// A body takes as long as its client does, and that is none of GitHub's time.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_who_has_stepped_aside() {
    for (steps_aside, waits) in [(true, 3), (false, 300)] {
        let world = World::new();
        let mut slow = world.enter(create(1)).await.expect("a permit");
        if steps_aside {
            slow.step_aside();
        }
        let begun = Instant::now();
        let max_wait = Duration::from_secs(600);
        let next = world.budgets.clone();
        let next = tokio::spawn(async move {
            let entered = next.enter(Call { max_wait, ..create(1) }).await;
            (entered.is_ok(), begun.elapsed().as_secs())
        });
        tokio::time::sleep(Duration::from_secs(300)).await;
        // What GitHub says in the end is heard all the same.
        let fields =
            HeaderMap::from_iter([("retry-after".parse().unwrap(), "60".parse().unwrap())]);
        let took = Duration::from_secs(300);
        let said = slow.answered(StatusCode::TOO_MANY_REQUESTS, &fields, b"{}", took);
        assert!(said.is_some());
        assert!(world.budgets.paused(&BudgetKey::User(1)).is_some());
        drop(slow);
        let (has_entered, waited) = next.await.unwrap();
        assert_eq!((has_entered, waited), (steps_aside, waits));
    }
}
