//! What a webhook says has changed.
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>

use serde_json::Value;

use super::Tag;
use super::names::TRUSTED;
use super::written::{PUSHED, thread};

/// What follows from an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalidation {
    /// What is no longer fresh.
    pub bump: Vec<Tag>,
    /// Where no body may be offered in another user's name any more: it was public and is not, or
    /// the name belongs to something else.
    pub purge_shared: Vec<Tag>,
    /// The installation whose tokens and kept answers are to go: its rights have changed.
    pub installation: Option<u64>,
    /// Where no webhook tells of changes any more: the hook was deleted, or the app is not there.
    pub uncovered: Vec<Tag>,
}

/// Whom an event is about: whole tags, by name and by number.
struct About<'p> {
    payload: &'p Value,
    repo: Vec<String>,
    account: Vec<String>,
}

/// What else is read of a payload, beside whatever has a name and a number.
const READ: [&str; 14] = [
    "action",
    "blocked_issue",
    "blocking_issue",
    "changes",
    "check_run",
    "check_suite",
    "issue",
    "membership",
    "number",
    "parent_issue",
    "pull_request",
    "repositories_removed",
    "sha",
    "sub_issue",
];

/// Whether a member of a payload is read at all: the others, which may be 25 MB of a push's files,
/// need not be built.
pub fn is_heeded(member: &str) -> bool {
    READ.contains(&member) || TRUSTED.contains(&member)
}

/// Of what a hook tells, to judge by one of its deliveries: of the repository, and of a whole
/// organization where the hook is the organization's own. `target` says whose it is, in GitHub's words;
/// an app may be installed on some repositories alone.
pub fn covered_by(target: &str, payload: &Value) -> Vec<Tag> {
    let mut tags = spellings("repo", &payload["repository"], "full_name");
    if target == "organization" {
        tags.extend(spellings("account", &payload["organization"], "login"));
    }
    tags.iter().map(|tag| Tag::new(tag)).collect()
}

/// The repository whose name is another one from now on, or that belongs to somebody else, and its
/// number.
pub fn renamed<'p>(event: &str, payload: &'p Value) -> Option<(&'p str, u64)> {
    let action = payload["action"].as_str().unwrap_or_default();
    let is_renamed = event == "repository" && matches!(action, "renamed" | "transferred");
    let repo = &payload["repository"];
    Some((repo["full_name"].as_str()?, repo["id"].as_u64()?)).filter(|_| is_renamed)
}

/// What an event changes, by its name (`X-GitHub-Event`) and its payload. Both spellings of a
/// repository or account are in it; the names it tells are to be learnt first, by
/// [`names_in`](super::names_in).
pub fn event_tags(event: &str, payload: &Value) -> Invalidation {
    let about = About::of(payload);
    let mut result = Invalidation { bump: about.changed(event), ..Invalidation::default() };
    match event {
        "repository" if !matches!(about.action(), "created" | "edited") => {
            result.purge_shared.clone_from(&about.whole());
            if matches!(about.action(), "deleted" | "transferred") {
                result.uncovered = about.whole();
            }
        }
        "public" => result.purge_shared = about.whole(),
        "installation" | "installation_repositories" => {
            result.installation = payload["installation"]["id"].as_u64();
            result.uncovered = about.left_by_the_app();
        }
        "meta" if about.repo.is_empty() => result.uncovered = about.in_account(&[]),
        "meta" => result.uncovered = about.whole(),
        _ => {}
    }
    result.bump.sort_unstable();
    result.bump.dedup();
    result
}

// === impl About ===

impl<'p> About<'p> {
    fn of(payload: &'p Value) -> Self {
        let repo = &payload["repository"];
        let owner = [&payload["organization"], &payload["account"], &repo["owner"]];
        let owner = owner.into_iter().find(|owner| owner.is_object()).unwrap_or(&Value::Null);
        let mut about = Self {
            payload,
            repo: spellings("repo", repo, "full_name"),
            account: spellings("account", owner, "login"),
        };
        about.add_former_names(repo);
        about
    }

    /// A repository that was renamed or transferred, and an account that was renamed, had another
    /// name, and there are answers by it.
    fn add_former_names(&mut self, repo: &Value) {
        let changes = &self.payload["changes"];
        let text = |value: &'p Value| value.as_str();
        let (owner, name) = (repo["owner"]["login"].as_str(), repo["name"].as_str());
        let from = &changes["owner"]["from"];
        let former_owner = text(&from["user"]["login"]).or(text(&from["organization"]["login"]));
        let former_name = text(&changes["repository"]["name"]["from"]);
        if former_owner.is_some() || former_name.is_some() {
            let former = former_owner.or(owner).zip(former_name.or(name));
            self.repo.extend(former.map(|(owner, name)| format!("repo:{owner}/{name}")));
        }
        let accounts = former_owner.or(text(&changes["login"]["from"]));
        self.account.extend(accounts.map(|login| format!("account:{login}")));
    }

    /// Of what the app hears nothing any more.
    fn left_by_the_app(&self) -> Vec<Tag> {
        let removed = self.payload["repositories_removed"].as_array().into_iter().flatten();
        let removed = removed.flat_map(|repo| spellings("repo", repo, "full_name"));
        let mut tags: Vec<_> = removed.map(|tag| Tag::new(&tag)).collect();
        if matches!(self.action(), "deleted" | "suspend") {
            let account = &self.payload["installation"]["account"];
            tags.extend(spellings("account", account, "login").iter().map(|tag| Tag::new(tag)));
        }
        tags
    }

    fn action(&self) -> &str {
        self.payload["action"].as_str().unwrap_or_default()
    }

    fn changed(&self, event: &str) -> Vec<Tag> {
        match event {
            "ping" | "github_app_authorization" | "installation" | "installation_repositories" => {
                Vec::new()
            }
            "push" => self.in_repo(&PUSHED),
            "create" | "delete" => self.in_repo(&["git", "branches", "releases", ""]),
            "issues" | "issue_comment" | "sub_issues" | "issue_dependencies" => self.issues(),
            "release" => self.in_repo(&["releases", "git", ""]),
            "label" => self.in_repo(&["labels", "issues", "pulls"]),
            "milestone" => self.in_repo(&["milestones", "issues", "pulls"]),
            "status" => self.checks(&self.payload["sha"]),
            "check_run" | "check_suite" => self.checks(&self.payload[event]["head_sha"]),
            "workflow_run" | "workflow_job" => self.in_repo(&["actions", "checks"]),
            "star" | "watch" => self.in_repo(&["stargazers", "subscribers", ""]),
            "fork" => self.in_repo(&["forks", ""]),
            "repository_ruleset" => self.in_repo(&["branches"]),
            "member" | "membership" | "organization" | "team" | "team_add" => self.people(event),
            "repository" | "public" => self.repository(),
            "installation_target" => self.in_account(&[]),
            event if event.starts_with("pull_request") => self.pull_request(),
            event if event.starts_with("branch_protection") => self.in_repo(&["branches"]),
            event if event.starts_with("deployment") => self.in_repo(&["deployments"]),
            _ if self.repo.is_empty() => self.in_account(&[]),
            _ => self.whole(),
        }
    }

    fn whole(&self) -> Vec<Tag> {
        self.repo.iter().map(|repo| Tag::new(repo)).collect()
    }

    fn in_repo<L: AsRef<str>>(&self, levels: &[L]) -> Vec<Tag> {
        below(&self.repo, levels)
    }

    /// These levels of the account; all of it when there are none.
    fn in_account(&self, levels: &[&str]) -> Vec<Tag> {
        match levels {
            [] => self.account.iter().map(|account| Tag::new(account)).collect(),
            levels => below(&self.account, levels),
        }
    }

    fn repository(&self) -> Vec<Tag> {
        [self.whole(), self.in_account(&["repos", ""])].concat()
    }

    fn issues(&self) -> Vec<Tag> {
        let names = ["issue", "sub_issue", "parent_issue", "blocked_issue", "blocking_issue"];
        let numbers = names.iter().filter_map(|name| self.payload[name]["number"].as_u64());
        self.threads(numbers)
    }

    fn pull_request(&self) -> Vec<Tag> {
        let number = &self.payload["pull_request"]["number"];
        let number = number.as_u64().or(self.payload["number"].as_u64());
        [self.threads(number.into_iter()), self.in_repo(&["commits"])].concat()
    }

    /// These issues or pull requests; all of them when the event tells no number.
    fn threads(&self, numbers: impl Iterator<Item = u64>) -> Vec<Tag> {
        let mut levels: Vec<_> = numbers.flat_map(|number| thread(&number.to_string())).collect();
        if levels.is_empty() {
            levels = vec!["issues".to_owned(), "pulls".to_owned()];
        }
        levels.push(String::new());
        self.in_repo(&levels)
    }

    /// What is known of a commit, and of branches by name, for one of them may be that commit.
    fn checks(&self, sha: &Value) -> Vec<Tag> {
        match sha.as_str() {
            Some(sha) => self.in_repo(&[&format!("checks/{sha}"), "checks/"]),
            None => self.in_repo(&["checks"]),
        }
    }

    /// Who is in what: permissions stand in every answer about a repository, and in the answers
    /// about the person's own.
    fn people(&self, event: &str) -> Vec<Tag> {
        let mut tags = self.whole();
        tags.extend(self.in_account(&["members", "teams", ""]));
        if event == "organization" && self.action() == "renamed" {
            tags.extend(self.in_account(&[]));
        }
        let person = [&self.payload["member"], &self.payload["membership"]["user"]];
        let persons = person.iter().flat_map(|person| spellings("account", person, "login"));
        let team = self.payload["team"]["id"].as_u64().map(|_| "other:teams".to_owned());
        tags.extend(persons.chain(team).map(|tag| Tag::new(&tag)));
        tags
    }
}

/// The whole tags of what has a name and a number.
fn spellings(kind: &str, value: &Value, name: &str) -> Vec<String> {
    let name = value[name].as_str().map(|name| format!("{kind}:{name}"));
    let number = value["id"].as_u64().map(|id| format!("{kind}:#{id}"));
    name.into_iter().chain(number).collect()
}

fn below<L: AsRef<str>>(owners: &[String], levels: &[L]) -> Vec<Tag> {
    let tags = owners.iter().flat_map(|owner| {
        levels.iter().map(move |level| Tag::new(&format!("{owner}/{}", level.as_ref())))
    });
    tags.collect()
}
