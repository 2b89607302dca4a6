//! What is never held: for what its path is about, for what the answer says, or for long.

use gatekeep::simulator::Trouble;

use super::room::{Room, STORED, UNCHANGED, account, validator};

const PLAIN: [(&str, &str); 2] = [("content-type", "application/json"), ("etag", "\"1\"")];

/// GitHub's answer with these fields beside the usual ones.
fn answer(status: u16, more: &[(&str, &str)]) -> Trouble {
    let fields = PLAIN.iter().chain(more);
    let headers = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Trouble::Answer { status, headers, body: r#"{"name":"value"}"#.into() }
}

#[test]
fn a_search_is_made_each_time() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = "/search/issues?q=repo:acme/rocket+leak";
    for _ in 0..2 {
        let found = octocat.get(path);
        assert_eq!(found.status, 200, "{}", found.text());
        assert_eq!(account(&found), "gatekeep; fwd=bypass; fwd-status=200");
        assert_eq!(found.json()["total_count"], 30);
    }
    let asked = octocat.asked(path);
    assert_eq!((asked.len(), octocat.charged(path)), (2, 2));
    assert!(asked.iter().all(|entry| validator(entry).is_none()));
    // Nor is it given when GitHub is in trouble.
    room.world.github.knobs().on("/search", Trouble::Refuse);
    assert_eq!(octocat.get(path).status, 502);
}

#[test]
fn what_is_secret_is_asked_for_each_time() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for (path, is_held) in [
        ("/repos/acme/rocket/actions/secrets", false),
        ("/repos/acme/rocket/actions/secrets/public-key", false),
        ("/repos/acme/rocket/actions/secrets/TOKEN", false),
        ("/repos/acme/rocket/dependabot/secrets", false),
        ("/repos/acme/rocket/environments/live/secrets", false),
        ("/repos/acme/rocket/secret-scanning/alerts", false),
        ("/repositories/1296270/secret-scanning/alerts", false),
        ("/repos/acme/rocket/keys", false),
        ("/repos/acme/rocket/hooks/1/config", false),
        ("/repos/acme/rocket/invitations", false),
        ("/repos/acme/rocket/code-scanning/sarifs/1", false),
        ("/repos/acme/rocket/actions/runs/1/logs", false),
        ("/repos/acme/rocket/codespaces/machines", false),
        ("/orgs/acme/actions/secrets", false),
        ("/orgs/acme/hooks/1/config", false),
        ("/orgs/acme/invitations", false),
        ("/organizations/7/actions/secrets", false),
        ("/user/keys", false),
        ("/user/gpg_keys", false),
        ("/user/codespaces/secrets", false),
        ("/user/repository_invitations", false),
        ("/feeds", false),
        ("/rate_limit", false),
        ("/orgs/acme/%73ecret-scanning/alerts", false),
        ("/repos/acme/rocket/Actions/Secrets", false),
        // What only sounds so.
        ("/repos/acme/rocket/topics", true),
        ("/repos/acme/rocket/contents/secrets", true),
        ("/repos/acme/rocket/branches/secrets", true),
        ("/repos/acme/secrets/topics", true),
        ("/users/keys", true),
    ] {
        let knobs = room.world.github.knobs();
        knobs.on("/", answer(200, &[]));
        for _ in 0..2 {
            let answer = octocat.get(path);
            assert_eq!(answer.status, 200, "{path} {}", answer.text());
            assert_eq!(answer.json()["name"], "value", "{path}");
        }
        let asked = octocat.asked(&path.replace("%73", "s"));
        assert_eq!((asked.len(), validator(&asked[1]).is_some()), (2, is_held), "{path}");
        knobs.on("/", Trouble::Refuse);
        assert_eq!(octocat.get(path).status, if is_held { 200 } else { 502 }, "{path}");
        knobs.clear();
    }
}

#[test]
fn what_an_answer_forbids_is_not_done() {
    let room = Room::new();
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    for (number, (field, is_held)) in [
        (("set-cookie", "logged_in=no; path=/"), false),
        (("cache-control", "private, no-store"), false),
        (("vary", "*"), false),
        (("x-github-sso", "partial-results; organizations=1,2"), false),
        (("cache-control", "private, max-age=60, s-maxage=60"), true),
        (("vary", "Accept, Authorization"), true),
        (("x-github-sso", "required; url=https://github.example/sso"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/repos/octocat/hello-world/topics?n={number}");
        room.world.github.knobs().at("/repos/octocat/hello-world/topics", answer(200, &[field]));
        for visitor in [&mut octocat, &mut mona] {
            for _ in 0..2 {
                let shown = visitor.get(&path);
                assert_eq!((shown.status, shown.header("set-cookie")), (200, None), "{field:?}");
            }
            let asked = visitor.asked(&path);
            assert_eq!(validator(&asked[1]).is_some(), is_held, "{field:?}");
        }
        room.world.github.knobs().at("/repos/octocat/hello-world/topics", Trouble::Refuse);
        assert_eq!(octocat.get(&path).status, if is_held { 200 } else { 502 }, "{field:?}");
        room.world.github.knobs().clear();
    }
}

#[test]
fn what_is_no_whole_answer_is_not_held() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    for status in [201, 202, 203, 206, 300, 422, 501] {
        let path = format!("/repos/octocat/hello-world/topics?n={status}");
        room.world.github.knobs().at("/repos/octocat/hello-world/topics", answer(status, &[]));
        for _ in 0..2 {
            assert_eq!(octocat.get(&path).status, status);
        }
        let asked = octocat.asked(&path);
        assert_eq!((asked.len(), validator(&asked[1])), (2, None), "{status}");
    }
    // GitHub computes it when it is first asked.
    let stats = "/repos/octocat/hello-world/stats/participation";
    assert_eq!(octocat.get(stats).status, 202);
    assert_eq!(account(&octocat.get(stats)), STORED);
    assert_eq!(account(&octocat.get(stats)), UNCHANGED);
}

#[test]
fn a_part_is_never_held() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let path = "/repos/octocat/hello-world/issues/2";
    for _ in 0..2 {
        assert_eq!(octocat.get_with(path, &[("range", "bytes=0-3")]).status, 200);
    }
    let asked = octocat.asked(path);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|entry| validator(entry).is_none()));
    assert_eq!(asked[0].request.header("range"), Some("bytes=0-3"));
    assert_eq!(account(&octocat.get(path)), STORED);
}

/// A link in it works for minutes only, and its tag is that of the file.
#[test]
fn a_private_file_s_links_are_given_for_a_minute_at_most() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    let private = "/repos/acme/rocket/contents/README.md";
    let public = "/repos/octocat/hello-world/contents/README.md";
    for path in [private, public] {
        assert_eq!(account(&octocat.get(path)), STORED);
    }
    room.later(40);
    for path in [private, public] {
        assert_eq!(account(&octocat.get(path)), UNCHANGED);
    }
    // GitHub's word that the file is the same makes its links no younger.
    room.later(40);
    let anew = octocat.get(private);
    assert_eq!((anew.status, account(&anew)), (200, STORED));
    assert!(anew.json()["download_url"].as_str().expect("a link").contains("token="));
    assert_eq!(account(&octocat.get(public)), UNCHANGED);
    room.later(61);
    room.world.github.knobs().on("/repos", Trouble::Refuse);
    assert_eq!(octocat.get(private).status, 502, "nor does GitHub's trouble");
    assert_eq!(octocat.get(public).status, 200);
}
