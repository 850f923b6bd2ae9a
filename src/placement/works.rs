//! Works: what a cluster's agent gets to apply (fleet-semantics §7.1, §7.2).

use std::sync::Arc;

use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::{
    canonical::override_hash,
    exclude::is_envelope,
    plan::{annotation, label, pairs, types},
    snapshot::Group,
};
use crate::{
    api::{
        Binding, Work, kind, meta,
        work::{WorkSpec, Workload},
    },
    model::Scope,
};

/// Works cannot be made from a binding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorksError {
    /// The group is not there. It may be on its way, or have been dropped.
    #[error("the master resource snapshot is not found: `{0}`")]
    Missing(String),
    /// Not all objects of the group are there yet.
    #[error("resource snapshots are still being created for `{0}`")]
    Incomplete(String),
    /// The binding or its snapshot needs what this engine does not do.
    #[error("failed to process the request due to a client error: {0}")]
    Unsupported(String),
}

/// Returns the works of a binding: one for each object of the snapshot group that it names, and at least one.
///
/// # Errors
/// [`WorksError::Missing`] and [`WorksError::Incomplete`] may pass by themselves.
pub fn works(scope: &Scope, binding: &Binding, groups: &[Group]) -> Result<Vec<Work>, WorksError> {
    let wanted = &binding.spec.resource_snapshot_name;
    let group = groups.iter().find(|group| {
        group.master.as_ref().and_then(|master| master.metadata.name.as_ref()) == Some(wanted)
    });
    let group = group.ok_or_else(|| WorksError::Missing(wanted.clone()))?;
    if !group.is_complete() {
        return Err(WorksError::Incomplete(wanted.clone()));
    }
    let overrides = binding.spec.resource_override_snapshots.iter().flatten().count()
        + binding.spec.cluster_resource_override_snapshots.iter().flatten().count();
    if overrides > 0 {
        return Err(WorksError::Unsupported("overrides are not supported by this engine".into()));
    }
    if let Some(envelope) = group.content().find(|object| is_envelope(object)) {
        let name = envelope.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        return Err(WorksError::Unsupported(format!(
            "the envelope `{name}` is selected, and envelopes are not supported by this engine"
        )));
    }
    let placement = label(&binding.metadata, meta::PARENT_PLACEMENT).unwrap_or_default();
    let work = |(place, piece): (usize, &Arc<crate::api::ResourceSnapshot>)| {
        let name = work_name(scope, placement, place);
        let manifests = piece.spec.selected_resources.clone();
        work(scope, binding, group, name, manifests)
    };
    Ok(group.pieces.iter().enumerate().map(work).collect())
}

/// Returns the name of a placement's work number `place`.
pub fn work_name(scope: &Scope, placement: &str, place: usize) -> String {
    let prefix = scope.namespace().map(|namespace| format!("{namespace}.")).unwrap_or_default();
    match place {
        0 => format!("{prefix}{placement}-work"),
        place => format!("{prefix}{placement}-{}", place - 1),
    }
}

fn work(
    scope: &Scope,
    binding: &Binding,
    group: &Group,
    name: String,
    manifests: Vec<Value>,
) -> Work {
    let placement = label(&binding.metadata, meta::PARENT_PLACEMENT).unwrap_or_default();
    let mut labels = pairs([
        (meta::PARENT_BINDING, binding.metadata.name.clone().unwrap_or_default()),
        (meta::PARENT_PLACEMENT, placement.to_owned()),
        (meta::PARENT_SNAPSHOT_INDEX, group.index.to_string()),
    ]);
    if let Some(namespace) = scope.namespace() {
        labels.insert(meta::PARENT_PLACEMENT_NAMESPACE.to_owned(), namespace.to_owned());
    }
    let annotations = pairs([
        (meta::PARENT_SNAPSHOT_NAME, binding.spec.resource_snapshot_name.clone()),
        (meta::OVERRIDE_HASH, override_hash(binding.spec.resource_override_snapshots.as_ref())),
        (
            meta::CLUSTER_OVERRIDE_HASH,
            override_hash(binding.spec.cluster_resource_override_snapshots.as_ref()),
        ),
    ]);
    Work {
        types: types(kind::WORK),
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(meta::member_namespace(&binding.spec.target_cluster)),
            labels: Some(labels),
            annotations: Some(annotations),
            ..Default::default()
        },
        spec: WorkSpec {
            workload: Workload { manifests },
            apply_strategy: binding.spec.apply_strategy.clone(),
            report_back_strategy: None,
        },
        status: None,
    }
}

/// How a work that exists differs from the one that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Not at all.
    None,
    /// Labels and annotations only, as a merge patch: the agent has nothing to do.
    Metadata(Value),
    /// What is to be applied, or how: the agent has work.
    Content,
}

/// Returns how `held` differs from `wanted`.
pub fn difference(held: &Work, wanted: &Work) -> Difference {
    if held.spec != wanted.spec {
        return Difference::Content;
    }
    let mut metadata = json!({});
    for (key, value) in wanted.metadata.labels.iter().flatten() {
        if label(&held.metadata, key) != Some(value) {
            metadata["labels"][key] = json!(value);
        }
    }
    for (key, value) in wanted.metadata.annotations.iter().flatten() {
        if annotation(&held.metadata, key) != Some(value) {
            metadata["annotations"][key] = json!(value);
        }
    }
    match metadata == json!({}) {
        true => Difference::None,
        false => Difference::Metadata(json!({ "metadata": metadata })),
    }
}

/// Returns `held` with the content, labels and annotations of `wanted`.
pub fn updated(held: &Work, wanted: &Work) -> Work {
    let mut next = held.clone();
    next.types = wanted.types.clone();
    next.spec = wanted.spec.clone();
    let labels = wanted.metadata.labels.clone().unwrap_or_default();
    next.metadata.labels.get_or_insert_default().extend(labels);
    let annotations = wanted.metadata.annotations.clone().unwrap_or_default();
    next.metadata.annotations.get_or_insert_default().extend(annotations);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(scope: &Scope) -> Binding {
        serde_json::from_value(json!({
            "metadata": {"name": "web-a-1", "namespace": scope.namespace(), "labels": {meta::PARENT_PLACEMENT: "web"}},
            "spec": {"state": "Bound", "targetCluster": "a", "resourceSnapshotName": "web-3-snapshot",
                "applyStrategy": {"type": "ClientSideApply"}, "clusterDecision": {"clusterName": "a"}},
        }))
        .unwrap()
    }

    fn groups(count: &str) -> Vec<Group> {
        let piece = |name: &str, annotations: Value, number: i64| {
            let object = json!({"metadata": {"name": name, "labels": {meta::RESOURCE_INDEX: "3"}, "annotations": annotations},
                "spec": {"selectedResources": [{"kind": "ConfigMap", "number": number}]}});
            Arc::new(serde_json::from_value(object).unwrap())
        };
        Group::all(&[
            piece("web-3-0", json!({meta::SNAPSHOT_SUBINDEX: "0"}), 1),
            piece(
                "web-3-snapshot",
                json!({meta::RESOURCE_HASH: "h", meta::SNAPSHOT_COUNT: count}),
                0,
            ),
        ])
    }

    #[test]
    fn one_work_a_piece() {
        let scope = Scope::Namespace("ns".into());
        let works = works(&scope, &binding(&scope), &groups("2")).unwrap();
        let names: Vec<_> = works.iter().map(|work| work.metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["ns.web-work", "ns.web-0"]);
        assert_eq!(works[0].metadata.namespace.as_deref(), Some("fleet-member-a"));
        assert_eq!(works[1].spec.workload.manifests, [json!({"kind": "ConfigMap", "number": 1})]);
        let label = label(&works[0].metadata, meta::PARENT_PLACEMENT_NAMESPACE);
        assert_eq!(label, Some("ns"));
        let hash = "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b";
        assert_eq!(annotation(&works[0].metadata, meta::OVERRIDE_HASH), Some(hash));
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        let scope = Scope::Cluster;
        assert!(matches!(works(&scope, &binding(&scope), &[]), Err(WorksError::Missing(_))));
        let incomplete = works(&scope, &binding(&scope), &groups("3"));
        assert!(matches!(incomplete, Err(WorksError::Incomplete(_))));
    }

    #[test]
    fn a_rebind_to_the_same_content_touches_labels_only() {
        let scope = Scope::Cluster;
        let wanted = works(&scope, &binding(&scope), &groups("2")).unwrap().remove(0);
        assert_eq!(difference(&wanted, &wanted), Difference::None);
        let mut held = wanted.clone();
        held.metadata
            .labels
            .as_mut()
            .unwrap()
            .insert(meta::PARENT_SNAPSHOT_INDEX.into(), "2".into());
        let patch = json!({"metadata": {"labels": {meta::PARENT_SNAPSHOT_INDEX: "3"}}});
        assert_eq!(difference(&held, &wanted), Difference::Metadata(patch));
        held.spec.workload.manifests.clear();
        assert_eq!(difference(&held, &wanted), Difference::Content);
        assert_eq!(difference(&updated(&held, &wanted), &wanted), Difference::None);
    }
}
