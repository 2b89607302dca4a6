//! A program of its own beside the test: its output line by line, signals, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::{eventually, http};

/// A running program; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    output: Arc<Output>,
}

/// What a program printed on both outputs.
#[derive(Default)]
struct Output {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    ended: usize,
}

/// `gatekeep run` on a configuration file in a directory of its own.
pub(crate) struct Run {
    pub(crate) child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) file: PathBuf,
    /// Reads the configuration again this many times so far.
    reloads: usize,
    _directory: TempDir,
}

/// For a line or an end: a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(40);

/// The binary under test.
pub(crate) fn gatekeep() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatekeep"))
}

// === impl Child ===

impl Child {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        let output = Arc::new(Output::default());
        listen(process.stdout.take().expect("it is piped"), &output);
        listen(process.stderr.take().expect("it is piped"), &output);
        Self { process, output }
    }

    /// Waits until the text has been printed this many times; returns the last such line.
    pub(crate) fn wait_for(&self, text: &str, times: usize) -> String {
        let said = self.output.wait(|said| said.with(text).count() >= times || said.ended == 2);
        let found = said.with(text).nth(times - 1).map(str::to_owned);
        let all = said.lines.join("\n");
        drop(said);
        found.unwrap_or_else(|| panic!("`{text}` was not printed {times} times:\n{all}"))
    }

    /// Waits until a text has been printed; `None` if it ended without.
    pub(crate) fn printed(&self, text: &str) -> Option<String> {
        let said = self.output.wait(|said| said.with(text).next().is_some() || said.ended == 2);
        said.with(text).next().map(str::to_owned)
    }

    /// Everything printed so far.
    pub(crate) fn said(&self) -> String {
        self.output.said().lines.join("\n")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
        assert!(sent.expect("there is a shell").success(), "SIG{name} cannot be sent");
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let ended = self.output.wait(|said| said.ended == 2).ended == 2;
        assert!(ended, "it goes on and on:\n{}", self.said());
        self.process.wait().expect("it can be waited for")
    }

    /// The peak of its memory so far and what it has now, in bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(&path).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
            kilobytes * 1024
        };
        (field("VmHWM:"), field("VmRSS:"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

// === impl Output ===

impl Output {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is so, or patience ends.
    fn wait(&self, is_so: impl Fn(&Said) -> bool) -> MutexGuard<'_, Said> {
        let waited = self.more.wait_timeout_while(self.said(), PATIENCE, |said| !is_so(said));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Said {
    fn with<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().map(String::as_str).filter(move |line| line.contains(text))
    }
}

fn listen(pipe: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = output.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            output.said().lines.push(line);
            output.more.notify_all();
        }
        output.said().ended += 1;
        output.more.notify_all();
    });
}

// === impl Run ===

impl Run {
    /// Runs the gateway; returns when it listens and takes signals.
    pub(crate) fn start(yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("gatekeep.yaml");
        std::fs::write(&file, yaml).expect("it can be written");
        let child = Child::start(gatekeep().arg("run").arg(&file));
        child.wait_for("GitHub sends visitors back to", 1);
        let said = child.said();
        let after = |text: &str| -> Vec<SocketAddr> {
            let found = said.lines().filter_map(|line| line.split_once(text));
            // A Unix socket has none.
            found.filter_map(|(_, address)| address.trim().parse().ok()).collect()
        };
        let addresses = after("listening on ");
        let admin = after("health on http://")[0];
        let address = addresses[0];
        let run =
            Self { child, addresses, address, admin, file, reloads: 0, _directory: directory };
        // It is set when SIGHUP is taken.
        eventually("the first configuration is in force", || {
            run.metric("gatekeep_config_last_reload_successful") == Some(1.0)
        });
        run
    }

    /// Writes a new configuration and waits until it is in force.
    pub(crate) fn reload(&mut self, yaml: &str) {
        std::fs::write(&self.file, yaml).expect("it can be written");
        self.hang_up();
    }

    /// Has the configuration read again and waits until it is in force.
    pub(crate) fn hang_up(&mut self) {
        self.reloads += 1;
        self.child.signal("HUP");
        self.child.wait_for("is in force", self.reloads);
    }

    /// The present value of a metric.
    pub(crate) fn metric(&self, line: &str) -> Option<f64> {
        let text = get(self.admin, "/metrics").text();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }
}

/// Asks for a path without any cookie.
pub(crate) fn get(address: SocketAddr, path: &str) -> http::Response {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    http::raw(address, request.as_bytes()).expect("an answer")
}
