//! What was read from the hub for one pass.

use std::{collections::BTreeMap, sync::Arc};

use crate::api::{
    ApprovalRequest, Binding, Placement, PolicySnapshot, ResourceSnapshot, Strategy,
    reference::NamespacedName,
};

/// The world around a run, at one reading. Objects are shared: caches hold them too.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The run's placement.
    pub placement: Option<Arc<Placement>>,
    /// The run's strategy. Looked at until the run is initialized, not after.
    pub strategy: Option<Arc<Strategy>>,
    /// Policy snapshots of the placement.
    pub policy_snapshots: Vec<Arc<PolicySnapshot>>,
    /// Bindings of the placement, by its `parent-CRP` label.
    pub bindings: Vec<Arc<Binding>>,
    /// Labels of every member cluster, by the cluster's name.
    pub members: BTreeMap<String, BTreeMap<String, String>>,
    /// Resource snapshots of the placement; only their metadata is looked at. Looked at until the run is initialized.
    pub snapshots: Vec<Arc<ResourceSnapshot>>,
    /// Approval requests in the run's scope, by name. Those that the run's status names must be among them.
    pub approvals: BTreeMap<String, Arc<ApprovalRequest>>,
    /// Overrides that apply to a cluster, by the cluster's name. Looked at until the run is initialized.
    pub overrides: BTreeMap<String, Overrides>,
    /// What became of [`CaptureSnapshot`](super::Order::CaptureSnapshot), once it was carried out for this run.
    pub captured: Option<Captured>,
}

/// Override snapshots that apply to one cluster, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// ClusterResourceOverride snapshots.
    pub cluster: Vec<String>,
    /// ResourceOverride snapshots.
    pub resource: Vec<NamespacedName>,
}

/// The content captured for a run that names no index (fleet-semantics §3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Captured {
    /// The group that holds the content, new or reused: its `resource-index`.
    Group {
        /// The index as text, as the label has it.
        index: String,
    },
    /// The selection is wrong and stays wrong until a person mends it. The sentence becomes part of the run's condition.
    Refused(String),
}
