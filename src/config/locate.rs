//! Places: the YAML text as a tree in which every word knows where it stands.
//!
//! `serde_yaml` gives no places with values, yet it puts one into every error that a visitor raises.
//! So the visitor raises an error at each scalar, on purpose, and reads the place off it. The scalar
//! itself is consumed by then, and the walk goes on. `serde_yaml` is archived: its wording stays.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

/// A part of the text, in bytes. Empty where nothing better is known.
pub(super) type Place = Range<usize>;

/// The text, and its lines as `serde_yaml` counts them.
pub(super) struct Source<'y> {
    text: &'y str,
    lines: Vec<usize>,
}

/// A value of the YAML text.
#[derive(Clone)]
pub(super) struct Node {
    /// Where it stands; for a list or a mapping, the key before it.
    pub(super) place: Place,
    /// What it is.
    pub(super) value: Value,
}

/// What a value is. Numbers and booleans stay as they were written.
#[derive(Clone)]
pub(super) enum Value {
    /// Nothing, or `null`.
    Null,
    /// A word or a text.
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in their order; a key may come twice.
    Mapping(Vec<(Node, Node)>),
}

/// Reads one value from wherever the deserializer stands.
struct Reader<'s, 'y>(&'s Source<'y>);

/// Takes what arrives: containers whole; a scalar is put aside, and its arrival raised as an error.
struct Arrival<'s, 'y> {
    source: &'s Source<'y>,
    scalar: &'s mut Option<Arrived>,
}

/// A scalar as the visitor sees it.
enum Arrived {
    Null,
    Text(String),
    /// A number or a boolean, whose spelling only the source knows.
    Plain,
}

/// The message of the errors that are raised on purpose.
const HERE: &str = "<here>";
/// The message for `!tag`s.
pub(super) const TAGS: &str = "a YAML tag such as `!name` has no meaning here";

// === impl Source ===

impl<'y> Source<'y> {
    pub(super) fn new(text: &'y str) -> Self {
        let mut lines = vec![0];
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let ends = match c {
                '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => true,
                '\r' => chars.peek().is_none_or(|&(_, next)| next != '\n'),
                _ => false,
            };
            if ends {
                lines.push(at + c.len_utf8());
            }
        }
        Self { text, lines }
    }

    pub(super) fn text(&self) -> &'y str {
        self.text
    }

    /// Reads the text into a tree.
    pub(super) fn read(&self) -> Result<Node, serde_yaml::Error> {
        Reader(self).deserialize(serde_yaml::Deserializer::from_str(self.text))
    }

    /// The byte at a line and a column as `serde_yaml` counts them, both from one.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let Some(&start) = line.checked_sub(1).and_then(|line| self.lines.get(line)) else {
            return self.text.len();
        };
        let rest = &self.text[start..];
        rest.char_indices()
            .nth(column.saturating_sub(1))
            .map_or(self.text.len(), |(at, _)| start + at)
    }

    /// The place of a scalar from the error that its arrival raised.
    fn place(&self, raised: &str, text: Option<&str>) -> Place {
        let start = self.offset_in(raised.rsplit_once(HERE).map_or("", |(_, tail)| tail));
        let start = start + properties(&self.text[start..]);
        start..start + written(&self.text[start..], text)
    }

    /// Reads ` at line 3 column 5`; nothing is the very beginning.
    fn offset_in(&self, tail: &str) -> usize {
        let mut numbers = tail.split(' ').filter_map(|word| word.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(line), Some(column)) => self.offset(line, column),
            _ => 0,
        }
    }
}

/// The bytes of `&anchor ` and `!!tag ` before a scalar.
fn properties(rest: &str) -> usize {
    let mut at = 0;
    while rest[at..].starts_with(['&', '!']) {
        let word = rest[at..].find(char::is_whitespace).unwrap_or(rest.len() - at);
        let gap = rest[at + word..].find(|c: char| !c.is_whitespace());
        at += word + gap.unwrap_or(0);
        if gap.is_none() {
            break;
        }
    }
    at
}

/// The bytes of a scalar as written: quoted, plain, or its first line.
fn written(rest: &str, text: Option<&str>) -> usize {
    let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
    match (rest.chars().next(), text) {
        (Some(quote @ ('"' | '\'')), Some(_)) => quoted(&rest[..line], quote),
        (Some('|' | '>'), Some(_)) => 1,
        (_, Some(text)) if rest.starts_with(text) => text.len(),
        (_, Some(_)) => line,
        (_, None) => rest.find(|c: char| c.is_whitespace() || ",]}:".contains(c)).unwrap_or(line),
    }
}

/// The bytes of a quoted scalar, up to the end of its first line.
fn quoted(line: &str, quote: char) -> usize {
    let mut chars = line.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let doubled =
            c == '\'' && quote == '\'' && chars.peek().is_some_and(|&(_, next)| next == '\'');
        if doubled || (c == '\\' && quote == '"') {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    line.len()
}

// === impl Node ===

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// A list or a mapping stands at its key, and what is empty inside it, too.
    fn stand_at(&mut self, key: &Place) {
        match &mut self.value {
            Value::Null | Value::Scalar(_) => return,
            Value::Sequence(items) => {
                items
                    .iter_mut()
                    .filter(|item| item.place.end == 0)
                    .for_each(|item| item.stand_at(key));
            }
            Value::Mapping(_) => {}
        }
        self.place = key.clone();
    }
}

// === impl Reader, Arrival ===

impl<'de> DeserializeSeed<'de> for Reader<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let mut scalar = None;
        let arrival = Arrival { source: self.0, scalar: &mut scalar };
        let error = match deserializer.deserialize_any(arrival) {
            Ok(node) => return Ok(node),
            Err(error) => error,
        };
        let Some(arrived) = scalar else { return Err(error) };
        let text = match &arrived {
            Arrived::Text(text) => Some(text.as_str()),
            Arrived::Null | Arrived::Plain => None,
        };
        let place = self.0.place(&error.to_string(), text);
        let value = match arrived {
            Arrived::Null => Value::Null,
            Arrived::Text(text) => Value::Scalar(text),
            Arrived::Plain => Value::Scalar(self.0.text[place.clone()].to_owned()),
        };
        Ok(Node { place, value })
    }
}

impl Arrival<'_, '_> {
    fn put_aside<E: Error>(self, arrived: Arrived) -> Result<Node, E> {
        *self.scalar = Some(arrived);
        Err(E::custom(HERE))
    }
}

impl<'de> Visitor<'de> for Arrival<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.put_aside(Arrived::Null)
    }

    /// The whole text is empty.
    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node { place: 0..0, value: Value::Null })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.put_aside(Arrived::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        self.put_aside(Arrived::Plain)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom(TAGS))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items: Vec<Node> = Vec::new();
        while let Some(item) = access.next_element_seed(Reader(self.source))? {
            items.push(item);
        }
        let place = items.first().map_or(0..0, |item| item.place.clone());
        Ok(Node { place, value: Value::Sequence(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        while let Some(key) = access.next_key_seed(Reader(self.source))? {
            let mut value = access.next_value_seed(Reader(self.source))?;
            value.stand_at(&key.place);
            entries.push((key, value));
        }
        let place = entries.first().map_or(0..0, |(key, _)| key.place.clone());
        Ok(Node { place, value: Value::Mapping(entries) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every scalar with its place, as the text has it there.
    fn scalars(node: &Node, yaml: &str, out: &mut Vec<(String, String)>) {
        match &node.value {
            Value::Null => out.push((String::new(), yaml[node.place.clone()].to_owned())),
            Value::Scalar(text) => out.push((text.clone(), yaml[node.place.clone()].to_owned())),
            Value::Sequence(items) => items.iter().for_each(|item| scalars(item, yaml, out)),
            Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                scalars(key, yaml, out);
                scalars(value, yaml, out);
            }),
        }
    }

    #[test]
    fn every_scalar_is_found_where_it_stands() {
        let yaml = "a: b\nc: {d: [1, 0x10, 1e5, true, \"e\\\"f\", 'g''h'], 'ü': &x y}\ni:\nj: *x\n\
                    k: |\n  l\n  m\nn: !!int 7\n? o\n: ~\n";
        let node = Source::new(yaml).read().unwrap();
        let mut found = Vec::new();
        scalars(&node, yaml, &mut found);
        let pairs = [
            ("a", "a"),
            ("b", "b"),
            ("c", "c"),
            ("d", "d"),
            ("1", "1"),
            ("0x10", "0x10"),
            ("1e5", "1e5"),
            ("true", "true"),
            ("e\"f", "\"e\\\"f\""),
            ("g'h", "'g''h'"),
            ("ü", "'ü'"),
            ("y", "y"),
            ("i", "i"),
            ("", ""),
            ("j", "j"),
            ("y", "y"),
            ("k", "k"),
            ("l\nm\n", "|"),
            ("n", "n"),
            ("7", "7"),
            ("o", "o"),
            ("", "~"),
        ];
        let pairs: Vec<_> = pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(found, pairs);
    }

    #[test]
    fn lines_are_those_of_the_yaml_library() {
        let yaml = "# a\u{2028}# b\r\nc: d\re: f\u{85}g: h\n";
        let node = Source::new(yaml).read().unwrap();
        let mut found = Vec::new();
        scalars(&node, yaml, &mut found);
        assert!(found.iter().all(|(text, there)| text == there), "{found:?}");
    }

    #[test]
    fn what_is_empty_stands_at_its_key() {
        let Value::Mapping(entries) = Source::new("a: {}\nb: [{}]\n").read().unwrap().value else {
            panic!("a mapping");
        };
        assert_eq!(entries[0].1.place, 0..1);
        let Value::Sequence(items) = &entries[1].1.value else { panic!("a list") };
        assert_eq!(items[0].place, 6..7);
    }
}
