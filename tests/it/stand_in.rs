//! The pages of the simulated Trackeep in a real browser: what their script keeps, and where.

use std::net::SocketAddr;

use gatekeep::simulator::Trackeep;
use serde_json::json;

use crate::support::webdriver::Window;

/// `None` where there is no Chromium, said aloud.
#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
fn window() -> Option<Window> {
    let window = Window::open();
    window.inspect_err(|why| eprintln!("SKIPPED: no stand-in in a real browser: {why}")).ok()
}

#[test]
fn the_pages_keep_a_token_where_scripts_find_it() {
    let Some(window) = window() else { return };
    let trackeep = Trackeep::start(SocketAddr::from(([127, 0, 0, 1], 0))).expect("it starts");
    trackeep.add_user("octocat@github.com", "octocat", "secret", "admin");
    let kept = |name: &str| {
        window.script(&format!("return localStorage.getItem('{name}')")).expect("scripts run")
    };

    window.go(&format!("{}/app/notes/7", trackeep.url()));
    window.wait_for_text("#status", "Authentication Required");
    let token = trackeep.token_of("octocat");
    window.go(&format!("{}/auth/callback?token={token}", trackeep.url()));
    window.wait_for_text("#status", "Signed in as octocat");
    assert_eq!(window.url(), format!("{}/app", trackeep.url()));
    for name in ["trackeep_token", "token"] {
        assert_eq!(kept(name), json!(token));
    }
    for name in ["trackeep_user", "user"] {
        assert!(kept(name).as_str().is_some_and(|it| it.contains("octocat@github.com")));
    }

    // Any other text is a token to the page, and not to the server.
    window.script("localStorage.setItem('trackeep_token', 'gatekeep')").expect("scripts run");
    window.go(&format!("{}/app", trackeep.url()));
    window.wait_for_text("#status", "The server says 401: Invalid token");
    window.tick("#logout");
    window.wait_for_text("#status", "Sign in to Trackeep");
    assert_eq!(kept("trackeep_token"), json!(null));
    assert_eq!(trackeep.answered("POST /api/v1/auth/logout", 200), 1);
    let sockets = trackeep.token_of("octocat");
    window.go(&format!("{}/auth/callback?token={sockets}", trackeep.url()));
    window.wait_for_text("#status", "Signed in as octocat");
    window.go(&format!("{}/app/messages", trackeep.url()));
    window.wait_for_text("#content", "\"type\":\"typing.started\"");
    assert_eq!(trackeep.open_sockets(), 1);
}
