//! The access tokens of the app's users, with the refresh tokens that renew them.

use std::{collections::HashMap, time::Duration};

use super::world::{PersonKey, random_hex};

/// How many tokens of the same person and scopes GitHub lets live.
pub(super) const TOGETHER: usize = 10;

/// How long a GitHub App's user tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiringTokens {
    /// An access token: GitHub's live 8 hours.
    pub access: Duration,
    /// A refresh token: GitHub's live 183 days, which it calls six months.
    pub refresh: Duration,
}

impl Default for ExpiringTokens {
    fn default() -> Self {
        Self { access: Duration::from_secs(28_800), refresh: Duration::from_secs(15_811_200) }
    }
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Higher than that of all that came before.
    pub(super) number: u64,
    pub(super) word: String,
    pub(super) person: PersonKey,
    pub(super) rights: Rights,
    pub(super) born: Duration,
    pub(super) renewal: Option<Renewal>,
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// An OAuth app's scopes.
    Scopes(Vec<String>),
    /// A GitHub App's permissions: all that the simulated API asks for.
    Permissions,
}

/// How a token that expires goes on.
#[derive(Clone, Debug)]
pub(super) struct Renewal {
    pub(super) word: String,
    pub(super) lives: ExpiringTokens,
    /// When the access token ends.
    pub(super) access_until: Duration,
    /// When the refresh token ends.
    until: Duration,
}

/// All tokens of the one app. A time is the simulator's own.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// What new tokens are: a GitHub App's that expire, or an OAuth app's that don't.
    pub(super) expiring: Option<ExpiringTokens>,
    by_word: HashMap<String, Token>,
    by_refresh: HashMap<String, String>,
    /// Whose the tokens were that don't exist any more.
    dead: HashMap<String, PersonKey>,
    issued: u64,
    renewed: usize,
}

// === impl Tokens ===

impl Tokens {
    /// A new token; the oldest of the same person and rights die until there are `at_most` so many.
    pub(super) fn issue(
        &mut self,
        person: PersonKey,
        scopes: Vec<String>,
        now: Duration,
        at_most: usize,
    ) -> Token {
        let rights = match self.expiring {
            Some(_) => Rights::Permissions,
            None => Rights::Scopes(scopes),
        };
        self.forget_the_unusable(now);
        self.make_room(person, &rights, at_most);
        let renewal = self.expiring.map(|lives| Renewal::new(lives, now));
        self.put(person, rights, now, renewal)
    }

    /// A token that has neither died nor expired.
    pub(super) fn live(&self, word: &str, now: Duration) -> Option<&Token> {
        self.by_word.get(word).filter(|token| token.lives_at(now))
    }

    /// The live tokens of this person, oldest first.
    pub(super) fn of(&self, person: PersonKey, now: Duration) -> Vec<&Token> {
        let theirs = |token: &&Token| token.person == person && token.lives_at(now);
        let mut tokens: Vec<&Token> = self.by_word.values().filter(theirs).collect();
        tokens.sort_by_key(|token| token.number);
        tokens
    }

    /// Gives a person's tokens of an OAuth app these scopes.
    pub(super) fn rescope(&mut self, person: PersonKey, scopes: &[String]) {
        let theirs = self.by_word.values_mut().filter(|token| token.person == person);
        for token in theirs {
            if let Rights::Scopes(granted) = &mut token.rights {
                *granted = scopes.to_vec();
            }
        }
    }

    /// Whose token this was before it died or expired.
    pub(super) fn former(&self, word: &str) -> Option<PersonKey> {
        let known = self.by_word.get(word).map(|token| token.person);
        known.or_else(|| self.dead.get(word).copied())
    }

    /// The refresh token beside this access token, even when that one has expired.
    pub(super) fn refresh_token(&self, word: &str) -> Option<&str> {
        self.by_word.get(word)?.renewal.as_ref().map(|renewal| renewal.word.as_str())
    }

    /// Uses a refresh token up: it and its access token die, and a new pair is there.
    pub(super) fn renew(&mut self, refresh: &str, now: Duration) -> Option<Token> {
        let word = self.by_refresh.get(refresh)?.clone();
        let old = self.by_word.get(&word).filter(|token| token.renewable_at(now))?.clone();
        self.revoke(&word);
        self.renewed += 1;
        let lives = self.expiring.or(old.renewal.map(|renewal| renewal.lives))?;
        Some(self.put(old.person, old.rights, now, Some(Renewal::new(lives, now))))
    }

    /// How often a refresh token was used up.
    pub(super) fn renewed(&self) -> usize {
        self.renewed
    }

    /// Replaces a live token's word; its refresh token stays what it was.
    pub(super) fn reset(&mut self, word: &str, now: Duration) -> Option<Token> {
        let old = self.live(word, now)?.clone();
        self.revoke(word);
        let renewal = old.renewal.map(|renewal| {
            let access_until = now + renewal.lives.access;
            Renewal { access_until, ..renewal }
        });
        Some(self.put(old.person, old.rights, now, renewal))
    }

    /// Ends a token and the refresh token beside it; `false` if there was none.
    pub(super) fn revoke(&mut self, word: &str) -> bool {
        let Some(token) = self.by_word.remove(word) else { return false };
        if let Some(renewal) = token.renewal {
            self.by_refresh.remove(&renewal.word);
        }
        self.dead.insert(token.word, token.person);
        true
    }

    pub(super) fn revoke_all_of(&mut self, person: PersonKey) {
        self.revoke_where(|token| token.person == person);
    }

    fn put(
        &mut self,
        person: PersonKey,
        rights: Rights,
        born: Duration,
        renewal: Option<Renewal>,
    ) -> Token {
        self.issued += 1;
        let kind = if rights == Rights::Permissions { "ghu" } else { "gho" };
        let word = format!("{kind}_{}", random_hex(18));
        if let Some(renewal) = &renewal {
            self.by_refresh.insert(renewal.word.clone(), word.clone());
        }
        let token =
            Token { number: self.issued, word: word.clone(), person, rights, born, renewal };
        self.by_word.insert(word, token.clone());
        token
    }

    /// Revokes the oldest until there can be one more of this kind.
    fn make_room(&mut self, person: PersonKey, rights: &Rights, at_most: usize) {
        let like = |token: &&Token| token.person == person && token.rights.same(rights);
        let mut alike: Vec<_> =
            self.by_word.values().filter(like).map(|token| (token.number, &token.word)).collect();
        alike.sort_unstable();
        let too_many = (alike.len() + 1).saturating_sub(at_most);
        let oldest: Vec<_> = alike.drain(..too_many).map(|(_, word)| word.clone()).collect();
        for word in oldest {
            self.revoke(&word);
        }
    }

    fn forget_the_unusable(&mut self, now: Duration) {
        self.revoke_where(|token| !token.lives_at(now) && !token.renewable_at(now));
    }

    fn revoke_where(&mut self, doomed: impl Fn(&Token) -> bool) {
        let words: Vec<_> = self.by_word.values().filter(|token| doomed(token)).collect();
        let words: Vec<_> = words.into_iter().map(|token| token.word.clone()).collect();
        for word in words {
            self.revoke(&word);
        }
    }
}

impl Token {
    fn lives_at(&self, now: Duration) -> bool {
        self.renewal.as_ref().is_none_or(|renewal| now < renewal.access_until)
    }

    fn renewable_at(&self, now: Duration) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| now < renewal.until)
    }
}

impl Rights {
    pub(super) fn scopes(&self) -> &[String] {
        match self {
            Self::Scopes(scopes) => scopes,
            Self::Permissions => &[],
        }
    }

    fn same(&self, other: &Self) -> bool {
        let sorted = |rights: &Self| {
            let mut scopes = rights.scopes().to_vec();
            scopes.sort();
            (*rights == Self::Permissions, scopes)
        };
        sorted(self) == sorted(other)
    }
}

impl Renewal {
    fn new(lives: ExpiringTokens, now: Duration) -> Self {
        let word = format!("ghr_{}", random_hex(38));
        Self { word, lives, access_until: now + lives.access, until: now + lives.refresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn scopes(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_eleventh_token_ends_the_oldest_of_its_kind_alone() {
        let mut tokens = Tokens::default();
        let other = tokens.issue(0, scopes("gist"), START, TOGETHER).word;
        let others = tokens.issue(1, scopes("repo user"), START, TOGETHER).word;
        let issue =
            |tokens: &mut Tokens, words: &str| tokens.issue(0, scopes(words), START, TOGETHER).word;
        let first = issue(&mut tokens, "repo user");
        let rest: Vec<_> = (0..9).map(|_| issue(&mut tokens, "user repo")).collect();
        assert!(tokens.live(&first, START).is_some());
        let eleventh = issue(&mut tokens, "repo user");
        assert!(tokens.live(&first, START).is_none());
        assert_eq!(tokens.former(&first), Some(0));
        for word in rest.iter().chain([&eleventh, &other, &others]) {
            assert!(tokens.live(word, START).is_some());
        }
        assert_eq!(tokens.of(0, START).len(), 11);
        tokens.issue(0, scopes("repo user"), START, usize::MAX);
        assert_eq!(tokens.of(0, START).len(), 12);
    }

    #[test]
    fn what_can_neither_be_used_nor_renewed_takes_no_place() {
        let second = Duration::from_secs(1);
        let lives = ExpiringTokens { access: second, refresh: 2 * second };
        let mut tokens = Tokens { expiring: Some(lives), ..Tokens::default() };
        let old = tokens.issue(0, vec![], START, TOGETHER);
        assert!(tokens.live(&old.word, second).is_none());
        assert_eq!(tokens.former(&old.word), Some(0));
        let late = old.renewal.unwrap().word;
        assert!(tokens.renew(&late, 2 * second).is_none());
        tokens.issue(0, vec![], 2 * second, TOGETHER);
        assert_eq!(tokens.by_word.len(), 1);
        assert_eq!(tokens.by_refresh.len(), 1);
    }
}
