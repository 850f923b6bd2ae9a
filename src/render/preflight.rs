//! Would this run initialize? Asked before the run exists (fleet-semantics §5.4, §5.5).

use crate::{
    api::run::RunSpec,
    model::Scope,
    rollout::{Run, Seen, rehearse},
};

/// Why a run would not initialize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Whether it goes away by itself: something is being scheduled, or written.
    pub passing: bool,
    /// What Fleet would say.
    pub detail: String,
    /// What would help.
    pub hint: Option<String>,
}

/// What Fleet says, whether that passes, and what helps. The first that fits counts.
const KNOWN: &[(&str, bool, &str)] = &[
    (
        "parent placement not found",
        false,
        "commit the placement next to the Rollout, or create it on the hub",
    ),
    (
        "does not have an external rollout strategy",
        false,
        "set the placement's spec.strategy.type to External",
    ),
    ("no latest policy snapshot found", true, "the placement is being looked at"),
    ("not fully scheduled yet", true, "the scheduler is choosing clusters"),
    (
        "no scheduled or to-be-deleted bindings",
        true,
        "no cluster is chosen: join one that the placement's policy selects",
    ),
    ("is not equal to the observed cluster count", true, "the scheduler is choosing clusters"),
    ("might observe a transient state", true, "the scheduler is choosing clusters"),
    ("no resourceSnapshots with index", true, "the snapshot is being written"),
    ("no master resourceSnapshot", true, "the snapshot is being written"),
    (
        "referenced updateStrategy not found",
        false,
        "commit the strategy, create it on the hub, or write `stages` into the Rollout",
    ),
    (
        "appears in more than one stages",
        false,
        "make the stages' label selectors exclude each other",
    ),
    (
        "are not placed in any stage",
        false,
        "label these clusters for a stage, or add a last stage that selects them",
    ),
    (
        "the sorting label",
        false,
        "give every cluster of the stage this label with an integer value, or drop sortingLabelKey",
    ),
    ("stage tasks are invalid", false, "mend the stage's tasks in the strategy"),
    ("label selector is invalid", false, "mend the stage's labelSelector in the strategy"),
];

/// Judges whether a run with this spec would initialize in the world as seen.
///
/// # Errors
/// The first obstacle, in Fleet's own order.
pub fn preflight(scope: &Scope, name: &str, spec: &RunSpec, seen: &Seen) -> Result<(), Obstacle> {
    let run = Run {
        scope: scope.clone(),
        name,
        generation: 1,
        created: None,
        deleting: false,
        finalized: true,
        spec,
        status: None,
    };
    let Err(detail) = rehearse(&run, seen) else { return Ok(()) };
    let known = KNOWN.iter().find(|(text, ..)| detail.contains(text));
    Err(Obstacle {
        passing: known.is_some_and(|(_, passing, _)| *passing),
        hint: known.map(|(_, _, hint)| (*hint).to_owned()),
        detail: plain(&detail),
    })
}

/// How Fleet's words begin (fleet-semantics §5.2).
const PREFIXES: &[&str] = &[
    "cannot continue the updateRun: ",
    "failed to validate the updateRun: ",
    "failed to process the request due to a client error: ",
    "unexpected behavior which cannot be handled by the controller: ",
];

/// Returns Fleet's words without the classification in front, which says nothing to people.
fn plain(detail: &str) -> String {
    let mut text = detail;
    for prefix in PREFIXES {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.to_owned()
}
