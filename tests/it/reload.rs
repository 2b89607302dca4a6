//! SIGHUP: the file is read again, checked whole, and put in force whole, or not at all.

use gatekeep::simulator::{Echo, EchoSettings, Simulator};

use crate::support::browser::Browser;
use crate::support::child::{Run, get};
use crate::support::http::{Connection, Response};
use crate::support::upstream::{Authority, Held};
use crate::support::yaml;

const HOME: &str = "https://app.example.com/";
const SUCCESSFUL: &str = "gatekeep_config_last_reload_successful";

fn github() -> Simulator {
    let github = Simulator::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
    github.register_callback("https://auth.example.com/.gatekeep/callback");
    github
}

fn app() -> Echo {
    let settings = EchoSettings { jwks_url: None, prefix: "/.gatekeep".to_owned() };
    Echo::start("127.0.0.1:0".parse().expect("an address"), settings).expect("the app starts")
}

fn route(upstream: &str, more: &str) -> String {
    format!("\n  - {{ name: app, host: app.example.com, upstream: '{upstream}', {more} }}\n")
}

/// Signs somebody in at a gateway in another process: the page that comes in the end, and its address.
fn sign_in(run: &Run, github: &Simulator, person: &str) -> (Browser, String, Response) {
    let mut browser = Browser::new(run.address);
    let mut at = HOME.to_owned();
    while !at.starts_with(github.url()) {
        let location = browser.get(&at).location().to_owned();
        at = crate::support::browser::join(&at, &location);
    }
    let (url, page) = browser.follow(&github.approve(&at, person));
    (browser, url, page)
}

fn signed_in(run: &Run, github: &Simulator, person: &str) -> Browser {
    let (browser, url, page) = sign_in(run, github, person);
    assert_eq!((url.as_str(), page.status), (HOME, 200), "{}", page.text());
    browser
}

#[test]
fn a_good_file_is_in_force_for_the_next_request_of_those_who_are_signed_in() {
    let (github, app) = (github(), app());
    let with = |allow: &str| yaml(&github, "", &route(app.url(), &format!("allow: {allow}")));
    let mut run = Run::start(&with("{ orgs: [acme], teams: [acme/admins] }"));
    let mut browser = signed_in(&run, &github, "octocat");
    run.reload(&with("{ teams: [acme/admins] }"));
    let denied = browser.fetch(HOME);
    assert_eq!((denied.status, &denied.json()["reason"]), (403, &"not-admitted".into()));
    assert_eq!(denied.json()["facts"]["Open to teams"], "acme/admins");
    run.reload(&with("{ users: [octocat] }"));
    assert_eq!(browser.fetch(HOME).status, 200);
    assert_eq!(run.metric(SUCCESSFUL), Some(1.0));
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let (github, app) = (github(), app());
    let good = yaml(&github, "", &route(app.url(), "public: ['/*']"));
    let mut run = Run::start(&good);
    let healthy = |run: &Run| {
        let mut browser = Browser::new(run.address);
        browser.fetch("https://app.example.com/x").status
    };
    assert_eq!((healthy(&run), run.metric(SUCCESSFUL)), (200, Some(1.0)));
    let since = run.metric("gatekeep_config_last_reload_success_timestamp_seconds");
    std::fs::write(&run.file, good.replace("public:", "pubic:")).expect("it can be written");
    run.child.signal("HUP");
    run.child.wait_for("the running configuration was kept", 1);
    run.child.wait_for("unknown key `pubic`", 1);
    run.child.wait_for("gatekeep.yaml:", 1);
    assert_eq!((healthy(&run), run.metric(SUCCESSFUL)), (200, Some(0.0)));
    std::fs::remove_file(&run.file).expect("it is there");
    run.child.signal("HUP");
    run.child.wait_for("the running configuration was kept", 2);
    assert_eq!((healthy(&run), run.metric(SUCCESSFUL)), (200, Some(0.0)));
    let after = run.metric("gatekeep_config_last_reload_success_timestamp_seconds");
    assert_eq!(after, since, "a reload that failed is no success");
    run.reload(&good);
    assert_eq!((healthy(&run), run.metric(SUCCESSFUL)), (200, Some(1.0)));
}

/// What vouches for GitHub is a file beside the configuration, which is read again with it.
#[test]
fn another_authority_vouches_for_github_from_then_on_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (own, other) = (Authority::new(), Authority::new());
    let tls = own.issue(directory.path(), "github", &["127.0.0.1"]).server_config_of(&["h2"]);
    let any = "127.0.0.1:0".parse().expect("an address");
    let (github, app) = (Simulator::start_secure(any, tls).expect("it starts"), app());
    github.register_callback("https://auth.example.com/.gatekeep/callback");
    let ca = directory.path().join("ca.pem");
    let says = |pem: &str| std::fs::write(&ca, pem).expect("it is written");
    says(&other.pem());
    let keys = format!("github.timeout: 5s, ca: '{}'\n", ca.display());
    let mut run = Run::start(&yaml(&github, &keys, &route(app.url(), "allow: anyone")));
    let tried = |person, run: &Run| sign_in(run, &github, person).2.status;
    assert_eq!(tried("octocat", &run), 503, "nobody vouches for it");
    says(&own.pem());
    assert_eq!(tried("octocat", &run), 503, "nobody has said that there is another");
    run.hang_up();
    assert_eq!(tried("octocat", &run), 200);
    for (times, broken) in (1..).zip(["", "-----BEGIN CERTIFICATE-----\nrubbish\n"]) {
        says(broken);
        run.child.signal("HUP");
        run.child.wait_for("the running configuration was kept", times);
        run.child.wait_for("ca.pem", times);
        assert_eq!(run.metric(SUCCESSFUL), Some(0.0), "{broken}");
        assert_eq!(tried("mona", &run), 200, "the one that was in force still is");
    }
    says(&other.pem());
    run.hang_up();
    assert_eq!(tried("octocat", &run), 503, "no connection of before is used");
}

#[test]
fn a_request_under_way_keeps_its_configuration_to_its_end() {
    let (github, held) = (github(), Held::start());
    let with = |limit: &str| {
        let more = format!("public: ['/*'], body_limit: {limit}");
        yaml(&github, "", &route(&held.url, &more))
    };
    let mut run = Run::start(&with("1MiB"));
    let header = "POST /up HTTP/1.1\r\nhost: app.example.com\r\ncontent-length: 5000\r\n\r\n";
    let mut under_way = Connection::open(run.address);
    under_way.send(header.as_bytes()).expect("the gateway reads");
    under_way.send(&[b'a'; 1000]).expect("the gateway reads");
    held.arrived();
    run.reload(&with("2000"));
    let mut next = Connection::open(run.address);
    next.send(header.as_bytes()).expect("the gateway reads");
    assert_eq!(next.receive(false).expect("an answer").status, 413);
    // What began under the old limit ends under it.
    under_way.send(&[b'a'; 4000]).expect("the gateway reads on");
    held.release();
    let answer = under_way.receive(false).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "finished after 5000 bytes"));
    // And its connection asks under the new one.
    under_way.send(header.as_bytes()).expect("it is kept");
    assert_eq!(under_way.receive(false).expect("an answer").status, 413);
}

#[test]
fn what_a_reload_cannot_bring_is_said() {
    let github = github();
    let with = |keys: &str| yaml(&github, keys, &route("http://127.0.0.1:1", "public: ['/*']"));
    let mut run = Run::start(&with(""));
    let said = |run: &Run| {
        let lines = run.child.said();
        lines.lines().filter(|line| line.contains("that takes a restart")).count()
    };
    run.reload(&with(""));
    assert_eq!(said(&run), 0);
    run.reload(&with(
        "admin: 127.0.0.2:0\nlimits: { connections: 9, connections_per_address: 9 }\n\
         store: { embedded: kept }\ncache: { size: 1MiB, staleness: 2s }\n\
         session: { recheck: 1m }\nsigning_keys: { rotate: 1d }\n",
    ));
    run.child.wait_for("`admin` has changed; that takes a restart", 1);
    run.child.wait_for("`limits.connections` has changed; that takes a restart", 1);
    run.child.wait_for("`store` has changed; that takes a restart", 1);
    run.child.wait_for("`cache.size` has changed; that takes a restart", 1);
    assert_eq!(said(&run), 4);
    assert_eq!(get(run.admin, "/healthz").status, 200);
}
