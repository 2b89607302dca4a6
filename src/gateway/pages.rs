//! The gateway's own pages: one page type, shown as HTML, JSON or plain text.

use std::fmt::{self, Display, Write as _};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::config::Branding;
use crate::secret::Secret;

mod form;
mod format;
mod html;
mod table;

pub(super) use form::{Form, Input, Kind};
pub(super) use format::Format;
pub(super) use table::{Meter, Row, Table};

/// One page: what happened, what to do next, and the way out.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The status of the response.
    pub(super) status: StatusCode,
    /// The heading, and the title of the browser's tab.
    pub(super) title: String,
    /// What happened, in one or two sentences.
    pub(super) lead: String,
    /// Further paragraphs: what to do next.
    pub(super) help: Vec<String>,
    /// Names and values to list, such as who is signed in.
    pub(super) facts: Vec<(String, String)>,
    /// Secrets that are shown this once, by name, to be copied.
    pub(super) copies: Vec<(&'static str, Secret<String>)>,
    /// Things, one table for each kind, with what can be done to each.
    pub(super) tables: Vec<Table>,
    /// The way out.
    pub(super) actions: Vec<Way>,
    /// The word that the log has for this.
    pub(super) reason: Option<&'static str>,
    /// The number under which the log has this request.
    pub(super) request_id: Option<String>,
}

/// Something that the visitor can do from a page.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Go to a path or to an http(s) URL; any other `href` is not shown.
    Link {
        /// What the button says.
        label: String,
        /// Where it leads.
        href: String,
        /// Whether this is the one that most visitors want.
        primary: bool,
    },
    /// Send a form to a path on this origin; any other `action` is not shown.
    Post {
        /// What the button says.
        label: String,
        /// The path that takes the form.
        action: String,
        /// Hidden fields, such as the token that proves the form is ours.
        fields: Vec<(String, String)>,
        /// Whether this is the one that most visitors want.
        primary: bool,
    },
}

/// Text without control characters, which could forge lines or steer a terminal.
struct Plain<'a>(&'a str);

// === impl Page ===

impl Page {
    /// The page as a response. `Content-Length` is that of the whole body, also for `HEAD`.
    pub(super) fn render(&self, format: Format, branding: &Branding) -> Response<Bytes> {
        let body = match format {
            Format::Html => self.html(branding),
            Format::Json => self.json(),
            Format::Text => self.text(branding),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers(format, branding, response.body().len());
        response
    }

    fn headers(&self, format: Format, branding: &Branding, length: usize) -> HeaderMap {
        let mut headers: HeaderMap = [
            (header::CONTENT_TYPE, format.content_type()),
            (header::CACHE_CONTROL, "no-store"),
            (header::VARY, "Accept"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, self.referrer_policy()),
            (header::X_FRAME_OPTIONS, "DENY"),
        ]
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_SECURITY_POLICY, branding.content_security_policy());
        headers
    }

    /// `no-referrer` would make a browser send `Origin: null` with the form (Fetch, "append a
    /// request Origin header"), so a page with a form asks for `same-origin`.
    fn referrer_policy(&self) -> &'static str {
        let ways = self.ways_out().chain(self.tables.iter().flat_map(Table::ways));
        let has_form = ways.into_iter().any(|way| matches!(way, Way::Post { .. }))
            || self.tables.iter().any(|table| table.form.is_some());
        if has_form { "same-origin" } else { "no-referrer" }
    }

    /// What is to be copied, and then the facts.
    fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        let copies = self.copies.iter().map(|(name, secret)| (*name, secret.expose().as_str()));
        copies.chain(self.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The actions whose target is one that a page may have.
    fn ways_out(&self) -> impl Iterator<Item = &Way> {
        safe(&self.actions)
    }
}

/// As JSON.
impl Page {
    fn json(&self) -> String {
        let text = |(name, value): (&str, &str)| (name.to_owned(), Value::from(value));
        let mut json = json!({
            "title": self.title,
            "message": self.lead,
            "help": self.help,
            "facts": self.told().map(text).collect::<Map<_, _>>(),
            "reason": self.reason,
            "request_id": self.request_id,
            "actions": self.ways_out().map(Way::json).collect::<Vec<_>>(),
        });
        if self.status.is_client_error() || self.status.is_server_error() {
            // Where most programs look for what went wrong.
            json["error"] = self.lead.as_str().into();
        }
        if !self.tables.is_empty() {
            json["tables"] = self.tables.iter().map(Table::json).collect();
        }
        format!("{json}\n")
    }
}

/// As plain text.
impl Page {
    fn text(&self, branding: &Branding) -> String {
        let mut blocks =
            vec![format!("{}: {}\n", Plain(&branding.name), Plain(&self.title)), line(&self.lead)];
        blocks.extend(self.help.iter().map(|paragraph| line(paragraph)));
        blocks.push(self.told().map(|(name, value)| pair(name, value)).collect());
        blocks.extend(self.tables.iter().flat_map(Table::text));
        blocks.push(self.ways_out().map(Way::text).collect());
        blocks.push(self.trace().iter().map(|(name, value)| pair(name, value)).collect());
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n")
    }

    /// What to quote to the operator, who can find it in the log.
    fn trace(&self) -> Vec<(&'static str, &str)> {
        let reason = self.reason.map(|word| ("Reason", word));
        let request = self.request_id.as_deref().map(|id| ("Request", id));
        reason.into_iter().chain(request).collect()
    }
}

// === impl Way ===

impl Way {
    /// Whether it leads somewhere a page may lead to: never `javascript:` and its like.
    fn is_safe(&self) -> bool {
        match self {
            Self::Link { href, .. } => is_path(href) || is_web(href),
            Self::Post { action, .. } => is_path(action),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Link { label, href, .. } => json!({ "label": label, "href": href }),
            Self::Post { label, action, .. } => json!({ "label": label, "post": action }),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Link { label, href, .. } => pair(label, href),
            Self::Post { label, action, .. } => pair(label, &format!("POST {action}")),
        }
    }
}

impl fmt::Debug for Way {
    /// Without the hidden fields: there is a token among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().trim_end())
    }
}

// === impl Plain ===

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
    }
}

// === helpers ===

fn safe(ways: &[Way]) -> impl Iterator<Item = &Way> {
    ways.iter().filter(|way| way.is_safe())
}

fn line(text: &str) -> String {
    format!("{}\n", Plain(text))
}

fn pair(name: &str, value: &str) -> String {
    format!("{}: {}\n", Plain(name), Plain(value))
}

/// Whether it is a path on this origin. A browser takes `//host` and `/\host` for another
/// origin, and drops tabs and line ends before it looks.
fn is_path(href: &str) -> bool {
    href.starts_with('/') && !href.starts_with("//") && !href.starts_with("/\\") && is_tidy(href)
}

fn is_web(href: &str) -> bool {
    (href.starts_with("https://") || href.starts_with("http://")) && is_tidy(href)
}

fn is_tidy(href: &str) -> bool {
    !href.contains(|c: char| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests;
