//! What changed between two statuses of a run, for logs and events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{
    condition::{Truth, find},
    run::{
        INITIALIZED, PROGRESSING, RunStatus, STARTED, SUCCEEDED, StageStatus, TaskStatus, reason,
    },
};

/// Something happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Fleet's reason for the condition that changed.
    pub reason: String,
    /// What happened, to whom.
    pub message: String,
    /// How far from everyday it is.
    pub weight: Weight,
}

/// How far from everyday something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// One of many alike: a cluster started, or was updated.
    Detail,
    /// A turning point.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Returns what happened between two statuses, the run first, then stage by stage.
pub fn transitions(before: Option<&RunStatus>, after: &RunStatus) -> Vec<Transition> {
    let nothing = RunStatus::default();
    let before = before.unwrap_or(&nothing);
    let mut found = Vec::new();
    for kind in [INITIALIZED, PROGRESSING, SUCCEEDED] {
        changed(kind, &before.conditions, &after.conditions, "", Weight::Normal, &mut found);
    }
    let unknown = StageStatus::default();
    for stage in stages(after) {
        let mut old = stages(before);
        let old = old.find(|old| old.stage_name == stage.stage_name).unwrap_or(&unknown);
        stage_transitions(old, stage, &mut found);
    }
    found
}

fn stages(status: &RunStatus) -> impl Iterator<Item = &StageStatus> {
    status.stages_status.iter().flatten().chain(&status.deletion_stage_status)
}

fn stage_transitions(before: &StageStatus, after: &StageStatus, found: &mut Vec<Transition>) {
    let name = &after.stage_name;
    let about = format!("stage {name}: ");
    for kind in [PROGRESSING, SUCCEEDED] {
        changed(kind, &before.conditions, &after.conditions, &about, Weight::Normal, found);
    }
    let tasks = |stage: &StageStatus| -> Vec<TaskStatus> {
        let before = stage.before_stage_task_status.iter().flatten();
        before.chain(stage.after_stage_task_status.iter().flatten()).cloned().collect()
    };
    let old = tasks(before);
    for (at, task) in tasks(after).iter().enumerate() {
        let held = old.get(at).map_or(&[][..], |task| &task.conditions);
        let about = match &task.approval_request_name {
            Some(request) => format!("stage {name}: `{request}`: "),
            None => about.clone(),
        };
        for condition in &task.conditions {
            let kind = condition.type_.as_str();
            changed(kind, held, &task.conditions, &about, Weight::Normal, found);
        }
    }
    for (at, cluster) in after.clusters.iter().enumerate() {
        let held = before.clusters.get(at).map_or(&[][..], |cluster| &cluster.conditions);
        let about = format!("stage {name}, cluster {}: ", cluster.cluster_name);
        for kind in [STARTED, SUCCEEDED] {
            changed(kind, held, &cluster.conditions, &about, Weight::Detail, found);
        }
    }
}

/// The reasons that come with `Succeeded`, which says it better.
const ENDS: [&str; 5] = [
    reason::RUN_SUCCEEDED,
    reason::RUN_FAILED,
    reason::STAGE_SUCCEEDED,
    reason::STAGE_SKIPPED,
    reason::STAGE_FAILED,
];

fn changed(
    kind: &str,
    before: &[Condition],
    after: &[Condition],
    about: &str,
    weight: Weight,
    found: &mut Vec<Transition>,
) {
    let Some(new) = find(after, kind) else { return };
    let same = |old: &Condition| {
        // The message of a wait names the stage; that of a stuck run names the clusters, and changes often.
        old.status == new.status
            && old.reason == new.reason
            && (old.message == new.message || new.reason != reason::RUN_WAITING)
    };
    if find(before, kind).is_some_and(same)
        || (kind == PROGRESSING && ENDS.contains(&new.reason.as_str()))
    {
        return;
    }
    let bad = new.reason == reason::RUN_STUCK
        || (kind != PROGRESSING && new.status == Truth::False.as_str());
    found.push(Transition {
        reason: new.reason.clone(),
        message: format!("{about}{}", new.message),
        weight: if bad { Weight::Warning } else { weight },
    });
}
