//! The web flow's second half: `POST /login/oauth/access_token`, a code for a token.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::StatusCode;
use ring::digest;
use serde_json::json;
use url::Url;

use super::{
    github::{CLIENT_ID, CLIENT_SECRET, Shared},
    record::{Recorded, lock},
    web::{Pairs, Reply, encode, first, full, json, reply},
    world::Code,
};

/// Why there is no token, in GitHub's words.
struct Refusal {
    error: &'static str,
    description: &'static str,
}

const WRONG_CLIENT: Refusal = Refusal {
    error: "incorrect_client_credentials",
    description: "The client_id and/or client_secret passed are incorrect.",
};
const WRONG_CALLBACK: Refusal = Refusal {
    error: "redirect_uri_mismatch",
    description: "The redirect_uri MUST match the registered callback URL for this application.",
};
const WRONG_CODE: Refusal = Refusal {
    error: "bad_verification_code",
    description: "The code passed is incorrect or expired.",
};
const WRONG_GRANT: Refusal =
    Refusal { error: "unsupported_grant_type", description: "The grant_type is not supported." };

/// Answers 200 whatever happened: the `error` field tells, as on GitHub.
pub(super) fn answer(shared: &Shared, request: &Recorded) -> Reply {
    let fields = match exchange(shared, request) {
        Ok((token, scope)) => vec![
            ("access_token".to_owned(), token),
            ("token_type".to_owned(), "bearer".to_owned()),
            ("scope".to_owned(), scope),
        ],
        Err(refusal) => refusal.fields(),
    };
    if request.header("accept").is_some_and(|accept| accept.contains("json")) {
        let object = fields.into_iter().map(|(name, value)| (name, json!(value))).collect();
        return json(StatusCode::OK, &serde_json::Value::Object(object));
    }
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    reply(StatusCode::OK, form, full(encode(&fields)))
}

fn exchange(shared: &Shared, request: &Recorded) -> Result<(String, String), Refusal> {
    let form = request.form();
    if client(request, &form) != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
        return Err(WRONG_CLIENT);
    }
    if first(&form, "grant_type").is_some_and(|grant| grant != "authorization_code") {
        return Err(WRONG_GRANT);
    }
    let mut world = lock(&shared.world);
    let given = first(&form, "code").unwrap_or_default();
    let code = world.take_code(given).ok_or(WRONG_CODE)?;
    if shared.knobs.reuses_codes() {
        world.put_code_back(given, code.clone());
    }
    check(&code, &form)?;
    let scope = code.scopes.join(",");
    Ok((world.issue_token(code.person, code.scopes), scope))
}

/// Whether who brings the code is who asked for it.
fn check(code: &Code, form: &Pairs) -> Result<(), Refusal> {
    let same = |asked: &str| Url::parse(asked).is_ok_and(|url| url.as_str() == code.redirect_uri);
    if !first(form, "redirect_uri").is_none_or(same) {
        return Err(WRONG_CALLBACK);
    }
    let Some(challenge) = &code.challenge else { return Ok(()) };
    let verifier = first(form, "code_verifier").unwrap_or_default();
    if s256(verifier) == *challenge { Ok(()) } else { Err(WRONG_CODE) }
}

/// Who calls: from the form, or from Basic authentication.
fn client(request: &Recorded, form: &Pairs) -> Option<(String, String)> {
    if let Some(basic) = request.header("authorization").and_then(|it| it.strip_prefix("Basic ")) {
        let both = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
        let (id, secret) = both.split_once(':')?;
        return Some((id.to_owned(), secret.to_owned()));
    }
    Some((first(form, "client_id")?.to_owned(), first(form, "client_secret")?.to_owned()))
}

/// RFC 7636's transformation.
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

// === impl Refusal ===

impl Refusal {
    fn fields(&self) -> Pairs {
        let uri = format!(
            "https://docs.github.com/apps/managing-oauth-apps/\
             troubleshooting-oauth-app-access-token-request-errors/#{}",
            self.error.replace('_', "-")
        );
        vec![
            ("error".to_owned(), self.error.to_owned()),
            ("error_description".to_owned(), self.description.to_owned()),
            ("error_uri".to_owned(), uri),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transformation_is_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(s256(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
