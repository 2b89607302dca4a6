//! What nodes tell each other through the store, sealed like everything else there.

use serde::{Deserialize, Serialize};

use super::Happened;
use crate::keys::Keys;
use crate::session::SessionKey;

/// Something that other nodes must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// These sessions are over.
    Ended(Vec<SessionKey>),
    /// GitHub said something new of this account.
    Renewed(u64),
    /// The keys that sign identity tokens have changed.
    SigningKeys,
    /// Something happened at the GitHub of this realm.
    AtGitHub(u64, Box<Happened>),
}

/// What the associated data of news begins with.
const ROW: &[&[u8]] = &[b"news"];

// === impl News ===

impl News {
    pub(super) fn seal(&self, keys: &Keys) -> Vec<u8> {
        keys.seal_common(ROW, &serde_json::to_vec(self).expect("news are plain JSON"))
    }

    /// What a node told; `None` when it is none of ours.
    pub fn open(keys: &Keys, sealed: &[u8]) -> Option<Self> {
        serde_json::from_slice(&keys.open_common(ROW, sealed)?).ok()
    }
}
