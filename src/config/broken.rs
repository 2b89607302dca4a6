//! What is no YAML at all: the library's word for it, made a problem like any other.

use super::locate::{Place, TAGS};
use super::report::{Fault, Report};

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
        if there.starts_with('\t') {
            return Fault::new("a tab cannot indent YAML").help("indent with spaces");
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

/// Where a line says a secret itself, in bytes.
fn value_of_secret(line: &str) -> Option<usize> {
    let key = line.find("secret")?;
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
