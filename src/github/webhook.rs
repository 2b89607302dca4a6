//! Webhooks: what GitHub tells without being asked, believed for its signature alone.
//! <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;

use super::payload;
use super::shape::{self, AUTHORIZATION};
use crate::defence::{Defence, stands};
use crate::secret::Secret;

/// The signature of a delivery, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// Whose hook a secret is for: all that it may tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Of any hook: there is one secret for all of them.
    Any,
    /// Of the app's own.
    App,
    /// Of an organization's: it speaks for no app.
    Organization,
    /// Of a repository's: it tells of repositories alone.
    Repository,
}

/// What is done once a webhook has told that something has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookMode {
    /// What is held of it is not fresh any more: whoever asks for it next asks GitHub.
    #[default]
    Invalidate,
    /// The same, and what installations hold of it is asked for anew before anybody asks.
    Refresh,
    /// As [`Self::Invalidate`], and what it shows is kept for the installation that is told, for when
    /// GitHub gives no answer.
    Store,
}

/// What GitHub signs with.
#[derive(Clone, Debug)]
pub struct HookSecret {
    /// Whose hook has it.
    pub hook: Hook,
    /// The secret itself.
    pub secret: Secret<String>,
}

/// A delivery whose signature is good.
#[derive(Debug)]
pub struct Delivery {
    /// What it says.
    pub event: Event,
    /// The event's name, one of a closed set.
    pub name: &'static str,
    /// The event's name, as it was sent.
    pub kind: String,
    /// Whose hook the secret is for.
    pub hook: Hook,
    /// Whose hook sends it, in GitHub's words: `repository`, `organization` or `integration`; nothing
    /// where nobody has signed that.
    pub target: &'static str,
    /// What is heeded of the event.
    pub payload: Value,
    /// Where it ends something: what tells its body from others. GitHub signs neither a time nor the
    /// delivery's number, so one body does it once, whatever it is called.
    pub once: Option<[u8; 32]>,
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
    },
    /// Something that changes what may be held at most.
    Other,
}

/// Why a delivery is not heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// No secret has signed this body that may tell what it says.
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

/// GitHub sends a delivery again for three days when it is asked to; and a day more.
pub const REDELIVERED: Duration = Duration::from_secs(4 * 86_400);

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
    pub fn read(headers: &HeaderMap, body: &[u8], secrets: &[HookSecret]) -> Result<Self, Forged> {
        let signature = signature(headers).ok_or(Forged::NotSigned)?;
        let (hook, key) = signed_by(secrets, body, signature).ok_or(Forged::NotSigned)?;
        let kind = only(headers, EVENT).ok_or(Forged::Unreadable)?;
        let name = NAMES.into_iter().find(|name| *name == kind).unwrap_or("other");
        let content_type = only(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let payload = payload::event(content_type, body).ok_or(Forged::Unreadable)?;
        if stands(Defence::WebhookShape) {
            if !hook.may_tell(kind, &payload) {
                return Err(Forged::NotSigned);
            }
            if !shape::fits(kind, &payload) {
                return Err(Forged::Unreadable);
            }
        }
        let event = Event::of(name, &payload)?;
        let target = hook.target(&payload);
        let once = shape::ends_something(kind).then(|| digest(&key, body));
        Ok(Self { event, name, kind: kind.to_owned(), hook, target, payload, once })
    }
}

// === impl WebhookMode ===

impl std::fmt::Display for WebhookMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invalidate => "invalidate",
            Self::Refresh => "refresh",
            Self::Store => "store",
        })
    }
}

// === impl Hook ===

impl Hook {
    /// Whether it is the app's, or may be.
    pub fn may_be_of_app(self) -> bool {
        matches!(self, Self::Any | Self::App)
    }

    /// Whether GitHub sends such an event to it.
    fn may_tell(self, event: &str, payload: &Value) -> bool {
        match self {
            Self::Any | Self::App => true,
            Self::Organization => !shape::is_of_apps(event),
            Self::Repository => !shape::is_of_apps(event) && payload["repository"].is_object(),
        }
    }

    /// Whose it is in GitHub's words. GitHub signs no header: where the secret does not say so, the
    /// hook does, in its `ping` alone.
    fn target(self, payload: &Value) -> &'static str {
        match self {
            Self::Any => match payload["hook"]["type"].as_str() {
                Some("Organization") => "organization",
                Some("Repository") => "repository",
                Some("App") => "integration",
                _ => "",
            },
            Self::App => "integration",
            Self::Organization => "organization",
            Self::Repository => "repository",
        }
    }
}

// === impl Event ===

impl Event {
    fn of(name: &str, payload: &Value) -> Result<Self, Forged> {
        match name {
            "ping" => Ok(Self::Ping),
            AUTHORIZATION => {
                let said = Authorization::deserialize(payload).map_err(|_| Forged::Unreadable)?;
                let (account, is_revoked) = (said.sender.id, said.action == "revoked");
                Ok(if is_revoked && account != 0 {
                    Self::AuthorizationRevoked { account }
                } else {
                    Self::Other
                })
            }
            _ => Ok(Self::Other),
        }
    }
}

fn digest(key: &hmac::Key, body: &[u8]) -> [u8; 32] {
    let mut digest = hmac::Context::with_key(key);
    for part in [b"delivery\0", body] {
        digest.update(part);
    }
    digest.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Whose key has signed a body; each is tried in constant time. An empty one signs nothing, for
/// anybody has it.
fn signed_by(
    secrets: &[HookSecret],
    body: &[u8],
    signature: Signature,
) -> Option<(Hook, hmac::Key)> {
    let known = secrets.iter().filter(|known| !known.secret.expose().is_empty());
    let mut keys = known.map(|known| {
        let secret = known.secret.expose().as_bytes();
        (known.hook, hmac::Key::new(hmac::HMAC_SHA256, secret))
    });
    keys.find(|(_, key)| {
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

    fn secrets(secrets: &[&str]) -> Vec<HookSecret> {
        let known = secrets.iter().map(|secret| Secret::new((*secret).to_owned()));
        known.map(|secret| HookSecret { hook: Hook::Any, secret }).collect()
    }

    /// A delivery by this name, signed with the secret of such a hook.
    fn told(hook: Hook, event: &str, body: &str) -> Result<Delivery, Forged> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let mut signature = "sha256=".to_owned();
        for byte in hmac::sign(&key, body.as_bytes()).as_ref() {
            write!(signature, "{byte:02x}").unwrap();
        }
        let fields = [
            (SIGNATURE, signature.as_str()),
            (EVENT, event),
            ("x-github-hook-installation-target-type", "organization"),
            ("content-type", "application/json"),
        ];
        let secrets = [HookSecret { hook, secret: Secret::new(SECRET.to_owned()) }];
        Delivery::read(&headers(&fields), body.as_bytes(), &secrets)
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
    fn a_secret_speaks_for_its_own_kind_of_hook() {
        let revoked = r#"{"action":"revoked","sender":{"id":7}}"#;
        let suspended = r#"{"action":"suspend","installation":{"id":5}}"#;
        let starred = r#"{"action":"created","repository":{"id":1}}"#;
        let of_org = r#"{"action":"member_added","organization":{"id":1}}"#;
        for (hook, expected) in [
            (Hook::Any, [true, true, true, true]),
            (Hook::App, [true, true, true, true]),
            (Hook::Organization, [false, false, true, true]),
            (Hook::Repository, [false, false, true, false]),
        ] {
            let events = [
                (AUTHORIZATION, revoked),
                ("installation", suspended),
                ("star", starred),
                ("organization", of_org),
            ];
            let told = events.map(|(event, body)| match told(hook, event, body) {
                Ok(_) => true,
                Err(forged) => {
                    assert_eq!(forged, Forged::NotSigned);
                    false
                }
            });
            assert_eq!(told, expected, "{hook:?}");
        }
    }

    #[test]
    fn whose_hook_it_is_the_secret_says_where_it_can() {
        let target = |hook, kind| {
            let body = format!(r#"{{"repository":{{}},"hook":{{"type":"{kind}"}}}}"#);
            told(hook, "ping", &body).unwrap().target
        };
        for (kind, said) in [
            ("Organization", "organization"),
            ("Repository", "repository"),
            ("App", "integration"),
            ("Enterprise", ""),
        ] {
            assert_eq!(target(Hook::Any, kind), said);
            assert_eq!(target(Hook::App, kind), "integration");
            assert_eq!(target(Hook::Organization, kind), "organization");
            assert_eq!(target(Hook::Repository, kind), "repository");
        }
        let of_header = told(Hook::Any, "star", r#"{"repository":{}}"#).unwrap().target;
        assert_eq!(of_header, "", "a header is signed by nobody");
    }

    #[test]
    fn what_ends_something_is_told_from_others_by_its_body_alone() {
        let suspended = r#"{"action":"suspend","installation":{"id":5}}"#;
        let once = |event, body: &str| told(Hook::Any, event, body).unwrap().once;
        let named = once("installation", suspended);
        assert!(named.is_some() && named == once("installation", suspended));
        assert_ne!(named, once("installation", &suspended.replace('5', "6")));
        assert_eq!(once("star", suspended), None);
        let misnamed = told(Hook::Any, "repository", suspended);
        assert_eq!(misnamed.map(|told| told.name), Err(Forged::Unreadable));
    }

    #[test]
    fn who_revokes_is_the_sender() {
        let of = |body: &str| {
            let payload = serde_json::from_str(body).map_err(|_| Forged::Unreadable)?;
            Event::of(AUTHORIZATION, &payload)
        };
        let revoked = r#"{"action":"revoked","sender":{"id":7,"login":"octocat"}}"#;
        assert_eq!(of(revoked), Ok(Event::AuthorizationRevoked { account: 7 }));
        let other = r#"{"action":"granted","sender":{"id":7}}"#;
        assert_eq!(of(other), Ok(Event::Other));
        assert_eq!(of(r#"{"action":"revoked","sender":{"id":0}}"#), Ok(Event::Other));
        for body in ["", "{}", r#"{"action":"revoked"}"#, "[]", r#"{"sender":{"id":"7"}}"#] {
            assert_eq!(of(body), Err(Forged::Unreadable), "{body}");
        }
    }
}
