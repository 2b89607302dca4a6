//! The rules of one route: policies below it, each of which some request reaches.

use std::time::Duration;

use http::Method;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Route, Rule as RawRule};
use super::super::report::Fault;
use super::super::scalar::Text;
use super::super::written::Allow;
use super::access::{denied, methods, overlap};
use super::{Check, Gateway};
use crate::route::{Answers, Entry, PathPrefix, Rule};

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
        self.says_something(raw, &at.place);
        let entry = self.entry(raw, route);
        let second = Duration::from_secs(1);
        let timeouts = raw.timeouts.value();
        let read = timeouts.map(|raw| &raw.read).filter(|read| read.given().is_some());
        Some(Rule {
            methods: methods(&raw.methods),
            answers: self.answers(&raw.answers),
            body_limit: raw.body_limit.value().map(|limit| limit.0),
            read_timeout: read.map(|read| self.span(read, second, second)),
            ..Rule::new(prefix?, entry?)
        })
    }

    fn says_something(&mut self, raw: &RawRule, place: &Place) {
        let is_silent = raw.allow.is_absent()
            && raw.answers.is_absent()
            && raw.body_limit.is_absent()
            && raw.timeouts.is_absent();
        if is_silent {
            let fault = Fault::new("this rule says nothing of its path")
                .note("whom it lets in, as in `allow: { teams: [acme/admins] }` or `allow: nobody`")
                .note("or what else is different there: `answers`, `body_limit`, `timeouts`");
            self.problem(place, fault);
        }
    }

    /// Who may pass there. A rule that does not say it leaves it to `public` and the route.
    fn entry(&mut self, raw: &RawRule, route: &Route) -> Option<Entry> {
        match raw.allow.given() {
            Some(At { value: Allow::Nobody, .. }) => Some(Entry::Closed),
            Some(at) => Some(Entry::Policy(self.allow(at, denied(route)))),
            None => raw.allow.is_absent().then_some(Entry::AsTheRoute),
        }
    }

    fn answers(&mut self, field: &Field<Text>) -> Answers {
        let words = [("pages", Answers::Pages), ("json", Answers::Json)];
        self.word(field, "a form of answers", &words).unwrap_or_default()
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
