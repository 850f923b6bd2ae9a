//! Gates before and after a stage: an approval, a wait (fleet-semantics §5.8, §5.9).

use jiff::{SignedDuration, Timestamp};

use super::{Order, Run, Seen, Task, fault::Fault, status::Stamp};
use crate::{
    api::{
        ApprovalRequest,
        approval::{APPROVAL_ACCEPTED, APPROVED},
        condition::{Truth, fresh_truth, is_true},
        run::{APPROVAL_REQUEST_APPROVED, TaskStatus, WAIT_TIME_ELAPSED},
    },
    model::GoDuration,
};

/// Whether the run may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Until somebody approves.
    Shut,
    /// Until this instant.
    Until(Timestamp),
}

/// Judges an approval. A task that was approved once is never asked about again.
pub(super) fn approval(
    run: &Run<'_>,
    seen: &Seen,
    stamp: Stamp,
    stage: &str,
    task: &mut TaskStatus,
    place: Task,
    orders: &mut Vec<Order>,
) -> Result<Gate, Fault> {
    if is_true(&task.conditions, APPROVAL_REQUEST_APPROVED) {
        return Ok(Gate::Open);
    }
    let name = task.approval_request_name.clone().unwrap_or_default();
    let Some(request) = seen.approvals.get(&name) else {
        orders.push(Order::CreateApproval { name, stage: stage.to_owned(), task: place });
        return Ok(Gate::Shut);
    };
    stamp.request_created(task);
    check_target(run, stage, &name, request)?;
    let generation = request.metadata.generation.unwrap_or_default();
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    // An answer to another generation of the request is no answer: Fleet ignores it silently.
    let says = |kind| fresh_truth(conditions, kind, generation) == Some(Truth::True);
    if says(APPROVAL_ACCEPTED) {
        stamp.request_approved(task);
        return Ok(Gate::Open);
    }
    if says(APPROVED) {
        orders.push(Order::AcceptApproval { name, generation });
    }
    Ok(Gate::Shut)
}

fn check_target(
    run: &Run<'_>,
    stage: &str,
    name: &str,
    request: &ApprovalRequest,
) -> Result<(), Fault> {
    let spec = &request.spec;
    if spec.parent_stage_rollout == run.name && spec.target_stage == stage {
        return Ok(());
    }
    let key = |name: &str| run.scope.key(name);
    // The unpaired quote is Fleet's.
    Err(Fault::abort_unexpected(format!(
        "the approval request task `{}` is targeting update run `{}` and stage `{}`, want target update run `{} and stage `{stage}`",
        key(name),
        key(&spec.parent_stage_rollout),
        spec.target_stage,
        key(run.name)
    )))
}

/// Holds a stage back until `wait` has passed since all of its clusters were updated.
///
/// `updated_at` comes from the clusters themselves, not from the stage's condition, whose time a Stop moves: stopping
/// neither loses the time that was waited nor adds to it.
pub(super) fn timed_wait(
    updated_at: Timestamp,
    wait: GoDuration,
    stamp: Stamp,
    task: &mut TaskStatus,
) -> Gate {
    if is_true(&task.conditions, WAIT_TIME_ELAPSED) {
        return Gate::Open;
    }
    let opens_at = updated_at.checked_add(SignedDuration::from(wait)).unwrap_or(Timestamp::MAX);
    if stamp.now < opens_at {
        return Gate::Until(opens_at);
    }
    stamp.wait_elapsed(task);
    Gate::Open
}
