//! Pages of a list: when a 304 may hide that there is one page more.
//!
//! GitHub's tag of a page is over its body. A full last page stays the same when something is added
//! behind it, and the 304 that says so need not tell of the new page.
//! <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A page as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPage<'a> {
    /// Its `Link`, as GitHub gave it last.
    pub link: Option<&'a str>,
    /// How many items it has, by [`items_of`].
    pub items: Option<usize>,
    /// How many it could have, by [`per_page`].
    pub per_page: usize,
    /// Since when its `Link` is known.
    pub link_age: Duration,
    /// Whether a healthy webhook tells of changes.
    pub covered: bool,
}

/// What becomes of a page's `Link` when GitHub says that its body still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkVerdict {
    /// The stored one stays.
    Keep,
    /// The one that came takes its place.
    Replace,
    /// The page must be asked for again, without a condition.
    Refetch,
}

/// How long the number of the last page is believed: clients fan out to all pages at once.
const LAST_PAGE: Duration = Duration::from_secs(300);

/// The same where a webhook tells of changes.
const LAST_PAGE_COVERED: Duration = Duration::from_secs(3600);

/// How many items a page has unless the client says otherwise.
const USUAL_PAGE: usize = 30;

/// How many it has at most.
const LARGEST_PAGE: usize = 100;

/// What to do with the `Link` of a stored page after a 304 with or without a `Link` of its own.
pub fn on_not_modified(stored: &StoredPage<'_>, new_link: Option<&str>) -> LinkVerdict {
    let trusted_for = if stored.covered { LAST_PAGE_COVERED } else { LAST_PAGE };
    let leads = |rel: &str| stored.link.is_some_and(|link| has_rel(link, rel));
    let is_full = stored.items == Some(stored.per_page);
    if new_link.is_some() {
        LinkVerdict::Replace
    } else if is_full && !leads("next") || leads("last") && stored.link_age > trusted_for {
        LinkVerdict::Refetch
    } else {
        LinkVerdict::Keep
    }
}

/// How many items a page has: the length of an array, or of the one array in an envelope, which is
/// an object with a `total_count`. `None` for anything that is no list.
pub fn items_of(body: &[u8]) -> Option<usize> {
    match serde_json::from_slice(body).ok()? {
        Shape::Array(items) | Shape::Envelope(items) => Some(items),
        Shape::Other => None,
    }
}

/// How many items a page can have, by its query: 30 unless the client asks for another number, and
/// never more than 100.
pub fn per_page(query: Option<&str>) -> usize {
    let pairs = query.unwrap_or_default().split('&');
    let asked = pairs.rev().find_map(|pair| pair.strip_prefix("per_page="));
    let number = asked.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
    number.unwrap_or(USUAL_PAGE).min(LARGEST_PAGE)
}

/// Whether a `Link` has this relation (RFC 8288 §3.3), in the parameters between two addresses.
fn has_rel(link: &str, rel: &str) -> bool {
    let between = link.split('>').skip(1).map(|after| after.split('<').next().unwrap_or(after));
    let params = between.flat_map(|params| params.split([';', ',']));
    let mut rels = params.filter_map(|param| param.trim().strip_prefix("rel="));
    rels.any(|value| value.trim_matches('"').split(' ').any(|one| one.eq_ignore_ascii_case(rel)))
}

/// A JSON value, looked at from a distance: nothing of it is built.
enum Shape {
    Array(usize),
    /// With the length of its one array.
    Envelope(usize),
    Other,
}

// === impl Shape ===

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Looking)
    }
}

struct Looking;

impl<'de> Visitor<'de> for Looking {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Shape, A::Error> {
        let mut items = 0;
        while array.next_element::<IgnoredAny>()?.is_some() {
            items += 1;
        }
        Ok(Shape::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Shape, A::Error> {
        let (mut counted, mut arrays) = (false, Vec::new());
        while let Some(name) = object.next_key::<String>()? {
            counted |= name == "total_count";
            if let Shape::Array(length) = object.next_value()? {
                arrays.push(length);
            }
        }
        Ok(match arrays[..] {
            [items] if counted => Shape::Envelope(items),
            _ => Shape::Other,
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "<https://h/repositories/7/issues?page=2>; rel=\"next\"";
    const BACK: &str = "<https://h/x?page=1>; rel=\"prev\", <https://h/x?page=1>; rel=\"first\"";
    const FAR: &str = "<https://h/x?page=2>; rel=\"next\", <https://h/x?page=9>; rel=\"last\"";

    fn page(link: Option<&'static str>, items: usize, age: u64) -> StoredPage<'static> {
        let link_age = Duration::from_secs(age);
        StoredPage { link, items: Some(items), per_page: 30, link_age, covered: false }
    }

    fn verdict(stored: StoredPage<'_>) -> LinkVerdict {
        on_not_modified(&stored, None)
    }

    #[test]
    fn a_link_that_comes_with_a_304_is_the_new_one() {
        for stored in [page(None, 30, 0), page(Some(FAR), 30, 9999), page(Some(BACK), 1, 0)] {
            assert_eq!(on_not_modified(&stored, Some(NEXT)), LinkVerdict::Replace);
        }
    }

    #[test]
    fn a_full_last_page_is_asked_for_again() {
        assert_eq!(verdict(page(None, 30, 0)), LinkVerdict::Refetch);
        assert_eq!(verdict(page(Some(BACK), 30, 0)), LinkVerdict::Refetch);
        let deprecated = "<https://docs.github.com/x>; rel=\"deprecation\"";
        assert_eq!(verdict(page(Some(deprecated), 30, 0)), LinkVerdict::Refetch);
        assert_eq!(verdict(page(Some(NEXT), 30, 0)), LinkVerdict::Keep);
        for items in [0, 29, 31, 100] {
            assert_eq!(verdict(page(None, items, 9999)), LinkVerdict::Keep, "{items}");
        }
        assert_eq!(verdict(StoredPage { items: None, ..page(None, 30, 0) }), LinkVerdict::Keep);
        assert_eq!(
            verdict(StoredPage { per_page: 100, ..page(None, 100, 0) }),
            LinkVerdict::Refetch
        );
    }

    #[test]
    fn the_number_of_the_last_page_is_believed_for_a_while() {
        assert_eq!(verdict(page(Some(FAR), 30, 300)), LinkVerdict::Keep);
        assert_eq!(verdict(page(Some(FAR), 30, 301)), LinkVerdict::Refetch);
        assert_eq!(verdict(page(Some(NEXT), 30, 301)), LinkVerdict::Keep);
        let covered = |age| StoredPage { covered: true, ..page(Some(FAR), 30, age) };
        assert_eq!(verdict(covered(3600)), LinkVerdict::Keep);
        assert_eq!(verdict(covered(3601)), LinkVerdict::Refetch);
    }

    #[test]
    fn relations_are_read_from_parameters_alone() {
        for (link, fits) in [
            (NEXT, true),
            (FAR, true),
            (BACK, false),
            ("<https://h/x?a=1,2>;rel=next", true),
            ("<https://h/x>; title=\"x\"; rel=\"prev next\"", true),
            ("<https://h/x?rel=next>; rel=\"prev\"", false),
            ("<https://h/x?a;rel=next>; rel=\"prev\"", false),
            ("<https://h/x>; rel=\"prev\", <https://h/x?a;rel=next>; rel=\"first\"", false),
            ("<https://h/x>; rel=\"nextish\"", false),
            ("", false),
        ] {
            assert_eq!(has_rel(link, "next"), fits, "{link}");
        }
    }

    #[test]
    fn items_are_counted_in_arrays_and_envelopes() {
        for (body, items) in [
            ("[]", Some(0)),
            (r#"[1,"a",null,[1,2],{"a":[1]},1.5,-1,true]"#, Some(8)),
            (r#"{"total_count":2,"incomplete_results":false,"items":[{"a":[]},{}]}"#, Some(2)),
            (r#"{"total_count":0,"workflow_runs":[]}"#, Some(0)),
            (r#"{"total_count":0,"a":[],"b":[]}"#, None),
            (r#"{"total_count":0}"#, None),
            (r#"{"id":7,"assets":[1,2]}"#, None),
            ("{}", None),
            ("7", None),
            ("null", None),
            ("\"[]\"", None),
            ("[1,2", None),
            ("[1] [2]", None),
            ("diff --git a/x b/x", None),
            ("", None),
        ] {
            assert_eq!(items_of(body.as_bytes()), items, "{body}");
        }
    }

    #[test]
    fn a_page_has_thirty_items_unless_the_client_asks_for_others() {
        for (query, items) in [
            (None, 30),
            (Some(""), 30),
            (Some("page=2"), 30),
            (Some("page=2&per_page=5"), 5),
            (Some("per_page=100"), 100),
            (Some("per_page=101"), 100),
            (Some("per_page=0"), 30),
            (Some("per_page=-1"), 30),
            (Some("per_page=x"), 30),
            (Some("per_page=5&per_page=7"), 7),
            (Some("xper_page=5"), 30),
        ] {
            assert_eq!(per_page(query), items, "{query:?}");
        }
    }
}
