//! The GitHub App as itself, against the simulated GitHub: its own token and what becomes of it when
//! a clock is wrong or a key is gone, and the tokens of its installations.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatekeep::clock::{Clock, Manual, Time};
use gatekeep::config::Config;
use gatekeep::github::app::{
    AppError, InstallationId, InstallationToken, Installations, Level, Scope,
};
use gatekeep::github::budgets::Budgets;
use gatekeep::github::{Client, GitHubError, Settings};
use gatekeep::identity::Login;
use gatekeep::keys::Keys;
use gatekeep::metrics::Metrics;
use gatekeep::secret::Secret;
use gatekeep::simulator::{Gate, Installation, Person, Simulator, Trouble};
use gatekeep::store::{InstallationTokens, Memory};
use serde_json::Value;

use crate::support::{eventually, http};

const MINT: &str = "POST /app/installations/5/access_tokens";
const MINT_PATH: &str = "/app/installations/5/access_tokens";
const ACME: InstallationId = InstallationId(5);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// GitHub with an app at acme, and the app's side of it.
struct Bench {
    github: Simulator,
    client: Client,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
    installations: Arc<Installations>,
    runtime: tokio::runtime::Runtime,
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let github = Simulator::start("127.0.0.1:0".parse().expect("an address")).expect("started");
        let acme = Installation::new(ACME.0, "acme").may("issues", "write");
        github.install(acme.repository(1, "notes").repository(2, "wiki"));
        let client = client(&github, &[0, 1], "");
        let clock = Arc::new(Manual::at(real_time()));
        let metrics = Arc::new(Metrics::new());
        let shared = InstallationTokens::new(Arc::new(Memory::new(clock.clone())));
        let installations = Arc::new(Installations::new(shared, clock.clone(), metrics.clone()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self { github, client, clock, metrics, installations, runtime }
    }

    fn token(&self, scope: &Scope) -> Result<Arc<InstallationToken>, AppError> {
        self.runtime.block_on(self.installations.token(&self.client, &keys(), ACME, scope))
    }

    fn whole(&self) -> Result<Arc<InstallationToken>, AppError> {
        self.token(&Scope::whole())
    }

    fn of_owner(&self, owner: &str) -> Result<InstallationId, AppError> {
        let owner: Login = owner.parse().expect("a login");
        self.runtime.block_on(self.installations.of_owner(&self.client, &owner))
    }

    /// The same time passes here and at GitHub.
    fn advance(&self, span: Duration) {
        self.clock.advance(span);
        self.github.advance(span);
    }

    fn metric(&self, result: &str) -> u64 {
        self.metrics.installation_tokens.with_label_values(&[result]).get()
    }

    /// What the last question for a token asked for.
    fn last_wish(&self) -> Value {
        let requests = self.github.requests();
        let last = requests.iter().rev().find(|request| request.path().ends_with(MINT_PATH));
        serde_json::from_slice(&last.expect("a token was asked for").body).expect("JSON")
    }

    /// The names of the repositories that a token opens, or the status.
    fn opens(&self, token: &InstallationToken) -> Result<Vec<String>, u16> {
        let word = token.word().expose();
        let request = format!(
            "GET /api/v3/installation/repositories HTTP/1.1\r\nhost: h\r\nuser-agent: test\r\n\
             authorization: Bearer {word}\r\nconnection: close\r\n\r\n"
        );
        let response = http::raw(self.github.address(), request.as_bytes()).expect("an answer");
        if response.status != 200 {
            return Err(response.status);
        }
        let body: Value = serde_json::from_str(&response.text()).expect("JSON");
        let list = body["repositories"].as_array().expect("a list").iter();
        Ok(list.map(|one| one["name"].as_str().expect("a name").to_owned()).collect())
    }
}

/// The app's side by a configuration that an operator could write: with these of the app's keys, each
/// in a file of its own.
fn client(github: &Simulator, keys: &[usize], more: &str) -> Client {
    let desk = tempfile::tempdir().expect("a directory");
    let pems = github.app_private_keys();
    let files: Vec<_> = keys.iter().map(|which| format!("{{ file: key-{which}.pem }}")).collect();
    for which in keys {
        let file = desk.path().join(format!("key-{which}.pem"));
        std::fs::write(file, pems[*which]).expect("written");
    }
    let yaml = format!(
        "listen: [{{ address: '127.0.0.1:0' }}]\npublic_url: https://auth.example.com\n\
         secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github:\n  client_id: '{}'\n  client_secret: '{}'\n  web: '{}'\n  api: '{}'\n\
         \x20 app: {{ id: {}, private_key: [{}]{more} }}\n\
         routes: [{{ name: app, upstream: 'http://127.0.0.1:9', allow: anyone }}]\n",
        github.client_id(),
        github.client_secret(),
        github.web_url(),
        github.api_url(),
        github.app_id(),
        files.join(", "),
    );
    let config = Config::parse(&desk.path().join("gatekeep.yaml"), &yaml, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    client_of(config.github)
}

fn keys() -> Keys {
    Keys::derive(&[Secret::new(vec![7; 32])], "github.com/app")
}

fn client_of(settings: Settings) -> Client {
    let clock = Arc::new(Manual::at(Time::from_unix(0)));
    let budgets = Budgets::new(clock, Arc::new(Metrics::new()));
    Client::new(settings, Arc::new(budgets), Arc::default()).expect("a client")
}

#[expect(clippy::disallowed_methods, reason = "the simulator lives in real time")]
fn real_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Time::from_unix(i64::try_from(since.as_secs()).expect("before the year 292277026596"))
}

// === Tokens of installations ===

#[test]
fn a_token_is_asked_for_once_and_used_by_all() {
    let bench = Bench::new();
    let gate = Gate::new();
    bench.github.knobs().on(MINT_PATH, Trouble::Hold(gate.clone()));
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let (installations, client) = (bench.installations.clone(), bench.client.clone());
            bench.runtime.spawn(async move {
                let token = installations.token(&client, &keys(), ACME, &Scope::whole()).await;
                token.expect("a token").word().expose().clone()
            })
        })
        .collect();
    assert!(gate.wait_for(1, 20 * SECOND));
    gate.release();
    let words: HashSet<_> =
        asking.into_iter().map(|task| bench.runtime.block_on(task).expect("it ran")).collect();
    assert_eq!(words.len(), 1);
    assert_eq!(bench.github.calls(MINT), 1);
    let token = bench.whole().expect("a token");
    assert_eq!(bench.opens(&token), Ok(vec!["notes".to_owned(), "wiki".to_owned()]));
    assert_eq!((bench.github.calls(MINT), bench.metric("minted")), (1, 1));
}

#[test]
fn whoever_asks_for_less_gets_less_and_by_another_token() {
    let bench = Bench::new();
    let whole = bench.whole().expect("a token");
    assert_eq!(bench.last_wish(), serde_json::json!({}));
    let notes = Scope::whole().of_repositories(["Notes"]).expect("a scope");
    let some = bench.token(&notes).expect("a token");
    assert_eq!(bench.last_wish(), serde_json::json!({ "repositories": ["notes"] }));
    assert_eq!(bench.opens(&some), Ok(vec!["notes".to_owned()]));
    let wiki = Scope::whole().of_repository_ids([2]).expect("a scope");
    let wiki = wiki.with_permissions([("issues", Level::Read)]).expect("a scope");
    let other = bench.token(&wiki).expect("a token");
    let wish = serde_json::json!({ "repository_ids": [2], "permissions": { "issues": "read" } });
    assert_eq!(bench.last_wish(), wish);
    assert_eq!(bench.opens(&other), Ok(vec!["wiki".to_owned()]));
    assert_eq!(other.permissions.get("issues").map(String::as_str), Some("read"));
    assert_eq!(other.permissions.get("contents"), None);
    let words: HashSet<_> =
        [&whole, &some, &other].iter().map(|token| token.word().expose().clone()).collect();
    assert_eq!(words.len(), 3);
    // Each is held for itself.
    assert!(Arc::ptr_eq(&bench.token(&wiki).expect("a token"), &other));
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &whole));
    assert_eq!(bench.github.calls(MINT), 3);
}

#[test]
fn a_token_is_renewed_beside_its_use_and_waited_for_at_its_end() {
    let bench = Bench::new();
    let first = bench.whole().expect("a token");
    bench.advance(54 * MINUTE);
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &first));
    assert_eq!(bench.github.calls(MINT), 1);
    bench.advance(2 * MINUTE);
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &first), "nobody waits");
    eventually("the next token", || !Arc::ptr_eq(&bench.whole().expect("a token"), &first));
    assert_eq!(bench.github.calls(MINT), 2);
    let second = bench.whole().expect("a token");
    bench.advance(59 * MINUTE + SECOND);
    let third = bench.whole().expect("a token");
    assert_ne!(third.word().expose(), second.word().expose());
    assert_eq!(bench.github.calls(MINT), 3);
    assert!(bench.opens(&third).is_ok());
}

#[test]
fn a_token_goes_on_while_github_is_down_and_no_longer() {
    let bench = Bench::new();
    let first = bench.whole().expect("a token");
    bench.github.knobs().on(MINT_PATH, Trouble::answer(502, "text/plain", "down"));
    bench.advance(59 * MINUTE + 10 * SECOND);
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &first));
    assert_eq!((bench.github.calls(MINT), bench.metric("failed")), (2, 1));
    // It failed a moment ago, so GitHub is left alone.
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &first));
    assert_eq!(bench.github.calls(MINT), 2);
    bench.advance(MINUTE);
    let error = bench.whole().expect_err("it has ended");
    let status =
        "GitHub answered /app/installations/{installation_id}/access_tokens with status 502";
    assert_eq!(error.to_string(), status);
    bench.github.knobs().off(MINT_PATH);
    bench.advance(MINUTE);
    assert!(bench.whole().is_ok());
}

#[test]
fn a_limit_of_github_says_nothing_against_the_installation() {
    let bench = Bench::new();
    let limited = Trouble::Answer {
        status: 403,
        headers: vec![("retry-after".to_owned(), "60".to_owned())],
        body: r#"{"message":"You have exceeded a secondary rate limit."}"#.into(),
    };
    bench.github.knobs().once(MINT_PATH, limited);
    let error = bench.whole().expect_err("GitHub wants to be left alone");
    assert!(
        matches!(&error, AppError::GitHub(it) if matches!(**it, GitHubError::Failed(_, 429))),
        "{error}"
    );
    bench.advance(6 * SECOND);
    assert!(bench.whole().is_ok());
}

#[test]
fn tokens_of_every_length_open_what_they_are_for() {
    let bench = Bench::new();
    let short = bench.whole().expect("a token");
    assert_eq!(short.word().expose().len(), 40);
    bench.github.stateless_tokens(true);
    let scope = Scope::whole().of_repository_ids([1]).expect("a scope");
    let long = bench.token(&scope).expect("a token");
    let word = long.word().expose();
    assert_eq!((word.len(), word.matches('.').count()), (520, 2));
    assert_eq!(bench.opens(&long), Ok(vec!["notes".to_owned()]));
    assert!(!format!("{long:?}").contains(word));
}

/// GitHub's parts learn of a token one after the other.
#[test]
fn a_young_token_that_is_not_known_yet_is_tried_again() {
    let bench = Bench::new();
    bench.github.replicate_after(2 * SECOND);
    let token = bench.whole().expect("a token");
    assert_eq!(bench.opens(&token), Err(401));
    assert_eq!(token.pause_after_401(0, bench.clock.now()), Some(SECOND));
    bench.advance(2 * SECOND);
    assert!(bench.opens(&token).is_ok());
    bench.advance(3 * SECOND);
    assert_eq!(token.pause_after_401(0, bench.clock.now()), None, "it is young no more");
}

// === What GitHub refuses ===

/// Many use a token when GitHub takes it no more, and each of them is told so, at its own time.
#[test]
fn a_token_that_github_refused_goes_and_what_came_in_its_place_stays() {
    let bench = Bench::new();
    let notes = Scope::whole().of_repositories(["notes"]).expect("a scope");
    let (first, other) = (bench.whole().expect("a token"), bench.token(&notes).expect("a token"));
    bench.advance(MINUTE);
    bench.installations.drop_refused(&first);
    let second = bench.whole().expect("a token");
    assert_ne!(second.word().expose(), first.word().expose(), "not even from the store");
    assert_eq!(bench.github.calls(MINT), 3);
    bench.installations.drop_refused(&first);
    assert!(Arc::ptr_eq(&bench.whole().expect("a token"), &second));
    assert!(Arc::ptr_eq(&bench.token(&notes).expect("a token"), &other), "of that nobody spoke");
    assert_eq!(bench.github.calls(MINT), 3);
    bench.installations.drop_refused(&second);
    assert_ne!(bench.whole().expect("a token").word().expose(), second.word().expose());
    assert_eq!(bench.github.calls(MINT), 4);
}

#[test]
fn a_suspended_installation_loses_its_tokens_and_is_asked_for_twice_a_minute() {
    let bench = Bench::new();
    let notes = Scope::whole().of_repositories(["notes"]).expect("a scope");
    bench.token(&notes).expect("a token");
    bench.github.suspend(ACME.0, true);
    for _ in 0..20 {
        let error = bench.whole().expect_err("it is suspended");
        let words = "GitHub lets the app do nothing for installation 5: This installation has been \
                     suspended";
        assert_eq!(error.to_string(), words);
    }
    assert_eq!(bench.github.calls(MINT), 2);
    // The token of another scope, which was good, is not given out either.
    assert!(bench.token(&notes).is_err());
    bench.advance(29 * SECOND);
    assert!(bench.whole().is_err());
    assert_eq!((bench.github.calls(MINT), bench.metric("suspended")), (2, 1));
    bench.advance(SECOND);
    assert!(bench.whole().is_err());
    assert_eq!(bench.github.calls(MINT), 3);
    // The webhook is faster.
    bench.github.suspend(ACME.0, false);
    assert!(bench.whole().is_err());
    bench.installations.drop_installation(ACME);
    assert!(bench.whole().is_ok() && bench.token(&notes).is_ok());
}

#[test]
fn an_installation_that_is_gone_has_no_tokens() {
    let bench = Bench::new();
    bench.whole().expect("a token");
    bench.github.uninstall(ACME.0);
    bench.installations.drop_installation(ACME);
    for _ in 0..3 {
        let error = bench.whole().expect_err("it is gone");
        assert_eq!(
            error.to_string(),
            "the app is not installed there: GitHub knows no installation 5"
        );
    }
    assert_eq!((bench.github.calls(MINT), bench.metric("gone")), (2, 1));
    bench.advance(MINUTE);
    bench.installations.sweep();
    bench.github.install(Installation::new(ACME.0, "acme"));
    assert!(bench.whole().is_ok());
}

#[test]
fn more_than_was_granted_is_a_mistake_that_is_told() {
    let bench = Bench::new();
    let admin = Scope::whole().with_permissions([("contents", Level::Admin)]).expect("a scope");
    for _ in 0..3 {
        let error = bench.token(&admin).expect_err("it was not granted");
        let words = "GitHub gives installation 5 no token of this scope: The permissions requested \
                     are not granted to this installation.; grant it at GitHub, or ask for less";
        assert_eq!(error.to_string(), words);
    }
    assert_eq!((bench.github.calls(MINT), bench.metric("refused")), (1, 1));
    // Others are not held up by it.
    assert!(bench.whole().is_ok());
}

#[test]
fn without_an_app_nothing_is_asked() {
    let bench = Bench::new();
    let mut settings = gatekeep_settings(&bench.github);
    settings.app = None;
    let client = client_of(settings);
    let whole = Scope::whole();
    let error = bench.runtime.block_on(bench.installations.token(&client, &keys(), ACME, &whole));
    assert!(matches!(error, Err(AppError::NoApp)));
    assert_eq!(bench.github.requests().len(), 0);
}

// === The app's own token ===

/// Each way a clock can be wrong: what is wrong, how often GitHub says so.
#[test]
fn a_wrong_clock_is_corrected_after_one_refusal() {
    for (minutes, refusals) in [(0, 0), (5, 1), (-5, 0), (60, 1), (-10, 1), (-60, 1)] {
        let bench = Bench::new();
        let now = bench.clock.now().unix() + minutes * 60;
        bench.clock.set(Time::from_unix(now));
        let token = bench.whole().unwrap_or_else(|error| panic!("{minutes}: {error}"));
        assert_eq!(bench.github.answered(MINT, 401), refusals, "{minutes}");
        assert_eq!(bench.github.answered(MINT, 201), 1, "{minutes}");
        // The token lasts an hour by the wrong clock, too.
        let life = token.ends.unix() - now;
        assert!((3590..=3610).contains(&life), "{minutes}: {life}");
        // It stays corrected: no further refusal, also when the app's token is renewed.
        bench.advance(59 * MINUTE + SECOND);
        bench.whole().unwrap_or_else(|error| panic!("{minutes}: {error}"));
        assert_eq!(bench.github.answered(MINT, 401), refusals, "{minutes}");
    }
}

#[test]
fn a_clock_that_falls_behind_is_noticed_before_github_refuses() {
    let bench = Bench::new();
    bench.whole().expect("a token");
    bench.github.advance(5 * MINUTE);
    bench.of_owner("acme").expect("an installation");
    assert!((295..=305).contains(&bench.installations.jwt().ahead()));
    // By then the first token of the app has ended at GitHub, and would not be old here.
    bench.advance(4 * MINUTE);
    bench.of_owner("mona").expect_err("none");
    assert_eq!(bench.github.answered("GET /orgs/mona/installation", 404), 1);
    assert_eq!(bench.github.answered("GET /orgs/mona/installation", 401), 0);
}

#[test]
fn the_key_that_github_takes_is_found_and_kept() {
    let bench = Bench::new();
    bench.github.delete_app_key(0);
    bench.whole().expect("the second key is good");
    let notes = Scope::whole().of_repositories(["notes"]).expect("a scope");
    bench.token(&notes).expect("a token");
    assert_eq!((bench.github.answered(MINT, 401), bench.github.answered(MINT, 201)), (1, 2));
}

#[test]
fn keys_that_github_does_not_take_are_not_tried_again_and_again() {
    let bench = Bench::new();
    let only_first = client(&bench.github, &[0], "");
    bench.github.delete_app_key(0);
    let ask = |client: &Client| {
        let whole = Scope::whole();
        bench.runtime.block_on(bench.installations.token(client, &keys(), ACME, &whole))
    };
    let words = "GitHub does not take the app's word: A JSON web token could not be decoded; check \
                 github.app.id, github.app.private_key and the clock";
    for _ in 0..3 {
        assert_eq!(ask(&only_first).expect_err("no key is good").to_string(), words);
    }
    // Nor for any other question.
    let mona: Login = "mona".parse().expect("a login");
    let owner = bench.runtime.block_on(bench.installations.of_owner(&only_first, &mona));
    assert_eq!(owner.expect_err("no key is good").to_string(), words);
    assert_eq!(bench.github.requests().len(), 1);
    // A reload brings the other key, once the token's own pause is over.
    bench.advance(5 * SECOND);
    assert!(ask(&client(&bench.github, &[0, 1], "")).is_ok());
}

#[test]
fn the_app_may_be_named_by_its_number() {
    let bench = Bench::new();
    let by_number = client(&bench.github, &[1], ", issuer: app_id");
    let whole = Scope::whole();
    let token =
        bench.runtime.block_on(bench.installations.token(&by_number, &keys(), ACME, &whole));
    assert!(token.is_ok());
    let mut settings = gatekeep_settings(&bench.github);
    let app = settings.app.as_ref().expect("an app");
    settings.app = Some(Arc::new(gatekeep::github::app::App {
        id: 8,
        issuer: "8".to_owned(),
        keys: app.keys.clone(),
    }));
    let stranger = client_of(settings);
    let error = bench.runtime.block_on(bench.installations.token(&stranger, &keys(), ACME, &whole));
    let words = "GitHub does not take the app's word: Integration not found; check github.app.id, \
                 github.app.private_key and the clock";
    assert_eq!(error.expect_err("nobody's number").to_string(), words);
}

// === Which installation ===

#[test]
fn an_owner_leads_to_an_installation_that_is_remembered() {
    let bench = Bench::new();
    bench.github.install(Installation::new(6, "octocat"));
    for _ in 0..3 {
        assert_eq!(bench.of_owner("Acme").expect("an organization's"), ACME);
        assert_eq!(bench.of_owner("octocat").expect("a person's"), InstallationId(6));
        let error = bench.of_owner("stranger").expect_err("nobody's");
        let words = "the app is not installed there: GitHub knows no installation of stranger";
        assert_eq!(error.to_string(), words);
    }
    for (call, times) in [
        ("GET /orgs/Acme/installation", 1),
        ("GET /users/Acme/installation", 0),
        ("GET /orgs/octocat/installation", 1),
        ("GET /users/octocat/installation", 1),
        ("GET /users/stranger/installation", 1),
    ] {
        assert_eq!(bench.github.calls(call), times, "{call}");
    }
    // Somebody has installed it, and GitHub says so.
    bench.github.install(Installation::new(7, "stranger"));
    bench.installations.drop_installation(InstallationId(7));
    assert_eq!(bench.of_owner("stranger").expect("a person's"), InstallationId(7));
    assert_eq!(bench.of_owner("acme").expect("an organization's"), ACME);
    assert_eq!(bench.github.calls("GET /orgs/Acme/installation"), 1);
    bench.github.uninstall(ACME.0);
    bench.installations.drop_installation(ACME);
    assert!(bench.of_owner("acme").is_err());
}

#[test]
fn a_user_sees_the_installations_of_their_own_and_of_their_organizations() {
    let bench = Bench::new();
    let many = (1..=130)
        .fold(Person::new(77, "many"), |person, number| person.member_of(&format!("org-{number}")));
    bench.github.add_person(many.invited_to("acme"));
    for number in 1..=130 {
        let org = Installation::new(1000 + number, &format!("org-{number}"));
        bench.github.install(org.repository(number, "notes").picked());
    }
    bench.github.install(Installation::new(6, "many"));
    let seen = |person: &str| {
        let id = bench.github.person(person).expect("a person").id;
        let token = Secret::new(bench.github.token_for(person, ""));
        let seen = bench.runtime.block_on(bench.client.installations_of(id, &token));
        seen.expect("a list")
    };
    let of_many = seen("many");
    assert_eq!(of_many.len(), 131);
    assert!(of_many.iter().all(|it| it.id != ACME), "an invitation is no membership");
    assert_eq!(of_many[1].repository_selection, "selected");
    let of_octocat = seen("octocat");
    assert_eq!(of_octocat.len(), 1);
    let acme = &of_octocat[0];
    assert_eq!((acme.id, acme.account.login.as_str()), (ACME, "acme"));
    assert_eq!(acme.permissions["issues"], "write");
    assert_eq!(acme.suspended_at, None);
    bench.github.suspend(ACME.0, true);
    assert!(seen("octocat")[0].suspended_at.is_some());
}

// === Helpers ===

fn gatekeep_settings(github: &Simulator) -> gatekeep::github::Settings {
    let key = Secret::new(github.app_private_keys()[0].to_owned());
    let key = gatekeep::keys::RsaKey::from_pem(&key).expect("a key");
    gatekeep::github::Settings {
        client_id: github.client_id().to_owned(),
        client_secret: Secret::new(github.client_secret().to_owned()),
        web: github.web_url().to_owned(),
        api: github.api_url().to_owned(),
        ca: None,
        scopes: None,
        timeout: 5 * SECOND,
        webhook_secrets: Vec::new(),
        webhook_mode: gatekeep::github::WebhookMode::default(),
        redeliver: true,
        revoke_tokens: false,
        app: Some(Arc::new(gatekeep::github::app::App {
            id: github.app_id(),
            issuer: github.client_id().to_owned(),
            keys: vec![key],
        })),
    }
}

// === Webhooks that nobody took ===

#[test]
fn every_missed_webhook_of_three_days_is_found() {
    let bench = Bench::new();
    let missed = || {
        let asked = bench.installations.missed(&bench.client);
        bench.runtime.block_on(asked).expect("a list")
    };
    assert!(missed().is_empty());
    bench.github.set_hook("http://127.0.0.1:9/hook", "of-nobody");
    let lost: Vec<_> =
        (0..130).map(|_| bench.github.deliver("ping", bench.github.ping())).collect();
    let found: Vec<_> = missed().into_iter().map(|it| it.guid).collect();
    assert_eq!(found, lost.into_iter().map(|it| it.guid).collect::<Vec<_>>());
    bench.advance(Duration::from_secs(3 * 86_400 - 60));
    assert_eq!(missed().len(), 130);
    bench.advance(Duration::from_secs(120));
    assert!(missed().is_empty());
}
