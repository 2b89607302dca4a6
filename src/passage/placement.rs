//! Which of GitHub's services a path below a route means, and where those services are.
//!
//! Two forms of address lead here: `<route>/…`, `<route>/graphql` and `<route>/_uploads/…`; and the
//! paths of GitHub Enterprise Server, which `gh`, go-github and Renovate make of a bare host name.
//! <https://docs.github.com/en/enterprise-server@latest/rest/using-the-rest-api/getting-started-with-the-rest-api>

/// A service of GitHub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The REST API.
    Api,
    /// GraphQL: one address.
    Graphql,
    /// Release assets; they have a host of their own.
    Uploads,
}

/// A call, and the way by which the client found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'p> {
    /// The service.
    pub kind: Kind,
    /// Whether the client used the paths of GitHub Enterprise Server; its links must lead there.
    pub facade: bool,
    /// What follows the service's own address, as it was sent: empty, or with its first slash.
    pub rest: &'p str,
}

/// Where the services of one GitHub are, or where the gateway shows them. No slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `https://api.github.com`
    pub api: String,
    /// `https://api.github.com/graphql`
    pub graphql: String,
    /// `https://uploads.github.com`
    pub uploads: String,
}

const UPLOADS: &str = "/_uploads";
const GRAPHQL: &str = "/graphql";
const FACADE_API: &str = "/api/v3";
const FACADE_GRAPHQL: &str = "/api/graphql";
const FACADE_UPLOADS: &str = "/api/uploads";

/// Finds the place of a canonical path. `route` is the path of the route without a slash at its
/// end (the root is empty); with `facade`, the paths of GitHub Enterprise Server come first.
/// `None` is a path that belongs to somebody else.
pub fn place<'p>(route: &str, facade: bool, path: &'p str) -> Option<Call<'p>> {
    let enterprise = if facade { in_facade(path) } else { None };
    enterprise.or_else(|| below_route(below(path, route)?))
}

fn in_facade(path: &str) -> Option<Call<'_>> {
    let call = |kind, rest| Call { kind, facade: true, rest };
    if path == FACADE_GRAPHQL {
        return Some(call(Kind::Graphql, ""));
    }
    match (below(path, FACADE_API), below(path, FACADE_UPLOADS)) {
        (Some(GRAPHQL), _) => Some(call(Kind::Graphql, "")),
        (Some(rest), _) => Some(call(Kind::Api, rest)),
        (None, Some(rest)) => Some(call(Kind::Uploads, rest)),
        (None, None) => None,
    }
}

fn below_route(rest: &str) -> Option<Call<'_>> {
    let call = |kind, rest| Some(Call { kind, facade: false, rest });
    match below(rest, UPLOADS) {
        Some(rest) => call(Kind::Uploads, rest),
        None if rest == GRAPHQL => call(Kind::Graphql, ""),
        None => call(Kind::Api, rest),
    }
}

/// What follows a prefix, by whole segments.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Addresses ===

impl Addresses {
    /// GitHub's services, told from the address of its API alone: `https://api.github.com`,
    /// `https://api.NAME.ghe.com`, or `https://HOST/api/v3` of GitHub Enterprise Server. Any other
    /// address is taken for all three services at once.
    pub fn upstream(api: &str) -> Self {
        let api = api.trim_end_matches('/');
        if let Some(host) = api.strip_suffix(FACADE_API) {
            return Self::facade(host);
        }
        let uploads = match api.split_once("://api.") {
            Some((scheme, domain)) if is_githubs(domain) => format!("{scheme}://uploads.{domain}"),
            _ => api.to_owned(),
        };
        Self { api: api.to_owned(), graphql: format!("{api}{GRAPHQL}"), uploads }
    }

    /// How the gateway shows them at an origin (`https://host`), below a route's path.
    pub fn public(origin: &str, route: &str) -> Self {
        let api = format!("{origin}{route}");
        Self { graphql: format!("{api}{GRAPHQL}"), uploads: format!("{api}{UPLOADS}"), api }
    }

    /// How GitHub Enterprise Server shows them at an origin.
    pub fn facade(origin: &str) -> Self {
        let at = |path| format!("{origin}{path}");
        Self { api: at(FACADE_API), graphql: at(FACADE_GRAPHQL), uploads: at(FACADE_UPLOADS) }
    }

    /// The URL of a call, without its query.
    pub fn url(&self, call: &Call<'_>) -> String {
        let base = match call.kind {
            Kind::Api => &self.api,
            Kind::Graphql => &self.graphql,
            Kind::Uploads => &self.uploads,
        };
        format!("{base}{}", call.rest)
    }
}

fn is_githubs(domain: &str) -> bool {
    domain == "github.com" || domain.ends_with(".ghe.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_place() {
        for (route, facade, path, kind, rest) in [
            ("/github", false, "/github", Kind::Api, ""),
            ("/github", false, "/github/", Kind::Api, "/"),
            ("/github", false, "/github/user", Kind::Api, "/user"),
            ("/github", false, "/github/repos/a%2Fb/c", Kind::Api, "/repos/a%2Fb/c"),
            ("/github", false, "/github/graphql", Kind::Graphql, ""),
            ("/github", false, "/github/graphql/x", Kind::Api, "/graphql/x"),
            ("/github", false, "/github/graphqlx", Kind::Api, "/graphqlx"),
            ("/github", false, "/github/_uploads/repos/a", Kind::Uploads, "/repos/a"),
            ("/github", false, "/github/_uploadsx", Kind::Api, "/_uploadsx"),
            ("/github", false, "/github/api/v3/user", Kind::Api, "/api/v3/user"),
            ("", false, "/user", Kind::Api, "/user"),
            ("", false, "/graphql", Kind::Graphql, ""),
            ("", false, "/api/v3/user", Kind::Api, "/api/v3/user"),
            ("", true, "/user", Kind::Api, "/user"),
            ("", true, "/api/v3x", Kind::Api, "/api/v3x"),
            ("/api", true, "/api/user", Kind::Api, "/user"),
        ] {
            let call = Some(Call { kind, facade: false, rest });
            assert_eq!(place(route, facade, path), call, "{path}");
        }
    }

    #[test]
    fn the_paths_of_enterprise_server_are_told_apart() {
        for (route, path, kind, rest) in [
            ("", "/api/v3/user", Kind::Api, "/user"),
            ("", "/api/v3", Kind::Api, ""),
            ("/github", "/api/v3/repos/a/b", Kind::Api, "/repos/a/b"),
            ("/api", "/api/v3/user", Kind::Api, "/user"),
            ("/api", "/api/graphql", Kind::Graphql, ""),
            ("", "/api/v3/graphql", Kind::Graphql, ""),
            ("", "/api/uploads/repos/a/b", Kind::Uploads, "/repos/a/b"),
        ] {
            let call = Some(Call { kind, facade: true, rest });
            assert_eq!(place(route, true, path), call, "{path}");
        }
    }

    #[test]
    fn a_path_beside_the_route_has_no_place() {
        for (route, facade, path) in [
            ("/github", false, "/githubx"),
            ("/github", false, "/"),
            ("/github", false, "/GitHub/user"),
            ("/github", false, "/api/v3/user"),
            ("/github", true, "/api/v3x/user"),
            ("/github", true, "/api/graphql/x"),
        ] {
            assert_eq!(place(route, facade, path), None, "{path}");
        }
    }

    #[test]
    fn the_services_follow_from_the_api() {
        for (api, graphql, uploads) in [
            (
                "https://api.github.com",
                "https://api.github.com/graphql",
                "https://uploads.github.com",
            ),
            (
                "https://api.octo.ghe.com/",
                "https://api.octo.ghe.com/graphql",
                "https://uploads.octo.ghe.com",
            ),
            ("https://ghe/api/v3", "https://ghe/api/graphql", "https://ghe/api/uploads"),
            (
                "http://127.0.0.1:1/api/v3/",
                "http://127.0.0.1:1/api/graphql",
                "http://127.0.0.1:1/api/uploads",
            ),
            (
                "https://api.example.com",
                "https://api.example.com/graphql",
                "https://api.example.com",
            ),
        ] {
            let found = Addresses::upstream(api);
            assert_eq!(found.api, api.trim_end_matches('/'));
            assert_eq!((&*found.graphql, &*found.uploads), (graphql, uploads), "{api}");
        }
    }

    #[test]
    fn what_the_gateway_shows_it_also_finds() {
        let github = Addresses::upstream("https://api.github.com");
        for (shown, facade) in [
            (Addresses::public("https://gate.example", "/github"), false),
            (Addresses::facade("https://gate.example"), true),
        ] {
            for (url, upstream) in [
                (format!("{}/user", shown.api), "https://api.github.com/user"),
                (shown.graphql, "https://api.github.com/graphql"),
                (format!("{}/a", shown.uploads), "https://uploads.github.com/a"),
            ] {
                let path = url.strip_prefix("https://gate.example").unwrap();
                let call = place("/github", facade, path).unwrap();
                assert_eq!(github.url(&call), upstream, "{url}");
                assert_eq!(call.facade, facade, "{url}");
            }
        }
    }
}
