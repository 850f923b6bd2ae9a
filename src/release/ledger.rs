//! Commit, digest, index, run, outcome: rebuilt from what is on the hub.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        Run,
        condition::{self, Truth},
        meta,
        rollout::{
            OUTCOME_ACTIVE, OUTCOME_DELETED, OUTCOME_FAILED, OUTCOME_ROLLED_BACK,
            OUTCOME_SUCCEEDED, OUTCOME_SUPERSEDED, Release,
        },
        run::{INITIALIZED, SUCCEEDED},
    },
    model::CommitId,
};

/// Number of the release in its Rollout's ledger, on runs of ours.
pub const RELEASE: &str = "gitops.tidegate.dev/release";
/// Fleet's hash of the content that was proved, on runs of ours.
pub const RESOURCE_HASH: &str = "gitops.tidegate.dev/resource-hash";
/// Why we stopped a run.
pub const STOPPED_BY: &str = "gitops.tidegate.dev/stopped-by";
/// [`STOPPED_BY`]: a newer commit took over. Such a run is never resumed.
pub const STOPPED_SUPERSEDED: &str = "superseded";

/// Why the failure policy stopped a run. Never removed: a run that somebody resumed is not stopped for it again.
pub const FAILURE: &str = "gitops.tidegate.dev/failure";
/// Full id of the commit that the failure policy rolled a run back to. Never removed.
pub const ROLLED_BACK_TO: &str = "gitops.tidegate.dev/rolled-back-to";

/// Returns an annotation of a run.
pub fn annotation<'a>(run: &'a Run, key: &str) -> Option<&'a str> {
    run.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Returns what a run of ours says about itself; nothing for anybody else's run.
pub fn release_of(run: &Run) -> Option<(u64, Release)> {
    annotation(run, meta::ROLLOUT)?;
    let conditions = run.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let index = run
        .status
        .as_ref()
        .and_then(|status| status.resource_snapshot_index_used.clone())
        .or_else(|| run.spec.resource_snapshot_index.clone())
        .filter(|index| !index.is_empty());
    let failed = [SUCCEEDED, INITIALIZED]
        .iter()
        .find(|kind| condition::truth(conditions, kind) == Some(Truth::False));
    let over = |kind: &str| condition::find(conditions, kind);
    let (outcome, end) = match failed {
        _ if condition::is_true(conditions, SUCCEEDED) => (OUTCOME_SUCCEEDED, over(SUCCEEDED)),
        // What came after it may well have taken its clusters, so that it fails in the end.
        _ if annotation(run, ROLLED_BACK_TO).is_some() => (OUTCOME_ROLLED_BACK, None),
        Some(kind) => (OUTCOME_FAILED, over(kind)),
        None if annotation(run, STOPPED_BY) == Some(STOPPED_SUPERSEDED) => {
            (OUTCOME_SUPERSEDED, None)
        }
        None => (OUTCOME_ACTIVE, None),
    };
    let release = Release {
        commit: annotation(run, meta::COMMIT).unwrap_or_default().to_owned(),
        content_digest: annotation(run, meta::CONTENT_DIGEST).unwrap_or_default().to_owned(),
        resource_hash: annotation(run, RESOURCE_HASH)
            .filter(|hash| !hash.is_empty())
            .map(str::to_owned),
        index,
        run: run.metadata.name.clone().unwrap_or_default(),
        outcome: outcome.to_owned(),
        started: run.metadata.creation_timestamp.clone(),
        ended: end.map(|condition| condition.last_transition_time.clone()),
        message: end
            .filter(|_| outcome == OUTCOME_FAILED)
            .map(|condition| condition.message.chars().take(500).collect()),
        failure: annotation(run, FAILURE).map(str::to_owned),
        rolled_back_to: annotation(run, ROLLED_BACK_TO).map(str::to_owned),
    };
    let number = annotation(run, RELEASE).and_then(|text| text.parse().ok()).unwrap_or_default();
    Some((number, release))
}

/// Returns the ledger, oldest first: what the status remembers, corrected and completed by the runs that are there.
///
/// A run that is gone before it was over is `Deleted`. At most `limit` entries are kept: the newest ones, but the newest
/// that succeeded always is, for that is what clusters go back to. Runs that were forgotten for that stay forgotten, though
/// they are still there.
pub fn ledger(
    remembered: &[Release],
    runs: &[Arc<Run>],
    limit: usize,
    now: Timestamp,
) -> Vec<Release> {
    let mut present: BTreeMap<String, (u64, Release)> = runs
        .iter()
        .filter_map(|run| release_of(run))
        .map(|(number, release)| (release.run.clone(), (number, release)))
        .collect();
    let mut entries: Vec<Release> = Vec::new();
    let mut newest = None;
    for known in remembered {
        match present.remove(&known.run) {
            Some((number, mut seen)) => {
                newest = newest.max(Some(number));
                if seen.outcome == OUTCOME_SUPERSEDED {
                    seen.ended = known.ended.clone();
                    seen.message = known.message.clone();
                }
                entries.push(seen);
            }
            None => entries.push(gone(known, now)),
        }
    }
    let time = |release: &Release| release.started.as_ref().map(|time| time.0);
    // Each run has a higher number than all that were there when it was made.
    let last = remembered.last().and_then(time);
    let is_new = |(number, release): &(u64, Release)| match newest {
        Some(newest) => *number > newest,
        None => time(release) >= last,
    };
    let mut new: Vec<(u64, Release)> = present.into_values().filter(is_new).collect();
    new.sort_by(|(a, x), (b, y)| (a, time(x), &x.run).cmp(&(b, time(y), &y.run)));
    entries.extend(new.into_iter().map(|(_, release)| release));
    let limit = limit.max(1);
    let excess = entries.len().saturating_sub(limit);
    let good = entries.iter().rposition(|entry| entry.outcome == OUTCOME_SUCCEEDED);
    if let Some(good) = good.filter(|good| *good < excess && limit > 1) {
        // It takes the place of the oldest that would be kept.
        let kept = entries[good].clone();
        entries[excess] = kept;
    }
    entries.drain(..excess);
    entries
}

fn gone(known: &Release, now: Timestamp) -> Release {
    let mut known = known.clone();
    if known.outcome == OUTCOME_ACTIVE {
        known.outcome = OUTCOME_DELETED.to_owned();
        known.ended = Some(Time(condition::whole_seconds(now)));
        known.message = Some("the run was deleted before it was over".to_owned());
    }
    known
}

/// Returns how many runs the ledger, and the runs that are there, have for a commit.
pub fn attempts(ledger: &[Release], runs: &[Arc<Run>], commit: &CommitId) -> u32 {
    let mut names: Vec<&str> = ledger
        .iter()
        .filter(|release| release.commit == commit.as_str())
        .map(|release| release.run.as_str())
        .chain(runs.iter().filter_map(|run| {
            (annotation(run, meta::COMMIT) == Some(commit.as_str()))
                .then_some(run.metadata.name.as_deref())?
        }))
        .collect();
    names.sort_unstable();
    names.dedup();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(name: &str, number: u64, conditions: Value, more: Value) -> Arc<Run> {
        let mut annotations = json!({
            meta::ROLLOUT: "web", meta::COMMIT: "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4",
            meta::CONTENT_DIGEST: "sha256:00", RELEASE: number.to_string(),
        });
        annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let run = json!({
            "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
            "metadata": {"name": name, "annotations": annotations, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"placementName": "p", "stagedRolloutStrategyName": "s", "resourceSnapshotIndex": "3"},
            "status": {"conditions": conditions},
        });
        Arc::new(serde_json::from_value(run).unwrap())
    }

    fn condition(kind: &str, status: &str) -> Value {
        json!([{"type": kind, "status": status, "reason": "R", "message": "m",
            "lastTransitionTime": "2026-01-01T01:00:00Z"}])
    }

    fn outcomes(ledger: &[Release]) -> Vec<(&str, &str)> {
        ledger.iter().map(|entry| (entry.run.as_str(), entry.outcome.as_str())).collect()
    }

    #[test]
    fn it_is_rebuilt_from_runs_alone_in_the_order_of_their_numbers() {
        let now = Timestamp::UNIX_EPOCH;
        let runs = [
            run("c", 3, json!([]), json!({})),
            run("b", 2, condition("Succeeded", "False"), json!({})),
            run("a", 1, condition("Succeeded", "True"), json!({})),
            run("d", 4, condition("Initialized", "False"), json!({})),
            run("e", 5, condition("Progressing", "False"), json!({ STOPPED_BY: "superseded" })),
        ];
        let built = ledger(&[], &runs, 10, now);
        assert_eq!(
            outcomes(&built),
            [
                ("a", "Succeeded"),
                ("b", "Failed"),
                ("c", "Active"),
                ("d", "Failed"),
                ("e", "Superseded")
            ]
        );
        assert_eq!(ledger(&built, &runs, 10, now), built);
        let gone = ledger(&built, &runs[1..2], 10, now);
        assert_eq!(outcomes(&gone)[..3], [("a", "Succeeded"), ("b", "Failed"), ("c", "Deleted")]);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_clusters_can_go_back_to() {
        let good = || condition("Succeeded", "True");
        let bad = || condition("Succeeded", "False");
        for (limit, conditions, kept) in [
            (3, [good(), good(), bad(), bad()], "b c d"),
            (2, [good(), good(), bad(), bad()], "b d"),
            (2, [good(), bad(), bad(), bad()], "a d"),
            (2, [bad(), bad(), bad(), good()], "c d"),
            (2, [bad(), bad(), bad(), bad()], "c d"),
            (1, [good(), bad(), bad(), bad()], "d"),
            (0, [good(), bad(), bad(), bad()], "d"),
            (9, [good(), bad(), bad(), bad()], "a b c d"),
        ] {
            let runs: Vec<Arc<Run>> = (1..)
                .zip(["a", "b", "c", "d"])
                .zip(conditions)
                .map(|((number, name), conditions)| run(name, number, conditions, json!({})))
                .collect();
            let built = ledger(&[], &runs, limit, Timestamp::UNIX_EPOCH);
            let names: Vec<&str> = built.iter().map(|release| release.run.as_str()).collect();
            assert_eq!(names.join(" "), kept, "{limit}");
            assert_eq!(ledger(&built, &[], limit, Timestamp::UNIX_EPOCH).len(), names.len());
            // What was forgotten is there, and stays forgotten; what comes after it is the newest.
            assert_eq!(ledger(&built, &runs, limit, Timestamp::UNIX_EPOCH), built, "{limit}");
            let mut more = runs.clone();
            more.push(run("e", 5, json!([]), json!({})));
            let newer = ledger(&built, &more, limit, Timestamp::UNIX_EPOCH);
            assert_eq!(newer.last().unwrap().run, "e", "{limit}");
            assert_eq!(ledger(&newer, &more, limit, Timestamp::UNIX_EPOCH), newer, "{limit}");
        }
    }

    #[test]
    fn what_is_older_than_all_that_is_remembered_is_not_new() {
        let made_at = |name: &str, number: u64, time: &str| {
            let mut made = (*run(name, number, json!([]), json!({}))).clone();
            made.metadata.creation_timestamp = Some(Time(time.parse().unwrap()));
            Arc::new(made)
        };
        let (old, newer) =
            (made_at("a", 1, "2026-01-01T00:00:00Z"), made_at("b", 2, "2026-01-02T00:00:00Z"));
        let remembered = ledger(&[], &[newer], 1, Timestamp::UNIX_EPOCH);
        // The only run that was remembered is deleted.
        let left = ledger(&remembered, std::slice::from_ref(&old), 1, Timestamp::UNIX_EPOCH);
        assert_eq!(outcomes(&left), [("b", "Deleted")]);
        let next = made_at("c", 2, "2026-01-03T00:00:00Z");
        let left = ledger(&left, &[old, next], 1, Timestamp::UNIX_EPOCH);
        assert_eq!(outcomes(&left), [("c", "Active")]);
    }

    #[test]
    fn what_the_failure_policy_did_is_found_on_the_run() {
        let noted =
            json!({FAILURE: "a is stuck", ROLLED_BACK_TO: "00", STOPPED_BY: "failure-policy"});
        for (conditions, outcome) in [
            (json!([]), "RolledBack"),
            (condition("Succeeded", "False"), "RolledBack"),
            (condition("Succeeded", "True"), "Succeeded"),
        ] {
            let built =
                ledger(&[], &[run("a", 1, conditions, noted.clone())], 10, Timestamp::UNIX_EPOCH);
            assert_eq!(built[0].outcome, outcome);
            assert_eq!(built[0].failure.as_deref(), Some("a is stuck"));
            let later = ledger(&built, &[], 10, Timestamp::UNIX_EPOCH);
            assert_eq!(later, built, "the run may be gone");
        }
        let stopped = run("a", 1, json!([]), json!({FAILURE: "a is stuck"}));
        assert_eq!(ledger(&[], &[stopped], 10, Timestamp::UNIX_EPOCH)[0].outcome, "Active");
    }

    #[test]
    fn attempts_are_counted_over_ledger_and_runs_once() {
        let commit: CommitId = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4".parse().unwrap();
        let runs = [run("a", 1, json!([]), json!({}))];
        let built = ledger(&[], &runs, 10, Timestamp::UNIX_EPOCH);
        assert_eq!(attempts(&built, &runs, &commit), 1);
        assert_eq!(attempts(&built, &[], &commit), 1);
        assert_eq!(attempts(&[], &[], &commit), 0);
    }
}
