use std::convert::Infallible;
use std::net::SocketAddr;

use http::Request;
use http_body_util::Full;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::flows;
use super::*;

type Answer = http::Response<BoxBody<Bytes, Infallible>>;

const WHOLE: usize = 1 << 20;

/// A GitHub that sends without end, or a megabyte. It tells of each endless answer of which a whole
/// window has been sent.
async fn github(full: mpsc::UnboundedSender<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let full = full.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let full = full.clone();
                async move { Ok::<Answer, Infallible>(answered(request.uri().path(), full)) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(connection), answer));
        }
    });
    address
}

fn answered(path: &str, full: mpsc::UnboundedSender<()>) -> Answer {
    if path == "/whole" {
        return Answer::new(Full::new(vec![b'x'; WHOLE].into()).boxed());
    }
    let (mut parts, body) = Channel::new(1);
    tokio::spawn(async move {
        let (part, mut sent) = (Bytes::from(vec![b'x'; 16 << 10]), 0);
        while parts.send_data(part.clone()).await.is_ok() {
            sent += part.len();
            if sent == STREAM_WINDOW as usize {
                full.send(()).ok();
            }
        }
    });
    Answer::new(body.boxed())
}

#[tokio::test]
async fn readers_who_take_nothing_hold_up_nobody() {
    crate::keys::install_jwt_provider();
    let (full, mut is_full) = mpsc::unbounded_channel();
    let address = github(full).await;
    let exchange =
        Exchange(client(trusting(None).unwrap()).http2_prior_knowledge().build().unwrap());
    let mut stalled = Vec::new();
    for _ in 0..flows::MOST {
        let url = format!("http://{address}/endless");
        stalled.push(exchange.send(Method::GET, &url, HeaderMap::new(), None).await.unwrap());
    }
    for _ in 0..flows::MOST {
        let filled = tokio::time::timeout(SILENCE, is_full.recv()).await;
        filled.expect("each has a window of its own");
    }
    let read = exchange.read(&format!("http://{address}/whole"), &HeaderMap::new(), None).await;
    let Ok(Got::Whole(whole)) = read else { panic!("{:?}", read.err()) };
    assert_eq!((whole.bytes.len(), stalled.len()), (WHOLE, flows::MOST as usize));
}
