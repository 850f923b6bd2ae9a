//! Staged update runs (fleet-semantics §2.2).

use super::{
    definition::{Column, Definition},
    schema::{Schema, integer, list, object, root, text, time},
    shared::{apply_strategy, conditions, namespaced_name},
    strategy,
};
use crate::api::kind;

/// `ClusterStagedUpdateRun`. The second short name is a slip of the pen in Fleet's tutorial, whose commands should
/// work as printed.
pub(super) fn cluster() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_STAGED_UPDATE_RUN,
        &["csur", "clusterstagedupdaterrun"],
        |_| {
            schema().about(
                "Rolls one resource snapshot of a cluster-scoped placement out, stage by stage.",
            )
        },
        columns(),
    )
}

/// `StagedUpdateRun`.
pub(super) fn namespaced() -> Definition {
    Definition::of_fleet(
        kind::STAGED_UPDATE_RUN,
        &["sur", "stagedupdaterrun"],
        |_| {
            schema().about(
                "Rolls one resource snapshot of a placement of its namespace out, stage by stage.",
            )
        },
        columns(),
    )
}

fn columns() -> Vec<Column> {
    vec![
        Column::text("Placement", ".spec.placementName"),
        Column::text("Resource-Snapshot-Index", ".spec.resourceSnapshotIndex"),
        Column::text("Policy-Snapshot-Index", ".status.policySnapshotIndexUsed"),
        Column::text("Initialized", r#".status.conditions[?(@.type=="Initialized")].status"#),
        Column::text("Progressing", r#".status.conditions[?(@.type=="Progressing")].status"#),
        Column::text("Succeeded", r#".status.conditions[?(@.type=="Succeeded")].status"#),
        Column::age(),
        Column::wide("Strategy", ".spec.stagedRolloutStrategyName"),
    ]
}

fn schema() -> Schema {
    root([("spec", spec()), ("status", status())])
        .require(["spec"])
        .rule("size(self.metadata.name) < 64", "metadata.name max length is 63")
}

fn spec() -> Schema {
    let transition = |from: &str, to: &str| {
        (
            format!(
                "!(has(oldSelf.state) && oldSelf.state == '{from}' && has(self.state) && self.state == '{to}')"
            ),
            format!("invalid state transition: cannot transition from {from} to {to}"),
        )
    };
    let forbidden = [
        transition("Initialize", "Stop"),
        transition("Run", "Initialize"),
        transition("Stop", "Initialize"),
    ];
    let spec = object([
        (
            "placementName",
            text()
                .chars(0, 255)
                .immutable("placementName is immutable")
                .about("The placement, in the run's scope. Its strategy type must be External."),
        ),
        (
            "resourceSnapshotIndex",
            text()
                .immutable("resourceSnapshotIndex is immutable")
                .about("Index of the resource snapshot to roll out. Empty: what is on the hub when the run initializes."),
        ),
        (
            "stagedRolloutStrategyName",
            text()
                .immutable("stagedRolloutStrategyName is immutable")
                .about("The strategy, in the run's scope. The run keeps the copy that it initialized with."),
        ),
        (
            "state",
            text()
                .one_of(["Initialize", "Run", "Stop"])
                .default("Initialize")
                .about("Initialize: only prepare. Run: go. Stop: let clusters in flight finish, and start no more."),
        ),
    ])
    .require(["placementName", "stagedRolloutStrategyName"])
    // The rule on the field is silent when the field appears or goes away; a Go client may write "" for absent.
    .rule(
        "has(self.resourceSnapshotIndex) == has(oldSelf.resourceSnapshotIndex) || \
         (has(self.resourceSnapshotIndex) ? self.resourceSnapshotIndex : oldSelf.resourceSnapshotIndex) == ''",
        "resourceSnapshotIndex is immutable",
    );
    forbidden
        .iter()
        .fold(spec, |spec, (rule, message)| spec.rule(rule, message))
        .about("What to roll out, how, and whether to go on.")
}

fn status() -> Schema {
    object([
        ("policySnapshotIndexUsed", text().about("The policy snapshot that the run holds on to.")),
        ("policyObservedClusterCount", integer().about("How many clusters the policy picked.")),
        ("resourceSnapshotIndexUsed", text().about("The resource snapshot that is rolled out.")),
        ("appliedStrategy", apply_strategy()),
        (
            "stagedUpdateStrategySnapshot",
            strategy::snapshot().about("The strategy as it was at initialization."),
        ),
        ("stagesStatus", list(stage()).about("One a stage, in order.")),
        (
            "deletionStageStatus",
            stage().about("The implicit last stage: clusters that are no longer picked."),
        ),
        ("conditions", conditions("Initialized, Progressing, Succeeded.")),
    ])
    .about("Where the run is.")
}

fn stage() -> Schema {
    object([
        ("stageName", text().about("The stage.")),
        ("clusters", list(cluster_status()).about("In the order of execution.")),
        ("beforeStageTaskStatus", list(task()).items_at_most(1).about("Gates before the stage.")),
        ("afterStageTaskStatus", list(task()).items_at_most(2).about("Gates after the stage.")),
        ("startTime", time().about("When the first cluster started.")),
        ("endTime", time().about("When the stage succeeded, failed or was skipped.")),
        ("conditions", conditions("Progressing, Succeeded.")),
    ])
    .require(["clusters", "stageName"])
}

fn cluster_status() -> Schema {
    object([
        ("clusterName", text().about("The member cluster.")),
        (
            "resourceOverrideSnapshots",
            list(namespaced_name()).about("Namespaced overrides that the run holds on to."),
        ),
        (
            "clusterResourceOverrideSnapshots",
            list(text()).about("Cluster-scoped overrides that the run holds on to."),
        ),
        ("conditions", conditions("Started, Succeeded.")),
    ])
    .require(["clusterName"])
}

fn task() -> Schema {
    object([
        ("type", text().one_of(["TimedWait", "Approval"]).about("Which task.")),
        ("approvalRequestName", text().about("The request, for Approval.")),
        (
            "conditions",
            conditions("ApprovalRequestCreated, ApprovalRequestApproved, WaitTimeElapsed."),
        ),
    ])
    .require(["type"])
}
