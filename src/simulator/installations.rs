//! Where the app is installed, and the tokens by which it acts there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::Value;

use super::{outcome::Outcome, webhook::APP, world::random_hex};

/// How long a token lives.
const LIFE: Duration = Duration::from_secs(3600);
/// Repositories that one token may name.
const MOST_NAMED: usize = 500;
/// The length of a token that carries what it says.
const STATELESS_LENGTH: usize = 520;

pub(super) const SUSPENDED: &str = "This installation has been suspended";
const NOT_GRANTED: &str = "The permissions requested are not granted to this installation.";
const NO_SUCH_REPOSITORY: &str = "There is at least one repository that does not exist or is not \
                                  accessible to the parent installation.";

/// The app at one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// GitHub's number for it.
    pub id: u64,
    /// Whose it is: an organization or a person, by login.
    pub account: String,
    /// Numbers and names, without the owner.
    pub repositories: BTreeMap<u64, String>,
    /// Whether these were picked, or are all there are.
    pub selected: bool,
    /// What was granted: `contents` to `read`, `write` or `admin`.
    pub permissions: BTreeMap<String, String>,
    /// Nothing is allowed for a while.
    pub suspended: bool,
}

/// A token of an installation.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) installation: u64,
    /// `None` is all that the installation has.
    pub(super) repositories: Option<BTreeSet<u64>>,
    pub(super) permissions: BTreeMap<String, String>,
    born: Duration,
    pub(super) until: Duration,
}

/// All installations of the one app, and their tokens. A time is the simulator's own.
#[derive(Debug, Default)]
pub(super) struct Installations {
    by_id: BTreeMap<u64, Installation>,
    tokens: HashMap<String, Token>,
    /// New tokens carry what they say.
    pub(super) stateless: bool,
    /// So long a new token is not known everywhere.
    pub(super) replication: Duration,
}

// === impl Installation ===

impl Installation {
    /// At this account, with no repositories and the right to read contents.
    pub fn new(id: u64, account: &str) -> Self {
        let everything = Self {
            id,
            account: account.to_owned(),
            repositories: BTreeMap::new(),
            selected: false,
            permissions: BTreeMap::new(),
            suspended: false,
        };
        everything.may("metadata", "read").may("contents", "read")
    }

    /// With this repository.
    #[must_use]
    pub fn repository(mut self, id: u64, name: &str) -> Self {
        self.repositories.insert(id, name.to_owned());
        self
    }

    /// Only the repositories named were picked.
    #[must_use]
    pub fn picked(mut self) -> Self {
        self.selected = true;
        self
    }

    /// With this permission: `read`, `write` or `admin`.
    #[must_use]
    pub fn may(mut self, permission: &str, level: &str) -> Self {
        self.permissions.insert(permission.to_owned(), level.to_owned());
        self
    }

    fn allows(&self, permission: &str, level: &str) -> bool {
        self.permissions.get(permission).is_some_and(|own| rank(own) >= rank(level))
    }
}

// === impl Installations ===

impl Installations {
    pub(super) fn put(&mut self, installation: Installation) {
        self.by_id.insert(installation.id, installation);
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.by_id.remove(&id);
        self.tokens.retain(|_, token| token.installation != id);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Installation> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Installation> {
        self.by_id.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Installation> {
        self.by_id.values()
    }

    pub(super) fn of(&self, account: &str) -> Option<&Installation> {
        self.all().find(|installation| installation.account.eq_ignore_ascii_case(account))
    }

    /// A new token, as far as the installation allows what is wished.
    pub(super) fn mint(
        &mut self,
        id: u64,
        wish: &Value,
        stateless: Option<bool>,
        now: Duration,
    ) -> Result<(String, Token), Outcome> {
        let installation = self.by_id.get(&id).ok_or_else(Outcome::not_found)?;
        if installation.suspended {
            return Err(Outcome::error(StatusCode::FORBIDDEN, SUSPENDED));
        }
        let token = Token {
            installation: id,
            repositories: named(installation, wish)?,
            permissions: granted(installation, wish)?,
            born: now,
            until: now + LIFE,
        };
        let word = word(stateless.unwrap_or(self.stateless));
        self.tokens.retain(|_, token| now < token.until);
        self.tokens.insert(word.clone(), token.clone());
        Ok((word, token))
    }

    /// What a token stands for now, or why it is good for nothing.
    pub(super) fn identify(
        &self,
        word: &str,
        now: Duration,
    ) -> Result<(&Token, &Installation), Outcome> {
        let dead = || Outcome::error(StatusCode::UNAUTHORIZED, "Bad credentials");
        let known = |token: &&Token| now < token.until && now >= token.born + self.replication;
        let token = self.tokens.get(word).filter(known).ok_or_else(dead)?;
        let installation = self.by_id.get(&token.installation).ok_or_else(dead)?;
        if installation.suspended {
            return Err(Outcome::error(StatusCode::FORBIDDEN, SUSPENDED));
        }
        Ok((token, installation))
    }

    pub(super) fn revoke(&mut self, word: &str) {
        self.tokens.remove(word);
    }
}

// === impl Token ===

impl Token {
    /// The repositories that it is good for.
    pub(super) fn repositories<'i>(&self, of: &'i Installation) -> Vec<(u64, &'i str)> {
        let good = |id: &u64| self.repositories.as_ref().is_none_or(|own| own.contains(id));
        let all = of.repositories.iter().map(|(id, name)| (*id, name.as_str()));
        all.filter(|(id, _)| good(id)).collect()
    }
}

// === Wishes ===

/// The repositories of a wish, by their numbers.
fn named(installation: &Installation, wish: &Value) -> Result<Option<BTreeSet<u64>>, Outcome> {
    let missing = || Outcome::error(StatusCode::UNPROCESSABLE_ENTITY, NO_SUCH_REPOSITORY);
    let number = |name: &Value| {
        let name = name.as_str()?;
        let fits = |(_, own): &(&u64, &String)| own.eq_ignore_ascii_case(name);
        installation.repositories.iter().find(fits).map(|(id, _)| *id)
    };
    let by_name = wish["repositories"].as_array().into_iter().flatten().map(number);
    let by_id = wish["repository_ids"].as_array().into_iter().flatten().map(Value::as_u64);
    let all: Vec<_> = by_name.chain(by_id).collect();
    if all.is_empty() {
        return Ok(None);
    }
    if all.len() > MOST_NAMED {
        return Err(Outcome::invalid());
    }
    let all: Option<BTreeSet<u64>> = all.into_iter().collect();
    let all = all.ok_or_else(missing)?;
    if !all.iter().all(|id| installation.repositories.contains_key(id)) {
        return Err(missing());
    }
    Ok(Some(all))
}

/// The permissions of a wish. Metadata can always be read.
fn granted(installation: &Installation, wish: &Value) -> Result<BTreeMap<String, String>, Outcome> {
    let Some(wished) = wish["permissions"].as_object().filter(|wished| !wished.is_empty()) else {
        return Ok(installation.permissions.clone());
    };
    let mut all = BTreeMap::from([("metadata".to_owned(), "read".to_owned())]);
    for (permission, level) in wished {
        let level = level.as_str().unwrap_or_default();
        if rank(level) == 0 || !installation.allows(permission, level) {
            return Err(Outcome::error(StatusCode::UNPROCESSABLE_ENTITY, NOT_GRANTED));
        }
        all.insert(permission.clone(), level.to_owned());
    }
    Ok(all)
}

fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

/// Forty characters, or 520 with two dots in them.
fn word(stateless: bool) -> String {
    if !stateless {
        return format!("ghs_{}", random_hex(18));
    }
    let head = format!("ghs_{APP}_{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#));
    let random = random_hex(STATELESS_LENGTH);
    let middle = 120;
    let tail = STATELESS_LENGTH - head.len() - middle - 1;
    format!("{head}{}.{}", &random[..middle], &random[middle..middle + tail])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const START: Duration = Duration::ZERO;

    fn installations() -> Installations {
        let mut all = Installations::default();
        let acme = Installation::new(5, "acme").repository(1, "notes").repository(2, "wiki");
        all.put(acme.may("issues", "write"));
        all
    }

    fn status(outcome: Result<(String, Token), Outcome>) -> u16 {
        outcome.map_or_else(|refused| refused.status.as_u16(), |_| 201)
    }

    #[test]
    fn a_token_allows_what_was_wished_and_no_more() {
        let mut all = installations();
        let (_, whole) = all.mint(5, &json!({}), None, START).unwrap();
        assert_eq!((whole.repositories, whole.permissions.len()), (None, 3));
        let wish = json!({ "repositories": ["Notes"], "permissions": { "issues": "read" } });
        let (word, some) = all.mint(5, &wish, None, START).unwrap();
        let (token, installation) = all.identify(&word, START).unwrap();
        assert_eq!(token.repositories(installation), [(1, "notes")]);
        assert_eq!(some.permissions["issues"], "read");
        assert!(!some.permissions.contains_key("contents"));
        for wish in [
            json!({ "repositories": ["elsewhere"] }),
            json!({ "repository_ids": [1, 3] }),
            json!({ "permissions": { "contents": "write" } }),
            json!({ "permissions": { "actions": "read" } }),
            json!({ "permissions": { "contents": "all" } }),
            json!({ "repository_ids": (0..501).collect::<Vec<_>>() }),
        ] {
            assert_eq!(status(all.mint(5, &wish, None, START)), 422, "{wish}");
        }
        assert_eq!(status(all.mint(6, &json!({}), None, START)), 404);
    }

    #[test]
    fn tokens_are_short_or_long() {
        let mut all = installations();
        let (short, _) = all.mint(5, &json!({}), None, START).unwrap();
        assert_eq!((short.len(), short.matches('.').count()), (40, 0));
        let (long, _) = all.mint(5, &json!({}), Some(true), START).unwrap();
        assert_eq!((long.len(), long.matches('.').count()), (520, 2));
        all.stateless = true;
        assert_eq!(all.mint(5, &json!({}), None, START).unwrap().0.len(), 520);
        assert_eq!(all.mint(5, &json!({}), Some(false), START).unwrap().0.len(), 40);
    }

    #[test]
    fn a_token_is_unknown_at_first_if_so_wished_and_dead_in_the_end() {
        let mut all = installations();
        all.replication = Duration::from_secs(2);
        let (word, _) = all.mint(5, &json!({}), None, START).unwrap();
        let status = |all: &Installations, seconds| {
            let now = Duration::from_secs(seconds);
            all.identify(&word, now).map_or_else(|refused| refused.status.as_u16(), |_| 200)
        };
        assert_eq!([0, 1, 2, 3599, 3600].map(|at| status(&all, at)), [401, 401, 200, 200, 401]);
        all.get_mut(5).unwrap().suspended = true;
        assert_eq!(status(&all, 2), 403);
        assert_eq!(self::status(all.mint(5, &json!({}), None, START)), 403);
        all.remove(5);
        assert_eq!(status(&all, 2), 401);
    }
}
