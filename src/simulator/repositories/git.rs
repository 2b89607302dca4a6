//! Git's objects, with the ids that Git gives them.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::store::{File, Repository};
use crate::simulator::world::hex;

/// The default branch.
pub(super) const MAIN: &str = "main";

/// All files, by their path.
pub(super) type Tree = BTreeMap<String, File>;

/// A commit, with everything it holds.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) tree: String,
    pub(super) parent: Option<String>,
    pub(super) author: String,
    pub(super) message: String,
    pub(super) at: Duration,
    pub(super) files: Tree,
}

/// One line of a directory.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) id: String,
    /// `None` is a directory.
    pub(super) file: Option<&'a File>,
}

// === impl File ===

impl File {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let id = object("blob", &bytes);
        Self { bytes, id }
    }
}

// === impl Repository ===

impl Repository {
    /// Commits these files to a branch, on top of what it holds, and returns the commit's id.
    pub(super) fn commit_to(
        &mut self,
        branch: &str,
        (author, message): (&str, &str),
        at: Duration,
        files: impl IntoIterator<Item = (String, File)>,
    ) -> String {
        let parent = self.commit(branch).or(self.head()).cloned();
        let mut all = parent.as_ref().map(|parent| parent.files.clone()).unwrap_or_default();
        all.extend(files);
        let tree = tree_id(&all, "");
        let parent = parent.map(|parent| parent.id);
        let above = parent.as_ref().map(|id| format!("parent {id}\n")).unwrap_or_default();
        // The place in the repository's history stands in for the exact time.
        let moment = self.commits.len();
        let text = format!("tree {tree}\n{above}author {author} {moment} +0000\n\n{message}\n");
        let id = object("commit", text.as_bytes());
        let (author, message) = (author.to_owned(), message.to_owned());
        self.commits.push(Commit { id: id.clone(), tree, parent, author, message, at, files: all });
        self.branches.insert(branch.to_owned(), id.clone());
        self.changed = at;
        id
    }

    /// The commits that lead to this one, youngest first.
    pub(super) fn history(&self, from: &str) -> Vec<&Commit> {
        let mut next = self.commit(from);
        let step = || {
            let commit = next?;
            next = commit.parent.as_ref().and_then(|parent| self.commit(parent));
            Some(commit)
        };
        std::iter::from_fn(step).collect()
    }

    /// The blob of this id, in whatever commit.
    pub(super) fn blob(&self, id: &str) -> Option<&File> {
        self.commits.iter().flat_map(|commit| commit.files.values()).find(|file| file.id == id)
    }
}

/// What is in a directory; the root is the empty path.
pub(super) fn entries<'a>(files: &'a Tree, directory: &str) -> Vec<Entry<'a>> {
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let mut found: BTreeMap<&str, Option<&File>> = BTreeMap::new();
    for (path, file) in files {
        match path.strip_prefix(&prefix).map(|rest| rest.split_once('/').ok_or(rest)) {
            Some(Ok((name, _))) => found.insert(name, None),
            Some(Err(name)) => found.insert(name, Some(file)),
            None => continue,
        };
    }
    let id = |name: &str, file: Option<&File>| match file {
        Some(file) => file.id.clone(),
        None => tree_id(files, &format!("{prefix}{name}")),
    };
    found.into_iter().map(|(name, file)| Entry { name, id: id(name, file), file }).collect()
}

fn tree_id(files: &Tree, directory: &str) -> String {
    let mut lines = entries(files, directory);
    // Git sorts a directory as if its name ended with a slash.
    lines.sort_by_key(|entry| match entry.file {
        Some(_) => entry.name.to_owned(),
        None => format!("{}/", entry.name),
    });
    let mut listing = Vec::new();
    for entry in lines {
        let mode = if entry.file.is_some() { "100644" } else { "40000" };
        listing.extend(format!("{mode} {}\0", entry.name).bytes());
        let byte = |at: usize| u8::from_str_radix(&entry.id[at..at + 2], 16);
        listing.extend((0..40).step_by(2).filter_map(|at| byte(at).ok()));
    }
    object("tree", &listing)
}

/// The id that Git gives an object of this kind.
fn object(kind: &str, content: &[u8]) -> String {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(format!("{kind} {}\0", content.len()).as_bytes());
    hash.update(content);
    hex(hash.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_git() {
        assert_eq!(object("tree", b""), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(File::new("hello\n").id, "ce013625030ba8dba906f756967f9e9ca394464a");
        let files = Tree::from([("hello.txt".to_owned(), File::new("hello\n"))]);
        assert_eq!(tree_id(&files, ""), "aaa96ced2d9a1c8e72c56b253a0e2fe78393feb7");
    }

    #[test]
    fn a_directory_lists_what_is_right_in_it() {
        let paths = ["a.txt", "src/b.rs", "src/deep/c.rs"];
        let files: Tree = paths.map(|path| (path.to_owned(), File::new(path))).into();
        let names = |directory| -> Vec<(String, bool)> {
            let entries = entries(&files, directory).into_iter();
            entries.map(|entry| (entry.name.to_owned(), entry.file.is_some())).collect()
        };
        assert_eq!(names(""), [("a.txt".to_owned(), true), ("src".to_owned(), false)]);
        assert_eq!(names("src"), [("b.rs".to_owned(), true), ("deep".to_owned(), false)]);
        assert!(names("nowhere").is_empty());
    }
}
