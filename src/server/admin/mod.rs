//! The admin listener: metrics, health and operators' commands, on an address of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pingora::server::ShutdownWatch;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Shared;
use super::listen::BREATH;

mod budgets;
mod commands;
mod reply;

use commands::Command;

/// Connections at once: a scraper, a health check, an operator.
const MOST_CONNECTIONS: usize = 64;
/// For a connection in all: who does not read keeps nobody out.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// For a request header to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the process ends: while requests in flight finish, `/readyz` says so.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, stopping: ShutdownWatch) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (shared, stopping) = (shared.clone(), stopping.clone());
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(|request| answer(&shared, &stopping, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(tcp), answer);
            drop(tokio::time::timeout(CONNECTION_TIMEOUT, connection).await);
        });
    }
}

async fn answer(
    shared: &Arc<Shared>,
    stopping: &ShutdownWatch,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(command) = Command::at(request.uri().path()) {
        return Ok(command.answer(shared, request).await);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n"));
    }
    Ok(match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(shared, stopping).await,
        "/metrics" => metrics(shared),
        _ => text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"),
    })
}

async fn readiness(shared: &Shared, stopping: &ShutdownWatch) -> Response<Full<Bytes>> {
    if *stopping.borrow() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match shared.gateway.unready().await {
        None => text(StatusCode::OK, "ready\n"),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

fn metrics(shared: &Shared) -> Response<Full<Bytes>> {
    shared.count_dropped_lines();
    let mut response = Response::new(Full::from(shared.metrics.encode()));
    let format = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
