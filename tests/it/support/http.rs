//! A client that sends exactly the bytes it is given and reads one answer.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// For a whole exchange: a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

impl Response {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// Every value of a header.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The value that it gives a cookie; an empty one is a cookie removed.
    pub(crate) fn sets(&self, name: &str) -> Option<&str> {
        self.all("set-cookie").find_map(|cookie| {
            let (found, value) = cookie.split(';').next()?.split_once('=')?;
            (found == name).then_some(value)
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e} in status {} {}", self.status, self.text()))
    }

    /// Where it sends the browser.
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location in {self:?}"))
    }
}

/// A connection that stays open for several requests.
pub(crate) struct Connection<S = TcpStream>(S);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the server listens")
    }

    /// The same where nobody may listen.
    pub(crate) fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

impl Connection<UnixStream> {
    /// To a Unix socket.
    pub(crate) fn at_socket(path: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }
}

impl<S: Read + Write> Connection<S> {
    /// Over a stream that is open already.
    pub(crate) fn over(stream: S) -> Self {
        Self(stream)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Reads one answer; `None` when the server closed instead.
    pub(crate) fn receive(&mut self, to_head: bool) -> Option<Response> {
        let (head, rest) = self.read_head()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut response = Response { status, headers, body: Vec::new() };
        let bodiless = to_head || matches!(status, 101 | 204 | 304);
        if !bodiless {
            response.body = self.read_body(&response, rest)?;
        }
        Some(response)
    }

    /// Whatever comes next, until the server closes or `limit` bytes have come.
    pub(crate) fn read_some(&mut self, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while filled < limit {
            match self.0.read(&mut bytes[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(n) => filled += n,
            }
        }
        bytes.truncate(filled);
        bytes
    }

    fn read_head(&mut self) -> Option<(String, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                return Some((head, bytes[end + 4..].to_vec()));
            }
            self.more(&mut bytes)?;
        }
    }

    fn read_body(&mut self, response: &Response, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        if response.header("transfer-encoding").is_some() {
            return self.read_chunks(bytes);
        }
        let Some(length) = response.header("content-length") else {
            while self.more(&mut bytes).is_some() {}
            return Some(bytes);
        };
        let length: usize = length.parse().ok()?;
        while bytes.len() < length {
            self.more(&mut bytes)?;
        }
        Some(bytes)
    }

    fn read_chunks(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match find(&bytes, b"\r\n") {
                    Some(end) => break end,
                    None => self.more(&mut bytes)?,
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
            while bytes.len() < end + 2 + size + 2 {
                self.more(&mut bytes)?;
            }
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
            bytes.drain(..end + 2 + size + 2);
        }
    }

    fn more(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        match self.0.read(&mut chunk) {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                bytes.extend_from_slice(&chunk[..n]);
                Some(())
            }
        }
    }
}

/// Sends raw bytes on a connection of their own; `None` when the server closed without an answer.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Option<Response> {
    let mut connection = Connection::open(address);
    connection.send(bytes).ok()?;
    connection.receive(bytes.starts_with(b"HEAD "))
}

/// Sends a command to an admin listener.
pub(crate) fn command(
    admin: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut fields = String::new();
    for (name, value) in headers {
        write!(fields, "{name}: {value}\r\n").expect("memory is written");
    }
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n{fields}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(admin, request.as_bytes()).expect("an answer")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
