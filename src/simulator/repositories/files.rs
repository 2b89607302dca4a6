//! `/contents`: files and directories, tagged with the ids that Git gives them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    git::{Entry, MAIN, entries},
    route::{Visit, known},
    store::{File, Repository, Role},
};
use crate::simulator::{media::Form, outcome::Outcome, resource, web::first, world::World};

/// What is below `/contents`.
pub(super) fn route(visit: &Visit<'_>, world: &mut World, id: u64, path: &[&str]) -> Outcome {
    let path = path.join("/");
    match visit.method() {
        "GET" => show(visit, world, id, &path),
        "PUT" => write(visit, world, id, &path),
        _ => Outcome::not_found(),
    }
}

fn show(visit: &Visit<'_>, world: &World, id: u64, path: &str) -> Outcome {
    let (query, repository) = (visit.request.query(), known(world, id));
    let at = first(&query, "ref").unwrap_or(MAIN);
    let Some(commit) = repository.commit(at) else { return Outcome::not_found() };
    let views = visit.views(world);
    if let Some(file) = commit.files.get(path) {
        return file_outcome(visit, world, repository, path, file);
    }
    let lines = entries(&commit.files, path);
    if lines.is_empty() {
        return Outcome::not_found();
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let lines = lines.iter().map(|entry| {
        let secret = secret(visit, repository, &entry.id);
        views.entry(repository, (&format!("{prefix}{}", entry.name), &secret), entry)
    });
    Outcome::fine(Value::Array(lines.collect()))
}

fn file_outcome(
    visit: &Visit<'_>,
    world: &World,
    repository: &Repository,
    path: &str,
    file: &File,
) -> Outcome {
    if Form::of(visit.request) == Form::Raw {
        let media_type = "application/vnd.github.raw; charset=utf-8";
        return Outcome::raw(media_type, file.bytes.clone()).object(&file.id);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let entry = Entry { name, id: file.id.clone(), file: Some(file) };
    let secret = secret(visit, repository, &file.id);
    let mut body = visit.views(world).entry(repository, (path, &secret), &entry);
    body["content"] = json!(STANDARD.encode(&file.bytes));
    body["encoding"] = json!("base64");
    Outcome::fine(body).object(&file.id)
}

/// A private file's address lets in whoever has it, so everybody is given another one.
fn secret(visit: &Visit<'_>, repository: &Repository, id: &str) -> String {
    let Some(caller) = visit.asker.person().filter(|_| repository.private) else {
        return String::new();
    };
    format!("?token={:08X}", resource::number(&format!("{} {id}", caller.person.id)))
}

/// `PUT`: a commit of one file.
fn write(visit: &Visit<'_>, world: &mut World, id: u64, path: &str) -> Outcome {
    if let Some(refused) = visit.refused(world, id, Role::Write) {
        return refused;
    }
    let (body, now) = (visit.body(), world.now());
    let content = body["content"].as_str().and_then(|content| STANDARD.decode(content).ok());
    let (Some(content), Some(caller)) = (content, visit.asker.person()) else {
        return Outcome::invalid();
    };
    let message = body["message"].as_str().unwrap_or("Change a file");
    let file = File::new(content);
    let Some(repository) = world.repositories.by_id(id) else { return Outcome::not_found() };
    let by = (caller.person.login.as_str(), message);
    let commit = repository.commit_to(MAIN, by, now, [(path.to_owned(), file.clone())]);
    let pointer = visit.views(world).pointer(known(world, id), &commit);
    Outcome::fine(json!({ "content": { "path": path, "sha": file.id }, "commit": pointer }))
}
