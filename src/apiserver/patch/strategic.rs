//! Strategic merge patch: a merge patch that merges lists by the merge keys of the schema, and that has directives.
//!
//! | directive | meaning |
//! | --- | --- |
//! | `$patch: replace`, `$patch: delete` | the map or list is replaced; the map is emptied, the item is removed |
//! | `$retainKeys` | all other keys of the map go |
//! | `$deleteFromPrimitiveList/NAME` | these scalars go from the list `NAME` |
//! | `$setElementOrder/NAME` | the order of the list `NAME` |
//!
//! The behavior is that of apimachinery's `strategicpatch`.

mod list;
mod order;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::{PatchError, go_print};
use crate::apiserver::schema::{Node, Schema};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";

/// Merges `patch` into `doc`, lists by the merge keys that `schema` names.
///
/// # Errors
/// [`PatchError::Malformed`] for malformed directives, [`PatchError::Unprocessable`] for items without their merge key
/// and lists of lists.
pub fn apply(doc: &Value, patch: &Value, schema: &Schema) -> Result<Value, PatchError> {
    let (Some(doc), Some(patch)) = (doc.as_object(), patch.as_object()) else {
        return Err(PatchError::Malformed("invalid JSON document".to_owned()));
    };
    merge_maps(doc, patch, Some(schema.root())).map(Value::Object)
}

fn malformed(text: &str) -> PatchError {
    PatchError::Malformed(text.to_owned())
}

fn unprocessable(text: String) -> PatchError {
    PatchError::Unprocessable(text)
}

/// Merges a map into a map.
fn merge_maps(
    doc: &Map<String, Value>,
    patch: &Map<String, Value>,
    node: Option<&Node>,
) -> Result<Map<String, Value>, PatchError> {
    match patch.get(PATCH) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            return Ok(clean_map(patch));
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    let mut out = doc.clone();
    retain_keys(&mut out, patch)?;
    for (key, value) in patch {
        if key == RETAIN_KEYS || ordered_name(key)?.is_some() {
            continue;
        }
        if let Some(name) = name_of(key, DELETE_FROM, "invalid patch format of primitive list")? {
            list::delete_scalars(&mut out, name, value);
            continue;
        }
        merge_field(&mut out, key, value, node)?;
    }
    for (key, order) in patch {
        if let Some(name) = ordered_name(key)? {
            let order = order.as_array().ok_or_else(|| malformed(BAD_ORDER))?;
            let hints = node.and_then(|n| n.child(name)).map(|n| &n.patch);
            let merge_key = hints.and_then(|h| h.merge_key.as_deref());
            order::set(&mut out, doc.get(name), patch.get(name), name, order, merge_key)?;
        }
    }
    Ok(out)
}

const BAD_ORDER: &str = "invalid patch format of setElementOrder list";

fn ordered_name(key: &str) -> Result<Option<&str>, PatchError> {
    name_of(key, ELEMENT_ORDER, BAD_ORDER)
}

/// `NAME` of a directive `$DIRECTIVE/NAME`.
fn name_of<'k>(key: &'k str, directive: &str, bad: &str) -> Result<Option<&'k str>, PatchError> {
    match key.strip_prefix(directive) {
        None => Ok(None),
        Some(rest) => rest.strip_prefix('/').map(Some).ok_or_else(|| malformed(bad)),
    }
}

fn merge_field(
    out: &mut Map<String, Value>,
    key: &str,
    value: &Value,
    node: Option<&Node>,
) -> Result<(), PatchError> {
    if value.is_null() {
        out.remove(key);
        return Ok(());
    }
    let child = node.and_then(|n| n.child(key));
    let hints = child.map(|c| &c.patch);
    let merged = match (out.get(key), value) {
        (Some(Value::Object(doc)), Value::Object(patch)) if hints.is_none_or(|h| !h.replace) => {
            Some(Value::Object(merge_maps(doc, patch, child)?))
        }
        (Some(Value::Array(doc)), Value::Array(patch)) if hints.is_some_and(|h| h.merge) => {
            Some(Value::Array(list::merge(doc, patch, child)?))
        }
        _ => clean(value),
    };
    match merged {
        Some(merged) => out.insert(key.to_owned(), merged),
        None => out.remove(key),
    };
    Ok(())
}

/// Applies `$retainKeys`, which must name every key that the patch sets.
fn retain_keys(out: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    const BAD: &str = "invalid patch format of retainKeys";
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let keys = keys.as_array().ok_or_else(|| malformed(BAD))?;
    let retained = |key: &str| keys.iter().any(|k| k == key);
    let sets = |(key, value): (&String, &Value)| {
        !value.is_null() && !key.starts_with('$') && !retained(key)
    };
    if patch.iter().any(sets) {
        return Err(malformed(BAD));
    }
    out.retain(|key, _| retained(key));
    Ok(())
}

/// A value that is new in the document: without directives, and without the `null`s that would remove something. None
/// when it was only a directive.
fn clean(value: &Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => Some(Value::Object(clean_map(map))),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(clean).collect())),
        other => Some(other.clone()),
    }
}

fn clean_map(map: &Map<String, Value>) -> Map<String, Value> {
    let is_directive =
        |key: &str| key == PATCH || key.starts_with(DELETE_FROM) || key.starts_with(ELEMENT_ORDER);
    map.iter()
        .filter(|(key, value)| !value.is_null() && !is_directive(key))
        .filter_map(|(key, value)| Some((key.clone(), clean(value)?)))
        .collect()
}

fn unknown_directive(directive: &Value, map: &Map<String, Value>) -> PatchError {
    let text = directive.as_str().map_or_else(|| directive.to_string(), str::to_owned);
    let map = go_print(&Value::Object(map.clone()));
    PatchError::Faulty(format!("unknown patch type: {text} in map: {map}"))
}
