//! The table of routes: found by host and path in a time that does not depend on their number.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::path::plainest;
use super::{PathPrefix, Route, takes};
use crate::policy::Facts;
use crate::target::Target;

/// Why no route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// No route for this host and path.
    #[error("no route is configured for this host and path")]
    NoRoute,
    /// The routes at this path do not take the method.
    #[error("the route takes other methods")]
    Method,
    /// Two routes or rules differ from this path in letter case alone, or the path is loose where
    /// only plain ones are taken.
    #[error("the path can be read in two ways on this route")]
    Ambiguous,
}

/// All routes, found by host and path in a time that does not depend on their number.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    exact: HashMap<Box<str>, HostRoutes>,
    wildcard: HashMap<Box<str>, HostRoutes>,
}

/// The routes of one host.
#[derive(Debug, Default)]
struct HostRoutes {
    by_prefix: HashMap<Box<str>, Vec<usize>>,
    /// Lower-case prefix to the prefix as configured; `None` when two differ in case alone.
    by_folded: HashMap<Box<str>, Option<Box<str>>>,
    /// Segments of the longest prefix.
    depth: usize,
    /// Whether some prefix has capitals.
    capitals: bool,
}

// === impl RouteTable ===

impl RouteTable {
    /// Builds the table. Whether routes clash is the configuration's business.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.iter_mut().enumerate().for_each(|(index, route)| route.index = index);
        let routes = routes.into_iter().map(Arc::new).collect();
        let mut table = Self { routes, ..Self::default() };
        for (index, route) in table.routes.iter().enumerate() {
            let hosts = if route.host.wildcard { &mut table.wildcard } else { &mut table.exact };
            hosts.entry(route.host.name.clone()).or_default().insert(&route.path, index);
        }
        table
    }

    /// Every route, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// The route for a target: an exact host before a wildcard, then the longest path. The method
    /// is judged last, so that a method list narrows a route and never opens a shorter one.
    pub fn find(&self, target: &Target<'_>, method: &Method) -> Result<&Arc<Route>, Miss> {
        let host = self.host_routes(target.host()).ok_or(Miss::NoRoute)?;
        let indices = host.longest(target.path())?;
        let route = indices
            .iter()
            .map(|&index| &self.routes[index])
            .find(|route| takes(route.methods.as_deref(), method))
            .ok_or(Miss::Method)?;
        if target.is_loose() && !route.loose_paths {
            return Err(Miss::Ambiguous);
        }
        Ok(route)
    }

    /// Whether some route answers for this host.
    pub fn knows_host(&self, host: &str) -> bool {
        self.host_routes(host).is_some()
    }

    /// Some route of a host, by the same rule as [`find`](Self::find): exact before wildcard.
    pub fn first_at(&self, host: &str) -> Option<&Arc<Route>> {
        let place = *self.host_routes(host)?.by_prefix.values().flatten().min()?;
        self.routes.get(place)
    }

    /// The facts that some policy asks for.
    pub fn facts(&self) -> Facts {
        self.routes.iter().fold(Facts::default(), |facts, route| facts.and(route.facts()))
    }

    fn host_routes(&self, host: &str) -> Option<&HostRoutes> {
        self.exact.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

// === impl HostRoutes ===

impl HostRoutes {
    fn insert(&mut self, path: &PathPrefix, index: usize) {
        let prefix = path.as_str();
        self.by_prefix.entry(prefix.into()).or_default().push(index);
        self.by_folded
            .entry(prefix.to_ascii_lowercase().into())
            .and_modify(|known| {
                if known.as_deref() != Some(prefix) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some(prefix.into()));
        self.depth = self.depth.max(prefix.matches('/').count());
        self.capitals |= prefix.bytes().any(|b| b.is_ascii_uppercase());
    }

    /// The routes at the longest prefix of a path. A path that a server without regard to case
    /// would take elsewhere is ambiguous.
    fn longest(&self, path: &str) -> Result<&[usize], Miss> {
        let exact = self.prefixes(path).find_map(|prefix| self.by_prefix.get_key_value(prefix));
        if self.depth > 0 && (self.capitals || path.bytes().any(|b| b.is_ascii_uppercase())) {
            let lower = path.to_ascii_lowercase();
            let folded = self.prefixes(&lower).find_map(|prefix| self.by_folded.get(prefix));
            let agrees = match (folded, exact) {
                (Some(Some(folded)), Some((prefix, _))) => folded == prefix,
                // Configured in both spellings: the operator has told them apart.
                (Some(None), Some((prefix, _))) => !prefix.is_empty(),
                (folded, None) => folded.is_none(),
                (None, Some(_)) => false,
            };
            if !agrees {
                return Err(Miss::Ambiguous);
            }
        }
        if self.depth > 0
            && let Some(plainest) = plainest(path)
        {
            let other = self.prefixes(&plainest).find_map(|p| self.by_prefix.get_key_value(p));
            if other.map(|(prefix, _)| prefix) != exact.map(|(prefix, _)| prefix) {
                return Err(Miss::Ambiguous);
            }
        }
        exact.map(|(_, indices)| indices.as_slice()).ok_or(Miss::NoRoute)
    }

    /// The prefixes of a path by whole segments, the longest that can be configured first.
    fn prefixes<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let deepest = path.match_indices('/').nth(self.depth + 1).map_or(path.len(), |(at, _)| at);
        let first = path[..deepest].strip_suffix('/').unwrap_or(&path[..deepest]);
        std::iter::successors(Some(first), |prefix| prefix.rfind('/').map(|at| &prefix[..at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::route;

    fn find(table: &RouteTable, host: &str, path: &str, method: &Method) -> Result<String, Miss> {
        let target =
            Target::parse(path.as_bytes(), std::iter::once(host.as_bytes()), None).unwrap();
        table.find(&target, method).map(|route| route.name.to_string())
    }

    #[test]
    fn the_longest_match_wins() {
        let table = RouteTable::new(vec![
            route("root", "a.example", "/"),
            route("api", "a.example", "/api/"),
            route("deep", "a.example", "/api/v1/deep"),
            route("wild", "*.example", "/"),
            route("only", "b.example", "/only"),
        ]);
        for (host, path, name) in [
            ("a.example", "/", Ok("root")),
            ("a.example", "/apix", Ok("root")),
            ("a.example", "/api", Ok("api")),
            ("a.example", "/api/", Ok("api")),
            ("a.example", "/api/v1/x/y/z/w", Ok("api")),
            ("a.example", "/api/v1/deep/er", Ok("deep")),
            ("c.example", "/api", Ok("wild")),
            ("x.c.example", "/", Err(Miss::NoRoute)),
            ("example", "/", Err(Miss::NoRoute)),
            ("b.example", "/", Err(Miss::NoRoute)),
            ("b.example", "/only/", Ok("only")),
            ("a.example", "/API/x", Err(Miss::Ambiguous)),
            ("a.example", "/Other", Ok("root")),
            ("a.example", "/api./x", Err(Miss::Ambiguous)),
            ("a.example", "/api%20", Err(Miss::Ambiguous)),
            ("a.example", "/api%3Fx", Err(Miss::Ambiguous)),
            ("a.example", "/other%20.", Ok("root")),
        ] {
            let found = find(&table, host, path, &Method::GET);
            assert_eq!(found, name.map(str::to_owned), "{host}{path}");
        }
    }

    #[test]
    fn a_method_list_narrows_and_never_opens_a_shorter_route() {
        let mut reads = route("reads", "a.example", "/api");
        reads.methods = Some(vec![Method::GET]);
        let mut writes = route("writes", "a.example", "/api");
        writes.methods = Some(vec![Method::POST]);
        let table = RouteTable::new(vec![route("root", "a.example", "/"), reads, writes]);
        assert_eq!(find(&table, "a.example", "/api", &Method::GET), Ok("reads".into()));
        assert_eq!(find(&table, "a.example", "/api", &Method::POST), Ok("writes".into()));
        assert_eq!(find(&table, "a.example", "/api", &Method::PUT), Err(Miss::Method));
    }

    #[test]
    fn capitals_in_a_configured_path_are_not_folded_away() {
        let table = RouteTable::new(vec![route("r", "a", "/"), route("api", "a", "/API")]);
        assert_eq!(find(&table, "a", "/API/x", &Method::GET), Ok("api".into()));
        assert_eq!(find(&table, "a", "/api/x", &Method::GET), Err(Miss::Ambiguous));
        let both = RouteTable::new(vec![route("u", "a", "/API"), route("l", "a", "/api")]);
        assert_eq!(find(&both, "a", "/API/x", &Method::GET), Ok("u".into()));
        assert_eq!(find(&both, "a", "/api/x", &Method::GET), Ok("l".into()));
    }

    #[test]
    fn loose_paths_need_a_loose_route() {
        let mut loose = route("loose", "l", "/");
        loose.loose_paths = true;
        let table = RouteTable::new(vec![loose, route("strict", "s", "/")]);
        assert_eq!(find(&table, "l", "/a%2Fb;c", &Method::GET), Ok("loose".into()));
        assert_eq!(find(&table, "s", "/a%2Fb", &Method::GET), Err(Miss::Ambiguous));
        assert_eq!(find(&table, "s", "/a;b", &Method::GET), Err(Miss::Ambiguous));
    }
}
