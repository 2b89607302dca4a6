//! `PyGithub`, which follows the URLs in bodies and asserts that each has the host and the prefix that
//! it knows.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gatekeep::simulator::Trouble;
use serde_json::json;

use super::{Came, Room, file, is_there};

const ISSUES: &str = "/repos/octocat/hello-world/issues";

/// Python with the scenarios; `None` where it cannot be had.
fn pygithub() -> Option<Command> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pygithub/bin/python");
    let mut command = Command::new(&python);
    command.arg(file("pygithub/scenarios.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    is_there("PyGithub", &python, &python).then_some(command)
}

fn run(room: &Room, scenario: &[&str]) -> Option<Came> {
    Some(room.run(&mut pygithub()?, scenario))
}

#[test]
fn pygithub_follows_links_from_page_to_page() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["pages"]) else { return };
    let numbers: Vec<u32> = (1..=66).rev().collect();
    assert_eq!(came, json!({ "total": 66, "numbers": numbers }));
    let id = room.world.github.repository_id("octocat/hello-world");
    for page in 2..=4 {
        let path = format!("GET /repositories/{id}/issues?page={page}&per_page=20 200");
        assert!(asked.contains(&path), "{path} is not in {asked:?}");
    }
}

/// Each step goes to where a body said.
#[test]
fn pygithub_completes_objects_through_their_urls() {
    for room in [Room::open(), Room::enterprise()] {
        completes(&room);
    }
}

fn completes(room: &Room) {
    let Some((came, asked)) = run(room, &["lazy"]) else { return };
    let expected = json!({
        "name": room.world.github.person("mona").and_then(|mona| mona.name),
        "of": "octocat/hello-world",
        "late": "octocat/hello-world",
        "url": format!("{}{ISSUES}/66", room.base),
    });
    assert_eq!(came, expected);
    assert!(asked.contains(&"GET /users/mona 200".to_owned()), "{asked:?}");
}

#[test]
fn pygithub_reads_what_it_wrote() {
    let room = Room::open();
    let Some((came, _)) = run(&room, &["writing"]) else { return };
    let expected = json!({
        "number": 67, "title": "Gruß", "body": "🚀 \"\\", "state": "closed", "is_new": false,
        "comments": ["Done."], "comment": format!("{}{ISSUES}/67", room.base),
    });
    assert_eq!(came, expected);
}

#[test]
fn pygithub_asks_whether_anything_is_new() {
    let room = Room::open();
    let Some((came, asked)) = run(&room, &["conditional"]) else { return };
    assert_eq!(came["is_new"], false);
    assert!(came["etag"].as_str().expect("a tag").starts_with("\"gk1-"), "{came}");
    let one = format!("GET {ISSUES}/1");
    assert_eq!(asked[asked.len() - 2..], [format!("{one} 200"), format!("{one} 304")]);
}

/// GitHub says it, or the gateway says it for GitHub: to the client it is the same.
#[test]
fn pygithub_hears_that_its_hourly_limit_is_spent() {
    let room = Room::open();
    room.world.github.set_remaining("octocat", "core", 0);
    let Some((told, asked)) = run(&room, &["impatient", "1"]) else { return };
    assert_eq!(asked, [format!("GET {ISSUES}/1 403")], "GitHub said it");
    let (refused, asked) = run(&room, &["impatient", "2"]).expect("it ran before");
    assert!(asked.is_empty(), "the gateway said it: {asked:?}");
    for came in [told, refused] {
        assert_eq!(came["error"], "RateLimitExceededException", "{came}");
    }
}

/// It waits as it is told, and is let through.
#[test]
fn pygithub_waits_when_it_was_too_hasty() {
    let room = Room::open();
    let haste = Trouble::SecondaryLimit { status: 403, retry_after: Some(2) };
    room.world.github.knobs().once(&format!("{ISSUES}/1"), haste);
    let Some(mut client) = pygithub() else { return };
    let pause = Some(("Retrying after 3 seconds", Duration::from_secs(3)));
    let (came, asked) = room.run_through(pause, &mut client, &["issue", "1"]);
    assert_eq!(came["title"], "Issue number 1", "{came}");
    assert_eq!(asked, [format!("GET {ISSUES}/1 403"), format!("GET {ISSUES}/1 200")]);
}

/// What does not come again by itself hears of the pause, from whomever.
#[test]
fn pygithub_hears_that_it_was_too_hasty() {
    let room = Room::open();
    let haste = Trouble::SecondaryLimit { status: 403, retry_after: Some(40) };
    room.world.github.knobs().once(&format!("{ISSUES}/1"), haste);
    let Some((told, asked)) = run(&room, &["impatient", "1"]) else { return };
    assert_eq!(asked, [format!("GET {ISSUES}/1 403")], "GitHub said it");
    let (refused, asked) = run(&room, &["impatient", "2"]).expect("it ran before");
    assert!(asked.is_empty(), "the gateway said it: {asked:?}");
    for came in [told, refused] {
        assert_eq!(came["error"], "RateLimitExceededException", "{came}");
    }
}

#[test]
fn pygithub_uploads_to_where_the_release_says() {
    for (room, uploads) in [(Room::open(), "/_uploads/"), (Room::enterprise(), "/api/uploads/")] {
        let Some((came, _)) = run(&room, &["upload"]) else { return };
        assert_eq!((&came["name"], &came["size"]), (&json!("a b.bin"), &json!(200_000)));
        let assets = room.world.github.assets("octocat/hello-world");
        assert_eq!(assets.last().map(|asset| asset.bytes), Some(200_000));
        assert!(came["to"].as_str().is_some_and(|to| to.contains(uploads)), "{came}");
    }
}

#[test]
fn pygithub_reads_its_limits() {
    let room = Room::open();
    let Some((came, _)) = run(&room, &["rate"]) else { return };
    let remaining = 5_000 - room.world.github.charged_to("octocat");
    assert_eq!(came, json!({ "limit": 5_000, "remaining": remaining }));
}
