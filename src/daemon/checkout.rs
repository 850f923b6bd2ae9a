//! A commit, read: only what changed since the one before is looked at again. Blocking.

use std::{collections::BTreeMap, sync::Arc};

use super::source::Source;
use crate::{
    git::{self, Class, GitError},
    manifest::Limits,
    model::{CommitId, ObjectName},
    render::{
        File, Parsed, Repository, Wanted,
        repository::{is_never_content, is_read, is_under},
        wanted,
        wanted::Survey,
    },
};

/// A tip, read.
pub(super) struct Checkout {
    pub(super) tip: CommitId,
    pub(super) repository: Repository,
    pub(super) survey: Survey,
    /// By Rollout: the newest commit that changed its content.
    pub(super) content_commits: BTreeMap<ObjectName, CommitId>,
}

/// How many commits are walked back in search of the one that changed some content.
const WALK_MAX: usize = 256;

/// Longer ways are not looked at for content that left Git and came back …
const WAY_MAX: usize = 64;
/// … nor are more commits than this read again for it.
const READ_AGAIN_MAX: usize = 8;

fn git_limits(limits: &Limits) -> git::Limits {
    git::Limits {
        files: limits.files,
        file_bytes: limits.file_bytes as u64,
        total_bytes: limits.total_bytes as u64,
        ..git::Limits::default()
    }
}

impl Checkout {
    /// Reads a tip.
    pub(super) fn read(
        source: &Source,
        tip: CommitId,
        before: Option<&Self>,
        limits: &Limits,
    ) -> Result<Self, GitError> {
        let files = files(source, &tip, before, limits)?;
        let known = |file: &File| {
            let held = before?.repository.files.get(&file.path)?;
            held.is_of(file).then(|| held.clone())
        };
        let repository = Repository::of(&source.folder, files, limits, |file| {
            known(file).unwrap_or_else(|| Arc::new(Parsed::of(file, limits)))
        });
        let survey = wanted(&repository);
        let mut checkout = Self { tip, repository, survey, content_commits: BTreeMap::new() };
        checkout.find_content_commits(source, before, limits)?;
        Ok(checkout)
    }

    fn find_content_commits(
        &mut self,
        source: &Source,
        before: Option<&Self>,
        limits: &Limits,
    ) -> Result<(), GitError> {
        let mut open: BTreeMap<ObjectName, String> = self
            .survey
            .rollouts
            .iter()
            .filter_map(|(name, wanted)| {
                Some((name.clone(), wanted.as_ref().ok()?.content_path.clone()))
            })
            .collect();
        // Content that did not change keeps its commit, and costs nothing; unless it did in between.
        if let Some(before) = before {
            let way = way(source, &before.tip, &self.tip)?;
            let mut surveys = BTreeMap::new();
            open.retain(|name, _| {
                let digest = |survey: &Survey| {
                    survey.rollouts.get(name).and_then(|w| Some(w.as_ref().ok()?.digest.clone()))
                };
                let kept = before
                    .content_commits
                    .get(name)
                    .filter(|_| digest(&before.survey) == digest(&self.survey));
                let Some(commit) = kept else { return true };
                let back = self.survey.rollouts.get(name).and_then(|wanted| {
                    returned(source, &way, name, wanted.as_ref().ok()?, limits, &mut surveys)
                });
                self.content_commits.insert(name.clone(), back.unwrap_or_else(|| commit.clone()));
                false
            });
        }
        let mut at = self.tip.clone();
        for _ in 0..WALK_MAX {
            if open.is_empty() {
                return Ok(());
            }
            let Some(parent) = source.repository.commit(&at)?.parents.into_iter().next() else {
                break;
            };
            let changed = changed_content(source, &parent, &at)?;
            open.retain(|name, content| {
                let touched = changed.iter().any(|path| is_under(path, content));
                if touched {
                    self.content_commits.insert(name.clone(), at.clone());
                }
                !touched
            });
            at = parent;
        }
        for name in open.into_keys() {
            self.content_commits.insert(name, at.clone());
        }
        Ok(())
    }
}

/// Returns the files that may be content and differ between two commits.
fn changed_content(
    source: &Source,
    old: &CommitId,
    new: &CommitId,
) -> Result<Vec<String>, GitError> {
    let changed = source.repository.changed_paths(old, new, &source.folder)?;
    let may_be_content = |path: &&String| is_read(path) && !is_never_content(path);
    Ok(changed.iter().filter(may_be_content).map(|path| source.full_path(path)).collect())
}

/// The commits of a branch since one of it, newest first, with the files of content that each changed.
type Way = Vec<(CommitId, Vec<String>)>;

/// Returns the commits after `from` up to `to` along first parents; none where that is not the way, or a long one.
fn way(source: &Source, from: &CommitId, to: &CommitId) -> Result<Way, GitError> {
    // One commit cannot take away and bring back.
    if source.repository.commit(to)?.parents.first() == Some(from) {
        return Ok(Vec::new());
    }
    let (mut way, mut at) = (Vec::new(), to.clone());
    while at != *from {
        let parent = source.repository.commit(&at)?.parents.into_iter().next();
        let Some(parent) = parent.filter(|_| way.len() < WAY_MAX) else { return Ok(Vec::new()) };
        let changed = changed_content(source, &parent, &at)?;
        way.push((std::mem::replace(&mut at, parent), changed));
    }
    Ok(way)
}

/// Returns the newest commit of the way that changed the content, when it had left Git before it and came back: then
/// the content is the same at both ends, and was not all the way.
fn returned(
    source: &Source,
    way: &Way,
    name: &ObjectName,
    wanted: &Wanted,
    limits: &Limits,
    surveys: &mut BTreeMap<CommitId, Option<Survey>>,
) -> Option<CommitId> {
    let touches =
        |changed: &[String]| changed.iter().any(|path| is_under(path, &wanted.content_path));
    let mut touching = way.iter().filter(|(_, changed)| touches(changed)).map(|(commit, _)| commit);
    let newest = touching.next()?;
    let left = touching.take(READ_AGAIN_MAX).any(|commit| {
        let read = || survey(source, commit, limits).ok();
        let held = surveys.entry(commit.clone()).or_insert_with(read);
        // What could not be read was not the same.
        let then = held.as_ref().and_then(|held| held.rollouts.get(name)?.as_ref().ok());
        then.is_none_or(|then| then.digest != wanted.digest)
    });
    left.then(|| newest.clone())
}

/// Returns whether a Rollout's content left Git after `from`, and came back by `to`.
///
/// # Errors
/// When a commit cannot be read.
pub(super) fn came_back(
    source: &Source,
    from: &CommitId,
    to: &CommitId,
    name: &ObjectName,
    wanted: &Wanted,
    limits: &Limits,
) -> Result<bool, GitError> {
    let way = way(source, from, to)?;
    Ok(returned(source, &way, name, wanted, limits, &mut BTreeMap::new()).is_some())
}

/// Reads what every Rollout wanted at a commit that is not the tip.
pub(super) fn survey(
    source: &Source,
    commit: &CommitId,
    limits: &Limits,
) -> Result<Survey, GitError> {
    let files = files(source, commit, None, limits)?;
    let parsed = |file: &File| Arc::new(Parsed::of(file, limits));
    Ok(wanted(&Repository::of(&source.folder, files, limits, parsed)))
}

/// Returns the manifest files of the tip; those that did not change are taken from the checkout before.
fn files(
    source: &Source,
    tip: &CommitId,
    before: Option<&Checkout>,
    limits: &Limits,
) -> Result<Vec<File>, GitError> {
    let limits = git_limits(limits);
    let changed = before.and_then(|before| {
        // A tip whose predecessor is gone is read from scratch.
        let changed = source.repository.changed_paths(&before.tip, tip, &source.folder);
        Some((before, changed.ok()?))
    });
    let Some((before, changed)) = changed else {
        let files = source.repository.files(tip, &source.folder, limits, is_read)?;
        return Ok(files.into_iter().map(|file| found(source, file)).collect());
    };
    let mut files: BTreeMap<String, File> = before
        .repository
        .files
        .iter()
        .map(|(path, parsed)| (path.clone(), parsed.file(path)))
        .collect();
    for path in changed.iter().filter(|path| is_read(path)) {
        let full = source.full_path(path);
        match source.repository.file(tip, &source.folder, path, limits) {
            Ok(Some(file)) => files.insert(full, found(source, file)),
            Ok(None) => files.remove(&full),
            Err(error) if error.class == Class::TooLarge => {
                files.insert(full.clone(), File { too_large: true, ..File::new(full, []) })
            }
            Err(error) => return Err(error),
        };
    }
    Ok(files.into_values().collect())
}

fn found(source: &Source, file: git::File) -> File {
    let git::File { path, bytes, too_large } = file;
    File { too_large, ..File::new(source.full_path(&path), bytes) }
}
