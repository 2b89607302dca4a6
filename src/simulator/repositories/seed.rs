//! The repositories there are at the beginning, and what each is there to show.

use super::{
    git::MAIN,
    store::{File, Role},
};
use crate::simulator::world::World;

/// Plants them: `octocat/hello-world` is public, `acme/rocket` is private, `acme/handbook` is
/// public and has nothing in it.
pub(in crate::simulator) fn plant(world: &mut World) {
    let people = ["octocat", "hubot", "mona"].map(|login| world.find(login).unwrap_or_default());
    let [octocat, hubot, mona] = people;
    let now = world.now();

    // 65 issues and a pull request: three pages of the usual size.
    let hello = world.repositories.create("octocat", "hello-world", false, now);
    hello.members.insert(octocat, Role::Admin);
    let files = [
        ("README.md", "# Hello World\n"),
        ("src/main.rs", "fn main() {}\n"),
        ("docs/a b.md", "A name with a space.\n"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), File::new(text)));
    hello.commit_to(MAIN, ("octocat", "First commit"), now, files);
    let greeting = [("src/main.rs".to_owned(), File::new("fn main() { hello() }\n"))];
    hello.commit_to(MAIN, ("octocat", "Say hello"), now, greeting);
    let polite = [("README.md".to_owned(), File::new("# Hello, World\n"))];
    hello.commit_to("feature/comma", ("mona", "Add a comma"), now, polite);
    hello.labels.extend(["bug", "good first issue"].map(str::to_owned));
    hello.release("v1.0");
    for number in 1..=65 {
        let title = format!("Issue number {number}");
        hello.open(
            mona,
            (&title, "See https://api.github.com/repos/octocat/hello-world."),
            None,
            now,
        );
    }
    hello.comment(1, octocat, "Me too.", now);
    hello.open(mona, ("Add a comma", "It is missing."), Some("feature/comma"), now);

    // 30 issues: a page that is full and the last one.
    let rocket = world.repositories.create("acme", "rocket", true, now);
    rocket.members.extend([(octocat, Role::Write), (hubot, Role::Admin)]);
    let manual = [("README.md".to_owned(), File::new("# Rocket\n\nKeep away.\n"))];
    rocket.commit_to(MAIN, ("hubot", "Ignition"), now, manual);
    rocket.release("v0.1");
    for number in 1..=30 {
        rocket.open(octocat, (&format!("Leak number {number}"), ""), None, now);
    }

    let handbook = world.repositories.create("acme", "handbook", false, now);
    handbook.members.insert(octocat, Role::Read);
}
