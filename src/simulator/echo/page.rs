//! The demo app's page: in plain words, who the gateway says the visitor is.

use serde_json::Value;

use super::jwt::Passport;
use crate::simulator::web::{STYLE, escape};

/// What is shown of one request.
pub(super) struct Page<'a> {
    pub(super) target: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) passport: Option<Passport>,
    pub(super) verdict: Result<(), String>,
}

// === impl Page ===

impl Page<'_> {
    pub(super) fn render(&self, prefix: &str) -> String {
        let (place, note) = self.place();
        let body = format!(
            "<h1>{place}</h1>\n<p id=\"who\">{}</p>\n{note}\
             <p>You asked for <code id=\"path\">{}</code>.</p>\n{}\
             <h2>The headers this app was given</h2>\n{}",
            self.who(),
            escape(self.target),
            self.token(),
            self.table(),
        );
        page(place, prefix, &body)
    }

    /// The page's title, and what is special about this place.
    fn place(&self) -> (&'static str, &'static str) {
        let path = self.target.split('?').next().unwrap_or_default();
        if path == "/admin" || path.starts_with("/admin/") {
            let note = "<p id=\"admin\">This is the admins' page. Only whom the gateway's rules \
                        name may see it: mona, hubot and the other admins.</p>\n";
            return ("The admins' page", note);
        }
        ("Hello from the demo app", "")
    }

    /// Who it is, and how sure this app can be.
    fn who(&self) -> String {
        let verified = self.verdict.is_ok();
        if let Some(passport) = &self.passport
            && let Some(login) = passport.claim("login").or_else(|| passport.claim("sub"))
        {
            let more: Vec<&str> =
                ["name", "email"].iter().filter_map(|name| passport.claim(name)).collect();
            let more =
                if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
            let doubt = if verified { "" } else { " But the token does not prove it." };
            let (login, more) = (escape(login), escape(&more));
            return format!("The gateway says you are <strong>{login}</strong>{more}.{doubt}");
        }
        match self.header("x-forwarded-user") {
            Some(user) => format!(
                "A header says you are <strong>{}</strong>. No token came with it to prove it.",
                escape(user)
            ),
            None => "The gateway does not say who you are.".to_owned(),
        }
    }

    fn token(&self) -> String {
        let verdict = match &self.verdict {
            Ok(()) => "<p id=\"jwt-verdict\" class=\"good\">signature verified</p>".to_owned(),
            Err(why) => format!(
                "<p id=\"jwt-verdict\" class=\"bad\">signature NOT verified: {}</p>",
                escape(why)
            ),
        };
        let pretty = |value: &Value| {
            escape(&serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()))
        };
        let parts = self.passport.as_ref().map_or_else(String::new, |passport| {
            format!(
                "<h3>Header</h3>\n<pre id=\"jwt-header\" tabindex=\"0\">{}</pre>\n\
                 <h3>Claims</h3>\n<pre id=\"jwt-claims\" tabindex=\"0\">{}</pre>\n",
                pretty(&passport.header),
                pretty(&passport.claims)
            )
        });
        format!("<h2>The identity token</h2>\n{verdict}\n{parts}")
    }

    fn table(&self) -> String {
        let row = |(name, value): &(String, String)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value))
        };
        let rows: String = self.headers.iter().map(row).collect();
        format!(
            "<table id=\"headers\"><thead><tr><th scope=\"col\">Name</th>\
             <th scope=\"col\">Value</th></tr></thead>\n<tbody>{rows}</tbody></table>"
        )
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn page(title: &str, prefix: &str, body: &str) -> String {
    let prefix = escape(prefix);
    let deep = escape("/deep/link?u=https://elsewhere.example/x&y=1");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} · Demo app behind Gatekeep</title><style>{STYLE}</style></head>\n<body>\
         <header><strong>Demo app behind Gatekeep</strong><nav aria-label=\"Places\">\
         <a href=\"/\">Home</a> <a href=\"/admin\">Admins' page</a> <a href=\"{deep}\">Deep link</a> \
         <a href=\"{prefix}/account\">Your account</a> <a href=\"{prefix}/sign_out\">Sign out</a>\
         </nav></header>\n<main class=\"wide\">{body}</main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_visitor_sent_cannot_become_markup() {
        let headers = [("x-forwarded-user".to_owned(), "<b>mona</b>".to_owned())];
        let verdict = Err("there is no token in this request".to_owned());
        let page = Page { target: "/?<i>", headers: &headers, passport: None, verdict };
        let page = page.render("/.gatekeep");
        assert!(!page.contains("<b>") && !page.contains("<i>"));
        assert!(page.contains(
            "<p id=\"jwt-verdict\" class=\"bad\">\
             signature NOT verified: there is no token in this request</p>"
        ));
    }
}
