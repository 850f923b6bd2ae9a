//! Pieces of schema that kinds share.

use serde_json::{Value, json};

/// An object with these properties, of which `required` must be there.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A list.
pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A list of at most `max`.
pub(super) fn list_up_to(max: u32, items: Value) -> Value {
    json!({"type": "array", "items": items, "maxItems": max})
}

/// Text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// One of these words.
pub(super) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// One of these words, the first when nothing is said.
pub(super) fn word_or(words: &[&str], default: &str) -> Value {
    json!({"type": "string", "enum": words, "default": default})
}

/// A whole number.
pub(super) fn integer(format: &str) -> Value {
    json!({"type": "integer", "format": format})
}

/// A moment.
pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// Anything at all, kept as it is.
pub(super) fn anything() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A whole Kubernetes object, kept as it is. Pruning stops here.
pub(super) fn embedded_object() -> Value {
    json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true})
}

/// Adds rules (expression, message) to a schema.
pub(super) fn with_rules(mut schema: Value, rules: &[(&str, &str)]) -> Value {
    schema["x-kubernetes-validations"] =
        rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect();
    schema
}

/// Adds a sentence to a schema.
pub(super) fn about(mut schema: Value, sentence: &str) -> Value {
    schema["description"] = json!(sentence);
    schema
}

/// One condition (`metav1.Condition`).
pub(super) fn condition() -> Value {
    object(
        json!({
            "lastTransitionTime": time(),
            "message": {"type": "string", "maxLength": 32768},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
            "status": word(&["True", "False", "Unknown"]),
            "type": {
                "type": "string",
                "maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
            },
        }),
        &["lastTransitionTime", "message", "reason", "status", "type"],
    )
}

/// Conditions, one a type.
pub(super) fn conditions() -> Value {
    json!({"type": "array", "items": condition(), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
}

/// A label selector (`metav1.LabelSelector`).
pub(super) fn label_selector() -> Value {
    let mut expression = list(object(
        json!({
            "key": text(),
            "operator": text(),
            "values": {"type": "array", "items": text(), "x-kubernetes-list-type": "atomic"},
        }),
        &["key", "operator"],
    ));
    expression["x-kubernetes-list-type"] = json!("atomic");
    let mut selector = object(
        json!({
            "matchExpressions": expression,
            "matchLabels": {"type": "object", "additionalProperties": text()},
        }),
        &[],
    );
    selector["x-kubernetes-map-type"] = json!("atomic");
    selector
}

/// How objects are applied on members (fleet-semantics §2.4). Where a placement has it, Fleet's defaults fill it.
pub(super) fn apply_strategy() -> Value {
    object(
        json!({
            "allowCoOwnership": {"type": "boolean"},
            "comparisonOption": word_or(&["PartialComparison", "FullComparison"], "PartialComparison"),
            "serverSideApplyConfig": object(json!({"force": {"type": "boolean"}}), &[]),
            "type": word_or(&["ClientSideApply", "ServerSideApply", "ReportDiff"], "ClientSideApply"),
            "whenToApply": word_or(&["Always", "IfNotDrifted"], "Always"),
            "whenToTakeOver": word_or(&["Always", "IfNoDiff", "Never"], "Always"),
        }),
        &[],
    )
}

/// Name and namespace.
pub(super) fn namespaced_name() -> Value {
    object(json!({"name": text(), "namespace": text()}), &["name"])
}

/// Overrides in force, as runs, bindings and placement statuses list them.
pub(super) fn override_lists() -> [(&'static str, Value); 2] {
    [
        ("clusterResourceOverrideSnapshots", list(text())),
        ("resourceOverrideSnapshots", list(namespaced_name())),
    ]
}

/// Adds properties to an object schema.
pub(super) fn with_properties(
    mut schema: Value,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Value {
    for (name, property) in more {
        schema["properties"][name] = property;
    }
    schema
}

/// One object that was selected (fleet-semantics §2.5).
pub(super) fn resource_identifier() -> Value {
    let envelope = object(
        json!({"name": text(), "namespace": text(), "type": word(&["ConfigMap", "ClusterResourceEnvelope", "ResourceEnvelope"])}),
        &["name"],
    );
    object(
        json!({"envelope": envelope, "group": text(), "kind": text(), "name": text(), "namespace": text(), "version": text()}),
        &["kind", "name", "version"],
    )
}

/// Objects that could not be applied, drifted or differ: at most 100 each.
pub(super) fn troubled_placements() -> [(&'static str, Value); 3] {
    let observed = |first: &'static str, details: &'static str| {
        let detail = object(
            json!({"path": text(), "valueInHub": text(), "valueInMember": text()}),
            &["path"],
        );
        with_properties(
            resource_identifier(),
            [
                (first, time()),
                (details, list(detail)),
                ("observationTime", time()),
                ("targetClusterObservedGeneration", integer("int64")),
            ],
        )
    };
    [
        ("diffedPlacements", list_up_to(100, observed("firstDiffedObservedTime", "observedDiffs"))),
        (
            "driftedPlacements",
            list_up_to(100, observed("firstDriftedObservedTime", "observedDrifts")),
        ),
        (
            "failedPlacements",
            list_up_to(100, with_properties(resource_identifier(), [("condition", condition())])),
        ),
    ]
}

/// A scheduling decision about one cluster.
pub(super) fn cluster_decision() -> Value {
    let score =
        object(json!({"affinityScore": integer("int32"), "priorityScore": integer("int32")}), &[]);
    object(
        json!({"clusterName": text(), "clusterScore": score, "reason": text(), "selected": {"type": "boolean"}}),
        &["clusterName", "reason", "selected"],
    )
}
