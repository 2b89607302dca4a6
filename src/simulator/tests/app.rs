//! The app at its own endpoints, and its hook: webhooks that are really sent.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::json;

use super::*;

/// The app's own token, good from `iat` for a minute.
fn jwt(github: &Simulator, iat: i64) -> String {
    let lines = github.app_private_keys()[0].lines().skip(2);
    let base64: String = lines.take_while(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_der(&STANDARD.decode(base64).unwrap()).unwrap();
    let claims = json!({ "iat": iat, "exp": iat + 60, "iss": github.app_id() });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "RS256" })), part(&claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = SystemRandom::new();
    pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()
}

fn post(github: &Simulator, path: &str, token: &str, body: &str) -> Answer {
    let authorization = format!("Authorization: Bearer {token}\r\n");
    ask(github.address(), &format!("POST /api/v3{path}"), &authorization, body)
}

fn with_acme() -> Simulator {
    let github = github();
    github.install(Installation::new(5, "acme").repository(1, "notes").repository(2, "wiki"));
    github
}

#[test]
fn the_app_sees_itself_and_its_installations() {
    let github = with_acme();
    let word = jwt(&github, now());
    let app = get(&github, "/app", &word).json();
    assert_eq!((&app["id"], &app["installations_count"]), (&json!(github.app_id()), &json!(1)));
    let list = get(&github, "/app/installations", &word).json();
    assert_eq!((&list[0]["id"], &list[0]["account"]["login"]), (&json!(5), &json!("acme")));
    assert_eq!(list[0]["account"]["type"], "Organization");
    for (path, status) in [
        ("/app/installations/5", 200),
        ("/app/installations/6", 404),
        ("/repos/acme/notes/installation", 200),
        ("/repos/acme/elsewhere/installation", 404),
        ("/orgs/acme/installation", 200),
        ("/users/acme/installation", 404),
    ] {
        assert_eq!(get(&github, path, &word).status, status, "{path}");
    }
    let user = github.token_for("octocat", "");
    assert_eq!(get(&github, "/app", &user).status, 401);
    assert_eq!(get(&github, "/user", &word).status, 401);
    assert_eq!(get(&github, "/user", &user).status, 200);
}

#[test]
fn the_date_is_the_clock_by_which_the_app_is_judged() {
    let github = with_acme();
    let word = jwt(&github, now());
    assert_eq!(get(&github, "/app", &word).status, 200);
    github.advance(Duration::from_secs(61));
    let late = get(&github, "/app", &word);
    assert_eq!(late.status, 401);
    let words = "'Expiration time' claim ('exp') must be a numeric value representing the future \
                 time at which the assertion expires";
    assert_eq!(late.json()["message"], words);
    assert_eq!(get(&github, "/app", &jwt(&github, now() + 61)).status, 200);
    let date = late.header("date").expect("a date");
    assert!(date.ends_with(" GMT"), "{date}");
}

#[test]
fn a_token_of_an_installation_opens_its_repositories_until_it_is_revoked() {
    let github = with_acme();
    let wish = r#"{"repository_ids":[2],"permissions":{"contents":"read"}}"#;
    let minted = post(&github, "/app/installations/5/access_tokens", &jwt(&github, now()), wish);
    assert_eq!(minted.status, 201);
    let minted = minted.json();
    assert_eq!(minted["repository_selection"], "selected");
    assert_eq!(minted["repositories"][0]["full_name"], "acme/wiki");
    let word = minted["token"].as_str().unwrap();
    let list = get(&github, "/installation/repositories", word);
    assert_eq!(list.json()["total_count"], 1);
    // Unchanged, for who has it already.
    let known = format!(
        "Authorization: Bearer {word}\r\nIf-None-Match: {}\r\n",
        list.header("etag").expect("a tag")
    );
    let line = "GET /api/v3/installation/repositories";
    assert_eq!(ask(github.address(), line, &known, "").status, 304);
    assert_eq!(get(&github, "/user", word).status, 403);
    let bearer = format!("Authorization: Bearer {word}\r\n");
    let revoked = ask(github.address(), "DELETE /api/v3/installation/token", &bearer, "");
    assert_eq!(revoked.status, 204);
    assert_eq!(get(&github, "/installation/repositories", word).status, 401);
}

#[test]
fn a_webhook_that_nobody_took_is_listed_and_sent_again_on_request() {
    let github = github();
    // Somebody who hangs up.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = "It's a Secret to Everybody";
    github.set_hook(&format!("http://{}/hook", mute.local_addr().unwrap()), secret);
    std::thread::spawn(move || drop(mute.accept()));
    let payload = json!({ "action": "deleted", "installation": { "id": 5 } });
    let lost = github.deliver("installation", payload);
    assert_eq!((lost.status, lost.redelivery), (0, false));
    let echo = echo();
    github.set_hook(&format!("{}/hook", echo.url()), secret);

    let word = jwt(&github, now());
    let listed = get(&github, "/app/hook/deliveries?status=failure", &word).json();
    let id = listed[0]["id"].as_u64().unwrap();
    assert_eq!((id, &listed[0]["guid"]), (lost.id, &json!(lost.guid)));
    assert_eq!(
        (&listed[0]["event"], &listed[0]["action"]),
        (&json!("installation"), &json!("deleted"))
    );
    assert_eq!(listed[0]["installation_id"], 5);
    let again = post(&github, &format!("/app/hook/deliveries/{id}/attempts"), &word, "");
    assert_eq!(again.status, 202);
    let begun = std::time::Instant::now();
    while github.deliveries().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not sent again");
        std::thread::yield_now();
    }
    let sent = &github.deliveries()[1];
    assert_eq!((sent.status, sent.redelivery), (200, true));
    assert!(sent.id > lost.id);
    assert_eq!(sent.guid, lost.guid);
    let seen = echo.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].header("x-github-delivery")),
        ("POST", Some(lost.guid.as_str()))
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = seen[0].header("x-hub-signature-256").unwrap().strip_prefix("sha256=").unwrap();
    assert_eq!(
        signature,
        crate::simulator::world::hex(ring::hmac::sign(&key, &lost.webhook.body).as_ref())
    );

    assert_eq!(seen[0].body_bytes, lost.webhook.body.len() as u64);
    let detail = get(&github, &format!("/app/hook/deliveries/{}", sent.id), &word).json();
    assert_eq!(detail["request"]["payload"]["action"], "deleted");
    let newest = get(&github, "/app/hook/deliveries?per_page=1", &word);
    assert_eq!(newest.json()[0]["id"], sent.id);
    assert!(newest.header("link").unwrap().contains(&format!("cursor={}", sent.id)));
    let older = get(&github, &format!("/app/hook/deliveries?cursor={}", sent.id), &word);
    assert_eq!((older.json().as_array().unwrap().len(), older.header("link")), (1, None));
    assert_eq!(older.json()[0]["id"], lost.id);
}
