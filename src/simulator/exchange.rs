//! The token endpoint, `POST /login/oauth/access_token`: the web flow's second half.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use ring::digest;
use serde_json::{Value, json};
use url::Url;

use super::{
    client::Credentials,
    github::Shared,
    record::{Recorded, lock},
    refresh,
    refusal::{Refusal, WRONG_CALLBACK, WRONG_CLIENT, WRONG_CODE, WRONG_GRANT},
    tokens::Token,
    web::{Pairs, Reply, encode, first, full, json, reply},
    world::Code,
};

/// Where codes and refresh tokens are exchanged.
pub(super) const PATH: &str = "/login/oauth/access_token";

/// Answers 200 whatever happened: the `error` field tells, as on GitHub.
pub(super) fn answer(shared: &Shared, request: &Recorded) -> Reply {
    let fields = match grant(shared, request) {
        Ok(token) => fields(&token),
        Err(refusal) => refusal.fields(),
    };
    if request.header("accept").is_some_and(|accept| accept.contains("json")) {
        let object = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return json(StatusCode::OK, &Value::Object(object));
    }
    let word = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs: Pairs =
        fields.into_iter().map(|(name, value)| (name.to_owned(), word(value))).collect();
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    reply(StatusCode::OK, form, full(encode(&pairs)))
}

fn grant(shared: &Shared, request: &Recorded) -> Result<Token, Refusal> {
    let form = request.form();
    if !Credentials::of(request, &form).is_some_and(|client| client.right()) {
        return Err(WRONG_CLIENT);
    }
    match first(&form, "grant_type") {
        None | Some("authorization_code") => exchange(shared, &form),
        Some(refresh::GRANT) => refresh::refresh(shared, &form),
        Some(_) => Err(WRONG_GRANT),
    }
}

fn exchange(shared: &Shared, form: &Pairs) -> Result<Token, Refusal> {
    let at_most = shared.knobs.tokens_together();
    let mut world = lock(&shared.world);
    let given = first(form, "code").unwrap_or_default();
    let code = world.take_code(given).ok_or(WRONG_CODE)?;
    if shared.knobs.reuses_codes() {
        world.put_code_back(given, code.clone());
    }
    check(&code, form)?;
    let now = world.now();
    Ok(world.tokens.issue(code.person, code.scopes, now, at_most))
}

/// The answer that brings a token, and the refresh token if it has one.
fn fields(token: &Token) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("access_token", json!(token.word))];
    if let Some(renewal) = &token.renewal {
        fields.extend([
            ("expires_in", json!(renewal.lives.access.as_secs())),
            ("refresh_token", json!(renewal.word)),
            ("refresh_token_expires_in", json!(renewal.lives.refresh.as_secs())),
        ]);
    }
    let scope = token.rights.scopes().join(",");
    fields.extend([("token_type", json!("bearer")), ("scope", json!(scope))]);
    fields
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

/// RFC 7636's transformation.
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
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
