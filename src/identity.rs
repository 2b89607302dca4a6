//! Who somebody is on GitHub: the account, the verified e-mail, organisations and teams.
//!
//! GitHub compares logins, organisation names and team slugs without regard to case, so these
//! types keep the spelling for people and compare without regard to case.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A signed-in GitHub account and what is known of it. The number is the account; the login may
/// be renamed and registered again by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account's number at this GitHub, always above zero.
    pub id: u64,
    /// The account's present name.
    pub login: Login,
    /// The display name, where one is set.
    pub name: Option<Box<str>>,
    /// The primary e-mail, if GitHub has verified it.
    pub email: Option<Email>,
    /// Organisations; `None` when nobody asked GitHub for them.
    pub orgs: Option<Box<[OrgName]>>,
    /// Teams; `None` when nobody asked GitHub for them.
    pub teams: Option<Box<[TeamRef]>>,
}

/// A GitHub account's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login(Folded);

/// A GitHub organisation's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrgName(Folded);

/// A team, written `org/slug`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TeamRef(Folded);

/// An e-mail address with exactly one `@` and an ASCII domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(Folded);

/// What an allow list says of e-mails: one address, or `*@domain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailPattern {
    /// Exactly this address.
    Address(Email),
    /// Every address whose domain is exactly this one, in lower case; no sub-domains.
    Domain(Box<str>),
}

/// What a list says of accounts: a login, or `id:583231`, which stays when the login changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserPattern {
    /// Whoever has this login now.
    Login(Login),
    /// The account with this number.
    Id(u64),
}

/// Why a text is no GitHub name or e-mail. `Display` is a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a login or organisation name.
    #[error("`{0}` is not a GitHub name: letters, digits and single hyphens, at most 39 of them")]
    Name(String),
    /// Not `org/team`.
    #[error("`{0}` is not a team: write it as `org/team-slug`, as in the team's address")]
    Team(String),
    /// Not `id:` and a number.
    #[error("`{0}` is not an account's number: write it as `id:583231`")]
    Id(String),
    /// Not an e-mail address.
    #[error("`{0}` is not an e-mail address with one `@` and a plain domain")]
    Email(String),
}

/// A text that is shown as written and compared without regard to case. It is kept once: very many
/// are held in memory.
#[derive(Clone)]
struct Folded(Box<str>);

// === impl Folded ===

impl PartialEq for Folded {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Folded {}

impl std::hash::Hash for Folded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        // The end, as texts have it.
        state.write_u8(0xff);
    }
}

impl fmt::Debug for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! folded_name {
    ($name:ident) => {
        impl $name {
            /// As GitHub spells it.
            pub fn as_str(&self) -> &str {
                &self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

folded_name!(Login);
folded_name!(OrgName);
folded_name!(TeamRef);
folded_name!(Email);

// === impl FromStr ===

impl FromStr for Login {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // Enterprise-managed logins carry `_shortcode`; bots carry `[bot]` and never sign in.
        let plain = text.replace('_', "-");
        is_name(&plain)
            .then(|| Self(Folded(text.into())))
            .ok_or_else(|| NameError::Name(text.to_owned()))
    }
}

impl FromStr for OrgName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        is_name(text)
            .then(|| Self(Folded(text.into())))
            .ok_or_else(|| NameError::Name(text.to_owned()))
    }
}

impl FromStr for TeamRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = text.split_once('/').is_some_and(|(org, slug)| is_name(org) && is_slug(slug));
        good.then(|| Self(Folded(text.into()))).ok_or_else(|| NameError::Team(text.to_owned()))
    }
}

impl FromStr for Email {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty()
                    && local.bytes().all(|b| b.is_ascii_graphic())
                    && is_domain(domain)
            });
        good.then(|| Self(Folded(text.into()))).ok_or_else(|| NameError::Email(text.to_owned()))
    }
}

impl FromStr for EmailPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("*@") {
            Some(domain) if is_domain(domain) => {
                Ok(Self::Domain(domain.to_ascii_lowercase().into()))
            }
            Some(_) => Err(NameError::Email(text.to_owned())),
            None => text.parse().map(Self::Address),
        }
    }
}

impl FromStr for UserPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some(number) = text.strip_prefix("id:") else { return text.parse().map(Self::Login) };
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        match number.parse() {
            Ok(id) if digits && id > 0 => Ok(Self::Id(id)),
            _ => Err(NameError::Id(text.to_owned())),
        }
    }
}

// === impl Email, UserPattern, EmailPattern ===

impl Email {
    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.as_str().split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl UserPattern {
    /// Whether an account is meant.
    pub fn fits(&self, identity: &Identity) -> bool {
        match self {
            Self::Login(login) => *login == identity.login,
            Self::Id(id) => *id == identity.id,
        }
    }
}

impl fmt::Display for UserPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(login) => login.fmt(f),
            Self::Id(id) => write!(f, "id:{id}"),
        }
    }
}

impl EmailPattern {
    /// Whether an address fits.
    pub fn fits(&self, email: &Email) -> bool {
        match self {
            Self::Address(address) => address == email,
            Self::Domain(domain) => email.domain().eq_ignore_ascii_case(domain),
        }
    }
}

impl fmt::Display for EmailPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => write!(f, "*@{domain}"),
        }
    }
}

/// GitHub's rule for accounts and organisations. Old accounts may end in a hyphen.
fn is_name(text: &str) -> bool {
    (1..=39).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_slug(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_domain(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_github_does() {
        assert_eq!("Acme".parse::<OrgName>(), "aCME".parse());
        assert_eq!("Acme/Platform".parse::<TeamRef>(), "acme/platform".parse());
        assert_ne!("octocat".parse::<Login>(), "0ctocat".parse());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for bad in ["", "-a", "a b", "a/b", "ünïcode", "a@b", &"a".repeat(40)] {
            assert!(bad.parse::<OrgName>().is_err(), "{bad}");
            assert!(bad.parse::<Login>().is_err(), "{bad}");
        }
        for bad in ["acme", "acme/", "/team", "acme/a/b", "acme/a b"] {
            assert!(bad.parse::<TeamRef>().is_err(), "{bad}");
        }
        assert!("mona_acme".parse::<Login>().is_ok(), "an enterprise-managed login");
    }

    #[test]
    fn an_account_is_named_by_its_login_or_its_number() {
        let mallory: Identity = serde_json::from_str(r#"{"id":7,"login":"mallory"}"#).unwrap();
        for (text, fits) in [
            ("Mallory", true),
            ("id:7", true),
            ("id:007", true),
            ("id:70", false),
            ("7", false),
            ("octocat", false),
        ] {
            assert_eq!(text.parse::<UserPattern>().unwrap().fits(&mallory), fits, "{text}");
        }
        for bad in ["id:", "id:0", "id:+7", "id:-7", "id:7x", "id:mallory", "ID:7", "-7"] {
            assert!(bad.parse::<UserPattern>().is_err(), "{bad}");
        }
    }

    /// oauth2-proxy CVE-2026-40574: `attacker@evil.com@acme.com` passed the rule for `acme.com`.
    #[test]
    fn an_email_has_one_at_and_fits_on_label_boundaries() {
        for bad in [
            "",
            "@acme.com",
            "a@",
            "a@b@acme.com",
            "a@acme",
            "a b@acme.com",
            "a@äcme.com",
            "a@.com",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        let acme: EmailPattern = "*@acme.com".parse().unwrap();
        for (address, fits) in [
            ("a@acme.com", true),
            ("A@ACME.COM", true),
            ("a@evilacme.com", false),
            ("a@sub.acme.com", false),
            ("a@acme.com.evil.org", false),
        ] {
            assert_eq!(acme.fits(&address.parse().unwrap()), fits, "{address}");
        }
    }
}
