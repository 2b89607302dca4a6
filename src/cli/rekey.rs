//! `gatekeep rekey`.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::operator::{Operator, Trouble, answer};
use super::{Running, warn};

pub(super) fn rekey(at: &Running) -> ExitCode {
    answer(at, all_pages, |done| {
        format!(
            "{} rows were sealed under the newest master secret. Keep the older one for \
             `session.idle` more: cookies that nobody has used since need it.\n",
            done["resealed"]
        )
    })
}

/// Page after page, and how many rows are done on the way.
fn all_pages(operator: &Operator) -> Result<Value, Trouble> {
    let (mut resealed, mut skipped, mut next) = (0, 0, json!({}));
    while !next.is_null() {
        let done = operator.post("/rekey", &next)?;
        let count = |name: &str| done[name].as_u64().unwrap_or_default();
        resealed += count("resealed");
        skipped += count("skipped");
        next = done["next"].clone();
        progress(resealed, skipped, next["table"].as_str());
    }
    if skipped > 0 {
        warn(&format!(
            "{skipped} rows do not open with any secret of the configuration and were left alone: \
             they belong to another GitHub or app, or their secret is gone already"
        ));
    }
    Ok(json!({ "resealed": resealed, "skipped": skipped }))
}

fn progress(resealed: u64, skipped: u64, table: Option<&str>) {
    let now = table.map_or_else(|| "done".to_owned(), |table| format!("next: {table}"));
    let line = format!("{resealed} rows sealed anew, {skipped} skipped; {now}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
