//! A run's status in the words of the person who asks.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Run, cluster};
use crate::{
    api::{
        condition::{Truth, find, is_true, truth},
        run::{
            APPROVAL_REQUEST_APPROVED, APPROVAL_REQUEST_CREATED, ClusterStatus, INITIALIZED,
            PROGRESSING, RunStatus, STATE_INITIALIZE, STATE_STOP, SUCCEEDED, StageStatus,
            TaskStatus, WAIT_TIME_ELAPSED, reason,
        },
        strategy::{Stage, TASK_TIMED_WAIT},
    },
    model::GoDuration,
};

/// Where a run is, what it waits on, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The run as a whole.
    pub phase: Phase,
    /// Its stages in order; the removal of clusters last, when there are any to remove.
    pub stages: Vec<StageProgress>,
    /// Clusters that are done, in all stages.
    pub updated: usize,
    /// Clusters in all stages.
    pub total: usize,
    /// What has to happen before the run can go on; nothing when it is going on, or over.
    pub waiting_on: Vec<Cause>,
    /// Why the run failed.
    pub failure: Option<String>,
    /// When the run entered this phase, as far as its status tells.
    pub since: Option<Timestamp>,
}

/// The run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not initialized yet.
    Pending,
    /// Initialized, and waits to be started.
    Initialized,
    /// Clusters are being updated.
    Updating,
    /// At a gate.
    Waiting,
    /// Clusters take longer than five minutes.
    Stuck,
    /// Stopped, with clusters still in flight.
    Stopping,
    /// Stopped.
    Stopped,
    /// Over: every cluster is updated.
    Succeeded,
    /// Over: see [`Progress::failure`].
    Failed,
}

/// Where a stage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProgress {
    /// The stage's name.
    pub name: String,
    /// The stage as a whole; [`Phase::Pending`] until it begins.
    pub phase: Phase,
    /// Its clusters in order.
    pub clusters: Vec<ClusterProgress>,
    /// What the stage waits on.
    pub waiting_on: Vec<Cause>,
    /// When its first cluster started.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
}

/// Where a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterProgress {
    /// The member cluster.
    pub name: String,
    /// [`Phase::Pending`], [`Phase::Updating`], [`Phase::Stuck`], [`Phase::Succeeded`] or [`Phase::Failed`].
    pub phase: Phase,
    /// When the phase began.
    pub since: Option<Timestamp>,
}

/// What has to happen before a run can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody sets the run's state to `Run`.
    Start {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Somebody approves.
    Approval {
        /// The approval request.
        request: String,
        /// The stage behind or before the gate.
        stage: String,
        /// Since when the request exists; nothing when it is about to be created.
        since: Option<Timestamp>,
    },
    /// Time passes.
    Timer {
        /// The stage before the gate.
        stage: String,
        /// When the gate opens.
        until: Timestamp,
    },
    /// Clusters finish: those that take longer than five minutes or, while the run is stopping, all in flight.
    Clusters {
        /// Their stage.
        stage: String,
        /// Their names, in order.
        names: Vec<String>,
        /// Since when the first of them is in flight.
        since: Timestamp,
    },
    /// Somebody resumes the run.
    Resume {
        /// Since when it is stopped.
        since: Option<Timestamp>,
    },
}

/// Returns where `run` is, judged by its status alone: true on any hub, whoever executes the run.
pub fn progress(run: &Run<'_>, now: Timestamp) -> Progress {
    let nothing = RunStatus::default();
    let status = run.status.unwrap_or(&nothing);
    let (phase, since) = run_phase(run, status);
    let plans = status.staged_update_strategy_snapshot.as_ref();
    let mut stages: Vec<StageProgress> = status
        .stages_status
        .iter()
        .flatten()
        .enumerate()
        .map(|(at, stage)| {
            stage_progress(stage, plans.and_then(|plans| plans.stages.get(at)), phase, now)
        })
        .collect();
    let removal = status.deletion_stage_status.iter().filter(|stage| !stage.clusters.is_empty());
    stages.extend(removal.map(|stage| stage_progress(stage, None, phase, now)));
    let mut waiting_on: Vec<Cause> = match phase {
        Phase::Initialized => vec![Cause::Start { since }],
        Phase::Stopped => vec![Cause::Resume { since }],
        _ => Vec::new(),
    };
    waiting_on.extend(stages.iter().flat_map(|stage| stage.waiting_on.iter().cloned()));
    let clusters = || stages.iter().flat_map(|stage| &stage.clusters);
    Progress {
        phase,
        updated: clusters().filter(|cluster| cluster.phase == Phase::Succeeded).count(),
        total: clusters().count(),
        waiting_on,
        failure: failure(status),
        since,
        stages,
    }
}

fn since(conditions: &[Condition], kind: &str) -> Option<Timestamp> {
    find(conditions, kind).map(|held| held.last_transition_time.0)
}

fn run_phase(run: &Run<'_>, status: &RunStatus) -> (Phase, Option<Timestamp>) {
    let held = &status.conditions;
    match (truth(held, INITIALIZED), truth(held, SUCCEEDED)) {
        (_, Some(Truth::True)) => return (Phase::Succeeded, since(held, SUCCEEDED)),
        (_, Some(Truth::False)) => return (Phase::Failed, since(held, SUCCEEDED)),
        (Some(Truth::False), _) => return (Phase::Failed, since(held, INITIALIZED)),
        (Some(Truth::True), _) => {}
        _ => return (Phase::Pending, run.created),
    }
    let Some(progressing) = find(held, PROGRESSING) else {
        let phase = match run.state() {
            STATE_INITIALIZE => Phase::Initialized,
            STATE_STOP => Phase::Stopping,
            _ => Phase::Updating,
        };
        return (phase, since(held, INITIALIZED));
    };
    let phase = match progressing.reason.as_str() {
        reason::RUN_WAITING => Phase::Waiting,
        reason::RUN_STUCK => Phase::Stuck,
        reason::RUN_STOPPING => Phase::Stopping,
        reason::RUN_STOPPED => Phase::Stopped,
        _ => Phase::Updating,
    };
    (phase, Some(progressing.last_transition_time.0))
}

fn failure(status: &RunStatus) -> Option<String> {
    let failed = |kind| {
        find(&status.conditions, kind)
            .filter(|held| held.status == Truth::False.as_str())
            .map(|held| held.message.clone())
    };
    failed(SUCCEEDED).or_else(|| failed(INITIALIZED))
}

fn stage_progress(
    stage: &StageStatus,
    plan: Option<&Stage>,
    run: Phase,
    now: Timestamp,
) -> StageProgress {
    let clusters: Vec<ClusterProgress> =
        stage.clusters.iter().map(|cluster| cluster_progress(cluster, now)).collect();
    let mut phase = stage_phase(stage);
    let waiting_on = match run {
        Phase::Waiting | Phase::Stuck | Phase::Updating | Phase::Stopping => {
            causes(stage, plan, phase, &clusters, now)
        }
        _ => Vec::new(),
    };
    if phase == Phase::Updating && clusters.iter().any(|cluster| cluster.phase == Phase::Stuck) {
        phase = Phase::Stuck;
    }
    StageProgress {
        name: stage.stage_name.clone(),
        phase,
        clusters,
        waiting_on,
        started: stage.start_time.as_ref().map(|time| time.0),
        ended: stage.end_time.as_ref().map(|time| time.0),
    }
}

fn stage_phase(stage: &StageStatus) -> Phase {
    match truth(&stage.conditions, SUCCEEDED) {
        Some(Truth::True) => return Phase::Succeeded,
        Some(Truth::False) => return Phase::Failed,
        _ => {}
    }
    match find(&stage.conditions, PROGRESSING).map(|held| held.reason.as_str()) {
        None => Phase::Pending,
        Some(reason::STAGE_WAITING) => Phase::Waiting,
        Some(reason::STAGE_STOPPING) => Phase::Stopping,
        Some(reason::STAGE_STOPPED) => Phase::Stopped,
        Some(_) => Phase::Updating,
    }
}

fn cluster_progress(cluster: &ClusterStatus, now: Timestamp) -> ClusterProgress {
    let started = cluster::started_at(cluster);
    let (phase, since) = if cluster::is_updated(cluster) {
        (Phase::Succeeded, cluster::updated_at(cluster))
    } else if cluster::is_failed(cluster) {
        (Phase::Failed, since(&cluster.conditions, SUCCEEDED))
    } else {
        match started {
            None => (Phase::Pending, None),
            Some(at) if now > at + cluster::STUCK_AFTER => (Phase::Stuck, started),
            Some(_) => (Phase::Updating, started),
        }
    };
    ClusterProgress { name: cluster.cluster_name.clone(), phase, since }
}

/// Returns what a stage waits on, as its gates and clusters tell.
fn causes(
    stage: &StageStatus,
    plan: Option<&Stage>,
    phase: Phase,
    clusters: &[ClusterProgress],
    now: Timestamp,
) -> Vec<Cause> {
    let name = &stage.stage_name;
    let mut causes = Vec::new();
    if phase == Phase::Waiting {
        let updated = clusters.iter().all(|cluster| cluster.phase == Phase::Succeeded);
        let tasks =
            if updated { &stage.after_stage_task_status } else { &stage.before_stage_task_status };
        let plans = plan.and_then(|plan| plan.after_stage_tasks.as_deref()).unwrap_or_default();
        for (at, task) in tasks.iter().flatten().enumerate() {
            let wait = plans.get(at).and_then(|plan| plan.wait_time.as_deref()?.parse().ok());
            causes.extend(gate_cause(name, task, wait, clusters, now));
        }
    }
    // A stop waits for everything in flight; going on waits only for what takes too long.
    let late = |cluster: &&ClusterProgress| {
        cluster.phase == Phase::Stuck
            || (cluster.phase == Phase::Updating && phase == Phase::Stopping)
    };
    let late: Vec<_> = clusters.iter().filter(late).collect();
    if let Some(since) = late.iter().filter_map(|cluster| cluster.since).min() {
        let names = late.into_iter().map(|cluster| cluster.name.clone()).collect();
        causes.push(Cause::Clusters { stage: name.clone(), names, since });
    }
    causes
}

fn gate_cause(
    stage: &str,
    task: &TaskStatus,
    wait: Option<GoDuration>,
    clusters: &[ClusterProgress],
    now: Timestamp,
) -> Option<Cause> {
    if task.kind == TASK_TIMED_WAIT {
        if is_true(&task.conditions, WAIT_TIME_ELAPSED) {
            return None;
        }
        let updated = clusters.iter().filter_map(|cluster| cluster.since).max().unwrap_or(now);
        let until = updated.checked_add(SignedDuration::from(wait?)).ok()?;
        return Some(Cause::Timer { stage: stage.to_owned(), until });
    }
    if is_true(&task.conditions, APPROVAL_REQUEST_APPROVED) {
        return None;
    }
    Some(Cause::Approval {
        request: task.approval_request_name.clone().unwrap_or_default(),
        stage: stage.to_owned(),
        since: since(&task.conditions, APPROVAL_REQUEST_CREATED),
    })
}

impl Progress {
    /// Returns the number of the stage that is worked on, from 1, and how many there are. The removal of clusters
    /// counts as a stage when there are any to remove.
    pub fn stage_number(&self) -> (usize, usize) {
        let over = self.stages.iter().take_while(|stage| stage.phase == Phase::Succeeded).count();
        ((over + 1).min(self.stages.len()), self.stages.len())
    }

    /// Returns whether the run is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Returns the clusters that are in flight, in order.
    pub fn in_flight(&self) -> impl Iterator<Item = &ClusterProgress> {
        self.stages
            .iter()
            .flat_map(|stage| &stage.clusters)
            .filter(|cluster| matches!(cluster.phase, Phase::Updating | Phase::Stuck))
    }
}

impl StageProgress {
    /// Returns how many clusters are updated.
    pub fn updated(&self) -> usize {
        self.clusters.iter().filter(|cluster| cluster.phase == Phase::Succeeded).count()
    }

    /// Draws the clusters in order: `.` waiting, `>` updating, `?` stuck, `+` updated, `!` failed.
    pub fn picture(&self) -> String {
        self.clusters
            .iter()
            .map(|cluster| match cluster.phase {
                Phase::Succeeded => '+',
                Phase::Failed => '!',
                Phase::Stuck => '?',
                Phase::Updating => '>',
                _ => '.',
            })
            .collect()
    }
}
