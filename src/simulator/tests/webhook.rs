//! Deliveries as an app receives them.

use ring::hmac;

use super::*;

#[test]
fn a_delivery_is_signed_and_whole_when_it_is_sent() {
    let github = github();
    let app = echo();
    let payload = github.authorization_revoked("octocat");
    let hook = github.webhook("github_app_authorization", payload.clone(), "a secret");
    let headers: Vec<String> =
        hook.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let body = std::str::from_utf8(&hook.body).unwrap();
    let request = format!(
        "{} /hook HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n\r\n{body}",
        hook.method,
        body.len(),
        headers.join("\r\n")
    );
    assert!(!raw(app.address(), &request).is_empty());
    let seen = app.requests().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/hook"));
    for (name, value) in [
        ("X-GitHub-Event", "github_app_authorization"),
        ("Content-Type", "application/json"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("X-GitHub-Delivery", hook.header("x-github-delivery").unwrap()),
    ] {
        assert_eq!(seen.header(name), Some(value));
    }
    assert!(seen.header("X-GitHub-Hook-ID").is_some_and(|id| id.parse::<u64>().is_ok()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret");
    let signature = world::hex(hmac::sign(&key, &hook.body).as_ref());
    let expected = format!("sha256={signature}");
    assert_eq!(seen.header("X-Hub-Signature-256"), Some(expected.as_str()));
    let names: Vec<&String> = payload.as_object().unwrap().keys().collect();
    assert_eq!(names, ["action", "sender"]);
    assert_eq!(
        (&payload["action"], &payload["sender"]["id"]),
        (&"revoked".into(), &583_231.into())
    );
}

#[test]
fn each_delivery_has_its_own_id_and_its_secrets_signature() {
    let github = github();
    let ping = || github.ping();
    let [one, two] = [(); 2].map(|()| github.webhook("ping", ping(), "s"));
    assert_ne!(one.header("X-GitHub-Delivery"), two.header("X-GitHub-Delivery"));
    assert_eq!(one.clone().header("X-GitHub-Delivery"), one.header("X-GitHub-Delivery"));
    let body: Value = serde_json::from_slice(&one.body).unwrap();
    assert_eq!(body["hook"]["id"].to_string(), one.header("X-GitHub-Hook-ID").unwrap());
    assert!(body["zen"].is_string());
    let payload = serde_json::json!({});
    let [a, b] = ["a", "b"].map(|secret| github.webhook("ping", payload.clone(), secret));
    assert_ne!(a.header("X-Hub-Signature-256"), b.header("X-Hub-Signature-256"));
}
