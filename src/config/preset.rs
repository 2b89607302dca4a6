//! Presets: what is known of an app, put into its route as if it had been written there.
//!
//! A preset is text in the words of the configuration itself. What the route says stays; its rules
//! and those of the preset are put together. Everything that comes from a preset stands where the
//! route names it.

use super::locate::{Node, Place, Source, Value};

/// Keys and values.
type Pairs = Vec<(Node, Node)>;

/// What a route says of its preset.
struct Wish {
    /// Where it says so.
    place: Place,
    /// The options that hold.
    options: Vec<&'static str>,
    /// What stands in the place of words such as `@admins`.
    values: Vec<(&'static str, Node)>,
}

const TRACKEEP: &str = include_str!("preset/trackeep.yaml");

/// Options whose values stand in a preset, and the words that they take the place of.
const VALUES: [(&str, &str); 2] = [("admins", "@admins"), ("backend", "@backend")];

/// Puts the presets that routes name into them. What cannot be read is left for the check, which
/// says why.
pub(super) fn expand(whole: &mut Node) {
    let Value::Mapping(pairs) = &mut whole.value else { return };
    let routes = pairs.iter_mut().filter(|(key, _)| key.text() == Some("routes"));
    for (_, routes) in routes {
        let Value::Sequence(routes) = &mut routes.value else { continue };
        for route in routes {
            if let Value::Mapping(route) = &mut route.value
                && let Some(wish) = wish(route)
            {
                fill(route, &wish);
            }
        }
    }
}

/// The preset that a route names, where it can have one: it is about all paths of an app.
fn wish(route: &Pairs) -> Option<Wish> {
    let is_whole = value(route, "path").is_none_or(|path| path.text() == Some("/"));
    let upstream = value(route, "upstream");
    let is_app = upstream.is_none_or(|it| it.text().is_some_and(|text| text != "github"));
    let preset = value(route, "preset").filter(|_| is_whole && is_app)?;
    let place = preset.place.clone();
    let none = Vec::new();
    let options = match &preset.value {
        Value::Scalar(name) if name == "trackeep" => &none,
        Value::Mapping(kinds) => match &value(kinds, "trackeep")?.value {
            Value::Mapping(options) => options,
            _ => &none,
        },
        _ => return None,
    };
    let is = |name: &str, usually: bool| {
        value(options, name).and_then(Node::text).map_or(usually, |text| text == "true")
    };
    let switches = [
        ("local_login", is("local_login", false)),
        ("clients", is("clients", true)),
        ("seated", is_seated(route)),
    ];
    let on = switches.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name);
    let said = |name| value(options, name).filter(|node| !matches!(node.value, Value::Null));
    let given = VALUES.into_iter().filter_map(|(name, word)| Some((name, word, said(name)?)));
    let options = on.chain(given.clone().map(|(name, ..)| name)).collect();
    let values = given.map(|(_, word, node)| (word, node.clone())).collect();
    Some(Wish { place, options, values })
}

/// Whether the gateway keeps the app's token, so that none comes from a browser.
fn is_seated(route: &Pairs) -> bool {
    value(route, "sign_in").is_some_and(|sign_in| match &sign_in.value {
        Value::Mapping(keys) => value(keys, "by").is_none_or(|by| by.text() == Some("gateway")),
        _ => false,
    })
}

/// Adds what the route does not say itself.
fn fill(route: &mut Pairs, wish: &Wish) {
    for (key, preset) in expanded(wish) {
        let name = key.text().unwrap_or_default().to_owned();
        let said = route.iter_mut().find(|(known, _)| known.text() == Some(name.as_str()));
        match (said.map(|(_, value)| value), name.as_str()) {
            (None, _) => route.push((key, preset)),
            (Some(said), "rules") => together(said, preset),
            (Some(said), "timeouts") => missing(said, preset),
            _ => {}
        }
    }
}

/// The keys of the preset with these options.
fn expanded(wish: &Wish) -> Pairs {
    let mut whole: Pairs = Vec::new();
    let parts = Source::new(TRACKEEP).read().expect("the preset is YAML");
    let Value::Sequence(parts) = parts.value else { return whole };
    for part in parts {
        let Value::Mapping(mut keys) = part.value else { continue };
        if !holds(&keys, &wish.options) {
            continue;
        }
        keys.retain(|(key, _)| !matches!(key.text(), Some("if" | "unless")));
        for (mut key, mut value) in keys {
            settle(&mut key, wish);
            settle(&mut value, wish);
            let known = whole.iter_mut().find(|(known, _)| known.text() == key.text());
            match (known.map(|(_, known)| &mut known.value), value.value) {
                (Some(Value::Sequence(items)), Value::Sequence(more)) => items.extend(more),
                (_, text) => whole.push((key, Node { place: value.place, value: text })),
            }
        }
    }
    whole
}

fn holds(part: &Pairs, options: &[&str]) -> bool {
    let names = |key: &str| match value(part, key).map(|node| &node.value) {
        Some(Value::Sequence(names)) => names.iter().filter_map(Node::text).collect(),
        _ => Vec::new(),
    };
    names("if").iter().all(|name| options.contains(name))
        && !names("unless").iter().any(|name| options.contains(name))
}

/// Puts a value of the preset where the route names it.
fn settle(node: &mut Node, wish: &Wish) {
    let mut values = wish.values.iter();
    if let Some((_, given)) = values.find(|(word, _)| node.text() == Some(*word)) {
        *node = given.clone();
        return;
    }
    node.place = wish.place.clone();
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| settle(item, wish)),
        Value::Mapping(pairs) => {
            for (key, value) in pairs {
                settle(key, wish);
                settle(value, wish);
            }
        }
    }
}

/// The route's rules with those of the preset. A rule of the route's takes the place of one for the
/// very same path; a rule of the preset comes before one of the route's for all that is above it, for
/// the first that matches decides. Whom the route's own rule lets in there counts all the same.
fn together(said: &mut Node, preset: Node) {
    let (Value::Sequence(rules), Value::Sequence(more)) = (&mut said.value, preset.value) else {
        return;
    };
    let own = rules.clone();
    for rule in more {
        let path = path_of(&rule).unwrap_or_default().to_owned();
        if own.iter().any(|known| path_of(known) == Some(path.as_str()) && takes_all(known)) {
            continue;
        }
        let covers = |known: &Node| {
            path_of(known).is_some_and(|known| known == path || is_above(known, &path))
        };
        let above = |known: &Node| path_of(known).is_some_and(|known| is_above(known, &path));
        let place = rules.iter().position(above).unwrap_or(rules.len());
        let allowed = with_what_is_allowed(rule, own.iter().filter(|known| covers(known)));
        rules.splice(place..place, allowed);
    }
}

/// A rule of the preset that leaves open who may pass, once for each rule of the route's that does
/// not, and once for what these leave over.
fn with_what_is_allowed<'o>(rule: Node, own: impl Iterator<Item = &'o Node>) -> Vec<Node> {
    let mut all = Vec::new();
    if of(&rule, "allow").is_some() {
        return vec![rule];
    }
    for known in own {
        let Some(allow) = of(known, "allow") else { continue };
        let Some(methods) = common(of(&rule, "methods"), of(known, "methods")) else { continue };
        let mut copy = rule.clone();
        let Value::Mapping(keys) = &mut copy.value else { continue };
        // A token of the app's own would pass by it.
        keys.retain(|(key, _)| !matches!(key.text(), Some("bearer" | "methods")));
        keys.push((named("allow", &rule), allow.clone()));
        keys.extend(methods.map(|methods| (named("methods", &rule), methods)));
        all.push(copy);
        if takes_all(known) {
            return all;
        }
    }
    all.push(rule);
    all
}

/// The methods that two rules share; `None` where they share none.
#[expect(clippy::option_option, reason = "none at all, or all of them")]
fn common(one: Option<&Node>, other: Option<&Node>) -> Option<Option<Node>> {
    let (Some(one), Some(other)) = (one, other) else {
        return Some(one.or(other).cloned());
    };
    let (Value::Sequence(ones), Value::Sequence(others)) = (&one.value, &other.value) else {
        return Some(Some(one.clone()));
    };
    let is_shared = |name: &&Node| others.iter().any(|known| known.text() == name.text());
    let shared: Vec<_> = ones.iter().filter(is_shared).cloned().collect();
    let place = one.place.clone();
    (!shared.is_empty()).then_some(Some(Node { place, value: Value::Sequence(shared) }))
}

fn named(key: &str, rule: &Node) -> Node {
    Node { place: rule.place.clone(), value: Value::Scalar(key.to_owned()) }
}

fn of<'n>(rule: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Mapping(keys) = &rule.value else { return None };
    value(keys, key)
}

fn path_of(rule: &Node) -> Option<&str> {
    let Value::Mapping(rule) = &rule.value else { return None };
    value(rule, "path").and_then(Node::text).map(|path| path.trim_end_matches('/'))
}

fn takes_all(rule: &Node) -> bool {
    matches!(&rule.value, Value::Mapping(rule) if value(rule, "methods").is_none())
}

/// Whether a path lies below another, by whole segments.
fn is_above(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The keys that a mapping of the route's does not have.
fn missing(said: &mut Node, preset: Node) {
    let (Value::Mapping(said), Value::Mapping(preset)) = (&mut said.value, preset.value) else {
        return;
    };
    for (key, node) in preset {
        if value(said, key.text().unwrap_or_default()).is_none() {
            said.push((key, node));
        }
    }
}

fn value<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p Node> {
    pairs.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
}
