//! The examples do what they say.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{World, browser::Browser};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `cargo test` builds the examples; `cargo test --test it` does not.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE");
    let program = profile.join("examples").join(name);
    if !program.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--example", name]).status();
        assert!(built.expect("cargo runs").success(), "the example builds");
    }
    program
}

#[test]
fn an_app_verifies_the_identity_by_itself() {
    // The gateway's origin must be reachable for its keys: plain http on this machine.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = port.expect("a free port").port();
    let origin = format!("http://localhost:{port}");
    let mut command = Command::new(example("verify_identity"));
    command.args(["127.0.0.1:0", &origin, &origin]).stdout(Stdio::piped());
    let mut app = Ended(command.spawn().expect("the example was built with the tests"));
    let mut line = String::new();
    let output = app.0.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("it says where it listens");
    let address = line.trim().rsplit(' ').next().expect("an address");
    let keys = format!("listen: [{{ address: '127.0.0.1:{port}' }}]\npublic_url: {origin}\n");
    let routes = format!("\n  - {{ name: app, upstream: 'http://{address}', allow: anyone }}\n");
    let world = World::with(&keys, &routes);

    let (_, page) = world.signed_in("octocat", &format!("{origin}/"));
    assert_eq!(
        page.text(),
        "Hello \"octocat\", you are \"github:127.0.0.1:PORT:583231\".\n"
            .replace("127.0.0.1:PORT", world.github.url().trim_start_matches("http://"))
    );

    let mut liar = Browser::new(address.parse().expect("an address"));
    let doubt = liar.send("GET", &format!("{origin}/"), &[("x-gatekeep-jwt", "a.b.c")], "");
    assert!(doubt.text().starts_with("I do not believe this: "), "{}", doubt.text());
}
