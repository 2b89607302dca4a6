//! An app behind Gatekeep that checks who is asking by itself, with the published keys.
//!
//!     cargo run --example verify_identity -- 127.0.0.1:8080 https://auth.example.com https://app.example.com
//!
//! The arguments: where the app listens, the gateway's `public_url`, and the app's own origin. In
//! another language the same six checks apply: the algorithm, the key by `kid`, `iss`, `aud`, `exp`
//! and `typ`.

#![expect(clippy::print_stdout, reason = "an app may speak")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    gatekeep::keys::install_jwt_provider();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [listen, issuer, audience] = arguments.as_slice() else {
        return Err("give three arguments: where to listen, the gateway's URL, and ours".into());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = TcpListener::bind(listen)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let token = lines.take_while(|line| !line.is_empty()).find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("x-gatekeep-jwt").then(|| value.to_owned())
        });
        // Keys are asked for anew here; a real app keeps them for as long as `max-age` says.
        let answer = match token.ok_or("no token came".into()).and_then(|token| {
            let keys = runtime.block_on(keys_of(issuer))?;
            verify(&token, &keys, issuer, audience)
        }) {
            Ok(claims) => format!("Hello {}, you are {}.\n", claims["login"], claims["sub"]),
            Err(failure) => format!("I do not believe this: {failure}\n"),
        };
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
        )?;
    }
    Ok(())
}

async fn keys_of(issuer: &str) -> Result<JwkSet, Failure> {
    let url = format!("{issuer}/.well-known/jwks.json");
    Ok(reqwest::Client::builder().build()?.get(url).send().await?.json().await?)
}

/// The claims of a token that is all it should be.
fn verify(token: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Value, Failure> {
    let header = decode_header(token)?;
    if header.typ.as_deref() != Some("gatekeep-identity+jwt") {
        return Err("the token is of another kind".into());
    }
    let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("its key is unknown")?;
    let AlgorithmParameters::EllipticCurve(point) = &key.algorithm else {
        return Err("its key is of another kind".into());
    };
    // The algorithm is ours to choose, never the token's (RFC 8725 §3.1).
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    let key = DecodingKey::from_ec_components(&point.x, &point.y)?;
    Ok(decode::<Value>(token, &key, &validation)?.claims)
}
