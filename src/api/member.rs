//! `MemberCluster` (fleet-semantics §2.10).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{core::v1::Taint, rbac::v1::Subject},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A cluster of the fleet.
pub type MemberCluster = Object<MemberClusterSpec, MemberClusterStatus>;

/// Who the member is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterSpec {
    /// The member agent's account on the hub.
    pub identity: Subject,
    /// 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_period_seconds: Option<i32>,
    /// Keep placements away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taints: Option<Vec<Taint>>,
    /// v1beta1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_options: Option<Value>,
}

/// How the member is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// [`READY_TO_JOIN`], [`JOINED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What the cluster can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, Value>>,
    /// Capacity, allocatable, available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<Value>,
    /// One an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_status: Option<Vec<AgentStatus>>,
    /// Namespaces and the AppliedWork that owns them; v1beta1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<BTreeMap<String, String>>,
}

/// How an agent of the member is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// `MemberAgent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`JOINED`], [`HEALTHY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received_heartbeat: Option<Time>,
}

/// MemberCluster condition.
pub const READY_TO_JOIN: &str = "ReadyToJoin";
/// MemberCluster and agent condition.
pub const JOINED: &str = "Joined";
/// Agent condition.
pub const HEALTHY: &str = "Healthy";
/// The agent that applies works.
pub const MEMBER_AGENT: &str = "MemberAgent";
