//! Signed approvals: from a record in the status to a patch of the request.

use jiff::Timestamp;
use serde_json::json;

use super::{Order, news::describe};
use crate::{
    api::{
        ApprovalRequest, Run,
        approval::APPROVED,
        condition::{self, Truth},
        meta,
        rollout::{
            APPROVAL_APPLIED, APPROVAL_PENDING, APPROVAL_REFUSED, APPROVAL_REJECTED, ApprovalRecord,
        },
        run::{INITIALIZED, TaskStatus},
        strategy::TASK_APPROVAL,
    },
    model::{CommitId, Digest},
    release::ledger::annotation,
    sync::Seen,
    trust::{Approval, Decision, Gate, Signer, Task, Verdict, judge},
};

/// Reason of the Approved condition that we write.
pub const SIGNED_APPROVAL: &str = "SignedApproval";
/// How many records the status keeps.
pub const RECORDS_MAX: usize = 50;

/// Goes through the records and returns the requests to approve. `current` is the run that rolls out now; `next` the
/// commit that will be rolled out, if its run does not exist yet.
pub fn review(
    seen: &Seen,
    records: &mut [ApprovalRecord],
    current: Option<&Run>,
    next: Option<&CommitId>,
    now: Timestamp,
) -> Vec<Order> {
    let mut orders = Vec::new();
    let earlier = records.to_vec();
    for record in records.iter_mut().filter(|record| record.state == APPROVAL_PENDING) {
        let for_current = current
            .is_some_and(|run| annotation(run, meta::COMMIT) == Some(record.target.as_str()));
        if !for_current && next.is_some_and(|next| next.as_str() == record.target) {
            record.message = Some("waits for the run of this commit".to_owned());
            continue;
        }
        let Some(run) = current else {
            record.message = Some("waits for a run".to_owned());
            continue;
        };
        let conditions = run.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        if for_current && condition::truth(conditions, INITIALIZED) != Some(Truth::True) {
            record.message = Some("waits for the run to initialize".to_owned());
            continue;
        }
        let Some(gate) = gate(run) else { continue };
        let (approval, signer) = match parts(record) {
            Ok(parts) => parts,
            Err(why) => {
                refuse(record, "ApprovalInvalid", why);
                continue;
            }
        };
        match judge(&approval, Ok(signer), &gate, record.run.as_deref(), now) {
            Verdict::Refused(refusal) => {
                let id = record.commit.get(..8).unwrap_or_default();
                let message = format!("{} in commit {id}: {}", record.path, describe(&refusal));
                refuse(record, refusal.reason(), message);
            }
            Verdict::Rejected { by } => {
                record.state = APPROVAL_REJECTED.to_owned();
                record.run = Some(gate.run.clone());
                record.message = Some(format!("{} keeps the gate shut", by.principal));
            }
            Verdict::Approved { by } => {
                if let Some(no) = rejection(&earlier, record) {
                    record.message = Some(format!(
                        "waits: {} rejected this gate",
                        no.by.as_deref().unwrap_or("somebody")
                    ));
                } else {
                    orders.extend(apply(seen, run, &approval, &by, record, now));
                }
            }
        }
    }
    orders
}

fn refuse(record: &mut ApprovalRecord, reason: &str, message: String) {
    record.state = APPROVAL_REFUSED.to_owned();
    record.reason = Some(reason.to_owned());
    record.message = Some(message);
}

fn rejection<'a>(records: &'a [ApprovalRecord], of: &ApprovalRecord) -> Option<&'a ApprovalRecord> {
    let gate = |record: &ApprovalRecord| {
        (record.target.clone(), record.stage.clone(), record.task.clone())
    };
    let valid = |record: &&ApprovalRecord| {
        record.state == APPROVAL_REJECTED
            || (record.state == APPROVAL_PENDING && record.decision == "Reject")
    };
    records.iter().filter(valid).find(|record| gate(record) == gate(of))
}

/// Reads a record back. What was judged once and written down is judged again with the same words.
fn parts(record: &ApprovalRecord) -> Result<(Approval, Signer), String> {
    let task = match record.task.as_str() {
        "BeforeStage" => Task::BeforeStage,
        "AfterStage" => Task::AfterStage,
        other => return Err(format!("`{other}` is no task")),
    };
    let approval = Approval {
        rollout: String::new(),
        commit: record.target.parse().map_err(|error| format!("{error}"))?,
        stage: record.stage.clone(),
        task,
        decision: match record.decision.as_str() {
            "Reject" => Decision::Reject,
            _ => Decision::Approve,
        },
        plan: match &record.plan {
            None => None,
            Some(plan) => Some(plan.parse().map_err(|error| format!("{error}"))?),
        },
        expires: record.expires.as_ref().map(|time| time.0),
    };
    let principal = record.by.clone().ok_or("nobody signed it")?;
    Ok((approval, Signer { principal, fingerprint: String::new() }))
}

/// Returns what an approval for this run must say. Records were addressed to their Rollout when they were read.
fn gate(run: &Run) -> Option<Gate> {
    let stages = run.status.as_ref()?.stages_status.iter().flatten().map(|stage| {
        let asks = |tasks: &Option<Vec<TaskStatus>>| {
            tasks.iter().flatten().any(|task| task.kind == TASK_APPROVAL)
        };
        let mut tasks = Vec::new();
        if asks(&stage.before_stage_task_status) {
            tasks.push(Task::BeforeStage);
        }
        if asks(&stage.after_stage_task_status) {
            tasks.push(Task::AfterStage);
        }
        (stage.stage_name.clone(), tasks)
    });
    Some(Gate {
        rollout: String::new(),
        commit: annotation(run, meta::COMMIT)?.parse().ok()?,
        run: run.metadata.name.clone()?,
        stages: stages.collect(),
        plan: plan(run),
    })
}

/// Returns the digest of what a run will do: stages with their clusters in order, index and content. Nothing before it is
/// initialized.
pub fn plan(run: &Run) -> Option<Digest> {
    let status = run.status.as_ref()?;
    let stages: Vec<_> = status
        .stages_status
        .as_ref()?
        .iter()
        .map(|stage| {
            let clusters: Vec<_> = stage.clusters.iter().map(|c| c.cluster_name.as_str()).collect();
            json!({"stage": stage.stage_name, "clusters": clusters})
        })
        .collect();
    let plan = json!({
        "stages": stages,
        "index": status.resource_snapshot_index_used.as_ref()?,
        "content": annotation(run, meta::CONTENT_DIGEST)?,
    });
    Some(Digest::of(format!("tidegate plan v1\n{plan}\n").as_bytes()))
}

/// Writes the approval to its request, once there is one; notes that it is there, once it is.
fn apply(
    seen: &Seen,
    run: &Run,
    approval: &Approval,
    by: &Signer,
    record: &mut ApprovalRecord,
    now: Timestamp,
) -> Option<Order> {
    let stages = run.status.as_ref()?.stages_status.as_ref()?;
    let stage = stages.iter().find(|stage| stage.stage_name == approval.stage)?;
    let tasks = match approval.task {
        Task::BeforeStage => &stage.before_stage_task_status,
        Task::AfterStage => &stage.after_stage_task_status,
    };
    let task = tasks.iter().flatten().find(|task| task.kind == TASK_APPROVAL)?;
    let name = task.approval_request_name.as_deref()?;
    let Some(request) = seen.requests.get(name) else {
        record.message = Some(format!("waits for the run to ask for it ({name})"));
        return None;
    };
    let generation = request.metadata.generation.unwrap_or_default();
    if let Some(held) = approved(request, generation) {
        record.state = APPROVAL_APPLIED.to_owned();
        record.run = run.metadata.name.clone();
        record.reason = Some(held.reason.clone());
        record.message = Some(held.message.clone());
        return None;
    }
    let commit = record.commit.get(..12).unwrap_or(&record.commit);
    let mut conditions = request.status.clone().unwrap_or_default().conditions;
    let claim = condition::Claim::new(
        APPROVED,
        Truth::True,
        SIGNED_APPROVAL,
        format!("approved by {} in commit {commit}", by.principal),
    );
    condition::set(&mut conditions, claim, generation, now);
    let patch = json!({"status": {"conditions": conditions}});
    Some(Order::Approve { request: name.to_owned(), patch })
}

fn approved(
    request: &ApprovalRequest,
    generation: i64,
) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let conditions = &request.status.as_ref()?.conditions;
    let fresh = condition::fresh_truth(conditions, APPROVED, generation) == Some(Truth::True);
    condition::find(conditions, APPROVED).filter(|_| fresh)
}

/// Adds new records, and forgets the oldest that are decided when there are too many.
pub fn remember(records: &mut Vec<ApprovalRecord>, new: &[ApprovalRecord]) {
    for record in new {
        let known = records.iter().any(|held| {
            held.commit == record.commit
                && held.path == record.path
                && held.stage == record.stage
                && held.task == record.task
                && held.target == record.target
        });
        if !known {
            records.push(record.clone());
        }
    }
    while records.len() > RECORDS_MAX {
        let decided = records.iter().position(|record| record.state != APPROVAL_PENDING);
        records.remove(decided.unwrap_or_default());
    }
}
