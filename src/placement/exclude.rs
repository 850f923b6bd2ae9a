//! What is never selected (fleet-semantics §3.3).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::kind;

const GROUPS: &[&str] = &[
    kind::CLUSTER_GROUP,
    kind::GITOPS_GROUP,
    "placement.kubefleet.dev",
    "events.k8s.io",
    "coordination.k8s.io",
    "metrics.k8s.io",
];
const CORE_KINDS: &[&str] = &["Pod", "Node", "Event", "Binding"];
const NETWORKING_GROUP: &str = "networking.fleet.azure.com";
const NETWORKING_KINDS: &[&str] =
    &["ServiceImport", "TrafficManagerProfile", "TrafficManagerBackend"];
const ENVELOPES: &[&str] = &["ClusterResourceEnvelope", "ResourceEnvelope"];

/// Returns whether objects of this kind may be selected at all.
pub fn placeable(group: &str, kind_name: &str) -> bool {
    match group {
        "" => !CORE_KINDS.contains(&kind_name),
        kind::PLACEMENT_GROUP => ENVELOPES.contains(&kind_name),
        NETWORKING_GROUP => !NETWORKING_KINDS.contains(&kind_name),
        group => !GROUPS.contains(&group),
    }
}

/// Returns whether the kind is an envelope: a wrapper for objects that must not take effect on the hub.
pub fn is_envelope(object: &Value) -> bool {
    let text = |field| object.get(field).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion").starts_with(kind::PLACEMENT_GROUP) && ENVELOPES.contains(&text("kind"))
}

/// Returns whether a namespace is the system's own: it never propagates with its content.
pub fn reserved_namespace(name: &str) -> bool {
    name == "default" || name.starts_with("kube-") || name.starts_with("fleet-")
}

/// Returns whether this object may be selected. `services` holds `namespace/name` of the candidates' Services.
pub fn selectable(object: &Value, services: &BTreeSet<String>) -> bool {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = text("/metadata/name");
    let owned = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .is_some_and(|owners| !owners.is_empty());
    let labelled = |label: &str| {
        object.pointer("/metadata/labels").and_then(|labels| labels.get(label)).is_some()
    };
    let deleting =
        object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    if deleting {
        return false;
    }
    match (text("/apiVersion"), text("/kind")) {
        ("apps/v1", "ReplicaSet" | "ControllerRevision") => !owned,
        ("v1", "ConfigMap") => name != "kube-root-ca.crt",
        ("v1", "ServiceAccount") => name != "default",
        ("v1", "Secret") => text("/type") != "kubernetes.io/service-account-token",
        ("v1", "Endpoints") => {
            !services.contains(&format!("{}/{name}", text("/metadata/namespace")))
        }
        (version, "EndpointSlice") if version.starts_with("discovery.k8s.io/") => {
            !labelled("endpointslice.kubernetes.io/managed-by")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_that_never_leave_the_hub() {
        for (group, kind_name, want) in [
            ("", "ConfigMap", true),
            ("", "Pod", false),
            ("", "Node", false),
            ("", "Event", false),
            ("events.k8s.io", "Event", false),
            ("coordination.k8s.io", "Lease", false),
            ("metrics.k8s.io", "PodMetrics", false),
            (kind::CLUSTER_GROUP, "MemberCluster", false),
            (kind::PLACEMENT_GROUP, "StagedUpdateRun", false),
            (kind::PLACEMENT_GROUP, "Work", false),
            (kind::PLACEMENT_GROUP, "ResourceEnvelope", true),
            (kind::GITOPS_GROUP, "Rollout", false),
            ("example.com", "Pod", true),
        ] {
            assert_eq!(placeable(group, kind_name), want, "{group}/{kind_name}");
        }
    }

    #[test]
    fn objects_that_never_leave_the_hub() {
        let services = BTreeSet::from(["a/web".to_owned()]);
        for (object, want) in [
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}}),
                false,
            ),
            (json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}), true),
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "deletionTimestamp": "t"}}),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "type": "kubernetes.io/service-account-token"}),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "type": "Opaque"}),
                true,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"namespace": "a", "name": "web"}}),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"namespace": "b", "name": "web"}}),
                true,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "ownerReferences": [{}]}}),
                false,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"}}),
                true,
            ),
            (
                json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "e",
                    "labels": {"endpointslice.kubernetes.io/managed-by": "c"}}}),
                false,
            ),
        ] {
            assert_eq!(selectable(&object, &services), want, "{object}");
        }
    }
}
