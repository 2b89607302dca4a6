//! Whoever can write to Redis but has not the secret: rows altered, and rows in each other's place.
//! Nobody becomes anybody else for it, and no cookie opens a session that is not its own.

use std::time::Duration;

use redis::Commands;

use super::{APP, OPEN, PATIENT};
use crate::support::Gate;
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::support::redis_nodes::{Nodes, Visitor, user, words};

const PEOPLE: [&str; 2] = ["octocat", "mona"];

/// What GitHub said is a minute old.
const KEYS: &str = "session: { recheck: 1m, recheck_grace: 1m }\n";

/// A Redis with two people in it, and its rows.
struct Attacked {
    nodes: Nodes,
    browsers: [Browser; 2],
    redis: redis::Connection,
    rows: Vec<(String, Vec<u8>)>,
}

// === impl Attacked ===

impl Attacked {
    fn new() -> Option<Self> {
        let nodes = Nodes::start(KEYS, OPEN, PATIENT)?;
        let browsers = PEOPLE.map(|person| nodes.world.signed_in(person, APP).0);
        let client = redis::Client::open(nodes.redis.url()).expect("a URL");
        let mut redis = client.get_connection().expect("Redis is there");
        let names: Vec<String> = redis.scan().expect("names").map(|n| n.expect("a name")).collect();
        let is_row = |name: &&String| !["gatekeep:news", "gatekeep:epoch"].contains(&name.as_str());
        let mut rows: Vec<(String, Vec<u8>)> = names
            .iter()
            .filter(is_row)
            .map(|name| (name.clone(), redis.get(name).expect("a row")))
            .collect();
        rows.sort();
        let tables =
            ["account", "credential", "session", "signing-keys", "spent-attempt", "ticket"];
        for table in tables {
            assert!(rows.iter().any(|(name, _)| table_of(name) == table), "a row of {table}");
        }
        Some(Self { nodes, browsers, redis, rows })
    }

    fn put(&mut self, name: &str, value: &[u8]) {
        let _: () = self.redis.set_options(name, value, keep()).expect("Redis is there");
    }

    /// What a gateway that has seen nothing yet shows to each of the two, at each host.
    fn seen_by(&self, gate: &Gate) -> Vec<(usize, Response)> {
        let pages = [APP, "https://auth.example.com/page"];
        let ask = |n: usize, page: &str| self.browsers[n].at(gate.address).fetch(page);
        pages.iter().flat_map(|page| [0, 1].map(|n| (n, ask(n, page)))).collect()
    }

    fn fresh(&self) -> Gate {
        self.nodes.fresh(KEYS, OPEN)
    }

    /// Nobody is taken for the other; how many were let in.
    fn let_in(&self, gate: &Gate, what: &str) -> usize {
        let seen = self.seen_by(gate);
        for (n, page) in &seen {
            match page.status {
                200 => assert_eq!(user(page).as_deref(), Some(PEOPLE[*n]), "{what}"),
                401 | 503 => assert_eq!(page.all("set-cookie").count(), 0, "{what}"),
                other => panic!("{what}: {other} {}", page.text()),
            }
        }
        seen.iter().filter(|(_, page)| page.status == 200).count()
    }
}

fn keep() -> redis::SetOptions {
    redis::SetOptions::default().with_expiration(redis::SetExpiry::KEEPTTL)
}

fn table_of(name: &str) -> &str {
    name.split(':').nth(1).expect("prefix, table, key")
}

/// Every bit of the rows that make up one person's session is flipped, one at a time.
#[test]
fn a_row_with_any_bit_flipped_opens_nothing() {
    let Some(mut attacked) = Attacked::new() else { return };
    let gate = attacked.fresh();
    assert_eq!(attacked.let_in(&attacked.fresh(), "unaltered"), 4, "control");
    let mut visitors: Vec<_> =
        attacked.browsers.iter().map(|browser| Visitor::new(&gate, browser, APP)).collect();
    let mut flipped = 0;
    for table in ["ticket", "session", "account"] {
        // Everybody's: all are altered at once, so that it matters not whose is whose.
        let rows: Vec<_> =
            attacked.rows.iter().filter(|(name, _)| table_of(name) == table).cloned().collect();
        let longest = rows.iter().map(|(_, row)| row.len()).max().expect("there is one");
        for bit in 0..longest * 8 {
            for (name, row) in &rows {
                let mut altered = row.clone();
                let place = bit / 8 % row.len();
                altered[place] ^= 1 << (bit % 8);
                attacked.put(name, &altered);
                flipped += 1;
            }
            for visitor in &mut visitors {
                assert_eq!(words(&visitor.ask()), "401 session-ended", "bit {bit} of a {table}");
            }
        }
        for (name, row) in &rows {
            attacked.put(name, row);
        }
    }
    println!("{flipped} altered rows opened nothing");
    assert_eq!(attacked.let_in(&gate, "unaltered again"), 4, "control");
}

/// Every row's value is put into every other row's place, within tables and across, one way and
/// both ways; each time a gateway that has seen nothing yet is asked.
#[test]
fn a_row_in_another_place_opens_nothing() {
    let Some(mut attacked) = Attacked::new() else { return };
    let rows = attacked.rows.clone();
    let (mut tried, mut unharmed) = (0, 0);
    for (a, (to, own)) in rows.iter().enumerate() {
        for (b, (from, value)) in rows.iter().enumerate().filter(|(b, _)| *b != a) {
            let same = table_of(to) == table_of(from);
            // Across tables each pair once is enough; within one, both ways at once as well.
            for both in [false, true].into_iter().filter(|both| !both || (same && a < b)) {
                attacked.put(to, value);
                if both {
                    attacked.put(from, own);
                }
                let gate = attacked.fresh();
                let what = format!("{from} into {to}, both ways: {both}");
                let let_in = attacked.let_in(&gate, &what);
                let at_stake = ["account", "session", "ticket"].contains(&table_of(to));
                assert!(!at_stake || let_in < 4, "{what}: it is as if nothing had happened");
                unharmed += usize::from(let_in == 4);
                tried += 1;
                attacked.put(to, own);
                attacked.put(from, value);
            }
        }
    }
    println!("{tried} exchanges made nobody anybody else; {unharmed} harmed nobody");
    assert_eq!(attacked.let_in(&attacked.fresh(), "unaltered again"), 4, "control");
}

/// With the tokens of both exchanged, GitHub is asked in nobody's name: what one's token says never
/// counts for the other.
#[test]
fn exchanged_tokens_speak_for_nobody() {
    let Some(mut attacked) = Attacked::new() else { return };
    let rows = attacked.rows.clone();
    let of_table = |table: &str| rows.iter().filter(|row| table_of(&row.0) == table).count();
    assert_eq!(of_table("credential"), 2);
    let tokens: Vec<_> =
        rows.iter().filter(|(name, _)| table_of(name) == "credential").cloned().collect();
    attacked.put(&tokens[0].0, &tokens[1].1);
    attacked.put(&tokens[1].0, &tokens[0].1);
    attacked.nodes.advance(Duration::from_secs(61));
    let asked = attacked.nodes.world.github.calls("GET /user");
    let gate = attacked.fresh();
    for (_, page) in attacked.seen_by(&gate) {
        assert_eq!(words(&page), "401 facts-outdated");
    }
    assert_eq!(attacked.nodes.world.github.calls("GET /user"), asked);
    attacked.put(&tokens[0].0, &tokens[0].1);
    attacked.put(&tokens[1].0, &tokens[1].1);
    assert_eq!(attacked.let_in(&gate, "unaltered again"), 4, "control");
}
