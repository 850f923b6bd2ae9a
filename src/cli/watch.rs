//! `tidegate watch`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::Context;
use futures::StreamExt;
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, sleep_until};

use super::{
    args::WatchArgs,
    awaited::Awaited,
    exit::Exit,
    failure::hinted,
    find::full_name,
    hub::{self, Hub},
    output::say,
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
    let Some(first) = appears(&hub, args, deadline).await? else { return Ok(Exit::TimedOut) };
    let api = hub.beside(&first);
    let name = first.metadata.name.clone().unwrap_or_default();
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut rollouts = watcher(api, only).backoff(Often).boxed();
    let [cluster, namespaced] = hub.run_apis(&first);
    let watched = |api: Api<api::Run>| {
        watcher(api, watcher::Config::default()).backoff(Often).applied_objects().boxed()
    };
    // A commit that changes nothing of a Rollout is told of by its source only.
    let mut sources = watcher(hub.source_api(), watcher::Config::default())
        .backoff(Often)
        .applied_objects()
        .boxed();
    // A Rollout uses the runs of one scope; which one, its run tells by being found there.
    let mut runs = futures::stream::select(watched(cluster), watched(namespaced));
    let mut view = View::new(first, args);
    view.catch_up(&hub).await;
    if let Some(exit) = view.show()? {
        return Ok(exit);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    let mut late = std::pin::pin!(tokio::time::sleep(LATE));
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
            // Who may not read sources learns less, and waits longer.
            Some(told) = sources.next(), if !view.awaited.is_taken_up() => match told {
                Ok(source) => view.awaited.hear_of(source),
                Err(_) => continue,
            },
            _ = tick.tick(), if view.screen.is_live() => {}
            () = &mut late, if !late.is_elapsed() => {
                view.say_late();
                continue;
            }
            () = timeout(deadline) => {
                say(&format!("still not done: {}", view.message()));
                return Ok(Exit::TimedOut);
            }
        }
        view.catch_up(&hub).await;
        if let Some(exit) = view.show()? {
            return Ok(exit);
        }
    }
}

/// A daemon that has not taken a commit up after so long may never do so.
const LATE: Duration = Duration::from_secs(3);

/// A person waits, and a hub that starts again does so in seconds: it is asked every second.
struct Often;

impl Iterator for Often {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

impl Backoff for Often {
    fn reset(&mut self) {}
}

/// Returns the Rollout. A hub that has none at all is one whose daemon has just started: there it is waited for, and so
/// it is when a commit is, which may bring it; otherwise a name that is not there is a wrong one. Nothing when time is up.
async fn appears(
    hub: &Hub,
    args: &WatchArgs,
    deadline: Option<Instant>,
) -> anyhow::Result<Option<Rollout>> {
    let mut said = false;
    let name = &args.rollout;
    let look = async || match hub.rollout(name).await {
        Ok(rollout) => Ok(Ok(rollout)),
        Err(error) => match hub.rollouts(true).await {
            Ok(all) if all.is_empty() || args.commit.is_some() => Ok(Err(all)),
            // It may have come in between.
            Ok(_) => hub.rollout(name).await.map(Ok),
            Err(_) => Err(error),
        },
    };
    loop {
        let known = tokio::select! {
            seen = look() => match seen? {
                Ok(rollout) => return Ok(Some(rollout)),
                Err(known) => known,
            },
            () = timeout(deadline) => {
                say("still no answer from the hub");
                return Ok(None);
            }
        };
        if !std::mem::replace(&mut said, true) {
            let known: Vec<String> = known.iter().map(full_name).collect();
            let others = match &known[..] {
                [] => "there is no Rollout on this hub yet".to_owned(),
                known => format!("there is no Rollout `{name}` yet, only {}", known.join(", ")),
            };
            say(&format!("{others}; waiting for `{name}`"));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
            () = timeout(deadline) => {
                say(&format!("still no Rollout `{name}` on this hub"));
                return Ok(None);
            }
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
    awaited: Awaited<'a>,
    /// Whether the hub answers.
    hears: bool,
    /// The run that was seen on its way.
    followed: Option<String>,
}

impl<'a> View<'a> {
    fn new(rollout: Rollout, args: &'a WatchArgs) -> Self {
        let screen = Screen::new();
        Self {
            args,
            rollout,
            run: None,
            screen,
            said: String::new(),
            refusals: Vec::new(),
            awaited: Awaited::new(args.commit.as_deref()),
            hears: true,
            followed: None,
        }
    }

    /// Reads the run anew where the Rollout is ahead of what was heard of it: each has a watch of its own.
    async fn catch_up(&mut self, hub: &Hub) {
        let status = self.rollout.status.as_ref();
        let ready = status.and_then(|status| truth(&status.conditions, READY));
        let shown = self.run.as_ref().filter(|run| hub::is_run_of(run, &self.rollout));
        let is_over =
            |run: &api::Run| rollout::progress(&Run::from(run), SystemClock.now()).is_over();
        let behind = match shown {
            None => status.is_some_and(|status| status.run.is_some()),
            Some(run) => ready == Some(Truth::True) && !is_over(run),
        };
        if behind && let Ok(Some(run)) = hub.run_of(&self.rollout).await {
            self.run = Some(run);
        }
    }

    fn message(&self) -> String {
        let status = self.rollout.status.as_ref();
        let message = status.and_then(|status| status.message.clone()).unwrap_or_default();
        match self.awaited.waited_for() {
            Some(commit) => format!("the daemon has not taken up commit {commit}; {message}"),
            None => message,
        }
    }

    fn say_late(&mut self) {
        if let Some(why) = self.awaited.why_late(&self.rollout) {
            self.screen.leave();
            say(&why);
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
            let why = hub::innermost(&why);
            say(&format!("the hub does not answer; still trying ({why})"));
        }
        Ok(())
    }

    /// Shows what is new, and returns how it ended, if it has.
    fn show(&mut self) -> anyhow::Result<Option<Exit>> {
        match self.draw() {
            Ok(exit) => Ok(exit),
            // Whoever read it has gone away: there is nobody to watch for.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Some(Exit::Done)),
            Err(error) => Err(anyhow::Error::new(error).context("cannot write to stdout")),
        }
    }

    fn draw(&mut self) -> io::Result<Option<Exit>> {
        let Some(status) = self.rollout.status.clone() else { return Ok(None) };
        if let Some(line) = self.awaited.look(&self.rollout, &status) {
            self.screen.leave();
            say(&line);
        }
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
        let shown = progress.as_ref().filter(|_| is_shown);
        // In lines, that all is done comes after what was done, also where the Rollout's word overtakes the run's.
        let is_late = ready && !self.said.is_empty() && !self.screen.is_live();
        if let Some(progress) = shown.filter(|_| is_late) {
            self.screen.show(None, progress, now)?;
        }
        if self.screen.is_live() && is_shown {
            self.say_refusals();
        } else {
            self.say(headline)?;
        }
        if let Some(progress) = shown {
            self.screen.show(Some(headline), progress, now)?;
        }
        Ok(self.ending(&status, progress.as_ref()))
    }

    /// Says a line for each turn of the rollout.
    fn say(&mut self, headline: &str) -> io::Result<()> {
        if self.said != headline {
            self.screen.leave();
            writeln!(anstream::stdout().lock(), "{headline}")?;
            self.said = headline.to_owned();
        }
        self.say_refusals();
        Ok(())
    }

    fn say_refusals(&mut self) {
        let news: Vec<String> = refused(&self.rollout)
            .map(|record| format!("refused: {}", words(record)))
            .filter(|line| !self.refusals.contains(line))
            .collect();
        for line in news {
            self.screen.leave();
            say(&line);
            self.refusals.push(line);
        }
    }

    fn ending(&self, status: &RolloutStatus, progress: Option<&Progress>) -> Option<Exit> {
        let fresh = status.observed_generation == self.rollout.metadata.generation;
        let is_told = self.awaited.is_taken_up() || self.awaited.is_held(&self.rollout, status);
        if !fresh || !is_told {
            return None;
        }
        if truth(&status.conditions, READY) == Some(Truth::True) {
            return Some(Exit::Done);
        }
        if truth(&status.conditions, STALLED) == Some(Truth::True) {
            if let Some(condition) = find(&status.conditions, STALLED) {
                // A person has just read it above.
                if !(self.screen.is_live() && io::stderr().is_terminal()) {
                    say(&condition.message);
                }
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
            say(&format!("approve it with: tidegate approve {}", full_name(&self.rollout)));
        }
        Some(Exit::Done)
    }
}
