//! The order of objects in a snapshot (fleet-semantics §3.5). For determinism only: members apply in
//! [waves](super::wave).

use serde_json::Value;

const RANKS: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Sorts objects as Fleet does: known kinds by rank, whatever their group; unknown ones after them by group, version
/// and kind; then by namespace and name.
pub fn order(objects: &mut [Value]) {
    objects.sort_by_cached_key(key);
}

fn key(object: &Value) -> (usize, String, String) {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/kind");
    let rank = RANKS.iter().position(|known| *known == kind).unwrap_or(RANKS.len());
    let group_version_kind = match text("/apiVersion") {
        "" => format!("/, Kind={kind}"),
        api_version if api_version.contains('/') => format!("{api_version}, Kind={kind}"),
        version => format!("/{version}, Kind={kind}"),
    };
    (
        rank,
        group_version_kind,
        format!("{}/{}", text("/metadata/namespace"), text("/metadata/name")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_by_rank_then_group_then_name() {
        let object = |api_version: &str, kind: &str, namespace: &str, name: &str| json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace, "name": name}});
        let want = [
            object("v1", "Namespace", "", "n"),
            object("v1", "Secret", "n", "z"),
            object("v1", "ConfigMap", "m", "z"),
            object("v1", "ConfigMap", "n", "a"),
            object("v1", "ConfigMap", "n", "b"),
            object("apps/v1", "Deployment", "n", "a"),
            object("batch/v1", "Job", "n", "b"),
            object("example.com/v1", "Job", "n", "a"),
            object("a.example.com/v1", "Zebra", "n", "a"),
            object("b.example.com/v1", "Ant", "n", "a"),
        ];
        for rotation in 0..want.len() {
            let mut objects = want.to_vec();
            objects.rotate_left(rotation);
            objects.reverse();
            order(&mut objects);
            assert_eq!(objects, want);
        }
    }
}
