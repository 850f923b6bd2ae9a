//! From flags to a daemon that follows repositories.

use std::path::Path;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    args::FollowArgs,
    failure::{OrHint, because},
};
use crate::{
    config::Repository,
    daemon::{self, DaemonError, FirstPolicy, Options, Source},
    model::Hint as _,
};

/// Returns the settings for the repository at `url`. A path is made absolute: the hub will name it to people who stand
/// elsewhere.
pub(crate) fn repository(url: &str, args: &FollowArgs) -> Repository {
    let path = Path::new(url);
    let absolute = path.exists().then(|| path.canonicalize().ok()).flatten();
    let url = absolute.map_or_else(|| url.to_owned(), |path| path.to_string_lossy().into_owned());
    Repository {
        reference: args.reference.clone(),
        path: args.path.clone(),
        interval: args.interval,
        token_file: args.token_file.clone(),
        ca_file: args.ca_file.clone(),
        allowed_signers: args.allowed_signers.clone(),
        ..Repository::new(url)
    }
}

/// Refuses, before anything is started, what can never be followed.
pub(crate) fn check(repository: &Repository, mirrors: &Path) -> anyhow::Result<()> {
    Source::new(repository, mirrors, FirstPolicy::Nobody).map(|_| ()).or_hint(
        "cannot follow the repository",
        || "a repository is a path, or a file:// or https:// URL; a token for it goes into a file, named with --token-file".to_owned(),
    )
}

/// A daemon that runs beside the command.
pub(crate) struct Following {
    task: JoinHandle<Result<(), DaemonError>>,
}

impl Following {
    /// Waits until it has ended, and says how.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        self.task.await.context("the daemon broke")?.map_err(told)
    }
}

/// Says why a daemon ended, and what would help.
fn told(error: DaemonError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => because(ENDED, error, hint),
        None => anyhow::Error::new(error).context(ENDED),
    }
}

const ENDED: &str = "the daemon ended early";

/// Waits until the daemon has ended by itself, and says how; forever when there is none. One that has ended is gone.
pub(crate) async fn ended(following: &mut Option<Following>) -> anyhow::Result<()> {
    let Some(running) = following else { return std::future::pending().await };
    let ended = (&mut running.task).await;
    *following = None;
    ended.context("the daemon broke")?.map_err(told)
}

/// Starts a daemon that follows `repositories` until told to stop. Copies of servers' repositories are kept in `mirrors`.
pub(crate) fn start(
    hub: kube::Client,
    repositories: &[Repository],
    mirrors: &Path,
    otherwise: &FirstPolicy,
    stop: CancellationToken,
) -> anyhow::Result<Following> {
    let source = |repository| Source::new(repository, mirrors, otherwise.clone());
    let sources = repositories.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    let task = tokio::spawn(daemon::run(hub, sources, Options::default(), stop));
    Ok(Following { task })
}
