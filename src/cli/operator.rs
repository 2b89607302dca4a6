//! Speaking to the running gateway, at its `admin` address, with the token that its master secret
//! yields.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::redirect::Policy;
use serde_json::Value;

use super::{REFUSED, Running, fail, say};
use crate::clock::Time;
use crate::config::{Config, Problems};
use crate::secret::Secret;

/// The running gateway.
pub(super) struct Operator {
    url: String,
    token: Secret<String>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Why a command is not done. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Config(#[from] Problems),
    #[error(
        "`admin` is not set in {0}, and that is where commands reach the running gateway; add \
         `admin: 127.0.0.1:9900` and restart it"
    )]
    NoAdmin(PathBuf),
    #[error(
        "`admin` in {0} leaves the port to chance; name one, as in `admin: 127.0.0.1:9900`, and \
         restart the gateway"
    )]
    AnyPort(PathBuf),
    #[error("nobody answers at {0}: {1}; is the gateway running, with this `admin` address?")]
    Nobody(String, String),
    #[error(
        "the gateway at {0} runs with another master secret; use its own configuration and \
         environment, and if `secret` has changed since, have it read again with SIGHUP"
    )]
    OtherSecret(String),
    #[error("what answers at {0} is no gateway, or of another version: {1}")]
    Stranger(String, String),
    #[error("the request was refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

/// For connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// For the whole answer: a page of rows may take two minutes.
const TIMEOUT: Duration = Duration::from_secs(150);

// === impl Operator ===

impl Operator {
    /// The gateway that runs with this configuration.
    pub(super) fn of(file: &Path) -> Result<Self, Trouble> {
        let config = Config::load(file)?;
        let address = config.admin.ok_or_else(|| Trouble::NoAdmin(file.to_owned()))?;
        if address.port() == 0 {
            return Err(Trouble::AnyPort(file.to_owned()));
        }
        let url = format!("http://{}", reachable(address));
        let unable = |error: String| Trouble::Nobody(url.clone(), error);
        let http = reqwest::Client::builder()
            .user_agent(concat!("gatekeep/", env!("CARGO_PKG_VERSION")))
            // The token is for the gateway alone.
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| unable(causes(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unable(error.to_string()))?;
        Ok(Self { token: config.keys.admin_token().clone(), url, http, runtime })
    }

    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let mut url = url::Url::parse(&self.url).expect("an address makes a URL");
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(self.http.request(Method::GET, url))
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.ask(self.http.request(Method::POST, format!("{}{path}", self.url)).json(body))
    }

    fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, Trouble> {
        let lost =
            |error: reqwest::Error| Trouble::Nobody(self.url.clone(), causes(&error.without_url()));
        let request = request.bearer_auth(self.token.expose());
        let (status, bytes) = self
            .runtime
            .block_on(async {
                let answer = request.send().await?;
                Ok((answer.status(), answer.bytes().await?))
            })
            .map_err(lost)?;
        let stranger = || Trouble::Stranger(self.url.clone(), format!("it answered {status}"));
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| stranger())?;
        if status == StatusCode::OK {
            return Ok(value);
        }
        let sentence = value["error"].as_str().ok_or_else(stranger)?.to_owned();
        Err(match status {
            StatusCode::UNAUTHORIZED => Trouble::OtherSecret(self.url.clone()),
            StatusCode::BAD_REQUEST => Trouble::Refused(sentence),
            _ => Trouble::Failed(sentence),
        })
    }
}

// === impl Trouble ===

impl Trouble {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::NoAdmin(_) | Self::AnyPort(_) | Self::Refused(_) => REFUSED,
            Self::Nobody(..) | Self::OtherSecret(_) | Self::Stranger(..) | Self::Failed(_) => 1,
        }
    }
}

/// Asks, and prints the answer: as it came for programs, else as `show` makes it.
pub(super) fn answer(
    at: &Running,
    ask: impl FnOnce(&Operator) -> Result<Value, Trouble>,
    show: impl FnOnce(&Value) -> String,
) -> ExitCode {
    match Operator::of(&at.file).and_then(|operator| ask(&operator)) {
        Ok(value) if at.json => say(&format!("{value}\n")),
        Ok(value) => say(&show(&value)),
        Err(trouble) => return fail(&trouble, trouble.code()),
    }
    ExitCode::SUCCESS
}

/// Where a listener can be reached from its own machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The last cause says most: "Connection refused".
fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

// === For eyes ===

/// Columns under their heads, two spaces apart.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&heads).chain(rows).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<_> = (0..line.len())
            .map(|column| format!("{:<width$}", line[column], width = width(column)))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A text as the gateway gave it: a browser chose some of them, so nothing in it steers a terminal.
pub(super) fn text(value: &Value) -> String {
    let shown = value.as_str().unwrap_or("-");
    shown.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A number.
pub(super) fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// A moment as people read it.
pub(super) fn moment(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".to_owned(), |unix| Time::from_unix(unix).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_every_interface_is_reached_by_loopback() {
        for (configured, reached) in [
            ("0.0.0.0:9900", "127.0.0.1:9900"),
            ("[::]:9900", "[::1]:9900"),
            ("192.0.2.1:9900", "192.0.2.1:9900"),
        ] {
            let address = reachable(configured.parse().unwrap());
            assert_eq!(address.to_string(), reached);
        }
    }

    #[test]
    fn nothing_that_a_browser_calls_itself_steers_the_terminal() {
        let name = Value::from("Fire\u{1b}[2Jfox\u{9b}");
        assert_eq!(text(&name), "Fire?[2Jfox?");
        assert_eq!(text(&Value::Null), "-");
    }
}
