//! The real Trackeep, where somebody has built one: its backend, a database of its own, and nothing
//! of the world but what the test says that there is.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::child::Child;
use super::upstream::{read_head, serve};
use super::{eventually, http};

/// A running backend, which serves the frontend's pages as well; all of it ends when dropped.
pub(crate) struct RealTrackeep {
    pub(crate) url: String,
    /// All that it sees of the world.
    pub(crate) outside: Outside,
    backend: Child,
    postgres: Child,
    _directory: TempDir,
    _data: TempDir,
}

/// A proxy (`CONNECT`, RFC 9110 §9.3.6) that is all a program gets to see of the world.
pub(crate) struct Outside {
    address: SocketAddr,
    hosts: Arc<Mutex<HashMap<String, SocketAddr>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

/// The account at the database.
const ACCOUNT: &str = "trackeep";

// === impl RealTrackeep ===

impl RealTrackeep {
    /// Starts what `GATEKEEP_TRACKEEP` names: a directory with `backend/backend`, the program, and
    /// `frontend/dist`, the pages, made for this origin. Why not, if it cannot be.
    pub(crate) fn start(
        origin: &str,
        authorities: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let built = std::env::var_os("GATEKEEP_TRACKEEP").map(PathBuf::from);
        let built = built.ok_or("GATEKEEP_TRACKEEP names no built Trackeep")?;
        for part in ["backend/backend", "frontend/dist/index.html"] {
            assert!(built.join(part).exists(), "GATEKEEP_TRACKEEP is set, but has no {part}");
        }
        let (data, outside) = (tempfile::tempdir().expect("a directory"), Outside::start());
        let postgres = postgres(data.path())?;
        // It looks for the pages beside the directory that it runs in, and leaves files there.
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("backend");
        std::fs::create_dir(&home).expect("it can be made");
        let frontend = directory.path().join("frontend");
        std::os::unix::fs::symlink(built.join("frontend"), frontend).expect("it can be made");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = port.expect("a free port");
        let proxy = format!("http://{}", outside.address);
        let mut command = Command::new(built.join("backend/backend"));
        command.current_dir(&home).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs([("HOME", home.as_os_str()), ("SSL_CERT_FILE", authorities.as_os_str())]);
        command.envs([("DB_HOST", data.path().as_os_str())]);
        command.envs([
            ("PORT", &*address.port().to_string()),
            ("GIN_MODE", "release"),
            ("DB_TYPE", "postgres"),
            ("DB_PORT", "5432"),
            ("DB_USER", ACCOUNT),
            ("DB_NAME", "postgres"),
            ("DB_PASSWORD", "not-asked-for"),
            ("DB_SSL_MODE", "disable"),
            // Its second factor takes nothing but 64 hexadecimal digits.
            ("JWT_SECRET", &*"0123456789abcdef".repeat(4)),
            ("ENCRYPTION_KEY", "for-tests-abcdefghijklmnop-0123456789"),
            ("PUBLIC_API_URL", origin),
            ("FRONTEND_URL", origin),
            ("CORS_ALLOWED_ORIGINS", origin),
            ("READ_TIMEOUT", "15m"),
            ("WRITE_TIMEOUT", "15m"),
            ("VITE_DEMO_MODE", "false"),
            ("DRAGONFLY_ADDR", "127.0.0.1:1"),
            ("HTTPS_PROXY", &*proxy),
            ("HTTP_PROXY", &*proxy),
        ]);
        command.envs(settings.iter().copied());
        let backend = Child::start(&mut command);
        let trackeep = Self {
            url: format!("http://{address}"),
            outside,
            backend,
            postgres,
            _directory: directory,
            _data: data,
        };
        trackeep.backend.wait_for("Server starting on port", 1);
        eventually("Trackeep listens", || TcpStream::connect(address).is_ok());
        Ok(trackeep)
    }

    /// What its backend printed.
    pub(crate) fn said(&self) -> String {
        self.backend.said()
    }
}

impl Drop for RealTrackeep {
    /// A database that is killed leaves shared memory behind.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.backend.signal("KILL");
            self.postgres.signal("INT");
            self.postgres.end();
        }
    }
}

// === impl Outside ===

impl Outside {
    fn start() -> Self {
        let (hosts, refused) =
            (Arc::<Mutex<HashMap<String, SocketAddr>>>::default(), Arc::default());
        let address = {
            let (hosts, refused) = (Arc::clone(&hosts), Arc::<Mutex<Vec<String>>>::clone(&refused));
            serve(move |_, mut client| {
                let Some(head) = read_head(&mut client) else { return };
                let asked = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let known = hosts.lock().expect("nobody panics in here").get(&asked).copied();
                let Some(known) = known else {
                    refused.lock().expect("nobody panics in here").push(asked);
                    drop(client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"));
                    return;
                };
                let server = TcpStream::connect(known).expect("it listens");
                drop(client.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
                pipe(&client, &server);
            })
        };
        Self { address, hosts, refused }
    }

    /// `host:port` is here.
    pub(crate) fn lead(&self, host: &str, address: SocketAddr) {
        self.hosts.lock().expect("nobody panics in here").insert(host.to_owned(), address);
    }

    /// What was asked for and is nowhere, in order.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().expect("nobody panics in here").clone()
    }
}

/// Carries bytes both ways until one side ends.
fn pipe(one: &TcpStream, other: &TcpStream) {
    let half = |mut from: TcpStream, mut to: TcpStream| {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    };
    let copy = |stream: &TcpStream| stream.try_clone().expect("it is open");
    let back = (copy(other), copy(one));
    let back = std::thread::spawn(move || half(back.0, back.1));
    half(copy(one), copy(other));
    drop(back.join());
}

/// GitHub's API as it is on the web, at the root of a host and with TLS, in front of a simulated one.
pub(crate) fn public_api(github: SocketAddr, tls: Arc<ServerConfig>) -> SocketAddr {
    serve(move |_, stream| {
        let Ok(connection) = ServerConnection::new(tls.clone()) else { return };
        let mut stream = StreamOwned::new(connection, stream);
        while let Some(head) = read_head(&mut stream) {
            // Trackeep's query has a `>` in it, which GitHub takes.
            let head = head.replacen(" /", " /api/v3/", 1).replace('>', "%3E");
            let head = head.replace("Accept-Encoding: gzip\r\n", "");
            let Some(answer) = http::raw(github, head.as_bytes()) else { return };
            let (status, length) = (answer.status, answer.body.len());
            let kind = answer.header("content-type").unwrap_or("application/json");
            let head = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
            );
            let all = [head.as_bytes(), &answer.body].concat();
            if stream.write_all(&all).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    })
}

/// A database in this directory, reached by a socket there. It does not run as root.
fn postgres(directory: &Path) -> Result<Child, String> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if is_root {
        let given = Command::new("chown").arg(ACCOUNT_OF_POSTGRES).arg(directory).status();
        given.map_err(|e| e.to_string())?;
    }
    let command = |name: &str| {
        let program = postgres_program(name);
        let mut command = Command::new(if is_root { Path::new("setpriv") } else { &program });
        if is_root {
            let account = ["--reuid", ACCOUNT_OF_POSTGRES, "--regid", ACCOUNT_OF_POSTGRES];
            command.args(account).args(["--clear-groups", "--"]).arg(&program);
        }
        command.current_dir(directory).arg("-D").arg(directory.join("data"));
        command
    };
    let made = command("initdb").args(["--auth=trust", "--no-sync", "-U", ACCOUNT]).output();
    let made = made.map_err(|e| format!("initdb: {e} (no PostgreSQL here)"))?;
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let mut server = command("postgres");
    server.arg("-k").arg(directory).args(["-c", "listen_addresses=", "-c", "fsync=off"]);
    let server = Child::start(&mut server);
    server.wait_for("ready to accept connections", 1);
    Ok(server)
}

/// Whom the database runs as where the test runs as root.
const ACCOUNT_OF_POSTGRES: &str = "postgres";

/// Debian keeps the programs of a server out of the way.
fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name));
    found.filter(|program| program.exists()).max().unwrap_or_else(|| name.into())
}
