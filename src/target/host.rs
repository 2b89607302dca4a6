//! The host of a request: one plain name, in lower case (RFC 9110 §4.2.3, RFC 3986 §3.2.2).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::Ambiguity;

/// Reads `name[:port]` into the lower-case name and the port.
pub(crate) fn parse_host(bytes: &[u8]) -> Result<(Cow<'_, str>, Option<u16>), Ambiguity> {
    let text = std::str::from_utf8(bytes).map_err(|_| Ambiguity::HostMalformed)?;
    let name_end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').map(|at| at + 2).ok_or(Ambiguity::HostMalformed)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (name, port) = text.split_at(name_end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| Ambiguity::HostMalformed)?)
        }
        _ => return Err(Ambiguity::HostMalformed),
    };
    Ok((host_name(name)?, port))
}

fn host_name(name: &str) -> Result<Cow<'_, str>, Ambiguity> {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| Ambiguity::HostMalformed)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Ambiguity::HostMalformed);
    }
    Ok(if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}
