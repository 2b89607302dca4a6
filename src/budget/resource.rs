//! The kinds of requests that GitHub counts apart.

use http::{HeaderMap, HeaderName, Method};
use serde::{Deserialize, Serialize};

macro_rules! resources {
    ($($(#[doc = $doc:literal])+ $name:ident => $word:literal,)+) => {
        /// A limit of its own, as `X-RateLimit-Resource` names it.
        /// <https://docs.github.com/en/rest/rate-limit/rate-limit>
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Resource { $($(#[doc = $doc])+ $name,)+ }

        impl Resource {
            /// Every resource there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in the header, and the word for metrics.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

resources! {
    /// The REST API, but for what has a limit of its own.
    Core => "core",
    /// Searching, but for code.
    Search => "search",
    /// Searching code.
    CodeSearch => "code_search",
    /// GraphQL, counted in points.
    GraphQl => "graphql",
    /// Making an app from a manifest.
    IntegrationManifest => "integration_manifest",
    /// Importing a repository.
    SourceImport => "source_import",
    /// Uploading results of code scanning.
    CodeScanningUpload => "code_scanning_upload",
    /// Fixes that code scanning proposes.
    CodeScanningAutofix => "code_scanning_autofix",
    /// Registering runners of Actions.
    ActionsRunnerRegistration => "actions_runner_registration",
    /// SCIM.
    Scim => "scim",
    /// Submitting dependencies.
    DependencySnapshots => "dependency_snapshots",
    /// Exporting a bill of materials.
    DependencySbom => "dependency_sbom",
    /// The audit log.
    AuditLog => "audit_log",
    /// Records of Copilot's use.
    CopilotUsageRecords => "copilot_usage_records",
}

pub(super) const RESOURCE: HeaderName = HeaderName::from_static("x-ratelimit-resource");

// === impl Resource ===

impl Resource {
    /// The resource that a request will be counted under, before GitHub says so. `path` is the one
    /// below the API's address, `/graphql` for GraphQL; the conditions are those of go-github's
    /// `GetRateLimitCategory`.
    pub fn predicted(method: &Method, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let is_of_repo = path.starts_with("/repos/");
        match path {
            "/graphql" => Self::GraphQl,
            _ if path.starts_with("/search/code") && is_read => Self::CodeSearch,
            _ if path.starts_with("/search/") => Self::Search,
            _ if path.starts_with("/scim/") => Self::Scim,
            _ if path.ends_with("/audit-log") => Self::AuditLog,
            _ if path.ends_with("/code-scanning/sarifs") => Self::CodeScanningUpload,
            _ if path.starts_with("/app-manifests/")
                && path.ends_with("/conversions")
                && *method == Method::POST =>
            {
                Self::IntegrationManifest
            }
            _ if is_of_repo && path.ends_with("/import") && *method == Method::PUT => {
                Self::SourceImport
            }
            _ if is_of_repo && path.ends_with("/dependency-graph/sbom") && is_read => {
                Self::DependencySbom
            }
            _ if is_of_repo
                && path.ends_with("/dependency-graph/snapshots")
                && *method == Method::POST =>
            {
                Self::DependencySnapshots
            }
            _ => Self::Core,
        }
    }

    /// The resource of a name in `X-RateLimit-Resource`; `None` for one that is not known here.
    pub fn from_header(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|resource| resource.word() == name)
    }

    /// The resource that an answer was counted under: what it says, or what was predicted when it
    /// says nothing (older GitHub Enterprise Servers). `None` when its name is not known here: that
    /// must not be mistaken for another.
    pub fn of_answer(headers: &HeaderMap, predicted: Self) -> Option<Self> {
        match headers.get(RESOURCE) {
            Some(name) => Self::from_header(name.to_str().ok()?),
            None => Some(predicted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_is_predicted_from_method_and_path() {
        use Resource as R;
        for (method, path, expected) in [
            ("GET", "/user", R::Core),
            ("GET", "/repos/o/r/import", R::Core),
            ("PUT", "/repos/o/r/import", R::SourceImport),
            ("GET", "/search/issues?q=/search/code", R::Search),
            ("GET", "/search/code?q=x", R::CodeSearch),
            ("HEAD", "/search/code", R::CodeSearch),
            ("POST", "/graphql", R::GraphQl),
            ("GET", "/graphql/x", R::Core),
            ("POST", "/app-manifests/c0de/conversions", R::IntegrationManifest),
            ("POST", "/repos/o/r/code-scanning/sarifs", R::CodeScanningUpload),
            ("GET", "/scim/v2/organizations/o/Users", R::Scim),
            ("POST", "/repos/o/r/dependency-graph/snapshots", R::DependencySnapshots),
            ("GET", "/repos/o/r/dependency-graph/sbom", R::DependencySbom),
            ("GET", "/orgs/o/audit-log?per_page=1", R::AuditLog),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Resource::predicted(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_an_answer_says_wins_unless_its_name_is_unknown() {
        let mut headers = HeaderMap::new();
        assert_eq!(Resource::of_answer(&headers, Resource::Search), Some(Resource::Search));
        for resource in Resource::ALL {
            headers.insert(RESOURCE, resource.word().parse().unwrap());
            assert_eq!(Resource::of_answer(&headers, Resource::Search), Some(*resource));
        }
        headers.insert(RESOURCE, "brand_new".parse().unwrap());
        assert_eq!(Resource::of_answer(&headers, Resource::Search), None);
    }
}
