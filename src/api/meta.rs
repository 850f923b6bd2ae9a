//! Label, annotation and finalizer keys (fleet-semantics §1.5 to §1.7), and the names of Fleet's objects (§1.8).

/// Names the placement on everything that belongs to it, in both scopes.
pub const PARENT_PLACEMENT: &str = "kubernetes-fleet.io/parent-CRP";
/// `"true"` on the one latest snapshot of a placement.
pub const IS_LATEST_SNAPSHOT: &str = "kubernetes-fleet.io/is-latest-snapshot";
/// The index of a resource snapshot group.
pub const RESOURCE_INDEX: &str = "kubernetes-fleet.io/resource-index";
/// The index of a policy snapshot.
pub const POLICY_INDEX: &str = "kubernetes-fleet.io/policy-index";
/// Names the binding on its works.
pub const PARENT_BINDING: &str = "kubernetes-fleet.io/parent-resource-binding";
/// The placement's namespace, on works of namespaced placements.
pub const PARENT_PLACEMENT_NAMESPACE: &str = "kubernetes-fleet.io/parent-placement-namespace";
/// Which snapshot index generated a work.
pub const PARENT_SNAPSHOT_INDEX: &str = "kubernetes-fleet.io/parent-resource-snapshot-index";
/// Names the run on its approval requests.
pub const TARGET_RUN: &str = "kubernetes-fleet.io/targetUpdateRun";
/// Names the stage on an approval request.
pub const TARGET_STAGE: &str = "kubernetes-fleet.io/targetUpdatingStage";
/// `beforeStage` or `afterStage`, on approval requests.
pub const TASK_TYPE: &str = "kubernetes-fleet.io/taskType";
/// Written once on approval requests, never flipped.
pub const IS_LATEST_APPROVAL: &str = "kubernetes-fleet.io/isLatestUpdateRunApproval";
/// The cluster's name, on its MemberCluster.
pub const MEMBER_NAME: &str = "kubernetes-fleet.io/member-name";
/// `"true"` on namespaces that the system made.
pub const IS_FLEET_RESOURCE: &str = "kubernetes-fleet.io/is-fleet-resource";

/// Hash of a group's whole content, on its master snapshot (§3.5).
pub const RESOURCE_HASH: &str = "kubernetes-fleet.io/resource-hash";
/// How many objects the group has, on its master.
pub const SNAPSHOT_COUNT: &str = "kubernetes-fleet.io/number-of-resource-snapshots";
/// How many envelopes were selected, on the master.
pub const ENVELOPE_COUNT: &str = "kubernetes-fleet.io/number-of-enveloped-object";
/// On the latest master snapshot: when its content was first seen to have changed since.
pub const CHANGE_DETECTED: &str =
    "kubernetes-fleet.io/next-resource-snapshot-candidate-detection-time";
/// Place in the group, from 0, on every object but the master.
pub const SNAPSHOT_SUBINDEX: &str = "kubernetes-fleet.io/subindex-of-resource-snapshot";
/// The placement's generation that a policy snapshot reflects.
pub const PLACEMENT_GENERATION: &str = "kubernetes-fleet.io/CRP-generation";
/// N of a PickN policy, on the policy snapshot.
pub const CLUSTER_COUNT: &str = "kubernetes-fleet.io/number-of-clusters";
/// What an unscheduled binding was before.
pub const PREVIOUS_BINDING_STATE: &str = "kubernetes-fleet.io/previous-binding-state";
/// Snapshot name a work was made from.
pub const PARENT_SNAPSHOT_NAME: &str = "kubernetes-fleet.io/parent-resource-snapshot-name";
/// Hash of the binding's ResourceOverride list, on works.
pub const OVERRIDE_HASH: &str = "kubernetes-fleet.io/parent-resource-override-snapshot-hash";
/// Hash of the binding's ClusterResourceOverride list, on works.
pub const CLUSTER_OVERRIDE_HASH: &str =
    "kubernetes-fleet.io/parent-cluster-resource-override-snapshot-hash";
/// Hash of the manifest as last applied, on objects of members.
pub const SPEC_HASH: &str = "kubernetes-fleet.io/spec-hash";
/// The manifest as last applied, on objects of members: the base of the three-way merge.
pub const LAST_APPLIED: &str = "kubernetes-fleet.io/last-applied-configuration";

/// On placements, until their snapshots are gone.
pub const PLACEMENT_FINALIZER: &str = "kubernetes-fleet.io/crp-cleanup";
/// On placements, until their bindings are gone.
pub const SCHEDULER_FINALIZER: &str = "kubernetes-fleet.io/scheduler-cleanup";
/// On bindings, until the scheduler noticed the deletion.
pub const BINDING_FINALIZER: &str = "kubernetes-fleet.io/scheduler-crb-cleanup";
/// On bindings until their works are gone, and on works until their AppliedWork is.
pub const WORK_FINALIZER: &str = "kubernetes-fleet.io/work-cleanup";
/// On runs, until their approval requests are gone.
pub const RUN_FINALIZER: &str = "kubernetes-fleet.io/stagedupdaterun-finalizer";
/// On member clusters, until they have left.
pub const MEMBER_FINALIZER: &str = "kubernetes-fleet.io/membercluster-finalizer";

/// Prefix of the namespace that a member has on the hub.
pub const MEMBER_NAMESPACE_PREFIX: &str = "fleet-member-";
/// `stageName` of the implicit last stage.
pub const DELETE_STAGE: &str = "kubernetes-fleet.io/deleteStage";

/// Names our Rollout (`name` or `namespace/name`) on what is its own: the Rollout, its placement, and its runs.
pub const ROLLOUT: &str = "gitops.tidegate.dev/rollout";
/// The full commit id, on runs and placements of ours.
pub const COMMIT: &str = "gitops.tidegate.dev/commit";
/// The content digest, on runs and placements of ours. A change on a placement tells our engine that the content of a
/// commit is complete on the hub, so that it need not wait for more changes before it cuts a snapshot.
pub const CONTENT_DIGEST: &str = "gitops.tidegate.dev/content-digest";

/// Digest of an object as Git wants it, on what we put on a hub that is not content: Rollouts, strategies and placements.
pub const SPEC_DIGEST: &str = "gitops.tidegate.dev/spec-digest";

/// Namespace on the hub of what the built-in engine needs for itself: its Lease, and credentials for its members.
pub const SYSTEM_NAMESPACE: &str = "tidegate-system";
/// On Secrets in [`SYSTEM_NAMESPACE`]: the member cluster whose kubeconfig they hold.
pub const MEMBER_SECRET: &str = "gitops.tidegate.dev/member";
/// The kubeconfig, in such a Secret.
pub const MEMBER_SECRET_KEY: &str = "kubeconfig";

/// Field manager of GitOps writes.
pub const GITOPS_MANAGER: &str = "tidegate";
/// Field manager of the built-in engine.
pub const ENGINE_MANAGER: &str = "tidegate-engine";

/// Returns the name of a member's namespace on the hub.
pub fn member_namespace(cluster: &str) -> String {
    format!("{MEMBER_NAMESPACE_PREFIX}{cluster}")
}

/// Returns the name of the Secret with a member's kubeconfig.
pub fn member_secret(cluster: &str) -> String {
    format!("tidegate-member-{cluster}")
}
