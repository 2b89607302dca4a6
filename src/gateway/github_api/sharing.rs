//! Pages of other origins: told whether they may ask, before anybody is asked to sign in.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};

use crate::gateway::action::{Action, Answer};
use crate::gateway::{Gateway, Request};
use crate::passage::cors::{Sharing, is_preflight};
use crate::reason::Reason;
use crate::route::{Api, Route};

// === impl Gateway ===

impl Gateway {
    /// Passes to a route of GitHub's API. Whatever is answered, the page of an origin that may ask can
    /// read it; a browser that asks beforehand shows no key yet.
    pub(in crate::gateway) async fn pass_to_github(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        api: &Api,
    ) -> Action {
        let sharing = api.origins.sharing(request.headers);
        let action = if sharing.is_open() && is_preflight(request.method, request.headers) {
            Action::respond(preflight()).for_route(route)
        } else {
            self.pass_to(request, route).await
        };
        action.shared(&sharing)
    }
}

fn preflight() -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = Sharing::preflight();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Answer { response, reason: Reason::Preflight }
}
