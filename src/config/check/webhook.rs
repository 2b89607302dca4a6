//! Webhooks: the secrets that GitHub signs them with, and for whose hook each is.

use std::collections::HashSet;

use super::super::field::{At, Field, OneOrMany};
use super::super::raw::Webhook;
use super::super::report::Fault;
use super::super::written::SecretSource;
use super::Check;
use super::secrets::KEYGEN;
use crate::github::{Hook, HookSecret};
use crate::secret::Secret;

/// The fewest bytes of a webhook's secret, which GitHub holds as well.
const BYTES: usize = 16;

// === impl Check ===

impl Check<'_> {
    /// The secrets that GitHub signs its webhooks with.
    pub(super) fn webhook_secrets(&mut self, field: &Field<Webhook>) -> Option<Vec<HookSecret>> {
        let Some(at) = field.given() else { return field.is_absent().then(Vec::new) };
        let webhook = &at.value;
        let of_others = [
            (Hook::Organization, &webhook.organization_secret),
            (Hook::Repository, &webhook.repository_secret),
        ];
        let is_alone = of_others.iter().all(|(_, field)| field.is_absent());
        if is_alone {
            let missing = || {
                Fault::new("`secret` is missing in `webhook`").note(
                    "write `secret: { env: GATEKEEP_WEBHOOK_SECRET }`, and the same one at GitHub",
                )
            };
            self.required(&webhook.secret, &at.place, missing)?;
        }
        let hook = if is_alone { Hook::Any } else { Hook::App };
        let kinds = [&[(hook, &webhook.secret)][..], &of_others].concat();
        let secrets: Vec<_> =
            kinds.iter().map(|(hook, field)| self.secrets_of(*hook, field)).collect();
        let secrets: Option<Vec<_>> = secrets.into_iter().collect();
        let secrets: Vec<_> = secrets?.into_iter().flatten().collect();
        self.are_told_apart(&secrets).then(|| secrets.into_iter().map(|(known, _)| known).collect())
    }

    fn secrets_of<'f>(
        &mut self,
        hook: Hook,
        field: &'f Field<OneOrMany<SecretSource>>,
    ) -> Option<Vec<(HookSecret, &'f At<SecretSource>)>> {
        let Some(at) = field.given() else { return field.is_absent().then(Vec::new) };
        let sources = &at.value.0;
        if sources.is_empty() {
            let name = name(hook);
            self.problem(&at.place, Fault::new(format!("`{name}` lists none")).note(KEYGEN));
            return None;
        }
        let secrets: Vec<_> = sources.iter().map(|source| self.webhook_secret(source)).collect();
        let secrets: Option<Vec<_>> = secrets.into_iter().collect();
        let known = secrets?.into_iter().map(|secret| HookSecret { hook, secret });
        Some(known.zip(sources).collect())
    }

    fn webhook_secret(&mut self, source: &At<SecretSource>) -> Option<Secret<String>> {
        let text = self.secret(source)?;
        let bytes = text.expose().as_bytes();
        self.is_strong(&text, bytes, BYTES, &source.place).then_some(text.clone())
    }

    /// One secret is for one kind of hook: it would speak for the other as well.
    fn are_told_apart(&mut self, secrets: &[(HookSecret, &At<SecretSource>)]) -> bool {
        let mut seen = HashSet::new();
        let mut are_apart = true;
        for (known, source) in secrets {
            let others = secrets.iter().filter(|(other, _)| other.hook != known.hook);
            let mut texts = others.map(|(other, _)| other.secret.expose());
            let is_twice = texts.any(|text| text == known.secret.expose());
            if is_twice && !seen.insert(known.secret.expose()) {
                are_apart = false;
                let fault = Fault::new("this secret is that of another kind of hook")
                    .help("give each kind one of its own, here and at GitHub");
                self.problem(&source.place, fault.note(KEYGEN));
            }
        }
        are_apart
    }
}

fn name(hook: Hook) -> &'static str {
    match hook {
        Hook::Any | Hook::App => "secret",
        Hook::Organization => "organization_secret",
        Hook::Repository => "repository_secret",
    }
}
