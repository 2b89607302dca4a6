//! An instance behind the gateway asks the gateway for the page where the app is installed; the visitor
//! comes back by the service, and the instance knows the installation.

use gatekeep::simulator::{Installation, Trackeep};

use super::*;

const APP: &str = "https://trackeep.example.com";

/// As the documentation writes it: the place of the sign-in is all that is registered.
const HOME: &str = r"
broker:
  hosts: [hq.example.com]
  instances:
    - name: home
      redirects: [https://trackeep.example.com/api/v1/auth/control/callback]
      allow: { orgs: [acme] }
";

const ROUTE: &str = r"
  - name: trackeep
    host: trackeep.example.com
    upstream: @TRACKEEP@
    allow: { orgs: [acme] }
    preset: trackeep
    sign_in: { instance: home }
";

fn scene(github: &str) -> (Trackeep, World) {
    let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
    let keys = format!("github.timeout: 5s, {SCOPES}{github}\n{HOME}");
    let world = World::with(&keys, &ROUTE.replace("@TRACKEEP@", trackeep.url()));
    let address = world.gate.address;
    trackeep.resolve("hq.example.com", address);
    trackeep.set_control(&format!("http://hq.example.com:{}", address.port()));
    trackeep.set_public_url(APP);
    trackeep.limits(false);
    (trackeep, world)
}

fn shown(browser: &mut Browser, path: &str) -> (u16, serde_json::Value) {
    let answer = browser.fetch(&format!("{APP}/api/v1/github/app/{path}"));
    assert_eq!(answer.header("content-type").map(|it| &it[..16]), Some("application/json"));
    (answer.status, answer.json())
}

/// Where GitHub sends a browser once the app is installed.
fn setup_url(id: u64, state: &str) -> String {
    let id = id.to_string();
    let query = encode(&[("installation_id", &*id), ("setup_action", "install"), ("state", state)]);
    format!("{SERVICE}/auth/github/app/callback?{query}")
}

#[test]
fn a_visitor_installs_the_app_from_an_instance_behind_the_gateway() {
    let (trackeep, world) = scene(", app: @GITHUB_APP@");
    let (mut browser, _) = world.signed_in("octocat", &format!("{APP}/app"));
    let (status, before) = shown(&mut browser, "status");
    assert_eq!(status, 200);
    assert_eq!(
        (&before["app_slug"], &before["install_enabled"], &before["credentials_configured"]),
        (&"gatekeep".into(), &true.into(), &true.into())
    );
    assert_eq!(before["installed"], false);
    assert_eq!(shown(&mut browser, "repos").0, 400, "there is none yet");

    let (status, told) = shown(&mut browser, "install-url");
    let url = told["install_url"].as_str().unwrap_or_else(|| panic!("{status} {told}")).to_owned();
    let page = format!("{}/github-apps/gatekeep/installations/new?state=", world.github.web_url());
    let state = url.strip_prefix(&page).unwrap_or_else(|| panic!("{url}")).to_owned();
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));

    let (end, last) = browser.follow(&setup_url(5, &state));
    let done = "github_app_installed=1&installation_id=5&setup_action=install";
    assert_eq!(end, format!("{APP}/app/github?{done}"), "{}", last.text());
    assert_eq!(last.status, 200);
    assert!(last.text().contains("GitHub App installation completed successfully."));
    assert_eq!(trackeep.calls("GET /api/v1/github/app/callback"), 1);
    assert_eq!(trackeep.installations_of("octocat"), [5]);

    let (_, after) = shown(&mut browser, "status");
    assert_eq!(after["installed"], true);
    assert_eq!(after["installation"]["installation_id"], 5);
    assert_eq!(after["installation"]["account_login"], "acme");
    assert!(after["installation"]["last_validated"].is_string(), "{after}");
    let (status, listed) = shown(&mut browser, "repos");
    assert_eq!((status, &listed["installation_id"]), (200, &5.into()));
    let names = listed["repos"].as_array().expect("a list").iter().map(|it| &it["full_name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["acme/notes"]);
}

/// The service does not carry an installation there that the visitor does not see, and the instance
/// takes none that did not come by the service.
#[test]
fn an_instance_behind_the_gateway_gets_no_installation_of_others() {
    let (trackeep, world) = scene(", app: @GITHUB_APP@");
    world.github.install(Installation::new(6, "elsewhere"));
    let (mut browser, _) = world.signed_in("octocat", &format!("{APP}/app"));
    let (_, told) = shown(&mut browser, "install-url");
    let url = told["install_url"].as_str().expect("an address");
    let state = parameter(url, "state").expect("a state");
    let (_, page) = browser.follow(&setup_url(6, &state));
    assert_eq!(page.status, 403);
    assert_eq!(trackeep.calls("GET /api/v1/github/app/callback"), 0);
    let made_up = format!("{APP}/api/v1/github/app/callback?state={state}&installation_id=6");
    let (end, _) = browser.follow(&made_up);
    assert!(
        end.contains("github_app_error=invalid_state"),
        "the service's state is not its: {end}"
    );
    assert!(trackeep.installations_of("octocat").is_empty());
    world.github.install(Installation::new(5, "acme"));
    browser.follow(&setup_url(5, &state));
    assert_eq!(trackeep.installations_of("octocat"), [5], "control");
}

#[test]
fn without_an_app_the_instance_says_that_there_is_none() {
    let (_trackeep, world) = scene("");
    let (mut browser, _) = world.signed_in("octocat", &format!("{APP}/app"));
    let (status, shows) = shown(&mut browser, "status");
    assert_eq!((status, &shows["install_enabled"]), (200, &false.into()));
    assert_eq!((&shows["app_slug"], &shows["sign_in_configured"]), (&"".into(), &true.into()));
    let (status, told) = shown(&mut browser, "install-url");
    assert_eq!(status, 502);
    assert!(told["error"].as_str().expect("a sentence").contains("service returned 403"), "{told}");
}
