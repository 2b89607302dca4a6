//! Equal questions at the same time are one question to GitHub, and nobody is the worse for it.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use gatekeep::simulator::{Gate, Trouble};

use super::{ask, begin, script_of, under_way, world_of_writers};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const ISSUE: &str = "/repos/acme/rocket/issues/1";
const GET: &str = "GET /repos/acme/rocket/issues/1";
const SOON: Duration = Duration::from_secs(20);
const PATIENT: (&str, &str) = ("x-gatekeep-max-wait", "30");
const WANTED: &str = "GET /repos/acme/rocket/issues/11";
const CROWD: [&str; 10] = [
    "GET /repos/acme/rocket/issues/1",
    "GET /repos/acme/rocket/issues/2",
    "GET /repos/acme/rocket/issues/3",
    "GET /repos/acme/rocket/issues/4",
    "GET /repos/acme/rocket/issues/5",
    "GET /repos/acme/rocket/issues/6",
    "GET /repos/acme/rocket/issues/7",
    "GET /repos/acme/rocket/issues/8",
    "GET /repos/acme/rocket/issues/9",
    "GET /repos/acme/rocket/issues/10",
];

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

/// Has ten requests of somebody under way until the gate opens, so that the next one waits for its turn.
fn crowd<'s>(
    scope: &'s Scope<'s, '_>,
    world: &World,
    script: &'s Browser,
    gate: &Gate,
) -> Vec<ScopedJoinHandle<'s, Response>> {
    let held = CROWD.iter().map(|line| {
        world.github.knobs().at(&line["GET ".len()..], Trouble::Hold(gate.clone()));
        asks(scope, script, line, &[])
    });
    let held = held.collect();
    assert!(gate.wait_for(CROWD.len(), SOON));
    held
}

fn refusal(answer: &Response) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-gatekeep-refused"))
}

fn staleness(answer: &Response) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-gatekeep-stale"))
}

#[test]
fn the_impatient_do_not_decide_for_the_patient() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let held = crowd(scope, &world, &script, &gate);
        let impatient = asks(scope, &script, WANTED, &[("x-gatekeep-max-wait", "5")]);
        under_way(&world, 11);
        let patient = [(); 2].map(|()| asks(scope, &script, WANTED, &[PATIENT]));
        under_way(&world, 13);
        assert_eq!(refusal(&impatient.join().expect("an answer")), (403, Some("queue")));
        under_way(&world, 12);
        assert_eq!(world.github.calls(WANTED), 0, "control: it was not asked yet");
        gate.release();
        for one in patient.into_iter().chain(held) {
            assert_eq!(one.join().expect("an answer").status, 200);
        }
    });
    assert_eq!(world.github.calls(WANTED), 1, "one of them asks for both");
}

#[test]
fn the_patient_do_not_decide_for_the_impatient() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let held = crowd(scope, &world, &script, &gate);
        let patient = asks(scope, &script, WANTED, &[PATIENT]);
        under_way(&world, 11);
        for wait in ["1", "0"] {
            let impatient = ask(&script, WANTED, &[("x-gatekeep-max-wait", wait)], "");
            assert_eq!(refusal(&impatient), (403, Some("queue")));
        }
        gate.release();
        for one in [patient].into_iter().chain(held) {
            assert_eq!(one.join().expect("an answer").status, 200);
        }
    });
    assert_eq!(world.github.calls(WANTED), 1);
}

/// Who would rather have something old than wait gets it, and nobody else for that.
#[test]
fn something_old_is_for_whom_it_will_do() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    assert_eq!(ask(&script, WANTED, &[], "").status, 200);
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let held = crowd(scope, &world, &script, &gate);
        let hasty = asks(scope, &script, WANTED, &[("x-gatekeep-max-wait", "4")]);
        under_way(&world, 11);
        let patient = asks(scope, &script, WANTED, &[PATIENT]);
        under_way(&world, 12);
        let old = hasty.join().expect("an answer");
        assert_eq!(staleness(&old), (200, Some("secondary-rate-limit")));
        gate.release();
        let patient = patient.join().expect("an answer");
        assert_eq!(staleness(&patient), (200, None));
        assert_eq!(details(&patient), "gatekeep; fwd=stale; fwd-status=304");
        assert!(held.into_iter().all(|one| one.join().expect("an answer").status == 200));
    });
}

/// GitHub's trouble is told to all who wait, and each decides whether something old will do.
#[test]
fn each_decides_what_to_make_of_github_s_trouble() {
    for order in [[0, 1], [1, 0]] {
        let world = world_of_writers("");
        let script = script_of(&world, "octocat");
        assert_eq!(ask(&script, WANTED, &[], "").status, 200);
        let oops = Trouble::answer(502, "text/html", "<b>oops</b>");
        world.github.knobs().at(&WANTED["GET ".len()..], oops);
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let held = crowd(scope, &world, &script, &gate);
            let wishes: [&[(&str, &str)]; 2] =
                [&[PATIENT], &[PATIENT, ("cache-control", "stale-if-error=0")]];
            let mut asked = Vec::new();
            for (count, one) in (11..).zip(order) {
                asked.push((one, asks(scope, &script, WANTED, wishes[one])));
                under_way(&world, count);
            }
            gate.release();
            asked.sort_by_key(|(one, _)| *one);
            let answers = asked.into_iter().map(|(_, one)| one.join().expect("an answer"));
            let answers: Vec<_> = answers.collect();
            assert_eq!(staleness(&answers[0]), (200, Some("upstream-error")), "{order:?}");
            assert_eq!(staleness(&answers[1]), (502, None), "{order:?}");
            let second = details(&answers[order[1]]);
            assert!(second.contains("; collapsed"), "{second}");
            assert!(held.into_iter().all(|one| one.join().expect("an answer").status == 200));
        });
        assert_eq!(world.github.calls(WANTED), 3, "once, and twice in vain");
    }
}
