//! The web flow's first half: `/login/oauth/authorize`, from the question to the code.

use http::StatusCode;
use url::Url;

use super::{
    callback,
    github::{CLIENT_ID, Shared},
    pages,
    record::{Recorded, lock},
    scopes,
    visitor::{remember, remembered},
    web::{Pairs, Reply, encode, first, html, redirect},
    world::{Code, PersonKey},
};

/// Where the flow begins.
pub(super) const AUTHORIZE: &str = "/login/oauth/authorize";

/// An authorisation request that is in order.
pub(super) struct Ask {
    callback: Url,
    state: Option<String>,
    scopes: Option<Vec<String>>,
    challenge: Option<String>,
    hint: Option<String>,
    pick_again: bool,
    /// The parameters as they came, for the forms to carry on.
    pub(super) parameters: Pairs,
}

/// Why a request is not in order, and who is told.
pub(super) enum Refusal {
    /// No such app: GitHub shows its 404 page.
    UnknownApp,
    /// The callback is not the app's: only the person is told, nobody is sent there.
    ForeignCallback,
    /// The app is told, at its callback.
    Back(Url),
}

// === impl Ask ===

impl Ask {
    pub(super) fn read(shared: &Shared, parameters: Pairs) -> Result<Self, Refusal> {
        let field = |name| first(&parameters, name).map(str::to_owned);
        if field("client_id").as_deref() != Some(CLIENT_ID) {
            return Err(Refusal::UnknownApp);
        }
        let callback =
            callback::allowed(shared, field("redirect_uri")).ok_or(Refusal::ForeignCallback)?;
        let state = field("state");
        let challenge = field("code_challenge");
        let method = field("code_challenge_method");
        let required = shared.knobs.requires_pkce();
        if let Err(why) = check_pkce(challenge.as_deref(), method.as_deref(), required) {
            let back = error_url(&callback, state.as_deref(), "invalid_request", why);
            return Err(Refusal::Back(back));
        }
        Ok(Self {
            callback,
            state,
            scopes: field("scope").map(|asked| scopes::normalise(&asked)),
            challenge,
            hint: field("login"),
            pick_again: field("prompt").as_deref() == Some("select_account"),
            parameters,
        })
    }

    pub(super) fn callback(&self) -> &Url {
        &self.callback
    }

    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The scopes this person would grant: those asked for, or all granted before if none were.
    pub(super) fn scopes_of(&self, shared: &Shared, person: PersonKey) -> Vec<String> {
        let before = {
            let world = lock(&shared.world);
            if world.tokens.expiring.is_some() {
                // A GitHub App has permissions instead, whatever it asks for.
                return Vec::new();
            }
            world.granted(person).map(<[String]>::to_vec)
        };
        let asked = self.scopes.clone().or(before).unwrap_or_default();
        match shared.knobs.grants_at_most() {
            Some(most) => {
                let most = scopes::normalise(&most);
                asked.into_iter().filter(|scope| scopes::allow(&most, scope)).collect()
            }
            None => asked,
        }
    }
}

/// Grants, and says where the browser goes with the new code.
pub(super) fn approve(shared: &Shared, ask: &Ask, person: PersonKey) -> Url {
    let scopes = ask.scopes_of(shared, person);
    let mut world = lock(&shared.world);
    world.grant(person, &scopes);
    let born = world.now();
    let redirect_uri = ask.callback.to_string();
    let challenge = ask.challenge.clone();
    let code = world.issue_code(Code { person, scopes, redirect_uri, challenge, born });
    let mut back = ask.callback.clone();
    back.query_pairs_mut().append_pair("code", &code);
    with_state(back, ask.state.as_deref())
}

/// `GET`: who are you, do you agree, or back to the app at once.
pub(super) fn show(shared: &Shared, request: &Recorded) -> Reply {
    let ask = match Ask::read(shared, request.query()) {
        Ok(ask) => ask,
        Err(refusal) => return refuse(refusal),
    };
    let Some(person) = remembered(shared, request).filter(|key| may_go_on(shared, &ask, *key))
    else {
        return html(StatusCode::OK, pages::pick(shared, &ask));
    };
    let scopes = ask.scopes_of(shared, person);
    let granted = lock(&shared.world)
        .granted(person)
        .is_some_and(|granted| scopes.iter().all(|scope| scopes::allow(granted, scope)));
    if granted {
        return redirect(StatusCode::FOUND, approve(shared, &ask, person).as_str());
    }
    html(StatusCode::OK, pages::consent(shared, &ask, person, &scopes))
}

/// `POST`: a person picked, or a decision taken, or both in one step.
pub(super) fn decide(shared: &Shared, request: &Recorded) -> Reply {
    let form = request.form();
    let login = first(&form, "person").map(str::to_owned);
    let decision = first(&form, "decision").map(str::to_owned);
    let ask = match Ask::read(shared, form) {
        Ok(ask) => ask,
        Err(refusal) => return refuse(refusal),
    };
    let named = login.as_deref().and_then(|login| lock(&shared.world).find(login));
    let person = if login.is_some() { named } else { remembered(shared, request) };
    let Some(person) = person else {
        return html(StatusCode::UNPROCESSABLE_ENTITY, pages::pick(shared, &ask));
    };
    let reply = match decision.as_deref() {
        Some("authorize") => redirect(StatusCode::FOUND, approve(shared, &ask, person).as_str()),
        Some(_) => redirect(StatusCode::FOUND, denied(&ask).as_str()),
        None => redirect(StatusCode::SEE_OTHER, &again(&ask)),
    };
    remember(reply, &lock(&shared.world).person(person).login)
}

/// Whether the remembered person may stay who they are, or has to be asked again.
fn may_go_on(shared: &Shared, ask: &Ask, person: PersonKey) -> bool {
    let hinted = ask.hint().and_then(|login| lock(&shared.world).find(login));
    !ask.pick_again && hinted.is_none_or(|hinted| hinted == person)
}

fn refuse(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::UnknownApp => html(StatusCode::NOT_FOUND, pages::not_found()),
        Refusal::ForeignCallback => html(StatusCode::BAD_REQUEST, pages::foreign_callback()),
        Refusal::Back(url) => redirect(StatusCode::FOUND, url.as_str()),
    }
}

fn check_pkce(
    challenge: Option<&str>,
    method: Option<&str>,
    required: bool,
) -> Result<(), &'static str> {
    let digest = |challenge: &str| {
        challenge.len() == 43
            && challenge.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
    };
    match (challenge, method) {
        (None, None) if !required => Ok(()),
        (None, _) => Err("A code_challenge is required."),
        (Some(_), Some(method)) if method != "S256" => {
            Err("The code_challenge_method must be S256.")
        }
        (Some(_), None) => Err("The code_challenge_method must be S256."),
        (Some(challenge), _) if !digest(challenge) => Err("The code_challenge is malformed."),
        _ => Ok(()),
    }
}

fn denied(ask: &Ask) -> Url {
    let why = "The user has denied your application access.";
    error_url(&ask.callback, ask.state.as_deref(), "access_denied", why)
}

fn error_url(callback: &Url, state: Option<&str>, error: &str, why: &str) -> Url {
    let uri = format!(
        "https://docs.github.com/apps/managing-oauth-apps/\
         troubleshooting-authorization-request-errors/#{}",
        error.replace('_', "-")
    );
    let mut back = callback.clone();
    back.query_pairs_mut()
        .append_pair("error", error)
        .append_pair("error_description", why)
        .append_pair("error_uri", &uri);
    with_state(back, state)
}

fn with_state(mut url: Url, state: Option<&str>) -> Url {
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    url
}

/// The same question once more, without what made us ask who it is.
fn again(ask: &Ask) -> String {
    let asked_already = ["person", "decision", "prompt", "login"];
    let kept = ask.parameters.iter().filter(|(name, _)| !asked_already.contains(&name.as_str()));
    format!("{AUTHORIZE}?{}", encode(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkce_is_s256_or_nothing() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for (challenge, method, required, fine) in [
            (None, None, false, true),
            (None, None, true, false),
            (None, Some("S256"), false, false),
            (Some(good), Some("S256"), true, true),
            (Some(good), Some("plain"), false, false),
            (Some(good), None, false, false),
            (Some("short"), Some("S256"), false, false),
        ] {
            let found = check_pkce(challenge, method, required);
            assert_eq!(found.is_ok(), fine, "{challenge:?} {method:?} {found:?}");
        }
    }
}
