//! Fetches the gateway's published keys over plain HTTP, with nothing but a socket.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST: u64 = 256 * 1024;

/// The P-256 key of this id as an uncompressed point, or what prevented finding it.
pub(super) fn find_key(url: &str, kid: Option<&str>) -> Result<Vec<u8>, String> {
    let set = fetch(url).map_err(|why| format!("the keys at {url} cannot be had: {why}"))?;
    key_in(&set, kid)
}

fn key_in(set: &Value, kid: Option<&str>) -> Result<Vec<u8>, String> {
    let keys = set["keys"].as_array().ok_or("the published keys are not a JWKS")?;
    let fits = |key: &&Value| {
        key["kty"] == "EC" && key["crv"] == "P-256" && kid.is_none_or(|kid| key["kid"] == kid)
    };
    let key = keys.iter().find(fits).ok_or_else(|| match kid {
        Some(kid) => format!("no published key has the id {kid}"),
        None => "no published key is for ES256".to_owned(),
    })?;
    let coordinate = |name: &str| {
        let bytes = key[name].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.filter(|bytes| bytes.len() == 32).ok_or("the published key is malformed")
    };
    let mut point = vec![4];
    point.extend(coordinate("x")?);
    point.extend(coordinate("y")?);
    Ok(point)
}

fn fetch(url: &str) -> Result<Value, String> {
    let url = Url::parse(url).map_err(|why| why.to_string())?;
    if url.scheme() != "http" {
        return Err("only plain http is understood here".to_owned());
    }
    let answer = exchange(&url).map_err(|why| why.to_string())?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    if head.split(' ').nth(1) != Some("200") {
        return Err(head.lines().next().unwrap_or_default().to_owned());
    }
    let body = &answer[end + 4..];
    let chunked = head.lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(name, value)| name == "transfer-encoding" && value.contains("chunked"))
    });
    let body = if chunked { unchunk(body).ok_or("broken chunks")? } else { body.to_vec() };
    serde_json::from_slice(&body).map_err(|why| why.to_string())
}

fn exchange(url: &Url) -> std::io::Result<Vec<u8>> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    // `localhost` may have an IPv6 address first, where nobody listens.
    let mut tried = Err(std::io::Error::other("no such host"));
    for address in (bare, port).to_socket_addrs()? {
        tried = tried.or_else(|_| TcpStream::connect_timeout(&address, PATIENCE));
    }
    let mut stream = tried?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\
         User-Agent: demo-app\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let from = line + 2;
        body.extend_from_slice(rest.get(from..from.checked_add(size)?)?);
        rest = rest.get(from + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        assert_eq!(
            unchunk(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").as_deref(),
            Some(&b"abcde"[..])
        );
        assert_eq!(unchunk(b"ff\r\nabc"), None);
    }
}
