//! Findings into conditions: the one place that knows Fleet's reasons and messages (fleet-semantics §5.7).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{
    condition::{self, Claim, Truth, find, whole_seconds},
    run::{
        APPROVAL_REQUEST_APPROVED, APPROVAL_REQUEST_CREATED, ClusterStatus, INITIALIZED,
        PROGRESSING, RunStatus, STARTED, SUCCEEDED, StageStatus, TaskStatus, WAIT_TIME_ELAPSED,
        reason,
    },
};

/// What every condition of a pass is stamped with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub generation: i64,
    pub now: Timestamp,
}

/// What the run as a whole is doing, unless it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Going,
    WaitingBefore(String),
    WaitingAfter(String),
    Stuck { stage: String, clusters: Vec<String> },
    Stopping,
    Stopped,
}

/// How many stuck clusters the run's message names.
const STUCK_NAMES_MAX: usize = 3;

impl Stamp {
    pub(super) fn time(self) -> Time {
        Time(whole_seconds(self.now))
    }

    fn put(
        self,
        conditions: &mut Vec<Condition>,
        kind: &'static str,
        truth: Truth,
        reason: &str,
        message: impl Into<String>,
    ) {
        condition::set(
            conditions,
            Claim::new(kind, truth, reason, message),
            self.generation,
            self.now,
        );
    }

    // The run.

    pub(super) fn run_initialized(self, status: &mut RunStatus) {
        let message = "The UpdateRun initialized successfully";
        self.put(
            &mut status.conditions,
            INITIALIZED,
            Truth::True,
            reason::INITIALIZED_SUCCESSFULLY,
            message,
        );
    }

    pub(super) fn run_not_initialized(self, status: &mut RunStatus, text: &str) {
        self.put(
            &mut status.conditions,
            INITIALIZED,
            Truth::False,
            reason::INITIALIZED_FAILED,
            text,
        );
    }

    /// Records what the run is doing.
    ///
    /// Fleet's controller passes through `Progressing=True` (or `Unknown`, when it stops) before it says what it waits
    /// for, so a change of activity always moves the transition time; here it does so once, and not in every pass.
    pub(super) fn run_is(self, status: &mut RunStatus, activity: &Activity) {
        let (truth, reason, message) = activity.words();
        let conditions = &mut status.conditions;
        let same = find(conditions, PROGRESSING).is_some_and(|held| {
            held.reason == reason && (held.message == message || reason != reason::RUN_WAITING)
        });
        if !same && truth != Truth::True {
            self.put(conditions, PROGRESSING, Truth::True, reason, "");
        }
        self.put(conditions, PROGRESSING, truth, reason, message);
    }

    pub(super) fn run_succeeded(self, status: &mut RunStatus) {
        self.run_is(status, &Activity::Going);
        let conditions = &mut status.conditions;
        self.put(
            conditions,
            PROGRESSING,
            Truth::False,
            reason::RUN_SUCCEEDED,
            "All stages are completed",
        );
        self.put(
            conditions,
            SUCCEEDED,
            Truth::True,
            reason::RUN_SUCCEEDED,
            "All stages are completed successfully",
        );
    }

    pub(super) fn run_failed(self, status: &mut RunStatus, text: &str) {
        let conditions = &mut status.conditions;
        let message = "The stages are aborted due to a non-recoverable error";
        self.put(conditions, PROGRESSING, Truth::False, reason::RUN_FAILED, message);
        self.put(conditions, SUCCEEDED, Truth::False, reason::RUN_FAILED, text);
    }

    // A stage.

    pub(super) fn stage_waits_before(self, stage: &mut StageStatus) {
        let message = "Not all before-stage tasks are completed, waiting for approval";
        self.put(&mut stage.conditions, PROGRESSING, Truth::False, reason::STAGE_WAITING, message);
    }

    pub(super) fn stage_started(self, stage: &mut StageStatus) {
        let message = "Clusters in the stage started updating";
        self.put(&mut stage.conditions, PROGRESSING, Truth::True, reason::STAGE_STARTED, message);
        stage.start_time.get_or_insert_with(|| self.time());
    }

    pub(super) fn stage_waits_after(self, stage: &mut StageStatus) {
        let message =
            "All clusters in the stage are updated, waiting for after-stage tasks to complete";
        self.put(&mut stage.conditions, PROGRESSING, Truth::False, reason::STAGE_WAITING, message);
    }

    pub(super) fn stage_stopping(self, stage: &mut StageStatus) {
        let message = "Waiting for all the updating clusters to finish updating before completing the stop process";
        self.put(
            &mut stage.conditions,
            PROGRESSING,
            Truth::Unknown,
            reason::STAGE_STOPPING,
            message,
        );
    }

    pub(super) fn stage_stopped(self, stage: &mut StageStatus) {
        let held = find(&stage.conditions, PROGRESSING);
        if held.is_none_or(|held| held.reason != reason::STAGE_STOPPED) {
            self.stage_stopping(stage);
        }
        let message = "All the updating clusters have finished updating, the stage is now stopped, waiting to be resumed";
        self.put(&mut stage.conditions, PROGRESSING, Truth::False, reason::STAGE_STOPPED, message);
    }

    pub(super) fn stage_succeeded(self, stage: &mut StageStatus) {
        let message = "All clusters in the stage are updated and after-stage tasks are completed";
        self.put(
            &mut stage.conditions,
            PROGRESSING,
            Truth::False,
            reason::STAGE_SUCCEEDED,
            message,
        );
        let message = "Stage update completed successfully";
        self.put(&mut stage.conditions, SUCCEEDED, Truth::True, reason::STAGE_SUCCEEDED, message);
        stage.end_time = Some(self.time());
    }

    pub(super) fn stage_skipped(self, stage: &mut StageStatus) {
        let message = "Stage skipped because it has no clusters";
        self.put(&mut stage.conditions, PROGRESSING, Truth::False, reason::STAGE_SKIPPED, message);
        self.put(&mut stage.conditions, SUCCEEDED, Truth::True, reason::STAGE_SKIPPED, message);
        stage.start_time.get_or_insert_with(|| self.time());
        stage.end_time = Some(self.time());
    }

    pub(super) fn stage_failed(self, stage: &mut StageStatus, text: &str) {
        let message = "Stage update aborted due to a non-recoverable error";
        self.put(&mut stage.conditions, PROGRESSING, Truth::False, reason::STAGE_FAILED, message);
        self.put(&mut stage.conditions, SUCCEEDED, Truth::False, reason::STAGE_FAILED, text);
        stage.end_time = Some(self.time());
    }

    // A gate.

    pub(super) fn request_created(self, task: &mut TaskStatus) {
        let message = "ApprovalRequest object is created";
        self.put(
            &mut task.conditions,
            APPROVAL_REQUEST_CREATED,
            Truth::True,
            reason::APPROVAL_CREATED,
            message,
        );
    }

    pub(super) fn request_approved(self, task: &mut TaskStatus) {
        let message = "ApprovalRequest object is approved";
        self.put(
            &mut task.conditions,
            APPROVAL_REQUEST_APPROVED,
            Truth::True,
            reason::APPROVAL_APPROVED,
            message,
        );
    }

    pub(super) fn wait_elapsed(self, task: &mut TaskStatus) {
        self.put(
            &mut task.conditions,
            WAIT_TIME_ELAPSED,
            Truth::True,
            reason::WAIT_ELAPSED,
            "Wait time elapsed",
        );
    }

    // A cluster.

    pub(super) fn cluster_started(self, cluster: &mut ClusterStatus) {
        self.put(
            &mut cluster.conditions,
            STARTED,
            Truth::True,
            reason::CLUSTER_STARTED,
            "Cluster update started",
        );
    }

    pub(super) fn cluster_succeeded(self, cluster: &mut ClusterStatus) {
        let message = "Cluster update completed successfully";
        self.put(
            &mut cluster.conditions,
            SUCCEEDED,
            Truth::True,
            reason::CLUSTER_SUCCEEDED,
            message,
        );
    }

    pub(super) fn cluster_failed(self, cluster: &mut ClusterStatus, text: &str) {
        self.put(&mut cluster.conditions, SUCCEEDED, Truth::False, reason::CLUSTER_FAILED, text);
    }

    /// Makes every condition speak of the run's present generation, so that a Stop and a Run keep what was reached
    /// (§5.3 step 2). Its own effect alone is not worth a write.
    pub(super) fn refresh(self, status: &mut RunStatus) {
        let stages =
            status.stages_status.iter_mut().flatten().chain(&mut status.deletion_stage_status);
        let inside = stages.flat_map(|stage| {
            let tasks = stage
                .before_stage_task_status
                .iter_mut()
                .flatten()
                .chain(stage.after_stage_task_status.iter_mut().flatten())
                .flat_map(|task| &mut task.conditions);
            let clusters = stage.clusters.iter_mut().flat_map(|cluster| &mut cluster.conditions);
            stage.conditions.iter_mut().chain(tasks).chain(clusters)
        });
        for held in inside.chain(&mut status.conditions) {
            held.observed_generation = Some(self.generation);
        }
    }
}

impl Activity {
    fn words(&self) -> (Truth, &'static str, String) {
        match self {
            Self::Going => {
                (Truth::True, reason::RUN_PROGRESSING, "The update run is making progress".to_owned())
            }
            Self::WaitingBefore(stage) => (
                Truth::False,
                reason::RUN_WAITING,
                format!("The updateRun is waiting for before-stage tasks in stage {stage} to complete"),
            ),
            Self::WaitingAfter(stage) => (
                Truth::False,
                reason::RUN_WAITING,
                format!("The updateRun is waiting for after-stage tasks in stage {stage} to complete"),
            ),
            Self::Stuck { stage, clusters } => {
                let named = &clusters[..clusters.len().min(STUCK_NAMES_MAX)];
                let more = if clusters.len() > STUCK_NAMES_MAX { "..." } else { "" };
                let names = named.join(", ");
                (
                    Truth::False,
                    reason::RUN_STUCK,
                    format!(
                        "The updateRun is stuck waiting for {names}{more} cluster(s) in stage {stage} to finish updating, \
                         please check placement status for potential errors"
                    ),
                )
            }
            // "is the process": Fleet's own words.
            Self::Stopping => (
                Truth::Unknown,
                reason::RUN_STOPPING,
                "The update run is the process of stopping, waiting for all the updating/deleting clusters to finish \
                 updating before completing the stop process"
                    .to_owned(),
            ),
            Self::Stopped => {
                (Truth::False, reason::RUN_STOPPED, "The update run has been stopped".to_owned())
            }
        }
    }
}
