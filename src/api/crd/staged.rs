//! Strategies, runs and approval requests (fleet-semantics §2.1 to §2.3).

use serde_json::{Value, json};

use super::{
    definition::{Definition, age, condition, field},
    schema::{
        about, apply_strategy, conditions, integer, label_selector, list, list_up_to, object,
        override_lists, text, time, with_properties, with_rules, word, word_or,
    },
};
use crate::api::kind::{self, Kind};

pub(super) fn all() -> Vec<Value> {
    vec![
        strategy(kind::CLUSTER_STAGED_UPDATE_STRATEGY, &["csus"]),
        strategy(kind::STAGED_UPDATE_STRATEGY, &["sus"]),
        run(kind::CLUSTER_STAGED_UPDATE_RUN, &["csur"]),
        run(kind::STAGED_UPDATE_RUN, &["sur"]),
        approval_request(kind::CLUSTER_APPROVAL_REQUEST, &["careq"]),
        approval_request(kind::APPROVAL_REQUEST, &["areq"]),
    ]
}

fn strategy(kind: Kind, short: &'static [&'static str]) -> Value {
    let about = "Stages in which a staged update run updates clusters.";
    let (spec, status, rules, columns) = (strategy_spec(), None, &[][..], vec![age()]);
    Definition {
        kind,
        short,
        about,
        spec,
        status,
        status_subresource: !kind.namespaced,
        columns,
        rules,
    }
    .build()
}

fn strategy_spec() -> Value {
    object(json!({"stages": list_up_to(31, stage())}), &["stages"])
}

fn stage() -> Value {
    let no_wait = (
        "!(self.type == 'Approval' && has(self.waitTime))",
        "AfterStageTaskType is Approval, waitTime is not allowed",
    );
    let wait = (
        "!(self.type == 'TimedWait' && !has(self.waitTime))",
        "AfterStageTaskType is TimedWait, waitTime is required",
    );
    let approval_only = ("self.type != 'TimedWait'", "BeforeStageTaskType cannot be TimedWait");
    let concurrency = json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "default": 1,
        "pattern": "^(100|[1-9][0-9]?)%$",
        "x-kubernetes-int-or-string": true,
    });
    let concurrency = with_rules(
        concurrency,
        &[("type(self) == string || self >= 1", "maxConcurrency must be at least 1")],
    );
    object(
        json!({
            "afterStageTasks": list_up_to(2, with_rules(task(), &[no_wait, wait])),
            "beforeStageTasks": list_up_to(1, with_rules(task(), &[no_wait, approval_only])),
            "labelSelector": about(label_selector(), "Which clusters; absent selects none, {} selects all."),
            "maxConcurrency": about(concurrency, "How many clusters at once: a count, or a percentage that is rounded down to no less than 1."),
            "name": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]+$"},
            "sortingLabelKey": about(text(), "A label with a whole number, by which clusters are put in order."),
        }),
        &["name"],
    )
}

fn task() -> Value {
    object(
        json!({
            "type": word(&["TimedWait", "Approval"]),
            "waitTime": {"type": "string", "pattern": r"^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:s|m|h))+$"},
        }),
        &["type"],
    )
}

fn run(kind: Kind, short: &'static [&'static str]) -> Value {
    let columns = vec![
        field("Placement", ".spec.placementName"),
        field("Resource-Snapshot-Index", ".spec.resourceSnapshotIndex"),
        field("Policy-Snapshot-Index", ".status.policySnapshotIndexUsed"),
        condition("Initialized", "Initialized", "status", 0),
        condition("Progressing", "Progressing", "status", 0),
        condition("Succeeded", "Succeeded", "status", 0),
        age(),
        ("Strategy", ".spec.stagedRolloutStrategyName".to_owned(), "string", 1),
    ];
    let about = "One execution of a strategy for one placement and one resource snapshot index.";
    let rules = &[("size(self.metadata.name) < 64", "metadata.name max length is 63")][..];
    Definition {
        kind,
        short,
        about,
        spec: run_spec(),
        status: Some(run_status()),
        status_subresource: true,
        columns,
        rules,
    }
    .build()
}

fn run_spec() -> Value {
    let immutable =
        |schema: Value, message: &str| with_rules(schema, &[("self == oldSelf", message)]);
    let state = word_or(&["Initialize", "Run", "Stop"], "Initialize");
    let spec = object(
        json!({
            "placementName": immutable(json!({"type": "string", "maxLength": 255}), "placementName is immutable"),
            "resourceSnapshotIndex": immutable(text(), "resourceSnapshotIndex is immutable"),
            "stagedRolloutStrategyName": immutable(text(), "stagedRolloutStrategyName is immutable"),
            "state": about(state, "Initialize only, run, or stop."),
        }),
        &["placementName", "stagedRolloutStrategyName"],
    );
    let never = |from: &str, to: &str| {
        (
            format!("!(has(oldSelf.state) && oldSelf.state == '{from}' && self.state == '{to}')"),
            format!("invalid state transition: cannot transition from {from} to {to}"),
        )
    };
    let rules =
        [never("Initialize", "Stop"), never("Run", "Initialize"), never("Stop", "Initialize")];
    let rules: Vec<(&str, &str)> =
        rules.iter().map(|(rule, message)| (rule.as_str(), message.as_str())).collect();
    with_rules(spec, &rules)
}

fn run_status() -> Value {
    object(
        json!({
            "appliedStrategy": apply_strategy(),
            "conditions": conditions(),
            "deletionStageStatus": stage_status(),
            "policyObservedClusterCount": integer("int64"),
            "policySnapshotIndexUsed": text(),
            "resourceSnapshotIndexUsed": text(),
            "stagedUpdateStrategySnapshot": strategy_spec(),
            "stagesStatus": list(stage_status()),
        }),
        &[],
    )
}

fn stage_status() -> Value {
    let cluster =
        object(json!({"clusterName": text(), "conditions": conditions()}), &["clusterName"]);
    let task = object(
        json!({"approvalRequestName": text(), "conditions": conditions(), "type": word(&["TimedWait", "Approval"])}),
        &["type"],
    );
    object(
        json!({
            "afterStageTaskStatus": list_up_to(2, task.clone()),
            "beforeStageTaskStatus": list_up_to(1, task),
            "clusters": list(with_properties(cluster, override_lists())),
            "conditions": conditions(),
            "endTime": time(),
            "stageName": text(),
            "startTime": time(),
        }),
        &["clusters", "stageName"],
    )
}

fn approval_request(kind: Kind, short: &'static [&'static str]) -> Value {
    let spec = object(
        json!({"parentStageRollout": text(), "targetStage": text()}),
        &["parentStageRollout", "targetStage"],
    );
    let spec = with_rules(spec, &[("self == oldSelf", "The spec field is immutable")]);
    let columns = vec![
        field("Update-Run", ".spec.parentStageRollout"),
        field("Stage", ".spec.targetStage"),
        condition("Approved", "Approved", "status", 0),
        condition("ApprovalAccepted", "ApprovalAccepted", "status", 0),
        age(),
    ];
    let about = "Asks for a yes before or after a stage of a run. Answer by setting the condition Approved.";
    let status = Some(object(json!({"conditions": conditions()}), &[]));
    Definition { kind, short, about, spec, status, status_subresource: true, columns, rules: &[] }
        .build()
}
