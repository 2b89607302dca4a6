//! GitHub's names: people, organisations, teams, e-mails.

use super::super::report::Fault;
use super::Scalar;
use crate::identity::{EmailPattern, NameError, OrgName, TeamRef, UserPattern};

macro_rules! github_names {
    ($($name:ident: $what:literal,)+) => {$(
        impl Scalar for $name {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, Fault> {
                text.parse().map_err(|error: NameError| {
                    let fault = Fault::new(error.to_string());
                    match (meant(text), error) {
                        (Some(help), _) => fault.help(help),
                        (None, NameError::Id(_)) => fault.note(NUMBERS),
                        (None, _) => fault,
                    }
                })
            }
        }
    )+};
}

github_names! {
    UserPattern: "a GitHub login such as `octocat`, or `id:583231`",
    OrgName: "an organisation such as `acme`",
    TeamRef: "a team such as `acme/platform`",
    EmailPattern: "an e-mail address, or `\"*@acme.com\"`",
}

const NUMBERS: &str =
    "GitHub's API shows the number of an account as `id`: https://api.github.com/users/LOGIN";

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
