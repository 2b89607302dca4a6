//! What is read from GitHub: answered at once from what is fresh, else asked for while the client waits.

use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};

use super::{Asker, Dress, MOST_REFUSALS, Token, is_refused, patience};
use crate::budget::Resource;
use crate::freshness::{ApiPath, Asked, Directives, Key, handling, tags};
use crate::gateway::action::{Action, Answer};
use crate::gateway::{Gateway, Request, Snapshot, Visitor, error};
use crate::github::api::{Arrival, Question};
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
    token: Token,
    dress: Dress,
    asker: Asker,
}

const TIME_ZONE: HeaderName = HeaderName::from_static("time-zone");

// === impl Gateway ===

impl Gateway {
    /// Answers from what is held, or prepares to ask.
    pub(super) async fn prepare_to_read(
        &self,
        request: &Request<'_>,
        (route, api): (&Arc<Route>, &Api),
        (dress, asker, visitor): (Dress, Asker, Visitor),
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
        let question = Arc::new(question(request, api, &asker, path, &fields));
        if let Some(reply) = self.github_api.held(&question).await {
            return Ok(dress.action(self, route, Arrival::Whole(reply), &asker, visitor));
        }
        let token = self.token(request.snapshot, request.id, &asker).await?;
        let route = route.clone();
        let reading = Reading { route, visitor, question, fields, token, dress, asker };
        Ok(Action::Read(Box::new(reading)))
    }

    /// Asks GitHub. Whoever stops waiting has left the queue.
    pub async fn read_from_github(&self, snapshot: &Snapshot, mut reading: Reading) -> Action {
        let read = self.try_to_read(snapshot, &mut reading).await;
        let Reading { route, visitor, dress, asker, .. } = reading;
        let action = match read {
            Ok(arrival) => dress.action(self, &route, arrival, &asker, visitor),
            Err(reason) => {
                let (request_id, branding) = (dress.request_id(), &snapshot.config.branding);
                let response = error::fault_page(reason, request_id, &dress.wishes(), branding);
                Action::respond(Answer { response, reason }).for_route(&route)
            }
        };
        action.shared(dress.sharing())
    }

    async fn try_to_read(
        &self,
        snapshot: &Snapshot,
        reading: &mut Reading,
    ) -> Result<Arrival, Reason> {
        let base = &snapshot.addresses.api;
        for _ in 0..MOST_REFUSALS {
            let means = reading.token.means(base, &reading.fields)?;
            let arrival = self.github_api.read(&reading.question, &means).await;
            if !is_refused(&arrival) {
                return Ok(arrival);
            }
            // It may be the token's fault and not the question's.
            let (id, asker) = (reading.dress.request_id(), &reading.asker);
            reading.token = self.after_refusal(snapshot, id, asker, reading.token.clone()).await?;
        }
        Err(Reason::GitHubInconsistent)
    }
}

fn question(
    request: &Request<'_>,
    api: &Api,
    asker: &Asker,
    path: ApiPath,
    fields: &HeaderMap,
) -> Question {
    let text = |name: &HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
    let accept = text(&ACCEPT).unwrap_or_default();
    let wanted = Asked {
        upstream: &request.snapshot.addresses.api,
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
        wishes: Directives::read(request.headers),
        share: api.share,
        resource: Resource::predicted(&Method::GET, path.path()),
        max_wait: patience(request),
        path,
    }
}
