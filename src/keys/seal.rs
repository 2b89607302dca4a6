//! Sealing: AES-256-GCM under a key derived anew for each record, so that random salts are safe at
//! any count, with the record's row in the associated data.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;

use super::{framed, random};
use crate::secret::Secret;

/// Seals and opens records of one purpose.
pub struct Sealer(hkdf::Prk);

/// The plain text, or `None` for anything that was not sealed by this key for this row.
pub type Opened = Option<Vec<u8>>;

/// `version (1) ‖ salt (24) ‖ ciphertext and tag`.
const VERSION: u8 = 1;
const SALT: usize = 24;
const TAG: usize = 16;

// === impl Sealer ===

impl Sealer {
    pub(super) fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose()))
    }

    /// Seals a text for a row: table, kind, owner, whatever must not be swapped.
    pub(super) fn seal(&self, row: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        let salt: [u8; SALT] = random();
        let mut body = plain.to_vec();
        self.record_key(&salt)
            .seal_in_place_append_tag(nonce(), Aad::from(framed(row)), &mut body)
            .expect("records are far below AES-GCM's bound of 64 GiB");
        [&[VERSION][..], &salt, &body].concat()
    }

    /// Opens what was sealed for this very row.
    pub(super) fn open(&self, row: &[&[u8]], sealed: &[u8]) -> Opened {
        let (&version, rest) = sealed.split_first()?;
        let (salt, body) = rest.split_first_chunk::<SALT>()?;
        if version != VERSION || body.len() < TAG {
            return None;
        }
        let mut body = body.to_vec();
        let plain = self
            .record_key(salt)
            .open_in_place(nonce(), Aad::from(framed(row)), &mut body)
            .ok()?
            .len();
        body.truncate(plain);
        Some(body)
    }

    fn record_key(&self, salt: &[u8; SALT]) -> LessSafeKey {
        let info = [&b"gatekeep/v1/record"[..], salt];
        let okm = self.0.expand(&info, &AES_256_GCM).expect("32 bytes are within HKDF's bound");
        LessSafeKey::new(UnboundKey::from(okm))
    }
}

/// The key is used once, so its one nonce may be constant.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_untouched_record_in_its_own_row_opens() {
        let by = Sealer::new(&Secret::new([1; 32]));
        let sealed = by.seal(&[b"session", b"row 1"], b"octocat");
        assert_eq!(by.open(&[b"session", b"row 1"], &sealed).as_deref(), Some(&b"octocat"[..]));
        for row in
            [&[&b"session"[..], b"row 2"][..], &[b"sessionrow 1"], &[b"sessionr", b"ow 1"], &[]]
        {
            assert_eq!(by.open(row, &sealed), None);
        }
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(by.open(&[b"session", b"row 1"], &bent), None, "bit {bit}");
        }
        for end in 0..sealed.len() {
            assert_eq!(by.open(&[b"session", b"row 1"], &sealed[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let sealer = Sealer::new(&Secret::new([1; 32]));
        assert_ne!(sealer.seal(&[], b"x"), sealer.seal(&[], b"x"));
    }
}
