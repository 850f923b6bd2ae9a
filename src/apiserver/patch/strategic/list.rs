//! Merging lists.

use serde_json::{Map, Value};

use super::{
    super::go_print, PATCH, PatchError, clean, merge_maps, order, unknown_directive, unprocessable,
};
use crate::apiserver::schema::Node;

/// Merges a list into a list whose strategy is `merge`: scalars as a set, maps by their merge key.
pub(super) fn merge(
    doc: &[Value],
    patch: &[Value],
    node: Option<&Node>,
) -> Result<Vec<Value>, PatchError> {
    let mut all = doc.iter().chain(patch);
    if all.clone().any(Value::is_array) {
        return Err(unprocessable("lists of lists are not supported".to_owned()));
    }
    if !all.any(Value::is_object) {
        return Ok(merge_scalars(doc, patch));
    }
    let Some(merge_key) = node.and_then(|n| n.patch.merge_key.as_deref()) else {
        return Err(unprocessable("cannot merge lists without merge key".to_owned()));
    };
    let item_node = node.and_then(|n| n.items.as_deref());
    merge_items(doc, patch, merge_key, item_node)
}

/// Takes scalars out of the list `name`, where there is one.
pub(super) fn delete_scalars(out: &mut Map<String, Value>, name: &str, unwanted: &Value) {
    if let (Some(Value::Array(items)), Some(unwanted)) = (out.get_mut(name), unwanted.as_array()) {
        items.retain(|item| !unwanted.contains(item));
    }
}

fn merge_scalars(doc: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::with_capacity(doc.len() + patch.len());
    for item in doc.iter().chain(patch) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    order::arrange(merged, patch, doc, None)
}

fn merge_items(
    doc: &[Value],
    patch: &[Value],
    merge_key: &str,
    node: Option<&Node>,
) -> Result<Vec<Value>, PatchError> {
    let mut merged = doc.to_vec();
    let mut wanted = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        let map = as_map(item)?;
        match map.get(PATCH).map(|d| (d, d.as_str())) {
            None => wanted.push(map),
            Some((_, Some("delete"))) => {
                let key = key_of(map, merge_key)?;
                merged.retain(|m| m.get(merge_key) != Some(key));
            }
            Some((_, Some("replace"))) => replaces = true,
            Some((_, Some("merge"))) => {
                let text = "merging lists cannot yet be specified in the patch";
                return Err(PatchError::Faulty(text.to_owned()));
            }
            Some((directive, _)) => return Err(unknown_directive(directive, map)),
        }
    }
    if replaces {
        return Ok(wanted.into_iter().filter_map(|m| clean(&Value::Object(m.clone()))).collect());
    }
    let before = merged.clone();
    for map in wanted {
        let key = key_of(map, merge_key)?;
        match merged.iter_mut().find(|m| m.get(merge_key) == Some(key)) {
            Some(found) => *found = Value::Object(merge_maps(as_map(found)?, map, node)?),
            None => merged.extend(clean(&Value::Object(map.clone()))),
        }
    }
    for item in &merged {
        key_of(as_map(item)?, merge_key)?;
    }
    let order: Vec<Value> = patch.iter().filter(|p| p.get(PATCH).is_none()).cloned().collect();
    Ok(order::arrange(merged, &order, &before, Some(merge_key)))
}

pub(super) fn as_map(item: &Value) -> Result<&Map<String, Value>, PatchError> {
    item.as_object().ok_or_else(|| {
        unprocessable(format!("expected a map[string]interface {{}}, but received {item}"))
    })
}

pub(super) fn key_of<'m>(
    map: &'m Map<String, Value>,
    merge_key: &str,
) -> Result<&'m Value, PatchError> {
    map.get(merge_key).ok_or_else(|| {
        let map = go_print(&Value::Object(map.clone()));
        let why = format!("map: {map} does not contain declared merge key: {merge_key}");
        PatchError::Faulty(why)
    })
}
