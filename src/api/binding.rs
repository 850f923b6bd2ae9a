//! `ClusterResourceBinding` and `ResourceBinding` (fleet-semantics §2.8, §4.2, §7.1).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    placement::ApplyStrategy,
    reference::{FailedPlacement, NamespacedName},
};

/// One cluster's share of a placement.
pub type Binding = Object<BindingSpec, BindingStatus>;

/// What the cluster should run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingSpec {
    /// [`STATE_SCHEDULED`], [`STATE_BOUND`] or [`STATE_UNSCHEDULED`].
    pub state: String,
    /// Master snapshot name; empty until bound.
    #[serde(default)]
    pub resource_snapshot_name: String,
    /// Overrides in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_override_snapshots: Option<Vec<NamespacedName>>,
    /// Overrides in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_resource_override_snapshots: Option<Vec<String>>,
    /// The policy snapshot that confirmed the decision.
    #[serde(default)]
    pub scheduling_policy_snapshot_name: String,
    /// The member cluster.
    pub target_cluster: String,
    /// Why it was picked.
    pub cluster_decision: ClusterDecision,
    /// Copied by whoever rolls out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
}

/// Selected, not yet rolled out.
pub const STATE_SCHEDULED: &str = "Scheduled";
/// Works are made from it.
pub const STATE_BOUND: &str = "Bound";
/// No longer selected.
pub const STATE_UNSCHEDULED: &str = "Unscheduled";

/// How the rollout on this cluster goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingStatus {
    /// In the order of the constants below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_placements: Option<Vec<FailedPlacement>>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted_placements: Option<Vec<Value>>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diffed_placements: Option<Vec<Value>>,
}

/// A scheduling decision about one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDecision {
    /// The member cluster.
    pub cluster_name: String,
    /// Whether it was picked.
    #[serde(default)]
    pub selected: bool,
    /// Absent for PickFixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_score: Option<ClusterScore>,
    /// A sentence.
    #[serde(default)]
    pub reason: String,
}

/// How good a cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScore {
    /// From preferred affinity terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity_score: Option<i64>,
    /// From topology spread constraints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_score: Option<i64>,
}

/// Binding, work and cluster condition.
pub const ROLLOUT_STARTED: &str = "RolloutStarted";
/// Binding condition.
pub const OVERRIDDEN: &str = "Overridden";
/// Binding condition.
pub const WORK_SYNCHRONIZED: &str = "WorkSynchronized";
/// Binding, work and manifest condition.
pub const APPLIED: &str = "Applied";
/// Binding, work and manifest condition.
pub const AVAILABLE: &str = "Available";
/// Binding, work and manifest condition.
pub const DIFF_REPORTED: &str = "DiffReported";
