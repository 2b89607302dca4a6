use std::time::Instant;

use gatekeep::simulator::{Gate, Trouble};

use super::*;

const JSON: &str = "application/json";

/// A world that waits a second for GitHub.
fn hasty_world() -> World {
    World::with(&format!("github.timeout: 1s, {SCOPES}\n{BROKER}"), ROUTES)
}

/// It asked everybody for the right to write all of their repositories. Whoever signs in is asked for no
/// more than who they are, unless the operator writes more.
#[test]
fn nobody_is_asked_for_the_right_to_write_repositories() {
    let scopes = |world: &World| {
        let authorize = world.authorize_url(&mut world.browser(), &begin(CALLBACK));
        parameter(&authorize, "scope").expect("scopes")
    };
    let asked = scopes(&World::with(BROKER, ROUTES));
    for scope in asked.split([' ', ',']) {
        assert!(["read:user", "user:email", "read:org"].contains(&scope), "{asked}");
    }
    assert!(
        scopes(&world()).split(' ').any(|scope| scope == "repo"),
        "control: it is written there"
    );
}

/// Whatever GitHub answers that is no account, and not answering.
fn failures() -> Vec<(&'static str, Trouble)> {
    let no = r#"{"message":"no"}"#;
    let mut all: Vec<_> = [
        (401, no),
        (403, no),
        (404, no),
        (429, no),
        (500, "<oops>"),
        (502, ""),
        (503, no),
        (200, no),
        (200, ""),
        (200, "null"),
        (200, "{}"),
        (200, "[]"),
        (200, r#"{"error":"bad_verification_code"}"#),
        (200, r#"{"id":0,"login":"x"}"#),
        (200, r#"{"id":-7,"login":"x"}"#),
        (200, r#"{"id":"7","login":"x"}"#),
        (200, r#"{"id":null,"login":"x"}"#),
        (200, r#"{"id":7.5,"login":"x"}"#),
        (200, r#"{"id":18446744073709551616,"login":"x"}"#),
        (200, r#"{"id":7,"login":""}"#),
        (200, r#"{"id":7}"#),
    ]
    .map(|(status, body)| ("an answer", Trouble::answer(status, JSON, body)))
    .into();
    let limited = Trouble::SecondaryLimit { status: 403, retry_after: Some(60) };
    all.extend([
        ("a limit", limited),
        ("no answer", Trouble::Refuse),
        ("half of one", Trouble::Cut { after: 5 }),
    ]);
    all
}

/// GitHub's status was not looked at, and any error was read as account number 0: all who failed shared
/// one account. Who is not named by GitHub is nobody: no session, no code, no token.
#[test]
fn githubs_failures_are_nobodys_account() {
    for path in ["/user", "/login/oauth/access_token"] {
        let world = hasty_world();
        for (what, trouble) in failures() {
            world.github.knobs().at(path, trouble.clone());
            let mut browser = world.browser();
            let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
            let answer = browser.get(&world.github.approve(&authorize, "octocat"));
            assert!(led_nowhere(&answer) >= 400, "{path}: {what}: {trouble:?}");
            assert_eq!(browser.session("auth.example.com"), None, "{path}: {trouble:?}");
            // With whatever it has, the browser is asked to sign in as if it had come first.
            let again = browser.get(&begin(CALLBACK));
            assert!(!again.location().starts_with(CALLBACK), "{path}: {trouble:?}");
            world.github.knobs().off(path);
            // GitHub's limits and pauses are over.
            world.github.advance(Duration::from_secs(120));
            world.gate.clock.advance(Duration::from_secs(120));
        }
        let code = code_for(&world, &mut world.browser(), "octocat");
        assert_eq!(decoded::<Validated>(&exchange(&world, &code)).user.id, 583_231, "control");
    }
}

/// The e-mail was the one that somebody wrote into their profile, or none; and instances find people by
/// it. It is the primary one that GitHub has verified, or one that GitHub gives to nobody else.
#[test]
fn an_e_mail_is_verified_or_of_githubs_own_and_never_empty() {
    let email = |world: &World| {
        let code = code_for(world, &mut world.browser(), "octocat");
        decoded::<Validated>(&exchange(world, &code)).user.email
    };
    assert_eq!(email(&world()), "octocat@github.example", "control");
    let world = world();
    world.github.unverify_emails("octocat");
    assert_eq!(email(&world), "583231+octocat@users.noreply.127.0.0.1");
    for addresses in [
        "[]",
        r#"[{"email":"","primary":true,"verified":true}]"#,
        r#"[{"email":"mona@github.example","primary":true,"verified":false}]"#,
        r#"[{"email":"mona@github.example","primary":false,"verified":true}]"#,
    ] {
        let world = hasty_world();
        world.github.knobs().at("/user/emails", Trouble::answer(200, JSON, addresses));
        assert_eq!(email(&world), "583231+octocat@users.noreply.127.0.0.1", "{addresses}");
    }
}

/// It waited for GitHub without an end, and read whatever came: a few requests and it served nobody.
/// Each has its time and its size, and who is signed in goes on meanwhile.
#[test]
fn a_github_that_never_answers_or_never_ends_holds_nobody_up() {
    let world = hasty_world();
    let (_, token) = signed_in(&world, "octocat");
    let gate = Gate::new();
    for (what, trouble) in [
        ("silence", Trouble::Hold(gate.clone())),
        ("half an answer", Trouble::Stall { after: 3 }),
        ("a byte a second", Trouble::Trickle(Duration::from_secs(1))),
        ("no end", Trouble::Huge(u64::MAX)),
    ] {
        for path in ["/user", "/user/repos"] {
            world.github.knobs().at(path, trouble.clone());
        }
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut browser = world.browser();
                let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
                let answer = browser.get(&world.github.approve(&authorize, "octocat"));
                assert!(matches!(led_nowhere(&answer), 502 | 503), "{what}");
            });
            scope.spawn(|| {
                let (status, _) = refusal(&ask(&world, "/api/v1/github/repos", &token));
                assert!(matches!(status, 502..=504), "{what}: {status}");
            });
            assert!(is_good(&world, &token), "{what}");
        });
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
        world.github.knobs().clear();
        world.gate.clock.advance(Duration::from_secs(60));
    }
    gate.release();
    assert_eq!(ask(&world, "/api/v1/github/repos", &token).status, 200, "control");
    signed_in(&world, "octocat");
}
