//! Resource snapshots and scheduling policy snapshots of either scope (fleet-semantics §2.6, §2.7, §3).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{NotUsed, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{binding::ClusterDecision, placement::PlacementPolicy};

/// One object of a resource snapshot group.
pub type ResourceSnapshot = Object<ResourceSnapshotSpec, NotUsed>;
/// The frozen scheduling part of a placement, with the scheduler's decisions in its status.
pub type PolicySnapshot = Object<PolicySnapshotSpec, PolicySnapshotStatus>;

/// Pruned copies of selected objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSnapshotSpec {
    /// Whole objects, pruned (§3.4), in snapshot order (§3.5).
    #[serde(default)]
    pub selected_resources: Vec<Value>,
}

/// The policy without `numberOfClusters`, and its hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySnapshotSpec {
    /// Absent when the placement has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PlacementPolicy>,
    /// Base64 of the hexadecimal text of a SHA-256.
    pub policy_hash: String,
}

/// The scheduler's decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySnapshotStatus {
    /// The placement's generation that was scheduled last.
    #[serde(rename = "observedCRPGeneration", default)]
    pub observed_placement_generation: i64,
    /// [`SCHEDULED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Selected clusters first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_clusters: Option<Vec<ClusterDecision>>,
}

/// Policy snapshot condition.
pub const SCHEDULED: &str = "Scheduled";
