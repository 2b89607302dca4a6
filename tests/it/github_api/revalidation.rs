//! What is held is true when it is given: GitHub has confirmed it just now, which costs nothing, or
//! within the time for which it cannot have changed.

use std::time::Duration;

use gatekeep::clock::Clock as _;
use gatekeep::simulator::Trouble;

use super::room::{Room, STORED, UNCHANGED, Visitor, account, validator};
use crate::support::http::Response;

const ISSUE: &str = "/repos/octocat/hello-world/issues/1";
const ISSUES: &str = "/repos/octocat/hello-world/issues?per_page=10";
const REPO: &str = "/repos/octocat/hello-world";
const ROTATED: &str = "gatekeep; fwd=stale; fwd-status=304; detail=rotated";

/// Shortly before the end of a token's eight hours.
const SOON: u64 = 8 * 3600 - 300;

/// A commit of a public repository by its hash: fresh for five minutes.
fn commit(visitor: &mut Visitor<'_>) -> String {
    let commits = visitor.get(&format!("{REPO}/commits")).json();
    format!("{REPO}/commits/{}", commits[0]["sha"].as_str().expect("a commit has a hash"))
}

fn with(visitor: &mut Visitor<'_>, path: &str, wish: &str) -> Response {
    visitor.get_with(path, &[("cache-control", wish)])
}

fn used(answer: &Response) -> u64 {
    answer.header("x-ratelimit-used").expect("a rate").parse().expect("a number")
}

// === GitHub's word ===

#[test]
fn what_has_not_changed_costs_nothing() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let first = octocat.get(ISSUE);
    assert_eq!((first.status, account(&first)), (200, STORED));
    for times in 1..=5 {
        let again = octocat.get(ISSUE);
        assert_eq!((again.status, account(&again)), (200, UNCHANGED));
        assert_eq!((&again.body, used(&again)), (&first.body, used(&first)));
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-resource"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
        let asked = octocat.asked(ISSUE);
        assert_eq!((asked.len(), asked[times].status), (times + 1, Some(304)));
        let reply = again.header("x-github-request-id");
        assert_ne!(reply, first.header("x-github-request-id"), "the newer fields count");
    }
    assert_eq!(octocat.charged(ISSUE), 1);
    assert_eq!(room.count(r#"gatekeep_github_requests_total{mode="revalidated"}"#), 5);
}

#[test]
fn what_has_changed_is_given_anew() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let first = octocat.get(ISSUE);
    room.world.github.edit_issue("octocat/hello-world", 1, "Changed at GitHub");
    let second = octocat.get(ISSUE);
    assert_eq!(account(&second), "gatekeep; fwd=stale; fwd-status=200; stored");
    assert_eq!(second.json()["title"], "Changed at GitHub");
    assert_ne!(second.header("etag"), first.header("etag"));
    let third = octocat.get(ISSUE);
    assert_eq!((account(&third), &third.body), (UNCHANGED, &second.body));
}

#[test]
fn after_a_refresh_of_the_token_everything_held_is_still_good() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let issue = |n| format!("{REPO}/issues/{}?n={n}", n % 60 + 1);
    let before: Vec<_> = (0..100).map(|n| octocat.get(&issue(n))).collect();
    let tag = before[7].header("etag").expect("a tag").to_owned();
    room.later(SOON);
    for (n, before) in before.iter().enumerate() {
        let after = octocat.get(&issue(n));
        assert_eq!((after.status, account(&after)), (200, ROTATED), "{n}");
        assert_eq!(after.body, before.body);
        assert_eq!(after.header("etag"), before.header("etag"));
        assert_eq!(octocat.charged(&issue(n)), 1, "before the refresh");
    }
    assert_eq!((room.world.github.refreshes(), room.world.github.refresh_attempts()), (1, 1));
    // The tag that the client holds is not GitHub's, and outlives the token.
    let known = octocat.get_with(&issue(7), &[("if-none-match", &tag)]);
    assert_eq!((known.status, account(&known)), (304, UNCHANGED));
    let asked = octocat.asked(&issue(7));
    assert_eq!((asked.len(), octocat.charged(&issue(7))), (3, 1));
    assert_ne!(asked[0].request.header("authorization"), asked[1].request.header("authorization"));
}

/// Where the tag says nothing of the body, another token asks anew.
#[test]
fn after_a_refresh_a_file_is_asked_for_anew() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = "/repos/octocat/hello-world/contents/README.md";
    assert_eq!(account(&octocat.get(path)), STORED);
    assert_eq!(account(&octocat.get(path)), UNCHANGED);
    room.later(SOON);
    let anew = octocat.get(path);
    assert_eq!((anew.status, account(&anew)), (200, STORED));
    assert_eq!(validator(&octocat.asked(path)[2]), None);
    assert_eq!(account(&octocat.get(path)), UNCHANGED);
}

// === The client's validator ===

#[test]
fn a_client_s_validator_stays_between_it_and_the_gateway() {
    let room = Room::of("{ github: { share: false } }");
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let full = octocat.get(ISSUES);
    let tag = full.header("etag").expect("a tag").to_owned();
    assert!(full.header("link").is_some());
    // Nothing is held for her.
    let known = mona.get_with(ISSUES, &[("if-none-match", &tag)]);
    assert_eq!((known.status, account(&known)), (304, STORED));
    assert_eq!((known.header("etag"), known.body.len()), (Some(&*tag), 0));
    let asked = mona.asked(ISSUES);
    let offered = validator(&asked[0]).expect("the empty list's");
    assert!(offered.len() == 66 && !offered.contains("gk1-"), "{offered}");
    let unconditional = mona.get(ISSUES);
    assert_eq!((unconditional.status, account(&unconditional)), (200, UNCHANGED));
    assert_eq!(unconditional.body, full.body);
    assert_eq!(unconditional.header("link"), full.header("link"));
    assert_eq!(mona.charged(ISSUES), 1);
}

#[test]
fn a_client_s_validator_is_read_as_http_has_it() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let full = octocat.get(ISSUE);
    let tag = full.header("etag").expect("a tag").to_owned();
    octocat.get(ISSUE);
    let githubs = validator(&octocat.asked(ISSUE)[1]).expect("GitHub's own").to_owned();
    for (sent, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"a,b\", {tag}"), 304),
        ("*".to_owned(), 304),
        (githubs, 200),
        ("\"gk1-0123456789012345678901\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let answer = octocat.get_with(ISSUE, &[("if-none-match", &sent)]);
        assert_eq!((answer.status, account(&answer)), (status, UNCHANGED), "{sent}");
        assert_eq!(answer.body.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), Some(&*tag));
    }
    room.world.github.edit_issue("octocat/hello-world", 1, "Changed at GitHub");
    let changed = octocat.get_with(ISSUE, &[("if-none-match", &tag)]);
    assert_eq!(
        (changed.status, changed.json()["title"].as_str()),
        (200, Some("Changed at GitHub"))
    );
}

// === HEAD ===

#[test]
fn a_head_is_a_get_without_its_body() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let differs = ["date", "x-github-request-id", "cache-status"];
    let fields = |answer: &Response| -> Vec<_> {
        let is_same = |name: &str| !differs.contains(&&*name.to_ascii_lowercase());
        let all = answer.headers.iter().filter(|(name, _)| is_same(name));
        let mut all: Vec<_> = all.cloned().collect();
        all.sort_unstable();
        all
    };
    for path in [ISSUES, ISSUE] {
        let get = octocat.get(path);
        let head = octocat.send("HEAD", path, &[], "");
        assert_eq!((head.status, account(&head)), (200, UNCHANGED));
        assert_eq!(head.body.len(), 0);
        assert_eq!(fields(&head), fields(&get));
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(&*length));
        assert_eq!(octocat.charged(path), 1);
    }
    // And the other way: what a HEAD brought is there for a GET.
    let head = octocat.send("HEAD", REPO, &[], "");
    assert_eq!((head.status, account(&head), head.body.len()), (200, STORED, 0));
    let get = octocat.get(REPO);
    assert_eq!((account(&get), fields(&get)), (UNCHANGED, fields(&head)));
    assert_eq!(get.json()["name"], "hello-world");
    assert!(octocat.asked(REPO).iter().all(|entry| entry.request.method == "GET"));
}

// === Within its time ===

#[test]
fn what_cannot_have_changed_is_given_without_asking() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let commit = commit(&mut octocat);
    let tree = octocat.get(&commit).json()["commit"]["tree"]["sha"].clone();
    let tree = format!("{REPO}/git/trees/{}", tree.as_str().expect("a hash"));
    let blob = octocat.get(&tree).json()["tree"][0]["sha"].clone();
    let blob = format!("{REPO}/git/blobs/{}", blob.as_str().expect("a hash"));
    let of_git = commit.replace("/commits/", "/git/commits/");
    room.later(301);
    for (path, seconds) in [
        (&*of_git, 300),
        (&*tree, 300),
        (&*blob, 300),
        (&*commit, 300),
        ("/events", 60),
        ("/notifications", 60),
        (&format!("{REPO}/events"), 60),
        ("/meta", 3600),
    ] {
        let first = octocat.get(path);
        assert_eq!(first.status, 200, "{path} {}", first.text());
        let asked = octocat.asked(path).len();
        room.later(seconds - 1);
        let held = octocat.get(path);
        assert_eq!((held.status, account(&held)), (200, "gatekeep; hit; ttl=1"), "{path}");
        assert_eq!((&held.body, octocat.asked(path).len()), (&first.body, asked), "{path}");
        assert_eq!(held.header("age"), Some(&*(seconds - 1).to_string()), "{path}");
        assert_eq!(held.header("etag"), first.header("etag"));
        room.later(1);
        let confirmed = octocat.get(path);
        assert_eq!((confirmed.status, account(&confirmed)), (200, UNCHANGED), "{path}");
        assert_eq!((confirmed.body, octocat.asked(path).len()), (first.body, asked + 1), "{path}");
        let hit = format!("gatekeep; hit; ttl={seconds}");
        assert_eq!(account(&octocat.get(path)), hit, "{path}");
        assert_eq!(octocat.charged(path), 1, "{path}");
    }
}

#[test]
fn what_may_have_changed_is_asked_for_each_time() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let short = commit(&mut octocat);
    let short = &short[..short.len() - 30];
    room.world.github.knobs().at(short, tagged("{}"));
    for path in [REPO, ISSUES, "/repos/octocat/hello-world/commits/main", "/users/mona", short] {
        for times in 1..=3 {
            assert_eq!(octocat.get(path).status, 200, "{path}");
            assert_eq!(octocat.asked(path).len(), times, "{path}");
        }
    }
}

#[test]
fn how_often_github_wants_to_be_asked_is_obeyed() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let first = octocat.get("/notifications");
    assert_eq!((first.status, first.header("x-poll-interval")), (200, Some("60")));
    room.later(59);
    let held = octocat.get("/notifications");
    assert_eq!((account(&held), held.header("x-poll-interval")), (HIT_1, Some("60")));
    assert_eq!(octocat.asked("/notifications").len(), 1);
    // By its own word alone: another interval is another time.
    let slow =
        [("etag", "\"1\""), ("x-poll-interval", "300"), ("content-type", "application/json")];
    room.world.github.knobs().at("/notifications", answer(&slow, "[]"));
    room.later(1);
    assert_eq!(octocat.get("/notifications").status, 200);
    room.later(299);
    assert_eq!(account(&octocat.get("/notifications")), HIT_1);
    assert_eq!(octocat.asked("/notifications").len(), 2);
}

const HIT_1: &str = "gatekeep; hit; ttl=1";

fn answer(fields: &[(&str, &str)], body: &'static str) -> Trouble {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Trouble::Answer { status: 200, headers: fields.iter().map(own).collect(), body: body.into() }
}

fn tagged(body: &'static str) -> Trouble {
    answer(&[("etag", "\"1\""), ("content-type", "application/json")], body)
}

// === The client's wishes ===

#[test]
fn a_client_may_ask_for_github_s_word() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = commit(&mut octocat);
    octocat.get(&path);
    assert_eq!(account(&octocat.get(&path)), "gatekeep; hit; ttl=300");
    for wish in ["no-cache", "max-age=0", "No-Cache, max-age=100"] {
        assert_eq!(account(&with(&mut octocat, &path, wish)), UNCHANGED, "{wish}");
    }
    room.later(100);
    assert_eq!(account(&with(&mut octocat, &path, "max-age=100")), "gatekeep; hit; ttl=200");
    assert_eq!(account(&with(&mut octocat, &path, "max-age=99")), UNCHANGED);
    assert_eq!(account(&with(&mut octocat, &path, "max-age=99")), "gatekeep; hit; ttl=300");
    assert_eq!(octocat.asked(&path).len(), 5);
    assert_eq!(octocat.charged(&path), 1);
}

#[test]
fn a_client_may_take_something_older() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(account(&octocat.get(ISSUE)), STORED);
    room.later(30);
    let old = with(&mut octocat, ISSUE, "max-stale=30");
    assert_eq!((old.status, account(&old)), (200, "gatekeep; hit; ttl=-30"));
    assert_eq!(old.header("age"), Some("30"));
    assert_eq!(account(&with(&mut octocat, ISSUE, "max-stale=29")), UNCHANGED);
    room.later(3601);
    assert_eq!(account(&with(&mut octocat, ISSUE, "max-stale")), UNCHANGED, "up to a point");
}

/// Nobody can tell how old something is after the clock was set back.
#[test]
fn what_comes_from_the_future_is_neither_fresh_nor_old_enough() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = commit(&mut octocat);
    assert_eq!(account(&octocat.get(&path)), STORED);
    assert_eq!(account(&octocat.get(&path)), "gatekeep; hit; ttl=300", "control: it is fresh");
    let now = room.world.gate.clock.now();
    room.world.gate.clock.set(now - Duration::from_secs(60));
    assert_eq!(with(&mut octocat, &path, "max-stale, only-if-cached").status, 504);
    room.world.github.knobs().at(&path, Trouble::Refuse);
    assert_eq!(octocat.get(&path).status, 502);
    room.world.github.knobs().off(&path);
    assert_eq!(account(&with(&mut octocat, &path, "max-stale")), UNCHANGED, "GitHub can tell");
    assert_eq!(account(&octocat.get(&path)), "gatekeep; hit; ttl=300");
}

#[test]
fn a_client_may_forbid_to_keep_anything() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for _ in 0..2 {
        let answer = with(&mut octocat, ISSUE, "no-store");
        assert_eq!(
            (answer.status, account(&answer)),
            (200, "gatekeep; fwd=request; fwd-status=200")
        );
    }
    assert!(octocat.asked(ISSUE).iter().all(|entry| validator(entry).is_none()));
    assert_eq!(account(&octocat.get(ISSUE)), STORED, "nothing was kept");
    // Nor is anything taken from what is held.
    let path = commit(&mut octocat);
    octocat.get(&path);
    let answer = with(&mut octocat, &path, "no-store");
    assert_eq!(account(&answer), "gatekeep; fwd=request; fwd-status=200");
    assert_eq!(account(&octocat.get(&path)), "gatekeep; hit; ttl=300", "which stays");
}

#[test]
fn a_client_may_forbid_to_ask() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = commit(&mut octocat);
    let none = with(&mut octocat, &path, "only-if-cached");
    assert_eq!((none.status, account(&none)), (504, "gatekeep"));
    let words = none.json()["message"].as_str().expect("words").to_owned();
    assert!(words.contains("only-if-cached"), "{words}");
    assert_eq!(octocat.asked(&path).len(), 0);
    octocat.get(&path);
    let held = with(&mut octocat, &path, "only-if-cached");
    assert_eq!((held.status, account(&held)), (200, "gatekeep; hit; ttl=300"));
    room.later(300);
    assert_eq!(with(&mut octocat, &path, "only-if-cached").status, 504);
    let old = with(&mut octocat, &path, "only-if-cached, max-stale=60");
    assert_eq!((old.status, account(&old)), (200, "gatekeep; hit; ttl=0"));
    assert_eq!(with(&mut octocat, &path, "only-if-cached, no-store").status, 504);
    assert_eq!(octocat.asked(&path).len(), 1);
}

#[test]
fn a_client_may_refuse_what_is_old_in_github_s_trouble() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let first = octocat.get(ISSUE);
    room.world.github.knobs().on("/repos", Trouble::Refuse);
    room.later(60);
    let old = octocat.get(ISSUE);
    assert_eq!((old.status, old.header("x-gatekeep-stale")), (200, Some("upstream-error")));
    assert_eq!((&old.body, old.header("age")), (&first.body, Some("60")));
    assert_eq!(with(&mut octocat, ISSUE, "stale-if-error=0").status, 502);
    assert_eq!(with(&mut octocat, ISSUE, "stale-if-error=59").status, 502);
    assert_eq!(with(&mut octocat, ISSUE, "stale-if-error=60").status, 200);
}

// === What is not there ===

#[test]
fn that_something_is_not_there_is_believed_for_a_moment() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = "/repos/octocat/hello-world/issues/67";
    assert_eq!(octocat.get(path).status, 404);
    let held = octocat.get(path);
    assert_eq!((held.status, account(&held)), (404, "gatekeep; hit; ttl=2"));
    assert_eq!(octocat.asked(path).len(), 1);
    // Who wants GitHub's word gets it, and what it says now counts for all that follows.
    assert_eq!(with(&mut octocat, path, "no-cache").status, 404);
    assert_eq!(octocat.asked(path).len(), 2);
    let number = room.world.github.add_issue("octocat/hello-world", "mona", "New", "");
    assert_eq!(number, 67);
    assert_eq!(octocat.get(path).status, 404, "the moment is not over");
    assert_eq!(with(&mut octocat, path, "no-cache").status, 200);
    let there = octocat.get(path);
    assert_eq!((there.status, account(&there)), (200, UNCHANGED));
    let other = "/repos/octocat/hello-world/issues/99";
    assert_eq!(octocat.get(other).status, 404);
    room.later(Duration::from_secs(2).as_secs());
    assert_eq!(octocat.get(other).status, 404);
    assert_eq!(octocat.asked(other).len(), 2);
}
