//! A query by its parameters, as servers of any kind would read them.

use std::borrow::Cow;

/// The parts of a query, each with the byte before it. Most servers part at `&` alone, some at `;` too.
fn parts(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(("", query));
    std::iter::from_fn(move || {
        let (before, text) = rest?;
        let end = text.find(['&', ';']);
        rest = end.map(|at| (&text[at..=at], &text[at + 1..]));
        Some((before, &text[..end.unwrap_or(text.len())]))
    })
}

/// Name and value of a part, decoded.
fn pair(part: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    url::form_urlencoded::parse(part.as_bytes()).next()
}

/// The query without the parameters of these names, in any letter case and however encoded; `None`
/// where it has none of them.
pub(crate) fn without(query: &str, names: &[Box<str>]) -> Option<String> {
    let is_unwanted = |part: &str| {
        pair(part).is_some_and(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(&name)))
    };
    if !parts(query).any(|(_, part)| is_unwanted(part)) {
        return None;
    }
    let mut kept = String::with_capacity(query.len());
    for (before, part) in parts(query).filter(|(_, part)| !is_unwanted(part)) {
        if !kept.is_empty() {
            kept.push_str(before);
        }
        kept.push_str(part);
    }
    Some(kept)
}

/// Every value of a parameter, its name in any letter case. A value that holds a `;` is there whole as
/// well, for servers that do not part at it.
pub(crate) fn values<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = Cow<'q, str>> {
    let whole = query.split('&').filter(|part| part.contains(';'));
    let all = parts(query).map(|(_, part)| part).chain(whole).filter_map(pair);
    all.filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_in_every_spelling_and_the_others_stay_as_they_were() {
        let names = ["token".into(), "api_key".into()];
        for (query, left) in [
            ("token=x", Some("")),
            ("a=1&token=x&b=2", Some("a=1&b=2")),
            ("token=x&a=%20b+c", Some("a=%20b+c")),
            ("a&token", Some("a")),
            ("Token=x&TOKEN=y&a", Some("a")),
            ("t%6fken=x&%74%6F%6B%65%6E=y&a", Some("a")),
            ("a=1;token=x;b=2", Some("a=1;b=2")),
            ("a;token=x&b", Some("a&b")),
            ("api_key=1&token=2", Some("")),
            ("a=token", None),
            ("tokens=1&xtoken=2&token%20=3", None),
            ("a=1&&b=2", None),
            ("", None),
        ] {
            assert_eq!(without(query, &names).as_deref(), left, "{query}");
        }
    }

    #[test]
    fn every_value_is_seen_that_some_server_sees() {
        for (query, found) in [
            ("to=a&x=b&TO=%63", &["a", "c"][..]),
            ("x=1;to=a", &["a"]),
            ("to=a;to=b", &["a", "b", "a;to=b"]),
            ("to", &[""]),
            ("t%6F=+a", &[" a"]),
            ("xto=a", &[]),
        ] {
            assert_eq!(values(query, "to").collect::<Vec<_>>(), found, "{query}");
        }
    }
}
