//! OAuth scopes: reading them, and which one includes which.

/// Reads a list separated by spaces or commas, as GitHub normalises it: each once, and none that
/// another one includes.
pub(super) fn normalise(asked: &str) -> Vec<String> {
    let words: Vec<&str> =
        asked.split([' ', ',', '+']).map(str::trim).filter(|word| !word.is_empty()).collect();
    let mut kept: Vec<String> = Vec::new();
    for word in &words {
        let included = words.iter().any(|other| other != word && includes(other, word));
        if !included && !kept.iter().any(|known| known == word) {
            kept.push((*word).to_owned());
        }
    }
    kept
}

/// Whether these scopes give what the wanted one gives.
pub(super) fn allow(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| includes(scope, wanted))
}

/// What the scope lets an app do, in words for the consent page.
pub(super) fn meaning(scope: &str) -> &'static str {
    match scope {
        "read:user" => "Read your whole profile",
        "user:email" => "Read your e-mail addresses",
        "user" => "Read and change your profile and e-mail addresses",
        "read:org" => "Read which organizations and teams you belong to",
        "repo" => "Full control of private repositories",
        _ => "What this scope allows",
    }
}

fn includes(scope: &str, wanted: &str) -> bool {
    scope == wanted
        || matches!(
            (scope, wanted),
            ("user", "read:user" | "user:email" | "user:follow")
                | ("admin:org", "write:org" | "read:org")
                | ("write:org", "read:org")
                | ("repo", "public_repo")
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_normalised_as_github_does() {
        assert_eq!(normalise("user,gist,user:email"), ["user", "gist"]);
        assert_eq!(normalise("read:user user:email read:user"), ["read:user", "user:email"]);
        assert!(normalise(" ").is_empty());
        assert!(allow(&normalise("admin:org"), "read:org"));
        assert!(!allow(&normalise("read:org"), "user:email"));
    }
}
