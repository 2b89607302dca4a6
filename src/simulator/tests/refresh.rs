//! Tokens that expire, and what renews them.

use std::time::Instant;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A GitHub whose one app is a GitHub App.
fn expiring() -> Simulator {
    let github = github();
    github.expire_tokens(Some(ExpiringTokens::default()));
    github
}

fn sign_in(github: &Simulator, person: &str) -> Value {
    let code = parameter(&github.approve(&question(github), person), "code").unwrap();
    exchange(github, &code, VERIFIER)
}

fn refresh(github: &Simulator, refresh_token: &str) -> Value {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let form = app_form(github, &fields);
    let answer = ask(github.address(), TOKEN, "Accept: application/json\r\n", &form);
    assert_eq!(answer.status, 200);
    answer.json()
}

fn word<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}"))
}

fn status(github: &Simulator, path: &str, token: &str) -> u16 {
    get(github, path, token).status
}

#[test]
fn an_oauth_apps_token_lives_on() {
    let github = github();
    let token = sign_in(&github, "octocat");
    let names: Vec<&String> = token.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "scope", "token_type"]);
    assert!(word(&token, "access_token").starts_with("gho_"));
    github.advance(365 * 24 * HOUR);
    assert_eq!(status(&github, "/user", word(&token, "access_token")), 200);
    assert_eq!(github.refresh_token_of(word(&token, "access_token")), None);
}

#[test]
fn a_github_apps_token_needs_no_scopes_and_expires() {
    let github = expiring();
    let token = sign_in(&github, "octocat");
    let access = word(&token, "access_token");
    assert_eq!((access.len(), &access[..4]), (40, "ghu_"));
    let refresh_token = word(&token, "refresh_token");
    assert_eq!((refresh_token.len(), &refresh_token[..4]), (80, "ghr_"));
    assert_eq!((&token["expires_in"], &token["scope"]), (&28_800.into(), &"".into()));
    assert_eq!(token["refresh_token_expires_in"], 15_811_200);
    for path in ["/user", "/user/emails", "/user/orgs", "/user/teams", "/user/memberships/orgs"] {
        assert_eq!(status(&github, path, access), 200, "{path}");
    }
    let emails = get(&github, "/user/emails", access);
    assert_eq!(emails.header("x-oauth-scopes"), None);
    assert_eq!(emails.header("x-accepted-github-permissions"), Some("email_addresses=read"));
    github.advance(Duration::from_secs(28_799));
    assert!(github.is_alive(access));
    github.advance(Duration::from_secs(1));
    let late = get(&github, "/user", access);
    assert_eq!((late.status, late.header("etag")), (401, None));
    assert_eq!(
        late.json(),
        serde_json::json!({
            "message": "Bad credentials", "documentation_url": "https://docs.github.com/rest",
            "status": "401",
        })
    );
    assert!(!github.is_alive(access));
    assert!(github.tokens_of("octocat").is_empty());
    assert_eq!(github.refresh_token_of(access).as_deref(), Some(refresh_token));
}

#[test]
fn a_refresh_token_is_good_once_and_ends_the_old_pair() {
    let github = expiring();
    let old = sign_in(&github, "octocat");
    let new = refresh(&github, word(&old, "refresh_token"));
    assert_eq!((&new["expires_in"], &new["token_type"]), (&28_800.into(), &"bearer".into()));
    assert_ne!(new["refresh_token"], old["refresh_token"]);
    assert_eq!(status(&github, "/user", word(&old, "access_token")), 401);
    assert_eq!(status(&github, "/user", word(&new, "access_token")), 200);
    assert_eq!(github.tokens_of("octocat"), [word(&new, "access_token")]);
    let again = refresh(&github, word(&old, "refresh_token"));
    assert_eq!(again["error"], "bad_refresh_token");
    assert_eq!(status(&github, "/user", word(&new, "access_token")), 200, "the new pair stays");
    github.advance(9 * HOUR);
    let newer = refresh(&github, word(&new, "refresh_token"));
    assert_eq!(status(&github, "/user", word(&newer, "access_token")), 200);
    assert_eq!((github.refreshes(), github.refresh_attempts()), (2, 3));
}

#[test]
fn a_refresh_token_that_is_wrong_or_late_is_told_in_githubs_words() {
    let github = expiring();
    let form = app_form(&github, &[("grant_type", "refresh_token"), ("refresh_token", "ghr_x")]);
    let wrong = ask(github.address(), TOKEN, "", &form);
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!((wrong.status, wrong.header("content-type")), (200, Some(kind)));
    let said = "error=bad_refresh_token&error_description=\
                The+refresh+token+passed+is+incorrect+or+expired.&error_uri=https%3A%2F%2F";
    assert!(wrong.body.starts_with(said), "{}", wrong.body);
    let late = sign_in(&github, "octocat");
    github.advance(Duration::from_secs(15_811_200));
    assert_eq!(refresh(&github, word(&late, "refresh_token"))["error"], "bad_refresh_token");
    let token = sign_in(&github, "octocat");
    let stolen = format!(
        "grant_type=refresh_token&client_id=x&client_secret=y&refresh_token={}",
        word(&token, "refresh_token")
    );
    let thief = ask(github.address(), TOKEN, "", &stolen);
    assert!(thief.body.starts_with("error=incorrect_client_credentials&"), "{}", thief.body);
    assert_eq!((github.refreshes(), github.refresh_attempts()), (0, 3));
    assert!(github.is_alive(word(&token, "access_token")));
    github.revoke_grant("octocat");
    assert_eq!(refresh(&github, word(&token, "refresh_token"))["error"], "bad_refresh_token");
    assert_eq!(refresh(&github, "")["error"], "bad_refresh_token");
    let other = ask(github.address(), TOKEN, "", &app_form(&github, &[("grant_type", "password")]));
    assert!(other.body.starts_with("error=unsupported_grant_type&"), "{}", other.body);
}

#[test]
fn a_refreshs_form_answer_has_all_fields() {
    let github = expiring();
    let token = sign_in(&github, "octocat");
    let given = word(&token, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", given)];
    let answer = ask(github.address(), TOKEN, "", &app_form(&github, &fields));
    let pairs: Vec<_> = url::form_urlencoded::parse(answer.body.as_bytes()).into_owned().collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "access_token",
        "expires_in",
        "refresh_token",
        "refresh_token_expires_in",
        "token_type",
        "scope",
    ];
    assert_eq!(names, expected);
    assert_eq!((pairs[1].1.as_str(), pairs[5].1.as_str()), ("28800", ""));
}

#[test]
fn an_answer_may_be_lost_though_the_pair_was_renewed() {
    let github = expiring();
    let token = sign_in(&github, "octocat");
    let given = word(&token, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", given)];
    let form = app_form(&github, &fields);
    let request =
        format!("{TOKEN} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    github.knobs().once("/login/oauth/access_token", Trouble::Refuse);
    assert_eq!(raw(github.address(), &request), b"");
    assert_eq!((github.refreshes(), github.refresh_attempts()), (0, 1));
    github.knobs().once("/login/oauth/access_token", Trouble::Swallow);
    assert_eq!(raw(github.address(), &request), b"");
    assert_eq!((github.refreshes(), github.refresh_attempts()), (1, 2));
    assert!(!github.is_alive(word(&token, "access_token")));
    assert_eq!(github.tokens_of("octocat").len(), 1);
    assert_eq!(refresh(&github, given)["error"], "bad_refresh_token");
    assert_eq!(github.answered(TOKEN, 200), 2, "the sign-in and the last attempt");
}

#[test]
fn a_late_answer_holds_nobody_else_up() {
    let github = expiring();
    let token = sign_in(&github, "octocat");
    let given = word(&token, "refresh_token");
    let form = app_form(&github, &[("grant_type", "refresh_token"), ("refresh_token", given)]);
    github.knobs().once("/login/oauth/access_token", Trouble::Late(Duration::from_secs(600)));
    let mut waiting = TcpStream::connect(github.address()).unwrap();
    let head = format!("{TOKEN} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", form.len());
    waiting.write_all(format!("{head}{form}").as_bytes()).unwrap();
    let begun = Instant::now();
    while github.refreshes() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it happens at once");
        std::thread::yield_now();
    }
    let new = github.tokens_of("octocat").pop().unwrap();
    assert_eq!(status(&github, "/user", &new), 200);
    assert_eq!(github.answered(TOKEN, 200), 1, "the sign-in alone");
}

#[test]
fn the_eleventh_token_ends_the_first() {
    let github = github();
    let tokens: Vec<String> = (0..10).map(|_| github.token_for("mona", "read:user")).collect();
    let other = github.token_for("mona", "read:org");
    assert_eq!(status(&github, "/user", &tokens[0]), 200);
    let eleventh = github.token_for("mona", "read:user");
    assert_eq!(status(&github, "/user", &tokens[0]), 401);
    for token in tokens[1..].iter().chain([&other, &eleventh]) {
        assert_eq!(status(&github, "/user", token), 200);
    }
    github.knobs().keep_all_tokens(true);
    github.token_for("mona", "read:user");
    assert!(github.is_alive(&tokens[1]));
    assert_eq!(github.tokens_of("MONA").len(), 12);
    assert!(github.tokens_of("nobody").is_empty());
}
