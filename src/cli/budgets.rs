//! `gatekeep budgets`.

use std::process::ExitCode;

use serde_json::Value;

use super::Running;
use super::operator::{answer, moment, number, table, text};

const HEADS: [&str; 8] =
    ["WHO", "LIMIT", "LEFT", "OF", "FULL AGAIN", "PAUSED UNTIL", "REQUESTS", "FREE"];

pub(super) fn list(at: &Running) -> ExitCode {
    answer(
        at,
        |operator| operator.get("/github/budgets", &[]),
        |listed| {
            let rows: Vec<_> = listed.as_array().into_iter().flatten().flat_map(rows).collect();
            table(&HEADS, &rows)
        },
    )
}

/// A row for each limit, and one where none is known.
fn rows(budget: &Value) -> Vec<Vec<String>> {
    let limits = budget["limits"].as_array().cloned().unwrap_or_default();
    let limits = if limits.is_empty() { vec![Value::Null] } else { limits };
    limits.iter().map(|limit| row(budget, limit)).collect()
}

fn row(budget: &Value, limit: &Value) -> Vec<String> {
    let [left, of] = ["remaining", "limit"].map(|name| number(&limit[name]));
    let [full, paused] = [&limit["reset"], &budget["paused_until"]].map(moment);
    let [requests, free] = ["requests", "free"].map(|name| number(&budget[name]));
    [who(budget), text(&limit["resource"]), left, of, full, paused, requests, free].into()
}

/// Users are named as other commands take them.
fn who(budget: &Value) -> String {
    let named = |name: &str| budget[name].as_u64().map(|id| (name.to_owned(), id));
    match (named("user"), named("installation")) {
        (Some((_, id)), _) => format!("id:{id}"),
        (None, Some((name, id))) => format!("{name} {id}"),
        (None, None) => format!("app {}", text(&budget["app"])),
    }
}
