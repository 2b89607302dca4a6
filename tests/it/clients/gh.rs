//! GitHub's own command line, `gh`: it speaks HTTPS alone, and knows a host and no path; or plain HTTP by
//! a Unix socket, as if to GitHub.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{ENTERPRISE, Room, file, free_port, is_there, make_key};
use crate::support::child::Child;
use crate::support::upstream::Authority;
use crate::support::{PUBLIC, World};

const ISSUES: &str = "/repos/octocat/hello-world/issues";

/// A gateway with a certificate of an authority that nobody knows but who is told.
struct Secure {
    room: Room,
    host: String,
    directory: TempDir,
}

/// A gateway at a socket, in the place of GitHub.
struct Local {
    room: Room,
    socket: PathBuf,
    directory: TempDir,
}

/// GitHub's API at its own name.
const AS_GITHUB: &str = r"
  - { name: github, host: api.github.com, upstream: github, allow: anyone }
";

/// What `gh` printed, and what reached GitHub.
struct Ran {
    is_success: bool,
    said: String,
    asked: Vec<String>,
}

// === impl Secure ===

impl Secure {
    /// `None` where there is no `gh`.
    fn open() -> Option<Self> {
        if !is_there("gh", Path::new("gh"), &file("")) {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let pair = authority.issue(directory.path(), "leaf", &["localhost"]);
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("it is written");
        let port = free_port();
        // A name, for the browser that signs in comes to the listener without TLS.
        let host = format!("localhost:{port}");
        let listen = format!(
            "{{ address: '127.0.0.1:0' }}, {{ address: '127.0.0.1:{port}', tls: [{{ certificate: '{}', key: '{}' }}] }}",
            pair.certificate.display(),
            pair.key.display()
        );
        let room = Room::at(&format!("https://{host}"), &listen, ENTERPRISE, "/api/v3");
        Some(Self { room, host, directory })
    }

    fn gh(&self, words: &[&str]) -> Ran {
        self.gh_with(&self.room.key, words)
    }

    fn gh_with(&self, key: &str, words: &[&str]) -> Ran {
        let home = self.directory.path();
        let mut command = command(home, words);
        command.env("GH_HOST", &self.host).env("GH_ENTERPRISE_TOKEN", key);
        command.env("SSL_CERT_FILE", home.join("ca.pem"));
        ran(&self.room, &mut command)
    }
}

// === impl Local ===

impl Local {
    /// `None` where there is no `gh`.
    fn open() -> Option<Self> {
        if !is_there("gh", Path::new("gh"), &file("")) {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("api.sock");
        let keys = format!(
            "github.timeout: 5s, scopes: [repo]\n\
             listen: [{{ address: '127.0.0.1:0' }}, {{ unix: {} }}]\n",
            socket.display()
        );
        let (world, base) = (World::with(&keys, AS_GITHUB), "https://api.github.com".to_owned());
        // A browser that comes to that name is at GitHub, so the key is made elsewhere.
        let account = format!("{PUBLIC}/.gatekeep/account");
        let (mut browser, page) = world.signed_in("octocat", &account);
        assert_eq!(page.status, 200, "{}", page.text());
        let key = make_key(&mut browser, PUBLIC);
        let local = Self { room: Room { world, base, key }, socket, directory };
        let set = local.gh(&["config", "set", "http_unix_socket", &local.socket.to_string_lossy()]);
        assert!(set.is_success, "{}", set.said);
        Some(local)
    }

    fn gh(&self, words: &[&str]) -> Ran {
        self.gh_with(&self.room.key, words)
    }

    fn gh_with(&self, key: &str, words: &[&str]) -> Ran {
        ran(&self.room, command(self.directory.path(), words).env("GH_TOKEN", key))
    }
}

/// `gh` as it is, with nothing of who runs the test.
fn command(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("gh");
    command.args(words).env("NO_COLOR", "1");
    for place in ["HOME", "TMPDIR", "GH_CONFIG_DIR", "XDG_CACHE_HOME"] {
        command.env(place, home);
    }
    let of_others =
        ["GH_HOST", "GH_TOKEN", "GITHUB_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "HTTPS_PROXY"];
    for name in of_others {
        command.env_remove(name);
    }
    command.env("GH_NO_UPDATE_NOTIFIER", "1").env("GH_PROMPT_DISABLED", "1");
    command
}

fn ran(room: &Room, command: &mut Command) -> Ran {
    let before = room.world.github.journal().len();
    let mut gh = Child::start(command);
    let is_success = gh.end().success();
    Ran { is_success, said: gh.said(), asked: room.asked_after(before) }
}

#[test]
fn gh_asks_who_one_is() {
    let Some(secure) = Secure::open() else { return };
    let ran = secure.gh(&["api", "user"]);
    assert!(ran.is_success, "{}", ran.said);
    let user: Value = serde_json::from_str(&ran.said).expect("JSON");
    assert_eq!(user["login"], "octocat");
    assert_eq!(user["url"], format!("https://{}/api/v3/users/octocat", secure.host));
    assert_eq!(ran.asked, ["GET /user 200"]);
    let key = secure.room.key.as_str();
    let sent = secure.room.world.github.requests();
    assert!(!sent.iter().any(|request| format!("{request:?}").contains(key)));
}

#[test]
fn gh_follows_links_from_page_to_page() {
    let Some(secure) = Secure::open() else { return };
    let first = format!("{}?per_page=20", &ISSUES[1..]);
    let words = ["api", "--paginate", &first, "--jq", ".[].number"];
    let numbers: Vec<_> = (1..=66).rev().map(|number| number.to_string()).collect();
    let github = &secure.room.world.github;
    let id = github.repository_id("octocat/hello-world");
    let page = |page| format!("/repositories/{id}/issues?per_page=20&page={page}");
    let paths = [format!("{ISSUES}?per_page=20"), page(2), page(3), page(4)];
    let mut charged = 0;
    for status in [200, 304] {
        charged = github.charged() - charged;
        let ran = secure.gh(&words);
        assert!(ran.is_success, "{}", ran.said);
        assert_eq!(ran.said.lines().collect::<Vec<_>>(), numbers);
        assert_eq!(ran.asked, paths.clone().map(|path| format!("GET {path} {status}")));
        charged = github.charged() - charged;
    }
}

/// By GraphQL.
#[test]
fn gh_lists_and_shows_issues() {
    let Some(secure) = Secure::open() else { return };
    let of = ["-R", "octocat/hello-world"];
    let ran = secure.gh(&[&["issue", "list", "--limit", "3"][..], &of].concat());
    assert!(ran.is_success, "{}", ran.said);
    let shown: Vec<_> = ran.said.lines().filter_map(|line| line.rsplit_once("\t\t")).collect();
    let shown: Vec<_> = shown.into_iter().map(|(line, _)| line.to_owned()).collect();
    let expected = [65, 64, 63].map(|number| format!("{number}\tOPEN\tIssue number {number}"));
    assert_eq!(shown, expected, "{}", ran.said);
    assert!(ran.asked.iter().all(|asked| asked == "POST /api/graphql 200"), "{:?}", ran.asked);
    let ran = secure.gh(&[&["issue", "view", "1"][..], &of].concat());
    assert!(ran.is_success, "{}", ran.said);
    for line in ["title:\tIssue number 1", "author:\tmona", "comments:\t1"] {
        assert!(ran.said.lines().any(|said| said == line), "{line}: {}", ran.said);
    }
    let ran = secure.gh(&[&["issue", "view", "1000"][..], &of].concat());
    assert!(!ran.is_success && ran.said.contains("Could not resolve to"), "{}", ran.said);
}

#[test]
fn gh_writes_what_it_is_told() {
    let Some(secure) = Secure::open() else { return };
    let words =
        ["api", &ISSUES[1..], "-f", "title=Gruß", "-f", "body=🚀", "--jq", ".number, .title"];
    let ran = secure.gh(&words);
    assert!(ran.is_success, "{}", ran.said);
    assert_eq!(ran.said, "67\nGruß");
    assert_eq!(ran.asked, [format!("POST {ISSUES} 201")]);
}

/// What a person reads at the terminal where something is refused.
#[test]
fn gh_tells_why_it_was_refused() {
    let Some(secure) = Secure::open() else { return };
    let denied = secure.gh(&["api", "app/installations"]);
    assert!(!denied.is_success);
    assert!(denied.said.contains("This path of GitHub's API is not passed on"), "{}", denied.said);
    assert!(denied.said.contains("HTTP 403"), "{}", denied.said);
    let foreign = secure.gh_with("gk_nonsense", &["api", "user"]);
    assert!(!foreign.is_success);
    assert!(foreign.said.contains("This API key is not good"), "{}", foreign.said);
    assert!(foreign.said.contains("HTTP 401"), "{}", foreign.said);
    assert_eq!((denied.asked, foreign.asked), (vec![], vec![]));
    let missing = secure.gh(&["api", "repos/octocat/nothing"]);
    assert!(missing.said.contains("gh: Not Found (HTTP 404)"), "{}", missing.said);
    secure.room.world.github.set_remaining("octocat", "core", 0);
    for who in ["GitHub said it", "the gateway said it"] {
        let spent = secure.gh(&["api", ISSUES]);
        assert!(!spent.is_success, "{who}");
        assert!(spent.said.contains("gh: API rate limit exceeded"), "{who}: {}", spent.said);
        assert!(spent.said.contains("(HTTP 403)"), "{who}: {}", spent.said);
        assert_eq!(spent.asked.len(), usize::from(who.starts_with("GitHub")), "{who}");
    }
}

// === By a Unix socket ===

#[test]
fn gh_at_a_socket_takes_the_gateway_for_github() {
    let Some(local) = Local::open() else { return };
    let ran = local.gh(&["api", "user"]);
    assert!(ran.is_success, "{}", ran.said);
    let user: Value = serde_json::from_str(&ran.said).expect("JSON");
    assert_eq!(user["login"], "octocat");
    assert_eq!(user["url"], "https://api.github.com/users/octocat");
    assert_eq!(ran.asked, ["GET /user 200"]);
    let (key, sent) = (local.room.key.as_str(), local.room.world.github.requests());
    assert!(!sent.iter().any(|request| format!("{request:?}").contains(key)));
    let first = format!("{}?per_page=20", &ISSUES[1..]);
    let ran = local.gh(&["api", "--paginate", &first, "--jq", ".[].number"]);
    let numbers: Vec<_> = (1..=66).rev().map(|number| number.to_string()).collect();
    assert_eq!(ran.said.lines().collect::<Vec<_>>(), numbers);
    assert_eq!(ran.asked.len(), 4, "a page each: {:?}", ran.asked);
}

/// By GraphQL, and back.
#[test]
fn gh_at_a_socket_lists_and_writes() {
    let Some(local) = Local::open() else { return };
    let ran = local.gh(&["issue", "list", "--limit", "3", "-R", "octocat/hello-world"]);
    assert!(ran.is_success && ran.said.contains("65\tOPEN\tIssue number 65"), "{}", ran.said);
    assert!(ran.asked.iter().all(|asked| asked == "POST /api/graphql 200"), "{:?}", ran.asked);
    let ran = local.gh(&["api", &ISSUES[1..], "-f", "title=Gruß", "--jq", ".number, .title"]);
    assert_eq!(ran.said, "67\nGruß");
    assert_eq!(ran.asked, [format!("POST {ISSUES} 201")]);
}

#[test]
fn gh_at_a_socket_with_a_foreign_token_is_told_so() {
    let Some(local) = Local::open() else { return };
    let foreign = local.gh_with("gho_of_somebody_at_github", &["api", "user"]);
    assert!(!foreign.is_success && foreign.said.contains("HTTP 401"), "{}", foreign.said);
    assert!(foreign.asked.is_empty(), "{:?}", foreign.asked);
}
