//! The pages of the simulated GitHub: plain forms, no script.

use super::{
    authorize::{AUTHORIZE, Ask},
    cast::Person,
    github::Shared,
    record::lock,
    scopes::meaning,
    web::{STYLE, encode, escape},
    world::PersonKey,
};

/// How many people the list shows; the others are reached by typing their login.
const SHOWN: usize = 12;

/// Step 1: who are you?
pub(super) fn pick(shared: &Shared, ask: &Ask) -> String {
    let people: String = {
        let world = lock(&shared.world);
        world.people().iter().take(SHOWN).map(|person| choice(person, ask.hint())).collect()
    };
    let hidden = hidden(ask);
    let body = format!(
        "<h1>Who are you today?</h1>\n\
         <p>Pick somebody to sign in as. No password: they are not real.</p>\n\
         <form method=\"post\" action=\"{AUTHORIZE}\">{hidden}<ul class=\"people\">{people}</ul></form>\n\
         <form method=\"post\" action=\"{AUTHORIZE}\" class=\"row\">{hidden}\
         <label for=\"login\">Somebody else, by login</label>\
         <input id=\"login\" name=\"person\" autocomplete=\"off\" required>\
         <button>Continue</button></form>"
    );
    page("Sign in", &body)
}

/// Step 2: do you agree?
pub(super) fn consent(shared: &Shared, ask: &Ask, person: PersonKey, scopes: &[String]) -> String {
    let person = lock(&shared.world).person(person).clone();
    let item =
        |scope: &String| format!("<li><code>{}</code> {}</li>", escape(scope), meaning(scope));
    let items: Vec<String> = scopes.iter().map(item).collect();
    let scopes = if items.is_empty() {
        "<li>Read what is public about you</li>".to_owned()
    } else {
        items.concat()
    };
    let login = escape(&person.login);
    let back = escape(&ask.callback().origin().ascii_serialization());
    let switch =
        encode(&[("return_to".into(), format!("{AUTHORIZE}?{}", encode(&ask.parameters)))]);
    let body = format!(
        "<h1>Let the app at <code>{back}</code> know who you are?</h1>\n\
         <p class=\"who\"><img src=\"/avatars/u/{}\" alt=\"\" width=\"40\" height=\"40\"> \
         <span>You are <strong id=\"person\">{login}</strong>.</span> \
         <a href=\"/logout?{}\">Switch person</a></p>\n\
         <p>It asks for:</p><ul id=\"scopes\">{scopes}</ul>\n\
         <form method=\"post\" action=\"{AUTHORIZE}\" class=\"row\">{}\
         <input type=\"hidden\" name=\"person\" value=\"{login}\">\
         <button name=\"decision\" value=\"authorize\" class=\"main\">Authorize</button> \
         <button name=\"decision\" value=\"cancel\">Cancel</button></form>\n\
         <p class=\"quiet\">Either way you go back to {back}.</p>",
        person.id,
        escape(&switch),
        hidden(ask)
    );
    page("Authorize", &body)
}

/// The front page: who this browser is, and how to change that.
pub(super) fn front(person: Option<&Person>) -> String {
    let body = match person {
        Some(person) => format!(
            "<h1>You are {}</h1>\n<p>{}</p>\n<p><a href=\"/logout\">Switch person</a></p>",
            escape(&person.login),
            escape(&person.about)
        ),
        None => "<h1>Nobody is signed in</h1>\n\
                 <p>Start from the app: it will send you here to pick a person.</p>"
            .to_owned(),
    };
    page("Home", &body)
}

pub(super) fn not_found() -> String {
    page("Page not found", "<h1>404</h1>\n<p>This is not the web page you are looking for.</p>")
}

pub(super) fn foreign_callback() -> String {
    let body = "<h1>Be careful!</h1>\n\
                <p>The <code>redirect_uri</code> is not associated with this application.</p>\n\
                <p>The application might be misconfigured or could be trying to redirect you to a \
                website you weren't expecting.</p>";
    page("Unknown callback", body)
}

/// A picture for this id: a colour and nothing else.
pub(super) fn avatar(id: &str) -> String {
    let hue = id.bytes().fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\">\
         <rect width=\"40\" height=\"40\" rx=\"8\" fill=\"hsl({hue} 55% 45%)\"/>\
         <circle cx=\"20\" cy=\"15\" r=\"7\" fill=\"#fff\"/>\
         <path d=\"M6 38a14 14 0 0 1 28 0z\" fill=\"#fff\"/></svg>"
    )
}

fn choice(person: &Person, hint: Option<&str>) -> String {
    let hinted = hint.is_some_and(|login| login.eq_ignore_ascii_case(&person.login));
    format!(
        "<li><button name=\"person\" value=\"{login}\"{focus}>\
         <img src=\"/avatars/u/{id}\" alt=\"\" width=\"40\" height=\"40\">\
         <span><strong>{login}</strong>{name}{asked}<br><small>{about}</small></span></button></li>",
        login = escape(&person.login),
        focus = if hinted { " autofocus class=\"hinted\"" } else { "" },
        id = person.id,
        name = person.name.as_deref().map(|name| format!(" {}", escape(name))).unwrap_or_default(),
        asked = if hinted { " (the app suggests)" } else { "" },
        about = escape(&person.about),
    )
}

/// The question's own parameters, carried along. What the forms ask themselves is left out.
fn hidden(ask: &Ask) -> String {
    let ours = ["person", "decision"];
    let carried = ask.parameters.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
    let field = |(name, value): &(String, String)| {
        let (name, value) = (escape(name), escape(value));
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
    };
    carried.map(field).collect()
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} · Simulated GitHub</title><style>{STYLE}</style></head>\n<body>\
         <header class=\"pretence\"><strong>Simulated GitHub:</strong> this is a pretence, \
         nobody's real account.</header>\n<main>{body}</main></body></html>\n"
    )
}
