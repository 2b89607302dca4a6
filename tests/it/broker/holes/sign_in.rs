use super::*;
use crate::redirects::targets;

const OLDEST: &str = "https://oldest.example.com";

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

/// `redirect_uri` was not looked at: one click on a link sent a token for all of somebody's repositories
/// to any site that the link named. Nobody is sent anywhere that is not registered: neither with
/// something nor to GitHub first.
#[test]
fn an_unregistered_target_gets_no_token_and_not_even_a_question() {
    let world = world();
    let (signed_in, _) = signed_in(&world, "octocat");
    let calls = world.github.requests().len();
    let mut all = targets();
    all.extend(LOOK_ALIKES.map(str::to_owned));
    assert!(all.len() > 220, "{}", all.len());
    for target in &all {
        for mut browser in [signed_in.clone(), world.browser()] {
            assert_eq!(led_nowhere(&browser.get(&begin(target))), 400, "{target:?}");
        }
        // What is refused counts against its address.
        world.gate.clock.advance(Duration::from_secs(1));
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
            assert_eq!(led_nowhere(&from(name, site)), 400, "{name}: {site}");
        }
        assert_eq!(from(name, "https://trackeep.example.com/").status, 400, "it names its target");
        let good = from(name, "https://oldest.example.com/");
        assert!(good.location().starts_with("https://oldest.example.com/auth/callback?token="));
    }
}

/// The target lay in a cookie of its own, which a second tab, or a neighbour's page, wrote over: one
/// tab's token went to the other one's target. Each attempt is its own, with its target inside.
#[test]
fn a_second_tab_or_a_planted_cookie_does_not_change_where_a_token_goes() {
    let world = world();
    let mut browser = world.browser();
    for (name, value) in [("client_url", "https%3A%2F%2Fevil.example"), ("oauth_state", "x")] {
        for host in ["hq.example.com", "auth.example.com"] {
            browser.plant(host, name, value);
        }
    }
    let one = world.authorize_url(&mut browser, &begin(CALLBACK));
    let other = world.authorize_url(&mut browser, &begin(OLDEST));
    for (authorize, target) in [(other, "https://oldest.example.com/"), (one, CALLBACK)] {
        let callback = world.github.approve(&authorize, "octocat");
        let end = carried(&world, &mut browser, "octocat", &callback);
        assert!(end.starts_with(target), "{end}");
    }
}

/// Every `Set-Cookie` on the way from a first click to the instance.
fn cookies_on_the_way(world: &World, browser: &mut Browser) -> Vec<String> {
    let (mut at, mut set) = (begin(CALLBACK), vec![]);
    while !at.starts_with(CALLBACK) {
        if at.starts_with(world.github.url()) {
            at = world.github.approve(&at, "octocat");
        }
        let answer = browser.get(&at);
        set.extend(answer.all("set-cookie").map(str::to_owned));
        at = join(&at, answer.location());
    }
    set
}

/// Its cookies went over plain http, came with requests of every site, could be set by a neighbour, and
/// lasted an hour. Ours are the host's own, for TLS alone, and an attempt's last ten minutes.
#[test]
fn the_cookies_of_a_sign_in_are_the_hosts_own_and_short_lived() {
    let world = world();
    let set = cookies_on_the_way(&world, &mut world.browser());
    assert!(set.iter().any(|cookie| cookie.starts_with("__Host-gatekeep=")), "control: {set:?}");
    let mut attempts = 0;
    for cookie in &set {
        assert!(cookie.starts_with("__Host-gatekeep"), "{cookie}");
        for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(cookie.contains(part), "{part}: {cookie}");
        }
        assert!(!cookie.to_lowercase().contains("domain="), "{cookie}");
        if cookie.contains("login-") {
            attempts += 1;
            let age = cookie.split("Max-Age=").nth(1).and_then(|rest| rest.split(';').next());
            let age: Option<u32> = age.and_then(|age| age.parse().ok());
            assert!(age.is_some_and(|age| age <= 600), "{cookie}");
        }
    }
    assert!(attempts >= 2, "one at each host: {set:?}");
}

/// `state` was compared with a cookie that went on to be good, and an empty cookie equalled an empty
/// `state`: whoever led a victim to the callback signed them in as somebody else.
#[test]
fn a_state_works_once_in_its_own_browser_and_an_empty_one_never() {
    let world = world();
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
    let callback = world.github.approve(&authorize, "octocat");
    let mut victim = world.browser();
    let refused = |browser: &mut Browser, url: &str| {
        assert_eq!(led_nowhere(&browser.get(url)), 400, "{url}");
    };
    for planted in [None, Some("")] {
        for host in ["auth.example.com", "hq.example.com"] {
            if let Some(empty) = planted {
                victim.plant(host, "oauth_state", empty);
            }
        }
        for query in ["code=x&state=", "code=x", "state=", "code=x&state=guess", ""] {
            refused(&mut victim, &format!("https://auth.example.com/.gatekeep/callback?{query}"));
        }
    }
    refused(&mut victim, &callback);
    let end = carried(&world, &mut browser, "octocat", &callback);
    assert!(end.starts_with(CALLBACK), "control: {end}");
    // Once more, with all that the browser had before: it is somebody already, and nobody else now.
    let (exchange, session) = ("POST /login/oauth/access_token", "__Host-gatekeep");
    let asked = world.github.calls(exchange);
    let again = browser.get(&callback);
    assert_eq!((again.location(), again.sets(session)), ("/.gatekeep/account", None));
    assert_eq!(world.github.calls(exchange), asked, "GitHub is not asked again");
    let late = world.authorize_url(&mut victim, &begin(OLDEST));
    world.gate.clock.advance(Duration::from_secs(601));
    let late = world.github.approve(&late, "octocat");
    refused(&mut victim, &late);
}

/// GitHub's code was good for whoever brought it. Now only who began the attempt has what belongs to it.
#[test]
fn a_code_of_githubs_that_was_stolen_is_worth_nothing_in_another_attempt() {
    let world = world();
    world.github.knobs().require_pkce(true);
    world.github.knobs().reuse_codes(true);
    let attempt = || {
        let mut browser = world.browser();
        let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
        assert_eq!(parameter(&authorize, "code_challenge_method").as_deref(), Some("S256"));
        (browser, world.github.approve(&authorize, "octocat"))
    };
    let (mut victim, good) = attempt();
    let (mut thief, own) = attempt();
    let code = |url: &str| parameter(url, "code").expect("a code");
    let stolen = own.replace(&code(&own), &code(&good));
    assert_eq!(led_nowhere(&thief.get(&stolen)), 400);
    let end = carried(&world, &mut victim, "octocat", &good);
    assert!(end.starts_with(CALLBACK), "control: {end}");
}

/// Names were put into the address as they were, and a target with a slash at its end got two: what came
/// after was another path, or another parameter.
#[test]
fn an_address_is_put_together_by_its_grammar() {
    let world = world();
    let (browser, _) = signed_in(&world, "octocat");
    let sent = |target: &str| browser.clone().get(&begin(target)).location().to_owned();
    for (target, start) in [
        ("https://oldest.example.com", "https://oldest.example.com/auth/callback?token="),
        ("https://oldest.example.com/", "https://oldest.example.com/auth/callback?token="),
        ("https://oldest.example.com/cb/", "https://oldest.example.com/cb/?token="),
        (
            "https://oldest.example.com/cb?a=%26b%3D",
            "https://oldest.example.com/cb?a=%26b%3D&token=",
        ),
    ] {
        let url = sent(target);
        assert!(url.starts_with(start) && url.ends_with("&user=octocat"), "{target}: {url}");
        assert_eq!(url.matches("token=").count(), 1, "{url}");
        assert_eq!(url.matches("user=").count(), 1, "{url}");
    }
    for broken in
        ["https://oldest.example.com/cb?user=mona", "https://oldest.example.com/cb?token=x"]
    {
        assert_eq!(led_nowhere(&browser.clone().get(&begin(broken))), 400, "{broken}");
    }
}
