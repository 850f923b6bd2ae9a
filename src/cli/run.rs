//! `tidegate run`.

use std::path::PathBuf;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    args::{HubArgs, RunArgs},
    exit::Exit,
    failure::{OrHint, hinted},
    follow::{self, Following},
    hub,
    run_engine::{self, Executor},
    shutdown::Requests,
};
use crate::{
    config::{self, Daemon, Engine},
    daemon::FirstPolicy,
    engine::EngineError,
    model::Hint,
    telemetry::log::{self, Verbosity},
};

pub(super) async fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    log::start(Verbosity::Turns);
    let settings = settings(args)?;
    let to = HubArgs {
        kubeconfig: settings.kubeconfig.clone(),
        context: settings.context.clone(),
        namespace: args.hub.namespace.clone(),
    };
    let hub = hub::connect(&to).await?;
    let executor = run_engine::executor(settings.engine, &hub.client).await?;
    let follows = !settings.repositories.is_empty();
    if executor == Executor::Others && !follows {
        return Err(hinted(
            "there is nothing to do: no repository to follow, and others execute the runs",
            "name a repository with --repository, or list some in --config",
        ));
    }
    let stop = CancellationToken::new();
    let following = match follows {
        true => Some(follow(&settings, hub.client.clone(), &stop)?),
        false => None,
    };
    let engine = match executor {
        Executor::Others => None,
        Executor::Ours => {
            Some(run_engine::start(hub.client, args.snapshot_mode.into(), stop.clone()))
        }
    };
    let until_asked = stop.clone();
    let mut asked = Requests::listen();
    tokio::spawn(async move {
        asked.next().await;
        tracing::info!("stopping");
        until_asked.cancel();
    });
    finish(settings.engine, engine, following, &stop).await?;
    anyhow::ensure!(stop.is_cancelled(), "the daemon ended early");
    Ok(Exit::Done)
}

fn follow(
    settings: &Daemon,
    hub: kube::Client,
    stop: &CancellationToken,
) -> anyhow::Result<Following> {
    let mirrors = mirrors().or_hint("cannot keep copies of repositories", || {
        "set XDG_CACHE_HOME or HOME".to_owned()
    })?;
    follow::start(hub, &settings.repositories, &mirrors, &FirstPolicy::Nobody, stop.clone())
}

/// Waits for both to end. Where Fleet's controllers come, only `--engine auto` goes on, and lets them execute the runs.
async fn finish(
    asked: Engine,
    engine: Option<JoinHandle<Result<(), EngineError>>>,
    following: Option<Following>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let follows = following.is_some();
    let executing = async {
        let Some(engine) = engine else { return Ok(()) };
        match engine.await.context("the engine broke")? {
            Err(error @ EngineError::Intruder(_)) if asked == Engine::Auto && follows => {
                tracing::warn!("{error}; from now on they execute the runs");
                Ok(())
            }
            Err(error) => {
                stop.cancel();
                Err(error).or_hint("the engine stopped", || {
                    "let Fleet's controllers execute the runs: use --engine fleet".to_owned()
                })
            }
            Ok(()) => Ok(()),
        }
    };
    let working = async {
        match following {
            Some(following) => {
                let ended = following.finish().await;
                // What keeps the daemon from its work must not look like a daemon at work.
                stop.cancel();
                ended
            }
            None => Ok(()),
        }
    };
    let (executed, worked) = tokio::join!(executing, working);
    executed.and(worked)
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
    if let Some(engine) = args.engine {
        settings.engine = engine.into();
    }
    if settings.repositories.is_empty() && matches!(settings.engine, Engine::Fleet | Engine::None) {
        return Err(hinted(
            "there is nothing to follow",
            "name a repository with --repository, or list some in --config",
        ));
    }
    settings.kubeconfig = args.hub.kubeconfig.clone().or(settings.kubeconfig);
    settings.context = args.hub.context.clone().or(settings.context);
    Ok(settings)
}
