//! A server on a thread of its own, gone when its handle is dropped.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, thread::JoinHandle};

use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    lines::{Ending, Line, Lines},
    web::Reply,
};

/// Requests that a client may have under way on one connection of HTTP/2, as at GitHub.
const MOST_STREAMS: u32 = 100;

/// The handler wants the connection closed without an answer.
#[derive(Debug)]
pub(super) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulator hangs up")
    }
}

impl std::error::Error for HangUp {}

/// A running server.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How a server speaks: plainly, or with TLS, where clients may ask for HTTP/2.
#[derive(Clone, Default)]
pub(super) struct Manner {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) lines: Arc<Lines>,
}

/// An address taken, not served yet: whoever handles the requests may need to know it.
pub(super) struct Bound {
    listener: std::net::TcpListener,
    pub(super) address: SocketAddr,
}

// === impl Bound ===

impl Bound {
    pub(super) fn to(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Serves plainly until the handle is dropped.
    pub(super) fn serve<H, F>(self, name: &str, handler: H) -> io::Result<Running>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
    {
        self.serve_so(name, Manner::default(), handler)
    }

    /// Serves in this manner until the handle is dropped.
    pub(super) fn serve_so<H, F>(
        self,
        name: &str,
        manner: Manner,
        handler: H,
    ) -> io::Result<Running>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(self.listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(runtime, listener, manner, handler, stopped))?;
        Ok(Running { address: self.address, stop: Some(stop), thread: Some(thread) })
    }
}

fn run<H, F>(
    runtime: Runtime,
    listener: TcpListener,
    manner: Manner,
    handler: H,
    stopped: oneshot::Receiver<()>,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    runtime.block_on(async move {
        tokio::select! {
            () = accept(&listener, manner, handler) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn accept<H, F>(listener: &TcpListener, manner: Manner, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    loop {
        // Out of sockets, or the client left already: give others a turn and go on.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(greet(stream, manner.clone(), handler.clone()));
    }
}

/// Finds out what the client speaks.
async fn greet<H, F>(stream: TcpStream, manner: Manner, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let line = manner.lines.open();
    let Some(tls) = manner.tls else { return converse(stream, line, handler).await };
    // An error here is a client that does not trust us.
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        converse_at_once(stream, line, handler).await;
    } else {
        converse(stream, line, handler).await;
    }
}

/// One request after the other.
async fn converse<S, H, F>(stream: S, mut line: Line, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(handler))
        .with_upgrades();
    let mut served = pin!(served);
    loop {
        tokio::select! {
            // An error here is a client that left, or a handler that hung up on purpose.
            _ = &mut served => return,
            ending = line.ends() => match ending {
                Ending::GoAway => served.as_mut().graceful_shutdown(),
                Ending::Break => return,
            },
        }
    }
}

/// Many requests at once: HTTP/2.
async fn converse_at_once<S, H, F>(stream: S, mut line: Line, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    let served = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(MOST_STREAMS)
        .serve_connection(TokioIo::new(stream), service_fn(handler));
    let mut served = pin!(served);
    loop {
        tokio::select! {
            _ = &mut served => return,
            ending = line.ends() => match ending {
                Ending::GoAway => served.as_mut().graceful_shutdown(),
                Ending::Break => return,
            },
        }
    }
}
