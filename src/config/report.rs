//! The report: collects problems and warnings while a configuration is read and checked.

use std::path::Path;

use super::locate::{Node, Place, Source, Value};
use super::problem::{Problem, Problems};

/// What is wrong with one value, before it is known where the value stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) notes: Vec<String>,
}

/// Collects what is found.
pub(super) struct Report<'y> {
    file: &'y Path,
    pub(super) source: Source<'y>,
    faults: Vec<(Place, Fault)>,
    hidden: Vec<Place>,
    warnings: Vec<String>,
}

/// Of a long line, this many characters before and after a problem are shown.
const SHOWN: usize = 100;

/// A word of letters and digits that is as long as this may be a secret.
const RANDOM: usize = 20;

// === impl Fault ===

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, notes: Vec::new() }
    }

    /// A way out in a few words, said beside the carets.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// "Did you mean", when there is something to ask for.
    pub(super) fn suggest(self, word: Option<&str>) -> Self {
        match word {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// A way out in a sentence, said below.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

// === impl Report ===

impl<'y> Report<'y> {
    pub(super) fn new(file: &'y Path, yaml: &'y str) -> Self {
        let source = Source::new(yaml);
        Self { file, source, faults: Vec::new(), hidden: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, place: &Place, fault: Fault) {
        self.faults.push((place.clone(), fault));
    }

    /// Notes an insecure choice that was spelled out.
    pub(super) fn warn(&mut self, place: &Place, message: &str) {
        let (line, column) = self.position(place);
        let file = self.file.display();
        self.warnings.push(harmless(&format!("{file}:{line}:{column}: {message}")));
    }

    /// No snippet shows what stands here: it is a secret.
    pub(super) fn hide(&mut self, place: &Place) {
        self.hidden.push(place.clone());
    }

    /// The same for a scalar, which may go on in the lines below.
    pub(super) fn hide_scalar(&mut self, place: &Place, scalar: &str) {
        let text = self.source.text();
        let written = &text[place.clone()];
        let quoted = written.len() > 1 && written.ends_with(['"', '\'']);
        let end = if quoted || written == scalar { place.end } else { self.end_of_block(place) };
        self.hide(&(place.start..end));
    }

    /// The same for every scalar in a value.
    pub(super) fn hide_all(&mut self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(text) => self.hide_scalar(&node.place, text),
            Value::Sequence(items) => items.iter().for_each(|item| self.hide_all(item)),
            Value::Mapping(entries) => entries.iter().for_each(|(_, value)| self.hide_all(value)),
        }
    }

    /// Where the lines end that are indented deeper than the one of this place.
    fn end_of_block(&self, place: &Place) -> usize {
        let (from, to) = self.line_around(place.start);
        let text = self.source.text();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let own = indent(&text[from..to]);
        let deeper = |line: &&str| line.trim().is_empty() || indent(line) > own;
        let below = text[to..].split_inclusive('\n').skip(1).take_while(deeper);
        (to + 1 + below.map(str::len).sum::<usize>()).min(text.len())
    }

    /// The line of a place, from one.
    pub(super) fn line(&self, place: &Place) -> usize {
        self.position(place).0
    }

    /// Reads the text, or says why it cannot be read as YAML.
    pub(super) fn read(&mut self) -> Option<Node> {
        if let Some((at, c)) = self.source.text().char_indices().find(|&(_, c)| is_control(c)) {
            let fault = Fault::new("the file holds a control character").help("remove it");
            self.hide_what_may_be_secret();
            self.problem(&(at..at + c.len_utf8()), fault);
            return None;
        }
        self.source.read().map_err(|error| self.broken(&error)).ok()
    }

    /// What was found: the problems, if any, else the value and the warnings.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<String>), Problems> {
        if self.faults.is_empty() {
            let value = value.expect("what cannot be read or checked has a problem to its name");
            return Ok((value, self.warnings));
        }
        self.faults.sort_by_key(|(place, _)| place.start);
        self.faults.dedup();
        let problems = self.faults.iter().map(|(place, fault)| self.located(place, fault));
        Err(Problems::new(self.file, problems.collect()))
    }

    fn located(&self, place: &Place, fault: &Fault) -> Problem {
        let (line, column) = self.position(place);
        let start = self.start(place);
        let (from, to) = self.window(start);
        let text = self.source.text();
        let end = (0..=place.end.clamp(start, to)).rev().find(|&at| text.is_char_boundary(at));
        Problem {
            message: presentable(&fault.message),
            file: self.file.display().to_string(),
            line,
            column,
            snippet: self.snippet(from, to),
            indent: text[from..start].chars().count(),
            width: text[start..end.unwrap_or(start)].chars().count().max(1),
            help: fault.help.as_deref().map(presentable),
            notes: fault.notes.iter().map(|note| presentable(note)).collect(),
        }
    }

    /// The part of a line that is shown: all of it, unless it is very long.
    fn window(&self, start: usize) -> (usize, usize) {
        let (from, to) = self.line_around(start);
        let text = self.source.text();
        let before = text[from..start].char_indices().rev().map(|(at, _)| from + at);
        let mut after = text[start..to].char_indices().map(|(at, _)| start + at);
        if text[from..to].chars().count() <= 2 * SHOWN {
            return (from, to);
        }
        (before.take(SHOWN).last().unwrap_or(start), after.nth(SHOWN).unwrap_or(to))
    }

    /// Line and column, both from one.
    fn position(&self, place: &Place) -> (usize, usize) {
        let (text, start) = (self.source.text(), self.start(place));
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        (line, text[self.line_around(start).0..start].chars().count() + 1)
    }

    /// Where a place begins; what lies behind the text is moved to its last line.
    pub(super) fn start(&self, place: &Place) -> usize {
        let text = self.source.text();
        (0..=place.start.min(text.trim_end().len()))
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0)
    }

    /// The line around a byte, without its end.
    pub(super) fn line_around(&self, at: usize) -> (usize, usize) {
        let text = self.source.text();
        let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let to = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
        (from, to)
    }

    /// A line as it is shown: secrets masked, and in one piece on any terminal.
    fn snippet(&self, from: usize, to: usize) -> String {
        let line = self.source.text()[from..to].trim_end();
        let (random, credentials) = (random_words(line), credentials(line));
        let secret = |at: usize| {
            self.hidden.iter().any(|place| place.contains(&(from + at)))
                || random.iter().chain(&credentials).any(|word| word.contains(&at))
        };
        let shown = |(at, c): (usize, char)| match c {
            _ if secret(at) => '*',
            c if is_line_break_or_control(c) => ' ',
            c => c,
        };
        line.char_indices().map(shown).collect()
    }
}

/// Long words of letters and digits. Where a key is mistyped nobody knows what is secret, and this
/// is what secrets look like.
fn random_words(line: &str) -> Vec<Place> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut words = Vec::new();
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !belongs(c)) {
        let bare = word.trim_end_matches(|c: char| !belongs(c));
        let mixed =
            bare.contains(|c: char| c.is_ascii_digit()) && bare.contains(char::is_alphabetic);
        if mixed && bare.len() >= RANDOM {
            words.push(at..at + bare.len());
        }
        at += word.len();
    }
    words
}

/// What stands between `://` and `@` in an address: often a password.
fn credentials(text: &str) -> Vec<Place> {
    let ends = |c: char| c.is_whitespace() || "\"'`".contains(c);
    let mut found = Vec::new();
    for (scheme, _) in text.match_indices("://") {
        let start = scheme + "://".len();
        let word = text[start..].split(ends).next().unwrap_or("");
        found.extend(word.rfind('@').map(|at| start..start + at));
    }
    found
}

/// What YAML does not allow in a text.
fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')
}

fn is_line_break_or_control(c: char) -> bool {
    let turns_text =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || turns_text
}

/// A message without credentials in it, whatever it quotes. Where a quote is missing that may be half
/// of the file, with its secrets.
fn presentable(text: &str) -> String {
    let mut hidden = credentials(text);
    if text.len() > 2 * SHOWN {
        hidden.extend(random_words(text));
    }
    let shown = |(at, c)| if hidden.iter().any(|place| place.contains(&at)) { '*' } else { c };
    harmless(&text.char_indices().map(shown).collect::<String>())
}

/// A message that ends no line and turns no terminal, whatever it quotes.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_line_break_or_control(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_nothing_that_a_terminal_obeys() {
        assert_eq!(harmless("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
    }

    #[test]
    fn a_message_quotes_no_credentials() {
        for (text, shown) in [
            ("`redis://me:pw@a` is", "`redis://*****@a` is"),
            ("http://a/b, c://d@e@f", "http://a/b, c://***@f"),
            ("as in `https://a`, `*@acme.com`", "as in `https://a`, `*@acme.com`"),
        ] {
            assert_eq!(presentable(text), shown);
        }
        let file = format!("`{} n0t-a-w0rd-of-any-manual {}` is", "a ".repeat(80), "b ".repeat(40));
        assert!(!presentable(&file).contains("w0rd"), "half of a file");
    }

    #[test]
    fn a_place_behind_the_text_is_its_last_line() {
        let mut report = Report::new(Path::new("x.yaml"), "a: b\n\n");
        report.problem(&(6..6), Fault::new("m"));
        let problems = report.finish(Some(())).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!((problem.line, problem.column, problem.width), (1, 5, 1));
    }
}
