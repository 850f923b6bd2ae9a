//! Bindings (fleet-semantics §2.8).

use super::{
    definition::{Column, Definition},
    schema::{Schema, list, object, root, text},
    shared::{
        Version, apply_strategy, cluster_decision, conditions, diffed_placements,
        drifted_placements, failed_placements, namespaced_name,
    },
};
use crate::api::kind;

/// `ClusterResourceBinding`.
pub(super) fn cluster() -> Definition {
    Definition::of_fleet(kind::CLUSTER_RESOURCE_BINDING, &["crb"], schema, columns())
}

/// `ResourceBinding`.
pub(super) fn namespaced() -> Definition {
    Definition::of_fleet(kind::RESOURCE_BINDING, &["rb"], schema, columns())
}

fn columns() -> Vec<Column> {
    vec![
        Column::text(
            "WorkSynchronized",
            r#".status.conditions[?(@.type=="WorkSynchronized")].status"#,
        ),
        Column::text("ResourcesApplied", r#".status.conditions[?(@.type=="Applied")].status"#),
        Column::wide("ResourceAvailable", r#".status.conditions[?(@.type=="Available")].status"#),
        Column::age(),
    ]
}

fn schema(version: Version) -> Schema {
    let spec = object([
        (
            "state",
            text()
                .one_of(["Scheduled", "Bound", "Unscheduled"])
                .about("Scheduled: picked. Bound: rolled out. Unscheduled: no longer picked."),
        ),
        (
            "resourceSnapshotName",
            text().about("The first object of the resource snapshot; empty until bound."),
        ),
        (
            "resourceOverrideSnapshots",
            list(namespaced_name()).about("Namespaced overrides in force."),
        ),
        (
            "clusterResourceOverrideSnapshots",
            list(text()).about("Cluster-scoped overrides in force."),
        ),
        (
            "schedulingPolicySnapshotName",
            text().about("The policy snapshot that made or confirmed the decision."),
        ),
        ("targetCluster", text().about("The member cluster.")),
        ("clusterDecision", cluster_decision().about("Why it was picked.")),
        ("applyStrategy", apply_strategy()),
    ])
    .require([
        "clusterDecision",
        "resourceSnapshotName",
        "schedulingPolicySnapshotName",
        "state",
        "targetCluster",
    ])
    .about("What the cluster should have.");
    let status = object([
        (
            "conditions",
            conditions(
                "RolloutStarted, Overridden, WorkSynchronized, Applied, Available, DiffReported.",
            ),
        ),
        ("failedPlacements", failed_placements(version)),
        ("driftedPlacements", drifted_placements(version)),
        ("diffedPlacements", diffed_placements(version)),
    ])
    .about("How the cluster goes.");
    root([("spec", spec), ("status", status)])
        .require(["spec"])
        .about("One cluster's share of a placement.")
}
