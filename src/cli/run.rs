//! `tidegate run`.

use std::path::PathBuf;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{
    args::{HubArgs, RunArgs},
    exit::Exit,
    failure::{OrHint, hinted},
    follow, hub, shutdown,
};
use crate::{
    config::{self, Daemon, Engine},
    daemon::FirstPolicy,
    model::Hint,
    telemetry::log::{self, Verbosity},
};

pub(super) async fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    log::start(Verbosity::Turns);
    let settings = settings(args)?;
    if settings.engine == Engine::Builtin {
        return Err(hinted(
            "the built-in engine does not run outside `tidegate local` yet",
            "use --engine fleet on a hub that runs KubeFleet, or none",
        ));
    }
    let to = HubArgs {
        kubeconfig: settings.kubeconfig,
        context: settings.context,
        namespace: args.hub.namespace.clone(),
    };
    let hub = hub::connect(&to).await?;
    let stop = CancellationToken::new();
    let mirrors = mirrors().or_hint("cannot keep copies of repositories", || {
        "set XDG_CACHE_HOME or HOME".to_owned()
    })?;
    let following = follow::start(
        hub.client,
        &settings.repositories,
        &mirrors,
        &FirstPolicy::Nobody,
        stop.clone(),
    )?;
    let until_asked = stop.clone();
    tokio::spawn(async move {
        shutdown::requested().await;
        tracing::info!("stopping");
        until_asked.cancel();
    });
    following.finish().await?;
    anyhow::ensure!(stop.is_cancelled(), "the daemon ended early");
    Ok(Exit::Done)
}

/// Copies of servers' repositories: a cache, made again when it is lost.
fn mirrors() -> anyhow::Result<PathBuf> {
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    Ok(cache.context("no home directory")?.join("tidegate/mirrors"))
}

/// Flags win over the file.
fn settings(args: &RunArgs) -> anyhow::Result<Daemon> {
    let mut settings = match &args.config {
        None => Daemon::default(),
        Some(path) => {
            let attempt = format!("cannot read the configuration `{}`", path.display());
            let text = std::fs::read_to_string(path).or_hint(attempt, || {
                "name the file with --config, or use --repository".to_owned()
            })?;
            config::read(&text, path).map_err(|error| {
                let hint = error.hint().unwrap_or_default();
                hinted(error.to_string(), hint)
            })?
        }
    };
    if let Some(url) = &args.repository {
        settings.repositories = vec![follow::repository(url, &args.follow)];
    }
    if settings.repositories.is_empty() {
        return Err(hinted(
            "there is nothing to follow",
            "name a repository with --repository, or list some in --config",
        ));
    }
    if let Some(engine) = args.engine {
        settings.engine = engine.into();
    }
    settings.kubeconfig = args.hub.kubeconfig.clone().or(settings.kubeconfig);
    settings.context = args.hub.context.clone().or(settings.context);
    Ok(settings)
}
