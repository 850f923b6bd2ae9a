//! From a bound index to a run: which runs there are, which must end first, and whether one is needed at all.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Order, Seen};
use crate::{
    api::{
        Run,
        binding::STATE_BOUND,
        condition::{self, Truth},
        meta,
        rollout::{OUTCOME_FAILED, OUTCOME_SUCCEEDED, Release},
        run::{INITIALIZED, RunSpec, STATE_INITIALIZE, STATE_RUN, STATE_STOP, SUCCEEDED},
    },
    model::{CommitId, Digest, SnapshotIndex},
    release::ledger::{FAILURE, ROLLED_BACK_TO, STOPPED_BY, STOPPED_SUPERSEDED, annotation},
    render::{Obstacle, WhenSuperseded, preflight},
    rollout::{self, Phase, Progress, progress},
};

/// Returns where a run is.
pub fn progress_of(run: &Run, now: Timestamp) -> Progress {
    progress(&rollout::Run::from(run), now)
}

/// Returns a run's state, defaulted.
pub fn state(run: &Run) -> &str {
    run.spec.state.as_deref().unwrap_or(STATE_INITIALIZE)
}

/// Returns whether a run is over: it succeeded or failed for good.
pub fn is_over(run: &Run) -> bool {
    let conditions = run.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    condition::truth(conditions, SUCCEEDED).is_some_and(|truth| truth != Truth::Unknown)
        || condition::truth(conditions, INITIALIZED) == Some(Truth::False)
}

/// Returns the runs that this Rollout made.
pub fn ours(seen: &Seen) -> impl Iterator<Item = &Arc<Run>> {
    let key = seen.name.to_string();
    seen.runs.iter().filter(move |run| annotation(run, meta::ROLLOUT) == Some(key.as_str()))
}

/// Returns a run that somebody else made and that is moving clusters now.
pub fn foreign(seen: &Seen) -> Option<&Arc<Run>> {
    let key = seen.name.to_string();
    seen.runs
        .iter()
        .filter(|run| annotation(run, meta::ROLLOUT) != Some(key.as_str()))
        .find(|run| !is_over(run) && state(run) == STATE_RUN)
}

/// What stands between us and a new run.
#[derive(Clone, Debug, PartialEq)]
pub enum Before {
    /// Nothing.
    Clear,
    /// These orders.
    Orders(Vec<Order>),
    /// An older run that comes to rest.
    Settling(String),
    /// An older run that may finish.
    Queued(String),
}

/// Ends the older runs. One that has not begun is deleted, for Fleet cannot stop it; one that runs is stopped, and what
/// is in flight settles.
pub fn supersede(
    seen: &Seen,
    except: Option<&str>,
    policy: WhenSuperseded,
    now: Timestamp,
) -> Before {
    let mut orders = Vec::new();
    let mut settling = None;
    for run in ours(seen).filter(|run| !is_over(run)) {
        let name = run.metadata.name.clone().unwrap_or_default();
        if except == Some(name.as_str()) {
            continue;
        }
        if run.metadata.deletion_timestamp.is_some() {
            settling = Some(name);
            continue;
        }
        let marked = annotation(run, STOPPED_BY) == Some(STOPPED_SUPERSEDED);
        match state(run) {
            STATE_INITIALIZE => {
                orders.push(Order::DeleteRun { run: name, uid: run.metadata.uid.clone() });
            }
            STATE_RUN if policy == WhenSuperseded::Queue => return Before::Queued(name),
            STATE_STOP if marked => {
                let phase = progress_of(run, now).phase;
                // A stuck cluster may never settle; waiting for it would keep its remedy away. What the failure policy
                // gave up is not waited for either.
                let hopeless = phase == Phase::Stuck || annotation(run, FAILURE).is_some();
                if phase != Phase::Stopped && !hopeless {
                    settling = Some(name);
                }
            }
            // What it left in flight is what is to be mended.
            STATE_STOP if annotation(run, ROLLED_BACK_TO).is_some() => {}
            _ => orders.push(Order::stop(name, STOPPED_SUPERSEDED)),
        }
    }
    match (orders.is_empty(), settling) {
        (false, _) => Before::Orders(orders),
        (true, Some(run)) => Before::Settling(run),
        (true, None) => Before::Clear,
    }
}

/// Returns whether every cluster has this index already: there is nothing to roll out.
pub fn is_everywhere(seen: &Seen, index: SnapshotIndex) -> bool {
    let index = index.to_string();
    let snapshot_index = |name: &str| {
        seen.snapshots.iter().find_map(|snapshot| {
            (snapshot.metadata.name.as_deref() == Some(name))
                .then(|| snapshot.metadata.labels.as_ref()?.get(meta::RESOURCE_INDEX))?
        })
    };
    !seen.bindings.is_empty()
        && seen.bindings.iter().all(|binding| {
            binding.spec.state == STATE_BOUND
                && snapshot_index(&binding.spec.resource_snapshot_name)
                    .is_some_and(|held| *held == index)
        })
}

/// Asks whether a run would initialize.
///
/// # Errors
/// What stands against it.
pub fn rehearse(seen: &Seen, name: &str, spec: &RunSpec) -> Result<(), Obstacle> {
    let strategy = seen.strategies.iter().find(|strategy| {
        strategy.metadata.name.as_deref() == Some(spec.staged_rollout_strategy_name.as_str())
    });
    let world = rollout::Seen {
        placement: seen.placement.clone(),
        strategy: strategy.cloned(),
        policy_snapshots: seen.policy_snapshots.clone(),
        bindings: seen.bindings.clone(),
        members: seen.members.clone(),
        snapshots: seen.snapshots.clone(),
        ..rollout::Seen::default()
    };
    let scope = crate::model::Scope::of(Some(&seen.name.namespace));
    preflight(&scope, name, spec, &world)
}

/// What the newest release means for the content that is wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// It rolls this content out, or did, or failed to.
    Same,
    /// It is about other content, or did not come to an end.
    Other,
}

/// Returns whether content goes back to what another commit had everywhere before.
pub fn is_rollback(history: &[Release], commit: &CommitId, digest: &Digest) -> bool {
    history.iter().any(|release| {
        release.content_digest == digest.as_str()
            && release.commit != commit.as_str()
            && release.outcome == OUTCOME_SUCCEEDED
    })
}

/// Compares the newest release with the content.
pub fn newest(release: Option<&Release>, digest: &str, index: Option<SnapshotIndex>) -> Newest {
    let Some(release) = release else { return Newest::Other };
    let index = index.map(|index| index.to_string());
    let same_index = index.is_none() || release.index.is_none() || release.index == index;
    let alive = [crate::api::rollout::OUTCOME_ACTIVE, OUTCOME_SUCCEEDED, OUTCOME_FAILED]
        .contains(&release.outcome.as_str());
    if release.content_digest == digest && same_index && alive {
        Newest::Same
    } else {
        Newest::Other
    }
}
