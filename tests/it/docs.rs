//! The documentation is true: every YAML that it shows loads, every command that it shows exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gatekeep::config::Config;
use gatekeep::reason::Reason;
use serde_json::Value;

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

/// A metric as `src/metrics.rs` declares it.
struct Declared {
    name: String,
    is_histogram: bool,
    labels: Vec<String>,
}

fn declared() -> Vec<Declared> {
    let source = read("src/metrics.rs").replace("=\n", "=");
    source
        .lines()
        .filter_map(|line| {
            let (kind, rest) = line.trim().split_once(": ")?.1.split_once('=')?;
            let mut quoted = rest.split('"').skip(1).step_by(2).map(str::to_owned);
            let name = quoted.next().filter(|name| name.starts_with("gatekeep_"))?;
            let is_histogram = kind.trim().starts_with("Histogram");
            Some(Declared { name, is_histogram, labels: quoted.collect() })
        })
        .collect()
}

/// The expressions of a dashboard, its variables' included.
fn expressions(dashboard: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().cloned().expect("a list");
    let panels = list(&dashboard["panels"]);
    let targets = panels.iter().flat_map(|panel| list(&panel["targets"]));
    let mut found: Vec<_> = targets.map(|target| text(&target["expr"])).collect();
    let variables = list(&dashboard["templating"]["list"]);
    found.extend(variables.iter().filter_map(|it| it["definition"].as_str()).map(str::to_owned));
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The labels that an expression names in `{label="…"}` and `by (label)`.
fn labels_in(expression: &str) -> Vec<&str> {
    let matched = expression.split(['{', ',']).filter_map(|part| {
        let (label, _) = part.split_once('=')?;
        label.trim().chars().all(is_word).then(|| label.trim())
    });
    let grouped = expression.split("by (").skip(1).filter_map(|part| part.split(')').next());
    matched.chain(grouped.flat_map(|labels| labels.split(',').map(str::trim))).collect()
}

/// What is wrong with an expression.
fn faults(expression: &str, declared: &[Declared]) -> Vec<String> {
    let named = expression.split(|c| !is_word(c)).filter(|word| word.starts_with("gatekeep_"));
    let (mut faults, mut labels) = (Vec::new(), vec!["instance", "le"]);
    for name in named {
        let stem = name.strip_suffix("_bucket").unwrap_or(name);
        match declared.iter().find(|declared| declared.name == stem) {
            Some(metric) if metric.is_histogram == (stem != name) => {
                labels.extend(metric.labels.iter().map(String::as_str));
            }
            _ => faults.push(name.to_owned()),
        }
    }
    let unknown = labels_in(expression).into_iter().filter(|label| !labels.contains(label));
    faults.extend(unknown.map(str::to_owned));
    faults
}

#[test]
fn the_dashboard_shows_metrics_that_exist_and_all_of_githubs_api() {
    let declared = declared();
    let dashboard: Value =
        serde_json::from_str(&read("examples/grafana/gatekeep-github.json")).expect("JSON");
    let expressions = expressions(&dashboard);
    for expression in &expressions {
        assert_eq!(faults(expression, &declared), Vec::<String>::new(), "{expression}");
    }
    let page = read("docs/operations.md");
    let of_api = declared.iter().map(|metric| &metric.name).filter(|name| {
        name.starts_with("gatekeep_github_") && !name.starts_with("gatekeep_github_sign_in")
    });
    for name in of_api {
        assert!(expressions.iter().any(|it| it.contains(name.as_str())), "{name} is not shown");
        assert!(page.contains(&format!("`{name}`")), "{name} is missing in docs/operations.md");
    }
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each has a number of its own");
}

#[test]
fn a_metric_or_label_that_does_not_exist_would_be_found() {
    let declared = declared();
    assert!(declared.len() > 30, "the declarations were read");
    for (expression, expected) in [
        ("min by (resource) (gatekeep_github_budget_remaining)", &[][..]),
        ("sum by (le, mode) (rate(gatekeep_github_entry_age_seconds_bucket[5m]))", &[]),
        ("sum(gatekeep_github_save_total)", &["gatekeep_github_save_total"]),
        ("gatekeep_github_saved_total_bucket", &["gatekeep_github_saved_total_bucket"]),
        ("gatekeep_github_wait_seconds", &["gatekeep_github_wait_seconds"]),
        (r#"gatekeep_github_charged_total{instance=~"$i", mode="x"}"#, &["mode"]),
        ("sum by (status) (gatekeep_github_saved_total)", &["status"]),
    ] {
        assert_eq!(faults(expression, &declared), expected, "{expression}");
    }
}
