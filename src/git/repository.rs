//! A repository that is followed: one question when nothing changed, one fetch when something did.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    error::{Class, GitError},
    https::Door,
    remote::Remote,
};
use crate::model::CommitId;

/// One branch of one repository.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) remote: Remote,
    branch: String,
    /// Where a server's repository is mirrored.
    pub(super) mirror: PathBuf,
    /// The object store, until the branch moves.
    opened: Arc<Mutex<Option<gix::ThreadSafeRepository>>>,
    /// Held while the mirror is written.
    pub(super) fetching: Arc<Mutex<()>>,
    /// The way to the server.
    pub(super) door: Arc<Door>,
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// The branch is where it was.
    Unchanged,
    /// The branch is here now, and its objects can be read.
    Tip(CommitId),
}

impl Repository {
    /// Names a branch of a repository. Nothing is opened yet. A server's repository is mirrored into `mirror`.
    pub fn new(remote: Remote, branch: impl Into<String>, mirror: impl Into<PathBuf>) -> Self {
        Self {
            remote,
            branch: branch.into(),
            mirror: mirror.into(),
            opened: Arc::default(),
            fetching: Arc::default(),
            door: Arc::default(),
        }
    }

    /// Returns where the repository is.
    pub const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the branch.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Asks where the branch is, and fetches when that is not `known`.
    ///
    /// A local repository is read in place. A server is asked once (`ls-refs`), and nothing is written when the branch is
    /// where it was.
    ///
    /// # Errors
    /// When there is no such repository or branch, or it cannot be read.
    pub fn poll(&self, known: Option<&CommitId>) -> Result<Poll, GitError> {
        let name = self.full_ref()?;
        let found = match &self.remote {
            Remote::Local(_) => self.local_tip(&name),
            Remote::Https { url, .. } => self.follow(url, &name, known),
        };
        let found =
            found.map(|tip| if known == Some(&tip) { Poll::Unchanged } else { Poll::Tip(tip) });
        if !matches!(found, Ok(Poll::Unchanged)) {
            self.forget();
        }
        found
    }

    /// Forgets the opened object store.
    pub(super) fn forget(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Opens the object store, once for as long as the branch stays where it is. Not for longer: a handle that outlives
    /// many fetches runs out of slots for their packs (gitoxide#1788).
    pub(super) fn open(&self) -> Result<gix::Repository, GitError> {
        let path = match &self.remote {
            Remote::Local(path) => path,
            Remote::Https { .. } => &self.mirror,
        };
        let attempt = || format!("cannot open the repository `{}`", self.remote.display());
        if !path.exists() {
            return Err(GitError::new(
                Class::NotThere,
                format!("{}: there is nothing at that path", attempt()),
            ));
        }
        let mut held = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = held.as_ref() {
            return Ok(opened.to_thread_local());
        }
        let opened = gix::ThreadSafeRepository::open_opts(path, options())
            .map_err(|error| GitError::because(Class::NotARepository, attempt(), &error))?;
        Ok(held.insert(opened).to_thread_local())
    }

    /// Returns the full name of what is followed: a branch, `HEAD`, or any reference named in full.
    fn full_ref(&self) -> Result<String, GitError> {
        let name = match self.branch.starts_with("refs/") || self.branch == "HEAD" {
            true => self.branch.clone(),
            false => format!("refs/heads/{}", self.branch),
        };
        match gix::validate::reference::name(name.as_str().into()) {
            Ok(_) => Ok(name),
            Err(error) => {
                let attempt = format!("cannot follow `{}`", self.branch);
                Err(GitError::because(Class::BadRef, attempt, &error))
            }
        }
    }

    fn local_tip(&self, name: &str) -> Result<CommitId, GitError> {
        let repository = self.open()?;
        let attempt =
            || format!("cannot find branch `{}` of `{}`", self.branch, self.remote.display());
        let damaged = |error: &(dyn std::error::Error + 'static)| {
            GitError::because(Class::Damaged, attempt(), error)
        };
        let found = repository.try_find_reference(name).map_err(|error| damaged(&error))?;
        let Some(mut reference) = found else {
            return Err(self.no_branch(branches(&repository)));
        };
        // `HEAD` of a repository without commits names a branch that is not there.
        if let Some(Ok(target)) = reference.follow() {
            reference = target;
        } else if reference.target().try_name().is_some() {
            return Err(self.no_branch(branches(&repository)));
        }
        commit_id(reference.peel_to_id().map_err(|error| damaged(&error))?.detach())
    }

    pub(super) fn no_branch(&self, known: Vec<String>) -> GitError {
        if known.is_empty() {
            return GitError::new(
                Class::Empty,
                format!("`{}` has no commits yet", self.remote.display()),
            );
        }
        let attempt = format!("`{}` has no branch `{}`", self.remote.display(), self.branch);
        GitError::new(Class::NoSuchRef { known }, attempt)
    }
}

/// Nothing of the machine's configuration, no prompt, and slots for more packs than gix has by default.
pub(super) fn options() -> gix::open::Options {
    gix::open::Options::isolated()
        .permissions(gix::open::Permissions::isolated())
        .object_store_slots(gix::odb::store::init::Slots::Given(4096))
        .config_overrides(["gitoxide.credentials.terminalPrompt=false"])
}

fn branches(repository: &gix::Repository) -> Vec<String> {
    let Ok(references) = repository.references() else { return Vec::new() };
    let Ok(branches) = references.local_branches() else { return Vec::new() };
    branches
        .filter_map(Result::ok)
        .map(|branch| branch.name().shorten().to_string())
        .take(10)
        .collect()
}

/// Returns what `name` stands for among the references that a server tells of: of a tag with a message, what it is for.
pub(super) fn tip_of(
    name: &str,
    references: &[gix::protocol::handshake::Ref],
) -> Option<gix::ObjectId> {
    references.iter().find_map(|reference| {
        let (full, target, peeled) = reference.unpack();
        (full == name).then(|| peeled.or(target).map(gix::hash::oid::to_owned)).flatten()
    })
}

pub(super) fn commit_id(id: gix::ObjectId) -> Result<CommitId, GitError> {
    let text = id.to_hex().to_string();
    text.parse().map_err(|error| {
        GitError::because(Class::Damaged, format!("`{text}` names no commit"), &error)
    })
}

pub(super) fn object_id(commit: &CommitId) -> Result<gix::ObjectId, GitError> {
    gix::ObjectId::from_hex(commit.as_str().as_bytes()).map_err(|error| {
        GitError::because(
            Class::NoSuchCommit(commit.clone()),
            format!("cannot read {commit}"),
            &error,
        )
    })
}

/// Returns the folder to watch for changes of a local repository's branches.
pub(super) fn common_dir(path: &Path) -> Option<PathBuf> {
    let repository = gix::ThreadSafeRepository::open_opts(path, options()).ok()?;
    Some(repository.to_thread_local().common_dir().to_owned())
}
