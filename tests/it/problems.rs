//! Mistakes in the configuration, one a file in `problems/`: the YAML, a line of hyphens, and what
//! `gatekeep check` answers. Together they are the manual of mistakes. And the shipped
//! configurations: they load, and however they are spoilt, they are answered with a place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};

use gatekeep::config::{Config, Problems, StoreKind};
use gatekeep::store::RedisMode;

const RULE: &str = "----------\n";

/// The store of the shipped configurations.
const EMBEDDED: &str = "{ embedded: /var/lib/gatekeep }";

/// All that can be said of a Redis.
const REDIS_IN_FULL: &str = "{ redis: { url: ['rediss://10.0.0.1:26379', \
    'rediss://10.0.0.2:26379'], username: gatekeep, password: { env: GATEKEEP_REDIS_PASSWORD }, \
    ca: ca.pem, sentinel: mymaster, cluster: false, prefix: 'apps:gatekeep' } }";

/// A private key as GitHub makes them for an app.
const APP_KEY: &str = include_str!("../../src/simulator/app.pem");

/// A directory like an operator's: certificates, keys and secrets beside `gatekeep.yaml`.
struct Desk(tempfile::TempDir);

// === impl Desk ===

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (certificate, key) in [("fullchain.pem", "privkey.pem"), ("ca.pem", "other-key.pem")] {
            let made = rcgen::generate_simple_self_signed(["auth.example.com".to_owned()]).unwrap();
            desk.write(certificate, &made.cert.pem());
            desk.write(key, &made.signing_key.serialize_pem());
        }
        for name in ["secret", "github-client-secret", "registry-jwt"] {
            desk.write(name, "F1rst-of-a-thousand-t3xts-nobody-reads\n");
        }
        desk.write("open-to-all", "An0ther-of-a-thousand-t3xts-nobody-reads\n");
        desk.open("open-to-all");
        desk.write("empty", "\n");
        desk.write("notes.txt", "no certificate\n");
        desk.write("app.pem", APP_KEY);
        desk.write("short.pem", include_str!("keys/rsa-1024.pem"));
        desk.write("encrypted.pem", include_str!("keys/encrypted.pem"));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn open(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn parse(&self, yaml: &str) -> Result<Config, Problems> {
        Config::parse(&self.path("gatekeep.yaml"), yaml, &env)
    }

    /// What `gatekeep check gatekeep.yaml` answers in this directory.
    fn answer(&self, yaml: &str) -> String {
        let text = match self.parse(yaml) {
            Err(problems) => problems.to_string(),
            Ok(config) => config.warnings.join("\n"),
        };
        text.replace(&format!("{}/", self.0.path().display()), "") + "\n"
    }
}

fn env(name: &str) -> Option<String> {
    let value = match name {
        "GATEKEEP_SECRET" => "8Jf2ZrTj0x4mC7qVbN1wLs9KdEhGyUaP3oRiXt5vQ6c",
        "OLD_SECRET" => "f00dfeed0123456789abcdef0123456789abcdefdeadbeef0123456789abcdef",
        "GATEKEEP_GITHUB_CLIENT_SECRET" => "a-secret-of-github",
        "NOTES_JWT_SECRET" => "shared-with-the-notes-app-and-nobody-else",
        "GATEKEEP_WEBHOOK_SECRET" => "shared-w1th-github",
        "GATEKEEP_ORG_WEBHOOK_SECRET" => "shared-w1th-github-for-orgs",
        "GATEKEEP_REPO_WEBHOOK_SECRET" => "shared-w1th-github-for-repos",
        "GATEKEEP_REDIS_PASSWORD" => "kn0wn-to-redis",
        "GATEKEEP_APP_PRIVATE_KEY" => APP_KEY,
        "OLDER_INSTANCE_KEY" => "shared-with-0ne-instance-and-nobody-else",
        "SHORT_SECRET" => "hunter2",
        "EMPTY_SECRET" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == extension));
    paths.sort();
    paths
}

/// The shipped files, as they would lie on the desk.
fn shipped() -> Vec<(String, String)> {
    files("config", "yaml")
        .iter()
        .map(|path| {
            let yaml = fs::read_to_string(path).unwrap().replace("/etc/gatekeep/", "");
            (path.file_name().unwrap().to_string_lossy().into_owned(), yaml)
        })
        .collect()
}

// === The manual of mistakes ===

/// With `BLESS=1` the answers are written into the files, to be read before they are committed.
#[test]
fn every_mistake_is_answered_with_its_place_and_a_way_out() {
    let desk = Desk::new();
    let mut differ = Vec::new();
    for path in files("tests/it/problems", "txt") {
        let text = fs::read_to_string(&path).unwrap();
        let (yaml, expected) = text.split_once(RULE).expect("YAML, a line of hyphens, the answer");
        let answer = desk.answer(yaml);
        if answer == expected {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, format!("{yaml}{RULE}{answer}")).unwrap();
        }
        differ.push(format!("{}\n--- answered\n{answer}--- expected\n{expected}", path.display()));
    }
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}

// === The shipped configurations ===

#[test]
fn every_shipped_configuration_loads_without_a_warning() {
    let desk = Desk::new();
    for (name, yaml) in shipped() {
        let config = desk.parse(&yaml).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert!(config.warnings.is_empty(), "{name}: {:?}", config.warnings);
    }
}

/// Puts into force what stands behind `#` without a space.
fn uncommented(yaml: &str) -> String {
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        match rest.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => format!("{indent}{key}\n"),
            _ => format!("{line}\n"),
        }
    };
    yaml.lines().map(line).collect()
}

#[test]
fn every_key_of_the_reference_can_be_put_into_force() {
    let yaml = uncommented(&fs::read_to_string(root().join("config/gatekeep.yaml")).unwrap());
    let config = Desk::new().parse(&yaml).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let notes = config.routes.iter().next().unwrap();
    assert_eq!((notes.rules.len(), notes.public.len()), (6, 2));
    assert_eq!(config.trusted_proxies.len(), 2);
}

/// Where the reference shows a default, putting it into force changes nothing.
#[test]
fn the_defaults_in_the_reference_are_the_defaults() {
    let desk = Desk::new();
    let yaml = fs::read_to_string(root().join("config/gatekeep.yaml")).unwrap();
    // The whole of that is an example.
    let (yaml, _) = yaml.split_once("\n#broker:").unwrap();
    let examples = [
        "callback_path",
        "admin",
        "unix",
        "mode",
        "trusted_proxies",
        "scopes",
        "webhook",
        "app",
        "logo",
        "threads",
        "methods",
        "ca",
        "server_name",
        "upstream_tls",
        "teams",
        "users",
        "emails",
        "deny",
        "public",
        "rules",
        "strip_query",
        "strip_headers",
        "placeholder_cookie",
        "audience",
        "loose_paths",
        "installation",
        "origins",
    ];
    let is_example = |line: &str| {
        let key =
            line.trim_start().trim_start_matches(['#', '-', ' ']).split(':').next().unwrap_or("");
        examples.contains(&key)
            || ["- path", "- { path", "methods: [POST]", "allow: { teams", "GET /repos"]
                .iter()
                .any(|part| line.contains(part))
    };
    let defaults: Vec<_> = yaml.lines().filter(|line| !is_example(line)).collect();
    let defaults = defaults.join("\n");
    let spelled_out =
        desk.parse(&uncommented(&defaults)).unwrap_or_else(|problems| panic!("{problems}"));
    let left_out = desk.parse(&defaults).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(spelled_out.describe(), left_out.describe());
}

#[test]
fn everything_that_can_be_said_of_a_redis_is_meant() {
    let desk = Desk::new();
    let yaml = fs::read_to_string(root().join("config/gatekeep.yaml")).unwrap();
    let config = desk.parse(&yaml.replace(EMBEDDED, REDIS_IN_FULL)).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let StoreKind::Redis(redis) = config.store else { panic!("{:?}", config.store) };
    assert_eq!(redis.urls, ["rediss://10.0.0.1:26379/0", "rediss://10.0.0.2:26379/0"]);
    assert!(matches!(redis.mode, RedisMode::Sentinel { master } if master == "mymaster"));
    assert_eq!(redis.username.as_deref(), Some("gatekeep"));
    assert!(redis.password.unwrap().matches(b"kn0wn-to-redis"));
    assert_eq!(redis.ca, Some(fs::read(desk.path("ca.pem")).unwrap()));
    assert_eq!(redis.prefix, "apps:gatekeep");
}

#[test]
fn an_embedded_store_lies_where_the_configuration_says() {
    let desk = Desk::new();
    let yaml = fs::read_to_string(root().join("config/gatekeep.yaml")).unwrap();
    for (written, lies) in [("/var/lib/gatekeep", None), ("sessions", Some("sessions"))] {
        let yaml = yaml.replace(EMBEDDED, &format!("{{ embedded: {written} }}"));
        let StoreKind::Embedded(directory) = desk.parse(&yaml).unwrap().store else {
            panic!("{written}")
        };
        assert_eq!(directory, lies.map_or(PathBuf::from(written), |name| desk.path(name)));
    }
}

#[test]
fn a_description_is_yaml_and_shows_no_secret() {
    let desk = Desk::new();
    let redis = |(name, yaml): (String, String)| {
        (format!("{name} with a Redis"), yaml.replace(EMBEDDED, REDIS_IN_FULL))
    };
    let with_redis: Vec<_> = shipped().into_iter().map(redis).collect();
    for (name, yaml) in shipped().into_iter().chain(with_redis) {
        let described = desk.parse(&uncommented(&yaml)).map(|config| config.describe());
        // What production.yaml comments out is a secret that lies nowhere.
        let Ok(described) = described else { continue };
        for secret in [
            "8Jf2Zr",
            "a-secret-of-github",
            "F1rst-of-a",
            "shared-with",
            "shared-w1th",
            "kn0wn",
            "MII",
        ] {
            assert!(!described.contains(secret), "{name}");
        }
        let answer = desk.answer(&described);
        // Redacted secrets are no secrets; nothing else is wrong with it.
        for line in answer.lines().filter(|line| line.starts_with("error")) {
            assert!(line.contains("secret") || line.contains("cannot read `("), "{name}: {answer}");
        }
    }
}

// === Spoilt configurations ===

/// A small generator of numbers (Knuth's MMIX), the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Spoils a text in one of the ways in which texts get spoilt.
fn spoil(yaml: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = yaml.lines().map(str::to_owned).collect();
    let line = dice.below(lines.len());
    let other = dice.below(lines.len());
    match dice.below(8) {
        0 => return spoil_bytes(yaml, dice),
        1 => drop(lines.remove(line)),
        2 => lines.swap(line, other),
        3 => lines.insert(other, lines[line].clone()),
        4 => lines[line] = format!("{}{}", " ".repeat(dice.below(5)), lines[line].trim_start()),
        5 => lines.truncate(line),
        6 => {
            let value = [
                "",
                "[]",
                "{}",
                "7",
                "true",
                "null",
                "~",
                "[[{}]]",
                "\"\"",
                "{ a: b }",
                "*x",
                "&x 1",
                "!!int x",
                "!x y",
                "|",
                "1e999",
                "\u{85}",
                "\u{2028}",
                "\"\\u001b[31m\"",
                "- x",
                "'",
                "\t",
            ];
            let key = lines[line].split_inclusive(": ").next().unwrap_or("").to_owned();
            lines[line] = format!("{key}{}", dice.pick(&value));
        }
        _ => {
            let key = [
                "secret",
                "listen",
                "<<",
                "? x",
                "routes",
                "host",
                "!!str name",
                "- - -",
                "---",
                "...",
            ];
            lines.insert(line, format!("{}{}: x", " ".repeat(2 * dice.below(4)), dice.pick(&key)));
        }
    }
    lines.join(dice.pick(&["\n", "\n", "\n", "\r\n", "\r"]))
}

fn spoil_bytes(yaml: &str, dice: &mut Dice) -> String {
    let mut bytes = yaml.as_bytes().to_vec();
    bytes.extend_from_slice(b"    ");
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(3) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn ten_thousand_spoilt_configurations_are_answered_with_a_place_in_the_file() {
    let desk = Desk::new();
    let shipped: Vec<_> =
        shipped().into_iter().flat_map(|(_, yaml)| [uncommented(&yaml), yaml]).collect();
    // A secret that is written into the file is shown to nobody, however the file is spoilt.
    let literal = "n0t-a-w0rd-of-any-manual-anywhere";
    let password = format!("{{ redis: {{ url: 'redis://127.0.0.1', password: {literal} }} }}");
    let spelled_out = |yaml: &String| {
        yaml.replace("{ env: GATEKEEP_SECRET }", literal).replace(EMBEDDED, &password)
    };
    let shipped: Vec<_> = shipped.iter().map(spelled_out).collect();
    let mut dice = Dice(2026);
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut yaml = shipped[dice.below(shipped.len())].clone();
        for _ in 0..=dice.below(3) {
            yaml.push('\n');
            yaml = spoil(&yaml, &mut dice);
        }
        let Err(problems) = desk.parse(&yaml) else { continue };
        refused += 1;
        let lines: Vec<_> = yaml.split('\n').collect();
        for problem in problems.iter() {
            let text = lines.get(problem.line.wrapping_sub(1));
            let text = text.unwrap_or_else(|| panic!("{problem}\nlies outside of\n{yaml}"));
            assert!(
                problem.column <= text.chars().count() + 1,
                "{problem}\nlies outside of\n{yaml}"
            );
            assert!(!problem.to_string().contains(['\u{1b}', '\u{85}']), "{problem}");
            assert!(!problem.to_string().contains("w0rd-of-any"), "{problem}");
        }
        assert!(problems.iter().is_sorted_by_key(|problem| problem.line), "{problems}");
    }
    assert!(refused > 5_000, "{refused}");
}
