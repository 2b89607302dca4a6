//! A route to GitHub's API: in whose name, under which paths.

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{ApiKeys, Route};
use super::super::report::Fault;
use super::super::scalar::{PagesOf, Text, not};
use super::{Check, Gateway};
use crate::identity::Login;
use crate::passage::cors::Origins;
use crate::passage::permitted::{Rule, Rules};
use crate::route::{ActsAs, Api};

// === impl Check ===

impl Check<'_> {
    /// How GitHub's API is asked for the visitors of a route.
    pub(super) fn github_api(
        &mut self,
        route: &Route,
        keys: Option<&At<ApiKeys>>,
        gateway: &Gateway,
    ) -> Api {
        self.says_nothing_of_an_app(route);
        let keys = keys.map(|at| &at.value);
        let installation = keys.and_then(|keys| keys.installation.given());
        let or_visitor = self.or_visitor(keys);
        let acts_as = installation.and_then(|at| self.installation(at, or_visitor, gateway));
        let rules = Rules {
            allow: self.api_rules(keys.map(|keys| &keys.allow)),
            deny: self.api_rules(keys.map(|keys| &keys.deny)),
        };
        if let (Some(at), true) = (installation, rules.allow.is_empty()) {
            let message = "whoever this route lets in may do all that the installation may; `allow: [\"GET /repos/**\"]` beside it says which calls pass";
            self.report.warn(&at.key, message);
        }
        Api {
            acts_as: acts_as.unwrap_or(ActsAs::Visitor),
            rules,
            enterprise_paths: keys.and_then(|k| k.enterprise_paths.value()) == Some(&true),
            share: keys.and_then(|keys| keys.share.value()) != Some(&false),
            origins: origins(keys.map_or(&[][..], |keys| keys.origins.items())),
            limit_status: keys.and_then(|k| k.limit_status.value()).copied().unwrap_or_default(),
            cache_headers: keys.and_then(|keys| keys.cache_headers.value()) == Some(&true),
        }
    }

    /// An installation by its number, or by the account that it is installed on.
    fn installation(
        &mut self,
        at: &At<Text>,
        or_visitor: bool,
        gateway: &Gateway,
    ) -> Option<ActsAs> {
        if !gateway.has_app {
            let fault = Fault::new("an `installation` needs the `app` of `github`");
            let note = "write `app: { id: 12345, private_key: { file: app.pem } }` there";
            self.problem(&at.key, fault.note(note));
        }
        let text = at.value.0.as_str();
        if text.parse::<u64>().is_err() && text.parse::<Login>().is_err() {
            let fault = not(text, "an installation");
            self.problem(
                &at.place,
                fault.note("write the account that the app is installed on, or its number"),
            );
            return None;
        }
        Some(ActsAs::Installation { which: text.into(), or_visitor })
    }

    /// Whether visitors read in their own name what an installation may not.
    fn or_visitor(&mut self, keys: Option<&ApiKeys>) -> bool {
        let wanted = keys.and_then(|keys| keys.or_visitor.given()).filter(|at| at.value);
        let installation = keys.and_then(|keys| keys.installation.given());
        if let (Some(at), None) = (wanted, installation) {
            let fault = Fault::new("`or_visitor` goes with an `installation`");
            let note = "without one, GitHub is asked in the visitor's name anyway";
            self.problem(&at.key, fault.help("leave it out").note(note));
        }
        wanted.is_some()
    }

    fn api_rules(&mut self, field: Option<&Field<Vec<At<Text>>>>) -> Vec<Rule> {
        let items = field.map_or(&[][..], Field::items);
        items
            .iter()
            .filter_map(|at| {
                let rule = at.value.0.parse::<Rule>();
                rule.map_err(|why| self.problem(&at.place, Fault::new(why.to_string()))).ok()
            })
            .collect()
    }

    /// What tells an app who the visitor is, or where it is, means nothing to GitHub.
    fn says_nothing_of_an_app(&mut self, route: &Route) {
        let mut unfit = |field: Option<&Place>, key: &str, note: &str| {
            if let Some(place) = field {
                let fault = Fault::new(format!("`{key}` does not go with `upstream: github`"));
                self.problem(place, fault.help("leave it out").note(note.to_owned()));
            }
        };
        let everybody = "GitHub is asked in somebody's name, so nothing is public there";
        let app = "it tells an app who the visitor is; GitHub is told by the visitor's token";
        let paths = "say which paths by `allow` and `deny` of `upstream: { github: … }`";
        let fixed = "GitHub's address is `api` of `github`";
        unfit(key_of(&route.public), "public", everybody);
        unfit(key_of(&route.token), "token", app);
        unfit(key_of(&route.rules), "rules", paths);
        let writes = "what changes something there must come from an own page anyway";
        unfit(key_of(&route.same_origin), "same_origin", writes);
        let list = "what goes to GitHub is a short list of fields anyway";
        unfit(key_of(&route.strip_query), "strip_query", list);
        unfit(key_of(&route.strip_headers), "strip_headers", list);
        unfit(key_of(&route.placeholder_cookie), "placeholder_cookie", list);
        unfit(key_of(&route.forwarded_for), "forwarded_for", list);
        unfit(key_of(&route.resend), "resend", "a write is sent to GitHub once anyway");
        unfit(key_of(&route.loose_paths), "loose_paths", "GitHub's paths are taken as they are");
        unfit(key_of(&route.upstream_tls), "upstream_tls", fixed);
        unfit(key_of(&route.preserve_host), "preserve_host", fixed);
    }
}

/// One that means every origin stands for all.
fn origins(items: &[At<PagesOf>]) -> Origins {
    let each = items.iter().map(|at| at.value.0.clone());
    each.collect::<Option<_>>().map_or(Origins::Any, Origins::Listed)
}

fn key_of<T>(field: &Field<T>) -> Option<&Place> {
    field.given().map(|at| &at.key)
}
