//! A server on a thread of its own, gone when its handle is dropped.

use std::{io, net::SocketAddr, thread::JoinHandle};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use super::web::Reply;

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

    /// Serves until the handle is dropped.
    pub(super) fn serve<H, F>(self, name: &str, handler: H) -> io::Result<Running>
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
            .spawn(move || run(runtime, listener, handler, stopped))?;
        Ok(Running { address: self.address, stop: Some(stop), thread: Some(thread) })
    }
}

fn run<H, F>(runtime: Runtime, listener: TcpListener, handler: H, stopped: oneshot::Receiver<()>)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    runtime.block_on(async move {
        tokio::select! {
            () = accept(&listener, handler) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn accept<H, F>(listener: &TcpListener, handler: H)
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
        tokio::spawn(converse(stream, handler.clone()));
    }
}

async fn converse<H, F>(stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    // An error here is a client that left, or a handler that hung up on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(handler))
        .with_upgrades()
        .await;
}
