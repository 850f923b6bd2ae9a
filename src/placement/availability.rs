//! Whether an applied object is available (fleet-semantics §7.6).

use serde_json::Value;

/// Whether an applied object is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It is.
    Available,
    /// It is not yet: look again when the object changes.
    NotYet,
    /// Nobody can say: it counts as available.
    Untrackable,
}

/// Kinds that are available as soon as they exist.
const AT_ONCE: &[(&str, &[&str])] = &[
    ("", &["Namespace", "Secret", "ConfigMap", "ServiceAccount", "LimitRange", "ResourceQuota"]),
    ("rbac.authorization.k8s.io", &["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]),
    ("networking.k8s.io", &["NetworkPolicy", "IngressClass"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "CSIStorageCapacity"]),
    ("apps", &["ControllerRevision"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
];

/// Returns whether an object, as it is on the member, is available.
pub fn availability(object: &Value) -> Availability {
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let says = |yes: bool| if yes { Availability::Available } else { Availability::NotYet };
    match (group, kind) {
        ("apps", "Deployment") => says(deployment(object)),
        ("apps", "StatefulSet") => says(stateful_set(object)),
        ("apps", "DaemonSet") => says(daemon_set(object)),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            says(condition(object, "Established") && condition(object, "NamesAccepted"))
        }
        ("policy", "PodDisruptionBudget") => says(observed(object)),
        _ if AT_ONCE.iter().any(|(of, kinds)| *of == group && kinds.contains(&kind)) => {
            Availability::Available
        }
        _ => Availability::Untrackable,
    }
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration") == number(object, "/metadata/generation")
}

/// Returns the replicas asked for: 1 when nothing is said.
fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn deployment(object: &Value) -> bool {
    let want = replicas(object);
    observed(object)
        && number(object, "/status/availableReplicas") == want
        && number(object, "/status/updatedReplicas") == want
        && number(object, "/status/unavailableReplicas") == 0
}

fn stateful_set(object: &Value) -> bool {
    let current = number(object, "/status/currentReplicas");
    observed(object)
        && number(object, "/status/availableReplicas") == replicas(object)
        && current == number(object, "/status/updatedReplicas")
        && text(object, "/status/currentRevision") == text(object, "/status/updateRevision")
}

fn daemon_set(object: &Value) -> bool {
    observed(object)
        && number(object, "/status/numberAvailable")
            == number(object, "/status/desiredNumberScheduled")
        && number(object, "/status/currentNumberScheduled")
            == number(object, "/status/updatedNumberScheduled")
}

fn service(object: &Value) -> Availability {
    let says = |yes: bool| if yes { Availability::Available } else { Availability::NotYet };
    match text(object, "/spec/type") {
        "" | "ClusterIP" | "NodePort" => {
            let first = text(object, "/spec/clusterIPs/0");
            says(!first.is_empty() || !text(object, "/spec/clusterIP").is_empty())
        }
        "LoadBalancer" => {
            let ingress = "/status/loadBalancer/ingress/0";
            let has = |field: &str| !text(object, &format!("{ingress}/{field}")).is_empty();
            says(has("ip") || has("hostname"))
        }
        _ => Availability::Untrackable,
    }
}

fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|held| text(held, "/type") == kind && text(held, "/status") == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_says_it_in_its_own_way() {
        use Availability::{Available, NotYet, Untrackable};
        let generation = json!({"generation": 2});
        for (object, want) in [
            (json!({"apiVersion": "v1", "kind": "ConfigMap"}), Available),
            (json!({"apiVersion": "batch/v1", "kind": "Job"}), Untrackable),
            (json!({"apiVersion": "example.com/v1", "kind": "ConfigMap"}), Untrackable),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": generation, "status":
                    {"observedGeneration": 2, "availableReplicas": 1, "updatedReplicas": 1}}),
                Available,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": generation, "status":
                    {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1}}),
                NotYet,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": generation, "spec": {"replicas": 3}, "status":
                    {"observedGeneration": 2, "availableReplicas": 3, "updatedReplicas": 2}}),
                NotYet,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": generation, "spec": {"replicas": 2}, "status":
                    {"observedGeneration": 2, "availableReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2,
                    "currentRevision": "a", "updateRevision": "a"}}),
                Available,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": generation, "status":
                    {"observedGeneration": 2, "numberAvailable": 1, "desiredNumberScheduled": 2}}),
                NotYet,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "None"}}),
                Available,
            ),
            (json!({"apiVersion": "v1", "kind": "Service", "spec": {}}), NotYet),
            (
                json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}, "status":
                    {"loadBalancer": {"ingress": [{"hostname": "h"}]}}}),
                Available,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ExternalName"}}),
                Untrackable,
            ),
            (
                json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {"conditions":
                    [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}]}}),
                Available,
            ),
            (
                json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": generation, "status": {"observedGeneration": 1}}),
                NotYet,
            ),
        ] {
            assert_eq!(availability(&object), want, "{object}");
        }
    }
}
