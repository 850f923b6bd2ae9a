//! One cluster of a stage: waiting, updating, updated, failed (fleet-semantics §5.8, step 4).

use jiff::{SignedDuration, Timestamp};

use super::{
    Bind, Order, Run,
    fault::{Fault, USER},
};
use crate::api::{
    Binding,
    binding::{
        APPLIED, AVAILABLE, BindingSpec, DIFF_REPORTED, OVERRIDDEN, ROLLOUT_STARTED, STATE_BOUND,
        WORK_SYNCHRONIZED,
    },
    condition::{Truth, find, fresh_truth, is_true, truth},
    placement::ApplyStrategy,
    run::{ClusterStatus, RunStatus, STARTED, SUCCEEDED},
};

/// A cluster in flight for longer than this is stuck.
pub const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn is_started(cluster: &ClusterStatus) -> bool {
    is_true(&cluster.conditions, STARTED)
}

pub(super) fn is_updated(cluster: &ClusterStatus) -> bool {
    is_true(&cluster.conditions, SUCCEEDED)
}

pub(super) fn is_failed(cluster: &ClusterStatus) -> bool {
    truth(&cluster.conditions, SUCCEEDED) == Some(Truth::False)
}

/// Returns when the cluster started, if it did.
pub(super) fn started_at(cluster: &ClusterStatus) -> Option<Timestamp> {
    find(&cluster.conditions, STARTED)
        .filter(|held| held.status == Truth::True.as_str())
        .map(|held| held.last_transition_time.0)
}

/// Returns when the cluster was updated, if it is.
pub(super) fn updated_at(cluster: &ClusterStatus) -> Option<Timestamp> {
    find(&cluster.conditions, SUCCEEDED)
        .filter(|held| held.status == Truth::True.as_str())
        .map(|held| held.last_transition_time.0)
}

/// What the run wants every binding to say.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    snapshot: String,
    apply_strategy: Option<ApplyStrategy>,
    /// Message of `RolloutStarted`.
    message: String,
    /// Ends the messages of this run's `RolloutStarted`.
    signature: String,
}

/// How far a binding is from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Its spec says something else, or it is not bound.
    Differs,
    /// Its spec is right; `RolloutStarted` does not speak of its generation.
    Unannounced,
    /// Nothing is left to write.
    Fits,
}

/// What a binding that fits says about its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The content is there and available.
    Updated,
    /// On its way.
    Working,
    /// Something failed; it may still recover.
    Troubled,
}

impl Wanted {
    pub(super) fn of(run: &Run<'_>, status: &RunStatus) -> Self {
        let index = status.resource_snapshot_index_used.as_deref().unwrap_or_default();
        let signature = format!(", updateRun: {}", run.name);
        Self {
            snapshot: format!("{}-{index}-snapshot", run.spec.placement_name),
            apply_strategy: status.applied_strategy.clone(),
            message: format!(
                "Detected the new changes on the resources and started the rollout process, \
                 resourceSnapshotIndex: {index}{signature}"
            ),
            signature,
        }
    }

    pub(super) fn fit(&self, cluster: &ClusterStatus, binding: &Binding) -> Fit {
        let BindingSpec {
            state,
            resource_snapshot_name,
            resource_override_snapshots,
            cluster_resource_override_snapshots,
            apply_strategy,
            ..
        } = &binding.spec;
        let same = *state == STATE_BOUND
            && *resource_snapshot_name == self.snapshot
            && equal_lists(resource_override_snapshots, &cluster.resource_override_snapshots)
            && equal_lists(
                cluster_resource_override_snapshots,
                &cluster.cluster_resource_override_snapshots,
            )
            && equal_strategy(apply_strategy.as_ref(), self.apply_strategy.as_ref());
        if !same {
            return Fit::Differs;
        }
        match fresh(binding, ROLLOUT_STARTED) {
            Some(Truth::True) => Fit::Fits,
            _ => Fit::Unannounced,
        }
    }

    /// Returns whether this run, and no other, announced the binding's present generation.
    pub(super) fn announced(&self, cluster: &ClusterStatus, binding: &Binding) -> bool {
        let conditions = binding.status.as_ref().map_or(&[][..], |status| &status.conditions);
        self.fit(cluster, binding) == Fit::Fits
            && find(conditions, ROLLOUT_STARTED)
                .is_some_and(|held| held.message.ends_with(&self.signature))
    }

    /// Returns what has to be done to a binding that does not fit.
    pub(super) fn order(&self, cluster: &ClusterStatus, binding: &Binding) -> Option<Order> {
        let name = binding.metadata.name.clone().unwrap_or_default();
        match self.fit(cluster, binding) {
            Fit::Fits => None,
            Fit::Unannounced => {
                Some(Order::MarkRolloutStarted { binding: name, message: self.message.clone() })
            }
            Fit::Differs => Some(Order::Bind(Box::new(Bind {
                binding: name,
                cluster: cluster.cluster_name.clone(),
                snapshot: self.snapshot.clone(),
                resource_overrides: cluster.resource_override_snapshots.clone(),
                cluster_overrides: cluster.cluster_resource_override_snapshots.clone(),
                apply_strategy: self.apply_strategy.clone(),
                message: self.message.clone(),
            }))),
        }
    }
}

/// Absent and empty lists are equal.
fn equal_lists<T: PartialEq>(left: &Option<Vec<T>>, right: &Option<Vec<T>>) -> bool {
    left.as_deref().unwrap_or_default() == right.as_deref().unwrap_or_default()
}

/// Absent and default fields are equal; an absent strategy is none at all.
pub(super) fn equal_strategy(left: Option<&ApplyStrategy>, right: Option<&ApplyStrategy>) -> bool {
    let plain = |strategy: &ApplyStrategy| {
        let mut strategy = strategy.clone().defaulted();
        strategy.allow_co_ownership = strategy.allow_co_ownership.filter(|allowed| *allowed);
        strategy
    };
    left.map(plain) == right.map(plain)
}

fn fresh(binding: &Binding, kind: &str) -> Option<Truth> {
    let conditions = binding.status.as_ref().map_or(&[][..], |status| &status.conditions);
    fresh_truth(conditions, kind, binding.metadata.generation.unwrap_or_default())
}

/// Reasons of `False` conditions on bindings that mean "not yet" (§5.8; §11.2 #1).
const WORKING_REASONS: [&str; 8] = [
    "ApplyInProgress",
    "NotAllWorkHaveBeenApplied",
    "NotAllWorkAreAvailable",
    "DiffReportInProgress",
    "OverriddenPending",
    "WorkNotSynchronizedYet",
    "ApplyPending",
    "ResourceNotAvailableYet",
];

/// Returns what `binding` says about its cluster. Only conditions of its present generation count.
pub fn health(binding: &Binding) -> Health {
    let is = |kind: &str, wanted| fresh(binding, kind) == Some(wanted);
    if is(AVAILABLE, Truth::True) || is(DIFF_REPORTED, Truth::True) {
        return Health::Updated;
    }
    let conditions = binding.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let failed = |kind: &str| {
        is(kind, Truth::False)
            && find(conditions, kind)
                .is_some_and(|held| !WORKING_REASONS.contains(&held.reason.as_str()))
    };
    let kinds = [OVERRIDDEN, WORK_SYNCHRONIZED, APPLIED, AVAILABLE, DIFF_REPORTED];
    if kinds.into_iter().any(failed) { Health::Troubled } else { Health::Working }
}

/// Returns the failure of a cluster whose binding was changed under it, as its own condition and as the run's end.
pub(super) fn preempted(
    run: &Run<'_>,
    stage: &str,
    cluster: &str,
    binding: &Binding,
) -> (String, Fault) {
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let object = run.scope.namespace().map_or_else(|| name.to_owned(), |ns| format!("{ns}/{name}"));
    let text = format!(
        "the binding of the updating cluster `{cluster}` in the stage `{stage}` is not up-to-date with the desired status, \
         please check the status of binding `{object}` and see if there is a concurrent updateRun referencing the same \
         placement and updating the same cluster"
    );
    (format!("{USER}: {text}"), Fault::abort_user(text))
}

/// Returns in one sentence what keeps a cluster from being updated, as its binding tells: the first object that could
/// not be applied or is not available, or else the first condition that is not true. Nothing when all is well.
pub fn trouble(binding: &Binding) -> Option<String> {
    if health(binding) == Health::Updated {
        return None;
    }
    let status = binding.status.as_ref()?;
    let sentence = |reason: &str, message: &str| match message {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    };
    if let Some(failed) = status.failed_placements.iter().flatten().next() {
        let object = &failed.identifier;
        let namespace = if object.namespace.is_empty() { "" } else { "/" };
        let name = format!("{} {}{namespace}{}", object.kind, object.namespace, object.name);
        let why = failed.condition.as_ref().map(|held| sentence(&held.reason, &held.message));
        return Some(format!("{name}: {}", why.unwrap_or_else(|| "failed".to_owned())));
    }
    [OVERRIDDEN, WORK_SYNCHRONIZED, APPLIED, AVAILABLE, DIFF_REPORTED]
        .into_iter()
        .filter(|kind| fresh(binding, kind).is_some_and(|truth| truth != Truth::True))
        .find_map(|kind| find(&status.conditions, kind))
        .map(|held| sentence(&held.reason, &held.message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn binding(conditions: &[(&str, &str, &str, i64)], failed: Value) -> Binding {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason, generation)| {
                json!({
                    "type": kind, "status": status, "reason": reason, "message": "m",
                    "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(json!({
            "metadata": {"name": "b", "generation": 3},
            "spec": {"state": "Bound", "targetCluster": "c", "clusterDecision": {"clusterName": "c"}},
            "status": {"conditions": conditions, "failedPlacements": failed},
        }))
        .unwrap()
    }

    #[test]
    fn only_conditions_of_the_present_generation_count() {
        for (conditions, want) in [
            (&[("Available", "True", "AllWorkAreAvailable", 3)][..], Health::Updated),
            (&[("Available", "True", "AllWorkAreAvailable", 2)], Health::Working),
            (&[("DiffReported", "True", "DiffReportTrue", 3)], Health::Updated),
            (&[("Applied", "False", "ApplyInProgress", 3)], Health::Working),
            (&[("Applied", "False", "NotAllWorkHaveBeenApplied", 3)], Health::Working),
            (&[("Available", "False", "NotAllWorkAreAvailable", 3)], Health::Working),
            (&[("Overridden", "False", "OverriddenFailed", 3)], Health::Troubled),
            (&[("Overridden", "False", "OverriddenFailed", 2)], Health::Working),
            (&[("DiffReported", "False", "DiffReportedFailed", 3)], Health::Troubled),
            (&[("WorkSynchronized", "Unknown", "SyncWorkFailed", 3)], Health::Working),
            (&[], Health::Working),
        ] {
            assert_eq!(health(&binding(conditions, Value::Null)), want, "{conditions:?}");
        }
    }

    #[test]
    fn trouble_names_the_object_or_the_condition() {
        let failed = json!([{
            "version": "v1", "kind": "ConfigMap", "name": "web", "namespace": "shop",
            "condition": {
                "type": "Applied", "status": "False", "reason": "ManifestApplyFailed", "message": "no such namespace",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            },
        }]);
        let applying = &[("Applied", "False", "ApplyInProgress", 3)];
        for (conditions, failed, want) in [
            (&[("Available", "True", "All", 3)], failed.clone(), None),
            (applying, failed, Some("ConfigMap shop/web: ManifestApplyFailed: no such namespace")),
            (applying, Value::Null, Some("ApplyInProgress: m")),
            (&[("Applied", "False", "ApplyInProgress", 2)], Value::Null, None),
        ] {
            assert_eq!(trouble(&binding(conditions, failed)).as_deref(), want);
        }
    }

    #[test]
    fn absent_and_default_are_equal() {
        let strategy = |value: Value| serde_json::from_value::<ApplyStrategy>(value).unwrap();
        let plain = strategy(json!({}));
        let full = strategy(json!({
            "type": "ClientSideApply", "comparisonOption": "PartialComparison", "whenToApply": "Always",
            "whenToTakeOver": "Always", "allowCoOwnership": false,
        }));
        assert!(equal_strategy(Some(&plain), Some(&full)));
        assert!(!equal_strategy(Some(&plain), None));
        let other = strategy(json!({"type": "ServerSideApply"}));
        assert!(!equal_strategy(Some(&plain), Some(&other)));
        assert!(equal_lists::<String>(&None, &Some(Vec::new())));
    }
}
