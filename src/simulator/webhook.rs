//! Webhooks: what GitHub sends when something happens, signed, for a test to deliver.

use bytes::Bytes;
use ring::hmac;
use serde_json::{Value, json};

use super::{
    github::Simulator,
    record::lock,
    resource,
    world::{hex, random_hex},
};

/// The number of the one hook there is.
const HOOK: u64 = 292_430_182;
/// The number of the one app there is.
pub(super) const APP: u64 = 79_929_171;

/// One delivery, not sent yet: the simulator knows nobody to send it to. Sending the same again is
/// GitHub's redelivery, for it keeps the `X-GitHub-Delivery`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Always `POST`.
    pub method: &'static str,
    /// Names and values, without `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The JSON, byte for byte what was signed.
    pub body: Bytes,
}

// === impl Webhook ===

impl Webhook {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

// === impl Simulator ===

impl Simulator {
    /// A delivery of this event, signed with the hook's secret.
    ///
    /// A repository in the payload says when it last changed: just now, unless it says otherwise.
    pub fn webhook(&self, event: &str, mut payload: Value, secret: &str) -> Webhook {
        if let Some(repository) = payload.get_mut("repository").and_then(Value::as_object_mut) {
            repository.entry("updated_at").or_insert_with(|| self.written_now().into());
        }
        let body = payload.to_string();
        let address = self.address().to_string();
        let (sha256, sha1) = (hmac::HMAC_SHA256, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY);
        let headers = [
            ("Accept", "*/*"),
            ("Content-Type", "application/json"),
            ("User-Agent", "GitHub-Hookshot/044aadd"),
            ("X-GitHub-Delivery", &guid()),
            ("X-GitHub-Enterprise-Host", &address),
            ("X-GitHub-Event", event),
            ("X-GitHub-Hook-ID", &HOOK.to_string()),
            ("X-GitHub-Hook-Installation-Target-ID", &APP.to_string()),
            ("X-GitHub-Hook-Installation-Target-Type", "integration"),
            ("X-Hub-Signature", &format!("sha1={}", sign(sha1, secret, body.as_bytes()))),
            ("X-Hub-Signature-256", &format!("sha256={}", sign(sha256, secret, body.as_bytes()))),
        ];
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Webhook { method: "POST", headers: headers.collect(), body: body.into() }
    }

    /// The payload of `github_app_authorization`: this person has withdrawn the authorisation. That
    /// they have is another matter: [`Simulator::revoke_grant`].
    ///
    /// # Panics
    /// If nobody is called so.
    pub fn authorization_revoked(&self, login: &str) -> Value {
        let person = self.person(login).expect("the person is in the cast");
        let sender = resource::simple_user(self.url(), self.api_url(), &person);
        json!({ "action": "revoked", "sender": sender })
    }

    /// The payload of `ping`, which comes first when a hook is made.
    pub fn ping(&self) -> Value {
        let now = self.written_now();
        json!({
            "zen": "Responsive is better than fast.", "hook_id": HOOK,
            "hook": {
                "type": "App", "id": HOOK, "name": "web", "active": true, "app_id": APP,
                "events": ["membership", "organization", "team"],
                "config": {
                    "content_type": "json", "insecure_ssl": "0", "secret": "********",
                    "url": "https://gate.example/hook",
                },
                "created_at": now, "updated_at": now,
                "deliveries_url": format!("{}/app/hook/deliveries", self.api_url()),
            },
        })
    }

    fn written_now(&self) -> String {
        let world = lock(&self.shared.world);
        world.written(world.now())
    }
}

fn sign(algorithm: hmac::Algorithm, secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    hex(hmac::sign(&key, body).as_ref())
}

/// A random UUID.
fn guid() -> String {
    let digits = random_hex(16);
    let variant = ["8", "9", "a", "b"][usize::from(digits.as_bytes()[16]) % 4];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_githubs_documentation() {
        let signature = sign(hmac::HMAC_SHA256, "It's a Secret to Everybody", b"Hello, World!");
        let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature, expected);
    }

    #[test]
    fn a_guid_is_a_version_four_uuid() {
        let guid = guid();
        let lengths: Vec<usize> = guid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&guid[14..15], "4");
        assert!("89ab".contains(&guid[19..20]), "{guid}");
    }
}
