//! The simulated GitHub itself: its server, and what tests can ask and change.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use rustls::ServerConfig;
use url::Url;

use super::{
    app::App,
    authorize::{self, AUTHORIZE, Ask},
    cast::{self, Person},
    codeload::Codeload,
    date, exchange,
    journal::{Log, who},
    knobs::Knobs,
    limits::{Meter, Payer, Receipt},
    lines::Lines,
    pages,
    record::{API, Recorded, lock},
    refresh,
    repositories::{GRAPHQL, UPLOADS, plant, receive},
    rest,
    serve::{Bound, HangUp, Manner, Running},
    spoil::{spoil, verbatim},
    trouble::Trouble,
    visitor,
    web::{Reply, full, html, reply},
    world::World,
};

/// The one OAuth app this GitHub knows.
pub(super) const CLIENT_ID: &str = "Iv1.simulated0gatekeep";
pub(super) const CLIENT_SECRET: &str = "simulated-secret-that-protects-nothing";
const LARGEST_BODY: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) url: String,
    pub(super) api_url: String,
    pub(super) world: Mutex<World>,
    pub(super) knobs: Knobs,
    pub(super) refresh_attempts: AtomicUsize,
    pub(super) meter: Meter,
    /// Where archives are downloaded.
    pub(super) codeload_url: String,
    pub(super) app: App,
    pub(super) lines: Arc<Lines>,
    /// For what goes on after an answer.
    pub(super) itself: Weak<Self>,
    pub(super) log: Log,
}

/// A GitHub of one's own, over real HTTP; it stops when dropped.
///
/// Web pages are at [`Simulator::url`], the API below it at `/api/v3`, as on GitHub Enterprise
/// Server.
#[derive(Debug)]
pub struct Simulator {
    pub(super) shared: Arc<Shared>,
    pub(super) codeload: Codeload,
    server: Running,
}

// === impl Simulator ===

impl Simulator {
    /// Starts on this address, with [`cast::everyone`]. Port 0 takes a free one.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        Self::start_so(address, None)
    }

    /// The same with TLS, where clients may speak HTTP/2: as at GitHub, if `tls` offers them `h2`.
    pub fn start_secure(address: SocketAddr, tls: Arc<ServerConfig>) -> io::Result<Self> {
        Self::start_so(address, Some(tls))
    }

    fn start_so(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let bound = Bound::to(address)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", bound.address);
        let codeload = Codeload::start(address.ip())?;
        let mut world = World::with(cast::everyone());
        plant(&mut world);
        let shared = Arc::new_cyclic(|itself| Shared {
            api_url: format!("{url}{API}"),
            url,
            world: Mutex::new(world),
            knobs: Knobs::default(),
            refresh_attempts: AtomicUsize::new(0),
            meter: Meter::default(),
            codeload_url: codeload.url(),
            app: App::default(),
            lines: Arc::default(),
            itself: itself.clone(),
            log: Log::default(),
        });
        let handler = {
            let shared = Arc::clone(&shared);
            move |request| handle(Arc::clone(&shared), request)
        };
        let manner = Manner { tls, lines: Arc::clone(&shared.lines) };
        let server = bound.serve_so("simulated-github", manner, handler)?;
        Ok(Self { shared, codeload, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// `http://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The base of the web flow: the same as [`Simulator::url`].
    pub fn web_url(&self) -> &str {
        &self.shared.url
    }

    /// The base of the API.
    pub fn api_url(&self) -> &str {
        &self.shared.api_url
    }

    /// Where GraphQL is asked.
    pub fn graphql_url(&self) -> String {
        format!("{}{GRAPHQL}", self.shared.url)
    }

    /// The base of what is uploaded.
    pub fn uploads_url(&self) -> String {
        format!("{}{UPLOADS}", self.shared.url)
    }

    /// The id of the one OAuth app this GitHub knows.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// That app's secret. It protects nothing.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// Allows this callback and what is below it, and no others but those registered too.
    pub fn register_callback(&self, url: &str) {
        lock(&self.shared.world).callbacks.push(url.to_owned());
    }

    /// What can be made to go wrong.
    pub fn knobs(&self) -> &Knobs {
        &self.shared.knobs
    }

    /// How many requests of this kind came, as `GET /user` or `POST /login/oauth/access_token`.
    pub fn calls(&self, call: &str) -> usize {
        self.shared.log.calls(call)
    }

    /// How many of them were answered with this status: 304 is another than 200.
    pub fn answered(&self, call: &str, status: u16) -> usize {
        self.shared.log.answered(call, status)
    }

    /// The last 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// Lets a person agree to this authorisation request, without HTTP, and returns where their
    /// browser would go: the callback with a code, or with the error GitHub sends there.
    ///
    /// # Panics
    /// If the person, the app or the callback is unknown, for then nobody is sent anywhere.
    pub fn approve(&self, authorize_url: &str, person: &str) -> String {
        let url = Url::parse(authorize_url).expect("the authorize URL is a URL");
        let person = lock(&self.shared.world).find(person).expect("the person is in the cast");
        match Ask::read(&self.shared, url.query_pairs().into_owned().collect()) {
            Ok(ask) => authorize::approve(&self.shared, &ask, person).into(),
            Err(authorize::Refusal::Back(url)) => url.into(),
            Err(authorize::Refusal::UnknownApp) => panic!("unknown client_id: {authorize_url}"),
            Err(authorize::Refusal::ForeignCallback) => {
                panic!("redirect_uri missing or not allowed: {authorize_url}")
            }
        }
    }

    /// Adds somebody, or replaces who had the login.
    pub fn add_person(&self, person: Person) {
        lock(&self.shared.world).add(person);
    }

    /// Somebody as they are now.
    pub fn person(&self, login: &str) -> Option<Person> {
        let world = lock(&self.shared.world);
        world.find(login).map(|key| world.person(key).clone())
    }

    /// Changes somebody: another id, other addresses, other teams. Their tokens stay valid.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn change(&self, login: &str, change: impl FnOnce(&mut Person)) {
        let mut world = lock(&self.shared.world);
        let key = world.find(login).expect("the person is in the cast");
        world.change(key, change);
    }

    /// Takes somebody out of an organization and of all its teams.
    pub fn remove_from_org(&self, login: &str, org: &str) {
        self.change(login, |person| {
            person.orgs.retain(|of| !of.org.eq_ignore_ascii_case(org));
            let inside = |team: &str| {
                team.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(org))
            };
            person.teams.retain(|team| !inside(team));
        });
    }

    /// Gives somebody a new login; id, tokens and grants stay, and their repositories go along.
    pub fn rename(&self, login: &str, new: &str) {
        self.change(login, |person| new.clone_into(&mut person.login));
        lock(&self.shared.world).repositories.follow(login, new);
    }

    /// Leaves somebody without any verified address.
    pub fn unverify_emails(&self, login: &str) {
        self.change(login, |person| {
            person.emails.iter_mut().for_each(|email| email.verified = false);
        });
    }

    /// Lets time pass on GitHub's side, so that codes and tokens expire.
    pub fn advance(&self, by: Duration) {
        lock(&self.shared.world).advance(by);
    }
}

/// One request: noted, answered, and its answer noted.
async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let _under_way = shared.lines.enter();
    let request = read(request).await?;
    let payer = Payer::of(&shared, &request);
    let at = lock(&shared.world).now();
    let number = shared.log.note(&request, at, who(&shared, payer));
    if refresh::attempted(&request) {
        shared.refresh_attempts.fetch_add(1, Ordering::Relaxed);
    }
    let _flight = request.path().starts_with("/api/").then(|| shared.meter.enter(payer));
    let mut reply = respond(&shared, &request, number).await?;
    date::stamp(&shared, &mut reply);
    shared.log.note_answer(number, &request, reply.status().as_u16());
    Ok(reply)
}

/// The right answer, or what a knob makes of it.
async fn respond(shared: &Shared, request: &Recorded, number: usize) -> Result<Reply, HangUp> {
    let trouble = shared.knobs.trouble(request.path());
    match &trouble {
        Some(Trouble::Refuse) => return Err(HangUp),
        Some(Trouble::Answer { status, headers, body }) => {
            return Ok(verbatim(*status, headers, body.clone()));
        }
        Some(Trouble::SecondaryLimit { status, retry_after }) => {
            return Ok(rest::too_hasty(shared, request, *status, *retry_after));
        }
        Some(Trouble::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Trouble::Hold(gate)) => gate.pass().await,
        _ => {}
    }
    let reply = route(shared, request);
    shared.log.note_cost(number, reply.extensions().get::<Receipt>());
    match &trouble {
        Some(Trouble::Swallow) => return Err(HangUp),
        Some(Trouble::Late(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    match &trouble {
        Some(trouble) => Ok(spoil(reply, trouble).await),
        None => Ok(reply),
    }
}

pub(super) async fn read(request: Request<Incoming>) -> Result<Recorded, HangUp> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with(UPLOADS) {
        let read = receive(body).await?;
        return Ok(Recorded::uploaded(&Request::from_parts(head, ()), read));
    }
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| HangUp)?.to_bytes();
    Ok(Recorded::new(&Request::from_parts(head, ()), body))
}

fn route(shared: &Shared, request: &Recorded) -> Reply {
    let path = request.path();
    if path.strip_prefix(API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return rest::answer(shared, request);
    }
    if path.starts_with(UPLOADS) {
        return rest::upload(shared, request);
    }
    match (request.method.as_str(), path) {
        ("POST", GRAPHQL) => rest::graphql(shared, request),
        ("GET" | "HEAD", AUTHORIZE) => authorize::show(shared, request),
        ("POST", AUTHORIZE) => authorize::decide(shared, request),
        ("POST", exchange::PATH) => exchange::answer(shared, request),
        ("GET" | "POST", "/logout") => visitor::log_out(request),
        ("GET" | "HEAD", "/") => front(shared, request),
        ("GET" | "HEAD", _) if path.starts_with("/avatars/u/") => {
            let picture = Bytes::from(pages::avatar(&path["/avatars/u/".len()..]));
            reply(StatusCode::OK, "image/svg+xml", full(picture))
        }
        _ => html(StatusCode::NOT_FOUND, pages::not_found()),
    }
}

fn front(shared: &Shared, request: &Recorded) -> Reply {
    let person = visitor::remembered(shared, request);
    let person = person.map(|key| lock(&shared.world).person(key).clone());
    html(StatusCode::OK, pages::front(person.as_ref()))
}
