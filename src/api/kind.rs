//! Which kind an object is, on the wire.

use kube::core::ApiResource;

use crate::model::{ObjectKey, Scope};

/// Fleet's placement group.
pub const PLACEMENT_GROUP: &str = "placement.kubernetes-fleet.io";
/// Fleet's cluster group.
pub const CLUSTER_GROUP: &str = "cluster.kubernetes-fleet.io";
/// Our own group.
pub const GITOPS_GROUP: &str = "gitops.tidegate.dev";

/// One kind in one scope, at the version that Fleet stores (fleet-semantics §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// API group.
    pub group: &'static str,
    /// The version we speak: the stored one.
    pub version: &'static str,
    /// Name of the kind, such as `ClusterStagedUpdateRun`.
    pub name: &'static str,
    /// Name of the resource, such as `clusterstagedupdateruns`.
    pub plural: &'static str,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// Returns `group/version`.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// Returns the key of an object of the kind.
    pub fn key(&self, scope: &Scope, name: &str) -> ObjectKey {
        ObjectKey {
            group: self.group.to_owned(),
            kind: self.name.to_owned(),
            namespace: scope.namespace().unwrap_or_default().to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns what a dynamic client needs to reach the kind.
    pub fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version: self.api_version(),
            kind: self.name.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

macro_rules! scoped_kinds {
    ($($(#[$doc:meta])* $function:ident: $cluster:ident $cluster_name:literal $cluster_plural:literal,
        $namespaced:ident $namespaced_name:literal $namespaced_plural:literal;)*) => {$(
        #[doc = concat!("`", $cluster_name, "`.")]
        pub const $cluster: Kind = Kind { group: PLACEMENT_GROUP, version: "v1beta1", name: $cluster_name, plural: $cluster_plural, namespaced: false };
        #[doc = concat!("`", $namespaced_name, "`.")]
        pub const $namespaced: Kind = Kind { group: PLACEMENT_GROUP, version: "v1beta1", name: $namespaced_name, plural: $namespaced_plural, namespaced: true };
        $(#[$doc])*
        pub const fn $function(scope: &Scope) -> Kind {
            match scope {
                Scope::Cluster => $cluster,
                Scope::Namespace(_) => $namespaced,
            }
        }
    )*};
}

scoped_kinds! {
    /// Returns the kind of placements in `scope`.
    placement: CLUSTER_RESOURCE_PLACEMENT "ClusterResourcePlacement" "clusterresourceplacements",
        RESOURCE_PLACEMENT "ResourcePlacement" "resourceplacements";
    /// Returns the kind of policy snapshots in `scope`.
    policy_snapshot: CLUSTER_SCHEDULING_POLICY_SNAPSHOT "ClusterSchedulingPolicySnapshot" "clusterschedulingpolicysnapshots",
        SCHEDULING_POLICY_SNAPSHOT "SchedulingPolicySnapshot" "schedulingpolicysnapshots";
    /// Returns the kind of resource snapshots in `scope`.
    resource_snapshot: CLUSTER_RESOURCE_SNAPSHOT "ClusterResourceSnapshot" "clusterresourcesnapshots",
        RESOURCE_SNAPSHOT "ResourceSnapshot" "resourcesnapshots";
    /// Returns the kind of bindings in `scope`.
    binding: CLUSTER_RESOURCE_BINDING "ClusterResourceBinding" "clusterresourcebindings",
        RESOURCE_BINDING "ResourceBinding" "resourcebindings";
    /// Returns the kind of staged update strategies in `scope`.
    strategy: CLUSTER_STAGED_UPDATE_STRATEGY "ClusterStagedUpdateStrategy" "clusterstagedupdatestrategies",
        STAGED_UPDATE_STRATEGY "StagedUpdateStrategy" "stagedupdatestrategies";
    /// Returns the kind of staged update runs in `scope`.
    run: CLUSTER_STAGED_UPDATE_RUN "ClusterStagedUpdateRun" "clusterstagedupdateruns",
        STAGED_UPDATE_RUN "StagedUpdateRun" "stagedupdateruns";
    /// Returns the kind of approval requests in `scope`.
    approval_request: CLUSTER_APPROVAL_REQUEST "ClusterApprovalRequest" "clusterapprovalrequests",
        APPROVAL_REQUEST "ApprovalRequest" "approvalrequests";
}

/// `Work`, in a member's namespace on the hub.
pub const WORK: Kind = Kind {
    group: PLACEMENT_GROUP,
    version: "v1beta1",
    name: "Work",
    plural: "works",
    namespaced: true,
};
/// `AppliedWork`, on the member.
pub const APPLIED_WORK: Kind = Kind {
    group: PLACEMENT_GROUP,
    version: "v1beta1",
    name: "AppliedWork",
    plural: "appliedworks",
    namespaced: false,
};
/// `MemberCluster`.
pub const MEMBER_CLUSTER: Kind = Kind {
    group: CLUSTER_GROUP,
    version: "v1beta1",
    name: "MemberCluster",
    plural: "memberclusters",
    namespaced: false,
};
/// `InternalMemberCluster`, in a member's namespace on the hub.
pub const INTERNAL_MEMBER_CLUSTER: Kind = Kind {
    group: CLUSTER_GROUP,
    version: "v1beta1",
    name: "InternalMemberCluster",
    plural: "internalmemberclusters",
    namespaced: true,
};
/// `ClusterResourcePlacementStatus`: a copy of a placement's status in the namespace that it selects.
pub const CLUSTER_RESOURCE_PLACEMENT_STATUS: Kind = Kind {
    group: PLACEMENT_GROUP,
    version: "v1beta1",
    name: "ClusterResourcePlacementStatus",
    plural: "clusterresourceplacementstatuses",
    namespaced: true,
};
/// Our `Rollout`. One without a namespace in Git uses the cluster-scoped kinds; on the hub it lives in the daemon's own
/// namespace (that of its kubeconfig context, or of its pod).
pub const ROLLOUT: Kind = Kind {
    group: GITOPS_GROUP,
    version: "v1alpha1",
    name: "Rollout",
    plural: "rollouts",
    namespaced: true,
};
/// Our `Source`: what a daemon has read of a branch. Cluster-scoped, for a source's Rollouts are in any namespace.
pub const SOURCE: Kind = Kind {
    group: GITOPS_GROUP,
    version: "v1alpha1",
    name: "Source",
    plural: "sources",
    namespaced: false,
};
