//! The instances that hold something of the visitor's: listed on the account page, and ended there as
//! sessions are.

use super::my_sessions::end_form;
use super::pages::{Row, Table};
use super::{LiveSession, Request};
use crate::store::Listed;

/// What is said of each.
const COLUMNS: &[&str] = &["Instance", "Signed in", "Last used", "Ends"];

const NOTE: &str =
    "Each may ask here on your behalf until it ends. To sign out everywhere ends them, too.";

/// The instances; nothing for whom there are none.
pub(super) fn table(request: &Request<'_>, live: &LiveSession, listed: &[Listed]) -> Option<Table> {
    (!listed.is_empty()).then(|| Table {
        title: "Apps that you signed in to from here",
        columns: COLUMNS,
        rows: listed.iter().filter_map(|listed| row(request, live, listed)).collect(),
        note: Some(NOTE.to_owned()),
        ..Table::default()
    })
}

fn row(request: &Request<'_>, live: &LiveSession, listed: &Listed) -> Option<Row> {
    let session = &listed.session;
    let instance = session.api_key.as_ref()?.instance.as_ref()?;
    let is_used = listed.seen > session.created;
    Some(Row {
        cells: vec![
            instance.to_string(),
            session.created.to_minute(),
            if is_used { listed.seen.to_minute() } else { "never".to_owned() },
            session.expires.to_minute(),
        ],
        action: Some(end_form(request, live, listed.key)),
        ..Row::default()
    })
}
