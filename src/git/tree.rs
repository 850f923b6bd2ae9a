//! Files of a commit, straight from the object store, within limits.

use std::collections::BTreeSet;

use gix::{
    diff::{
        self,
        tree::{Recorder, State, recorder::Change},
    },
    objs::TreeRefIter,
};

use super::{
    error::{Class, GitError},
    repository::{Repository, object_id},
};
use crate::model::CommitId;

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, relative to the followed folder, with `/`.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Whether it has more bytes than the limits allow: then `bytes` has none of them.
    pub too_large: bool,
}

/// How much of a repository is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files.
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Files and folders that are looked at, also those that are not read.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 20_000, file_bytes: 4 << 20, total_bytes: 256 << 20, entries: 4_000_000 }
    }
}

impl Repository {
    /// Reads the files below `folder` whose path `wanted` accepts. Links and submodules are left out. A file that is too large
    /// comes without its bytes: that it is there matters to whomever it belongs to, and to nobody else.
    ///
    /// # Errors
    /// When the folder is not there, or it holds more than `limits` allow.
    pub fn files(
        &self,
        commit: &CommitId,
        folder: &str,
        limits: Limits,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<File>, GitError> {
        let repository = self.open()?;
        let tree = subtree(&repository, commit, folder)?.ok_or_else(|| {
            GitError::new(
                Class::NotThere,
                format!("there is no folder `{folder}` in commit {}", commit.short()),
            )
        })?;
        let mut reader =
            Reader { limits, total: 0, entries: 0, files: Vec::new(), wanted: &wanted };
        reader.walk(tree)?;
        Ok(reader.files)
    }

    /// Reads one file below `folder`, if it is there.
    ///
    /// # Errors
    /// When it is larger than `limits` allow, or cannot be read.
    pub fn file(
        &self,
        commit: &CommitId,
        folder: &str,
        path: &str,
        limits: Limits,
    ) -> Result<Option<File>, GitError> {
        let repository = self.open()?;
        let Some(tree) = subtree(&repository, commit, folder)? else { return Ok(None) };
        let attempt = || format!("cannot read `{path}` of commit {}", commit.short());
        let entry = tree
            .lookup_entry_by_path(path)
            .map_err(|error| GitError::because(Class::Damaged, attempt(), &error))?;
        match entry {
            Some(entry) if entry.mode().is_blob() => {
                let max = limits.file_bytes;
                match blob(&repository, entry.object_id(), path, max)? {
                    Ok(bytes) => Ok(Some(File { path: path.to_owned(), bytes, too_large: false })),
                    Err(size) => Err(GitError::new(
                        Class::TooLarge,
                        format!("`{path}` has {size} bytes, more than {max}"),
                    )),
                }
            }
            _ => Ok(None),
        }
    }

    /// Returns the paths below `folder` that differ between two commits. Subtrees that are equal are not looked into.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn changed_paths(
        &self,
        old: &CommitId,
        new: &CommitId,
        folder: &str,
    ) -> Result<BTreeSet<String>, GitError> {
        let repository = self.open()?;
        let attempt = || format!("cannot compare {} with {}", old.short(), new.short());
        let damaged = |error: &(dyn std::error::Error + 'static)| {
            GitError::because(Class::Damaged, attempt(), error)
        };
        let tree = |commit| {
            Ok(subtree(&repository, commit, folder)?.unwrap_or_else(|| repository.empty_tree()))
        };
        let (before, after) = (tree(old)?, tree(new)?);
        let mut paths = BTreeSet::new();
        if before.id == after.id {
            return Ok(paths);
        }
        // Not by `Tree::changes`: that reads the whole index of a work tree first, for attributes that matter to nobody here.
        let mut seen = Recorder::default();
        let entries = |tree| TreeRefIter::from_bytes(tree, repository.object_hash());
        diff::tree(
            entries(&before.data),
            entries(&after.data),
            State::default(),
            &repository.objects,
            &mut seen,
        )
        .map_err(|error| damaged(&error))?;
        paths.extend(seen.records.into_iter().filter_map(|change| {
            let (Change::Addition { entry_mode, path, .. }
            | Change::Deletion { entry_mode, path, .. }
            | Change::Modification { entry_mode, path, .. }) = change;
            (!entry_mode.is_tree()).then(|| path.to_string())
        }));
        Ok(paths)
    }
}

fn subtree<'r>(
    repository: &'r gix::Repository,
    commit: &CommitId,
    folder: &str,
) -> Result<Option<gix::Tree<'r>>, GitError> {
    let attempt = || format!("cannot read the files of commit {}", commit.short());
    let damaged = |error: &(dyn std::error::Error + 'static)| {
        GitError::because(Class::Damaged, attempt(), error)
    };
    let found = repository.find_commit(object_id(commit)?).map_err(|error| {
        GitError::because(Class::NoSuchCommit(commit.clone()), attempt(), &error)
    })?;
    let tree = found.tree().map_err(|error| damaged(&error))?;
    let folder = folder.trim_matches('/');
    if folder.is_empty() || folder == "." {
        return Ok(Some(tree));
    }
    match tree
        .lookup_entry_by_path(folder.trim_start_matches("./"))
        .map_err(|error| damaged(&error))?
    {
        Some(entry) if entry.mode().is_tree() => {
            let object = entry.object().map_err(|error| damaged(&error))?;
            Ok(Some(object.into_tree()))
        }
        _ => Ok(None),
    }
}

struct Reader<'w> {
    limits: Limits,
    total: u64,
    entries: usize,
    files: Vec<File>,
    wanted: &'w dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    /// Reads all folders below a tree. They wait in a list, not on the stack: a deep one is as good as any other.
    fn walk(&mut self, tree: gix::Tree<'_>) -> Result<(), GitError> {
        let mut open = vec![(String::new(), tree)];
        while let Some((prefix, tree)) = open.pop() {
            let damaged = |path: &str, error: &(dyn std::error::Error + 'static)| {
                GitError::because(Class::Damaged, format!("cannot read `{path}`"), error)
            };
            for entry in tree.iter() {
                let entry = entry.map_err(|error| damaged(&prefix, &error))?;
                self.entries += 1;
                if self.entries > self.limits.entries {
                    return refuse(format!("more than {} files and folders", self.limits.entries));
                }
                let path = format!("{prefix}{}", entry.filename());
                if entry.mode().is_tree() {
                    let object = entry.object().map_err(|error| damaged(&path, &error))?;
                    open.push((format!("{path}/"), object.into_tree()));
                } else if entry.mode().is_blob() && (self.wanted)(&path) {
                    self.read(tree.repo, entry.object_id(), path)?;
                }
            }
        }
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(())
    }

    fn read(
        &mut self,
        repository: &gix::Repository,
        id: gix::ObjectId,
        path: String,
    ) -> Result<(), GitError> {
        if self.files.len() == self.limits.files {
            return refuse(format!("more than {} files", self.limits.files));
        }
        let found = blob(repository, id, &path, self.limits.file_bytes)?;
        let too_large = found.is_err();
        let bytes = found.unwrap_or_default();
        self.total += bytes.len() as u64;
        if self.total > self.limits.total_bytes {
            return refuse(format!("more than {} bytes in all files", self.limits.total_bytes));
        }
        self.files.push(File { path, bytes, too_large });
        Ok(())
    }
}

fn refuse(what: String) -> Result<(), GitError> {
    Err(GitError::new(Class::TooLarge, what))
}

/// Reads a blob whose size is looked at before it is inflated: returned alone, when it is more than `max`.
fn blob(
    repository: &gix::Repository,
    id: gix::ObjectId,
    path: &str,
    max: u64,
) -> Result<Result<Vec<u8>, u64>, GitError> {
    let damaged = |error: &(dyn std::error::Error + 'static)| {
        GitError::because(Class::Damaged, format!("cannot read `{path}`"), error)
    };
    let size = repository.find_header(id).map_err(|error| damaged(&error))?.size();
    if size > max {
        return Ok(Err(size));
    }
    let mut blob = repository.find_blob(id).map_err(|error| damaged(&error))?;
    Ok(Ok(blob.take_data()))
}
