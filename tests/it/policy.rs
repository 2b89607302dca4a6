//! Who may pass where: every kind of `allow`, rules and methods, for everybody in the cast.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::browser::{Browser, parameter};

const ROUTES: &str = r"
  - { name: users, host: app.example.com, path: /users, upstream: @APP@,
      allow: { users: [OctoCat] } }
  - { name: org, host: app.example.com, path: /org, upstream: @APP@, allow: { orgs: [ACME] } }
  - { name: octo, host: app.example.com, path: /octo, upstream: @APP@,
      allow: { orgs: [octo-org, nobody-here] } }
  - { name: invited, host: app.example.com, path: /invited, upstream: @APP@,
      allow: { orgs: [waiting-room] } }
  - { name: team, host: app.example.com, path: /team, upstream: @APP@,
      allow: { teams: [acme/platform] } }
  - { name: last, host: app.example.com, path: /last, upstream: @APP@,
      allow: { teams: [acme/team-130] } }
  - { name: namesake, host: app.example.com, path: /namesake, upstream: @APP@,
      allow: { teams: [octo-org/platform] } }
  - { name: domain, host: app.example.com, path: /domain, upstream: @APP@,
      allow: { emails: ['*@acme.example'] } }
  - { name: address, host: app.example.com, path: /address, upstream: @APP@,
      allow: { emails: [octocat@github.example] } }
  - { name: unverified, host: app.example.com, path: /unverified, upstream: @APP@,
      allow: { emails: ['*@unverified.example'] } }
  - { name: anyone, host: app.example.com, path: /anyone, upstream: @APP@, allow: anyone }
  - { name: several, host: app.example.com, path: /several, upstream: @APP@,
      allow: { users: [stranger], teams: [acme/admins] } }
  - { name: denied, host: app.example.com, path: /denied, upstream: @APP@,
      allow: { orgs: [acme] }, deny: { users: [HUBOT] } }
  - { name: barred, host: app.example.com, path: /barred, upstream: @APP@,
      allow: anyone, deny: { users: [stranger, mona] } }
  - { name: rules, host: app.example.com, path: /rules, upstream: @APP@, allow: { orgs: [acme] },
      rules: [
        { path: /rules/admin, allow: { teams: [acme/admins] } },
        { path: /rules/form, methods: [POST, DELETE], allow: { users: [mona] } },
        { path: /rules/open, allow: anyone } ] }
  - { name: barred-rule, host: app.example.com, path: /barred-rule, upstream: @APP@,
      allow: { orgs: [acme] }, deny: { users: [octocat] },
      rules: [ { path: /barred-rule/x, allow: anyone } ] }
  - { name: reads, host: app.example.com, path: /reads, upstream: @APP@, methods: [GET, HEAD],
      allow: anyone }
";

const CAST: [&str; 4] = ["octocat", "hubot", "mona", "stranger"];

/// Method, path, and what octocat, hubot, mona and stranger get.
const TABLE: &[(&str, &str, [u16; 4])] = &[
    ("GET", "/users", [200, 403, 403, 403]),
    ("GET", "/users/deep/er?q=1", [200, 403, 403, 403]),
    ("POST", "/users", [200, 403, 403, 403]),
    ("GET", "/org", [200, 200, 200, 403]),
    ("GET", "/octo", [403, 403, 200, 403]),
    ("GET", "/invited", [403, 403, 403, 403]),
    ("GET", "/team", [200, 200, 403, 403]),
    ("GET", "/last", [403, 200, 403, 403]),
    ("GET", "/namesake", [403, 403, 403, 403]),
    ("GET", "/domain", [403, 200, 200, 403]),
    ("GET", "/address", [200, 403, 403, 403]),
    ("GET", "/unverified", [403, 403, 403, 403]),
    ("GET", "/anyone", [200, 200, 200, 200]),
    ("GET", "/several", [403, 200, 403, 200]),
    ("GET", "/denied", [200, 403, 200, 403]),
    ("GET", "/barred", [200, 200, 403, 403]),
    ("GET", "/rules", [200, 200, 200, 403]),
    ("GET", "/rules/other", [200, 200, 200, 403]),
    ("GET", "/rules/admin", [403, 200, 403, 403]),
    ("DELETE", "/rules/admin/x", [403, 200, 403, 403]),
    ("GET", "/rules/administrator", [200, 200, 200, 403]),
    ("GET", "/rules/form", [200, 200, 200, 403]),
    ("PUT", "/rules/form", [200, 200, 200, 403]),
    ("POST", "/rules/form", [403, 403, 200, 403]),
    ("DELETE", "/rules/form/1", [403, 403, 200, 403]),
    ("GET", "/rules/open", [200, 200, 200, 200]),
    ("GET", "/barred-rule", [403, 200, 200, 403]),
    ("GET", "/barred-rule/x", [403, 200, 200, 200]),
    ("GET", "/reads", [200, 200, 200, 200]),
    ("POST", "/reads", [405, 405, 405, 405]),
    ("GET", "/nothing-here", [404, 404, 404, 404]),
];

fn at(path: &str) -> String {
    format!("https://app.example.com{path}")
}

fn world() -> World {
    World::with("", ROUTES)
}

fn signed_in(world: &World, person: &str) -> Browser {
    world.signed_in(person, &at("/anyone")).0
}

/// 31 requests for each of four people: 124 verdicts. What is refused does not reach the app.
#[test]
fn everybody_gets_where_the_policy_says_and_nowhere_else() {
    let world = world();
    let mut browsers = CAST.map(|person| signed_in(&world, person));
    for (method, path, expected) in TABLE {
        let statuses: Vec<_> = browsers
            .iter_mut()
            .zip(CAST)
            .map(|(browser, person)| {
                let hits = world.app.hits();
                let headers = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
                let response = browser.send(method, &at(path), &headers, "");
                let reached = world.app.hits() - hits;
                assert_eq!(reached, usize::from(response.status == 200), "{person} {path}");
                response.status
            })
            .collect();
        assert_eq!(statuses, expected, "{method} {path}");
    }
}

/// Whoever is not signed in gets nowhere, whatever the policy.
#[test]
fn nobody_without_a_session_gets_anywhere() {
    let world = world();
    for (method, path, _) in TABLE {
        let headers = [("accept", "application/json"), ("sec-fetch-mode", "cors")];
        let response = world.browser().send(method, &at(path), &headers, "");
        assert!(matches!(response.status, 401 | 404 | 405), "{method} {path}: {}", response.status);
    }
    assert_eq!(world.app.hits(), 0);
}

// === The page that says no ===

fn facts(page: &Value) -> Value {
    page["facts"].clone()
}

/// A refusal says who would be let in, as whom one is signed in, how an organisation approves the
/// app, and how to come as somebody else.
#[test]
fn the_denial_names_who_would_be_let_in() {
    let world = world();
    let mut stranger = signed_in(&world, "stranger");
    let mut hubot = signed_in(&world, "hubot");
    let me = "Signed in as";
    for (path, expected, speaks_of_approval) in [
        ("/users", json!({ me: "stranger", "Open to accounts": "OctoCat" }), false),
        ("/org", json!({ me: "stranger", "Open to members of": "ACME" }), true),
        ("/octo", json!({ me: "stranger", "Open to members of": "octo-org, nobody-here" }), true),
        ("/team", json!({ me: "stranger", "Open to teams": "acme/platform" }), true),
        ("/domain", json!({ me: "stranger", "Open to e-mail": "*@acme.example" }), false),
        ("/rules/admin", json!({ me: "stranger", "Open to teams": "acme/admins" }), true),
    ] {
        let response = stranger.fetch(&at(path));
        let page = response.json();
        assert_eq!((response.status, &page["reason"]), (403, &json!("not-admitted")), "{path}");
        assert_eq!(facts(&page), expected, "{path}");
        let help = page["help"].to_string();
        let approval = format!(
            "{}/settings/connections/applications/{}",
            world.github.url(),
            world.github.client_id()
        );
        assert_eq!(help.contains(&approval), speaks_of_approval, "{path}: {help}");
        let back = path.replace('/', "%2F");
        let other = format!("/.gatekeep/start?rd={back}&prompt=select_account");
        assert_eq!(page["actions"][0]["href"], json!(other), "{path}");
        assert_eq!(page["actions"][1]["href"], json!("/.gatekeep/sign_out"), "{path}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let several = hubot.fetch(&at("/users")).json();
    assert_eq!(facts(&several), json!({ me: "hubot", "Open to accounts": "OctoCat" }));
    let denied = hubot.fetch(&at("/denied")).json();
    assert_eq!(denied["reason"], json!("user-denied"));
    assert_eq!(facts(&denied), json!({ me: "hubot" }), "whom else it lets in is no help");
}

/// The way out of a refusal works: another account is asked for and gets in.
#[test]
fn another_account_can_be_used_from_the_denial() {
    let world = world();
    let mut browser = signed_in(&world, "stranger");
    let page = browser.fetch(&at("/users")).json();
    let way = at(page["actions"][0]["href"].as_str().expect("an address"));
    let authorize = world.authorize_url(&mut browser, &way);
    assert_eq!(parameter(&authorize, "prompt").as_deref(), Some("select_account"));
    let callback = world.github.approve(&authorize, "octocat");
    let (url, page) = browser.follow(&callback);
    assert_eq!((url, page.status), (at("/users"), 200));
}

// === What GitHub is asked ===

/// Hubot is in 132 teams, of which the last decides: all pages are read, at a hundred a page.
#[test]
fn teams_are_read_to_the_last_page() {
    let world = world();
    let mut hubot = signed_in(&world, "hubot");
    assert_eq!(world.github.calls("GET /user/teams"), 2);
    assert_eq!(hubot.fetch(&at("/last")).status, 200);
    let seen = world.app.requests().pop().expect("the app was reached");
    let groups: Vec<_> = seen.header("x-forwarded-groups").expect("groups").split(',').collect();
    assert_eq!(groups.len(), 1 + 132);
    assert_eq!((groups[0], groups[132]), ("acme", "acme/team-130"));
}

/// GitHub is asked for what the policies need and for no more, in scopes and in calls.
#[test]
fn github_is_asked_only_for_what_a_policy_needs() {
    for (allow, orgs, teams) in [
        ("anyone", 0, 0),
        ("{ users: [octocat] }", 0, 0),
        ("{ emails: ['*@github.example'] }", 0, 0),
        ("{ orgs: [acme] }", 1, 0),
        ("{ teams: [acme/platform] }", 0, 1),
        ("{ users: [octocat], orgs: [acme], teams: [acme/platform] }", 1, 1),
    ] {
        let routes = format!(
            "\n  - {{ name: app, host: app.example.com, upstream: @APP@, allow: {allow} }}\n"
        );
        let world = World::with("", &routes);
        let mut browser = world.browser();
        let authorize = world.authorize_url(&mut browser, &at("/"));
        let scope = parameter(&authorize, "scope").expect("a scope");
        let wanted = if orgs + teams > 0 { " read:org" } else { "" };
        assert_eq!(scope, format!("read:user user:email{wanted}"), "{allow}");
        let callback = world.github.approve(&authorize, "octocat");
        assert_eq!(browser.follow(&callback).1.status, 200, "{allow}");
        let calls = ["/user", "/user/emails", "/user/orgs", "/user/teams"]
            .map(|path| world.github.calls(&format!("GET {path}")));
        assert_eq!(calls, [1, 1, orgs, teams], "{allow}");
    }
}

/// Apps answer HEAD as they answer GET, so a rule for GET must not leave HEAD open.
#[test]
fn a_rule_for_get_is_a_rule_for_head() {
    let routes = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: anyone
    public: [/share/*]
    rules: [{ path: /share/private, methods: [GET], allow: { teams: [acme/admins] } }]
";
    let world = World::with("", routes);
    let ask = |method: &str, path: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: app.example.com\r\n\r\n");
        world.gate.raw(request.as_bytes()).expect("an answer").status
    };
    assert_eq!((ask("GET", "/share/x"), ask("HEAD", "/share/x")), (200, 200));
    assert_eq!((ask("GET", "/share/private"), ask("HEAD", "/share/private")), (401, 401));
}
