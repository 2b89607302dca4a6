//! The stand-in for an instance of Trackeep, against a control service that says what a test wants.

use std::{
    collections::HashMap,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;
use crate::simulator::{
    record::lock,
    serve::{Bound, Running},
    web,
};

const CALLBACK: &str = "GET /api/v1/auth/control/callback?token=";
const PUBLIC: &str = "https://trackeep.example";

/// What the control service says at a path.
#[derive(Clone)]
struct Says {
    status: u16,
    newer: Option<String>,
    body: String,
    gate: Option<Gate>,
}

/// A control service that was told what to say.
struct Control {
    url: String,
    script: Arc<Mutex<HashMap<String, Vec<Says>>>>,
    seen: Arc<Mutex<Vec<Recorded>>>,
    _server: Running,
}

// === impl Control ===

impl Control {
    fn start() -> Self {
        let bound = Bound::to("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", bound.address);
        let script: Arc<Mutex<HashMap<String, Vec<Says>>>> = Arc::default();
        let seen: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let shared = (Arc::clone(&script), Arc::clone(&seen));
        let handler = move |request: http::Request<hyper::body::Incoming>| {
            let (script, seen) = shared.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let request = Recorded::new(&http::Request::from_parts(head, ()), body);
                lock(&seen).push(request.clone());
                let says = {
                    let mut script = lock(&script);
                    let list = script.get_mut(request.path());
                    // The last is said for ever.
                    list.map(|list| if list.len() > 1 { list.remove(0) } else { list[0].clone() })
                };
                let Some(says) = says else {
                    return Ok(web::json(StatusCode::NOT_FOUND, &json!({ "error": "not found" })));
                };
                if let Some(gate) = &says.gate {
                    gate.pass().await;
                }
                let status = StatusCode::from_u16(says.status).unwrap();
                let mut reply = web::reply(status, "application/json", web::full(says.body));
                if let Some(newer) = says.newer {
                    let newer = HeaderValue::from_str(&newer).unwrap();
                    reply.headers_mut().insert("x-trackeep-controller-token", newer);
                }
                Ok(reply)
            }
        };
        let server = bound.serve("control", handler).unwrap();
        Self { url, script, seen, _server: server }
    }

    fn says(&self, path: &str, status: u16, body: &Value) {
        self.refreshes(path, status, body, None, None);
    }

    fn refreshes(
        &self,
        path: &str,
        status: u16,
        body: &Value,
        newer: Option<&str>,
        gate: Option<Gate>,
    ) {
        let newer = newer.map(str::to_owned);
        let says = Says { status, newer, body: body.to_string(), gate };
        lock(&self.script).insert(path.to_owned(), vec![says]);
    }

    fn knows(&self, login: &str, github_id: i64) {
        let user = json!({
            "id": 3, "github_id": github_id, "username": login, "name": "Somebody",
            "email": format!("{login}@github.com"), "avatar_url": "https://x/a",
        });
        let body = json!({ "token": format!("controller-{login}"), "user": user });
        self.says("/api/v1/auth/control/callback", 200, &body);
    }

    fn seen(&self) -> Vec<Recorded> {
        lock(&self.seen).clone()
    }
}

fn instance() -> (Control, Trackeep) {
    let (control, trackeep) = (Control::start(), alone());
    trackeep.set_control(&control.url);
    trackeep.set_public_url(PUBLIC);
    (control, trackeep)
}

fn alone() -> Trackeep {
    Trackeep::start("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn get(trackeep: &Trackeep, path: &str, headers: &str) -> Answer {
    ask(trackeep.address(), &format!("GET {path}"), headers, "")
}

fn post(trackeep: &Trackeep, path: &str, headers: &str, body: &Value) -> Answer {
    ask(trackeep.address(), &format!("POST {path}"), headers, &body.to_string())
}

/// Signs somebody in, and returns the header with their token.
fn signed_in(control: &Control, trackeep: &Trackeep, login: &str, github_id: i64) -> String {
    control.knows(login, github_id);
    let answer = ask(trackeep.address(), &format!("{CALLBACK}word"), "", "");
    assert_eq!(answer.status, 307, "{}", answer.body);
    let location = answer.header("location").unwrap();
    let token = location.strip_prefix("https://trackeep.example/auth/callback?token=").unwrap();
    format!("Authorization: Bearer {token}\r\n")
}

fn error_of(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_sign_in_starts_with_the_way_back_in_it() {
    let (control, trackeep) = instance();
    let path = "/api/v1/auth/github?frontend_redirect=https%3A%2F%2Ftrackeep.example";
    let answer = get(&trackeep, path, "X-Forwarded-Proto: https\r\n");
    assert_eq!(answer.status, 307);
    let callback = "https%3A%2F%2Ftrackeep.example%2Fapi%2Fv1%2Fauth%2Fcontrol%2Fcallback";
    let expected = format!("{}/auth/github?redirect_uri={callback}", control.url);
    assert_eq!(answer.header("location"), Some(&*expected));
    let cookie = "control_auth_frontend_redirect=https%3A%2F%2Ftrackeep.example%2Fauth%2Fcallback; \
                  Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(answer.header("set-cookie"), Some(cookie));
    assert_eq!(control.seen(), [], "nobody is asked on the way there");
}

#[test]
fn what_came_through_the_browser_is_exchanged() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let asked = control.seen().remove(0);
    assert_eq!((&*asked.method, &*asked.target), ("POST", "/api/v1/auth/control/callback"));
    assert_eq!(asked.body, Bytes::from(r#"{"token":"word"}"#));
    for (name, value) in [
        ("content-type", Some("application/json")),
        ("accept", Some("application/json")),
        ("user-agent", Some("Trackeep")),
        ("authorization", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert_eq!(trackeep.controller_token("octocat").as_deref(), Some("controller-octocat"));
    let me = get(&trackeep, "/api/v1/auth/me", &bearer).json();
    for (name, value) in [
        ("id", json!(1)),
        ("github_id", json!(583_231)),
        ("username", json!("octocat")),
        ("email", json!("octocat@github.com")),
        ("full_name", json!("Somebody")),
        ("role", json!("admin")),
    ] {
        assert_eq!(me["user"][name], value, "{name}");
    }
    let entry = trackeep.journal().pop().unwrap();
    assert_eq!((entry.who.as_deref(), entry.status), (Some("octocat"), Some(200)));
}

#[test]
fn a_token_that_is_not_replaced_is_kept() {
    let (control, trackeep) = instance();
    let user = json!({ "id": 1, "github_id": 7, "username": "mona", "email": "m@x" });
    for (word, said) in [("first", json!(" ")), ("second", Value::Null)] {
        let body = json!({ "token": said, "user": user });
        control.says("/api/v1/auth/control/callback", 201, &body);
        assert_eq!(ask(trackeep.address(), &format!("{CALLBACK}{word}"), "", "").status, 307);
        assert_eq!(trackeep.controller_token("mona").as_deref(), Some(word));
    }
}

#[test]
fn an_exchange_that_fails_is_told_as_it_was() {
    let (control, trackeep) = instance();
    let path = "/api/v1/auth/control/callback";
    let callback =
        |word: &str| error_of(&ask(trackeep.address(), &format!("{CALLBACK}{word}"), "", ""));
    assert_eq!(callback(""), (400, "Controller token is required".to_owned()));
    control.says(path, 401, &json!({ "error": "the code was used" }));
    assert_eq!(callback("x"), (401, "control service returned 401: the code was used".to_owned()));
    control.says(path, 500, &json!({ "message": "x" }));
    let told = "control service returned 500: {\"message\":\"x\"}";
    assert_eq!(callback("x"), (401, told.to_owned()));
    for wrong in [
        json!({ "token": 7 }),
        json!({ "token": "t", "user": { "id": "1" } }),
        json!({ "token": "t", "user": { "github_id": 1.5 } }),
        json!({ "token": "t", "user": [1] }),
        json!(["t", {}]),
    ] {
        control.says(path, 200, &wrong);
        let (status, words) = callback("x");
        assert!(status == 401 && words.starts_with("json: "), "{status} {words}");
    }
    assert_eq!(trackeep.users(), [], "nobody came of it");

    control.knows("octocat", 583_231);
    trackeep.demo_mode(true);
    assert_eq!(callback("x"), (503, "Database not available".to_owned()));
    trackeep.demo_mode(false);
    trackeep.add_user("other@x", "other", "secret", "admin");
    control.says(path, 200, &json!({ "token": "t", "user": { "username": "new" } }));
    assert_eq!(callback("x"), (500, "Failed to synchronize user".to_owned()));
}

/// The holes that a gateway before it has to close.
#[test]
fn whoever_is_named_gets_the_token_and_whoever_brings_one_is_signed_in() {
    let (control, trackeep) = instance();
    control.knows("octocat", 583_231);
    let path = "/api/v1/auth/github?frontend_redirect=https%3A%2F%2Fevil.example%2Fx%3Fb%3D1";
    let started = get(&trackeep, path, "");
    let cookie = started.header("set-cookie").unwrap().split(';').next().unwrap();
    let cookie = format!("Cookie: {cookie}\r\n");
    let answer = ask(trackeep.address(), &format!("{CALLBACK}word"), &cookie, "");
    let location = answer.header("location").unwrap();
    assert!(location.starts_with("https://evil.example/x?b=1&token=ey"), "{location}");
    let cleared = "control_auth_frontend_redirect=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(answer.header("set-cookie"), Some(cleared));
}

#[test]
fn questions_show_the_kept_token_and_newer_ones_are_kept() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let path = "/api/v1/github/repos";
    let repo = json!({ "id": 1, "full_name": "a/b", "description": null, "else": 1 });
    control.refreshes(path, 200, &json!({ "repos": [repo] }), Some(" newer "), None);
    let shown = get(&trackeep, path, &bearer).json();
    assert_eq!(shown["repos"][0]["full_name"], "a/b");
    assert_eq!(shown["repos"][0]["description"], "");
    assert_eq!(shown["repos"][0]["else"], Value::Null, "what is unknown is left out");
    let asked = control.seen().pop().unwrap();
    for (name, value) in [
        ("authorization", Some("Bearer controller-octocat")),
        ("accept", Some("application/json")),
        ("user-agent", Some("Trackeep")),
        ("content-type", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert_eq!(trackeep.controller_token("octocat").as_deref(), Some("newer"));

    // A refusal brings one too, and an exchange none.
    control.refreshes(path, 503, &json!({ "error": "later" }), Some("newest"), None);
    let words = "Failed to fetch repos from control service: control service returned 503: later";
    assert_eq!(error_of(&get(&trackeep, path, &bearer)), (502, words.to_owned()));
    assert_eq!(control.seen().pop().unwrap().header("authorization"), Some("Bearer newer"));
    assert_eq!(trackeep.controller_token("octocat").as_deref(), Some("newest"));
    let body =
        json!({ "token": "told", "user": { "id": 1, "github_id": 583_231, "email": "o@x" } });
    control.refreshes("/api/v1/auth/control/callback", 200, &body, Some("ignored"), None);
    assert_eq!(ask(trackeep.address(), &format!("{CALLBACK}word"), "", "").status, 307);
    assert_eq!(trackeep.users().len(), 1);
    let kept = trackeep.controller_token(&trackeep.users()[0].username);
    assert_eq!(kept.as_deref(), Some("told"));
}

#[test]
fn an_answer_that_is_late_puts_an_older_token_back() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let gate = Gate::new();
    let repos = json!({ "repos": [] });
    control.refreshes("/api/v1/github/repos", 200, &repos, Some("older"), Some(gate.clone()));
    control.refreshes("/api/v1/github/app/info", 200, &json!({}), Some("newer"), None);
    std::thread::scope(|scope| {
        let late = scope.spawn(|| get(&trackeep, "/api/v1/github/repos", &bearer));
        assert!(gate.wait_for(1, Duration::from_secs(5)));
        assert_eq!(get(&trackeep, "/api/v1/github/app/status", &bearer).status, 200);
        assert_eq!(trackeep.controller_token("octocat").as_deref(), Some("newer"));
        gate.release();
        assert_eq!(late.join().unwrap().status, 200);
    });
    assert_eq!(trackeep.controller_token("octocat").as_deref(), Some("older"));
}

#[test]
fn the_state_of_the_app_is_what_the_service_says_or_all_well() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let path = "/api/v1/github/app/status";
    let info = json!({ "app_slug": "gate", "install_enabled": true, "sign_in_configured": false });
    control.says("/api/v1/github/app/info", 200, &info);
    let said = get(&trackeep, path, &bearer).json();
    let expected = json!({
        "app_slug": "gate", "install_enabled": true, "sign_in_configured": false,
        "credentials_configured": false, "installed": false,
    });
    assert_eq!(said, expected);
    control.says("/api/v1/github/app/info", 200, &json!({ "install_enabled": "yes" }));
    let said = get(&trackeep, path, &bearer).json();
    let expected = json!({
        "app_slug": "", "install_enabled": false, "sign_in_configured": true,
        "credentials_configured": true, "installed": false,
    });
    assert_eq!(said, expected);
}

/// The state that an install URL was asked for with.
fn state(control: &Control, trackeep: &Trackeep, bearer: &str) -> String {
    let url = json!({ "install_url": "https://github.example/apps/gate/installations/new" });
    control.says("/api/v1/github/app/install-url", 200, &url);
    let answer = get(trackeep, "/api/v1/github/app/install-url", bearer);
    assert_eq!(answer.json()["install_url"], url["install_url"], "{}", answer.body);
    let asked = control.seen().pop().unwrap().query();
    assert_eq!(asked.len(), 1);
    let back = "https://trackeep.example/api/v1/github/app/callback?state=";
    let state = asked[0].1.strip_prefix(back).expect("the way back").to_owned();
    assert!(state.len() == 48 && state.bytes().all(|b| b.is_ascii_hexdigit()), "{state}");
    state
}

#[test]
fn an_installation_is_verified_before_it_is_connected() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let back = |state: &str, rest: &str| {
        let answer =
            get(&trackeep, &format!("/api/v1/github/app/callback?state={state}{rest}"), "");
        assert_eq!(answer.status, 307);
        let to = answer.header("location").unwrap();
        to.strip_prefix("https://trackeep.example/app/github?").unwrap().to_owned()
    };
    let missing = "github_app_error=missing_state_or_installation";
    assert_eq!(back("", "&installation_id=5"), missing);
    assert_eq!(back("x", ""), missing);
    assert_eq!(back("x", "&installation_id=-5"), "github_app_error=invalid_installation_id");
    let of = |word: &str| format!("github_app_error={word}&installation_id=5");
    assert_eq!(back("x", "&installation_id=5"), of("invalid_state"));

    let first = state(&control, &trackeep, &bearer);
    let path = "/api/v1/github/app/installations/5/verify";
    control.says(path, 403, &json!({ "error": "not yours" }));
    assert_eq!(back(&first, "&installation_id=5"), of("installation_not_accessible"));
    control.says(path, 200, &json!({ "verified": false, "installation_id": 5 }));
    assert_eq!(back(&first, "&installation_id=5"), of("installation_not_accessible"));
    control.says(path, 200, &json!({ "verified": true, "installation_id": "5" }));
    assert_eq!(back(&first, "&installation_id=5"), of("installation_not_accessible"));
    assert_eq!(trackeep.installations_of("octocat"), [0_i64; 0]);

    let verified = json!({
        "verified": true, "installation_id": 5, "account_login": "acme",
        "account_type": "Organization", "app_slug": "gate",
    });
    control.says(path, 200, &verified);
    let well = "github_app_installed=1&installation_id=5&setup_action=install";
    assert_eq!(back(&first, "&installation_id=5&setup_action=install"), well);
    assert_eq!(back(&first, "&installation_id=5"), of("state_already_used"));
    assert_eq!(trackeep.installations_of("octocat"), [5]);
    let late = state(&control, &trackeep, &bearer);
    trackeep.advance(Duration::from_secs(15 * 60 + 1));
    assert_eq!(back(&late, "&installation_id=5"), of("state_expired"));
}

#[test]
fn an_installations_repositories_are_those_of_either_name() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let path = "/api/v1/github/app/repos";
    let words = "GitHub App is not installed for this user";
    assert_eq!(error_of(&get(&trackeep, path, &bearer)), (400, words.to_owned()));
    let state = state(&control, &trackeep, &bearer);
    let verified = json!({ "verified": true, "installation_id": 5, "account_login": "acme" });
    control.says("/api/v1/github/app/installations/5/verify", 200, &verified);
    get(&trackeep, &format!("/api/v1/github/app/callback?state={state}&installation_id=5"), "");
    let one = |name: &str| json!([{ "id": 1, "name": name }]);
    for (said, first) in [
        (json!({ "repositories": one("a"), "repos": one("b") }), "a"),
        (json!({ "repositories": [], "repos": one("b") }), "b"),
        (json!({ "repos": one("b") }), "b"),
    ] {
        control.says("/api/v1/github/app/installations/5/repos", 200, &said);
        let shown = get(&trackeep, path, &bearer).json();
        assert_eq!(
            (&shown["source"], &shown["installation_id"]),
            (&json!("github_app"), &json!(5))
        );
        assert_eq!(shown["repos"][0]["name"], first);
    }
    control.says("/api/v1/github/app/installations/5/repos", 404, &Value::Null);
    assert_eq!(get(&trackeep, path, &bearer).status, 502);
}

/// Takes one request as it is, and answers it.
fn once(body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    });
    (url, asked)
}

#[test]
fn activity_is_asked_of_github_itself_with_a_raw_sign_in_it() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let path = "/api/v1/github/user/access-token";
    control.says(path, 200, &json!({ "access_token": "gho_x", "source": "user", "expires_at": 7 }));
    let (status, words) = error_of(&get(&trackeep, "/api/v1/github/activity", &bearer));
    assert_eq!(status, 400);
    assert!(words.starts_with("Failed to get GitHub access token from control service: json"));

    control.says(path, 200, &json!({ "access_token": "gho_x", "source": "user" }));
    let (url, asked) = once(r#"{"items":[{"created_at":"1999-01-01T00:00:00Z"}]}"#);
    trackeep.set_github(&url);
    let shown = get(&trackeep, "/api/v1/github/activity", &bearer).json();
    assert_eq!(shown["total_count"], 1);
    assert_eq!(shown["weekly_data"], json!([0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(shown["contributions"].as_array().unwrap().len(), 365);
    let asked = asked.join().unwrap();
    let line =
        "GET /api/v3/search/issues?q=author:@me+created:>=2025-03-13&per_page=100 HTTP/1.1\r\n";
    assert!(asked.starts_with(line), "{asked}");
    assert!(asked.contains("Authorization: Bearer gho_x\r\n"), "{asked}");
    assert!(asked.contains("X-GitHub-Api-Version: 2022-11-28\r\n"), "{asked}");
}

#[test]
fn a_token_of_its_own_is_taken_from_three_places_and_lives_its_time() {
    let (control, trackeep) = instance();
    let bearer = signed_in(&control, &trackeep, "octocat", 583_231);
    let token = trackeep.token_of("octocat");
    let me = |headers: &str, query: &str| {
        error_of(&get(&trackeep, &format!("/api/v1/auth/me{query}"), headers))
    };
    let refused = |words: &str| (401, words.to_owned());
    let fine = (200, String::new());
    assert_eq!(me(&bearer, ""), fine);
    assert_eq!(me(&format!("Authorization: {token}\r\n"), ""), fine);
    let query = format!("?token={token}");
    assert_eq!(me("", &query), fine);
    assert_eq!(me("Authorization: \r\n", &query), fine);
    assert_eq!(me("Authorization: Bearer x\r\n", &query), refused("Invalid token"));
    assert_eq!(me("", ""), refused("Authorization header required"));

    trackeep.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(me(&bearer, ""), refused("Invalid token"), "it has expired");
    let bearer = format!("Authorization: Bearer {}\r\n", trackeep.token_of("octocat"));
    assert_eq!(post(&trackeep, "/api/v1/auth/logout", &bearer, &json!({})).status, 200);
    assert_eq!(me(&bearer, ""), fine, "nothing is revoked");
    trackeep.change_secret();
    assert_eq!(me(&bearer, ""), refused("Invalid token"));
    let bearer = format!("Authorization: Bearer {}\r\n", trackeep.token_of("octocat"));
    trackeep.delete_user("octocat");
    assert_eq!(me(&bearer, ""), refused("User not found"));
}

#[test]
fn an_api_key_is_good_for_files_alone() {
    let (control, trackeep) = instance();
    signed_in(&control, &trackeep, "octocat", 583_231);
    let read =
        format!("Authorization: Bearer {}\r\n", trackeep.api_key("octocat", &["files:read"]));
    let write =
        format!("Authorization: Bearer {}\r\n", trackeep.api_key("octocat", &["files:write"]));
    assert_eq!(get(&trackeep, "/api/v1/files", &read).status, 200);
    assert_eq!(get(&trackeep, "/api/v1/browser-extension/validate", &read).status, 200);
    assert_eq!(get(&trackeep, "/api/v1/auth/me", &read).status, 401);
    assert_eq!(get(&trackeep, "/api/v1/bookmarks", &read).status, 401);
    assert_eq!(post(&trackeep, "/api/v1/files/upload", &read, &json!({})).status, 401);
    assert_eq!(post(&trackeep, "/api/v1/files/upload", &write, &json!({})).status, 201);
    let forwarded =
        format!("{write}X-Forwarded-Host: trackeep.example\r\nX-Forwarded-Proto: https\r\n");
    let shared = post(&trackeep, "/api/v1/files/1/share", &forwarded, &json!({})).json();
    let url = shared["public_share_url"].as_str().unwrap();
    let path = url.strip_prefix(PUBLIC).expect("the host that the proxy says");
    assert_eq!(get(&trackeep, path, "").json()["content"]["id"], 1);
    assert_eq!(get(&trackeep, &format!("{path}x"), "").status, 404);
}

#[test]
fn passwords_and_admins() {
    let trackeep = alone();
    trackeep.limits(false);
    let form = |name: &str| json!({ "email": format!("{name}@x"), "username": name, "password": "secret", "fullName": "X" });
    let made = post(&trackeep, "/api/v1/auth/register", "", &form("boss"));
    assert_eq!((made.status, &made.json()["user"]["role"]), (201, &json!("admin")));
    assert_eq!(post(&trackeep, "/api/v1/auth/register", "", &form("next")).status, 403);
    let entered = post(&trackeep, "/api/v1/auth/login", "", &form("boss")).json();
    let bearer = format!("Authorization: Bearer {}\r\n", entered["token"].as_str().unwrap());
    assert_eq!(get(&trackeep, "/api/v1/admin/users", &bearer).status, 200);
    let wrong = json!({ "email": "boss@x", "password": "guess" });
    let refused = error_of(&post(&trackeep, "/api/v1/auth/login", "", &wrong));
    assert_eq!(refused, (401, "Invalid credentials".to_owned()));
    // Both would have the number 0 at GitHub.
    let second = error_of(&post(&trackeep, "/api/v1/auth/register", &bearer, &form("next")));
    assert_eq!(second, (500, "Failed to create user".to_owned()));
}

#[test]
fn the_admins_pages_are_the_admins() {
    let (control, trackeep) = instance();
    let admin = signed_in(&control, &trackeep, "octocat", 583_231);
    let other = signed_in(&control, &trackeep, "mona", 2);
    let status = |bearer: &str| get(&trackeep, "/api/v1/admin/users", bearer).status;
    assert_eq!((status(&admin), status(&other), status("")), (200, 403, 401));
}

#[test]
fn an_address_is_what_anybody_writes_and_has_its_hundred() {
    let trackeep = alone();
    let status = |by: &str| get(&trackeep, "/live", by).status;
    let from = "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n";
    for _ in 0..100 {
        assert_eq!(status(from), 200);
    }
    assert_eq!(status(from), 429);
    assert_eq!(status("X-Forwarded-For: 192.0.2.1\r\n"), 429, "the left-most counts");
    assert_eq!(status("X-Forwarded-For: 192.0.2.2, 10.0.0.1\r\n"), 200, "anybody is another");
    assert_eq!(status("X-Forwarded-For: me\r\nX-Real-IP: 192.0.2.1\r\n"), 429);
    let refused = get(&trackeep, "/live", from);
    assert_eq!(error_of(&refused).1, "Rate limit exceeded");
    assert!(refused.json()["retry_after"].is_f64());
    assert_eq!(refused.header("retry-after"), None);
    trackeep.advance(Duration::from_secs(60));
    assert_eq!(status(from), 200);
    for _ in 0..5 {
        assert_eq!(post(&trackeep, "/api/v1/auth/login", "", &json!({})).status, 400);
    }
    assert_eq!(post(&trackeep, "/api/v1/auth/login", "", &json!({})).status, 429);
    trackeep.limits(false);
    assert_eq!(post(&trackeep, "/api/v1/auth/login", "", &json!({})).status, 400);
}

#[test]
fn what_comes_without_a_cookie_is_held_and_becomes_json() {
    let trackeep = alone();
    let kind = |headers: &str| {
        let answer = get(&trackeep, "/app", headers);
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("<!doctype html>"));
        answer.header("content-type").unwrap().to_owned()
    };
    let html = "text/html; charset=utf-8";
    assert_eq!([kind(""), kind("")], [html, html], "nothing is held at first");
    trackeep.dragonfly(true);
    assert_eq!([kind(""), kind("")], [html, "application/json"]);
    assert_eq!(kind("Cookie: a=b\r\n"), html);
    assert_eq!(kind("Authorization: Bearer x\r\n"), html);
    trackeep.advance(Duration::from_secs(300));
    assert_eq!([kind(""), kind("")], [html, "application/json"]);
    let users = || get(&trackeep, "/api/v1/auth/check-users", "").json()["count"].clone();
    assert_eq!(users(), 0);
    trackeep.add_user("a@x", "a", "secret", "admin");
    assert_eq!(users(), 1, "what is about signing in is not held");
}

#[test]
fn everybody_may_do_what_nobody_should() {
    let trackeep = alone();
    let path = "/api/updates/install";
    assert_eq!(post(&trackeep, path, "", &json!({ "version": "9" })).status, 400);
    let version = get(&trackeep, "/api/updates/check", "").json()["latestVersion"].clone();
    assert_eq!(post(&trackeep, path, "", &json!({ "version": version })).status, 200);
    assert_eq!(trackeep.updates_installed(), 1);
    let unknown = get(&trackeep, "/api/v1/nothing/of/the/kind", "");
    assert_eq!(
        (unknown.status, unknown.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let malicious = error_of(&get(&trackeep, "/app?x=..%2F..%2Fetc", ""));
    assert_eq!(malicious, (400, "Invalid input detected".to_owned()));
    assert!(unknown.header("x-session-id").is_some_and(|id| id.starts_with("sess_")));
    assert_eq!(unknown.header("cache-control"), None);
}

#[test]
fn a_socket_is_open_to_any_origin_and_outlives_its_token() {
    let (control, trackeep) = instance();
    signed_in(&control, &trackeep, "octocat", 583_231);
    let open = |query: &str| {
        let mut stream = TcpStream::connect(trackeep.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = format!(
            "GET /api/v1/messages/ws{query} HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (stream, String::from_utf8(head).unwrap())
    };
    assert!(open("").1.starts_with("HTTP/1.1 401 "));
    let token = trackeep.token_of("octocat");
    let (mut stream, head) = open(&format!("?token={token}"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    trackeep.change_secret();
    // A mask of zeros leaves the text as it is.
    let said = r#"{"type":"typing.started","conversation_id":1}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(said.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(said.as_bytes());
    stream.write_all(&frame).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let length = match head {
        [0x81, 126] => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            u16::from_be_bytes(length).into()
        }
        [0x81, length] => usize::from(length),
        other => panic!("{other:?}"),
    };
    let mut event = vec![0; length];
    stream.read_exact(&mut event).unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["type"], "typing.started");
    assert_eq!(event["data"], json!({ "user_id": 1, "conversation_id": 1 }));
    assert_eq!(trackeep.open_sockets(), 1);
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x88, 0], "it says goodbye and closes");
}

#[test]
fn knobs_and_names_of_hosts() {
    let (control, trackeep) = instance();
    let address = control.url.strip_prefix("http://").unwrap().parse().unwrap();
    trackeep.resolve("hq.trackeep.org", address);
    trackeep.set_control("http://hq.trackeep.org");
    signed_in(&control, &trackeep, "octocat", 583_231);
    assert_eq!(control.seen()[0].header("host"), Some("hq.trackeep.org"));
    trackeep.knobs().once("/live", Trouble::answer(503, "text/plain", "down"));
    assert_eq!(get(&trackeep, "/live", "").status, 503);
    assert_eq!(get(&trackeep, "/live", "").status, 200);
    assert_eq!((trackeep.calls("GET /live"), trackeep.answered("GET /live", 503)), (2, 1));
}
