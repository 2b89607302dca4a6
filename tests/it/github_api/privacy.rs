//! What one visitor may see says nothing about another: each is answered by GitHub's word for their
//! own token, and what somebody else fetched is at most a guess that GitHub confirms.

use std::time::Duration;

use gatekeep::simulator::{Etags, Gate as Barrier, Person, Trouble};

use super::ROUTES;
use super::room::{Room, STORED, UNCHANGED, account, validator};
use crate::support::World;

/// Another route for the same, by which nothing is shared.
const UNSHARED: &str = r"
  - name: alone
    host: app.example.com
    path: /alone
    upstream: { github: { share: false } }
    allow: anyone
";

const SHARED: &str = "gatekeep; fwd=stale; fwd-status=304; detail=cross-principal";
const SECRET: &str = "/repos/acme/rocket";
const ISSUE: &str = "/repos/octocat/hello-world/issues/1";

fn issue(number: usize) -> String {
    format!("/repos/octocat/hello-world/issues/{number}")
}

/// The newest commit of a private repository, by its hash: fresh for five minutes.
fn secret_commit(octocat: &mut super::room::Visitor<'_>) -> String {
    let commits = octocat.get(&format!("{SECRET}/commits")).json();
    format!("{SECRET}/commits/{}", commits[0]["sha"].as_str().expect("a commit has a hash"))
}

// === Who may not see it ===

#[test]
fn who_may_not_see_it_learns_nothing_of_what_another_saw() {
    let room = Room::new();
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    let secret = octocat.get(SECRET);
    assert_eq!((secret.status, account(&secret)), (200, STORED));
    let refused = stranger.get(SECRET);
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(!refused.text().contains("rocket"), "{}", refused.text());
    assert_eq!(refused.header("etag"), None);
    // GitHub said so, asked with the stranger's own token and with one tag, made for it.
    let asked = stranger.asked(SECRET);
    assert_eq!((asked.len(), asked[0].status), (1, Some(404)));
    let (theirs, own) = (&octocat.asked(SECRET)[0], &asked[0]);
    let token = room.world.github.tokens_of("stranger").pop().expect("a token");
    assert_eq!(own.request.header("authorization"), Some(&*format!("Bearer {token}")));
    assert_ne!(own.request.header("authorization"), theirs.request.header("authorization"));
    assert_eq!(validator(own).map(str::len), Some(66));
    // And octocat's is what it was.
    let again = octocat.get(SECRET);
    assert_eq!((again.status, account(&again)), (200, UNCHANGED));
    assert_eq!((again.body, octocat.charged(SECRET)), (secret.body, 1));
}

#[test]
fn an_answer_within_its_time_is_its_asker_s_alone() {
    let room = Room::new();
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    let mut mona = room.visitor("mona");
    let commit = secret_commit(&mut octocat);
    let shown = octocat.get(&commit);
    assert_eq!((shown.status, account(&shown)), (200, STORED));
    assert_eq!(account(&octocat.get(&commit)), "gatekeep; hit; ttl=300");
    let refused = stranger.get(&commit);
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(!refused.text().contains("Ignition"), "{}", refused.text());
    assert_eq!(stranger.asked(&commit).len(), 1);
    // Who may see it is not believed for octocat's sake either.
    let confirmed = mona.get(&commit);
    assert_eq!((confirmed.status, account(&confirmed)), (200, SHARED));
    assert_eq!(confirmed.body, shown.body);
    assert_eq!(account(&mona.get(&commit)), "gatekeep; hit; ttl=300");
    assert_eq!(account(&octocat.get(&commit)), "gatekeep; hit; ttl=300");
    assert_eq!((octocat.asked(&commit).len(), mona.asked(&commit).len()), (1, 1));
}

#[test]
fn an_old_answer_in_github_s_trouble_is_its_asker_s_alone() {
    let room = Room::new();
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    let secret = octocat.get(SECRET);
    assert_eq!(secret.status, 200);
    room.world.github.knobs().on("/repos", Trouble::Refuse);
    let old = octocat.get(SECRET);
    assert_eq!((old.status, old.header("x-gatekeep-stale")), (200, Some("upstream-error")));
    assert_eq!(old.body, secret.body);
    let nothing = stranger.get(SECRET);
    assert_eq!(nothing.status, 502);
    assert!(!nothing.text().contains("rocket"), "{}", nothing.text());
}

#[test]
fn who_is_let_out_is_shown_nothing_more() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(octocat.get(SECRET).status, 200);
    room.world.github.remove_collaborator("acme/rocket", "octocat");
    let gone = octocat.get(SECRET);
    assert_eq!(gone.status, 404);
    assert!(validator(&octocat.asked(SECRET)[1]).is_some());
    // It is forgotten: not even GitHub's trouble brings it back.
    room.later(3);
    room.world.github.knobs().on("/repos", Trouble::Refuse);
    assert_eq!(octocat.get(SECRET).status, 502);
}

/// What a client may not keep it has learnt all the same, and so has the gateway.
#[test]
fn who_is_let_out_and_forbids_to_keep_anything_is_shown_nothing_more() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(octocat.get(SECRET).status, 200);
    room.world.github.remove_collaborator("acme/rocket", "octocat");
    assert_eq!(octocat.get_with(SECRET, &[("cache-control", "no-store")]).status, 404);
    room.world.github.knobs().on("/repos", Trouble::Refuse);
    assert_eq!(octocat.get(SECRET).status, 502);
}

/// That a limit refused to answer takes nothing away from what may be seen.
#[test]
fn a_limit_lets_nobody_out() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(octocat.get(SECRET).status, 200);
    let limit = Trouble::SecondaryLimit { status: 403, retry_after: Some(7) };
    room.world.github.knobs().once(SECRET, limit);
    let refused = octocat.get_with(SECRET, &[("cache-control", "no-cache, stale-if-error=0")]);
    assert_eq!(refused.status, 403, "{}", refused.text());
    room.later(8);
    let again = octocat.get(SECRET);
    assert_eq!((again.status, account(&again), octocat.charged(SECRET)), (200, UNCHANGED, 1));
}

#[test]
fn two_visitors_never_wait_for_one_answer() {
    let room = Room::new();
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    let barrier = Barrier::new();
    room.world.github.knobs().at(SECRET, Trouble::Hold(barrier.clone()));
    std::thread::scope(|scope| {
        let one = scope.spawn(|| octocat.get(SECRET));
        let other = scope.spawn(|| stranger.get(SECRET));
        assert!(barrier.wait_for(2, Duration::from_secs(20)), "GitHub is asked for each");
        barrier.release();
        assert_eq!(one.join().expect("an answer").status, 200);
        assert_eq!(other.join().expect("an answer").status, 404);
    });
}

// === Who would be shown the same ===

#[test]
fn who_would_be_shown_the_same_is_shown_it_for_nothing() {
    let room = Room::new();
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let first = octocat.get(ISSUE);
    assert_eq!(account(&first), STORED);
    let same = mona.get(ISSUE);
    assert_eq!((same.status, account(&same)), (200, SHARED));
    assert_eq!(same.body, first.body);
    for name in ["content-type", "etag", "last-modified", "content-length"] {
        assert_eq!(same.header(name), first.header(name), "{name}");
        assert!(same.header(name).is_some(), "{name}");
    }
    assert_eq!((mona.asked(ISSUE).len(), mona.charged(ISSUE)), (1, 0));
    // From now on it is hers.
    let own = mona.get(ISSUE);
    assert_eq!((own.status, account(&own), mona.charged(ISSUE)), (200, UNCHANGED, 0));
    assert_eq!(own.body, first.body);
}

#[test]
fn who_is_shown_something_else_gets_that() {
    let room = Room::new();
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let path = "/repos/octocat/hello-world";
    let (his, hers) = (octocat.get(path), mona.get(path));
    assert_eq!((hers.status, mona.charged(path)), (200, 1));
    assert_eq!(his.json()["permissions"]["admin"], true);
    assert_eq!(hers.json()["permissions"]["admin"], false);
    // Neither takes the other's place.
    for (visitor, body) in [(&mut octocat, his.body), (&mut mona, hers.body)] {
        let again = visitor.get(path);
        assert_eq!((account(&again), &again.body), (UNCHANGED, &body));
    }
}

#[test]
fn without_the_published_formula_nobody_is_offered_another_s_body() {
    let room = Room::new();
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let holds = r#"gatekeep_github_etag_formula_total{holds="true"}"#;
    let fails = r#"gatekeep_github_etag_formula_total{holds="false"}"#;
    let all = [
        (Etags::OfToken, true, (1, 0)),
        (Etags::Alternating, true, (1, 0)),
        (Etags::Salted, false, (0, 2)),
        (Etags::OfBytes, false, (0, 2)),
        (Etags::Short, false, (0, 0)),
        (Etags::Absent, false, (0, 0)),
    ];
    for (number, (etags, is_shared, counts)) in all.into_iter().enumerate() {
        room.world.github.knobs().etags(etags);
        let (path, before) = (issue(number + 1), (room.count(holds), room.count(fails)));
        let (his, hers) = (octocat.get(&path), mona.get(&path));
        assert_eq!((his.status, hers.status), (200, 200));
        assert_eq!(his.body, hers.body);
        let asked = mona.asked(&path);
        assert_eq!(asked.len(), 1, "{etags:?}");
        assert_eq!(validator(&asked[0]).is_some(), is_shared, "{etags:?}");
        assert_eq!(account(&hers) == SHARED, is_shared, "{etags:?} {}", account(&hers));
        let after = (room.count(holds) - before.0, room.count(fails) - before.1);
        assert_eq!(after, counts, "{etags:?}");
        // Whatever it is made of, one's own tag is given back as it came.
        let again = octocat.get(&path);
        assert_eq!(account(&again) == UNCHANGED, etags != Etags::Absent, "{etags:?}");
        assert_eq!(again.body, his.body);
    }
}

/// The tag of a file is its id in Git: it says nothing of the JSON around it.
#[test]
fn a_tag_that_names_an_object_of_git_is_offered_to_nobody_else() {
    let room = Room::new();
    let (mut octocat, mut hubot) = (room.visitor("octocat"), room.visitor("hubot"));
    let path = "/repos/acme/rocket/contents/README.md";
    let (his, its) = (octocat.get(path), hubot.get(path));
    assert_ne!(his.json()["download_url"], its.json()["download_url"]);
    assert_eq!(hubot.asked(path).len(), 1);
    assert_eq!(validator(&hubot.asked(path)[0]), None);
    assert_eq!(account(&octocat.get(path)), UNCHANGED, "to himself it is");
    assert_eq!(validator(&octocat.asked(path)[1]).map(str::len), Some(42));
}

#[test]
fn what_is_one_s_own_is_never_another_s_guess() {
    let room = Room::new();
    let nobody = Person::new(999_002, "newcomer").email("newcomer@elsewhere.example", true);
    room.world.github.add_person(nobody);
    let (mut stranger, mut newcomer) = (room.visitor("stranger"), room.visitor("newcomer"));
    for (path, is_shared) in [
        ("/user/orgs?per_page=7", false),
        ("/user/teams?per_page=7", false),
        ("/user/memberships/orgs", false),
        ("/user/repos", false),
        ("/notifications", false),
        ("/repos/octocat/hello-world/labels", true),
        ("/users/mona/repos", true),
    ] {
        let (one, other) = (stranger.get(path), newcomer.get(path));
        assert_eq!((one.status, other.status), (200, 200), "{path}");
        assert_eq!(one.body, other.body, "{path}");
        let asked = newcomer.asked(path);
        assert_eq!((asked.len(), validator(&asked[0]).is_some()), (1, is_shared), "{path}");
        assert_eq!(account(&other) == SHARED, is_shared, "{path}");
    }
}

#[test]
fn a_route_that_does_not_share_offers_nobody_anything() {
    let room = Room::of("{ github: { share: false } }");
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let (his, hers) = (octocat.get(ISSUE), mona.get(ISSUE));
    assert_eq!((account(&his), account(&hers)), (STORED, STORED));
    assert_eq!(his.body, hers.body);
    assert_eq!(validator(&mona.asked(ISSUE)[0]), None);
    assert_eq!((account(&mona.get(ISSUE)), mona.charged(ISSUE)), (UNCHANGED, 1));
}

/// Nor does what came by it serve for guesses elsewhere.
#[test]
fn a_route_that_does_not_share_tells_other_routes_nothing() {
    let room = Room::within(World::with("", &format!("{ROUTES}{UNSHARED}")));
    let (mut octocat, mut mona) = (room.visitor("octocat"), room.visitor("mona"));
    let mut hubot = room.visitor("hubot");
    let unshared = format!("https://app.example.com/alone{ISSUE}");
    assert_eq!(account(&octocat.browser.fetch(&unshared)), STORED);
    assert_eq!(account(&mona.get(ISSUE)), STORED);
    assert_eq!(validator(&mona.asked(ISSUE)[0]), None);
    // What is confirmed there is no guess either, and what is shared stays so.
    assert_eq!(account(&octocat.browser.fetch(&unshared)), UNCHANGED);
    assert_eq!(account(&hubot.get(ISSUE)), SHARED, "control: her route shares");
}

// === What goes into a tag ===

/// Where GitHub's `Vary` does not name the token, neither does its tag; and what another one fetched is
/// still the other's only by GitHub's word.
#[test]
fn a_tag_is_made_of_what_vary_names() {
    let tokenless = |room: &Room| {
        room.world.github.knobs().etags(Etags::OfBytes);
        room.world.github.knobs().presentation(|looks| looks.vary_by_token = false);
    };
    let room = Room::new();
    tokenless(&room);
    let (mut octocat, mut hubot) = (room.visitor("octocat"), room.visitor("hubot"));
    let mut stranger = room.visitor("stranger");
    let first = octocat.get(ISSUE);
    assert_eq!((first.status, account(&first)), (200, STORED));
    let shared = hubot.get(ISSUE);
    assert_eq!((shared.status, account(&shared), &shared.body), (200, SHARED, &first.body));
    let (own, theirs) = (octocat.asked(ISSUE), hubot.asked(ISSUE));
    assert_eq!((validator(&own[0]), validator(&theirs[0]).map(str::len)), (None, Some(66)));
    assert_eq!(account(&octocat.get(SECRET)), STORED);
    assert_eq!(stranger.get(SECRET).status, 404);
    // Back to what it is made of today: GitHub's next answer says so.
    room.world.github.knobs().clear();
    assert_eq!(octocat.get(ISSUE).body, first.body);
    assert_eq!(account(&octocat.get(&issue(2))), STORED);
    assert_eq!(account(&hubot.get(&issue(2))), SHARED);
    // The same tags, but `Vary` says otherwise: they are not what they are said to be.
    let room = Room::new();
    room.world.github.knobs().etags(Etags::OfBytes);
    assert_eq!(account(&room.visitor("octocat").get(ISSUE)), STORED);
    assert_eq!(account(&room.visitor("hubot").get(ISSUE)), STORED);
}
