//! `gatekeep sessions`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::operator::{answer, moment, table, text};
use super::{Running, Which};
use crate::identity::UserPattern;

const HEADS: [&str; 6] = ["SESSION", "DEVICE", "FROM", "SIGNED IN", "LAST USED", "ENDS"];

pub(super) fn list(at: &Running, user: &UserPattern) -> ExitCode {
    answer(
        at,
        |operator| operator.get("/sessions", &[("user", &user.to_string())]),
        |listed| {
            let rows: Vec<_> = listed.as_array().into_iter().flatten().map(row).collect();
            table(&HEADS, &rows)
        },
    )
}

pub(super) fn revoke(at: &Running, which: &Which) -> ExitCode {
    let what = match &which.user {
        Some(user) => json!({ "user": user.to_string() }),
        None => json!({ "session": which.session }),
    };
    answer(
        at,
        |operator| operator.post("/sessions/revoke", &what),
        |done| match &done["ended"] {
            one if *one == 1 => "1 session was ended, on every host.\n".to_owned(),
            many => format!("{many} sessions were ended, on every host.\n"),
        },
    )
}

fn row(session: &Value) -> Vec<String> {
    let [key, device, from] = ["key", "device", "from"].map(|name| text(&session[name]));
    let name = &session["api_key"]["name"];
    let kind = if session["api_key"]["instance"].is_null() { "API key" } else { "Instance" };
    let device = if name.is_null() { device } else { format!("{kind}: {}", text(name)) };
    let moments = ["created", "seen", "expires"].map(|name| moment(&session[name]));
    [key, device, from].into_iter().chain(moments).collect()
}
