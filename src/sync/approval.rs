//! Signed approvals: from a record in the status to a patch of the request.

use std::{collections::BTreeMap, sync::Arc};

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
    trust::{Approval, Decision, Gate, Signer, Task, Verdict, judge},
};

/// Reason of the Approved condition that we write.
pub const SIGNED_APPROVAL: &str = "SignedApproval";
/// How many records the status keeps.
pub const RECORDS_MAX: usize = 50;

/// Goes through the records and returns the requests to approve. `current` is the run that rolls out now; `next` the
/// commit that will be rolled out, if its run does not exist yet.
pub fn review(
    requests: &BTreeMap<String, Arc<ApprovalRequest>>,
    records: &mut [ApprovalRecord],
    current: Option<&Run>,
    next: Option<&CommitId>,
    now: Timestamp,
) -> Vec<Order> {
    let mut orders = Vec::new();
    // Who says no is heard first, whenever they said it.
    for at in by_decision(records) {
        let Some(run) = due(&mut records[at], current, next) else { continue };
        let Some(gate) = gate(run) else { continue };
        let (approval, signer) = match parts(&records[at]) {
            Ok(parts) => parts,
            Err(why) => {
                refuse(&mut records[at], "ApprovalInvalid", why);
                continue;
            }
        };
        let verdict = judge(&approval, Ok(signer), &gate, records[at].run.as_deref(), now);
        let no = rejection(records, &records[at]).and_then(|no| no.by.clone());
        let record = &mut records[at];
        match verdict {
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
            Verdict::Approved { .. } if no.is_some() => {
                let by = no.unwrap_or_default();
                record.message = Some(format!("waits: {by} rejected this gate"));
            }
            Verdict::Approved { by } => {
                orders.extend(apply(requests, run, &approval, &by, record, now));
            }
        }
    }
    orders
}

/// Returns the places of the records that wait for a verdict, rejections first.
fn by_decision(records: &[ApprovalRecord]) -> Vec<usize> {
    let waiting = |at: &usize| records[*at].state == APPROVAL_PENDING;
    let mut places: Vec<usize> = (0..records.len()).filter(waiting).collect();
    places.sort_by_key(|at| records[*at].decision != "Reject");
    places
}

/// Returns the run that a record is judged for; nothing when it has to wait, for what the record then says.
fn due<'a>(
    record: &mut ApprovalRecord,
    current: Option<&'a Run>,
    next: Option<&CommitId>,
) -> Option<&'a Run> {
    let for_current =
        current.is_some_and(|run| annotation(run, meta::COMMIT) == Some(record.target.as_str()));
    if !for_current && next.is_some_and(|next| next.as_str() == record.target) {
        record.message = Some("waits for the run of this commit".to_owned());
        return None;
    }
    let Some(run) = current else {
        record.message = Some("waits for a run".to_owned());
        return None;
    };
    let conditions = run.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    if for_current && condition::truth(conditions, INITIALIZED) != Some(Truth::True) {
        record.message = Some("waits for the run to initialize".to_owned());
        return None;
    }
    Some(run)
}

fn refuse(record: &mut ApprovalRecord, reason: &str, message: String) {
    record.state = APPROVAL_REFUSED.to_owned();
    record.reason = Some(reason.to_owned());
    record.message = Some(message);
}

fn rejection<'a>(records: &'a [ApprovalRecord], of: &ApprovalRecord) -> Option<&'a ApprovalRecord> {
    let gate = |record: &ApprovalRecord| {
        [&record.rollout, &record.target, &record.stage, &record.task].map(String::clone)
    };
    records
        .iter()
        .filter(|record| record.state == APPROVAL_REJECTED)
        .find(|record| gate(record) == gate(of))
}

/// Reads a record back. What was judged once and written down is judged again with the same words.
fn parts(record: &ApprovalRecord) -> Result<(Approval, Signer), String> {
    let task = match record.task.as_str() {
        "BeforeStage" => Task::BeforeStage,
        "AfterStage" => Task::AfterStage,
        other => return Err(format!("`{other}` is no task")),
    };
    let approval = Approval {
        rollout: record.rollout.clone(),
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

/// Returns what an approval for this run must say.
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
        rollout: annotation(run, meta::ROLLOUT)?.to_owned(),
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
    requests: &BTreeMap<String, Arc<ApprovalRequest>>,
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
    let Some(request) = requests.get(name) else {
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
    // Written down before it is used: whatever breaks in between, no other run gets it.
    record.run = run.metadata.name.clone();
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

/// Adds new records. When there are too many, the oldest of the least worth is forgotten.
pub fn remember(records: &mut Vec<ApprovalRecord>, new: &[ApprovalRecord]) {
    for record in new {
        if !records.iter().any(|held| said(held) == said(record)) {
            records.push(record.clone());
        }
    }
    while records.len() > RECORDS_MAX {
        let least = (0..records.len()).min_by_key(|at| worth(&records[*at]));
        records.remove(least.unwrap_or_default());
    }
}

/// What makes a record the same as another: where it was said, and all that was said.
fn said(record: &ApprovalRecord) -> [&str; 7] {
    let ApprovalRecord { path, rollout, target, stage, task, decision, .. } = record;
    let commit = record.signed.as_ref().unwrap_or(&record.commit);
    [commit, path, rollout, target, stage, task, decision].map(String::as_str)
}

/// Anybody who may push can bring refused ones, as many as they like: that must not lift a veto or lose an approval.
fn worth(record: &ApprovalRecord) -> u8 {
    match record.state.as_str() {
        APPROVAL_REFUSED => 0,
        APPROVAL_APPLIED => 1,
        APPROVAL_REJECTED => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::sync::news::concerns;

    const TARGET: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";

    fn record(rollout: &str, decision: &str) -> ApprovalRecord {
        ApprovalRecord {
            commit: "9fc26d1ba1529b01053ab13c9a10a066d28aacbd".into(),
            path: format!("approvals/{rollout}.yaml"),
            rollout: rollout.into(),
            target: TARGET.into(),
            stage: "canary".into(),
            task: "BeforeStage".into(),
            decision: decision.into(),
            by: Some("alice".into()),
            state: APPROVAL_PENDING.into(),
            ..ApprovalRecord::default()
        }
    }

    /// A run of Rollout `team/web` that waits before canary, and its request.
    fn at_the_gate() -> (Run, BTreeMap<String, Arc<ApprovalRequest>>) {
        let initialized = json!({"type": INITIALIZED, "status": "True", "reason": "r", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let task = json!({"type": "Approval", "approvalRequestName": "r-before-canary"});
        let run = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "StagedUpdateRun",
            "metadata": {"name": "r", "annotations": {meta::ROLLOUT: "team/web", meta::COMMIT: TARGET}},
            "spec": {"placementName": "web", "stagedRolloutStrategyName": "slow"},
            "status": {"conditions": [initialized], "stagesStatus": [{"stageName": "canary", "clusters": [],
                "beforeStageTaskStatus": [task]}]}});
        let request = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ApprovalRequest",
            "metadata": {"name": "r-before-canary", "generation": 1},
            "spec": {"parentStageRollout": "r", "targetStage": "canary"}});
        let request = Arc::new(serde_json::from_value(request).unwrap());
        let requests = BTreeMap::from([("r-before-canary".to_owned(), request)]);
        (serde_json::from_value(run).unwrap(), requests)
    }

    #[test]
    fn only_what_names_the_rollout_in_full_opens_its_gate() {
        let (run, requests) = at_the_gate();
        for (rollout, shown, opens) in [
            ("team/web", true, true),
            ("web", true, false),
            ("other/web", true, false),
            ("team/api", false, false),
            ("", true, false),
        ] {
            let mut records = [record(rollout, "Approve")];
            let known = |name: &str| ["team/web", "team/api"].contains(&name);
            assert_eq!(concerns(&records[0], "team/web", known, Some(TARGET)), shown, "{rollout}");
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            let orders = review(&requests, &mut records, Some(&run), None, now);
            assert_eq!(orders.len(), usize::from(opens), "{rollout}: {orders:?}");
            if !opens {
                assert_eq!(records[0].state, APPROVAL_REFUSED, "{rollout}");
                assert_eq!(records[0].reason.as_deref(), Some("ApprovalOtherRollout"));
            }
        }
        let slip = record("web", "Approve");
        assert!(!concerns(&slip, "team/web", |_| false, Some("another commit")));
    }

    #[test]
    fn a_veto_binds_its_own_rollout_only() {
        let (run, requests) = at_the_gate();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        for (rollout, orders) in [("team/web", 0), ("web", 1)] {
            let mut records = [record(rollout, "Reject"), record("team/web", "Approve")];
            let found = review(&requests, &mut records, Some(&run), None, now);
            assert_eq!(found.len(), orders, "{rollout}: {records:?}");
        }
    }

    #[test]
    fn what_is_refused_is_forgotten_before_a_veto_and_what_waits() {
        let mut records = vec![record("web", "Reject"), record("web", "Approve")];
        records[0].state = APPROVAL_REJECTED.into();
        let refused = |at: usize| ApprovalRecord {
            path: format!("approvals/{at}.yaml"),
            state: APPROVAL_REFUSED.into(),
            ..record("web", "Approve")
        };
        let many: Vec<_> = (0..2 * RECORDS_MAX).map(refused).collect();
        remember(&mut records, &many);
        assert_eq!(records.len(), RECORDS_MAX);
        assert_eq!(records[0].state, APPROVAL_REJECTED);
        assert_eq!(records[1].state, APPROVAL_PENDING);
        assert_eq!(records.last(), many.last());
    }

    #[test]
    fn one_file_may_approve_for_two_rollouts_and_is_remembered_once() {
        let both = ["web", "api"].map(|rollout| ApprovalRecord {
            path: "approvals/both.yaml".into(),
            ..record(rollout, "Approve")
        });
        let mut records = Vec::new();
        remember(&mut records, &both);
        remember(&mut records, &both);
        assert_eq!(records, both);
    }

    /// Goes through the records of `at_the_gate` once.
    fn reviewed(records: &mut [ApprovalRecord]) -> usize {
        let (run, requests) = at_the_gate();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        review(&requests, records, Some(&run), None, now).len()
    }

    #[test]
    fn a_rejection_holds_whenever_it_was_said_unless_it_does_not_count() {
        let (yes, no) = (record("team/web", "Approve"), record("team/web", "Reject"));
        let late = Time("2025-12-31T23:59:59Z".parse().unwrap());
        let now = Time("2026-01-01T00:00:00Z".parse().unwrap());
        let lapsed = ApprovalRecord { expires: Some(late), ..no.clone() };
        let just = ApprovalRecord { expires: Some(now), ..no.clone() };
        let other = ApprovalRecord { task: "AfterStage".into(), ..no.clone() };
        for (records, orders) in [
            (vec![no.clone(), yes.clone()], 0),
            (vec![yes.clone(), no], 0),
            (vec![yes.clone(), lapsed.clone()], 1),
            (vec![lapsed, yes.clone()], 1),
            (vec![yes.clone(), just], 1),
            (vec![yes, other], 1),
        ] {
            assert_eq!(reviewed(&mut records.clone()), orders, "{records:?}");
        }
    }

    #[test]
    fn what_was_used_is_written_down_before_it_is_used_and_opens_no_other_run() {
        let mut records = [record("team/web", "Approve")];
        assert_eq!(reviewed(&mut records), 1);
        assert_eq!(records[0].run.as_deref(), Some("r"));
        // Nobody saw what became of it: once more for the same run, and never for another.
        assert_eq!(reviewed(&mut records), 1);
        records[0].run = Some("r-before".into());
        assert_eq!(reviewed(&mut records), 0);
        assert_eq!(records[0].reason.as_deref(), Some("ApprovalAlreadyUsed"));
    }

    #[test]
    fn the_same_signed_words_under_another_id_are_the_same_approval() {
        let used = ApprovalRecord {
            signed: Some("sha256:00".into()),
            state: APPROVAL_APPLIED.into(),
            ..record("web", "Approve")
        };
        let copy = ApprovalRecord {
            commit: "0000000000000000000000000000000000000001".into(),
            state: APPROVAL_PENDING.into(),
            ..used.clone()
        };
        let mut records = vec![used.clone()];
        remember(&mut records, std::slice::from_ref(&copy));
        assert_eq!(records, [used]);
        let again = ApprovalRecord { signed: Some("sha256:01".into()), ..copy };
        remember(&mut records, &[again]);
        assert_eq!(records.len(), 2);
    }
}
