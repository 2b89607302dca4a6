//! A connection of a client: buffered, and given only so long to send a request header.
//!
//! Pingora's own header time-out is per read, so a byte a minute would hold a connection for days.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{ALPN, SslDigest, TlsRef};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::request_line;
use crate::config::Limits;
use crate::gateway::{LastSession, RequestClient};

/// What requests know of their connection. Travels with Pingora's session as user data.
#[derive(Debug)]
pub(super) struct Peer {
    /// Who holds the other end.
    pub(super) client: RequestClient,
    /// The session of the request before.
    pub(super) last: LastSession,
    /// Answers every request with the `https` address.
    pub(super) redirects: bool,
    /// HTTP/2 has many requests at once: the deadline is for the first alone.
    h2: bool,
    phase: AtomicU8,
    fragment: AtomicBool,
}

/// A connection with its deadline.
pub(super) struct Connection {
    io: BufWriter<Stream>,
    peer: Arc<ProxyDigest>,
    header_timeout: Duration,
    /// Bytes that the present header may still take.
    header_room: usize,
    header_bytes: usize,
    deadline: Option<Pin<Box<Sleep>>>,
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether the request line has not ended yet.
    in_line: bool,
    /// Bytes that were rewritten and wait to be read.
    rewritten: BytesMut,
}

/// Between requests: Pingora's keep-alive timer counts.
const IDLE: u8 = 0;
/// Some bytes of a header have come: the deadline counts.
const HEADER: u8 = 1;
/// The header is complete.
const BODY: u8 = 2;

/// What may come behind a header in one read.
const READ_BUFFER: usize = 64 * 1024;

/// How long a client may take nothing of its answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A small answer leaves in one segment.
const WRITE_BUFFER: usize = 4096;

// === impl Peer ===

impl Peer {
    /// Whoever comes from an address, or by a Unix socket.
    pub(super) fn new(address: Option<IpAddr>, redirects: bool) -> Self {
        let client = RequestClient::direct(address);
        let (phase, fragment) = (AtomicU8::new(IDLE), AtomicBool::new(false));
        Self { client, last: LastSession::default(), redirects, h2: false, phase, fragment }
    }

    /// The header is complete: the deadline is met.
    pub(super) fn header_done(&self) {
        self.phase.store(BODY, Ordering::Relaxed);
    }

    /// Whether the present request line held a fragment.
    pub(super) fn saw_fragment(&self) -> bool {
        self.fragment.load(Ordering::Relaxed)
    }

    /// The request is over: the next header may come.
    pub(super) fn request_done(&self) {
        if self.h2 {
            return;
        }
        self.fragment.store(false, Ordering::Relaxed);
        self.phase.store(IDLE, Ordering::Relaxed);
    }
}

// === impl Connection ===

impl Connection {
    /// Takes a connection over, after TLS.
    pub(super) fn new(io: Stream, mut peer: Peer, limits: &Limits) -> Self {
        if matches!(io.selected_alpn_proto(), Some(ALPN::H2)) {
            // The deadline covers preface and first request; Pingora's handshake has none.
            peer.h2 = true;
            peer.phase.store(HEADER, Ordering::Relaxed);
        }
        let response = ResponseHeader::build(200, None).expect("200 is a status");
        let digest = ProxyDigest::new(Box::new(response), Some(Box::new(peer)));
        Self {
            io: BufWriter::with_capacity(WRITE_BUFFER, io),
            peer: Arc::new(digest),
            header_timeout: limits.header_timeout,
            header_room: 0,
            header_bytes: limits.header_bytes + READ_BUFFER,
            deadline: None,
            stall: None,
            in_line: false,
            rewritten: BytesMut::new(),
        }
    }

    fn phase(&self) -> Option<&AtomicU8> {
        peer_of(&self.peer).map(|peer| &peer.phase)
    }

    /// Whether the header took too long. The timer is made only for a header that did not come in
    /// one read.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let phase = self.phase().map_or(BODY, |phase| phase.load(Ordering::Relaxed));
        if phase != HEADER {
            self.deadline = None;
            return false;
        }
        let timeout = self.header_timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        deadline.as_mut().poll(cx).is_ready()
    }

    /// Passes a write's outcome on, and ends a write that makes no progress. The timer is made only
    /// for a write that has to wait.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Looks at bytes that have just come. The first after a request begin a request line.
    fn note_bytes(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let Some(peer) = peer_of(&self.peer).filter(|peer| !peer.h2) else { return Ok(()) };
        let (relaxed, phase) = (Ordering::Relaxed, &peer.phase);
        let begins = phase.compare_exchange(IDLE, HEADER, relaxed, relaxed).is_ok();
        if begins {
            self.header_room = self.header_bytes;
        }
        if phase.load(relaxed) == HEADER {
            // Pingora would gather a megabyte before it looks.
            let room = self.header_room.checked_sub(buf.filled().len() - before);
            self.header_room = room.ok_or(io::ErrorKind::InvalidData)?;
        }
        if !begins && !self.in_line {
            return Ok(());
        }
        let bytes = &buf.filled()[before..];
        let line = request_line::inspect(bytes);
        self.in_line = !line.ends;
        if line.fragment {
            peer.fragment.store(true, relaxed);
        }
        if let Some(rewritten) = line.rewritten {
            self.rewritten.extend_from_slice(&rewritten);
            self.rewritten.extend_from_slice(&bytes[line.length..]);
            buf.set_filled(before);
            self.hand_out(buf);
        }
        Ok(())
    }

    /// Gives out rewritten bytes, as many as there is room for.
    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.rewritten.len().min(buf.remaining());
        buf.put_slice(&self.rewritten.split_to(count));
    }
}

/// The peer that travels in a digest.
pub(super) fn peer_of(digest: &ProxyDigest) -> Option<&Peer> {
    digest.user_data.as_ref()?.downcast_ref()
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.rewritten.is_empty() {
            self.hand_out(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before {
                    self.note_bytes(buf, before)?;
                }
                Poll::Ready(result)
            }
            Poll::Pending if self.is_late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.unless_stalled(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.unless_stalled(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.unless_stalled(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

// === impl IO: everything else is the inner stream's ===

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        drop(tokio::io::AsyncWriteExt::flush(&mut self.io).await);
        self.io.get_mut().shutdown().await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.io.get_ref().id()
    }
}

impl Ssl for Connection {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.io.get_ref().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.get_ref().selected_alpn_proto()
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.io.get_ref().get_timing_digest()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.peer.clone())
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.get_ref().get_socket_digest()
    }
}

impl Peek for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &peer_of(&self.peer)).finish_non_exhaustive()
    }
}
