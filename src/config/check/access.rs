//! Who may pass where: the policy and the public paths of one route.

use http::Method;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::Route;
use super::super::report::Fault;
use super::super::scalar::{PlainPath, Scalar, Text};
use super::super::written::Allow;
use super::{Check, Gateway};
use crate::identity::UserPattern;
use crate::policy::Policy;
use crate::route::{PathPattern, PathPrefix};

// === impl Check: policies ===

impl Check<'_> {
    /// The route's own policy. It may be left out where everything is public.
    pub(super) fn policy(
        &mut self,
        route: &Route,
        place: &Place,
        all_public: bool,
    ) -> Option<Policy> {
        let deny = denied(route);
        if route.allow.is_absent() && all_public {
            return Some(Policy { deny, ..Policy::default() });
        }
        let missing = || {
            Fault::new("this route does not say whom it lets in")
                .note("write `allow: { orgs: [acme] }`, or `allow: anyone` for anyone with a GitHub account")
                .note("or `public: [/*]` if nobody needs to sign in")
        };
        let at = self.required(&route.allow, place, missing)?;
        Some(self.allow(at, deny))
    }

    pub(super) fn allow(&mut self, at: &At<Allow>, deny: Vec<UserPattern>) -> Policy {
        let lists = match &at.value {
            Allow::Anyone => return Policy { anyone: true, deny, ..Policy::default() },
            Allow::Nobody => {
                let fault = Fault::new("`allow: nobody` is for rules");
                self.problem(
                    &at.place,
                    fault.note("as in `rules: [{ path: /admin, allow: nobody }]`"),
                );
                return Policy { deny, ..Policy::default() };
            }
            Allow::Lists(lists) => lists,
        };
        let policy = Policy {
            anyone: false,
            users: values(&lists.users),
            orgs: values(&lists.orgs),
            teams: values(&lists.teams),
            emails: values(&lists.emails),
            deny,
        };
        let nobody = says_nothing(&lists.users)
            && says_nothing(&lists.orgs)
            && says_nothing(&lists.teams)
            && says_nothing(&lists.emails);
        if nobody {
            let fault = Fault::new("this `allow` lets nobody in");
            self.problem(
                &at.key,
                fault
                    .note("name somebody: `allow: { orgs: [acme], users: [octocat] }`")
                    .note("or write `allow: anyone` for anyone with a GitHub account"),
            );
        }
        policy
    }
}

pub(super) fn denied(route: &Route) -> Vec<UserPattern> {
    route.deny.value().map_or_else(Vec::new, |deny| values(&deny.users))
}

/// Whether a list is left out or empty; one that cannot be read was meant to say something.
fn says_nothing<T>(field: &Field<Vec<At<T>>>) -> bool {
    field.is_absent() || field.value().is_some_and(Vec::is_empty)
}

fn values<T: Clone>(field: &Field<Vec<At<T>>>) -> Vec<T> {
    field.items().iter().map(|at| at.value.clone()).collect()
}

/// The methods of a route or a rule.
pub(super) fn methods(field: &Field<Vec<At<Method>>>) -> Option<Vec<Method>> {
    field.given().map(|at| at.value.iter().map(|at| at.value.clone()).collect())
}

// === impl Check: paths ===

impl Check<'_> {
    /// A list of methods names some.
    pub(super) fn methods_are_some(&mut self, field: &Field<Vec<At<Method>>>) {
        if let Some(at) = field.given().filter(|at| at.value.is_empty()) {
            let fault = Fault::new("this list takes no method at all");
            self.problem(&at.key, fault.help("leave it out to take every method"));
        }
    }

    /// The path where a route or a rule begins.
    pub(super) fn path_prefix(&mut self, at: &At<PlainPath>, gateway: &Gateway) -> PathPrefix {
        let path = at.value.0.as_str();
        if let Some(parent) = path.strip_suffix("/*").or_else(|| path.strip_suffix("/**")) {
            let parent = if parent.is_empty() { "/" } else { parent };
            let fault = Fault::new("a path covers everything below it by itself");
            self.problem(&at.place, fault.suggest(Some(parent)));
        } else if path.contains('*') {
            let fault = Fault::new("there are no wildcards within a path");
            self.problem(
                &at.place,
                fault.note("write where it begins: `/a` covers `/a` and all below it"),
            );
        }
        self.is_not_the_gateways(path, &at.place, gateway);
        PathPrefix::new(path)
    }

    /// The paths that need no sign-in.
    pub(super) fn public(
        &mut self,
        route: &Route,
        path: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Vec<PathPattern> {
        let items = route.public.items();
        items.iter().filter_map(|at| self.public_path(at, path, gateway)).collect()
    }

    fn public_path(
        &mut self,
        at: &At<Text>,
        route: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Option<PathPattern> {
        let text = at.value.0.as_str();
        let plain = text
            .strip_suffix("/*")
            .map_or(text, |start| if start.is_empty() { "/" } else { start });
        if plain.contains('*') {
            let fault = Fault::new(format!("`{text}` has a `*` where it means nothing"));
            self.problem(
                &at.place,
                fault.note(
                    "`/share/*` is everything below `/share/`; `/healthz` is that path alone",
                ),
            );
            return None;
        }
        if !text.starts_with('/') {
            let fault = Fault::new(format!("`{text}` is not a path"));
            self.problem(&at.place, fault.suggest(Some(&format!("/{text}"))));
            return None;
        }
        PlainPath::parse(plain).map_err(|fault| self.problem(&at.place, fault)).ok()?;
        self.is_not_the_gateways(plain, &at.place, gateway);
        let pattern = PathPattern::new(text);
        if let Some(route) = route.filter(|route| !touches(&pattern, route)) {
            let fault = Fault::new(format!("`{text}` is not below the route's path, `{route}`"));
            self.problem(&at.place, fault.note("public paths are written from the host's root on"));
        }
        Some(pattern)
    }

    /// The gateway answers below its prefix itself, whatever a route says.
    fn is_not_the_gateways(&mut self, path: &str, place: &Place, gateway: &Gateway) {
        let own = PathPrefix::new(&gateway.prefix.to_ascii_lowercase());
        if !own.as_str().is_empty() && own.covers(&path.to_ascii_lowercase()) {
            let fault =
                Fault::new(format!("the gateway answers below `{}/` itself", gateway.prefix));
            self.problem(
                place,
                fault.note("take another path, or move the gateway's pages with `prefix`"),
            );
        }
    }
}

/// Whether a pattern and a route have paths in common.
fn touches(pattern: &PathPattern, route: &PathPrefix) -> bool {
    match pattern {
        PathPattern::Exact(path) => route.covers(path),
        PathPattern::Below(start) => {
            route.covers(start) || format!("{route}").starts_with(&**start)
        }
    }
}

/// Whether the patterns leave no path of the route for its policy.
pub(super) fn all_public(patterns: &[PathPattern], route: &PathPrefix) -> bool {
    let itself = if route.as_str().is_empty() { "/" } else { route.as_str() };
    let below = |pattern: &PathPattern| matches!(pattern, PathPattern::Below(start) if route.to_string().starts_with(&**start));
    patterns.iter().any(below) && patterns.iter().any(|pattern| pattern.fits(itself))
}

/// Whether two lists of methods have one in common; `None` is all.
pub(super) fn overlap(one: Option<&[Method]>, other: Option<&[Method]>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.iter().any(|method| other.contains(method)),
        _ => true,
    }
}
