//! Commits, files and Git's objects, with tags that are their ids.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

const HELLO: &str = "/repos/octocat/hello-world";

fn accepting(github: &Simulator, path: &str, token: &str, accept: &str) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\nAccept: {accept}\r\n");
    ask(github.address(), &format!("GET /api/v3{path}"), &headers, "")
}

#[test]
fn a_file_is_tagged_with_its_blobs_id_whoever_asks() {
    let github = github();
    let [octocat, hubot] = ["octocat", "hubot"].map(|login| github.token_for(login, "repo"));
    let path = "/repos/acme/rocket/contents/README.md";
    let [one, other] = [&octocat, &hubot].map(|token| get(&github, path, token));
    let id = one.json()["sha"].as_str().unwrap().to_owned();
    let tag = format!("\"{id}\"");
    assert_eq!([one.header("etag"), other.header("etag")], [Some(tag.as_str()); 2]);
    assert_ne!(one.body, other.body, "their addresses of the private file differ");
    let text = STANDARD.decode(one.json()["content"].as_str().unwrap()).unwrap();
    assert_eq!(text, b"# Rocket\n\nKeep away.\n");
    let raw = accepting(&github, path, &octocat, "application/vnd.github.raw");
    assert_eq!((raw.body.as_bytes(), raw.header("etag")), (&text[..], Some(tag.as_str())));
    let headers = format!("Authorization: Bearer {hubot}\r\nIf-None-Match: {tag}\r\n");
    assert_eq!(ask(github.address(), &format!("GET /api/v3{path}"), &headers, "").status, 304);
    github.touch("acme/rocket", "README.md");
    assert_eq!(ask(github.address(), &format!("GET /api/v3{path}"), &headers, "").status, 200);
    github.knobs().presentation(|looks| looks.object_ids = false);
    assert_eq!(get(&github, path, &octocat).header("etag").unwrap().len(), 66);
    let blob = get(&github, &format!("/repos/acme/rocket/git/blobs/{id}"), &octocat).json();
    assert_eq!((&blob["sha"], &blob["size"]), (&id.as_str().into(), &text.len().into()));
}

#[test]
fn a_commit_comes_as_json_diff_patch_or_its_id() {
    let github = github();
    let token = github.token_for("stranger", "");
    let commits = get(&github, &format!("{HELLO}/commits"), &token).json();
    assert_eq!(commits.as_array().unwrap().len(), 2);
    let id = commits[0]["sha"].as_str().unwrap();
    assert_eq!(commits[0]["parents"][0]["sha"], commits[1]["sha"]);
    let of = |accept: &str| accepting(&github, &format!("{HELLO}/commits/{id}"), &token, accept);
    assert_eq!(of("application/json").json()["commit"]["message"], "Say hello");
    let by_name =
        accepting(&github, &format!("{HELLO}/commits/main"), &token, "application/vnd.github.sha");
    let tag = format!("\"{id}\"");
    assert_eq!((by_name.body.as_str(), by_name.header("etag")), (id, Some(tag.as_str())));
    assert_eq!(
        of("application/vnd.github.diff").body,
        "diff --git a/src/main.rs b/src/main.rs\n--- a/src/main.rs\n+++ b/src/main.rs\n\
         -fn main() {}\n+fn main() { hello() }\n"
    );
    assert!(of("application/vnd.github.patch").body.starts_with(&format!("From {id} ")));
    let branch = get(&github, &format!("{HELLO}/branches/feature%2Fcomma"), &token).json();
    assert_eq!(branch["commit"]["commit"]["message"], "Add a comma", "%2F is part of the name");
    assert_eq!(get(&github, &format!("{HELLO}/branches/feature/comma"), &token).status, 404);
    let branches = get(&github, &format!("{HELLO}/branches"), &token).json();
    assert_eq!(
        (&branches[0]["name"], &branches[1]["name"]),
        (&"feature/comma".into(), &"main".into())
    );
}

#[test]
fn objects_have_the_ids_by_which_they_are_found() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let head = get(&github, &format!("{HELLO}/commits/main"), &token).json();
    let id = head["sha"].as_str().unwrap();
    let commit = get(&github, &format!("{HELLO}/git/commits/{id}"), &token).json();
    let tree = commit["tree"]["sha"].as_str().unwrap();
    let tree = get(&github, &format!("{HELLO}/git/trees/{tree}"), &token).json();
    let names: Vec<&str> =
        tree["tree"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["README.md", "docs", "src"]);
    let directory = get(&github, &format!("{HELLO}/contents/src"), &token).json();
    assert_eq!(
        (&directory[0]["path"], &directory[0]["type"]),
        (&"src/main.rs".into(), &"file".into())
    );
    let spaced = get(&github, &format!("{HELLO}/contents/docs/a%20b.md"), &token);
    assert_eq!(spaced.json()["name"], "a b.md");
    assert_eq!(get(&github, &format!("{HELLO}/contents/nowhere"), &token).status, 404);
}

#[test]
fn a_file_is_written_by_a_commit() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let path = "/repos/acme/rocket/contents/new.txt";
    let body = json!({ "message": "New", "content": STANDARD.encode("new\n") });
    assert_eq!(send(&github, &format!("PUT {path}"), &token, &body).status, 200);
    let raw = accepting(&github, path, &token, "application/vnd.github.raw+json");
    assert_eq!(raw.body, "new\n");
    let latest = get(&github, "/repos/acme/rocket/commits", &token).json();
    assert_eq!(latest[0]["commit"]["message"], "New");
    let stranger = github.token_for("stranger", "repo");
    assert_eq!(send(&github, &format!("PUT {path}"), &stranger, &body).status, 404);
}
