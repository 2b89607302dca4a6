//! What makes two questions one, and what reaches GitHub of a question.

use std::time::Duration;

use gatekeep::simulator::{Entry, Gate as Barrier, Trouble};

use super::room::{Room, STORED, UNCHANGED, account, validator};

const MAIN: &str = "/repos/octocat/hello-world/commits/main";

/// All that GitHub gets with a question.
const SENT: [&str; 6] =
    ["accept", "accept-encoding", "authorization", "host", "user-agent", "x-github-api-version"];

fn names(entry: &Entry) -> Vec<&str> {
    let mut names: Vec<_> = entry.request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn two_representations_asked_for_at_once_are_two_questions() {
    let room = Room::new();
    let octocat = room.visitor("octocat");
    let barrier = Barrier::new();
    room.world.github.knobs().at(MAIN, Trouble::Hold(barrier.clone()));
    let ask = |accept: &'static str| {
        let (browser, room) = (octocat.browser.clone(), &room);
        move || room.at(browser, "octocat").get_with(MAIN, &[("accept", accept)])
    };
    let (json, diff) = std::thread::scope(|scope| {
        let json = scope.spawn(ask("application/vnd.github+json"));
        let diff = scope.spawn(ask("application/vnd.github.diff"));
        assert!(barrier.wait_for(2, Duration::from_secs(20)), "both are asked");
        barrier.release();
        (json.join().expect("an answer"), diff.join().expect("an answer"))
    });
    assert_eq!(json.json()["commit"]["message"], "Say hello");
    assert!(diff.text().starts_with("diff --git a/src/main.rs"), "{}", diff.text());
    assert_eq!(diff.header("content-type"), Some("application/vnd.github.diff; charset=utf-8"));
    assert_eq!((account(&json), account(&diff)), (STORED, STORED));
    assert_ne!(json.header("etag"), diff.header("etag"));
    // Each is confirmed as what it is.
    let mut octocat = octocat;
    for (accept, body) in [("application/vnd.github.diff", diff.body), ("*/*", json.body)] {
        let again = octocat.get_with(MAIN, &[("accept", accept)]);
        assert_eq!((account(&again), &again.body), (UNCHANGED, &body), "{accept}");
    }
}

#[test]
fn whatever_changes_github_s_bytes_makes_another_question() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(account(&octocat.get(MAIN)), STORED);
    for (name, value) in [
        ("x-github-api-version", "2026-03-10"),
        ("time-zone", "Europe/Berlin"),
        ("accept", "application/vnd.github.patch"),
    ] {
        let fields = [(name, value)];
        let other = octocat.get_with(MAIN, &fields);
        assert_eq!((other.status, account(&other)), (200, STORED), "{name}");
        let asked = octocat.asked(MAIN).pop().expect("a question");
        assert_eq!(asked.request.header(name), Some(value));
        assert_eq!(account(&octocat.get_with(MAIN, &fields)), UNCHANGED, "{name}");
    }
    for accept in ["*/*", "application/json", "application/vnd.github.v3+json"] {
        let same = octocat.get_with(MAIN, &[("accept", accept)]);
        assert_eq!(account(&same), UNCHANGED, "{accept}");
    }
}

#[test]
fn whatever_browser_it_is_github_gives_the_same_bytes() {
    let room = Room::new();
    let mut plain = room.visitor("octocat");
    let name = "Mozilla/5.0 AppleWebKit/605.1.15 Safari/605 Firefox/99 curl/8 Wget/1";
    let browser = plain.browser.clone().called(name);
    let mut named = room.at(browser, "octocat");
    let first = named.get(MAIN);
    assert_eq!((first.status, account(&first)), (200, STORED));
    assert!(!first.text().contains('\n'), "{}", first.text());
    let second = plain.get(MAIN);
    assert_eq!((account(&second), &second.body), (UNCHANGED, &first.body));
    let own = concat!("Gatekeep/", env!("CARGO_PKG_VERSION"));
    for entry in plain.asked(MAIN) {
        assert_eq!(entry.request.header("user-agent"), Some(own));
    }
    let head = &plain.asked(MAIN)[0];
    assert_eq!(head.request.header("accept-encoding"), Some("gzip"));
    assert_eq!(plain.get(MAIN).header("content-encoding"), None);
}

#[test]
fn nothing_of_the_browser_s_reaches_github() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let answer = octocat.get_with(
        MAIN,
        &[
            ("authorization", "token not-for-github"),
            ("x-github-otp", "123456"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "192.0.2.7"),
            ("forwarded", "for=192.0.2.7"),
            ("origin", "https://app.example.com"),
            ("referer", "https://app.example.com/secret?x"),
            ("if-modified-since", "Fri, 31 Dec 2100 23:59:59 GMT"),
            ("if-none-match", "\"of-the-browser\""),
            ("if-match", "\"of-the-browser\""),
            ("accept-language", "de"),
            ("accept-encoding", "br"),
            ("x-http-method-override", "DELETE"),
            ("x-gatekeep-user", "mona"),
            ("x-requested-with", "XMLHttpRequest"),
            ("priority", "u=1"),
        ],
    );
    assert_eq!((answer.status, account(&answer)), (200, STORED));
    let asked = octocat.asked(MAIN);
    assert_eq!((asked.len(), names(&asked[0])), (1, SENT.to_vec()));
    let token = room.world.github.tokens_of("octocat").pop().expect("a token");
    assert_eq!(asked[0].request.header("authorization"), Some(&*format!("Bearer {token}")));
    // What it said of dates does not become a 304 either, now that something is held.
    let since = [("if-modified-since", "Fri, 31 Dec 2100 23:59:59 GMT")];
    let again = octocat.get_with(MAIN, &since);
    assert_eq!((again.status, account(&again)), (200, UNCHANGED));
    let mut with_validator = [&SENT[..], &["if-none-match"]].concat();
    with_validator.sort_unstable();
    assert_eq!(names(&octocat.asked(MAIN)[1]), with_validator);
}

#[test]
fn path_and_query_reach_github_byte_for_byte() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for path in [
        "/repos/octocat/hello-world/contents/docs%2Fa%20b.md?a=2&a=1&b",
        "/repos/octocat/hello-world/contents/docs%2fa%20b.md?b&a=1&a=2",
        "/repos/octocat/hello-world/contents/docs/a%20b.md?ref=main&x=%e9+%2B&&y=",
    ] {
        let answer = octocat.get(path);
        assert_eq!((answer.status, account(&answer)), (200, STORED), "{path}");
        assert_eq!(answer.json()["path"], "docs/a b.md");
        assert_eq!(octocat.asked(path).len(), 1, "{path}");
    }
    for (path, status) in [
        ("/repos/octocat/../../user", 400),
        ("/repos/octocat/%2e%2e/user", 400),
        ("/repos/octocat/hello-world/contents/x%2f..%2f..%2fuser", 400),
        ("//user", 400),
        ("/user%00", 400),
    ] {
        let before = room.world.github.requests().len();
        let answer = octocat.get(path);
        assert_eq!(answer.status, status, "{path} {}", answer.text());
        assert_eq!(room.world.github.requests().len(), before, "{path}");
    }
}

/// What GitHub allows other caches is not what this one allows.
#[test]
fn no_other_cache_may_keep_an_answer() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for _ in 0..2 {
        let answer = octocat.get(MAIN);
        assert_eq!(answer.all("cache-control").collect::<Vec<_>>(), ["private, no-cache"]);
        let vary = "Accept, Authorization, Cookie, Accept-Encoding, X-GitHub-Api-Version";
        assert_eq!(answer.all("vary").collect::<Vec<_>>(), [vary]);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with("\"gk1-")));
    }
    assert_eq!(octocat.asked(MAIN).iter().filter(|entry| validator(entry).is_some()).count(), 1);
}
