//! What clients, people and metrics are told.

use super::*;

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
