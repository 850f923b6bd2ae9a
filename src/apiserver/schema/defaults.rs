//! Defaulting, and what it does with `null`.

use serde_json::Value;

use super::node::Node;

/// Drops `null`s of fields that are neither nullable nor have a default.
pub(super) fn drop_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|key, below| match node.child(key) {
            Some(child) if below.is_null() => child.nullable || child.default.is_some(),
            Some(child) => {
                drop_nulls(child, below);
                true
            }
            None => true,
        }),
        Value::Array(items) => {
            if let Some(child) = &node.items {
                items.iter_mut().for_each(|item| drop_nulls(child, item));
            }
        }
        _ => {}
    }
}

/// Fills what is absent, or `null` where that is not allowed, with the default, outer objects first, so that a default
/// object gets the defaults of its own fields.
pub(super) fn fill(node: &Node, value: &mut Value) {
    if !node.defaults_within {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, child) in &node.properties {
                if let Some(default) = &child.default {
                    let there = map.get(name).is_some_and(|v| !v.is_null() || child.nullable);
                    if !there {
                        map.insert(name.clone(), default.clone());
                    }
                }
            }
            for (key, below) in map.iter_mut() {
                if let Some(child) = node.child(key) {
                    fill_null(child, below);
                    fill(child, below);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                for item in items {
                    fill_null(child, item);
                    fill(child, item);
                }
            }
        }
        _ => {}
    }
}

fn fill_null(node: &Node, value: &mut Value) {
    if let (true, false, Some(default)) = (value.is_null(), node.nullable, &node.default) {
        *value = default.clone();
    }
}
