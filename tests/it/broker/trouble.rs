//! GitHub fails while an instance's server asks: the server is told so in a sentence, is led nowhere,
//! and does not lose the token that it was to have next.

use gatekeep::simulator::{Installation, Trouble};

use super::*;

const OFFICE: &str = "https://apps.example.com/trackeep/cb";

const REPOS: &str = "/api/v1/github/repos";

const MINUTE: Duration = Duration::from_secs(60);

/// What a server asks about the app, and about the installation whose number is 5.
const INFO: &str = "/api/v1/github/app/info";
const INSTALL_URL: &str = "/api/v1/github/app/install-url?redirect_uri=https%3A%2F%2Ftrackeep.example.com%2Fapi%2Fv1%2Fgithub%2Fapp%2Fcallback%3Fstate%3Dabc";
const VERIFY: &str = "/api/v1/github/app/installations/5/verify";
const ITS_REPOS: &str = "/api/v1/github/app/installations/5/repos";

/// What GitHub does, and what the server is told: a status, a word of the sentence, when to come again.
fn troubles() -> [(Trouble, u16, &'static str, bool); 4] {
    [
        (Trouble::answer(500, "text/html", "<oops>"), 503, "slow or out of reach", false),
        (Trouble::Refuse, 503, "slow or out of reach", false),
        (limit(403), 429, "limit", true),
        (limit(429), 429, "limit", true),
    ]
}

fn limit(status: u16) -> Trouble {
    Trouble::SecondaryLimit { status, retry_after: Some(60) }
}

/// Nothing of GitHub's trouble is an answer, and nothing of it is taken for the visitor's fault.
#[test]
fn what_github_does_not_answer_is_refused_in_a_sentence() {
    for path in [INSTALL_URL, VERIFY, ITS_REPOS] {
        for (trouble, status, words, again) in troubles() {
            let world = world_with_app();
            world.github.install(Installation::new(5, "acme").repository(1, "notes"));
            let (_, token) = signed_in(&world, "octocat");
            world.github.knobs().on("/app", trouble.clone());
            world.github.knobs().on("/user/installations", trouble.clone());
            let answer = ask(&world, path, &token);
            let (told, sentence) = refusal(&answer);
            assert_eq!(told, status, "{path}, {trouble:?}: {sentence}");
            assert!(sentence.contains("GitHub") && sentence.contains(words), "{sentence}");
            let when = answer.header("retry-after").map(|it| it.parse::<u64>().expect("seconds"));
            assert_eq!(when.is_some_and(|when| when > 0), again, "{path}, {trouble:?}: {when:?}");
            world.github.knobs().clear();
            world.gate.clock.advance(MINUTE * 2);
            let good = ask(&world, path, &token);
            assert_eq!(good.status, 200, "control: {path}: {}", good.text());
        }
    }
}

/// The app is told as one whose name is not known: it cannot be installed now, and the rest is so.
#[test]
fn what_is_known_of_the_app_is_told_while_github_fails() {
    for (trouble, ..) in troubles() {
        let world = world_with_app();
        let (_, token) = signed_in(&world, "octocat");
        world.github.knobs().on("/app", trouble.clone());
        let answer = ask(&world, INFO, &token);
        assert_eq!((answer.status, answer.header("location")), (200, None), "{trouble:?}");
        let nameless = serde_json::json!({
            "app_slug": "", "install_enabled": false,
            "sign_in_configured": true, "credentials_configured": true,
        });
        assert_eq!(answer.json(), nameless, "{trouble:?}");
        world.github.knobs().clear();
        world.gate.clock.advance(MINUTE * 2);
        assert_eq!(ask(&world, INFO, &token).json()["app_slug"], "gatekeep", "control");
    }
}

/// The instance takes its next token from any answer: a bad hour of GitHub's must not end what is used.
#[test]
fn the_next_token_comes_with_a_refusal_as_well() {
    let world = world();
    let (mut browser, token) = signed_in_at(&world, "octocat", OFFICE);
    world.github.knobs().on("/user/repos", Trouble::answer(502, "text/html", "<oops>"));
    let told = || {
        let answer = ask(&world, REPOS, &token);
        (refusal(&answer).0, next(&answer))
    };
    assert_eq!(told(), (503, None), "all of its life is left");
    world.gate.clock.advance(MINUTE * 40);
    assert_eq!(told(), (503, None), "a third of its life is left");
    world.gate.clock.advance(MINUTE);
    let (status, second) = told();
    let second = second.expect("another token");
    assert_eq!(status, 503);
    assert_ne!(second, token);
    // Whatever is refused, to whom that token is good.
    let elsewhere = ask(&world, "/api/v1/github/app/install-url", &token);
    assert_eq!((refusal(&elsewhere).0, next(&elsewhere)), (400, Some(second.clone())));
    let stranger = ask(&world, REPOS, &token.replace("gkc_", "gkx_"));
    assert_eq!((refusal(&stranger).0, next(&stranger)), (401, None));

    // It is not read beside an exchange, nor there: not even if the old token comes along.
    let brought = carried(&world, &mut browser, "octocat", &begin(OFFICE));
    let code = parameter(&brought, "token").expect("a code");
    let body = serde_json::json!({ "token": code }).to_string();
    let bearer = format!("Bearer {token}");
    let fields = [PLAIN[0], ("content-type", "application/json"), ("authorization", &*bearer)];
    let url = format!("{SERVICE}/api/v1/auth/control/callback");
    for status in [200, 401] {
        let answer = server(&world).send("POST", &url, &fields, &body);
        assert_eq!((answer.status, next(&answer)), (status, None), "{}", answer.text());
    }
    world.github.knobs().clear();
    assert_eq!(ask(&world, REPOS, &second).status, 200, "control: it is good");
}
