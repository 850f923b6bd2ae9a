//! JSON merge patch (RFC 7386).

use serde_json::Value;

/// Merges `patch` into `doc`: `null` removes, objects merge, everything else replaces.
#[must_use]
pub fn apply(doc: &Value, patch: &Value) -> Value {
    let mut doc = doc.clone();
    json_patch::merge(&mut doc, patch);
    doc
}
