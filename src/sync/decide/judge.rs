//! What counts as failed: too much that is stuck, or nothing that moves.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::rollout::{FAILURE_ROLLBACK, FAILURE_WAIT, RolloutSpec},
    model::GoDuration,
    render::{Intent, OnFailure},
    rollout::{Phase, Progress, STUCK_AFTER, StageProgress},
};

/// What the policy says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It failed, in these words.
    Failed(String),
    /// It did not, and will not before this moment if nothing moves.
    Fine(Option<Timestamp>),
}

/// More clusters are not named.
const NAMES_MAX: usize = 5;
/// A cluster is stuck as soon as it is over the limit, not at it.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// What counts as failed, and where to go then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    deadline: Option<GoDuration>,
    max_stuck: Option<u32>,
    /// Whether what was everywhere before is rolled out then.
    pub(super) rolls_back: bool,
}

impl Policy {
    /// Reads the policy of a spec in Git.
    pub(super) fn of(intent: &Intent) -> Self {
        Self {
            deadline: intent.progress_deadline,
            max_stuck: intent.max_stuck_clusters,
            rolls_back: intent.on_failure == OnFailure::Rollback,
        }
    }

    /// Reads the policy of the last good spec, as the hub has it.
    pub(super) fn held(spec: &RolloutSpec) -> Self {
        let policy = spec.failure.clone().unwrap_or_default();
        let action = policy.action.as_deref();
        if action == Some(FAILURE_WAIT) {
            return Self::default();
        }
        let deadline = policy.progress_deadline.and_then(|text| text.parse::<GoDuration>().ok());
        Self {
            deadline: deadline.filter(|deadline| deadline.is_positive()),
            max_stuck: policy.max_stuck_clusters,
            rolls_back: action == Some(FAILURE_ROLLBACK),
        }
    }
}

/// Judges a run that is in state `Run`. At a gate, time does not count: somebody else is to move.
pub(super) fn judge(policy: Policy, progress: &Progress, now: Timestamp) -> Verdict {
    if !matches!(progress.phase, Phase::Updating | Phase::Stuck) {
        return Verdict::Fine(None);
    }
    let mut wakes = Vec::new();
    if let Some(max) = policy.max_stuck {
        let stuck = names(progress, |phase| phase == Phase::Stuck);
        if stuck.len() > max as usize {
            return Verdict::Failed(format!(
                "{} stuck, where {max} may be: {}",
                count(stuck.len()),
                shown(&stuck)
            ));
        }
        let next = progress.in_flight().filter(|cluster| cluster.phase != Phase::Stuck);
        let next = next.filter_map(|cluster| cluster.since).min();
        wakes.extend(next.and_then(|since| since.checked_add(STUCK_AFTER + TICK).ok()));
    }
    if let Some((deadline, moved)) = policy.deadline.zip(moved(progress)) {
        let due = moved.checked_add(SignedDuration::from(deadline)).unwrap_or(Timestamp::MAX);
        if now >= due {
            return Verdict::Failed(late(progress, deadline, moved));
        }
        wakes.push(due);
    }
    Verdict::Fine(wakes.into_iter().min())
}

/// Returns when something moved last. What a gate held up does not count against what comes after it.
fn moved(progress: &Progress) -> Option<Timestamp> {
    let stages = progress.stages.iter();
    let clusters = stages.flat_map(|stage| {
        stage.clusters.iter().filter_map(|cluster| cluster.since).chain(stage.started)
    });
    // A stuck run tells since when it is called so, which is no movement.
    clusters.chain(progress.since.filter(|_| progress.phase == Phase::Updating)).max()
}

fn late(progress: &Progress, deadline: GoDuration, moved: Timestamp) -> String {
    let moving = names(progress, |phase| matches!(phase, Phase::Updating | Phase::Stuck));
    let waits = match moving.is_empty() {
        true => String::new(),
        false => format!(", and {} not done: {}", count(moving.len()), shown(&moving)),
    };
    format!("nothing moved for {deadline}, since {moved}{waits}")
}

fn names(progress: &Progress, phase: impl Fn(Phase) -> bool) -> Vec<String> {
    let of = |stage: &StageProgress| {
        let clusters = stage.clusters.iter().filter(|cluster| phase(cluster.phase));
        clusters.map(|cluster| format!("{} (stage {})", cluster.name, stage.name)).collect()
    };
    progress.stages.iter().flat_map(|stage| -> Vec<String> { of(stage) }).collect()
}

pub(super) fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let text = names[..names.len() - more].join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

fn count(clusters: usize) -> String {
    match clusters {
        1 => "1 cluster is".to_owned(),
        more => format!("{more} clusters are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{
        Seen,
        decide::fixture::{running, wanting},
        release,
    };

    fn policy_of(spec: &str) -> Policy {
        Policy::of(&wanting(spec, "new").intent)
    }

    fn progress_of(seen: &Seen) -> Progress {
        release::progress_of(&seen.runs[0], "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn too_much_or_too_long_is_told_with_names_and_otherwise_when_it_would_be() {
        let fine = |wake: &str| Verdict::Fine(Some(wake.parse().unwrap()));
        let failed = |why: &str| Verdict::Failed(why.into());
        let deadline = "  failure: {progressDeadline: 10m}\n";
        let stuck = "  failure: {maxStuckClusters: 1}\n";
        let either = "  failure: {maxStuckClusters: 0, progressDeadline: 1h}\n";
        let (old, older) = ("2025-12-31T23:49:59Z", "2025-12-31T23:40:00Z");
        let recent = "2025-12-31T23:59:00Z";
        for (spec, started, want) in [
            ("", vec![("a", older)], Verdict::Fine(None)),
            (
                "  failure: {progressDeadline: 1s, maxStuckClusters: 0, action: Wait}\n",
                vec![("a", older)],
                Verdict::Fine(None),
            ),
            (deadline, vec![("a", recent)], fine("2026-01-01T00:09:00Z")),
            (deadline, vec![("a", older), ("b", recent)], fine("2026-01-01T00:09:00Z")),
            (
                deadline,
                vec![("a", "2025-12-31T23:50:00Z")],
                failed(
                    "nothing moved for 10m0s, since 2025-12-31T23:50:00Z, and 1 cluster is not done: a (stage all)",
                ),
            ),
            (
                deadline,
                vec![("a", older), ("b", old)],
                failed(
                    "nothing moved for 10m0s, since 2025-12-31T23:49:59Z, and 2 clusters are not done: a (stage all), b (stage all)",
                ),
            ),
            (stuck, vec![("a", old), ("b", recent)], fine("2026-01-01T00:04:00.001Z")),
            (stuck, vec![("a", old)], Verdict::Fine(None)),
            (
                stuck,
                vec![("a", old), ("b", older)],
                failed("2 clusters are stuck, where 1 may be: a (stage all), b (stage all)"),
            ),
            (either, vec![("a", "2025-12-31T23:55:00Z")], fine("2026-01-01T00:00:00.001Z")),
            (either, vec![("a", old)], failed("1 cluster is stuck, where 0 may be: a (stage all)")),
        ] {
            let seen = running(spec, &started);
            let verdict = judge(
                policy_of(spec),
                &progress_of(&seen),
                "2026-01-01T00:00:00Z".parse().unwrap(),
            );
            assert_eq!(verdict, want, "{spec}{started:?}");
        }
    }

    #[test]
    fn only_some_names_are_told() {
        let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
        assert_eq!(shown(&names), "c0, c1, c2, c3, c4 and 3 more");
        assert_eq!(shown(&names[..5]), "c0, c1, c2, c3, c4");
    }

    #[test]
    fn a_gate_counts_neither_while_it_is_shut_nor_when_it_opens() {
        let intent = policy_of("  failure: {progressDeadline: 10m}\n");
        let mut progress = progress_of(&running("", &[("a", "2025-12-31T20:00:00Z")]));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        progress.phase = Phase::Waiting;
        assert_eq!(judge(intent, &progress, now), Verdict::Fine(None));
        // It opens: the run is updating again since a moment ago, and no cluster has started yet.
        progress.phase = Phase::Updating;
        progress.since = Some("2025-12-31T23:59:00Z".parse().unwrap());
        let due = "2026-01-01T00:09:00Z".parse().unwrap();
        assert_eq!(judge(intent, &progress, now), Verdict::Fine(Some(due)));
        // To be called stuck is no movement.
        progress.phase = Phase::Stuck;
        assert!(matches!(judge(intent, &progress, now), Verdict::Failed(_)));
    }
}
