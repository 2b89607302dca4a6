//! What is read from GitHub: answered at once from what is fresh, else asked for while the client waits.

use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};
use tokio::time::Instant;

use super::asker::is_forbidden;
use super::{Asker, Dress, MOST_REFUSALS, Token, is_found, is_refused, patience};
use crate::budget::Resource;
use crate::defence::{Defence, stands};
use crate::freshness::{ApiPath, Asked, Directives, Key, handling, tags};
use crate::gateway::action::{Action, Answer};
use crate::gateway::{Gateway, Request, Snapshot, Visitor, error};
use crate::github::WebhookMode;
use crate::github::api::{Arrival, Moment, Question};
use crate::passage::request as outgoing;
use crate::reason::Reason;
use crate::route::{Api, Route};

/// A question that GitHub has to be asked.
pub struct Reading {
    /// The route that it came by.
    pub route: Arc<Route>,
    /// For whom.
    pub visitor: Visitor,
    question: Arc<Question>,
    fields: HeaderMap,
    /// `None` where the asker is known to be of no use, and another asks instead.
    token: Option<Token>,
    dress: Dress,
    asker: Asker,
}

/// A question, the fields that go with it, who asks, and the request's name in the log.
type Parts<'r> = (&'r Arc<Question>, &'r HeaderMap, &'r Asker, &'r str);

const TIME_ZONE: HeaderName = HeaderName::from_static("time-zone");

// === impl Gateway ===

impl Gateway {
    /// Answers from what is held, or prepares to ask.
    pub(super) async fn prepare_to_read(
        &self,
        request: &Request<'_>,
        (route, api): (&Arc<Route>, &Api),
        (dress, asker, visitor): (Dress, Asker, &Visitor),
        mut path: ApiPath,
    ) -> Result<Action, Reason> {
        let mut fields =
            outgoing::fields(request.headers, outgoing::Kind::Read, &request.snapshot.agent);
        if path.is_of_limits() {
            // Otherwise each spelling, each query and each time zone would ask GitHub anew.
            path = ApiPath::of_limits();
            fields.insert(ACCEPT, outgoing::GITHUB_JSON);
            fields.remove(TIME_ZONE);
        }
        let wishes = Directives::read(request.headers);
        let by = (wishes, api.share, patience(request));
        let question = Arc::new(question(request.snapshot, &asker, path, &fields, by));
        let has_another = asker.instead.is_some();
        let token = if has_another && self.github_api.is_beyond(&question) {
            None
        } else {
            match self.github_api.held(&question).await {
                Some(reply) if has_another && is_forbidden(&reply) => None,
                Some(reply) => {
                    let (arrival, visitor) = (Arrival::Whole(reply), visitor.clone());
                    return Ok(dress.action(self, route, arrival, &asker, visitor));
                }
                None => match self.token(request.snapshot, request.id, &asker).await {
                    Err(Reason::InstallationUnusable) if has_another => None,
                    token => Some(token?),
                },
            }
        };
        let (route, visitor) = (route.clone(), visitor.clone());
        let reading = Reading { route, visitor, question, fields, token, dress, asker };
        Ok(Action::Read(Box::new(reading)))
    }

    /// Asks GitHub. Whoever stops waiting has left the queue.
    pub async fn read_from_github(&self, snapshot: &Snapshot, mut reading: Reading) -> Action {
        let mut read = self.try_to_read(snapshot, &mut reading).await;
        let Reading { route, visitor, dress, asker, .. } = reading;
        if let Ok(arrival) = &read
            && !self.may_go_on(snapshot, &visitor)
            && stands(Defence::FlowEnds)
        {
            // It waited longer than its session lasted.
            self.count(&asker, arrival);
            read = Err(Reason::SessionEnded);
        }
        let action = match read {
            Ok(arrival) => dress.action(self, &route, arrival, &asker, visitor),
            Err(reason) => {
                let (request_id, branding) = (dress.request_id(), &snapshot.config.branding);
                let wishes = dress.wishes();
                let response = error::api_fault_page(reason, request_id, &wishes, branding);
                let answer = Answer { response, reason };
                Action::respond(answer).for_route(&route).for_visitor(visitor)
            }
        };
        action.shared(dress.sharing())
    }

    async fn try_to_read(
        &self,
        snapshot: &Snapshot,
        reading: &mut Reading,
    ) -> Result<Arrival, Reason> {
        let Some(token) = reading.token.take() else {
            return Box::pin(self.read_instead(snapshot, reading, None)).await;
        };
        let tried = reading.asker.instead.is_some();
        let tried = tried.then(|| (self.github_api.moment(), Instant::now()));
        let came = self.read_with(snapshot, reading.parts(), token).await;
        match tried {
            None => came,
            Some((asked, began)) => {
                let first = Some((came, asked, began));
                Box::pin(self.read_instead(snapshot, reading, first)).await
            }
        }
    }

    /// Asks with a token, or with the one that takes its place.
    pub(super) async fn read_with(
        &self,
        snapshot: &Snapshot,
        (question, fields, asker, id): Parts<'_>,
        mut token: Token,
    ) -> Result<Arrival, Reason> {
        for _ in 0..MOST_REFUSALS {
            let means = token.means(snapshot, fields)?;
            let arrival = self.github_api.read(question, &means).await;
            if !is_refused(&arrival) {
                let is_refreshed = snapshot.config.github.webhook_mode == WebhookMode::Refresh;
                if is_refreshed && is_found(&arrival) {
                    self.github_api.watch(question, fields);
                }
                return Ok(arrival);
            }
            // It may be the token's fault and not the question's.
            token = self.after_refusal(snapshot, id, asker, token).await?;
        }
        Err(Reason::GitHubInconsistent)
    }

    /// Asks in another name where an installation may not read: with the other's rights, within the
    /// other's budget, and as the other was answered before. `first` is what came of asking for the
    /// installation, if that was tried.
    async fn read_instead(
        &self,
        snapshot: &Snapshot,
        reading: &mut Reading,
        first: Option<(Result<Arrival, Reason>, Moment, Instant)>,
    ) -> Result<Arrival, Reason> {
        let mut left = reading.question.max_wait;
        let other = match first {
            Some((came, asked, began)) => {
                let Some(other) = reading.asker.gives_way(&came) else { return came };
                if let Ok(arrival) = &came {
                    self.github_api.note_beyond(&reading.question, asked);
                    self.count(&reading.asker, arrival);
                }
                left = left.saturating_sub(began.elapsed());
                other
            }
            None => *reading.asker.instead.take().ok_or(Reason::InstallationUnusable)?,
        };
        let question = reading.question.asked_as(other.who, other.budget.clone());
        reading.question = Arc::new(question.with_patience(left));
        reading.asker = other;
        if let Some(reply) = self.github_api.held(&reading.question).await {
            return Ok(Arrival::Whole(reply));
        }
        let token = self.token(snapshot, reading.dress.request_id(), &reading.asker).await?;
        self.read_with(snapshot, reading.parts(), token).await
    }
}

// === impl Reading ===

impl Reading {
    fn parts(&self) -> Parts<'_> {
        (&self.question, &self.fields, &self.asker, self.dress.request_id())
    }
}

/// What is asked, in whose name; with what the client says about caches, whether bodies may be shared,
/// and how long it may wait.
pub(super) fn question(
    snapshot: &Snapshot,
    asker: &Asker,
    path: ApiPath,
    fields: &HeaderMap,
    (wishes, share, max_wait): (Directives, bool, Duration),
) -> Question {
    let text = |name: &HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
    let accept = text(&ACCEPT).unwrap_or_default();
    let wanted = Asked {
        upstream: &snapshot.addresses.api,
        path: &path,
        accept,
        version: text(&outgoing::API_VERSION).unwrap_or_default(),
        time_zone: text(&TIME_ZONE),
    };
    Question {
        who: asker.who,
        account: asker.account,
        budget: asker.budget.clone(),

        key: *Key::of(&wanted).as_bytes(),
        handling: handling(&path, accept),
        tags: tags::tags_of(&path, asker.who.user()),
        wishes,
        share,
        by_webhooks: asker.who.user().is_none()
            && snapshot.config.github.webhook_mode == WebhookMode::Store,
        resource: Resource::predicted(&Method::GET, path.path()),
        max_wait,
        path,
    }
}
