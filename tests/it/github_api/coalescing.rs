//! Equal questions at the same time are one question to GitHub, and nobody is the worse for it.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use gatekeep::simulator::{Gate, Trouble};

use super::{ask, begin, script_of, under_way, world_of_writers};
use crate::support::browser::Browser;
use crate::support::http::Response;

const ISSUE: &str = "/repos/acme/rocket/issues/1";
const GET: &str = "GET /repos/acme/rocket/issues/1";
const SOON: Duration = Duration::from_secs(20);

fn details(answer: &Response) -> &str {
    answer.header("cache-status").expect("an account of the cache")
}

fn asks<'s>(
    scope: &'s Scope<'s, '_>,
    script: &'s Browser,
    line: &'s str,
    fields: &'s [(&'s str, &'s str)],
) -> ScopedJoinHandle<'s, Response> {
    scope.spawn(move || ask(script, line, fields, ""))
}

#[test]
fn two_hundred_equal_questions_are_one() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().at(ISSUE, Trouble::Hold(gate.clone()));
    let charged = world.github.charged_to("octocat");
    let asked: Vec<_> = (0..200).map(|_| begin(&world, &script, GET, "")).collect();
    under_way(&world, 200);
    gate.release();
    let answers = asked.into_iter().map(|mut one| one.receive(false).expect("an answer"));
    let answers: Vec<_> = answers.collect();
    assert_eq!(world.github.calls(GET), 1);
    assert_eq!(world.github.charged_to("octocat"), charged + 1);
    let collapsed =
        answers.iter().filter(|one| details(one).ends_with("; stored; collapsed")).count();
    assert_eq!(collapsed, 199);
    assert!(answers.iter().all(|one| one.status == 200 && one.body == answers[0].body));
    let mode = |mode: &str| {
        let line = format!("gatekeep_github_requests_total{{mode=\"{mode}\"}}");
        world.gate.metric(&line).unwrap_or_default()
    };
    assert!((mode("collapsed") - 199.0).abs() < 0.5);
    let later = ask(&script, GET, &[], "");
    assert_eq!(details(&later), "gatekeep; fwd=stale; fwd-status=304", "who comes later asks anew");
}

#[test]
fn two_people_never_share_a_question() {
    let world = world_of_writers("");
    let scripts = ["octocat", "hubot"].map(|person| script_of(&world, person));
    let gate = Gate::new();
    world.github.knobs().at(ISSUE, Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let asked = [0, 1].map(|one| asks(scope, &scripts[one], GET, &[]));
        assert!(gate.wait_for(2, SOON), "GitHub is asked in both names");
        gate.release();
        for one in asked {
            let answer = one.join().expect("an answer");
            assert_eq!((answer.status, details(&answer).contains("collapsed")), (200, false));
        }
    });
    assert_eq!(world.github.calls(GET), 2);
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_once_more_and_for_all() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    world.github.knobs().at(ISSUE, Trouble::Hold(gate.clone()));
    world.github.knobs().once(ISSUE, Trouble::Swallow);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..50).map(|_| asks(scope, &script, GET, &[])).collect();
        under_way(&world, 50);
        gate.release();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|one| one.status == 200), "nobody notices");
    assert_eq!(world.github.calls(GET), 2);
}

#[test]
fn a_refusal_is_told_to_all_who_wait_for_it() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let (gate, nowhere) = (Gate::new(), "GET /repos/acme/rocket/issues/999");
    world.github.knobs().at(&nowhere["GET ".len()..], Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20).map(|_| asks(scope, &script, nowhere, &[])).collect();
        under_way(&world, 20);
        gate.release();
        let statuses = asked.into_iter().map(|one| one.join().expect("an answer").status);
        assert_eq!(statuses.collect::<Vec<_>>(), [404; 20]);
    });
    assert_eq!(world.github.calls(nowhere), 1);
}

#[test]
fn who_writes_and_then_reads_gets_what_was_written() {
    let world = world_of_writers("");
    let script = script_of(&world, "hubot");
    let gate = Gate::new();
    world.github.knobs().once(ISSUE, Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let before = asks(scope, &script, GET, &[]);
        assert!(gate.wait_for(1, SOON));
        let json = [("content-type", "application/json")];
        let written = ask(&script, &format!("PATCH {ISSUE}"), &json, r#"{"title":"Mended"}"#);
        assert_eq!(written.status, 200, "{}", written.text());
        let read = ask(&script, GET, &[], "");
        assert_eq!(read.json()["title"], "Mended");
        assert!(!details(&read).contains("collapsed"), "{}", details(&read));
        gate.release();
        assert_eq!(before.join().expect("an answer").status, 200);
    });
    assert_eq!(world.github.calls(GET), 2);
}

/// Ten requests are under way, so the next ones wait for their turn: those who lose patience do not
/// decide for the others.
#[test]
fn the_impatient_do_not_decide_for_the_patient() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    let pages: Vec<_> = (1..=10).map(|n| format!("GET /repos/acme/rocket/issues/{n}")).collect();
    for page in &pages {
        world.github.knobs().at(&page["GET ".len()..], Trouble::Hold(gate.clone()));
    }
    let wanted = "GET /repos/acme/rocket/issues/11";
    std::thread::scope(|scope| {
        let first: Vec<_> = pages.iter().map(|page| asks(scope, &script, page, &[])).collect();
        assert!(gate.wait_for(10, SOON));
        let impatient = asks(scope, &script, wanted, &[("x-gatekeep-max-wait", "3")]);
        under_way(&world, 11);
        let patient = asks(scope, &script, wanted, &[("x-gatekeep-max-wait", "30")]);
        let refused = impatient.join().expect("an answer");
        assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("queue")));
        assert_eq!(world.github.calls(wanted), 0, "control: it was not asked yet");
        gate.release();
        assert_eq!(patient.join().expect("an answer").status, 200);
        assert!(first.into_iter().all(|one| one.join().expect("an answer").status == 200));
    });
    assert_eq!(world.github.calls(wanted), 1);
}
