//! Our Source.

use super::{
    definition::{Column, Definition},
    schema::{Schema, list, object, root, text, time},
};
use crate::api::kind;

/// `Source`.
pub(super) fn source() -> Definition {
    let definition = Definition {
        kind: kind::SOURCE,
        short: &[],
        versions: vec![(kind::SOURCE.version, schema())],
        columns: vec![
            Column::text("Repository", ".spec.repository"),
            Column::text("Ref", ".spec.ref"),
            Column::text("Folder", ".spec.folder"),
            Column::text("Commit", ".status.commit"),
            Column::date("Read", ".status.readAt"),
        ],
        status: true,
    };
    // One writer, and one write: nobody wishes for anything here.
    definition.without_status()
}

fn schema() -> Schema {
    root([("spec", spec()), ("status", status())]).about(
        "What a daemon has read of a branch. The daemon writes it; deleting it does no harm.",
    )
}

fn spec() -> Schema {
    object([
        ("repository", text().about("The repository, without credentials.")),
        ("ref", text().about("The branch.")),
        ("folder", text().about("The followed folder of it; absent for all of it.")),
    ])
    .about("Which branch, and which folder of it.")
}

fn status() -> Schema {
    object([
        ("commit", text().about("Full id of the newest commit that was read.")),
        ("readAt", time().about("When that was.")),
        ("readings", readings()),
        ("refused", refused()),
    ])
    .open()
    .about("How far it was read, and what for.")
}

fn readings() -> Schema {
    list(object([
        ("commit", text().about("Full id of the tip.")),
        (
            "passed",
            list(text())
                .about("The commits between the tip that was read before and this one, oldest first.")
                .atomic_list(),
        ),
        (
            "rollouts",
            list(text())
                .about("The Rollouts that it may change something for, as namespace/name; absent for all.")
                .atomic_list(),
        ),
    ]))
    .about("What was read lately, newest first.")
    .atomic_list()
}

fn refused() -> Schema {
    list(object([
        ("rollout", text().about("The Rollout, as namespace/name.")),
        ("owner", text().about("The source that it belongs to: repository, branch and folder.")),
    ]))
    .about("Rollouts that are in this source and belong to another.")
    .atomic_list()
}
