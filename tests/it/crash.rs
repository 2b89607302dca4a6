//! Killed about every second while people sign in and out, the embedded store loses nothing that
//! anybody was told: a cookie that was set opens its own person's page, and a session that was
//! ended stays ended. `GATEKEEP_CRASH_LOGINS` is the number of sign-ins.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gatekeep::keys::random;
use gatekeep::simulator::{Echo, EchoSettings, Person, Simulator};

use crate::support::browser::encode;
use crate::support::child::Run;
use crate::support::http::{Connection, Response};
use crate::support::yaml;

const HOST: &str = "auth.example.com";
/// Where the app says whom it was told.
const PAGE: &str = "/home";
const SESSION: &str = "__Host-gatekeep";
const THREADS: usize = 16;
/// Sign-ins that each person begins: an account has 500 sessions at most, and some of them were
/// never acknowledged.
const EACH: usize = 100;
/// One sign-in that does not come to its end in so many attempts never will.
const ATTEMPTS: usize = 100;
/// For the next gateway: a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const ROUTES: &str = r"
  - { name: app, host: auth.example.com, upstream: @APP@, allow: anyone }
";

/// What stays while the gateway comes and goes.
struct Stage {
    github: Simulator,
    yaml: String,
    people: usize,
    /// Where the gateway is, while it is somewhere.
    door: Mutex<Option<SocketAddr>>,
    opened: Condvar,
    /// What was acknowledged.
    open: Mutex<Vec<SignedIn>>,
    ended: Mutex<Vec<SignedIn>>,
    /// Exchanges that broke off.
    broken: AtomicUsize,
}

/// A sign-in whose cookie has arrived.
#[derive(Clone)]
struct SignedIn {
    person: usize,
    cookie: String,
}

/// What was found in the end.
#[derive(Debug, Default, PartialEq)]
struct Found {
    lost: usize,
    wrong: usize,
    resurrected: usize,
}

/// The answer did not come, or not whole.
struct Broken;

fn name(person: usize) -> String {
    format!("person-{person}")
}

fn logins() -> usize {
    let asked = std::env::var("GATEKEEP_CRASH_LOGINS").ok();
    asked.map_or(5_000, |number| number.parse().expect("GATEKEEP_CRASH_LOGINS is a number"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Stage ===

impl Stage {
    fn new(app: &Echo, store: &str, people: usize) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let github = Simulator::start(any).expect("the simulator starts");
        github.register_callback(&format!("https://{HOST}/.gatekeep/callback"));
        for person in 0..people {
            github.add_person(Person::new(50_000 + person as u64, &name(person)));
        }
        let keys = format!("store: {{ embedded: '{store}' }}\nlog: {{ access: false }}\n");
        let yaml = yaml(&github, &keys, &ROUTES.replace("@APP@", app.url()));
        Self {
            github,
            yaml,
            people,
            door: Mutex::default(),
            opened: Condvar::new(),
            open: Mutex::default(),
            ended: Mutex::default(),
            broken: AtomicUsize::new(0),
        }
    }

    fn set_door(&self, address: Option<SocketAddr>) {
        *lock(&self.door) = address;
        self.opened.notify_all();
    }

    /// Asks whichever gateway there is, as soon as there is one.
    fn ask(
        &self,
        method: &str,
        target: &str,
        cookie: &str,
        body: &str,
    ) -> Result<Response, Broken> {
        let wait = |door: &mut Option<SocketAddr>| door.is_none();
        let door = self.opened.wait_timeout_while(lock(&self.door), PATIENCE, wait);
        let address = door.unwrap_or_else(PoisonError::into_inner).0.expect("there is one");
        ask(address, method, target, cookie, body).inspect_err(|Broken| {
            self.broken.fetch_add(1, Ordering::Relaxed);
            // Nobody is there any more: all wait for the next.
            lock(&self.door).take_if(|door| *door == address);
        })
    }

    /// Signs somebody in; with every attempt all begins anew.
    fn sign_in(&self, login: usize) -> SignedIn {
        let person = login % self.people;
        let attempt = || {
            let begun = self.ask("GET", "/.gatekeep/start?rd=/", "", "")?;
            assert_eq!(begun.status, 303, "{}", begun.text());
            let attempts: Vec<_> =
                begun.all("set-cookie").filter_map(|cookie| cookie.split(';').next()).collect();
            let callback = self.github.approve(begun.location(), &name(person));
            let target = callback.split_once(HOST).expect("the callback").1;
            let arrived = self.ask("GET", target, &attempts.join("; "), "")?;
            assert_eq!(arrived.status, 303, "{}", arrived.text());
            let cookie = arrived.sets(SESSION).expect("a session").to_owned();
            Ok(SignedIn { person, cookie })
        };
        until_it_works(attempt)
    }

    /// Signs out until it is said that it is so.
    fn sign_out(&self, session: &SignedIn) {
        let cookie = format!("{SESSION}={}", session.cookie);
        let attempt = || {
            let page = self.ask("GET", "/.gatekeep/sign_out", &cookie, "")?.text();
            let token = page.split("name=\"csrf\" value=\"").nth(1);
            // Without a form it is over: the answer that said so broke off.
            let token = token.and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let form = encode(&[("csrf", token)]);
            let said = self.ask("POST", "/.gatekeep/sign_out", &cookie, &form)?;
            assert!(said.text().contains("You are signed out"), "{}", said.text());
            Ok(())
        };
        until_it_works(attempt);
    }

    /// One person after another signs in; every tenth signs out again.
    fn work(&self, next: &AtomicUsize, logins: usize) {
        loop {
            let login = next.fetch_add(1, Ordering::Relaxed);
            if login >= logins {
                return;
            }
            let session = self.sign_in(login);
            if login % 10 == 9 {
                self.sign_out(&session);
                lock(&self.ended).push(session);
            } else {
                lock(&self.open).push(session);
            }
        }
    }

    /// Kills the gateway and starts it again until there is nothing left to do; returns how long
    /// each start took until the last of those who were signed in got their page.
    fn kill_again_and_again(&self, done: &Receiver<()>) -> (Run, Vec<Duration>) {
        let mut run = Run::start(&self.yaml);
        let mut starts = Vec::new();
        self.set_door(Some(run.address));
        loop {
            let phase = 500 + u64::from(u16::from_be_bytes(random())) % 1_000;
            let end = done.recv_timeout(Duration::from_millis(phase));
            // Dropped, it is killed with SIGKILL.
            drop(run);
            self.set_door(None);
            let begun = Instant::now();
            run = Run::start(&self.yaml);
            let last = lock(&self.open).last().cloned();
            if let Some(last) = last {
                assert_eq!(who(run.address, &last.cookie), Some(name(last.person)));
                starts.push(begun.elapsed());
            }
            self.set_door(Some(run.address));
            if end != Err(RecvTimeoutError::Timeout) {
                return (run, starts);
            }
        }
    }

    /// Asks for every session there was.
    fn verify(&self, address: SocketAddr) -> Found {
        let (open, ended) = (lock(&self.open), lock(&self.ended));
        let [lost, wrong, resurrected] = [const { AtomicUsize::new(0) }; 3];
        let next = AtomicUsize::new(0);
        let count = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
        let look = || {
            while let Some(session) = open.get(count(&next)) {
                match who(address, &session.cookie) {
                    Some(found) if found == name(session.person) => {}
                    Some(_) => _ = count(&wrong),
                    None => _ = count(&lost),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(look);
            }
            for session in &*ended {
                if who(address, &session.cookie).is_some() {
                    count(&resurrected);
                }
            }
        });
        let [lost, wrong, resurrected] = [lost, wrong, resurrected].map(AtomicUsize::into_inner);
        Found { lost, wrong, resurrected }
    }
}

/// One exchange on a connection of its own.
fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    cookie: &str,
    body: &str,
) -> Result<Response, Broken> {
    let accept = if target == PAGE { "application/json" } else { "text/html" };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {HOST}\r\naccept: {accept}\r\ncookie: {cookie}\r\n\
         origin: https://{HOST}\r\nsec-fetch-site: same-origin\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::try_open(address).map_err(|_| Broken)?;
    connection.send(request.as_bytes()).map_err(|_| Broken)?;
    connection.receive(false).ok_or(Broken)
}

/// Whose page a cookie opens.
fn who(address: SocketAddr, cookie: &str) -> Option<String> {
    let cookie = format!("{SESSION}={cookie}");
    let page = ask(address, "GET", PAGE, &cookie, "").ok().expect("the gateway runs");
    if page.status == 401 {
        return None;
    }
    assert_eq!(page.status, 200, "{}", page.text());
    let told = &page.json()["views"]["exact"]["x-forwarded-user"][0];
    Some(told.as_str().expect("a name").to_owned())
}

fn until_it_works<T>(attempt: impl Fn() -> Result<T, Broken>) -> T {
    let worked = (0..ATTEMPTS).find_map(|_| attempt().ok());
    worked.expect("it works in the end")
}

fn figures(sorted: &[Duration]) -> String {
    let percentile = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).map_or(0, Duration::as_millis)
    };
    format!("{}, {}, {} ms", percentile(50), percentile(99), percentile(100))
}

fn seconds(all: Duration, part: Duration) -> String {
    format!("{} s, {} s", all.as_secs(), part.as_secs())
}

#[test]
fn killed_every_second_it_loses_nothing_that_anybody_was_told() {
    let logins = logins();
    let any = "127.0.0.1:0".parse().expect("an address");
    let settings = EchoSettings { jwks_url: None, prefix: "/.gatekeep".into() };
    let app = Echo::start(any, settings).expect("the app starts");
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let stage = Stage::new(&app, &store.display().to_string(), logins.div_ceil(EACH).max(50));
    let (next, (working, done)) = (AtomicUsize::new(0), channel());
    let begun = Instant::now();
    let (run, mut starts) = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let working = working.clone();
            let (stage, next) = (&stage, &next);
            scope.spawn(move || {
                stage.work(next, logins);
                drop(working);
            });
        }
        drop(working);
        stage.kill_again_and_again(&done)
    });
    let verifying = Instant::now();
    let found = stage.verify(run.address);
    let (took, of_that) = (begun.elapsed(), verifying.elapsed());
    starts.sort_unstable();
    let length = std::fs::metadata(store.join("gatekeep.redb")).map_or(0, |file| file.len());
    let (open, ended) = (lock(&stage.open).len(), lock(&stage.ended).len());
    let table: [(&str, String); 10] = [
        ("sign-ins acknowledged", (open + ended).to_string()),
        ("of these signed out again, acknowledged", ended.to_string()),
        ("kills (SIGKILL), and starts that opened the store", starts.len().to_string()),
        ("exchanges that a kill broke off", stage.broken.load(Ordering::Relaxed).to_string()),
        ("acknowledged sessions lost", found.lost.to_string()),
        ("somebody else's page", found.wrong.to_string()),
        ("acknowledged sign-outs undone", found.resurrected.to_string()),
        ("from a start to the first page of somebody signed in: p50, p99, max", figures(&starts)),
        ("length of the store's file", format!("{} KiB", length / 1024)),
        ("time, and of that verification", seconds(took, of_that)),
    ];
    println!("\n| what | |\n|---|---:|");
    for (what, figure) in table {
        println!("| {what} | {figure} |");
    }
    assert_eq!(open + ended, logins);
    assert_eq!(found, Found::default());
    assert!(!starts.is_empty() && stage.broken.into_inner() > 0, "no kill struck anything");
}
