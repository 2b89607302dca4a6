//! Signing in, coming back to the page asked for, and signing out.

use crate::support::World;

#[test]
fn a_visitor_signs_in_and_lands_on_the_page_asked_for() {
    let world = World::new();
    let url = "https://app.example.com/deep/link?u=https://elsewhere.example/x&y=1";
    let (browser, page) = world.signed_in("octocat", url);
    assert_eq!(page.status, 200, "{}", page.text());
    let seen = world.app.requests();
    let seen = seen.last().expect("the app was reached");
    assert_eq!(seen.target, "/deep/link?u=https://elsewhere.example/x&y=1");
    assert_eq!(seen.header("x-forwarded-user"), Some("octocat"));
    assert_eq!(seen.header("x-forwarded-groups"), Some("acme,acme/platform"));
    assert!(browser.session("app.example.com").is_some());
    assert!(browser.session("auth.example.com").is_some());
}
