//! What a member's agent reports of a work (fleet-semantics §7.3 to §7.6).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{apply::Refusal, availability::Availability, compare::Detail, report::rebuild};
use crate::api::{
    Work,
    binding::{APPLIED, AVAILABLE, DIFF_REPORTED},
    condition::{Claim, Truth, whole_seconds},
    placement::ApplyStrategy,
    work::{ManifestCondition, WorkResourceIdentifier, WorkStatus},
};

/// Fields of what is told about differences.
pub(super) const OBSERVED: &str = "observationTime";
pub(super) const OBSERVED_GENERATION: &str = "observedInMemberClusterGeneration";
pub(super) const FIRST_DRIFTED: &str = "firstDriftedObservedTime";
pub(super) const FIRST_DIFFED: &str = "firstDiffedObservedTime";
pub(super) const DRIFTS: &str = "observedDrifts";
pub(super) const DIFFS: &str = "observedDiffs";

/// What came of one manifest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub identifier: WorkResourceIdentifier,
    /// The generation of the object on the member, 0 for kinds without; none where there is no object.
    pub generation: Option<i64>,
    /// What was done with it, or why nothing was.
    pub result: Result<Done, Refusal>,
}

/// What was done with a manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// It was applied.
    Applied {
        /// Whether the object is available.
        availability: Availability,
        /// How it differs all the same, if that was asked.
        drifts: Vec<Detail>,
    },
    /// It was compared, and nothing was written.
    Compared(Vec<Detail>),
}

/// Returns whether a work is there to be compared with what the member has, and not to be applied.
pub fn only_reports(work: &Work) -> bool {
    work.spec.apply_strategy.as_ref().is_some_and(ApplyStrategy::only_reports)
}

/// Returns the identity of manifest number `ordinal`, without its resource, which only the member knows.
pub fn identify(ordinal: usize, manifest: &Value) -> WorkResourceIdentifier {
    let id = super::select::identifier(manifest);
    WorkResourceIdentifier {
        ordinal: i64::try_from(ordinal).unwrap_or(i64::MAX),
        group: id.group,
        version: id.version,
        kind: id.kind,
        resource: String::new(),
        namespace: id.namespace,
        name: id.name,
    }
}

/// Group, kind, namespace and name: what makes two identifiers mean the same object.
pub type Identity = (String, String, String, String);

/// Returns what makes two identifiers mean the same object.
pub fn identity(id: &WorkResourceIdentifier) -> Identity {
    (id.group.clone(), id.kind.clone(), id.namespace.clone(), id.name.clone())
}

/// Returns why a manifest cannot be processed, if so. `seen` collects the identities of the work's manifests.
pub fn malformed(manifest: &Value, seen: &mut BTreeSet<Identity>) -> Option<Refusal> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    let present = |pointer: &str| text(pointer).is_some_and(|text| !text.is_empty());
    if !present("/apiVersion") || !present("/kind") {
        return Some(Refusal::new("DecodingErred", "the manifest has no apiVersion or no kind"));
    }
    if !present("/metadata/name") {
        return Some(match present("/metadata/generateName") {
            true => {
                Refusal::new("FoundGenerateName", "objects with generate names are not supported")
            }
            false => Refusal::new("DecodingErred", "the manifest has no name"),
        });
    }
    (!seen.insert(identity(&identify(0, manifest))))
        .then(|| Refusal::new("Duplicated", "the manifest occurs more than once in the work"))
}

/// Returns the status that is written before anything is applied, if the work has objects that the status does not
/// name: after a crash they can be found and removed.
pub fn announce(
    work: &Work,
    wanted: &[WorkResourceIdentifier],
    now: Timestamp,
) -> Option<WorkStatus> {
    let mut status = work.status.clone().unwrap_or_default();
    let known: BTreeSet<Identity> =
        status.manifest_conditions.iter().map(|held| identity(&held.identifier)).collect();
    let news: Vec<_> = wanted.iter().filter(|id| !known.contains(&identity(id))).collect();
    if news.is_empty() {
        return None;
    }
    for id in news {
        let claim = Claim::new(
            APPLIED,
            Truth::False,
            "PreparingToProcess",
            "The manifest is being prepared for processing.",
        );
        status.manifest_conditions.push(ManifestCondition {
            identifier: id.clone(),
            conditions: rebuild(&[], vec![claim], 0, now).into_iter().map(bare).collect(),
            ..Default::default()
        });
    }
    Some(status)
}

/// Drops a generation of 0: kinds without generations have none.
fn bare(
    mut condition: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
    condition.observed_generation =
        condition.observed_generation.filter(|generation| *generation != 0);
    condition
}

/// Returns the identities that the status names and the work no longer has: what to remove from the member.
pub fn leftovers(work: &Work, wanted: &[WorkResourceIdentifier]) -> Vec<WorkResourceIdentifier> {
    let kept: BTreeSet<Identity> = wanted.iter().map(identity).collect();
    let held = work.status.iter().flat_map(|status| &status.manifest_conditions);
    held.map(|held| &held.identifier)
        .filter(|id| !id.name.is_empty() && !kept.contains(&identity(id)))
        .cloned()
        .collect()
}

/// Returns a work's status after all manifests went through.
pub fn status(work: &Work, outcomes: &[Outcome], now: Timestamp) -> WorkStatus {
    let held = work.status.clone().unwrap_or_default();
    let manifest_conditions: Vec<ManifestCondition> =
        outcomes.iter().map(|outcome| manifest(work, &held, outcome, now)).collect();
    let total = outcomes.len();
    let done = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    let claims = match only_reports(work) {
        true => vec![reported(done, total)],
        false => applied(outcomes, done, total),
    };
    let generation = work.metadata.generation.unwrap_or_default();
    WorkStatus {
        conditions: rebuild(&held.conditions, claims, generation, now),
        manifest_conditions,
    }
}

fn reported(done: usize, total: usize) -> Claim {
    match done == total {
        true => Claim::new(
            DIFF_REPORTED,
            Truth::True,
            "AllManifestsDiffReported",
            "All the specified manifests have reported diff",
        ),
        false => Claim::new(
            DIFF_REPORTED,
            Truth::False,
            "SomeManifestsHaveNotReportedDiff",
            format!(
                "Failed to report diff on all manifests ({done} of {total} manifests have reported diff)"
            ),
        ),
    }
}

fn applied(outcomes: &[Outcome], done: usize, total: usize) -> Vec<Claim> {
    let mut claims = vec![match done == total {
        true => Claim::new(
            APPLIED,
            Truth::True,
            "AllManifestsApplied",
            "All the specified manifests have been applied",
        ),
        false => Claim::new(
            APPLIED,
            Truth::False,
            "SomeManifestsAreNotApplied",
            format!("Failed to apply all manifests ({done} of {total} manifests are applied)"),
        ),
    }];
    if done == total {
        claims.push(available(outcomes));
    }
    claims
}

fn available(outcomes: &[Outcome]) -> Claim {
    let count = |wanted: Availability| {
        outcomes
            .iter()
            .filter(|outcome| matches!(&outcome.result, Ok(Done::Applied { availability, .. }) if *availability == wanted))
            .count()
    };
    let (total, not_yet) = (outcomes.len(), count(Availability::NotYet));
    if not_yet > 0 {
        let available = total - not_yet;
        return Claim::new(
            AVAILABLE,
            Truth::False,
            "SomeManifestsAreNotAvailable",
            format!(
                "Some manifests are not available ({available} of {total} manifests are available)"
            ),
        );
    }
    if count(Availability::Untrackable) > 0 {
        return Claim::new(
            AVAILABLE,
            Truth::True,
            "WorkNotTrackable",
            "Some of the applied manifests cannot be tracked for availability",
        );
    }
    Claim::new(
        AVAILABLE,
        Truth::True,
        "AllManifestsAvailable",
        "All of the applied manifests are available",
    )
}

fn manifest(
    work: &Work,
    held: &WorkStatus,
    outcome: &Outcome,
    now: Timestamp,
) -> ManifestCondition {
    let before = held
        .manifest_conditions
        .iter()
        .find(|held| identity(&held.identifier) == identity(&outcome.identifier));
    let conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let claims = match &outcome.result {
        Ok(Done::Applied { availability, .. }) => vec![
            Claim::new(APPLIED, Truth::True, "Applied", "Manifest has been applied successfully"),
            availability_of(*availability),
        ],
        Ok(Done::Compared(diffs)) => vec![compared(diffs)],
        Err(refusal) if only_reports(work) => vec![Claim::new(
            DIFF_REPORTED,
            Truth::False,
            "FailedToReportDiff",
            format!(
                "An error blocks the diff reporting process ({}, error: {})",
                refusal.reason, refusal.message
            ),
        )],
        Err(refusal) => vec![Claim::new(
            APPLIED,
            Truth::False,
            refusal.reason,
            format!("Failed to apply the manifest (error: {})", refusal.message),
        )],
    };
    let generation = outcome.generation;
    let conditions = rebuild(conditions, claims, generation.unwrap_or_default(), now);
    let (drifts, diffs): (&[Detail], &[Detail]) = match &outcome.result {
        Ok(Done::Applied { drifts, .. }) => (drifts, &[]),
        Ok(Done::Compared(diffs)) => (&[], diffs),
        Err(refusal) => (&refusal.drifts, &refusal.diffs),
    };
    let details = |found: &[Detail], generation, first, list, held: Option<&Value>| {
        (!found.is_empty()).then(|| difference(found, generation, first, list, held, now))
    };
    ManifestCondition {
        identifier: outcome.identifier.clone(),
        conditions: conditions.into_iter().map(bare).collect(),
        drift_details: details(
            drifts,
            Some(generation.unwrap_or_default()),
            FIRST_DRIFTED,
            DRIFTS,
            before.and_then(|before| before.drift_details.as_ref()),
        ),
        diff_details: details(
            diffs,
            generation,
            FIRST_DIFFED,
            DIFFS,
            before.and_then(|before| before.diff_details.as_ref()),
        ),
        back_reported_status: None,
    }
}

fn availability_of(availability: Availability) -> Claim {
    match availability {
        Availability::Available => {
            Claim::new(AVAILABLE, Truth::True, "Available", "Manifest is available")
        }
        Availability::NotYet => Claim::new(
            AVAILABLE,
            Truth::False,
            "ManifestNotAvailableYet",
            "Manifest is not yet available; Fleet will check again later",
        ),
        Availability::Untrackable => Claim::new(
            AVAILABLE,
            Truth::True,
            "NotTrackable",
            "Manifest's availability is not trackable; Fleet assumes that the applied manifest is available",
        ),
    }
}

fn compared(diffs: &[Detail]) -> Claim {
    match diffs.is_empty() {
        true => Claim::new(
            DIFF_REPORTED,
            Truth::True,
            "NoDiffFound",
            "No diff has been found between the hub cluster and the member cluster",
        ),
        false => Claim::new(
            DIFF_REPORTED,
            Truth::True,
            "FoundDiff",
            "Diff has been found between the hub cluster and the member cluster",
        ),
    }
}

fn difference(
    found: &[Detail],
    generation: Option<i64>,
    first: &str,
    list: &str,
    held: Option<&Value>,
    now: Timestamp,
) -> Value {
    let observed = whole_seconds(now).to_string();
    // The same differences keep the time at which they were seen: a status that says nothing new is not written.
    let same = held.filter(|held| held[list] == json!(found));
    let observation = same.map_or(json!(observed), |held| held[OBSERVED].clone());
    let since = held.map_or(json!(observed), |held| held[first].clone());
    let mut difference = json!({
        OBSERVED: observation,
        first: since,
        list: found,
    });
    if let Some(generation) = generation {
        difference[OBSERVED_GENERATION] = generation.into();
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn work(status: Value) -> Work {
        serde_json::from_value(
            json!({"metadata": {"name": "w", "generation": 3}, "spec": {}, "status": status}),
        )
        .unwrap()
    }

    fn outcome(name: &str, result: Result<Availability, Refusal>) -> Outcome {
        done(name, result.map(|availability| Done::Applied { availability, drifts: Vec::new() }))
    }

    fn done(name: &str, result: Result<Done, Refusal>) -> Outcome {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        Outcome { identifier: identify(0, &manifest), generation: Some(0), result }
    }

    #[test]
    fn a_work_is_as_good_as_its_worst_manifest() {
        use Availability::{Available, NotYet, Untrackable};
        let refused = || Err(Refusal::new("NotTakenOver", "no"));
        for (results, want) in [
            (vec![], "True AllManifestsApplied True AllManifestsAvailable"),
            (vec![Ok(Available)], "True AllManifestsApplied True AllManifestsAvailable"),
            (
                vec![Ok(Available), Ok(Untrackable)],
                "True AllManifestsApplied True WorkNotTrackable",
            ),
            (
                vec![Ok(Untrackable), Ok(NotYet)],
                "True AllManifestsApplied False SomeManifestsAreNotAvailable",
            ),
            (vec![Ok(Available), refused()], "False SomeManifestsAreNotApplied"),
        ] {
            let outcomes: Vec<_> = results.into_iter().map(|result| outcome("a", result)).collect();
            let status = status(&work(json!({})), &outcomes, at(9));
            let texts: Vec<_> = status
                .conditions
                .iter()
                .map(|held| format!("{} {}", held.status, held.reason))
                .collect();
            assert_eq!(texts.join(" "), want);
            assert!(status.conditions.iter().all(|held| held.observed_generation == Some(3)));
        }
    }

    #[test]
    fn a_status_that_says_nothing_new_is_the_same() {
        let refusal = Refusal {
            drifts: vec![Detail { path: "/a".into(), value_in_member: None, value_in_hub: None }],
            ..Refusal::new("FoundDrifts", "no")
        };
        let outcomes = [outcome("a", Err(refusal)), outcome("b", Ok(Availability::Available))];
        let mut first = work(json!({}));
        first.status = Some(status(&first, &outcomes, at(9)));
        assert_eq!(first.status, Some(status(&first, &outcomes, at(99))));
        let drift = first.status.unwrap().manifest_conditions[0].drift_details.clone().unwrap();
        assert_eq!(drift["observedDrifts"][0]["path"], "/a");
    }

    #[test]
    fn a_work_that_only_reports_tells_differences_and_nothing_else() {
        let mut work = work(json!({}));
        work.spec.apply_strategy = serde_json::from_value(json!({"type": "ReportDiff"})).unwrap();
        let detail = Detail { path: "/a".into(), value_in_member: None, value_in_hub: None };
        let found = done("a", Ok(Done::Compared(vec![detail])));
        let missing = Outcome { generation: None, ..found.clone() };
        let same = done("b", Ok(Done::Compared(Vec::new())));
        let refused = done("c", Err(Refusal::new("DecodingErred", "no")));
        let told = status(&work, &[found, missing, same.clone()], at(9));
        let text = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| {
            let texts = conditions.iter().map(|c| format!("{} {} {}", c.type_, c.status, c.reason));
            texts.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(text(&told.conditions), "DiffReported True AllManifestsDiffReported");
        let [found, missing, none] = &told.manifest_conditions[..] else { panic!() };
        assert_eq!(text(&found.conditions), "DiffReported True FoundDiff");
        assert_eq!(text(&none.conditions), "DiffReported True NoDiffFound");
        let diff = found.diff_details.as_ref().unwrap();
        assert_eq!(
            (&diff[DIFFS][0]["path"], &diff[OBSERVED_GENERATION]),
            (&json!("/a"), &json!(0))
        );
        assert!(missing.diff_details.as_ref().unwrap().get(OBSERVED_GENERATION).is_none());
        assert_eq!((&none.diff_details, &found.drift_details), (&None, &None));
        let told = status(&work, &[same, refused], at(9));
        assert_eq!(text(&told.conditions), "DiffReported False SomeManifestsHaveNotReportedDiff");
        let last = &told.manifest_conditions[1].conditions;
        assert_eq!(text(last), "DiffReported False FailedToReportDiff");
    }

    #[test]
    fn what_is_no_longer_wanted_is_found() {
        let (a, b) =
            (outcome("a", Ok(Availability::Available)), outcome("b", Ok(Availability::Available)));
        let mut held = work(json!({}));
        assert!(announce(&held, &[], at(9)).is_none());
        let ids = [a.identifier.clone(), b.identifier.clone()];
        held.status = announce(&held, &ids, at(9));
        assert!(announce(&held, &ids, at(9)).is_none());
        let left = leftovers(&held, std::slice::from_ref(&b.identifier));
        assert_eq!(left, [a.identifier]);
    }

    #[test]
    fn manifests_that_cannot_be_processed() {
        let named = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        let mut seen = BTreeSet::new();
        for (manifest, want) in [
            (named.clone(), None),
            (named, Some("Duplicated")),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}),
                Some("FoundGenerateName"),
            ),
            (json!({"apiVersion": "v1", "kind": "Pod"}), Some("DecodingErred")),
            (json!([]), Some("DecodingErred")),
        ] {
            assert_eq!(malformed(&manifest, &mut seen).map(|refusal| refusal.reason), want);
        }
    }
}
