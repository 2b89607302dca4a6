//! What has a name and a number: repositories and accounts, learnt from GitHub's answers.

use std::collections::HashMap;
use std::mem;

use serde_json::{Map, Value};

use super::Tag;

/// Which name belongs to which number, both ways. It forgets what was not told for long when
/// there is too much of it; what it does not know grows old by its window alone.
#[derive(Debug)]
pub struct Names {
    /// Each half: the tag of a whole owner by name to that by number, and back.
    young: HashMap<Box<str>, Box<str>>,
    old: HashMap<Box<str>, Box<str>>,
    most: usize,
}

/// Where GitHub itself, and nobody else, puts repositories and accounts into an object. Never
/// `payload` and the like: people write those.
pub(super) const TRUSTED: [&str; 18] = [
    "account",
    "base",
    "head",
    "installation",
    "items",
    "member",
    "organization",
    "owner",
    "parent",
    "repo",
    "repositories",
    "repositories_added",
    "repository",
    "sender",
    "source",
    "team",
    "template_repository",
    "user",
];

/// The names in an answer of the API or a webhook with their numbers: `acme/wiki` is a repository,
/// `acme` an account. Not for raw contents: people write those.
pub fn names_in(body: &Value) -> impl Iterator<Item = (&str, u64)> {
    let mut waiting = vec![body];
    std::iter::from_fn(move || {
        while let Some(value) = waiting.pop() {
            match value {
                Value::Array(items) => waiting.extend(items),
                Value::Object(object) => {
                    waiting.extend(TRUSTED.iter().filter_map(|name| object.get(*name)));
                    if let Some(named) = named(object) {
                        return Some(named);
                    }
                }
                _ => {}
            }
        }
        None
    })
}

/// The tags of a whole owner, by name and by number.
fn spelled(name: &str, id: u64) -> (String, String) {
    let kind = if name.contains('/') { "repo" } else { "account" };
    (format!("{kind}:{name}").to_ascii_lowercase(), format!("{kind}:#{id}"))
}

fn named(object: &Map<String, Value>) -> Option<(&str, u64)> {
    let text = |name| object.get(name).and_then(Value::as_str);
    let repo = text("full_name")
        .filter(|name| name.split('/').filter(|part| !part.is_empty()).count() == 2);
    let login = text("login").filter(|login| !login.is_empty() && !login.contains('/'));
    Some((repo.or(login)?, object.get("id")?.as_u64()?))
}

// === impl Names ===

impl Names {
    /// Remembers `most` pairs at least and twice as many at most.
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most: most.max(1) }
    }

    /// Learns that a repository (`acme/wiki`) or an account (`acme`) has this number. A name that
    /// another had, or another name that this had, is forgotten.
    pub fn learn(&mut self, name: &str, id: u64) {
        let (name, number) = spelled(name, id);
        if self.young.get(&*name).is_some_and(|known| **known == *number) {
            return;
        }
        self.forget(&name);
        self.forget(&number);
        self.insert(&name, &number);
    }

    /// Learns the same from somebody who may be telling what was true once: what is known stays.
    pub fn add(&mut self, name: &str, id: u64) {
        let (name, number) = spelled(name, id);
        if self.get(&name).is_none() && self.get(&number).is_none() {
            self.insert(&name, &number);
        }
    }

    fn insert(&mut self, name: &str, number: &str) {
        if self.young.len() >= 2 * self.most {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(name.into(), number.into());
        self.young.insert(number.into(), name.into());
    }

    /// The tags, and those of the same things in their other spelling, as far as it is known. To
    /// be used on whatever is bumped or purged.
    pub fn with_twins(&self, mut tags: Vec<Tag>) -> Vec<Tag> {
        let twins: Vec<_> = tags.iter().filter_map(|tag| self.twin(tag)).collect();
        tags.extend(twins);
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    fn twin(&self, tag: &Tag) -> Option<Tag> {
        let (owner, levels) = tag.split();
        Some(Tag::new(&format!("{}{levels}", self.get(owner)?)))
    }

    fn get(&self, owner: &str) -> Option<&str> {
        self.young.get(owner).or_else(|| self.old.get(owner)).map(|twin| &**twin)
    }

    fn forget(&mut self, owner: &str) {
        for half in [&mut self.young, &mut self.old] {
            if let Some(twin) = half.remove(owner) {
                half.remove(&twin);
            }
        }
    }
}
