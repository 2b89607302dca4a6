//! The admin listener: metrics and health, where operators ask and nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gatekeep::store::Memory;

use crate::support::child::get;
use crate::support::fuse::Fuse;
use crate::support::http::Connection;
use crate::support::upstream::Held;
use crate::support::{ROUTES, World, eventually};

const HOME: &str = "https://app.example.com/";

#[test]
fn health_is_answered_on_the_admin_listener_alone() {
    let world = World::new();
    for (path, status, body) in [
        ("/healthz", 200, "ok\n"),
        ("/readyz", 200, "ready\n"),
        ("/", 404, "here are /metrics, /healthz and /readyz\n"),
        ("/metrics/", 404, "here are /metrics, /healthz and /readyz\n"),
    ] {
        let answer = get(world.gate.admin, path);
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
    }
    let post = b"POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = crate::support::http::raw(world.gate.admin, post).expect("an answer");
    assert_eq!(answer.status, 405);
    // On the public listener these are paths like any other: guarded, or nobody's.
    for path in ["/metrics", "/readyz"] {
        let mut nobody = world.browser();
        assert_eq!(nobody.fetch(&format!("https://app.example.com{path}")).status, 401, "{path}");
        let bare = get(world.gate.address, path);
        assert_eq!(bare.status, 404, "{path}");
        assert!(!bare.text().contains("gatekeep_"), "{}", bare.text());
    }
    assert_eq!(world.app.hits(), 0);
}

#[test]
fn readiness_follows_the_store_and_health_does_not() {
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let of_store = left.clone();
    let world = World::build("", ROUTES, |clock| Arc::new(Fuse::new(Memory::new(clock), of_store)));
    let ready = || {
        let answer = get(world.gate.admin, "/readyz");
        (answer.status, answer.text())
    };
    assert_eq!(ready(), (200, "ready\n".to_owned()));
    left.store(0, Ordering::SeqCst);
    assert_eq!(ready(), (503, "the session store gives no answer\n".to_owned()));
    assert_eq!(get(world.gate.admin, "/healthz").status, 200);
    left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(ready(), (200, "ready\n".to_owned()));
}

#[test]
fn readiness_ends_when_the_gateway_stops_and_the_metrics_stay_until_it_has() {
    let held = Held::start();
    let route = format!(
        "\n  - {{ name: app, host: app.example.com, upstream: '{}', public: ['/*'] }}\n",
        held.url
    );
    let mut world = World::with("grace: 60s\n", &route);
    let mut under_way = Connection::open(world.gate.address);
    let request = b"GET / HTTP/1.1\r\nhost: app.example.com\r\n\r\n";
    under_way.send(request).expect("the gateway reads");
    held.arrived();
    assert_eq!(get(world.gate.admin, "/readyz").status, 200);
    world.gate.stop();
    eventually("it is not ready", || {
        let answer = get(world.gate.admin, "/readyz");
        (answer.status, answer.text().as_str()) == (503, "stopping\n")
    });
    assert_eq!(get(world.gate.admin, "/healthz").status, 200);
    assert_eq!(world.gate.metric("gatekeep_http_requests_in_flight"), Some(1.0));
    held.release();
    assert_eq!(under_way.receive(false).expect("an answer").status, 200);
    world.gate.join();
}

/// Every line that is no comment, by name and labels.
fn values(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[test]
fn the_counters_say_what_happened() {
    let world = World::new();
    let (mut octocat, _) = world.signed_in("octocat", HOME);
    assert_eq!(octocat.fetch("https://app.example.com/x").status, 200);
    assert_eq!(octocat.fetch("https://app.example.com/admin").status, 403);
    assert_eq!(world.browser().fetch("https://app.example.com/x").status, 401);
    assert_eq!(world.browser().fetch("https://app.example.com/public/x").status, 200);
    assert_eq!(world.browser().fetch("https://elsewhere.example/").status, 404);
    let counted = |name: &str| world.gate.metric(name);
    // A request is counted when its answer is out, so the last one may still be on its way.
    let last = r#"gatekeep_http_requests_total{code="404",route="gatekeep"}"#;
    eventually("all is counted", || counted(last) == Some(1.0));
    let text = get(world.gate.admin, "/metrics").text();
    let values = values(&text);
    let of = |prefix: &str| -> Vec<(&str, f64)> {
        let found = values.iter().filter(|(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (&name[prefix.len()..], *value)).collect()
    };
    assert_eq!(
        of("gatekeep_decisions_total"),
        [
            (r#"{decision="allow",reason="org",route="app"}"#, 2.0),
            (r#"{decision="allow",reason="public",route="app"}"#, 1.0),
            (r#"{decision="deny",reason="not-admitted",route="app"}"#, 1.0),
            (r#"{decision="sign-in",reason="no-session",route="app"}"#, 2.0),
        ]
    );
    assert_eq!(
        of("gatekeep_http_requests_total"),
        [
            (r#"{code="200",route="app"}"#, 3.0),
            // Sign-in by way of the callback host: start, callback, hand-over.
            (r#"{code="303",route="app"}"#, 1.0),
            (r#"{code="303",route="gatekeep"}"#, 3.0),
            (r#"{code="401",route="app"}"#, 1.0),
            (r#"{code="403",route="app"}"#, 1.0),
            (r#"{code="404",route="gatekeep"}"#, 1.0),
        ]
    );
    assert_eq!(of("gatekeep_sign_ins_total"), [(r#"{result="signed-in"}"#, 1.0)]);
    assert_eq!(of("gatekeep_github_sign_in_duration_seconds_count"), [("", 1.0)]);
    assert_eq!(of("gatekeep_http_request_duration_seconds_count{route=\"app\""), [("}", 6.0)]);
    assert_eq!(of("gatekeep_session_store_failures_total"), [("", 0.0)]);
    assert_eq!(of("gatekeep_http_requests_in_flight"), [("", 0.0)]);
}

#[test]
fn every_metric_is_explained_and_none_names_a_visitor() {
    let world = World::with("limits: { connections: 3, connections_per_address: 2 }\n", ROUTES);
    world.signed_in("octocat", "https://app.example.com/a-path-of-mine?and=query");
    let kept: Vec<_> = (0..3).map(|_| Connection::open(world.gate.address)).collect();
    let refused = r#"gatekeep_connections_refused_total{limit="connections_per_address"}"#;
    eventually("one is too many", || world.gate.metric(refused) == Some(1.0));
    drop(kept);
    let answer = get(world.gate.admin, "/metrics");
    let format = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(format)));
    let text = answer.text();
    let explained: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "))
        .filter_map(|line| line.split_once(' '))
        .inspect(|(name, help)| assert!(help.len() > 10, "{name}: {help}"))
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "gatekeep_access_log_dropped",
        "gatekeep_config_last_reload_success_timestamp_seconds",
        "gatekeep_config_last_reload_successful",
        "gatekeep_connections",
        "gatekeep_connections_refused_total",
        "gatekeep_decisions_total",
        "gatekeep_facts_kept_total",
        "gatekeep_github_cache_bytes",
        "gatekeep_github_cache_dropped_total",
        "gatekeep_github_cache_restored_total",
        "gatekeep_github_link_refetches_total",
        "gatekeep_github_saved_total",
        "gatekeep_github_sign_in_duration_seconds",
        "gatekeep_http_request_duration_seconds",
        "gatekeep_http_requests_in_flight",
        "gatekeep_http_requests_total",
        "gatekeep_session_cache_bytes",
        "gatekeep_session_store_failures_total",
        "gatekeep_sessions",
        "gatekeep_sign_ins_total",
        "gatekeep_store_in_touch",
    ];
    assert_eq!(explained, expected);
    let base = |name: &str| {
        let name = name.split('{').next().unwrap_or(name);
        let stems = ["_bucket", "_sum", "_count"];
        let stem = stems.iter().find_map(|stem| name.strip_suffix(stem));
        stem.filter(|stem| expected.contains(stem)).unwrap_or(name).to_owned()
    };
    let unexplained: Vec<_> =
        values(&text).into_keys().filter(|name| !expected.contains(&&*base(name))).collect();
    assert_eq!(unexplained, Vec::<String>::new());
    for word in ["octocat", "a-path-of-mine", "127.0.0.1", "example.com"] {
        assert!(!text.contains(word), "{word} is in\n{text}");
    }
}
