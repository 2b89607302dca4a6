//! What tests ask and change about repositories. A repository is written `owner/name`.

use bytes::Bytes;

use super::{
    git::MAIN,
    releases::Asset,
    store::{File, Repository, Role},
};
use crate::simulator::{
    github::Simulator,
    record::lock,
    world::{PersonKey, World},
};

// === impl Simulator ===

/// All of these panic if there is no such repository, or person.
impl Simulator {
    /// Makes a repository with nothing in it, and returns its number.
    pub fn add_repository(&self, repository: &str, private: bool) -> u64 {
        let mut world = lock(&self.shared.world);
        let now = world.now();
        let (owner, name) = repository.split_once('/').expect("a repository is owner/name");
        world.repositories.create(owner, name, private, now).id
    }

    /// The number of a repository, which stays when its name changes.
    pub fn repository_id(&self, repository: &str) -> u64 {
        self.edit(repository, |it, _| it.id)
    }

    /// Gives a repository another name and maybe another owner; the old address leads to it.
    pub fn rename_repository(&self, repository: &str, to: &str) {
        self.edit(repository, |_, _| ());
        let to = to.split_once('/').expect("a repository is owner/name");
        lock(&self.shared.world).repositories.rename(repository, to);
    }

    /// Hides a repository, or shows it to everybody.
    pub fn set_private(&self, repository: &str, private: bool) {
        self.edit(repository, |it, _| it.private = private);
    }

    /// Deletes a repository.
    pub fn delete_repository(&self, repository: &str) {
        self.edit(repository, |_, _| ());
        lock(&self.shared.world).repositories.delete(repository);
    }

    /// Switches a repository's issues on or off: then they are 410.
    pub fn set_issues(&self, repository: &str, enabled: bool) {
        self.edit(repository, |it, _| it.has_issues = enabled);
    }

    /// Lets somebody in, or changes what they may do.
    pub fn add_collaborator(&self, repository: &str, login: &str, role: Role) {
        let key = self.key(login);
        self.edit(repository, |it, _| it.members.insert(key, role));
    }

    /// Takes somebody out; an owner of the organization stays one.
    pub fn remove_collaborator(&self, repository: &str, login: &str) {
        let key = self.key(login);
        self.edit(repository, |it, _| it.members.remove(&key));
    }

    /// Opens an issue by this person, and returns its number.
    pub fn add_issue(&self, repository: &str, login: &str, title: &str, body: &str) -> u64 {
        let key = self.key(login);
        self.edit(repository, |it, now| it.open(key, (title, body), None, now))
    }

    /// Gives an issue another title.
    pub fn edit_issue(&self, repository: &str, number: u64, title: &str) {
        self.edit(repository, |it, now| {
            let issue = it.issue(&number.to_string()).expect("the issue is there");
            title.clone_into(&mut issue.title);
            issue.changed = now;
        });
    }

    /// Comments on an issue, and returns the comment's number.
    pub fn add_comment(&self, repository: &str, number: u64, login: &str, body: &str) -> u64 {
        let key = self.key(login);
        let commented = self.edit(repository, |it, now| it.comment(number, key, body, now));
        commented.expect("the issue is there")
    }

    /// Commits a file to the default branch, and returns the commit's id.
    pub fn put_file(&self, repository: &str, path: &str, content: impl Into<Bytes>) -> String {
        let file = [(path.to_owned(), File::new(content))];
        self.edit(repository, |it, now| {
            it.computed.clear();
            it.commit_to(MAIN, ("octocat", &format!("Change {path}")), now, file)
        })
    }

    /// Commits some change of this file to the default branch, and returns the commit's id.
    pub fn touch(&self, repository: &str, path: &str) -> String {
        let before = self.edit(repository, |it, _| {
            let head = it.head().and_then(|head| head.files.get(path));
            head.map(|file| file.bytes.to_vec()).unwrap_or_default()
        });
        self.put_file(repository, path, [&before[..], b"Touched.\n"].concat())
    }

    /// The files uploaded to a repository's releases.
    pub fn assets(&self, repository: &str) -> Vec<Asset> {
        self.edit(repository, |it, _| {
            it.releases.iter().flat_map(|release| release.assets.clone()).collect()
        })
    }

    fn key(&self, login: &str) -> PersonKey {
        lock(&self.shared.world).find(login).expect("the person is in the cast")
    }

    fn edit<T>(
        &self,
        repository: &str,
        change: impl FnOnce(&mut Repository, std::time::Duration) -> T,
    ) -> T {
        let world: &mut World = &mut lock(&self.shared.world);
        let now = world.now();
        change(world.repositories.named(repository).expect("the repository is there"), now)
    }
}
