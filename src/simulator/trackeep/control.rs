//! The client of the control service: what it sends, which answers it takes, what it keeps.

use http::{HeaderMap, StatusCode};
use reqwest::{RequestBuilder, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Shared, outside::chain, strict};
use crate::simulator::{record::lock, web};

/// Any answer may carry a newer token here.
const NEWER: &str = "x-trackeep-controller-token";
/// How much of an answer that is no JSON is shown.
const SHOWN: usize = 220;

/// Somebody as the control service knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ControllerUser {
    pub(super) id: i64,
    pub(super) github_id: i64,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) avatar_url: String,
}

#[derive(Default, Deserialize)]
struct Validation {
    token: Option<String>,
    user: Option<User>,
}

/// The same as the service writes it: what is missing is nothing.
#[derive(Default, Deserialize)]
pub(super) struct User {
    id: Option<i64>,
    github_id: Option<i64>,
    username: Option<String>,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
}

/// What the service says of its GitHub App.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AppInfo {
    pub(super) app_slug: Option<String>,
    pub(super) install_enabled: Option<bool>,
    pub(super) sign_in_configured: Option<bool>,
    pub(super) credentials_configured: Option<bool>,
}

#[derive(Default, Deserialize)]
struct InstallUrl {
    install_url: Option<String>,
}

/// What the service says of an installation.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Verification {
    verified: Option<bool>,
    /// Read, and so of the right type, and then not looked at.
    #[serde(rename = "installation_id")]
    _installation_id: Option<i64>,
    pub(super) account_login: Option<String>,
    pub(super) account_type: Option<String>,
    pub(super) app_slug: Option<String>,
}

#[derive(Default, Deserialize)]
struct AccessToken {
    #[serde(rename = "access_token")]
    word: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "installation_id")]
    _installation_id: Option<i64>,
    #[serde(rename = "expires_at")]
    _expires_at: Option<String>,
}

#[derive(Default, Deserialize)]
struct Repositories {
    repositories: Option<Vec<Repository>>,
    repos: Option<Vec<Repository>>,
}

/// What an instance knows of a repository, whatever GitHub said.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Repository {
    id: Option<i64>,
    name: Option<String>,
    full_name: Option<String>,
    description: Option<String>,
    html_url: Option<String>,
    clone_url: Option<String>,
    private: Option<bool>,
    stargazers_count: Option<i64>,
    forks_count: Option<i64>,
    watchers_count: Option<i64>,
    language: Option<String>,
    updated_at: Option<String>,
    created_at: Option<String>,
    size: Option<i64>,
    open_issues_count: Option<i64>,
    default_branch: Option<String>,
}

// === impl User ===

impl From<User> for ControllerUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.unwrap_or_default(),
            github_id: user.github_id.unwrap_or_default(),
            username: user.username.unwrap_or_default(),
            email: user.email.unwrap_or_default(),
            name: user.name.unwrap_or_default(),
            avatar_url: user.avatar_url.unwrap_or_default(),
        }
    }
}

// === impl Repository ===

impl Serialize for Repository {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let number = |it: Option<i64>| it.unwrap_or_default();
        json!({
            "id": number(self.id), "name": text(&self.name), "full_name": text(&self.full_name),
            "description": text(&self.description), "html_url": text(&self.html_url),
            "clone_url": text(&self.clone_url), "private": self.private.unwrap_or_default(),
            "stargazers_count": number(self.stargazers_count),
            "forks_count": number(self.forks_count),
            "watchers_count": number(self.watchers_count), "language": text(&self.language),
            "updated_at": text(&self.updated_at), "created_at": text(&self.created_at),
            "size": number(self.size), "open_issues_count": number(self.open_issues_count),
            "default_branch": text(&self.default_branch),
        })
        .serialize(to)
    }
}

/// Exchanges what came through the browser for the service's token and its user.
pub(super) async fn validate(
    shared: &Shared,
    word: &str,
) -> Result<(String, ControllerUser), String> {
    let url = format!("{}/api/v1/auth/control/callback", base(shared));
    let request = shared
        .outside
        .client()?
        .post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(json!({ "token": word }).to_string());
    let (status, _, body) = send(request).await?;
    let found: Validation = strict::read(&taken(status, &body)?)?;
    let token = found.token.filter(|token| !token.trim().is_empty());
    let user = found.user.unwrap_or_default();
    Ok((token.unwrap_or_else(|| word.to_owned()), user.into()))
}

pub(super) async fn repositories(
    shared: &Shared,
    user: u64,
) -> Result<Option<Vec<Repository>>, String> {
    let found: Repositories = ask(shared, user, "/api/v1/github/repos").await?;
    Ok(found.repos)
}

pub(super) async fn app_info(shared: &Shared, user: u64) -> Result<AppInfo, String> {
    ask(shared, user, "/api/v1/github/app/info").await
}

pub(super) async fn install_url(
    shared: &Shared,
    user: u64,
    redirect: &str,
) -> Result<String, String> {
    let query = web::encode([&("redirect_uri".to_owned(), redirect.to_owned())]);
    let path = format!("/api/v1/github/app/install-url?{query}");
    let found: InstallUrl = ask(shared, user, &path).await?;
    let url = found.install_url.filter(|url| !url.trim().is_empty());
    url.ok_or_else(|| "control service did not return an install URL".to_owned())
}

pub(super) async fn verify(
    shared: &Shared,
    user: u64,
    installation: i64,
) -> Result<Verification, String> {
    let path = format!("/api/v1/github/app/installations/{installation}/verify");
    let found: Verification = ask(shared, user, &path).await?;
    if found.verified == Some(true) {
        return Ok(found);
    }
    Err("control service could not verify the GitHub installation".to_owned())
}

pub(super) async fn installation_repositories(
    shared: &Shared,
    user: u64,
    installation: i64,
) -> Result<Option<Vec<Repository>>, String> {
    let path = format!("/api/v1/github/app/installations/{installation}/repos");
    let found: Repositories = ask(shared, user, &path).await?;
    Ok(found.repositories.filter(|list| !list.is_empty()).or(found.repos))
}

/// The person's own token at GitHub, or that of an installation.
pub(super) async fn access_token(
    shared: &Shared,
    user: u64,
    installation: Option<i64>,
) -> Result<String, String> {
    let (path, whose) = match installation {
        None => ("/api/v1/github/user/access-token".to_owned(), "user"),
        Some(id) => (format!("/api/v1/github/app/installations/{id}/access-token"), "installation"),
    };
    let found: AccessToken = ask(shared, user, &path).await?;
    let token = found.word.filter(|token| !token.trim().is_empty());
    token.ok_or_else(|| format!("control service returned an empty GitHub {whose} token"))
}

/// One question with the token that is kept for an account. A newer one is kept, whatever the answer
/// is and however late it comes: nobody looks whether it is older than what is kept by then.
async fn ask<T: DeserializeOwned + Default>(
    shared: &Shared,
    user: u64,
    path: &str,
) -> Result<T, String> {
    let kept = lock(&shared.database).sessions.get(&user).cloned().ok_or("record not found")?;
    let request = shared
        .outside
        .client()?
        .get(format!("{}{path}", base(shared)))
        .header(header::AUTHORIZATION, format!("Bearer {}", kept.trim()))
        .header(header::ACCEPT, "application/json");
    let (status, headers, body) = send(request).await?;
    let newer = headers.get(NEWER).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(newer) = newer.filter(|newer| !newer.is_empty()) {
        lock(&shared.database).persist(user, newer);
    }
    strict::read(&taken(status, &body)?)
}

fn base(shared: &Shared) -> String {
    shared.setting(|of| of.control.clone())
}

async fn send(request: RequestBuilder) -> Result<(StatusCode, HeaderMap, Vec<u8>), String> {
    let answer = request.send().await.map_err(|why| chain(&why))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(|why| chain(&why))?;
    Ok((status, headers, body.to_vec()))
}

/// The body of an answer that is good: any of 2xx.
fn taken(status: StatusCode, body: &[u8]) -> Result<Vec<u8>, String> {
    if status.is_success() {
        return Ok(body.to_vec());
    }
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let words = match said["error"].as_str().filter(|words| !words.trim().is_empty()) {
        Some(words) => words.to_owned(),
        None if text.trim().is_empty() => status.canonical_reason().unwrap_or_default().to_owned(),
        None => shortened(text.trim()),
    };
    Err(format!("control service returned {}: {words}", status.as_u16()))
}

fn shortened(words: &str) -> String {
    if words.len() <= SHOWN {
        return words.to_owned();
    }
    format!("{}...", String::from_utf8_lossy(&words.as_bytes()[..SHOWN - 3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_services_words() {
        let told = |status: u16, body: &str| {
            taken(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err()
        };
        let returned = "control service returned";
        assert_eq!(told(401, r#"{"error":"expired"}"#), format!("{returned} 401: expired"));
        assert_eq!(told(502, " <h1>x</h1>\n"), format!("{returned} 502: <h1>x</h1>"));
        assert_eq!(told(429, r#"{"error":""}"#), format!("{returned} 429: {{\"error\":\"\"}}"));
        assert_eq!(told(403, ""), format!("{returned} 403: Forbidden"));
        let long = told(500, &"x".repeat(300));
        assert_eq!(long, format!("{returned} 500: {}...", "x".repeat(217)));
        assert_eq!(taken(StatusCode::CREATED, b"{}"), Ok(b"{}".to_vec()));
    }
}
