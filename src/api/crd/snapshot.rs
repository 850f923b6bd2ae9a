//! Policy snapshots, resource snapshots and bindings (fleet-semantics §2.6 to §2.8).

use serde_json::{Value, json};

use super::{
    definition::{Definition, age, condition, generation},
    placement::policy_fields,
    schema::{
        apply_strategy, cluster_decision, conditions, embedded_object, integer, list, list_up_to,
        object, override_lists, text, troubled_placements, with_properties, word,
    },
};
use crate::api::kind::{self, Kind};

pub(super) fn all() -> Vec<Value> {
    vec![
        policy_snapshot(kind::CLUSTER_SCHEDULING_POLICY_SNAPSHOT, &["csps"]),
        policy_snapshot(kind::SCHEDULING_POLICY_SNAPSHOT, &["sps"]),
        resource_snapshot(kind::CLUSTER_RESOURCE_SNAPSHOT, &["crs"]),
        resource_snapshot(kind::RESOURCE_SNAPSHOT, &["rs"]),
        binding(kind::CLUSTER_RESOURCE_BINDING, &["crb"]),
        binding(kind::RESOURCE_BINDING, &["rb"]),
    ]
}

fn policy_snapshot(kind: Kind, short: &'static [&'static str]) -> Value {
    let spec = object(
        json!({"policy": policy_fields(), "policyHash": {"type": "string", "format": "byte"}}),
        &["policyHash"],
    );
    let status = object(
        json!({
            "conditions": conditions(),
            "observedCRPGeneration": integer("int64"),
            "targetClusters": list_up_to(1000, cluster_decision()),
        }),
        &["observedCRPGeneration"],
    );
    let about = "The scheduling part of a placement, frozen, and the scheduler's decisions.";
    let columns = vec![generation(), age()];
    Definition {
        kind,
        short,
        about,
        spec,
        status: Some(status),
        status_subresource: true,
        columns,
        rules: &[],
    }
    .build()
}

fn resource_snapshot(kind: Kind, short: &'static [&'static str]) -> Value {
    let spec =
        object(json!({"selectedResources": list(embedded_object())}), &["selectedResources"]);
    let about = "Selected objects at one moment, pruned; one of a group that shares an index.";
    let status = Some(object(json!({"conditions": conditions()}), &[]));
    let columns = vec![generation(), age()];
    Definition { kind, short, about, spec, status, status_subresource: true, columns, rules: &[] }
        .build()
}

fn binding(kind: Kind, short: &'static [&'static str]) -> Value {
    let spec = object(
        json!({
            "applyStrategy": apply_strategy(),
            "clusterDecision": cluster_decision(),
            "resourceSnapshotName": text(),
            "schedulingPolicySnapshotName": text(),
            "state": word(&["Scheduled", "Bound", "Unscheduled"]),
            "targetCluster": text(),
        }),
        &[
            "clusterDecision",
            "resourceSnapshotName",
            "schedulingPolicySnapshotName",
            "state",
            "targetCluster",
        ],
    );
    let status =
        with_properties(object(json!({"conditions": conditions()}), &[]), troubled_placements());
    let columns = vec![
        condition("WorkSynchronized", "WorkSynchronized", "status", 0),
        condition("ResourcesApplied", "Applied", "status", 0),
        condition("ResourceAvailable", "Available", "status", 1),
        age(),
    ];
    let about = "One cluster's share of a placement: what it should run, and how that goes.";
    let spec = with_properties(spec, override_lists());
    Definition {
        kind,
        short,
        about,
        spec,
        status: Some(status),
        status_subresource: true,
        columns,
        rules: &[],
    }
    .build()
}
