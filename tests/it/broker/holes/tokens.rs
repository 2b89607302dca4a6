use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::signed::{OLDER, OLDEST, brought, forge, me, read, validate};
use super::*;
use crate::one_sign_in;
use crate::support::child::gatekeep;

/// GitHub's token lay in the address, and so in histories, logs and referrers. Nothing of it is in what a
/// browser carries, in the log or on any page; and what the address holds is kept by nobody.
#[test]
fn no_token_of_githubs_is_in_what_a_browser_carries() {
    let world = world();
    let mut browser = world.browser();
    let to = [CALLBACK, OLDER, OLDEST];
    let seen = to.map(|to| carried(&world, &mut browser, "octocat", &begin(to)));
    let brought = seen.each_ref().map(|url| parameter(url, "token").expect("something"));
    let read = |part: &str| {
        String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(part).ok()?).into_owned().into()
    };
    let decoded: Vec<String> =
        brought.iter().flat_map(|token| token.split('.')).filter_map(read).collect();
    let (seen, decoded, log) = (seen.concat(), decoded.concat(), world.gate.access_log());
    for text in [&seen, &decoded, &log] {
        assert!(!text.contains("gho_") && !text.contains("ghu_"), "{text}");
    }
    assert!(!brought.iter().any(|token| log.contains(token)), "the log holds none of them");
    assert!(decoded.contains("access_token"), "control: there was something to read");
    for to in to {
        let sent = browser.get(&begin(to));
        for (field, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
            assert_eq!((sent.status, sent.header(field)), (303, Some(value)), "{to}");
        }
    }
}

/// A token was good everywhere, for a week, and nothing ended it: whoever ran one instance was its
/// visitors at every other one. Each is for one instance, for an hour, and ends when its visitor says so.
#[test]
fn one_instance_cannot_speak_for_its_visitors_at_another() {
    let world = world();
    let mut browser = world.browser();
    let (_, older) = brought(&world, &mut browser, "octocat", OLDER);
    let (_, oldest) = brought(&world, &mut browser, "octocat", OLDEST);
    assert!(read(&older, SEED_KEY).is_none() && read(&oldest, OAUTH_KEY).is_none());
    assert_eq!(refusal(&validate(&world, &oldest)).0, 401, "shown by the wrong instance");
    // Its own key, and the session of a visitor at another instance.
    let mut claims = read(&older, OAUTH_KEY).expect("claims");
    claims["jti"] = read(&oldest, SEED_KEY).expect("claims")["jti"].clone();
    let header = json!({ "typ": "gatekeep-instance+jwt", "alg": "HS256" });
    assert_eq!(refusal(&validate(&world, &forge(&claims, &header, OAUTH_KEY))).0, 401);
    assert_eq!(validate(&world, &older).status, 200, "control");
    // A code is for one instance as well, and so is what it gives.
    let (_, server) = signed_in(&world, "octocat");
    assert_eq!(refusal(&me(&world, &server)).0, 401);
    end(&mut browser, "older");
    assert_eq!(refusal(&validate(&world, &older)).0, 401, "ended by the visitor");
    assert_eq!(me(&world, &oldest).status, 200, "control");
    world.gate.clock.advance(Duration::from_secs(3600));
    assert_eq!(refusal(&me(&world, &oldest)).0, 401);
}

/// A configuration whose instances have these keys.
fn with_keys(oauth: &str, seed: &str) -> String {
    format!(
        "listen: [{{ address: '127.0.0.1:0' }}]\npublic_url: https://auth.example.com\n\
         secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\n\
         broker:\n  hosts: [hq.example.com]\n  instances:\n    \
         - {{ name: older, contract: oauth, redirects: ['https://older.example.com'], allow: anyone, key: '{oauth}' }}\n    \
         - {{ name: oldest, contract: seed, redirects: ['https://oldest.example.com'], allow: anyone, key: '{seed}' }}\n\
         routes:\n  - {{ name: api, host: app.example.com, upstream: github, allow: anyone }}\n"
    )
}

/// Every instance had the same secret, and where none was set it was one that stands in the code, or the
/// empty one: anybody could be anybody. Each instance has its own, and with a known one nothing starts.
#[test]
fn nothing_starts_with_a_key_that_is_empty_short_known_or_shared() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gatekeep.yaml");
    let starts = |command: &str, oauth: &str, seed: &str| {
        fs::write(&file, with_keys(oauth, seed)).expect("it is written");
        let output = gatekeep().arg(command).arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        output.status.success()
    };
    for bad in [
        "",
        "short",
        "twentythree-bytes-long!",
        "your-secret-key-change-in-production",
        "your-super-secret-jwt-key-change-in-production",
        "jgk284kd83h83hfgje3i3j",
        "jgk284kd83h83hfgje3i3j-and-some-more-of-it",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert!(!starts("run", bad, SEED_KEY), "{bad:?}");
        assert!(!starts("run", OAUTH_KEY, bad), "{bad:?}");
    }
    assert!(!starts("run", OAUTH_KEY, OAUTH_KEY), "shared by two");
    assert!(starts("check", OAUTH_KEY, SEED_KEY), "control");
}

/// Numbers began at one after every restart, and an old token then named somebody else. The account's
/// number at GitHub is its number here.
#[test]
fn an_account_has_the_same_number_after_a_restart() {
    let number = |person: &str| {
        let world = world();
        let code = code_for(&world, &mut world.browser(), person);
        decoded::<Validated>(&exchange(&world, &code)).user.id
    };
    assert_eq!(
        [number("hubot"), number("octocat"), number("octocat")],
        [480_938, 583_231, 583_231]
    );
}

/// A number that was a text stopped the whole service. Whatever stands where a number, a text or a body
/// should be is refused, and the next visitor is served.
#[test]
fn what_is_of_the_wrong_type_is_refused_and_stops_nothing() {
    let world = world_with_app();
    let mut browser = world.browser();
    let (_, good) = brought(&world, &mut browser, "octocat", OLDEST);
    let claims = read(&good, SEED_KEY).expect("claims");
    let header = json!({ "typ": "gatekeep-instance+jwt", "alg": "HS256" });
    let odd = [
        json!("583231"),
        json!(583_231.5),
        json!(-583_231),
        json!(1e300),
        serde_json::from_str::<Value>("18446744073709551616").expect("a number"),
        Value::Null,
        json!(true),
        json!([583_231]),
        json!({ "id": 583_231 }),
    ];
    for name in ["user_id", "github_id", "exp", "iat", "expires_at"] {
        for value in
            odd.iter().filter(|value| !(value.is_i64() && name != "user_id" && name != "github_id"))
        {
            let mut other = claims.clone();
            other[name] = value.clone();
            let token = forge(&other, &header, SEED_KEY);
            assert_eq!(refusal(&me(&world, &token)).0, 401, "{name}: {value}");
        }
    }
    for value in &odd {
        let body = json!({ "token": value }).to_string();
        for path in ["/api/v1/auth/control/callback", "/api/v1/auth/oauth/callback"] {
            let status = refusal(&post(&world, path, &body)).0;
            assert_eq!(status, if value.is_string() { 401 } else { 400 }, "{path}: {body}");
        }
    }
    let deep = "[".repeat(2_000);
    assert_eq!(refusal(&post(&world, "/api/v1/auth/control/callback", &deep)).0, 400);
    let (_, server) = signed_in(&world, "octocat");
    for id in ["x", "-1", "+1", "1.5", "1e3", "0x1", "18446744073709551616", "null"] {
        let path = format!("/api/v1/github/app/installations/{id}/verify");
        let status = refusal(&ask(&world, &path, &server)).0;
        assert!(matches!(status, 400 | 404), "{id}: {status}");
    }
    assert_eq!(me(&world, &good).status, 200, "control");
    assert!(is_good(&world, &server), "control");
}

/// A link with the attacker's token signed the victim in as the attacker, who then read what the victim
/// wrote there. Behind the gateway none of the places that take a token takes one of another session.
#[test]
fn a_link_with_somebody_elses_token_signs_nobody_in_behind_the_gateway() {
    for by in ["gateway", "browser", "button"] {
        let scene = one_sign_in::Scene::new(by);
        let (eve, victim) = (scene.signed_in("hubot"), scene.signed_in("octocat"));
        let code = one_sign_in::code_of(&scene, &eve, "hubot");
        let before = scene.trackeep.requests().len();
        for path in ["/api/v1/auth/control/callback", "/api/v1/auth/oauth/callback"] {
            for token in [&*code, "made-up", ""] {
                let url = one_sign_in::url(&format!("{path}?token={token}"));
                let status = led_nowhere(&victim.clone().get(&url));
                assert_eq!(status, 403, "{by}: {path}: {token}");
            }
        }
        if by == "browser" {
            let foreign = scene.trackeep.token_of("hubot");
            let url = one_sign_in::url(&format!("/auth/callback?token={foreign}"));
            assert_eq!(led_nowhere(&victim.clone().get(&url)), 403, "{by}");
        }
        assert_eq!(scene.trackeep.requests().len(), before, "{by}: the instance saw none of it");
    }
    let scene = one_sign_in::Scene::new("button");
    let own = scene.signed_in("hubot");
    let code = one_sign_in::code_of(&scene, &own, "hubot");
    let url = one_sign_in::url(&format!("/api/v1/auth/control/callback?token={code}"));
    assert_eq!(own.clone().get(&url).status, 307, "control: one's own");
}
