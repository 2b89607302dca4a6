//! How repositories and what is in them look in the API.

use serde_json::{Value, json};

use super::{
    git::{Commit, Entry},
    issues::{Comment, Issue},
    store::{File, Repository, Role},
};
use crate::simulator::{
    asker::Asker, cast::Person, github::Shared, resource, world::PersonKey, world::World,
};

/// Whoever shows things: the addresses they are at, and the people they are by.
#[derive(Clone, Copy)]
pub(super) struct Views<'w> {
    world: &'w World,
    web: &'w str,
    api: &'w str,
}

// === impl Views ===

impl<'w> Views<'w> {
    pub(super) fn new(shared: &'w Shared, world: &'w World) -> Self {
        Self { world, web: &shared.url, api: &shared.api_url }
    }

    pub(super) fn repository(self, it: &Repository, asker: &Asker) -> Value {
        let (name, url) = (it.full_name(), self.url_of(it));
        let open = it.issues.iter().filter(|issue| issue.open).count();
        let mut shown = json!({
            "id": it.id, "node_id": format!("R_{}", it.id), "name": it.name, "full_name": name,
            "private": it.private, "owner": self.owner(&it.owner), "description": "A small world.",
            "html_url": format!("{}/{name}", self.web), "fork": false, "url": url,
            "archive_url": format!("{url}/{{archive_format}}{{/ref}}"),
            "branches_url": format!("{url}/branches{{/branch}}"),
            "commits_url": format!("{url}/commits{{/sha}}"),
            "contents_url": format!("{url}/contents/{{+path}}"),
            "git_commits_url": format!("{url}/git/commits{{/sha}}"),
            "issues_url": format!("{url}/issues{{/number}}"),
            "labels_url": format!("{url}/labels{{/name}}"),
            "pulls_url": format!("{url}/pulls{{/number}}"),
            "releases_url": format!("{url}/releases{{/id}}"),
            "trees_url": format!("{url}/git/trees{{/sha}}"),
            "clone_url": format!("{}/{name}.git", self.web), "size": it.commits.len(),
            "created_at": self.world.written(it.born), "pushed_at": self.world.written(it.changed),
            "updated_at": self.world.written(it.changed), "open_issues_count": open,
            "stargazers_count": 80, "forks_count": 9, "default_branch": super::git::MAIN,
            "has_issues": it.has_issues, "archived": false, "disabled": false,
            "visibility": if it.private { "private" } else { "public" },
        });
        if let Some(role) = it.role(asker).filter(|_| asker.person().is_some()) {
            shown["permissions"] = json!({
                "admin": role >= Role::Admin, "maintain": role >= Role::Admin,
                "push": role >= Role::Write, "triage": role >= Role::Write, "pull": true,
            });
        }
        shown
    }

    pub(super) fn issue(self, it: &Repository, issue: &Issue) -> Value {
        let number = issue.number;
        let url = format!("{}/issues/{number}", self.url_of(it));
        let labels = issue.labels.iter().map(|name| self.label(it, name));
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let mut shown = json!({
            "url": url, "repository_url": self.url_of(it), "id": it.id * 10_000 + number,
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "node_id": format!("I_{}_{number}", it.id),
            "html_url": format!("{}/{}/{page}/{number}", self.web, it.full_name()),
            "number": number, "title": issue.title, "user": self.somebody(issue.author),
            "labels": labels.collect::<Vec<_>>(), "state": if issue.open { "open" } else { "closed" },
            "locked": false, "assignee": null, "assignees": [], "milestone": null,
            "comments": issue.comments.len(), "created_at": self.world.written(issue.born),
            "updated_at": self.world.written(issue.changed), "closed_at": null,
            "author_association": "CONTRIBUTOR", "body": issue.body,
        });
        if issue.pull.is_some() {
            let pull = format!("{}/pulls/{number}", self.url_of(it));
            shown["pull_request"] = json!({ "url": pull, "diff_url": format!("{pull}.diff") });
        }
        shown
    }

    pub(super) fn pull(self, it: &Repository, issue: &Issue) -> Value {
        let mut shown = self.issue(it, issue);
        let url = format!("{}/pulls/{}", self.url_of(it), issue.number);
        let branch = issue.pull.as_deref().unwrap_or_default();
        let end = |branch: &str| {
            let id = it.commit(branch).map(|commit| commit.id.clone());
            json!({ "label": format!("{}:{branch}", it.owner), "ref": branch, "sha": id })
        };
        shown["issue_url"] = shown["url"].take();
        shown["url"] = json!(url);
        shown["commits_url"] = json!(format!("{url}/commits"));
        shown["head"] = end(branch);
        shown["base"] = end(super::git::MAIN);
        shown["merged_at"] = Value::Null;
        shown["draft"] = json!(false);
        shown
    }

    pub(super) fn comment(self, it: &Repository, issue: &Issue, comment: &Comment) -> Value {
        let url = self.url_of(it);
        json!({
            "url": format!("{url}/issues/comments/{}", comment.id), "id": comment.id,
            "issue_url": format!("{url}/issues/{}", issue.number),
            "node_id": format!("IC_{}", comment.id), "user": self.somebody(comment.author),
            "created_at": self.world.written(comment.born), "body": comment.body,
            "updated_at": self.world.written(comment.born), "author_association": "CONTRIBUTOR",
        })
    }

    pub(super) fn label(self, it: &Repository, name: &str) -> Value {
        let number = resource::number(&format!("{}/{name}", it.id));
        let url = format!("{}/labels/{}", self.url_of(it), name.replace(' ', "%20"));
        json!({
            "id": number, "node_id": format!("LA_{number}"), "url": url, "name": name,
            "color": "d73a4a", "default": true, "description": null,
        })
    }

    pub(super) fn commit(self, it: &Repository, commit: &Commit) -> Value {
        let url = format!("{}/commits/{}", self.url_of(it), commit.id);
        let parents: Vec<Value> = commit.parent.iter().map(|id| self.pointer(it, id)).collect();
        let author = self.world.find(&commit.author).map(|key| self.somebody(key));
        json!({
            "sha": commit.id, "node_id": format!("C_{}", commit.id), "url": url,
            "commit": self.git_commit(it, commit), "author": author, "committer": author,
            "html_url": format!("{}/{}/commit/{}", self.web, it.full_name(), commit.id),
            "comments_url": format!("{url}/comments"), "parents": parents,
        })
    }

    /// A commit as Git has it.
    pub(super) fn git_commit(self, it: &Repository, commit: &Commit) -> Value {
        let url = self.url_of(it);
        let date = self.world.written(commit.at);
        let by = json!({ "name": commit.author, "email": "hidden@github.example", "date": date });
        json!({
            "sha": commit.id, "url": format!("{url}/git/commits/{}", commit.id), "author": by,
            "committer": by, "message": commit.message,
            "tree": { "sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree) },
        })
    }

    /// A commit's id and where it is.
    pub(super) fn pointer(self, it: &Repository, id: &str) -> Value {
        json!({ "sha": id, "url": format!("{}/commits/{id}", self.url_of(it)) })
    }

    /// A file or directory, without its content; `secret` goes into the address of a private file.
    pub(super) fn entry(self, it: &Repository, at: (&str, &str), entry: &Entry<'_>) -> Value {
        let (path, secret) = at;
        let url = self.url_of(it);
        let (kind, size) = match entry.file {
            Some(file) => ("file", file.bytes.len()),
            None => ("dir", 0),
        };
        let git = if entry.file.is_some() { "blobs" } else { "trees" };
        let raw = format!("{}/{}/raw/main/{path}{secret}", self.web, it.full_name());
        json!({
            "name": entry.name, "path": path, "sha": entry.id, "size": size, "type": kind,
            "url": format!("{url}/contents/{path}?ref=main"),
            "html_url": format!("{}/{}/blob/main/{path}", self.web, it.full_name()),
            "git_url": format!("{url}/git/{git}/{}", entry.id),
            "download_url": entry.file.map(|_| raw),
        })
    }

    pub(super) fn blob(self, it: &Repository, file: &File, content: &str) -> Value {
        json!({
            "sha": file.id, "node_id": format!("B_{}", file.id), "size": file.bytes.len(),
            "url": format!("{}/git/blobs/{}", self.url_of(it), file.id),
            "content": content, "encoding": "base64",
        })
    }

    /// The address of a repository.
    pub(super) fn url_of(self, it: &Repository) -> String {
        format!("{}/repos/{}", self.api, it.full_name())
    }

    pub(super) fn somebody(self, key: PersonKey) -> Value {
        resource::simple_user(self.web, self.api, self.world.person(key))
    }

    /// A person as everybody sees them, with the address only they see themselves.
    pub(super) fn profile(self, person: &Person, oneself: bool) -> Value {
        let mut shown = resource::simple_user(self.web, self.api, person);
        let primary = person.emails.iter().find(|email| email.primary && oneself);
        shown["name"] = json!(person.name);
        shown["email"] = json!(primary.map(|email| &email.address));
        shown["user_view_type"] = json!(if oneself { "private" } else { "public" });
        shown["public_repos"] = json!(2);
        shown["created_at"] = json!("2011-01-25T18:44:36Z");
        shown
    }

    fn owner(self, login: &str) -> Value {
        if let Some(key) = self.world.find(login) {
            return self.somebody(key);
        }
        let mut owner = resource::organization(self.web, self.api, login);
        owner["type"] = json!("Organization");
        owner
    }
}
