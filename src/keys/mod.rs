//! Keys: everything that is derived from the master secrets, and the keys that sign identity tokens.
//!
//! `master -> HKDF-SHA-256 -> one key for each purpose`. Several masters are a rotation: the first
//! seals, all of them open.

use std::sync::Arc;

use ::ring::rand::{SecureRandom, SystemRandom};
use ::ring::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

mod provider;
mod ring;
mod rsa;
mod seal;
mod signing;

pub use provider::install as install_jwt_provider;
pub use ring::{KEYS_MAX_AGE, KeyInfo, KeyRing, KeyState, PUBLISH_AHEAD, SYNC_EVERY};
pub use rsa::{RsaKey, RsaKeyFault};
pub use seal::{Opened, Sealer};
pub use signing::{SigningKey, sign_for_instance, sign_hs256, verify_for_instance};

/// The keys of one configuration. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    derived: Arc<Vec<Derived>>,
    realm: u64,
}

/// What one master secret yields.
struct Derived {
    session_id: hmac::Key,
    api_key: hmac::Key,
    instance: hmac::Key,
    handover: hmac::Key,
    csrf: hmac::Key,
    account: hmac::Key,
    answer: hmac::Key,
    installation: hmac::Key,
    attempt: Sealer,
    record: Sealer,
    common: Sealer,
    admin_token: Secret<String>,
}

/// The store's name for something secret: its HMAC.
pub type Digest = [u8; 32];

/// The fewest bytes of a master secret.
pub const MASTER_BYTES: usize = 32;

// === impl Keys ===

impl Keys {
    /// Derives all keys for a realm: one app at one GitHub, whose accounts and sessions are not
    /// those of another. The first master seals and names; the others are still accepted.
    ///
    /// # Panics
    /// When there is no master: the configuration's check refuses that.
    pub fn derive(masters: &[Secret<Vec<u8>>], realm: &str) -> Self {
        assert!(!masters.is_empty(), "the configuration has a master secret");
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, realm.as_bytes());
        let (tag, _) = digest.as_ref().split_first_chunk().expect("a digest has 32 bytes");
        let derived = masters.iter().map(|master| Derived::of(master, realm)).collect();
        Self { derived: Arc::new(derived), realm: u64::from_be_bytes(*tag) }
    }

    /// Whether these are the very keys of another configuration, not merely equal ones.
    pub fn are_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.derived, &other.derived)
    }

    /// The realm, by a number; no secret.
    pub fn realm(&self) -> u64 {
        self.realm
    }

    /// The names under which an account may be stored: the first is for new ones.
    pub fn account_digests(&self, id: u64) -> impl Iterator<Item = Digest> {
        self.derived.iter().map(move |keys| mac(&keys.account, &[&id.to_be_bytes()]))
    }

    /// The name under which a new account is stored.
    pub fn account_digest(&self, id: u64) -> Digest {
        mac(&self.newest().account, &[&id.to_be_bytes()])
    }

    /// The names under which a host's session id may be stored: the first is for new ones.
    pub fn session_digests(&self, id: &[u8; 32], host: &str) -> impl Iterator<Item = Digest> {
        self.derived.iter().map(move |keys| mac(&keys.session_id, &[id, host.as_bytes()]))
    }

    /// The name under which a new session id is stored.
    pub fn session_digest(&self, id: &[u8; 32], host: &str) -> Digest {
        mac(&self.newest().session_id, &[id, host.as_bytes()])
    }

    /// The names under which an API key may be stored: the first is for new ones.
    pub fn api_key_digests(&self, key: &[u8; 32]) -> impl Iterator<Item = Digest> {
        self.derived.iter().map(move |keys| mac(&keys.api_key, &[key]))
    }

    /// The name under which a new API key is stored.
    pub fn api_key_digest(&self, key: &[u8; 32]) -> Digest {
        mac(&self.newest().api_key, &[key])
    }

    /// The names under which a token of an instance's server may be stored: the first is for new ones.
    pub fn instance_token_digests(&self, token: &[u8; 32]) -> impl Iterator<Item = Digest> {
        self.derived.iter().map(move |keys| mac(&keys.instance, &[b"token", token]))
    }

    /// The name under which a new token of an instance's server is stored.
    pub fn instance_token_digest(&self, token: &[u8; 32]) -> Digest {
        mac(&self.newest().instance, &[b"token", token])
    }

    /// The token that follows one: who has the old one cannot tell it without us.
    pub fn next_instance_token(&self, token: &[u8; 32]) -> [u8; 32] {
        mac(&self.newest().instance, &[b"next", token])
    }

    /// The API key that the server of an instance gets in a session for an hour of the clock.
    pub fn instance_key(&self, session: &[u8], hour: u64) -> [u8; 32] {
        mac(&self.newest().instance, &[b"key", session, &hour.to_be_bytes()])
    }

    /// The name under which a code for an instance is stored.
    pub fn broker_code_digest(&self, code: &[u8; 32]) -> Digest {
        mac(&self.newest().instance, &[b"code", code])
    }

    /// The name under which an errand to GitHub's page for installing is stored.
    pub fn install_errand_digest(&self, name: &[u8; 32]) -> Digest {
        mac(&self.newest().instance, &[b"errand", name])
    }

    /// The name under which a hand-over code is stored. It lives for a minute, so a rotation of
    /// the master in that minute asks the visitor to begin again.
    pub fn handover_digest(&self, code: &[u8; 32], host: &str) -> Digest {
        mac(&self.newest().handover, &[code, host.as_bytes()])
    }

    /// The names under which an answer of GitHub may be kept, in every realm: the first is for new
    /// ones.
    pub fn answer_digests(&self, what: &[&[u8]]) -> impl Iterator<Item = Digest> {
        self.derived.iter().map(move |keys| mac(&keys.answer, what))
    }

    /// The name under which a new answer is kept.
    pub fn answer_digest(&self, what: &[&[u8]]) -> Digest {
        mac(&self.newest().answer, what)
    }

    /// The name under which a token of an installation is stored. It lives for an hour, so a rotation of
    /// the master costs each node a new one.
    pub fn installation_digest(&self, what: &[&[u8]]) -> Digest {
        mac(&self.newest().installation, what)
    }

    /// The token that a form for this session and purpose carries.
    pub fn csrf_token(&self, session: &[u8], purpose: &str) -> Digest {
        mac(&self.newest().csrf, &[session, purpose.as_bytes()])
    }

    /// Whether a form's token is good, in constant time.
    pub fn csrf_token_is_good(&self, session: &[u8], purpose: &str, token: &[u8]) -> bool {
        let message = framed(&[session, purpose.as_bytes()]);
        self.derived.iter().any(|keys| hmac::verify(&keys.csrf, &message, token).is_ok())
    }

    /// Seals a login attempt for its cookie.
    pub fn seal_attempt(&self, row: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.newest().attempt.seal(row, plain)
    }

    /// Opens a login attempt. `None` for anything that is not ours, to the bit.
    pub fn open_attempt(&self, row: &[&[u8]], sealed: &[u8]) -> Opened {
        self.derived.iter().find_map(|keys| keys.attempt.open(row, sealed))
    }

    /// Seals a record of the store for its row.
    pub fn seal_record(&self, row: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.newest().record.seal(row, plain)
    }

    /// Opens a record of the store. `None` when it belongs to another row or was altered.
    pub fn open_record(&self, row: &[&[u8]], sealed: &[u8]) -> Opened {
        self.derived.iter().find_map(|keys| keys.record.open(row, sealed))
    }

    /// Seals a record that is the same in every realm, for its row.
    pub fn seal_common(&self, row: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.newest().common.seal(row, plain)
    }

    /// Whether such a record is sealed under the newest master already.
    pub fn common_is_newest(&self, row: &[&[u8]], sealed: &[u8]) -> bool {
        self.newest().common.open(row, sealed).is_some()
    }

    /// Opens such a record.
    pub fn open_common(&self, row: &[&[u8]], sealed: &[u8]) -> Opened {
        self.derived.iter().find_map(|keys| keys.common.open(row, sealed))
    }

    /// What operators' commands show to the admin listener: whoever has the master secret has it,
    /// in every realm.
    pub fn admin_token(&self) -> &Secret<String> {
        &self.newest().admin_token
    }

    /// Whether such a token is that of a listed master, in a time that depends on lengths alone.
    pub fn admin_token_is_good(&self, token: &[u8]) -> bool {
        self.derived.iter().fold(false, |good, keys| good | keys.admin_token.matches(token))
    }

    /// Whether such a token is that of the first master, under which everything is sealed.
    pub fn admin_token_is_first(&self, token: &[u8]) -> bool {
        self.newest().admin_token.matches(token)
    }

    /// Whether a record is sealed under the newest master, so that the older ones may go.
    pub fn record_is_newest(&self, row: &[&[u8]], sealed: &[u8]) -> bool {
        self.newest().record.open(row, sealed).is_some()
    }

    fn newest(&self) -> &Derived {
        &self.derived[0]
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys([redacted]; {} masters)", self.derived.len())
    }
}

// === impl Derived ===

impl Derived {
    fn of(master: &Secret<Vec<u8>>, realm: &str) -> Self {
        let extract =
            |salt: &[u8]| hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(master.expose());
        let every = extract(b"gatekeep/v1");
        let root = extract(&framed(&[b"gatekeep/v1", realm.as_bytes()]));
        let mac_key_of = |root: &hkdf::Prk, label: &str| {
            hmac::Key::new(hmac::HMAC_SHA256, expand(root, label).expose())
        };
        let mac_key = |label: &str| mac_key_of(&root, label);
        Self {
            session_id: mac_key("gatekeep/v1/session-id-mac"),
            api_key: mac_key("gatekeep/v1/api-key-mac"),
            instance: mac_key("gatekeep/v1/instance-mac"),
            handover: mac_key("gatekeep/v1/handover-mac"),
            csrf: mac_key("gatekeep/v1/csrf"),
            account: mac_key("gatekeep/v1/account-mac"),
            installation: mac_key("gatekeep/v1/installation-mac"),
            answer: mac_key_of(&every, "gatekeep/v1/answer-mac"),
            attempt: Sealer::new(&expand(&root, "gatekeep/v1/attempt-aead")),
            record: Sealer::new(&expand(&root, "gatekeep/v1/record-aead")),
            common: Sealer::new(&expand(&every, "gatekeep/v1/common-aead")),
            admin_token: text(&expand(&every, "gatekeep/v1/admin-token")),
        }
    }
}

fn expand(root: &hkdf::Prk, label: &str) -> Secret<[u8; 32]> {
    let mut out = [0; 32];
    root.expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are within HKDF's bound");
    Secret::new(out)
}

fn text(bytes: &Secret<[u8; 32]>) -> Secret<String> {
    Secret::new(URL_SAFE_NO_PAD.encode(bytes.expose()))
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// HMAC over parts that each carry their length, so that no two lists of parts are alike.
fn mac(key: &hmac::Key, parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&length(part));
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.sign().as_ref());
    digest
}

/// The same parts as one message.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| length(part).into_iter().chain(part.iter().copied())).collect()
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("parts are short").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(masters: &[u8]) -> Keys {
        let masters: Vec<_> = masters.iter().map(|&b| Secret::new(vec![b; 32])).collect();
        Keys::derive(&masters, "github.com/app")
    }

    #[test]
    fn digests_differ_by_host_and_master() {
        let (one, two) = (keys(&[1]), keys(&[2]));
        let digest = one.session_digest(&[7; 32], "a");
        assert_eq!(digest, one.session_digest(&[7; 32], "a"));
        assert_ne!(digest, one.session_digest(&[7; 32], "b"));
        assert_ne!(digest, two.session_digest(&[7; 32], "a"));
        assert_ne!(digest, one.handover_digest(&[7; 32], "a"));
    }

    #[test]
    fn an_api_key_has_names_of_its_own_and_none_of_a_cookie() {
        let (old, rotated) = (keys(&[1]), keys(&[2, 1]));
        let digest = old.api_key_digest(&[7; 32]);
        assert_ne!(digest, old.session_digest(&[7; 32], ""));
        assert_ne!(digest, old.handover_digest(&[7; 32], ""));
        assert_ne!(digest, rotated.api_key_digest(&[7; 32]));
        let names: Vec<_> = rotated.api_key_digests(&[7; 32]).collect();
        assert_eq!(names, [rotated.api_key_digest(&[7; 32]), digest]);
    }

    #[test]
    fn a_rotation_opens_old_seals_and_knows_old_ids() {
        let (old, rotated, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let sealed = old.seal_record(&[b"row"], b"hello");
        assert_eq!(rotated.open_record(&[b"row"], &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(new.open_record(&[b"row"], &sealed), None);
        assert!(old.record_is_newest(&[b"row"], &sealed));
        assert!(!rotated.record_is_newest(&[b"row"], &sealed));
        let digest = old.session_digest(&[7; 32], "a");
        assert!(rotated.session_digests(&[7; 32], "a").any(|known| known == digest));
        let token = old.csrf_token(b"s", "sign-out");
        assert!(rotated.csrf_token_is_good(b"s", "sign-out", &token));
        assert!(!rotated.csrf_token_is_good(b"s", "other", &token));
        assert!(!rotated.csrf_token_is_good(b"", "ssign-out", &token));
    }

    #[test]
    fn another_realm_has_other_names_and_opens_nothing() {
        let (here, there) = (keys(&[1]), Keys::derive(&[Secret::new(vec![1; 32])], "other"));
        assert_ne!(here.session_digest(&[7; 32], "a"), there.session_digest(&[7; 32], "a"));
        assert_ne!(here.account_digest(7), there.account_digest(7));
        assert_ne!(here.realm(), there.realm());
        let sealed = here.seal_record(&[b"row"], b"hello");
        assert_eq!(there.open_record(&[b"row"], &sealed), None);
        let common = here.seal_common(&[b"row"], b"hello");
        assert_eq!(there.open_common(&[b"row"], &common).as_deref(), Some(&b"hello"[..]));
        assert_eq!(here.open_record(&[b"row"], &common), None);
    }

    #[test]
    fn an_admin_token_is_good_under_every_listed_master_in_every_realm() {
        let (old, rotated, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let token = |keys: &Keys| keys.admin_token().expose().as_bytes().to_vec();
        assert_eq!(token(&old).len(), 43);
        assert!(rotated.admin_token_is_good(&token(&old)));
        assert!(rotated.admin_token_is_good(&token(&new)));
        assert_eq!(token(&rotated), token(&new));
        assert!(!new.admin_token_is_good(&token(&old)));
        for wrong in [&b""[..], &token(&new)[1..], b"x"] {
            assert!(!rotated.admin_token_is_good(wrong));
        }
        let there = Keys::derive(&[Secret::new(vec![1; 32])], "other");
        assert!(old.admin_token_is_good(&token(&there)));
    }

    #[test]
    fn keys_of_one_purpose_open_nothing_of_another() {
        let keys = keys(&[1]);
        let sealed = keys.seal_attempt(&[b"row"], b"hello");
        assert_eq!(keys.open_record(&[b"row"], &sealed), None);
    }
}
