//! Webhooks: GitHub tells that somebody has withdrawn the authorisation. Nothing is believed that is
//! not signed, nothing that GitHub does not confirm, and nothing twice.

use std::fmt::Write as _;
use std::time::Duration;

use gatekeep::simulator::{ExpiringTokens, Gate as Barrier, Trouble, Webhook};
use gatekeep::store::Table;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http::{Connection, Response};
use crate::support::nodes::Nodes;
use crate::support::{Gate, eventually, yaml};

const PAGE: &str = "https://app.example.com/page";
const HOST: &str = "auth.example.com";
const PATH: &str = "/.gatekeep/github/webhook";
const EVENT: &str = "github_app_authorization";
pub(crate) const SECRET: &str = "webhook-8fZq-of-these-tests";
const OLD: &str = "webhook-older-2kXw-of-tests";
const SIGNATURE: &str = "x-hub-signature-256";

fn keys(secret: &str) -> String {
    format!("github.timeout: 5s, webhook: {{ secret: {secret} }}\n")
}

/// Two gateways that take webhooks, and octocat and mona signed in.
fn world() -> (Nodes, [Browser; 2]) {
    let nodes = Nodes::new(&keys(SECRET));
    let visitors = ["octocat", "mona"].map(|person| nodes.signed_in(person));
    (nodes, visitors)
}

/// That octocat has withdrawn the authorisation, signed.
fn revoked(nodes: &Nodes, secret: &str) -> Webhook {
    let github = &nodes.world.github;
    github.webhook(EVENT, github.authorization_revoked("octocat"), secret)
}

/// The bytes of a delivery.
fn written(webhook: &Webhook, line: &str, host: &str) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in &webhook.headers {
        write!(text, "{name}: {value}\r\n").expect("memory is written");
    }
    write!(text, "content-length: {}\r\n\r\n", webhook.body.len()).expect("memory is written");
    [text.into_bytes(), webhook.body.to_vec()].concat()
}

pub(crate) fn send(gate: &Gate, webhook: &Webhook) -> Response {
    gate.raw(&written(webhook, &format!("POST {PATH}"), HOST)).expect("an answer")
}

/// The status and the word of an answer.
fn outcome(answer: &Response) -> (u16, String) {
    let text = answer.text();
    let word = if answer.status == 200 {
        answer.json()["result"].as_str().expect("a result").to_owned()
    } else {
        let words = text.split("Reason: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        words.unwrap_or_else(|| panic!("no reason in {text}")).to_owned()
    };
    (answer.status, word)
}

fn deliver(nodes: &Nodes, webhook: &Webhook) -> (u16, String) {
    outcome(&send(&nodes.world.gate, webhook))
}

fn is(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// The same with other headers of a name.
fn with(webhook: &Webhook, name: &str, values: &[&str]) -> Webhook {
    let mut changed = webhook.clone();
    changed.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    changed.headers.extend(values.iter().map(|value| (name.to_owned(), (*value).to_owned())));
    changed
}

fn status(browser: &Browser) -> u16 {
    browser.clone().fetch(PAGE).status
}

fn counted(nodes: &Nodes, event: &str, result: &str) -> u64 {
    let line = format!(r#"gatekeep_webhooks_total{{event="{event}",result="{result}"}}"#);
    nodes.count(&line)
}

/// How often GitHub was asked whether a token is alive.
fn checks(nodes: &Nodes) -> usize {
    let all = nodes.world.github.requests();
    all.iter().filter(|seen| seen.method == "POST" && seen.path().ends_with("/token")).count()
}

// === What is true ===

#[test]
fn a_withdrawn_authorisation_ends_the_sessions_at_once_on_every_node() {
    let (nodes, [octocat, mona]) = world();
    let doubles = [&octocat, &mona].map(|browser| nodes.double(browser));
    assert_eq!(doubles.each_ref().map(status), [200, 200]);
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(status(&octocat), 200, "no re-check is due");
    let webhook = revoked(&nodes, SECRET);
    let answer = send(&nodes.world.gate, &webhook);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(outcome(&answer), is(200, "done"));
    assert_eq!(status(&octocat), 401);
    eventually("the other node hears", || status(&doubles[0]) == 401);
    assert_eq!((status(&mona), status(&doubles[1])), (200, 200));
    assert_eq!((nodes.rows(Table::Credential), nodes.rows(Table::Delivery)), (1, 1));
    assert_eq!(nodes.world.github.answered("GET /user", 401), 0, "no dead token was used");
    // GitHub delivers again when it is asked to, with the same number and at any node.
    assert_eq!(deliver(&nodes, &webhook), is(200, "duplicate"));
    assert_eq!(outcome(&send(&nodes.other, &webhook)), is(200, "duplicate"));
    assert_eq!(counted(&nodes, EVENT, "done"), 1);
    assert_eq!(counted(&nodes, EVENT, "duplicate"), 1);
    assert_eq!(nodes.count(r#"gatekeep_sessions_ended_total{cause="revoked"}"#), 1);
}

#[test]
fn other_events_are_answered_and_change_nothing() {
    let (nodes, [octocat, _]) = world();
    let github = &nodes.world.github;
    let sender = github.authorization_revoked("octocat")["sender"].clone();
    for (event, payload, word, label) in [
        ("ping", github.ping(), "done", "ping"),
        ("organization", json!({"action": "member_removed"}), "ignored", "organization"),
        ("never_heard_of", json!({"action": "revoked", "sender": sender}), "ignored", "other"),
    ] {
        let webhook = github.webhook(event, payload, SECRET);
        assert_eq!(deliver(&nodes, &webhook), is(200, word), "{event}");
        assert_eq!(counted(&nodes, label, word), 1, "{event}");
    }
    assert_eq!((status(&octocat), nodes.rows(Table::Delivery)), (200, 0));
}

// === What is not ===

/// Every way to come without a good signature, each with its control: the same delivery, signed.
#[test]
fn what_is_not_signed_is_refused() {
    let (nodes, [octocat, _]) = world();
    let good = revoked(&nodes, SECRET);
    let signature = good.header(SIGNATURE).expect("it is signed").to_owned();
    let digits = signature.strip_prefix("sha256=").expect("by SHA-256");
    let sha1 = good.header("x-hub-signature").expect("by SHA-1, too").to_owned();
    let foreign = revoked(&nodes, "a-secret-of-somebody-else");
    let of_ping = nodes.world.github.webhook("ping", nodes.world.github.ping(), SECRET);
    let body = |body: Vec<u8>| Webhook { body: body.into(), ..good.clone() };
    let pretty: serde_json::Value = serde_json::from_slice(&good.body).expect("JSON");
    let pretty = serde_json::to_vec_pretty(&pretty).expect("JSON");
    let forgeries = [
        ("no signature", with(&good, SIGNATURE, &[])),
        ("an empty one", with(&good, SIGNATURE, &[""])),
        ("twice", with(&good, SIGNATURE, &[&signature, &signature])),
        ("a good and a bad one", with(&good, SIGNATURE, &[&signature, "sha256=00"])),
        ("as a list", with(&good, SIGNATURE, &[&format!("{signature}, {signature}")])),
        ("truncated", with(&good, SIGNATURE, &[&signature[..signature.len() - 1]])),
        ("an octet less", with(&good, SIGNATURE, &[&signature[..signature.len() - 2]])),
        ("too long", with(&good, SIGNATURE, &[&format!("{signature}00")])),
        ("no algorithm", with(&good, SIGNATURE, &[digits])),
        ("SHA-1 alone", with(&good, SIGNATURE, &[&sha1])),
        ("another algorithm", with(&good, SIGNATURE, &[&format!("sha512={digits}")])),
        ("no algorithm by name", with(&good, SIGNATURE, &[&format!("none={digits}")])),
        ("no hexadecimal", with(&good, SIGNATURE, &[&format!("sha256={}g", &digits[1..])])),
        ("of zeros", with(&good, SIGNATURE, &[&format!("sha256={}", "0".repeat(64))])),
        ("of another body", with(&good, SIGNATURE, &[of_ping.header(SIGNATURE).expect("one")])),
        ("of another secret", foreign),
        ("the body re-serialised", body(pretty)),
        ("a byte-order mark", body([&b"\xef\xbb\xbf"[..], &good.body].concat())),
        ("a line's end", body([&good.body[..], b"\n"].concat())),
        ("no body", body(Vec::new())),
        ("no JSON, unsigned", Webhook { body: "}{".into(), ..with(&good, SIGNATURE, &[]) }),
    ];
    let count = u64::try_from(forgeries.len()).expect("few");
    for (what, forged) in forgeries {
        assert_eq!(deliver(&nodes, &forged), is(403, "webhook-not-signed"), "{what}");
        assert_eq!(status(&octocat), 200, "{what}");
    }
    assert_eq!(counted(&nodes, "other", "refused"), count);
    assert_eq!((checks(&nodes), nodes.rows(Table::Delivery)), (0, 0), "GitHub was not even asked");
    // The control: signed, in either case of the digits.
    let upper = format!("sha256={}", digits.to_uppercase());
    assert_eq!(deliver(&nodes, &with(&good, SIGNATURE, &[&upper])), is(200, "ignored"));
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(deliver(&nodes, &good), is(200, "done"));
    assert_eq!(status(&octocat), 401);
}

#[test]
fn a_secret_is_rotated_without_a_gap_and_then_worth_nothing() {
    let (nodes, [octocat, _]) = world();
    let gates = [OLD.to_owned(), format!("[{SECRET}, {OLD}]"), SECRET.to_owned()].map(|secret| {
        let routes = "\n  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone }\n";
        let routes = routes.replace("@APP@", nodes.world.app.url());
        Gate::start(&yaml(&nodes.world.github, &keys(&secret), &routes), |_| nodes.store.clone())
    });
    let (old, new) = (revoked(&nodes, OLD), revoked(&nodes, SECRET));
    let [before, both, after] =
        gates.each_ref().map(|gate| [&old, &new].map(|webhook| outcome(&send(gate, webhook))));
    let (taken, refused) = (is(200, "ignored"), is(403, "webhook-not-signed"));
    assert_eq!(before, [taken.clone(), refused.clone()]);
    assert_eq!(both, [taken.clone(), taken.clone()]);
    assert_eq!(after, [refused, taken]);
    assert_eq!(status(&octocat), 200);
}

#[test]
fn what_is_signed_and_no_event_in_json_is_refused_with_a_hint() {
    let (nodes, [octocat, _]) = world();
    let good = revoked(&nodes, SECRET);
    let form = "application/x-www-form-urlencoded";
    let sender = nodes.world.github.authorization_revoked("octocat")["sender"].clone();
    let renewed = json!({"action": "renewed", "sender": sender});
    for (what, webhook) in [
        ("a form", with(&good, "content-type", &[form])),
        ("no content type", with(&good, "content-type", &[])),
        ("two content types", with(&good, "content-type", &["application/json", form])),
        ("no event", with(&good, "x-github-event", &[])),
        ("two events", with(&good, "x-github-event", &[EVENT, "ping"])),
        ("no sender", nodes.world.github.webhook(EVENT, json!({"action": "revoked"}), SECRET)),
        ("no withdrawal", nodes.world.github.webhook(EVENT, renewed, SECRET)),
        ("no object", nodes.world.github.webhook(EVENT, json!([1, 2]), SECRET)),
    ] {
        let answer = send(&nodes.world.gate, &webhook);
        assert_eq!(outcome(&answer), is(400, "webhook-unreadable"), "{what}");
        let text = answer.text();
        assert!(text.contains("choose the content type `application/json`"), "{what}: {text}");
    }
    assert_eq!((status(&octocat), checks(&nodes)), (200, 0));
    let charset = with(&good, "content-type", &["application/json; charset=utf-8"]);
    assert_eq!(deliver(&nodes, &charset), is(200, "ignored"), "the control");
}

// === Replays ===

/// A delivery has no date, and its number is not signed: who has one can send it for ever.
#[test]
fn a_replay_after_a_new_authorisation_ends_nothing() {
    let (nodes, [mut octocat, _]) = world();
    let webhook = revoked(&nodes, SECRET);
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(deliver(&nodes, &webhook), is(200, "done"));
    assert_eq!(nodes.world.sign_in(&mut octocat, "octocat", PAGE).status, 200);
    let renumbered = with(&webhook, "x-github-delivery", &["0b989ba4-242f-11e5-81e1-c7b6966d2516"]);
    for replay in [&webhook, &renumbered, &webhook] {
        assert_eq!(deliver(&nodes, replay), is(200, "ignored"));
        assert_eq!(status(&octocat), 200);
    }
    nodes.advance(Duration::from_secs(4 * 86_400));
    octocat = nodes.signed_in("octocat");
    assert_eq!(deliver(&nodes, &renumbered), is(200, "ignored"), "days later, too");
    assert_eq!(status(&octocat), 200);
    // The second withdrawal is the first one's very bytes, and true.
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(revoked(&nodes, SECRET).body, webhook.body);
    assert_eq!(deliver(&nodes, &renumbered), is(200, "done"));
    assert_eq!(status(&octocat), 401);
}

/// Within the three days, too, the second withdrawal counts.
#[test]
fn who_withdraws_twice_is_signed_out_twice() {
    let (nodes, _) = world();
    let webhook = revoked(&nodes, SECRET);
    for round in 0..3 {
        let octocat = nodes.signed_in("octocat");
        assert_eq!(status(&octocat), 200, "round {round}");
        nodes.world.github.revoke_grant("octocat");
        assert_eq!(deliver(&nodes, &webhook), is(200, "done"), "round {round}");
        assert_eq!(status(&octocat), 401, "round {round}");
    }
}

/// Without a token there is nothing to ask GitHub with: the delivery counts, once.
#[test]
fn without_a_token_a_delivery_counts_once() {
    let (nodes, [octocat, mona]) = world();
    let scan = block_on(nodes.store.scan(Table::Credential, None)).expect("an answer");
    for (name, _) in scan.rows {
        block_on(nodes.store.take(Table::Credential, &name)).expect("an answer");
    }
    let webhook = revoked(&nodes, SECRET);
    assert_eq!(deliver(&nodes, &webhook), is(200, "done"));
    assert_eq!((status(&octocat), status(&mona)), (401, 200));
    let again = nodes.signed_in("octocat");
    let scan = block_on(nodes.store.scan(Table::Credential, None)).expect("an answer");
    for (name, _) in scan.rows {
        block_on(nodes.store.take(Table::Credential, &name)).expect("an answer");
    }
    let renumbered = with(&webhook, "x-github-delivery", &["another"]);
    for replay in [&webhook, &renumbered] {
        assert_eq!(deliver(&nodes, replay), is(200, "duplicate"));
        assert_eq!(status(&again), 200);
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// An access token that has merely ended is no withdrawal: it is refreshed, and then GitHub says.
#[test]
fn a_replay_ends_nothing_when_the_token_has_expired() {
    let nodes = Nodes::new(&keys(SECRET));
    nodes.world.github.expire_tokens(Some(ExpiringTokens::default()));
    let octocat = nodes.signed_in("octocat");
    let webhook = revoked(&nodes, SECRET);
    nodes.advance(Duration::from_secs(8 * 3600));
    assert_eq!(deliver(&nodes, &webhook), is(200, "ignored"));
    assert_eq!((status(&octocat), nodes.world.github.refreshes()), (200, 1));
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(deliver(&nodes, &webhook), is(200, "done"));
    assert_eq!(status(&octocat), 401);
}

#[test]
fn a_delivery_that_github_does_not_confirm_is_to_be_sent_again() {
    let (nodes, [octocat, _]) = world();
    let (github, webhook) = (&nodes.world.github, revoked(&nodes, SECRET));
    github.revoke_grant("octocat");
    for trouble in [Trouble::Refuse, Trouble::answer(502, "text/html", "<h1>Unicorn!</h1>")] {
        github.knobs().on("/applications", trouble);
        let answer = send(&nodes.world.gate, &webhook);
        assert_eq!(outcome(&answer), is(503, "github-unavailable"));
        assert_eq!(answer.header("retry-after"), Some("30"));
        assert_eq!((status(&octocat), nodes.rows(Table::Delivery)), (200, 0));
    }
    assert_eq!(counted(&nodes, EVENT, "failed"), 2);
    github.knobs().clear();
    assert_eq!(deliver(&nodes, &webhook), is(200, "done"));
    assert_eq!(status(&octocat), 401);
}

// === Where, and how much ===

#[test]
fn webhooks_are_taken_at_one_address_and_only_with_a_secret() {
    let (nodes, [octocat, _]) = world();
    let (gate, webhook) = (&nodes.world.gate, revoked(&nodes, SECRET));
    nodes.world.github.revoke_grant("octocat");
    let ask = |gate: &Gate, line: &str, host: &str| {
        gate.raw(&written(&webhook, line, host)).map(|answer| outcome(&answer))
    };
    let nowhere = Some(is(404, "no-such-page"));
    assert_eq!(ask(gate, &format!("POST {PATH}"), "app.example.com"), nowhere);
    for line in [
        format!("GET {PATH}"),
        format!("PUT {PATH}"),
        format!("POST {PATH}/"),
        "POST /.gatekeep/github".to_owned(),
        "POST /.gatekeep/github/Webhook".to_owned(),
    ] {
        assert_eq!(ask(gate, &line, HOST), nowhere, "{line}");
    }
    let unknown = ask(gate, &format!("POST {PATH}"), "elsewhere.example");
    assert_eq!(unknown, Some(is(404, "no-route")));
    let without = Nodes::new("");
    assert_eq!(ask(&without.world.gate, &format!("POST {PATH}"), HOST), nowhere);
    assert_eq!(status(&octocat), 200);
    assert_eq!(ask(gate, &format!("POST {PATH}"), HOST), Some(is(200, "done")), "the control");
    assert_eq!(status(&octocat), 401);
}

#[test]
fn a_body_above_githubs_largest_is_refused() {
    const LARGEST: usize = 25 * 1024 * 1024;
    let (nodes, [octocat, _]) = world();
    let of = |bytes: usize| {
        let frame = json!({"action": "edited", "fill": ""}).to_string().len();
        let fill = "x".repeat(bytes - frame);
        let payload = json!({"action": "edited", "fill": fill});
        nodes.world.github.webhook("organization", payload, SECRET)
    };
    assert_eq!(of(LARGEST).body.len(), LARGEST);
    assert_eq!(deliver(&nodes, &of(LARGEST)), is(200, "ignored"));
    for bytes in [LARGEST + 1, 26 * 1024 * 1024] {
        let webhook = of(bytes);
        let bytes = written(&webhook, &format!("POST {PATH}"), HOST);
        let head = bytes.len() - webhook.body.len();
        // What announces too much is refused before it comes.
        let announced = nodes.world.gate.raw(&bytes[..head]).expect("an answer");
        assert_eq!(outcome(&announced), is(413, "body-too-large"));
        let unannounced = chunked(&webhook);
        let mut connection = Connection::open(nodes.world.gate.address);
        // It is cut off on its way.
        drop(connection.send(&unannounced));
        let answer = connection.receive(false);
        assert!(answer.is_none_or(|answer| outcome(&answer) == is(413, "body-too-large")));
    }
    assert_eq!(status(&octocat), 200);
    let small = revoked(&nodes, SECRET);
    let answer = nodes.world.gate.raw(&chunked(&small)).expect("an answer");
    assert_eq!(outcome(&answer), is(200, "ignored"), "the control: chunks are fine");
}

fn chunked(webhook: &Webhook) -> Vec<u8> {
    let whole = written(webhook, &format!("POST {PATH}"), HOST);
    let head = String::from_utf8_lossy(&whole[..whole.len() - webhook.body.len()]).into_owned();
    let length = format!("content-length: {}\r\n", webhook.body.len());
    let mut bytes = head.replace(&length, "transfer-encoding: chunked\r\n").into_bytes();
    for chunk in webhook.body.chunks(64 * 1024) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Begins a delivery, and sends so much of its body.
fn begun(nodes: &Nodes, webhook: &Webhook, part: usize) -> (Connection, Vec<u8>) {
    let bytes = written(webhook, &format!("POST {PATH}"), HOST);
    let sent = bytes.len() - webhook.body.len() + part;
    let mut connection = Connection::open(nodes.world.gate.address);
    connection.send(&bytes[..sent]).expect("the gateway or the network takes it");
    (connection, bytes[sent..].to_vec())
}

/// Many who never finish, each with something that looks like a signature: they keep nobody out, and
/// a body is taken in pieces.
#[test]
fn who_sends_slowly_keeps_nobody_out() {
    let (nodes, [octocat, _]) = world();
    nodes.world.github.revoke_grant("octocat");
    let webhook = revoked(&nodes, SECRET);
    let half = webhook.body.len() / 2;
    let slow: Vec<_> = (0..100).map(|_| begun(&nodes, &webhook, half)).collect();
    assert_eq!(deliver(&nodes, &webhook), is(200, "done"));
    assert_eq!(status(&octocat), 401);
    let (mut one, rest) = begun(&nodes, &webhook, half);
    one.send(&rest).expect("the gateway reads");
    assert_eq!(outcome(&one.receive(false).expect("an answer")), is(200, "duplicate"));
    // Whoever takes too long is let go.
    for (mut connection, _) in slow.into_iter().take(3) {
        assert!(connection.receive(false).is_none_or(|answer| answer.status >= 400));
    }
}

/// An organisation's event of so many bytes, which changes nothing here.
fn of_size(nodes: &Nodes, bytes: usize) -> Webhook {
    let frame = json!({"action": "edited", "fill": ""}).to_string().len();
    let payload = json!({"action": "edited", "fill": "x".repeat(bytes - frame)});
    nodes.world.github.webhook("organization", payload, SECRET)
}

/// Two gateways behind a proxy that says whom a delivery comes from.
fn behind_a_proxy() -> Nodes {
    Nodes::new(&format!("{}trusted_proxies: [127.0.0.1]\n", keys(SECRET)))
}

fn from(webhook: &Webhook, place: &str) -> Webhook {
    with(webhook, "x-forwarded-for", &[place])
}

/// One who fills all that a sender may have, at an address of its own, does not keep GitHub out, whose
/// largest comes at the same time.
#[test]
fn who_sends_much_keeps_no_other_out() {
    let nodes = behind_a_proxy();
    let large = of_size(&nodes, 3 * 1024 * 1024);
    let mut pending: Vec<_> =
        (0..6).map(|_| begun(&nodes, &from(&large, "192.0.2.1"), 64 * 1024)).collect();
    assert_eq!(deliver(&nodes, &from(&large, "140.82.112.1")), is(200, "ignored"));
    // The control: one of them was there all the while, and is taken for its signature.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let finish = |connection: &mut Connection, rest: &[u8]| {
            drop(connection.send(rest));
            connection.receive(false).map(|answer| outcome(&answer))
        };
        let sent: Vec<_> = pending
            .iter_mut()
            .map(|(connection, rest)| scope.spawn(move || finish(connection, rest)))
            .collect();
        sent.into_iter().map(|sent| sent.join().expect("it ends")).collect()
    });
    assert!(outcomes.contains(&Some(is(200, "ignored"))), "{outcomes:?}");
}

/// A crowd of networks that fills all the room for large bodies does not keep out what GitHub nearly
/// always sends.
#[test]
fn a_crowd_that_sends_much_keeps_nothing_small_out() {
    const MIB: usize = 1024 * 1024;
    let nodes = behind_a_proxy();
    let (medium, large) = (of_size(&nodes, MIB), of_size(&nodes, MIB + 1));
    let networks = (0..4).map(|n| format!("2001:db8:{n}::1"));
    let crowd: Vec<_> = networks
        .flat_map(|network| {
            let four = std::iter::repeat_n(&medium, 4);
            let [large, four] = [vec![&large], four.collect()];
            let begin = |webhook: &Webhook| begun(&nodes, &from(webhook, &network), 1024);
            large.into_iter().chain(four).map(begin).collect::<Vec<_>>()
        })
        .collect();
    for bytes in [1024, 64 * 1024] {
        let small = from(&of_size(&nodes, bytes), "140.82.112.1");
        assert_eq!(deliver(&nodes, &small), is(200, "ignored"));
    }
    // The control: with the crowd goes what it held.
    drop(crowd);
    for webhook in [&medium, &large] {
        assert_eq!(deliver(&nodes, &from(webhook, "140.82.112.1")), is(200, "ignored"));
    }
}

/// A hook that is set to "form" at GitHub: signed over the form's very bytes.
#[test]
fn a_form_is_read_as_well() {
    let (nodes, [octocat, _]) = world();
    let json = revoked(&nodes, SECRET);
    let payload = String::from_utf8(json.body.to_vec()).expect("JSON");
    let form = crate::support::browser::encode(&[("payload", &payload)]);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut signature = "sha256=".to_owned();
    for byte in ring::hmac::sign(&key, form.as_bytes()).as_ref() {
        write!(signature, "{byte:02x}").expect("memory is written");
    }
    let typed = with(&json, "content-type", &["application/x-www-form-urlencoded"]);
    let form = Webhook { body: form.into(), ..typed };
    nodes.world.github.revoke_grant("octocat");
    assert_eq!(deliver(&nodes, &form), is(403, "webhook-not-signed"), "signed as JSON");
    assert_eq!(status(&octocat), 200);
    assert_eq!(deliver(&nodes, &with(&form, SIGNATURE, &[&signature])), is(200, "done"));
    assert_eq!(status(&octocat), 401);
}

#[test]
fn many_at_once_are_one_effect() {
    let (nodes, [octocat, mona]) = world();
    let (github, webhook, barrier) = (&nodes.world.github, revoked(&nodes, SECRET), Barrier::new());
    github.revoke_grant("octocat");
    github.knobs().on("/applications", Trouble::Hold(barrier.clone()));
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..20).map(|_| scope.spawn(|| deliver(&nodes, &webhook))).collect();
        assert!(barrier.wait_for(1, Duration::from_secs(10)));
        barrier.release();
        for sent in sent {
            let outcome = sent.join().expect("an answer");
            assert!([is(200, "done"), is(200, "duplicate")].contains(&outcome), "{outcome:?}");
        }
    });
    assert_eq!(checks(&nodes), 1, "GitHub is asked once");
    assert_eq!((status(&octocat), status(&mona)), (401, 200));
    assert_eq!(nodes.count(r#"gatekeep_sessions_ended_total{cause="revoked"}"#), 1);
}
