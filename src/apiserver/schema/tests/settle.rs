//! What holds for every value and every document.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::{Schema, with_spec};
use crate::apiserver::{schema::FieldErrorKind, testing::any_json};

/// A schema with a bit of everything, for values of any shape.
static MOTLEY: LazyLock<Schema> = LazyLock::new(|| {
    with_spec(json!({
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "a", "pattern": "a+", "x-kubernetes-validations": [{"rule": "self != 'b'"}]},
            "b": {"type": "object", "default": {}, "properties": {
                "a": {"type": "integer", "default": 3, "minimum": 1}, "b": {"type": "number", "nullable": true}}},
            "c": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
                "items": {"type": "object", "properties": {"a": {"type": "string", "default": "k"},
                    "b": {"type": "boolean", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}},
            "d": {"type": "object", "additionalProperties": {"type": "string"}},
            "e": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        },
    }))
});

proptest! {
    #![proptest_config(crate::properties::config())]

    #[test]
    fn nothing_panics_and_pruning_and_defaulting_settle(spec in any_json(), old in any_json()) {
        let schema = &*MOTLEY;
        let mut object = json!({"spec": spec, "metadata": {"name": "n"}});
        let _ = schema.validate(&object, Some(&json!({"spec": old, "metadata": old})));
        schema.prune(&mut object);
        let pruned = object.clone();
        prop_assert_eq!(schema.prune(&mut object), [] as [String; 0]);
        prop_assert_eq!(&object, &pruned);
        schema.apply_defaults(&mut object);
        let filled = object.clone();
        schema.apply_defaults(&mut object);
        prop_assert_eq!(&object, &filled);
        // An object that does not change has nothing to be blamed for. Where items share their key, a transition rule
        // compares each of them with the first.
        let shares_keys = schema.validate(&object, None).iter().any(|e| e.kind == FieldErrorKind::Duplicate);
        let blamed = schema.validate(&object, Some(&object.clone()));
        prop_assert!(blamed.iter().all(|e| e.kind == FieldErrorKind::Duplicate
            || e.detail.contains("list-type map")
            || shares_keys && e.detail.contains("self == oldSelf")), "{blamed:?}");
    }

    #[test]
    fn any_document_compiles_or_says_why(document in any_json()) {
        let _ = Schema::compile(&document);
        let _ = Schema::compile(&json!({"type": "object", "properties": {"spec": document}}));
    }
}
