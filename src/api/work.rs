//! `Work` and `AppliedWork` (fleet-semantics §2.9, §7).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::placement::ApplyStrategy;

/// Manifests for one cluster, in the member's namespace on the hub.
pub type Work = Object<WorkSpec, WorkStatus>;
/// The member-side anchor that owns everything applied from one work.
pub type AppliedWork = Object<AppliedWorkSpec, AppliedWorkStatus>;

/// What to apply, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkSpec {
    /// The manifests.
    #[serde(default)]
    pub workload: Workload,
    /// The binding's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
    /// v1beta1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_back_strategy: Option<Value>,
}

/// Whole objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// In snapshot order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Value>,
}

/// What the member says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// `Applied`, `Available`, `DiffReported`, `StatusTrimmed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// One a manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifest_conditions: Vec<ManifestCondition>,
}

/// What the member says of one manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestCondition {
    /// Which.
    #[serde(default)]
    pub identifier: WorkResourceIdentifier,
    /// `Applied`, `Available`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How the member differs after an apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_details: Option<Value>,
    /// How the member differs before a takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_details: Option<Value>,
    /// The member object's own status, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_reported_status: Option<Value>,
}

/// One manifest of a work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkResourceIdentifier {
    /// Place in the work.
    #[serde(default)]
    pub ordinal: i64,
    /// Empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Plural.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Which work this anchors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedWorkSpec {
    /// The work's name.
    pub work_name: String,
    /// The work's namespace on the hub.
    pub work_namespace: String,
}

/// What was applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedWorkStatus {
    /// In the order of the manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied_resources: Vec<AppliedResource>,
}

/// One applied object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedResource {
    /// Which.
    #[serde(flatten)]
    pub identifier: WorkResourceIdentifier,
    /// Its uid on the member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}
