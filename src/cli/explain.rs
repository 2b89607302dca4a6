//! `gatekeep explain`: the decision of a request, without a request.

use std::fmt::Write;
use std::process::ExitCode;

use http::{HeaderName, Method};
use url::Url;

use super::{ExplainArgs, REFUSED, fail, say};
use crate::config::{Config, size, span};
use crate::gateway::Endpoint;
use crate::identity::{Identity, NameError};
use crate::policy::{Policy, Verdict};
use crate::route::{Access, Answers, InstanceSignIn, Miss, Route, Rule};
use crate::target::Target;

/// The number of no account at GitHub.
const NO_ACCOUNT: u64 = 0;

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("{0}")]
    Config(#[from] crate::config::Problems),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("`{0}` is not a method; write GET, POST and so on")]
    Method(String),
    #[error("`{0}` is not an address; write https://host/path, as in a browser")]
    Address(String),
}

pub(super) fn explain(args: &ExplainArgs) -> ExitCode {
    match explanation(args) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, REFUSED),
    }
}

fn explanation(args: &ExplainArgs) -> Result<String, ExplainError> {
    let config = Config::load(&args.file)?;
    let method: Method =
        args.method.parse().map_err(|_| ExplainError::Method(args.method.clone()))?;
    let visitor = visitor(args)?;
    let (authority, line) = split(&args.url)?;
    let mut out = format!("{method} {}\n", args.url);
    match Target::parse(line.as_bytes(), std::iter::once(authority.as_bytes()), None) {
        Err(ambiguity) => {
            line_of(&mut out, "decision", &format!("400, ambiguous-target: {ambiguity}"));
        }
        Ok(target) if Endpoint::at(&config, &method, &target).is_some() => {
            line_of(&mut out, "decision", "endpoint: the gateway's own page, never forwarded");
        }
        Ok(target) => match config.routes.find(&target, &method) {
            Err(miss) => line_of(&mut out, "decision", &miss_text(miss)),
            Ok(route) => explain_route(&mut out, route, &target, &method, visitor.as_ref()),
        },
    }
    Ok(out)
}

fn explain_route(
    out: &mut String,
    route: &Route,
    target: &Target<'_>,
    method: &Method,
    visitor: Option<&Identity>,
) {
    line_of(out, "route", &format!("{} ({}{})", route.name, route.host, route.path));
    let app = route.app_at(target.path()).map(ToString::to_string);
    line_of(out, "upstream", &app.unwrap_or_else(|| route.upstream.to_string()));
    if let Some(preset) = route.preset {
        line_of(out, "preset", &format!("{preset}; `gatekeep check` shows all that it says"));
    }
    line_of(out, "forwarded as", &target.path_and_query());
    let terms = match route.terms(target.path(), method) {
        Err(miss) => return line_of(out, "decision", &miss_text(miss)),
        Ok(terms) => terms,
    };
    let rule = terms.rule.and_then(|index| route.rules.get(index));
    match terms.access {
        Access::Closed => {
            line_of(out, "rule", &rule_text(route, terms.rule));
            return line_of(out, "decision", "deny (403), path-closed: nobody may pass");
        }
        Access::Public => {
            line_of(out, "rule", "a pattern of `public`");
            line_of(out, "decision", "allow, public: no sign-in is needed");
        }
        Access::Guarded(policy, judge) => {
            line_of(out, "rule", &rule_text(route, judge));
            line_of(out, "allows", &policy_text(policy));
            let answers = rule.map_or(Answers::Pages, |rule| rule.answers);
            line_of(out, "decision", &decision_text(policy, answers, visitor));
        }
    }
    if let Some(sign_in) = &route.sign_in {
        let InstanceSignIn { instance, by } = sign_in;
        line_of(out, "visitors", &format!("become users of `{instance}`, by the {by} (`sign_in`)"));
    }
    if route.same_origin && !method.is_safe() {
        line_of(out, "with a cookie", "from the route's own pages alone (`same_origin`)");
    }
    for change in changes(route) {
        line_of(out, "on the way", &change);
    }
    if let (Some(rule), Some(index)) = (rule, terms.rule) {
        differences(out, rule, index + 1);
    }
}

/// What is changed in requests on their way to the app.
fn changes(route: &Route) -> Vec<String> {
    let passing = &route.passing;
    let names = |names: Vec<&str>| names.join("`, `");
    let mut changes = Vec::new();
    if !passing.strip_query.is_empty() {
        let parameters = names(passing.strip_query.iter().map(|name| &**name).collect());
        changes.push(format!("a visitor's request loses the parameter `{parameters}`"));
    }
    if !passing.strip_headers.is_empty() {
        let fields = names(passing.strip_headers.iter().map(HeaderName::as_str).collect());
        changes.push(format!("every request loses the field `{fields}`"));
    }
    if let Some(cookie) = passing.placeholder_cookie.as_ref().and_then(|it| it.to_str().ok()) {
        changes.push(format!("one without cookies gets `{cookie}`"));
    }
    changes
}

/// What a rule says beside whom it lets in.
fn differences(out: &mut String, rule: &Rule, number: usize) {
    let limit = rule.body_limit.map(|limit| format!("a body of at most {}", size(limit)));
    let read = rule.read_timeout.map(|read| format!("{} between two reads", span(read)));
    let token = rule.bearer.as_ref().map(|bearer| {
        let kind = if bearer.prefix.is_empty() {
            String::new()
        } else {
            format!(" `{}…`", bearer.prefix)
        };
        let place = bearer.query.as_ref().map(|name| format!(" or `?{name}=`")).unwrap_or_default();
        format!("a token of the app's own{kind} in `Authorization`{place} passes without a session")
    });
    let redirects = rule.redirects.as_ref().map(|_| "leads to its own origin alone".to_owned());
    let json = (rule.answers == Answers::Json).then(|| "answers in JSON".to_owned());
    let all: Vec<_> = [token, redirects, json, limit, read].into_iter().flatten().collect();
    if !all.is_empty() {
        line_of(out, "there", &format!("{} (number {number} of `rules`)", all.join(", ")));
    }
}

fn decision_text(policy: &Policy, answers: Answers, visitor: Option<&Identity>) -> String {
    let Some(visitor) = visitor else {
        let who = match answers {
            Answers::Pages => "a browser goes to GitHub, a script gets 401",
            Answers::Json => "whoever asks gets 401 in JSON",
        };
        return format!("sign in, no-session: {who}");
    };
    match policy.evaluate(visitor) {
        Verdict::Admitted(reason) => {
            format!("allow, {reason}: {} may pass", visitor.login)
        }
        Verdict::Refused(reason) => format!("deny (403), {reason}: {} may not pass", visitor.login),
        Verdict::FactsMissing => "sign in, facts-missing".to_owned(),
    }
}

fn rule_text(route: &Route, rule: Option<usize>) -> String {
    match rule.and_then(|index| route.rules.get(index).map(|rule| (index, rule))) {
        Some((index, rule)) => format!("number {} of `rules`, at {}", index + 1, rule.path),
        None => "the route's own `allow`".to_owned(),
    }
}

fn policy_text(policy: &Policy) -> String {
    if policy.anyone {
        return "anyone who is signed in".to_owned();
    }
    let mut kinds = Vec::new();
    let mut kind = |label: &str, names: Vec<String>| {
        if !names.is_empty() {
            kinds.push(format!("{label} {}", names.join(", ")));
        }
    };
    kind("users", policy.users.iter().map(ToString::to_string).collect());
    kind("orgs", policy.orgs.iter().map(ToString::to_string).collect());
    kind("teams", policy.teams.iter().map(ToString::to_string).collect());
    kind("emails", policy.emails.iter().map(ToString::to_string).collect());
    kinds.join("; or ")
}

fn miss_text(miss: Miss) -> String {
    match miss {
        Miss::NoRoute => format!("404, no-route: {miss}"),
        Miss::Method => format!("405, bad-method: {miss}"),
        Miss::Ambiguous => format!("400, ambiguous-target: {miss}"),
    }
}

fn visitor(args: &ExplainArgs) -> Result<Option<Identity>, NameError> {
    let Some(login) = &args.user else { return Ok(None) };
    Ok(Some(Identity {
        id: args.id.unwrap_or(NO_ACCOUNT),
        login: login.parse()?,
        name: None,
        email: args.email.as_deref().map(str::parse).transpose()?,
        orgs: Some(args.orgs.iter().map(|org| org.parse()).collect::<Result<_, _>>()?),
        teams: Some(args.teams.iter().map(|team| team.parse()).collect::<Result<_, _>>()?),
    }))
}

/// Host and request target as a browser would send them, with the path as it was typed: a URL
/// parser would tidy up what is to be judged.
fn split(url: &str) -> Result<(String, String), ExplainError> {
    let bad = || ExplainError::Address(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| bad())?;
    let host = parsed
        .host_str()
        .filter(|_| matches!(parsed.scheme(), "http" | "https"))
        .ok_or_else(bad)?;
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let after_scheme = url.split_once("://").ok_or_else(bad)?.1;
    let line = after_scheme.find(['/', '?', '#']).map_or("/", |at| &after_scheme[at..]);
    let line = if line.starts_with('/') { line.to_owned() } else { format!("/{line}") };
    Ok((format!("{host}{port}"), line))
}

fn line_of(out: &mut String, label: &str, text: &str) {
    writeln!(out, "  {label:<13} {text}").expect("writing to memory does not fail");
}
