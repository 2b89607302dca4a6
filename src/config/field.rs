//! Fields: what a key of the YAML says, where it says so, and how lists and mappings are read.

use super::locate::{Node, Place, Value};
use super::raw::MAPPINGS;
use super::report::{Fault, Report};
use super::scalar::Scalar;
use super::suggest::{list, nearest};

/// What can be read from a part of the YAML. `None` says that the report tells why it cannot.
pub(super) trait Read: Sized {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self>;
}

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// Its key's place, or its own where it has none.
    pub(super) key: Place,
}

/// What a key says.
pub(super) enum Field<T> {
    /// The key is not there, or has no value.
    Absent,
    /// The value cannot be read; the report tells why.
    Unreadable,
    /// A value.
    Given(At<T>),
}

/// One value, or a list of them.
pub(super) struct OneOrMany<T>(pub(super) Vec<At<T>>);

/// What a mapping says.
#[derive(Default)]
pub(super) struct Entries<'n> {
    /// Keys and values, each key once and known.
    known: Vec<(&'n str, &'n Node, &'n Node)>,
    /// Keys that others look like: they are mistyped, not missing.
    mistyped: Vec<&'n str>,
}

// === impl Field ===

impl<T: Read> Field<T> {
    pub(super) fn read(entries: &Entries<'_>, name: &str, report: &mut Report<'_>) -> Self {
        let Some((_, key, node)) = entries.known.iter().find(|(known, ..)| *known == name) else {
            let mistyped = entries.mistyped.contains(&name);
            return if mistyped { Self::Unreadable } else { Self::Absent };
        };
        if matches!(node.value, Value::Null) {
            return Self::Absent;
        }
        let (place, key) = (node.place.clone(), key.place.clone());
        T::read(node, report)
            .map_or(Self::Unreadable, |value| Self::Given(At { value, place, key }))
    }
}

impl<T> Field<T> {
    /// The value with its place.
    pub(super) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// The value alone.
    pub(super) fn value(&self) -> Option<&T> {
        self.given().map(|at| &at.value)
    }

    /// Whether nothing is said.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Field<Vec<At<T>>> {
    /// The items of a list that may be absent.
    pub(super) fn items(&self) -> &[At<T>] {
        self.value().map_or(&[], Vec::as_slice)
    }
}

// === impl Read ===

impl<T: Scalar> Read for T {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        if let Some(text) = node.text().filter(|text| T::hides(text)) {
            report.hide_scalar(&node.place, text);
        }
        let parsed = match (node.text(), &node.value) {
            (Some(text), _) => T::parse(text),
            (None, Value::Sequence(_)) => {
                Err(Fault::new(format!("here belongs {}, not a list", T::WHAT)).help("write one"))
            }
            (None, Value::Mapping(_)) => {
                Err(Fault::new(format!("here belongs {}, not a mapping", T::WHAT)))
            }
            (None, _) => Err(Fault::new(format!("here belongs {}", T::WHAT))),
        };
        parsed.map_err(|fault| report.problem(&node.place, fault)).ok()
    }
}

/// The items that can be read, for the others are reported.
impl<T: Read> Read for Vec<At<T>> {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        if let Value::Sequence(items) = &node.value {
            let read: Self = items.iter().filter_map(|item| At::read(item, report)).collect();
            // A list of nothing but mistakes is not an empty list.
            return (items.is_empty() || !read.is_empty()).then_some(read);
        }
        let fault = Fault::new("here belongs a list");
        report.problem(
            &node.place,
            match node.text() {
                Some(text) if text.starts_with('*') => {
                    fault.suggest(Some(&format!("[\"{text}\"]")))
                }
                Some(text) => fault.suggest(Some(&format!("[{text}]"))),
                None => fault.help("begin each of its items with `- `"),
            },
        );
        None
    }
}

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.value {
            Value::Sequence(_) => Vec::read(node, report).map(Self),
            _ => At::read(node, report).map(|one| Self(vec![one])),
        }
    }
}

impl<T: Read> At<T> {
    pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let (place, key) = (node.place.clone(), node.place.clone());
        T::read(node, report).map(|value| Self { value, place, key })
    }
}

// === Keys ===

/// The entries of a mapping whose keys are known, each once; everything else is reported.
pub(super) fn entries<'n>(
    node: &'n Node,
    name: &str,
    known: &[&'n str],
    report: &mut Report<'_>,
) -> Option<Entries<'n>> {
    let Value::Mapping(pairs) = &node.value else {
        let fault = match node.text().and_then(|text| glued_key(text, known)) {
            Some(key) => {
                hide_if_secret(key, known, node, report);
                space_is_missing(key)
            }
            None => {
                Fault::new(format!("{name} is a mapping of keys to values")).note(its_keys(known))
            }
        };
        report.problem(&node.place, fault);
        return None;
    };
    let mut entries = Entries::default();
    for (key, value) in pairs {
        let word = key.text().unwrap_or("");
        let twice = entries.known.iter().any(|(earlier, ..)| *earlier == word);
        if known.contains(&word) && !twice {
            entries.known.push((word, key, value));
            continue;
        }
        hide_if_secret(word, known, value, report);
        let fault = if twice {
            Fault::new(format!("`{word}` is given twice in {name}")).help("keep one of them")
        } else if let Some(meant) = glued_key(word, known) {
            hide_if_secret(meant, known, key, report);
            entries.mistyped.push(meant);
            space_is_missing(meant)
        } else {
            entries.mistyped.extend(nearest(word, known.iter().copied()));
            unknown_key(word, name, known)
        };
        report.problem(&key.place, fault);
    }
    Some(entries)
}

/// What stands at a mistyped `secret`, or beside `env` and `file`, is likely to be one.
fn hide_if_secret(word: &str, known: &[&str], value: &Node, report: &mut Report<'_>) {
    let near = nearest(word, known.iter().copied()).unwrap_or(word).to_lowercase();
    let speaks =
        ["secret", "password", "passphrase", "private_key"].iter().any(|part| near.contains(part));
    if speaks || known == ["env", "file"] {
        report.hide_all(value);
    }
}

/// The key that a word begins with: `key:value` without a space is one long word in YAML.
pub(super) fn glued_key<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let (key, _) = word.split_once(':')?;
    known.iter().copied().find(|known| *known == key)
}

/// What follows the colon is not shown: it may be a secret.
pub(super) fn space_is_missing(key: &str) -> Fault {
    Fault::new(format!("a space is missing after `{key}:`")).help(format!("write `{key}: …`"))
}

/// An unknown key: perhaps mistyped, perhaps in the wrong place.
fn unknown_key(word: &str, name: &str, known: &[&str]) -> Fault {
    // A key is one word: where a colon is missing, what follows may be a secret.
    let shown = match word.split_once(char::is_whitespace) {
        Some((first, _)) => format!("{first} …"),
        None => word.to_owned(),
    };
    let fault = Fault::new(format!("unknown key `{shown}` in {name}"));
    if let Some(near) = nearest(word, known.iter().copied()) {
        return fault.suggest(Some(near));
    }
    let homes = MAPPINGS.iter().filter(|(_, keys)| keys.contains(&word)).map(|&(home, _)| home);
    let homes: Vec<_> = homes.collect();
    if homes.is_empty() {
        return fault.note(its_keys(known));
    }
    fault.help(format!("that is a key of {}", homes.join(" and of "))).note(its_keys(known))
}

fn its_keys(known: &[&str]) -> String {
    let verb = if known.len() == 1 { "key is" } else { "keys are" };
    format!("its {verb} {}", list(known.iter().copied()))
}
