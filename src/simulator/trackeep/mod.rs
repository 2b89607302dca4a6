//! A small Trackeep: what an instance does with its control service, with its visitors, and with
//! whoever stands before it, its holes and traps included.
//!
//! The client of the control service is exact: what it sends, which answers it takes, and what it
//! keeps of them. Of the app itself there is what a gateway meets: sign-in, tokens, API keys, limits,
//! a WebSocket, files, share links, pages whose script keeps its token in `localStorage`, and the
//! endpoints that nobody should reach.

mod answer;
mod clock;
mod control;
mod database;
mod door;
mod files;
mod frame;
mod github;
mod installations;
mod local;
mod oauth;
mod open;
mod outside;
mod redirect;
mod route;
mod settings;
mod sign_in;
mod socket;
mod strict;
mod token;
mod users;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use serde_json::Value;

pub use self::users::TrackeepUser;
use self::{
    clock::Clock, database::Database, door::Door, outside::Outside, settings::Settings,
    socket::Hub, token::Claims,
};
use super::{
    journal::{Entry, Log},
    knobs::Knobs,
    record::{Recorded, lock},
    serve::{Bound, HangUp, Running},
    spoil::{spoil, verbatim},
    trouble::Trouble,
    web::{Reply, STYLE},
};

/// How much of a body the journal keeps.
const KEPT: usize = 64 * 1024;

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    url: String,
    clock: Clock,
    settings: Mutex<Settings>,
    outside: Outside,
    database: Mutex<Database>,
    door: Door,
    hub: Hub,
    knobs: Knobs,
    log: Log,
}

/// An instance of one's own, over real HTTP; it stops when dropped.
///
/// It knows nobody at first, and no control service: [`Trackeep::set_control`] says where that is.
#[derive(Debug)]
pub struct Trackeep {
    shared: Arc<Shared>,
    server: Running,
}

// === impl Trackeep ===

impl Trackeep {
    /// Starts on this address. Port 0 takes a free one.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let bound = Bound::to(address)?;
        let url = format!("http://{}", bound.address);
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            settings: Mutex::new(Settings::of(&url)),
            outside: Outside::default(),
            database: Mutex::default(),
            door: Door::default(),
            hub: Hub::default(),
            knobs: Knobs::default(),
            log: Log::default(),
            url,
        });
        let handler = {
            let shared = Arc::clone(&shared);
            move |request| handle(Arc::clone(&shared), request)
        };
        let server = bound.serve("trackeep", handler)?;
        Ok(Self { shared, server })
    }

    /// `http://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    // --- what an operator sets ---

    /// Where the control service is, as `https://hq.trackeep.org`. A real instance has this in its code.
    pub fn set_control(&self, url: &str) {
        self.settings(|of| url.trim_end_matches('/').clone_into(&mut of.control));
    }

    /// Makes it the version before, which has a setting for its service, `OAUTH_SERVICE_URL`, and gets a
    /// signed token by the browser.
    pub fn set_oauth_service(&self, url: &str) {
        self.settings(|of| of.oauth_service = Some(url.trim_end_matches('/').to_owned()));
    }

    /// Where the app's name server says that a host is: the instance's `/etc/hosts`.
    pub fn resolve(&self, host: &str, address: SocketAddr) {
        self.shared.outside.resolve(host, address);
    }

    /// Trusts these certificates (PEM) and no others: the instance's `SSL_CERT_FILE`.
    pub fn trust(&self, pem: &str) {
        self.shared.outside.trust(pem);
    }

    /// `PUBLIC_API_URL` and `FRONTEND_URL`: the origin that browsers know. At first it is [`Self::url`].
    pub fn set_public_url(&self, origin: &str) {
        self.settings(|of| origin.trim_end_matches('/').clone_into(&mut of.public_url));
    }

    /// Where GitHub's API is, for what the instance asks there itself.
    pub fn set_github(&self, api_url: &str) {
        self.settings(|of| api_url.trim_end_matches('/').clone_into(&mut of.github));
    }

    /// `JWT_EXPIRES_IN`: how long its own tokens are good. At first a day.
    pub fn token_life(&self, life: Duration) {
        self.settings(|of| of.token_life = life);
    }

    /// Another `JWT_SECRET`: all its tokens are dead.
    pub fn change_secret(&self) {
        self.settings(Settings::change_secret);
    }

    /// `VITE_DEMO_MODE`: everybody is somebody, and nobody can sign in.
    pub fn demo_mode(&self, on: bool) {
        self.settings(|of| of.demo = on);
    }

    // --- its traps ---

    /// Whether `DragonflyDB` is connected: a GET without `Cookie` and `Authorization` is answered from
    /// memory for five minutes then, whatever it was, as JSON. At first it isn't.
    pub fn dragonfly(&self, connected: bool) {
        self.settings(|of| of.dragonfly = connected);
    }

    /// Whether an address has 100 requests a minute, and 5 to sign in with a password. At first it has.
    pub fn limits(&self, on: bool) {
        self.settings(|of| of.limits = on);
    }

    /// What else can be made to go wrong, by path: the rules of [`Knobs::at`] and its like, but for a
    /// secondary rate limit, which only GitHub has.
    pub fn knobs(&self) -> &Knobs {
        &self.shared.knobs
    }

    /// Lets time pass here, so that tokens, limits and what is held expire.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    // --- what it knows ---

    /// Everybody it has an account for, in the order they came.
    pub fn users(&self) -> Vec<TrackeepUser> {
        lock(&self.shared.database).users.all()
    }

    /// Somebody's account.
    pub fn user(&self, username: &str) -> Option<TrackeepUser> {
        self.users().into_iter().find(|user| user.username == username)
    }

    /// An account with a password, as `/auth/register` makes it.
    ///
    /// # Panics
    /// If the e-mail or the name is taken, or somebody else has no number at GitHub either.
    pub fn add_user(&self, email: &str, username: &str, password: &str, role: &str) {
        let at = self.shared.clock.unix();
        let made = lock(&self.shared.database).users.register(email, username, password, role, at);
        made.expect("the database takes the account");
    }

    /// Deletes an account softly: its row stays, and nobody can be it.
    pub fn delete_user(&self, username: &str) {
        lock(&self.shared.database).users.delete(username);
    }

    /// A token of its own for somebody, as its `/auth/login` gives.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn token_of(&self, username: &str) -> String {
        let user = self.user(username).expect("somebody is called so");
        token_for(&self.shared, &user)
    }

    /// An API key for somebody, with permissions such as `files:read`.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn api_key(&self, username: &str, permissions: &[&str]) -> String {
        let user = self.user(username).expect("somebody is called so");
        lock(&self.shared.database).add_key(user.id, permissions)
    }

    /// The token of the control service that is kept for somebody.
    pub fn controller_token(&self, username: &str) -> Option<String> {
        let user = self.user(username)?;
        lock(&self.shared.database).sessions.get(&user.id).cloned()
    }

    /// Keeps this token of the control service for somebody, who has one already.
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn set_controller_token(&self, username: &str, token: &str) {
        let user = self.user(username).expect("somebody is called so");
        lock(&self.shared.database).persist(user.id, token);
    }

    /// The numbers of the GitHub App's installations that somebody has connected.
    pub fn installations_of(&self, username: &str) -> Vec<i64> {
        let Some(user) = self.user(username) else { return Vec::new() };
        let database = lock(&self.shared.database);
        database.installations.of(user.id).map(|it| it.installation_id).collect()
    }

    /// How often somebody let it install an update.
    pub fn updates_installed(&self) -> usize {
        lock(&self.shared.database).updates
    }

    /// How many WebSockets are open now.
    pub fn open_sockets(&self) -> usize {
        self.shared.hub.count()
    }

    // --- the journal ---

    /// The last 10,000 requests with who they were for it and how they ended, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.log.entries()
    }

    /// The last 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// How many requests of this kind came, as `GET /api/v1/auth/me`.
    pub fn calls(&self, call: &str) -> usize {
        self.shared.log.calls(call)
    }

    /// How many of them were answered with this status.
    pub fn answered(&self, call: &str, status: u16) -> usize {
        self.shared.log.answered(call, status)
    }

    fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.shared.settings));
    }
}

// === impl Shared ===

impl Shared {
    fn setting<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(&lock(&self.settings))
    }
}

/// A token of its own, good from now.
fn token_for(shared: &Shared, user: &TrackeepUser) -> String {
    token_with(shared, user, None)
}

/// The same, with a token for GitHub in it: as the version before keeps that.
fn token_with(shared: &Shared, user: &TrackeepUser, github: Option<&str>) -> String {
    let now = shared.clock.unix();
    shared.setting(|of| {
        let until = now + i64::try_from(of.token_life.as_secs()).unwrap_or(i64::MAX);
        Claims::new(user, now, until).with_github(github).sign(&of.secret)
    })
}

/// One request: noted, answered, and its answer noted.
async fn handle(shared: Arc<Shared>, mut request: Request<Incoming>) -> Result<Reply, HangUp> {
    let upgrade = socket::wanted(&request).then(|| hyper::upgrade::on(&mut request));
    let request = read(request).await?;
    let who = local::authenticate(&shared, &request).ok().map(|user| user.username);
    let number = shared.log.note(&brief(&request), shared.clock.now(), who);
    let reply = troubled(&shared, &request, upgrade).await?;
    shared.log.note_answer(number, &request, reply.status().as_u16());
    Ok(reply)
}

/// The right answer, or what a knob makes of it.
async fn troubled(
    shared: &Arc<Shared>,
    request: &Recorded,
    upgrade: Option<OnUpgrade>,
) -> Result<Reply, HangUp> {
    let Some(trouble) = shared.knobs.trouble(request.path()) else {
        return Ok(door::enter(shared, request, upgrade).await);
    };
    match &trouble {
        Trouble::Refuse => return Err(HangUp),
        Trouble::Answer { status, headers, body } => {
            return Ok(verbatim(*status, headers, body.clone()));
        }
        Trouble::Delay(time) => tokio::time::sleep(*time).await,
        Trouble::Hold(gate) => gate.pass().await,
        _ => {}
    }
    let reply = door::enter(shared, request, upgrade).await;
    match &trouble {
        Trouble::Swallow => Err(HangUp),
        Trouble::Late(time) => {
            tokio::time::sleep(*time).await;
            Ok(reply)
        }
        _ => Ok(spoil(reply, &trouble).await),
    }
}

/// The whole body, however large: the app has no limit.
async fn read(request: Request<Incoming>) -> Result<Recorded, HangUp> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    Ok(Recorded::new(&Request::from_parts(head, ()), body))
}

/// What the journal keeps of a request.
fn brief(request: &Recorded) -> Recorded {
    let mut brief = request.clone();
    if brief.body.len() > KEPT {
        brief.body = Bytes::new();
    }
    brief
}

/// The body as JSON; `Null` if it is none.
fn json_of(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}
