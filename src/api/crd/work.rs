//! Works and applied works (fleet-semantics §2.9).

use super::{
    definition::{Column, Definition},
    schema::{Schema, embedded_object, integer, list, object, root, text, time},
    shared::{
        Version, apply_strategy, conditions, diff_details, drift_details, report_back_strategy,
    },
};
use crate::api::kind;

/// `Work`.
pub(super) fn work() -> Definition {
    Definition::of_fleet(
        kind::WORK,
        &[],
        |version| {
            root([("spec", spec(version)), ("status", status(version))])
                .about("Manifests for one cluster, in that member's namespace on the hub.")
        },
        vec![Column::age()],
    )
}

/// `AppliedWork`.
pub(super) fn applied() -> Definition {
    Definition::of_fleet(
        kind::APPLIED_WORK,
        &[],
        |_| {
            root([
                (
                    "spec",
                    object([
                        ("workName", text().about("The work's name.")),
                        ("workNamespace", text().about("The work's namespace on the hub.")),
                    ])
                    .require(["workName", "workNamespace"])
                    .about("Which work."),
                ),
                (
                    "status",
                    object([(
                        "appliedResources",
                        list(
                            identifier().fields([("uid", text().about("Its uid on the member."))]),
                        )
                        .about("What is on the member because of the work."),
                    )])
                    .about("What was applied."),
                ),
            ])
            .require(["spec"])
            .about("Owns, on the member, everything that was applied from one work.")
        },
        vec![Column::age()],
    )
}

fn identifier() -> Schema {
    object([
        ("ordinal", integer().about("Place in the work, from 0.")),
        ("group", text().about("Empty for the core group.")),
        ("version", text().about("API version.")),
        ("kind", text().about("Kind.")),
        ("resource", text().about("Plural name of the kind.")),
        ("namespace", text().about("Empty for cluster-scoped objects.")),
        ("name", text().about("Name.")),
    ])
    .require(["ordinal"])
}

fn spec(version: Version) -> Schema {
    let whole = object([
        (
            "workload",
            object([("manifests", list(embedded_object()).about("Whole objects."))])
                .about("What to apply."),
        ),
        ("applyStrategy", apply_strategy()),
        ("reportBackStrategy", report_back_strategy()),
    ])
    .about("What to apply, and how.");
    match version {
        Version::V1 => whole.without("reportBackStrategy"),
        Version::V1Beta1 => whole,
    }
}

fn status(version: Version) -> Schema {
    let whole = object([
        ("identifier", identifier().about("Which manifest.")),
        ("conditions", conditions("Applied, Available, DiffReported.")),
        ("driftDetails", drift_details()),
        ("diffDetails", diff_details()),
        (
            "backReportedStatus",
            object([
                ("observedStatus", embedded_object().about("The object with its status.")),
                ("observationTime", time().about("When it was read.")),
            ])
            .about("What the member's object says of itself."),
        ),
    ])
    .require(["conditions"]);
    let manifest = match version {
        Version::V1 => whole.without("backReportedStatus"),
        Version::V1Beta1 => whole,
    };
    object([
        ("conditions", conditions("Applied, Available, DiffReported, StatusTrimmed.")),
        ("manifestConditions", list(manifest).about("One a manifest.")),
    ])
    .about("What the member says.")
}
