//! Who may go when: writes one after the other, searches seconds apart, and who leaves is not waited
//! for.

use std::time::Duration;

use gatekeep::simulator::{Gate, Trouble};

use super::{ask, begin, script_of, under_way, world_of_writers};
use crate::support::World;

const ISSUES: &str = "/repos/acme/rocket/issues";
const CREATE: &str = "POST /repos/acme/rocket/issues";
const PATIENT: (&str, &str) = ("x-gatekeep-max-wait", "30");
const JSON: (&str, &str) = ("content-type", "application/json");
const SOON: Duration = Duration::from_secs(20);

fn title(title: &str) -> String {
    format!(r#"{{"title":"{title}"}}"#)
}

/// The bodies and moments of the requests that reached GitHub.
fn reached(world: &World, method: &str, path: &str) -> Vec<(String, Duration)> {
    let journal = world
        .github
        .journal()
        .into_iter()
        .filter(|entry| entry.request.method == method && entry.request.path().ends_with(path));
    journal.map(|one| (String::from_utf8_lossy(&one.request.body).into_owned(), one.at)).collect()
}

/// The smallest time between two that follow each other.
fn smallest_gap(reached: &[(String, Duration)]) -> Duration {
    reached.windows(2).map(|two| two[1].1.saturating_sub(two[0].1)).min().expect("two at least")
}

/// GitHub wants a second between writes and limits creating more tightly: three are kept.
#[test]
fn things_are_created_one_after_the_other_while_others_read() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let phone = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let created: Vec<_> = (0..4)
            .map(|n| {
                let script = if n % 2 == 0 { &script } else { &phone };
                scope.spawn(move || ask(script, CREATE, &[JSON, PATIENT], &title(&n.to_string())))
            })
            .collect();
        under_way(&world, 4);
        assert_eq!(ask(&phone, "GET /user", &[], "").status, 200, "who reads does not wait");
        under_way(&world, 4);
        gate.release();
        assert!(created.into_iter().all(|one| one.join().expect("an answer").status == 201));
    });
    let created = reached(&world, "POST", ISSUES);
    assert_eq!(created.len(), 4);
    // What is sent three seconds apart does not arrive within two.
    assert!(smallest_gap(&created) > Duration::from_secs(2), "{created:?}");
}

#[test]
fn writes_are_a_second_apart() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let path = "/repos/acme/rocket/issues/3";
    std::thread::scope(|scope| {
        let patched: Vec<_> = (0..4)
            .map(|n| {
                let (script, line) = (&script, format!("PATCH {path}"));
                scope.spawn(move || {
                    ask(script, &line, &[JSON, PATIENT], &title(&n.to_string())).status
                })
            })
            .collect();
        assert!(patched.into_iter().all(|one| one.join().expect("an answer") == 200));
    });
    let patched = reached(&world, "PATCH", path);
    let span = patched[3].1.saturating_sub(patched[0].1);
    assert!(span > Duration::from_millis(2_500), "{patched:?}");
}

#[test]
fn one_session_s_writes_keep_their_order() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
    let mut lines = vec![begin(&world, &script, CREATE, &title("0"))];
    assert!(gate.wait_for(1, SOON));
    for n in 1..4 {
        lines.push(begin(&world, &script, CREATE, &title(&n.to_string())));
        under_way(&world, n + 1);
    }
    gate.release();
    for line in &mut lines {
        assert_eq!(line.receive(false).expect("an answer").status, 201);
    }
    let titles: Vec<_> = reached(&world, "POST", ISSUES).into_iter().map(|(it, _)| it).collect();
    assert_eq!(titles, ["0", "1", "2", "3"].map(title));
}

/// What its turn comes for too late is not sent: the session has ended meanwhile.
#[test]
fn what_waits_ends_with_its_session() {
    for (is_ended, expected) in [(false, (201, 2)), (true, (401, 1))] {
        let world = world_of_writers("");
        let script = script_of(&world, "octocat");
        let gate = Gate::new();
        world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
        let _first = begin(&world, &script, CREATE, &title("first"));
        assert!(gate.wait_for(1, SOON));
        let mut second = begin(&world, &script, CREATE, &title("second"));
        under_way(&world, 2);
        if is_ended {
            let done = world.gate.operate("POST", "/sessions/revoke", r#"{"user": "octocat"}"#);
            assert_eq!(done.status, 200, "{}", done.text());
        }
        gate.release();
        let answer = second.receive(false).expect("an answer");
        assert_eq!((answer.status, reached(&world, "POST", ISSUES).len()), expected);
    }
}

/// While a write is under way at GitHub, others wait; too long is refused, and reads go on.
#[test]
fn who_waits_too_long_is_refused_and_github_hears_nothing() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
    let mut first = begin(&world, &script, CREATE, &title("first"));
    assert!(gate.wait_for(1, SOON));
    for wait in [Some("1"), Some("0"), None] {
        let wait = wait.map(|seconds| ("x-gatekeep-max-wait", seconds));
        let fields: Vec<_> = [JSON].into_iter().chain(wait).collect();
        let refused = ask(&script, CREATE, &fields, &title("second"));
        assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("queue")));
        let said = refused.json();
        let message = said["message"].as_str().expect("words");
        assert!(message.starts_with("You have exceeded a secondary rate limit"), "{message}");
        assert!(!message.contains("API rate limit exceeded"), "{message}");
        let link = said["documentation_url"].as_str().expect("a link");
        assert!(link.ends_with("#about-secondary-rate-limits"), "{link}");
        let left: u32 = refused.header("x-ratelimit-remaining").expect("it").parse().expect("one");
        assert!(left > 4_900, "a queue is not the end of the hour's budget");
    }
    let refused = "gatekeep_github_refused_total{kind=\"queue\",resource=\"core\"}";
    assert_eq!(world.gate.metric(refused), Some(3.0));
    assert_eq!(ask(&script, "GET /user", &[], "").status, 200);
    gate.release();
    assert_eq!(first.receive(false).expect("an answer").status, 201);
    assert_eq!(reached(&world, "POST", ISSUES).len(), 1);
    let again = ask(&script, CREATE, &[JSON, PATIENT], &title("second"));
    assert_eq!(again.status, 201, "control: with patience it goes: {}", again.text());
}

#[test]
fn who_leaves_the_queue_frees_the_place() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once(ISSUES, Trouble::Hold(gate.clone()));
    let mut first = begin(&world, &script, CREATE, &title("first"));
    assert!(gate.wait_for(1, SOON));
    let leaver = begin(&world, &script, CREATE, &title("leaver"));
    under_way(&world, 2);
    let mut last = begin(&world, &script, CREATE, &title("last"));
    under_way(&world, 3);
    drop(leaver);
    under_way(&world, 2);
    gate.release();
    assert_eq!(first.receive(false).expect("an answer").status, 201);
    assert_eq!(last.receive(false).expect("an answer").status, 201);
    let titles: Vec<_> = reached(&world, "POST", ISSUES).into_iter().map(|(it, _)| it).collect();
    assert_eq!(titles, ["first", "last"].map(title));
}

/// A question that several wait for goes on while one of them is there, and ends with the last.
#[test]
fn a_question_leaves_the_queue_with_the_last_who_asks() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    let mut held = Vec::new();
    for n in 1..=10 {
        let path = format!("/repos/acme/rocket/issues/{n}");
        world.github.knobs().at(&path, Trouble::Hold(gate.clone()));
        held.push(begin(&world, &script, &format!("GET {path}"), ""));
    }
    assert!(gate.wait_for(10, SOON));
    let [left, stayed] = ["GET /repos/acme/rocket/issues/11", "GET /repos/acme/rocket/issues/12"];
    let mut crowd = Vec::new();
    for (count, line) in (11..).zip([left, left, stayed, stayed]) {
        crowd.push(begin(&world, &script, line, ""));
        under_way(&world, count);
    }
    let mut last = crowd.pop().expect("the last");
    drop(crowd);
    under_way(&world, 11);
    gate.release();
    assert_eq!(last.receive(false).expect("an answer").status, 200);
    for mut one in held {
        assert_eq!(one.receive(false).expect("an answer").status, 200);
    }
    assert_eq!((world.github.calls(left), world.github.calls(stayed)), (0, 1));
}

#[test]
fn searches_are_seconds_apart_and_who_leaves_is_not_waited_for() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let path = "/search/issues";
    let gate = Gate::new();
    world.github.knobs().once(path, Trouble::Hold(gate.clone()));
    let search = |word: &str| begin(&world, &script, &format!("GET {path}?q={word}"), "");
    let mut first = search("first");
    assert!(gate.wait_for(1, SOON));
    let leaver = search("leaver");
    under_way(&world, 2);
    let mut others = [search("second"), search("third")];
    under_way(&world, 4);
    drop(leaver);
    under_way(&world, 3);
    gate.release();
    assert_eq!(first.receive(false).expect("an answer").status, 200);
    for one in &mut others {
        let answer = one.receive(false).expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-resource"), Some("search"));
    }
    let journal =
        world.github.journal().into_iter().filter(|one| one.request.path().ends_with(path));
    let searched: Vec<_> = journal.map(|one| (one.request.target.clone(), one.at)).collect();
    assert!(searched.len() == 3 && !searched.iter().any(|(target, _)| target.contains("leaver")));
    // Two seconds are kept; they are not less than one when they arrive.
    assert!(smallest_gap(&searched[1..]) > Duration::from_secs(1), "{searched:?}");
}

/// However many sessions somebody has, twenty requests wait at most; the next is refused at once.
#[test]
fn one_person_waits_with_twenty() {
    let world = world_of_writers("");
    let sessions = [(); 2].map(|()| script_of(&world, "octocat"));
    let other = script_of(&world, "hubot");
    let gate = Gate::new();
    let issue = |n: usize| format!("/repos/octocat/hello-world/issues/{n}");
    let mut lines = Vec::new();
    for n in 1..=10 {
        world.github.knobs().at(&issue(n), Trouble::Hold(gate.clone()));
        lines.push(begin(&world, &sessions[n % 2], &format!("GET {}", issue(n)), ""));
    }
    assert!(gate.wait_for(10, SOON));
    for n in 11..=30 {
        lines.push(begin(&world, &sessions[n % 2], &format!("GET {}", issue(n)), ""));
    }
    under_way(&world, 30);
    for session in &sessions {
        let refused = ask(session, &format!("GET {}", issue(31)), &[PATIENT], "");
        assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("queue")));
    }
    under_way(&world, 30);
    assert_eq!(ask(&other, &format!("GET {}", issue(31)), &[], "").status, 200, "others may");
    gate.release();
    for mut line in lines {
        assert_eq!(line.receive(false).expect("an answer").status, 200);
    }
    assert_eq!(ask(&sessions[0], &format!("GET {}", issue(31)), &[], "").status, 200);
}

/// Who sends the next request before the answer has not left, and a byte that was read to see that is
/// not missing in what is taken for that request.
#[test]
fn who_is_ahead_of_the_answer_gets_it() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().once("/users/mona", Trouble::Hold(gate.clone()));
    let mut line = begin(&world, &script, "GET /users/mona", "");
    assert!(gate.wait_for(1, SOON));
    line.send(b"GET /github/meta HTTP/1.1\r\nhost: app.example.com\r\n\r\n").expect("it reads");
    under_way(&world, 1);
    gate.release();
    let answer = line.receive(false).expect("an answer");
    assert_eq!((answer.status, answer.json()["login"].as_str()), (200, Some("mona")));
    assert!(line.receive(false).is_none(), "the client asks again on another connection");
}
