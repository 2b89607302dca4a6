//! What belongs to no repository: people, searches, the budgets, what there is at all.

use serde_json::{Value, json};

use super::{downloads::polled, route::Visit, search};
use crate::simulator::{
    limits::budgets,
    outcome::{Content, Outcome},
    rest::version,
    world::World,
};

/// Answers these paths; `None` for all others.
pub(super) fn route(visit: &Visit<'_>, world: &World, path: &[&str]) -> Option<Outcome> {
    if visit.method() != "GET" {
        return None;
    }
    Some(match *path {
        ["rate_limit"] => {
            let newest = version(visit.request) != Some("2022-11-28");
            budgets(visit.shared, world, visit.asker, newest)
        }
        ["meta"] => meta(),
        ["search", "issues"] => search::issues(visit, world),
        ["events"] => polled(Outcome::fine(json!([]))),
        ["notifications"] => notifications(visit, world),
        ["users", login] => person(visit, world, login),
        ["user", "repos"] => own(visit, world),
        ["users", login, "repos"] => theirs(visit, world, login),
        ["blob", bytes] => blob(bytes),
        _ => return None,
    })
}

fn meta() -> Outcome {
    Outcome::fine(json!({
        "verifiable_password_authentication": false, "hooks": ["127.0.0.0/8", "::1/128"],
        "api": ["127.0.0.0/8", "::1/128"], "web": ["127.0.0.0/8", "::1/128"],
    }))
}

fn notifications(visit: &Visit<'_>, world: &World) -> Outcome {
    let Some(caller) = visit.asker.person() else { return Outcome::requires_authentication() };
    let visible = world.repositories.all().iter().filter(|it| it.visible_to(visit.asker));
    let views = visit.views(world);
    let about = visible.flat_map(|it| it.issues.iter().map(move |issue| (it, issue)));
    let mine = about.filter(|(_, issue)| issue.author == caller.key && !issue.comments.is_empty());
    let threads: Vec<Value> = mine
        .map(|(it, issue)| {
            json!({
                "id": (it.id * 10_000 + issue.number).to_string(), "unread": true,
                "reason": "author", "updated_at": world.written(issue.changed),
                "subject": { "title": issue.title, "url": views.issue(it, issue)["url"] },
                "repository": views.repository(it, visit.asker),
            })
        })
        .collect();
    polled(visit.page(threads, &format!("{}/notifications", visit.shared.api_url)))
}

fn person(visit: &Visit<'_>, world: &World, login: &str) -> Outcome {
    let Some(key) = world.find(login) else { return Outcome::not_found() };
    let oneself = visit.asker.person().is_some_and(|caller| caller.key == key);
    Outcome::fine(visit.views(world).profile(world.person(key), oneself))
}

/// `GET /user/repos`: those where the person is more than a passer-by.
fn own(visit: &Visit<'_>, world: &World) -> Outcome {
    let Some(caller) = visit.asker.person() else { return Outcome::requires_authentication() };
    let views = visit.views(world);
    let mine = world.repositories.all().iter().filter(|it| {
        let involved = it.members.contains_key(&caller.key)
            || it.role(visit.asker) > Some(super::store::Role::Read);
        involved && it.visible_to(visit.asker)
    });
    let mine = mine.map(|it| views.repository(it, visit.asker)).collect();
    visit.page(mine, &format!("{}/user/repos", visit.shared.api_url))
}

fn theirs(visit: &Visit<'_>, world: &World, login: &str) -> Outcome {
    if world.find(login).is_none() {
        return Outcome::not_found();
    }
    let views = visit.views(world);
    let theirs = world.repositories.all().iter();
    let theirs = theirs.filter(|it| !it.private && it.owner.eq_ignore_ascii_case(login));
    let theirs = theirs.map(|it| views.repository(it, visit.asker)).collect();
    visit.page(theirs, &format!("{}/users/{login}/repos", visit.shared.api_url))
}

/// `GET /blob/{bytes}`, which GitHub does not have: a body as long as one likes.
fn blob(bytes: &str) -> Outcome {
    match bytes.parse() {
        Ok(bytes) => Outcome::new(http::StatusCode::OK, Content::Filler(bytes)),
        Err(_) => Outcome::not_found(),
    }
}
