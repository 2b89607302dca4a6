//! What an instance remembers.

use std::collections::HashMap;

use super::{files::Files, installations::Installations, users::Users};
use crate::simulator::world::random_hex;

/// A key that programs show instead of a token.
#[derive(Clone, Debug)]
struct Key {
    user: u64,
    word: String,
    permissions: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Database {
    pub(super) users: Users,
    /// Tokens of the control service, by account.
    pub(super) sessions: HashMap<u64, String>,
    pub(super) installations: Installations,
    pub(super) files: Files,
    pub(super) backups: Vec<(u64, String)>,
    /// How many updates were installed.
    pub(super) updates: usize,
    keys: Vec<Key>,
}

// === impl Database ===

impl Database {
    /// Keeps a newer token of the control service for whoever has one.
    pub(super) fn persist(&mut self, user: u64, token: &str) {
        if let Some(kept) = self.sessions.get_mut(&user) {
            token.trim().clone_into(kept);
        }
    }

    pub(super) fn add_key(&mut self, user: u64, permissions: &[&str]) -> String {
        let word = format!("tk_{}", random_hex(16));
        let permissions = permissions.iter().map(|&it| it.to_owned()).collect();
        self.keys.push(Key { user, word: word.clone(), permissions });
        word
    }

    /// Whose key this is, if it may do this.
    pub(super) fn permissions_of_key(&self, word: &str) -> Option<&[String]> {
        let key = self.keys.iter().find(|key| key.word == word)?;
        Some(&key.permissions)
    }

    pub(super) fn user_of_key(&self, word: &str, permission: &str) -> Option<u64> {
        let key = self.keys.iter().find(|key| key.word == word)?;
        let may = permission.is_empty()
            || key.permissions.iter().any(|has| {
                has == "*"
                    || has == permission
                    || (permission == "files:share" && has == "files:write")
            });
        may.then_some(key.user)
    }
}
