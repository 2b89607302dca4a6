//! Which paths of the API a client may ask for at all.
//!
//! Two judges: the list of routes that nobody gets through a gateway, and the operator's own rules.
//! Both read a path in every way in which GitHub, or a server before it, could read it.

use http::Method;

mod reading;
mod rule;
mod template;
#[cfg(test)]
mod tests;

use reading::{Reading, readings};
pub use rule::{Rule, RuleError};

/// What an operator says about the paths of a route. The first denial that fits decides; where
/// anything is allowed by name, everything else is denied.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Nothing but these; empty allows everything.
    pub allow: Vec<Rule>,
    /// None of these.
    pub deny: Vec<Rule>,
}

/// Why a call does not go to GitHub. `Display` is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<'r> {
    /// The path climbs, or hides its meaning in layers of percent-encoding.
    #[error("the path can be read in too many ways")]
    Ambiguous,
    /// On the list of routes that nobody gets.
    #[error("the gateway never passes this path on: it is about credentials")]
    Dangerous,
    /// The operator's denial.
    #[error("the rule `deny: {0}` fits")]
    Denied(&'r Rule),
    /// The operator allows other calls only.
    #[error("no rule under `allow` fits")]
    NotAllowed,
    /// A query asks for what it likes, also for what the operator denies by its path.
    #[error("rules under `deny` cannot look into GraphQL: it needs `POST /graphql` under `allow`")]
    PastDenials,
}

/// What makes, shows or ends credentials; what only an App itself may ask for, so that a user's
/// token gets 401 and looks withdrawn; and archives of whole organisations. For every method.
/// <https://docs.github.com/en/rest/overview/endpoints-available-for-github-app-installation-access-tokens>
const DANGEROUS: [&str; 32] = [
    // GraphQL in a spelling of its own: it is judged as what it is, or not passed on.
    "/graphql*/**",
    // Apps and their tokens.
    "/app/**",
    "/app.*/**",
    "/app-manifests*/**",
    "/applications*/**",
    "/installation/token*/**",
    "/installations/*/access_tokens*/**",
    "/marketplace_listing*/**",
    "/enterprises/*/installation",
    "/orgs/*/installation",
    "/repos/*/*/installation",
    "/users/*/installation",
    // People's tokens; those below `/admin` and `/authorizations` on GitHub Enterprise Server.
    "/admin/tokens*/**",
    "/admin/users/*/authorizations*/**",
    "/authorizations*/**",
    "/credentials/revoke*/**",
    "/enterprises/*/personal-access-token*/**",
    "/orgs/*/personal-access-token*/**",
    // Machines that run workflows.
    "/enterprises/*/actions/runners/generate-jitconfig*/**",
    "/enterprises/*/actions/runners/registration-token*/**",
    "/enterprises/*/actions/runners/remove-token*/**",
    "/orgs/*/actions/runners/generate-jitconfig*/**",
    "/orgs/*/actions/runners/registration-token*/**",
    "/orgs/*/actions/runners/remove-token*/**",
    "/repos/*/*/actions/runners/generate-jitconfig*/**",
    "/repos/*/*/actions/runners/registration-token*/**",
    "/repos/*/*/actions/runners/remove-token*/**",
    // Archives.
    "/enterprises/*/migrations/*/archive*/**",
    "/orgs/*/migrations/*/archive*/**",
    "/orgs/*/migrations/*/repos/*/archive*/**",
    "/repos/*/*/migrations/*/archive*/**",
    "/user/migrations/*/archive*/**",
];

/// Whether nobody gets this path of the API, whatever the method. It begins with its slash, without
/// the route before it.
pub fn denied(path: &str) -> bool {
    readings(path).is_none_or(|readings| is_dangerous(&readings))
}

fn is_dangerous(readings: &[Reading]) -> bool {
    readings.iter().any(|path| DANGEROUS.iter().any(|template| path.may_fit(template)))
}

// === impl Rules ===

impl Rules {
    /// Judges a call of the REST API by its method and its path, and by the list of routes that
    /// nobody gets, which no rule opens.
    pub fn judge(&self, method: &Method, path: &str) -> Result<(), Refusal<'_>> {
        let readings = readings(path).ok_or(Refusal::Ambiguous)?;
        if is_dangerous(&readings) {
            return Err(Refusal::Dangerous);
        }
        self.by_the_operator(method, &readings)
    }

    /// Judges a call of GraphQL, which the rules know as `/graphql`. A query can ask for nearly all
    /// that paths give: where some are denied, so is GraphQL, unless it is allowed by its name.
    pub fn judge_graphql(&self, method: &Method) -> Result<(), Refusal<'_>> {
        if !self.deny.is_empty() && !self.allow.iter().any(Rule::names_graphql) {
            return Err(Refusal::PastDenials);
        }
        self.by_the_operator(method, &readings("/graphql").ok_or(Refusal::Ambiguous)?)
    }

    fn by_the_operator(&self, method: &Method, readings: &[Reading]) -> Result<(), Refusal<'_>> {
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies(method, readings)) {
            return Err(Refusal::Denied(rule));
        }
        let is_allowed =
            self.allow.is_empty() || self.allow.iter().any(|rule| rule.allows(method, readings));
        if is_allowed { Ok(()) } else { Err(Refusal::NotAllowed) }
    }
}
