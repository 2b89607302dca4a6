//! `gatekeep health`: for containers without a shell.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use super::fail;
use url::Url;

/// For connecting and for the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn health(url: &str) -> ExitCode {
    match status(url) {
        Ok(status) if status.starts_with("HTTP/1.1 200") => ExitCode::SUCCESS,
        Ok(status) => fail(&format!("{url} answered {}", status.trim()), 1),
        Err(error) => fail(&format!("{url} does not answer: {error}"), 1),
    }
}

fn status(url: &str) -> std::io::Result<String> {
    let bad = || std::io::Error::other("write it as http://ADDRESS:PORT/readyz");
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http").ok_or_else(bad)?;
    let addresses = url.socket_addrs(|| None).map_err(|_| bad())?;
    let address = addresses.first().ok_or_else(bad)?;
    let mut stream = TcpStream::connect_timeout(address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", url.path())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
