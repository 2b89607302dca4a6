//! The simulator through its front door, over a plain socket.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use super::*;

mod app;
mod applications;
mod conditional;
mod downloads;
mod git;
mod graphql;
mod issues;
mod journal;
mod limits;
mod lockout;
mod presentation;
mod refresh;
mod repositories;
mod trackeep;
mod webhook;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "http://127.0.0.1:9/cb";
const TOKEN: &str = "POST /login/oauth/access_token";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn raw(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let answer = raw(
        address,
        &format!(
            "{line} HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ),
    );
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head[9..12].parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn github() -> Simulator {
    Simulator::start("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn echo() -> Echo {
    let settings = EchoSettings { jwks_url: None, prefix: "/.gatekeep".to_owned() };
    Echo::start("127.0.0.1:0".parse().unwrap(), settings).unwrap()
}

fn question(github: &Simulator) -> String {
    let mut url = url::Url::parse(github.url()).unwrap().join("/login/oauth/authorize").unwrap();
    url.query_pairs_mut()
        .append_pair("client_id", github.client_id())
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("state", "s t")
        .append_pair("scope", "read:user user:email read:org")
        .append_pair("code_challenge", CHALLENGE)
        .append_pair("code_challenge_method", "S256");
    url.into()
}

fn target(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url[url::Position::BeforePath..].to_owned()
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What the app sends to the token endpoint.
fn app_form(github: &Simulator, fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("client_id", github.client_id());
    form.append_pair("client_secret", github.client_secret());
    form.extend_pairs(fields).finish()
}

fn exchange(github: &Simulator, code: &str, verifier: &str) -> Value {
    let fields = [("code", code), ("redirect_uri", CALLBACK), ("code_verifier", verifier)];
    let form = app_form(github, &fields);
    let answer = ask(github.address(), TOKEN, "Accept: application/json\r\n", &form);
    assert_eq!(answer.status, 200);
    answer.json()
}

fn get(github: &Simulator, path: &str, token: &str) -> Answer {
    let authorization = format!("Authorization: Bearer {token}\r\n");
    ask(github.address(), &format!("GET /api/v3{path}"), &authorization, "")
}

/// Writes JSON with a token, by whatever method.
fn send(github: &Simulator, line: &str, token: &str, body: &Value) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let (method, path) = line.split_once(' ').unwrap();
    ask(github.address(), &format!("{method} /api/v3{path}"), &headers, &body.to_string())
}

#[test]
fn a_code_is_good_once_and_only_with_its_verifier() {
    let github = github();
    let back = github.approve(&question(&github), "octocat");
    assert_eq!(parameter(&back, "state").as_deref(), Some("s t"));
    let code = parameter(&back, "code").unwrap();
    let token = exchange(&github, &code, VERIFIER);
    assert_eq!(token["scope"], "read:user,user:email,read:org");
    assert_eq!(exchange(&github, &code, VERIFIER)["error"], "bad_verification_code");
    let code = parameter(&github.approve(&question(&github), "octocat"), "code").unwrap();
    assert_eq!(exchange(&github, &code, "wrong")["error"], "bad_verification_code");
    let user = get(&github, "/user", token["access_token"].as_str().unwrap());
    assert_eq!((user.status, &user.json()["id"]), (200, &Value::from(583_231)));
    assert_eq!(user.header("x-oauth-scopes"), Some("read:user, user:email, read:org"));
    assert_eq!(github.calls("POST /login/oauth/access_token"), 3);
    assert_eq!(github.calls("GET /user"), 1);
}

#[test]
fn wrong_credentials_and_callbacks_are_told_in_githubs_words() {
    let github = github();
    let line = "POST /login/oauth/access_token";
    let answer = ask(github.address(), line, "", "client_id=x&client_secret=y&code=z");
    assert!(answer.body.starts_with("error=incorrect_client_credentials&error_description=The+"));
    github.register_callback("https://gate.example/cb");
    let foreign = ask(github.address(), &format!("GET {}", target(&question(&github))), "", "");
    assert_eq!((foreign.status, foreign.header("location")), (400, None));
    let stranger = ask(github.address(), "GET /login/oauth/authorize?client_id=x", "", "");
    assert_eq!(stranger.status, 404);
}

#[test]
fn a_browser_picks_agrees_and_is_remembered() {
    let github = github();
    let at = target(&question(&github));
    let picking = ask(github.address(), &format!("GET {at}"), "", "");
    assert!(picking.body.contains("Who are you today?"));
    let query = at.split_once('?').unwrap().1;
    let line = "POST /login/oauth/authorize";
    let picked = ask(github.address(), line, "", &format!("{query}&person=hubot"));
    assert_eq!((picked.status, picked.header("location")), (303, Some(at.as_str())));
    let cookie = picked.header("set-cookie").unwrap().split(';').next().unwrap();
    let cookie = format!("Cookie: {cookie}\r\n");
    let consent = ask(github.address(), &format!("GET {at}"), &cookie, "");
    assert!(consent.body.contains("You are <strong id=\"person\">hubot</strong>"));
    let cancelled =
        ask(github.address(), line, &cookie, &format!("{query}&person=hubot&decision=cancel"));
    let back = cancelled.header("location").unwrap();
    assert_eq!(parameter(back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(back, "state").as_deref(), Some("s t"));
    let form = format!("{query}&person=hubot&decision=authorize");
    let agreed = ask(github.address(), line, "", &form);
    assert_eq!(agreed.status, 302);
    assert!(agreed.header("location").unwrap().starts_with("http://127.0.0.1:9/cb?code="));
    let again = ask(github.address(), &format!("GET {at}"), &cookie, "");
    assert_eq!(again.status, 302);
    assert!(parameter(again.header("location").unwrap(), "code").is_some());
    let other = ask(github.address(), &format!("GET {at}&prompt=select_account"), &cookie, "");
    assert!(other.body.contains("Who are you today?"));
}

#[test]
fn teams_come_in_pages_and_need_their_scope() {
    let github = github();
    let token = github.token_for("hubot", "read:org");
    let first = get(&github, "/user/teams?per_page=100", &token);
    assert_eq!(first.json().as_array().unwrap().len(), 100);
    let next = format!(
        "<{0}/user/teams?per_page=100&page=2>; rel=\"next\", \
         <{0}/user/teams?per_page=100&page=2>; rel=\"last\"",
        github.api_url()
    );
    assert_eq!(first.header("link"), Some(next.as_str()));
    let second = get(&github, "/user/teams?per_page=100&page=2", &token).json();
    assert_eq!(second.as_array().unwrap().len(), 32);
    assert_eq!(second[31]["slug"], "team-130");
    assert_eq!(get(&github, "/user/emails", &token).status, 404);
    let blind = github.token_for("hubot", "read:user");
    assert_eq!(get(&github, "/user/teams", &blind).status, 403);
}

#[test]
fn the_api_knows_tokens_members_and_etags() {
    let github = github();
    let token = github.token_for("mona", "read:org user:email");
    let anonymous = ask(github.address(), "GET /api/v3/user", "", "");
    assert_eq!(
        (anonymous.status, &anonymous.json()["message"]),
        (401, &"Requires authentication".into())
    );
    assert_eq!(get(&github, "/user", "gho_x").json()["message"], "Bad credentials");
    let own = get(&github, "/user/memberships/orgs/ACME", &token).json();
    assert_eq!((&own["role"], &own["state"]), (&"admin".into(), &"active".into()));
    assert_eq!(get(&github, "/orgs/acme/memberships/octocat", &token).status, 200);
    assert_eq!(get(&github, "/orgs/acme/memberships/stranger", &token).status, 404);
    assert_eq!(get(&github, "/orgs/waiting-room/memberships/mona", &token).status, 403);
    let tag = get(&github, "/user", &token).header("etag").unwrap().to_owned();
    let headers = format!("Authorization: Bearer {token}\r\nIf-None-Match: W/{tag}\r\n");
    let same = ask(github.address(), "GET /api/v3/user", &headers, "");
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    let headers = headers.replace("Bearer", "token");
    let other = ask(github.address(), "GET /api/v3/user", &headers, "");
    assert_eq!(other.status, 200, "the scheme goes into the tag");
    github.remove_from_org("mona", "acme");
    assert_eq!(get(&github, "/user/memberships/orgs/acme", &token).status, 404);
    assert!(github.revoke_token(&token));
    assert_eq!(get(&github, "/user", &token).status, 401);
}

#[test]
fn knobs_make_trouble() {
    let github = github();
    let token = github.token_for("octocat", "read:user");
    let request = |headers: &str| {
        format!(
            "GET /api/v3/user HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n{headers}\r\n"
        )
    };
    let request = request(&format!("Authorization: Bearer {token}\r\n"));
    github.knobs().once("/user", Trouble::Refuse);
    assert_eq!(raw(github.address(), &request), b"");
    github.knobs().once("/user", Trouble::answer(200, "text/html", "<oops>"));
    assert_eq!(get(&github, "/user", &token).body, "<oops>");
    github.knobs().once("/user", Trouble::Cut { after: 10 });
    let cut = String::from_utf8(raw(github.address(), &request)).unwrap();
    let (head, body) = cut.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 10, "{head}");
    github.knobs().once("/user", Trouble::Huge(200_000));
    assert!(raw(github.address(), &request).len() > 200_000);
    let gate = Gate::new();
    github.knobs().on("/user", Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&github, "/user", &token).status);
        assert!(gate.wait_for(1, Duration::from_secs(5)));
        assert!(!waiting.is_finished());
        gate.release();
        assert_eq!(waiting.join().unwrap(), 200);
    });
    github.change("octocat", |person| person.id = 0);
    github.rename("octocat", "octodog");
    let user = get(&github, "/user", &token).json();
    assert_eq!((&user["id"], &user["login"]), (&0.into(), &"octodog".into()));
}

#[test]
fn the_app_echoes_sets_cookies_and_switches_protocols() {
    let app = echo();
    let posted = ask(app.address(), "POST /a?b=%20", "X-User: mona\r\n", "hi").json();
    assert_eq!((&posted["target"], &posted["body"]), (&"/a?b=%20".into(), &"hi".into()));
    assert_eq!(posted["views"]["cgi"]["HTTP_X_USER"], serde_json::json!(["mona"]));
    assert_eq!((app.hits(), app.requests()[0].body_bytes), (1, 2));
    assert_eq!(app.requests()[0].header("X-User"), Some("mona"));
    let cookies = ask(app.address(), "GET /set-cookie?name=a&value=1&name=b&value=2", "", "");
    assert!(cookies.head.contains("set-cookie: a=1; Path=/\r\nset-cookie: b=2; Path=/"));
    assert_eq!(ask(app.address(), "GET /status/204", "", "").status, 204);
    assert_eq!(ask(app.address(), "GET /big?bytes=5", "", "").body.len(), 5);
    let page = ask(app.address(), "GET /admin", "Accept: text/html\r\n", "");
    assert!(page.body.contains("<p id=\"who\">The gateway does not say who you are.</p>"));
}

#[test]
fn the_app_streams_until_the_client_leaves() {
    let app = echo();
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET /events?n=2 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut got = String::new();
    let mut buffer = [0; 1024];
    while !got.contains("event 2 of 2") {
        let read = stream.read(&mut buffer).unwrap();
        got.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    assert_eq!(app.open_streams(), 1);
    drop(stream);
    let mut socket = TcpStream::connect(app.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let hello = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly";
    socket.write_all(hello.as_bytes()).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"early") {
        let read = socket.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8(got).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "));
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    socket.write_all(b"late").unwrap();
    socket.read_exact(&mut buffer[..4]).unwrap();
    assert_eq!(&buffer[..4], b"late");
}
