//! Whole pages, as each kind of reader gets them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::html::{GITHUB, STYLE};
use super::*;

fn link(label: &str, href: &str) -> Way {
    Way::Link { label: label.into(), href: href.into(), primary: true }
}

fn post(action: &str) -> Way {
    let fields = vec![("token".to_owned(), "s3\"cret".to_owned())];
    Way::Post { label: "Sign out".into(), action: action.into(), fields, primary: false }
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
        ..Page::default()
    }
}

fn listing() -> Page {
    let row = |device: &str, at: &str| vec![device.to_owned(), at.to_owned()];
    let rows = vec![
        Row { cells: row("Firefox", "today"), mark: Some("this one"), ..Row::default() },
        Row { cells: row("curl", "long ago"), action: Some(post("/end")), ..Row::default() },
    ];
    let table = Table {
        title: "Your sessions",
        columns: &["Device", "Last used"],
        rows,
        note: Some("And 3 more.".into()),
        actions: vec![post("/end-all")],
        form: None,
    };
    Page { tables: vec![table], actions: vec![], ..bare() }
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
        "error": "This site admits members of acme/platform.",
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
fn a_table_as_html() {
    let html = html(&listing());
    let (_, from_lead) = html.split_once("<p class=\"lead\">You are signed out.</p>\n").unwrap();
    let form = |action: &str| {
        format!(
            "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"token\" \
             value=\"s3&quot;cret\"><button class=\"button\" type=\"submit\">\
             <span>Sign out</span></button></form>"
        )
    };
    let expected = format!(
        "<h2>Your sessions</h2>
<table>
<thead><tr><th scope=\"col\">Device</th><th scope=\"col\">Last used</th><td></td></tr></thead>
<tbody>
<tr><th scope=\"row\">Firefox <span class=\"tag\">this one</span></th>\
<td data-name=\"Last used\">today</td><td></td></tr>
<tr><th scope=\"row\">curl</th><td data-name=\"Last used\">long ago</td><td>{}</td></tr>
</tbody>
</table>
<p class=\"help\">And 3 more.</p>
<div class=\"actions\">
{}
</div>
</main>
</body>
</html>
",
        form("/end"),
        form("/end-all"),
    );
    assert_eq!(from_lead, expected);
    assert!(html.contains("<main class=\"wide\">"));
}

#[test]
fn a_table_as_text_and_json() {
    let expected = "\
Gatekeep: Signed out

You are signed out.

Your sessions

Device: Firefox
Last used: today
this one

Device: curl
Last used: long ago
Sign out: POST /end

And 3 more.

Sign out: POST /end-all
";
    assert_eq!(body(&listing(), Format::Text, &Branding::default()), expected);
    let json: Value =
        serde_json::from_str(&body(&listing(), Format::Json, &Branding::default())).unwrap();
    let action = |path: &str| json!({ "label": "Sign out", "post": path });
    let expected = json!({
        "title": "Your sessions",
        "rows": [
            { "Device": "Firefox", "Last used": "today", "mark": "this one", "action": null },
            { "Device": "curl", "Last used": "long ago", "mark": null, "action": action("/end") },
        ],
        "note": "And 3 more.",
        "actions": [action("/end-all")],
    });
    assert_eq!(json["tables"], json!([expected]));
}

#[test]
fn whatever_is_filled_in_is_escaped() {
    let evil = "</title>\"><script>alert('&')</script>{{style}}".to_owned();
    let escaped = "&lt;/title&gt;&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)\
                       &lt;/script&gt;{{style}}";
    let fields = vec![(evil.clone(), evil.clone())];
    let action = "/\"><script>".to_owned();
    let one = Kind::One(vec![(evil.clone(), evil.clone())], 0);
    let table = Table {
        title: "</h2><script>",
        columns: &["</th>\"><script>", "<script>"],
        rows: vec![Row {
            cells: vec![evil.clone(), evil.clone()],
            mark: Some("</span><script>"),
            action: Some(link(&evil, "/")),
            meter: Some(Meter { left: 1, of: 2 }),
        }],
        note: Some(evil.clone()),
        actions: vec![link(&evil, "/")],
        form: Some(Form {
            label: "<script>",
            action: "\"><script>".into(),
            hidden: fields.clone(),
            inputs: [Kind::Text(1), Kind::Any(vec![evil.clone()]), one]
                .map(|kind| Input { label: "<script>", name: "\"><script>", kind })
                .into(),
        }),
    };
    let page = Page {
        status: StatusCode::OK,
        title: evil.clone(),
        lead: evil.clone(),
        help: vec![evil.clone()],
        copies: vec![("<script>", Secret::new(evil.clone()))],
        facts: fields.clone(),
        tables: vec![table],
        actions: vec![
            link(&evil, "/\"><script>"),
            Way::Post { label: evil.clone(), action, fields, primary: true },
        ],
        reason: None,
        request_id: Some(evil.clone()),
    };
    let logo = Some("/logo\"><script>".to_owned());
    let html = body(&page, Format::Html, &Branding { name: evil, logo });
    assert!(!html.contains("<script"), "{html}");
    assert_eq!(html.matches(escaped).count(), 25, "{html}");
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
        let row = Row { action: Some(post(href)), ..Row::default() };
        let table = Table { rows: vec![row], actions: vec![post(href)], ..Table::default() };
        let forms = html(&Page { tables: vec![table], ..bare() }).matches("<form").count();
        assert_eq!(forms, if post_stays { 2 } else { 0 }, "{href:?}");
        for (page, stays) in [(with(link("Go", href)), link_stays), (with(post(href)), post_stays)]
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
    assert_eq!(policy(&listing()), "same-origin");
    let dropped = Page { actions: vec![post("https://evil.example/")], ..bare() };
    assert_eq!(policy(&dropped), "no-referrer");
}

#[test]
fn the_github_mark_is_on_the_primary_button_that_names_github() {
    let with = |label: &str, primary| {
        let action = Way::Link { label: label.into(), href: "/".into(), primary };
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

// === What is filled in, and what is copied ===

fn form() -> Form {
    let input = |label, name, kind| Input { label, name, kind };
    let lives = vec![("7".to_owned(), "a <week>".to_owned()), ("30".to_owned(), "long".to_owned())];
    Form {
        label: "Make one",
        action: "/make".to_owned(),
        hidden: vec![("token".to_owned(), "s3\"cret".to_owned())],
        inputs: vec![
            input("Routes", "route", Kind::Any(vec!["a\"b".to_owned()])),
            input("Name", "name", Kind::Text(60)),
            input("Lasts", "days", Kind::One(lives, 1)),
        ],
    }
}

fn fillable() -> Page {
    let table = Table { title: "Keys", columns: &["Name"], form: Some(form()), ..Table::default() };
    Page { tables: vec![table], ..bare() }
}

#[test]
fn a_form_as_html() {
    let html = html(&fillable());
    let (_, from_lead) = html.split_once("<p class=\"lead\">You are signed out.</p>\n").unwrap();
    let expected = "<h2>Keys</h2>
<form method=\"post\" action=\"/make\" class=\"fill\">\
<input type=\"hidden\" name=\"token\" value=\"s3&quot;cret\">
<fieldset>
<legend>Routes</legend>
<label><input type=\"checkbox\" name=\"route\" value=\"a&quot;b\"> a&quot;b</label>
</fieldset>
<label>Name <input type=\"text\" name=\"name\" maxlength=\"60\" required autocomplete=\"off\">\
</label>
<label>Lasts <select name=\"days\"><option value=\"7\">a &lt;week&gt;</option>\
<option value=\"30\" selected>long</option></select></label>
<button class=\"button\" type=\"submit\"><span>Make one</span></button></form>
</main>
</body>
</html>
";
    assert_eq!(from_lead, expected);
    assert_eq!(field(&fillable(), &Branding::default(), "referrer-policy"), "same-origin");
}

#[test]
fn a_form_as_text_and_json() {
    let text = body(&fillable(), Format::Text, &Branding::default());
    assert!(text.ends_with("\n\nKeys\n\nMake one: POST /make\n"), "{text}");
    let json: Value =
        serde_json::from_str(&body(&fillable(), Format::Json, &Branding::default())).unwrap();
    let expected = json!({
        "label": "Make one",
        "post": "/make",
        "fields": [
            { "name": "route", "label": "Routes", "values": ["a\"b"] },
            { "name": "name", "label": "Name", "values": [] },
            { "name": "days", "label": "Lasts", "values": ["7", "30"] },
        ],
    });
    assert_eq!(json["tables"][0]["form"], expected);
    assert_eq!(format!("{:?}", form()), "Make one: POST /make");
}

#[test]
fn what_is_to_be_copied_comes_first_and_debug_does_not_show_it() {
    let copies = vec![("Key", Secret::new("<k3y>".to_owned()))];
    let page = Page { copies, facts: vec![("Name".into(), "ci".into())], ..bare() };
    let listed = "<dl>\n<div><dt>Key</dt><dd><code>&lt;k3y&gt;</code></dd></div>\n\
                  <div><dt>Name</dt><dd>ci</dd></div>\n</dl>\n";
    assert!(html(&page).contains(listed), "{}", html(&page));
    assert!(body(&page, Format::Text, &Branding::default()).contains("\n\nKey: <k3y>\nName: ci\n"));
    assert!(!format!("{page:?}").contains("k3y"));
}

#[test]
fn what_is_left_is_a_bar_beside_the_words() {
    let row = Row {
        cells: vec!["core".into(), "42 of 60".into(), "noon".into()],
        meter: Some(Meter { left: 42, of: 60 }),
        ..Row::default()
    };
    let table = Table {
        title: "Limits",
        columns: &["Limit", "Left", "Full again"],
        rows: vec![row],
        ..Table::default()
    };
    let page = Page { tables: vec![table], ..bare() };
    let expected = "<tr><th scope=\"row\">core</th><td data-name=\"Left\"><span>42 of 60\
                    <meter min=\"0\" low=\"6\" max=\"60\" optimum=\"60\" value=\"42\" \
                    aria-hidden=\"true\"></meter></span></td>\
                    <td data-name=\"Full again\">noon</td><td></td></tr>\n";
    assert!(html(&page).contains(expected), "{}", html(&page));
    let text = body(&page, Format::Text, &Branding::default());
    assert!(text.ends_with("\n\nLimit: core\nLeft: 42 of 60\nFull again: noon\n"), "{text}");
    let json: Value =
        serde_json::from_str(&body(&page, Format::Json, &Branding::default())).unwrap();
    assert_eq!(json["tables"][0]["rows"][0]["meter"], json!({ "left": 42, "of": 60 }));
}
