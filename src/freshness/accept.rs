//! The media type that is asked for: the many spellings of the usual one are one representation.
//! <https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api>

/// What is sent to GitHub where the client asks for the usual JSON, in whatever words.
pub const USUAL: &str = "application/vnd.github+json";

/// Other words for [`USUAL`]; GitHub answers to all of them with the same bytes.
const SYNONYMS: [&str; 4] =
    ["*/*", "application/json", "application/vnd.github.v3+json", "application/vnd.github.json"];

/// The `Accept` that goes to GitHub and into the [`Key`](super::Key): [`USUAL`] when the client has
/// no wish of its own, else what it sent, without spaces around it.
pub fn canonical(accept: Option<&str>) -> &str {
    let wish = accept.unwrap_or_default().trim_matches([' ', '\t']);
    let is = |word: &&str| wish.eq_ignore_ascii_case(word);
    if wish.is_empty() || is(&USUAL) || SYNONYMS.iter().any(is) { USUAL } else { wish }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_json_has_many_names() {
        assert_eq!(canonical(None), USUAL);
        for usual in [
            "",
            "  ",
            "*/*",
            " */*\t",
            "application/json",
            "Application/JSON",
            "application/vnd.github+json",
            "application/vnd.github.v3+json",
            "application/vnd.github.json",
        ] {
            assert_eq!(canonical(Some(usual)), USUAL, "{usual:?}");
        }
    }

    #[test]
    fn any_other_wish_is_sent_as_it_is() {
        for (sent, canonical_form) in [
            ("application/vnd.github.diff", "application/vnd.github.diff"),
            (" application/vnd.github.raw+json ", "application/vnd.github.raw+json"),
            ("application/json, */*", "application/json, */*"),
            ("application/json;q=0.9", "application/json;q=0.9"),
            ("application/vnd.github.v4+json", "application/vnd.github.v4+json"),
            ("text/html", "text/html"),
        ] {
            assert_eq!(canonical(Some(sent)), canonical_form);
        }
    }
}
