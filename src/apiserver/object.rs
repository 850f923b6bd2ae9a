//! Reading and writing the metadata of untyped objects.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Text at `metadata.<field>`; empty when absent.
pub(super) fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    metadata(object, field).and_then(Value::as_str).unwrap_or_default()
}

/// The value at `metadata.<field>`, unless it is absent or null.
pub(super) fn metadata<'v>(object: &'v Value, field: &str) -> Option<&'v Value> {
    object.get("metadata")?.get(field).filter(|value| !value.is_null())
}

/// `metadata.name`.
pub(super) fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.namespace`.
pub(super) fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.resourceVersion`, as a number; none when absent, and 0 when it is no number.
pub(super) fn revision(object: &Value) -> Option<u64> {
    match text(object, "resourceVersion") {
        "" => None,
        text => Some(text.parse().unwrap_or(0)),
    }
}

/// The texts of the list at `metadata.<field>`.
pub(super) fn texts<'v>(object: &'v Value, field: &str) -> Vec<&'v str> {
    let list = metadata(object, field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `metadata.finalizers`.
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    texts(object, "finalizers")
}

/// Whether deletion was asked for.
pub(super) fn is_deleting(object: &Value) -> bool {
    metadata(object, "deletionTimestamp").is_some()
}

/// `metadata`, made when absent. Objects that are no JSON objects get a map that nobody sees.
pub(super) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

/// Sets `metadata.<field>`, or removes it when the value is null.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    let metadata = metadata_mut(object);
    if value.is_null() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), value);
    }
}

/// Sets `metadata.finalizers`, and leaves no empty list behind.
pub(super) fn set_finalizers(object: &mut Value, finalizers: &[&str]) {
    let list = if finalizers.is_empty() { Value::Null } else { finalizers.into() };
    set(object, "finalizers", list);
}

/// Takes `metadata.<field>` from `from`, absent included.
pub(super) fn copy(object: &mut Value, from: &Value, field: &str) {
    set(object, field, metadata(from, field).cloned().unwrap_or(Value::Null));
}

/// A time as Kubernetes writes it: whole seconds, UTC.
pub(super) fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
