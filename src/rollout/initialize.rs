//! A run's first pass: freeze what it will do (fleet-semantics §5.4).

use super::{
    Captured, Overrides, Run, Seen,
    check::{self, Bindings, label},
    fault::Fault,
    plan::{self, Ground, Unplanned},
};
use crate::api::{
    meta,
    run::{ClusterStatus, RunStatus, StageStatus},
};

/// Whether initialization is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initialized {
    Yes,
    /// The placement's content has to be captured first.
    AfterCapture,
}

/// Fills `status` in the order of Fleet's checks; what was filled before a failure is recorded with it.
pub(super) fn initialize(
    run: &Run<'_>,
    seen: &Seen,
    status: &mut RunStatus,
) -> Result<Initialized, Fault> {
    status.applied_strategy = Some(check::placement(seen)?);
    let (policy, policy_index) = check::policy(run, seen)?;
    status.policy_snapshot_index_used = Some(policy_index);
    let observed = check::observed_count(run, &policy)?;
    status.policy_observed_cluster_count = recorded(observed);
    check::scheduled(&policy)?;
    let (targets, selected) = check::targets(run, seen, &policy, observed, Bindings::Expected)?;
    status.policy_observed_cluster_count = recorded(selected);

    let strategy_key = run.scope.key(&run.spec.staged_rollout_strategy_name);
    let Some(strategy) = seen.strategy.as_deref() else {
        let text = format!("referenced updateStrategy not found: `{strategy_key}`");
        return Err(Fault::invalid_user(text).unless_young());
    };
    let strategy = plan::frozen(&strategy.spec);
    let ground = Ground {
        run: run.name,
        strategy_key: &strategy_key,
        selected: targets.selected.keys().map(String::as_str).collect(),
        members: &seen.members,
    };
    let stages = plan::plan(&strategy, &ground);
    status.staged_update_strategy_snapshot = Some(strategy);
    status.stages_status = Some(stages.map_err(|Unplanned { fault, stages }| {
        status.stages_status = stages;
        fault
    })?);
    status.deletion_stage_status = Some(deletion_stage(targets.removed.keys()));

    let Some(index) = resolve(run, seen)? else { return Ok(Initialized::AfterCapture) };
    status.resource_snapshot_index_used = Some(index);
    for cluster in status.stages_status.iter_mut().flatten().flat_map(|stage| &mut stage.clusters) {
        if let Some(overrides) = seen.overrides.get(&cluster.cluster_name) {
            let Overrides { cluster: by_cluster, resource } = overrides.clone();
            cluster.cluster_resource_override_snapshots =
                Some(by_cluster).filter(|names| !names.is_empty());
            cluster.resource_override_snapshots = Some(resource).filter(|names| !names.is_empty());
        }
    }
    Ok(Initialized::Yes)
}

/// Fleet leaves out a count of zero.
fn recorded(count: i64) -> Option<i64> {
    (count != 0).then_some(count)
}

fn deletion_stage<'a>(clusters: impl Iterator<Item = &'a String>) -> StageStatus {
    StageStatus {
        stage_name: meta::DELETE_STAGE.to_owned(),
        clusters: clusters
            .map(|name| ClusterStatus { cluster_name: name.clone(), ..ClusterStatus::default() })
            .collect(),
        ..StageStatus::default()
    }
}

/// Returns the index to roll out, or nothing when the content is still to be captured (§5.4.1, §3.9).
fn resolve(run: &Run<'_>, seen: &Seen) -> Result<Option<String>, Fault> {
    let Some(wanted) = run.index() else {
        return match &seen.captured {
            None => Ok(None),
            Some(Captured::Group { index }) => Ok(Some(index.clone())),
            Some(Captured::Refused(why)) => Err(Fault::invalid_user(why)),
        };
    };
    if plan::parse_int(wanted).is_ok_and(|number| number >= 0) {
        return known_group(run, seen, wanted).map(Some);
    }
    Err(Fault::invalid_user(format!(
        "invalid resource snapshot index `{wanted}` provided, expected an integer >= 0"
    )))
}

/// Finds the group by the text of its label, so `01` is never found.
fn known_group(run: &Run<'_>, seen: &Seen, wanted: &str) -> Result<String, Fault> {
    let group: Vec<_> = seen
        .snapshots
        .iter()
        .filter(|snapshot| label(&snapshot.metadata.labels, meta::RESOURCE_INDEX) == Some(wanted))
        .collect();
    let key = run.placement_key();
    if group.is_empty() {
        let fault = Fault::invalid_user(format!(
            "no resourceSnapshots with index `{wanted}` found for placement `{key}`"
        ));
        // A placement without any snapshot is as young as the run.
        return Err(if seen.snapshots.is_empty() { fault.unless_young() } else { fault });
    }
    let has_hash = |annotations| label(annotations, meta::RESOURCE_HASH).is_some();
    if group.iter().any(|snapshot| has_hash(&snapshot.metadata.annotations)) {
        return Ok(wanted.to_owned());
    }
    Err(Fault::invalid_unexpected(format!("no master resourceSnapshot found for placement {key}")))
}

/// Returns the status that `run` would be initialized with, or why it would fail: what a person wants to know before
/// the run exists.
///
/// # Errors
/// The message of `Initialized=False`.
pub fn rehearse(run: &Run<'_>, seen: &Seen) -> Result<RunStatus, String> {
    let mut status = RunStatus::default();
    match initialize(run, seen, &mut status) {
        Ok(Initialized::Yes | Initialized::AfterCapture) => Ok(status),
        Err(fault) => Err(fault.text),
    }
}
