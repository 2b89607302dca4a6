//! Addresses: where to listen, whom to trust, what a site is called.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::super::report::Fault;
use super::{Network, PagesOf, Scalar, TrustedProxy, not};
use crate::broker::{BadRedirect, Redirect};
use crate::origin::Origin;
use crate::route::HostPattern;
use crate::target::parse_host;

impl Scalar for SocketAddr {
    const WHAT: &'static str = "an address such as `0.0.0.0:443` or `\"[::]:443\"`";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| bad_address(text))
    }
}

/// What is not an address to listen on, and the one that may be meant.
fn bad_address(text: &str) -> Fault {
    let fault = not(text, "an IP address with a port");
    let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
    let meant = match (port, text.strip_suffix(port.unwrap_or("")).unwrap_or(text)) {
        (Some(port), "" | ":" | "*:") => return with_a_host(fault, port),
        (Some(port), "localhost:") => Some(format!("127.0.0.1:{port}")),
        _ => text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 443).to_string()),
    };
    fault
        .suggest(meant.as_deref())
        .note("as in `0.0.0.0:443` for every IPv4 address, or `\"[::]:443\"` for every address")
}

/// The way out where a port stands alone.
pub(in crate::config) fn with_a_host(fault: Fault, port: &str) -> Fault {
    fault
        .help(format!("write `0.0.0.0:{port}` or `\"[::]:{port}\"`"))
        .note("`0.0.0.0` is every IPv4 address, `[::]` every IPv6 address as well")
        .note(format!("`127.0.0.1:{port}` is for this machine alone"))
}

impl Scalar for Network {
    const WHAT: &'static str = "an address or a network such as `10.0.0.0/8`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        network.map(Self).map_err(|_| {
            not(text, "an IP address or a network")
                .note("as in `10.1.2.3`, `10.0.0.0/8` or `fd00::/8`")
        })
    }
}

impl Scalar for TrustedProxy {
    const WHAT: &'static str = "an address or a network such as `10.0.0.0/8`, or `unix`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "unix" {
            return Ok(Self::Sockets);
        }
        let network = Network::parse(text)?.0;
        if network.prefix_len() == 0 {
            return Err(Fault::new(format!("`{text}` trusts the whole internet")).note(
                "whoever is trusted can claim any address in `X-Forwarded-For`: name your proxies",
            ));
        }
        Ok(Self::Network(network))
    }
}

impl Scalar for Origin {
    const WHAT: &'static str = "an origin such as `https://auth.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|error: crate::origin::OriginError| {
            let trimmed = text.split_once("://").map(|(scheme, rest)| {
                format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or(rest))
            });
            let host = text.split('/').next().unwrap_or(text);
            let meant = trimmed.unwrap_or_else(|| format!("https://{host}"));
            let meant = meant.parse::<Self>().ok().map(|origin| origin.to_string());
            Fault::new(error.to_string()).suggest(meant.as_deref())
        })
    }
}

impl Scalar for PagesOf {
    const WHAT: &'static str = "an origin such as `https://tools.example.com`, or `\"*\"`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Ok(Self(None));
        }
        Origin::parse(text).map(|origin| Self(Some(origin)))
    }
}

impl Scalar for HostPattern {
    const WHAT: &'static str = "a host such as `notes.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (wildcard, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains('*') {
            return Err(not(text, "a host").note(
                "a wildcard is one `*.` at the beginning: `*.example.com` is every host one label below",
            ));
        }
        let (name, port) = parse_host(rest.as_bytes()).map_err(|_| bad_host(text))?;
        Ok(Self { name: name.as_ref().into(), wildcard, port })
    }
}

impl Scalar for Redirect {
    const WHAT: &'static str = "an origin such as `https://trackeep.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|error: BadRedirect| {
            let fault = Fault::new(error.to_string());
            match error {
                BadRedirect::Form(_) => fault.note(
                    "as in `https://trackeep.example.com` or `https://apps.example.com/trackeep`, in lower case and without the scheme's own port",
                ),
                BadRedirect::Plain(_) => fault.note("write `https://`; plain http is for this machine alone"),
                BadRedirect::Query(_) => {
                    fault.help("leave it out").note("targets keep their own query, whatever it is")
                }
                BadRedirect::Path(_) => fault.note(
                    "a path covers everything below it by itself: single slashes, no dots between them, no wildcards",
                ),
            }
        })
    }
}

/// What is not a host, and the host that may be meant.
fn bad_host(text: &str) -> Fault {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let meant = url::Url::parse(&url).ok().filter(|_| !text.contains('*'));
    let meant = meant.as_ref().and_then(url::Url::host_str);
    let meant = meant
        .map(|host| host.trim_end_matches('.'))
        .filter(|host| parse_host(host.as_bytes()).is_ok());
    not(text, "a host").suggest(meant).note("as in `notes.example.com` or `\"*.example.com\"`")
}
