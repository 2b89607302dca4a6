//! What is no YAML at all: the library's word for it, made a problem like any other.

use super::field::{glued_key, space_is_missing};
use super::locate::{Place, TAGS};
use super::raw::MAPPINGS;
use super::report::{Fault, Report};
use super::scalar::with_a_host;

/// The library notices a missing space this many lines below it at most, its own line among them.
const LINES_ABOVE: usize = 3;

// === impl Report ===

impl Report<'_> {
    pub(super) fn broken(&mut self, error: &serde_yaml::Error) {
        let text = error.to_string();
        let place = match error.location() {
            Some(at) => self.source.offset(at.line(), at.column()),
            None => self.source.text().rfind("\n---").map_or(0, |newline| newline + 1),
        };
        let place = place..place;
        self.hide_what_may_be_secret();
        let colon = text.contains("could not find expected ':'");
        if let Some((glued, key)) = colon.then(|| self.glued_key_above(&place)).flatten() {
            self.problem(&glued, space_is_missing(key));
            return;
        }
        let fault = self.broken_because(&text, &place);
        self.problem(&place, fault);
    }

    fn broken_because(&self, error: &str, place: &Place) -> Fault {
        let says = |words: &str| error.contains(words);
        let before =
            self.source.text()[..self.start(place)].trim_end_matches(char::is_alphanumeric);
        let there = &self.source.text()[self.start(place)..];
        if says(TAGS) || says("invalid value") || says("invalid type") {
            return Fault::new(TAGS).help("leave the tag out");
        }
        if says("more than one document") {
            return Fault::new("a file holds one configuration").help("remove this line");
        }
        if says("limit exceeded") {
            return Fault::new("lists, mappings or aliases are nested too deeply here");
        }
        if before.ends_with('*') || there.starts_with('*') {
            return Fault::new("a text that begins with `*` needs quotes in YAML")
                .note("as in `host: \"*.example.com\"`");
        }
        if let Some(port) = port_alone(there) {
            let fault = Fault::new(format!("`:{port}` is not an IP address with a port"));
            return with_a_host(fault, port);
        }
        if there.starts_with('\t') {
            return Fault::new("a tab cannot indent YAML").help("indent with spaces");
        }
        let (from, to) = self.line_around(self.start(place));
        if self.source.text()[from..to].contains("${") {
            return Fault::new("`${NAME}` has no meaning here, and is no YAML where braces count")
                .note("write the name without `$`: `{ env: NAME }`");
        }
        let fault = Fault::new(format!("this is no YAML: {}", without_places(error)));
        match there.chars().next() {
            Some(c @ ('@' | '`' | '%')) => {
                fault.note(format!("a text that begins with `{c}` needs quotes"))
            }
            _ => {
                fault.note("the mistake may be a little above: an indentation, a quote, a bracket")
            }
        }
    }

    /// `key:value` without a space, in the line of a place or a little above.
    fn glued_key_above(&self, place: &Place) -> Option<(Place, &'static str)> {
        let mut end = self.line_around(self.start(place)).1;
        for _ in 0..LINES_ABOVE {
            let (from, to) = self.line_around(end);
            let line = &self.source.text()[from..to];
            let word = line.trim_start_matches([' ', '-']);
            let at = from + line.len() - word.len();
            let keys = || MAPPINGS.iter().map(|(_, keys)| *keys);
            let spaced = word
                .split_once(':')
                .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(char::is_whitespace));
            if let Some(key) = keys().find_map(|keys| glued_key(word, keys)).filter(|_| !spaced) {
                return Some((at..at + key.len() + 1, key));
            }
            end = from.checked_sub(1)?;
        }
        None
    }

    /// In a text that cannot be read nobody knows what is secret; what follows the word may be.
    pub(super) fn hide_what_may_be_secret(&mut self) {
        let text = self.source.text();
        let mut secret_goes_on = false;
        let mut from = 0;
        for line in text.split_inclusive(['\n', '\r']) {
            let value = value_of_secret(line);
            secret_goes_on = value.is_some() || (secret_goes_on && !line.contains(": "));
            if secret_goes_on {
                self.hide(&(from + value.unwrap_or(0)..from + line.len()));
            }
            from += line.len();
        }
    }
}

/// The port of `:443`, which is no YAML within braces.
fn port_alone(there: &str) -> Option<&str> {
    let rest = there.strip_prefix(':')?;
    let port = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    port.parse::<u16>().ok().map(|_| port)
}

/// Where a line says a secret itself, in bytes.
fn value_of_secret(line: &str) -> Option<usize> {
    let key =
        ["secret", "password", "private_key"].iter().filter_map(|word| line.find(word)).min()?;
    let value = key + line[key..].find(':')? + 1;
    let said = line[value..].trim_start();
    let elsewhere = said.starts_with(['{', '[']) && !said.contains(['"', '\'']);
    (!elsewhere).then_some(line.len() - said.len())
}

/// The library's message without its places, which are shown otherwise.
fn without_places(error: &str) -> String {
    let parts = error.split(", ").map(|part| part.split(" at line ").next().unwrap_or(part));
    parts.collect::<Vec<_>>().join(", ")
}
