//! A Rollout at every step of its way, for the tables of the judgements.
#![allow(clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::decide;
use crate::{
    api::{condition, meta, rollout::READY},
    manifest::Limits,
    model::ObjectName,
    placement::{select::Selection, snapshot::pieces},
    release::{Content, bind::applied, ledger::RELEASE},
    render::{File, Parsed, Repository, wanted},
    sync::{ApplyOutcome, Git, News, Order, Pass, Seen, Tip},
};

pub(super) const COMMIT: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";
pub(super) const OTHER: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A Rollout whose objects are applied, with these lines in its spec.
pub(super) fn web(spec: &str) -> Seen {
    let rollout = format!(
        "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n{spec}"
    );
    let files = [
        ("apps/web/manifests/ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n"),
        ("apps/web/placement.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  strategy: {type: External}\n"),
        ("apps/web/rollout.yaml", rollout.as_str()),
        ("strategies/slow.yaml", "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec: {stages: [{name: all, labelSelector: {}}]}\n"),
    ]
    .map(|(path, text)| File { path: path.into(), bytes: text.as_bytes().into() });
    let limits = Limits::default();
    let survey = wanted(&Repository::of("", files.to_vec(), &limits, |file| {
        Arc::new(Parsed::of(file, &limits))
    }));
    let name = ObjectName { namespace: String::new(), name: "web".into() };
    let tip = Tip {
        repository: "https://git.example/web".into(),
        reference: "refs/heads/main".into(),
        folder: None,
        commit: COMMIT.parse().unwrap(),
        content_commit: COMMIT.parse().unwrap(),
        news: News::None,
        wanted: survey.rollouts[&name].clone(),
        path: Some("apps/web/rollout.yaml".into()),
        object: None,
        trouble: None,
    };
    let mut seen = Seen {
        name,
        namespace: "tidegate-system".into(),
        rollout: None,
        git: Git::Tip(Box::new(tip)),
        applied: None,
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
    let second = pass(&seen).orders;
    if let [Order::Apply(apply)] = second.as_slice() {
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

pub(super) fn pass(seen: &Seen) -> Pass {
    decide(seen, "2026-01-01T00:00:00Z".parse().unwrap())
}

/// The orders in short, and the word of the Ready condition.
pub(super) fn told(seen: &Seen) -> (String, String) {
    let pass = pass(seen);
    let orders: Vec<String> = pass
        .orders
        .iter()
        .map(|order| match order {
            Order::SetRunState { run, state, stopped_by } => {
                format!("{run} {state} {}", stopped_by.unwrap_or("-"))
            }
            Order::DeleteRun { run, .. } => format!("{run} deleted"),
            Order::CreateRun(_) => "run made".into(),
            other => format!("{other:?}"),
        })
        .collect();
    let ready = condition::find(&pass.status.conditions, READY).unwrap();
    (orders.join(", "), ready.reason.clone())
}
