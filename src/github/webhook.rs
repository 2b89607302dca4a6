//! Webhooks: what GitHub tells without being asked, believed for its signature alone.
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;

use super::payload;
use crate::defence::{Defence, stands};
use crate::secret::Secret;

/// The signature of a delivery, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// A delivery whose signature is good.
#[derive(Debug)]
pub struct Delivery {
    /// What it says.
    pub event: Event,
    /// The event's name, one of a closed set.
    pub name: &'static str,
    /// The event's name, as it was sent.
    pub kind: String,
    /// Whose hook sends it, as GitHub says: `repository`, `organization` or `integration`.
    pub target: String,
    /// What is heeded of the event.
    pub payload: Value,
}

/// What has happened at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hook was made.
    Ping,
    /// Somebody has withdrawn the app's authorisation.
    AuthorizationRevoked {
        /// The number of the account.
        account: u64,
        /// What tells it from other deliveries: GitHub signs neither a time nor its number.
        digest: [u8; 32],
    },
    /// Something that changes what may be held at most.
    Other,
}

/// Why a delivery is not heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// No secret has signed this body.
    NotSigned,
    /// It is signed, and cannot be read.
    Unreadable,
}

/// `github_app_authorization`, <https://docs.github.com/en/webhooks/webhook-events-and-payloads>
#[derive(Deserialize)]
struct Authorization {
    action: String,
    sender: Sender,
}

#[derive(Deserialize)]
struct Sender {
    id: u64,
}

const SIGNATURE: &str = "x-hub-signature-256";
const EVENT: &str = "x-github-event";
const TARGET: &str = "x-github-hook-installation-target-type";
const AUTHORIZATION: &str = "github_app_authorization";

/// The names that metric and log print; any other is `other`.
const NAMES: [&str; 38] = [
    "ping",
    AUTHORIZATION,
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "fork",
    "installation",
    "installation_repositories",
    "installation_target",
    "issue_comment",
    "issues",
    "label",
    "member",
    "membership",
    "meta",
    "milestone",
    "organization",
    "public",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "release",
    "repository",
    "repository_ruleset",
    "star",
    "status",
    "sub_issues",
    "team",
    "team_add",
    "watch",
    "workflow_job",
    "workflow_run",
];

/// The signature in a header: exactly one field, `sha256=` and 64 hexadecimal digits.
pub fn signature(headers: &HeaderMap) -> Option<Signature> {
    let digits = only(headers, SIGNATURE)?.strip_prefix("sha256=")?.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut signature = [0; 32];
    for (byte, pair) in signature.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(Signature(signature))
}

// === impl Delivery ===

impl Delivery {
    /// Reads a delivery: first its signature, over the very bytes that came, and then the rest.
    pub fn read(
        headers: &HeaderMap,
        body: &[u8],
        secrets: &[Secret<String>],
    ) -> Result<Self, Forged> {
        let signature = signature(headers).ok_or(Forged::NotSigned)?;
        let key = signed_by(secrets, body, signature).ok_or(Forged::NotSigned)?;
        let kind = only(headers, EVENT).ok_or(Forged::Unreadable)?;
        let name = NAMES.into_iter().find(|name| *name == kind).unwrap_or("other");
        let content_type = only(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let payload = payload::event(content_type, body).ok_or(Forged::Unreadable)?;
        let event = Event::of(name, &payload, || digest(&key, kind, body))?;
        let target = only(headers, TARGET).unwrap_or_default().to_owned();
        Ok(Self { event, name, kind: kind.to_owned(), target, payload })
    }
}

// === impl Event ===

impl Event {
    fn of(name: &str, payload: &Value, digest: impl FnOnce() -> [u8; 32]) -> Result<Self, Forged> {
        match name {
            "ping" => Ok(Self::Ping),
            AUTHORIZATION => {
                let said = Authorization::deserialize(payload).map_err(|_| Forged::Unreadable)?;
                let (account, is_revoked) = (said.sender.id, said.action == "revoked");
                Ok(if is_revoked && account != 0 {
                    Self::AuthorizationRevoked { account, digest: digest() }
                } else {
                    Self::Other
                })
            }
            _ => Ok(Self::Other),
        }
    }
}

fn digest(key: &hmac::Key, kind: &str, body: &[u8]) -> [u8; 32] {
    let mut digest = hmac::Context::with_key(key);
    for part in [b"delivery", kind.as_bytes(), b"\0", body] {
        digest.update(part);
    }
    digest.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The key that has signed a body; each is tried in constant time. An empty one signs nothing, for
/// anybody has it.
fn signed_by(secrets: &[Secret<String>], body: &[u8], signature: Signature) -> Option<hmac::Key> {
    let keys = secrets.iter().filter(|secret| !secret.expose().is_empty());
    keys.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())).find(|key| {
        hmac::verify(key, body, &signature.0).is_ok() || !stands(Defence::WebhookSignature)
    })
}

/// The value of a field that is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    /// From GitHub's documentation.
    const SIGNED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn secrets(secrets: &[&str]) -> Vec<Secret<String>> {
        secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect()
    }

    fn read(signature: &str, body: &[u8], list: &[&str]) -> Result<&'static str, Forged> {
        let fields =
            [(SIGNATURE, signature), (EVENT, "push"), ("content-type", "application/json")];
        Delivery::read(&headers(&fields), body, &secrets(list)).map(|delivery| delivery.name)
    }

    /// What is signed, and greets the world in no JSON.
    const GREETING: Result<&str, Forged> = Err(Forged::Unreadable);

    #[test]
    fn the_signature_of_githubs_documentation_is_good() {
        let signature = format!("sha256={SIGNED}");
        assert_eq!(read(&signature, BODY, &[SECRET]), GREETING);
        assert_eq!(read(&signature, BODY, &["another", SECRET]), GREETING);
        assert_eq!(read(&signature, BODY, &[SECRET, "another"]), GREETING);
        let upper = format!("sha256={}", SIGNED.to_uppercase());
        assert_eq!(read(&upper, BODY, &[SECRET]), GREETING);
    }

    #[test]
    fn any_other_signature_is_refused() {
        let good = format!("sha256={SIGNED}");
        for list in [&[][..], &[""], &["another"]] {
            assert_eq!(read(&good, BODY, list), Err(Forged::NotSigned), "{list:?}");
        }
        let empty = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), BODY);
        let mut of_empty_secret = "sha256=".to_owned();
        for byte in empty.as_ref() {
            write!(of_empty_secret, "{byte:02x}").unwrap();
        }
        assert_eq!(read(&of_empty_secret, BODY, &[""]), Err(Forged::NotSigned));
        for body in [&b""[..], b"Hello, World", b"Hello, World!\n", b"\xef\xbb\xbfHello, World!"] {
            assert_eq!(read(&good, body, &[SECRET]), Err(Forged::NotSigned), "{body:?}");
        }
        for forged in [
            String::new(),
            SIGNED.to_owned(),
            "sha256=".to_owned(),
            good[..good.len() - 1].to_owned(),
            good[..good.len() - 2].to_owned(),
            format!("{good}0"),
            format!("{good}00"),
            format!("SHA256={SIGNED}"),
            format!("sha1={SIGNED}"),
            format!("sha512={SIGNED}"),
            format!("none={SIGNED}"),
            format!("sha256=+{}", &SIGNED[1..]),
            format!("sha256= {}", &SIGNED[1..]),
            format!("{good}, {good}"),
        ] {
            assert_eq!(read(&forged, BODY, &[SECRET]), Err(Forged::NotSigned), "{forged}");
        }
    }

    #[test]
    fn one_bit_makes_a_signature_another() {
        let signature = format!("sha256={SIGNED}");
        for bit in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&signature, &body, &[SECRET]), Err(Forged::NotSigned), "{bit}");
        }
    }

    #[test]
    fn who_revokes_is_the_sender() {
        let of = |body: &str| {
            let payload = serde_json::from_str(body).map_err(|_| Forged::Unreadable)?;
            Event::of(AUTHORIZATION, &payload, || [1; 32])
        };
        let revoked = r#"{"action":"revoked","sender":{"id":7,"login":"octocat"}}"#;
        let digest = [1; 32];
        assert_eq!(of(revoked), Ok(Event::AuthorizationRevoked { account: 7, digest }));
        let other = r#"{"action":"granted","sender":{"id":7}}"#;
        assert_eq!(of(other), Ok(Event::Other));
        assert_eq!(of(r#"{"action":"revoked","sender":{"id":0}}"#), Ok(Event::Other));
        for body in ["", "{}", r#"{"action":"revoked"}"#, "[]", r#"{"sender":{"id":"7"}}"#] {
            assert_eq!(of(body), Err(Forged::Unreadable), "{body}");
        }
    }
}
