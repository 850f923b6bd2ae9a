//! The fields of the built-in kinds.

use serde_json::{Value, json};

/// The name under which the type of a kind is found.
pub(super) fn name_of(_group: &str, kind: &'static str) -> &'static str {
    kind
}

/// The structural schema of a type.
pub(super) fn structural_schema(_name: &str) -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
