//! Operators' commands: at the admin listener, and as they are typed.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use gatekeep::clock::{Clock, System, Time};
use gatekeep::config::Config;
use gatekeep::keys::Keys;
use gatekeep::store::{Credentials, Embedded, Memory, Store, Table};
use serde_json::{Value, json};

use crate::support::browser::{Browser, join};
use crate::support::child::{Run, gatekeep};
use crate::support::http::{Response, command};
use crate::support::{Gate, ROUTES, World, eventually, yaml};

const APP: &str = "https://app.example.com/page";

/// The master secret of every world, and one to come.
const OLD: &str = "k3yZ-for-tests-0123456789-abcdefghijklmnop";
const NEW: &str = "n3wK-for-tests-9876543210-ponmlkjihgfedcba";

/// A configuration file for commands.
struct File(tempfile::TempDir);

// === impl File ===

impl File {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().expect("a directory"));
        std::fs::write(file.path(), text).expect("it can be written");
        file
    }

    /// That of a gateway in this process.
    fn of(world: &World, gate: &Gate) -> Self {
        Self::new(&yaml(&world.github, &format!("admin: {}\n", gate.admin), ROUTES_WITHOUT_APP))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("gatekeep.yaml")
    }

    /// Runs words of a command line; `FILE` is this file.
    fn run(&self, line: &str) -> (i32, String, String) {
        let path = self.path().display().to_string();
        let words = line.split(' ').map(|word| if word == "FILE" { &path } else { word });
        let Output { status, stdout, stderr } = gatekeep().args(words).output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text").replace(&path, "FILE");
        (status.code().expect("it exits"), text(stdout), text(stderr))
    }

    /// What a command prints for programs.
    fn json(&self, line: &str) -> Value {
        let (code, out, err) = self.run(&format!("{line} --json"));
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        serde_json::from_str(&out).expect("JSON")
    }
}

const ROUTES_WITHOUT_APP: &str =
    "\n  - { name: app, host: app.example.com, upstream: 'http://127.0.0.1:1', allow: anyone }\n";

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A world and its store.
fn world() -> (World, Arc<dyn Store>) {
    let mut store = None;
    let world = World::build("", ROUTES, |clock| {
        let memory: Arc<dyn Store> = Arc::new(Memory::new(clock));
        store = Some(memory.clone());
        memory
    });
    (world, store.expect("the gateway has a store"))
}

/// One more gateway on a store, and a browser there with the cookies of another.
fn second(world: &World, store: &Arc<dyn Store>, browser: &Browser) -> (Gate, Browser) {
    let text = yaml(&world.github, "", &ROUTES.replace("@APP@", world.app.url()));
    let gate = Gate::start(&text, |_| store.clone());
    let mut double = Browser::new(gate.address);
    for host in ["auth.example.com", "app.example.com"] {
        for (name, value) in browser.cookies(host) {
            double.plant(host, &name, &value);
        }
    }
    (gate, double)
}

fn moment(value: &Value) -> String {
    value.as_i64().map_or("-".to_owned(), |unix| Time::from_unix(unix).to_string())
}

// -- what a command prints --

#[test]
fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let (world, store) = world();
    let file = File::of(&world, &world.gate);
    let (mut first, _) = world.signed_in("octocat", APP);
    world.gate.clock.advance(std::time::Duration::from_secs(60));
    let (mut second_browser, _) = world.signed_in("octocat", APP);
    let (mut hubot, _) = world.signed_in("hubot", "https://auth.example.com/");
    let listed = file.json("sessions list FILE --user OctoCat");
    let sessions = listed.as_array().expect("a list");
    assert_eq!(sessions.len(), 2);
    let now = world.gate.clock.now().unix();
    assert_eq!(sessions[0]["created"], now, "the one used last comes first");
    assert_eq!(sessions[1]["created"], now - 60);
    let key = |place: usize| sessions[place]["key"].as_str().expect("a key").to_owned();
    let mut table = format!(
        "{:<22}  DEVICE        FROM       {:<23}  {:<23}  ENDS\n",
        "SESSION", "SIGNED IN", "LAST USED"
    );
    for session in sessions {
        let times = ["created", "seen", "expires"].map(|name| moment(&session[name])).join("  ");
        let name = session["key"].as_str().expect("a key");
        writeln!(table, "{name}  test browser  127.0.0.1  {times}").expect("memory is written");
    }
    assert_eq!(file.run("sessions list FILE --user octocat"), (0, table, String::new()));

    let line = format!("sessions revoke FILE --session {}", key(1));
    let one = "1 session was ended, on every host.\n".to_owned();
    assert_eq!(file.run(&line), (0, one, String::new()));
    assert_eq!(first.fetch(APP).status, 401);
    assert_eq!(second_browser.fetch(APP).status, 200);
    let gone = format!(
        "error: there is no session `{}`, so nothing was done; it may have ended before\n",
        key(1)
    );
    assert_eq!(file.run(&line), (1, String::new(), gone));

    world.signed_in("octocat", APP);
    let two = "2 sessions were ended, on every host.\n".to_owned();
    let line = "sessions revoke FILE --user octocat";
    assert_eq!(file.run(line), (0, two, String::new()));
    assert_eq!(second_browser.fetch(APP).status, 401);
    assert_eq!(hubot.fetch("https://auth.example.com/").status, 200);
    let nobody = "error: nobody is signed in as `octocat`, so nothing was done; logins change: an \
                  account's number, as in `id:583231`, stays\n";
    for line in [line, "sessions list FILE --user octocat"] {
        assert_eq!(file.run(line), (1, String::new(), nobody.to_owned()));
    }
    let metric = r#"gatekeep_sessions_ended_total{cause="operator"}"#;
    assert_eq!(world.gate.metric(metric), Some(3.0));
    let octocat = world.github.person("octocat").expect("a person").id;
    let tokens = block_on(Credentials::new(store).read(&world.gate.keys, octocat));
    assert!(tokens.expect("an answer").is_none(), "tokens go with the last session");
    let hubot = format!(
        "sessions revoke FILE --user id:{}",
        world.github.person("hubot").expect("a person").id
    );
    assert_eq!(file.json(&hubot), json!({ "ended": 1 }));
}

#[test]
fn a_session_that_one_node_ends_is_over_on_the_other() {
    let (world, store) = world();
    let (browser, _) = world.signed_in("octocat", APP);
    let (gate, mut double) = second(&world, &store, &browser);
    assert_eq!(double.fetch(APP).status, 200);
    let done = world.gate.operate("POST", "/sessions/revoke", r#"{"user": "octocat"}"#);
    assert_eq!((done.status, done.json()), (200, json!({ "ended": 1 })));
    // The account page: an answer of the app would be cut off when the session ends beneath it.
    let page = "https://app.example.com/.gatekeep/account";
    eventually("it is over there", || double.fetch(page).status == 401);
    drop(gate);
}

#[test]
fn signing_keys_are_listed_and_rotated() {
    let (world, _) = world();
    let file = File::of(&world, &world.gate);
    let table = |keys: &Value| {
        let keys = keys.as_array().expect("a list");
        let width = if keys.iter().any(|key| key["state"] == "retiring") { 8 } else { 7 };
        let width = if keys.len() == 1 { 7 } else { width };
        let mut table = format!(
            "{:<43}  {:<width$}  {:<23}  {:<23}  PUBLISHED UNTIL\n",
            "KEY", "STATE", "MADE", "SIGNS FROM"
        );
        for key in keys {
            let text = |name: &str| key[name].as_str().expect("a text").to_owned();
            let times = ["made", "active_from", "gone_at"].map(|name| moment(&key[name]));
            writeln!(table, "{}  {:<width$}  {}", text("kid"), text("state"), times.join("  "))
                .expect("memory is written");
        }
        table
    };
    let before = file.json("keys list FILE");
    assert_eq!(before.as_array().map(Vec::len), Some(1));
    assert_eq!(file.run("keys list FILE"), (0, table(&before), String::new()));
    let (code, out, err) = file.run("keys rotate FILE");
    let after = file.json("keys list FILE");
    assert_eq!((code, out, err.as_str()), (0, table(&after), ""));
    let states = |keys: &Value| -> Vec<Value> {
        keys.as_array().expect("a list").iter().map(|key| key["state"].clone()).collect()
    };
    assert_eq!(states(&after), ["signing", "coming"]);
    assert_eq!(after[0]["kid"], before[0]["kid"]);
    let replaced = file.json("keys rotate FILE --at-once");
    assert_eq!((&replaced["rotated"], &replaced["announced"]), (&json!(true), &json!(true)));
    assert_eq!(states(&replaced["keys"]), ["signing"]);
    assert_ne!(replaced["keys"][0]["kid"], before[0]["kid"]);
}

#[test]
fn budgets_at_github_are_listed() {
    let routes = "\n  - { name: github, host: app.example.com, upstream: github, allow: anyone }\n";
    let world = World::with("", routes);
    let file = File::of(&world, &world.gate);
    let heads = "WHO  LIMIT  LEFT  OF  FULL AGAIN  PAUSED UNTIL  REQUESTS  FREE\n";
    assert_eq!(file.run("budgets FILE"), (0, heads.to_owned(), String::new()));
    let (_, answer) = world.signed_in("octocat", "https://app.example.com/user");
    assert!(answer.text().contains("\"login\":\"octocat\""), "{}", answer.text());
    let limit = &file.json("budgets FILE")[0]["limits"][0];
    let (full, left) = (moment(&limit["reset"]), &limit["remaining"]);
    let table = format!(
        "WHO        LIMIT  LEFT  OF    {:<23}  PAUSED UNTIL  REQUESTS  FREE\n\
         id:583231  core   {left}  5000  {full}  -             1         0\n",
        "FULL AGAIN"
    );
    assert_eq!(file.run("budgets FILE"), (0, table, String::new()));
}

// -- what is refused --

fn bearer(keys: &Keys) -> String {
    format!("Bearer {}", keys.admin_token().expose())
}

const COMMANDS: [(&str, &str, &str); 6] = [
    ("GET", "/sessions?user=octocat", ""),
    ("POST", "/sessions/revoke", r#"{"user": "octocat"}"#),
    ("GET", "/keys", ""),
    ("POST", "/keys/rotate", r#"{"at_once": true}"#),
    ("POST", "/rekey", "{}"),
    ("GET", "/github/budgets", ""),
];

/// How many rows a store has.
fn rows(store: &Arc<dyn Store>) -> usize {
    let pages = Table::ALL.iter().map(|table| block_on(store.scan(*table, None)));
    pages.map(|page| page.expect("an answer").rows.len()).sum()
}

/// Without the token, with a wrong one, with two, in a page's cross-site request.
#[test]
fn without_the_token_nothing_is_told_and_nothing_is_done() {
    let (world, store) = world();
    let (mut browser, _) = world.signed_in("octocat", APP);
    let (keys, there) = (world.gate.operate("GET", "/keys", "").json(), rows(&store));
    let good = bearer(&world.gate.keys);
    let basic = good.replace("Bearer", "Basic");
    let tampered = format!("{}A", &good[..good.len() - 1]);
    let from_page = [("origin", "https://evil.example"), ("host", "evil.example")];
    let unauthorised: [&[(&str, &str)]; 7] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer ")],
        &[("authorization", &basic)],
        &[("authorization", &tampered[..tampered.len() - 2])],
        &[("authorization", &good), ("authorization", &good)],
        &from_page[..1],
    ];
    let sentence = "this takes the token that is derived from the gateway's master secret, as \
                    `gatekeep sessions`, `gatekeep keys` and `gatekeep rekey` send it";
    let admin = world.gate.admin;
    for headers in unauthorised {
        for (method, path, body) in COMMANDS {
            let answer = command(admin, method, path, headers, body);
            let told = (answer.status, answer.json(), answer.header("www-authenticate"));
            assert_eq!(
                told,
                (401, json!({ "error": sentence }), Some("Bearer")),
                "{path} {headers:?}"
            );
        }
    }
    assert_eq!(browser.fetch(APP).status, 200, "nobody was signed out");
    assert_eq!(world.gate.operate("GET", "/keys", "").json(), keys);
    assert_eq!(rows(&store), there);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_sentence_and_not_done() {
    let (world, store) = world();
    let (mut browser, _) = world.signed_in("octocat", APP);
    let (keys, there) = (world.gate.operate("GET", "/keys", "").json(), rows(&store));
    let refused = |status: u16, sentence: &str, answer: &Response| {
        let told = (answer.status, answer.json());
        assert_eq!(told, (status, json!({ "error": sentence })), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    };
    for (method, path, _) in COMMANDS {
        let (other, allowed) = if method == "GET" { ("POST", "GET") } else { ("GET", "POST") };
        for wrong in [other, "PUT", "DELETE", "OPTIONS"] {
            let answer = world.gate.operate(wrong, path, "");
            refused(405, &format!("only {allowed} is answered here"), &answer);
            assert_eq!(answer.header("allow"), Some(allowed));
        }
    }
    let long = format!(r#"{{"user": "octocat"{}}}"#, " ".repeat(4096));
    let answer = world.gate.operate("POST", "/sessions/revoke", &long);
    refused(413, "the body is longer than 4096 bytes", &answer);
    for (path, body) in [
        ("/sessions/revoke", r#"{"user": "octocat", "all": true}"#),
        ("/sessions/revoke", r#"{"session": "short"}"#),
        ("/sessions/revoke", "octocat"),
        ("/keys/rotate", r#"{"at_once": true, "now": true}"#),
        ("/rekey", r#"{"tables": []}"#),
    ] {
        let answer = world.gate.operate("POST", path, body);
        let error = answer.json()["error"].as_str().expect("a sentence").to_owned();
        let begins = error.starts_with("the body is not what is taken here: ");
        assert!(answer.status == 400 && begins, "{path} {body}: {error}");
    }
    let either = "name either a `user` or a `session`; nothing was done";
    for body in ["", "{}", r#"{"user": "octocat", "session": "kR3uW0bQx1v8mT5yZ2nL4A"}"#] {
        refused(400, either, &world.gate.operate("POST", "/sessions/revoke", body));
    }
    let ask = "ask with `?user=octocat` or `?user=id:583231`";
    for query in ["", "?", "?login=octocat", "?user=octocat&user=hubot"] {
        refused(400, ask, &world.gate.operate("GET", &format!("/sessions{query}"), ""));
    }
    let begin = "begin without `table` and `from`, and go on with what was answered as `next`";
    for body in
        [r#"{"table": "lease"}"#, r#"{"from": "AA"}"#, r#"{"table": "session", "from": "!"}"#]
    {
        refused(400, begin, &world.gate.operate("POST", "/rekey", body));
    }
    assert_eq!(browser.fetch(APP).status, 200, "nobody was signed out");
    assert_eq!(world.gate.operate("GET", "/keys", "").json(), keys);
    assert_eq!(rows(&store), there);
}

/// A login that somebody gave up and somebody else took: one has to say who is meant.
#[test]
fn a_login_of_two_accounts_is_not_guessed() {
    let (world, _) = world();
    let (mut first, _) = world.signed_in("octocat", APP);
    let (old, new) = (world.github.person("octocat").expect("a person").id, 4_242);
    world.github.rename("octocat", "octocat-of-old");
    world.github.add_person(gatekeep::simulator::Person::new(new, "octocat").member_of("acme"));
    world.signed_in("octocat", APP);
    let (low, high) = (old.min(new), old.max(new));
    let file = File::of(&world, &world.gate);
    let said = format!(
        "error: `octocat` was the login of several accounts: `id:{low}`, `id:{high}`; name one by \
         its number\n"
    );
    assert_eq!(file.run("sessions revoke FILE --user octocat"), (1, String::new(), said));
    assert_eq!(first.fetch(APP).status, 200);
    assert_eq!(file.json(&format!("sessions revoke FILE --user id:{old}")), json!({ "ended": 1 }));
    assert_eq!(first.fetch(APP).status, 401);
}

/// Configurations that lead to no gateway that takes the command, the exit code and what is said.
fn troubles(world: &World) -> [(String, i32, String); 5] {
    let with = |admin: &str| yaml(&world.github, admin, ROUTES_WITHOUT_APP);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = silent.local_addr().expect("it is bound");
    drop(silent);
    let here = world.gate.admin;
    let off = with("admin: 127.0.0.1:1\n").replace("admin: 127.0.0.1:1\n", "");
    [
        (
            off,
            2,
            "error: `admin` is not set in FILE, and that is where commands reach the running \
             gateway; add `admin: 127.0.0.1:9900` and restart it\n"
                .to_owned(),
        ),
        (
            with("admin: 127.0.0.1:0\n"),
            2,
            "error: `admin` in FILE leaves the port to chance; name one, as in `admin: \
             127.0.0.1:9900`, and restart the gateway\n"
                .to_owned(),
        ),
        (
            with(&format!("admin: {nobody}\n")),
            1,
            format!(
                "error: nobody answers at http://{nobody}: Connection refused (os error 111); is \
                 the gateway running, with this `admin` address?\n"
            ),
        ),
        (
            with(&format!("admin: {here}\n")).replace(OLD, NEW),
            1,
            format!(
                "error: the gateway at http://{here} runs with another master secret; use its own \
                 configuration and environment, and if `secret` has changed since, have it read \
                 again with SIGHUP\n"
            ),
        ),
        (
            with(&format!("admin: {}\n", world.gate.address)),
            1,
            format!(
                "error: what answers at http://{} is no gateway, or of another version: it \
                 answered 404 Not Found\n",
                world.gate.address
            ),
        ),
    ]
}

#[test]
fn a_command_that_cannot_be_carried_out_says_why_and_what_to_do() {
    let (world, _) = world();
    for (text, code, said) in troubles(&world) {
        let file = File::new(&text);
        for line in ["sessions list FILE --user octocat", "keys list FILE", "rekey FILE"] {
            assert_eq!(file.run(line), (code, String::new(), said.clone()), "{line}");
        }
    }
    let file = yaml(&world.github, "admin: 127.0.0.1:1\n", ROUTES_WITHOUT_APP);
    let file = File::new(&file.replace("routes:", "rutes:"));
    let (code, _, err) = file.run("keys list FILE");
    assert!(code == 2 && err.contains("unknown key `rutes`"), "{err}");
    for line in [
        "sessions list FILE",
        "sessions list FILE --user a/b",
        "sessions revoke FILE",
        "sessions revoke FILE --session short",
        "sessions revoke FILE --user octocat --session kR3uW0bQx1v8mT5yZ2nL4A",
        "keys",
    ] {
        let (code, out, _) = file.run(line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}");
    }
}

// -- the master secret --

fn rotated(secrets: &[&str], text: &str) -> String {
    text.replace(&format!("secret: {OLD}\n"), &format!("secret: [{}]\n", secrets.join(", ")))
}

fn signed_in(
    address: SocketAddr,
    github: &gatekeep::simulator::Simulator,
    person: &str,
) -> Browser {
    let mut browser = Browser::new(address);
    let mut at = APP.to_owned();
    while !at.starts_with(github.url()) {
        let location = browser.get(&at).location().to_owned();
        at = join(&at, &location);
    }
    assert_eq!(browser.follow(&github.approve(&at, person)).1.status, 200);
    browser
}

/// The rows of a directory's store that the keys open.
fn rows_under(directory: &Path, keys: &Keys) -> usize {
    let store = Embedded::open(directory, Arc::new(System)).expect("nobody else has it");
    let mut count = 0;
    for table in [Table::Session, Table::Account, Table::Credential, Table::Ticket] {
        let page = block_on(store.scan(table, None)).expect("an answer");
        let opens = |(key, sealed): &(Vec<u8>, Vec<u8>)| {
            keys.open_record(&[table.name().as_bytes(), key], sealed).is_some()
        };
        count += page.rows.iter().filter(|row| opens(row)).count();
    }
    let signing = block_on(store.get(Table::SigningKeys, b"identity")).expect("an answer");
    let place: [&[u8]; 2] = [Table::SigningKeys.name().as_bytes(), b"identity"];
    count + usize::from(signing.is_some_and(|sealed| keys.open_common(&place, &sealed).is_some()))
}

fn keys_of(text: &str) -> Keys {
    Config::parse(Path::new("gatekeep.yaml"), text, &|_| None).expect("it loads").keys
}

/// The steps of the manual, at a gateway in use: whoever comes by in between stays signed in.
#[test]
fn the_master_secret_is_rotated_under_use() {
    let world = World::new();
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("store: {{ embedded: '{}' }}\n", directory.path().display());
    let route = ROUTES_WITHOUT_APP.replace("http://127.0.0.1:1", world.app.url());
    let text = yaml(&world.github, &store, &route);
    let with = |secrets: &[&str]| rotated(secrets, &text);
    let mut run = Run::start(&with(&[OLD]));
    let command = |secrets: &[&str]| {
        File::new(&with(secrets).replace("admin: 127.0.0.1:0", &format!("admin: {}", run.admin)))
    };
    let (before, after) = (command(&[OLD]), command(&[NEW, OLD]));
    let [mut octocat, mut hubot, mut mona] =
        ["octocat", "hubot", "mona"].map(|who| signed_in(run.address, &world.github, who));
    let listed = before.json("sessions list FILE --user octocat");
    run.reload(&with(&[OLD, NEW]));
    assert_eq!(octocat.fetch(APP).status, 200);
    let again = before.json("sessions list FILE --user octocat");
    assert_eq!(again[0]["key"], listed[0]["key"], "the old token is good");
    let (code, _, err) = after.run("rekey FILE");
    let forgotten = "error: the running gateway seals under another master secret than the first of \
                     `secret` in this file, so nothing was done: reload the gateway (SIGHUP) and \
                     run this again\n";
    assert_eq!((code, err.as_str()), (1, forgotten), "the file is ahead of the gateway");
    run.reload(&with(&[NEW, OLD]));
    assert_eq!(octocat.fetch(APP).status, 200);
    let (code, out, err) = after.run("rekey FILE");
    // Three people with two cookies each; octocat's at the app is new, and so is the old one's copy.
    let said = "15 rows were sealed under the newest master secret. Keep the older one for \
                `session.idle` more: cookies that nobody has used since need it.\n";
    assert_eq!((code, out.as_str()), (0, said), "{err}");
    let progress: Vec<_> = err.lines().collect();
    assert_eq!(
        progress,
        [
            "3 rows sealed anew, 0 skipped; next: account",
            "9 rows sealed anew, 0 skipped; next: credential",
            "9 rows sealed anew, 0 skipped; next: ticket",
            "15 rows sealed anew, 0 skipped; done",
        ]
    );
    assert_eq!(hubot.fetch(APP).status, 200, "it comes by after");
    let (code, out, _) = after.run("rekey FILE --json");
    assert_eq!((code, out.as_str()), (0, "{\"resealed\":0,\"skipped\":0}\n"));
    run.reload(&with(&[NEW]));
    assert_eq!(octocat.fetch(APP).status, 200);
    assert_eq!(hubot.fetch(APP).status, 200);
    assert_eq!(mona.fetch(APP).status, 401, "this one did not come by");
    assert_eq!(after.json("sessions list FILE --user octocat")[0]["key"], listed[0]["key"]);
    assert_eq!(before.run("keys list FILE").0, 1, "the old token is good no more");
    std::fs::write(&run.file, with(&[OLD])).expect("it can be written");
    run.child.signal("HUP");
    run.child.wait_for("sealed with a master secret that is not in `secret`", 1);
    assert_eq!(octocat.fetch(APP).status, 200, "a secret that opens nothing is not put in force");
    run.child.signal("TERM");
    assert_eq!(run.child.end().code(), Some(0));
    drop(run);
    assert_eq!(rows_under(directory.path(), &keys_of(&with(&[OLD]))), 0);
    assert!(rows_under(directory.path(), &keys_of(&with(&[NEW]))) >= 16);
}

// -- the manual --

/// Every command of the manual, in its order, against a gateway with two sessions.
#[test]
fn the_commands_of_the_manual_do_what_they_say() {
    let (world, _) = world();
    let file = File::of(&world, &world.gate);
    world.signed_in("octocat", APP);
    world.signed_in("octocat", APP);
    let key = file.json("sessions list FILE --user octocat")[0]["key"].clone();
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    let shown: Vec<_> = manual.lines().filter_map(|line| line.strip_prefix("gatekeep ")).collect();
    assert_eq!(shown.len(), 8, "{shown:?}");
    for line in shown {
        let line = line.replace("gatekeep.yaml", "FILE");
        let line = line.replace("kR3uW0bQx1v8mT5yZ2nL4A", key.as_str().expect("a key"));
        let (code, out, err) = file.run(&line);
        assert!(code == 0 && !out.is_empty(), "{line}: {err}");
    }
}
