//! What the app's token says, how long it is used, and what a wrong clock or key does to it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::clock::Manual;
use crate::keys::{RsaKey, install_jwt_provider};

const START: Time = Time::from_unix(1_795_235_820);

fn app() -> Arc<App> {
    install_jwt_provider();
    let key = |pem: &str| RsaKey::from_pem(&Secret::new(pem.to_owned())).unwrap();
    let keys = vec![
        key(include_str!("../../../simulator/app.pem")),
        key(include_str!("../../../simulator/app_next.pem")),
    ];
    Arc::new(App { id: 7, issuer: "Iv1.seven".to_owned(), keys })
}

fn jwt() -> (Arc<Manual>, AppJwt) {
    let clock = Arc::new(Manual::at(START));
    (clock.clone(), AppJwt::new(clock))
}

fn claims(word: &Secret<String>) -> Value {
    let claims = word.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn dated(date: &str) -> HeaderMap {
    HeaderMap::from_iter([(DATE, date.parse().unwrap())])
}

#[test]
fn a_token_says_what_github_wants_and_is_used_for_eight_minutes() {
    let ((clock, jwt), app) = (jwt(), app());
    let first = jwt.word(&app, 0);
    let said = serde_json::json!({
        "iat": START.unix() - 60, "exp": START.unix() + 540, "iss": "Iv1.seven",
    });
    assert_eq!(claims(&first), said);
    clock.advance(Duration::from_secs(479));
    assert!(Arc::ptr_eq(&jwt.word(&app, 0), &first));
    clock.advance(Duration::from_secs(1));
    assert_eq!(claims(&jwt.word(&app, 0))["iat"], START.unix() + 420);
}

#[test]
fn another_key_or_another_configuration_signs_anew() {
    let ((_, jwt), app) = (jwt(), app());
    let first = jwt.word(&app, 0);
    assert_ne!(jwt.word(&app, 1).expose(), first.expose());
    assert_eq!(jwt.key_in_use(&app), 1);
    let reloaded = self::app();
    assert_eq!(jwt.key_in_use(&reloaded), 0);
    assert!(!Arc::ptr_eq(&jwt.word(&reloaded, 0), &first));
}

#[test]
fn githubs_clock_counts_as_far_as_it_is_another() {
    let ((_, jwt), app) = (jwt(), app());
    jwt.word(&app, 0);
    for (date, ahead) in [
        ("Sat, 21 Nov 2026 04:37:05 GMT", 0),
        ("Sat, 21 Nov 2026 04:32:00 GMT", -300),
        ("Sat, 21 Nov 2026 04:32:04 GMT", -300),
        ("Sat, 21 Nov 2026 04:47:00 GMT", 600),
        ("yesterday", 600),
    ] {
        let before = jwt.ahead();
        assert_eq!(jwt.learn(&dated(date)), ahead != before, "{date}");
        assert_eq!(jwt.ahead(), ahead, "{date}");
        assert_eq!(claims(&jwt.word(&app, 0))["iat"], START.unix() + ahead - 60, "{date}");
    }
}

#[test]
fn keys_that_are_not_taken_rest_until_a_reload() {
    let ((clock, jwt), app) = (jwt(), app());
    jwt.give_up(&app, "no".to_owned());
    assert!(matches!(jwt.may_ask(&app), Err(AppError::Refused(words)) if words == "no"));
    assert!(jwt.may_ask(&self::app()).is_ok());
    clock.advance(Duration::from_secs(5));
    assert!(jwt.may_ask(&app).is_ok());
    jwt.give_up(&app, "no".to_owned());
    clock.advance(Duration::from_secs(5));
    assert!(jwt.may_ask(&app).is_err());
}
