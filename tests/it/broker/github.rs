//! Repositories and installations, which the gateway reads in the visitor's own name.

use gatekeep::simulator::{Gate, Installation, Trouble};
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
struct Repos {
    repos: Vec<Repo>,
}

#[derive(Debug, Deserialize)]
struct Repositories {
    repositories: Vec<Repo>,
}

/// A repository as Go reads it; what it does not know it passes over.
#[derive(Debug, Deserialize)]
struct Repo {
    id: i64,
    name: String,
    full_name: String,
    private: bool,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Info {
    app_slug: String,
    install_enabled: bool,
    sign_in_configured: bool,
    credentials_configured: bool,
}

#[derive(Debug, Deserialize)]
struct InstallUrl {
    install_url: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Checked {
    verified: bool,
    installation_id: i64,
    account_login: String,
    account_type: String,
    app_slug: String,
}

#[derive(Debug, Deserialize)]
struct Given {
    access_token: String,
    source: String,
    installation_id: Option<i64>,
    expires_at: Option<String>,
}

/// All that Go reads of a repository. What may be `null` must be there all the same.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Whole {
    id: i64,
    name: String,
    full_name: String,
    #[serde(deserialize_with = "Option::deserialize")]
    description: Option<String>,
    html_url: String,
    clone_url: String,
    private: bool,
    stargazers_count: i64,
    forks_count: i64,
    watchers_count: i64,
    #[serde(deserialize_with = "Option::deserialize")]
    language: Option<String>,
    updated_at: String,
    created_at: String,
    size: i64,
    open_issues_count: i64,
    default_branch: String,
}

#[derive(Debug, Deserialize)]
struct WholeRepos {
    repos: Vec<Whole>,
}

#[derive(Debug, Deserialize)]
struct WholeRepositories {
    repositories: Vec<Whole>,
}

const OFFICE: &str = "https://apps.example.com/trackeep/cb";

/// Where an instance waits for the browser that installed the app.
const INSTALLED: &str = "https://trackeep.example.com/api/v1/github/app/callback?state=0123456789abcdef0123456789abcdef0123456789abcdef";

fn info(world: &World, token: &str) -> Info {
    decoded(&ask(world, "/api/v1/github/app/info", token))
}

/// What was asked is held: the next time GitHub is asked nothing, or only whether it has changed.
#[test]
fn repositories_come_from_what_is_held() {
    let world = world();
    world.github.add_repository("octocat/notes", true);
    let (_, token) = signed_in(&world, "octocat");
    let repos = decoded::<Repos>(&ask(&world, "/api/v1/github/repos", &token)).repos;
    let notes = repos.iter().find(|repo| repo.full_name == "octocat/notes").expect("it is there");
    assert_eq!((notes.name.as_str(), notes.private, notes.id > 0), ("notes", true, true));
    let first = world.github.answered("GET /user/repos", 200);
    assert_eq!(first, 1);
    for _ in 0..3 {
        assert_eq!(ask(&world, "/api/v1/github/repos", &token).status, 200);
    }
    assert_eq!(world.github.answered("GET /user/repos", 200), first);
}

/// Two repositories as GitHub shows them, one of them with nothing to say of itself.
fn as_github_shows_them() -> (serde_json::Value, [Whole; 2]) {
    let shown = |id: i64, name: &str, words: Option<&str>, language: Option<&str>| {
        json!({
            "id": id, "node_id": "R_kgDO", "name": name, "full_name": format!("acme/{name}"),
            "private": words.is_none(), "owner": { "login": "acme", "id": 9, "type": "Organization" },
            "html_url": format!("https://github.com/acme/{name}"), "description": words,
            "fork": false, "created_at": "2011-01-26T19:01:12Z",
            "updated_at": "2011-01-26T19:14:43Z", "pushed_at": null,
            "clone_url": format!("https://github.com/acme/{name}.git"), "homepage": null,
            "size": 108, "stargazers_count": 80, "watchers_count": 81, "language": language,
            "forks_count": 9, "open_issues_count": 3, "license": null, "topics": ["a"],
            "default_branch": "main", "permissions": { "admin": false, "pull": true },
        })
    };
    let read = |id: i64, name: &str, words: Option<&str>, language: Option<&str>| Whole {
        id,
        name: name.into(),
        full_name: format!("acme/{name}"),
        description: words.map(str::to_owned),
        html_url: format!("https://github.com/acme/{name}"),
        clone_url: format!("https://github.com/acme/{name}.git"),
        private: words.is_none(),
        stargazers_count: 80,
        forks_count: 9,
        watchers_count: 81,
        language: language.map(str::to_owned),
        updated_at: "2011-01-26T19:14:43Z".into(),
        created_at: "2011-01-26T19:01:12Z".into(),
        size: 108,
        open_issues_count: 3,
        default_branch: "main".into(),
    };
    // A number past 32 bits, which GitHub's are about to reach.
    let notes = (5_000_000_001, "notes", Some("Of \"all\" kinds \u{e4}"), Some("Rust"));
    let bare = (7, "bare", None, None);
    let of = |it: (i64, &'static str, Option<&'static str>, Option<&'static str>)| {
        (shown(it.0, it.1, it.2, it.3), read(it.0, it.1, it.2, it.3))
    };
    let [(first, a), (second, b)] = [of(notes), of(bare)];
    (json!([first, second]), [a, b])
}

#[test]
fn a_repository_has_all_sixteen_fields_of_the_contract_with_githubs_own_types() {
    let world = world_with_app();
    let (list, whole) = as_github_shows_them();
    let json = "application/json; charset=utf-8";
    let installation = "/user/installations/5/repositories";
    let page = json!({ "total_count": 2, "repositories": list }).to_string();
    world.github.knobs().on("/user/repos", Trouble::answer(200, json, list.to_string()));
    world.github.knobs().on(installation, Trouble::answer(200, json, page));
    let (_, token) = signed_in(&world, "octocat");
    let own = ask(&world, "/api/v1/github/repos", &token);
    assert_eq!(decoded::<WholeRepos>(&own).repos, whole);
    assert_eq!(own.json()["repos"], list, "and whatever else GitHub says");
    let its = ask(&world, "/api/v1/github/app/installations/5/repos", &token);
    assert_eq!(decoded::<WholeRepositories>(&its).repositories, whole);
    // Control: one field less is not read.
    let mut less = list.clone();
    less[1].as_object_mut().expect("an object").remove("language");
    assert!(serde_json::from_value::<Vec<Whole>>(less).is_err());
}

/// Nobody is told what another one sees.
#[test]
fn repositories_are_the_visitors_own() {
    let world = world();
    world.github.add_repository("octocat/notes", true);
    let (_, octocat) = signed_in(&world, "octocat");
    let (_, hubot) = signed_in(&world, "hubot");
    let sees = |token: &str| {
        let repos = decoded::<Repos>(&ask(&world, "/api/v1/github/repos", token)).repos;
        repos.iter().any(|repo| repo.full_name == "octocat/notes")
    };
    assert_eq!([sees(&octocat), sees(&hubot)], [true, false]);
}

#[test]
fn githubs_trouble_is_told_in_a_sentence() {
    let world = world();
    let (_, token) = signed_in(&world, "octocat");
    world.github.knobs().on("/user/repos", Trouble::answer(500, "text/html", "<oops>"));
    let (status, error) = refusal(&ask(&world, "/api/v1/github/repos", &token));
    assert!((500..600).contains(&status) && error.contains("GitHub"), "{status} {error}");
    world.github.knobs().clear();
    assert_eq!(ask(&world, "/api/v1/github/repos", &token).status, 200, "control");
    let (_, other) = signed_in(&world, "hubot");
    world.github.knobs().on("/user/repos", Trouble::answer(200, "application/json", "{}"));
    assert_eq!(refusal(&ask(&world, "/api/v1/github/repos", &other)).0, 502);
}

/// GitHub takes its time, and meanwhile the visitor ends what the instance holds.
#[test]
fn what_is_under_way_when_a_session_ends_is_not_told() {
    let world = world();
    let (mut browser, token) = signed_in(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().on("/user/repos", Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&world, "/api/v1/github/repos", &token));
        assert!(gate.wait_for(1, Duration::from_secs(20)), "GitHub is asked");
        end(&mut browser, "home");
        gate.release();
        assert_eq!(refusal(&asking.join().expect("an answer")).0, 401);
    });
    let (_, token) = signed_in(&world, "octocat");
    assert_eq!(ask(&world, "/api/v1/github/repos", &token).status, 200, "control");
}

#[test]
fn the_app_is_told_with_its_name_where_there_is_one() {
    let world = world_with_app();
    let (_, token) = signed_in(&world, "octocat");
    let app = Info {
        app_slug: "gatekeep".into(),
        install_enabled: true,
        sign_in_configured: true,
        credentials_configured: true,
    };
    assert_eq!(info(&world, &token), app);
    assert_eq!(info(&world, &token), app);
    assert_eq!(world.github.calls("GET /app"), 1, "it is remembered");
    let without = super::world();
    let (_, token) = signed_in(&without, "octocat");
    let none = Info {
        app_slug: String::new(),
        install_enabled: false,
        sign_in_configured: true,
        credentials_configured: false,
    };
    assert_eq!(info(&without, &token), none);
    let asked =
        format!("/api/v1/github/app/install-url?{}", encode(&[("redirect_uri", INSTALLED)]));
    assert_eq!(refusal(&ask(&without, &asked, &token)).0, 403);
}

/// An operator who registers the place of the sign-in alone means the instance all the same.
#[test]
fn a_browser_comes_back_from_the_apps_page_to_an_instance_whose_sign_in_alone_is_registered() {
    let world = world_with_app();
    world.github.install(Installation::new(5, "acme"));
    let own = "https://narrow.example.com/at/api/v1";
    let callback = format!("{own}/auth/control/callback");
    let (mut browser, token) = signed_in_at(&world, "octocat", &callback);
    let install = |target: &str| {
        let asked = encode(&[("redirect_uri", target)]);
        ask(&world, &format!("/api/v1/github/app/install-url?{asked}"), &token)
    };
    let there = install(&format!("{own}/github/app/callback?state=abc"));
    let state = parameter(&decoded::<InstallUrl>(&there).install_url, "state").expect("a state");
    let query = encode(&[("installation_id", "5"), ("setup_action", "install"), ("state", &state)]);
    let back = browser.get(&format!("{SERVICE}/auth/github/app/callback?{query}"));
    let expected =
        format!("{own}/github/app/callback?state=abc&installation_id=5&setup_action=install");
    assert_eq!(back.location(), expected);

    let root = "https://narrow.example.com/api/v1/github/app/callback";
    for elsewhere in [root, "https://narrow.example.com/at/", &format!("{own}/github/app")] {
        assert_eq!(refusal(&install(elsewhere)).0, 400, "{elsewhere}");
    }
    // And no code is carried there.
    let begun = browser.get(&super::begin(&format!("{own}/github/app/callback")));
    assert_eq!(begun.status, 400);
}

/// GitHub names no account for a number; whoever asks must see the installation.
#[test]
fn an_installation_is_verified_for_who_may_see_it() {
    let world = world_with_app();
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    world.github.install(Installation::new(6, "elsewhere").repository(2, "secrets"));
    world.github.install(Installation::new(7, "octocat"));
    let (_, token) = signed_in(&world, "octocat");
    let verify =
        |id: &str| ask(&world, &format!("/api/v1/github/app/installations/{id}/verify"), &token);
    let acme = Checked {
        verified: true,
        installation_id: 5,
        account_login: "acme".into(),
        account_type: "Organization".into(),
        app_slug: "gatekeep".into(),
    };
    assert_eq!(decoded::<Checked>(&verify("5")), acme);
    assert_eq!(decoded::<Checked>(&verify("7")).account_type, "User");
    for foreign in ["6", "999"] {
        assert_eq!(refusal(&verify(foreign)).0, 403, "{foreign}");
    }
    world.github.uninstall(5);
    assert_eq!(refusal(&verify("5")).0, 403, "by GitHub's word of now");
    world.github.suspend(7, true);
    assert_eq!(refusal(&verify("7")).0, 403);
}

#[test]
fn the_repositories_of_an_installation_are_told_to_who_may_see_it() {
    let world = world_with_app();
    let acme = (1..=120)
        .fold(Installation::new(5, "acme"), |acme, id| acme.repository(id, &format!("repo-{id}")));
    world.github.install(acme);
    world.github.install(Installation::new(6, "elsewhere").repository(500, "secrets"));
    let (_, token) = signed_in(&world, "octocat");
    let path = |id: u64| format!("/api/v1/github/app/installations/{id}/repos");
    let all = decoded::<Repositories>(&ask(&world, &path(5), &token)).repositories;
    assert_eq!((all.len(), all[0].full_name.as_str()), (120, "acme/repo-1"));
    assert_eq!(refusal(&ask(&world, &path(6), &token)).0, 403);
}

/// An instance that was not let have tokens gets none; the other one gets the visitor's own.
#[test]
fn tokens_of_github_are_for_instances_that_may_have_them() {
    let world = world_with_app();
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (_, home) = signed_in(&world, "octocat");
    let (_, office) = signed_in_at(&world, "octocat", OFFICE);
    let user = "/api/v1/github/user/access-token";
    let installation = "/api/v1/github/app/installations/5/access-token";
    for path in [user, installation] {
        let (status, error) = refusal(&ask(&world, path, &home));
        assert_eq!(status, 403);
        assert!(error.contains("`github_token: true`"), "{error}");
    }
    assert_eq!(world.github.calls("POST /app/installations/5/access_tokens"), 0);
    let own: Given = decoded(&ask(&world, user, &office));
    assert_eq!((own.source.as_str(), own.installation_id), ("github_user", None));
    assert!(own.access_token.starts_with("gh"), "{}", own.access_token);
    let acts: Given = decoded(&ask(&world, installation, &office));
    assert_eq!((acts.source.as_str(), acts.installation_id), ("github_app", Some(5)));
    assert!(acts.access_token.starts_with("ghs_"), "{}", acts.access_token);
    let ends = acts.expires_at.expect("an end");
    assert!(ends.ends_with('Z') && ends.len() == 20, "{ends}");
}

/// Whoever is in an organisation sees that the app is installed there. The app may write; a token that
/// let everybody do so would make owners of them all.
#[test]
fn a_token_of_an_installation_reads_what_the_visitor_sees_and_writes_nothing() {
    let world = world_with_app();
    let acme = Installation::new(5, "acme").repository(1, "notes").may("contents", "write");
    world.github.install(acme.may("administration", "write"));
    world.github.install(Installation::new(6, "elsewhere").repository(2, "secrets"));
    let (_, token) = signed_in_at(&world, "octocat", OFFICE);
    let path = |id: u64| format!("/api/v1/github/app/installations/{id}/access-token");
    assert_eq!(ask(&world, &path(5), &token).status, 200);
    let requests = world.github.requests();
    let mint = requests.iter().find(|it| it.path().ends_with("/app/installations/5/access_tokens"));
    let wish: serde_json::Value =
        serde_json::from_slice(&mint.expect("it was asked for").body).expect("JSON");
    let narrow = json!({
        "repository_ids": [1],
        "permissions": { "contents": "read", "metadata": "read" },
    });
    assert_eq!(wish, narrow);
    assert_eq!(refusal(&ask(&world, &path(6), &token)).0, 403);
    assert_eq!(world.github.calls("POST /app/installations/6/access_tokens"), 0);
}

/// What GitHub said before its trouble shows repositories still, and lets nobody have a token.
#[test]
fn an_old_answer_decides_about_no_token() {
    let world = world_with_app();
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (_, token) = signed_in_at(&world, "octocat", OFFICE);
    let given = "/api/v1/github/app/installations/5/access-token";
    let repos = "/api/v1/github/repos";
    assert_eq!([given, repos].map(|path| ask(&world, path, &token).status), [200, 200], "control");
    for trouble in [Trouble::answer(502, "text/html", "<oops>"), Trouble::Refuse] {
        world.github.knobs().on("/user", trouble);
        world.gate.clock.advance(Duration::from_secs(120));
        let (status, error) = refusal(&ask(&world, given, &token));
        assert!((500..600).contains(&status) && error.contains("GitHub"), "{status} {error}");
        assert_eq!(ask(&world, repos, &token).status, 200, "control: shown from before");
        world.github.knobs().clear();
    }
}

/// The whole way: the instance asks where, the visitor installs, and comes back to the instance with
/// the instance's own state.
#[test]
fn a_visitor_installs_the_app_and_comes_back_to_the_instance() {
    let world = world_with_app();
    let (mut browser, token) = signed_in(&world, "octocat");
    let asked =
        format!("/api/v1/github/app/install-url?{}", encode(&[("redirect_uri", INSTALLED)]));
    let InstallUrl { install_url } = decoded(&ask(&world, &asked, &token));
    let page = format!("{}/github-apps/gatekeep/installations/new?state=", world.github.web_url());
    let state = install_url.strip_prefix(&page).unwrap_or_else(|| panic!("{install_url}"));
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let back = format!(
        "{SERVICE}/auth/github/app/callback?installation_id=5&setup_action=install&state={state}"
    );
    let sent = browser.get(&back);
    assert_eq!(sent.status, 303, "{}", sent.text());
    assert_eq!(sent.location(), format!("{INSTALLED}&installation_id=5&setup_action=install"));
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    let again = browser.get(&back);
    assert_eq!((again.status, again.header("location")), (400, None), "once");
}

/// Who comes back without a session signs in on the way.
#[test]
fn a_visitor_who_comes_back_signed_out_signs_in_first() {
    let world = world_with_app();
    let (_, token) = signed_in(&world, "octocat");
    let asked =
        format!("/api/v1/github/app/install-url?{}", encode(&[("redirect_uri", INSTALLED)]));
    let InstallUrl { install_url } = decoded(&ask(&world, &asked, &token));
    let state = parameter(&install_url, "state").expect("a state");
    world.github.install(Installation::new(5, "octocat"));
    let back = format!("{SERVICE}/auth/github/app/callback?installation_id=5&state={state}");
    let end = carried(&world, &mut world.browser(), "octocat", &back);
    assert_eq!(end, format!("{INSTALLED}&installation_id=5"));
}
