//! One stage: gate, clusters, gate (fleet-semantics §5.8).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    Order, Run, Seen, Task, Wake,
    check::Targets,
    cluster::{
        self, Fit, Health, STUCK_AFTER, Wanted, is_failed, is_started, is_updated, started_at,
        updated_at,
    },
    fault::Fault,
    gate::{self, Gate},
    status::{Activity, Stamp},
};
use crate::{
    api::{
        Binding,
        condition::is_true,
        run::{APPROVAL_REQUEST_APPROVED, ClusterStatus, StageStatus},
        strategy::{Stage, TASK_TIMED_WAIT},
    },
    model::MaxConcurrency,
};

/// One look at a stage, and what comes of it.
pub(super) struct Visit<'a> {
    pub run: &'a Run<'a>,
    pub seen: &'a Seen,
    pub targets: &'a Targets,
    pub wanted: &'a Wanted,
    pub stamp: Stamp,
    pub orders: Vec<Order>,
    pub wake: Wake,
}

/// Clusters of a stage after a look at each.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    pub in_flight: usize,
    pub stuck: Vec<String>,
    /// Whether a cluster was seen started for the first time.
    pub started: bool,
    pub faults: Vec<(usize, Fault)>,
}

/// Returns how many of `clusters` may be in flight at once. What cannot be read counts as one.
pub(super) fn max_concurrency(stage: Option<&Stage>, clusters: usize) -> usize {
    let max = match stage.and_then(|stage| stage.max_concurrency.as_ref()) {
        Some(IntOrString::Int(count)) => MaxConcurrency::count(i64::from(*count)).ok(),
        Some(IntOrString::String(text)) => text.parse().ok(),
        None => None,
    };
    max.unwrap_or(MaxConcurrency::ONE).of(clusters)
}

impl Visit<'_> {
    /// Asks to be woken at `time`, if not earlier.
    pub(super) fn wake_at(&mut self, time: Timestamp) {
        self.wake = self.wake.min(Wake::At(time));
    }

    /// Works on a stage in state `Run`. Returns what the run is doing.
    pub(super) fn execute(
        &mut self,
        plan: &Stage,
        stage: &mut StageStatus,
    ) -> Result<Activity, Fault> {
        if stage.clusters.is_empty() {
            self.stamp.stage_skipped(stage);
            self.wake = Wake::Now;
            return Ok(Activity::Going);
        }
        let was_open = is_open(stage);
        if !self.may_begin(stage)? {
            self.stamp.stage_waits_before(stage);
            return Ok(Activity::WaitingBefore(stage.stage_name.clone()));
        }
        if !was_open {
            // The opening is on record before the first binding is written: whatever is lost in between, no cluster
            // begins behind a gate that looks shut.
            self.wake = Wake::Now;
            return Ok(Activity::Going);
        }
        let round = self.update(plan, stage)?;
        if round.started {
            self.stamp.stage_started(stage);
        }
        if !stage.clusters.iter().all(is_updated) {
            return Ok(match round.stuck {
                stuck if stuck.is_empty() => Activity::Going,
                clusters => Activity::Stuck { stage: stage.stage_name.clone(), clusters },
            });
        }
        if !self.may_end(plan, stage)? {
            self.stamp.stage_waits_after(stage);
            return Ok(Activity::WaitingAfter(stage.stage_name.clone()));
        }
        self.stamp.stage_succeeded(stage);
        self.wake = Wake::Now;
        Ok(Activity::Going)
    }

    fn may_begin(&mut self, stage: &mut StageStatus) -> Result<bool, Fault> {
        let mut open = true;
        for task in stage.before_stage_task_status.iter_mut().flatten() {
            let name = &stage.stage_name;
            let (run, seen, stamp) = (self.run, self.seen, self.stamp);
            open &= gate::approval(run, seen, stamp, name, task, Task::Before, &mut self.orders)?
                == Gate::Open;
        }
        Ok(open)
    }

    fn may_end(&mut self, plan: &Stage, stage: &mut StageStatus) -> Result<bool, Fault> {
        let updated_at =
            stage.clusters.iter().filter_map(updated_at).max().unwrap_or(self.stamp.now);
        let waits = plan.after_stage_tasks.as_deref().unwrap_or_default();
        let mut open = true;
        for (at, task) in stage.after_stage_task_status.iter_mut().flatten().enumerate() {
            let gate = if task.kind == TASK_TIMED_WAIT {
                let wait = waits.get(at).and_then(|task| task.wait_time.as_deref()?.parse().ok());
                gate::timed_wait(updated_at, wait.unwrap_or_default(), self.stamp, task)
            } else {
                let (run, seen, stamp) = (self.run, self.seen, self.stamp);
                let name = &stage.stage_name;
                gate::approval(run, seen, stamp, name, task, Task::After, &mut self.orders)?
            };
            if let Gate::Until(time) = gate {
                self.wake_at(time);
            }
            open &= gate == Gate::Open;
        }
        Ok(open)
    }

    /// Looks after clusters in flight, then starts as many as may be.
    fn update(&mut self, plan: &Stage, stage: &mut StageStatus) -> Result<Round, Fault> {
        let mut round = self.follow(stage, &|_, _| false);
        let max = max_concurrency(Some(plan), stage.clusters.len());
        if round.faults.is_empty() {
            self.start(stage, max, &mut round);
        }
        if !round.faults.is_empty() {
            // A stage that fails starts nothing more.
            self.orders.clear();
            round.faults.sort_by_key(|(at, _)| *at);
        }
        Fault::join(round.faults.drain(..).map(|(_, fault)| fault).collect())?;
        Ok(round)
    }

    /// Looks after clusters that are started, and after those that `adopt` says are started in truth.
    pub(super) fn follow(
        &mut self,
        stage: &mut StageStatus,
        adopt: &dyn Fn(&ClusterStatus, &Binding) -> bool,
    ) -> Round {
        let mut round = Round::default();
        let name = &stage.stage_name;
        for (at, cluster) in stage.clusters.iter_mut().enumerate() {
            if is_updated(cluster) {
                continue;
            }
            if is_failed(cluster) {
                let text = format!(
                    "the cluster `{}` in the stage {name} has failed",
                    cluster.cluster_name
                );
                round.faults.push((at, Fault::abort(text)));
                continue;
            }
            let binding = self.targets.selected.get(&cluster.cluster_name);
            if !is_started(cluster) {
                if !binding.is_some_and(|binding| adopt(cluster, binding)) {
                    continue;
                }
                self.stamp.cluster_started(cluster);
                round.started = true;
            }
            match binding {
                None => round.faults.push((at, missing_binding(name, cluster))),
                Some(binding) => {
                    if let Err(fault) = self.look(name, cluster, binding, &mut round) {
                        round.faults.push((at, fault));
                    }
                }
            }
        }
        round
    }

    /// Looks at one cluster in flight.
    fn look(
        &mut self,
        stage: &str,
        cluster: &mut ClusterStatus,
        binding: &Binding,
        round: &mut Round,
    ) -> Result<(), Fault> {
        if self.wanted.fit(cluster, binding) != Fit::Fits {
            let (text, fault) = cluster::preempted(self.run, stage, &cluster.cluster_name, binding);
            self.stamp.cluster_failed(cluster, &text);
            return Err(fault);
        }
        if cluster::health(binding) == Health::Updated {
            self.stamp.cluster_succeeded(cluster);
            return Ok(());
        }
        round.in_flight += 1;
        let stuck_at = started_at(cluster).map(|since| since + STUCK_AFTER);
        match stuck_at {
            Some(stuck_at) if self.stamp.now > stuck_at => {
                round.stuck.push(cluster.cluster_name.clone());
            }
            // Whole seconds: the first one that is past the threshold.
            Some(stuck_at) => {
                self.wake_at(
                    stuck_at.checked_add(SignedDuration::from_secs(1)).unwrap_or(stuck_at),
                );
            }
            None => {}
        }
        Ok(())
    }

    /// Starts clusters in order while there is room. One that needs nothing frees its place at once (§11.2 #24).
    fn start(&mut self, stage: &mut StageStatus, max: usize, round: &mut Round) {
        let name = stage.stage_name.clone();
        for (at, cluster) in stage.clusters.iter_mut().enumerate() {
            if round.in_flight >= max {
                break;
            }
            if is_started(cluster) || is_updated(cluster) {
                continue;
            }
            let Some(binding) = self.targets.selected.get(&cluster.cluster_name) else {
                round.faults.push((at, missing_binding(&name, cluster)));
                continue;
            };
            if let Some(order) = self.wanted.order(cluster, binding) {
                self.orders.push(order);
                round.in_flight += 1;
                continue;
            }
            round.started = true;
            let updated = cluster::health(binding) == Health::Updated;
            // Fleet finds out that a rollout was none before it says that it started: the list has that order.
            if updated && !self.wanted.announced(cluster, binding) {
                self.stamp.cluster_succeeded(cluster);
            }
            self.stamp.cluster_started(cluster);
            if updated {
                self.stamp.cluster_succeeded(cluster);
            } else {
                round.in_flight += 1;
                self.wake_at(self.stamp.now + STUCK_AFTER + SignedDuration::from_secs(1));
            }
        }
    }
}

fn is_open(stage: &StageStatus) -> bool {
    let tasks = stage.before_stage_task_status.iter().flatten();
    tasks.into_iter().all(|task| is_true(&task.conditions, APPROVAL_REQUEST_APPROVED))
}

fn missing_binding(stage: &str, cluster: &ClusterStatus) -> Fault {
    Fault::abort_unexpected(format!(
        "the binding for cluster `{}` in stage `{stage}` is not found in the toBeUpdatedBindings map",
        cluster.cluster_name
    ))
}
