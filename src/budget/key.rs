//! Whom GitHub charges.

use serde::{Deserialize, Serialize};

/// Whom GitHub charges.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetKey {
    /// A user, by number: whatever token or app speaks for the user.
    User(u64),
    /// An app's installation, by number.
    Installation(u64),
    /// An app itself, by its client id.
    App(Box<str>),
}
