//! Octokit, with the plugins that most programs use it with.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gatekeep::simulator::Trouble;
use serde_json::json;

use super::{Came, Room, file, is_there};

const ISSUES: &str = "/repos/octocat/hello-world/issues";

/// Node with the scenarios; `None` where it cannot be had.
fn octokit() -> Option<Command> {
    let package = file("octokit/node_modules/@octokit/rest");
    let mut node = Command::new("node");
    node.arg(file("octokit/scenarios.mjs"));
    is_there("Octokit", Path::new("node"), &package).then_some(node)
}

fn run(room: &Room, scenario: &[&str]) -> Option<Came> {
    Some(room.run(&mut octokit()?, scenario))
}

/// The links of every page and of every issue lead through the gateway, where the key is good.
#[test]
fn octokit_follows_links_from_page_to_page() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["pages"]) else { return };
    let numbers: Vec<u32> = (1..=66).rev().collect();
    assert_eq!(came["numbers"], json!(numbers));
    assert_eq!(came["followed"], 66);
    let id = room.world.github.repository_id("octocat/hello-world");
    let page = |page| format!("/repositories/{id}/issues?per_page=20&page={page}");
    let paths =
        [format!("{ISSUES}?per_page=20"), page(2), page(3), page(4), format!("{ISSUES}/66")];
    assert_eq!(came["asked"], json!(paths.clone().map(|path| format!("GET {}{path}", room.base))));
    assert_eq!(asked, paths.clone().map(|path| format!("GET {path} 200")));

    let before = room.world.github.charged();
    let (again, asked) = run(&room, &["pages"]).expect("it ran before");
    assert_eq!(again, came);
    assert_eq!(asked, paths.map(|path| format!("GET {path} 304")));
    assert_eq!(room.world.github.charged(), before, "what is held costs nothing");
}

/// The validator is the gateway's own, and a 304 is an answer to it, not to GitHub's.
#[test]
fn octokit_asks_whether_anything_is_new() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["conditional"]) else { return };
    let (first, again) = (&came["first"], &came["again"]);
    assert_eq!((&first["status"], &again["status"]), (&json!(200), &json!(304)));
    assert!(first["headers"]["etag"].as_str().expect("a tag").starts_with("\"gk1-"), "{first}");
    assert_eq!(first["headers"]["etag"], again["headers"]["etag"]);
    assert_eq!(asked, [format!("GET {ISSUES}/1 200"), format!("GET {ISSUES}/1 304")]);
    assert_eq!(again["headers"]["x-ratelimit-used"], first["headers"]["x-ratelimit-used"]);

    // Control: it is new to who had it when it was another.
    room.world.github.edit_issue("octocat/hello-world", 1, "Another title");
    let (later, _) = run(&room, &["conditional"]).expect("it ran before");
    assert_eq!(later["first"]["data"]["title"], "Another title");
    assert_ne!(later["first"]["headers"]["etag"], first["headers"]["etag"]);
}

#[test]
fn octokit_reads_what_it_wrote() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["writing"]) else { return };
    let (made, shown, closed) = (&came["made"], &came["shown"], &came["closed"]);
    assert_eq!(made["status"], 201);
    assert_eq!(made["headers"]["location"], format!("{}{ISSUES}/67", room.base));
    for issue in [made, shown, closed] {
        assert_eq!(issue["data"]["title"], "Grüße");
        assert_eq!(issue["data"]["body"], "🚀 \"\\");
        assert_eq!(issue["data"]["url"], format!("{}{ISSUES}/67", room.base));
    }
    assert_eq!(
        (&made["data"]["state"], &closed["data"]["state"]),
        (&json!("open"), &json!("closed"))
    );
    assert_eq!(came["after"], came["before"], "it was opened and closed");
    assert_eq!(came["before"].as_array().map(Vec::len), Some(30));
    let list = format!("GET {ISSUES}");
    let expected = [
        format!("{list} 200"),
        format!("POST {ISSUES} 201"),
        format!("GET {ISSUES}/67 200"),
        format!("PATCH {ISSUES}/67 200"),
        // Closed again: what GitHub said at the beginning is true once more.
        format!("{list} 304"),
    ];
    assert_eq!(asked, expected);
}

/// GitHub says it, or the gateway says it for GitHub: to the client it is the same.
#[test]
fn octokit_hears_that_its_hourly_limit_is_spent() {
    let room = Room::open();
    room.world.github.set_remaining("octocat", "core", 0);
    let Some((told, asked)) = run(&room, &["issue", "1"]) else { return };
    assert_eq!(asked, [format!("GET {ISSUES}/1 403")], "GitHub said it");
    let (refused, asked) = run(&room, &["issue", "2"]).expect("it ran before");
    assert!(asked.is_empty(), "the gateway said it: {asked:?}");
    for (came, number) in [(&told, 1), (&refused, 2)] {
        assert_eq!(came["limits"][0]["kind"], "primary", "{came}");
        assert_eq!(came["limits"][0]["url"], "/repos/{owner}/{repo}/issues/{issue_number}");
        let after = came["limits"][0]["after"].as_u64().expect("seconds");
        assert!((3_500..=3_602).contains(&after), "{after} s");
        assert_eq!(came["asked"], json!([format!("GET {}{ISSUES}/{number}", room.base)]));
        assert_eq!(came["limits"].as_array().map(Vec::len), Some(1), "{came}");
        assert_eq!(came["headers"]["x-ratelimit-remaining"], "0");
    }
    assert_eq!(refused["headers"]["x-gatekeep-refused"], "primary");
    assert_eq!(told["headers"].get("x-gatekeep-refused"), None);
}

#[test]
fn octokit_hears_that_it_was_too_hasty() {
    let room = Room::open();
    let haste = Trouble::SecondaryLimit { status: 403, retry_after: Some(40) };
    room.world.github.knobs().once(&format!("{ISSUES}/1"), haste);
    let Some((told, asked)) = run(&room, &["issue", "1"]) else { return };
    assert_eq!(asked, [format!("GET {ISSUES}/1 403")], "GitHub said it");
    let (refused, asked) = run(&room, &["issue", "2"]).expect("it ran before");
    assert!(asked.is_empty(), "the gateway said it: {asked:?}");
    for (came, number) in [(&told, 1), (&refused, 2)] {
        let limits = json!([{
            "kind": "secondary",
            "after": came["headers"]["retry-after"].as_str().and_then(|s| s.parse::<u64>().ok()),
            "url": "/repos/{owner}/{repo}/issues/{issue_number}",
        }]);
        assert_eq!(came["limits"], limits, "{came}");
        assert_eq!(came["asked"], json!([format!("GET {}{ISSUES}/{number}", room.base)]));
    }
    assert_eq!(told["headers"]["retry-after"], "41");
    assert_eq!(refused["headers"]["x-gatekeep-refused"], "secondary");
}

/// Whoever waits for as long as they are told is let through.
#[test]
fn octokit_comes_again_when_it_was_told_to() {
    let room = Room::open();
    let haste = Trouble::SecondaryLimit { status: 403, retry_after: Some(2) };
    room.world.github.knobs().once(&format!("{ISSUES}/1"), haste);
    let Some(mut client) = octokit() else { return };
    let pause = Some(("told to wait", Duration::from_secs(3)));
    let (came, asked) = room.run_through(pause, &mut client, &["patient", "1"]);
    assert_eq!((&came["status"], &came["data"]["number"]), (&json!(200), &json!(1)));
    assert_eq!(came["limits"][0]["after"], 3, "a second more: the gateway's is a whole one");
    assert_eq!(asked, [format!("GET {ISSUES}/1 403"), format!("GET {ISSUES}/1 200")]);
}

#[test]
fn octokit_speaks_graphql() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["graphql"]) else { return };
    let octocat = json!({ "login": "octocat", "databaseId": 583_231, "id": "U_583231" });
    assert_eq!(came["viewer"], octocat);
    let unknown = came["unknown"].as_str().expect("an error");
    assert!(unknown.contains("Nothing is known of this field."), "{unknown}");
    let url = format!("POST {}/graphql", room.base);
    assert_eq!(came["asked"], json!([url, url]));
    assert_eq!(asked, ["POST /api/graphql 200"; 2]);
}

#[test]
fn octokit_reads_files_in_both_forms() {
    let room = Room::open();
    let Some((came, _)) = run(&room, &["files"]) else { return };
    assert_eq!(came["json"], "fn main() { hello() }\n");
    assert_eq!(came["raw"], came["json"]);
    assert_eq!(came["name"], "a b.md");
    // GitHub sends the client elsewhere for it, and the key stays here.
    let archive = "/octocat/hello-world/legacy.tar.gz/refs/heads/main";
    assert_eq!(came["archive"], format!("An archive: {archive}\n"));
    let downloads = room.world.github.downloads();
    assert_eq!(downloads.len(), 1);
    assert_eq!(downloads[0].header("authorization"), None);
}

#[test]
fn octokit_uploads_to_where_the_release_says() {
    for room in [Room::open(), Room::enterprise()] {
        let Some((came, _)) = run(&room, &["upload"]) else { return };
        assert_eq!((&came["status"], &came["data"]["size"]), (&json!(201), &json!(200_000)));
        let assets = room.world.github.assets("octocat/hello-world");
        let asset = assets.last().expect("it is there");
        assert_eq!((&*asset.name, &*asset.sha256), ("a b.bin", &*of_the_file()));
        let uploads = came["asked"][1].as_str().and_then(|line| line.strip_prefix("POST "));
        let origin = &room.base[..room.base.rfind("/api").unwrap_or(room.base.len())];
        assert!(uploads.is_some_and(|url| url.starts_with(origin)), "{uploads:?}");
    }
}

/// SHA-256 of 200,000 times `x`.
fn of_the_file() -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, "x".repeat(200_000).as_bytes());
    digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Programs for a GitHub Enterprise Server know its paths, and GraphQL beside them.
#[test]
fn octokit_takes_the_gateway_for_an_enterprise_server() {
    let room = Room::enterprise();
    let Some((came, asked)) = run(&room, &["pages"]) else { return };
    assert_eq!((&came["numbers"][65], &came["followed"]), (&json!(1), &json!(66)));
    assert_eq!(asked.len(), 5);
    let (came, _) = run(&room, &["graphql"]).expect("it ran before");
    assert_eq!(came["viewer"]["login"], "octocat");
    assert_eq!(came["asked"][0], format!("POST {}/api/graphql", &room.base[..room.base.len() - 7]));
}
