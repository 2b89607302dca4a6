//! What there is of a repository, and who may do what with it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;

use super::{git::Commit, issues::Issue, releases::Release};
use crate::simulator::{asker::Asker, world::PersonKey};

/// What somebody may do with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See it.
    Read,
    /// Change what is in it.
    Write,
    /// Change the repository itself.
    Admin,
}

#[derive(Debug)]
pub(in crate::simulator) struct Repository {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) members: HashMap<PersonKey, Role>,
    /// Issues and pull requests, in the order of their numbers.
    pub(super) issues: Vec<Issue>,
    pub(super) has_issues: bool,
    pub(super) labels: Vec<String>,
    pub(super) releases: Vec<Release>,
    pub(super) commits: Vec<Commit>,
    /// Branches and the commits they are at.
    pub(super) branches: BTreeMap<String, String>,
    /// Statistics that were asked for and are known by now.
    pub(super) computed: HashSet<String>,
    pub(super) born: Duration,
    pub(super) changed: Duration,
}

/// A file's content, with the id of its blob.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) id: String,
}

/// All repositories, and the names they had.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Repositories {
    all: Vec<Repository>,
    former: HashMap<String, u64>,
    created: u64,
}

// === impl Repositories ===

impl Repositories {
    pub(super) fn create(
        &mut self,
        owner: &str,
        name: &str,
        private: bool,
        now: Duration,
    ) -> &mut Repository {
        self.created += 1;
        let repository = Repository {
            id: 1_296_268 + self.created,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private,
            members: HashMap::new(),
            issues: Vec::new(),
            has_issues: true,
            labels: Vec::new(),
            releases: Vec::new(),
            commits: Vec::new(),
            branches: BTreeMap::new(),
            computed: HashSet::new(),
            born: now,
            changed: now,
        };
        self.former.remove(&repository.full_name().to_lowercase());
        self.all.push(repository);
        self.all.last_mut().expect("one was just pushed")
    }

    pub(super) fn by_id(&mut self, id: u64) -> Option<&mut Repository> {
        self.all.iter_mut().find(|one| one.id == id)
    }

    /// By its name, `owner/name`; GitHub compares without case.
    pub(super) fn named(&mut self, full_name: &str) -> Option<&mut Repository> {
        self.all.iter_mut().find(|one| one.full_name().eq_ignore_ascii_case(full_name))
    }

    /// The repository that had this name before, unless another one has it now.
    pub(super) fn formerly(&mut self, full_name: &str) -> Option<&mut Repository> {
        let id = *self.former.get(&full_name.to_lowercase())?;
        self.by_id(id)
    }

    pub(super) fn rename(&mut self, full_name: &str, to: (&str, &str)) {
        let Some(repository) = self.named(full_name) else { return };
        let id = repository.id;
        to.0.clone_into(&mut repository.owner);
        to.1.clone_into(&mut repository.name);
        self.former.insert(full_name.to_lowercase(), id);
        self.former.remove(&format!("{}/{}", to.0, to.1).to_lowercase());
    }

    /// Lets the repositories of a person go along with their new login.
    pub(in crate::simulator) fn follow(&mut self, login: &str, new: &str) {
        let theirs = self.all.iter().filter(|it| it.owner.eq_ignore_ascii_case(login));
        let theirs: Vec<(String, String)> =
            theirs.map(|it| (it.full_name(), it.name.clone())).collect();
        for (full_name, name) in theirs {
            self.rename(&full_name, (new, &name));
        }
    }

    pub(super) fn delete(&mut self, full_name: &str) {
        self.all.retain(|one| !one.full_name().eq_ignore_ascii_case(full_name));
    }

    pub(super) fn all(&self) -> &[Repository] {
        &self.all
    }
}

// === impl Repository ===

impl Repository {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// What this asker may do with it as a person, whatever their token allows.
    pub(super) fn role(&self, asker: &Asker) -> Option<Role> {
        let public = (!self.private).then_some(Role::Read);
        let Some(caller) = asker.person() else { return public };
        let person = &caller.person;
        let owns = person.login.eq_ignore_ascii_case(&self.owner)
            || person.membership(&self.owner).is_some_and(|of| of.owner && !of.pending);
        if owns {
            return Some(Role::Admin);
        }
        self.members.get(&caller.key).copied().or(public)
    }

    /// Whether this asker sees it at all.
    pub(super) fn visible_to(&self, asker: &Asker) -> bool {
        let token_allows = || asker.person().is_some_and(|caller| caller.allows(&["repo"]));
        self.role(asker).is_some() && (!self.private || token_allows())
    }

    /// Whether the token lets its person change anything here.
    pub(super) fn writable_by(&self, asker: &Asker) -> bool {
        let scope = if self.private { "repo" } else { "public_repo" };
        asker.person().is_some_and(|caller| caller.allows(&[scope]))
    }

    pub(super) fn issue(&mut self, number: &str) -> Option<&mut Issue> {
        let number: usize = number.parse().ok()?;
        self.issues.get_mut(number.checked_sub(1)?)
    }

    /// The commit that a branch's name or a commit's id stands for.
    pub(super) fn commit(&self, name: &str) -> Option<&Commit> {
        let id = self.branches.get(name).map_or(name, String::as_str);
        self.commits.iter().find(|commit| commit.id == id)
    }

    pub(super) fn head(&self) -> Option<&Commit> {
        self.commit(super::git::MAIN)
    }
}
