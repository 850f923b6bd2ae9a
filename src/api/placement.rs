//! `ClusterResourcePlacement` and `ResourcePlacement` (fleet-semantics §2.4, §2.5, §6).

use k8s_openapi::{
    api::core::v1::Toleration,
    apimachinery::pkg::{
        apis::meta::v1::{Condition, LabelSelector},
        util::intstr::IntOrString,
    },
};
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reference::{FailedPlacement, NamespacedName, ResourceIdentifier};

/// A placement of either scope.
pub type Placement = Object<PlacementSpec, PlacementStatus>;

/// What to place, where, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    /// 1 to 100.
    #[serde(default)]
    pub resource_selectors: Vec<ResourceSelector>,
    /// PickAll when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PlacementPolicy>,
    /// RollingUpdate when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
    /// How many snapshot groups are kept; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
    /// `ClusterScopeOnly` or `NamespaceAccessible`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reporting_scope: Option<String>,
}

/// Picks objects on the hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelector {
    /// Empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Exact name; without it and a selector, all of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// What a Namespace selector covers: [`NAMESPACE_ONLY`], [`NAMESPACE_WITH_RESOURCES`] (default) or
    /// [`NAMESPACE_WITH_RESOURCE_SELECTORS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_scope: Option<String>,
}

/// Just the Namespace object.
pub const NAMESPACE_ONLY: &str = "NamespaceOnly";
/// The Namespace and everything placeable in it.
pub const NAMESPACE_WITH_RESOURCES: &str = "NamespaceWithResources";
/// The Namespace, and what other selectors pick inside it.
pub const NAMESPACE_WITH_RESOURCE_SELECTORS: &str = "NamespaceWithResourceSelectors";

/// Which clusters. Fields in Go's order of declaration: their hash depends on it (§3.5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementPolicy {
    /// [`PICK_ALL`] (default), [`PICK_N`] or [`PICK_FIXED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_type: Option<String>,
    /// For PickFixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_names: Option<Vec<String>>,
    /// For PickN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_clusters: Option<i32>,
    /// Required and preferred terms; judged in `placement`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Value>,
    /// For PickN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread_constraints: Option<Vec<Value>>,
    /// Of cluster taints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Toleration>>,
}

/// Every eligible cluster.
pub const PICK_ALL: &str = "PickAll";
/// The best N.
pub const PICK_N: &str = "PickN";
/// These clusters.
pub const PICK_FIXED: &str = "PickFixed";

/// Who rolls out, and how objects are applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStrategy {
    /// [`ROLLING_UPDATE`] (default) or [`EXTERNAL`].
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// For RollingUpdate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
    /// Defaults are [`ApplyStrategy::defaulted`]'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_strategy: Option<ApplyStrategy>,
    /// API only: Fleet ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_strategy: Option<Value>,
    /// v1beta1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_back_strategy: Option<Value>,
}

/// The placement's own controller rolls out.
pub const ROLLING_UPDATE: &str = "RollingUpdate";
/// A staged update run rolls out.
pub const EXTERNAL: &str = "External";

/// Pace of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// 25% when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// 25% when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrString>,
    /// 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_period_seconds: Option<i64>,
}

/// How objects are applied on members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyStrategy {
    /// `PartialComparison` or `FullComparison`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison_option: Option<String>,
    /// `Always` or `IfNotDrifted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_to_apply: Option<String>,
    /// `ClientSideApply`, `ServerSideApply` or `ReportDiff`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Tolerate owners that are not Fleet's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_co_ownership: Option<bool>,
    /// For ServerSideApply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_apply_config: Option<Value>,
    /// `Always`, `IfNoDiff` or `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_to_take_over: Option<String>,
}

impl ApplyStrategy {
    /// Returns the strategy with Fleet's defaults where it says nothing (§2.4).
    pub fn defaulted(mut self) -> Self {
        let default = |field: &mut Option<String>, value: &str| {
            field.get_or_insert_with(|| value.to_owned());
        };
        default(&mut self.kind, "ClientSideApply");
        default(&mut self.comparison_option, "PartialComparison");
        default(&mut self.when_to_apply, "Always");
        default(&mut self.when_to_take_over, "Always");
        self
    }

    /// Returns whether members are only compared with what is wanted, and nothing is applied.
    pub fn only_reports(&self) -> bool {
        self.kind.as_deref() == Some("ReportDiff")
    }

    /// Returns whether fields that only the member has count as differences.
    pub fn compares_all(&self) -> bool {
        self.comparison_option.as_deref() == Some("FullComparison")
    }
}

impl PlacementSpec {
    /// Returns the rollout strategy type, defaulted.
    pub fn strategy_type(&self) -> &str {
        self.strategy.as_ref().and_then(|s| s.kind.as_deref()).unwrap_or(ROLLING_UPDATE)
    }

    /// Returns the apply strategy, defaulted.
    pub fn apply_strategy(&self) -> ApplyStrategy {
        self.strategy
            .as_ref()
            .and_then(|s| s.apply_strategy.clone())
            .unwrap_or_default()
            .defaulted()
    }

    /// Returns the placement type of the policy, defaulted.
    pub fn placement_type(&self) -> &str {
        self.policy.as_ref().and_then(|p| p.placement_type.as_deref()).unwrap_or(PICK_ALL)
    }
}

/// How the placement goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// What the current snapshot, or the latest selection, holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_resources: Option<Vec<ResourceIdentifier>>,
    /// The index that all clusters share, or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_resource_index: Option<String>,
    /// One a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_statuses: Option<Vec<ClusterPlacementStatus>>,
    /// Types carry the kind's prefix: `ClusterResourcePlacement…` or `ResourcePlacement…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How the placement goes on one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPlacementStatus {
    /// Absent for a cluster that is needed but not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// The index that the cluster's binding names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_resource_index: Option<String>,
    /// Overrides in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applicable_cluster_resource_overrides: Option<Vec<String>>,
    /// Overrides in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applicable_resource_overrides: Option<Vec<NamespacedName>>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_placements: Option<Vec<FailedPlacement>>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted_placements: Option<Vec<Value>>,
    /// At most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diffed_placements: Option<Vec<Value>>,
    /// Without a prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
