//! A reason as a page: what the notice says, with the ways out of it.

use std::sync::Arc;

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use bytes::Bytes;

use super::action::Answer;
use super::notice::{Notice, notice};
use super::pages::{Format, Page, Way};
use super::{LiveSession, Request, allowed, sign_in};
use crate::config::{Branding, Config};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::route::{Access, Answers, Route};

/// The page for a reason that needs no more than its words.
pub(super) fn fault(request: &Request<'_>, reason: Reason) -> Answer {
    let mut page = page_of(reason, request.id);
    page.actions.extend(way_out(request, reason));
    answer(request, &page, reason)
}

/// The page for a form of ours that cannot be done, and why.
pub(super) fn bad_form(request: &Request<'_>, why: &str) -> Answer {
    let mut page = page_of(Reason::BadForm, request.id);
    why.clone_into(&mut page.lead);
    page.actions.extend(way_out(request, Reason::BadForm));
    answer(request, &page, Reason::BadForm)
}

/// The same for the server, which has no `Request` when the header itself was bad.
pub fn fault_page(
    reason: Reason,
    request_id: &str,
    headers: &http::HeaderMap,
    branding: &Branding,
) -> Response<Bytes> {
    dress(page_of(reason, request_id).render(Format::of(headers), branding), reason)
}

/// The same for clients of GitHub's API, which read JSON and need not say so.
pub(super) fn api_fault_page(
    reason: Reason,
    request_id: &str,
    headers: &http::HeaderMap,
    branding: &Branding,
) -> Response<Bytes> {
    let format = Format::or(Format::Json, headers);
    dress(page_of(reason, request_id).render(format, branding), reason)
}

/// The page for a signed-in visitor whom the policy refuses: who would be let in, and the way out.
pub(super) fn denied(
    request: &Request<'_>,
    route: &Route,
    reason: Reason,
    live: Option<&Arc<LiveSession>>,
) -> Answer {
    let is_told_more = matches!(reason, Reason::NotAdmitted | Reason::UserDenied);
    let Some(live) = live.filter(|_| is_told_more) else { return fault(request, reason) };
    let mut page = page_of(reason, request.id);
    page.facts.push(("Signed in as".into(), live.account.identity().login.to_string()));
    let terms = route.terms(request.target.path(), request.method);
    let policy = match terms.map(|terms| terms.access) {
        Ok(Access::Guarded(policy, _)) => policy,
        _ => &route.policy,
    };
    if reason == Reason::NotAdmitted {
        page.facts.extend(requirements(policy));
        page.help.extend(approval_help(policy, request.config()));
    }
    if live.is_api_key() {
        return answer(request, &page, reason);
    }
    let back = request.target.path_and_query();
    page.actions = vec![
        Way::Link {
            label: "Use another account".into(),
            href: sign_in::start_path(request, &back, true),
            primary: true,
        },
        Way::Link { label: "Sign out".into(), href: request.own_path("sign_out"), primary: false },
    ];
    answer(request, &page, reason)
}

/// A reason for a program: the status and a sentence.
pub(super) fn told(reason: Reason) -> (StatusCode, &'static str) {
    let Notice(status, _, sentence, _) = notice(reason);
    (status, sentence)
}

/// Renders a page for a request.
pub(super) fn answer(request: &Request<'_>, page: &Page, reason: Reason) -> Answer {
    let format = if request.answers() == Answers::Json {
        Format::Json
    } else if request.is_for_api() {
        Format::or(Format::Json, request.headers)
    } else {
        Format::of(request.headers)
    };
    let rendered = page.render(format, &request.config().branding);
    Answer { response: dress(rendered, reason), reason }
}

fn dress(mut response: Response<Bytes>, reason: Reason) -> Response<Bytes> {
    let retry_after = match reason {
        Reason::StoreUnavailable => "2",
        Reason::GitHubUnavailable => "30",
        Reason::TooManyRequests => allowed::RETRY_AFTER,
        _ => return response,
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
    response
}

fn page_of(reason: Reason, request_id: &str) -> Page {
    let Notice(status, title, lead, help) = notice(reason);
    Page {
        status,
        title: title.into(),
        lead: lead.into(),
        help: vec![help.into()],
        reason: Some(reason.word()),
        request_id: Some(request_id.to_owned()),
        ..Page::default()
    }
}

fn way_out(request: &Request<'_>, reason: Reason) -> Option<Way> {
    use Reason as R;
    let (label, href) = match reason {
        R::NoSession | R::SessionEnded | R::AmbiguousCookie | R::FactsMissing => {
            ("Sign in with GitHub", sign_in::start_path(request, "/", false))
        }
        R::UnknownAttempt
        | R::AttemptSpent
        | R::AccessDenied
        | R::BadAnswer
        | R::GitHubUnavailable
        | R::GitHubRefused => ("Sign in again", sign_in::start_path(request, "/", false)),
        R::SignInLoop => ("Try once more", request.own_path("sign_in")),
        R::BadApiKey | R::ApiKeyScope | R::NoSuchPage | R::CrossSiteForm | R::BadForm => {
            ("Your account", request.own_path("account"))
        }
        _ => return None,
    };
    Some(Way::Link { label: label.into(), href, primary: true })
}

fn requirements(policy: &Policy) -> Vec<(String, String)> {
    fn list<T: ToString>(label: &str, names: &[T]) -> Option<(String, String)> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| (label.to_owned(), names.join(", ")))
    }
    [
        list("Open to members of", &policy.orgs),
        list("Open to teams", &policy.teams),
        list("Open to e-mail", &policy.emails),
        list("Open to accounts", &policy.users),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An organisation that has not approved the app hides its members from it
/// (<https://docs.github.com/en/organizations/managing-oauth-access-to-your-organizations-data>).
fn approval_help(policy: &Policy, config: &Config) -> Option<String> {
    if policy.orgs.is_empty() && policy.teams.is_empty() {
        return None;
    }
    Some(format!(
        "You are a member already? Then the organisation may not have approved this app yet, or asks \
         for single sign-on first: open {}/settings/connections/applications/{}, press “Grant” or \
         “Request” beside the organisation, and sign in here again.",
        config.github.web, config.github.client_id
    ))
}
