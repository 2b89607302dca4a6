//! What a person calls the program that a session belongs to. A user agent says of itself whatever
//! it likes: the words help to recognise it, and prove nothing.

use super::Request;

/// Part of a browser's user agent, and its name: the first that fits, for each claims to be those
/// further down, too.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// The same of systems.
const SYSTEMS: &[(&str, &str)] = &[
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
];

/// How the user agent of a program that is no browser begins.
const PROGRAMS: &[(&str, &str)] = &[
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("git/", "Git"),
    ("HTTPie/", "HTTPie"),
    ("PostmanRuntime/", "Postman"),
    ("python-requests/", "Python"),
    ("Go-http-client/", "Go"),
];

/// The most characters of a user agent that are kept.
const KEPT: usize = 200;

/// The most characters of a user agent that is shown as it is.
const SHOWN: usize = 40;

/// What the program that asks says of itself, shortened.
pub(super) fn agent(request: &Request<'_>) -> String {
    request.header("user-agent").unwrap_or_default().chars().take(KEPT).collect()
}

/// What a user agent is called: "Firefox on Linux", "curl", or the beginning of what it says.
pub(super) fn name_of(agent: &str) -> String {
    if let Some((_, program)) = PROGRAMS.iter().find(|(start, _)| agent.starts_with(start)) {
        return (*program).to_owned();
    }
    match (find(BROWSERS, agent), find(SYSTEMS, agent)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => shortened(agent.trim()),
    }
}

fn find(table: &[(&str, &'static str)], agent: &str) -> Option<&'static str> {
    table.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
}

fn shortened(agent: &str) -> String {
    match agent.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &agent[..end]),
        None if agent.is_empty() => "unknown".to_owned(),
        None => agent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROMIUM: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
    const WEBKIT: &str = "AppleWebKit/605.1.15 (KHTML, like Gecko)";

    /// System, engine, product, and what a person calls that.
    const AGENTS: &[(&str, &str, &str, &str)] = &[
        ("X11; Linux x86_64; rv:145.0", "Gecko/20100101", "Firefox/145.0", "Firefox on Linux"),
        ("Android 15; Mobile; rv:145.0", "Gecko/145.0", "Firefox/145.0", "Firefox on Android"),
        ("X11; FreeBSD amd64; rv:145.0", "Gecko/20100101", "Firefox/145.0", "Firefox on FreeBSD"),
        (
            "iPhone; CPU iPhone OS 18_6 like Mac OS X",
            WEBKIT,
            "FxiOS/145.0 Mobile/15E148 Safari/605.1.15",
            "Firefox on iPhone",
        ),
        (
            "Macintosh; Intel Mac OS X 10_15_7",
            WEBKIT,
            "Version/18.6 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Linux; Android 10; K",
            CHROMIUM,
            "Chrome/142.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Linux; Android 10; K",
            CHROMIUM,
            "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (
            "X11; CrOS x86_64 14541.0.0",
            CHROMIUM,
            "Chrome/142.0.0.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            "Windows NT 10.0; Win64; x64",
            CHROMIUM,
            "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            "Edge on Windows",
        ),
        (
            "Macintosh; Intel Mac OS X 10_15_7",
            CHROMIUM,
            "Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0",
            "Opera on macOS",
        ),
        ("", "", "Firefox/145.0", "Firefox"),
    ];

    #[test]
    fn a_browser_is_called_by_its_name_and_its_system() {
        for (system, engine, product, name) in AGENTS {
            let agent = format!("Mozilla/5.0 ({system}) {engine} {product}");
            assert_eq!(name_of(&agent), *name, "{agent}");
        }
    }

    #[test]
    fn a_program_is_called_by_its_name_and_anything_else_by_what_it_says() {
        let long = "x".repeat(200);
        for (agent, name) in [
            ("curl/8.14.1", "curl"),
            ("Wget/1.25.0", "Wget"),
            ("git/2.51.0", "Git"),
            ("python-requests/2.32.5", "Python"),
            ("test browser", "test browser"),
            ("not curl/8", "not curl/8"),
            (
                "Mozilla/5.0 (X11; Linux x86_64) Else/1.0",
                "Mozilla/5.0 (X11; Linux x86_64) Else/1.0",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) Unheard/1.0",
                "Mozilla/5.0 (X11; Linux x86_64) Unheard/…",
            ),
            ("", "unknown"),
            ("  ", "unknown"),
            ("äöü", "äöü"),
            (&"ü".repeat(41), &format!("{}…", "ü".repeat(40))),
            (&long, &format!("{}…", &long[..40])),
        ] {
            assert_eq!(name_of(agent), name, "{agent}");
        }
    }
}
