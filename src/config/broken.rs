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
        self.hide_what_may_be_secret(&place);
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
    fn hide_what_may_be_secret(&mut self, place: &Place) {
        let (from, to) = self.line_around(self.start(place));
        let line = &self.source.text()[from..to];
        let Some(at) = line.find("secret").and_then(|at| Some(at + line[at..].find(':')? + 1))
        else {
            // The rest of a secret that spans lines: nothing names it, so nothing of it is shown.
            let goes_on = !line.contains(':') && !line.trim_start().starts_with('-');
            if goes_on && self.source.text()[..from].contains("secret") {
                self.hide(&(from..to));
            }
            return;
        };
        let value = line[at..].trim_start();
        if !value.starts_with(['{', '[']) || value.contains(['"', '\'']) {
            let start = to - value.len();
            self.hide(&(start..to));
        }
    }
}

/// The library's message without its places, which are shown otherwise.
fn without_places(error: &str) -> String {
    let parts = error.split(", ").map(|part| part.split(" at line ").next().unwrap_or(part));
    parts.collect::<Vec<_>>().join(", ")
}
