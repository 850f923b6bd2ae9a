//! What the program may do on a hub: no more than it needs for what it is told to do.
//!
//! A test on real API servers compares this with what was asked of them: a right that is missing fails it, and so does
//! one that nothing used.

use serde_json::{Value, json};

use crate::{
    api::{
        kind::{CLUSTER_GROUP, GITOPS_GROUP, PLACEMENT_GROUP},
        meta,
    },
    engine::ENGINE_LEASE,
};

/// Verbs on resources of a group.
pub(super) struct Right {
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
}

const fn right(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resources, verbs }
}

/// Reads of whatever placements select, of any kind, by the engine.
const READ_ALL: Right = right("*", &["*"], &["list", "watch"]);

/// What the built-in engine does on a hub.
const ENGINE: &[Right] = &[
    READ_ALL,
    right(PLACEMENT_GROUP, &["clusterresourceplacements", "resourceplacements"], &["patch"]),
    right(
        PLACEMENT_GROUP,
        &["clusterresourceplacements/status", "resourceplacements/status"],
        &["update"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterschedulingpolicysnapshots", "schedulingpolicysnapshots"],
        &["create", "patch", "delete"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterschedulingpolicysnapshots/status", "schedulingpolicysnapshots/status"],
        &["update"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterresourcesnapshots", "resourcesnapshots"],
        &["create", "patch", "delete"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterresourcebindings", "resourcebindings"],
        &["create", "update", "patch", "delete"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterresourcebindings/status", "resourcebindings/status"],
        &["update"],
    ),
    right(PLACEMENT_GROUP, &["clusterstagedupdateruns", "stagedupdateruns"], &["patch"]),
    right(
        PLACEMENT_GROUP,
        &["clusterstagedupdateruns/status", "stagedupdateruns/status"],
        &["update"],
    ),
    right(PLACEMENT_GROUP, &["clusterapprovalrequests", "approvalrequests"], &["create", "delete"]),
    right(
        PLACEMENT_GROUP,
        &["clusterapprovalrequests/status", "approvalrequests/status"],
        &["update"],
    ),
    right(PLACEMENT_GROUP, &["works"], &["create", "update", "patch", "delete"]),
    right(PLACEMENT_GROUP, &["works/status"], &["patch"]),
    right(CLUSTER_GROUP, &["memberclusters"], &["patch"]),
    right(CLUSTER_GROUP, &["memberclusters/status"], &["patch"]),
    // Members' namespaces on the hub.
    right("", &["namespaces"], &["get", "create", "delete"]),
    right("", &["events"], &["create"]),
];

/// What following repositories takes, beside their content.
const GITOPS: &[Right] = &[
    right(GITOPS_GROUP, &["rollouts"], &["list", "watch", "create", "patch"]),
    right(GITOPS_GROUP, &["rollouts/status"], &["update"]),
    right(GITOPS_GROUP, &["sources"], &["list", "create", "patch"]),
    right(
        PLACEMENT_GROUP,
        &[
            "clusterresourceplacements",
            "resourceplacements",
            "clusterstagedupdatestrategies",
            "stagedupdatestrategies",
        ],
        &["list", "watch", "create", "patch"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterstagedupdateruns", "stagedupdateruns"],
        &["list", "watch", "create", "patch", "delete"],
    ),
    right(
        PLACEMENT_GROUP,
        &["clusterapprovalrequests/status", "approvalrequests/status"],
        &["patch"],
    ),
    right(
        PLACEMENT_GROUP,
        &[
            "clusterschedulingpolicysnapshots",
            "schedulingpolicysnapshots",
            "clusterresourcesnapshots",
            "resourcesnapshots",
            "clusterresourcebindings",
            "resourcebindings",
            "clusterapprovalrequests",
            "approvalrequests",
        ],
        &["list", "watch"],
    ),
    right(CLUSTER_GROUP, &["memberclusters"], &["list", "watch"]),
];

/// What repositories may hold. Add what yours do.
const CONTENT: &[Right] = &[
    right("", &["namespaces", "configmaps", "secrets", "services", "serviceaccounts"], WRITE),
    right("apps", &["deployments", "statefulsets", "daemonsets"], WRITE),
    right("batch", &["jobs", "cronjobs"], WRITE),
    right("networking.k8s.io", &["ingresses", "networkpolicies"], WRITE),
];
/// Watches tell of hand edits.
const WRITE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// A role for the program's account.
pub(super) struct Role {
    pub(super) name: &'static str,
    rights: &'static [Right],
}

/// The engine's role.
pub(super) const ENGINE_ROLE: Role = Role { name: "tidegate-engine", rights: ENGINE };
/// The role for following repositories.
pub(super) const GITOPS_ROLE: Role = Role { name: "tidegate-gitops", rights: GITOPS };
/// The role for what is in repositories.
pub(super) const CONTENT_ROLE: Role = Role { name: "tidegate-content", rights: CONTENT };

/// Name of the program's account, in [`meta::SYSTEM_NAMESPACE`].
pub(super) const ACCOUNT: &str = "tidegate";

fn rules(rights: &[Right]) -> Vec<Value> {
    let rule = |right: &Right| json!({"apiGroups": [right.group], "resources": right.resources, "verbs": right.verbs});
    rights.iter().map(rule).collect()
}

fn subjects() -> Value {
    json!([{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": meta::SYSTEM_NAMESPACE}])
}

impl Role {
    /// Returns the ClusterRole and its binding.
    pub(super) fn manifests(&self) -> [Value; 2] {
        const GROUP: &str = "rbac.authorization.k8s.io";
        let role = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ClusterRole",
            "metadata": {"name": self.name},
            "rules": rules(self.rights),
        });
        let binding = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": self.name},
            "subjects": subjects(),
        });
        [role, binding]
    }
}

/// Returns the Role for the engine's Lease, and its binding.
pub(super) fn lease() -> [Value; 2] {
    const GROUP: &str = "rbac.authorization.k8s.io";
    const LEASES: &str = "coordination.k8s.io";
    let metadata = json!({"name": ENGINE_LEASE, "namespace": meta::SYSTEM_NAMESPACE});
    let role = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "Role",
        "metadata": metadata,
        "rules": [
            // A name cannot be asked for on creation: the object has none yet.
            {"apiGroups": [LEASES], "resources": ["leases"], "verbs": ["create"]},
            {"apiGroups": [LEASES], "resources": ["leases"], "resourceNames": [ENGINE_LEASE], "verbs": ["get", "update"]},
        ],
    });
    let binding = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": ENGINE_LEASE},
        "subjects": subjects(),
    });
    [role, binding]
}
