//! The documentation is true: every YAML that it shows loads, every command that it shows exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gatekeep::config::Config;
use gatekeep::reason::Reason;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The fenced blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

fn pages() -> Vec<(String, String)> {
    let mut pages =
        vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned(), "benches/README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).expect("docs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            pages.push(format!("docs/{name}"));
        }
    }
    pages.into_iter().map(|page| (read(&page), page)).map(|(text, page)| (page, text)).collect()
}

/// A folder with a certificate and a key under the names that the examples use.
fn with_certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["app.example.com".into()]).expect("made");
    fs::write(folder.path().join("fullchain.pem"), made.cert.pem()).expect("written");
    fs::write(folder.path().join("privkey.pem"), made.signing_key.serialize_pem())
        .expect("written");
    folder
}

#[expect(clippy::unnecessary_wraps, reason = "an environment may lack a variable")]
fn environment(name: &str) -> Option<String> {
    Some(format!("{name}-0123456789-abcdefghijklmnopqrstuvwxyz"))
}

#[test]
fn the_set_up_of_the_readme_loads() {
    let folder = with_certificates();
    let yaml = blocks(&read("README.md"), "yaml");
    assert_eq!(yaml.len(), 1, "the README shows one configuration");
    let config = Config::parse(&folder.path().join("gatekeep.yaml"), &yaml[0], &environment)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.callback_url(), "https://app.example.com/.gatekeep/callback");
    assert!(read("README.md").contains(&config.callback_url()));
}

#[test]
fn the_route_keys_shown_for_apps_load() {
    let folder = with_certificates();
    let minimal = blocks(&read("README.md"), "yaml").remove(0);
    let shown = blocks(&read("docs/identity.md"), "yaml");
    assert_eq!(shown.len(), 2);
    for keys in shown {
        let yaml = format!("{minimal}    {}", keys.trim());
        Config::parse(&folder.path().join("gatekeep.yaml"), &yaml, &environment)
            .unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn every_command_shown_exists() {
    let help =
        Command::new(env!("CARGO_BIN_EXE_gatekeep")).arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    for (page, text) in pages() {
        for line in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [script, ..] if script.starts_with("./scripts/") => {
                    assert!(root().join(script).exists(), "{page}: {script}");
                }
                [program, command, ..] if program.ends_with("gatekeep") => {
                    assert!(help.contains(&format!("\n  {command} ")), "{page}: {line}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_link_within_the_documentation_leads_somewhere() {
    for (page, text) in pages() {
        let folder = Path::new(&page).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(root().join(&folder).join(file).exists(), "{page} links to {target}");
            }
        }
    }
}

#[test]
fn every_reason_is_explained_to_operators() {
    let page = read("docs/operations.md");
    for reason in Reason::ALL {
        assert!(
            page.contains(&format!("`{reason}`")),
            "`{reason}` is missing in docs/operations.md"
        );
    }
}
