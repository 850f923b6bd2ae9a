//! What must still hold in every later pass, state `Initialize` included (fleet-semantics §5.6).

use super::{
    Run, Seen,
    check::{self, Bindings, COUNT_UNKNOWN, Targets},
    cluster::{equal_strategy, is_started, is_updated},
    fault::{Fault, FaultKind},
    plan::{self, Ground, Unplanned},
    stage::max_concurrency,
};
use crate::api::{
    condition::{Truth, find, truth},
    placement::ApplyStrategy,
    run::{PROGRESSING, RunStatus, SUCCEEDED, StageStatus},
    strategy::StrategySpec,
};

/// What a valid run is to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// This stage, from 0.
    Stage(usize),
    /// The removal of clusters, after the last stage.
    Removal,
    /// Nothing is left.
    End,
}

/// Returns what to work on, and the bindings to work with.
pub(super) fn validate(
    run: &Run<'_>,
    seen: &Seen,
    status: &RunStatus,
) -> Result<(Position, Targets), Fault> {
    same_strategy(&check::placement(seen).map_err(settled)?, status)?;
    let (policy, index) = check::policy(run, seen).map_err(settled)?;
    let observed = check::observed_count(run, &policy)?;
    check::scheduled(&policy).map_err(settled)?;
    let recorded = status.policy_snapshot_index_used.as_deref().unwrap_or_default();
    if index != recorded {
        return Err(Fault::abort(format!(
            "the policy snapshot index used in the updateRun is outdated, latest: {index}, recorded: {recorded}"
        )));
    }
    let recorded = status.policy_observed_cluster_count.unwrap_or_default();
    if observed != COUNT_UNKNOWN && observed != recorded {
        return Err(Fault::abort(format!(
            "the cluster count initialized in the updateRun is outdated, latest: {observed}, recorded: {recorded}"
        )));
    }
    let removes = status.deletion_stage_status.as_ref().is_some_and(|s| !s.clusters.is_empty());
    let bindings = if removes { Bindings::MayBeGone } else { Bindings::Expected };
    let (targets, _) = check::targets(run, seen, &policy, observed, bindings).map_err(settled)?;
    let Some(strategy) = &status.staged_update_strategy_snapshot else {
        return Err(Fault::abort_unexpected("the updateRun has nil updateStrategySnapshot"));
    };
    same_stages(run, seen, status, strategy, &targets)?;
    let stages = status.stages_status.as_deref().unwrap_or_default();
    let reached = reached(stages, strategy)?;
    let position = removal_position(status, stages.len(), reached, &targets)?;
    Ok((position, targets))
}

/// An initialized run is past the age at which something may still be on its way.
fn settled(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::TerminalUnlessYoung => Fault { kind: FaultKind::Terminal, ..fault },
        _ => fault,
    }
}

fn same_strategy(latest: &ApplyStrategy, status: &RunStatus) -> Result<(), Fault> {
    let recorded = status.applied_strategy.clone().unwrap_or_default();
    if equal_strategy(Some(latest), Some(&recorded)) {
        return Ok(());
    }
    let text = |strategy: &ApplyStrategy| serde_json::to_string(strategy).unwrap_or_default();
    Err(Fault::abort_user(format!(
        "the applyStrategy in the updateRun is outdated, latest: {}, recorded: {}",
        text(latest),
        text(&recorded)
    )))
}

/// The frozen strategy, on the members of now, gives the same stages.
fn same_stages(
    run: &Run<'_>,
    seen: &Seen,
    status: &RunStatus,
    strategy: &StrategySpec,
    targets: &Targets,
) -> Result<(), Fault> {
    let strategy_key = run.scope.key(&run.spec.staged_rollout_strategy_name);
    let ground = Ground {
        run: run.name,
        strategy_key: &strategy_key,
        selected: targets.selected.keys().map(String::as_str).collect(),
        members: &seen.members,
    };
    let new = plan::plan(strategy, &ground).map_err(|Unplanned { fault, .. }| fault)?;
    let Some(old) = &status.stages_status else {
        return Err(Fault::abort_unexpected("the updateRun has nil stagesStatus"));
    };
    if new.len() != old.len() {
        return Err(Fault::abort(format!(
            "the number of stages in the updateRun has changed, new: {}, existing: {}",
            new.len(),
            old.len()
        )));
    }
    new.iter().zip(old).enumerate().try_for_each(|(at, (new, old))| same_stage(at, new, old))
}

fn same_stage(at: usize, new: &StageStatus, old: &StageStatus) -> Result<(), Fault> {
    if new.stage_name != old.stage_name {
        return Err(Fault::abort(format!(
            "index `{at}` stage name in the updateRun has changed, new: {}, existing: {}",
            new.stage_name, old.stage_name
        )));
    }
    if new.clusters.len() != old.clusters.len() {
        return Err(Fault::abort(format!(
            "the number of clusters in index `{at}` stage has changed, new: {}, existing: {}",
            new.clusters.len(),
            old.clusters.len()
        )));
    }
    for (nth, (new, old)) in new.clusters.iter().zip(&old.clusters).enumerate() {
        if new.cluster_name != old.cluster_name {
            return Err(Fault::abort(format!(
                "the `{nth}` cluster in the `{at}` stage has changed, new: {}, existing: {}",
                new.cluster_name, old.cluster_name
            )));
        }
    }
    Ok(())
}

/// How far the stages are.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    finished: Option<usize>,
    updating: Option<usize>,
}

impl Reached {
    fn next(self) -> usize {
        self.finished.map_or(0, |finished| finished + 1)
    }

    /// Returns the last finished stage as Fleet prints it: -1 for none.
    fn finished_text(self) -> i64 {
        self.finished.map_or(-1, |finished| finished as i64)
    }

    fn updating_text(self) -> i64 {
        self.updating.map_or(-1, |updating| updating as i64)
    }
}

fn reached(stages: &[StageStatus], strategy: &StrategySpec) -> Result<Reached, Fault> {
    let mut reached = Reached::default();
    for (at, stage) in stages.iter().enumerate() {
        match truth(&stage.conditions, SUCCEEDED) {
            Some(Truth::True) => finished_stage(at, stage, &mut reached)?,
            Some(Truth::False) => {
                return Err(Fault::abort(format!(
                    "the stage `{}` has failed, err: {}",
                    stage.stage_name,
                    failure_of(stage)
                )));
            }
            _ if find(&stage.conditions, PROGRESSING).is_some() => {
                updating_stage(at, stage, strategy, &mut reached)?;
            }
            _ => {}
        }
    }
    Ok(reached)
}

fn failure_of(stage: &StageStatus) -> &str {
    find(&stage.conditions, SUCCEEDED).map_or("", |condition| condition.message.as_str())
}

fn finished_stage(at: usize, stage: &StageStatus, reached: &mut Reached) -> Result<(), Fault> {
    let name = &stage.stage_name;
    if let Some(updating) = reached.updating {
        return Err(Fault::abort_unexpected(format!(
            "the finished stage `{at}` is after the updating stage `{updating}`"
        )));
    }
    if let Some(cluster) = stage.clusters.iter().find(|cluster| !is_updated(cluster)) {
        return Err(Fault::abort_unexpected(format!(
            "cluster `{}` in the finished stage `{name}` has not succeeded",
            cluster.cluster_name
        )));
    }
    if at != reached.next() {
        return Err(Fault::abort_unexpected(format!(
            "the finished stage `{name}` is not right after the last finished stage with index `{}`",
            reached.finished_text()
        )));
    }
    reached.finished = Some(at);
    Ok(())
}

fn updating_stage(
    at: usize,
    stage: &StageStatus,
    strategy: &StrategySpec,
    reached: &mut Reached,
) -> Result<(), Fault> {
    let name = &stage.stage_name;
    if let Some(updating) = reached.updating {
        return Err(Fault::abort_unexpected(format!(
            "the stage `{name}` is updating, but there is already a stage with index `{updating}` updating"
        )));
    }
    if at != reached.next() {
        return Err(Fault::abort_unexpected(format!(
            "the updating stage `{name}` is not right after the last finished stage with index `{}`",
            reached.finished_text()
        )));
    }
    let in_flight =
        stage.clusters.iter().filter(|cluster| is_started(cluster) && !is_updated(cluster)).count();
    let max = max_concurrency(strategy.stages.get(at), stage.clusters.len());
    if in_flight > max {
        return Err(Fault::abort_unexpected(format!(
            "the number of updating clusters `{in_flight}` in the updating stage `{name}` exceeds maxConcurrency `{max}`"
        )));
    }
    reached.updating = Some(at);
    Ok(())
}

fn removal_position(
    status: &RunStatus,
    stages: usize,
    reached: Reached,
    targets: &Targets,
) -> Result<Position, Fault> {
    let Some(removal) = &status.deletion_stage_status else {
        return Err(Fault::abort_unexpected("the updateRun has nil deletionStageStatus"));
    };
    for cluster in targets.removed.keys() {
        if !removal.clusters.iter().any(|known| known.cluster_name == *cluster) {
            return Err(Fault::abort_unexpected(format!(
                "the cluster `{cluster}` to be deleted is not in the delete stage"
            )));
        }
    }
    let ended = truth(&removal.conditions, SUCCEEDED);
    if ended == Some(Truth::False) {
        return Err(Fault::abort(format!(
            "the delete stage has failed, err: {}",
            failure_of(removal)
        )));
    }
    let active = ended == Some(Truth::True) || find(&removal.conditions, PROGRESSING).is_some();
    if active && (reached.updating.is_some() || reached.next() < stages) {
        return Err(Fault::abort_unexpected(format!(
            "the delete stage is active, but there are still stages updating, updatingStageIndex: {}, lastFinishedStageIndex: {}",
            reached.updating_text(),
            reached.finished_text()
        )));
    }
    Ok(match reached.updating.unwrap_or_else(|| reached.next()) {
        _ if ended == Some(Truth::True) => Position::End,
        at if at < stages => Position::Stage(at),
        _ => Position::Removal,
    })
}
