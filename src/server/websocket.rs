//! Connections to apps for requests that want to become a WebSocket.
//!
//! Pingora keeps a request's two halves in one task: one puts the end of the request into a pipe,
//! the other takes it out, or reads what the app says, whichever is ready, by chance. An app that
//! answers 101 quickly enough has its answer read first; the end of the request is then taken for
//! the end of the WebSocket, which is closed at once
//! (<https://github.com/cloudflare/pingora/issues/946>). So the app's answer is not handed out
//! before the end of the request has had its turn.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::ext::{connect, connect_uds};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many times the reader of one connection is still put off.
#[derive(Debug, Default)]
pub(super) struct Patience(AtomicU8);

/// Connects as Pingora does, for one request.
#[derive(Debug)]
struct Connector {
    timeout: Option<Duration>,
    patience: Arc<Patience>,
}

/// A connection whose reader is put off.
#[derive(Debug)]
struct Patient<S> {
    io: S,
    patience: Arc<Patience>,
}

/// How many times the reader is put off; each time the task comes round once more, and with it both
/// halves of the request.
///
/// One would do as long as the half that puts the end into the pipe is polled first, as `try_join!`
/// does today: when the other half first asks for the answer, the end lies there, and it is taken
/// because the answer is not to be had. Two do in either order: polled first, the other half looks
/// into an empty pipe once, and not twice. Both need that nothing which the one half awaits before
/// that is ever pending, so `request_body_filter` must not wait.
const ROUNDS: u8 = 2;

// === impl Patience ===

impl Patience {
    /// Gives this peer a connection of its own, whose reader will be put off. `request` is the
    /// request's id.
    pub(super) fn lend(peer: &mut HttpPeer, request: &str) -> Arc<Self> {
        let patience = Arc::new(Self::default());
        let timeout = peer.options.connection_timeout;
        let connector = Connector { timeout, patience: patience.clone() };
        peer.options.custom_l4 = Some(Arc::new(connector));
        // A connection on which the app refused goes into Pingora's pool, which cannot tell such
        // connections apart and never hands one out: each lies there alone, and not for long.
        peer.group_key = group_of(peer.group_key, request);
        peer.options.idle_timeout = Some(Duration::ZERO);
        patience
    }

    /// The request's header is sent next: whatever is read from here on may be the answer.
    pub(super) fn begin(&self) {
        self.0.store(ROUNDS, Ordering::Relaxed);
    }

    /// Whether the reader has to come again.
    fn puts_off(&self) -> bool {
        let less = |rounds: u8| rounds.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

fn group_of(group: u64, request: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (group, request).hash(&mut hasher);
    hasher.finish()
}

// === impl Connector ===

impl Connector {
    async fn open(&self, address: &SocketAddr) -> Result<Stream> {
        match address {
            SocketAddr::Inet(address) => {
                let io = connect(address, None).await?;
                io.set_nodelay(true).or_err(ErrorType::ConnectError, "failed to set nodelay")?;
                Ok(self.patient(io))
            }
            SocketAddr::Unix(address) => {
                let path = address.as_pathname().ok_or_else(|| {
                    Error::explain(ErrorType::ConnectError, "the socket has no path")
                })?;
                Ok(self.patient(connect_uds(path).await?))
            }
        }
    }

    fn patient<S>(&self, io: S) -> Stream
    where
        Patient<S>: VirtualSocket + 'static,
    {
        let patient = Patient { io, patience: self.patience.clone() };
        VirtualSocketStream::new(Box::new(patient)).into()
    }
}

#[async_trait]
impl L4Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        // Pingora leaves this time-out to whoever connects in its place.
        let Some(timeout) = self.timeout else { return self.open(address).await };
        tokio::time::timeout(timeout, self.open(address)).await.unwrap_or_else(|_| {
            let context = format!("timeout {timeout:?} connecting to server {address}");
            Error::e_explain(ErrorType::ConnectTimedout, context)
        })
    }
}

// === impl Patient ===

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.patience.puts_off() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S> VirtualSocket for Patient<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug,
{
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            // Whoever connected has done it.
            VirtualSockOpt::NoDelay => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use pingora::apps::ServerApp;
    use pingora::http::RequestHeader;
    use pingora::proxy::{ProxyHttp, Session, http_proxy};
    use pingora::server::configuration::ServerConf;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::watch;

    use super::*;

    /// A proxy to an app that is quicker than any other.
    struct ToHastyApp {
        begins: bool,
    }

    #[derive(Debug)]
    struct HastyConnector(Arc<Patience>);

    /// Answers 101 in the very moment in which it is asked, and then says everything back.
    #[derive(Debug, Default)]
    struct HastyApp {
        says: VecDeque<u8>,
        was_asked: bool,
        reader: Option<Waker>,
    }

    const ASK: &str =
        "GET / HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    const YES: &str =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

    impl AsyncRead for HastyApp {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.says.is_empty() {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let count = buf.remaining().min(self.says.len());
            buf.put_slice(&self.says.drain(..count).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for HastyApp {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let answer = if self.was_asked { buf } else { YES.as_bytes() };
            self.was_asked = true;
            self.says.extend(answer);
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[async_trait]
    impl L4Connect for HastyConnector {
        async fn connect(&self, _address: &SocketAddr) -> Result<Stream> {
            let connector = Connector { timeout: None, patience: self.0.clone() };
            Ok(connector.patient(HastyApp::default()))
        }
    }

    #[async_trait]
    impl ProxyHttp for ToHastyApp {
        type CTX = Arc<Patience>;

        fn new_ctx(&self) -> Self::CTX {
            Arc::default()
        }

        async fn upstream_peer(
            &self,
            _session: &mut Session,
            patience: &mut Self::CTX,
        ) -> Result<Box<HttpPeer>> {
            let mut peer = HttpPeer::new(("127.0.0.1", 1), false, String::new());
            *patience = Patience::lend(&mut peer, "request");
            peer.options.custom_l4 = Some(Arc::new(HastyConnector(patience.clone())));
            Ok(Box::new(peer))
        }

        async fn upstream_request_filter(
            &self,
            _session: &mut Session,
            _upstream: &mut RequestHeader,
            patience: &mut Self::CTX,
        ) -> Result<()> {
            if self.begins {
                patience.begin();
            }
            Ok(())
        }
    }

    /// Opens sockets one after the other; how many of them say back what they are told.
    async fn echoes(begins: bool, sockets: usize) -> usize {
        let proxy = Arc::new(http_proxy(&Arc::new(ServerConf::default()), ToHastyApp { begins }));
        let (_stop, watch) = watch::channel(false);
        let mut good = 0;
        for _ in 0..sockets {
            let (mut client, server) = tokio::io::duplex(4096);
            let (proxy, watch) = (proxy.clone(), watch.clone());
            tokio::spawn(async move { proxy.process_new(Box::new(server), &watch).await });
            client.write_all(ASK.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 101 "));
            let mut said = [0; 5];
            let told = client.write_all(b"hello").await;
            let answered = client.read_exact(&mut said).await;
            good += usize::from(told.is_ok() && answered.is_ok() && &said == b"hello");
        }
        good
    }

    /// Without patience about every other one is closed. Should all of them live one day, Pingora
    /// has mended it, and this file may go.
    #[tokio::test]
    async fn a_hasty_app_keeps_its_sockets() {
        assert_eq!(echoes(true, 200).await, 200);
        assert!(echoes(false, 200).await < 200, "control");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_come_is_given_up() {
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let full = full.listen(0).unwrap();
        let address = full.local_addr().unwrap();
        // The one for which there is room.
        let _first = tokio::net::TcpStream::connect(address).await.unwrap();
        let timeout = Some(Duration::from_millis(20));
        let connector = Connector { timeout, patience: Arc::default() };
        let error = L4Connect::connect(&connector, &SocketAddr::Inet(address)).await.err();
        assert_eq!(error.map(|e| e.etype().clone()), Some(ErrorType::ConnectTimedout));
    }
}
