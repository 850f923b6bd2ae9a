//! Works and applied works (fleet-semantics §2.9).

use serde_json::{Value, json};

use super::{
    definition::{Definition, age},
    schema::{
        anything, apply_strategy, conditions, embedded_object, integer, list, object, text,
        with_properties, word,
    },
};
use crate::api::kind;

pub(super) fn all() -> Vec<Value> {
    vec![work(), applied_work()]
}

fn identifier() -> Value {
    object(
        json!({
            "group": text(), "kind": text(), "name": text(), "namespace": text(), "ordinal": integer("int64"),
            "resource": text(), "version": text(),
        }),
        &["ordinal"],
    )
}

fn work() -> Value {
    let report = object(
        json!({"destination": word(&["OriginalResource", "WorkAPI"]), "type": word(&["Disabled", "Mirror"])}),
        &[],
    );
    let spec = object(
        json!({
            "applyStrategy": apply_strategy(),
            "reportBackStrategy": report,
            "workload": object(json!({"manifests": list(embedded_object())}), &[]),
        }),
        &[],
    );
    let manifest = object(
        json!({
            "backReportedStatus": anything(), "conditions": conditions(), "diffDetails": anything(),
            "driftDetails": anything(), "identifier": identifier(),
        }),
        &["conditions"],
    );
    let status =
        object(json!({"conditions": conditions(), "manifestConditions": list(manifest)}), &[]);
    let about = "Manifests for one cluster, in the namespace that the cluster has on the hub.";
    Definition {
        kind: kind::WORK,
        short: &[],
        about,
        spec,
        status: Some(status),
        status_subresource: true,
        columns: vec![age()],
        rules: &[],
    }
    .build()
}

fn applied_work() -> Value {
    let spec = object(
        json!({"workName": text(), "workNamespace": text()}),
        &["workName", "workNamespace"],
    );
    let resource = with_properties(identifier(), [("uid", text())]);
    let status = object(json!({"appliedResources": list(resource)}), &[]);
    Definition {
        kind: kind::APPLIED_WORK,
        short: &[],
        about: "Owns everything on the member that came from one work.",
        spec,
        status: Some(status),
        status_subresource: true,
        columns: vec![age()],
        rules: &[],
    }
    .build()
}
