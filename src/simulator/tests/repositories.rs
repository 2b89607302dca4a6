//! Repositories: who sees them, under which names, and with which rights.

use super::*;

const ROCKET: &str = "/repos/acme/rocket";

#[test]
fn everybody_is_told_their_own_rights_and_strangers_nothing() {
    let github = github();
    let token = |login: &str| github.token_for(login, "repo");
    let rights = |login: &str| {
        let seen = get(&github, ROCKET, &token(login)).json();
        ["admin", "push", "pull"].map(|right| seen["permissions"][right].as_bool())
    };
    assert_eq!(rights("octocat"), [Some(false), Some(true), Some(true)]);
    assert_eq!(rights("hubot"), [Some(true); 3]);
    assert_eq!(rights("mona"), [Some(true); 3], "who owns the organization owns what is in it");
    assert_eq!(rights("stranger"), [None; 3]);
    assert_eq!(get(&github, ROCKET, &token("stranger")).status, 404);
    assert_eq!(ask(github.address(), &format!("GET /api/v3{ROCKET}"), "", "").status, 404);
    let narrow = github.token_for("hubot", "read:user");
    assert_eq!(get(&github, ROCKET, &narrow).status, 404, "the token lacks the scope");
    github.remove_collaborator("acme/rocket", "octocat");
    assert_eq!(get(&github, ROCKET, &token("octocat")).status, 404);
    github.set_private("acme/rocket", false);
    assert_eq!(rights("octocat"), [Some(false), Some(false), Some(true)]);
    let public = ask(github.address(), &format!("GET /api/v3{ROCKET}"), "", "");
    assert_eq!((public.status, &public.json()["permissions"]), (200, &Value::Null));
}

#[test]
fn a_new_name_leaves_a_way_from_the_old_one() {
    let github = github();
    let token = github.token_for("hubot", "repo");
    let id = github.repository_id("acme/rocket");
    let alias = format!("/repositories/{id}");
    assert_eq!(get(&github, &alias, &token).body, get(&github, ROCKET, &token).body);
    github.rename_repository("acme/rocket", "acme/missile");
    let before = github.charged();
    let read = get(&github, "/repos/acme/rocket/issues?per_page=2&a=%2F", &token);
    let place = format!("{}{alias}/issues?per_page=2&a=%2F", github.api_url());
    assert_eq!((read.status, read.header("location")), (301, Some(place.as_str())));
    assert_eq!((github.charged(), &read.json()["url"]), (before + 1, &place.as_str().into()));
    let itself = get(&github, "/repos/acme/rocket?x=1", &token);
    let place = format!("{}{alias}?x=1", github.api_url());
    assert_eq!(itself.header("location"), Some(place.as_str()));
    let title = serde_json::json!({ "title": "New" });
    let write = send(&github, "PATCH /repos/acme/rocket/issues/1", &token, &title);
    assert_eq!(write.status, 307);
    assert_eq!(
        get(&github, "/repos/acme/missile/issues/1", &token).json()["title"],
        "Leak number 1"
    );
    assert_eq!(github.charged(), before + 4, "each of them cost a point");
    let stranger = github.token_for("stranger", "repo");
    assert_eq!(get(&github, ROCKET, &stranger).status, 404, "nor do they learn of the move");
    assert_eq!(get(&github, &alias, &stranger).status, 404);
    github.rename("octocat", "octodog");
    let hello = github.repository_id("octodog/hello-world");
    let moved = get(&github, "/repos/octocat/hello-world", &token);
    let place = format!("{}/repositories/{hello}", github.api_url());
    assert_eq!((moved.status, moved.header("location")), (301, Some(place.as_str())));
    github.add_repository("acme/rocket", false);
    assert_eq!(get(&github, ROCKET, &stranger).status, 200, "the name belongs to another now");
    github.delete_repository("acme/rocket");
    assert_eq!(get(&github, ROCKET, &stranger).status, 404);
}

#[test]
fn an_administrator_changes_the_repository_itself() {
    let github = github();
    let new = serde_json::json!({ "name": "missile", "private": false });
    let line = "PATCH /repos/acme/rocket";
    let writer = send(&github, line, &github.token_for("octocat", "repo"), &new);
    assert_eq!(writer.status, 403);
    let changed = send(&github, line, &github.token_for("hubot", "repo"), &new);
    assert_eq!((changed.status, &changed.json()["full_name"]), (200, &"acme/missile".into()));
    assert_eq!(ask(github.address(), "GET /api/v3/repos/acme/missile", "", "").status, 200);
}

#[test]
fn lists_of_repositories_hold_what_the_asker_sees() {
    let github = github();
    let names = |path: &str, login: &str, scopes: &str| -> Vec<String> {
        let all = get(&github, path, &github.token_for(login, scopes)).json();
        let name = |it: &Value| it["full_name"].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(name).collect()
    };
    let all = ["octocat/hello-world", "acme/rocket", "acme/handbook"];
    assert_eq!(names("/user/repos", "octocat", "repo"), all);
    assert_eq!(names("/user/repos", "octocat", "read:user"), [all[0], all[2]]);
    assert_eq!(names("/user/repos", "hubot", "repo"), [all[1]]);
    assert!(names("/user/repos", "stranger", "repo").is_empty());
    assert_eq!(names("/users/octocat/repos", "stranger", ""), [all[0]]);
    assert_eq!(ask(github.address(), "GET /api/v3/user/repos", "", "").status, 401);
}

#[test]
fn an_address_is_shown_to_oneself_alone() {
    let github = github();
    let email = |login: &str| {
        let seen = get(&github, "/users/mona", &github.token_for(login, "read:user")).json();
        assert_eq!(seen["login"], "mona");
        seen["email"].clone()
    };
    assert_eq!(email("mona"), "mona@acme.example");
    assert_eq!(email("octocat"), Value::Null);
}

#[test]
fn a_slash_at_the_end_and_an_unknown_version_find_nothing() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    assert_eq!(get(&github, "/repos/octocat/hello-world", &token).status, 200);
    assert_eq!(get(&github, "/repos/octocat/hello-world/", &token).status, 404);
    let version = |version: &str| {
        let headers =
            format!("Authorization: Bearer {token}\r\nX-GitHub-Api-Version: {version}\r\n");
        ask(github.address(), "GET /api/v3/rate_limit", &headers, "")
    };
    assert!(version("2022-11-28").json()["rate"].is_object());
    assert_eq!(version("2026-03-10").json()["rate"], Value::Null);
    assert_eq!(version("2026-03-10").json()["resources"]["core"]["limit"], 5_000);
    let selected = version("2026-03-10").header("x-github-api-version-selected").map(str::to_owned);
    assert_eq!(selected.as_deref(), Some("2026-03-10"));
    assert_eq!(version("1999-01-01").status, 400);
    assert!(get(&github, "/meta", &token).json()["hooks"].is_array());
}
