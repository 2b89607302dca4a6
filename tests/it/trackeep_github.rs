//! What Trackeep asks of `api.github.com` comes to the gateway: the recipe of docs/trackeep.md, run as
//! it is written there. The client is written from the contract: which paths, with which fields, over
//! TLS as Go speaks it, by an authority of its own.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gatekeep::simulator::{Installation, Trackeep};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::{Connection, Response};
use crate::support::upstream::Authority;

const DOCUMENTATION: &str = include_str!("../../docs/trackeep.md");

const APP: &str = "https://trackeep.example.com";
const GITHUB: &str = "api.github.com";
const SERVICE: &str = "hq.trackeep.org";

const REPOS: &str = "/user/repos?type=owner&sort=updated&per_page=100";

/// The sign is sent as it is.
const ACTIVITY: &str = "/search/issues?q=author:@me+created:>=2025-03-13&per_page=100";
const INSTALLATIONS: &str = "/user/installations?per_page=100&page=1";
const REPOSITORY: &str = "/repos/octocat/hello-world";

/// An instance behind the gateway, which is GitHub and the service to it.
struct Scene {
    trackeep: Trackeep,
    world: World,
    authority: String,
    _desk: tempfile::TempDir,
}

/// The fenced block of a language that holds some words.
fn block(language: &str, words: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let mut blocks = DOCUMENTATION.split(fence.as_str()).skip(1);
    let found = blocks.find_map(|rest| rest.split("```").next().filter(|it| it.contains(words)));
    found.unwrap_or_else(|| panic!("no block of {language} holds {words}"))
}

/// The authority and the certificate, by the commands that the documentation shows.
#[expect(clippy::print_stderr, reason = "a part that is not tested says so aloud")]
fn certificates(desk: &Path) -> bool {
    let script = block("sh", "nameConstraints");
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: the authority of the recipe: `openssl` is not here");
        return false;
    }
    let made = Command::new("sh").args(["-e", "-c", script]).current_dir(desk).output();
    let made = made.expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    true
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        Self::with(|recipe| recipe)
    }

    /// The recipe with a change of the test's own.
    fn with(change: impl Fn(String) -> String) -> Self {
        let desk = tempfile::tempdir().expect("a directory");
        let public = Authority::new();
        public.issue(desk.path(), "public", &["trackeep.example.com"]);
        let path = |name: &str| desk.path().join(name).display().to_string();
        let authority = if certificates(desk.path()) {
            std::fs::read_to_string(desk.path().join("authority.pem")).expect("a certificate")
        } else {
            let inside = public.issue(desk.path(), "inside", &[GITHUB, SERVICE]);
            std::fs::copy(inside.key, path("inside-key.pem")).expect("it is copied");
            public.pem()
        };
        let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
        let mut recipe = change(block("yaml", "http2: false").to_owned());
        for (written, here) in [
            // For the browsers of this test, which leave TLS to a proxy.
            ("listen:\n", "listen:\n  - address: 127.0.0.1:0\n"),
            ("0.0.0.0:8443", "127.0.0.1:0"),
            ("0.0.0.0:443", "127.0.0.1:0"),
            ("tls/fullchain.pem", &path("public.pem")),
            ("tls/privkey.pem", &path("public.key")),
            ("tls/inside.pem", &path("inside.pem")),
            ("tls/inside-key.pem", &path("inside-key.pem")),
            ("http://trackeep-frontend:3000", trackeep.url()),
            ("http://trackeep-backend:8080", trackeep.url()),
            ("https://api.github.com", "@APP@"),
        ] {
            assert!(recipe.contains(written), "{written} is not in the recipe");
            recipe = recipe.replace(written, here);
        }
        let (keys, routes) = recipe.split_once("routes:").expect("routes");
        let scopes = "scopes: [repo, 'read:org', 'read:user', 'user:email']";
        let keys = format!("github.timeout: 5s, {scopes}, app: @GITHUB_APP@\n{keys}");
        let world = World::with(&keys, routes);
        let inside = world.gate.addresses[2];
        for host in [GITHUB, SERVICE] {
            trackeep.resolve(host, inside);
        }
        trackeep.trust(&authority);
        trackeep.set_control(&format!("https://{SERVICE}:{}", inside.port()));
        trackeep.set_github(&format!("https://{GITHUB}:{}", inside.port()));
        trackeep.set_public_url(APP);
        trackeep.limits(false);
        Self { trackeep, world, authority, _desk: desk }
    }

    /// Where Trackeep's backend finds GitHub.
    fn inside(&self) -> SocketAddr {
        self.world.gate.addresses[2]
    }

    fn signed_in(&self, person: &str) -> Browser {
        self.world.signed_in(person, &format!("{APP}/app")).0
    }

    /// A connection as Go makes one: it would take HTTP/2.
    fn dial(&self, host: &str) -> Connection<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes());
        roots.add(authority.expect("a certificate")).expect("an authority");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let mut session = ClientConnection::new(config.into(), name).expect("a session");
        let mut stream = TcpStream::connect(self.inside()).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it is set");
        while session.is_handshaking() {
            session.complete_io(&mut stream).expect("the certificate is trusted");
        }
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        Connection::over(StreamOwned::new(session, stream))
    }

    /// Sends a request line as it is, with these fields.
    fn send(&self, host: &str, line: &str, fields: &[(&str, &str)]) -> Response {
        let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            write!(request, "{name}: {value}\r\n").expect("memory is written");
        }
        request += "\r\n";
        let mut connection = self.dial(host);
        connection.send(request.as_bytes()).expect("it is sent");
        connection.receive(false).expect("an answer")
    }

    /// `GET` as Trackeep asks GitHub on behalf of somebody.
    fn github(&self, target: &str, token: &str) -> Response {
        self.call(&format!("GET {target}"), token)
    }

    fn call(&self, line: &str, token: &str) -> Response {
        let bearer = format!("Bearer {token}");
        let fields = [
            ("User-Agent", "Trackeep"),
            ("Accept", "application/vnd.github+json"),
            ("X-GitHub-Api-Version", "2022-11-28"),
            ("Authorization", &bearer),
        ];
        self.send(GITHUB, line, &fields)
    }

    /// What the service answers Trackeep on behalf of somebody.
    fn service(&self, path: &str, token: &str) -> Response {
        let bearer = format!("Bearer {token}");
        let fields = [
            ("User-Agent", "Trackeep"),
            ("Accept", "application/json"),
            ("Authorization", &bearer),
        ];
        self.send(SERVICE, &format!("GET {path}"), &fields)
    }

    fn controller_token(&self, person: &str) -> String {
        self.trackeep.controller_token(person).expect("the service gave one")
    }

    /// What Trackeep gets in the place of somebody's token of GitHub.
    fn key(&self, person: &str) -> String {
        let answer =
            self.service("/api/v1/github/user/access-token", &self.controller_token(person));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a text").to_owned()
    }
}

fn cache(answer: &Response) -> &str {
    let field = answer.header("cache-status").unwrap_or_default();
    field.strip_prefix("gatekeep; ").unwrap_or(field)
}

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().expect("a list");
    items.iter().filter_map(|it| it["full_name"].as_str()).collect()
}

#[test]
fn what_trackeep_asks_of_github_is_answered_from_what_is_held() {
    let scene = Scene::new();
    let github = &scene.world.github;
    github.add_repository("octocat/diary", true);
    github.install(Installation::new(7, "octocat").repository(70, "diary"));
    scene.signed_in("octocat");
    let key = scene.key("octocat");
    assert!(key.starts_with("gk_"), "no token of GitHub: {key}");
    for (target, path) in [
        (REPOS, "GET /user/repos"),
        (INSTALLATIONS, "GET /user/installations"),
        (REPOSITORY, "GET /repos/octocat/hello-world"),
    ] {
        let first = scene.github(target, &key);
        assert_eq!((first.status, cache(&first)), (200, "fwd=uri-miss; fwd-status=200; stored"));
        let whole = github.answered(path, 200);
        for _ in 0..2 {
            // It sends no validator, so it is never told 304.
            let again = scene.github(target, &key);
            assert_eq!((again.status, cache(&again)), (200, "fwd=stale; fwd-status=304"));
            assert_eq!(again.body, first.body, "{target}");
        }
        assert_eq!(
            (github.answered(path, 200), github.answered(path, 304)),
            (whole, 2),
            "{target}"
        );
    }
    assert!(names(&scene.github(REPOS, &key).json()).contains(&"octocat/diary"));
    let installations = scene.github(INSTALLATIONS, &key).json();
    assert_eq!(installations["installations"][0]["id"], 7);
    let asked = github.requests();
    let asked = asked.iter().rev().find(|it| it.path().ends_with("/user/repos"));
    let bearer = asked.and_then(|it| it.header("authorization")).expect("a token").to_owned();
    assert!(bearer.starts_with("Bearer gh"), "in the visitor's own name: {bearer}");
}

/// A raw `>` in the address, over TLS.
#[test]
fn the_activity_is_the_visitors_own() {
    let scene = Scene::new();
    let github = &scene.world.github;
    scene.signed_in("octocat");
    scene.signed_in("hubot");
    let found = |person: &str| {
        let answer = scene.github(ACTIVITY, &scene.key(person));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["total_count"].as_u64().expect("a number")
    };
    let before = [found("octocat"), found("hubot")];
    let asked = github.requests();
    let asked = asked.iter().rev().find(|it| it.path().ends_with("/search/issues"));
    let encoded = ACTIVITY.replace('>', "%3E");
    assert!(asked.is_some_and(|it| it.target.ends_with(&encoded)), "{asked:?}");
    github.add_issue("octocat/hello-world", "hubot", "One more", "");
    // A search is asked anew each time.
    assert_eq!([found("octocat"), found("hubot")], [before[0], before[1] + 1]);
}

/// The whole way: a browser, the gateway, the instance, its service, GitHub; two of these are the gateway.
#[test]
fn the_stand_in_shows_its_activity_and_never_has_a_token_of_github() {
    let scene = Scene::new();
    let mut browser = scene.signed_in("octocat");
    scene.world.github.add_issue("octocat/hello-world", "octocat", "One more", "");
    let shown = browser.fetch(&format!("{APP}/api/v1/github/activity"));
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert!(shown.json()["total_count"].as_u64() > Some(0), "{}", shown.text());
    assert_eq!(scene.world.github.calls("GET /search/issues"), 1);
    // Its backups need GitHub's own tokens, and say so.
    scene.world.github.install(Installation::new(7, "octocat").repository(70, "diary"));
    let refused = scene.service(
        "/api/v1/github/app/installations/7/access-token",
        &scene.controller_token("octocat"),
    );
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("`github_token: true`"), "{}", refused.text());
    assert_eq!(scene.world.github.calls("POST /app/installations/7/access_tokens"), 0);
}

#[test]
fn two_people_never_see_each_others() {
    let scene = Scene::new();
    let github = &scene.world.github;
    github.add_repository("octocat/diary", true);
    scene.signed_in("octocat");
    scene.signed_in("hubot");
    let (octocat, hubot) = (scene.key("octocat"), scene.key("hubot"));
    assert_ne!(octocat, hubot);
    for _ in ["asked", "held"] {
        let sees = |key: &str| {
            let all = scene.github(REPOS, key).json();
            names(&all).contains(&"octocat/diary")
        };
        assert_eq!([sees(&octocat), sees(&hubot)], [true, false]);
        let diary = |key: &str| scene.github("/repos/octocat/diary", key).status;
        assert_eq!([diary(&octocat), diary(&hubot)], [200, 404]);
    }
}

#[test]
fn what_is_none_of_trackeeps_calls_does_not_reach_github() {
    let scene = Scene::new();
    scene.signed_in("octocat");
    let key = scene.key("octocat");
    assert_eq!(scene.github(REPOSITORY, &key).status, 200, "control");
    let github = &scene.world.github;
    let reached = github.requests().len();
    for line in [
        "POST /app/installations/7/access_tokens",
        "GET /app/installations/7",
        "GET /installation/repositories?per_page=100",
        "POST /login/oauth/access_token",
        "GET /octocat/hello-world.git/info/refs?service=git-upload-pack",
        "POST /octocat/hello-world.git/git-upload-pack",
        "GET /user/emails",
        "GET /repos/octocat/hello-world/contents/README.md",
        "DELETE /repos/octocat/hello-world",
        "POST /graphql",
        "POST /user/repos",
    ] {
        let answer = scene.call(line, &key);
        assert_eq!(answer.status, 403, "{line}: {}", answer.text());
    }
    // A token of GitHub's own is no key, whoever's it is.
    for token in ["gho_0123456789012345678901234567890123456789", "ghs_x", "", "gatekeep"] {
        let answer = scene.github(REPOS, token);
        assert_eq!((answer.status, answer.header("location")), (401, None), "{token}");
    }
    assert_eq!(scene.send(GITHUB, &format!("GET {REPOS}"), &[]).status, 401);
    assert_eq!(github.requests().len(), reached);
}

/// Somebody who reads the key in the list of the machine's processes tries it everywhere.
#[test]
fn a_key_for_githubs_api_opens_nothing_else() {
    let notes = "  - { name: notes, host: notes.example.com, upstream: '@APP@', allow: anyone }\n";
    let scene = Scene::with(|recipe| recipe + notes);
    scene.signed_in("octocat");
    let (key, token) = (scene.key("octocat"), scene.controller_token("octocat"));
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
    let mut plain = scene.world.browser();
    let reached = (scene.trackeep.requests().len(), scene.world.app.hits());
    for (status, url) in [
        (403, format!("{APP}/api/v1/auth/me")),
        (403, "https://notes.example.com/".to_owned()),
        (401, format!("{APP}/.gatekeep/account")),
        (401, format!("https://{SERVICE}/api/v1/github/repos")),
        (401, format!("https://{SERVICE}/api/v1/github/user/access-token")),
        (401, format!("https://{SERVICE}/api/v1/user/me")),
    ] {
        let answer = plain.send("GET", &url, &headers, "");
        assert_eq!(answer.status, status, "{url}: {}", answer.text());
    }
    let begin =
        format!("https://{SERVICE}/auth/github?redirect_uri={APP}/api/v1/auth/control/callback");
    let sent = plain.send("GET", &begin, &headers, "");
    assert!(!sent.text().contains("token="), "{}", sent.text());
    assert!(!sent.header("location").unwrap_or_default().contains("token="), "{sent:?}");
    // It is no code, and under the other's name no token.
    let body = json!({ "token": key }).to_string();
    let fields = [("content-type", "application/json")];
    let url = format!("https://{SERVICE}/api/v1/auth/control/callback");
    assert_eq!(plain.send("POST", &url, &fields, &body).status, 401);
    let dressed = key.replacen("gk_", "gkc_", 1);
    assert_eq!(scene.service("/api/v1/github/app/info", &dressed).status, 401);
    let dressed = token.replacen("gkc_", "gk_", 1);
    assert_eq!(scene.github(REPOSITORY, &dressed).status, 401);
    let now = (scene.trackeep.requests().len(), scene.world.app.hits());
    assert_eq!(now, reached, "no app has seen any of it");
    assert_eq!(scene.service("/api/v1/github/app/info", &token).status, 200, "control");
    assert_eq!(scene.github(REPOSITORY, &key).status, 200, "control");
}

#[test]
fn a_key_ends_within_two_hours_and_with_what_it_was_given_for() {
    let scene = Scene::new();
    let mut browser = scene.signed_in("octocat");
    let old = scene.key("octocat");
    assert_eq!(scene.key("octocat"), old, "one for all that is asked within the hour");
    scene.world.gate.clock.advance(Duration::from_secs(2 * 3600));
    let key = scene.key("octocat");
    assert_eq!(scene.github(REPOSITORY, &old).status, 401);
    assert_eq!(scene.github(REPOSITORY, &key).status, 200);
    // Its visitor ends what the instance has.
    let page = browser.get(&format!("{APP}/.gatekeep/account")).text();
    let row = page.split("<th scope=\"row\">home</th>").nth(1).expect("a row");
    let field = |name: &str| {
        let rest = row.split(&format!("name=\"{name}\" value=\"")).nth(1);
        rest.and_then(|rest| rest.split('"').next()).expect("a field")
    };
    let form = [("csrf", field("csrf")), ("session", field("session"))];
    assert_eq!(browser.post(&format!("{APP}/.gatekeep/end_session"), &form).status, 303);
    assert_eq!(scene.github(REPOSITORY, &key).status, 401);
    // Nobody else's has ended, until GitHub says so.
    scene.signed_in("hubot");
    let hubot = scene.key("hubot");
    assert_eq!(scene.github(REPOSITORY, &hubot).status, 200);
    scene.world.github.revoke_grant("hubot");
    assert_eq!(scene.github(REPOS, &hubot).status, 401);
}

/// Trackeep asks these in nobody's name: with Go's own fields, or its own.
#[test]
fn releases_are_for_everybody_and_nothing_else_is() {
    let scene = Scene::new();
    let go = [("User-Agent", "Go-http-client/1.1"), ("Accept-Encoding", "gzip")];
    let own = [("User-Agent", "Trackeep-Backend"), ("Accept", "application/vnd.github.v3+json")];
    for (target, fields) in [
        ("/repos/Dvorinka/Trackeep/releases/latest", &go),
        ("/repos/Dvorinka/Trackeep/releases", &go),
        ("/repos/dvorinka/trackeep/releases", &own),
    ] {
        assert_eq!(scene.send(GITHUB, &format!("GET {target}"), fields).status, 200, "{target}");
        let seen = scene.world.app.requests().pop().expect("it was passed on");
        assert_eq!(seen.target, target);
        assert_eq!(seen.all("host"), [GITHUB]);
        assert_eq!(seen.all("user-agent"), [fields[0].1]);
        assert!(seen.all("authorization").is_empty());
    }
    let reached = scene.world.app.hits();
    for target in [
        "/repos/Dvorinka/Trackeep",
        "/repos/Dvorinka/Trackeep/releases/../issues",
        "/repos/Dvorinka/Trackeep/releases%2F..%2F..%2Fother",
        "/repos/Dvorinka%2FTrackeep/releases",
        "/repos/DVORINKA/trackeep/releases",
        "/repos/octocat/hello-world/releases",
    ] {
        let answer = scene.send(GITHUB, &format!("GET {target}"), &go);
        assert!(matches!(answer.status, 400 | 401), "{target}: {}", answer.status);
    }
    assert_eq!(scene.world.app.hits(), reached);
}

#[test]
fn an_instance_has_what_its_operator_says_and_no_more() {
    let nothing = Scene::with(|recipe| recipe.replace("      github_token: gateway\n", ""));
    nothing.signed_in("octocat");
    let path = "/api/v1/github/user/access-token";
    let refused = nothing.service(path, &nothing.controller_token("octocat"));
    assert_eq!(refused.status, 403, "{}", refused.text());
    let real = Scene::with(|recipe| recipe.replace("github_token: gateway", "github_token: true"));
    real.signed_in("octocat");
    let given = real.key("octocat");
    assert!(given.starts_with("gho_"), "{given}");
    assert_eq!(real.github(REPOS, &given).status, 401, "it is for GitHub itself");
}
