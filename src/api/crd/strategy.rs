//! Staged update strategies (fleet-semantics §2.1).

use super::{
    definition::Definition,
    schema::{Schema, int_or_text, list, object, root, text},
    shared::label_selector,
};
use crate::api::kind;

/// Hours, minutes and seconds, as Fleet lets a timed wait be written.
const WAIT_TIME: &str = r"^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:s|m|h))+$";

/// `ClusterStagedUpdateStrategy`. Its status subresource is on although it has no status, as upstream's is.
pub(super) fn cluster() -> Definition {
    Definition::of_fleet(
        kind::CLUSTER_STAGED_UPDATE_STRATEGY,
        &["csus"],
        |_| {
            root([("spec", spec())])
                .require(["spec"])
                .about("Stages that cluster-scoped update runs go through.")
        },
        Vec::new(),
    )
}

/// `StagedUpdateStrategy`.
pub(super) fn namespaced() -> Definition {
    Definition::of_fleet(
        kind::STAGED_UPDATE_STRATEGY,
        &["sus"],
        |_| {
            root([("spec", spec())])
                .require(["spec"])
                .about("Stages that update runs of its namespace go through.")
        },
        Vec::new(),
    )
    .without_status()
}

fn spec() -> Schema {
    with_stages(text().pattern(WAIT_TIME))
}

/// The copy that a run keeps. A Go controller writes `500ms` for `0.5s` there, which the pattern of the specification
/// would refuse, so this one is without.
pub(super) fn snapshot() -> Schema {
    with_stages(text())
}

fn with_stages(wait_time: Schema) -> Schema {
    let stages = list(stage(wait_time)).items_at_most(31).about("In the order of execution.");
    object([("stages", stages)]).require(["stages"]).about("The stages.")
}

fn stage(wait_time: Schema) -> Schema {
    object([
        (
            "name",
            text()
                .chars(0, 63)
                .pattern("^[a-z0-9]+$")
                .about("Name of the stage: lower case letters and digits; unique in the strategy."),
        ),
        (
            "labelSelector",
            label_selector()
                .about("Picks the stage's clusters by label. Absent picks none; {} picks all."),
        ),
        (
            "sortingLabelKey",
            text().about(
                "Label whose whole-number value orders the clusters, lowest first. Without it they go by name.",
            ),
        ),
        (
            "maxConcurrency",
            int_or_text()
                .pattern("^(100|[1-9][0-9]?)%$")
                .default(1)
                .rule(
                    "type(self) != int || self >= 1",
                    "maxConcurrency must be at least 1",
                )
                .about(
                    "How many clusters update at a time: a number, or a percentage of the stage rounded down, at least one.",
                ),
        ),
        (
            "beforeStageTasks",
            list(task(wait_time.clone()))
                .items_at_most(1)
                .rule(
                    "!self.exists(t, t.type == 'Approval' && has(t.waitTime))",
                    "AfterStageTaskType is Approval, waitTime is not allowed",
                )
                .rule(
                    "!self.exists(t, t.type == 'TimedWait')",
                    "BeforeStageTaskType cannot be TimedWait",
                )
                .about("Gates before the stage."),
        ),
        (
            "afterStageTasks",
            list(task(wait_time))
                .items_at_most(2)
                .rule(
                    "!self.exists(t, t.type == 'Approval' && has(t.waitTime))",
                    "AfterStageTaskType is Approval, waitTime is not allowed",
                )
                .rule(
                    "!self.exists(t, t.type == 'TimedWait' && !has(t.waitTime))",
                    "AfterStageTaskType is TimedWait, waitTime is required",
                )
                .about("Gates after the stage."),
        ),
    ])
    .require(["name"])
}

fn task(wait_time: Schema) -> Schema {
    object([
        (
            "type",
            text().one_of(["TimedWait", "Approval"]).about("Wait for a while, or for a person."),
        ),
        ("waitTime", wait_time.about("How long, such as 1h30m; for TimedWait.")),
    ])
    .require(["type"])
}
