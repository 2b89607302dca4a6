//! The gateway as the service that instances of Trackeep send their visitors to. The instance's side is
//! written from the contract: which paths its server asks, with which fields, and how strictly its Go
//! reads the answers.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::World;
use crate::support::browser::{Browser, encode, join, parameter};
use crate::support::http::Response;

/// What anybody may bring from elsewhere: a token of their own, an installation of somebody else.
mod attacks;
/// The present contract, from the first click to the token of the server.
mod control;
/// The holes of the service that stood here before.
mod holes;
/// Repositories and installations, in the visitor's name.
mod github;
/// The way to the app's installation and back, through an instance behind the gateway itself.
mod installing;
/// Several gateways are one service.
mod nodes;
/// The callback that the service before had at GitHub.
mod old_callback;
/// Instances come and go.
mod reloaded;
/// What is for an instance is taken from its server alone.
mod servers;
/// The older contracts, in which browsers carry signed tokens.
mod signed;
/// The server's token goes on for as long as it is used.
mod sliding;
/// GitHub fails while an instance's server asks.
mod trouble;

/// Where the service is for browsers and for servers.
const SERVICE: &str = "https://hq.example.com";

/// What an instance tells the service to send browsers back to.
const CALLBACK: &str = "https://trackeep.example.com/api/v1/auth/control/callback";

const DAY: Duration = Duration::from_secs(86_400);

/// The key of the instances that read their tokens themselves.
const OAUTH_KEY: &str = "an-0auth-key-of-one-instance-alone-4711";
const SEED_KEY: &str = "a-seed-key-of-an0ther-instance-alone-42";

/// One instance of each contract, and one that may have tokens.
const BROKER: &str = r"
broker:
  hosts: [hq.example.com]
  instances:
    - name: home
      redirects: [https://trackeep.example.com]
      allow: { orgs: [acme] }
    - name: office
      redirects: [https://apps.example.com/trackeep, 'http://localhost:8080']
      allow: anyone
      deny: { users: [mona] }
      github_token: true
      lifetime: 1h
    - name: narrow
      redirects: [https://narrow.example.com/at/api/v1/auth/control/callback]
      allow: { orgs: [acme] }
    - name: older
      contract: oauth
      redirects: [https://older.example.com/api/v1/auth/oauth/callback]
      allow: { orgs: [acme] }
      key: an-0auth-key-of-one-instance-alone-4711
    - name: oldest
      contract: seed
      redirects: [https://oldest.example.com]
      allow: { orgs: [acme] }
      key: a-seed-key-of-an0ther-instance-alone-42
";

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - { name: github, host: app.example.com, path: /github, upstream: github, allow: anyone }
";

// === The instance's server, by the contract ===

/// A user as the instance's server reads it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct User {
    id: i64,
    github_id: i64,
    username: String,
    email: String,
    name: String,
    avatar_url: String,
}

#[derive(Debug, Deserialize)]
struct Validated {
    token: String,
    user: User,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Failure {
    error: String,
}

/// What a server asks with.
const PLAIN: [(&str, &str); 2] = [("accept", "application/json"), ("user-agent", "Trackeep")];

/// `performControlServiceRequest`: a bearer token, no body, no cookie.
fn ask(world: &World, path: &str, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [PLAIN[0], ("authorization", bearer.as_str())];
    server(world).send("GET", &format!("{SERVICE}{path}"), &headers, "")
}

/// The server shows what the browser brought.
fn show(world: &World, path: &str, token: &str) -> Response {
    post(world, path, &serde_json::json!({ "token": token }).to_string())
}

fn post(world: &World, path: &str, body: &str) -> Response {
    let headers = [PLAIN[0], ("content-type", "application/json")];
    server(world).send("POST", &format!("{SERVICE}{path}"), &headers, body)
}

fn server(world: &World) -> Browser {
    Browser::new(world.gate.address).called("Trackeep")
}

/// What Go decodes of a success: any 2xx, and every type to the letter.
fn decoded<T: DeserializeOwned>(answer: &Response) -> T {
    let text = answer.text();
    assert!((200..300).contains(&answer.status), "{}: {text}", answer.status);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The status and the sentence of a refusal, which is JSON and leads nowhere.
fn refusal(answer: &Response) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let Failure { error } = serde_json::from_str(&answer.text()).expect("an error");
    (answer.status, error)
}

/// The token for the next time, if there is one.
fn next(answer: &Response) -> Option<String> {
    answer.header("x-trackeep-controller-token").map(str::to_owned)
}

// === The browser ===

fn world() -> World {
    world_of(BROKER)
}

/// What visitors are asked for, so that their private repositories are theirs to see.
const SCOPES: &str = "scopes: [repo, 'read:org', 'read:user', 'user:email']";

fn world_of(broker: &str) -> World {
    World::with(&format!("github.timeout: 5s, {SCOPES}\n{broker}"), ROUTES)
}

/// The world in which the gateway is a GitHub App.
fn world_with_app() -> World {
    World::with(&format!("github.timeout: 5s, {SCOPES}, app: @GITHUB_APP@\n{BROKER}"), ROUTES)
}

fn begin(redirect_uri: &str) -> String {
    format!("{SERVICE}/auth/github?{}", encode(&[("redirect_uri", redirect_uri)]))
}

/// Where a browser ends that follows every redirect, over GitHub if need be, within our hosts.
fn carried(world: &World, browser: &mut Browser, person: &str, from: &str) -> String {
    let mut at = from.to_owned();
    for _ in 0..12 {
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, person);
        }
        if !at.starts_with(SERVICE) && !at.starts_with("https://auth.example.com/") {
            return at;
        }
        let response = browser.get(&at);
        assert_eq!(response.status, 303, "{at}: {}", response.text());
        at = join(&at, response.location());
    }
    panic!("round and round: {at}");
}

/// What a browser brings to the instance called `home`.
fn code_for(world: &World, browser: &mut Browser, person: &str) -> String {
    let brought = carried(world, browser, person, &begin(CALLBACK));
    assert!(brought.starts_with(&format!("{CALLBACK}?token=")), "{brought}");
    parameter(&brought, "token").expect("a code")
}

fn exchange(world: &World, code: &str) -> Response {
    show(world, "/api/v1/auth/control/callback", code)
}

/// Somebody signs in at an instance; the browser, and the token of its server.
fn signed_in_at(world: &World, person: &str, callback: &str) -> (Browser, String) {
    let mut browser = world.browser();
    let brought = carried(world, &mut browser, person, &begin(callback));
    let code = parameter(&brought, "token").unwrap_or_else(|| panic!("{brought}"));
    (browser, decoded::<Validated>(&exchange(world, &code)).token)
}

/// The same at the instance called `home`.
fn signed_in(world: &World, person: &str) -> (Browser, String) {
    signed_in_at(world, person, CALLBACK)
}

/// Whether a server's token is good.
fn is_good(world: &World, token: &str) -> bool {
    ask(world, "/api/v1/github/app/info", token).status == 200
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

/// Presses the button that ends what an instance holds.
fn end(browser: &mut Browser, instance: &str) {
    let page = browser.get(&format!("{SERVICE}/.gatekeep/account")).text();
    let head = format!("<th scope=\"row\">{instance}</th>");
    let row = between(&page, &head, "</tr>").unwrap_or_else(|| panic!("{page}"));
    let field = |field| between(row, &format!("name=\"{field}\" value=\""), "\"").expect("a value");
    let fields = [("csrf", field("csrf")), ("session", field("session"))];
    assert_eq!(browser.post(&format!("{SERVICE}/.gatekeep/end_session"), &fields).status, 303);
}
