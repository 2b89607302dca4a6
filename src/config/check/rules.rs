//! The rules of one route: policies below it, each of which some request reaches.

use std::time::Duration;

use http::Method;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{OwnRedirects as Watched, Route, Rule as RawRule};
use super::super::report::Fault;
use super::super::scalar::{PlainPath, Text};
use super::super::written::{Allow, Bearer as Tokens};
use super::access::{denied, methods, overlap};
use super::passing::words;
use super::{Check, Gateway};
use crate::api_key::PREFIX;
use crate::route::{Answers, Bearer, Entry, OwnRedirects, PathPrefix, Rule};

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
        // What a preset adds gives way.
        let preset = route.preset.given().map(|at| &at.place);
        let own = raw.iter().enumerate().filter(|(_, at)| preset != Some(&at.place));
        for (index, at) in own {
            let mut earlier = rules[..index].iter().zip(raw);
            let clash = earlier.find_map(|(rule, raw)| {
                Some((clash(rule.as_ref()?, rules[index].as_ref()?)?, raw))
            });
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
        let prefix = path.map(|path| self.path_inside(path, inside, gateway));
        self.says_something(raw, &at.place);
        let entry = self.entry(raw, route);
        let second = Duration::from_secs(1);
        let timeouts = raw.timeouts.value();
        let read = timeouts.map(|raw| &raw.read).filter(|read| read.given().is_some());
        let bearer = self.bearer(raw, route);
        Some(Rule {
            methods: methods(&raw.methods),
            answers: self.answers(&raw.answers, bearer.is_some()),
            bearer,
            redirects: self.own_redirects(&raw.own_redirects),
            body_limit: raw.body_limit.value().map(|limit| limit.0),
            read_timeout: read.map(|read| self.span(read, second, second)),
            ..Rule::new(prefix?, entry?)
        })
    }

    /// A path that lies below the route's.
    pub(super) fn path_inside(
        &mut self,
        at: &At<PlainPath>,
        inside: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> PathPrefix {
        let prefix = self.path_prefix(at, gateway);
        if let Some(inside) = inside.filter(|inside| !inside.covers(prefix.as_str())) {
            let path = &at.value.0;
            let fault = Fault::new(format!("`{path}` is not below the route's path, `{inside}`"));
            let note = "paths are written from the host's root on";
            self.problem(&at.place, fault.note(note));
        }
        prefix
    }

    fn says_something(&mut self, raw: &RawRule, place: &Place) {
        let is_silent = raw.allow.is_absent()
            && raw.bearer.is_absent()
            && raw.own_redirects.is_absent()
            && raw.answers.is_absent()
            && raw.body_limit.is_absent()
            && raw.timeouts.is_absent();
        if is_silent {
            let fault = Fault::new("this rule says nothing of its path")
                .note("whom it lets in, as in `allow: { teams: [acme/admins] }` or `allow: nobody`")
                .note("or what else is different there: `bearer`, `own_redirects`, `answers`, `body_limit`, `timeouts`");
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

    /// The tokens of the app's own that are taken there.
    fn bearer(&mut self, raw: &RawRule, route: &Route) -> Option<Bearer> {
        let at = raw.bearer.given()?;
        if matches!(raw.allow.value(), Some(Allow::Nobody)) {
            let fault = Fault::new("`bearer` opens what `allow: nobody` closes");
            self.problem(&at.key, fault.help("leave one of them out"));
        }
        let header = route.token.value().and_then(|token| token.header.value());
        if header.is_some_and(|header| header.0 == "Authorization") {
            let fault = Fault::new("the gateway's own token takes the place of the app's");
            self.problem(
                &at.key,
                fault.note(
                    "send it under its usual name: leave out `header: Authorization` of `token`",
                ),
            );
        }
        let Tokens::Of(keys) = &at.value else { return Some(Bearer::default()) };
        let text = |field: &Field<Text>| field.value().map(|text| text.0.as_str().into());
        if let Some(prefix) = keys.prefix.given().filter(|at| at.value.0.starts_with(PREFIX)) {
            let fault = Fault::new(format!("`{PREFIX}` begins the gateway's own API keys"));
            self.problem(
                &prefix.place,
                fault.note("those are judged by the gateway, on every path"),
            );
        }
        Some(Bearer { prefix: text(&keys.prefix).unwrap_or_default(), query: text(&keys.query) })
    }

    fn own_redirects(&mut self, field: &Field<Watched>) -> Option<OwnRedirects> {
        let at = field.given()?;
        let (parameters, cookies) = (words(&at.value.parameters), words(&at.value.cookies));
        let location = at.value.location.value() == Some(&true);
        let is_silent = |field: &Field<Vec<At<Text>>>| {
            field.is_absent() || field.given().is_some_and(|at| at.value.is_empty())
        };
        if is_silent(&at.value.parameters) && is_silent(&at.value.cookies) && !location {
            let fault = Fault::new("this watches nothing");
            self.problem(
                &at.key,
                fault.note("as in `own_redirects: { parameters: [next], location: true }`"),
            );
        }
        Some(OwnRedirects { parameters, cookies, location })
    }

    /// Programs that show tokens follow no redirect, unless it is said that they do.
    fn answers(&mut self, field: &Field<Text>, to_programs: bool) -> Answers {
        let words = [("pages", Answers::Pages), ("json", Answers::Json)];
        let usual = if to_programs { Answers::Json } else { Answers::Pages };
        self.word(field, "a form of answers", &words).unwrap_or(usual)
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
