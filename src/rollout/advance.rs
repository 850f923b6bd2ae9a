//! One pass over a run, in Fleet's order (fleet-semantics §5.3).

use jiff::{SignedDuration, Timestamp};

use super::{
    Order, Run, Seen, Step, Wake,
    check::Targets,
    cluster::Wanted,
    fault::{Fault, FaultKind},
    initialize::{Initialized, initialize},
    removal::Removal,
    stage::Visit,
    status::{Activity, Stamp},
    validate::{Position, validate},
};
use crate::api::{
    condition::{Truth, truth},
    run::{INITIALIZED, RunStatus, STATE_RUN, STATE_STOP, SUCCEEDED, StageStatus},
};

/// How long after its creation a run may wait for what it names: `kubectl apply` makes a placement, a strategy and a run
/// in one breath, and the scheduler is a moment behind. Fleet ends such a run at once (§11.2 #5).
const YOUNG: SignedDuration = SignedDuration::from_secs(3);
/// When to look again at what passes by itself, should no change tell.
const TRANSIENT_RETRY: SignedDuration = SignedDuration::from_secs(5);

/// Decides what becomes of `run` now.
///
/// A function of its arguments alone: restarting between any two passes changes nothing.
pub fn advance(run: &Run<'_>, seen: &Seen, now: Timestamp) -> Step {
    if run.deleting {
        let orders = if run.finalized {
            vec![Order::DeleteApprovals, Order::RemoveFinalizer]
        } else {
            Vec::new()
        };
        return Step { orders, ..Step::default() };
    }
    if !run.finalized {
        return Step { orders: vec![Order::AddFinalizer], ..Step::default() };
    }
    let stamp = Stamp { generation: run.generation, now };
    let held = run.status.map_or(&[][..], |status| &status.conditions);
    match truth(held, INITIALIZED) {
        Some(Truth::False) => Step::default(),
        Some(Truth::True) if truth(held, SUCCEEDED).is_some_and(|end| end != Truth::Unknown) => {
            Step::default()
        }
        Some(Truth::True) => go_on(run, seen, stamp),
        _ => begin(run, seen, stamp),
    }
}

fn begin(run: &Run<'_>, seen: &Seen, stamp: Stamp) -> Step {
    let mut status = run.status.cloned().unwrap_or_default();
    let fault = match initialize(run, seen, &mut status) {
        Ok(Initialized::Yes) => {
            stamp.run_initialized(&mut status);
            return Step { status: Some(status), wake: Wake::Now, ..Step::default() };
        }
        Ok(Initialized::AfterCapture) => {
            return Step {
                orders: vec![Order::CaptureSnapshot],
                wake: Wake::Now,
                ..Step::default()
            };
        }
        Err(fault) => fault,
    };
    match (fault.kind, run.created.map(|created| created + YOUNG)) {
        (FaultKind::Transient, _) => hold(fault, stamp.now + TRANSIENT_RETRY),
        (FaultKind::TerminalUnlessYoung, Some(grown)) if stamp.now < grown => hold(fault, grown),
        _ => {
            stamp.run_not_initialized(&mut status, &fault.text);
            Step { status: Some(status), verdict: true, ..Step::default() }
        }
    }
}

fn hold(fault: Fault, until: Timestamp) -> Step {
    Step { wake: Wake::At(until), held: Some(fault.text), ..Step::default() }
}

fn go_on(run: &Run<'_>, seen: &Seen, stamp: Stamp) -> Step {
    let mut status = run.status.cloned().unwrap_or_default();
    stamp.refresh(&mut status);
    let (position, targets) = match validate(run, seen, &status) {
        Ok(valid) => valid,
        Err(fault) if fault.kind == FaultKind::Transient => {
            return hold(fault, stamp.now + TRANSIENT_RETRY);
        }
        Err(fault) => {
            stamp.run_failed(&mut status, &fault.text);
            return Step { status: Some(status), verdict: true, ..Step::default() };
        }
    };
    if position == Position::End {
        stamp.run_succeeded(&mut status);
        return Step { status: Some(status), ..Step::default() };
    }
    match run.state() {
        STATE_RUN | STATE_STOP => work(run, seen, stamp, status, position, &targets),
        _ => Step::default(),
    }
}

/// What became of the stage that was worked on.
enum Turn {
    Activity(Activity),
    AllDone,
}

fn work(
    run: &Run<'_>,
    seen: &Seen,
    stamp: Stamp,
    mut status: RunStatus,
    position: Position,
    targets: &Targets,
) -> Step {
    let wanted = Wanted::of(run, &status);
    let mut visit = Visit {
        run,
        seen,
        targets,
        wanted: &wanted,
        stamp,
        orders: Vec::new(),
        wake: Wake::OnChange,
    };
    let stopping = run.state() == STATE_STOP;
    let turn = match position {
        Position::Stage(at) => work_on_stage(&mut visit, &mut status, at, stopping),
        Position::Removal | Position::End => work_on_removal(&mut visit, &mut status, stopping),
    };
    let Visit { orders, wake, .. } = visit;
    let mut step = Step { orders, wake, ..Step::default() };
    match turn {
        Ok(Turn::Activity(activity)) => stamp.run_is(&mut status, &activity),
        Ok(Turn::AllDone) => stamp.run_succeeded(&mut status),
        Err(fault) => {
            stamp.run_failed(&mut status, &fault.text);
            step = Step { verdict: true, ..Step::default() };
        }
    }
    step.status = Some(status).filter(|status| Some(status) != run.status);
    step
}

fn work_on_stage(
    visit: &mut Visit<'_>,
    status: &mut RunStatus,
    at: usize,
    stopping: bool,
) -> Result<Turn, Fault> {
    let plan = status
        .staged_update_strategy_snapshot
        .as_ref()
        .and_then(|strategy| strategy.stages.get(at).cloned())
        .unwrap_or_default();
    let Some(stage) = status.stages_status.as_mut().and_then(|stages| stages.get_mut(at)) else {
        return Err(Fault::abort_unexpected("the updateRun has nil stagesStatus"));
    };
    let done = if stopping { visit.stop(stage) } else { visit.execute(&plan, stage) };
    failing(visit.stamp, stage, done.map(Turn::Activity))
}

fn work_on_removal(
    visit: &mut Visit<'_>,
    status: &mut RunStatus,
    stopping: bool,
) -> Result<Turn, Fault> {
    let Some(stage) = status.deletion_stage_status.as_mut() else {
        return Err(Fault::abort_unexpected("the updateRun has nil deletionStageStatus"));
    };
    let done = if stopping {
        visit.stop_removal(stage).map(Turn::Activity)
    } else {
        visit.remove(stage).map(|removal| match removal {
            Removal::Done => Turn::AllDone,
            Removal::InFlight | Removal::Idle => Turn::Activity(Activity::Going),
        })
    };
    failing(visit.stamp, stage, done)
}

/// A stage that was worked on in vain says why.
fn failing(
    stamp: Stamp,
    stage: &mut StageStatus,
    done: Result<Turn, Fault>,
) -> Result<Turn, Fault> {
    done.inspect_err(|fault| stamp.stage_failed(stage, &fault.text))
}
