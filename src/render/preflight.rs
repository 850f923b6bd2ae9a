//! Would this run initialize? Asked before the run exists (fleet-semantics §5.4, §5.5).

use crate::{
    api::run::RunSpec,
    model::Scope,
    rollout::{Run, Seen, rehearse},
};

/// Why a run would not initialize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is about.
    pub nature: Nature,
    /// What Fleet would say.
    pub detail: String,
    /// What would help.
    pub hint: Option<String>,
}

/// What an obstacle is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Something that is being scheduled, or written: it goes away by itself.
    Passing,
    /// The strategy, beside the clusters that there are: no run can be made with it, whatever it rolls out.
    Strategy,
    /// Something else that somebody has to mend.
    Other,
}

/// What Fleet says, what that is about, and what helps. The first that fits counts.
const KNOWN: &[(&str, Nature, &str)] = &[
    (
        "parent placement not found",
        Nature::Other,
        "commit the placement next to the Rollout, or create it on the hub",
    ),
    (
        "does not have an external rollout strategy",
        Nature::Other,
        "set the placement's spec.strategy.type to External",
    ),
    ("no latest policy snapshot found", Nature::Passing, "the placement is being looked at"),
    ("not fully scheduled yet", Nature::Passing, "the scheduler is choosing clusters"),
    (
        "no scheduled or to-be-deleted bindings",
        Nature::Passing,
        "no cluster is chosen: join one that the placement's policy selects",
    ),
    (
        "is not equal to the observed cluster count",
        Nature::Passing,
        "the scheduler is choosing clusters",
    ),
    ("might observe a transient state", Nature::Passing, "the scheduler is choosing clusters"),
    ("no resourceSnapshots with index", Nature::Passing, "the snapshot is being written"),
    ("no master resourceSnapshot", Nature::Passing, "the snapshot is being written"),
    (
        "referenced updateStrategy not found",
        Nature::Strategy,
        "commit the strategy, create it on the hub, or write `stages` into the Rollout",
    ),
    (
        "appears in more than one stages",
        Nature::Strategy,
        "make the stages' label selectors exclude each other",
    ),
    (
        "are not placed in any stage",
        Nature::Strategy,
        "label these clusters for a stage, or add a last stage that selects them",
    ),
    (
        "the sorting label",
        Nature::Strategy,
        "give every cluster of the stage this label with an integer value, or drop sortingLabelKey",
    ),
    ("stage tasks are invalid", Nature::Strategy, "mend the stage's tasks in the strategy"),
    (
        "label selector is invalid",
        Nature::Strategy,
        "mend the stage's labelSelector in the strategy",
    ),
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
        nature: known.map_or(Nature::Other, |(_, nature, _)| *nature),
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
