//! Pages as HTML: one template, one style, no script.

use std::fmt::{self, Display, Write as _};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, StatusCode};

use super::{Form, Meter, Page, Row, Table, Way, is_path, is_tidy};
use crate::config::Branding;
use crate::secret::Secret;

const TEMPLATE: &str = include_str!("page.html");
pub(super) const STYLE: &str = include_str!("style.css");
const GATE: &str = include_str!("gate.html");
pub(super) const GITHUB: &str = include_str!("github.html");

/// The source expression that admits the one inline style, and no other.
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    format!("'sha256-{}'", BASE64.encode(digest))
});

/// Text as it may stand in HTML, between tags or in a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

// === impl Branding ===

impl Branding {
    /// The logo, if it is of a kind that the pages show.
    fn logo(&self) -> Option<&str> {
        self.logo.as_deref().filter(|logo| {
            is_path(logo) || logo.starts_with("data:image/") || https_origin(logo).is_some()
        })
    }

    fn mark(&self) -> String {
        self.logo().map_or_else(
            || GATE.trim_end().to_owned(),
            |logo| format!("<img src=\"{}\" alt=\"\">", Escaped(logo)),
        )
    }

    pub(super) fn content_security_policy(&self) -> HeaderValue {
        let style = STYLE_SOURCE.as_str();
        let origin = self.logo().and_then(https_origin).unwrap_or_default();
        let gap = if origin.is_empty() { "" } else { " " };
        HeaderValue::try_from(format!(
            "default-src 'none'; style-src {style}; img-src data: 'self'{gap}{origin}; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ))
        .expect("https_origin passes nothing that a header cannot carry")
    }
}

// === impl Page, Way ===

/// As HTML.
impl Page {
    pub(super) fn html(&self, branding: &Branding) -> String {
        fill(TEMPLATE, |name| match name {
            "title" => escape(&self.title),
            "name" => escape(&branding.name),
            "style" => STYLE.to_owned(),
            "tone" => self.tone().to_owned(),
            "mark" => branding.mark(),
            "lead" => escape(&self.lead),
            "help" => self.html_help(),
            "facts" => self.html_facts(),
            "width" => self.width().to_owned(),
            "tables" => self.tables.iter().map(Table::html).collect(),
            "actions" => self.html_actions(),
            "footer" => self.html_footer(),
            _ => unreachable!("the template names nothing else"),
        })
    }

    /// The colour of the mark: calm also when all that is asked for is to sign in.
    fn tone(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "calm",
            status if status.is_client_error() => "stop",
            status if status.is_server_error() => "fault",
            _ => "calm",
        }
    }

    fn width(&self) -> &'static str {
        if self.tables.is_empty() { "" } else { " class=\"wide\"" }
    }

    fn html_help(&self) -> String {
        let paragraph = |text: &String| format!("<p class=\"help\">{}</p>\n", Escaped(text));
        self.help.iter().map(paragraph).collect()
    }

    fn html_facts(&self) -> String {
        let copy = |(name, secret): &(&str, Secret<String>)| {
            let (name, secret) = (Escaped(name), Escaped(secret.expose()));
            format!("<div><dt>{name}</dt><dd><code>{secret}</code></dd></div>\n")
        };
        let row = |(name, value): &(String, String)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", Escaped(name), Escaped(value))
        };
        let copies: String = self.copies.iter().map(copy).collect();
        let facts: String = self.facts.iter().map(row).collect();
        wrap("<dl>\n", &(copies + &facts), "</dl>\n")
    }

    fn html_actions(&self) -> String {
        buttons(self.ways_out())
    }

    fn html_footer(&self) -> String {
        let row = |(name, value): &(&str, &str)| {
            format!("<div><dt>{name}</dt><dd><code>{}</code></dd></div>\n", Escaped(value))
        };
        let rows: String = self.trace().iter().map(row).collect();
        wrap("<footer>\n<dl>\n", &rows, "</dl>\n</footer>\n")
    }
}

impl Table {
    fn html(&self) -> String {
        let note = |note: &String| format!("<p class=\"help\">{}</p>\n", Escaped(note));
        format!(
            "<h2>{}</h2>\n{}{}{}{}",
            Escaped(self.title),
            self.html_rows(),
            self.note.as_ref().map(note).unwrap_or_default(),
            buttons(self.ways_out()),
            self.form.as_ref().map(Form::html).unwrap_or_default(),
        )
    }

    fn html_rows(&self) -> String {
        let head = |name: &&str| format!("<th scope=\"col\">{}</th>", Escaped(name));
        let columns: String = self.columns.iter().map(head).collect();
        let rows: String = self.rows.iter().map(|row| self.html_row(row)).collect();
        let before = format!("<table>\n<thead><tr>{columns}<td></td></tr></thead>\n<tbody>\n");
        wrap(&before, &rows, "</tbody>\n</table>\n")
    }

    fn html_row(&self, row: &Row) -> String {
        let mark = |mark: &&str| format!(" <span class=\"tag\">{}</span>", Escaped(mark));
        let mut meter = row.meter.map(Meter::html);
        let cell = |(name, value): (&str, &str)| {
            let (name, value) = (Escaped(name), Escaped(value));
            match meter.take() {
                Some(meter) => {
                    format!("<td data-name=\"{name}\"><span>{value}{meter}</span></td>")
                }
                None => format!("<td data-name=\"{name}\">{value}</td>"),
            }
        };
        let mut cells = self.named(row);
        let (_, subject) = cells.next().unwrap_or_default();
        format!(
            "<tr><th scope=\"row\">{}{}</th>{}<td>{}</td></tr>\n",
            Escaped(subject),
            row.mark.as_ref().map(mark).unwrap_or_default(),
            cells.map(cell).collect::<String>(),
            row.way_out().map(Way::html).unwrap_or_default().trim_end(),
        )
    }
}

impl Way {
    fn html(&self) -> String {
        match self {
            Self::Link { label, href, primary } => {
                let (class, face, href) = (class(*primary), face(label, *primary), Escaped(href));
                format!("<a class=\"{class}\" href=\"{href}\">{face}</a>\n")
            }
            Self::Post { label, action, fields, primary } => {
                let (class, face, action) =
                    (class(*primary), face(label, *primary), Escaped(action));
                let hidden: String = fields.iter().map(hidden).collect();
                format!(
                    "<form method=\"post\" action=\"{action}\">{hidden}\
                     <button class=\"{class}\" type=\"submit\">{face}</button></form>\n"
                )
            }
        }
    }
}

// === impl Escaped ===

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

// === helpers ===

fn escape(text: &str) -> String {
    Escaped(text).to_string()
}

/// The content between its tags; nothing for no content.
fn wrap(open: &str, content: &str, close: &str) -> String {
    if content.is_empty() { String::new() } else { format!("{open}{content}{close}") }
}

fn buttons<'a>(ways: impl Iterator<Item = &'a Way>) -> String {
    wrap("<div class=\"actions\">\n", &ways.map(Way::html).collect::<String>(), "</div>\n")
}

const fn class(primary: bool) -> &'static str {
    if primary { "button primary" } else { "button" }
}

/// What stands on a button.
fn face(label: &str, primary: bool) -> String {
    let mark = if primary && label.contains("GitHub") { GITHUB.trim_end() } else { "" };
    format!("{mark}<span>{}</span>", Escaped(label))
}

pub(super) fn hidden((name, value): &(String, String)) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", Escaped(name), Escaped(value))
}

/// Fills every `{{name}}` of a template, in one pass: what is filled in is not looked at again.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let (mut page, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the template closes what it opens");
        page.push_str(before);
        page.push_str(&value(name));
        rest = after;
    }
    page + rest
}

/// The origin of an https URL, if it can stand in a policy as it is.
fn https_origin(url: &str) -> Option<&str> {
    const SCHEME: &str = "https://";
    let authority = url.strip_prefix(SCHEME)?.split(['/', '?', '#']).next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:".contains(&b);
    (!authority.is_empty() && authority.bytes().all(plain) && is_tidy(url))
        .then(|| &url[..SCHEME.len() + authority.len()])
}
