//! The configuration changes under tokens and keys that instances hold.

use gatekeep::simulator::Simulator;

use super::*;
use crate::support::child::Run;
use crate::support::yaml;

const OLDEST: &str = "https://oldest.example.com/";

/// Follows every redirect from a broker's address until the instance's own is reached.
fn brought(run: &Run, github: &Simulator, from: &str) -> String {
    let (mut browser, mut at) = (Browser::new(run.address), from.to_owned());
    while !at.contains("token=") {
        if at.starts_with(github.url()) {
            at = github.approve(&at, "octocat");
        }
        at = join(&at, browser.get(&at).location());
    }
    parameter(&at, "token").expect("a token")
}

/// The key for our own routes in a signed token, as its reader finds it.
fn key_in(token: &str) -> String {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).expect("a JWT");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    claims["access_token"].as_str().expect("a key").to_owned()
}

#[test]
fn what_an_instance_holds_is_worth_nothing_once_it_is_removed_or_admits_its_visitor_no_more() {
    let github = Simulator::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
    github.register_callback("https://auth.example.com/.gatekeep/callback");
    let with = |broker: &str| yaml(&github, broker, &ROUTES.replace("@APP@", "http://127.0.0.1:9"));
    let without = |name: &str, until: &str| {
        let (before, rest) =
            BROKER.split_once(&format!("    - name: {name}\n")).expect("it is there");
        let after = rest.find(until).map_or("", |at| &rest[at..]);
        with(&format!("{before}{after}"))
    };
    let mut run = Run::start(&with(BROKER));
    let code = brought(&run, &github, &begin(CALLBACK));
    let key = key_in(&brought(&run, &github, &begin(OLDEST)));
    let program = |run: &Run| Browser::new(run.address).called("Trackeep");
    let headers = [PLAIN[0], ("content-type", "application/json")];
    let shown = serde_json::json!({ "token": code }).to_string();
    let url = format!("{SERVICE}/api/v1/auth/control/callback");
    let answer = program(&run).send("POST", &url, &headers, &shown);
    let token = decoded::<Validated>(&answer).token;

    let by = |run: &Run, url: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        program(run).send("GET", url, &[PLAIN[0], ("authorization", &bearer)], "").status
    };
    let both = |run: &Run| {
        let at_service = by(run, &format!("{SERVICE}/api/v1/github/app/info"), &token);
        [at_service, by(run, "https://app.example.com/github/user", &key)]
    };
    assert_eq!(both(&run), [200, 200], "control");
    run.reload(&without("home", "    - name: office"));
    assert_eq!(both(&run), [401, 200], "without the instance of the token");
    run.reload(&without("oldest", "\u{0}"));
    assert_eq!(both(&run), [200, 401], "without the instance of the key");
    run.reload(&with(&BROKER.replace("allow: { orgs: [acme] }", "allow: { users: [hubot] }")));
    assert_eq!(both(&run), [403, 401], "for somebody else now");
    run.reload(&with(BROKER));
    assert_eq!(both(&run), [200, 200], "control: as it was");
}
