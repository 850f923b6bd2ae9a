//! The schema of `metadata`, which every whole object has without declaring it.

use std::sync::LazyLock;

use serde_json::json;

use super::{compile, node::Node};

/// The fields of `ObjectMeta` (apimachinery `meta/v1`), with their patch and merge hints.
static OBJECT_META: LazyLock<Node> = LazyLock::new(|| {
    let string = json!({"type": "string"});
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let time = json!({"type": "string", "format": "date-time", "nullable": true});
    compile::known(&json!({
        "type": "object",
        "properties": {
            "annotations": strings,
            "creationTimestamp": time,
            "deletionGracePeriodSeconds": {"type": "integer", "format": "int64"},
            "deletionTimestamp": time,
            "finalizers": {
                "type": "array", "items": {"type": "string"},
                "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge",
            },
            "generateName": string,
            "generation": {"type": "integer", "format": "int64"},
            "labels": strings,
            "managedFields": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "apiVersion": string,
                        "fieldsType": string,
                        "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "manager": string,
                        "operation": string,
                        "subresource": string,
                        "time": time,
                    },
                },
            },
            "name": string,
            "namespace": string,
            "ownerReferences": {
                "type": "array",
                "items": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "required": ["apiVersion", "kind", "name", "uid"],
                    "properties": {
                        "apiVersion": string,
                        "blockOwnerDeletion": {"type": "boolean"},
                        "controller": {"type": "boolean"},
                        "kind": string,
                        "name": string,
                        "uid": string,
                    },
                },
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid",
            },
            "resourceVersion": string,
            "selfLink": string,
            "uid": string,
        },
    }))
});

static STRING: LazyLock<Node> = LazyLock::new(|| compile::known(&json!({"type": "string"})));

/// Gives the node of a whole object its `apiVersion`, `kind` and `metadata`. A schema may restrict `metadata.name` and
/// `metadata.generateName`, and those restrictions stay.
pub(super) fn complete(node: &mut Node) {
    for name in ["apiVersion", "kind"] {
        node.properties.entry(name.to_owned()).or_insert_with(|| STRING.clone());
    }
    let mut metadata = OBJECT_META.clone();
    if let Some(declared) = node.properties.remove("metadata") {
        for (name, property) in declared.properties {
            if matches!(name.as_str(), "name" | "generateName") {
                metadata.properties.insert(name, property);
            }
        }
    }
    node.properties.insert("metadata".to_owned(), metadata);
}
