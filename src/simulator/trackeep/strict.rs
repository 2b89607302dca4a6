//! JSON as Go's `encoding/json` takes it into a struct: a wrong type is an error, what is missing or
//! `null` is nothing, what is unknown is ignored.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads an object; the error is what the visitor of an instance gets to see.
pub(super) fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    // By way of a value, for there the last of equal names counts, as in Go.
    match serde_json::from_slice(body) {
        Ok(Value::Null) => Ok(T::default()),
        Ok(object @ Value::Object(_)) => {
            serde_json::from_value(object).map_err(|why| format!("json: cannot unmarshal: {why}"))
        }
        Ok(_) => Err("json: cannot unmarshal into Go value".to_owned()),
        Err(why) => Err(format!("json: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Thing {
        id: Option<i64>,
        name: Option<String>,
        on: Option<bool>,
    }

    #[test]
    fn a_type_is_right_or_an_error() {
        let thing = |id| Thing { id, ..Thing::default() };
        for (text, expected) in [
            (r#"{"id":7,"else":[1]}"#, thing(Some(7))),
            (r#"{"id":1,"id":7}"#, thing(Some(7))),
            (r#"{"id":null}"#, thing(None)),
            ("{}", thing(None)),
            ("null", thing(None)),
        ] {
            assert_eq!(read::<Thing>(text.as_bytes()), Ok(expected), "{text}");
        }
        for wrong in [
            r#"{"id":"7"}"#,
            r#"{"id":7.0}"#,
            r#"{"id":1e3}"#,
            r#"{"id":9223372036854775808}"#,
            r#"{"name":7}"#,
            r#"{"on":"true"}"#,
            r#"{"on":1}"#,
            "[7,null,null]",
            "\"\"",
            "<html>",
            "",
        ] {
            assert!(read::<Thing>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
