//! `ClusterStagedUpdateStrategy` and `StagedUpdateStrategy` (fleet-semantics §2.1).

use k8s_openapi::apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString};
use kube::core::{NotUsed, Object};
use serde::{Deserialize, Serialize};

/// A staged update strategy of either scope.
pub type Strategy = Object<StrategySpec, NotUsed>;

/// Stages in the order of execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategySpec {
    /// At most 31.
    #[serde(default)]
    pub stages: Vec<Stage>,
}

/// A group of clusters that update together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// `^[a-z0-9]+$`, at most 63 characters.
    pub name: String,
    /// Absent selects nothing; `{}` selects every cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// A label with an integer value that orders the clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sorting_label_key: Option<String>,
    /// A count or a percentage; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<IntOrString>,
    /// At most one, an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_stage_tasks: Option<Vec<StageTask>>,
    /// At most two, of different types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_stage_tasks: Option<Vec<StageTask>>,
}

/// A gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageTask {
    /// [`TASK_TIMED_WAIT`] or [`TASK_APPROVAL`].
    #[serde(rename = "type")]
    pub kind: String,
    /// A Go duration, for timed waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_time: Option<String>,
}

/// Task that waits for a while.
pub const TASK_TIMED_WAIT: &str = "TimedWait";
/// Task that waits for a person.
pub const TASK_APPROVAL: &str = "Approval";
