//! Resource snapshots and scheduling policy snapshots (fleet-semantics §2.6, §2.7).

use super::{
    definition::{Column, Definition},
    placement::frozen_policy,
    schema::{Schema, embedded_object, int64, list, object, root, text},
    shared::{cluster_decision, conditions},
};
use crate::api::kind;

/// `ClusterResourceSnapshot`.
pub(super) fn cluster_resource() -> Definition {
    Definition::of_fleet(kind::CLUSTER_RESOURCE_SNAPSHOT, &["crs"], |_| resource(), columns())
}

/// `ResourceSnapshot`. Fleet serves only its beta version; its tutorial prints the stable one, so both are here.
pub(super) fn namespaced_resource() -> Definition {
    Definition::of_fleet(kind::RESOURCE_SNAPSHOT, &["rs"], |_| resource(), columns())
}

/// `ClusterSchedulingPolicySnapshot`.
pub(super) fn cluster_policy() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
        &["csps"],
        |_| scheduling(),
        columns(),
    )
}

/// `SchedulingPolicySnapshot`.
pub(super) fn namespaced_policy() -> Definition {
    Definition::of_fleet(kind::SCHEDULING_POLICY_SNAPSHOT, &["sps"], |_| scheduling(), columns())
}

fn columns() -> Vec<Column> {
    vec![Column::text("Gen", ".metadata.generation"), Column::age()]
}

fn resource() -> Schema {
    root([
        (
            "spec",
            object([(
                "selectedResources",
                list(embedded_object()).about("Whole objects, without what the hub adds to them."),
            )])
            .require(["selectedResources"])
            .about("What was selected."),
        ),
        (
            "status",
            object([("conditions", conditions("Unused by staged runs."))]).about("How it is used."),
        ),
    ])
    .require(["spec"])
    .about("A frozen copy of what a placement selected. Large selections take several objects with one index.")
}

fn scheduling() -> Schema {
    root([
        (
            "spec",
            object([
                ("policy", frozen_policy()),
                (
                    "policyHash",
                    text()
                        .with_format("byte")
                        .about("Base64 of the hexadecimal SHA-256 of the policy."),
                ),
            ])
            .require(["policyHash"])
            .about("The policy without the number of clusters."),
        ),
        (
            "status",
            object([
                (
                    "observedCRPGeneration",
                    int64().about("Generation of the placement that was scheduled last."),
                ),
                ("conditions", conditions("Scheduled.")),
                (
                    "targetClusters",
                    list(cluster_decision())
                        .items_at_most(1000)
                        .about("Decisions, picked clusters first."),
                ),
            ])
            .require(["observedCRPGeneration"])
            .about("What the scheduler decided."),
        ),
    ])
    .require(["spec"])
    .about("A frozen copy of a placement's policy, and the decisions made by it.")
}
