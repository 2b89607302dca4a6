//! Bodies turned by the scanner, and by the slow way: read it all, walk it, write it.

use std::borrow::Cow;
use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{JSON, bases, turned};
use super::*;

const WRITTEN: [&str; 9] =
    ["body", "message", "text", "description", "patch", "title", "payload", "diff", "fragment"];

fn slowly(value: &mut Value, bases: &Bases) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| slowly(value, bases)),
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) => {
                        if key == "url" || key == "href" || key.ends_with("_url") {
                            *text = location(text, bases).into_owned();
                        }
                    }
                    _ if WRITTEN.contains(&&**key) => {}
                    _ => slowly(value, bases),
                }
            }
        }
        _ => {}
    }
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["url", "html_url", "_url", "href", "rl", "urls", "a\"_url"]),
        3 => prop::sample::select(WRITTEN.to_vec()),
        2 => prop::sample::select(vec!["content", "payloads", "curl", "URL", "", "\u{e9}_url"]),
    ]
    .prop_map(str::to_owned)
}

fn strings() -> impl Strategy<Value = String> {
    let base = prop::sample::select(vec![
        "https://api.github.com",
        "https://uploads.github.com",
        "https://github.com",
        "https://api.github.co",
        "",
    ]);
    let next =
        prop::sample::select(vec!["/", "{", "?", "", "#", ".", "\\", "\"", "\u{e9}", "\u{1}"]);
    let url = (base, next, "[a-z/?{}\"\\\\é\n]{0,24}").prop_map(|(a, b, c)| format!("{a}{b}{c}"));
    prop_oneof![4 => url, 1 => any::<String>()]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => strings().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<i16>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => prop::collection::vec((keys(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a string as some other encoder might: `style` says which letters are escaped.
fn write_string(text: &str, style: u64, out: &mut String) {
    out.push('"');
    for (at, letter) in text.chars().enumerate() {
        let code = u32::from(letter);
        match (letter, style >> (at % 61) & 7) {
            ('/', 1..=4) => out.push_str("\\/"),
            (_, 5) if code < 0x1_0000 => write!(out, "\\u{code:04X}").unwrap(),
            _ => {
                let quoted = Value::from(letter.to_string()).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
    }
    out.push('"');
}

fn write(value: &Value, style: u64, out: &mut String) {
    let space = ["", " ", "\n\t", "\r "][(style % 4) as usize];
    let next = style.rotate_right(7);
    out.push_str(space);
    match value {
        Value::String(text) => {
            write_string(text, if style.is_multiple_of(3) { style } else { 0 }, out);
        }
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { space } else { "," });
                write(value, next, out);
            }
            out.push_str(space);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at == 0 { space } else { "," });
                write_string(key, if style.is_multiple_of(5) { style } else { 0 }, out);
                out.push_str(space);
                out.push(':');
                write(value, next.rotate_left(5), out);
            }
            out.push_str(space);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    out.push_str(space);
}

/// Whether a text is another with an address, in any spelling, at every mark.
fn differs_at_marks_alone(text: &str, marked: &str) -> bool {
    let mut pieces = marked.split("MARK-OF-");
    let mut rest = pieces.next().and_then(|piece| text.strip_prefix(piece));
    for piece in pieces {
        let (host, piece) = piece.split_at(3);
        let address =
            format!("https://{}.github.com", if host == "API" { "api" } else { "uploads" });
        rest = rest.and_then(|rest| after_address(rest, &address)?.strip_prefix(piece));
    }
    rest == Some("")
}

fn after_address<'t>(text: &'t str, address: &str) -> Option<&'t str> {
    (address.len()..=address.len() * 6).find_map(|end| {
        let spelled = format!("\"{}\"", text.get(..end)?);
        let is_it = serde_json::from_str::<String>(&spelled).is_ok_and(|plain| plain == address);
        is_it.then(|| &text[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_fast_way_is_the_slow_way(value in values(), style in any::<u64>()) {
        let mut text = String::new();
        write(&value, style, &mut text);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
        let fast: Value = serde_json::from_str(&turned(&text)).unwrap();
        let mut slow = value;
        slowly(&mut slow, &bases());
        prop_assert_eq!(fast, slow);
    }

    #[test]
    fn every_other_byte_stays(value in values(), style in any::<u64>()) {
        let mut text = String::new();
        write(&value, style, &mut text);
        let marks = Addresses {
            api: "MARK-OF-API".to_owned(),
            graphql: String::new(),
            uploads: "MARK-OF-UPL".to_owned(),
        };
        let marks = Bases::new(&Addresses::upstream("https://api.github.com"), &marks);
        let marked = body(text.as_bytes(), JSON, &marks).into_owned();
        let marked = String::from_utf8(marked).unwrap();
        prop_assert!(differs_at_marks_alone(&text, &marked), "{} -> {}", text, marked);
    }

    #[test]
    fn json_is_what_serde_takes_for_it(
        value in values(),
        style in any::<u64>(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"{}[]\",:\\/u0e-+. \nxt\x01\x7f\xc3".to_vec()),
        cuts in any::<bool>(),
    ) {
        let mut text = String::new();
        write(&json!([value, {"url": "https://api.github.com/"}]), style, &mut text);
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        if cuts { _ = bytes.remove(at) } else { bytes[at] = byte }
        let out = body(&bytes, JSON, &bases());
        let is_json = std::str::from_utf8(&bytes)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        if !is_json {
            prop_assert!(matches!(out, Cow::Borrowed(_)));
        } else if let Ok(mut slow) = serde_json::from_slice::<Value>(&bytes) {
            slowly(&mut slow, &bases());
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), slow);
        }
    }
}
