//! A Redis server of the test's own: on free ports, in a directory of its own.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekeep::clock::System;
use gatekeep::store::{Redis, RedisSettings};
use tempfile::TempDir;

use super::child::Child;
use super::eventually;
use super::upstream::Authority;

/// A running server; killed when dropped.
pub(crate) struct RedisServer {
    child: Option<Child>,
    program: Vec<String>,
    /// The plain port, and the one for TLS or the cluster's bus.
    pub(crate) port: u16,
    pub(crate) other_port: u16,
    pub(crate) directory: TempDir,
}

/// Ports are free when they are asked for, and may be taken when they are used.
const ATTEMPTS: usize = 5;

// === impl RedisServer ===

impl RedisServer {
    /// A server with further lines of configuration: `@PORT@`, `@OTHER@` and `@DIR@` are replaced.
    /// `None` where there is no Redis, said aloud.
    pub(crate) fn start(lines: &str) -> Option<Self> {
        Self::start_with(lines, &[])
    }

    /// One that takes TLS on `other_port`, with a certificate of this authority.
    pub(crate) fn start_tls(authority: &Authority, lines: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let pair = authority.issue(directory.path(), "redis", &["localhost", "127.0.0.1"]);
        let tls = format!(
            "tls-port @OTHER@\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no\n",
            pair.certificate.display(),
            pair.key.display()
        );
        let server = Self::start(&format!("{tls}{lines}"))?;
        // The certificate was read; its directory can go.
        Some(server)
    }

    /// A sentinel that watches this master, on its own.
    pub(crate) fn start_sentinel(master: &Self) -> Option<Self> {
        let lines = format!(
            "sentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 300\n\
             sentinel failover-timeout main 3000\n",
            master.port
        );
        Self::start_with(&lines, &["--sentinel"])
    }

    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    fn start_with(lines: &str, arguments: &[&str]) -> Option<Self> {
        if let Err(why) = Command::new("redis-server").arg("--version").output() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "redis-server: {why}");
            eprintln!("SKIPPED: no test on a real Redis: {why} (no redis-server here)");
            return None;
        }
        for _ in 0..ATTEMPTS {
            let mut server = Self::configured(lines, arguments);
            if server.runs() {
                return Some(server);
            }
        }
        panic!("no port is free");
    }

    fn configured(lines: &str, arguments: &[&str]) -> Self {
        let (port, other_port) = free_ports();
        let directory = tempfile::tempdir().expect("a directory");
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nprotected-mode no\n",
            directory.path().display()
        );
        if arguments.is_empty() {
            text.push_str("appendonly yes\nappendfsync always\nrepl-diskless-sync-delay 0\n");
        }
        let lines = lines
            .replace("@PORT@", &port.to_string())
            .replace("@OTHER@", &other_port.to_string())
            .replace("@DIR@", &directory.path().display().to_string());
        writeln!(text, "{lines}").expect("it is a string");
        let file = directory.path().join("redis.conf");
        std::fs::write(&file, text).expect("it can be written");
        let mut program = vec![file.display().to_string()];
        program.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Self { child: None, program, port, other_port, directory }
    }

    /// Starts it; false if its port has been taken.
    fn runs(&mut self) -> bool {
        let child = Child::start(Command::new("redis-server").args(&self.program));
        let mut taken = false;
        eventually("Redis starts", || {
            let said = child.said();
            taken = said.contains("Failed listening") || said.contains("Could not create server");
            let fatal = said.contains("FATAL CONFIG FILE ERROR");
            assert!(!fatal, "{said}");
            let accepts = TcpStream::connect(self.address()).is_ok();
            taken || (accepts && (said.contains("Ready to accept") || said.contains("Sentinel ID")))
        });
        self.child = Some(child);
        !taken
    }

    /// Where it listens without TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The same as a URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        self.child = None;
    }

    /// Starts it again on the same port, with the data it had. Returns when it began to accept.
    pub(crate) fn restart(&mut self) -> Instant {
        self.stop();
        eventually("its port is free again", || self.runs());
        Instant::now()
    }

    /// Starts it again with no data.
    pub(crate) fn restart_empty(&mut self) -> Instant {
        self.stop();
        let data: PathBuf = self.directory.path().join("appendonlydir");
        std::fs::remove_dir_all(data).expect("there was data");
        self.restart()
    }

    /// Asks it something, as its operator.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &str) -> T {
        self.try_ask(words).unwrap_or_else(|e| panic!("{words}: {e}"))
    }

    /// The same, when it may say no.
    pub(crate) fn try_ask<T: redis::FromRedisValue>(&self, words: &str) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection()?;
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection)
    }

    /// A gateway's store here.
    pub(crate) fn store(&self) -> Redis {
        store(&self.url(), |_| ())
    }
}

/// A store at a URL with settings of the test's own. The usual limit is for machines at rest.
pub(crate) fn store(url: &str, change: impl FnOnce(&mut RedisSettings)) -> Redis {
    let mut settings = RedisSettings {
        urls: vec![url.to_owned()],
        timeout: Duration::from_secs(5),
        ..RedisSettings::default()
    };
    change(&mut settings);
    Redis::connect(settings, Arc::new(System)).expect("good settings")
}

fn free_ports() -> (u16, u16) {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    let both = (listen(), listen());
    (port(&both.0), port(&both.1))
}
