//! A binding's status, judged from its works (fleet-semantics §7.1).

use std::sync::Arc;

use jiff::Timestamp;

use serde_json::Value;

use super::{
    report::rebuild,
    work::{DIFFS, DRIFTS, FIRST_DIFFED, FIRST_DRIFTED, OBSERVED, OBSERVED_GENERATION},
    works::WorksError,
};
use crate::api::{
    Binding, Work,
    binding::{
        APPLIED, AVAILABLE, BindingStatus, DIFF_REPORTED, OVERRIDDEN, ROLLOUT_STARTED,
        WORK_SYNCHRONIZED,
    },
    condition::{self, Claim, Truth},
    placement::ApplyStrategy,
    reference::{FailedPlacement, ResourceIdentifier},
    work::ManifestCondition,
};

/// How many objects each list of a status has at most.
const MOST: usize = 100;

/// How bringing the works up to date went.
#[derive(Clone, Debug)]
pub enum Sync<'a> {
    /// Every work says what the binding says; `changed` if agents got something to do just now.
    Done {
        /// The works.
        works: &'a [Arc<Work>],
        /// Whether the content of any was written in this pass.
        changed: bool,
    },
    /// The works could not be made.
    NotMade(&'a WorksError),
    /// The works could not be written.
    NotWritten(String),
}

/// Returns a binding's status. What the rollout wrote (`RolloutStarted`) stays.
pub fn status(binding: &Binding, sync: &Sync<'_>, now: Timestamp) -> BindingStatus {
    let held = binding.status.clone().unwrap_or_default();
    let generation = binding.metadata.generation.unwrap_or_default();
    let mut claims = Vec::new();
    let mut lists = Lists::default();
    match sync {
        Sync::NotMade(error) => claims.push(Claim::new(
            OVERRIDDEN,
            Truth::False,
            "OverriddenFailed",
            format!("Failed to apply the override rules on the resources: {error}"),
        )),
        Sync::NotWritten(error) => {
            claims.push(overridden());
            claims.push(Claim::new(
                WORK_SYNCHRONIZED,
                Truth::False,
                "SyncWorkFailed",
                format!("Failed to synchronize the work to the latest: {error}"),
            ));
        }
        Sync::Done { works, changed } => {
            claims.push(overridden());
            claims.push(Claim::new(
                WORK_SYNCHRONIZED,
                Truth::True,
                "AllWorkSynced",
                "All of the works are synchronized to the latest",
            ));
            let just_now = *changed || in_progress(binding);
            if binding.spec.apply_strategy.as_ref().is_some_and(ApplyStrategy::only_reports) {
                let reported = reported(works, just_now);
                lists.diffed = if reported.truth == Truth::True { diffs(works) } else { None };
                claims.push(reported);
            } else {
                let applied = applied(works, just_now);
                let is_applied = applied.truth == Truth::True;
                claims.push(applied);
                if is_applied {
                    claims.push(available(works));
                }
                lists = Lists::of(works, is_applied);
            }
        }
    }
    let mut conditions = Vec::new();
    conditions.extend(condition::find(&held.conditions, ROLLOUT_STARTED).cloned());
    conditions.extend(rebuild(&held.conditions, claims, generation, now));
    BindingStatus {
        conditions,
        failed_placements: lists.failed,
        drifted_placements: lists.drifted,
        diffed_placements: lists.diffed,
    }
}

/// The objects that a binding tells of.
#[derive(Default)]
struct Lists {
    failed: Option<Vec<FailedPlacement>>,
    drifted: Option<Vec<Value>>,
    diffed: Option<Vec<Value>>,
}

impl Lists {
    /// Returns the lists once every work has been through it: what is told before may be of an earlier content.
    fn of(works: &[Arc<Work>], is_applied: bool) -> Self {
        if works.iter().any(|work| fresh(work, APPLIED).is_none()) {
            return Self::default();
        }
        Self {
            failed: Some(failures(works)).filter(|failed| !failed.is_empty()),
            drifted: drifts(works),
            // Nothing is left to be taken over where everything is applied.
            diffed: if is_applied { None } else { diffs(works) },
        }
    }
}

fn overridden() -> Claim {
    Claim::new(
        OVERRIDDEN,
        Truth::True,
        "NoOverrideSpecified",
        "No override rules are configured for the selected resources",
    )
}

/// Returns whether the status says, of this generation, that agents have just been given work.
fn in_progress(binding: &Binding) -> bool {
    let conditions = binding.status.iter().flat_map(|status| &status.conditions);
    let mut fresh =
        conditions.filter(|held| held.observed_generation == binding.metadata.generation);
    fresh.any(|held| ["ApplyInProgress", "DiffReportInProgress"].contains(&held.reason.as_str()))
}

fn fresh(work: &Work, kind: &str) -> Option<Truth> {
    let conditions = &work.status.as_ref()?.conditions;
    condition::fresh_truth(conditions, kind, work.metadata.generation.unwrap_or_default())
}

fn name(work: &Work) -> &str {
    work.metadata.name.as_deref().unwrap_or_default()
}

fn applied(works: &[Arc<Work>], just_now: bool) -> Claim {
    let incomplete =
        works.iter().find(|work| !matches!(fresh(work, APPLIED), Some(Truth::True | Truth::False)));
    if let Some(work) = incomplete {
        return match just_now {
            true => {
                Claim::new(APPLIED, Truth::False, "ApplyInProgress", "Resources are being applied")
            }
            false => Claim::new(
                APPLIED,
                Truth::False,
                "NotAllWorkHaveBeenApplied",
                format!("Work object {} has not yet completed the apply op", name(work)),
            ),
        };
    }
    match works.iter().find(|work| fresh(work, APPLIED) == Some(Truth::False)) {
        Some(work) => Claim::new(
            APPLIED,
            Truth::False,
            "NotAllWorkHaveBeenApplied",
            format!("Work object {} has failed to apply", name(work)),
        ),
        None => Claim::new(
            APPLIED,
            Truth::True,
            "AllWorkHaveBeenApplied",
            "All corresponding work objects are applied",
        ),
    }
}

fn available(works: &[Arc<Work>]) -> Claim {
    for work in works {
        let what = match fresh(work, AVAILABLE) {
            Some(Truth::True) => continue,
            Some(Truth::False) => "is not yet available",
            _ => "has not yet completed availability check",
        };
        return Claim::new(
            AVAILABLE,
            Truth::False,
            "NotAllWorkAreAvailable",
            format!("Work object {} {what}", name(work)),
        );
    }
    let untrackable = works.iter().find(|work| {
        let conditions = work.status.as_ref().map(|status| &status.conditions);
        conditions
            .and_then(|conditions| condition::find(conditions, AVAILABLE))
            .is_some_and(|available| available.reason == "WorkNotTrackable")
    });
    match untrackable {
        Some(work) => Claim::new(
            AVAILABLE,
            Truth::True,
            "NotAllWorkAreAvailabilityTrackable",
            format!("The availability of work object {} is not trackable", name(work)),
        ),
        None => Claim::new(
            AVAILABLE,
            Truth::True,
            "AllWorkAreAvailable",
            "All corresponding work objects are available",
        ),
    }
}

fn reported(works: &[Arc<Work>], just_now: bool) -> Claim {
    let no = |reason: &'static str, message: String| {
        Claim::new(DIFF_REPORTED, Truth::False, reason, message)
    };
    let incomplete = works
        .iter()
        .find(|work| !matches!(fresh(work, DIFF_REPORTED), Some(Truth::True | Truth::False)));
    if let Some(work) = incomplete {
        return match just_now {
            true => {
                no("DiffReportInProgress", "Diff reporting on resources is in progress".to_owned())
            }
            false => no(
                "NotAllWorkHaveDiffReported",
                format!("Work object {} has not yet completed diff reporting", name(work)),
            ),
        };
    }
    match works.iter().find(|work| fresh(work, DIFF_REPORTED) == Some(Truth::False)) {
        Some(work) => no(
            "NotAllWorkHaveDiffReported",
            format!("Work object {} has failed to report diff", name(work)),
        ),
        None => Claim::new(
            DIFF_REPORTED,
            Truth::True,
            "AllWorkHaveDiffReported",
            "All corresponding work objects have reported diff",
        ),
    }
}

fn manifests(works: &[Arc<Work>]) -> impl Iterator<Item = &ManifestCondition> {
    let statuses = works.iter().filter_map(|work| work.status.as_ref());
    statuses.flat_map(|status| &status.manifest_conditions)
}

fn drifts(works: &[Arc<Work>]) -> Option<Vec<Value>> {
    differing(works, |manifest| manifest.drift_details.as_ref(), FIRST_DRIFTED, DRIFTS)
}

fn diffs(works: &[Arc<Work>]) -> Option<Vec<Value>> {
    differing(works, |manifest| manifest.diff_details.as_ref(), FIRST_DIFFED, DIFFS)
}

/// Returns the objects that differ, as bindings and placements tell it.
fn differing(
    works: &[Arc<Work>],
    details: fn(&ManifestCondition) -> Option<&Value>,
    first: &str,
    list: &str,
) -> Option<Vec<Value>> {
    let found = manifests(works).filter_map(|manifest| {
        let details = details(manifest)?;
        let mut told = serde_json::to_value(identifier(manifest)).ok()?;
        for field in [OBSERVED, first, list] {
            told[field] = details[field].clone();
        }
        if let Some(generation) = details.get(OBSERVED_GENERATION) {
            told["targetClusterObservedGeneration"] = generation.clone();
        }
        Some(told)
    });
    let found: Vec<Value> = found.take(MOST).collect();
    (!found.is_empty()).then_some(found)
}

fn identifier(manifest: &ManifestCondition) -> ResourceIdentifier {
    let id = &manifest.identifier;
    ResourceIdentifier {
        group: id.group.clone(),
        version: id.version.clone(),
        kind: id.kind.clone(),
        name: id.name.clone(),
        namespace: id.namespace.clone(),
        envelope: None,
    }
}

/// Returns the objects that are not applied, or not available.
fn failures(works: &[Arc<Work>]) -> Vec<FailedPlacement> {
    manifests(works).filter_map(failure).take(MOST).collect()
}

fn failure(manifest: &ManifestCondition) -> Option<FailedPlacement> {
    let wrong = [APPLIED, AVAILABLE].into_iter().find_map(|kind| {
        condition::find(&manifest.conditions, kind).filter(|held| held.status == "False")
    })?;
    Some(FailedPlacement { identifier: identifier(manifest), condition: Some(wrong.clone()) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": generation, "lastTransitionTime": at(1).to_string()})
    }

    fn work(name: &str, conditions: Vec<Value>) -> Arc<Work> {
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "generation": 2}, "spec": {}, "status": {"conditions": conditions}})).unwrap())
    }

    fn binding() -> Binding {
        serde_json::from_value(json!({"metadata": {"generation": 5}, "spec": {"state": "Bound", "targetCluster": "a", "clusterDecision": {"clusterName": "a"}},
            "status": {"conditions": [condition("RolloutStarted", "True", "RolloutStarted", 5)]}}))
        .unwrap()
    }

    fn summary(sync: &Sync<'_>) -> String {
        let status = status(&binding(), sync, at(9));
        let texts: Vec<_> = status
            .conditions
            .iter()
            .map(|held| format!("{}={} {}", held.type_, held.status, held.reason))
            .collect();
        texts.join(", ")
    }

    #[test]
    fn works_say_how_the_binding_is() {
        const BEFORE: &str = "RolloutStarted=True RolloutStarted, Overridden=True NoOverrideSpecified, WorkSynchronized=True AllWorkSynced";
        let applied = condition("Applied", "True", "AllManifestsApplied", 2);
        let available = condition("Available", "True", "AllManifestsAvailable", 2);
        for (works, changed, want) in [
            (vec![work("a", vec![])], true, "Applied=False ApplyInProgress"),
            (vec![work("a", vec![])], false, "Applied=False NotAllWorkHaveBeenApplied"),
            (
                vec![work("a", vec![condition("Applied", "True", "", 1)])],
                false,
                "Applied=False NotAllWorkHaveBeenApplied",
            ),
            (
                vec![work("a", vec![condition("Applied", "False", "", 2)])],
                false,
                "Applied=False NotAllWorkHaveBeenApplied",
            ),
            (
                vec![work("a", vec![applied.clone()])],
                false,
                "Applied=True AllWorkHaveBeenApplied, Available=False NotAllWorkAreAvailable",
            ),
            (
                vec![
                    work("a", vec![applied.clone(), available.clone()]),
                    work("b", vec![applied.clone(), condition("Available", "False", "", 2)]),
                ],
                false,
                "Applied=True AllWorkHaveBeenApplied, Available=False NotAllWorkAreAvailable",
            ),
            (
                vec![work("a", vec![applied.clone(), available.clone()])],
                true,
                "Applied=True AllWorkHaveBeenApplied, Available=True AllWorkAreAvailable",
            ),
            (
                vec![work(
                    "a",
                    vec![applied, condition("Available", "True", "WorkNotTrackable", 2)],
                )],
                true,
                "Applied=True AllWorkHaveBeenApplied, Available=True NotAllWorkAreAvailabilityTrackable",
            ),
        ] {
            assert_eq!(
                summary(&Sync::Done { works: &works, changed }),
                format!("{BEFORE}, {want}")
            );
        }
        let error = WorksError::Unsupported("no".into());
        assert_eq!(
            summary(&Sync::NotMade(&error)),
            "RolloutStarted=True RolloutStarted, Overridden=False OverriddenFailed"
        );
        assert_eq!(
            summary(&Sync::NotWritten("no".into())),
            "RolloutStarted=True RolloutStarted, Overridden=True NoOverrideSpecified, WorkSynchronized=False SyncWorkFailed"
        );
    }
}
