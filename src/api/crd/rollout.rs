//! Our Rollout.

use super::{
    definition::{Column, Definition},
    schema::{
        Schema, anything, boolean, int32, int64, list, object, open_object, root, text, time,
    },
    shared::conditions,
};
use crate::api::kind;

/// `Rollout`.
pub(super) fn rollout() -> Definition {
    Definition {
        kind: kind::ROLLOUT,
        short: &[],
        versions: vec![(kind::ROLLOUT.version, schema())],
        columns: vec![
            Column::text("Revision", ".status.revision"),
            Column::text("Index", ".status.index"),
            Column::text("Stage", ".status.stage"),
            Column::text("Clusters", ".status.clusters"),
            Column::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            Column::age(),
            Column::text("Message", ".status.message"),
            Column::wide("Run", ".status.run"),
            Column::wide("Placement", ".spec.placementName"),
        ],
        status: true,
    }
}

fn schema() -> Schema {
    root([("spec", spec()), ("status", status())])
        .about("Ties manifests, a placement and a strategy together: what a commit changes there is rolled out.")
}

/// Git is where a Rollout is judged, with file and line. The hub takes what can be stored at all, so that the status of
/// one that makes no sense can say so: nothing is required, and no word or number refused.
fn spec() -> Schema {
    object([
        (
            "manifests",
            // Text or an object: a structural schema cannot say "either", so any value passes here.
            anything().about(
                "Where the content is, relative to the Rollout's file; or an object with path and a renderer.",
            ),
        ),
        ("placementName", text().about("The placement, in the Rollout's scope.")),
        ("strategyName", text().about("The strategy, in the Rollout's scope.")),
        (
            "stages",
            list(open_object()).about("Stages as a strategy has them, instead of the name of one."),
        ),
        (
            "start",
            text().about("Automatic (the default): runs start by themselves. Manual: they wait for a person."),
        ),
        (
            "whenSuperseded",
            text().about("What a newer commit does to a run: Stop it (the default), or Queue behind it."),
        ),
        (
            "rollback",
            object([("strategyName", text().about("The strategy for reverts."))])
                .open()
                .about("A quicker lane for reverts."),
        ),
        (
            "failure",
            object([
                ("progressDeadline", text().about("How long nothing may move, such as 10m.")),
                ("maxStuckClusters", int32().about("How many clusters may be stuck.")),
                ("action", text().about("What happens then: Stop (the default), Rollback or Wait.")),
            ])
            .open()
            .about("When a run counts as failed, and what happens then."),
        ),
        ("history", int32().about("How many runs the status remembers, 1 to 100; 10 if left out.")),
        ("suspend", boolean().about("Stops the run, and starts none, until it is false again.")),
    ])
    .open()
    .about("What rolls out, where, and how. Git owns it.")
}

fn status() -> Schema {
    object([
        ("observedGeneration", int64().about("The generation that the status speaks of.")),
        (
            "conditions",
            conditions("Ready, Reconciling and Stalled; SourceVerified, Rendered, Applied, Bound, Healthy; Pinned."),
        ),
        ("source", source()),
        ("commit", text().about("Full id of the commit whose content is rolled out.")),
        ("revision", text().about("The commit in eight digits.")),
        ("contentDigest", text().about("Digest of the content.")),
        ("index", text().about("The resource snapshot index that was proved to hold the content.")),
        (
            "refusedIndex",
            text().about("The newest index that turned out not to hold the content, while none does."),
        ),
        ("run", text().about("The staged update run.")),
        (
            "plan",
            text().about("Digest of the run's plan: stages, clusters in order, index, content. What approvers may sign."),
        ),
        ("stage", text().about("Its stage, such as 2/3 canary.")),
        ("clusters", text().about("How many of its clusters are done, such as 15/100.")),
        (
            "message",
            text().about("What is so, what it waits on, since when, and who can help."),
        ),
        ("waitsFor", text().about("What the run waits for and since when; absent when it waits for nothing.")),
        ("unboundSince", time().about("Since when no snapshot holds the content, while that is so.")),
        ("pinned", pinned()),
        ("inventory", inventory()),
        ("approvals", approvals()),
        ("history", history()),
    ])
    // A daemon one release ahead of this definition must not lose its memory.
    .open()
    .about("Where the Rollout is. It is the daemon's only memory.")
}

fn pinned() -> Schema {
    object([
        ("commit", text().about("Full id of the commit that was rolled back.")),
        ("contentDigest", text().about("Digest of its content.")),
        ("to", text().about("Full id of the commit that it was rolled back to.")),
        ("message", text().about("Why: which clusters were stuck, or since when nothing moved.")),
    ])
    .open()
    .about("A commit that the failure policy rolled back. It is not tried again, until Git has other content.")
}

fn source() -> Schema {
    object([
        ("repository", text().about("The repository, without credentials.")),
        ("ref", text().about("The branch.")),
        ("folder", text().about("The followed folder of it; absent for all of it.")),
        ("path", text().about("The Rollout's file.")),
        ("commit", text().about("The newest commit that was accepted.")),
        ("policyCommit", text().about("The commit whose policy is in force.")),
    ])
    .open()
    .about("Where the Rollout comes from, and how far Git was read.")
}

fn inventory() -> Schema {
    list(
        object([
            ("group", text().about("Empty for the core group.")),
            ("kind", text().about("Kind.")),
            ("namespace", text().about("Empty for cluster-scoped objects.")),
            ("name", text().about("Name.")),
        ])
        .require(["kind", "name"]),
    )
    .about("What was applied for this Rollout: what may be pruned.")
}

fn approvals() -> Schema {
    list(
        object([
            ("commit", text().about("The commit that brought it.")),
            (
                "signed",
                text().about("Digest of the words that were signed: under another commit's id they are the same approval."),
            ),
            ("path", text().about("Its file.")),
            (
                "rollout",
                text().about(
                    "The Rollout that it names, as written; empty for a change of the policy.",
                ),
            ),
            ("target", text().about("The commit that it approves.")),
            ("stage", text().about("The stage.")),
            ("task", text().about("BeforeStage or AfterStage.")),
            ("decision", text().about("Approve or Reject.")),
            ("plan", text().about("The plan that it names, if it names one.")),
            ("expires", time().about("Not after.")),
            ("by", text().about("Who signed.")),
            ("state", text().about("Pending, Applied, Rejected or Refused.")),
            ("reason", text().about("A word for machines.")),
            ("message", text().about("A sentence for people.")),
            ("run", text().about("The run that it was used for, once.")),
        ])
        .open(),
    )
    .about("Signed approvals, newest last.")
}

fn history() -> Schema {
    list(
        object([
            ("commit", text().about("Full commit id.")),
            ("contentDigest", text().about("Digest of the content.")),
            ("resourceHash", text().about("Fleet's hash of the snapshot.")),
            ("index", text().about("Resource snapshot index.")),
            ("run", text().about("The run's name.")),
            (
                "outcome",
                text().about("Active, Succeeded, Failed, Superseded, RolledBack or Deleted."),
            ),
            ("started", time().about("When the run was made.")),
            ("ended", time().about("When it was over.")),
            ("message", text().about("Why it failed, or by what it was superseded.")),
            ("failure", text().about("Why the failure policy stopped it.")),
            (
                "rolledBackTo",
                text().about("Full id of the commit that the failure policy rolled it back to."),
            ),
        ])
        .open(),
    )
    .about("Runs, newest last.")
}
