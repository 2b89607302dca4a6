//! Real clients of GitHub's API, unmodified: they know the gateway's address and a key of its, and
//! nothing else of it.

mod gh;
mod octokit;
mod pygithub;
mod recorded;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::child::Child;

/// What a client came to know, and what reached GitHub meanwhile.
type Came = (Value, Vec<String>);

/// A gateway that programs on this machine reach at its own address, and a key that opens it.
struct Room {
    world: World,
    /// Where GitHub's API is.
    base: String,
    key: String,
}

const ROUTES: &str = r"
  - { name: github, path: /github, upstream: github, allow: anyone }
";

const ENTERPRISE: &str = r"
  - { name: github, upstream: { github: { enterprise_paths: true } }, allow: anyone }
";

// === impl Room ===

impl Room {
    /// The key is octocat's, who lets the gateway write.
    fn open() -> Self {
        Self::with(ROUTES, "/github")
    }

    /// The same at the addresses of a GitHub Enterprise Server.
    fn enterprise() -> Self {
        Self::with(ENTERPRISE, "/api/v3")
    }

    fn with(routes: &str, path: &str) -> Self {
        let port = free_port();
        let listen = format!("{{ address: '127.0.0.1:{port}' }}");
        Self::at(&format!("http://127.0.0.1:{port}"), &listen, routes, path)
    }

    /// At its origin, with listeners of which the first speaks no TLS.
    fn at(origin: &str, listen: &str, routes: &str, path: &str) -> Self {
        let keys = format!(
            "github.timeout: 5s, scopes: [repo]\nlisten: [{listen}]\npublic_url: {origin}\n"
        );
        let world = World::with(&keys, routes);
        let base = format!("{origin}{path}");
        let (mut browser, page) = world.signed_in("octocat", &format!("{base}/user"));
        assert_eq!(page.status, 200, "{}", page.text());
        let key = make_key(&mut browser, origin);
        Self { world, base, key }
    }

    /// Runs a client through one of its scenarios.
    fn run(&self, command: &mut Command, scenario: &[&str]) -> Came {
        self.run_through(None, command, scenario)
    }

    /// The same for a client that waits for a pause to end, once it has said this line. The gateway's
    /// time stands still, so it is moved then.
    fn run_through(
        &self,
        pause: Option<(&str, Duration)>,
        command: &mut Command,
        scenario: &[&str],
    ) -> Came {
        let before = self.world.github.journal().len();
        command.args(scenario);
        command.env("GATEKEEP_URL", &self.base).env("GATEKEEP_KEY", &self.key);
        let mut client = Child::start(command);
        if let Some((line, pause)) = pause {
            client.wait_for(line, 1);
            self.world.gate.clock.advance(pause);
        }
        let status = client.end();
        let said = client.said();
        assert!(status.success(), "{scenario:?}: {status}\n{said}");
        let came = said.lines().find_map(|line| line.strip_prefix("came "));
        let came = came.unwrap_or_else(|| panic!("{scenario:?} says nothing:\n{said}"));
        (serde_json::from_str(came).expect("it says JSON"), self.asked_after(before))
    }

    /// What reached GitHub's API after that many requests, as `GET /user 200`.
    fn asked_after(&self, seen: usize) -> Vec<String> {
        let journal = self.world.github.journal();
        let asked = journal[seen..].iter().map(|entry| {
            let (method, target) = (&entry.request.method, &entry.request.target);
            let path = target.strip_prefix("/api/v3").unwrap_or(target);
            format!("{method} {path} {}", entry.status.unwrap_or_default())
        });
        asked.collect()
    }
}

fn free_port() -> u16 {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    port.expect("a free port").port()
}

/// Makes a key on the account page.
fn make_key(browser: &mut Browser, origin: &str) -> String {
    let between = |text: &str, start: &str, end: &str| {
        let inside = text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
        inside.unwrap_or_else(|| panic!("no {start} in {text}")).0.to_owned()
    };
    let page = browser.get(&format!("{origin}/.gatekeep/account")).text();
    let form = between(&page, "action=\"/.gatekeep/api_keys\"", "</form>");
    let csrf = between(&form, "name=\"csrf\" value=\"", "\"");
    let fields = [("csrf", csrf.as_str()), ("name", "ci"), ("days", "7"), ("route", "github")];
    let page = browser.post(&format!("{origin}/.gatekeep/api_keys"), &fields).text();
    between(&page, "<dt>API key</dt><dd><code>", "</code>")
}

/// A file of the clients' own.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(path)
}

/// Whether a client is there. Where it is not, its tests are skipped, said aloud; in CI they fail.
#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
pub(crate) fn is_there(client: &str, program: &Path, package: &Path) -> bool {
    let runs = Command::new(program).arg("--version").output().is_ok();
    let is_there = runs && package.exists();
    if !is_there {
        let missing = if runs { package } else { program };
        let why = format!("{} is missing (./scripts/test installs it)", missing.display());
        assert!(std::env::var_os("CI").is_none(), "{client} does not run: {why}");
        eprintln!("SKIPPED: {client} does not run through the gateway: {why}");
    }
    is_there
}
