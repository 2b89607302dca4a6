//! The GitHub App as itself: its number, and the keys that GitHub made for it.

use std::sync::Arc;

use super::super::field::At;
use super::super::raw::{App, GitHub};
use super::super::report::Fault;
use super::super::written::SecretSource;
use super::Check;
use crate::github;
use crate::keys::{RsaKey, RsaKeyFault};

/// What the app's tokens name as their issuer.
#[derive(Clone, Copy)]
enum Issuer {
    ClientId,
    AppId,
}

const WHERE: &str = "GitHub makes one on the app's page, under Private keys, as a file to download";

// === impl Check ===

impl Check<'_> {
    /// The app, where one is given and has no problem.
    pub(super) fn app(&mut self, github: &At<GitHub>) -> Option<Arc<github::app::App>> {
        let app = github.value.app.given()?;
        let missing = || {
            Fault::new("`id` is missing in `app`").note(
                "GitHub shows it as App ID on the app's page, under Settings, Developer settings",
            )
        };
        let id = self.required(&app.value.id, &app.place, missing).map(|at| at.value);
        let keys = self.app_keys(app);
        let words = [("client_id", Issuer::ClientId), ("app_id", Issuer::AppId)];
        let issuer = self.word(&app.value.issuer, "an issuer", &words);
        let id = u64::try_from(id?).ok()?;
        let issuer = match issuer.unwrap_or(Issuer::ClientId) {
            Issuer::ClientId => github.value.client_id.value()?.0.clone(),
            Issuer::AppId => id.to_string(),
        };
        Some(Arc::new(github::app::App { id, issuer, keys: keys? }))
    }

    /// The private keys; several are a rotation.
    fn app_keys(&mut self, app: &At<App>) -> Option<Vec<RsaKey>> {
        let missing = || {
            Fault::new("`private_key` is missing in `app`")
                .note("write `private_key: { file: app.pem }`")
                .note(WHERE)
        };
        let at = self.required(&app.value.private_key, &app.place, missing)?;
        let sources = &at.value.0;
        if sources.is_empty() {
            self.problem(&at.place, Fault::new("`private_key` lists none").note(WHERE));
        }
        let keys: Vec<_> = sources.iter().map(|source| self.app_key(source)).collect();
        for (place, key) in keys.iter().enumerate() {
            if key.is_some() && keys[..place].contains(key) {
                let fault = Fault::new("this private key is listed twice").help("keep one of them");
                self.problem(&sources[place].place, fault);
            }
        }
        let keys: Option<Vec<_>> = keys.into_iter().collect();
        keys.filter(|keys| !keys.is_empty())
    }

    fn app_key(&mut self, source: &At<SecretSource>) -> Option<RsaKey> {
        let text = self.secret(source)?;
        RsaKey::from_pem(&text).map_err(|fault| self.problem(&source.place, way_out(fault))).ok()
    }
}

fn way_out(fault: RsaKeyFault) -> Fault {
    let note = match fault {
        RsaKeyFault::NotPem => {
            "such a text begins with a line `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN PRIVATE KEY-----`"
        }
        RsaKeyFault::Encrypted => "decrypt it with `openssl rsa`, and let its owner alone read it",
        RsaKeyFault::Damaged => "copy the file once more, from its first line to its last",
        RsaKeyFault::NotRsa | RsaKeyFault::TooShort | RsaKeyFault::TooLong => WHERE,
    };
    Fault::new(fault.to_string()).note(note)
}
