//! Secrets that somebody could guess.

use std::collections::HashSet;

/// Secrets from manuals: everybody knows them.
const PUBLISHED: [&str; 12] = [
    // oauth2-proxy's manual
    "OQINaROshtE9TcZkNrm-4Zs2Pv3xaWytBmc5W7sPX7w=",
    // RFC 7515, appendix A.1
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    // jwt.io, before and since 2025
    "your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    // GitHub's page on webhooks
    "It's a Secret to Everybody",
    // Trackeep's code, its composition of containers and its notes
    "your-secret-key-change-in-production",
    "your-super-secret-jwt-key-change-in-production",
    "jgk284kd83h83hfgje3i3j",
    // the alphabet and its like
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789abcdef0123456789abcdef",
    "00112233445566778899aabbccddeeff",
    "12345678901234567890123456789012",
];

/// What placeholders contain, in lower case without punctuation.
const PLACEHOLDERS: [&str; 8] = [
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "yoursecret",
    "mysecret",
    "supersecret",
    "examplesecret",
];

/// Fewer different bytes than this are a pattern, not a secret.
const DISTINCT_BYTES: usize = 8;

/// Why a secret could be guessed. `bytes` is what its text stands for.
pub(super) fn weakness(text: &str, bytes: &[u8], least: usize) -> Option<String> {
    let plain: String = text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    if PUBLISHED.iter().any(|known| text.starts_with(known))
        || PLACEHOLDERS.iter().any(|word| plain.contains(word))
    {
        return Some(
            "this secret stands in a manual or is a placeholder: everybody knows it".to_owned(),
        );
    }
    if bytes.len() < least {
        return Some(format!("this secret has {} bytes, and needs {least} or more", bytes.len()));
    }
    let distinct: HashSet<u8> = bytes.iter().copied().collect();
    (distinct.len() < DISTINCT_BYTES).then(|| {
        format!(
            "this secret repeats few bytes ({} different ones) and can be guessed",
            distinct.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_is_refused() {
        for (text, says) in [
            ("short", "5 bytes"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1 different ones"),
            ("change-me-change-me-change-me-change-me", "placeholder"),
            ("0123456789abcdef0123456789abcdef", "manual"),
            ("It's a Secret to Everybody", "manual"),
            ("your-secret-key-change-in-production", "manual"),
            ("your-super-secret-jwt-key-change-in-production", "manual"),
            ("jgk284kd83h83hfgje3i3j", "manual"),
        ] {
            let why = weakness(text, text.as_bytes(), 32).unwrap();
            assert!(why.contains(says), "{text}: {why}");
        }
        let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(weakness(zeros, &[0; 32], 32).unwrap().contains("1 different ones"));
        assert_eq!(
            weakness(
                "n0t-a-w0rd-of-any-manual-anywhere-2931",
                b"n0t-a-w0rd-of-any-manual-anywhere-2931",
                32
            ),
            None
        );
    }
}
