//! Why the token endpoint gives no token, in GitHub's words.

use serde_json::{Value, json};

/// One of the errors.
pub(super) struct Refusal {
    error: &'static str,
    description: &'static str,
}

pub(super) const WRONG_CLIENT: Refusal = Refusal {
    error: "incorrect_client_credentials",
    description: "The client_id and/or client_secret passed are incorrect.",
};
pub(super) const WRONG_CALLBACK: Refusal = Refusal {
    error: "redirect_uri_mismatch",
    description: "The redirect_uri MUST match the registered callback URL for this application.",
};
pub(super) const WRONG_CODE: Refusal = Refusal {
    error: "bad_verification_code",
    description: "The code passed is incorrect or expired.",
};
pub(super) const WRONG_REFRESH_TOKEN: Refusal = Refusal {
    error: "bad_refresh_token",
    description: "The refresh token passed is incorrect or expired.",
};
pub(super) const WRONG_GRANT: Refusal =
    Refusal { error: "unsupported_grant_type", description: "The grant_type is not supported." };

// === impl Refusal ===

impl Refusal {
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        let uri = format!(
            "https://docs.github.com/apps/managing-oauth-apps/\
             troubleshooting-oauth-app-access-token-request-errors/#{}",
            self.error.replace('_', "-")
        );
        vec![
            ("error", json!(self.error)),
            ("error_description", json!(self.description)),
            ("error_uri", json!(uri)),
        ]
    }
}
