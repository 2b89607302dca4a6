//! Signing out: asked first, done by POST alone, final on every host.

use http::StatusCode;
use http::header::SET_COOKIE;

use super::action::Answer;
use super::authenticate::Authenticated;
use super::ending::Cause;
use super::pages::{Page, Way};
use super::{Gateway, LiveSession, Request, csrf, error, sign_in};
use crate::reason::Reason;

/// What the form's token is good for.
const PURPOSE: &str = "sign-out";

/// What is so once a session has ended.
pub(super) const OVER: &str = "Your session is over, here and in every app behind this gateway.";

// === impl Gateway ===

impl Gateway {
    /// `GET PREFIX/sign_out`: asks, for a link alone must not sign anybody out.
    pub(super) async fn sign_out_page(&self, request: &Request<'_>) -> Answer {
        match self.authenticate(request).await {
            Authenticated::Unknown(_) => error::fault(request, Reason::StoreUnavailable),
            Authenticated::Nobody(Reason::NoSession | Reason::SessionEnded) => {
                signed_out(request, OVER)
            }
            Authenticated::Nobody(reason) => error::fault(request, reason),
            Authenticated::Session(live) => {
                let page = Page {
                    status: StatusCode::OK,
                    title: "Sign out?".into(),
                    lead: format!("You are signed in as {}.", live.account.identity().login),
                    help: vec![
                        "This ends your session here and in every app behind this gateway.".into(),
                    ],
                    actions: vec![form(request, &live, true)],
                    ..Page::default()
                };
                error::answer(request, &page, Reason::Endpoint)
            }
        }
    }

    /// `POST PREFIX/sign_out`: ends the session. It says so only when it is so.
    pub(super) async fn sign_out(&self, request: &Request<'_>) -> Answer {
        let live = match self.authenticate(request).await {
            Authenticated::Unknown(_) => return error::fault(request, Reason::StoreUnavailable),
            Authenticated::Nobody(Reason::NoSession | Reason::SessionEnded) => {
                return signed_out(request, OVER);
            }
            // There may be a session, so it would not be true that there is none.
            Authenticated::Nobody(reason) => return error::fault(request, reason),
            Authenticated::Session(live) => live,
        };
        if !csrf::is_ours(request, &live, PURPOSE) {
            return error::fault(request, Reason::CrossSiteForm);
        }
        let (key, account) = (live.key, live.account.id);
        match self.end_session(request.snapshot, key, account, Cause::SignOut).await {
            Ok(()) => signed_out(request, OVER),
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                error::fault(request, Reason::StoreUnavailable)
            }
        }
    }
}

/// The form that signs out.
pub(super) fn form(request: &Request<'_>, live: &LiveSession, primary: bool) -> Way {
    Way::Post {
        label: "Sign out".into(),
        action: request.own_path("sign_out"),
        fields: vec![(csrf::FIELD.into(), csrf::token(request, live, PURPOSE))],
        primary,
    }
}

/// Says that it is done, and takes the cookies away.
pub(super) fn signed_out(request: &Request<'_>, lead: &str) -> Answer {
    let page = Page {
        status: StatusCode::OK,
        title: "You are signed out".into(),
        lead: lead.into(),
        help: vec![
            "GitHub itself still knows you in this browser: whoever opens an app here next may be \
             signed in as you without a question. On a shared computer, sign out at GitHub, too."
                .into(),
        ],
        actions: vec![
            Way::Link {
                label: "Sign in again".into(),
                href: sign_in::start_path(request, "/", false),
                primary: false,
            },
            Way::Link {
                label: "Sign out at GitHub".into(),
                href: format!("{}/logout", request.config().github.web),
                primary: false,
            },
        ],
        ..Page::default()
    };
    without_cookies(request, error::answer(request, &page, Reason::Endpoint))
}

/// Takes the cookies of a session away.
pub(super) fn without_cookies(request: &Request<'_>, mut answer: Answer) -> Answer {
    let jar = request.jar();
    for name in [jar.session(), jar.trail()] {
        answer.response.headers_mut().append(SET_COOKIE, jar.clear(name));
    }
    answer
}
