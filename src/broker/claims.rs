//! What a token says that a browser carries to an instance: the nine claims of the integration guide,
//! with a name, an issuer and an audience beside them, which its readers pass over.

use serde::{Deserialize, Serialize};

/// The claims, and nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceClaims {
    /// The account's number at GitHub: it stays, over restarts too.
    pub user_id: u64,
    /// The same.
    pub github_id: u64,
    /// The account's present name.
    pub username: String,
    /// Its verified address, or one that GitHub gives to nobody else.
    pub email: String,
    /// What opens GitHub's API: here, or where an operator says so at GitHub.
    pub access_token: String,
    /// How it is shown: `bearer`.
    pub token_type: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// When the token itself ends (RFC 7519 §4.1.4).
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// The gateway.
    pub iss: String,
    /// The origin of the instance.
    pub aud: String,
    /// The session that it rests on.
    pub jti: String,
}
