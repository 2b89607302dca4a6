//! Logging: the operator's events through `tracing`, and one access line a request through a writer
//! thread of its own, so that no request waits for standard output.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
    /// Whether each request gets a line.
    pub access: bool,
    /// What events are logged, in `tracing`'s filter language: `info`, `gatekeep=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// `key=value`, for eyes.
    Text,
}

/// What the access line tells of a request. It has no place for a cookie, a token or a query.
#[derive(Debug)]
pub struct Access<'a> {
    /// The moment it ended, in seconds since 1970.
    pub time: i64,
    /// The request's id, also on its error page and sent upstream.
    pub request_id: &'a str,
    /// The route's name, or empty.
    pub route: &'a str,
    /// The client's address.
    pub client: &'a str,
    /// The method.
    pub method: &'a str,
    /// The canonical host.
    pub host: &'a str,
    /// The canonical path, without the query.
    pub path: &'a str,
    /// The status answered.
    pub status: u16,
    /// Why: a word of [`crate::reason::Reason`].
    pub reason: &'a str,
    /// The visitor's login, or empty.
    pub user: &'a str,
    /// Bytes of body sent.
    pub bytes: u64,
    /// From the header's arrival to the end.
    pub duration_us: u64,
}

/// Takes access lines. When standard output stalls, lines are dropped and counted. Dropping the log
/// waits until the last line is written, but not for ever.
#[derive(Debug)]
pub struct AccessLog {
    /// `None` once the log is being dropped.
    lines: Option<SyncSender<String>>,
    written: Mutex<Receiver<()>>,
    dropped: AtomicU64,
}

/// Lines that may wait for a stalled standard output.
const WAITING_LINES: usize = 16_384;
/// The writer rests between batches, so that a busy gateway wakes it a hundred times a second and
/// not once a request.
const REST: Duration = Duration::from_millis(10);
/// For the last lines when the gateway ends.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Lines are written together up to this many bytes.
const BATCH_BYTES: usize = 64 * 1024;

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { format: Format::Text, access: true, level: "info".to_owned() }
    }
}

/// Sends events to standard error. A second call, as in tests, changes nothing.
pub fn init(settings: &Settings) {
    let filter = EnvFilter::try_new(filter_of(&settings.level))
        .unwrap_or_else(|_| EnvFilter::new(filter_of("info")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    drop(match settings.format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder.try_init(),
    });
}

const SILENT: [&str; 6] =
    ["pingora", "pingora_core", "pingora_proxy", "pingora_pool", "h2", "hyper"];

/// Pingora and h2 log a line for each client that leaves early, and whole headers when debugging:
/// cookies and tokens of apps. They speak only when they are named.
fn filter_of(level: &str) -> String {
    if level.contains("pingora") || level.contains("h2=") {
        return level.to_owned();
    }
    SILENT.iter().fold(level.to_owned(), |filter, target| format!("{filter},{target}=off"))
}

// === impl AccessLog ===

impl AccessLog {
    /// A log that writes to standard output from a thread of its own.
    pub fn to_stdout() -> Self {
        Self::to(std::io::stdout())
    }

    /// A log that writes elsewhere.
    pub fn to(sink: impl Write + Send + 'static) -> Self {
        let (lines, receiver) = sync_channel(WAITING_LINES);
        let (done, written) = sync_channel(1);
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let work = move || {
            write_lines(&receiver, sink);
            drop(done);
        };
        thread.spawn(work).expect("a thread can be started");
        Self { lines: Some(lines), written: Mutex::new(written), dropped: AtomicU64::new(0) }
    }

    /// Hands a line over and returns at once.
    pub fn write(&self, format: Format, access: &Access<'_>) {
        let line = match format {
            Format::Json => json_line(access),
            Format::Text => text_line(access),
        };
        if self.lines.as_ref().is_none_or(|lines| lines.try_send(line).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines lost to a stalled output so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.lines = None;
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: the other end is dropped when the last line is written.
        let _ = written.recv_timeout(LAST_LINES);
    }
}

fn write_lines(lines: &Receiver<String>, mut sink: impl Write) {
    let mut batch = String::with_capacity(BATCH_BYTES);
    while let Ok(first) = lines.recv() {
        batch.push_str(&first);
        while batch.len() < BATCH_BYTES {
            let Ok(next) = lines.try_recv() else { break };
            batch.push_str(&next);
        }
        // Nobody can be told that the log cannot be written; the next batch may get through.
        drop(sink.write_all(batch.as_bytes()).and_then(|()| sink.flush()));
        batch.clear();
        std::thread::sleep(REST);
    }
}

fn json_line(access: &Access<'_>) -> String {
    let mut line = String::with_capacity(320);
    line.push_str("{\"time\":");
    push_number(&mut line, access.time.unsigned_abs());
    for (name, value) in texts(access) {
        line.push_str(",\"");
        line.push_str(name);
        line.push_str("\":\"");
        push_escaped(&mut line, value);
        line.push('"');
    }
    for (name, value) in numbers(access) {
        line.push_str(",\"");
        line.push_str(name);
        line.push_str("\":");
        push_number(&mut line, value);
    }
    line.push_str("}\n");
    line
}

fn text_line(access: &Access<'_>) -> String {
    let mut line = String::with_capacity(256);
    line.push_str("time=");
    push_number(&mut line, access.time.unsigned_abs());
    for (name, value) in texts(access) {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        let plain = !value.is_empty()
            && value.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'='));
        if plain {
            line.push_str(value);
        } else {
            line.push('"');
            push_escaped(&mut line, value);
            line.push('"');
        }
    }
    for (name, value) in numbers(access) {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        push_number(&mut line, value);
    }
    line.push('\n');
    line
}

fn texts<'a>(access: &Access<'a>) -> [(&'static str, &'a str); 8] {
    [
        ("request.id", access.request_id),
        ("route", access.route),
        ("client", access.client),
        ("method", access.method),
        ("host", access.host),
        ("path", access.path),
        ("reason", access.reason),
        ("user", access.user),
    ]
}

fn numbers(access: &Access<'_>) -> [(&'static str, u64); 3] {
    [
        ("status", u64::from(access.status)),
        ("bytes", access.bytes),
        ("duration_us", access.duration_us),
    ]
}

fn push_number(line: &mut String, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.push_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
}

/// JSON's escapes, and more: whatever could end a line, colour a terminal or turn text around
/// (security: log injection) is written as `\uXXXX`.
fn push_escaped(line: &mut String, text: &str) {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\') {
        line.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            ' '..='~' => line.push(c),
            c if c.is_alphanumeric() => line.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(line, "\\u{unit:04x}").expect("writing to memory does not fail");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(path: &str) -> Access<'_> {
        Access {
            time: 1_795_235_820,
            request_id: "01f",
            route: "notes",
            client: "192.0.2.1",
            method: "GET",
            host: "notes.example.com",
            path,
            status: 200,
            reason: "org",
            user: "octocat",
            bytes: 12,
            duration_us: 345,
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        assert_eq!(
            json_line(&access("/a")),
            "{\"time\":1795235820,\"request.id\":\"01f\",\"route\":\"notes\",\
             \"client\":\"192.0.2.1\",\"method\":\"GET\",\"host\":\"notes.example.com\",\
             \"path\":\"/a\",\"reason\":\"org\",\"user\":\"octocat\",\"status\":200,\"bytes\":12,\
             \"duration_us\":345}\n"
        );
    }

    #[test]
    fn a_line_is_readable_text() {
        assert_eq!(
            text_line(&access("/a\"b")),
            "time=1795235820 request.id=01f route=notes client=192.0.2.1 method=GET \
             host=notes.example.com path=\"/a\\\"b\" reason=org user=octocat status=200 bytes=12 \
             duration_us=345\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_a_line() {
        for hostile in [
            "a\nb",
            "a\r\nb",
            "\u{1b}[31m",
            "\u{2028}",
            "\u{202e}abc",
            "\"},{\"",
            "\\",
            "\0",
            "\u{85}",
        ] {
            for line in [json_line(&access(hostile)), text_line(&access(hostile))] {
                assert_eq!(line.lines().count(), 1, "{line:?}");
                assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
            }
            let json: serde_json::Value =
                serde_json::from_str(&json_line(&access(hostile))).unwrap();
            assert_eq!(json["path"], hostile);
        }
    }

    #[test]
    fn lines_arrive_and_a_stalled_sink_drops_instead_of_waiting() {
        struct Stalled(std::sync::mpsc::Receiver<()>);
        impl Write for Stalled {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (release, gate) = std::sync::mpsc::channel();
        let log = AccessLog::to(Stalled(gate));
        for _ in 0..WAITING_LINES + 2000 {
            log.write(Format::Json, &access("/"));
        }
        assert!(log.dropped() > 0);
        drop(release);
    }
}
