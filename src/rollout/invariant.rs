//! What holds after every step, whatever happened before; for tests, and for whoever doubts a status.

use std::collections::BTreeSet;

use super::{
    Order, Run, Step,
    cluster::{is_failed, is_started, is_updated},
    stage::max_concurrency,
};
use crate::api::{
    condition::{Truth, find, is_true, truth},
    run::{
        APPROVAL_REQUEST_APPROVED, INITIALIZED, PROGRESSING, RunStatus, STATE_RUN, SUCCEEDED,
        StageStatus, TaskStatus, WAIT_TIME_ELAPSED,
    },
};

/// Something that must never be so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Broken {
    /// A stage began before the one ahead of it was over.
    #[error("stage `{stage}` began before stage `{ahead}` succeeded")]
    Order {
        /// The stage that began.
        stage: String,
        /// The one ahead of it.
        ahead: String,
    },
    /// More clusters are in flight, or about to be, than the stage allows.
    #[error("stage `{stage}` has {in_flight} clusters in flight, and allows {max}")]
    Crowded {
        /// The stage.
        stage: String,
        /// Clusters in flight, those that are ordered included.
        in_flight: usize,
        /// How many there may be.
        max: usize,
    },
    /// A cluster began before the gate ahead of its stage opened.
    #[error("a cluster of stage `{stage}` began before its gate opened")]
    GateBefore {
        /// The stage.
        stage: String,
    },
    /// A stage succeeded before the gate behind it opened, or before its clusters were updated.
    #[error("stage `{stage}` succeeded too early")]
    TooEarly {
        /// The stage.
        stage: String,
    },
    /// A run succeeded with something left to do, or goes on after its end.
    #[error("the run's end is wrong: {0}")]
    End(&'static str),
    /// A run gave an order that its state does not allow.
    #[error("order against the run's state: {0:?}")]
    Against(Box<Order>),
    /// A cluster is in the run twice.
    #[error("cluster `{cluster}` is in two places")]
    Twice {
        /// The cluster.
        cluster: String,
    },
}

/// Checks a step of `run`: the status after it, and its orders.
///
/// # Errors
/// The first thing that must not be so.
pub fn check_step(run: &Run<'_>, step: &Step) -> Result<(), Broken> {
    let nothing = RunStatus::default();
    let status = step.status.as_ref().or(run.status).unwrap_or(&nothing);
    check(status)?;
    check_orders(run, status, &step.orders)
}

/// Checks a status by itself.
///
/// # Errors
/// The first thing that must not be so.
pub fn check(status: &RunStatus) -> Result<(), Broken> {
    let stages = status.stages_status.as_deref().unwrap_or_default();
    let plans = status.staged_update_strategy_snapshot.as_ref();
    let removal = status.deletion_stage_status.as_ref();
    check_once(stages)?;
    check_order(stages, removal)?;
    for (at, stage) in stages.iter().enumerate() {
        let max =
            max_concurrency(plans.and_then(|plans| plans.stages.get(at)), stage.clusters.len());
        check_stage(stage, max)?;
    }
    let succeeded = |stage: &StageStatus| is_true(&stage.conditions, SUCCEEDED);
    if is_true(&status.conditions, SUCCEEDED)
        && !(stages.iter().all(succeeded) && removal.is_some_and(succeeded))
    {
        return Err(Broken::End("it succeeded, and a stage did not"));
    }
    let ended = truth(&status.conditions, SUCCEEDED).is_some();
    if ended && is_true(&status.conditions, PROGRESSING) {
        return Err(Broken::End("it is over, and makes progress"));
    }
    Ok(())
}

/// Every cluster is in at most one stage.
fn check_once(stages: &[StageStatus]) -> Result<(), Broken> {
    let mut known = BTreeSet::new();
    for cluster in stages.iter().flat_map(|stage| &stage.clusters) {
        if !known.insert(&cluster.cluster_name) {
            return Err(Broken::Twice { cluster: cluster.cluster_name.clone() });
        }
    }
    Ok(())
}

/// A stage begins when all before it succeeded.
fn check_order(stages: &[StageStatus], removal: Option<&StageStatus>) -> Result<(), Broken> {
    let mut ahead: Option<&StageStatus> = None;
    for stage in stages.iter().chain(removal) {
        let began = !stage.conditions.is_empty() || stage.clusters.iter().any(is_started);
        if let Some(ahead) = ahead
            && began
            && !is_true(&ahead.conditions, SUCCEEDED)
        {
            return Err(Broken::Order {
                stage: stage.stage_name.clone(),
                ahead: ahead.stage_name.clone(),
            });
        }
        ahead = Some(stage);
    }
    Ok(())
}

fn in_flight(stage: &StageStatus) -> usize {
    let flying = |cluster: &&_| is_started(cluster) && !is_updated(cluster) && !is_failed(cluster);
    stage.clusters.iter().filter(flying).count()
}

fn check_stage(stage: &StageStatus, max: usize) -> Result<(), Broken> {
    let name = || stage.stage_name.clone();
    if in_flight(stage) > max {
        return Err(Broken::Crowded { stage: name(), in_flight: in_flight(stage), max });
    }
    let open = |tasks: &Option<Vec<TaskStatus>>| {
        tasks.iter().flatten().all(|task| {
            is_true(&task.conditions, APPROVAL_REQUEST_APPROVED)
                || is_true(&task.conditions, WAIT_TIME_ELAPSED)
        })
    };
    if stage.clusters.iter().any(is_started) && !open(&stage.before_stage_task_status) {
        return Err(Broken::GateBefore { stage: name() });
    }
    let skipped = stage.clusters.is_empty();
    if is_true(&stage.conditions, SUCCEEDED)
        && !(stage.clusters.iter().all(is_updated)
            && (skipped || open(&stage.after_stage_task_status)))
    {
        return Err(Broken::TooEarly { stage: name() });
    }
    Ok(())
}

/// Clusters begin only in the stage that is at work, only as many as may be, and only while the run is to go on.
fn check_orders(run: &Run<'_>, status: &RunStatus, orders: &[Order]) -> Result<(), Broken> {
    let wrong = |order: &Order| Err(Broken::Against(Box::new(order.clone())));
    let stages = status.stages_status.as_deref().unwrap_or_default();
    let at_work =
        stages.iter().position(|stage| truth(&stage.conditions, SUCCEEDED) != Some(Truth::True));
    let may_go = run.state() == STATE_RUN
        && is_true(&status.conditions, INITIALIZED)
        && find(&status.conditions, SUCCEEDED).is_none();
    let mut begun = 0;
    for order in orders {
        let name = match order {
            Order::Bind(bind) => Some(bind.cluster.as_str()),
            Order::MarkRolloutStarted { .. } | Order::CreateApproval { .. } => None,
            Order::DeleteBinding { .. } if at_work.is_none() => None,
            Order::DeleteBinding { .. } => return wrong(order),
            _ => continue,
        };
        if !may_go {
            return wrong(order);
        }
        if matches!(order, Order::Bind(_) | Order::MarkRolloutStarted { .. }) {
            begun += 1;
        }
        let stage = at_work.and_then(|at| stages.get(at));
        let inside =
            |name| stage.is_some_and(|stage| stage.clusters.iter().any(|c| c.cluster_name == name));
        if name.is_some_and(|name| !inside(name)) {
            return wrong(order);
        }
    }
    let Some((at, stage)) = at_work.and_then(|at| Some((at, stages.get(at)?))) else {
        return Ok(());
    };
    let plans = status.staged_update_strategy_snapshot.as_ref();
    let max = max_concurrency(plans.and_then(|plans| plans.stages.get(at)), stage.clusters.len());
    let in_flight = in_flight(stage) + begun;
    if in_flight > max {
        return Err(Broken::Crowded { stage: stage.stage_name.clone(), in_flight, max });
    }
    Ok(())
}
