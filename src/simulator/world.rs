//! What the simulated GitHub remembers: people, grants and codes; and its own time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom as _, SystemRandom};

use super::{
    calendar, cast::Person, lockout::LockOuts, repositories::Repositories, tokens::Tokens,
};

/// How long a code can be exchanged.
const CODE_LIFE: Duration = Duration::from_secs(10 * 60);

/// A person's place in the list: it outlives new logins and even new ids.
pub(super) type PersonKey = usize;

/// What a code stands for.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) person: PersonKey,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) born: Duration,
}

#[derive(Debug)]
pub(super) struct World {
    people: Vec<Person>,
    by_login: HashMap<String, PersonKey>,
    pub(super) callbacks: Vec<String>,
    grants: HashMap<PersonKey, Vec<String>>,
    codes: HashMap<String, Code>,
    pub(super) tokens: Tokens,
    pub(super) lock_outs: LockOuts,
    pub(super) repositories: Repositories,
    started: Instant,
    /// Seconds from 1970 to the start.
    epoch: Duration,
    skipped: Duration,
}

// === impl World ===

impl World {
    pub(super) fn with(people: Vec<Person>) -> Self {
        let mut world = Self {
            people: Vec::new(),
            by_login: HashMap::new(),
            callbacks: Vec::new(),
            grants: HashMap::new(),
            codes: HashMap::new(),
            tokens: Tokens::default(),
            lock_outs: LockOuts::default(),
            repositories: Repositories::default(),
            started: Instant::now(),
            epoch: std::time::UNIX_EPOCH.elapsed().unwrap_or_default(),
            skipped: Duration::ZERO,
        };
        for person in people {
            world.add(person);
        }
        world
    }

    /// Adds somebody, or replaces who had the login.
    pub(super) fn add(&mut self, person: Person) {
        if let Some(key) = self.find(&person.login) {
            self.people[key] = person;
        } else {
            self.by_login.insert(person.login.to_lowercase(), self.people.len());
            self.people.push(person);
        }
    }

    pub(super) fn find(&self, login: &str) -> Option<PersonKey> {
        self.by_login.get(&login.to_lowercase()).copied()
    }

    pub(super) fn person(&self, key: PersonKey) -> &Person {
        &self.people[key]
    }

    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// Changes somebody; tokens and grants stay theirs, whatever they are called now.
    pub(super) fn change(&mut self, key: PersonKey, change: impl FnOnce(&mut Person)) {
        let person = &mut self.people[key];
        self.by_login.remove(&person.login.to_lowercase());
        change(person);
        self.by_login.insert(person.login.to_lowercase(), key);
    }

    pub(super) fn granted(&self, key: PersonKey) -> Option<&[String]> {
        self.grants.get(&key).map(Vec::as_slice)
    }

    pub(super) fn grant(&mut self, key: PersonKey, scopes: &[String]) {
        let all = self.grants.entry(key).or_default();
        for scope in scopes {
            if !all.contains(scope) {
                all.push(scope.clone());
            }
        }
    }

    pub(super) fn issue_code(&mut self, code: Code) -> String {
        let word = random_hex(10);
        self.codes.insert(word.clone(), code);
        word
    }

    /// Takes a code out, so that nobody can use it again; `None` if it is too old.
    pub(super) fn take_code(&mut self, code: &str) -> Option<Code> {
        let now = self.now();
        self.codes.remove(code).filter(|code| now < code.born + CODE_LIFE)
    }

    pub(super) fn put_code_back(&mut self, word: &str, code: Code) {
        self.codes.insert(word.to_owned(), code);
    }

    /// Ends the app's authorisation: all tokens and the grant.
    pub(super) fn revoke_grant(&mut self, key: PersonKey) {
        self.tokens.revoke_all_of(key);
        self.grants.remove(&key);
    }

    /// Time since the start, with what was skipped.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + self.skipped
    }

    /// The present in seconds since 1970.
    pub(super) fn unix(&self) -> u64 {
        (self.epoch + self.now()).as_secs()
    }

    /// A moment of its own time as GitHub writes it.
    pub(super) fn written(&self, moment: Duration) -> String {
        calendar::written(self.seconds_at(moment))
    }

    /// Seconds since 1970 at a moment of its own time.
    pub(super) fn seconds_at(&self, moment: Duration) -> u64 {
        (self.epoch + moment).as_secs()
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.skipped += by;
    }
}

/// Twice this many hexadecimal digits nobody can guess.
pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).expect("the system has randomness");
    hex(&random)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("half a byte is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::cast;

    fn a_code(world: &World) -> Code {
        let redirect_uri = "http://127.0.0.1/cb".to_owned();
        Code { person: 0, scopes: vec![], redirect_uri, challenge: None, born: world.now() }
    }

    #[test]
    fn a_code_is_used_once_and_lives_ten_minutes() {
        let mut world = World::with(cast::everyone());
        let fresh = a_code(&world);
        let code = world.issue_code(fresh);
        assert!(world.take_code(&code).is_some());
        assert!(world.take_code(&code).is_none());
        let late = a_code(&world);
        let code = world.issue_code(late);
        world.advance(CODE_LIFE);
        assert!(world.take_code(&code).is_none());
    }

    #[test]
    fn a_token_follows_its_person_through_a_new_login() {
        let mut world = World::with(cast::everyone());
        let key = world.find("Octocat").unwrap();
        let token = world.tokens.issue(key, vec![], Duration::ZERO, 1).word;
        world.change(key, |person| person.login = "octodog".to_owned());
        let whose = world.tokens.live(&token, world.now()).unwrap().person;
        assert_eq!(world.person(whose).login, "octodog");
        assert_eq!((world.find("octocat"), world.find("octodog")), (None, Some(key)));
    }
}
