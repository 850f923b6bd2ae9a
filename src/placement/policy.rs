//! Scheduling policy snapshots (fleet-semantics §3.12).

use std::sync::Arc;

use base64::Engine as _;
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::{
    canonical::policy_hash,
    plan::{Plan, annotation, label, pairs, types},
    snapshot::owner,
};
use crate::{
    api::{Placement, PolicySnapshot, kind, meta, placement::PICK_N, snapshot::PolicySnapshotSpec},
    model::Scope,
};

/// Returns a policy snapshot's index.
pub fn index(snapshot: &PolicySnapshot) -> Option<u32> {
    label(&snapshot.metadata, meta::POLICY_INDEX)?.parse().ok()
}

/// Returns whether a policy snapshot is labelled latest.
pub fn labelled_latest(snapshot: &PolicySnapshot) -> bool {
    label(&snapshot.metadata, meta::IS_LATEST_SNAPSHOT) == Some("true")
}

/// Returns the latest policy snapshot: the highest that is labelled so, or else the highest.
pub fn latest(held: &[Arc<PolicySnapshot>]) -> Option<&Arc<PolicySnapshot>> {
    let labelled = held.iter().filter(|snapshot| labelled_latest(snapshot));
    labelled
        .max_by_key(|snapshot| index(snapshot))
        .or_else(|| held.iter().max_by_key(|snapshot| index(snapshot)))
}

/// Returns what to write so that the latest policy snapshot says what the placement says.
///
/// The number of clusters of a PickN policy is an annotation: it changes without a new snapshot.
pub fn policy_snapshot(
    placement: &Placement,
    held: &[Arc<PolicySnapshot>],
) -> Plan<PolicySnapshot> {
    let hash = policy_hash(placement.spec.policy.as_ref());
    let encoded = base64::engine::general_purpose::STANDARD.encode(&hash);
    let mut plan = Plan::default();
    let latest = latest(held);
    match latest {
        Some(latest) if latest.spec.policy_hash == encoded => {
            let patch = refresh(placement, latest);
            plan.edit.extend(patch.map(|patch| (name(latest), patch)));
        }
        _ => {
            let next =
                held.iter().filter_map(|held| index(held)).max().map_or(0, |index| index + 1);
            plan.create.push(snapshot(placement, next, encoded));
            let limit = placement.spec.revision_history_limit.unwrap_or(10).max(1);
            let kept = usize::try_from(limit).unwrap_or(1).saturating_sub(1);
            let mut old: Vec<_> = held.iter().collect();
            old.sort_by_key(|snapshot| std::cmp::Reverse(index(snapshot)));
            plan.delete = old.into_iter().skip(kept).map(|snapshot| name(snapshot)).collect();
        }
    }
    let current = match plan.create.first() {
        Some(_) => None,
        None => latest.map(|latest| name(latest)),
    };
    for other in held.iter().filter(|held| labelled_latest(held) && current != Some(name(held))) {
        if !plan.delete.contains(&name(other)) {
            let patch = json!({"metadata": {"labels": {meta::IS_LATEST_SNAPSHOT: "false"}}});
            plan.edit.push((name(other), patch));
        }
    }
    plan
}

fn name(snapshot: &PolicySnapshot) -> String {
    snapshot.metadata.name.clone().unwrap_or_default()
}

fn annotations(placement: &Placement) -> std::collections::BTreeMap<String, String> {
    let generation = placement.metadata.generation.unwrap_or_default();
    let mut annotations = pairs([(meta::PLACEMENT_GENERATION, generation.to_string())]);
    if placement.spec.placement_type() == PICK_N {
        let count = placement.spec.policy.as_ref().and_then(|policy| policy.number_of_clusters);
        annotations.insert(meta::CLUSTER_COUNT.to_owned(), count.unwrap_or_default().to_string());
    }
    annotations
}

/// Returns the patch that brings annotations and label up to date, if they are not.
fn refresh(placement: &Placement, latest: &PolicySnapshot) -> Option<Value> {
    let mut metadata = json!({});
    for (key, value) in annotations(placement) {
        if annotation(&latest.metadata, &key) != Some(&value) {
            metadata["annotations"][key] = value.into();
        }
    }
    if !labelled_latest(latest) {
        metadata["labels"] = json!({meta::IS_LATEST_SNAPSHOT: "true"});
    }
    (metadata != json!({})).then(|| json!({"metadata": metadata}))
}

fn snapshot(placement: &Placement, index: u32, policy_hash: String) -> PolicySnapshot {
    let scope = Scope::of(placement.metadata.namespace.as_deref());
    let parent = placement.metadata.name.clone().unwrap_or_default();
    let mut policy = placement.spec.policy.clone();
    if let Some(policy) = &mut policy {
        policy.number_of_clusters = None;
    }
    PolicySnapshot {
        types: types(kind::policy_snapshot(&scope)),
        metadata: ObjectMeta {
            name: Some(format!("{parent}-{index}")),
            namespace: scope.namespace().map(str::to_owned),
            labels: Some(pairs([
                (meta::PARENT_PLACEMENT, parent),
                (meta::POLICY_INDEX, index.to_string()),
                (meta::IS_LATEST_SNAPSHOT, "true".to_owned()),
            ])),
            annotations: Some(annotations(placement)),
            owner_references: Some(vec![owner(placement, &scope)]),
            ..Default::default()
        },
        spec: PolicySnapshotSpec { policy, policy_hash },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::placement::{PlacementPolicy, PlacementSpec};

    fn placement(kind: &str, count: Option<i32>, generation: i64) -> Placement {
        Placement {
            types: None,
            metadata: ObjectMeta {
                name: Some("web".into()),
                generation: Some(generation),
                ..Default::default()
            },
            spec: PlacementSpec {
                policy: Some(PlacementPolicy {
                    placement_type: Some(kind.into()),
                    number_of_clusters: count,
                    ..Default::default()
                }),
                ..Default::default()
            },
            status: None,
        }
    }

    #[test]
    fn the_first_is_fleets() {
        let plan = policy_snapshot(&placement("PickAll", None, 1), &[]);
        let first = &plan.create[0];
        assert_eq!(first.metadata.name.as_deref(), Some("web-0"));
        assert_eq!(
            first.spec.policy_hash,
            "OGNjNTdkZWU1OTY4NGZmODg3NjZlMjY5MzZjOGZiMTI1ZjRiZGUyMzRhMmJlYjVjNTRhZGVkNDU2OWRiMGQ1YQ=="
        );
        let again = policy_snapshot(&placement("PickAll", None, 1), &[Arc::new(first.clone())]);
        assert!(again.is_empty(), "{again:?}");
    }

    #[test]
    fn a_number_of_clusters_is_an_annotation_and_another_policy_is_another_snapshot() {
        let first =
            Arc::new(policy_snapshot(&placement("PickN", Some(2), 1), &[]).create.remove(0));
        assert_eq!(first.spec.policy.as_ref().unwrap().number_of_clusters, None);
        let more = policy_snapshot(&placement("PickN", Some(3), 2), std::slice::from_ref(&first));
        assert_eq!(
            more.edit,
            [(
                "web-0".to_owned(),
                json!({"metadata": {"annotations": {meta::CLUSTER_COUNT: "3", meta::PLACEMENT_GENERATION: "2"}}})
            )]
        );
        let other = policy_snapshot(&placement("PickAll", None, 3), &[first]);
        assert_eq!(other.create[0].metadata.name.as_deref(), Some("web-1"));
        assert_eq!(other.edit.len(), 1);
    }
}
