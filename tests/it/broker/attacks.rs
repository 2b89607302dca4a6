//! Attacks that the service before was not even known for: refused, and beside it what is right and
//! goes through.

use gatekeep::simulator::Installation;

use super::*;

/// A target that brings its own `token` would make the instance read the attacker's: of two it heeds the
/// first, and the victim works in the attacker's account from then on.
#[test]
fn a_target_cannot_bring_a_token_of_its_own() {
    let world = world();
    let (browser, _) = signed_in(&world, "octocat");
    for query in ["token=x", "a=b&token=x", "t%6Fken=x", "token", "user=mona"] {
        let answer = browser.clone().get(&begin(&format!("{CALLBACK}?{query}")));
        assert_eq!((answer.status, answer.header("location")), (400, None), "{query}");
    }
    let good = browser.clone().get(&begin(&format!("{CALLBACK}?tokens=x")));
    assert_eq!(good.status, 303, "control");
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", begin(CALLBACK));
    assert_eq!(browser.clone().get(&twice).status, 400);
}

/// Anybody can put a number into an address: the visitor must see the installation, and be the one who
/// asked for it.
#[test]
fn an_installation_of_somebody_else_is_not_taken_to_an_instance() {
    let world = world_with_app();
    world.github.install(Installation::new(5, "acme"));
    world.github.install(Installation::new(6, "elsewhere"));
    let (browser, token) = signed_in(&world, "octocat");
    let (other, _) = signed_in(&world, "hubot");
    let target = "https://trackeep.example.com/api/v1/github/app/callback?state=abc";
    let state = || {
        let asked = encode(&[("redirect_uri", target)]);
        let path = format!("/api/v1/github/app/install-url?{asked}");
        let url = ask(&world, &path, &token).json()["install_url"].clone();
        parameter(url.as_str().expect("an address"), "state").expect("a state")
    };
    let back = |browser: &Browser, id: &str, state: &str| {
        let path = "/auth/github/app/callback";
        let query =
            encode(&[("installation_id", id), ("setup_action", "install"), ("state", state)]);
        let answer = browser.clone().get(&format!("{SERVICE}{path}?{query}"));
        (answer.status, answer.header("location").map(str::to_owned))
    };
    let good = state();
    assert_eq!(back(&other, "5", &good), (403, None), "another account comes back");
    for foreign in ["6", "999", "x", "-5", "5%00"] {
        assert_eq!(back(&browser, foreign, &good), (403, None), "{foreign}");
    }
    for guess in ["", "abc", &"A".repeat(43)] {
        assert_eq!(back(&browser, "5", guess), (400, None), "{guess}");
    }
    assert_eq!(back(&browser, "5", &good).0, 303, "control");
    // And no instance has a browser sent to another's place, or anywhere.
    for elsewhere in ["https://evil.example/", "https://apps.example.com/trackeep/cb", "/", ""] {
        let asked = encode(&[("redirect_uri", elsewhere)]);
        let answer = ask(&world, &format!("/api/v1/github/app/install-url?{asked}"), &token);
        assert_eq!(refusal(&answer).0, 400, "{elsewhere}");
    }
}
