//! `GET /github/budgets`: what GitHub leaves to whom, as JSON.

use serde_json::{Value, json};

use crate::budget::Standing;
use crate::gateway::Budgeted;
use crate::github::budgets::BudgetKey;

/// One budget.
pub(super) fn budget(Budgeted { known, tallied }: &Budgeted) -> Value {
    let mut json = json!({
        "limits": known.standings.iter().map(limit).collect::<Vec<_>>(),
        "paused_until": known.paused,
        "under_way": known.under_way,
        "waiting": known.waiting,
        "requests": tallied.map_or(0, |tallied| tallied.requests),
        "free": tallied.map_or(0, |tallied| tallied.free),
        "since": tallied.map(|tallied| tallied.since),
    });
    let (name, value) = match &known.key {
        BudgetKey::User(id) => ("user", json!(id)),
        BudgetKey::Installation(id) => ("installation", json!(id)),
        BudgetKey::App(client_id) => ("app", json!(&**client_id)),
    };
    json[name] = value;
    json
}

fn limit(standing: &Standing) -> Value {
    json!({
        "resource": standing.resource.word(),
        "limit": standing.limit,
        "remaining": standing.remaining,
        "used": standing.used,
        "reset": standing.reset,
    })
}
