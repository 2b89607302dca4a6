//! Commits and branches, and Git's objects by their ids.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    git::{Commit, MAIN, entries},
    route::{Visit, known},
    store::Repository,
};
use crate::simulator::{media::Form, outcome::Outcome, web::first, world::World};

/// What is below `/commits`, `/branches` and `/git`.
pub(super) fn route(visit: &Visit<'_>, world: &World, id: u64, rest: &[&str]) -> Outcome {
    if visit.method() != "GET" {
        return Outcome::not_found();
    }
    match *rest {
        ["commits"] => list(visit, world, id),
        ["commits", name] => show(visit, world, id, name),
        ["branches"] => branches(visit, world, id),
        ["branches", name] => branch(visit, world, id, name),
        ["git", "commits", name] => git_commit(visit, world, id, name),
        ["git", "trees", name] => tree(visit, world, id, name),
        ["git", "blobs", name] => blob(visit, world, id, name),
        _ => Outcome::not_found(),
    }
}

fn list(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let (query, repository) = (visit.request.query(), known(world, id));
    let from = first(&query, "sha").unwrap_or(MAIN);
    let views = visit.views(world);
    let commits = repository.history(from).into_iter();
    visit.page_of(id, commits.map(|one| views.commit(repository, one)).collect(), "/commits")
}

fn show(visit: &Visit<'_>, world: &World, id: u64, name: &str) -> Outcome {
    let repository = known(world, id);
    let Some(commit) = repository.commit(name) else { return Outcome::not_found() };
    match Form::of(visit.request) {
        Form::Sha => {
            let id = commit.id.clone();
            Outcome::raw("application/vnd.github.sha; charset=utf-8", id).object(&commit.id)
        }
        Form::Diff => {
            Outcome::raw("application/vnd.github.diff; charset=utf-8", diff(repository, commit))
        }
        Form::Patch => {
            let patch = format!(
                "From {} Mon Sep 17 00:00:00 2001\nFrom: {}\nSubject: [PATCH] {}\n\n---\n{}",
                commit.id,
                commit.author,
                commit.message,
                diff(repository, commit)
            );
            Outcome::raw("application/vnd.github.patch; charset=utf-8", patch)
        }
        Form::Json | Form::Raw => {
            Outcome::fine(visit.views(world).commit(repository, commit)).changed(commit.at)
        }
    }
}

/// What the commit changes, each file as a whole.
pub(super) fn diff(repository: &Repository, commit: &Commit) -> String {
    let parent = commit.parent.as_ref().and_then(|id| repository.commit(id));
    let before = |path: &str| parent.and_then(|parent| parent.files.get(path));
    let changed =
        commit.files.iter().filter(|(path, file)| before(path).is_none_or(|old| old.id != file.id));
    let one = |(path, file): (&String, &super::store::File)| {
        let lines = |sign: &'static str, bytes: &[u8]| -> String {
            let text = String::from_utf8_lossy(bytes);
            text.lines().flat_map(|line| [sign, line, "\n"]).map(str::to_owned).collect()
        };
        let old = before(path).map(|old| lines("-", &old.bytes)).unwrap_or_default();
        format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{old}{}",
            lines("+", &file.bytes)
        )
    };
    changed.map(one).collect()
}

fn branches(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let (repository, views) = (known(world, id), visit.views(world));
    let show = |(name, at): (&String, &String)| json!({ "name": name, "commit": views.pointer(repository, at), "protected": false });
    visit.page_of(id, repository.branches.iter().map(show).collect(), "/branches")
}

fn branch(visit: &Visit<'_>, world: &World, id: u64, name: &str) -> Outcome {
    let (repository, views) = (known(world, id), visit.views(world));
    let at = repository.branches.get(name).and_then(|at| repository.commit(at));
    match at {
        Some(commit) => Outcome::fine(json!({
            "name": name, "commit": views.commit(repository, commit), "protected": false,
        })),
        None => Outcome::not_found(),
    }
}

fn git_commit(visit: &Visit<'_>, world: &World, id: u64, name: &str) -> Outcome {
    let repository = known(world, id);
    match repository.commits.iter().find(|commit| commit.id == name) {
        Some(commit) => Outcome::fine(visit.views(world).git_commit(repository, commit)),
        None => Outcome::not_found(),
    }
}

fn tree(visit: &Visit<'_>, world: &World, id: u64, name: &str) -> Outcome {
    let (repository, views) = (known(world, id), visit.views(world));
    let named = |commit: &&Commit| commit.tree == name;
    let commit = repository.commits.iter().find(named).or_else(|| repository.commit(name));
    let Some(commit) = commit else { return Outcome::not_found() };
    let lines = entries(&commit.files, "");
    let line = |entry: &super::git::Entry<'_>| -> Value {
        let (kind, mode) =
            if entry.file.is_some() { ("blob", "100644") } else { ("tree", "040000") };
        let url = format!("{}/git/{kind}s/{}", views.url_of(repository), entry.id);
        json!({ "path": entry.name, "mode": mode, "type": kind, "sha": entry.id, "url": url })
    };
    let lines: Vec<Value> = lines.iter().map(line).collect();
    let url = format!("{}/git/trees/{}", views.url_of(repository), commit.tree);
    Outcome::fine(json!({ "sha": commit.tree, "url": url, "tree": lines, "truncated": false }))
}

fn blob(visit: &Visit<'_>, world: &World, id: u64, name: &str) -> Outcome {
    let repository = known(world, id);
    let Some(file) = repository.blob(name) else { return Outcome::not_found() };
    if Form::of(visit.request) == Form::Raw {
        return Outcome::raw("application/vnd.github.raw; charset=utf-8", file.bytes.clone());
    }
    let content = STANDARD.encode(&file.bytes);
    Outcome::fine(visit.views(world).blob(repository, file, &content))
}
