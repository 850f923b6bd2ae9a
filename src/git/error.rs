//! What can go wrong with a repository, and what a person can do about it.

use crate::model::{CommitId, Hint};

/// A failed look at a repository.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}{}", detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct GitError {
    /// What kind of failure.
    pub class: Class,
    /// What was attempted, on what.
    pub attempt: String,
    /// What the library said.
    pub detail: Option<String>,
}

/// Kinds of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is nothing at that place.
    NotThere,
    /// There is something, but it is no repository.
    NotARepository,
    /// The repository has no commit yet.
    Empty,
    /// The repository has commits, but not this branch.
    NoSuchRef {
        /// The branches that it has, a few of them.
        known: Vec<String>,
    },
    /// What was named cannot be the name of a branch.
    BadRef,
    /// The server wants other credentials.
    Refused,
    /// The server's certificate is of no authority that is trusted here.
    Untrusted,
    /// The server cannot be reached, or does not answer in time. Passes by itself.
    Unreachable,
    /// An object that should be there is not, or cannot be read.
    Damaged,
    /// More than the limits allow.
    TooLarge,
    /// More commits at once than are walked.
    TooManyCommits,
    /// A commit that was named is not in the repository.
    NoSuchCommit(CommitId),
    /// The address cannot be used.
    BadAddress,
}

impl GitError {
    /// Returns an error without a library's words.
    pub fn new(class: Class, attempt: impl Into<String>) -> Self {
        Self { class, attempt: attempt.into(), detail: None }
    }

    /// Returns an error with what the library said, causes included.
    pub fn because(
        class: Class,
        attempt: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self { class, attempt: attempt.into(), detail: Some(chain(error)) }
    }

    /// Returns whether trying again later may help without anybody doing something.
    pub const fn is_passing(&self) -> bool {
        matches!(self.class, Class::Unreachable)
    }
}

impl Hint for GitError {
    fn hint(&self) -> Option<String> {
        Some(match &self.class {
            Class::NotThere => {
                "check the path or URL; servers also say so of what a token may not see".to_owned()
            }
            Class::NotARepository => {
                "name the folder that holds `.git`, or a bare repository".to_owned()
            }
            Class::Empty => "push a first commit".to_owned(),
            Class::NoSuchRef { known } if known.is_empty() => {
                "push the branch, or name another with --ref".to_owned()
            }
            Class::NoSuchRef { known } => {
                format!("name another with --ref; there is {}", known.join(", "))
            }
            Class::BadRef => "name a branch, such as main, or a full reference".to_owned(),
            Class::Untrusted => "give the certificate of its authority with --ca-file".to_owned(),
            Class::Refused => {
                "give a token that may read the repository with --token-file".to_owned()
            }
            Class::Damaged => "run `git fsck` in the repository".to_owned(),
            Class::TooLarge => "follow a folder of it with --path".to_owned(),
            Class::BadAddress => "use a path, file:// or https://".to_owned(),
            Class::Unreachable | Class::NoSuchCommit(_) | Class::TooManyCommits => return None,
        })
    }
}

/// Returns an error and its causes on one line, each once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
