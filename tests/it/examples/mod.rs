//! The examples do what they say: each believes the gateway, and nobody who pretends to be it.

mod issuer;
mod sign_in;
mod trackeep;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use self::issuer::{Issuer, Key};
use crate::clients::is_there;
use crate::support::child::Child;
use crate::support::{World, browser::Browser, eventually};

const AUDIENCE: &str = "https://app.example.com";

/// A running example.
struct App {
    address: SocketAddr,
    _program: Child,
}

// === impl App ===

impl App {
    fn start(mut command: Command, issuer: &str, audience: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        command.env("PORT", address.port().to_string());
        command.env("GATEKEEP_ISSUER", issuer).env("GATEKEEP_AUDIENCE", audience);
        let program = Child::start(&mut command);
        eventually("the example listens", || TcpStream::connect(address).is_ok());
        Self { address, _program: program }
    }

    /// Its answer to whoever shows this token.
    fn ask(&self, token: Option<&str>) -> (u16, String) {
        let headers: Vec<_> = token.map(|token| ("x-gatekeep-jwt", token)).into_iter().collect();
        let url = format!("http://{}/", self.address);
        let answer = Browser::new(self.address).send("GET", &url, &headers, "");
        (answer.status, answer.text())
    }
}

fn free_port() -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    port.expect("a free port").port()
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

/// What scripts/test installed for an example.
fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(path)
}

// === the four ===

fn express() -> Option<Command> {
    let package = file("express/node_modules/.installed");
    let mut command = Command::new("node");
    command.arg(file("express/server.mjs"));
    is_there("The example in Express", Path::new("node"), &package).then_some(command)
}

fn fastapi() -> Option<Command> {
    let python = installed("fastapi/bin/python");
    let mut command = Command::new(&python);
    command.arg(file("fastapi/app.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    is_there("The example in FastAPI", &python, &installed("fastapi/.installed")).then_some(command)
}

/// Nobody has to have Go, not even CI.
#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
fn go() -> Option<Command> {
    if !installed("go/.installed").exists() {
        eprintln!(
            "SKIPPED: the example in Go does not run: no Go 1.24 was here for ./scripts/test"
        );
        return None;
    }
    let program = installed("go/identity");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(file("go"));
    build.env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    assert!(build.status().expect("go runs").success(), "the example in Go builds");
    Some(Command::new(program))
}

/// `cargo test` builds the examples; `cargo test --test it` does not.
fn axum() -> Option<Command> {
    let test = std::env::current_exe().expect("this test");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE");
    let program = profile.join("examples/axum");
    is_there("The example in axum", &program, &program).then(|| Command::new(program))
}

#[test]
fn an_app_in_express_believes_the_gateway_alone() {
    believes_the_gateway_alone(express);
}

#[test]
fn an_app_in_fastapi_believes_the_gateway_alone() {
    believes_the_gateway_alone(fastapi);
}

#[test]
fn an_app_in_go_believes_the_gateway_alone() {
    believes_the_gateway_alone(go);
}

#[test]
fn an_app_in_axum_believes_the_gateway_alone() {
    believes_the_gateway_alone(axum);
}

fn believes_the_gateway_alone(example: fn() -> Option<Command>) {
    let Some(command) = example() else { return };
    greets_who_comes_through_the_gateway(command);
    judges_tokens(example().expect("it was there before"));
}

/// The gateway's origin must be reachable for its keys: plain http on this machine.
fn greets_who_comes_through_the_gateway(command: Command) {
    let port = free_port();
    let origin = format!("http://localhost:{port}");
    let app = App::start(command, &origin, &origin);
    let keys = format!("listen: [{{ address: '127.0.0.1:{port}' }}]\npublic_url: {origin}\n");
    let address = app.address;
    let routes = format!("\n  - {{ name: app, upstream: 'http://{address}', allow: anyone }}\n");
    let world = World::with(&keys, &routes);
    let (mut browser, page) = world.signed_in("octocat", &format!("{origin}/"));
    let host = world.github.url().trim_start_matches("http://").to_owned();
    assert_eq!(page.text(), format!("Hello octocat, you are github:{host}:583231.\n"));
    // What the client says of itself goes no further than the gateway.
    let liar = browser.send("GET", &format!("{origin}/"), &[("x-gatekeep-jwt", "a.b.c")], "");
    assert_eq!((liar.status, liar.text()), (page.status, page.text()));
    assert_eq!(app.ask(None).0, 401, "and past the gateway nobody is anybody");
}

/// By an issuer of the test's own, for it signs whatever a test wants.
fn judges_tokens(command: Command) {
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let issuer = Issuer::start(&[&key]);
    let app = App::start(command, &issuer.url, AUDIENCE);
    let claims = || {
        json!({
            "iss": issuer.url, "aud": AUDIENCE, "sub": "github:github.com:583231",
            "login": "octocat", "exp": issuer::now() + 60,
        })
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        key.sign(&[], &claims)
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        key.sign(&[], &claims)
    };
    let of_type =
        |typ: &Value| key.sign(&[("alg", json!("ES256")), ("typ", typ.clone())], &claims());
    let good = key.sign(&[], &claims());
    let greeting = (200, "Hello octocat, you are github:github.com:583231.\n".to_owned());
    assert_eq!(app.ask(Some(&good)), greeting);

    let other = with("login", json!("mona"));
    let [head, _, signature] = issuer::parts(&good);
    let altered = format!("{head}.{}.{signature}", issuer::parts(&other)[1]);
    for (what, token) in [
        ("no token", None),
        ("no token at all", Some("a.b.c".to_owned())),
        ("signed by a stranger", Some(stranger.sign(&[], &claims()))),
        ("altered", Some(altered)),
        ("not signed", Some(key.unsigned(&claims()))),
        ("signed with the public key as a secret", Some(key.confused(&claims()))),
        ("for another app", Some(with("aud", json!("https://other.example.com")))),
        ("for nobody", Some(without("aud"))),
        ("by another gateway", Some(with("iss", json!("https://auth.example.com")))),
        ("expired", Some(with("exp", json!(issuer::now() - 5)))),
        ("without an end", Some(without("exp"))),
        ("of another kind", Some(of_type(&json!("JWT")))),
        ("of no kind", Some(of_type(&Value::Null))),
    ] {
        assert_eq!(app.ask(token.as_deref()).0, 401, "{what}");
    }

    // Whoever invents keys does not make the app ask for them each time.
    let asked = issuer.asked();
    for name in ["two", "three", "four", "five"] {
        assert_eq!(app.ask(Some(&Key::new(name).sign(&[], &claims()))).0, 401);
    }
    assert!(issuer.asked() - asked <= 1, "{} times", issuer.asked() - asked);
    assert_eq!(app.ask(Some(&good)), greeting, "it is as good as before");
    assert!(issuer.asked() <= 2, "the keys are kept");
}
