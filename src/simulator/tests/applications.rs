//! The app checks, resets and ends its users' tokens.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

fn basic(id: &str, secret: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{id}:{secret}")))
}

/// Calls as the app; `call` is a method and `token` or `grant`.
fn manage(github: &Simulator, call: &str, token: &str) -> Answer {
    let (method, what) = call.split_once(' ').unwrap();
    let line = format!("{method} /api/v3/applications/{}/{what}", github.client_id());
    let body = serde_json::json!({ "access_token": token }).to_string();
    ask(github.address(), &line, &basic(github.client_id(), github.client_secret()), &body)
}

#[test]
fn a_check_tells_what_a_token_is() {
    let github = github();
    let token = github.token_for("octocat", "read:user read:org");
    let answer = manage(&github, "POST token", &token);
    assert_eq!((answer.status, answer.header("etag")), (200, None));
    let found = answer.json();
    assert_eq!(found["token"], token.as_str());
    assert_eq!(found["token_last_eight"], token[32..]);
    assert_eq!(found["hashed_token"].as_str().unwrap().len(), 64);
    assert_eq!(found["scopes"], serde_json::json!(["read:user", "read:org"]));
    assert_eq!(
        (&found["user"]["login"], &found["user"]["id"]),
        (&"octocat".into(), &583_231.into())
    );
    assert_eq!(found["app"]["client_id"], github.client_id());
    assert_eq!(found["expires_at"], Value::Null);
    assert_eq!(found["created_at"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len());
    assert_eq!(manage(&github, "POST token", "gho_unknown").status, 404);
    github.revoke_token(&token);
    let gone = manage(&github, "POST token", &token);
    assert_eq!((gone.status, &gone.json()["message"]), (404, &"Not Found".into()));
    github.expire_tokens(Some(ExpiringTokens::default()));
    let token = github.token_for("octocat", "");
    let found = manage(&github, "POST token", &token).json();
    assert_eq!(found["scopes"], Value::Null);
    assert!(found["expires_at"].as_str() > found["created_at"].as_str(), "{found}");
    github.advance(Duration::from_secs(28_800));
    assert_eq!(manage(&github, "POST token", &token).status, 404);
}

#[test]
fn only_the_app_itself_may() {
    let github = github();
    let token = github.token_for("octocat", "read:user");
    let body = serde_json::json!({ "access_token": token }).to_string();
    let line = |id: &str, what: &str| format!("DELETE /api/v3/applications/{id}/{what}");
    let (id, secret) = (github.client_id(), github.client_secret());
    for what in ["token", "grant"] {
        for (headers, id, status, words) in [
            (String::new(), id, 401, "Requires authentication"),
            (format!("Authorization: Bearer {token}\r\n"), id, 401, "Requires authentication"),
            (basic(id, "guessed"), id, 401, "Bad credentials"),
            (basic("Iv1.another", secret), id, 401, "Bad credentials"),
            (basic(id, secret), "Iv1.another", 404, "Not Found"),
        ] {
            let answer = ask(github.address(), &line(id, what), &headers, &body);
            assert_eq!((answer.status, &answer.json()["message"]), (status, &words.into()));
        }
        for body in ["", "{}", "no JSON", r#"{"access_token":""}"#, r#"{"access_token":1}"#] {
            let answer = ask(github.address(), &line(id, what), &basic(id, secret), body);
            assert_eq!(answer.status, 422, "{body}");
        }
    }
    let get = format!("GET /api/v3/applications/{id}/token");
    assert_eq!(ask(github.address(), &get, &basic(id, secret), &body).status, 404);
    assert!(github.is_alive(&token));
}

#[test]
fn a_token_can_be_ended_and_reset_alone() {
    let github = github();
    let (one, two) = (github.token_for("octocat", "gist"), github.token_for("octocat", "gist"));
    let ended = manage(&github, "DELETE token", &one);
    assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    assert_eq!(get(&github, "/user", &one).status, 401);
    assert_eq!(manage(&github, "DELETE token", &one).status, 404);
    let reset = manage(&github, "PATCH token", &two);
    assert_eq!(reset.status, 200);
    let new = reset.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(reset.json()["scopes"], serde_json::json!(["gist"]));
    assert_eq!(get(&github, "/user", &two).status, 401);
    assert_eq!(get(&github, "/user", &new).status, 200);
    assert_eq!(github.tokens_of("octocat"), [new]);
    assert_eq!(manage(&github, "PATCH token", &two).status, 404);
}

#[test]
fn ending_a_token_ends_its_refresh_token() {
    let github = github();
    github.expire_tokens(Some(ExpiringTokens::default()));
    let token = github.token_for("octocat", "");
    let refresh_token = github.refresh_token_of(&token).unwrap();
    assert_eq!(manage(&github, "DELETE token", &token).status, 204);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let answer = ask(github.address(), TOKEN, "", &app_form(&github, &fields));
    assert!(answer.body.starts_with("error=bad_refresh_token&"), "{}", answer.body);
}

#[test]
fn ending_the_grant_ends_all_tokens_of_that_person() {
    let github = github();
    let back = github.approve(&question(&github), "octocat");
    exchange(&github, &parameter(&back, "code").unwrap(), VERIFIER);
    let at = format!("GET {}", target(&question(&github)));
    let cookie = "Cookie: simulated_github_user=octocat\r\n";
    assert_eq!(ask(github.address(), &at, cookie, "").status, 302, "granted before");
    let tokens = [github.token_for("octocat", "gist"), github.token_for("octocat", "read:org")];
    let bystander = github.token_for("mona", "gist");
    assert_eq!(manage(&github, "DELETE grant", &tokens[0]).status, 204);
    assert!(github.tokens_of("octocat").is_empty());
    assert!(github.is_alive(&bystander));
    assert_eq!(get(&github, "/user", &tokens[1]).status, 401);
    assert_eq!(ask(github.address(), &at, cookie, "").status, 200, "consent is asked anew");
    assert_eq!(manage(&github, "DELETE grant", &tokens[1]).status, 404);
}
