//! What a member's agent reports of a work (fleet-semantics §7.3 to §7.6).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{apply::Refusal, availability::Availability, compare::Detail, report::rebuild};
use crate::api::{
    Work,
    binding::{APPLIED, AVAILABLE},
    condition::{Claim, Truth, whole_seconds},
    work::{ManifestCondition, WorkResourceIdentifier, WorkStatus},
};

/// What came of one manifest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub identifier: WorkResourceIdentifier,
    /// The generation of the object on the member; 0 for kinds without.
    pub generation: i64,
    /// Whether it is applied, and if so, whether it is available.
    pub result: Result<Availability, Refusal>,
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
        outcomes.iter().map(|outcome| manifest(&held, outcome, now)).collect();
    let total = outcomes.len();
    let applied = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    let mut claims = vec![match applied == total {
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
            format!("Failed to apply all manifests ({applied} of {total} manifests are applied)"),
        ),
    }];
    if applied == total {
        claims.push(available(outcomes));
    }
    let generation = work.metadata.generation.unwrap_or_default();
    WorkStatus {
        conditions: rebuild(&held.conditions, claims, generation, now),
        manifest_conditions,
    }
}

fn available(outcomes: &[Outcome]) -> Claim {
    let count = |wanted: Availability| {
        outcomes
            .iter()
            .filter(|outcome| matches!(&outcome.result, Ok(held) if *held == wanted))
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

fn manifest(held: &WorkStatus, outcome: &Outcome, now: Timestamp) -> ManifestCondition {
    let before = held
        .manifest_conditions
        .iter()
        .find(|held| identity(&held.identifier) == identity(&outcome.identifier));
    let conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let claims = match &outcome.result {
        Ok(availability) => vec![
            Claim::new(APPLIED, Truth::True, "Applied", "Manifest has been applied successfully"),
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
            },
        ],
        Err(refusal) => vec![Claim::new(
            APPLIED,
            Truth::False,
            refusal.reason,
            format!("Failed to apply the manifest (error: {})", refusal.message),
        )],
    };
    let conditions = rebuild(conditions, claims, outcome.generation, now);
    let refusal = outcome.result.as_ref().err();
    let details =
        |found: fn(&Refusal) -> &Vec<Detail>, first: &str, list: &str, held: Option<&Value>| {
            let found = refusal.map(found).filter(|found| !found.is_empty())?;
            Some(difference(found, outcome.generation, first, list, held, now))
        };
    ManifestCondition {
        identifier: outcome.identifier.clone(),
        conditions: conditions.into_iter().map(bare).collect(),
        drift_details: details(
            |refusal| &refusal.drifts,
            "firstDriftedObservedTime",
            "observedDrifts",
            before.and_then(|before| before.drift_details.as_ref()),
        ),
        diff_details: details(
            |refusal| &refusal.diffs,
            "firstDiffedObservedTime",
            "observedDiffs",
            before.and_then(|before| before.diff_details.as_ref()),
        ),
        back_reported_status: None,
    }
}

fn difference(
    found: &[Detail],
    generation: i64,
    first: &str,
    list: &str,
    held: Option<&Value>,
    now: Timestamp,
) -> Value {
    let observed = whole_seconds(now).to_string();
    // The same differences keep the time at which they were seen: a status that says nothing new is not written.
    let same = held.filter(|held| held[list] == json!(found));
    let observation = same.map_or(json!(observed), |held| held["observationTime"].clone());
    let since = held.map_or(json!(observed), |held| held[first].clone());
    json!({
        "observationTime": observation,
        "observedInMemberClusterGeneration": generation,
        first: since,
        list: found,
    })
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
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        Outcome { identifier: identify(0, &manifest), generation: 0, result }
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
