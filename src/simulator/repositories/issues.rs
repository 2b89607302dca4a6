//! Issues with their comments and labels, and pull requests, which are issues with a branch.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::{
    changes::diff,
    route::{Visit, known},
    store::{Repository, Role},
};
use crate::simulator::{
    media::Form,
    outcome::Outcome,
    web::first,
    world::{PersonKey, World},
};

/// An issue or a pull request.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Issue {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) open: bool,
    pub(super) author: PersonKey,
    pub(super) labels: Vec<String>,
    pub(super) comments: Vec<Comment>,
    /// A pull request's branch.
    pub(super) pull: Option<String>,
    pub(super) born: Duration,
    pub(super) changed: Duration,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Comment {
    pub(super) id: u64,
    pub(super) author: PersonKey,
    pub(super) body: String,
    pub(super) born: Duration,
}

// === impl Repository ===

impl Repository {
    /// Opens an issue, or a pull request for this branch.
    pub(super) fn open(
        &mut self,
        author: PersonKey,
        (title, body): (&str, &str),
        pull: Option<&str>,
        now: Duration,
    ) -> u64 {
        let number = self.issues.len() as u64 + 1;
        self.issues.push(Issue {
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            open: true,
            author,
            labels: Vec::new(),
            comments: Vec::new(),
            pull: pull.map(str::to_owned),
            born: now,
            changed: now,
        });
        number
    }

    pub(super) fn comment(
        &mut self,
        number: u64,
        author: PersonKey,
        body: &str,
        now: Duration,
    ) -> Option<u64> {
        let before: usize = self.issues.iter().map(|issue| issue.comments.len()).sum();
        let id = self.id * 1_000 + before as u64 + 1;
        let issue = self.issue(&number.to_string())?;
        issue.comments.push(Comment { id, author, body: body.to_owned(), born: now });
        issue.changed = now;
        Some(id)
    }
}

/// What is below `/issues`, `/labels` and `/pulls`.
pub(super) fn route(visit: &Visit<'_>, world: &mut World, id: u64, rest: &[&str]) -> Outcome {
    if !known(world, id).has_issues && rest[0] == "issues" {
        return Outcome::error(StatusCode::GONE, "Issues are disabled for this repo");
    }
    match (visit.method(), rest) {
        ("GET", ["issues"]) => list(visit, world, id),
        ("POST", ["issues"]) => create(visit, world, id),
        ("GET", ["issues", "comments", comment]) => one_comment(visit, world, id, comment),
        ("GET", ["issues", number]) => show(visit, world, id, number),
        ("PATCH", ["issues", number]) => edit(visit, world, id, number),
        ("GET", ["issues", number, "comments"]) => comments(visit, world, id, number),
        ("POST", ["issues", number, "comments"]) => remark(visit, world, id, number),
        ("GET", ["pulls"]) => pulls(visit, world, id),
        ("GET", ["pulls", number]) => pull(visit, world, id, number),
        ("GET", ["labels"]) => labels(visit, world, id),
        ("POST", ["labels"]) => add_label(visit, world, id),
        _ => Outcome::not_found(),
    }
}

fn list(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let query = visit.request.query();
    let (state, since) = (first(&query, "state").unwrap_or("open"), first(&query, "since"));
    let labels: Vec<&str> = first(&query, "labels").map_or(vec![], |all| all.split(',').collect());
    let repository = known(world, id);
    let wanted = |issue: &&Issue| {
        (state == "all" || (state == "open") == issue.open)
            && since.is_none_or(|since| world.written(issue.changed).as_str() >= since)
            && labels.iter().all(|label| issue.labels.iter().any(|own| own == label))
    };
    let views = visit.views(world);
    let issues = repository.issues.iter().rev().filter(wanted);
    let issues = issues.map(|issue| views.issue(repository, issue)).collect();
    visit.page_of(id, issues, "/issues")
}

fn show(visit: &Visit<'_>, world: &World, id: u64, number: &str) -> Outcome {
    let repository = known(world, id);
    match find(repository, number) {
        Some(issue) => {
            let body = visit.views(world).issue(repository, issue);
            Outcome::fine(body).changed(issue.changed)
        }
        None => Outcome::not_found(),
    }
}

/// Whoever sees a repository may open an issue.
fn create(visit: &Visit<'_>, world: &mut World, id: u64) -> Outcome {
    if let Some(refused) = visit.refused(world, id, Role::Read) {
        return refused;
    }
    let (body, now) = (visit.body(), world.now());
    let (Some(title), Some(caller)) = (body["title"].as_str(), visit.asker.person()) else {
        return Outcome::invalid();
    };
    let text = body["body"].as_str().unwrap_or_default();
    let Some(repository) = world.repositories.by_id(id) else { return Outcome::not_found() };
    let number = repository.open(caller.key, (title, text), None, now);
    created(visit, world, id, &number.to_string())
}

fn created(visit: &Visit<'_>, world: &World, id: u64, number: &str) -> Outcome {
    let repository = known(world, id);
    match find(repository, number) {
        Some(issue) => Outcome::created(visit.views(world).issue(repository, issue)),
        None => Outcome::not_found(),
    }
}

fn edit(visit: &Visit<'_>, world: &mut World, id: u64, number: &str) -> Outcome {
    let own = find(known(world, id), number).map(|issue| issue.author)
        == visit.asker.person().map(|caller| caller.key);
    let needed = if own { Role::Read } else { Role::Write };
    if let Some(refused) = visit.refused(world, id, needed) {
        return refused;
    }
    let (body, now) = (visit.body(), world.now());
    let repository = world.repositories.by_id(id);
    let Some(issue) = repository.and_then(|it| it.issue(number)) else {
        return Outcome::not_found();
    };
    for (name, field) in [("title", &mut issue.title), ("body", &mut issue.body)] {
        if let Some(new) = body[name].as_str() {
            new.clone_into(field);
        }
    }
    if let Some(state) = body["state"].as_str() {
        issue.open = state == "open";
    }
    if let Some(labels) = body["labels"].as_array() {
        issue.labels = labels.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    issue.changed = now;
    show(visit, world, id, number)
}

fn comments(visit: &Visit<'_>, world: &World, id: u64, number: &str) -> Outcome {
    let repository = known(world, id);
    let Some(issue) = find(repository, number) else { return Outcome::not_found() };
    let views = visit.views(world);
    let all = issue.comments.iter().map(|comment| views.comment(repository, issue, comment));
    visit.page_of(id, all.collect(), &format!("/issues/{number}/comments"))
}

fn one_comment(visit: &Visit<'_>, world: &World, id: u64, comment: &str) -> Outcome {
    let repository = known(world, id);
    let mut all = repository
        .issues
        .iter()
        .flat_map(|issue| issue.comments.iter().map(move |comment| (issue, comment)));
    match all.find(|(_, one)| one.id.to_string() == comment) {
        Some((issue, comment)) => {
            Outcome::fine(visit.views(world).comment(repository, issue, comment))
        }
        None => Outcome::not_found(),
    }
}

fn remark(visit: &Visit<'_>, world: &mut World, id: u64, number: &str) -> Outcome {
    if let Some(refused) = visit.refused(world, id, Role::Read) {
        return refused;
    }
    let (body, now) = (visit.body(), world.now());
    let (Some(text), Some(caller)) = (body["body"].as_str(), visit.asker.person()) else {
        return Outcome::invalid();
    };
    let repository = world.repositories.by_id(id);
    let number: u64 = number.parse().unwrap_or_default();
    let made = repository.and_then(|it| it.comment(number, caller.key, text, now));
    let repository = known(world, id);
    let issue = find(repository, &number.to_string());
    match (issue, issue.and_then(|issue| issue.comments.last()), made) {
        (Some(issue), Some(comment), Some(_)) => {
            Outcome::created(visit.views(world).comment(repository, issue, comment))
        }
        _ => Outcome::not_found(),
    }
}

fn pulls(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let (repository, views) = (known(world, id), visit.views(world));
    let pulls = repository.issues.iter().rev().filter(|issue| issue.pull.is_some() && issue.open);
    visit.page_of(id, pulls.map(|issue| views.pull(repository, issue)).collect(), "/pulls")
}

fn pull(visit: &Visit<'_>, world: &World, id: u64, number: &str) -> Outcome {
    let repository = known(world, id);
    let issue = find(repository, number).filter(|issue| issue.pull.is_some());
    let Some(issue) = issue else { return Outcome::not_found() };
    let commit = issue.pull.as_deref().and_then(|branch| repository.commit(branch));
    match (Form::of(visit.request), commit) {
        (Form::Diff | Form::Patch, Some(commit)) => {
            Outcome::raw("application/vnd.github.diff; charset=utf-8", diff(repository, commit))
        }
        _ => Outcome::fine(visit.views(world).pull(repository, issue)).changed(issue.changed),
    }
}

fn labels(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let (repository, views) = (known(world, id), visit.views(world));
    let labels = repository.labels.iter().map(|name| views.label(repository, name));
    visit.page_of(id, labels.collect(), "/labels")
}

fn add_label(visit: &Visit<'_>, world: &mut World, id: u64) -> Outcome {
    if let Some(refused) = visit.refused(world, id, Role::Write) {
        return refused;
    }
    let body = visit.body();
    let Some(name) = body["name"].as_str() else { return Outcome::invalid() };
    let Some(repository) = world.repositories.by_id(id) else { return Outcome::not_found() };
    repository.labels.push(name.to_owned());
    Outcome::created(visit.views(world).label(known(world, id), name))
}

fn find<'w>(repository: &'w Repository, number: &str) -> Option<&'w Issue> {
    let number: usize = number.parse().ok()?;
    repository.issues.get(number.checked_sub(1)?)
}
