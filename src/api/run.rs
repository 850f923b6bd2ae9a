//! `ClusterStagedUpdateRun` and `StagedUpdateRun` (fleet-semantics §2.2, §5.7).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Object;
use serde::{Deserialize, Serialize};

use super::{placement::ApplyStrategy, reference::NamespacedName, strategy::StrategySpec};

/// A staged update run of either scope.
pub type Run = Object<RunSpec, RunStatus>;

/// What to roll out, how, and whether to go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// The placement, in the run's namespace.
    pub placement_name: String,
    /// Empty or absent: capture the content as it is at initialization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_snapshot_index: Option<String>,
    /// The strategy, in the run's namespace.
    pub staged_rollout_strategy_name: String,
    /// [`STATE_INITIALIZE`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Initialize only, then wait.
pub const STATE_INITIALIZE: &str = "Initialize";
/// Go.
pub const STATE_RUN: &str = "Run";
/// Let in-flight clusters finish, start no more.
pub const STATE_STOP: &str = "Stop";

/// Where the run is. The whole state of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Frozen at initialization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_snapshot_index_used: Option<String>,
    /// How many clusters the policy picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_observed_cluster_count: Option<i64>,
    /// The index that is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_snapshot_index_used: Option<String>,
    /// The placement's apply strategy at initialization, defaults filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_strategy: Option<ApplyStrategy>,
    /// Frozen copy of the strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_update_strategy_snapshot: Option<StrategySpec>,
    /// One a stage of the strategy, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages_status: Option<Vec<StageStatus>>,
    /// The implicit last stage, which removes clusters that are no longer selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_stage_status: Option<StageStatus>,
    /// [`INITIALIZED`], [`PROGRESSING`], [`SUCCEEDED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Where a stage is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage's name.
    pub stage_name: String,
    /// In the order of execution; never omitted.
    #[serde(default)]
    pub clusters: Vec<ClusterStatus>,
    /// Gates before the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_stage_task_status: Option<Vec<TaskStatus>>,
    /// Gates after the stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_stage_task_status: Option<Vec<TaskStatus>>,
    /// When its first cluster started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it succeeded, failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// [`PROGRESSING`], [`SUCCEEDED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Where a cluster is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The member cluster.
    pub cluster_name: String,
    /// Overrides frozen at initialization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_override_snapshots: Option<Vec<NamespacedName>>,
    /// Overrides frozen at initialization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_resource_override_snapshots: Option<Vec<String>>,
    /// [`STARTED`], [`SUCCEEDED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Where a gate is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The task's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// For approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_request_name: Option<String>,
    /// [`APPROVAL_REQUEST_CREATED`], [`APPROVAL_REQUEST_APPROVED`], [`WAIT_TIME_ELAPSED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Run condition.
pub const INITIALIZED: &str = "Initialized";
/// Run and stage condition.
pub const PROGRESSING: &str = "Progressing";
/// Run, stage and cluster condition.
pub const SUCCEEDED: &str = "Succeeded";
/// Cluster condition.
pub const STARTED: &str = "Started";
/// Task condition.
pub const APPROVAL_REQUEST_CREATED: &str = "ApprovalRequestCreated";
/// Task condition.
pub const APPROVAL_REQUEST_APPROVED: &str = "ApprovalRequestApproved";
/// Task condition.
pub const WAIT_TIME_ELAPSED: &str = "WaitTimeElapsed";

/// Reasons of a run's, a stage's, a cluster's and a task's conditions.
pub mod reason {
    #![allow(missing_docs)]
    pub const INITIALIZED_SUCCESSFULLY: &str = "UpdateRunInitializedSuccessfully";
    pub const INITIALIZED_FAILED: &str = "UpdateRunInitializedFailed";
    pub const RUN_PROGRESSING: &str = "UpdateRunProgressing";
    pub const RUN_WAITING: &str = "UpdateRunWaiting";
    pub const RUN_STUCK: &str = "UpdateRunStuck";
    pub const RUN_STOPPING: &str = "UpdateRunStopping";
    pub const RUN_STOPPED: &str = "UpdateRunStopped";
    pub const RUN_SUCCEEDED: &str = "UpdateRunSucceeded";
    pub const RUN_FAILED: &str = "UpdateRunFailed";
    pub const STAGE_WAITING: &str = "StageUpdatingWaiting";
    pub const STAGE_STARTED: &str = "StageUpdatingStarted";
    pub const STAGE_STOPPING: &str = "StageUpdatingStopping";
    pub const STAGE_STOPPED: &str = "StageUpdatingStopped";
    pub const STAGE_SUCCEEDED: &str = "StageUpdatingSucceeded";
    pub const STAGE_SKIPPED: &str = "StageUpdatingSkippedNoClusters";
    pub const STAGE_FAILED: &str = "StageUpdatingFailed";
    pub const APPROVAL_CREATED: &str = "StageTaskApprovalRequestCreated";
    pub const APPROVAL_APPROVED: &str = "StageTaskApprovalRequestApproved";
    pub const WAIT_ELAPSED: &str = "AfterStageTaskWaitTimeElapsed";
    pub const CLUSTER_STARTED: &str = "ClusterUpdatingStarted";
    pub const CLUSTER_SUCCEEDED: &str = "ClusterUpdatingSucceeded";
    pub const CLUSTER_FAILED: &str = "ClusterUpdatingFailed";
}
