//! What tells the items of a list apart, and items that are not told apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    FieldError, FieldErrorKind,
    node::{ListType, Node},
};

/// The item of `old` with the same keys as `item`, in a list of type map.
pub(super) fn correlate<'o>(
    list: &ListType,
    item: &Value,
    old: Option<&'o Value>,
) -> Option<&'o Value> {
    let ListType::Map(keys) = list else { return None };
    let item = item.as_object()?;
    old?.as_array()?.iter().find(|candidate| {
        candidate
            .as_object()
            .is_some_and(|candidate| keys.iter().all(|key| candidate.get(key) == item.get(key)))
    })
}

/// Items of sets and map lists that are there more than once, and items that have no place in a map list.
pub(super) fn duplicates(root: &Node, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(root, object, &mut String::new(), &mut errors);
    errors
}

fn walk(node: &Node, value: &Value, path: &mut String, errors: &mut Vec<FieldError>) {
    if !node.distinct_within {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let Some(child) = node.child(key) else { continue };
                if node.embedded && key == "metadata" {
                    continue;
                }
                let length = path.len();
                push_child(path, key, node.properties.contains_key(key));
                walk(child, below, path, errors);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            match &node.list_type {
                ListType::Atomic => {}
                ListType::Set => {
                    repeated(path, items.iter().map(|i| (i.to_string(), i.clone())), errors)
                }
                ListType::Map(keys) => map_list(path, keys, items, errors),
            }
            let Some(child) = &node.items else { return };
            for (index, item) in items.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                walk(child, item, path, errors);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn map_list(path: &str, keys: &[String], items: &[Value], errors: &mut Vec<FieldError>) {
    if let Some((index, item)) =
        items.iter().enumerate().find(|(_, i)| !i.is_object() && !i.is_null())
    {
        errors.push(FieldError::invalid(
            format!("{path}[{index}]"),
            item,
            "must be an object for an array of list-type map",
        ));
        return;
    }
    let identities = items.iter().map(|item| {
        let identity: Map<String, Value> =
            keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect();
        let identity = Value::Object(identity);
        (identity.to_string(), identity)
    });
    repeated(path, identities, errors);
}

/// Reports the second of each group of equal texts.
fn repeated(
    path: &str,
    identities: impl Iterator<Item = (String, Value)>,
    errors: &mut Vec<FieldError>,
) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (text, value)) in identities.enumerate() {
        let times = seen.entry(text).or_default();
        *times += 1;
        if *times == 2 {
            errors.push(FieldError::with_value(
                format!("{path}[{index}]"),
                FieldErrorKind::Duplicate,
                &value,
                "",
            ));
        }
    }
}

/// Appends a key as Go's `field.Path` does: `.name` for a declared field, `[key]` for the key of a map.
pub(super) fn push_child(path: &mut String, key: &str, declared: bool) {
    if !declared {
        path.push('[');
        path.push_str(key);
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
