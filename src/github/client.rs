//! The HTTP client for GitHub: bounded in time and bytes, follows no redirect, names itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use serde::de::DeserializeOwned;

use super::budgets::{Budgets, Heard};
use super::verbatim::{self, Answers, Verbatim};
use super::{GitHubError, Settings};
use crate::budget::Limited;
use crate::freshness::{etag, link};
use crate::secret::Secret;

/// Talks to one GitHub with one set of credentials.
#[derive(Clone)]
pub struct Client {
    pub(super) settings: Settings,
    pub(super) budgets: Arc<Budgets>,
    pub(super) verbatim: Arc<Verbatim>,
    http: reqwest::Client,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A token, with what GitHub says of its owner's limits: whose they are, its answers tell.
pub(super) struct Token<'t> {
    secret: &'t Secret<String>,
    heard: Mutex<Vec<Heard>>,
    scopes: Mutex<Option<String>>,
    /// What was said of its owner before, and what is said now.
    before: Arc<Answers>,
    now: Mutex<Answers>,
}

/// What a question with a known `ETag` brings.
pub(super) enum News<T> {
    /// GitHub says 304: as before, and no rate limit was spent.
    Unchanged,
    /// Something else than before, and its `ETag`.
    New(T, Option<String>),
}

/// The largest answer that is read: GitHub's pages of 100 entries stay far below.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

/// Pages that are followed at most: 5,000 organisations or teams.
const MOST_PAGES: usize = 50;

/// Entries of a page.
const PAGE: usize = 100;

const ACCEPT: &str = "application/vnd.github+json";

pub(super) const API_VERSION: &str = "2022-11-28";

// === impl Token ===

impl<'t> Token<'t> {
    pub(super) fn new(secret: &'t Secret<String>) -> Self {
        let (heard, scopes, now) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { secret, heard, scopes, before: Arc::default(), now }
    }

    /// The token of somebody of whom this was said before.
    pub(super) fn with(self, before: Arc<Answers>) -> Self {
        Self { before, ..self }
    }

    fn overhear(&self, answer: &Answer) {
        let heard = Heard::all_of(answer.status, &answer.headers, &answer.body);
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).extend(heard);
        if let Some(scopes) = answer.headers.get("x-oauth-scopes") {
            let scopes = scopes.to_str().ok().map(str::to_owned);
            *self.scopes.lock().unwrap_or_else(PoisonError::into_inner) = scopes;
        }
    }

    /// The validator of what was said before, by GitHub's own formula.
    fn tag(&self, body: &[u8]) -> String {
        let authorization = Secret::new(format!("Bearer {}", self.secret.expose()));
        etag::computed(Some(ACCEPT), Some(authorization.expose()), body)
    }

    /// Notes what is said of its owner, where the formula will tell whether it still is.
    fn note(&self, what: &'static str, answer: &Answer) {
        // Behind a full page another may begin, of which its own tag says nothing.
        let is_whole = next_page(&answer.headers).is_none()
            && link::items_of(&answer.body).is_none_or(|entries| entries < PAGE);
        let is_kept = is_whole && answer.body.len() <= verbatim::LARGEST;
        let given = tag_of(&answer.headers).filter(|_| is_kept).unwrap_or_default();
        if etag::formula_holds(&given, &self.tag(&answer.body)) {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.insert(what, answer.body.clone().into());
        }
    }

    /// What was heard of its owner's limits, of its owner, and of its scopes.
    pub(super) fn heard(self) -> (Vec<Heard>, Answers, Option<String>) {
        let limits = self.heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answers = self.now.into_inner().unwrap_or_else(PoisonError::into_inner);
        (limits, answers, self.scopes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Answer ===

impl Answer {
    /// The whole answer, where GitHub says that it would be the body of this tag.
    fn confirming(self, body: &[u8], tag: &str) -> Option<Self> {
        let said = tag_of(&self.headers);
        if said.is_some_and(|said| !etag::weakly_equal(&said, tag)) {
            return None;
        }
        let mut headers = self.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ETAG, HeaderValue::from_str(tag).ok()?);
        Some(Self { status: StatusCode::OK, headers, body: body.to_vec() })
    }
}

// === impl Client ===

impl Client {
    /// A client for these settings. What GitHub tells it of people's limits goes to `budgets`, and what
    /// it tells of people to `verbatim`.
    pub fn new(
        settings: Settings,
        budgets: Arc<Budgets>,
        verbatim: Arc<Verbatim>,
    ) -> Result<Self, GitHubError> {
        crate::keys::install_jwt_provider();
        let http = trusting(settings.ca.as_deref().map(Vec::as_slice))
            .map_err(|e| GitHubError::Unreachable("anything", e.to_string()))?
            .user_agent(concat!("gatekeep/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            .pool_max_idle_per_host(16)
            .build()
            .map_err(|e| GitHubError::Unreachable("anything", e.to_string()))?;
        Ok(Self { settings, budgets, verbatim, http })
    }

    /// Reads every page of a list, by the `Link` header (RFC 8288). The `ETag` speaks for the
    /// whole only where one page is the whole.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        what: &'static str,
        token: &Token<'_>,
        known: Option<&str>,
    ) -> Result<News<Vec<T>>, GitHubError> {
        let mut url = format!("{}{what}?per_page={PAGE}", self.settings.api);
        let mut all = Vec::new();
        for page in 0..MOST_PAGES {
            let answer = match page {
                0 => self.ask(what, &url, token, known).await?,
                _ => self.get(what, &url, token, None).await?,
            };
            if answer.status == StatusCode::NOT_MODIFIED {
                return Ok(News::Unchanged);
            }
            all.extend(json::<Vec<T>>(what, &answer)?);
            match next_page(&answer.headers) {
                None => {
                    let validator = tag_of(&answer.headers).filter(|_| page == 0);
                    return Ok(News::New(all, validator));
                }
                Some(next) if self.is_own(&next) => url = next,
                Some(_) => {
                    return Err(GitHubError::Malformed(what, "the next page is elsewhere".into()));
                }
            }
        }
        Err(GitHubError::Malformed(what, format!("more than {MOST_PAGES} pages")))
    }

    /// Reads one resource.
    pub(super) async fn one<T: DeserializeOwned>(
        &self,
        what: &'static str,
        token: &Token<'_>,
        known: Option<&str>,
    ) -> Result<News<T>, GitHubError> {
        let answer = self.ask(what, &format!("{}{what}", self.settings.api), token, known).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(News::Unchanged);
        }
        Ok(News::New(json(what, &answer)?, tag_of(&answer.headers)))
    }

    /// Asks about the token's owner. What GitHub confirms of what it said before, by its bytes, is as
    /// good as said anew; else `known` is the validator of what is known.
    async fn ask(
        &self,
        what: &'static str,
        url: &str,
        token: &Token<'_>,
        known: Option<&str>,
    ) -> Result<Answer, GitHubError> {
        let before = token.before.get(what);
        let tag = before.map(|body| token.tag(body));
        let mut answer = self.get(what, url, token, tag.as_deref().or(known)).await?;
        if let (StatusCode::NOT_MODIFIED, Some(body), Some(tag)) = (answer.status, before, tag) {
            answer = match answer.confirming(body, &tag) {
                Some(confirmed) => confirmed,
                None => self.get(what, url, token, None).await?,
            };
        }
        if answer.status == StatusCode::OK {
            token.note(what, &answer);
        }
        Ok(answer)
    }

    pub(super) async fn get(
        &self,
        what: &'static str,
        url: &str,
        token: &Token<'_>,
        known: Option<&str>,
    ) -> Result<Answer, GitHubError> {
        let mut request = self
            .http
            .get(url)
            .bearer_auth(token.secret.expose())
            .header("accept", ACCEPT)
            .header("x-github-api-version", API_VERSION);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        let answer = self.send(what, request).await?;
        token.overhear(&answer);
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(answer),
            // A limit says nothing about the person.
            StatusCode::FORBIDDEN if is_limited(&answer) => {
                Err(GitHubError::Failed(what, StatusCode::TOO_MANY_REQUESTS.as_u16()))
            }
            // Everybody has an account: this is not where the API is.
            StatusCode::NOT_FOUND if what == "/user" => {
                let why = "it answers 404, so `github.api` may be wrong (GitHub Enterprise has it at \
                           https://HOST/api/v3)";
                Err(GitHubError::Refused(what, why.to_owned()))
            }
            status => Err(GitHubError::Failed(what, status.as_u16())),
        }
    }

    /// Sends a request and reads the answer within the bounds.
    pub(super) async fn send(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, GitHubError> {
        // `without_url`: a URL may carry what no log should.
        let lost = |e: reqwest::Error| GitHubError::NoAnswer(what, describe(&e.without_url()));
        let failed = |e: reqwest::Error| {
            if e.is_connect() {
                return GitHubError::Unreachable(what, describe(&e.without_url()));
            }
            lost(e)
        };
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(GitHubError::Malformed(what, "it is far too large".into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }

    /// How long a question may take that is several requests.
    pub fn patience(&self) -> Duration {
        self.settings.timeout * 2
    }

    pub(super) fn request(&self, method: http::Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, url)
    }

    /// Whether a URL is one of this API: the token goes nowhere else.
    pub(super) fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.settings.api).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A client that trusts these certificates in PEM, or the system's.
pub(crate) fn trusting(ca: Option<&[u8]>) -> reqwest::Result<ClientBuilder> {
    let builder = reqwest::Client::builder();
    match ca {
        Some(pem) => Ok(builder.tls_certs_only(Certificate::from_pem_bundle(pem)?)),
        None => Ok(builder),
    }
}

pub(super) fn json<T: DeserializeOwned>(
    what: &'static str,
    answer: &Answer,
) -> Result<T, GitHubError> {
    if !is_json(&answer.headers) {
        return Err(GitHubError::Malformed(what, "it is no JSON by its Content-Type".into()));
    }
    // serde_json's message names a place, and no content.
    serde_json::from_slice(&answer.body).map_err(|e| {
        GitHubError::Malformed(what, format!("{:?} error in line {}", e.classify(), e.line()))
    })
}

fn tag_of(headers: &HeaderMap) -> Option<String> {
    headers.get(ETAG)?.to_str().ok().map(str::to_owned)
}

/// GitHub says 403 both for "you may not" and for "not so fast".
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
pub(super) fn is_limited(answer: &Answer) -> bool {
    Limited::read(answer.status, &answer.headers, &answer.body).is_some()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

pub(super) fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get("link")?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|p| p.trim() == r#"rel="next""#);
        is_next.then(|| url.to_owned())
    })
}

/// An error and its causes, for reqwest's own text stops at "error sending request".
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_from_link() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), None);
        let link = r#"<https://api.github.com/user/orgs?page=1>; rel="prev", <https://api.github.com/user/orgs?page=3>; rel="next""#;
        headers.insert("link", link.parse().unwrap());
        assert_eq!(next_page(&headers).as_deref(), Some("https://api.github.com/user/orgs?page=3"));
        headers.insert("link", r#"<https://x>; rel="first""#.parse().unwrap());
        assert_eq!(next_page(&headers), None);
    }
}
