//! What must hold of a placement for a run to begin, and to go on (fleet-semantics §5.4, checks 1 to 7).

use std::{collections::BTreeMap, sync::Arc};

use super::{Run, Seen, fault::Fault};
use crate::api::{
    Binding, PolicySnapshot,
    binding::STATE_UNSCHEDULED,
    condition::{Truth, fresh_truth},
    meta,
    placement::{ApplyStrategy, EXTERNAL, PICK_FIXED, PICK_N},
    snapshot::SCHEDULED,
};

/// What Fleet records while it cannot know yet how many clusters a PickAll policy picks.
pub(super) const COUNT_UNKNOWN: i64 = -1;

/// The bindings that a run works on, by cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    /// Selected by the latest policy.
    pub selected: BTreeMap<String, Arc<Binding>>,
    /// No longer selected: to be removed after the last stage.
    pub removed: BTreeMap<String, Arc<Binding>>,
}

/// Checks 1 and 2: returns the placement's apply strategy, defaulted.
pub(super) fn placement(seen: &Seen) -> Result<ApplyStrategy, Fault> {
    let Some(placement) = seen.placement.as_deref() else {
        return Err(Fault::invalid_user("parent placement not found").unless_young());
    };
    match placement.spec.strategy_type() {
        EXTERNAL => Ok(placement.spec.apply_strategy()),
        current => Err(Fault::invalid_user(format!(
            "parent placement does not have an external rollout strategy, current strategy: {current}"
        ))),
    }
}

/// Checks 3 and 4: returns the latest policy snapshot and its index.
pub(super) fn policy(run: &Run<'_>, seen: &Seen) -> Result<(Arc<PolicySnapshot>, String), Fault> {
    let latest: Vec<_> = seen
        .policy_snapshots
        .iter()
        .filter(|policy| label(&policy.metadata.labels, meta::IS_LATEST_SNAPSHOT) == Some("true"))
        .collect();
    let key = run.placement_key();
    let policy = match latest[..] {
        [] => {
            let text = format!("no latest policy snapshot found for placement {key}");
            return Err(Fault::invalid(text).unless_young());
        }
        [policy] => policy,
        _ => {
            return Err(Fault::invalid_unexpected(format!(
                "multiple active policy snapshots found for placement {key}: got {}, want 1",
                latest.len()
            )));
        }
    };
    match label(&policy.metadata.labels, meta::POLICY_INDEX) {
        Some(index) => Ok((policy.clone(), index.to_owned())),
        None => Err(Fault::invalid_unexpected(format!(
            "policy snapshot `{}` does not have a policy index label",
            run.scope.key(name(policy))
        ))),
    }
}

/// Check 5: returns how many clusters the policy asks for, or [`COUNT_UNKNOWN`] for PickAll.
pub(super) fn observed_count(run: &Run<'_>, policy: &PolicySnapshot) -> Result<i64, Fault> {
    let Some(wanted) = &policy.spec.policy else { return Ok(COUNT_UNKNOWN) };
    match wanted.placement_type.as_deref() {
        Some(PICK_FIXED) => Ok(wanted.cluster_names.as_ref().map_or(0, |names| names.len() as i64)),
        Some(PICK_N) => label(&policy.metadata.annotations, meta::CLUSTER_COUNT)
            .and_then(|count| super::plan::parse_int(count).ok())
            .filter(|count| *count >= 0)
            .ok_or_else(|| {
                Fault::invalid_comma_unexpected(format!(
                    "the policy snapshot `{}` doesn't have valid cluster count annotation",
                    run.scope.key(name(policy))
                ))
            }),
        _ => Ok(COUNT_UNKNOWN),
    }
}

/// Check 6: the scheduler is done with the policy.
pub(super) fn scheduled(policy: &PolicySnapshot) -> Result<(), Fault> {
    let conditions = policy.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let generation = policy.metadata.generation.unwrap_or_default();
    if fresh_truth(conditions, SCHEDULED, generation) == Some(Truth::True) {
        return Ok(());
    }
    let text = format!("policy snapshot `{}` not fully scheduled yet", name(policy));
    Err(Fault::invalid(text).unless_young())
}

/// Whether a placement without any binding is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bindings {
    /// It is.
    Expected,
    /// The run may have removed the last ones itself. (Fleet ends such a run as failed.)
    MayBeGone,
}

/// Check 7: sorts the bindings, and returns them with the number of selected ones.
pub(super) fn targets(
    run: &Run<'_>,
    seen: &Seen,
    policy: &PolicySnapshot,
    observed: i64,
    bindings: Bindings,
) -> Result<(Targets, i64), Fault> {
    let mut targets = Targets::default();
    for binding in &seen.bindings {
        let cluster = binding.spec.target_cluster.clone();
        if binding.spec.state == STATE_UNSCHEDULED {
            targets.removed.insert(cluster, binding.clone());
        } else if binding.spec.scheduling_policy_snapshot_name == name(policy) {
            targets.selected.insert(cluster, binding.clone());
        } else {
            return Err(Fault::transient(format!(
                "binding `{}` with old policy snapshot `{}` has state {}, we might observe a transient state, need retry",
                run.scope.key(binding.metadata.name.as_deref().unwrap_or_default()),
                binding.spec.scheduling_policy_snapshot_name,
                binding.spec.state
            )));
        }
    }
    let selected = targets.selected.len() as i64;
    if targets.selected.is_empty() && targets.removed.is_empty() && bindings == Bindings::Expected {
        return Err(Fault::invalid(format!(
            "no scheduled or to-be-deleted bindings found for the latest policy snapshot {}",
            run.scope.key(name(policy))
        ))
        .unless_young());
    }
    if observed != COUNT_UNKNOWN && observed != selected {
        return Err(Fault::invalid_unexpected(format!(
            "the number of selected bindings {selected} is not equal to the observed cluster count {observed}"
        ))
        .unless_young());
    }
    Ok((targets, selected))
}

fn name(policy: &PolicySnapshot) -> &str {
    policy.metadata.name.as_deref().unwrap_or_default()
}

pub(super) fn label<'a>(
    labels: &'a Option<BTreeMap<String, String>>,
    key: &str,
) -> Option<&'a str> {
    labels.as_ref()?.get(key).map(String::as_str)
}
