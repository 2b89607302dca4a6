//! `gatekeep keys`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::operator::{answer, moment, table, text};
use super::{Running, warn};

const HEADS: [&str; 5] = ["KEY", "STATE", "MADE", "SIGNS FROM", "PUBLISHED UNTIL"];

pub(super) fn list(at: &Running) -> ExitCode {
    answer(at, |operator| operator.get("/keys", &[]), shown)
}

pub(super) fn rotate(at: &Running, at_once: bool) -> ExitCode {
    let rotated = |operator: &super::operator::Operator| {
        let done = operator.post("/keys/rotate", &json!({ "at_once": at_once }))?;
        if done["rotated"] == false {
            warn("another node did so at the same moment; its key is below");
        }
        if done["announced"] == false {
            warn("the other nodes could not be told; they look for themselves within a minute");
        }
        Ok(done)
    };
    answer(at, rotated, |done| shown(&done["keys"]))
}

fn shown(keys: &Value) -> String {
    let rows: Vec<_> = keys.as_array().into_iter().flatten().map(row).collect();
    table(&HEADS, &rows)
}

fn row(key: &Value) -> Vec<String> {
    let texts = ["kid", "state"].map(|name| text(&key[name]));
    let moments = ["made", "active_from", "gone_at"].map(|name| moment(&key[name]));
    texts.into_iter().chain(moments).collect()
}
