//! `tidegate watch`.

use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, sleep_until};

use super::{
    args::WatchArgs,
    exit::Exit,
    failure::hinted,
    find::full_name,
    hub::{self, Hub},
    screen::Screen,
    status::{refused, words},
};
use crate::{
    api::{
        self, Rollout,
        condition::{Truth, find, truth},
        rollout::{READY, RolloutStatus, STALLED},
    },
    clock::{Clock, SystemClock},
    rollout::{self, Cause, Progress, Run},
};

pub(super) async fn run(args: &WatchArgs) -> anyhow::Result<Exit> {
    let hub = hub::connect(&args.hub).await?;
    let deadline = args.timeout.map(|timeout| {
        Instant::now()
            + Duration::from_nanos(u64::try_from(timeout.nanoseconds()).unwrap_or_default())
    });
    let Some(first) = appears(&hub, args, deadline).await? else {
        anstream::eprintln!("still no Rollout on this hub");
        return Ok(Exit::TimedOut);
    };
    let api = hub.beside(&first);
    let name = first.metadata.name.clone().unwrap_or_default();
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut rollouts = watcher(api, only).default_backoff().boxed();
    let [cluster, namespaced] = hub.run_apis(&first);
    let watched = |api: Api<api::Run>| {
        watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed()
    };
    // A Rollout uses the runs of one scope; which one, its run tells by being found there.
    let mut runs = futures::stream::select(watched(cluster), watched(namespaced));
    let run = hub.run_of(&first).await.unwrap_or_default();
    let mut view = View::new(first, run, args);
    if let Some(exit) = view.show() {
        return Ok(exit);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            event = rollouts.next() => match event.context("the watch ended")? {
                Ok(Event::Apply(rollout) | Event::InitApply(rollout)) => {
                    view.rollout = rollout;
                    view.hears = true;
                }
                Ok(Event::Delete(rollout)) => {
                    return Err(hinted(
                        format!("{} is deleted", full_name(&rollout)),
                        "a Rollout that Git has comes back by itself; one that Git lost is gone",
                    ));
                }
                Ok(Event::Init | Event::InitDone) => continue,
                Err(error) => {
                    view.deaf(&hub, error)?;
                    continue;
                }
            },
            // Whoever owns a namespace may have no business with the cluster's runs: what cannot be seen is not shown.
            Some(Ok(run)) = runs.next() => {
                if !hub::is_run_of(&run, &view.rollout) {
                    continue;
                }
                view.run = Some(run);
            }
            _ = tick.tick(), if view.screen.is_live() => {}
            () = timeout(deadline) => {
                anstream::eprintln!("still not done: {}", view.message());
                return Ok(Exit::TimedOut);
            }
        }
        if let Some(exit) = view.show() {
            return Ok(exit);
        }
    }
}

/// Returns the Rollout. A hub that has none at all is one whose daemon has just started: there it is waited for, and so
/// it is when a commit is, which may bring it; otherwise a name that is not there is a wrong one. Nothing when time is up.
async fn appears(
    hub: &Hub,
    args: &WatchArgs,
    deadline: Option<Instant>,
) -> anyhow::Result<Option<Rollout>> {
    let mut said = false;
    loop {
        let name = &args.rollout;
        let known = match hub.rollout(name).await {
            Ok(rollout) => return Ok(Some(rollout)),
            Err(error) => match hub.rollouts(true).await {
                Ok(all) if all.is_empty() || args.commit.is_some() => all,
                _ => return Err(error),
            },
        };
        if !std::mem::replace(&mut said, true) {
            let known: Vec<String> = known.iter().map(full_name).collect();
            let others = match &known[..] {
                [] => "there is no Rollout on this hub yet".to_owned(),
                known => format!("there is no Rollout `{name}` yet, only {}", known.join(", ")),
            };
            anstream::eprintln!("{others}; waiting for `{name}`");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
            () = timeout(deadline) => return Ok(None),
        }
    }
}

async fn timeout(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct View<'a> {
    args: &'a WatchArgs,
    rollout: Rollout,
    run: Option<api::Run>,
    screen: Screen,
    /// The headline, and the refused approvals, that were said: nothing is said twice.
    said: String,
    refusals: Vec<String>,
    /// Whether the daemon has taken up the commit that was asked for.
    taken_up: bool,
    /// Whether the hub answers.
    hears: bool,
    /// The run that was seen on its way.
    followed: Option<String>,
}

impl<'a> View<'a> {
    fn new(rollout: Rollout, run: Option<api::Run>, args: &'a WatchArgs) -> Self {
        let taken_up = args.commit.is_none();
        let screen = Screen::new();
        Self {
            args,
            rollout,
            run,
            screen,
            said: String::new(),
            refusals: Vec::new(),
            taken_up,
            hears: true,
            followed: None,
        }
    }

    fn message(&self) -> String {
        let status = self.rollout.status.as_ref();
        let message = status.and_then(|status| status.message.clone()).unwrap_or_default();
        match &self.args.commit {
            Some(commit) if !self.taken_up => {
                format!("the daemon has not taken up commit {commit}; {message}")
            }
            _ => message,
        }
    }

    /// A hub that does not answer may be starting again: says so once, and goes on. One that refuses us will not change
    /// its mind.
    fn deaf(&mut self, hub: &Hub, error: watcher::Error) -> anyhow::Result<()> {
        let why = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error,
            // An interrupted or outdated watch starts again by itself.
            _ => return Ok(()),
        };
        if matches!(&why, kube::Error::Api(status) if matches!(status.code, 401 | 403)) {
            return Err(hub.refused("cannot watch the Rollout", why));
        }
        if std::mem::take(&mut self.hears) {
            self.screen.leave();
            anstream::eprintln!("the hub does not answer; still trying ({why})");
        }
        Ok(())
    }

    /// Notes whether the commit that was asked for is the newest one read, rolled out, or was.
    fn take_up(&mut self, status: &RolloutStatus) {
        let Some(wanted) = self.args.commit.as_deref() else { return };
        let source = status.source.as_ref().map(|source| source.commit.as_str());
        let released = status.history.iter().map(|release| release.commit.as_str());
        let mut known = source.into_iter().chain(status.commit.as_deref()).chain(released);
        self.taken_up |= known.any(|commit| commit.starts_with(wanted));
    }

    /// Shows what is new, and returns how it ended, if it has.
    fn show(&mut self) -> Option<Exit> {
        let status = self.rollout.status.clone()?;
        self.take_up(&status);
        let now = SystemClock.now();
        let run = self.run.as_ref().filter(|run| hub::is_run_of(run, &self.rollout));
        let progress = run.map(|run| rollout::progress(&Run::from(run), now));
        let message = status.message.clone().unwrap_or_default();
        let headline = format!("{}  {message}", status.revision.as_deref().unwrap_or("-"));
        let ready = truth(&status.conditions, READY) == Some(Truth::True);
        // A run that was over when we came, while the Rollout is not ready, is yesterday's.
        let is_shown = progress.as_ref().is_some_and(|progress| {
            if !progress.is_over() {
                self.followed = status.run.clone();
            }
            !progress.stages.is_empty() && (ready || self.followed == status.run)
        });
        let stalled = truth(&status.conditions, STALLED) == Some(Truth::True);
        // What stages and clusters do is said below it.
        let headline = match is_shown && !ready && !stalled {
            true => headline.split(": stage ").next().unwrap_or(&headline),
            false => &headline,
        };
        if self.screen.is_live() && is_shown {
            self.say_refusals();
        } else {
            self.say(headline);
        }
        if let Some(progress) = progress.as_ref().filter(|_| is_shown) {
            self.screen.show(Some(headline), progress, now);
        }
        self.ending(&status, progress.as_ref())
    }

    /// Says a line for each turn of the rollout.
    fn say(&mut self, headline: &str) {
        if self.said != headline {
            self.screen.leave();
            anstream::println!("{headline}");
            self.said = headline.to_owned();
        }
        self.say_refusals();
    }

    fn say_refusals(&mut self) {
        let news: Vec<String> = refused(&self.rollout)
            .map(|record| format!("refused: {}", words(record)))
            .filter(|line| !self.refusals.contains(line))
            .collect();
        for line in news {
            self.screen.leave();
            anstream::eprintln!("{line}");
            self.refusals.push(line);
        }
    }

    fn ending(&self, status: &RolloutStatus, progress: Option<&Progress>) -> Option<Exit> {
        let fresh = status.observed_generation == self.rollout.metadata.generation;
        if !fresh || !self.taken_up {
            return None;
        }
        if truth(&status.conditions, READY) == Some(Truth::True) {
            return Some(Exit::Done);
        }
        if truth(&status.conditions, STALLED) == Some(Truth::True) {
            if let Some(condition) = find(&status.conditions, STALLED) {
                anstream::eprintln!("{}", condition.message);
            }
            return Some(Exit::Failed);
        }
        let asks = |cause: &Cause| match cause {
            Cause::Approval { since, .. } => since.is_some(),
            Cause::Start { .. } | Cause::Resume { .. } => true,
            Cause::Timer { .. } | Cause::Clusters { .. } => false,
        };
        let asked = progress.is_some_and(|progress| progress.waiting_on.iter().any(asks));
        // The Rollout's own word comes after the run's: wait for both, so that `status` agrees.
        let agrees = status.waits_for.is_some();
        if !(self.args.until_asked && asked && agrees) {
            return None;
        }
        if let Some(progress) = progress
            && progress.waiting_on.iter().any(|cause| matches!(cause, Cause::Approval { .. }))
        {
            anstream::eprintln!("approve it with: tidegate approve {}", full_name(&self.rollout));
        }
        Some(Exit::Done)
    }
}
