//! What several gateways on one Redis promise.

use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::http::Response;

/// A token is renewed once, by one of them.
mod refresh;
/// A token of an installation, too.
mod installations;
/// Signed out at one is signed out at the other.
mod sign_out;
/// Redis stopped, slow, cut off, restarted, emptied.
mod outage;
/// Clocks that jump.
mod clocks;
/// Rows that were altered or exchanged.
mod rows;

const APP: &str = "https://app.example.com/page";
const SIGN_OUT: &str = "https://app.example.com/.gatekeep/sign_out";
const OCTOCAT: &str = "octocat";

/// Everybody may enter.
const OPEN: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone }
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
";

/// Long enough for machines that have much to do.
const PATIENT: Duration = Duration::from_secs(5);

/// The token of the sign-out form.
fn form_token(browser: &mut Browser) -> String {
    let page = browser.get(SIGN_OUT).text();
    let token = page.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{page}")).1;
    token.split_once('"').expect("a token").0.to_owned()
}

fn sign_out(browser: &mut Browser, token: &str) -> Response {
    browser.post(SIGN_OUT, &[("csrf", token)])
}
