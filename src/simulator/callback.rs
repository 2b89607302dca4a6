//! Which callbacks the app may be answered at.

use url::{Host, Url};

use super::{github::Shared, record::lock};

/// The callback asked for if the app may use it: same origin as a registered one and at or below
/// its path. With none registered, any on a loopback address.
pub(super) fn allowed(shared: &Shared, asked: Option<String>) -> Option<Url> {
    let registered = lock(&shared.world).callbacks.clone();
    let asked = match asked {
        Some(asked) => asked,
        None => registered.first()?.clone(),
    };
    let asked = Url::parse(&asked).ok()?;
    let allowed = if registered.is_empty() {
        asked.scheme() == "http" && loopback(&asked)
    } else {
        registered.iter().filter_map(|known| Url::parse(known).ok()).any(|of| below(&of, &asked))
    };
    allowed.then_some(asked)
}

fn below(registered: &Url, asked: &Url) -> bool {
    let rest = asked.path().strip_prefix(registered.path().trim_end_matches('/'));
    asked.origin() == registered.origin()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_stays_at_or_below_the_registered_one() {
        let of = Url::parse("https://gate.example/.gatekeep").unwrap();
        for (asked, fine) in [
            ("https://gate.example/.gatekeep", true),
            ("https://gate.example/.gatekeep/callback?x=1", true),
            ("https://gate.example/.gatekeeper", false),
            ("https://gate.example/.gatekeep/../evil", false),
            ("http://gate.example/.gatekeep", false),
            ("https://gate.example:8443/.gatekeep", false),
            ("https://gate.example.evil.example/.gatekeep", false),
        ] {
            assert_eq!(below(&of, &Url::parse(asked).unwrap()), fine, "{asked}");
        }
    }
}
