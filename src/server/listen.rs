//! Accepting: from a socket to a counted connection with TLS, handed to Pingora's proxy.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor as TlsAcceptor;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use socket2::SockRef;
use std::os::fd::AsRawFd;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::admittance::{Place, Source};
use super::connection::{Connection, Peer};
use super::proxy::Proxy;
use super::tls::{self, Certificates};
use super::unix_socket::{SocketFile, UnixSocket};
use super::{Shared, SocketError, StartError};
use crate::config::{ListenerKind, ListenerPlace};

/// How a listener begins a conversation.
pub(super) enum Acceptor {
    Plain { redirects: bool },
    Tls(TlsAcceptor),
}

/// A place that is taken: from now on connections wait there.
#[derive(Debug)]
pub(super) enum Bound {
    Address(std::net::TcpListener),
    Socket(UnixSocket),
}

/// The same under the runtime's care.
pub(super) enum Door {
    Address(TcpListener),
    Socket {
        /// Removed before nobody listens: whoever starts then shall not find a dead one, and replace it.
        _file: SocketFile,
        listener: UnixListener,
        source: Source,
    },
}

/// Somebody who has come.
enum Arrived {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One listening socket at work.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) shared: Arc<Shared>,
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) acceptor: Arc<Acceptor>,
    pub(super) watch: ShutdownWatch,
}

/// For a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// After a failure to accept: most often there are no file descriptors left.
pub(super) const BREATH: Duration = Duration::from_millis(100);

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(kind: &ListenerKind, certificates: Option<&Arc<Certificates>>) -> Self {
        match (certificates, kind) {
            (Some(certificates), ListenerKind::Tls { http2, .. }) => {
                let config = tls::server_config(certificates.clone(), *http2);
                Self::Tls(TlsAcceptor::from_server_config(config))
            }
            _ => Self::Plain { redirects: *kind == ListenerKind::RedirectToHttps },
        }
    }

    async fn begin(&self, arrived: Arrived) -> Option<Stream> {
        let stream = arrived.stream()?;
        match self {
            Self::Plain { .. } => Some(Box::new(stream)),
            Self::Tls(acceptor) => {
                let handshake = timeout(HANDSHAKE_TIMEOUT, acceptor.tls_handshake(stream)).await;
                let stream = handshake.ok()?;
                // Scanners fail handshakes all day long.
                let stream = stream.inspect_err(|e| tracing::debug!("TLS handshake: {e}")).ok()?;
                Some(Box::new(stream))
            }
        }
    }

    fn redirects(&self) -> bool {
        matches!(self, Self::Plain { redirects: true })
    }
}

// === impl Entrance ===

impl Entrance {
    /// Accepts until the server stops.
    pub(super) async fn accept_from(self, door: Door) {
        let mut watch = self.watch.clone();
        loop {
            let accepted = tokio::select! {
                accepted = door.accept() => accepted,
                _ = watch.changed() => return,
            };
            match accepted {
                Ok((arrived, source)) => self.enter(arrived, source),
                Err(error) => {
                    tracing::error!("cannot accept a connection: {error}");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn enter(&self, arrived: Arrived, source: Source) {
        let address = source.address();
        let Some(place) = Place::take(&self.shared, source) else { return };
        let entrance = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let Some(stream) = entrance.acceptor.begin(arrived).await else { return };
            let peer = Peer::new(address, entrance.acceptor.redirects());
            let limits = &entrance.shared.running.load().snapshot.config.limits;
            let connection = Connection::new(stream, peer, limits);
            entrance.proxy.process_new(Box::new(connection), &entrance.watch).await;
        });
    }
}

/// Connections that wait to be taken. The kernel has a bound of its own (`net.core.somaxconn`); the
/// standard library's 128 are gone in one burst, and who comes then waits for seconds.
pub(super) const BACKLOG: i32 = 4096;

// === impl Bound ===

impl Bound {
    pub(super) fn to(place: &ListenerPlace) -> Result<Self, StartError> {
        Ok(match place {
            ListenerPlace::Address(address) => Self::Address(bind(*address)?),
            ListenerPlace::Socket(path, mode) => Self::Socket(UnixSocket::bind(path, *mode)?),
        })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(socket) => socket.local_addr().ok(),
            Self::Socket(_) => None,
        }
    }

    pub(super) fn opened(self) -> Result<Door, StartError> {
        Ok(match self {
            Self::Address(socket) => Door::Address(listener(socket)?),
            Self::Socket(UnixSocket { file, listener }) => {
                let failed = |e| SocketError::System(file.path.clone(), e);
                let listener = UnixListener::from_std(listener).map_err(failed)?;
                let source = Source::Socket(file.path.as_path().into());
                Door::Socket { _file: file, listener, source }
            }
        })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(socket) => match socket.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("an address"),
            },
            Self::Socket(socket) => write!(f, "unix:{}", socket.file.path.display()),
        }
    }
}

// === impl Door ===

impl Door {
    async fn accept(&self) -> io::Result<(Arrived, Source)> {
        match self {
            Self::Address(listener) => {
                let (tcp, address) = listener.accept().await?;
                Ok((Arrived::Tcp(tcp), Source::Address(address.ip().to_canonical())))
            }
            Self::Socket { listener, source, .. } => {
                let (unix, _) = listener.accept().await?;
                Ok((Arrived::Unix(unix), source.clone()))
            }
        }
    }
}

// === impl Arrived ===

impl Arrived {
    fn stream(self) -> Option<L4Stream> {
        let (digest, mut stream) = match self {
            Self::Tcp(tcp) => {
                tcp.set_nodelay(true).ok()?;
                (SocketDigest::from_raw_fd(tcp.as_raw_fd()), L4Stream::from(tcp))
            }
            Self::Unix(unix) => (SocketDigest::from_raw_fd(unix.as_raw_fd()), L4Stream::from(unix)),
        };
        stream.set_socket_digest(digest);
        Some(stream)
    }
}

/// Binds an address: from now on connections wait there.
pub(super) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    let failed = |e| StartError::Listen(address, e);
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    SockRef::from(&socket).listen(BACKLOG).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

/// Puts a bound socket under the runtime's care.
pub(super) fn listener(socket: std::net::TcpListener) -> Result<TcpListener, StartError> {
    let address = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    TcpListener::from_std(socket).map_err(|e| StartError::Listen(address, e))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_burst_of_connections_waits_to_be_taken() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let come = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let waiting: Vec<_> = (0..400).map(come).collect::<Result<_, _>>().unwrap();
        assert_eq!(waiting.len(), 400);
    }
}
