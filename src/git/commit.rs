//! A commit's own words.

use jiff::Timestamp;

use super::{
    error::{Class, GitError},
    repository::{Repository, commit_id, object_id},
};
use crate::{model::CommitId, trust::Evidence};

/// Who made a commit, why, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// `Name <email>`.
    pub author: String,
    /// `Name <email>`.
    pub committer: String,
    /// When the committer says it was made: no witness.
    pub committed: Option<Timestamp>,
    /// The first line of its message.
    pub subject: String,
    /// The trailers of its message, in order: key and value.
    pub trailers: Vec<(String, String)>,
    /// Its signature.
    pub evidence: Evidence,
}

/// More trailers than this are not read.
const MAX_TRAILERS: usize = 100;

impl Repository {
    /// Reads a commit.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        let repository = self.open()?;
        let attempt = || format!("cannot read commit {id}");
        let damaged = |error: &(dyn std::error::Error + 'static)| {
            GitError::because(Class::Damaged, attempt(), error)
        };
        let commit = repository.find_commit(object_id(id)?).map_err(|error| {
            GitError::because(Class::NoSuchCommit(id.clone()), attempt(), &error)
        })?;
        let evidence = match commit.signature().map_err(|error| damaged(&error))? {
            None => Evidence::Unsigned,
            Some((armor, signed)) => Evidence::of(&armor, signed.to_bstring().into()),
        };
        let decoded = commit.decode().map_err(|error| damaged(&error))?;
        let author = decoded.author().map_err(|error| damaged(&error))?;
        let committer = decoded.committer().map_err(|error| damaged(&error))?;
        let person = |signature: &gix::actor::SignatureRef<'_>| {
            format!("{} <{}>", signature.name, signature.email)
        };
        Ok(Commit {
            id: id.clone(),
            parents: commit
                .parent_ids()
                .map(|parent| commit_id(parent.detach()))
                .collect::<Result<_, _>>()?,
            author: person(&author),
            committer: person(&committer),
            committed: committer
                .time()
                .ok()
                .and_then(|time| Timestamp::from_second(time.seconds).ok()),
            subject: decoded.message().title.to_string(),
            trailers: decoded.message().body().map_or_else(Vec::new, |body| {
                let pair = |trailer: gix::objs::commit::message::body::TrailerRef<'_>| {
                    (trailer.token.to_string(), trailer.value.to_string())
                };
                body.trailers().take(MAX_TRAILERS).map(pair).collect()
            }),
            evidence,
        })
    }
}
