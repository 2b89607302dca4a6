//! "Did you mean": the known word nearest to a mistaken one.

/// The known word that a mistyped one is nearest to, if it is near enough to be worth a question.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&lower, candidate), candidate))
        .filter(|&(distance, candidate)| distance < 3 && 2 * distance < candidate.len().max(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Two letters that changed places count as one mistake; a hyphen is an underscore.
fn distance(word: &str, candidate: &str) -> usize {
    strsim::damerau_levenshtein(&word.replace('-', "_"), &candidate.to_lowercase())
}

/// `` `a`, `b` and `c` ``.
pub(super) fn list<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let known = ["policy", "path", "host", "web", "api", "public_url"];
        for (word, suggestion) in [
            ("polcy", Some("policy")),
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("public-url", Some("public_url")),
            ("pth", Some("path")),
            ("key", None),
            ("upstream", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), suggestion, "{word}");
        }
    }

    #[test]
    fn words_are_listed_as_one_says_them() {
        assert_eq!(list([]), "");
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
