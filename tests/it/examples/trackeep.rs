//! What goes with Trackeep: the guide's helper for GitHub's API, and a set of containers.

use std::path::Path;
use std::process::Command;

use gatekeep::simulator::Trackeep;
use serde_json::{Value, json};

use super::{file, free_port};
use crate::clients::is_there;
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::child::{Child, gatekeep};
use crate::support::http::Response;
use crate::support::upstream::Authority;

/// What a page does with the helper; the browser's part, to send the cookie, is done here.
const PAGE: &str = r"
const { GitHubAPI, trackRepositoryActivity } = await import(process.env.HELPER)
const { COOKIE: cookie, BASE: base } = process.env
const ask = (url, { headers }) => fetch(url, { headers: cookie ? { ...headers, cookie } : headers })
const github = new GitHubAPI(base, ask)
const names = async list => (await list).map(it => it.full_name ?? it.name ?? it.sha ?? it.title)
try {
  const came = {
    repos: await names(github.getUserRepos()),
    commits: (await github.getRepoCommits('octocat', 'hello-world')).map(it => it.commit.message),
    pulls: await names(github.getRepoPulls('octocat', 'hello-world')),
    branches: await names(github.getBranches('octocat', 'hello-world')),
    activity: (await github.getActivity('2025-03-13')).length,
    issues: (await github.list('/repos/octocat/hello-world/issues?per_page=20')).length,
    tracked: await trackRepositoryActivity(github, 'octocat/hello-world')
  }
  console.log('came ' + JSON.stringify(came))
} catch (error) {
  console.log('came ' + JSON.stringify({ status: error.status, message: error.message }))
}
";

/// A gateway with GitHub's API at `/github`, as programs on this machine reach it.
struct Room {
    world: World,
    origin: String,
}

// === impl Room ===

impl Room {
    fn open() -> Self {
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let keys = format!(
            "github.timeout: 5s, scopes: [repo, 'read:org']\nlisten: [{{ address: '127.0.0.1:{port}' }}]\n\
             public_url: {origin}\n"
        );
        let helper = text("trackeep/github.mjs");
        let route: Vec<_> = helper.lines().filter_map(|line| line.strip_prefix("//   ")).collect();
        let routes = format!("\n  {}\n", route.join("\n  "));
        Self { world: World::with(&keys, &routes), origin }
    }

    /// What the page comes to know with this cookie.
    fn page(&self, cookie: &str) -> Value {
        let mut node = Command::new("node");
        node.args(["--input-type=module", "--eval", PAGE]).env("COOKIE", cookie);
        node.env("HELPER", file("trackeep/github.mjs"))
            .env("BASE", format!("{}/github", self.origin));
        let mut program = Child::start(&mut node);
        let status = program.end();
        let said = program.said();
        assert!(status.success(), "{status}\n{said}");
        let came = said.lines().find_map(|line| line.strip_prefix("came "));
        serde_json::from_str(came.expect("it says what came")).expect("it says JSON")
    }
}

#[test]
fn the_guides_helper_needs_no_token() {
    let helper = file("trackeep/github.mjs");
    if !is_there("The guide's helper", Path::new("node"), &helper) {
        return;
    }
    let room = Room::open();
    let (browser, page) =
        room.world.signed_in("octocat", &format!("{}/github/user/repos", room.origin));
    assert_eq!(page.status, 200, "{}", page.text());
    let host = room.origin.trim_start_matches("http://").to_owned();
    let cookies = browser.cookies(&host);
    let cookie: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let came = room.page(&cookie.join("; "));
    let expected = json!({
        "repos": came["repos"],
        "commits": ["Say hello", "First commit"],
        "pulls": ["Add a comma"],
        "branches": ["feature/comma", "main"],
        "activity": 30,
        "issues": 66,
        "tracked": { "repo": "octocat/hello-world", "commits": 2, "pullRequests": 1 },
    });
    assert_eq!(came, expected);
    let repos = came["repos"].as_array().expect("a list");
    assert!(repos.contains(&json!("octocat/hello-world")) && repos.contains(&json!("acme/rocket")));

    // Whoever is not signed in is told so, and GitHub hears nothing of it.
    let asked = room.world.github.journal().len();
    let refused = room.page("");
    assert_eq!(refused["status"], 401, "{refused}");
    assert_eq!(room.world.github.journal().len(), asked);
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).expect("it is there")
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What starts with `docker compose up` is what the gateway's configuration speaks of, and only the
/// gateway can be reached.
#[test]
fn the_containers_and_the_configuration_are_about_the_same() {
    let (compose, gatekeep) = (yaml("trackeep/docker-compose.yml"), yaml("trackeep/gatekeep.yaml"));
    let services = &compose["services"];
    let every = ["dragonfly", "gatekeep", "postgres", "trackeep-backend", "trackeep-frontend"];
    assert_eq!(names(services), every);
    for name in every {
        let service = &services[name];
        assert_eq!(service["ports"].is_array(), name == "gatekeep", "{name} has ports");
        for needed in names(&service["depends_on"]) {
            assert!(services[needed].is_object(), "{name} needs {needed}");
        }
        for network in names(&service["networks"]) {
            assert!(names(&compose["networks"]).contains(&network), "{name}: {network}");
        }
        for volume in names(&service["volumes"]) {
            let from = volume.split(':').next().unwrap_or_default();
            let known = from.starts_with("./") || names(&compose["volumes"]).contains(&from);
            assert!(known, "{name}: {volume}");
            assert!(!volume.contains("docker.sock"), "{name} has the machine");
        }
    }
    // The servers of the route listen where it says.
    let route = &gatekeep["routes"][0];
    let backend = &route["preset"]["trackeep"]["backend"];
    let ports = [(&route["upstream"], "FRONTEND_PORT"), (backend, "BACKEND_PORT")];
    for (upstream, variable) in ports {
        let (name, port) = upstream
            .as_str()
            .and_then(|url| url.strip_prefix("http://")?.split_once(':'))
            .expect("a URL");
        assert_eq!(services[name]["environment"][variable], port, "{name}");
        assert!(names(&services[name]["networks"]).contains(&"inside"), "{name}");
    }
    // Gatekeep listens where its ports lead.
    let own = &services["gatekeep"];
    let leads_to = |port: &&str| format!("0.0.0.0:{}", port.rsplit(':').next().unwrap_or_default());
    let led_to: Vec<_> = names(&own["ports"]).iter().map(leads_to).collect();
    let listens = gatekeep["listen"].as_array().expect("listeners").iter();
    assert_eq!(
        listens.map(|one| one["address"].as_str().unwrap_or_default()).collect::<Vec<_>>(),
        led_to
    );
    // The backend finds the service under its own name, at its own port, and believes its certificate.
    let aliases = &own["networks"]["inside"]["aliases"];
    assert_eq!((aliases, names(aliases)), (&gatekeep["broker"]["hosts"], vec!["hq.trackeep.org"]));
    assert!(led_to.contains(&"0.0.0.0:443".to_owned()));
    let certificate = gatekeep["listen"][0]["tls"][1]["certificate"].as_str().expect("a file");
    let backend = &services["trackeep-backend"];
    let trusted = backend["environment"]["SSL_CERT_FILE"].as_str().expect("a file");
    let mount = format!("./{certificate}:{trusted}:ro");
    assert!(names(&backend["volumes"]).contains(&&*mount), "{mount}");
    // One name for browsers, in all of it.
    let environment = text("trackeep/.env.example");
    let host =
        environment.lines().find_map(|line| line.strip_prefix("TRACKEEP_HOST=")).expect("a host");
    let origin = format!("https://{host}");
    assert_eq!((&gatekeep["public_url"], &route["host"]), (&json!(origin), &json!(host)));
    let callback = format!("{origin}/api/v1/auth/control/callback");
    assert_eq!(gatekeep["broker"]["instances"][0]["redirects"], json!([callback]));
    for variable in ["PUBLIC_API_URL", "FRONTEND_URL", "CORS_ALLOWED_ORIGINS"] {
        assert_eq!(backend["environment"][variable], "https://${TRACKEEP_HOST:?}", "{variable}");
    }
}

/// Every secret that the containers want has its line in the example, and no value there; and what the
/// configuration reads from the environment is what its container gets.
#[test]
fn the_environment_is_named_and_empty() {
    let compose = text("trackeep/docker-compose.yml");
    let wanted = compose.split("${").skip(1).filter_map(|rest| rest.split(":?").next());
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let example = text("trackeep/.env.example");
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let mut named: Vec<_> = lines.filter_map(|line| line.split_once('=')).collect();
    named.sort_unstable();
    let theirs: Vec<_> = named.iter().map(|(name, _)| *name).collect();
    assert_eq!(theirs, wanted);
    let secrets = named.iter().filter(|(name, _)| *name != "TRACKEEP_HOST");
    assert!(secrets.map(|(_, value)| value).all(|value| value.is_empty()));
    let gatekeep = text("trackeep/gatekeep.yaml");
    let read = gatekeep.split("env: ").skip(1).filter_map(|rest| rest.split(' ').next());
    let mut read: Vec<_> = read.collect();
    read.sort_unstable();
    assert_eq!(
        read,
        names(&yaml("trackeep/docker-compose.yml")["services"]["gatekeep"]["environment"])
    );
}

/// Nobody has to have Docker; where it is, it reads what an operator gives it.
#[test]
fn docker_compose_understands_the_containers() {
    let asked = Command::new("docker").args(["compose", "version"]).output();
    if !asked.is_ok_and(|output| output.status.success()) {
        return eprintln!(
            "SKIPPED: no Docker Compose reads the example's containers: none is here"
        );
    }
    let filled: String = text("trackeep/.env.example").replace("=\n", "=filled-in\n");
    let folder = tempfile::tempdir().expect("a folder");
    let environment = folder.path().join("env");
    std::fs::write(&environment, filled).expect("written");
    let mut command = Command::new("docker");
    command.args(["compose", "--env-file"]).arg(&environment).arg("--file");
    let output =
        command.arg(file("trackeep/docker-compose.yml")).args(["config", "--quiet"]).output();
    let output = output.expect("it ran a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_configuration_is_accepted_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("tls")).expect("a folder in it");
    make_pair(folder.path(), ("fullchain", "privkey"), "trackeep.example.com");
    make_pair(folder.path(), ("hq", "hq-key"), "hq.trackeep.org");
    let at = folder.path().join("gatekeep.yaml");
    std::fs::copy(file("trackeep/gatekeep.yaml"), &at).expect("copied");
    let run = |command: &str, more: &[&str]| {
        let mut program = gatekeep();
        program
            .arg(command)
            .arg(&at)
            .args(more)
            .env("GATEKEEP_GITHUB_CLIENT_SECRET", "s0me-secret");
        program.env("GATEKEEP_SECRET", "k3yZ-for-tests-0123456789-abcdefghijklmnop");
        let output = program.output().expect("it runs");
        let warned = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && warned.is_empty(), "{warned}");
        String::from_utf8(output.stdout).expect("text")
    };
    let said = run("check", &[]);
    let callback =
        "callback URL to register at GitHub: https://trackeep.example.com/.gatekeep/callback";
    for part in [callback, "http://trackeep-backend:8080", "placeholder_cookie: gk=1"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for (path, server) in
        [("app", "trackeep-frontend:3000"), ("api/v1/notes", "trackeep-backend:8080")]
    {
        let said = run("explain", &["GET", &format!("https://trackeep.example.com/{path}")]);
        assert!(said.contains(server), "{said}");
    }
}

/// A certificate and its key, as an operator puts them into `tls`.
fn make_pair(folder: &Path, (certificate, key): (&str, &str), name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let made = rcgen::generate_simple_self_signed(vec![name.into()]).expect("a certificate");
    let at = |name: &str| folder.join(format!("tls/{name}.pem"));
    std::fs::write(at(certificate), made.cert.pem()).expect("written");
    std::fs::write(at(key), made.signing_key.serialize_pem()).expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(at(key), private).expect("closed to others");
}

/// The example's broker and routes with stand-ins for both of Trackeep's containers, and the backend's own
/// way to the service: by its name, and by the certificate that it was given.
struct Containers {
    backend: Trackeep,
    frontend: Trackeep,
    world: World,
}

const ORIGIN: &str = "https://trackeep.example.com";

// === impl Containers ===

impl Containers {
    fn start() -> Self {
        let start =
            || Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
        let (backend, frontend) = (start(), start());
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let pair = authority.issue(folder.path(), "hq", &["hq.trackeep.org"]);
        let example = text("trackeep/gatekeep.yaml");
        let (broker, routes) = example
            .split_once("\nbroker:")
            .and_then(|(_, rest)| rest.split_once("\nroutes:"))
            .expect("both");
        let routes = routes
            .replace("http://trackeep-frontend:3000", frontend.url())
            .replace("http://trackeep-backend:8080", backend.url());
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        let listen = format!(
            "listen:\n  - address: 127.0.0.1:0\n  - address: 127.0.0.1:0\n    \
             tls: {{ certificate: '{certificate}', key: '{key}' }}\n"
        );
        let world =
            World::with(&format!("{listen}public_url: {ORIGIN}\nbroker:{broker}\n"), &routes);
        let secure = world.gate.addresses[1];
        backend.resolve("hq.trackeep.org", secure);
        backend.trust(&authority.pem());
        backend.set_control(&format!("https://hq.trackeep.org:{}", secure.port()));
        backend.set_public_url(ORIGIN);
        Self { backend, frontend, world }
    }

    fn signed_in(&self, person: &str) -> (Browser, Response) {
        self.world.signed_in(person, &format!("{ORIGIN}/app/notes/7"))
    }
}

#[test]
fn a_visitor_is_signed_in_by_the_backend_and_gets_pages_of_the_frontend() {
    let containers = Containers::start();
    let (mut octocat, arrival) = containers.signed_in("octocat");
    assert!(arrival.text().contains("<title>Signing in</title>"), "{}", arrival.text());
    let page = octocat.get(&format!("{ORIGIN}/app/notes/7"));
    assert!(page.text().contains("A stand-in for Trackeep"), "{}", page.text());
    let me = octocat.fetch(&format!("{ORIGIN}/api/v1/auth/me"));
    assert_eq!(me.json()["user"]["username"], "octocat", "{}", me.text());
    assert_eq!(octocat.get(&format!("{ORIGIN}/browser-extension")).status, 200);
    let asked_for = |trackeep: &Trackeep| {
        let requests = trackeep.requests();
        requests.iter().map(|request| request.path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(asked_for(&containers.frontend), ["/app/notes/7"]);
    let program = asked_for(&containers.backend);
    let its_own = |path: &String| path.starts_with("/api/") || path == "/browser-extension";
    assert!(program.len() > 2 && program.iter().all(its_own), "{program:?}");
}

/// An update that anybody may install is the administrator's.
#[test]
fn nobody_else_installs_an_update() {
    let containers = Containers::start();
    let backend = &containers.backend;
    let install = |browser: &mut Browser| {
        let json = [("content-type", "application/json"), ("origin", ORIGIN)];
        let url = format!("{ORIGIN}/api/updates/install");
        browser.send("POST", &url, &json, r#"{"version":"1.4.0"}"#).status
    };
    let mut nobody = containers.world.browser();
    assert_eq!(install(&mut nobody), 401);
    assert_eq!(install(&mut containers.signed_in("hubot").0), 403);
    assert_eq!((backend.updates_installed(), backend.calls("POST /api/updates/install")), (0, 0));
    assert_eq!(
        (install(&mut containers.signed_in("octocat").0), backend.updates_installed()),
        (200, 1)
    );
    // Without any cookie there are the manifest, by the frontend, and what is shared, and nothing else.
    assert_eq!(nobody.get(&format!("{ORIGIN}/manifest.json")).json()["name"], "Trackeep");
    assert_eq!(containers.frontend.calls("GET /manifest.json"), 1);
    assert_eq!(nobody.get(&format!("{ORIGIN}/api/v1/shared/share_x")).status, 404);
    assert_ne!(nobody.get(&format!("{ORIGIN}/api/version")).status, 200);
}
