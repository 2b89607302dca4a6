//! Webhooks of the app that nobody took: GitHub sends none again by itself, and does when it is asked.
//! <https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook>

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::installations::failed;
use super::jwt::Question;
use super::{AppError, Installations, moment};
use crate::clock::Time;
use crate::github::Client;
use crate::github::client::{Answer, json, next_page};

/// A webhook that nobody took, by the last attempt at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The number of the attempt.
    pub attempt: u64,
    /// The number of the webhook, the same at each attempt.
    pub guid: String,
}

/// One attempt, as GitHub lists it.
/// <https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook>
#[derive(Deserialize)]
struct Attempt {
    id: u64,
    guid: String,
    delivered_at: String,
    status_code: u16,
}

const LIST: &str = "/app/hook/deliveries";
const AGAIN: &str = "/app/hook/deliveries/{delivery_id}/attempts";

/// GitHub keeps what it sent for so long.
const KEPT: Duration = Duration::from_secs(3 * 86_400);

/// A webhook that was tried so often is given up.
const MOST_ATTEMPTS: usize = 12;

/// Pages of a hundred that are looked at.
const MOST_PAGES: usize = 10;

// === impl Installations ===

impl Installations {
    /// Webhooks of the last three days that nobody took so far, the oldest first.
    pub async fn missed(&self, github: &Client) -> Result<Vec<Missed>, AppError> {
        let mut attempts = Vec::new();
        let mut path = Some(format!("{LIST}?per_page=100&status=failure"));
        for _ in 0..MOST_PAGES {
            let Some(page) = path else { break };
            let answer = self.ask_of_the_hook(github, LIST, Method::GET, page).await?;
            if answer.status != StatusCode::OK {
                return Err(failed(LIST, &answer).into());
            }
            let listed: Vec<Attempt> = json(LIST, &answer)?;
            let count = listed.len();
            attempts.extend(listed.into_iter().filter(|attempt| self.is_kept(attempt)));
            let is_over = attempts.len() < count || count == 0;
            let next = next_page(&answer.headers).filter(|_| !is_over);
            path = next.and_then(|next| Some(next.strip_prefix(&github.settings.api)?.to_owned()));
        }
        Ok(missed(attempts))
    }

    /// Has GitHub send a webhook again. It does so a moment later. `false` where it cannot.
    pub async fn send_again(&self, github: &Client, missed: &Missed) -> Result<bool, AppError> {
        let path = format!("{LIST}/{}/attempts", missed.attempt);
        let answer = self.ask_of_the_hook(github, AGAIN, Method::POST, path).await?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Ok(false),
            _ => Err(failed(AGAIN, &answer).into()),
        }
    }

    async fn ask_of_the_hook(
        &self,
        github: &Client,
        what: &'static str,
        method: Method,
        path: String,
    ) -> Result<Answer, AppError> {
        self.jwt.ask(github, &Question { what, method, path, body: None }).await
    }

    /// A time that cannot be read is no reason to give a webhook up.
    fn is_kept(&self, attempt: &Attempt) -> bool {
        let now = self.clock.now().unix() + self.jwt.ahead();
        let at = moment::of_json(&attempt.delivered_at);
        at.is_none_or(|at| Time::from_unix(now).since(at) < KEPT)
    }
}

/// What nobody took, by its last attempt: the newest are listed first, and numbers grow.
fn missed(attempts: Vec<Attempt>) -> Vec<Missed> {
    // An older GitHub Enterprise lists those that were taken, too.
    let is_fine = |attempt: &&Attempt| (200..400).contains(&attempt.status_code);
    let taken: HashSet<_> =
        attempts.iter().filter(is_fine).map(|attempt| attempt.guid.clone()).collect();
    let mut failures: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for attempt in attempts.into_iter().filter(|attempt| !taken.contains(&attempt.guid)) {
        let (last, count) = failures.entry(attempt.guid).or_default();
        *last = (*last).max(attempt.id);
        *count += 1;
    }
    let hopeful = failures.into_iter().filter(|(_, (_, count))| *count < MOST_ATTEMPTS);
    let mut missed: Vec<_> = hopeful.map(|(guid, (attempt, _))| Missed { attempt, guid }).collect();
    missed.sort_unstable_by_key(|missed| missed.attempt);
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(list: &[(u64, &str, u16)]) -> Vec<Attempt> {
        let delivered_at = || "2026-11-21T04:37:00Z".to_owned();
        let one = |&(id, guid, status_code): &(u64, &str, u16)| Attempt {
            id,
            guid: guid.to_owned(),
            delivered_at: delivered_at(),
            status_code,
        };
        list.iter().map(one).collect()
    }

    fn found(list: &[(u64, &str, u16)]) -> Vec<(u64, String)> {
        missed(attempts(list)).into_iter().map(|it| (it.attempt, it.guid)).collect()
    }

    #[test]
    fn what_nobody_took_is_sent_again_by_its_last_attempt_the_oldest_first() {
        let listed = [(9, "a", 0), (8, "b", 500), (7, "c", 404), (6, "a", 503), (5, "d", 0)];
        let expected = [(5, "d"), (7, "c"), (8, "b"), (9, "a")];
        assert_eq!(found(&listed), expected.map(|(id, guid)| (id, guid.to_owned())));
    }

    #[test]
    fn what_was_taken_at_last_is_not_sent_again() {
        let listed = [(9, "a", 200), (8, "b", 500), (7, "a", 500), (6, "b", 202), (5, "c", 0)];
        assert_eq!(found(&listed), [(5, "c".to_owned())]);
    }

    #[test]
    fn what_was_tried_often_enough_is_given_up() {
        let tried = |times: usize| -> Vec<_> {
            (0..times).map(|n| (100 - u64::try_from(n).unwrap(), "a", 500)).collect()
        };
        assert_eq!(found(&tried(MOST_ATTEMPTS - 1)), [(100, "a".to_owned())]);
        assert_eq!(found(&tried(MOST_ATTEMPTS)), []);
    }
}
