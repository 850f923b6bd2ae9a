//! `tidegate watch`.

use std::time::Duration;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, sleep_until};

use super::{args::WatchArgs, exit::Exit, hub, pipeline::Screen};
use crate::{
    api::{
        self, Rollout,
        condition::{Truth, find, truth},
        rollout::{READY, STALLED},
    },
    clock::{Clock, SystemClock},
    rollout::{self, Run},
};

pub(super) async fn run(args: &WatchArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let first = hub.rollout(&args.rollout).await?;
    let api = hub.beside(&first);
    let name = first.metadata.name.clone().unwrap_or_default();
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut rollouts = watcher(api, only).default_backoff().applied_objects().boxed();
    let [cluster, namespaced] = hub.run_apis(&first);
    let watched = |api: Api<api::Run>| {
        watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed()
    };
    // A Rollout uses the runs of one scope; which one, its run tells by being found there.
    let mut runs = futures::stream::select(watched(cluster), watched(namespaced));
    let deadline = args.timeout.map(|timeout| {
        Instant::now()
            + Duration::from_nanos(u64::try_from(timeout.nanoseconds()).unwrap_or_default())
    });

    let mut seen = View { rollout: first, run: None, screen: Screen::new(), said: String::new() };
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            rollout = rollouts.try_next() => seen.rollout = rollout?.context("the watch ended")?,
            run = runs.try_next() => {
                let run = run?.context("the watch ended")?;
                if !seen.is_current(&run) {
                    continue;
                }
                seen.run = Some(run);
            }
            _ = tick.tick(), if seen.screen.is_live() => {}
            () = timeout(deadline) => {
                anstream::eprintln!("still not done: {}", seen.said);
                return Ok(Exit::TimedOut);
            }
        }
        if let Some(exit) = seen.show() {
            return Ok(exit);
        }
    }
}

async fn timeout(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct View {
    rollout: Rollout,
    run: Option<api::Run>,
    screen: Screen,
    said: String,
}

impl View {
    fn is_current(&self, run: &api::Run) -> bool {
        hub::is_run_of(run, &self.rollout)
    }

    /// Shows what is new, and returns how it ended, if it has.
    fn show(&mut self) -> Option<Exit> {
        let status = self.rollout.status.clone()?;
        let message = status.message.clone().unwrap_or_default();
        if message != self.said {
            self.screen.leave();
            let commit = status.revision.as_deref().unwrap_or("-");
            anstream::println!("{commit}  {message}");
            self.said = message;
        }
        if let Some(run) = self.run.clone().filter(|run| self.is_current(run)) {
            let now = SystemClock.now();
            let progress = rollout::progress(&Run::from(&run), now);
            if !progress.stages.is_empty() {
                self.screen.show(&progress, now);
            }
        }
        let fresh = status.observed_generation == self.rollout.metadata.generation;
        if fresh && truth(&status.conditions, READY) == Some(Truth::True) {
            return Some(Exit::Done);
        }
        if fresh && truth(&status.conditions, STALLED) == Some(Truth::True) {
            if let Some(condition) = find(&status.conditions, STALLED) {
                anstream::eprintln!("{}", condition.message);
            }
            return Some(Exit::Failed);
        }
        None
    }
}
