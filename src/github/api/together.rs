//! Asking together: of those who ask the same at once in one name one asks GitHub, and each makes of
//! what comes of it what its own conditions allow.

use std::sync::Arc;

use tokio::time::Instant;

use super::exchange::Broken;
use super::flights::{Landing, Lead, Place, Waited};
use super::inquiry::Inquiry;
use super::reply::{Arrival, Finding, Landed, Outcome};
use super::{Api, Means, Question};
use crate::budget::Kind;
use crate::freshness::Cause;
use crate::github::budgets::RefusedKind;

// === impl Api ===

impl Api {
    /// The answer, asked of GitHub where it must be. Whoever asks the same meanwhile gets the same.
    pub async fn read(self: &Arc<Self>, question: &Arc<Question>, means: &Arc<Means>) -> Arrival {
        let may_be_held = question.handling.store && !question.wishes.no_store;
        if !may_be_held && !question.is_about_limits() {
            return self.ask_alone(question, means).await;
        }
        let turn_by = Instant::now() + question.max_wait;
        let mut question = question.clone();
        loop {
            let outdated = |number| self.changes.is_outdated(question.who, &question.tags, number);
            let (key, latest) = ((question.who, question.key), self.changes.latest());
            match self.flights.enter(key, latest, outdated) {
                Place::Lead(lead, landing) => {
                    return self.lead(&question, means, lead, landing).await;
                }
                Place::Join(landing) => {
                    let waited = landing.wait(turn_by).await;
                    drop(landing);
                    if let Some(arrival) = self.follow(&question, means, waited).await {
                        return arrival;
                    }
                    let left = turn_by.saturating_duration_since(Instant::now());
                    question = Arc::new(question.with_patience(left));
                }
            }
        }
    }

    /// What those get whose question is nobody else's.
    async fn ask_alone(&self, question: &Question, means: &Means) -> Arrival {
        let asked = Inquiry::new(self, question, means, None, &None).make().await;
        asked.arrival(|found| self.counted(self.made_of(found, question, &None)))
    }

    /// Asks in a task of its own: others may wait when the client that came first has left. It holds
    /// the landing for as long as it waits, as the others do.
    async fn lead(
        self: &Arc<Self>,
        question: &Arc<Question>,
        means: &Arc<Means>,
        lead: Lead,
        _landing: Arc<Landing>,
    ) -> Arrival {
        let (api, question, means) = (self.clone(), question.clone(), means.clone());
        let asked = question.clone();
        let flight = tokio::spawn(async move {
            let known = api.known(&asked).await;
            let outcome = Inquiry::new(&api, &asked, &means, Some(&lead), &known).make().await;
            lead.land(outcome.landed());
            (outcome, known)
        });
        let (outcome, known) = flight.await.unwrap_or_else(|_| {
            let broken = Finding::Broken(Broken::Cut);
            (Outcome::Found(broken), None)
        });
        let known = self.known_or_told_after(&question, known, &outcome).await;
        outcome.arrival(|found| self.counted(self.made_of(found, &question, &known)))
    }

    /// What one gets who waited for another's answer; `None` where it has to ask for itself.
    async fn follow(&self, question: &Question, means: &Means, waited: Waited) -> Option<Arrival> {
        let found = match waited {
            Waited::ForNobody => return None,
            Waited::For(Landed::TooLarge) => return Some(self.ask_alone(question, means).await),
            // Another had less patience.
            Waited::For(Landed::Found(Finding::Refused(refused)))
                if refused.kind == RefusedKind::Queue =>
            {
                return None;
            }
            Waited::For(Landed::Found(found)) => found,
            Waited::TooLong => {
                Finding::Refused(self.budgets.too_late(&question.call(Kind::Revalidation)))
            }
            Waited::InVain => Finding::Broken(Broken::TimedOut),
        };
        let is_answer = matches!(found, Finding::Answer(_));
        let known = if is_answer {
            None
        } else {
            let known = self.known(question).await;
            self.known_or_told(question, known, &found).await
        };
        let stale = || self.stale(question, &known, Cause::Outage, None);
        if matches!(found, Finding::LeftAlone) && stale().is_none() {
            // Another was content with something old.
            return None;
        }
        let reply = self.made_of(found, question, &known).collapsed();
        Some(Arrival::Whole(self.counted(reply)))
    }
}
