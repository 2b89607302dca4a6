//! The visitor's page, and the published keys.

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::action::Answer;
use super::authenticate::Authenticated;
use super::pages::{Page, Table, Way};
use super::{Gateway, LiveSession, Request, error, sign_in};
use crate::keys::KEYS_MAX_AGE;
use crate::reason::Reason;

// === impl Gateway ===

impl Gateway {
    /// `GET PREFIX/account`: who am I here, until when, and where else.
    pub(super) async fn account(&self, request: &Request<'_>) -> Answer {
        match self.authenticate(request).await {
            Authenticated::Unknown(_) => error::fault(request, Reason::StoreUnavailable),
            Authenticated::Session(live) => match self.my_sessions(request, &live).await {
                Ok(mut tables) => {
                    tables.extend(self.my_installations(request, &live).await);
                    tables.extend(self.my_budget(request, &live));
                    let page = account_page(request, &live, tables);
                    error::answer(request, &page, Reason::Endpoint)
                }
                Err(unavailable) => {
                    self.store_failed(request, &unavailable);
                    error::fault(request, Reason::StoreUnavailable)
                }
            },
            Authenticated::Nobody(reason) => self.ask_to_sign_in(request, reason),
        }
    }

    /// `GET PREFIX/jwks.json`: the public keys (RFC 7517). Before there is one no empty list, which
    /// verifiers would keep.
    pub(super) fn jwks(&self, request: &Request<'_>) -> Answer {
        let keys = self.signing_keys.published(self.clock.now());
        if keys.is_empty() {
            return error::fault(request, Reason::StoreUnavailable);
        }
        let body = json!({ "keys": keys }).to_string();
        let mut response = Response::new(Bytes::from(body));
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
        headers.insert(CONTENT_LENGTH, length);
        let max_age = format!("public, max-age={}", KEYS_MAX_AGE.as_secs());
        headers.insert(CACHE_CONTROL, HeaderValue::from_str(&max_age).expect("plain ASCII"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        Answer { response, reason: Reason::Endpoint }
    }
}

fn account_page(request: &Request<'_>, live: &LiveSession, tables: Vec<Table>) -> Page {
    let idle = request.config().session.idle;
    let profile = live.account.profile();
    let who = &profile.identity;
    let mut facts = vec![("Signed in as".to_owned(), who.login.to_string())];
    let mut fact = |label: &str, value: Option<String>| {
        facts.extend(value.map(|value| (label.to_owned(), value)));
    };
    fact("Name", who.name.as_ref().map(ToString::to_string));
    fact("E-mail", who.email.as_ref().map(ToString::to_string));
    fact("Organisations", who.orgs.as_ref().map(|orgs| list(orgs)));
    fact("Teams", who.teams.as_ref().map(|teams| list(teams)));
    fact(
        "GitHub account",
        Some(format!("number {} at {}", who.id, request.config().github.host())),
    );
    fact("Checked at GitHub", Some(profile.checked.to_string()));
    fact("Signed in at", Some(live.created.to_string()));
    fact("Session ends", Some(live.expires().to_string()));
    fact("Ends when unused at", Some((live.seen() + idle).min(live.expires()).to_string()));
    Page {
        status: StatusCode::OK,
        title: "Your account".into(),
        lead: "This is what the apps behind this gateway learn about you.".into(),
        facts,
        tables,
        actions: vec![
            Way::Link { label: "Back to the app".into(), href: "/".into(), primary: true },
            Way::Link {
                label: "Use another account".into(),
                href: sign_in::start_path(request, "/", true),
                primary: false,
            },
        ],
        ..Page::default()
    }
}

fn list<T: ToString>(names: &[T]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
