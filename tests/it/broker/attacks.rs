//! The holes of the service that stood here before, each as an attack: refused, and beside it what is
//! right and goes through.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatekeep::simulator::{Installation, Trouble};

use super::*;

/// The open redirects of all our pages.
fn targets() -> Vec<String> {
    let lines = include_str!("../redirects/targets.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        serde_json::from_str(&format!("\"{line}\"")).unwrap_or_else(|e| panic!("{e}: {line}"))
    };
    lines.map(read).collect()
}

/// Spellings of somewhere else that look like the instance.
const LOOK_ALIKES: [&str; 26] = [
    "https://trackeep.example.com.evil.example/",
    "https://trackeep.example.com@evil.example/",
    "https://trackeep.example.com%40evil.example/",
    "https://trackeep.example.com\\@evil.example/",
    "https://trackeep.example.com#@evil.example/",
    "https://trackeep.example.com/#token",
    "https://trackeep.example.com:8443/",
    "https://trackeep.example.com:443/",
    "https://TRACKEEP.example.com/",
    "https://trackeep.example.com./",
    "http://trackeep.example.com/",
    "//trackeep.example.com/",
    "https:trackeep.example.com/",
    "https:/trackeep.example.com/",
    "https:\\\\trackeep.example.com/",
    "https://evil.trackeep.example.com/",
    "https://trackeep.example.com/..//evil.example",
    "https://trackeep.example.com/%2e%2e/",
    "https://trackeep.example.com/a%2fb",
    "https://trackeep.example.com//evil.example/",
    "https://apps.example.com/",
    "https://apps.example.com/trackeeper/",
    "https://apps.example.com/Trackeep/",
    "http://localhost:8081/",
    "javascript:alert(document.domain)//trackeep.example.com",
    "data:text/html,<script>//https://trackeep.example.com/",
];

/// One click on a link sent a token for all of somebody's repositories to any site that the link named.
/// Nobody is sent anywhere that is not registered: neither with something nor to GitHub first.
#[test]
fn one_click_sends_nothing_to_a_site_that_is_not_registered() {
    let world = world();
    let (signed_in, _) = signed_in(&world, "octocat");
    let calls = world.github.requests().len();
    let mut all = targets();
    all.extend(LOOK_ALIKES.map(str::to_owned));
    assert!(all.len() > 220, "{}", all.len());
    for target in &all {
        for mut browser in [signed_in.clone(), world.browser()] {
            let answer = browser.get(&begin(target));
            let seen = (answer.status, answer.header("location"));
            assert_eq!(seen, (400, None), "{target:?}: {}", answer.text());
        }
    }
    assert_eq!(world.github.requests().len(), calls, "GitHub is not even asked");
    for good in [CALLBACK, "https://apps.example.com/trackeep", "http://localhost:8080/x?y"] {
        assert_eq!(signed_in.clone().get(&begin(good)).status, 303, "control: {good}");
    }
}

/// Without a target it sent the token to whatever site the link was on. What is inferred must be
/// registered as well, and only the integration guide's apps are meant.
#[test]
fn a_link_on_another_site_names_no_target() {
    let world = world();
    let (signed_in, _) = signed_in(&world, "octocat");
    let from = |name: &str, site: &str| {
        let headers = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), (name, site)];
        let url = format!("{SERVICE}/auth/github");
        signed_in.clone().send("GET", &url, &headers, "")
    };
    for name in ["origin", "referer"] {
        for site in
            ["https://evil.example/", "https://oldest.example.com.evil.example/", "null", ""]
        {
            let answer = from(name, site);
            assert_eq!((answer.status, answer.header("location")), (400, None), "{name}: {site}");
        }
        assert_eq!(from(name, "https://trackeep.example.com/").status, 400, "it names its target");
        let good = from(name, "https://oldest.example.com/");
        assert!(good.location().starts_with("https://oldest.example.com/auth/callback?token="));
    }
}

/// A second tab overwrote the first one's target, and an empty cookie was as good as an empty `state`.
/// Each attempt is its own, and what does not fit one is nothing.
#[test]
fn two_tabs_arrive_where_each_wanted() {
    let world = world();
    let mut browser = world.browser();
    let one = world.authorize_url(&mut browser, &begin(CALLBACK));
    let other = world.authorize_url(&mut browser, &begin("https://oldest.example.com"));
    for (authorize, target) in [(other, "https://oldest.example.com/"), (one, CALLBACK)] {
        let callback = world.github.approve(&authorize, "octocat");
        let end = carried(&world, &mut browser, "octocat", &callback);
        assert!(end.starts_with(target), "{end}");
    }
    let mut fresh = world.browser();
    for query in ["code=x&state=", "code=x", "state=", "code=x&state=guess"] {
        let answer = fresh.get(&format!("https://auth.example.com/.gatekeep/callback?{query}"));
        assert_eq!((answer.status, answer.header("location")), (400, None), "{query}");
    }
}

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

/// GitHub's token lay in the address, and so in histories, logs and referrers. Nothing of it is in what a
/// browser carries, in the log or on any page.
#[test]
fn no_token_of_githubs_is_in_what_a_browser_carries() {
    let world = world();
    let mut browser = world.browser();
    let to = [
        CALLBACK,
        "https://older.example.com/api/v1/auth/oauth/callback",
        "https://oldest.example.com",
    ];
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
}

/// Any failure of GitHub's was read as account number 0, which all who failed then shared.
#[test]
fn githubs_failures_are_nobodys_account() {
    let world = world();
    for trouble in [
        Trouble::answer(403, "application/json", r#"{"message":"no"}"#),
        Trouble::answer(200, "application/json", r#"{"message":"no"}"#),
        Trouble::answer(200, "application/json", r#"{"id":0,"login":"x"}"#),
        Trouble::answer(200, "application/json", r#"{"id":7,"login":""}"#),
        Trouble::answer(500, "text/html", "<oops>"),
    ] {
        world.github.knobs().once("/user", trouble);
        let mut browser = world.browser();
        let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
        let answer = browser.get(&world.github.approve(&authorize, "octocat"));
        assert!(answer.status >= 400 && answer.header("location").is_none(), "{}", answer.text());
    }
    signed_in(&world, "octocat");
}

/// Numbers began at one after every restart, and an old token then named somebody else.
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

/// A page of any site could read what the service said to its visitor. Nothing here is told to a page
/// because of a cookie, and pages of others are told nothing.
#[test]
fn a_page_of_another_site_reads_nothing() {
    let world = world();
    let (browser, token) = signed_in(&world, "octocat");
    for path in
        ["/api/v1/user/me", "/api/v1/github/repos", "/api/v1/auth/control/callback", "/health"]
    {
        let headers = [("origin", "https://evil.example"), ("accept", "application/json")];
        let answer = browser.clone().send("GET", &format!("{SERVICE}{path}"), &headers, "");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        assert!(answer.status >= 400 || path == "/health", "{path}: a cookie says nothing here");
    }
    assert!(is_good(&world, &token), "control");
}
