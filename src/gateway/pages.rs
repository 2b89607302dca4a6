//! The gateway's own pages: one page type, shown as HTML, JSON or plain text.

use std::fmt::{self, Display, Write as _};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::config::Branding;

const TEMPLATE: &str = include_str!("pages/page.html");
const STYLE: &str = include_str!("pages/style.css");
const GATE: &str = include_str!("pages/gate.html");
const GITHUB: &str = include_str!("pages/github.html");

/// The source expression that admits the one inline style, and no other.
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    format!("'sha256-{}'", BASE64.encode(digest))
});

/// One page: what happened, what to do next, and the way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The way out.
    pub(super) actions: Vec<Action>,
    /// The word that the log has for this.
    pub(super) reason: Option<&'static str>,
    /// The number under which the log has this request.
    pub(super) request_id: Option<String>,
}

/// Something that the visitor can do from a page.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Action {
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

/// How a page is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// For everyone else, such as `curl`.
    Text,
}

/// Text as it may stand in HTML, between tags or in a quoted attribute.
struct Escaped<'a>(&'a str);

/// Text without control characters, which could forge lines or steer a terminal.
struct Plain<'a>(&'a str);

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

    fn content_security_policy(&self) -> HeaderValue {
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
        let has_form = self.ways_out().any(|action| matches!(action, Action::Post { .. }));
        if has_form { "same-origin" } else { "no-referrer" }
    }

    /// The actions whose target is one that a page may have.
    fn ways_out(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().filter(|action| action.is_safe())
    }
}

/// As JSON.
impl Page {
    fn json(&self) -> String {
        let text = |(name, value): &(String, String)| (name.clone(), Value::from(value.as_str()));
        let mut json = json!({
            "title": self.title,
            "message": self.lead,
            "help": self.help,
            "facts": self.facts.iter().map(text).collect::<Map<_, _>>(),
            "reason": self.reason,
            "request_id": self.request_id,
            "actions": self.ways_out().map(Action::json).collect::<Vec<_>>(),
        })
        .to_string();
        json.push('\n');
        json
    }
}

/// As plain text.
impl Page {
    fn text(&self, branding: &Branding) -> String {
        let mut blocks =
            vec![format!("{}: {}\n", Plain(&branding.name), Plain(&self.title)), line(&self.lead)];
        blocks.extend(self.help.iter().map(|paragraph| line(paragraph)));
        blocks.push(self.facts.iter().map(|(name, value)| pair(name, value)).collect());
        blocks.push(self.ways_out().map(Action::text).collect());
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

/// As HTML.
impl Page {
    fn html(&self, branding: &Branding) -> String {
        fill(TEMPLATE, |name| match name {
            "title" => escape(&self.title),
            "name" => escape(&branding.name),
            "style" => STYLE.to_owned(),
            "tone" => self.tone().to_owned(),
            "mark" => branding.mark(),
            "lead" => escape(&self.lead),
            "help" => self.html_help(),
            "facts" => self.html_facts(),
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

    fn html_help(&self) -> String {
        let paragraph = |text: &String| format!("<p class=\"help\">{}</p>\n", Escaped(text));
        self.help.iter().map(paragraph).collect()
    }

    fn html_facts(&self) -> String {
        let row = |(name, value): &(String, String)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", Escaped(name), Escaped(value))
        };
        wrap("<dl>\n", &self.facts.iter().map(row).collect::<String>(), "</dl>\n")
    }

    fn html_actions(&self) -> String {
        let buttons: String = self.ways_out().map(Action::html).collect();
        wrap("<div class=\"actions\">\n", &buttons, "</div>\n")
    }

    fn html_footer(&self) -> String {
        let row = |(name, value): &(&str, &str)| {
            format!("<div><dt>{name}</dt><dd><code>{}</code></dd></div>\n", Escaped(value))
        };
        let rows: String = self.trace().iter().map(row).collect();
        wrap("<footer>\n<dl>\n", &rows, "</dl>\n</footer>\n")
    }
}

// === impl Action ===

impl Action {
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

impl fmt::Debug for Action {
    /// Without the hidden fields: there is a token among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().trim_end())
    }
}

// === impl Format ===

impl Format {
    /// What the request's `Accept` asks for, by name: HTML for browsers, JSON for whoever asks
    /// for JSON, text for whoever asks for text, for anything (`*/*`), or not at all.
    ///
    /// Of formats wanted alike, HTML goes before JSON and JSON before text.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Self::Text);
        for (quality, format) in accepted(headers) {
            let tied_and_first = quality >= best.0 && format.rank() < best.1.rank();
            if quality > best.0 || (quality > 0.0 && tied_and_first) {
                best = (quality, format);
            }
        }
        best.1
    }

    /// The format that a media range names.
    fn named(range: &str) -> Option<Self> {
        match range {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/json" | "application/*" => Some(Self::Json),
            "text/plain" | "text/*" => Some(Self::Text),
            other => other.ends_with("+json").then_some(Self::Json),
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Html => 0,
            Self::Json => 1,
            Self::Text => 2,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

// === impl Escaped, Plain ===

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

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
    }
}

// === helpers ===

fn escape(text: &str) -> String {
    Escaped(text).to_string()
}

fn line(text: &str) -> String {
    format!("{}\n", Plain(text))
}

fn pair(name: &str, value: &str) -> String {
    format!("{}: {}\n", Plain(name), Plain(value))
}

/// The content between its tags; nothing for no content.
fn wrap(open: &str, content: &str, close: &str) -> String {
    if content.is_empty() { String::new() } else { format!("{open}{content}{close}") }
}

const fn class(primary: bool) -> &'static str {
    if primary { "button primary" } else { "button" }
}

/// What stands on a button.
fn face(label: &str, primary: bool) -> String {
    let mark = if primary && label.contains("GitHub") { GITHUB.trim_end() } else { "" };
    format!("{mark}<span>{}</span>", Escaped(label))
}

fn hidden((name, value): &(String, String)) -> String {
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

/// The origin of an https URL, if it can stand in a policy as it is.
fn https_origin(url: &str) -> Option<&str> {
    const SCHEME: &str = "https://";
    let authority = url.strip_prefix(SCHEME)?.split(['/', '?', '#']).next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:".contains(&b);
    (!authority.is_empty() && authority.bytes().all(plain) && is_tidy(url))
        .then(|| &url[..SCHEME.len() + authority.len()])
}

/// The formats that `Accept` names, each with its quality.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = (f32, Format)> {
    let values = headers.get_all(header::ACCEPT).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).filter_map(
        |range| {
            let mut parts = range.split(';').map(str::trim);
            let format = Format::named(&parts.next()?.to_ascii_lowercase())?;
            Some((quality(parts), format))
        },
    )
}

/// The `q` among a media range's parameters: 1 if there is none, 0 if it makes no sense.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let q = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    q.map_or(1.0, |q| q.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(label: &str, href: &str) -> Action {
        Action::Link { label: label.into(), href: href.into(), primary: true }
    }

    fn post(action: &str) -> Action {
        let fields = vec![("token".to_owned(), "s3\"cret".to_owned())];
        Action::Post { label: "Sign out".into(), action: action.into(), fields, primary: false }
    }

    fn denied() -> Page {
        Page {
            status: StatusCode::FORBIDDEN,
            title: "You are not on the list".into(),
            lead: "This site admits members of acme/platform.".into(),
            help: vec!["An owner can approve the app.".into(), "Then sign in again.".into()],
            facts: vec![("Signed in as".into(), "octocat".into())],
            actions: vec![link("Sign in with GitHub", "/sign-in?a=1&b=2"), post("/sign-out")],
            reason: Some("not-admitted"),
            request_id: Some("01JQ8Z".into()),
        }
    }

    fn bare() -> Page {
        Page { title: "Signed out".into(), lead: "You are signed out.".into(), ..Page::default() }
    }

    fn body(page: &Page, format: Format, branding: &Branding) -> String {
        String::from_utf8(page.render(format, branding).into_body().to_vec()).unwrap()
    }

    fn html(page: &Page) -> String {
        body(page, Format::Html, &Branding::default())
    }

    fn field(page: &Page, branding: &Branding, name: &str) -> String {
        let response = page.render(Format::Html, branding);
        response.headers()[name].to_str().unwrap().to_owned()
    }

    fn branded(logo: &str) -> Branding {
        Branding { name: "Acme".into(), logo: Some(logo.into()) }
    }

    fn format_of(values: &[&'static str]) -> Format {
        let value = |v: &&'static str| (header::ACCEPT, HeaderValue::from_static(v));
        Format::of(&values.iter().map(value).collect())
    }

    #[test]
    fn a_page_as_text() {
        let expected = "\
Gatekeep: You are not on the list

This site admits members of acme/platform.

An owner can approve the app.

Then sign in again.

Signed in as: octocat

Sign in with GitHub: /sign-in?a=1&b=2
Sign out: POST /sign-out

Reason: not-admitted
Request: 01JQ8Z
";
        assert_eq!(body(&denied(), Format::Text, &Branding::default()), expected);
    }

    #[test]
    fn a_page_as_json() {
        let json: Value =
            serde_json::from_str(&body(&denied(), Format::Json, &Branding::default())).unwrap();
        let expected = json!({
            "title": "You are not on the list",
            "message": "This site admits members of acme/platform.",
            "help": ["An owner can approve the app.", "Then sign in again."],
            "facts": { "Signed in as": "octocat" },
            "reason": "not-admitted",
            "request_id": "01JQ8Z",
            "actions": [
                { "label": "Sign in with GitHub", "href": "/sign-in?a=1&b=2" },
                { "label": "Sign out", "post": "/sign-out" },
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_bare_page_has_no_empty_parts() {
        let text = body(&bare(), Format::Text, &Branding::default());
        assert_eq!(text, "Gatekeep: Signed out\n\nYou are signed out.\n");
        let json: Value =
            serde_json::from_str(&body(&bare(), Format::Json, &Branding::default())).unwrap();
        assert_eq!(
            json,
            json!({
                "title": "Signed out", "message": "You are signed out.", "help": [], "facts": {},
                "reason": null, "request_id": null, "actions": [],
            })
        );
        let html = html(&bare());
        for part in ["<dl", "<footer", "class=\"help\"", "class=\"actions\"", "{{", "}}<"] {
            assert!(!html.contains(part), "{part}");
        }
    }

    #[test]
    fn a_page_as_html() {
        let html = html(&denied());
        let (_, from_main) = html.split_once("</svg><span>Gatekeep</span></p>\n").unwrap();
        let expected = format!(
            "<h1>You are not on the list</h1>
<p class=\"lead\">This site admits members of acme/platform.</p>
<p class=\"help\">An owner can approve the app.</p>
<p class=\"help\">Then sign in again.</p>
<dl>
<div><dt>Signed in as</dt><dd>octocat</dd></div>
</dl>
<div class=\"actions\">
<a class=\"button primary\" href=\"/sign-in?a=1&amp;b=2\">{}<span>Sign in with GitHub</span></a>
<form method=\"post\" action=\"/sign-out\"><input type=\"hidden\" name=\"token\" \
             value=\"s3&quot;cret\"><button class=\"button\" type=\"submit\">\
             <span>Sign out</span></button></form>
</div>
</main>
<footer>
<dl>
<div><dt>Reason</dt><dd><code>not-admitted</code></dd></div>
<div><dt>Request</dt><dd><code>01JQ8Z</code></dd></div>
</dl>
</footer>
</body>
</html>
",
            GITHUB.trim_end()
        );
        assert_eq!(from_main, expected);
        assert!(html.contains("<title>You are not on the list · Gatekeep</title>"));
    }

    #[test]
    fn whatever_is_filled_in_is_escaped() {
        let evil = "</title>\"><script>alert('&')</script>{{style}}".to_owned();
        let escaped = "&lt;/title&gt;&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)\
                       &lt;/script&gt;{{style}}";
        let fields = vec![(evil.clone(), evil.clone())];
        let action = "/\"><script>".to_owned();
        let page = Page {
            status: StatusCode::OK,
            title: evil.clone(),
            lead: evil.clone(),
            help: vec![evil.clone()],
            facts: fields.clone(),
            actions: vec![
                link(&evil, "/\"><script>"),
                Action::Post { label: evil.clone(), action, fields, primary: true },
            ],
            reason: None,
            request_id: Some(evil.clone()),
        };
        let logo = Some("/logo\"><script>".to_owned());
        let html = body(&page, Format::Html, &Branding { name: evil, logo });
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches(escaped).count(), 13, "{html}");
        assert_eq!(html.matches("=\"/&quot;&gt;&lt;script&gt;\"").count(), 2, "{html}");
        assert!(html.contains("<img src=\"/logo&quot;&gt;&lt;script&gt;\" alt=\"\">"), "{html}");
    }

    #[test]
    fn text_cannot_forge_lines_or_steer_the_terminal() {
        let page =
            Page { title: "a\r\nReason: public".into(), lead: "\u{1b}[2J\u{9b}x".into(), ..bare() };
        let text = body(&page, Format::Text, &Branding::default());
        assert_eq!(text, "Gatekeep: a  Reason: public\n\n [2J x\n");
    }

    #[test]
    fn targets_a_page_may_not_have_are_dropped() {
        for (href, link_stays, post_stays) in [
            ("/", true, true),
            ("/a/b?c=d#e", true, true),
            ("https://github.com/orgs/acme", true, false),
            ("http://localhost:8080/", true, false),
            ("", false, false),
            ("relative", false, false),
            ("//evil.example", false, false),
            ("/\\evil.example", false, false),
            ("/\t/evil.example", false, false),
            ("/\n/evil.example", false, false),
            (" /a", false, false),
            ("javascript:alert(1)", false, false),
            ("JavaScript:alert(1)", false, false),
            ("java\nscript:alert(1)", false, false),
            ("data:text/html,<b>", false, false),
            ("vbscript:x", false, false),
            ("https:evil.example", false, false),
        ] {
            let with = |action| Page { actions: vec![action], ..bare() };
            for (page, stays) in
                [(with(link("Go", href)), link_stays), (with(post(href)), post_stays)]
            {
                assert_eq!(html(&page).contains("class=\"actions\""), stays, "{href:?}");
                let text = body(&page, Format::Text, &Branding::default());
                assert_eq!(text.lines().count() > 3, stays, "{href:?}");
                let json = body(&page, Format::Json, &Branding::default());
                assert_eq!(!json.contains("\"actions\":[]"), stays, "{href:?}");
            }
        }
    }

    #[test]
    fn only_a_logo_of_a_known_kind_is_shown() {
        for (logo, origin) in [
            ("https://cdn.example.com/logo.svg", Some(" https://cdn.example.com")),
            ("https://cdn.example.com:8443?x", Some(" https://cdn.example.com:8443")),
            ("/static/logo.png", Some("")),
            ("data:image/png;base64,AAAA", Some("")),
            ("http://cdn.example.com/logo.svg", None),
            ("//cdn.example.com/logo.svg", None),
            ("https://", None),
            ("https://a;script-src *", None),
            ("https://a b/", None),
            ("https://user@example.com/", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
        ] {
            let branding = branded(logo);
            let policy = field(&bare(), &branding, "content-security-policy");
            let images = format!("; img-src data: 'self'{}; form-", origin.unwrap_or(""));
            assert!(policy.contains(&images), "{logo}: {policy}");
            let html = body(&bare(), Format::Html, &branding);
            assert_eq!(html.contains(&format!("<img src=\"{logo}\"")), origin.is_some(), "{logo}");
            assert_eq!(html.contains("<svg class=\"mark\""), origin.is_none(), "{logo}");
        }
    }

    #[test]
    fn every_response_carries_its_headers() {
        for (format, kind) in [
            (Format::Html, "text/html; charset=utf-8"),
            (Format::Json, "application/json; charset=utf-8"),
            (Format::Text, "text/plain; charset=utf-8"),
        ] {
            let response = denied().render(format, &Branding::default());
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            let length = response.body().len().to_string();
            for (name, value) in [
                ("content-type", kind),
                ("content-length", &length),
                ("cache-control", "no-store"),
                ("vary", "Accept"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
            ] {
                assert_eq!(response.headers()[name], value, "{format:?} {name}");
            }
        }
    }

    #[test]
    fn the_policy_admits_the_one_style_and_no_script() {
        let html = html(&denied());
        let (_, rest) = html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
        let policy = field(&denied(), &Branding::default(), "content-security-policy");
        let expected = format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src data: 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            BASE64.encode(digest)
        );
        assert_eq!(policy, expected);
        assert!(!STYLE.contains('\r'), "a browser would hash it with other line ends");
        for banned in ["<script", " style=", " onclick="] {
            assert!(!html.contains(banned), "{banned}");
        }
    }

    #[test]
    fn a_page_with_a_form_lets_the_browser_send_its_origin() {
        let policy = |page: &Page| field(page, &Branding::default(), "referrer-policy");
        assert_eq!(policy(&denied()), "same-origin");
        assert_eq!(policy(&bare()), "no-referrer");
        let dropped = Page { actions: vec![post("https://evil.example/")], ..bare() };
        assert_eq!(policy(&dropped), "no-referrer");
    }

    #[test]
    fn the_github_mark_is_on_the_primary_button_that_names_github() {
        let with = |label: &str, primary| {
            let action = Action::Link { label: label.into(), href: "/".into(), primary };
            html(&Page { actions: vec![action], ..bare() }).contains(GITHUB.trim_end())
        };
        assert!(with("Sign in with GitHub", true));
        assert!(!with("Sign in with GitHub", false));
        assert!(!with("Continue", true));
    }

    #[test]
    fn the_tone_follows_the_status() {
        for (status, tone) in
            [(200, "calm"), (401, "calm"), (403, "stop"), (404, "stop"), (500, "fault")]
        {
            let page = Page { status: StatusCode::from_u16(status).unwrap(), ..bare() };
            assert!(html(&page).contains(&format!("<body class=\"{tone}\">")), "{status}");
        }
    }

    #[test]
    fn hidden_fields_are_not_in_debug_output() {
        let shown = format!("{:?}", denied());
        assert!(shown.contains("Sign out: POST /sign-out") && !shown.contains("s3"), "{shown}");
    }

    #[test]
    fn the_format_is_what_accept_asks_for() {
        for (accept, format) in [
            // Firefox, Chrome and Safari, opening a page
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                 image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
                Format::Html,
            ),
            // browsers, fetching an image, a style sheet, an event stream
            ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", Format::Text),
            ("text/css,*/*;q=0.1", Format::Text),
            ("text/event-stream", Format::Text),
            // fetch and curl, axios, jQuery
            ("*/*", Format::Text),
            ("application/json, text/plain, */*", Format::Json),
            ("application/json, text/javascript, */*; q=0.01", Format::Json),
            // htmx and Turbo
            ("text/vnd.turbo-stream.html, text/html, application/xhtml+xml", Format::Html),
            // API clients
            ("application/json", Format::Json),
            ("application/vnd.github+json", Format::Json),
            ("application/problem+json;q=0.5", Format::Json),
            ("application/*", Format::Json),
            ("APPLICATION/JSON; Q=0.2", Format::Json),
            ("application/grpc", Format::Text),
            // preferences
            ("text/html, application/json", Format::Html),
            ("application/json, text/html", Format::Html),
            ("text/html;q=0.8, application/json", Format::Json),
            ("text/html;q=0.8, application/json;q=0.9", Format::Json),
            ("text/html;level=1;q=0.9, application/json;q=0.8", Format::Html),
            ("application/xhtml+xml;q=0.9, text/html;q=0.1, application/json;q=0.5", Format::Html),
            ("text/plain, text/html;q=0.5", Format::Text),
            ("text/plain;q=0.4, application/json;q=0.5", Format::Json),
            ("text/*", Format::Text),
            ("text/html;q=0.1, */*", Format::Html),
            // refused by name, or nonsense
            ("text/html;q=0", Format::Text),
            ("text/html;q=0, application/json;q=0.1", Format::Json),
            ("application/json;q=0, */*", Format::Text),
            ("text/html;q=NaN, application/json;q=0.1", Format::Json),
            ("text/html;q=2", Format::Text),
            ("", Format::Text),
            (",;,q=1", Format::Text),
        ] {
            assert_eq!(format_of(&[accept]), format, "{accept}");
        }
    }

    #[test]
    fn accept_may_be_missing_or_come_in_several_fields() {
        assert_eq!(format_of(&[]), Format::Text);
        assert_eq!(format_of(&["application/json;q=0.5", "text/html"]), Format::Html);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_bytes(b"text/html\xff").unwrap());
        assert_eq!(Format::of(&headers), Format::Text);
    }
}
