//! The rules of one route: policies below it, each of which some request reaches.

use http::Method;

use super::super::field::At;
use super::super::locate::Place;
use super::super::raw::{Route, Rule as RawRule};
use super::super::report::Fault;
use super::access::{denied, methods, overlap};
use super::{Check, Gateway};
use crate::route::{PathPrefix, Rule};

/// How an earlier rule stands in a later one's way.
#[derive(Clone, Copy)]
enum Clash {
    Shadowed,
    Overlap,
    Case,
}

// === impl Check ===

impl Check<'_> {
    /// The rules of a route, each of which can be reached.
    pub(super) fn rules(
        &mut self,
        route: &Route,
        path: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Option<Vec<Rule>> {
        let raw = route.rules.items();
        let rules: Vec<_> = raw.iter().map(|at| self.rule(at, route, path, gateway)).collect();
        for (later, at) in rules.iter().zip(raw).skip(1) {
            let mut earlier =
                rules.iter().zip(raw).take_while(|(_, earlier)| earlier.place != at.place);
            let clash = earlier
                .find_map(|(rule, raw)| Some((clash(rule.as_ref()?, later.as_ref()?)?, raw)));
            if let (Some((clash, earlier)), Some(path)) = (clash, at.value.path.given()) {
                self.rules_clash(clash, earlier, &path.place);
            }
        }
        rules.into_iter().collect()
    }

    fn rule(
        &mut self,
        at: &At<RawRule>,
        route: &Route,
        inside: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Option<Rule> {
        let raw = &at.value;
        self.methods_are_some(&raw.methods);
        let missing = || {
            Fault::new("this rule has no `path`")
                .note("as in `path: /admin`, which covers all below it")
        };
        let path = self.required(&raw.path, &at.place, missing);
        let prefix = path.map(|path| self.path_prefix(path, gateway));
        if let (Some(inside), Some(prefix), Some(path)) = (inside, &prefix, path)
            && !inside.covers(prefix.as_str())
        {
            let fault =
                Fault::new(format!("`{}` is not below the route's path, `{inside}`", path.value.0));
            self.problem(
                &path.place,
                fault.note("paths of rules are written from the host's root on"),
            );
        }
        let missing = || {
            Fault::new("this rule does not say whom it lets in")
                .note("as in `allow: { teams: [acme/admins] }`")
        };
        let policy = self.required(&raw.allow, &at.place, missing);
        let policy = policy.map(|allow| self.allow(allow, denied(route)));
        Some(Rule { path: prefix?, methods: methods(&raw.methods), policy: policy? })
    }

    fn rules_clash(&mut self, clash: Clash, earlier: &At<RawRule>, place: &Place) {
        let line = self.report.line(&earlier.place);
        self.problem(
            place,
            match clash {
                Clash::Shadowed => Fault::new(format!(
                    "no request reaches this rule: the one in line {line} takes them all"
                ))
                .note("the first rule that matches decides: put the narrower one first"),
                Clash::Overlap => Fault::new(format!(
                    "the rule in line {line} decides for some of these methods already"
                ))
                .note("give each method to one rule"),
                Clash::Case => Fault::new(format!(
                    "this path and the one in line {line} differ in letter case alone"
                ))
                .note("requests for either would be refused, for an app may take them as one"),
            },
        );
    }
}

fn clash(earlier: &Rule, later: &Rule) -> Option<Clash> {
    let (one, other) = (earlier.path.as_str(), later.path.as_str());
    let methods = (earlier.methods.as_deref(), later.methods.as_deref());
    if one != other && one.eq_ignore_ascii_case(other) {
        return overlap(methods.0, methods.1).then_some(Clash::Case);
    }
    let shadowed = (one == other || earlier.path.covers(other)) && includes(methods.0, methods.1);
    if shadowed {
        return Some(Clash::Shadowed);
    }
    (one == other && overlap(methods.0, methods.1)).then_some(Clash::Overlap)
}

/// Whether the first list holds all of the second.
fn includes(all: Option<&[Method]>, some: Option<&[Method]>) -> bool {
    match (all, some) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(all), Some(some)) => some.iter().all(|method| all.contains(method)),
    }
}
