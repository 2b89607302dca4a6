//! The store in a directory of this machine, as the operator meets it: who may read it, what a
//! second gateway on it is told, and that a restart signs nobody out.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gatekeep::simulator::{Echo, EchoSettings, Simulator};
use tempfile::TempDir;

use crate::support::browser::{Browser, join};
use crate::support::child::{Run, gatekeep};
use crate::support::yaml;

const PAGE: &str = "https://auth.example.com/page";
const ROUTES: &str = r"
  - { name: app, host: auth.example.com, upstream: @APP@, allow: anyone }
";

/// What stays while gateways come and go.
struct Machine {
    github: Simulator,
    _app: Echo,
    directory: TempDir,
    yaml: String,
}

// === impl Machine ===

impl Machine {
    fn new() -> Self {
        let any = || "127.0.0.1:0".parse().expect("an address");
        let github = Simulator::start(any()).expect("the simulator starts");
        github.register_callback("https://auth.example.com/.gatekeep/callback");
        let settings = EchoSettings { jwks_url: None, prefix: "/.gatekeep".into() };
        let app = Echo::start(any(), settings).expect("the app starts");
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("a/store").display().to_string();
        let keys = format!("store: {{ embedded: '{store}' }}\n");
        let yaml = yaml(&github, &keys, &ROUTES.replace("@APP@", app.url()));
        Self { github, _app: app, directory, yaml }
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("a/store")
    }

    fn file(&self) -> PathBuf {
        self.store().join("gatekeep.redb")
    }

    fn signed_in(&self, run: &Run) -> Browser {
        let mut browser = Browser::new(run.address);
        let page = browser.get(PAGE);
        let authorize = join(PAGE, page.location());
        let callback = self.github.approve(&authorize, "octocat");
        assert_eq!(browser.follow(&callback).1.status, 200);
        browser
    }
}

fn stop(mut run: Run) {
    run.child.signal("TERM");
    assert_eq!(run.child.end().code(), Some(0), "{}", run.child.said());
}

/// The browser with its cookies, at another gateway.
fn moved(browser: &Browser, run: &Run) -> Browser {
    let mut moved = Browser::new(run.address);
    for (name, value) in browser.cookies("auth.example.com") {
        moved.plant("auth.example.com", &name, &value);
    }
    moved
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn a_second_gateway_on_the_same_directory_is_refused_until_the_first_has_stopped() {
    let machine = Machine::new();
    let first = Run::start(&machine.yaml);
    let browser = machine.signed_in(&first);
    let other = machine.directory.path().join("other.yaml");
    std::fs::write(&other, &machine.yaml).expect("it can be written");
    for _ in 0..2 {
        let refused = gatekeep().arg("run").arg(&other).output().expect("it starts");
        assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
        let said = String::from_utf8(refused.stderr).expect("text");
        let expected = format!(
            "error: another Gatekeep is using {}; stop it, or give this one a directory of its own",
            machine.file().display()
        );
        // Before it are warnings of secrets in the configuration itself.
        let (warnings, errors): (Vec<_>, Vec<_>) =
            said.lines().partition(|line| line.contains(" WARN "));
        assert_eq!((errors, warnings.len()), (vec![expected.as_str()], 2), "{said}");
    }
    assert_eq!(moved(&browser, &first).fetch(PAGE).status, 200, "the first is not disturbed");
    stop(first);
    let second = Run::start(&machine.yaml);
    assert_eq!(moved(&browser, &second).fetch(PAGE).status, 200);
}

#[test]
fn a_restart_signs_nobody_out_and_nobody_in_again() {
    let machine = Machine::new();
    let mut run = Run::start(&machine.yaml);
    let (stays, goes) = (machine.signed_in(&run), machine.signed_in(&run));
    let url = "https://auth.example.com/.gatekeep/sign_out";
    let page = moved(&goes, &run).get(url).text();
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let said = moved(&goes, &run).post(url, &[("csrf", token.expect("a form"))]);
    assert!(said.text().contains("You are signed out"), "{}", said.text());
    for _ in 0..3 {
        stop(run);
        run = Run::start(&machine.yaml);
        let page = moved(&stays, &run).fetch(PAGE);
        assert_eq!(page.status, 200, "{}", page.text());
        assert_eq!(page.json()["views"]["exact"]["x-forwarded-user"][0], "octocat");
        assert_eq!(moved(&goes, &run).fetch(PAGE).status, 401);
    }
}

/// Closed to others from the first moment, and closed again where somebody has opened it.
#[test]
fn directory_and_file_are_closed_to_others() {
    let machine = Machine::new();
    let run = Run::start(&machine.yaml);
    assert_eq!((mode(&machine.store()), mode(&machine.file())), (0o700, 0o600));
    stop(run);
    std::fs::set_permissions(machine.file(), std::fs::Permissions::from_mode(0o644))
        .expect("it is ours");
    let _run = Run::start(&machine.yaml);
    assert_eq!(mode(&machine.file()), 0o600);
}
