//! Our Rollout.

use super::{
    definition::{Column, Definition},
    schema::{Schema, boolean, int32, int64, list, object, open_object, root, text, time},
    shared::conditions,
};
use crate::api::kind;

/// `Rollout`.
pub(super) fn rollout() -> Definition {
    Definition {
        kind: kind::ROLLOUT,
        short: &["ro"],
        versions: vec![(kind::ROLLOUT.version, schema())],
        columns: vec![
            Column::text("Commit", ".status.commit"),
            Column::text("Index", ".status.index"),
            Column::text("Run", ".status.run"),
            Column::text("Stage", ".status.stage"),
            Column::text("Clusters", ".status.clusters"),
            Column::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            Column::text("Status", r#".status.conditions[?(@.type=="Ready")].message"#),
            Column::age(),
        ],
        status: true,
    }
}

fn schema() -> Schema {
    root([("spec", spec()), ("status", status())])
        .require(["spec"])
        .about("Ties manifests, a placement and a strategy together: what a commit changes there is rolled out.")
}

fn spec() -> Schema {
    object([
        (
            "manifests",
            // Text, or {path, kustomize} or {path, helm}: a structural schema cannot say "either", so it is left open.
            super::schema::anything()
                .about("Folder of what rolls out, relative to this file; or {path, kustomize: {}} or {path, helm: {…}}."),
        ),
        ("placementName", text().chars(1, 253).about("The placement, in the Rollout's scope.")),
        ("strategyName", text().chars(1, 253).about("The strategy, in the Rollout's scope.")),
        ("stages", list(open_object()).items_at_most(31).about("Stages, instead of a strategy's name.")),
        (
            "start",
            text().one_of(["Automatic", "Manual"]).default("Automatic").about("Whether runs start by themselves."),
        ),
        (
            "whenSuperseded",
            text()
                .one_of(["Stop", "Queue"])
                .default("Stop")
                .about("Whether a newer commit stops a run or waits for its end."),
        ),
        (
            "rollback",
            object([("strategyName", text().about("The strategy for reverts."))])
                .about("A quicker lane for reverts."),
        ),
        (
            "failure",
            object([
                ("progressDeadline", text().about("How long a run may make no progress, such as 10m.")),
                ("maxStuckClusters", int32().at_least(0).default(0).about("How many clusters may be stuck.")),
                (
                    "action",
                    text().one_of(["Stop", "Rollback", "Wait"]).default("Stop").about("What happens then."),
                ),
            ])
            .about("When a run counts as failed, and what happens then."),
        ),
        ("history", int32().at_least(1).at_most(100).default(10).about("How many past commits are remembered.")),
        ("suspend", boolean().default(false).about("Stops everything until it is false again.")),
    ])
    .rule(
        "!(has(self.strategyName) && has(self.stages))",
        "strategyName and stages are mutually exclusive",
    )
    .require(["manifests", "placementName"])
    .about("What rolls out, where, and how.")
}

fn status() -> Schema {
    object([
        ("observedGeneration", int64().about("Generation that the status speaks of.")),
        ("commit", text().about("The commit that is rolled out, or was last.")),
        ("index", text().about("Its resource snapshot index.")),
        ("run", text().about("Its staged update run.")),
        ("stage", text().about("Where the run is, such as canary 2/3.")),
        ("clusters", text().about("How many clusters are done, such as 15/100.")),
        ("lastHandledTime", time().about("When the status was last written.")),
        ("conditions", conditions("Ready, Reconciling, Stalled and more.")),
        ("history", list(open_object()).about("Past commits, newest first.")),
    ])
    .open()
    .about("Where the Rollout is.")
}
