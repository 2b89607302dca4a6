//! Where browsers are sent: the instance's own public address, and the page that takes a token.

use url::Url;

use super::Shared;
use crate::simulator::{
    record::Recorded,
    web::{encode, first},
};

/// The page that a bare origin stands for.
const PAGE: &str = "/auth/callback";

/// A URL with a host; a bare origin gets the page's path. Nothing else is asked of it.
pub(super) fn normalize(raw: &str) -> Option<String> {
    let mut url = Url::parse(raw.trim()).ok().filter(Url::has_host)?;
    if matches!(url.path(), "" | "/") {
        url.set_path(PAGE);
    }
    Some(url.into())
}

/// Where this sign-in is to end: the query says it, else the operator, else the page one comes from.
pub(super) fn wanted(shared: &Shared, request: &Recorded) -> Option<String> {
    let query = request.query();
    let referer = || {
        let url = Url::parse(request.header("referer")?.trim()).ok()?;
        url.has_host().then(|| url.origin().ascii_serialization())
    };
    first(&query, "frontend_redirect")
        .and_then(normalize)
        .or_else(|| normalize(&public_url(shared)))
        .or_else(|| normalize(request.header("origin")?))
        .or_else(|| normalize(&referer()?))
}

/// That address, or the operator's, with a token in its query.
pub(super) fn with_token(shared: &Shared, target: Option<&str>, token: &str) -> Option<String> {
    let target = target.and_then(normalize).or_else(|| normalize(&public_url(shared)))?;
    let mut url = Url::parse(&target).ok()?;
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.retain(|(name, _)| name != "token");
    query.push(("token".to_owned(), token.to_owned()));
    query.sort();
    url.set_query(Some(&encode(&query)));
    Some(url.into())
}

/// `PUBLIC_API_URL` and `FRONTEND_URL`.
pub(super) fn public_url(shared: &Shared) -> String {
    shared.setting(|of| of.public_url.clone())
}

/// The instance's address as browsers know it: what the operator says, else what a proxy says, whoever
/// that is.
pub(super) fn base(shared: &Shared, request: &Recorded) -> String {
    let configured = public_url(shared);
    if !configured.is_empty() {
        return configured;
    }
    let scheme = part(request, "x-forwarded-proto").unwrap_or("http");
    let host = part(request, "x-forwarded-host").or_else(|| request.header("host"));
    format!("{scheme}://{}", host.unwrap_or_default())
}

/// The first of a list that says anything.
pub(super) fn part<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    request.header(name)?.split(',').map(str::trim).find(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_origin_gets_the_page_and_any_other_site_will_do() {
        for (raw, meant) in [
            ("https://trackeep.example", Some("https://trackeep.example/auth/callback")),
            (" https://trackeep.example/ ", Some("https://trackeep.example/auth/callback")),
            ("https://evil.example/x?y=1", Some("https://evil.example/x?y=1")),
            ("/auth/callback", None),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            assert_eq!(normalize(raw).as_deref(), meant, "{raw}");
        }
    }
}
