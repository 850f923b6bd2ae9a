//! A Rollout at every step of its way, for the tables of the judgements.
#![allow(clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::decide;
use crate::{
    api::{
        condition, meta,
        rollout::READY,
        run::{INITIALIZED, PROGRESSING, STARTED, STATE_RUN, STATE_STOP, SUCCEEDED},
    },
    manifest::Limits,
    model::ObjectName,
    placement::{select::Selection, snapshot::pieces},
    release::{
        Content,
        bind::applied,
        ledger::{RELEASE, STOPPED_BY},
    },
    render::{File, Parsed, Repository, Wanted, wanted},
    sync::{ApplyOutcome, Git, News, Order, Pass, Seen, Tip},
};

pub(super) const COMMIT: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";
pub(super) const OTHER: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// What Rollout `web` wants with these lines in its spec, and with a Namespace that has this label.
pub(super) fn wanting(spec: &str, label: &str) -> Wanted {
    let rollout = format!(
        "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n{spec}"
    );
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: web, labels: {{is: {label}}}}}\n"
    );
    let files = [
        ("apps/web/manifests/ns.yaml", namespace.as_str()),
        ("apps/web/placement.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  strategy: {type: External}\n"),
        ("apps/web/rollout.yaml", rollout.as_str()),
        ("strategies/slow.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec: {stages: [{name: all, labelSelector: {}}]}\n"),
    ]
    .map(|(path, text)| File::new(path, text.as_bytes()));
    let limits = Limits::default();
    let mut survey = wanted(&Repository::of("", files.to_vec(), &limits, |file| {
        Arc::new(Parsed::of(file, &limits))
    }));
    survey.rollouts.remove(&web_name()).unwrap().unwrap()
}

fn web_name() -> ObjectName {
    ObjectName { namespace: String::new(), name: "web".into() }
}

/// A Rollout whose objects are applied, with these lines in its spec.
pub(super) fn web(spec: &str) -> Seen {
    let tip = Tip {
        repository: "https://git.example/web".into(),
        reference: "refs/heads/main".into(),
        folder: None,
        commit: COMMIT.parse().unwrap(),
        content_commit: COMMIT.parse().unwrap(),
        news: News::None,
        wanted: Ok(wanting(spec, "new")),
        path: Some("apps/web/rollout.yaml".into()),
        object: None,
        earlier: None,
        returned: false,
        trouble: None,
    };
    let mut seen = Seen {
        name: web_name(),
        namespace: "tidegate-system".into(),
        rollout: None,
        git: Git::Tip(Box::new(tip)),
        applied: None,
        is_fresh: false,
        placement: None,
        strategies: Vec::new(),
        policy_snapshots: Vec::new(),
        snapshots: Vec::new(),
        bindings: Vec::new(),
        runs: Vec::new(),
        requests: BTreeMap::new(),
        members: BTreeMap::new(),
        patience: SignedDuration::from_mins(1),
    };
    let first = pass(&seen).orders;
    let [Order::WriteRollout(object)] = first.as_slice() else { panic!("{first:?}") };
    seen.rollout = Some(Arc::new(serde_json::from_value(object.clone()).unwrap()));
    apply(seen)
}

/// What the next pass wants to be applied is applied.
pub(super) fn apply(mut seen: Seen) -> Seen {
    let orders = pass(&seen).orders;
    let ordered = orders.iter().find_map(|order| match order {
        Order::Apply(apply) => Some(apply),
        _ => None,
    });
    if let Some(apply) = ordered {
        let content = Content {
            objects: vec![applied(apply.content[0].0.clone(), apply.content[0].0.clone())],
            namespaces: Vec::new(),
        };
        seen.applied = Some((apply.key.clone(), ApplyOutcome::Done(content)));
    }
    seen
}

/// The snapshot of index 0: of the commit's content, or with a label that the commit does not have.
pub(super) fn snapshot(mut seen: Seen, same: bool) -> Seen {
    let Some((_, ApplyOutcome::Done(content))) = &seen.applied else { panic!("not applied") };
    let mut object = content.objects[0].stored.clone();
    if !same {
        object["metadata"]["labels"]["by"] = "hand".into();
    }
    let placement = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterResourcePlacement", "metadata": {"name": "web", "uid": "u"},
        "spec": {"resourceSelectors": []}});
    let placement: crate::api::Placement = serde_json::from_value(placement).unwrap();
    let pieces = pieces(&placement, "0".parse().unwrap(), &Selection::of(vec![object]));
    seen.snapshots = pieces.into_iter().map(Arc::new).collect();
    seen
}

pub(super) fn digest(seen: &Seen) -> String {
    let Git::Tip(tip) = &seen.git else { panic!("no tip") };
    tip.wanted.as_ref().unwrap().digest.to_string()
}

pub(super) fn run(
    mut seen: Seen,
    content: &str,
    state: &str,
    more: Value,
    index: &str,
    status: Value,
) -> Seen {
    let mut annotations = json!({meta::ROLLOUT: "web", meta::COMMIT: COMMIT,
        meta::CONTENT_DIGEST: content, RELEASE: "1"});
    annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
        "metadata": {"name": "r", "uid": "u", "annotations": annotations},
        "spec": {"placementName": "web", "stagedRolloutStrategyName": "slow", "state": state,
            "resourceSnapshotIndex": index}, "status": status});
    seen.runs = vec![Arc::new(serde_json::from_value(run).unwrap())];
    seen
}

/// Clusters that the placement picked, each with the state of its binding and the index that it names; and all that a
/// run needs beside.
pub(super) fn fleet(mut seen: Seen, bindings: &[(&str, &str, &str)]) -> Seen {
    let typed = |kind: &str, name: &str, more: Value| {
        let mut object = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": kind,
            "metadata": {"name": name, "generation": 1}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let placement = typed(
        "ClusterResourcePlacement",
        "web",
        json!({"spec": {"resourceSelectors": [], "strategy": {"type": "External"}}}),
    );
    seen.placement = Some(Arc::new(serde_json::from_value(placement).unwrap()));
    seen.strategies = ["slow", "fast"]
        .map(|name| {
            let stages = json!({"spec": {"stages": [{"name": "all", "labelSelector": {}}]}});
            let strategy = typed("ClusterStagedUpdateStrategy", name, stages);
            Arc::new(serde_json::from_value(strategy).unwrap())
        })
        .to_vec();
    let mut scheduled = condition_of("Scheduled", "True", "R", "");
    scheduled["observedGeneration"] = json!(1);
    let policy = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1",
        "kind": "ClusterSchedulingPolicySnapshot",
        "metadata": {"name": "web-0", "generation": 1,
            "labels": {meta::IS_LATEST_SNAPSHOT: "true", meta::POLICY_INDEX: "0"}},
        "spec": {"policyHash": ""}, "status": {"observedCRPGeneration": 1, "conditions": [scheduled]}});
    seen.policy_snapshots = vec![Arc::new(serde_json::from_value(policy).unwrap())];
    seen.bindings = bindings
        .iter()
        .map(|(cluster, state, index)| {
            let binding = json!({"spec": {"state": state,
                "resourceSnapshotName": format!("web-{index}-snapshot"),
                "schedulingPolicySnapshotName": "web-0", "targetCluster": cluster,
                "clusterDecision": {"clusterName": cluster, "selected": true, "reason": "r"}}});
            let binding = typed("ClusterResourceBinding", &format!("web-{cluster}"), binding);
            Arc::new(serde_json::from_value(binding).unwrap())
        })
        .collect();
    let cluster = |(cluster, ..): &(&str, &str, &str)| ((*cluster).to_owned(), BTreeMap::new());
    seen.members = bindings.iter().map(cluster).collect();
    seen
}

/// One more run of ours, of this place in the ledger.
pub(super) fn also(
    mut seen: Seen,
    number: u32,
    (name, commit, content): (&str, &str, &str),
    more: Value,
    status: Value,
) -> Seen {
    let mut annotations = json!({meta::ROLLOUT: "web", meta::COMMIT: commit,
        meta::CONTENT_DIGEST: content, RELEASE: number.to_string()});
    annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
        "metadata": {"name": name, "uid": name, "annotations": annotations},
        "spec": {"placementName": "web", "stagedRolloutStrategyName": "slow", "state": STATE_STOP,
            "resourceSnapshotIndex": number.to_string()}, "status": status});
    seen.runs.push(Arc::new(serde_json::from_value(run).unwrap()));
    seen
}

/// A condition since midnight.
pub(super) fn condition_of(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

/// The status of a run that succeeded.
pub(super) fn succeeded() -> Value {
    json!({"conditions": [condition_of(INITIALIZED, "True", "R", ""), condition_of(SUCCEEDED, "True", "R", "")]})
}

/// The status of a run whose clusters in stage `all` started at these times.
pub(super) fn in_flight(started: &[(&str, &str)]) -> Value {
    let clusters: Vec<Value> = started
        .iter()
        .map(|(name, at)| {
            let mut begun = condition_of(STARTED, "True", "R", "");
            begun["lastTransitionTime"] = json!(at);
            json!({"clusterName": name, "conditions": [begun]})
        })
        .collect();
    let since = started.iter().map(|(_, at)| *at).min();
    let mut going = condition_of(PROGRESSING, "True", "R", "");
    going["lastTransitionTime"] = json!(since);
    json!({"conditions": [condition_of(INITIALIZED, "True", "R", ""), going],
        "stagesStatus": [{"stageName": "all", "conditions": [going], "startTime": since, "clusters": clusters}]})
}

pub(super) fn pass(seen: &Seen) -> Pass {
    decide(seen, "2026-01-01T00:00:00Z".parse().unwrap())
}

/// The orders in short, and the word of the Ready condition.
pub(super) fn told(seen: &Seen) -> (String, String) {
    shown(&pass(seen))
}

/// The orders in short, and the word of the Ready condition.
pub(super) fn shown(pass: &Pass) -> (String, String) {
    let orders: Vec<String> = pass
        .orders
        .iter()
        .map(|order| match order {
            Order::SetRunState { run, state, annotations } => {
                let by = annotations[STOPPED_BY].as_deref().unwrap_or("-");
                format!("{run} {state} {by}")
            }
            Order::DeleteRun { run, .. } => format!("{run} deleted"),
            Order::CreateRun(run) => {
                let text = |at| run.pointer(at).and_then(Value::as_str).unwrap_or("?");
                format!("{} made in {}", text("/metadata/name"), text("/spec/state"))
            }
            Order::Apply(_) => "applied".into(),
            other => format!("{other:?}"),
        })
        .collect();
    let ready = condition::find(&pass.status.conditions, READY).unwrap();
    (orders.join(", "), ready.reason.clone())
}

/// A run of the tip's content with clusters that started at these times; the tables look at midnight.
pub(super) fn running(spec: &str, started: &[(&str, &str)]) -> Seen {
    let seen = snapshot(web(spec), true);
    let own = digest(&seen);
    run(seen, &own, STATE_RUN, json!({}), "0", in_flight(started))
}
