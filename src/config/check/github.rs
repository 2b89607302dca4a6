//! GitHub's addresses and the credentials there.

use std::sync::Arc;
use std::time::Duration;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{GitHub, Raw};
use super::super::report::Fault;
use super::super::scalar::{PlainPath, Scalar, Text};
use super::Check;
use crate::github;
use crate::origin::Origin;

/// GitHub for everybody.
const WEB: &str = "https://github.com";
/// Its API.
const API: &str = "https://api.github.com";

// === impl Check ===

impl Check<'_> {
    /// The settings of the GitHub client.
    pub(super) fn github(&mut self, raw: &Raw, whole: &Place) -> Option<github::Settings> {
        let missing = || {
            Fault::new("`github` is missing")
                .note("register an OAuth app or a GitHub App, then write its `client_id` and `client_secret` here")
        };
        let at = self.required(&raw.github, whole, missing)?;
        let github = &at.value;
        let client_id = self.client_id(at);
        let client_secret = self.client_secret(at);
        let web = self.web(github);
        let api = self.api(github);
        let ca = self.github_ca(&github.ca);
        let scopes = self.scopes(&github.scopes);
        let timeout = self.span(&github.timeout, Duration::from_secs(10), Duration::from_secs(1));
        let webhook_secrets = self.webhook_secrets(&github.webhook);
        let app = self.app(at);
        Some(github::Settings {
            client_id: client_id?,
            client_secret: client_secret?,
            web,
            api: api?,
            ca: ca?,
            scopes,
            timeout,
            webhook_secrets: webhook_secrets?,
            webhook_mode: webhook_mode(github),
            redeliver: redelivers(github),
            revoke_tokens: github.revoke_tokens.value() == Some(&true),
            app,
        })
    }

    fn client_id(&mut self, github: &At<GitHub>) -> Option<String> {
        let missing = || {
            Fault::new("`client_id` is missing in `github`")
                .note("GitHub shows it on the app's page, under Settings, Developer settings")
        };
        let at = self.required(&github.value.client_id, &github.place, missing)?;
        if !at.value.0.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            let fault = Fault::new(format!("`{}` is not a client id", at.value.0));
            self.problem(
                &at.place,
                fault.note("it looks like `Iv23liExample` or `0123456789abcdef0123`"),
            );
        }
        Some(at.value.0.clone())
    }

    fn client_secret(&mut self, github: &At<GitHub>) -> Option<crate::secret::Secret<String>> {
        let missing = || {
            Fault::new("`client_secret` is missing in `github`")
                .note("write `client_secret: { env: GATEKEEP_GITHUB_CLIENT_SECRET }` and set that variable")
        };
        let at = self.required(&github.value.client_secret, &github.place, missing)?;
        self.secret(at)
    }

    fn web(&mut self, github: &GitHub) -> String {
        let Some(at) = github.web.given() else { return WEB.to_owned() };
        let written = at.value.to_string();
        if !at.value.is_secure() && !at.value.is_loopback() {
            self.problem(&at.place, unencrypted());
        }
        if github.api.is_absent() && written != WEB {
            let fault = Fault::new(format!("`web` is {written}, and `api` is still {API}"));
            self.problem(
                &at.place,
                fault.note(format!("GitHub Enterprise has its API at `api: {written}/api/v3`")),
            );
        }
        written
    }

    fn api(&mut self, github: &GitHub) -> Option<String> {
        let Some(at) = github.api.given() else { return Some(API.to_owned()) };
        let text = at.value.0.trim_end_matches('/');
        let slash = text.find("://").and_then(|at| Some(at + 3 + text[at + 3..].find('/')?));
        let (origin, path) = text.split_at(slash.unwrap_or(text.len()));
        let Ok(origin) = origin.parse::<Origin>() else {
            let fault = Fault::new(format!("`{text}` is not the address of an API"));
            self.problem(
                &at.place,
                fault.note(format!("as in `{API}` or `https://github.example.com/api/v3`")),
            );
            return None;
        };
        if !path.is_empty() {
            PlainPath::parse(path).map_err(|fault| self.problem(&at.place, fault)).ok()?;
        }
        if !origin.is_secure() && !origin.is_loopback() {
            self.problem(&at.place, unencrypted());
        }
        Some(format!("{origin}{path}"))
    }

    /// Whom to trust that it is GitHub.
    #[expect(clippy::option_option, reason = "nothing is said, or what is said cannot be read")]
    fn github_ca(&mut self, field: &Field<Text>) -> Option<Option<Arc<Vec<u8>>>> {
        let Some(at) = field.given() else { return field.is_absent().then_some(None) };
        self.chain(at)?;
        self.pem_file(at).map(|pem| Some(Arc::new(pem)))
    }

    fn scopes(&mut self, field: &Field<Vec<At<Text>>>) -> Option<Vec<String>> {
        let list = &field.given()?.value;
        for at in list {
            if !at.value.0.bytes().all(|b| b.is_ascii_lowercase() || b"_:".contains(&b)) {
                let fault = Fault::new(format!("`{}` is not a scope", at.value.0));
                self.problem(
                    &at.place,
                    fault.note("scopes are words such as `read:user`, `user:email` and `read:org`"),
                );
            }
        }
        Some(list.iter().map(|at| at.value.0.clone()).collect())
    }
}

fn webhook_mode(github: &GitHub) -> github::WebhookMode {
    let webhook = github.webhook.value();
    webhook.and_then(|webhook| webhook.mode.value().copied()).unwrap_or_default()
}

fn redelivers(github: &GitHub) -> bool {
    let webhook = github.webhook.value();
    webhook.is_none_or(|webhook| webhook.redeliver.value() != Some(&false))
}

fn unencrypted() -> Fault {
    Fault::new("GitHub's tokens would travel unencrypted")
        .help("use `https://`")
        .note("plain http is for a GitHub on this very machine, as in tests")
}
