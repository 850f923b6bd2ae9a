//! A repository that is followed: one question when nothing changed, one fetch when something did.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use gix::{
    remote::{Direction, fetch},
    sec::identity::Account,
};
use secrecy::ExposeSecret;

use super::{
    error::{Class, GitError, chain},
    remote::Remote,
};
use crate::model::CommitId;

/// One branch of one repository.
#[derive(Clone, Debug)]
pub struct Repository {
    remote: Remote,
    branch: String,
    /// Where a server's repository is mirrored.
    mirror: PathBuf,
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// The branch is where it was.
    Unchanged,
    /// The branch is here now, and its objects can be read.
    Tip(CommitId),
}

/// How a new tip stands to the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same commit.
    Same,
    /// The new one contains the old one; these are the new commits, oldest first.
    Ahead(Vec<CommitId>),
    /// The old one contains the new one: the branch was set back.
    Behind,
    /// Neither contains the other: history was rewritten.
    Diverged,
}

/// One operation on the network may take this long.
const NETWORK_DEADLINE: Duration = Duration::from_secs(30);
/// A range of more commits than this is not walked.
const MAX_RANGE: usize = 50_000;

impl Repository {
    /// Names a branch of a repository. Nothing is opened yet. A server's repository is mirrored into `mirror`.
    pub fn new(remote: Remote, branch: impl Into<String>, mirror: impl Into<PathBuf>) -> Self {
        Self { remote, branch: branch.into(), mirror: mirror.into() }
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
        let tip = match &self.remote {
            Remote::Local(_) => self.local_tip()?,
            Remote::Https { url, .. } => self.fetch(url, known)?,
        };
        Ok(if known == Some(&tip) { Poll::Unchanged } else { Poll::Tip(tip) })
    }

    /// Opens the object store. Opened anew by every caller: a handle that outlives many fetches runs out of slots for
    /// their packs (gitoxide#1788).
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
        let opened = gix::ThreadSafeRepository::open_opts(path, options())
            .map_err(|error| GitError::because(Class::NotARepository, attempt(), &error))?;
        Ok(opened.to_thread_local())
    }

    fn full_ref(&self) -> String {
        match self.branch.starts_with("refs/") {
            true => self.branch.clone(),
            false => format!("refs/heads/{}", self.branch),
        }
    }

    fn local_tip(&self) -> Result<CommitId, GitError> {
        let repository = self.open()?;
        let name = self.full_ref();
        let attempt =
            || format!("cannot find branch `{}` of `{}`", self.branch, self.remote.display());
        let found = repository
            .try_find_reference(name.as_str())
            .map_err(|error| GitError::because(Class::Damaged, attempt(), &error))?;
        match found {
            Some(mut reference) => {
                let id = reference
                    .peel_to_id()
                    .map_err(|error| GitError::because(Class::Damaged, attempt(), &error))?;
                commit_id(id.detach())
            }
            None => Err(self.no_branch(branches(&repository))),
        }
    }

    fn no_branch(&self, known: Vec<String>) -> GitError {
        if known.is_empty() {
            return GitError::new(
                Class::Empty,
                format!("`{}` has no commits yet", self.remote.display()),
            );
        }
        let attempt = format!("`{}` has no branch `{}`", self.remote.display(), self.branch);
        GitError::new(Class::NoSuchRef { known }, attempt)
    }

    fn fetch(&self, url: &str, known: Option<&CommitId>) -> Result<CommitId, GitError> {
        let attempt = || format!("cannot fetch `{url}`");
        let repository = self.mirror()?;
        let name = self.full_ref();
        let spec = format!("+{name}:refs/tidegate/tip");
        let configured = |error: &(dyn std::error::Error + 'static)| {
            GitError::because(Class::BadAddress, attempt(), error)
        };
        let remote = repository
            .remote_at(url)
            .map_err(|error| configured(&error))?
            .with_fetch_tags(fetch::Tags::None)
            .with_refspecs([spec.as_str()], Direction::Fetch)
            .map_err(|error| configured(&error))?;
        let mut connection =
            remote.connect(Direction::Fetch).map_err(|error| network(attempt(), &error))?;
        self.prepare(&repository, url, &mut connection)?;
        let prepared = connection
            .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| network(attempt(), &error))?;
        let advertised = prepared.ref_map().remote_refs.iter().find_map(|reference| {
            let (full, target, peeled) = reference.unpack();
            (full == name.as_str())
                .then(|| peeled.or(target).map(gix::hash::oid::to_owned))
                .flatten()
        });
        let Some(tip) = advertised else {
            return Err(self.no_branch(Vec::new()));
        };
        let tip = commit_id(tip)?;
        if known == Some(&tip) {
            return Ok(tip);
        }
        let stop = AtomicBool::new(false);
        prepared
            .receive(gix::progress::Discard, &stop)
            .map_err(|error| network(attempt(), &error))?;
        Ok(tip)
    }

    /// Sets credentials, time limits and authorities for a connection. Credentials are always answered here: gix would ask
    /// helpers and then the terminal.
    fn prepare<T>(
        &self,
        repository: &gix::Repository,
        url: &str,
        connection: &mut gix::remote::Connection<'_, '_, '_, T>,
    ) -> Result<(), GitError>
    where
        T: gix::protocol::transport::client::blocking_io::Transport,
    {
        let token = self.remote.token()?;
        connection.set_credentials(move |action| match (action, &token) {
            (gix::credentials::helper::Action::Get(context), Some(token)) => {
                let password = token.expose_secret().to_owned();
                let identity = Account {
                    username: "x-access-token".into(),
                    password,
                    oauth_refresh_token: None,
                };
                Ok(Some(gix::credentials::protocol::Outcome { identity, next: context.into() }))
            }
            _ => Ok(None),
        });
        let hooks = self.transport_options(repository, url)?;
        connection.set_transport_options(hooks);
        Ok(())
    }

    fn transport_options(
        &self,
        repository: &gix::Repository,
        url: &str,
    ) -> Result<Box<dyn std::any::Any>, GitError> {
        use gix::protocol::transport::client::blocking_io::http;
        let attempt = || format!("cannot prepare the connection to `{url}`");
        let bad = |detail: &str| GitError {
            class: Class::BadAddress,
            attempt: attempt(),
            detail: Some(detail.to_owned()),
        };
        let options = repository
            .transport_options(url, None)
            .map_err(|error| GitError::because(Class::BadAddress, attempt(), &error))?
            .ok_or_else(|| bad("not an HTTP address"))?;
        let mut options =
            *options.downcast::<http::Options>().map_err(|_| bad("not an HTTP address"))?;
        let authorities = self.authorities()?;
        options.backend = Some(Arc::new(Mutex::new(http::reqwest::Options {
            configure_client: Some(Box::new(move |builder| {
                let builder = builder
                    .timeout(NETWORK_DEADLINE)
                    .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
                Ok(if authorities.is_empty() {
                    builder
                } else {
                    builder.tls_certs_merge(authorities.clone())
                })
            })),
            configure_request: None,
        })));
        Ok(Box::new(options))
    }

    fn authorities(&self) -> Result<Vec<reqwest::Certificate>, GitError> {
        let Remote::Https { ca_file: Some(path), .. } = &self.remote else { return Ok(Vec::new()) };
        let attempt = || format!("cannot read the certificates in `{}`", path.display());
        let pem = std::fs::read(path)
            .map_err(|error| GitError::because(Class::BadAddress, attempt(), &error))?;
        reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| GitError::because(Class::BadAddress, attempt(), &error))
    }

    /// Opens the mirror, making it the first time.
    fn mirror(&self) -> Result<gix::Repository, GitError> {
        if self.mirror.join("HEAD").exists() {
            return self.open();
        }
        let attempt = || format!("cannot make a mirror in `{}`", self.mirror.display());
        std::fs::create_dir_all(&self.mirror)
            .map_err(|error| GitError::because(Class::NotThere, attempt(), &error))?;
        let made = gix::ThreadSafeRepository::init_opts(
            &self.mirror,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            options(),
        );
        Ok(made
            .map_err(|error| GitError::because(Class::Damaged, attempt(), &error))?
            .to_thread_local())
    }

    /// Says how `new` stands to `old`.
    ///
    /// # Errors
    /// When a commit is missing, or the range is longer than 50,000 commits.
    pub fn relation(&self, old: &CommitId, new: &CommitId) -> Result<Relation, GitError> {
        if old == new {
            return Ok(Relation::Same);
        }
        let repository = self.open()?;
        let (old_id, new_id) = (object_id(old)?, object_id(new)?);
        if repository.find_commit(old_id).is_err() {
            // What was accepted is gone: whatever is there now is not its descendant.
            return Ok(Relation::Diverged);
        }
        let ahead = reachable(&repository, new_id, old_id)?;
        let Some(commits) = ahead else {
            return Ok(match reachable(&repository, old_id, new_id)? {
                Some(_) => Relation::Behind,
                None => Relation::Diverged,
            });
        };
        Ok(Relation::Ahead(commits))
    }
}

/// Returns what is reachable from `tip` but not from `base`, parents before children, if `base` is an ancestor of `tip`.
fn reachable(
    repository: &gix::Repository,
    tip: gix::ObjectId,
    base: gix::ObjectId,
) -> Result<Option<Vec<CommitId>>, GitError> {
    let attempt = || format!("cannot walk from {tip} to {base}");
    let damaged = |error: &(dyn std::error::Error + 'static)| {
        GitError::because(Class::Damaged, attempt(), error)
    };
    match repository.merge_base(base, tip) {
        Ok(Some(found)) if found.detach() == base => {}
        _ => return Ok(None),
    }
    let walk =
        repository.rev_walk([tip]).with_hidden([base]).all().map_err(|error| damaged(&error))?;
    let mut commits = Vec::new();
    for info in walk {
        let info = info.map_err(|error| damaged(&error))?;
        if commits.len() == MAX_RANGE {
            return Err(GitError::new(
                Class::TooLarge,
                format!("{}: more than {MAX_RANGE} commits", attempt()),
            ));
        }
        commits.push(commit_id(info.id)?);
    }
    commits.reverse();
    Ok(Some(commits))
}

/// Nothing of the machine's configuration, no prompt, and slots for more packs than gix has by default.
fn options() -> gix::open::Options {
    gix::open::Options::isolated()
        .permissions(gix::open::Permissions::isolated())
        .object_store_slots(gix::odb::store::init::Slots::Given(4096))
        .config_overrides([
            "gitoxide.credentials.terminalPrompt=false",
            "gitoxide.http.connectTimeout=10000",
        ])
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

fn network(attempt: String, error: &(dyn std::error::Error + 'static)) -> GitError {
    let text = chain(error);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let class = if says(&[
        "401",
        "403",
        "credentials",
        "Authentication",
        "authentication",
        "access denied",
    ]) {
        Class::Refused
    } else if says(&["404", "not found", "Not Found"]) {
        Class::NotThere
    } else {
        Class::Unreachable
    };
    GitError { class, attempt, detail: Some(text) }
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
