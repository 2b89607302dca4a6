//! Lists that nobody has asked for yet, and that are empty: not even the first question costs anything.

use gatekeep::simulator::Etags;

use super::room::{Room, STORED, UNCHANGED, account, validator};

const GUESSED: &str = "gatekeep; fwd=stale; fwd-status=304; detail=empty-guess";
const HANDBOOK: &str = "/repos/acme/handbook";
const HELLO: &str = "/repos/octocat/hello-world";

#[test]
fn an_empty_list_costs_nothing_and_is_whole() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for list in [format!("{HANDBOOK}/issues"), format!("{HELLO}/issues/2/comments?per_page=100")] {
        let first = octocat.get(&list);
        assert_eq!((first.status, account(&first)), (200, GUESSED), "{}", first.text());
        assert_eq!(first.text(), "[]");
        assert_eq!(first.header("content-type"), Some("application/json; charset=utf-8"));
        assert!(first.header("etag").is_some_and(|tag| tag.starts_with("\"gk1-")));
        assert!(first.header("x-ratelimit-limit").is_some());
        let again = octocat.get(&list);
        assert_eq!((again.status, account(&again)), (200, UNCHANGED));
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
        let asked = octocat.asked(&list);
        assert_eq!(asked.iter().map(|it| it.status).collect::<Vec<_>>(), [Some(304); 2]);
        assert_eq!(octocat.charged(&list), 0);
    }
}

#[test]
fn a_list_that_is_not_empty_is_fetched_at_once() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let list = format!("{HELLO}/issues?per_page=10");
    let first = octocat.get(&list);
    assert_eq!((first.status, account(&first)), (200, STORED));
    assert_eq!(first.json().as_array().map(Vec::len), Some(10));
    let asked = octocat.asked(&list);
    assert_eq!((asked.len(), octocat.charged(&list)), (1, 1));
    assert_eq!(validator(&asked[0]).map(str::len), Some(66), "the guess");
    let again = octocat.get(&list);
    assert_eq!((again.body, octocat.charged(&list)), (first.body, 1));
    // What comes into an empty one is seen.
    let comments = format!("{HELLO}/issues/3/comments");
    assert_eq!(account(&octocat.get(&comments)), GUESSED);
    let made = octocat.send("POST", &comments, &[], r#"{"body":"First."}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(octocat.get(&comments).json()[0]["body"], "First.");
}

/// GitHub says who may see that there is nothing.
#[test]
fn who_may_not_see_a_list_is_not_told_that_it_is_empty() {
    let room = Room::new();
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    let list = "/repos/acme/rocket/issues/1/comments";
    for _ in 0..2 {
        assert_eq!(stranger.get(list).status, 404);
        let own = octocat.get(list);
        assert_eq!((own.status, own.text().as_str()), (200, "[]"));
    }
}

#[test]
fn nothing_is_guessed_where_an_empty_list_would_be_a_surprise() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for path in [
        HELLO.to_owned(),
        format!("{HELLO}/issues/1"),
        format!("{HELLO}/issues?page=9"),
        "/notifications".to_owned(),
        "/user/repos".to_owned(),
        "/search/issues?q=x".to_owned(),
    ] {
        assert_eq!(octocat.get(&path).status, 200, "{path}");
        assert_eq!(validator(&octocat.asked(&path)[0]), None, "{path}");
    }
    let list = format!("{HELLO}/issues/4/comments");
    for wish in [("cache-control", "no-store"), ("accept", "application/vnd.github.html+json")] {
        assert_eq!(octocat.get_with(&list, &[wish]).status, 200);
        assert_eq!(validator(octocat.asked(&list).last().expect("it was asked")), None, "{wish:?}");
    }
    assert_eq!(account(&octocat.get(&list)), GUESSED, "control");
}

#[test]
fn where_github_makes_its_tags_otherwise_the_guess_is_only_in_vain() {
    for etags in [Etags::Salted, Etags::Short, Etags::Absent] {
        let room = Room::new();
        room.world.github.knobs().etags(etags);
        let first = room.visitor("octocat").get(&format!("{HANDBOOK}/issues"));
        assert_eq!((first.status, first.text().as_str()), (200, "[]"), "{etags:?}");
        assert_ne!(account(&first), GUESSED, "{etags:?}");
    }
}
