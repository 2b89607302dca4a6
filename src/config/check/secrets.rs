//! Secrets: found where they are kept, and refused when somebody could guess them.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::field::At;
use super::super::locate::Place;
use super::super::raw::{Raw, SecretPlace};
use super::super::report::Fault;
use super::super::written::SecretSource;
use super::Check;
use super::weakness::weakness;
use crate::keys::MASTER_BYTES;
use crate::secret::Secret;

pub(super) const KEYGEN: &str = "`gatekeep keygen` prints a good one";

// === impl Check ===

impl Check<'_> {
    /// The master secrets, the newest first.
    pub(super) fn masters(&mut self, raw: &Raw, whole: &Place) -> Option<Vec<Secret<Vec<u8>>>> {
        let missing = || {
            Fault::new("`secret` is missing")
                .note("write `secret: { env: GATEKEEP_SECRET }` and set that variable")
                .note(KEYGEN)
        };
        let at = self.required(&raw.secret, whole, missing)?;
        let sources = &at.value.0;
        if sources.is_empty() {
            self.problem(&at.place, Fault::new("`secret` lists none").note(KEYGEN));
        }
        let masters: Vec<_> =
            sources.iter().filter_map(|source| self.strong_secret(source, decoded)).collect();
        let mut seen = HashSet::new();
        for (master, source) in masters.iter().zip(sources) {
            if masters.len() == sources.len() && !seen.insert(master.expose()) {
                let fault = Fault::new("this secret is listed twice").help("keep one of them");
                self.problem(&source.place, fault);
            }
        }
        (!masters.is_empty() && masters.len() == sources.len()).then_some(masters)
    }

    /// A secret that signs or seals: nobody guesses it.
    pub(super) fn strong_secret(
        &mut self,
        source: &At<SecretSource>,
        bytes: fn(&str) -> Vec<u8>,
    ) -> Option<Secret<Vec<u8>>> {
        let text = self.secret(source)?;
        let bytes = Secret::new(bytes(text.expose()));
        self.is_strong(&text, bytes.expose(), MASTER_BYTES, &source.place).then_some(bytes)
    }

    /// Whether nobody guesses a secret; else the report says why.
    pub(super) fn is_strong(
        &mut self,
        text: &Secret<String>,
        bytes: &[u8],
        least: usize,
        place: &Place,
    ) -> bool {
        let weakness = weakness(text.expose(), bytes, least);
        let strong = weakness.is_none();
        if let Some(weakness) = weakness {
            self.problem(place, Fault::new(weakness).note(KEYGEN));
        }
        strong
    }

    /// The text of a secret, without white space around it.
    pub(super) fn secret(&mut self, source: &At<SecretSource>) -> Option<Secret<String>> {
        let text = match &source.value {
            SecretSource::Literal(text) if is_pointer(text) => {
                self.problem(&source.place, pointer(text));
                return None;
            }
            SecretSource::Literal(text) => {
                self.report.warn(&source.place, "a secret is written into the configuration itself; `{ env: NAME }` or `{ file: PATH }` keeps it elsewhere");
                Secret::new(text.trim().to_owned())
            }
            SecretSource::Kept(kept) => self.kept_secret(kept, &source.place)?,
        };
        if text.expose().is_empty() {
            self.problem(
                &source.place,
                Fault::new("this secret is empty").help("write one, or where it is"),
            );
            return None;
        }
        Some(text)
    }

    fn kept_secret(&mut self, kept: &SecretPlace, place: &Place) -> Option<Secret<String>> {
        match (kept.env.given(), kept.file.given()) {
            (Some(_), Some(file)) => {
                let fault = Fault::new("a secret is kept in one place, not in two");
                self.problem(&file.key, fault.help("keep `env` or `file`"));
                None
            }
            (Some(env), None) => self.secret_of_env(&env.value.0, &env.place),
            (None, Some(file)) => self.secret_of_file(&file.value.0, &file.place),
            (None, None) => {
                // Where one of them cannot be read, the report has said so.
                if kept.env.is_absent() && kept.file.is_absent() {
                    let fault = Fault::new("this does not say where the secret is");
                    self.problem(place, fault.note("write `{ env: NAME }` or `{ file: PATH }`"));
                }
                None
            }
        }
    }

    fn secret_of_env(&mut self, name: &str, place: &Place) -> Option<Secret<String>> {
        // Whoever wrote the secret itself in the name's place shall not read it in a log.
        if !is_name(name) && (self.env)(name).is_none() {
            self.report.hide_scalar(place, name);
            if is_pointer(name) {
                self.problem(place, pointer(name));
                return None;
            }
            let fault = Fault::new("there is no environment variable of this name");
            self.problem(
                place,
                fault.note("`env` takes the name of a variable, not the secret itself"),
            );
            return None;
        }
        let fault = match (self.env)(name).map(Secret::new) {
            Some(text) if text.expose().trim().is_empty() => {
                Fault::new(format!("the environment variable `{name}` is empty"))
            }
            Some(text) => return Some(Secret::new(text.expose().trim().to_owned())),
            None => Fault::new(format!("the environment variable `{name}` is not set")),
        };
        self.problem(
            place,
            fault.note("set it where Gatekeep is started, or keep the secret in a `file`"),
        );
        None
    }

    fn secret_of_file(&mut self, written: &str, place: &Place) -> Option<Secret<String>> {
        let path = self.path(written);
        match std::fs::read_to_string(&path).map(Secret::new) {
            Ok(text) if text.expose().trim().is_empty() => {
                self.problem(
                    place,
                    Fault::new(format!("`{written}` is empty")).help("write the secret into it"),
                );
                None
            }
            Ok(text) => {
                self.warn_if_readable_by_others(&path, written, place);
                Some(Secret::new(text.expose().trim().to_owned()))
            }
            Err(error) => {
                self.unreadable(written, &error, place);
                None
            }
        }
    }

    /// Says why a file cannot be read.
    pub(super) fn unreadable(&mut self, written: &str, error: &io::Error, place: &Place) {
        let (why, help) = match error.kind() {
            io::ErrorKind::NotFound => ("there is no such file", "write it, or correct the path"),
            io::ErrorKind::PermissionDenied => {
                ("this user may not read it", "let the user that runs Gatekeep read it")
            }
            io::ErrorKind::InvalidData => ("it is not a text", "name a text file"),
            io::ErrorKind::IsADirectory => ("it is a directory", "name a file in it"),
            _ => ("reading failed", "name another file"),
        };
        let fault = Fault::new(format!("cannot read `{written}`: {why}")).help(help);
        let begins = "a relative path begins where the configuration file lies";
        let relative = Path::new(written).is_relative();
        self.problem(place, if relative { fault.note(begins) } else { fault });
    }

    /// A secret file is its owner's alone.
    pub(super) fn warn_if_readable_by_others(&mut self, path: &Path, written: &str, place: &Place) {
        use std::os::unix::fs::PermissionsExt;
        let Ok(metadata) = std::fs::metadata(path) else { return };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let message = format!(
                "`{written}` is open to others than its owner (mode {mode:03o}); `chmod 600` closes it"
            );
            self.report.warn(place, &message);
        }
    }
}

// === Helpers ===

/// Whether a text looks like the name of an environment variable.
fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a text is no secret, but says in another language where one is.
fn is_pointer(text: &str) -> bool {
    let of_shell = text.strip_prefix('$').is_some_and(|name| {
        let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
        is_name(name) && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
    });
    let place = |key: &str| text.strip_prefix(key).is_some_and(|rest| !rest.trim().is_empty());
    of_shell || place("env:") || place("file:")
}

/// It is not quoted: it may be a secret nevertheless.
fn pointer(text: &str) -> Fault {
    if text.starts_with('$') {
        return Fault::new("a variable is not written as in a shell")
            .help("write the name without `$`: `{ env: NAME }`");
    }
    Fault::new("where a secret is kept stands in braces")
        .help("write `{ env: NAME }` or `{ file: PATH }`")
}

/// The bytes that a master secret's text stands for: 32 bytes in hexadecimal or base64 are decoded,
/// any other text stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let whole = |bytes: &Vec<u8>| bytes.len() == MASTER_BYTES;
    hexadecimal(text)
        .or_else(|| base64(text))
        .filter(whole)
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The bytes of a text as they are: what an app means that shares the secret.
pub(super) fn verbatim(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits =
        text.bytes().map(|b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
    (digits.len() == 2 * MASTER_BYTES).then(|| pairs.collect())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    matches!(text.len(), 43 | 44)
        .then(|| GeneralPurpose::new(&alphabet, config).decode(text).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_secrets_are_decoded_and_texts_are_taken_as_they_are() {
        let bytes: Vec<u8> = (200..232).collect();
        let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
        let hex = bytes.iter().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
        for text in [standard, url, hex.clone(), hex.to_uppercase()] {
            assert_eq!(decoded(&text), bytes, "{text}");
        }
        for text in ["correct horse battery staple, and more", "é"] {
            assert_eq!(decoded(text), text.as_bytes());
        }
    }

    #[test]
    fn what_points_at_a_secret_is_none() {
        for text in ["$NAME", "${NAME_2}", "$_X", "env:NAME", "file:/etc/secret", "env: NAME"] {
            assert!(is_pointer(text), "{text}");
        }
        for text in
            ["$", "$1", "$2y$10$abc", "$name", "a$NAME", "${", "${}", "env", "file:", "$A-B"]
        {
            assert!(!is_pointer(text), "{text}");
        }
    }
}
