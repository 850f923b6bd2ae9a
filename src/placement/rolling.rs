//! The placement's own rollout, for placements that do not leave it to runs.
//!
//! Clusters change at most as fast as `maxUnavailable` and `maxSurge` allow; a cluster that is not available yet
//! counts against the first.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::snapshot::Group;
use crate::api::{
    Binding, Placement,
    binding::{AVAILABLE, DIFF_REPORTED, STATE_BOUND, STATE_SCHEDULED, STATE_UNSCHEDULED},
    condition,
    placement::RollingUpdate,
};

/// What to do to a binding.
#[derive(Clone, Debug)]
pub enum Move {
    /// Write this spec, and then that the rollout started.
    Bind(Box<Binding>),
    /// Say that the rollout started: the binding is as it should be, but its generation moved.
    Confirm(Arc<Binding>),
    /// Say that the rollout must wait.
    Hold(Arc<Binding>),
    /// Delete it: its cluster is no longer picked.
    Remove(Arc<Binding>),
}

/// What the rolling update wants.
#[derive(Clone, Debug, Default)]
pub struct Rolling {
    /// What to write.
    pub moves: Vec<Move>,
    /// When to look again: a cluster whose availability cannot be tracked counts as available then.
    pub wake: Option<Timestamp>,
}

const DEFAULT_SHARE: &str = "25%";
const DEFAULT_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Decides the next moves of a rolling update to the group `latest`.
pub fn roll(
    placement: &Placement,
    bindings: &[Arc<Binding>],
    latest: &Group,
    now: Timestamp,
) -> Rolling {
    let Some(name) = latest.master.as_ref().and_then(|master| master.metadata.name.clone()) else {
        return Rolling::default();
    };
    let desired = |binding: &Binding| {
        let mut next = binding.clone();
        next.spec.state = STATE_BOUND.to_owned();
        next.spec.resource_snapshot_name.clone_from(&name);
        next.spec.apply_strategy = Some(placement.spec.apply_strategy());
        next
    };
    let alive: Vec<&Arc<Binding>> =
        bindings.iter().filter(|binding| binding.metadata.deletion_timestamp.is_none()).collect();
    let settings = placement.spec.strategy.as_ref().and_then(|s| s.rolling_update.clone());
    let settings = settings.unwrap_or_default();
    let targets = alive.iter().filter(|binding| binding.spec.state != STATE_UNSCHEDULED).count();
    let mut rolling = Rolling::default();
    let (mut unavailable, mut bound) = (0, 0);
    for binding in alive.iter().filter(|binding| binding.spec.state == STATE_BOUND) {
        bound += 1;
        match availability(binding, &settings, now) {
            Availability::Yes => {}
            Availability::No => unavailable += 1,
            Availability::Later(at) => {
                unavailable += 1;
                rolling.wake = Some(rolling.wake.map_or(at, |held| held.min(at)));
            }
        }
    }
    let mut may_disturb =
        share(settings.max_unavailable.as_ref(), targets).saturating_sub(unavailable);
    let mut may_add = (targets + share(settings.max_surge.as_ref(), targets)).saturating_sub(bound);
    for binding in alive {
        match binding.spec.state.as_str() {
            STATE_SCHEDULED if may_add > 0 => {
                may_add -= 1;
                rolling.moves.push(Move::Bind(Box::new(desired(binding))));
            }
            STATE_SCHEDULED => rolling.moves.push(Move::Hold(binding.clone())),
            STATE_UNSCHEDULED => {
                let broken = !matches!(availability(binding, &settings, now), Availability::Yes);
                if broken || may_disturb > 0 || targets == 0 {
                    may_disturb = may_disturb.saturating_sub(usize::from(!broken));
                    rolling.moves.push(Move::Remove(binding.clone()));
                }
            }
            _ => {
                let next = desired(binding);
                let broken = !matches!(availability(binding, &settings, now), Availability::Yes);
                if next.spec == binding.spec {
                    rolling.moves.push(Move::Confirm(binding.clone()));
                } else if next.spec.resource_snapshot_name == binding.spec.resource_snapshot_name
                    || broken
                    || may_disturb > 0
                {
                    // What is broken already cannot be made less available.
                    if !broken {
                        may_disturb = may_disturb.saturating_sub(1);
                    }
                    rolling.moves.push(Move::Bind(Box::new(next)));
                } else {
                    rolling.moves.push(Move::Hold(binding.clone()));
                }
            }
        }
    }
    rolling
}

enum Availability {
    Yes,
    No,
    Later(Timestamp),
}

fn availability(binding: &Binding, settings: &RollingUpdate, now: Timestamp) -> Availability {
    let conditions = binding.status.as_ref().map(|status| &status.conditions);
    let available = conditions.and_then(|conditions| condition::find(conditions, AVAILABLE));
    let fresh = |held: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        held.observed_generation == binding.metadata.generation && held.status == "True"
    };
    let reported = conditions.and_then(|conditions| condition::find(conditions, DIFF_REPORTED));
    if reported.is_some_and(|reported| fresh(&reported)) {
        return Availability::Yes;
    }
    let Some(available) = available.filter(fresh) else { return Availability::No };
    if available.reason != "NotAllWorkAreAvailabilityTrackable" {
        return Availability::Yes;
    }
    let grace = settings
        .unavailable_period_seconds
        .map_or(DEFAULT_GRACE, |seconds| SignedDuration::from_secs(seconds.max(0)));
    match available.last_transition_time.0.checked_add(grace) {
        Ok(at) if now < at => Availability::Later(at),
        _ => Availability::Yes,
    }
}

/// Returns how many clusters a setting allows, rounded up.
fn share(setting: Option<&IntOrString>, of: usize) -> usize {
    let text = match setting {
        Some(IntOrString::Int(count)) => return usize::try_from(*count).unwrap_or_default(),
        Some(IntOrString::String(text)) => text.as_str(),
        None => DEFAULT_SHARE,
    };
    match text.strip_suffix('%') {
        Some(percent) => (of * percent.parse::<usize>().unwrap_or(25)).div_ceil(100),
        None => text.parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn placement() -> Placement {
        serde_json::from_value(
            json!({"metadata": {"name": "web"}, "spec": {"resourceSelectors": []}}),
        )
        .unwrap()
    }

    fn group() -> Group {
        let master = json!({"metadata": {"name": "web-1-snapshot", "labels": {crate::api::meta::RESOURCE_INDEX: "1"},
            "annotations": {crate::api::meta::RESOURCE_HASH: "h"}}, "spec": {}});
        Group::all(&[Arc::new(serde_json::from_value(master).unwrap())]).remove(0)
    }

    fn binding(cluster: &str, state: &str, snapshot: &str, reason: &str) -> Arc<Binding> {
        let conditions = match reason {
            "" => json!([]),
            reason => {
                json!([{"type": "Available", "status": "True", "reason": reason, "message": "", "observedGeneration": 2, "lastTransitionTime": at(100).to_string()}])
            }
        };
        Arc::new(serde_json::from_value(json!({"metadata": {"generation": 2}, "spec": {"state": state, "targetCluster": cluster, "resourceSnapshotName": snapshot,
            "clusterDecision": {"clusterName": cluster}, "applyStrategy": placement().spec.apply_strategy()}, "status": {"conditions": conditions}})).unwrap())
    }

    fn moves(bindings: &[Arc<Binding>], now: i64) -> (String, Option<Timestamp>) {
        let rolling = roll(&placement(), bindings, &group(), at(now));
        let text = rolling.moves.iter().map(|step| match step {
            Move::Bind(binding) => format!("bind {}", binding.spec.target_cluster),
            Move::Confirm(binding) => format!("confirm {}", binding.spec.target_cluster),
            Move::Hold(binding) => format!("hold {}", binding.spec.target_cluster),
            Move::Remove(binding) => format!("remove {}", binding.spec.target_cluster),
        });
        (text.collect::<Vec<_>>().join(" "), rolling.wake)
    }

    #[test]
    fn new_clusters_start_at_once_and_old_ones_one_after_another() {
        const OK: &str = "AllWorkAreAvailable";
        let (old, new) = ("web-0-snapshot", "web-1-snapshot");
        for (bindings, want) in [
            (
                vec![
                    binding("a", "Scheduled", "", ""),
                    binding("b", "Scheduled", "", ""),
                    binding("c", "Scheduled", "", ""),
                ],
                "bind a bind b bind c",
            ),
            (
                vec![
                    binding("a", "Bound", old, OK),
                    binding("b", "Bound", old, OK),
                    binding("c", "Bound", old, OK),
                ],
                "bind a hold b hold c",
            ),
            (
                vec![
                    binding("a", "Bound", new, ""),
                    binding("b", "Bound", old, OK),
                    binding("c", "Bound", old, OK),
                ],
                "confirm a hold b hold c",
            ),
            (
                vec![
                    binding("a", "Bound", new, OK),
                    binding("b", "Bound", old, OK),
                    binding("c", "Bound", old, OK),
                ],
                "confirm a bind b hold c",
            ),
            (
                vec![binding("a", "Bound", new, OK), binding("b", "Unscheduled", old, OK)],
                "confirm a remove b",
            ),
        ] {
            assert_eq!(moves(&bindings, 1000).0, want);
        }
    }

    #[test]
    fn what_cannot_be_tracked_counts_after_a_while() {
        const UNTRACKABLE: &str = "NotAllWorkAreAvailabilityTrackable";
        let bindings = [
            binding("a", "Bound", "web-1-snapshot", UNTRACKABLE),
            binding("b", "Bound", "web-0-snapshot", "AllWorkAreAvailable"),
        ];
        assert_eq!(moves(&bindings, 110), ("confirm a hold b".into(), Some(at(160))));
        assert_eq!(moves(&bindings, 160), ("confirm a bind b".into(), None));
    }
}
