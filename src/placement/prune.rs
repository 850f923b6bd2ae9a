//! What an object on the hub leaves behind when it goes into a snapshot (fleet-semantics §3.4).

use serde_json::{Map, Value};

const METADATA: &[&str] = &[
    "resourceVersion",
    "generation",
    "uid",
    "selfLink",
    "deletionTimestamp",
    "managedFields",
    "ownerReferences",
    "creationTimestamp",
];
const ANNOTATIONS: &[&str] =
    &["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"];
const JOB_LABELS: &[&str] = &["controller-uid", "batch.kubernetes.io/controller-uid"];

/// Returns `object` as it is stored in a snapshot: without what the hub's API server and controllers filled in.
pub fn prune(mut object: Value) -> Value {
    let kind = (text(&object, "apiVersion").to_owned(), text(&object, "kind").to_owned());
    let Value::Object(root) = &mut object else { return object };
    root.remove("status");
    if let Some(Value::Object(metadata)) = root.get_mut("metadata") {
        for field in METADATA {
            metadata.remove(*field);
        }
        remove_keys(metadata, "annotations", ANNOTATIONS);
    }
    match (kind.0.as_str(), kind.1.as_str()) {
        ("v1", "Service") => prune_service(root),
        ("batch/v1", "Job") => prune_job(root),
        _ => {}
    }
    object
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Removes `keys` from the map `field`, and the map itself when nothing is left of it.
fn remove_keys(parent: &mut Map<String, Value>, field: &str, keys: &[&str]) {
    let Some(Value::Object(map)) = parent.get_mut(field) else { return };
    for key in keys {
        map.remove(*key);
    }
    if map.is_empty() {
        parent.remove(field);
    }
}

fn prune_service(root: &mut Map<String, Value>) {
    let Some(Value::Object(spec)) = root.get_mut("spec") else { return };
    if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    spec.remove("healthCheckNodePort");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(port) = port {
            port.remove("nodePort");
        }
    }
}

fn prune_job(root: &mut Map<String, Value>) {
    let Some(Value::Object(spec)) = root.get_mut("spec") else { return };
    if spec.get("manualSelector").and_then(Value::as_bool) == Some(true) {
        return;
    }
    // Unlike annotations, a map that gets empty stays: it is part of the hash that Fleet computes.
    let without_labels = |parent: Option<&mut Value>, field: &str| {
        if let Some(Value::Object(labels)) = parent.and_then(|parent| parent.get_mut(field)) {
            labels.retain(|label, _| !JOB_LABELS.contains(&label.as_str()));
        }
    };
    without_labels(spec.get_mut("selector"), "matchLabels");
    let template = spec.get_mut("template").and_then(|template| template.get_mut("metadata"));
    if let Some(Value::Object(metadata)) = template {
        metadata.remove("creationTimestamp");
    }
    let template = spec.get_mut("template").and_then(|template| template.get_mut("metadata"));
    without_labels(template, "labels");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_hub_filled_in_goes_and_the_rest_stays() {
        for (object, want) in [
            (
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "uid": "u", "resourceVersion": "1",
                    "generation": 2, "creationTimestamp": "t", "managedFields": [{}], "ownerReferences": [{}], "finalizers": ["f"],
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, "labels": {"a": "b"}},
                    "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "finalizers": ["f"], "labels": {"a": "b"}},
                    "spec": {"finalizers": ["kubernetes"]}}),
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d",
                    "annotations": {"deployment.kubernetes.io/revision": "3", "mine": "stays"}}}),
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "annotations": {"mine": "stays"}}}),
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1",
                    "clusterIPs": ["10.0.0.1"], "healthCheckNodePort": 1, "ports": [{"port": 80, "nodePort": 30000}]}}),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
            ),
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}),
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}),
            ),
            (
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"selector": {"matchLabels":
                    {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1"}}, "template": {"metadata": {"creationTimestamp": null,
                    "labels": {"controller-uid": "1", "app": "a"}}}}}),
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"selector": {"matchLabels": {}}, "template": {"metadata": {"labels": {"app": "a"}}}}}),
            ),
        ] {
            assert_eq!(prune(object), want);
        }
        let manual = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
            "spec": {"manualSelector": true, "selector": {"matchLabels": {"controller-uid": "1"}}}});
        assert_eq!(prune(manual.clone()), manual);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "kind",
            "apiVersion",
            "metadata",
            "spec",
            "status",
            "annotations",
            "labels",
            "ports",
            "selector",
            "matchLabels",
            "controller-uid",
            "nodePort",
            "template",
            "uid",
            "x",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!("Service")),
            Just(json!("v1")),
            Just(json!("Job")),
            Just(json!("batch/v1")),
            any::<i64>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn pruning_twice_is_pruning_once(object in any_json()) {
            let once = prune(object);
            prop_assert_eq!(prune(once.clone()), once);
        }
    }
}
