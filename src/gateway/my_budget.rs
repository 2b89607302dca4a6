//! What the visitor may still ask of GitHub's API, and what of that was saved: shown on the account
//! page.

use super::my_api_keys::routes_of;
use super::pages::{Meter, Row, Table};
use super::{Gateway, LiveSession, Request};
use crate::budget::Standing;
use crate::clock::Time;
use crate::github::api::Tallied;
use crate::github::budgets::BudgetKey;
use crate::route::{ActsAs, Route};

/// What is said of a limit.
const COLUMNS: &[&str] = &["Limit", "Left", "Full again"];

// === impl Gateway ===

impl Gateway {
    /// What is left to the visitor; nothing for whom no route asks GitHub in their own name.
    pub(super) fn my_budget(&self, request: &Request<'_>, live: &LiveSession) -> Option<Table> {
        if !routes_of(request, live).iter().any(|route| asks_as_the_visitor(route)) {
            return None;
        }
        let (api, key) = (&self.github_api, BudgetKey::User(live.account.id));
        let left = api.budgets().all(&key);
        let note = note(left.is_empty(), api.budgets().paused(&key), api.tally().of(&key));
        Some(Table {
            title: "GitHub API",
            columns: COLUMNS,
            rows: left.iter().map(|(_, standing)| row(standing)).collect(),
            note: Some(note),
            ..Table::default()
        })
    }
}

fn asks_as_the_visitor(route: &Route) -> bool {
    route.upstream.api().is_some_and(|api| api.acts_as == ActsAs::Visitor)
}

fn row(standing: &Standing) -> Row {
    let (left, of) = (standing.remaining, standing.limit);
    Row {
        cells: vec![
            standing.resource.word().to_owned(),
            format!("{} of {}", grouped(left.into()), grouped(of.into())),
            standing.reset.to_string(),
        ],
        meter: Some(Meter { left, of }),
        ..Row::default()
    }
}

fn note(is_unknown: bool, paused: Option<Time>, tallied: Option<Tallied>) -> String {
    let paused = paused.map(|until| {
        format!("GitHub asked for a pause: nothing goes there in your name before {until}.")
    });
    let unknown = "GitHub says how much is left when it is asked the next time.";
    let unknown = is_unknown.then(|| unknown.to_owned());
    let saved = tallied.map(|Tallied { since, requests, free }| {
        let (since, requests, free) = (since.to_minute(), grouped(requests), grouped(free));
        format!("Your requests here since {since}: {requests}, of which {free} cost nothing.")
    });
    [paused, unknown, saved].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A number as people read it: `5,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_people_read_them() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (15_000, "15,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_note_says_what_stands_against_asking_and_what_was_saved() {
        let (unknown, paused) = (
            "GitHub says how much is left when it is asked the next time.",
            "GitHub asked for a pause: nothing goes there in your name before 1970-01-01 00:01:01 \
             UTC.",
        );
        let saved =
            "Your requests here since 1970-01-01 00:00 UTC: 1,200, of which 1,100 cost nothing.";
        let tallied = Tallied { since: Time::from_unix(0), requests: 1_200, free: 1_100 };
        let until = Some(Time::from_unix(61));
        assert_eq!(note(true, None, None), unknown);
        assert_eq!(note(false, None, Some(tallied)), saved);
        assert_eq!(note(true, until, Some(tallied)), [paused, unknown, saved].join(" "));
    }
}
