//! GitHub's names: people, organisations, teams, e-mails.

use super::super::report::Fault;
use super::Scalar;
use crate::identity::{EmailPattern, Login, NameError, OrgName, TeamRef};

macro_rules! github_names {
    ($($name:ident: $what:literal,)+) => {$(
        impl Scalar for $name {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, Fault> {
                text.parse().map_err(|error: NameError| match meant(text) {
                    Some(help) => Fault::new(error.to_string()).help(help),
                    None => Fault::new(error.to_string()),
                })
            }
        }
    )+};
}

github_names! {
    Login: "a GitHub login such as `octocat`",
    OrgName: "an organisation such as `acme`",
    TeamRef: "a team such as `acme/platform`",
    EmailPattern: "an e-mail address, or `\"*@acme.com\"`",
}

/// `@octocat` and `@acme/platform` are how one mentions people; other names belong in other lists.
fn meant(text: &str) -> Option<String> {
    let is_name = |text: &str| text.parse::<OrgName>().is_ok() || text.parse::<TeamRef>().is_ok();
    let pattern = text.strip_prefix("*.").map(|domain| format!("*@{domain}"));
    let better = pattern.filter(|better| better.parse::<EmailPattern>().is_ok());
    let better =
        better.or_else(|| text.strip_prefix('@').map(str::to_owned).filter(|name| is_name(name)));
    if let Some(better) = better {
        return Some(format!("did you mean `{better}`?"));
    }
    let home = if text.parse::<EmailPattern>().is_ok() { "emails" } else { "teams" };
    let at_home = text.parse::<EmailPattern>().is_ok() || text.parse::<TeamRef>().is_ok();
    at_home.then(|| format!("that belongs in `{home}`"))
}
