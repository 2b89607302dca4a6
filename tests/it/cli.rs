//! The command line, as an operator types it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;

use crate::support::child::{Child, Run, gatekeep, get};

/// What a command printed on each output, and its exit code.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = gatekeep().args(arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    (status.code().expect("it exits"), text(stdout), text(stderr))
}

/// A configuration file in a directory of its own.
struct File(tempfile::TempDir);

impl File {
    fn new(yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = Self(directory);
        std::fs::write(file.path(), yaml).expect("it can be written");
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gatekeep.yaml")
    }

    fn run(&self, command: &str, more: &[&str]) -> (i32, String, String) {
        let path = self.path().display().to_string();
        let (code, out, err) = run(&[&[command, &path], more].concat());
        (code, out.replace(&path, "FILE"), err.replace(&path, "FILE"))
    }
}

fn yaml(address: &str) -> String {
    format!(
        "listen: [{{ address: '{address}' }}]\nadmin: 127.0.0.1:0\n\
         public_url: https://auth.example.com\n\
         secret: CANARY-master-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: CANARY-of-github-1234 }}\nthreads: 1\n\
         routes:\n  - name: notes\n    host: notes.example.com\n    path: /team\n\
         \x20   methods: [GET, POST]\n    upstream: http://127.0.0.1:8080\n\
         \x20   allow: {{ orgs: [acme], users: [mona], emails: ['*@acme.example'] }}\n\
         \x20   deny: {{ users: [mallory, 'id:66690702'] }}\n    public: [/team/share/*]\n    rules:\n\
         \x20     - {{ path: /team/admin, allow: {{ teams: [acme/admins] }} }}\n\
         \x20   token: {{ algorithm: HS256, secret: CANARY-of-the-app-0123456789abcdef }}\n"
    )
}

#[test]
fn help_names_every_command_and_its_arguments() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "Lets people into self-hosted web apps by who they are on GitHub.\n\
         \n\
         Try it without any set-up:   gatekeep demo\n\
         Then, for a real app:        (umask 077; gatekeep keygen > secret)\n\
         \x20                            gatekeep check gatekeep.yaml\n\
         \x20                            gatekeep run gatekeep.yaml\n\
         \n\
         Usage: gatekeep <COMMAND>\n\
         \n\
         Commands:\n\
         \x20 run       Run the gateway. SIGHUP reloads FILE, SIGTERM lets requests in flight \
         finish\n\
         \x20 check     Check a configuration: every problem with its place, or what it means. Exit \
         code 0 or 2\n\
         \x20 explain   Explain which route and rule a request meets, what is decided, and why\n\
         \x20 demo      Play: a simulated GitHub, an app and the gateway, all on this machine\n\
         \x20 keygen    Print a new master secret\n\
         \x20 health    Ask a running gateway how it is: exit code 0 when URL answers 200. For \
         containers\n\
         \x20 sessions  See and end people's sessions, at the running gateway\n\
         \x20 keys      See and rotate the keys that sign identity tokens, at the running gateway\n\
         \x20 rekey     Seal the store's rows under the newest master secret, at the running gateway\n\
         \x20 budgets   See what GitHub's limits leave to each user and installation, at the running \
         gateway\n\
         \x20 help      Print this message or the help of the given subcommand(s)\n\
         \n\
         Options:\n\
         \x20 -h, --help\n\
         \x20         Print help (see a summary with '-h')\n\
         \n\
         \x20 -V, --version\n\
         \x20         Print version\n"
    );
    for (command, usage) in [
        ("run", "Usage: gatekeep run <FILE>\n"),
        ("check", "Usage: gatekeep check <FILE>\n"),
        ("explain", "Usage: gatekeep explain [OPTIONS] <FILE> <METHOD> <URL>\n"),
        ("demo", "Usage: gatekeep demo [OPTIONS]\n"),
        ("keygen", "Usage: gatekeep keygen\n"),
        ("health", "Usage: gatekeep health <URL>\n"),
        ("sessions", "Usage: gatekeep sessions <COMMAND>\n"),
        ("keys", "Usage: gatekeep keys <COMMAND>\n"),
        ("rekey", "Usage: gatekeep rekey [OPTIONS] <FILE>\n"),
        ("budgets", "Usage: gatekeep budgets [OPTIONS] <FILE>\n"),
    ] {
        let (code, out, _) = run(&[command, "--help"]);
        assert!(code == 0 && out.contains(usage), "{out}");
    }
}

#[test]
fn a_word_that_is_no_command_is_refused_with_the_usage() {
    let (code, out, err) = run(&["serve"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: unrecognized subcommand 'serve'\n"), "{err}");
    let (code, _, err) = run(&[]);
    assert!(code == 2 && err.contains("Usage: gatekeep <COMMAND>"), "{err}");
}

#[test]
fn the_version_is_the_packages() {
    let version = format!("gatekeep {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["-V", "--version"] {
        assert_eq!(run(&[flag]), (0, version.clone(), String::new()));
    }
}

#[test]
fn keygen_prints_a_new_secret_each_time_that_check_accepts() {
    let secrets: Vec<_> = (0..5)
        .map(|_| {
            let (code, out, err) = run(&["keygen"]);
            assert_eq!((code, err.as_str()), (0, ""));
            let secret = out.strip_suffix('\n').expect("one line").to_owned();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            assert!(secret.len() == 43 && secret.bytes().all(plain), "{secret}");
            secret
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = secrets.iter().collect();
    assert_eq!(distinct.len(), secrets.len());
    let with = |secret: &str| {
        let yaml = yaml("127.0.0.1:0").replace("CANARY-master-0123456789-abcdefghijklmnop", secret);
        File::new(&yaml).run("check", &[]).0
    };
    // What begins with a hyphen is YAML only in quotes.
    assert_eq!(with(&format!("'{}'", secrets[0])), 0);
    assert_eq!(with(&format!("'{}'", &secrets[0][..20])), 2);
}

#[test]
fn check_prints_what_a_configuration_means_and_no_secret() {
    let (code, out, err) = File::new(&yaml("127.0.0.1:0")).run("check", &[]);
    assert_eq!(code, 0, "{err}");
    let callback = "# The callback URL to register at GitHub: \
                    https://auth.example.com/.gatekeep/callback\n";
    assert!(out.ends_with(callback), "{out}");
    for line in [
        "secret: '[redacted]'",
        "  client_secret: '[redacted]'",
        // What the policies need, for nothing else is written.
        "  - read:org",
        "  path: /team/",
    ] {
        assert!(out.lines().any(|found| found == line), "{line} is not in\n{out}");
    }
    let written = "a secret is written into the configuration itself";
    assert_eq!(err.matches(written).count(), 3, "{err}");
    assert!(err.lines().all(|line| line.starts_with("warning: FILE:")), "{err}");
    assert!(!format!("{out}{err}").contains("CANARY"), "{out}{err}");
}

#[test]
fn check_prints_every_problem_with_its_place_and_no_secret() {
    let broken = yaml("127.0.0.1:0").replace("upstream:", "upstraem:").replace("GET,", "'G T',");
    let (code, out, err) = File::new(&broken).run("check", &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("FILE:12:5\n") && err.contains("unknown key `upstraem`"), "{err}");
    assert!(err.contains("FILE:11:15\n") && err.contains("`G T` is not a method"), "{err}");
    assert!(!err.contains("CANARY"), "{err}");
    let (code, out, err) = run(&["check", "/no/such/file.yaml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("/no/such/file.yaml"), "{err}");
}

const EXPLAINED: [(&[&str], &str); 8] = [
    (
        &["GET", "https://notes.example.com/team/a?b=c", "--user", "octocat", "--org", "acme"],
        "GET https://notes.example.com/team/a?b=c\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team/a?b=c\n  \
         rule          the route's own `allow`\n  \
         allows        users mona; or orgs acme; or emails *@acme.example\n  \
         decision      allow, org: octocat may pass\n",
    ),
    (
        &["POST", "https://notes.example.com/team/admin/x", "--user", "octocat", "--org", "acme"],
        "POST https://notes.example.com/team/admin/x\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team/admin/x\n  \
         rule          number 1 of `rules`, at /team/admin/\n  \
         allows        teams acme/admins\n  \
         decision      deny (403), not-admitted: octocat may not pass\n",
    ),
    (
        &["GET", "https://notes.example.com/team", "--user", "Mallory", "--org", "acme"],
        "GET https://notes.example.com/team\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team\n  \
         rule          the route's own `allow`\n  \
         allows        users mona; or orgs acme; or emails *@acme.example\n  \
         decision      deny (403), user-denied: Mallory may not pass\n",
    ),
    (
        &["GET", "https://notes.example.com/team", "--user", "mona", "--id", "66690702"],
        "GET https://notes.example.com/team\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team\n  \
         rule          the route's own `allow`\n  \
         allows        users mona; or orgs acme; or emails *@acme.example\n  \
         decision      deny (403), user-denied: mona may not pass\n",
    ),
    (
        &["GET", "https://notes.example.com/team/share/1"],
        "GET https://notes.example.com/team/share/1\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team/share/1\n  \
         rule          a pattern of `public`\n  \
         decision      allow, public: no sign-in is needed\n",
    ),
    (
        &["GET", "https://notes.example.com/team/a"],
        "GET https://notes.example.com/team/a\n  \
         route         notes (notes.example.com/team/)\n  \
         upstream      http://127.0.0.1:8080\n  \
         forwarded as  /team/a\n  \
         rule          the route's own `allow`\n  \
         allows        users mona; or orgs acme; or emails *@acme.example\n  \
         decision      sign in, no-session: a browser goes to GitHub, a script gets 401\n",
    ),
    (
        &["GET", "https://notes.example.com/team/../etc"],
        "GET https://notes.example.com/team/../etc\n  \
         decision      400, ambiguous-target: ",
    ),
    (
        &["DELETE", "https://notes.example.com/team/a"],
        "DELETE https://notes.example.com/team/a\n  \
         decision      405, bad-method: ",
    ),
];

#[test]
fn explain_says_which_route_and_rule_decide_and_why() {
    let file = File::new(&yaml("127.0.0.1:0"));
    for (request, expected) in EXPLAINED {
        let (code, out, err) = file.run("explain", request);
        assert_eq!((code, err.as_str()), (0, ""), "{request:?}");
        if expected.ends_with(": ") {
            let rest = out.strip_prefix(expected).expect(&out);
            assert!(rest.len() > 10 && rest.lines().count() == 1, "{out}");
        } else {
            assert_eq!(out, expected);
        }
    }
    for (request, said) in [
        (&["GET", "notes.example.com/x"][..], "`notes.example.com/x` is not an address"),
        (&["G T", "https://notes.example.com/"], "`G T` is not a method"),
    ] {
        let (code, out, err) = file.run("explain", request);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains(said), "{err}");
    }
}

#[test]
fn run_says_which_address_is_taken_and_that_is_all() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (code, out, err) = File::new(&yaml(&address)).run("run", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    let said = format!("error: cannot listen on {address}: Address already in use");
    assert!(err.lines().any(|line| line.starts_with(&said)), "{err}");
    assert!(err.contains("is another program using it?"), "{err}");
    assert!(!err.contains("panicked") && !err.contains("CANARY"), "{err}");
}

#[test]
fn run_refuses_a_bad_configuration_before_it_does_anything() {
    let broken = yaml("127.0.0.1:0").replace("upstream:", "upstraem:");
    let (code, out, err) = File::new(&broken).run("run", &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("FILE:12:5\n"), "{err}");
}

#[test]
fn run_writes_access_lines_to_standard_output_and_no_secret_anywhere() {
    let mut run = Run::start(&yaml("127.0.0.1:0"));
    assert_eq!(get(run.address, "/x?q=secret").status, 404);
    let line = run.child.wait_for("request.id=", 1);
    for part in ["method=GET", "host=127.0.0.1", "path=/x", "status=404", "reason=no-route"] {
        assert!(line.split(' ').any(|found| found == part), "{part} is not in {line}");
    }
    run.child.signal("TERM");
    assert_eq!(run.child.end().code(), Some(0));
    let said = run.child.said();
    assert!(!said.contains("CANARY") && !said.contains("q=secret"), "{said}");
}

#[test]
fn the_demo_takes_the_next_port_when_its_own_is_taken_and_ends_on_ctrl_c() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let mut demo = Child::start(gatekeep().args(["demo", "--port", &port.to_string()]));
    let line = demo.wait_for("is taken; using", 1);
    let used = line.strip_prefix(&format!("Port {port} is taken; using ")).expect("both ports");
    let used: u16 = used.strip_suffix(" instead.").expect("a port").parse().expect("a number");
    assert!(used > port, "{line}");
    demo.wait_for(&format!("http://localhost:{used}/hello?from=demo"), 1);
    demo.wait_for("Ctrl-C ends all of it.", 1);
    let address = format!("127.0.0.1:{used}").parse().expect("an address");
    let answer = get(address, "/healthz");
    // Its host is localhost, so by the bare address there is nothing.
    assert_eq!(answer.status, 404);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost:{used}\r\n\r\n");
    let healthy = crate::support::http::raw(address, request.as_bytes()).expect("an answer");
    assert_eq!(healthy.status, 200, "{}", healthy.text());
    demo.signal("INT");
    assert_eq!(demo.end().code(), Some(0));
}

#[test]
fn health_is_good_or_bad_by_exit_code() {
    let run_ = Run::start(&yaml("127.0.0.1:0"));
    let health = |path: &str| run(&["health", &format!("http://{}{path}", run_.admin)]);
    assert_eq!(health("/readyz"), (0, String::new(), String::new()));
    let (code, _, err) = health("/nothing");
    let said = format!("error: http://{}/nothing answered HTTP/1.1 404 Not Found\n", run_.admin);
    assert_eq!((code, err), (1, said));
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/readyz", deaf.local_addr().expect("it is bound"));
    // It is taken by nobody's program, so the question goes unanswered.
    let (code, _, err) = run(&["health", &url]);
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("error: {url} does not answer: ")), "{err}");
    let (code, _, err) = run(&["health", "nonsense"]);
    assert_eq!(code, 1);
    assert!(err.contains("write it as http://ADDRESS:PORT/readyz"), "{err}");
}

/// What the gateway answers itself never meets a route.
#[test]
fn explain_knows_the_gateways_own_pages() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gatekeep.yaml");
    let yaml = "listen: [{ address: '127.0.0.1:0' }]\n\
                public_url: https://auth.example.com\n\
                secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
                github: { client_id: x, client_secret: y }\n\
                routes: [{ name: app, upstream: 'http://127.0.0.1:1', allow: anyone }]\n";
    std::fs::write(&file, yaml).expect("written");
    let explain = |url: &str| {
        let out =
            gatekeep().arg("explain").arg(&file).args(["GET", url]).output().expect("it runs");
        String::from_utf8(out.stdout).expect("text")
    };
    let own = "decision      endpoint: the gateway's own page, never forwarded";
    for url in [
        "https://auth.example.com/.gatekeep/callback",
        "https://auth.example.com/.well-known/jwks.json",
    ] {
        assert_eq!(explain(url), format!("GET {url}\n  {own}\n"));
    }
    assert!(!explain("https://auth.example.com/other").contains(own));
}
