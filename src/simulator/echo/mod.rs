//! An app to stand behind the gateway: it shows and returns exactly what reached it.

mod jwks;
mod jwt;
mod page;
mod reading;
mod seen;
mod socket;
mod streams;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

pub use self::seen::Seen;
use self::seen::Visits;
use super::{
    record::{header_list, lock},
    serve::{Bound, HangUp, Running},
    web::{Pairs, Reply, first, full, html, json, pairs, text},
};

/// How much of a body is kept to be returned.
const KEPT: usize = 64 * 1024;

/// What the app knows of the gateway before it.
#[derive(Clone, Debug)]
pub struct EchoSettings {
    /// Where the gateway publishes the keys of its tokens, over plain HTTP.
    pub jwks_url: Option<String>,
    /// Below which path the gateway's own pages are, such as `/.gatekeep`.
    pub prefix: String,
}

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    jwks_url: Mutex<Option<String>>,
    prefix: String,
    visits: Visits,
    streams: AtomicUsize,
}

/// A running demo app; it stops when dropped.
#[derive(Debug)]
pub struct Echo {
    shared: Arc<Shared>,
    url: String,
    server: Running,
}

// === impl Echo ===

impl Echo {
    /// Starts on this address. Port 0 takes a free one.
    pub fn start(address: SocketAddr, settings: EchoSettings) -> io::Result<Self> {
        let bound = Bound::to(address)?;
        let url = format!("http://{}", bound.address);
        let shared = Arc::new(Shared {
            jwks_url: Mutex::new(settings.jwks_url),
            prefix: settings.prefix.trim_end_matches('/').to_owned(),
            visits: Visits::default(),
            streams: AtomicUsize::new(0),
        });
        let handler = {
            let shared = Arc::clone(&shared);
            move |request| handle(Arc::clone(&shared), request)
        };
        let server = bound.serve("demo-app", handler)?;
        Ok(Self { shared, url, server })
    }

    /// `http://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Says where the keys are, for a gateway that started after the app.
    pub fn set_jwks_url(&self, url: &str) {
        *lock(&self.shared.jwks_url) = Some(url.to_owned());
    }

    /// The last 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.visits.all()
    }

    /// How many requests came since the start.
    pub fn hits(&self) -> usize {
        self.shared.visits.count()
    }

    /// How many event streams and sockets are open now.
    pub fn open_streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }
}

async fn handle(shared: Arc<Shared>, mut request: Request<Incoming>) -> Result<Reply, HangUp> {
    let visit = shared.visits.note(&request);
    let query = pairs(request.uri().query().unwrap_or_default().as_bytes());
    let number = |name, otherwise| number(&query, name, otherwise);
    match request.uri().path() {
        "/hang" => std::future::pending::<()>().await,
        "/ws" if socket::wanted(&request) => return Ok(socket::accept(&shared, &mut request)),
        "/events" => return Ok(streams::events(&shared, number("n", 3))),
        "/big" => {
            let chunked = first(&query, "chunked").is_some();
            return Ok(streams::big(number("bytes", 1024 * 1024), chunked));
        }
        _ => {}
    }
    let (head, body) = request.into_parts();
    let (bytes, kept) = drain(body).await?;
    shared.visits.body_was(visit, bytes);
    let request = Request::from_parts(head, ());
    let status = match request.uri().path().strip_prefix("/status/") {
        Some(status) => status_of(status),
        None => StatusCode::OK,
    };
    if request.uri().path() == "/slow" {
        tokio::time::sleep(Duration::from_millis(number("ms", 1_000))).await;
    }
    let mut reply = answer(&shared, &request, status, bytes, kept).await;
    if request.uri().path() == "/set-cookie" {
        set_cookies(&mut reply, &query);
    }
    Ok(reply)
}

/// A page for a browser, JSON for everybody else.
async fn answer(
    shared: &Arc<Shared>,
    request: &Request<()>,
    status: StatusCode,
    bytes: u64,
    kept: Option<Bytes>,
) -> Reply {
    if matches!(status.as_u16(), 204 | 205 | 304) {
        let mut empty = text(status, "");
        empty.headers_mut().remove(header::CONTENT_TYPE);
        *empty.body_mut() = full("");
        return empty;
    }
    if !wants_page(request) {
        return json(status, &reading::echo(request, bytes, kept));
    }
    let headers = header_list(request.headers());
    let jwks_url = lock(&shared.jwks_url).clone();
    let passport = jwt::Passport::read(&headers);
    // Fetching blocks, and the app must go on answering: the gateway may ask it meanwhile.
    let checked = tokio::task::spawn_blocking(move || {
        let verdict = passport.as_ref().map_or_else(
            || Err("there is no token in this request".to_owned()),
            |passport| passport.verify(jwks_url.as_deref()),
        );
        (passport, verdict)
    });
    let (passport, verdict) = checked.await.unwrap_or((None, Err("the check broke".to_owned())));
    let target = request.uri().to_string();
    let page = page::Page { target: &target, headers: &headers, passport, verdict };
    html(status, page.render(&shared.prefix))
}

fn wants_page(request: &Request<()>) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let accepts = request.headers().get_all(header::ACCEPT).iter();
    reads && accepts.filter_map(|it| it.to_str().ok()).any(|accept| accept.contains("text/html"))
}

/// Reads the body to its end; returns its length and, if it is short, the body itself.
async fn drain(mut body: Incoming) -> Result<(u64, Option<Bytes>), HangUp> {
    let (mut length, mut kept) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| HangUp)?.into_data() else { continue };
        length += data.len() as u64;
        if length < KEPT as u64 {
            kept.extend_from_slice(&data);
        }
    }
    Ok((length, (length < KEPT as u64).then(|| kept.into())))
}

/// 200 to 599; what is no final status is a bad request.
fn status_of(number: &str) -> StatusCode {
    let number = number.parse().ok().filter(|number| (200..600).contains(number));
    number.and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or(StatusCode::BAD_REQUEST)
}

/// `?name=a&value=1&name=b&value=2`.
fn set_cookies(reply: &mut Reply, query: &Pairs) {
    for pair in query.windows(2) {
        if (pair[0].0.as_str(), pair[1].0.as_str()) != ("name", "value") {
            continue;
        }
        let cookie = format!("{}={}; Path=/", pair[0].1, pair[1].1);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            reply.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

fn number(query: &Pairs, name: &str, otherwise: u64) -> u64 {
    first(query, name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}
