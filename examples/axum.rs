//! An app behind Gatekeep that checks who is asking by itself, with the published keys.
//!
//!     PORT=8080 GATEKEEP_ISSUER=https://auth.example.com \
//!         GATEKEEP_AUDIENCE=https://app.example.com cargo run --example axum

use std::{env::var, error::Error, sync::Arc, time::Instant};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::get};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::Value;
use tokio::sync::Mutex;

struct App {
    issuer: String,
    expected: Validation,
    keys: Mutex<(JwkSet, Option<Instant>)>,
}

impl App {
    /// The claims of a token that is all it should be. Published keys are kept for five minutes; for a
    /// `kid` among none of them they are fetched again, once a minute at most.
    async fn identify(&self, headers: &HeaderMap) -> Result<Value, Box<dyn Error>> {
        let token = headers.get("x-gatekeep-jwt").ok_or("no token")?.to_str()?;
        let header = decode_header(token)?;
        if header.typ.as_deref() != Some("gatekeep-identity+jwt") {
            return Err("a token of another kind".into());
        }
        let kid = header.kid.ok_or("a token without a kid")?;
        let (keys, asked) = &mut *self.keys.lock().await;
        let most = if keys.find(&kid).is_some() { 300 } else { 60 };
        if asked.is_none_or(|at| at.elapsed().as_secs() > most) {
            *asked = Some(Instant::now());
            let url = format!("{}/.well-known/jwks.json", self.issuer);
            *keys = reqwest::get(url).await?.error_for_status()?.json().await?;
        }
        let key = DecodingKey::from_jwk(keys.find(&kid).ok_or("no such key is published")?)?;
        Ok(decode::<Value>(token, &key, &self.expected)?.claims)
    }
}

async fn hello(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let who = app.identify(&headers).await.map_err(|_| StatusCode::UNAUTHORIZED)?;
    let claim = |name: &str| who[name].as_str().unwrap_or_default().to_owned();
    // `sub` is the account and stays the same; a login can be renamed.
    Ok(format!("Hello {}, you are {}.\n", claim("login"), claim("sub")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In a program of your own a feature does this: `jsonwebtoken/aws_lc_rs`, `reqwest/rustls`.
    gatekeep::keys::install_jwt_provider();
    // The gateway's `public_url`, and the app's own origin (or its route's `token.audience`).
    let (issuer, audience) = (var("GATEKEEP_ISSUER")?, var("GATEKEEP_AUDIENCE")?);
    // The algorithm is ours to choose, never the token's (RFC 8725).
    let mut expected = Validation::new(Algorithm::ES256);
    expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    expected.set_issuer(&[&issuer]);
    expected.set_audience(&[audience]);
    expected.leeway = 0;
    let keys = Mutex::new((JwkSet { keys: vec![] }, None));
    let app = Router::new().route("/", get(hello));
    let app = app.with_state(Arc::new(App { issuer, expected, keys }));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT")?)).await?;
    Ok(axum::serve(listener, app).await?)
}
