//! The claims of the identity token: what an app learns of a visitor (RFC 7519).

use std::time::Duration;

use serde::Serialize;

use crate::clock::Time;
use crate::identity::Identity;
use crate::session::SessionKey;

/// How long an identity token is good.
pub const LIFE: Duration = Duration::from_secs(300);

/// A token is minted anew in the last fifth of its life, so an app never gets a stale one.
pub const RENEW_AFTER: Duration = Duration::from_secs(240);

/// Clocks differ: a token is already good this long before it was made.
const SKEW: Duration = Duration::from_secs(30);

/// The claims of the identity token.
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    /// The gateway's public URL.
    iss: &'a str,
    /// `github:<host>:<id>`: the account, which never changes hands.
    sub: String,
    /// The origin of the route, unless the operator chose another.
    aud: &'a str,
    /// When it was made.
    iat: i64,
    /// From when it is good.
    nbf: i64,
    /// When it stops being good.
    exp: i64,
    /// The session, by a name that is of no use in a cookie.
    sid: String,
    /// The account's present name.
    login: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orgs: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams: Option<Vec<&'a str>>,
}

/// To whom a token speaks, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The gateway's public URL.
    pub issuer: &'a str,
    /// The app.
    pub audience: &'a str,
    /// The GitHub where the visitor signed in.
    pub github_host: &'a str,
}

// === impl Claims ===

impl<'a> Claims<'a> {
    /// What is said of a visitor now.
    pub fn new(parties: Parties<'a>, who: &'a Identity, sid: SessionKey, now: Time) -> Self {
        Self {
            iss: parties.issuer,
            sub: format!("github:{}:{}", parties.github_host, who.id),
            aud: parties.audience,
            iat: now.unix(),
            nbf: (now - SKEW).unix(),
            exp: (now + LIFE).unix(),
            sid: sid.to_string(),
            login: who.login.as_str(),
            name: who.name.as_deref(),
            email: who.email.as_ref().map(crate::identity::Email::as_str),
            orgs: who
                .orgs
                .as_ref()
                .map(|orgs| orgs.iter().map(crate::identity::OrgName::as_str).collect()),
            teams: who
                .teams
                .as_ref()
                .map(|teams| teams.iter().map(crate::identity::TeamRef::as_str).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_say_who_for_whom_and_until_when() {
        let who: Identity = serde_json::from_str(
            r#"{"id":583231,"login":"octocat","email":"octocat@github.com","orgs":["acme"]}"#,
        )
        .unwrap();
        let parties = Parties {
            issuer: "https://auth.example",
            audience: "https://notes.example",
            github_host: "github.com",
        };
        let claims =
            Claims::new(parties, &who, SessionKey::new([0; 16]), Time::from_unix(1_000_000));
        assert_eq!(
            serde_json::to_string(&claims).unwrap(),
            r#"{"iss":"https://auth.example","sub":"github:github.com:583231","aud":"https://notes.example","iat":1000000,"nbf":999970,"exp":1000300,"sid":"AAAAAAAAAAAAAAAAAAAAAA","login":"octocat","email":"octocat@github.com","orgs":["acme"]}"#
        );
    }
}
