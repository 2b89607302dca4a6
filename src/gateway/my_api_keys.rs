//! The visitor's API keys: made and listed on the account page, and ended there as sessions are.

use std::time::Duration;

use http::StatusCode;

use super::action::Answer;
use super::my_sessions::end_form;
use super::pages::{Form, Input, Kind, Page, Row, Table, Way};
use super::{Gateway, LiveSession, Request, csrf, device, error, forms};
use crate::api_key::{ApiKey, Terms};
use crate::clock::Time;
use crate::identity::Identity;
use crate::policy::Verdict;
use crate::reason::Reason;
use crate::route::{Route, Rule};
use crate::secret::Secret;
use crate::session::Session;
use crate::store::{Listed, MOST_API_KEYS, Made};

/// What a form asks for.
struct Wish {
    terms: Terms,
    life: Duration,
}

/// What the form's token is good for.
const PURPOSE: &str = "make-api-key";

/// What is said of a key.
const COLUMNS: &[&str] = &["Name", "Routes", "Made", "Last used", "Ends"];

/// The most characters of a name.
const LONGEST_NAME: usize = 60;

/// How long a key may last, in days.
const LIVES: [u64; 4] = [7, 30, 90, 365];

/// The one of them that most want.
const USUAL_LIFE: usize = 1;

const DAY: u64 = 86_400;

// === impl Gateway ===

impl Gateway {
    /// `POST PREFIX/api_keys`: makes a key and shows it, this once.
    pub(super) async fn make_api_key(&self, request: &Request<'_>) -> Answer {
        let live = match self.owner(request, PURPOSE).await {
            Ok(live) => live,
            Err(reason) => return self.not_done(request, reason),
        };
        let wish = match Wish::read(&request.body, &routes_of(request, &live)) {
            Ok(wish) => wish,
            Err(why) => return error::bad_form(request, why),
        };
        let (keys, account, now) = (&request.config().keys, live.account.id, self.clock.now());
        let session = Session {
            account,
            created: now,
            expires: now + wish.life,
            device: device::agent(request),
            from: request.client.address,
            api_key: Some(wish.terms.clone()),
        };
        let expires = session.expires;
        let made = async {
            // What GitHub says of the person is asked for as long as the key lasts.
            self.tokens.credentials().keep_until(keys, account, expires).await?;
            self.sessions.make_api_key(keys, &live, session).await
        };
        match made.await {
            Ok(Made::Key(key, name)) => {
                tracing::info!(user.id = account, session.key = %name, "an API key was made");
                error::answer(request, &made_page(request, &key, &wish, now), Reason::Endpoint)
            }
            Ok(Made::TooMany) => error::bad_form(request, &too_many()),
            Ok(Made::Over) => self.not_done(request, Reason::SessionEnded),
            Err(unavailable) => self.not_ended(request, &unavailable),
        }
    }
}

// === impl Wish ===

impl Wish {
    /// What a form asks for, or what is wrong with it.
    fn read(body: &[u8], routes: &[&Route]) -> Result<Self, &'static str> {
        let name = forms::field(body, "name").unwrap_or_default().trim().to_owned();
        let is_name = !name.is_empty() && !name.contains(char::is_control);
        if !is_name || name.chars().count() > LONGEST_NAME {
            return Err("Give the API key a name, of 60 characters at most.");
        }
        let days = forms::field(body, "days").and_then(|days| days.parse().ok());
        let days = days.filter(|days| LIVES.contains(days));
        let days = days.ok_or("Choose how long the API key shall last.")?;
        let mut named: Vec<Box<str>> = forms::fields(body, "route").map(Into::into).collect();
        named.sort_unstable();
        named.dedup();
        let is_open = |name: &str| routes.iter().any(|route| *route.name == *name);
        if named.is_empty() || !named.iter().all(|name| is_open(name)) {
            return Err("Choose the routes that the API key shall open, among those open to you.");
        }
        let life = Duration::from_secs(days * DAY);
        Ok(Self { terms: Terms { name, routes: named, instance: None }, life })
    }
}

fn too_many() -> String {
    format!("You have {MOST_API_KEYS} API keys, and there may be no more: end one first.")
}

/// The keys, and the form that makes one; nothing for whom neither is of any use.
pub(super) fn table(request: &Request<'_>, live: &LiveSession, listed: &[Listed]) -> Option<Table> {
    let routes = routes_of(request, live);
    if listed.is_empty() && routes.is_empty() {
        return None;
    }
    let note = if listed.is_empty() {
        "For programs that keep no cookies: each passes to the routes that it names, as you."
    } else {
        "Each passes to the routes that it names, as you. To sign out everywhere ends them, too."
    };
    Some(Table {
        title: "API keys",
        columns: COLUMNS,
        rows: listed.iter().filter_map(|listed| row(request, live, listed)).collect(),
        note: Some(note.to_owned()),
        actions: vec![],
        form: (!routes.is_empty()).then(|| form(request, live, &routes)),
    })
}

fn row(request: &Request<'_>, live: &LiveSession, listed: &Listed) -> Option<Row> {
    let (session, terms) = (&listed.session, listed.session.api_key.as_ref()?);
    let is_used = listed.seen > session.created;
    Some(Row {
        cells: vec![
            terms.name.clone(),
            terms.routes.join(", "),
            session.created.to_minute(),
            if is_used { listed.seen.to_minute() } else { "never".to_owned() },
            session.expires.to_minute(),
        ],
        action: Some(end_form(request, live, listed.key)),
        ..Row::default()
    })
}

fn form(request: &Request<'_>, live: &LiveSession, routes: &[&Route]) -> Form {
    let names = routes.iter().map(|route| route.name.to_string()).collect();
    let lives = LIVES.iter().map(|days| (days.to_string(), format!("{days} days"))).collect();
    let input = |label, name, kind| Input { label, name, kind };
    Form {
        label: "Make an API key",
        action: request.own_path("api_keys"),
        hidden: vec![(csrf::FIELD.into(), csrf::token(request, live, PURPOSE))],
        inputs: vec![
            input("Routes", "route", Kind::Any(names)),
            input("Name", "name", Kind::Text(LONGEST_NAME)),
            input("Lasts", "days", Kind::One(lives, USUAL_LIFE)),
        ],
    }
}

/// The routes that the visitor may use, all of them or a part.
pub(super) fn routes_of<'r>(request: &'r Request<'_>, live: &LiveSession) -> Vec<&'r Route> {
    let profile = live.account.profile();
    let routes = request.config().routes.iter().map(|route| &**route);
    let mut open: Vec<_> = routes.filter(|route| is_open_to(route, &profile.identity)).collect();
    // Scripts ask GitHub's API more than anything else.
    open.sort_by_key(|route| route.upstream.api().is_none());
    open
}

fn is_open_to(route: &Route, who: &Identity) -> bool {
    let mut policies = route.rules.iter().filter_map(Rule::policy).chain([&route.policy]);
    policies.any(|policy| matches!(policy.evaluate(who), Verdict::Admitted(_)))
}

/// The one page that shows the key.
fn made_page(request: &Request<'_>, key: &ApiKey, wish: &Wish, now: Time) -> Page {
    let text = key.to_text();
    let mut copies = vec![("API key", text.clone())];
    if let Some(url) = example(request, &wish.terms) {
        let text = text.expose();
        let command = format!("curl -H \"Authorization: Bearer {text}\" {url}");
        copies.push(("Try it", Secret::new(command)));
    }
    Page {
        status: StatusCode::OK,
        title: "Your new API key".into(),
        lead: "It is shown this once: copy it now, and keep it as you keep a password.".into(),
        help: vec!["Whoever has it passes as you to the routes below.".into()],
        copies,
        facts: vec![
            ("Name".into(), wish.terms.name.clone()),
            ("Routes".into(), wish.terms.routes.join(", ")),
            ("Ends".into(), (now + wish.life).to_string()),
        ],
        actions: vec![Way::Link {
            label: "Your account".into(),
            href: request.own_path("account"),
            primary: true,
        }],
        ..Page::default()
    }
}

/// An address that the key opens. A wildcard has one only where the visitor is at it.
fn example(request: &Request<'_>, terms: &Terms) -> Option<String> {
    let config = request.config();
    let mut routes = config.routes.iter().filter(|route| terms.opens(&route.name));
    routes.find_map(|route| {
        let here = Some(request.target.host()).filter(|host| route.host.fits(host));
        let name = Some(&*route.host.name).filter(|_| !route.host.wildcard);
        let host = here.or(name).filter(|host| !is_githubs(host))?;
        let origin = config.origin_of(route, host);
        Some(format!("{origin}{}/", route.path.as_str()))
    })
}

/// Where the gateway stands in GitHub's place for programs at a Unix socket. For everything else the
/// name leads to GitHub, which is shown no key.
fn is_githubs(host: &str) -> bool {
    let below = |domain: &str| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    below("github.com") || below("ghe.com")
}
