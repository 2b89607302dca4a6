//! The older contracts: a browser carries a signed token, which the instance reads itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatekeep::clock::Clock;
use ring::hmac;
use serde_json::{Value, json};

use super::*;

pub(super) const OLDER: &str = "https://older.example.com/api/v1/auth/oauth/callback?frontend_redirect=https%3A%2F%2Folder.example.com%2Fauth%2Fcallback";
pub(super) const OLDEST: &str = "https://oldest.example.com";

/// The nine claims as Go reads them.
#[derive(Debug, Deserialize)]
struct Nine {
    user_id: i64,
    github_id: i64,
    username: String,
    email: String,
    access_token: String,
    token_type: String,
    expires_at: i64,
    exp: i64,
    iat: i64,
}

/// Reads a token as the instance does: HS256 by the shared key.
pub(super) fn read(token: &str, key: &str) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (header, claims) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    assert_eq!(header, json!({ "typ": "gatekeep-instance+jwt", "alg": "HS256" }));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

pub(super) fn forge(claims: &Value, header: &Value, key: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

pub(super) fn me(world: &World, token: &str) -> Response {
    ask(world, "/api/v1/user/me", token)
}

pub(super) fn validate(world: &World, token: &str) -> Response {
    show(world, "/api/v1/auth/oauth/callback", token)
}

/// What a browser brings to an instance.
pub(super) fn brought(
    world: &World,
    browser: &mut Browser,
    person: &str,
    to: &str,
) -> (String, String) {
    let end = carried(world, browser, person, &begin(to));
    let token = parameter(&end, "token").unwrap_or_else(|| panic!("{end}"));
    (end, token)
}

/// The version before takes its token where the target's own query says, wherever that is.
#[test]
fn an_older_instance_is_led_to_no_other_site() {
    let world = world();
    let at = |onward: &str| {
        let query = encode(&[("frontend_redirect", onward)]);
        begin(&format!("https://older.example.com/api/v1/auth/oauth/callback?{query}"))
    };
    let own = "https://older.example.com/auth/callback";
    let brought = carried(&world, &mut world.browser(), "octocat", &at(own));
    assert_eq!(parameter(&brought, "frontend_redirect").as_deref(), Some(own), "control");
    for evil in [
        "https://evil.example/x",
        "https://older.example.com.evil.example/",
        "https://older.example.com@evil.example/",
        "https://oldest.example.com/auth/callback",
        "//evil.example/x",
        "https://older.example.com/\\evil.example",
        "javascript:alert(1)",
    ] {
        assert_eq!(world.browser().get(&at(evil)).status, 400, "{evil}");
    }
    let twice = format!("{}%26frontend_redirect%3Dhttps%253A%252F%252Fevil.example%252F", at(own));
    assert_eq!(world.browser().get(&twice).status, 400, "{twice}");
}

/// The integration guide's flow, and its token: nine claims, and three that its readers pass over.
/// The guide's button names the site alone, whatever path of it is registered.
#[test]
fn a_site_alone_means_the_usual_place_there() {
    let world = world();
    let (older, callback) = ("https://older.example.com", "/api/v1/auth/oauth/callback?token=");
    for site in [older.to_owned(), format!("{older}/")] {
        let at = carried(&world, &mut world.browser(), "octocat", &begin(&site));
        assert!(at.starts_with(&format!("{older}{callback}")), "{at}");
    }
    let elsewhere = world.browser().get(&begin(&format!("{older}/elsewhere")));
    assert_eq!(elsewhere.status, 400);
}

#[test]
fn the_integration_guides_app_gets_a_token_and_a_name() {
    let world = world();
    let mut browser = world.browser();
    let (end, token) = brought(&world, &mut browser, "octocat", OLDEST);
    assert!(end.starts_with("https://oldest.example.com/auth/callback?token="), "{end}");
    assert_eq!(parameter(&end, "user").as_deref(), Some("octocat"));
    let claims = read(&token, SEED_KEY).expect("signed by its key");
    let nine: Nine = serde_json::from_value(claims.clone()).expect("nine claims");
    let now = world.gate.clock.now().unix();
    assert_eq!(
        (nine.user_id, nine.github_id, nine.username.as_str()),
        (583_231, 583_231, "octocat")
    );
    assert_eq!(
        (nine.email.as_str(), nine.token_type.as_str()),
        ("octocat@github.example", "bearer")
    );
    assert_eq!((nine.iat, nine.exp, nine.expires_at), (now, now + 3600, now + 3600));
    assert_eq!(claims["iss"], "https://auth.example.com");
    assert_eq!(claims["aud"], OLDEST);
    assert_eq!(claims.as_object().expect("an object").len(), 12);
    let user = me(&world, &token).json()["user"].clone();
    assert_eq!((&user["username"], &user["github_id"]), (&json!("octocat"), &json!(583_231)));
    assert_eq!(user["role"], "user");
    assert!(user["created_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let bytes = nine.access_token.as_bytes();
    assert!(bytes.starts_with(b"gk_"), "no token of GitHub's travels through an address");
}

/// What it holds opens GitHub's API here, as the visitor, and nothing else; until the same end.
#[test]
fn the_access_token_is_good_at_our_own_route_to_github_alone() {
    let world = world();
    let (_, token) = brought(&world, &mut world.browser(), "octocat", OLDEST);
    let access = read(&token, SEED_KEY).expect("claims")["access_token"].clone();
    let bearer = format!("Bearer {}", access.as_str().expect("a text"));
    let status = |url: &str| {
        server(&world).send("GET", url, &[("authorization", bearer.as_str())], "").status
    };
    assert_eq!(status("https://app.example.com/github/user"), 200);
    assert_eq!(status("https://app.example.com/"), 403);
    assert_eq!(status("https://hq.example.com/api/v1/github/repos"), 401);
    world.gate.clock.advance(Duration::from_secs(3600));
    assert_eq!(status("https://app.example.com/github/user"), 401);
}

/// The version between: its server shows the token here again, and only status 200 is a success.
#[test]
fn an_instance_shows_the_token_here_again() {
    let world = world();
    let mut browser = world.browser();
    let (end, token) = brought(&world, &mut browser, "octocat", OLDER);
    assert!(end.starts_with(&format!("{OLDER}&token=")), "its own query is kept: {end}");
    let answer = validate(&world, &token);
    assert_eq!(answer.status, 200);
    let Validated { token: same, user } = decoded(&answer);
    assert_eq!((same, user.github_id, user.username.as_str()), (token.clone(), 583_231, "octocat"));
    assert_eq!(token.split('.').count(), 3);
    end_of(&mut browser);
    assert_eq!(refusal(&validate(&world, &token)).0, 401, "the visitor ended it");
}

fn end_of(browser: &mut Browser) {
    end(browser, "older");
}

/// Who asks for themselves, as Go reads it: nothing may be missing, of another type, or more.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    id: i64,
    github_id: i64,
    username: String,
    email: String,
    name: String,
    avatar_url: String,
    created_at: String,
    last_login: String,
    role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Oneself {
    user: Profile,
}

#[test]
fn who_one_is_has_all_nine_fields_of_the_contract() {
    let world = world();
    let begun = world.gate.clock.now().to_rfc3339();
    for (to, id, person, name) in
        [(OLDEST, 583_231, "octocat", "The Octocat"), (OLDER, 583_231, "octocat", "The Octocat")]
    {
        let (_, token) = brought(&world, &mut world.browser(), person, to);
        let Oneself { user } = decoded(&me(&world, &token));
        let whole = Profile {
            id,
            github_id: id,
            username: person.into(),
            email: format!("{person}@github.example"),
            name: name.into(),
            avatar_url: format!("{}/avatars/u/{id}", world.github.web_url()),
            created_at: begun.clone(),
            last_login: begun.clone(),
            role: "user".into(),
        };
        assert_eq!(user, whole);
    }
    // A name that GitHub does not say is the login, and no `null`.
    world.github.change("hubot", |hubot| hubot.name = None);
    let (_, token) = brought(&world, &mut world.browser(), "hubot", OLDEST);
    assert_eq!(decoded::<Oneself>(&me(&world, &token)).user.name, "hubot");
}

/// Clients of the service before tell by the sentence what was wrong. It knew a third one, for a token
/// whose claims were none: here that is a token like any other that is not good.
#[test]
fn who_is_nobody_is_told_so_in_the_words_of_the_service_before() {
    let world = world();
    let (_, token) = brought(&world, &mut world.browser(), "octocat", OLDEST);
    let header = json!({ "typ": "gatekeep-instance+jwt", "alg": "HS256" });
    let says = |value: Option<&str>| {
        let fields: Vec<_> = value.map(|value| ("authorization", value)).into_iter().collect();
        let url = format!("{SERVICE}/api/v1/user/me");
        server(&world).send("GET", &url, &fields, "")
    };
    assert_eq!(refusal(&says(None)), (401, "No authorization header".to_owned()));
    let claimless = forge(&json!({}), &header, SEED_KEY);
    for bad in ["", "Bearer", "Bearer x", "Basic b2N0b2NhdDp4", &format!("Bearer {claimless}")] {
        assert_eq!(refusal(&says(Some(bad))), (401, "Invalid token".to_owned()), "{bad}");
    }
    assert_eq!(says(Some(&format!("Bearer {token}"))).status, 200, "control");
}

/// What is wrong with a token, one thing at a time.
#[test]
fn a_token_that_is_not_quite_right_is_none() {
    let world = world();
    let (_, token) = brought(&world, &mut world.browser(), "octocat", OLDEST);
    let claims = read(&token, SEED_KEY).expect("claims");
    let header = json!({ "typ": "gatekeep-instance+jwt", "alg": "HS256" });
    let with = |name: &str, value: Value| {
        let mut other = claims.clone();
        other[name] = value;
        forge(&other, &header, SEED_KEY)
    };
    let unsigned = {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(&json!({ "typ": "JWT", "alg": "none" })), part(&claims))
    };
    for (why, bad) in [
        ("another key", forge(&claims, &header, OAUTH_KEY)),
        ("an empty key", forge(&claims, &header, "")),
        ("no signature", unsigned),
        ("another kind", forge(&claims, &json!({ "typ": "JWT", "alg": "HS256" }), SEED_KEY)),
        ("no kind", forge(&claims, &json!({ "alg": "HS256" }), SEED_KEY)),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("https://older.example.com"))),
        ("an unknown session", with("jti", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("an odd session", with("jti", json!("../"))),
        ("an end that has come", with("exp", json!(1))),
        ("a claim more", with("admin", json!(true))),
        ("a number as a text", with("user_id", json!("583231"))),
        ("a fraction", with("user_id", json!(583_231.5))),
        ("nothing", String::new()),
        ("nonsense", "a.b.c".to_owned()),
    ] {
        let answer = me(&world, &bad);
        assert_eq!(refusal(&answer), (401, "Invalid token".to_owned()), "{why}");
    }
    assert_eq!(me(&world, &forge(&claims, &header, SEED_KEY)).status, 200, "control");
    let bare = server(&world).send("GET", &format!("{SERVICE}/api/v1/user/me"), &[], "");
    assert_eq!(refusal(&bare), (401, "No authorization header".to_owned()));
    assert_eq!(refusal(&validate(&world, &token)).0, 401, "that is for the contract between");
    world.gate.clock.advance(Duration::from_secs(3600));
    assert_eq!(refusal(&me(&world, &token)).0, 401);
}

/// Where the operator gives visitors' tokens away by name, it is their own.
#[test]
fn a_legacy_token_holds_the_visitors_own() {
    let keys = BROKER.replace(
        "key: a-seed-key-of-an0ther-instance-alone-42",
        "key: a-seed-key-of-an0ther-instance-alone-42\n      legacy_github_token: true",
    );
    let world = world_of(&keys);
    let (_, token) = brought(&world, &mut world.browser(), "octocat", OLDEST);
    let nine: Nine = serde_json::from_value(read(&token, SEED_KEY).expect("claims")).expect("nine");
    assert!(nine.access_token.starts_with("gho_"), "{}", nine.access_token);
    assert!(nine.expires_at > world.gate.clock.now().unix(), "a reader takes 0 for the past");
}

/// Pages of the instances' own origins may ask who somebody is, and no other page; without a cookie.
#[test]
fn pages_of_the_instances_may_ask_who_somebody_is() {
    let world = world();
    let (_, token) = brought(&world, &mut world.browser(), "octocat", OLDEST);
    let bearer = format!("Bearer {token}");
    for (origin, may) in [
        ("https://oldest.example.com", true),
        ("https://older.example.com", true),
        ("https://trackeep.example.com", false),
        ("https://evil.example", false),
        ("null", false),
        ("https://oldest.example.com.evil.example", false),
    ] {
        for method in ["OPTIONS", "GET"] {
            let headers = [("origin", origin), ("authorization", bearer.as_str())];
            let url = format!("{SERVICE}/api/v1/user/me");
            let answer = server(&world).send(method, &url, &headers, "");
            assert_eq!(answer.status, if method == "GET" { 200 } else { 204 });
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, may.then_some(origin), "{method} {origin}");
            assert_eq!(answer.header("vary"), Some("Origin"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
}
