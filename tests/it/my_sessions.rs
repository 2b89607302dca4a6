//! The visitor's own sessions: listed on the account page, ended from there one by one or all, on
//! every host and node; by nobody else, and never said to be over before they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatekeep::clock::Clock;
use gatekeep::session::SessionKey;
use gatekeep::store::{Memory, Store, Table};

use crate::support::browser::{Browser, encode};
use crate::support::fuse::Fuse;
use crate::support::http::Response;
use crate::support::{Gate, ROUTES, World, eventually, yaml};

const APP: &str = "app.example.com";
const AUTH: &str = "auth.example.com";
const ACCOUNT: &str = "https://app.example.com/.gatekeep/account";

const END: &str = "end_session";
const END_OTHERS: &str = "end_other_sessions";
const EVERYWHERE: &str = "sign_out_everywhere";

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CHROME: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/142.0.0.0 Mobile Safari/537.36";

/// A form as a browser finds it on the account page.
#[derive(Clone, Debug, PartialEq)]
struct Form {
    url: String,
    fields: Vec<(String, String)>,
}

// === impl Form ===

impl Form {
    fn field(&self, name: &str) -> &str {
        let mut values = self.fields.iter().filter(|(found, _)| found == name);
        &values.next().unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    fn key(&self) -> SessionKey {
        self.field("session").parse().expect("a session's name")
    }

    /// The same with another value in a field.
    fn with(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.fields.iter_mut().filter(|(found, _)| found == name).for_each(|field| {
            value.clone_into(&mut field.1);
        });
        form
    }

    fn body(&self) -> String {
        let fields: Vec<_> = self.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        encode(&fields)
    }

    /// Presses its button, on a page with these header fields about where it came from.
    fn post_from(&self, browser: &mut Browser, from: &[(&str, &str)]) -> Response {
        let kind = [
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-mode", "navigate"),
        ];
        browser.send("POST", &self.url, &[&kind, from].concat(), &self.body())
    }

    fn press(&self, browser: &mut Browser) -> Response {
        self.post_from(browser, &OWN)
    }
}

const OWN: [(&str, &str); 2] =
    [("origin", "https://app.example.com"), ("sec-fetch-site", "same-origin")];

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

/// The forms in a piece of a page.
fn forms(html: &str) -> Vec<Form> {
    let pieces = html.split("<form method=\"post\" action=\"").skip(1);
    pieces
        .map(|piece| {
            let (path, rest) = piece.split_once('"').expect("an action");
            let (rest, _) = rest.split_once("</form>").expect("its end");
            let inputs = rest.split("<input type=\"hidden\" ").skip(1);
            let field = |input: &str| {
                let name = between(input, "name=\"", "\"").expect("a name").to_owned();
                (name, between(input, "value=\"", "\"").expect("a value").to_owned())
            };
            Form { url: format!("https://{APP}{path}"), fields: inputs.map(field).collect() }
        })
        .collect()
}

fn account(browser: &mut Browser) -> String {
    let page = browser.get(ACCOUNT);
    assert_eq!(page.status, 200, "{}", page.text());
    page.text()
}

/// The forms of the account page that post to one of our own paths.
fn forms_to(browser: &mut Browser, path: &str) -> Vec<Form> {
    let url = format!("https://{APP}/.gatekeep/{path}");
    let mut forms = forms(&account(browser));
    forms.retain(|form| form.url == url);
    forms
}

/// The only such form.
fn form_to(browser: &mut Browser, path: &str) -> Form {
    let mut forms = forms_to(browser, path);
    assert_eq!(forms.len(), 1, "{forms:?}");
    forms.pop().expect("it is there")
}

/// What the account page says of the sessions, as text.
fn list(browser: &mut Browser) -> String {
    let page = browser.send("GET", ACCOUNT, &[("accept", "text/plain")], "").text();
    let (_, list) = page.split_once("\n\nYour sessions\n\n").expect("a list");
    list.split_once("\n\nAPI keys\n").expect("an end").0.to_owned()
}

/// Whether the app answers at each of the two hosts, as it does for a visitor.
fn is_in(browser: &mut Browser) -> [bool; 2] {
    [APP, AUTH].map(|host| match browser.fetch(&format!("https://{host}/x")).status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    })
}

const IN: [bool; 2] = [true; 2];
const OUT: [bool; 2] = [false; 2];

fn sign_in(world: &World, person: &str, agent: &str) -> Browser {
    let mut browser = world.browser().called(agent);
    let page = world.sign_in(&mut browser, person, &format!("https://{APP}/"));
    assert_eq!(page.status, 200, "{}", page.text());
    browser
}

fn ended(world: &World, cause: &str) -> Option<f64> {
    world.gate.metric(&format!("gatekeep_sessions_ended_total{{cause=\"{cause}\"}}"))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A world whose store the test has, too.
fn shared() -> (World, Arc<dyn Store>) {
    let mut store = None;
    let world = World::build("", ROUTES, |clock| {
        let memory: Arc<dyn Store> = Arc::new(Memory::new(clock));
        store = Some(memory.clone());
        memory
    });
    (world, store.expect("the gateway has a store"))
}

/// Accounts whose tokens are kept.
fn tokens(store: &Arc<dyn Store>) -> usize {
    block_on(store.scan(Table::Credential, None)).expect("an answer").rows.len()
}

// === The list ===

/// Where and with what the visitor is signed in, and nobody else.
#[test]
fn the_account_page_lists_the_visitors_sessions() {
    let world = World::with("trusted_proxies: [127.0.0.1]\n", ROUTES);
    let page = format!("https://{APP}/");
    let sign_in = |person: &str, agent: &str, place: &str| {
        let mut browser = world.browser().called(agent).coming_from(place);
        assert_eq!(world.sign_in(&mut browser, person, &page).status, 200);
        browser
    };
    let at = || world.gate.clock.now().to_minute();
    let begun = at();
    let mut firefox = sign_in("octocat", FIREFOX, "203.0.113.7");
    sign_in("mona", CHROME, "192.0.2.9");
    let alone = format!(
        "Device: Firefox on Linux\nSigned in: {begun}\nLast used: {begun}\nFrom: 203.0.113.7\n\
         this one\n\n\
         Sign out: POST /.gatekeep/sign_out\n\
         Sign out everywhere: POST /.gatekeep/sign_out_everywhere"
    );
    assert_eq!(list(&mut firefox), alone);
    world.gate.clock.advance(Duration::from_secs(7200));
    let (mut chrome, second) = (sign_in("octocat", CHROME, "2001:db8::1"), at());
    world.gate.clock.advance(Duration::from_secs(600));
    let now = at();
    let all = "End all other sessions: POST /.gatekeep/end_other_sessions\n\
               Sign out: POST /.gatekeep/sign_out\n\
               Sign out everywhere: POST /.gatekeep/sign_out_everywhere";
    let expected = format!(
        "Device: Firefox on Linux\nSigned in: {begun}\nLast used: {now}\nFrom: 203.0.113.7\n\
         this one\n\n\
         Device: Chrome on Android\nSigned in: {second}\nLast used: {second}\n\
         From: 2001:db8::1\nEnd: POST /.gatekeep/end_session\n\n{all}"
    );
    assert_eq!(list(&mut firefox), expected);
    world.gate.clock.advance(Duration::from_secs(60));
    let later = at();
    let expected = format!(
        "Device: Chrome on Android\nSigned in: {second}\nLast used: {later}\n\
         From: 2001:db8::1\nthis one\n\n\
         Device: Firefox on Linux\nSigned in: {begun}\nLast used: {now}\nFrom: 203.0.113.7\n\
         End: POST /.gatekeep/end_session\n\n{all}"
    );
    assert_eq!(list(&mut chrome), expected);
}

/// A session that nobody used for too long opens nothing any more, so it is not in the list.
#[test]
fn a_session_that_opens_nothing_any_more_is_not_listed() {
    let world = World::with("session: { lifetime: 2h, idle: 30m }\n", ROUTES);
    let (mut mine, mut other) = (sign_in(&world, "octocat", "a"), sign_in(&world, "octocat", "b"));
    for (minutes, listed) in [(20, 1), (20, 0)] {
        world.gate.clock.advance(Duration::from_secs(minutes * 60));
        assert_eq!(forms_to(&mut mine, END).len(), listed, "{minutes} minutes later");
    }
    assert_eq!((is_in(&mut mine), is_in(&mut other)), (IN, OUT));
}

/// The sessions used last are shown; the others are counted, and end with "all others".
#[test]
fn of_many_sessions_the_ones_used_last_are_listed() {
    let world = World::new();
    let mut oldest = sign_in(&world, "octocat", "the oldest");
    world.gate.clock.advance(Duration::from_secs(1));
    let mut others: Vec<_> = (0..52).map(|_| sign_in(&world, "octocat", "curl/8")).collect();
    let mut mine = others.pop().expect("one of them");
    world.gate.clock.advance(Duration::from_secs(1));
    let page = account(&mut mine);
    assert_eq!(page.matches("<tr><th scope=\"row\">").count(), 50);
    assert!(page.contains("<p class=\"help\">And 3 more, not used as lately as these.</p>"));
    assert!(!page.contains("the oldest"), "{page}");
    assert_eq!(form_to(&mut mine, END_OTHERS).press(&mut mine).status, 303);
    assert!(others.iter_mut().chain([&mut oldest]).all(|other| is_in(other) == OUT));
    assert_eq!((is_in(&mut mine), ended(&world, "ended-by-owner")), (IN, Some(52.0)));
}

/// A program calls itself what it likes, and what it likes is shown to the person.
#[test]
fn a_user_agent_cannot_write_the_page() {
    let world = World::new();
    sign_in(&world, "octocat", "\"'><script>alert(1)</script>&amp;");
    sign_in(&world, "octocat", "Firefox/ Linux<img src=x onerror=alert(1)>");
    let page = account(&mut sign_in(&world, "octocat", FIREFOX));
    let shown =
        "<th scope=\"row\">&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;</th>";
    assert!(page.contains(shown), "{page}");
    assert!(page.contains("<th scope=\"row\">Firefox on Linux</th>"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
}

// === Ending ===

/// The laptop that was left on the train: it is asked to sign in at every host at once.
#[test]
fn a_session_is_ended_from_another() {
    let (world, store) = shared();
    let mut mine = sign_in(&world, "octocat", FIREFOX);
    let mut lost = sign_in(&world, "octocat", CHROME);
    let mut mona = sign_in(&world, "mona", CHROME);
    let (mut copy, form) = (lost.clone(), form_to(&mut mine, END));
    assert_eq!([&mut mine, &mut lost, &mut mona].map(is_in), [IN; 3]);
    let answer = form.press(&mut mine);
    assert_eq!((answer.status, answer.location()), (303, "/.gatekeep/account"));
    assert_eq!(answer.all("set-cookie").count(), 0);
    assert_eq!([&mut lost, &mut copy].map(is_in), [OUT; 2]);
    assert_eq!(lost.get(&format!("https://{APP}/x")).status, 303, "a person is sent to sign in");
    assert_eq!([&mut mine, &mut mona].map(is_in), [IN; 2]);
    assert_eq!(forms_to(&mut mine, END), []);
    assert_eq!(forms_to(&mut mine, END_OTHERS), []);
    let again = form.press(&mut mine);
    assert_eq!((again.status, again.location()), (303, "/.gatekeep/account"), "it is over");
    assert_eq!((ended(&world, "ended-by-owner"), tokens(&store)), (Some(1.0), 2));
}

#[test]
fn all_other_sessions_are_ended() {
    let (world, store) = shared();
    let [mut mine, mut two, mut three] =
        [FIREFOX, CHROME, "curl/8"].map(|agent| sign_in(&world, "octocat", agent));
    let mut mona = sign_in(&world, "mona", CHROME);
    let answer = form_to(&mut mine, END_OTHERS).press(&mut mine);
    assert_eq!((answer.status, answer.location()), (303, "/.gatekeep/account"));
    assert_eq!([&mut two, &mut three].map(is_in), [OUT; 2]);
    assert_eq!([&mut mine, &mut mona].map(is_in), [IN; 2]);
    assert_eq!((ended(&world, "ended-by-owner"), tokens(&store)), (Some(2.0), 2));
}

/// Signing out everywhere ends this session, too, and the account's tokens go with the last one.
#[test]
fn signing_out_everywhere_leaves_nothing() {
    let (world, store) = shared();
    let [mut mine, mut two, mut three] =
        [FIREFOX, CHROME, "curl/8"].map(|agent| sign_in(&world, "octocat", agent));
    let mut mona = sign_in(&world, "mona", CHROME);
    let (mut copy, form) = (mine.clone(), form_to(&mut mine, EVERYWHERE));
    assert_eq!(tokens(&store), 2);
    let page = form.press(&mut mine);
    assert_eq!((page.status, page.sets("__Host-gatekeep")), (200, Some("")));
    for words in [
        "<h1>You are signed out</h1>",
        "All your sessions are over, in every browser and in every app behind this gateway.",
    ] {
        assert!(page.text().contains(words), "{words} is not in {}", page.text());
    }
    assert_eq!([&mut mine, &mut copy, &mut two, &mut three].map(is_in), [OUT; 4]);
    assert_eq!(is_in(&mut mona), IN);
    assert_eq!((ended(&world, "sign-out"), tokens(&store)), (Some(3.0), 1));
    let late = form.press(&mut copy);
    assert_eq!(late.status, 401, "who is signed out already learns that, and no more");
}

/// On a second node that holds the session open, it is over as soon as the announcement is heard.
#[test]
fn a_session_is_ended_on_every_node() {
    let (world, store) = shared();
    let mut mine = sign_in(&world, "octocat", FIREFOX);
    let lost = sign_in(&world, "octocat", CHROME);
    let text = yaml(&world.github, "", &ROUTES.replace("@APP@", world.app.url()));
    let second = Gate::start(&text, |_| store);
    let there = |browser: &Browser| {
        let mut double = Browser::new(second.address);
        for host in [APP, AUTH] {
            for (name, value) in browser.cookies(host) {
                double.plant(host, &name, &value);
            }
        }
        double
    };
    let (mut mine_there, mut lost_there) = (there(&mine), there(&lost));
    assert_eq!([&mut mine_there, &mut lost_there].map(is_in), [IN; 2]);
    let listed = list(&mut mine_there);
    assert!(listed.contains("Device: Chrome on Android\n"), "{listed}");
    assert_eq!(form_to(&mut mine, END).press(&mut mine).status, 303);
    eventually("the second node hears it", || lost_there.fetch(ACCOUNT).status == 401);
    assert_eq!(is_in(&mut lost_there), OUT);
    assert_eq!(is_in(&mut mine_there), IN);
    // And the other way round, all of them.
    let page = form_to(&mut mine_there, EVERYWHERE).press(&mut mine_there);
    assert_eq!(page.status, 200, "{}", page.text());
    eventually("the first node hears it", || mine.fetch(ACCOUNT).status == 401);
    assert_eq!(is_in(&mut mine), OUT);
}

// === Attacks ===

/// A session of somebody else, named in a form that is otherwise in order: it might as well not
/// exist. Not even the token of the form stands in the way, as if its key were known.
#[test]
fn a_session_of_somebody_else_is_not_ended() {
    let world = World::new();
    let [mut mallory, mut second] = [FIREFOX, CHROME].map(|agent| sign_in(&world, "mona", agent));
    let [mut octocat, mut other] = [FIREFOX, CHROME].map(|agent| sign_in(&world, "octocat", agent));
    let (own, from) = (form_to(&mut mallory, END), form_to(&mut second, END).key());
    let forge = |key: SessionKey| {
        let purpose = format!("end-session {key}");
        let token = world.gate.keys.csrf_token(from.as_bytes(), &purpose);
        own.with("session", &key.to_string()).with("csrf", &URL_SAFE_NO_PAD.encode(token))
    };
    assert_eq!(forge(own.key()), own, "that is how tokens are made");
    let victim = form_to(&mut octocat, END).key();
    let mut seen = |key: SessionKey| {
        let answer = forge(key).press(&mut mallory);
        (answer.status, answer.location().to_owned(), answer.text())
    };
    let foreign = seen(victim);
    assert_eq!(foreign, seen(SessionKey::new([7; 16])), "as if it did not exist");
    assert_eq!([&mut octocat, &mut other, &mut second].map(is_in), [IN; 3]);
    assert_eq!(ended(&world, "ended-by-owner"), None);
    assert_eq!(forge(own.key()).press(&mut mallory).status, 303);
    assert_eq!(is_in(&mut second), OUT, "control: a session of her own ends");
    assert_eq!([&mut octocat, &mut other].map(is_in), [IN; 2]);
}

/// Whatever another site can make the visitor's browser send, and whatever a token for something
/// else is used for, ends nothing.
#[test]
fn a_form_that_is_not_ours_ends_no_session() {
    let world = World::new();
    let [mut mine, mut two, mut three] =
        [FIREFOX, CHROME, "curl/8"].map(|agent| sign_in(&world, "octocat", agent));
    let mut mona = sign_in(&world, "mona", CHROME);
    let ends = forms_to(&mut mine, END);
    let others = form_to(&mut mine, END_OTHERS);
    let everywhere = form_to(&mut mine, EVERYWHERE);
    let sign_out = form_to(&mut mine, "sign_out");
    let hers = form_to(&mut mona, EVERYWHERE);
    let from_two = form_to(&mut two, END_OTHERS);
    let all_in = |[mine, two, three]: [&mut Browser; 3]| [mine, two, three].map(is_in) == [IN; 3];
    let own = "https://app.example.com";
    for good in [&ends[0], &others, &everywhere] {
        let places: [&[(&str, &str)]; 8] = [
            &[("origin", "https://evil.example")],
            &[("origin", "https://auth.example.com")],
            &[("origin", "http://app.example.com")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", own), ("sec-fetch-site", "cross-site")],
        ];
        for from in places {
            assert_eq!(good.post_from(&mut mine, from).status, 403, "{} {from:?}", good.url);
        }
        let foreign = [&ends[0], &ends[1], &others, &everywhere, &sign_out, &hers, &from_two]
            .map(|form| form.field("csrf"))
            .into_iter()
            .filter(|token| *token != good.field("csrf"));
        for token in foreign.chain(["", "x", &good.field("csrf")[1..]]) {
            let answer = good.with("csrf", token).press(&mut mine);
            assert_eq!(answer.status, 403, "{} {token}", good.url);
        }
        let twice = Form { fields: [&*good.fields, &good.fields].concat(), ..good.clone() };
        let none = Form { fields: vec![], ..good.clone() };
        for form in [&twice, &none] {
            assert_eq!(form.press(&mut mine).status, 403, "{form:?}");
        }
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let url = format!("{}?{}", good.url, good.body());
            let answer = mine.send(method, &url, &OWN, "");
            assert_eq!(answer.status, 404, "{method} {url}");
        }
        let in_query = Form { url: format!("{}?{}", good.url, good.body()), fields: vec![] };
        assert_eq!(in_query.press(&mut mine).status, 403, "a query is no form");
        assert_eq!(good.press(&mut world.browser()).status, 401, "nobody has no sessions");
        assert!(all_in([&mut mine, &mut two, &mut three]), "after {}", good.url);
    }
    assert_eq!(ended(&world, "ended-by-owner"), None);
    // The very same forms are good where they belong.
    assert_eq!(ends[0].press(&mut mine).status, 303);
    let left = [&mut two, &mut three].map(is_in);
    assert_eq!(left.iter().filter(|found| **found == IN).count(), 1, "{left:?}");
    assert_eq!(others.press(&mut mine).status, 303);
    assert_eq!([&mut mine, &mut two, &mut three].map(is_in), [IN, OUT, OUT]);
    assert_eq!(everywhere.press(&mut mine).status, 200);
    assert_eq!([&mut mine, &mut mona].map(is_in), [OUT, IN]);
}

/// The token beside one session, used for another of the same person.
#[test]
fn a_token_ends_one_session_alone() {
    let world = World::new();
    let [mut mine, mut two, mut three] =
        [FIREFOX, CHROME, "curl/8"].map(|agent| sign_in(&world, "octocat", agent));
    let ends = forms_to(&mut mine, END);
    for name in [ends[1].field("session"), "x", ""] {
        assert_eq!(ends[0].with("session", name).press(&mut mine).status, 403, "{name}");
    }
    assert_eq!([&mut mine, &mut two, &mut three].map(is_in), [IN; 3]);
    assert!(ends.iter().all(|form| form.press(&mut mine).status == 303), "control");
    assert_eq!([&mut mine, &mut two, &mut three].map(is_in), [IN, OUT, OUT]);
}

// === The store gives no answer ===

/// The store dies after each number of answers. Until all were given nothing is said to be over, the
/// cookie stays, and what still opens can still be ended: it is in the list, or this session is
/// there to ask again.
#[test]
fn nothing_is_said_to_be_over_before_it_is() {
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let of_store = left.clone();
    let world = World::build("", ROUTES, |clock| Arc::new(Fuse::new(Memory::new(clock), of_store)));
    // One account looked up; tokens looked up; session, announcement, account looked up and written.
    // Of several, the account is looked up once more when they are over. The tokens go last, with
    // the last session.
    for (path, done, answers) in [(END, 303, 6), (END_OTHERS, 303, 6), (EVERYWHERE, 200, 12)] {
        let needed = (0..30).find(|&answers| {
            let what = format!("{path} after {answers} answers");
            let mut mine = sign_in(&world, "octocat", FIREFOX);
            let mut other = sign_in(&world, "octocat", CHROME);
            let form = form_to(&mut mine, path);
            left.store(answers, Ordering::SeqCst);
            let answer = form.press(&mut mine);
            left.store(i64::MAX, Ordering::SeqCst);
            let is_done = answer.status == done;
            if !is_done {
                assert_eq!(answer.status, 503, "{what}: {}", answer.text());
                assert!(answer.text().contains("store-unavailable"), "{what}");
                assert_eq!(answer.all("set-cookie").count(), 0, "{what}");
            }
            match (is_in(&mut mine), is_in(&mut other)) {
                (_, OUT) => {}
                (IN, IN) if !is_done => {
                    assert_eq!(forms_to(&mut mine, END).len(), 1, "{what}: it can be ended");
                    assert_eq!(form.press(&mut mine).status, done, "{what}: asked again");
                    assert_eq!(is_in(&mut other), OUT, "{what}: asked again");
                }
                state => panic!("{what}: {state:?}"),
            }
            if is_in(&mut mine) == IN {
                assert_eq!(form_to(&mut mine, EVERYWHERE).press(&mut mine).status, 200, "{what}");
            }
            assert_eq!(is_in(&mut mine), OUT, "{what}");
            is_done
        });
        assert_eq!(needed, Some(answers), "{path}");
    }
    // Without a store there is no list either, and nobody is signed out.
    let mut mine = sign_in(&world, "octocat", FIREFOX);
    left.store(0, Ordering::SeqCst);
    assert_eq!(mine.get(ACCOUNT).status, 503);
    assert_eq!(is_in(&mut mine), IN);
}
