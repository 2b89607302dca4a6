//! Small servers behind the gateway, where the test decides what is answered and when, and
//! certificates for them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An app that answers each request when the test says so.
pub(crate) struct Held {
    pub(crate) url: String,
    arrived: Receiver<String>,
    release: Sender<()>,
}

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM files.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// For something to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a free port: each connection on a thread of its own, numbered from 0.
pub(crate) fn serve(answer: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(number, stream));
        }
    });
    address
}

/// Reads a header, byte by byte so that nothing after it is lost; `None` at the end.
pub(crate) fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// The first value of a field in a header.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Answers 200 with this text and keeps the connection.
pub(crate) fn answer(stream: &mut impl Write, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    // A gateway that left is the test's to notice.
    drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
}

// === impl Held ===

impl Held {
    pub(crate) fn start() -> Self {
        let (came, arrived) = channel();
        let (release, released) = channel();
        let shared = Arc::new(Mutex::new((came, released)));
        let address = serve(move |_, mut stream| {
            while let Some(head) = read_head(&mut stream) {
                let shared = shared.lock().expect("nobody panics in here");
                drop(shared.0.send(head.clone()));
                if shared.1.recv().is_err() {
                    return;
                }
                drop(shared);
                let length = field(&head, "content-length").and_then(|n| n.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                if stream.read_exact(&mut body).is_err() {
                    return;
                }
                answer(&mut stream, &format!("finished after {} bytes", body.len()));
            }
        });
        Self { url: format!("http://{address}"), arrived, release }
    }

    /// Waits until a request has come; returns its header.
    pub(crate) fn arrived(&self) -> String {
        self.arrived.recv_timeout(PATIENCE).expect("a request comes")
    }

    /// Answers one request.
    pub(crate) fn release(&self) {
        self.release.send(()).expect("the app lives");
    }
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes a certificate for these names and its key into a directory.
    pub(crate) fn issue(&self, directory: &Path, name: &str, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let pair = Pair {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        std::fs::write(&pair.certificate, certificate.pem()).expect("it can be written");
        std::fs::write(&pair.key, key.serialize_pem()).expect("it can be written");
        pair
    }

    /// What a client needs to trust it, and nobody else.
    pub(crate) fn client_config(&self, protocols: &[&str]) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        let builder = rustls::ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

// === impl Pair ===

impl Pair {
    /// As a server's configuration.
    pub(crate) fn server_config(&self) -> Arc<rustls::ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("a key");
        let builder = rustls::ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![self.der()], key).expect("they fit"))
    }

    /// The same, offering these protocols.
    pub(crate) fn server_config_of(&self, protocols: &[&str]) -> Arc<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::clone(&self.server_config());
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The certificate as it travels.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.certificate).expect("a certificate")
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
