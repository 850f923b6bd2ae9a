//! What is followed.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::DaemonError;
use crate::{
    api::source::SourceSpec,
    clock::{self, Clock},
    config,
    git::{Remote, Repository},
    manifest::Limits,
    model::Digest,
    trust::{ALLOWED_SIGNERS_PATH, AllowedSigners},
};

/// A branch of a repository, and a folder in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The branch.
    pub repository: Repository,
    /// The folder: empty for all of it.
    pub folder: String,
    /// How often to ask when nothing tells of a push.
    pub interval: Duration,
    /// Who may approve before the repository says so itself.
    pub first_policy: FirstPolicy,
}

/// Who may approve before the repository says so itself.
#[derive(Clone, Debug, PartialEq)]
pub enum FirstPolicy {
    /// Nobody.
    Nobody,
    /// Whoever the first commit that is seen names: for trying things out.
    FirstCommit,
    /// These people.
    Given(AllowedSigners),
}

impl Source {
    /// Returns the source that settings describe. Mirrors of servers' repositories go into `mirrors`.
    ///
    /// # Errors
    /// When the address cannot be used, or the file of allowed signers cannot be read.
    pub fn new(
        settings: &config::Repository,
        mirrors: &Path,
        otherwise: FirstPolicy,
    ) -> Result<Self, DaemonError> {
        let wrong = |detail: String| DaemonError::Source {
            repository: settings.url.chars().take(200).collect(),
            detail,
        };
        let remote =
            Remote::parse(&settings.url, settings.token_file.clone(), settings.ca_file.clone())
                .map_err(|error| DaemonError::Source {
                    repository: "the repository".to_owned(),
                    detail: error.to_string(),
                })?;
        let first_policy = match &settings.allowed_signers {
            None => otherwise,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| wrong(format!("cannot read `{}`: {error}", path.display())))?;
                let signers = AllowedSigners::parse(&text, &path.display().to_string())
                    .map_err(|error| wrong(error.to_string()))?;
                if signers.entries().is_empty() {
                    let file = path.display();
                    return Err(wrong(format!("`{file}` names nobody who may approve")));
                }
                FirstPolicy::Given(signers)
            }
        };
        let digest = Digest::of(format!("{} {}", settings.url, settings.reference).as_bytes());
        let mirror = mirrors.join(&digest.as_str()["sha256:".len()..][..16]);
        let nanoseconds = settings.interval.nanoseconds().max(0).unsigned_abs();
        Ok(Self {
            repository: Repository::new(remote, &settings.reference, mirror),
            folder: folder(&settings.path).map_err(&wrong)?,
            interval: Duration::from_nanos(nanoseconds).max(Duration::from_millis(100)),
            first_policy,
        })
    }

    /// Returns the repository for people, and for telling sources apart.
    pub(super) fn display(&self) -> String {
        self.repository.remote().display()
    }

    /// Returns whether the repository is a folder of this machine.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.repository.remote(), Remote::Local(_))
    }

    /// Returns the source as the hub names it.
    pub(super) fn spec(&self) -> SourceSpec {
        SourceSpec {
            repository: self.display(),
            reference: self.repository.branch().to_owned(),
            folder: Some(self.folder.clone()).filter(|folder| !folder.is_empty()),
        }
    }

    /// Returns the path of a file of the followed folder from the top of the repository.
    pub(super) fn full_path(&self, path: &str) -> String {
        if self.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", self.folder) }
    }

    pub(super) const fn policy_path() -> &'static str {
        ALLOWED_SIGNERS_PATH
    }
}

/// Returns a folder's path from the top of the repository; empty for all of it.
fn folder(path: &str) -> Result<String, String> {
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.contains(&"..") {
        true => {
            Err(format!("the folder `{path}` leads out of the repository (name one inside it)"))
        }
        false => Ok(parts.join("/")),
    }
}

/// How the daemon works.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How long a hub may take to cut a snapshot by itself before a run is asked to capture the content.
    pub patience: SignedDuration,
    /// How many Rollouts are worked on at once.
    pub width: usize,
    /// How much a repository may ask for.
    pub limits: Limits,
}

impl Default for Options {
    /// Patience: our engine cuts at once. Fleet before 0.3 takes half a minute, and may cut while a run captures; Fleet
    /// since 0.3 never cuts by itself, and every commit waits so long for it.
    fn default() -> Self {
        Self {
            clock: clock::system(),
            patience: SignedDuration::from_secs(5),
            width: 16,
            limits: Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_one_that_was_named() {
        for (path, want) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("deploy", "deploy"),
            ("./deploy/prod/", "deploy/prod"),
            ("deploy/./prod", "deploy/prod"),
            (".fleet", ".fleet"),
            ("./.fleet/v1.", ".fleet/v1."),
            ("...", "..."),
        ] {
            assert_eq!(folder(path).as_deref(), Ok(want), "{path}");
        }
        for path in ["..", "../other", "deploy/../..", "a/.."] {
            assert!(folder(path).unwrap_err().contains(path), "{path}");
        }
    }
}
