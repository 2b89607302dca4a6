//! Routes in each other's way: the same name, the same requests, or paths that must be told apart.

use super::super::field::At;
use super::super::locate::Place;
use super::super::raw::Route;
use super::super::report::Fault;
use super::super::written::Upstream;
use super::access::{all_public, methods, overlap};
use super::routes::{host_of, path_of};
use super::{Check, Gateway};
use crate::route::{HostPattern, PathPattern, PathPrefix};

/// A route whose host and path could be read.
struct Placed<'r> {
    raw: &'r Route,
    place: &'r Place,
    host: HostPattern,
    path: PathPrefix,
}

// === impl Check ===

impl Check<'_> {
    /// Compares each route with those before it.
    pub(super) fn clashes(&mut self, routes: &[At<Route>], gateway: &Gateway) {
        self.names_are_distinct(routes);
        let placed: Vec<_> = routes.iter().filter_map(|at| placed(at, gateway)).collect();
        for (index, later) in placed.iter().enumerate() {
            if let Some(earlier) =
                placed[..index].iter().find(|earlier| same_requests(earlier, later))
            {
                self.same_requests(earlier, later);
            }
            self.loose_paths(later, &placed);
        }
    }

    fn names_are_distinct(&mut self, routes: &[At<Route>]) {
        let names: Vec<_> = routes.iter().filter_map(|at| at.value.name.given()).collect();
        for (index, later) in names.iter().enumerate() {
            if let Some(earlier) =
                names[..index].iter().find(|earlier| earlier.value.0 == later.value.0)
            {
                let line = self.report.line(&earlier.place);
                let fault = Fault::new(format!(
                    "the name `{}` is taken by the route in line {line}",
                    later.value.0
                ));
                self.problem(&later.place, fault.help("choose another"));
            }
        }
    }

    fn same_requests(&mut self, earlier: &Placed<'_>, later: &Placed<'_>) {
        let line = self.report.line(earlier.place);
        let fault = Fault::new(format!(
            "the route in line {line} takes the same requests: `{}`, path `{}`",
            HostPattern { port: None, ..later.host.clone() },
            later.path
        ));
        let fault = fault.note("tell them apart by `host`, `path` or `methods`");
        let raw = later.raw;
        let place = raw.path.given().map(|at| &at.place).or(raw.host.given().map(|at| &at.place));
        self.problem(place.unwrap_or(later.place), fault);
    }

    /// Loose paths can be read in two ways, so nothing may be decided by path where they are taken.
    fn loose_paths(&mut self, route: &Placed<'_>, all: &[Placed<'_>]) {
        let Some(key) = why_loose(route.raw) else { return };
        let note = "a path with an encoded slash or a `;` can be read in two ways, so nothing may be decided by it";
        let asks_by_path =
            !(route.raw.public.items().is_empty() && route.raw.rules.items().is_empty());
        if asks_by_path && !route.raw.loose_paths.is_absent() {
            let fault = Fault::new("`loose_paths` goes with neither `public` nor `rules`");
            self.problem(key, fault.note(note));
        }
        let below = |other: &&Placed<'_>| {
            same_host(&other.host, &route.host)
                && other.path != route.path
                && covers(&route.path, &other.path)
                && !is_for_everybody(other)
        };
        if let Some(other) = all.iter().find(below) {
            let line = self.report.line(other.place);
            let what =
                if route.raw.loose_paths.is_absent() { "GitHub's API" } else { "`loose_paths`" };
            let fault = Fault::new(format!(
                "{what} is not for a route with another below it, as in line {line}"
            ));
            self.problem(key, fault.note(note));
        }
    }
}

/// Whether a route lets everybody pass: what is not seen to be its own is asked for more elsewhere,
/// never for less.
fn is_for_everybody(route: &Placed<'_>) -> bool {
    let public = route.raw.public.items().iter().map(|at| PathPattern::new(&at.value.0));
    all_public(&public.collect::<Vec<_>>(), &route.path)
        && route.raw.rules.is_absent()
        && route.raw.methods.is_absent()
}

/// Where it says that a route takes loose paths: it says so, or it leads to GitHub.
fn why_loose(route: &Route) -> Option<&Place> {
    let said = route.loose_paths.given().filter(|at| at.value).map(|at| &at.key);
    let to_github = |at: &&At<Upstream>| matches!(at.value, Upstream::GitHub(_));
    said.or_else(|| route.upstream.given().filter(to_github).map(|at| &at.key))
}

fn placed<'r>(at: &'r At<Route>, gateway: &Gateway) -> Option<Placed<'r>> {
    let host = host_of(&at.value, gateway)?;
    let path = path_of(&at.value)?;
    Some(Placed { raw: &at.value, place: &at.place, host, path })
}

fn same_requests(one: &Placed<'_>, other: &Placed<'_>) -> bool {
    let (a, b) = (methods(&one.raw.methods), methods(&other.raw.methods));
    same_host(&one.host, &other.host)
        && one.path == other.path
        && overlap(a.as_deref(), b.as_deref())
}

/// The port is in the address bar alone: requests are told apart by the name.
fn same_host(one: &HostPattern, other: &HostPattern) -> bool {
    one.name == other.name && one.wildcard == other.wildcard
}

/// Whether a path lies below another, also for a server that does not regard case.
fn covers(above: &PathPrefix, below: &PathPrefix) -> bool {
    let folded = PathPrefix::new(&above.as_str().to_ascii_lowercase());
    folded.covers(&below.as_str().to_ascii_lowercase())
}
