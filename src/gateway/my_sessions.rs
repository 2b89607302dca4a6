//! The visitor's own sessions, wherever they are: shown on the account page, and ended from there.

use std::sync::Arc;
use std::time::Duration;

use super::action::Answer;
use super::authenticate::Authenticated;
use super::ending::Cause;
use super::pages::{Row, Table, Way};
use super::sign_in::redirect;
use super::sign_out::{self, signed_out};
use super::{Gateway, LiveSession, Request, csrf, device, error, forms, my_api_keys, my_instances};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::session::{Lifetimes, SessionKey, Standing};
use crate::store::{Listed, Unavailable};

/// The field that names the session to end.
const SESSION: &str = "session";

/// What the other forms' tokens are good for.
const END_OTHERS: &str = "end-other-sessions";
const EVERYWHERE: &str = "sign-out-everywhere";

/// What is so once all sessions have ended.
const ALL_OVER: &str = "All your sessions are over, in every browser and in every app behind this gateway. Your API \
     keys have ended, too.";

/// What is said of a session.
const COLUMNS: &[&str] = &["Device", "Signed in", "Last used", "From"];

/// Sessions that are shown: the ones used last.
const SHOWN: usize = 50;

/// How much later than the store knows another node may have seen a session.
const SEEN_LATER: Duration = Duration::from_secs(300);

// === impl Gateway ===

impl Gateway {
    /// The visitor's sessions, the one used last first, and the API keys.
    pub(super) async fn my_sessions(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
    ) -> Result<Vec<Table>, Unavailable> {
        let (config, now) = (request.config(), self.clock.now());
        let mut listed = self.sessions.list(&config.keys, live.account.id, now).await?;
        listed.retain(|listed| may_open(listed, config.session, now));
        let (keys, sessions): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|listed| listed.session.api_key.is_some());
        let has_instance = |listed: &Listed| {
            listed.session.api_key.as_ref().is_some_and(|terms| terms.instance.is_some())
        };
        let (instances, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(has_instance);
        let tables = [
            Some(table(request, live, &sessions)),
            my_api_keys::table(request, live, &keys),
            my_instances::table(request, live, &instances),
        ];
        Ok(tables.into_iter().flatten().collect())
    }

    /// `POST PREFIX/end_session`: ends another session of the visitor's.
    pub(super) async fn end_one(&self, request: &Request<'_>) -> Answer {
        let key = forms::field(&request.body, SESSION).and_then(|text| text.parse().ok());
        let Some(key) = key else { return error::fault(request, Reason::CrossSiteForm) };
        match self.owner(request, &end_purpose(key)).await {
            Ok(live) => self.show_again(request, self.end_own(request, &live, key).await),
            Err(reason) => self.not_done(request, reason),
        }
    }

    /// `POST PREFIX/end_other_sessions`: ends all but this one.
    pub(super) async fn end_all_others(&self, request: &Request<'_>) -> Answer {
        match self.owner(request, END_OTHERS).await {
            Ok(live) => {
                let ended = self.end_others(request, &live, Cause::EndedByOwner).await;
                self.show_again(request, ended)
            }
            Err(reason) => self.not_done(request, reason),
        }
    }

    /// `POST PREFIX/sign_out_everywhere`: ends all, this one included.
    pub(super) async fn sign_out_everywhere(&self, request: &Request<'_>) -> Answer {
        let live = match self.owner(request, EVERYWHERE).await {
            Ok(live) => live,
            Err(reason) => return self.not_done(request, reason),
        };
        match self.end_everywhere(request, &live, Cause::SignOut).await {
            Ok(()) => signed_out(request, ALL_OVER),
            Err(unavailable) => self.not_ended(request, &unavailable),
        }
    }

    /// The session that a form of ours came from, or why there is none.
    pub(super) async fn owner(
        &self,
        request: &Request<'_>,
        purpose: &str,
    ) -> Result<Arc<LiveSession>, Reason> {
        match self.authenticate(request).await {
            Authenticated::Unknown(_) => Err(Reason::StoreUnavailable),
            Authenticated::Nobody(reason) => Err(reason),
            Authenticated::Session(live) if csrf::is_ours(request, &live, purpose) => Ok(live),
            Authenticated::Session(_) => Err(Reason::CrossSiteForm),
        }
    }

    /// Ends a session if it is one of the visitor's: all others might as well not exist.
    async fn end_own(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        key: SessionKey,
    ) -> Result<(), Unavailable> {
        let account = live.account.id;
        let record = self.sessions.accounts().read(&request.config().keys, account).await?;
        let is_own =
            record.is_some_and(|record| record.sessions(self.clock.now()).any(|own| own == key));
        if is_own || !stands(Defence::OwnSessions) {
            self.end_session(request.snapshot, key, account, Cause::EndedByOwner).await?;
        }
        Ok(())
    }

    /// Back to the list, which says what there is now.
    fn show_again(&self, request: &Request<'_>, ended: Result<(), Unavailable>) -> Answer {
        match ended {
            Ok(()) => redirect(&request.own_path("account"), &[], Reason::Endpoint),
            Err(unavailable) => self.not_ended(request, &unavailable),
        }
    }

    pub(super) fn not_ended(&self, request: &Request<'_>, unavailable: &Unavailable) -> Answer {
        self.store_failed(request, unavailable);
        error::fault(request, Reason::StoreUnavailable)
    }

    pub(super) fn not_done(&self, request: &Request<'_>, reason: Reason) -> Answer {
        match reason {
            Reason::NoSession | Reason::SessionEnded => self.ask_to_sign_in(request, reason),
            reason => error::fault(request, reason),
        }
    }
}

/// Whether a session may still open something, here or on another node.
fn may_open(listed: &Listed, lifetimes: Lifetimes, now: Time) -> bool {
    let lifetimes = Lifetimes { idle: lifetimes.idle + SEEN_LATER, ..lifetimes };
    listed.session.standing(listed.seen, now, lifetimes) == Standing::Live
}

/// What the token of the form that ends a session is good for: this very session.
fn end_purpose(key: SessionKey) -> String {
    format!("end-session {key}")
}

fn table(request: &Request<'_>, live: &LiveSession, listed: &[Listed]) -> Table {
    let is_other = |listed: &Listed| listed.key != live.key;
    let more = listed.len().saturating_sub(SHOWN);
    let mut actions = Vec::new();
    if listed.iter().any(is_other) {
        let (label, path) = ("End all other sessions", "end_other_sessions");
        actions.push(form(request, live, (label, path), END_OTHERS));
    }
    actions.push(sign_out::form(request, live, false));
    let (label, path) = ("Sign out everywhere", "sign_out_everywhere");
    actions.push(form(request, live, (label, path), EVERYWHERE));
    Table {
        title: "Your sessions",
        columns: COLUMNS,
        rows: listed.iter().take(SHOWN).map(|listed| row(request, live, listed)).collect(),
        note: (more > 0).then(|| format!("And {more} more, not used as lately as these.")),
        actions,
        form: None,
    }
}

fn row(request: &Request<'_>, live: &LiveSession, listed: &Listed) -> Row {
    let is_this = listed.key == live.key;
    let (session, from) = (&listed.session, listed.session.from);
    Row {
        cells: vec![
            device::name_of(&session.device),
            session.created.to_minute(),
            listed.seen.to_minute(),
            from.map_or_else(|| "unknown".to_owned(), |from| from.to_string()),
        ],
        mark: is_this.then_some("this one"),
        action: (!is_this).then(|| end_form(request, live, listed.key)),
        ..Row::default()
    }
}

/// The button that ends a session or an API key.
pub(super) fn end_form(request: &Request<'_>, live: &LiveSession, key: SessionKey) -> Way {
    let mut form = form(request, live, ("End", "end_session"), &end_purpose(key));
    if let Way::Post { fields, .. } = &mut form {
        fields.push((SESSION.into(), key.to_string()));
    }
    form
}

fn form(
    request: &Request<'_>,
    live: &LiveSession,
    (label, path): (&str, &str),
    purpose: &str,
) -> Way {
    Way::Post {
        label: label.into(),
        action: request.own_path(path),
        fields: vec![(csrf::FIELD.into(), csrf::token(request, live, purpose))],
        primary: false,
    }
}
