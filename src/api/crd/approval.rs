//! Approval requests (fleet-semantics §2.3).

use super::{
    definition::{Column, Definition},
    schema::{Schema, object, root, text},
    shared::conditions,
};
use crate::api::kind;

/// `ClusterApprovalRequest`.
pub(super) fn cluster() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_APPROVAL_REQUEST,
        &["careq"],
        |_| schema().about("Asks whether a cluster-scoped run may pass a gate."),
        columns(),
    )
}

/// `ApprovalRequest`.
pub(super) fn namespaced() -> Definition {
    Definition::of_fleet(
        kind::APPROVAL_REQUEST,
        &["areq"],
        |_| schema().about("Asks whether a run of its namespace may pass a gate."),
        columns(),
    )
}

/// Fleet's columns, and the one that only its tutorial prints (fleet-semantics §10.2 #3).
fn columns() -> Vec<Column> {
    vec![
        Column::text("Update-Run", ".spec.parentStageRollout"),
        Column::text("Stage", ".spec.targetStage"),
        Column::text("Approved", r#".status.conditions[?(@.type=="Approved")].status"#),
        Column::text(
            "ApprovalAccepted",
            r#".status.conditions[?(@.type=="ApprovalAccepted")].status"#,
        ),
        Column::age(),
    ]
}

fn schema() -> Schema {
    root([
        (
            "spec",
            object([
                ("parentStageRollout", text().about("The run that asks.")),
                ("targetStage", text().about("The stage whose gate it is.")),
            ])
            .require(["parentStageRollout", "targetStage"])
            .immutable("The spec field is immutable")
            .about("Which gate."),
        ),
        (
            "status",
            object([(
                "conditions",
                conditions(
                    "Approved, written by who approves, with the request's generation; ApprovalAccepted, written by the run.",
                ),
            )])
            .about("What was answered."),
        ),
    ])
    .require(["spec"])
}
