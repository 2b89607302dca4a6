//! What goes with Trackeep: the guide's helper for GitHub's API, and a set of containers.

use std::path::Path;
use std::process::Command;

use gatekeep::config::Config;
use gatekeep::simulator::Trackeep;
use serde_json::{Value, json};

use super::{file, free_port};
use crate::clients::is_there;
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::child::Child;

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
            "github.timeout: 5s, scopes: [repo]\nlisten: [{{ address: '127.0.0.1:{port}' }}]\n\
             public_url: {origin}\n"
        );
        let routes = "\n  - { name: github, path: /github, upstream: github, allow: anyone }\n";
        Self { world: World::with(&keys, routes), origin }
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
    let (browser, page) = room.world.signed_in("octocat", &format!("{}/github/user", room.origin));
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

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(file(path)).expect("it is there");
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What starts with `docker compose up` is what the gateway's routes lead to, and only the gateway can
/// be reached.
#[test]
fn the_containers_are_those_that_the_routes_lead_to() {
    let compose = yaml("trackeep/docker-compose.yml");
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
    let gatekeep = std::fs::read_to_string(file("trackeep/gatekeep.yaml")).expect("it is there");
    for line in gatekeep.lines().filter_map(|line| line.trim().strip_prefix("upstream: http://")) {
        let (service, port) = line.split_once(':').expect("a host and a port");
        let environment = &services[service]["environment"];
        let ports = ["BACKEND_PORT", "FRONTEND_PORT"].map(|name| environment[name].as_str());
        assert!(ports.contains(&Some(port)), "{service} does not listen on {port}");
    }
}

/// Every secret that the containers want has its line in the example, and no value there.
#[test]
fn the_environment_is_named_and_empty() {
    let compose = std::fs::read_to_string(file("trackeep/docker-compose.yml")).expect("there");
    let wanted = compose.split("${").skip(1).filter_map(|rest| rest.split(":?").next());
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let example = std::fs::read_to_string(file("trackeep/.env.example")).expect("there");
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let mut named: Vec<_> = lines.filter_map(|line| line.split_once('=')).collect();
    named.sort_unstable();
    let theirs: Vec<_> = named.iter().map(|(name, _)| *name).collect();
    assert_eq!(theirs, wanted);
    let secrets = named.iter().filter(|(name, _)| *name != "TRACKEEP_HOST");
    assert!(secrets.map(|(_, value)| value).all(|value| value.is_empty()));
}

#[test]
fn the_gateways_configuration_loads_and_shields() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = folder.path().join("tls");
    std::fs::create_dir(&tls).expect("a folder in it");
    let made = rcgen::generate_simple_self_signed(vec!["trackeep.example.com".into()]);
    let made = made.expect("a certificate");
    std::fs::write(tls.join("fullchain.pem"), made.cert.pem()).expect("written");
    std::fs::write(tls.join("privkey.pem"), made.signing_key.serialize_pem()).expect("written");
    let text = std::fs::read_to_string(file("trackeep/gatekeep.yaml")).expect("it is there");
    let secret = |name: &str| Some(format!("{name}-0123456789-abcdefghijklmnopqrstuvwxyz"));
    let config = Config::parse(&folder.path().join("gatekeep.yaml"), &text, &secret)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.callback_url(), "https://trackeep.example.com/.gatekeep/callback");
}

/// The same routes before the stand-in: an update that anybody may install is the administrator's.
#[test]
fn nobody_else_installs_an_update() {
    let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
    let text = std::fs::read_to_string(file("trackeep/gatekeep.yaml")).expect("it is there");
    let routes = text.split_once("\nroutes:").expect("routes").1;
    let routes = routes
        .replace("http://trackeep-frontend:3000", trackeep.url())
        .replace("http://trackeep-backend:8080", trackeep.url());
    let origin = "https://trackeep.example.com";
    let world = World::with(&format!("public_url: {origin}\n"), &routes);
    let install = |browser: &mut Browser| {
        let json = [("content-type", "application/json"), ("origin", origin)];
        let url = format!("{origin}/api/updates/install");
        browser.send("POST", &url, &json, r#"{"version":"1.4.0"}"#).status
    };
    assert_eq!(install(&mut world.browser()), 401);
    let (mut hubot, page) = world.signed_in("hubot", &format!("{origin}/app/notes/7"));
    assert!(page.text().contains("A stand-in for Trackeep"), "{}", page.text());
    assert_eq!(install(&mut hubot), 403);
    assert_eq!((trackeep.updates_installed(), trackeep.calls("POST /api/updates/install")), (0, 0));
    let (mut octocat, _) = world.signed_in("octocat", &format!("{origin}/app"));
    assert_eq!((install(&mut octocat), trackeep.updates_installed()), (200, 1));
    // Without any cookie there are the manifest and what is shared, and nothing else.
    let mut nobody = world.browser();
    assert_eq!(nobody.get(&format!("{origin}/manifest.json")).json()["name"], "Trackeep");
    assert_eq!(nobody.get(&format!("{origin}/api/v1/shared/share_x")).status, 404);
    assert_ne!(nobody.get(&format!("{origin}/api/version")).status, 200);
}
