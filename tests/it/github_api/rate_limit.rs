//! `GET /rate_limit`: GitHub's own words, less what was spent since, and never at anybody's cost.

use serde_json::Value;

use super::room::{Room, Visitor, account};

const PATH: &str = "/rate_limit";
const ASKED: &str = "gatekeep; fwd=bypass; fwd-status=200";

fn told(visitor: &mut Visitor<'_>) -> (String, Value) {
    let answer = visitor.get(PATH);
    assert_eq!(answer.status, 200, "{}", answer.text());
    (account(&answer).to_owned(), answer.json())
}

#[test]
fn it_is_asked_once_a_second_and_keeps_up_with_what_is_spent() {
    let room = Room::new();
    let (mut octocat, mut hubot) = (room.visitor("octocat"), room.visitor("hubot"));
    room.world.github.set_remaining("octocat", "core", 4000);
    let (asked, first) = told(&mut octocat);
    assert_eq!((asked.as_str(), &first["resources"]["core"]["remaining"]), (ASKED, &4000.into()));
    assert_eq!(octocat.get("/users/mona").status, 200);
    let (held, second) = told(&mut octocat);
    assert_eq!(held, "gatekeep; hit; ttl=0");
    let mut expected = first.clone();
    for core in ["/resources/core", "/rate"] {
        let core = expected.pointer_mut(core).expect("GitHub says so twice");
        (core["remaining"], core["used"]) = (3999.into(), 1001.into());
    }
    assert_eq!(second, expected);

    // Another's is another's.
    let (asked, of_hubot) = told(&mut hubot);
    assert_eq!(asked, ASKED);
    assert!(of_hubot["rate"]["remaining"].as_u64() > Some(4000), "{of_hubot}");

    // What `no-cache` asks for would be no newer.
    let insisted = octocat.get_with(PATH, &[("cache-control", "no-cache")]);
    assert_eq!(account(&insisted), "gatekeep; hit; ttl=0");
    room.later(2);
    let (asked, third) = told(&mut octocat);
    assert_eq!((asked.as_str(), &third["rate"]["remaining"]), (ASKED, &3999.into()));
    assert_eq!((octocat.asked(PATH).len(), octocat.charged(PATH)), (2, 0));
}

/// GitHub looks at nothing but the path, so nothing but time makes it another question.
#[test]
fn no_query_and_no_spelling_asks_for_it_anew() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    assert_eq!(told(&mut octocat).0, ASKED);
    for n in 0..9 {
        for path in [format!("{PATH}?x={n}"), format!("{PATH}/?{n}"), format!("/Rate%5FLimit?{n}")]
        {
            let zone = format!("Etc/GMT+{n}");
            let accept = format!("application/vnd.github.raw; q=0.{n}");
            let fields = [("time-zone", zone.as_str()), ("accept", accept.as_str())];
            for fields in [&[][..], &fields] {
                let answer = octocat.get_with(&path, fields);
                let told = (answer.status, account(&answer));
                assert_eq!(told, (200, "gatekeep; hit; ttl=0"), "{path} {fields:?}");
            }
        }
    }
    assert_eq!((octocat.asked(PATH).len(), room.limits_asked()), (1, 1));
    // It is the query that makes another question of anything else.
    for n in 0..2 {
        assert_ne!(account(&octocat.get(&format!("/users/mona?{n}"))), "gatekeep; hit; ttl=0");
        assert_eq!(octocat.asked(&format!("/users/mona?{n}")).len(), 1);
    }
    room.later(2);
    assert_eq!(account(&octocat.get(&format!("{PATH}?x=1"))), ASKED);
    assert_eq!((octocat.asked(PATH).len(), room.limits_asked()), (2, 2));
}

#[test]
fn it_is_told_when_nothing_is_left() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    room.world.github.set_remaining("octocat", "core", 0);
    assert_eq!(octocat.get("/users/mona").status, 403);
    assert_eq!(account(&octocat.get("/users/mona")), "gatekeep; detail=refused");
    let charged = || room.count(r#"gatekeep_github_charged_total{resource="core"}"#);
    let before = charged();
    let (asked, said) = told(&mut octocat);
    assert_eq!((asked.as_str(), &said["rate"]["remaining"]), (ASKED, &0.into()));
    assert_eq!(charged(), before, "it costs nothing");
    // But who spends something is counted: the count can rise.
    assert_eq!(room.visitor("hubot").get("/users/mona").status, 200);
    assert_eq!(charged(), before + 1);
}

#[test]
fn what_others_have_spent_is_learnt_from_it() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    room.world.github.set_remaining("octocat", "search", 3);
    let searches = || {
        let known = room.world.gate.operate("GET", "/github/budgets", "").json();
        let limits = known[0]["limits"].as_array().cloned().unwrap_or_default();
        let search = limits.into_iter().find(|limit| limit["resource"] == "search");
        search.map(|search| search["remaining"].clone())
    };
    assert_eq!(searches(), None);
    told(&mut octocat);
    assert_eq!(searches(), Some(3.into()));
}

#[test]
fn a_github_without_limits_says_so_each_time() {
    let room = Room::new();
    let mut octocat = room.visitor("octocat");
    room.world.github.knobs().limits(|limits| limits.enabled = false);
    for _ in 0..2 {
        assert_eq!(octocat.get(PATH).status, 404);
    }
    assert_eq!(octocat.asked(PATH).len(), 2);
}
