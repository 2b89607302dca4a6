//! The app that the service before was registered as at GitHub goes on: its callback is at the service,
//! and everybody comes back there.

use super::*;

const OLD: &str = "/auth/github/callback";

/// The service is where the gateway is for browsers as well.
fn moved_in() -> World {
    let github = format!("github.timeout: 5s, {SCOPES}, callback_path: {OLD}\n");
    World::with(&format!("{github}public_url: {SERVICE}\n{BROKER}"), ROUTES)
}

/// What GitHub is asked from a page, and where it sends the browser back to.
fn there_and_back(world: &World, browser: &mut Browser, from: &str) -> String {
    let authorize = world.authorize_url(browser, from);
    let callback = format!("{SERVICE}{OLD}");
    assert_eq!(parameter(&authorize, "redirect_uri"), Some(callback.clone()));
    let back = world.github.approve(&authorize, "octocat");
    assert!(back.starts_with(&format!("{callback}?")), "{back}");
    back
}

#[test]
fn visitors_of_a_route_come_back_by_the_old_callback() {
    let world = moved_in();
    assert_eq!(world.gate.callback, format!("{SERVICE}{OLD}"), "it alone is registered at GitHub");
    let mut browser = world.browser();
    let page = "https://app.example.com/notes?x=1";
    let back = there_and_back(&world, &mut browser, page);
    let (end, shown) = browser.follow(&back);
    assert_eq!((end.as_str(), shown.status), (page, 200), "{}", shown.text());
    assert_eq!(world.app.hits(), 1);
    let again = world.browser().get(&back);
    assert_eq!(again.header("location"), None, "it is good once, and in that browser");
}

#[test]
fn visitors_of_an_instance_come_back_by_the_old_callback() {
    let world = moved_in();
    let mut browser = world.browser();
    let back = there_and_back(&world, &mut browser, &begin(CALLBACK));
    let end = carried(&world, &mut browser, "octocat", &back);
    assert!(end.starts_with(&format!("{CALLBACK}?token=")), "{end}");
    let code = parameter(&end, "token").expect("a code");
    assert_eq!(decoded::<Validated>(&exchange(&world, &code)).user.username, "octocat");
}

/// The callback is one path to the letter; beside it the service knows nothing.
#[test]
fn nothing_beside_the_old_callback_takes_anybody_back() {
    let world = moved_in();
    let mut browser = world.browser();
    let back = there_and_back(&world, &mut browser, &begin(CALLBACK));
    for other in ["/auth/github/callback/", "/auth/github/Callback", "/auth/callback", "/callback"]
    {
        let answer = browser.get(&back.replacen(OLD, other, 1));
        assert_eq!(refusal(&answer), (404, "not found".to_owned()), "{other}");
    }
    let posted = browser.post(&back, &[]);
    assert_eq!((posted.status, posted.header("location")), (404, None));
    assert_eq!(browser.get(&back).status, 303, "control: it was not used up");
    // Who has another callback has none there.
    let usual = super::world();
    assert_eq!(refusal(&usual.browser().get(&format!("{SERVICE}{OLD}?code=x&state=y"))).0, 404);
}
