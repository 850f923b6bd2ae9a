//! What tests of this room share.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::schema::Schema;

/// JSON of any shape, with few names so that values meet the fields of a schema and each other.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Quarters: `serde_json` reads other floats back a bit off.
        (-8_i8..8).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![
            4 => "[a-e]".prop_map(String::from),
            1 => prop::sample::select(&["type", "properties", "items", "$patch", "metadata", "default", "anyOf"][..])
                .prop_map(String::from),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A kind with a field of every shape that ownership tells apart. The one-letter fields meet [`any_json`].
pub(crate) fn typed_schema() -> &'static Schema {
    &TYPED
}

static TYPED: LazyLock<Schema> = LazyLock::new(|| {
    let pair = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "value": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}});
    let keyed = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name", "items": pair});
    let letters = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
        "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "a",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}});
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge",
        "items": {"type": "string"}});
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    Schema::compile(&json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                "replicas": {"type": "integer"},
                "labels": strings,
                "list": keyed,
                "ports": {"type": "array", "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name", "protocol"], "items": pair},
                "set": set,
                "plain": {"type": "array", "items": {"type": "integer"}},
                "atomic": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "integer"}},
                "empty": strings,
                "open": anything,
                "strategy": {"type": "object", "x-kubernetes-patch-strategy": "retainKeys",
                    "properties": {"type": {"type": "string"}, "rolling": {"type": "integer"}}},
                "a": {"type": "integer"},
                "b": anything,
                "c": letters,
                "d": set,
            }},
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        },
    }))
    .unwrap_or_else(|errors| panic!("{errors:?}"))
});
