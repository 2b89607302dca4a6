//! An app behind Gatekeep that checks who is asking by itself, with the published keys.
//!
//!     PORT=8080 GATEKEEP_ISSUER=https://auth.example.com \
//!         GATEKEEP_AUDIENCE=https://app.example.com cargo run --example axum
//!
//! The issuer is the gateway's `public_url`, the audience the app's own origin (or its route's
//! `token.audience`).

#![expect(clippy::print_stderr, reason = "an app may speak")]

use std::env::var;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::get};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::Value;
use tokio::sync::Mutex;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct App {
    issuer: String,
    expected: Validation,
    client: reqwest::Client,
    keys: Mutex<(JwkSet, Option<Instant>)>,
}

impl App {
    /// The claims of a token that is all it should be.
    async fn identify(&self, headers: &HeaderMap) -> Result<Value, Failure> {
        let token = headers.get("x-gatekeep-jwt").ok_or("no token came")?.to_str()?;
        let header = decode_header(token)?;
        if header.typ.as_deref() != Some("gatekeep-identity+jwt") {
            return Err("the token is of another kind".into());
        }
        let key = self.key(header.kid.as_deref().unwrap_or_default()).await?;
        Ok(decode::<Value>(token, &key, &self.expected)?.claims)
    }

    /// Keys are kept for five minutes; for a `kid` among none of them they are fetched again, once a
    /// minute at most.
    async fn key(&self, kid: &str) -> Result<DecodingKey, Failure> {
        let (keys, asked) = &mut *self.keys.lock().await;
        let older =
            |minutes: u64| asked.is_none_or(|at| at.elapsed() > Duration::from_secs(60 * minutes));
        if older(5) || (keys.find(kid).is_none() && older(1)) {
            *asked = Some(Instant::now());
            let url = format!("{}/.well-known/jwks.json", self.issuer);
            *keys = self.client.get(url).send().await?.error_for_status()?.json().await?;
        }
        Ok(DecodingKey::from_jwk(keys.find(kid).ok_or("no published key has this kid")?)?)
    }
}

async fn hello(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<String, StatusCode> {
    let who = app.identify(&headers).await.map_err(|failure| {
        eprintln!("refused: {failure}");
        StatusCode::UNAUTHORIZED
    })?;
    let text = |name: &str| who[name].as_str().unwrap_or_default().to_owned();
    // `sub` is the account and stays the same; a login can be renamed.
    Ok(format!("Hello {}, you are {}.\n", text("login"), text("sub")))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // In a program of your own a feature does this: `jsonwebtoken/aws_lc_rs`, `reqwest/rustls`.
    gatekeep::keys::install_jwt_provider();
    // The algorithm is ours to choose, never the token's (RFC 8725).
    let mut expected = Validation::new(Algorithm::ES256);
    expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    expected.set_issuer(&[var("GATEKEEP_ISSUER")?]);
    expected.set_audience(&[var("GATEKEEP_AUDIENCE")?]);
    expected.leeway = 0;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let keys = Mutex::new((JwkSet { keys: Vec::new() }, None));
    let app = Arc::new(App { issuer: var("GATEKEEP_ISSUER")?, expected, client, keys });
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT")?)).await?;
    axum::serve(listener, Router::new().route("/", get(hello)).with_state(app)).await?;
    Ok(())
}
