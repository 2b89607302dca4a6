//! The way out: which addresses the instance's own requests go to, and whom it trusts there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Certificate, Client, redirect::Policy};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use crate::simulator::record::lock;

/// As the control service's client has it.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Outside {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    hosts: BTreeMap<String, SocketAddr>,
    pem: String,
    /// Made anew when what it knows has changed.
    client: Option<Client>,
}

// === impl Outside ===

impl Outside {
    pub(super) fn resolve(&self, host: &str, address: SocketAddr) {
        let mut known = lock(&self.known);
        known.hosts.insert(host.to_owned(), address);
        known.client = None;
    }

    pub(super) fn trust(&self, pem: &str) {
        let mut known = lock(&self.known);
        pem.clone_into(&mut known.pem);
        known.client = None;
    }

    /// A client like Go's: it follows redirects, takes gzip, and speaks HTTP/2 where it is offered.
    pub(super) fn client(&self) -> Result<Client, String> {
        let mut known = lock(&self.known);
        if known.client.is_none() {
            known.client = Some(known.make().map_err(|why| chain(&why))?);
        }
        known.client.clone().ok_or_else(|| "there is no client".to_owned())
    }

    /// Asks for exactly this target, whatever stands in it: Go sends a raw `>` as it is. Returns status
    /// and body.
    pub(super) async fn get_raw(
        &self,
        base: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<(u16, Vec<u8>)> {
        let url = Url::parse(base).map_err(io::Error::other)?;
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let path = url.path().trim_end_matches('/');
        let mut request = format!("GET {path}{target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").map_err(io::Error::other)?;
        }
        request += "Connection: close\r\n\r\n";
        let work = async {
            let stream = TcpStream::connect(self.address(&url)?).await?;
            if url.scheme() == "http" {
                return exchange(stream, &request).await;
            }
            let name = url.host_str().unwrap_or_default().to_owned();
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            exchange(self.tls()?.connect(name, stream).await?, &request).await
        };
        tokio::time::timeout(PATIENCE, work).await?
    }

    fn address(&self, url: &Url) -> io::Result<SocketAddr> {
        let host = url.host_str().unwrap_or_default();
        if let Some(address) = lock(&self.known).hosts.get(host) {
            return Ok(*address);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().unwrap_or(80);
        let mut found = (host, port).to_socket_addrs()?;
        found.next().ok_or_else(|| io::Error::other("no such host"))
    }

    fn tls(&self) -> io::Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        for found in CertificateDer::pem_slice_iter(lock(&self.known).pem.as_bytes()) {
            roots.add(found.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

// === impl Known ===

impl Known {
    fn make(&self) -> reqwest::Result<Client> {
        // Somebody may have chosen already; then it is theirs.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(Policy::limited(MOST_REDIRECTS))
            .user_agent("Trackeep")
            .tls_certs_only(Certificate::from_pem_bundle(self.pem.as_bytes())?);
        for (host, address) in &self.hosts {
            builder = builder.resolve(host, *address);
        }
        builder.build()
    }
}

/// What went wrong, with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

async fn exchange<S>(mut stream: S, request: &str) -> io::Result<(u16, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // Many close a connection of TLS without saying so.
    match stream.read_to_end(&mut answer).await {
        Err(why) if why.kind() != io::ErrorKind::UnexpectedEof => return Err(why),
        _ => {}
    }
    read(&answer).ok_or_else(|| io::Error::other("malformed HTTP response"))
}

fn read(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let chunked = head
        .lines()
        .any(|line| line.starts_with("transfer-encoding:") && line.ends_with("chunked"));
    Some((status, if chunked { unchunk(body)? } else { body.to_vec() }))
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let from = line + 2;
        body.extend_from_slice(rest.get(from..from.checked_add(size)?)?);
        rest = rest.get(from + size + 2..)?;
    }
}
