//! What a webhook carries: an event as JSON, or as the one field of a form; up to 25 MB, of which
//! little is read. Of the rest it is known that it is there: by that one event is told from another.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{api, dating};
use crate::freshness::tags;

/// The members of an event: those that are heeded, and nothing in the place of the others.
struct Event(Value);

struct Reading;

/// Members that are known of; GitHub's events have some twenty.
const MOST: usize = 256;

/// The event in a body of this type; `None` where it cannot be read.
pub(super) fn event(content_type: &str, body: &[u8]) -> Option<Value> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return read(body);
    }
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return read(field(body)?.as_bytes());
    }
    None
}

/// The field `payload`, which must be there once.
fn field(form: &[u8]) -> Option<Cow<'_, str>> {
    let mut fields = url::form_urlencoded::parse(form).filter(|(name, _)| name == "payload");
    let (_, payload) = fields.next()?;
    fields.next().is_none().then_some(payload)
}

fn is_heeded(member: &str) -> bool {
    tags::is_heeded(member) || dating::is_heeded(member) || api::is_heeded(member)
}

fn read(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok().map(|Event(value)| value)
}

// === impl Event ===

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Reading)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event of a webhook")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Event, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if is_heeded(&name) {
                members.insert(name, object.next_value()?);
                continue;
            }
            object.next_value::<IgnoredAny>()?;
            if members.len() < MOST {
                members.insert(name, Value::Null);
            }
        }
        Ok(Event(Value::Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const JSON: &str = "application/json; charset=utf-8";
    const FORM: &str = "Application/X-WWW-Form-Urlencoded";

    #[test]
    fn an_event_is_read_from_json_and_from_a_form() {
        let expected = Some(json!({
            "action": "opened", "commits": null, "issue": {"number": 7}, "zen": null,
        }));
        let text = r#"{"action":"opened","commits":[{"a":1}],"issue":{"number":7},"zen":"x"}"#;
        assert_eq!(event(JSON, text.as_bytes()), expected);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("payload", text).finish();
        assert_eq!(event(FORM, form.as_bytes()), expected);
        assert_eq!(event(FORM, format!("other=1&{form}").as_bytes()), expected);
    }

    #[test]
    fn of_many_members_those_are_known_that_are_heeded() {
        let many = (0..3 * MOST).map(|n| (format!("member-{n}"), json!([n])));
        let mut members: Map<_, _> = many.collect();
        members.insert("sender".to_owned(), json!({"id": 7}));
        let read = event(JSON, Value::Object(members).to_string().as_bytes()).unwrap();
        assert!(read.as_object().unwrap().len() <= MOST + 1);
        assert_eq!(read["sender"]["id"], 7);
    }

    #[test]
    fn anything_else_cannot_be_read() {
        for (kind, body) in [
            ("", "{}"),
            ("text/plain", "{}"),
            (JSON, ""),
            (JSON, "[]"),
            (JSON, "7"),
            (JSON, "{}x"),
            (JSON, "payload={}"),
            (FORM, "{}"),
            (FORM, ""),
            (FORM, "payload="),
            (FORM, "payload={}&payload={}"),
        ] {
            assert_eq!(event(kind, body.as_bytes()), None, "{kind} {body}");
        }
        assert_eq!(event(FORM, b"payload={}"), Some(json!({})));
    }
}
