//! A replayed day: people open pages that ask GitHub again and again for what has hardly changed, and
//! nearly all of it costs none of their limits.
//!
//! `GATEKEEP_DAY=100000 cargo test --release --test it github_api::day -- --nocapture` is the day of a
//! hundred people. `GATEKEEP_DAY_WEBHOOKS=1` lets GitHub tell of what changes, and
//! `GATEKEEP_DAY_LINKS=0` lets it leave `Link` out of its 304.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use gatekeep::simulator::{ExpiringTokens, Person, Role};
use serde_json::{Value, json};

use super::{ROUTES, at};
use crate::support::World;
use crate::support::http::{Connection, Response};

/// Who does what on that day.
struct Mix {
    people: usize,
    repositories: usize,
    /// Repositories that each of them works on.
    each: usize,
    /// Pages that each of them opens.
    openings: usize,
    /// Things that change, one after the other.
    changes: usize,
    webhooks: bool,
}

/// Somebody at work, on one connection.
struct Worker {
    login: String,
    cookie: String,
    repositories: Vec<String>,
    connection: Connection,
    seen: Seen,
}

/// What the gateway said that it did.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    asked: usize,
    hit: usize,
    confirmed: usize,
    rotated: usize,
    others: usize,
    changed: usize,
    missed: usize,
    written: usize,
}

/// What the page that is opened wants to know of a repository, beside the list of repositories.
const PAGE: [&str; 6] = [
    "",
    "/issues?per_page=5",
    "/issues?per_page=5&page=2",
    "/commits?per_page=10",
    "/pulls",
    "/branches",
];

const REPOSITORIES: &str = "/user/repos?per_page=100";
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOST: &str = "app.example.com";
const SECRET: &str = "webhook-8fZq-of-these-tests";

/// Threads that people share.
const THREADS: usize = 4;

// === impl Mix ===

impl Mix {
    /// So many requests: of a hundred people over three hundred URLs, or of three over twelve.
    fn of(requests: usize) -> Self {
        let people = (requests / 1000).max(3);
        Self {
            people,
            repositories: people.div_ceil(2),
            each: people.min(5),
            openings: requests / people / (PAGE.len() + 1),
            changes: (people / 10).max(1),
            webhooks: std::env::var_os("GATEKEEP_DAY_WEBHOOKS").is_some(),
        }
    }

    fn world(&self) -> World {
        let keys = format!("github.timeout: 5s, webhook: {{ secret: {SECRET} }}\n");
        let world = World::with(if self.webhooks { &keys } else { "" }, ROUTES);
        let github = &world.github;
        github.expire_tokens(Some(ExpiringTokens::default()));
        let links = std::env::var("GATEKEEP_DAY_LINKS").map_or(true, |word| word != "0");
        github.knobs().presentation(|looks| looks.link_with_304 = links);
        for number in 0..self.people {
            github.add_person(Person::new(70_000 + number as u64, &login(number)));
        }
        for number in 0..self.repositories {
            let name = repository(number);
            github.add_repository(&name, true);
            (0..self.people)
                .filter(|person| self.works_on(*person).any(|one| one == number))
                .for_each(|person| github.add_collaborator(&name, &login(person), Role::Write));
            github.put_file(&name, "README.md", "# A project\n");
            for issue in 1..=8 {
                github.add_issue(&name, "mona", &format!("Issue {issue}"), "It leaks.");
            }
        }
        world
    }

    /// The numbers of a person's repositories: neighbours share some.
    fn works_on(&self, person: usize) -> impl Iterator<Item = usize> {
        let (first, all) = (person * 3, self.repositories);
        (0..self.each.min(all)).map(move |next| (first + next) % all)
    }

    /// Everybody, signed in.
    fn workers(&self, world: &World) -> Vec<Worker> {
        let repositories = |person| self.works_on(person).map(repository).collect();
        let begin = |person| Worker::new(world, login(person), repositories(person));
        (0..self.people).map(begin).collect()
    }

    /// Lets a day pass. Returns how often GitHub was asked for something that counted, by the gateway
    /// itself as well: it wants to know who somebody is.
    fn pass(&self, world: &World, workers: &mut [Worker]) -> u64 {
        let before = world.github.charged();
        let mut done = 0;
        for opening in 0..self.openings {
            everybody(workers, |worker| worker.open(opening));
            while done * self.openings < self.changes * (opening + 1) {
                self.change(world, workers, done);
                done += 1;
            }
            pass(world, DAY / u32::try_from(self.openings).expect("they are few"));
        }
        world.github.charged() - before
    }

    /// Something changes: by a push, by somebody at GitHub's own site, or through the gateway.
    fn change(&self, world: &World, workers: &mut [Worker], number: usize) {
        let name = repository(number * 7 % self.repositories);
        match number % 3 {
            0 => {
                world.github.touch(&name, "README.md");
                self.tell(world, &name, "push", json!({ "ref": "refs/heads/main" }));
            }
            1 => {
                let issue = world.github.add_issue(&name, "mona", "One more", "It leaks again.");
                let about = json!({ "action": "opened", "issue": { "number": issue } });
                self.tell(world, &name, "issues", about);
            }
            _ => {
                let worker = workers.iter_mut().find(|worker| worker.repositories.contains(&name));
                let worker = worker.expect("somebody works on every repository");
                let issue = r#"{"title":"Through the gateway"}"#;
                assert_eq!(worker.ask("POST", &format!("/repos/{name}/issues"), issue).status, 201);
            }
        }
    }

    /// GitHub tells the gateway what has changed in a repository.
    fn tell(&self, world: &World, name: &str, event: &str, about: Value) {
        if !self.webhooks {
            return;
        }
        let mut payload = about;
        let (owner, short) = name.split_once('/').expect("owner/name");
        payload["repository"] = json!({
            "id": world.github.repository_id(name), "name": short, "full_name": name,
            "owner": { "login": owner },
        });
        let webhook = world.github.webhook(event, payload, SECRET);
        let mut text =
            "POST /.gatekeep/github/webhook HTTP/1.1\r\nhost: auth.example.com\r\n".to_owned();
        for (name, value) in &webhook.headers {
            write!(text, "{name}: {value}\r\n").expect("memory is written");
        }
        write!(text, "content-length: {}\r\n\r\n", webhook.body.len()).expect("memory is written");
        let answer = world.gate.raw(&[text.as_bytes(), &webhook.body].concat()).expect("an answer");
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    }
}

// === impl Worker ===

impl Worker {
    fn new(world: &World, login: String, repositories: Vec<String>) -> Self {
        let (browser, page) = world.signed_in(&login, &at("/user"));
        assert_eq!(page.status, 200, "{}", page.text());
        let cookies = browser.cookies(HOST);
        let cookie = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ");
        let connection = Connection::open(world.gate.address);
        Self { login, cookie, repositories, connection, seen: Seen::default() }
    }

    /// Opens the page of one of the repositories.
    fn open(&mut self, opening: usize) {
        let name = self.repositories[opening % self.repositories.len()].clone();
        self.read(REPOSITORIES);
        for part in PAGE {
            self.read(&format!("/repos/{name}{part}"));
        }
    }

    fn read(&mut self, path: &str) {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{} {path}: {}", self.login, answer.text());
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Response {
        let mut text = format!(
            "{method} /github{path} HTTP/1.1\r\nhost: {HOST}\r\norigin: https://{HOST}\r\n\
             accept: application/vnd.github+json\r\nsec-fetch-mode: cors\r\n\
             sec-fetch-site: same-origin\r\ncookie: {}\r\n",
            self.cookie
        );
        if method == "POST" {
            write!(text, "content-length: {}\r\n", body.len()).expect("memory is written");
        }
        text += "\r\n";
        text += body;
        self.connection.send(text.as_bytes()).expect("the gateway reads");
        let answer = self.connection.receive(false).expect("an answer");
        self.seen.note(answer.header("cache-status").unwrap_or_default());
        answer
    }
}

// === impl Seen ===

impl Seen {
    fn note(&mut self, status: &str) {
        let says = |word: &str| usize::from(status.contains(word));
        self.asked += 1;
        self.hit += says("; hit");
        self.confirmed += says("fwd-status=304");
        self.rotated += says("detail=rotated");
        self.others += says("detail=cross-principal");
        self.changed += says("fwd=stale; fwd-status=200");
        self.missed += says("fwd=uri-miss");
        self.written += says("fwd=method");
    }

    fn of_all(workers: &[Worker]) -> Self {
        workers.iter().fold(Self::default(), |all, worker| {
            let one = worker.seen;
            Self {
                asked: all.asked + one.asked,
                hit: all.hit + one.hit,
                confirmed: all.confirmed + one.confirmed,
                rotated: all.rotated + one.rotated,
                others: all.others + one.others,
                changed: all.changed + one.changed,
                missed: all.missed + one.missed,
                written: all.written + one.written,
            }
        })
    }
}

// === Helpers ===

fn login(person: usize) -> String {
    format!("worker-{person}")
}

fn repository(number: usize) -> String {
    format!("acme/project-{number}")
}

/// Everybody does something, several at once.
fn everybody(workers: &mut [Worker], act: impl Fn(&mut Worker) + Sync) {
    let (act, share) = (&act, workers.len().div_ceil(THREADS));
    std::thread::scope(|scope| {
        for some in workers.chunks_mut(share) {
            scope.spawn(move || some.iter_mut().for_each(act));
        }
    });
}

/// Time passes here and at GitHub.
fn pass(world: &World, time: Duration) {
    world.gate.clock.advance(time);
    world.github.advance(time);
}

/// What GitHub counted of repositories, beside what the gateway asks of who somebody is.
fn counted(world: &World) -> u64 {
    let journal = world.github.journal();
    let of_repositories = journal.iter().filter(|entry| entry.request.path().contains("/repos"));
    of_repositories.map(|entry| entry.charged).sum()
}

#[test]
fn on_an_ordinary_day_nearly_nothing_counts_against_the_limits() {
    let requests = std::env::var("GATEKEEP_DAY").ok();
    let requests = requests.map_or(2_100, |n| n.parse().expect("GATEKEEP_DAY is a number"));
    let mix = Mix::of(requests);
    let world = mix.world();
    let mut workers = mix.workers(&world);
    let begun = Instant::now();
    let charged = mix.pass(&world, &mut workers);
    let seen = Seen::of_all(&workers);
    let free = 1_000 - charged * 1_000 / seen.asked as u64;
    println!(
        "{} people, {} repositories, {} changes, {:.1} s: {charged} of {} requests counted, {}.{} % were free; {seen:?}",
        mix.people,
        mix.repositories,
        mix.changes,
        begun.elapsed().as_secs_f64(),
        seen.asked,
        free / 10,
        free % 10,
    );
    assert!(free >= 971, "{free} of a thousand");
    assert!(seen.changed >= mix.changes, "what changed was fetched: {seen:?}");
    assert!(world.github.refreshes() >= 2 * mix.people, "tokens were renewed meanwhile");
    assert_eq!(world.github.violations(), 0);
}

#[test]
fn after_a_new_token_github_confirms_what_is_held() {
    let mix = Mix { people: 3, repositories: 2, each: 2, openings: 2, changes: 0, webhooks: false };
    let world = mix.world();
    let mut workers = mix.workers(&world);
    let look =
        |workers: &mut [Worker]| (0..mix.each).for_each(|n| everybody(workers, |it| it.open(n)));
    look(&mut workers);
    pass(&world, ExpiringTokens::default().access);
    for worker in &mut workers {
        worker.seen = Seen::default();
    }
    let before = counted(&world);
    look(&mut workers);
    let seen = Seen::of_all(&workers);
    assert_eq!(world.github.refreshes(), mix.people);
    assert!(seen.rotated > 0, "{seen:?}");
    assert!(seen.confirmed * 100 >= seen.asked * 95, "{seen:?}");
    assert_eq!(counted(&world), before, "GitHub counted none of them");
}
