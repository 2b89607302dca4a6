use std::sync::Mutex;

use http::{HeaderMap, StatusCode};

use super::*;
use crate::budget::Limited;
use crate::clock::{Manual, Time};
use crate::route::LimitStatus;

const NOW: i64 = 1_000_000;
const ISSUES: &str = "/repos/{owner}/{repo}/issues";
const QUICK: Duration = Duration::from_millis(20);

struct World {
    budgets: Arc<Budgets>,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Manual::at(Time::from_unix(NOW)));
        let metrics = Arc::new(Metrics::new());
        let budgets = Arc::new(Budgets::new(clock.clone(), metrics.clone()));
        Self { budgets, clock, metrics }
    }

    async fn enter(&self, call: Call<'static>) -> Result<Permit, Refused> {
        self.budgets.enter(call).await
    }

    /// A request that is answered at once.
    async fn ask(
        &self,
        call: Call<'static>,
        status: u16,
        fields: &HeaderMap,
        body: &str,
    ) -> Option<Limited> {
        let mut permit = self.enter(call).await.expect("a permit");
        let status = StatusCode::from_u16(status).unwrap();
        permit.answered(status, fields, body.as_bytes(), QUICK)
    }

    /// Has them all wait at once, in this order; each takes a moment. Says who began when.
    async fn send_all(&self, calls: Vec<Call<'static>>) -> Vec<(u64, Duration, bool)> {
        let (begun, log) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = Vec::new();
        for call in calls {
            let (budgets, log, caller) = (self.budgets.clone(), log.clone(), call.caller);
            tasks.push(tokio::spawn(async move {
                let permit = budgets.enter(call).await;
                log.lock().unwrap().push((caller, begun.elapsed(), permit.is_ok()));
                tokio::time::sleep(QUICK).await;
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    }

    fn hear(&self, limits: &[Limit]) {
        for limit in limits {
            self.budgets.heed(limit);
        }
    }

    /// What other nodes are to be told now.
    async fn told(&self) -> Vec<Limit> {
        timeout_at(Instant::now() + QUICK, self.budgets.to_tell()).await.unwrap_or_default()
    }

    fn metric(&self, line: &str) -> bool {
        String::from_utf8(self.metrics.encode()).unwrap().lines().any(|found| found == line)
    }
}

fn get(caller: u64) -> Call<'static> {
    let (method, path) = (&Method::GET, "/user");
    let key = BudgetKey::User(1);
    let max_wait = Duration::from_secs(5);
    Call { key, caller, method, path, template: path, kind: Kind::Ordinary, max_wait }
}

fn create(caller: u64) -> Call<'static> {
    let (method, path) = (&Method::POST, "/repos/o/r/issues");
    Call { method, path, template: ISSUES, max_wait: Duration::from_secs(31), ..get(caller) }
}

fn of_kind(kind: Kind) -> Call<'static> {
    Call { kind, ..get(1) }
}

fn rate(resource: &str, remaining: u32, reset: i64) -> HeaderMap {
    let limit = if resource == "core" { 5000 } else { 30 };
    let standing = Standing {
        resource: Resource::from_header(resource).unwrap(),
        limit,
        remaining,
        used: limit - remaining,
        reset: Time::from_unix(reset),
    };
    standing.fields().collect()
}

fn smallest_gap(begun: &[(u64, Duration, bool)]) -> Duration {
    begun.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).min().unwrap()
}

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
async fn what_another_node_knows_to_be_left_counts_here() {
    let world = World::new();
    let standing = Standing::from_headers(&rate("core", 0, NOW + 60), Resource::Core).unwrap();
    world.budgets.note(&BudgetKey::Installation(5), Heard::Left(standing));
    let of_installation = Call { key: BudgetKey::Installation(5), ..get(1) };
    assert!(world.enter(of_installation).await.is_err());
    assert!(world.enter(Call { key: BudgetKey::User(5), ..get(1) }).await.is_ok());
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

#[test]
fn a_refusal_reads_as_clients_of_github_expect() {
    let link = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
    let standing = Standing::from_headers(&rate("core", 90, NOW + 60), Resource::Core);
    for (kind, remaining, message, anchor) in [
        (
            RefusedKind::Primary,
            "0",
            "API rate limit exceeded. GitHub was not asked; the limit is reset in 8 seconds.",
            "#about-primary-rate-limits",
        ),
        (
            RefusedKind::Secondary,
            "90",
            "You have exceeded a secondary rate limit. GitHub was not asked, for it wants a pause \
             of 8 more seconds.",
            "#about-secondary-rate-limits",
        ),
        (
            RefusedKind::Queue,
            "90",
            "You have exceeded a secondary rate limit of the gateway: too many requests wait for \
             their turn. Ask again in 8 seconds.",
            "#about-secondary-rate-limits",
        ),
    ] {
        let refused = Refused {
            kind,
            retry_after: Duration::from_millis(7001),
            standing,
            resource: Resource::Core,
            github_status: None,
        };
        let (status, headers, body) =
            refused.answer(LimitStatus::default(), kind != RefusedKind::Primary, "01JQ8Z");
        assert_eq!(status, StatusCode::FORBIDDEN);
        let told: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        let expected = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-used", "4910"),
            ("x-ratelimit-reset", "1000060"),
            ("x-ratelimit-resource", "core"),
            ("retry-after", "8"),
            ("x-gatekeep-refused", kind.word()),
            ("cache-status", "gatekeep; detail=refused"),
            ("cache-control", "private, no-store"),
            ("content-type", "application/json; charset=utf-8"),
        ];
        assert_eq!(told, expected);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "message": message,
            "documentation_url": format!("{link}{anchor}"),
            "request_id": "01JQ8Z",
        });
        assert_eq!(body, expected);
        let status = |wanted| refused.answer(wanted, false, "").0.as_u16();
        assert_eq!([LimitStatus::AsGitHub, LimitStatus::TooManyRequests].map(status), [403, 429]);
    }
}

#[tokio::test(start_paused = true)]
async fn people_can_look_at_all_that_is_known() {
    let world = World::new();
    assert_eq!(world.budgets.every(), []);
    let key = BudgetKey::User(1);
    let fields = rate("core", 4000, NOW + 900);
    world.ask(get(1), 200, &fields, "").await;
    let held: Vec<_> = [world.enter(get(1)).await, world.enter(get(1)).await].into();
    let calm = Known {
        key: key.clone(),
        standings: Standing::from_headers(&fields, Resource::Core).into_iter().collect(),
        paused: None,
        under_way: 2,
        waiting: 0,
    };
    assert_eq!(world.budgets.every(), std::slice::from_ref(&calm));
    assert_eq!(world.budgets.paused(&key), None);
    drop(held);
    world.ask(get(1), 429, &HeaderMap::new(), "").await;
    let paused = Some(Time::from_unix(NOW + 61));
    assert_eq!(world.budgets.every(), [Known { paused, under_way: 0, ..calm }]);
    assert_eq!(world.budgets.paused(&key), paused);
    assert_eq!(world.budgets.paused(&BudgetKey::User(2)), None);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.budgets.paused(&key), None);
}

#[tokio::test(start_paused = true)]
async fn every_request_is_counted_once_by_what_came_of_it() {
    let world = World::new();
    let none = HeaderMap::new();
    world.ask(get(1), 200, &none, "").await;
    world.ask(of_kind(Kind::Revalidation), 304, &none, "").await;
    world.ask(get(1), 502, &none, "").await;
    let mut broken = world.enter(get(1)).await.unwrap();
    broken.unanswered("timeout");
    drop(broken);
    drop(world.enter(get(1)).await);
    world.ask(get(1), 403, &rate("core", 0, NOW + 900), "").await;
    for (status, reason) in [
        ("2xx", "answered"),
        ("3xx", "not-modified"),
        ("5xx", "answered"),
        ("none", "timeout"),
        ("none", "abandoned"),
        ("4xx", "primary"),
    ] {
        let labels = format!(r#"{{reason="{reason}",status="{status}"}}"#);
        let line = format!("gatekeep_github_upstream_total{labels} 1");
        assert!(world.metric(&line), "{line}");
    }
    assert!(world.metric(r#"gatekeep_github_upstream_seconds_count{resource="core"} 4"#));
    assert!(world.metric(r#"gatekeep_github_charged_total{resource="core"} 5"#));
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
