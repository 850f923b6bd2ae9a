//! Whether a configuration can be applied: declared fields, matching types, items that can be told apart.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{go_print, go_type};
use crate::apiserver::{
    field::{Shape, item_element, shape},
    schema::{Node, Schema, Types},
};

/// Checks a configuration. The error is kube-apiserver's whole message.
pub(super) fn check(schema: &Schema, applied: &Value) -> Result<(), String> {
    let mut walk = Walk { path: String::new(), errors: Vec::new() };
    walk.value(Some(schema.root()), applied);
    if walk.errors.is_empty() {
        return Ok(());
    }
    let text = |pointer: &str| applied.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let errors = match walk.errors.as_slice() {
        [only] => only.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    // Go prints the core group, too.
    let slash = if version.contains('/') { "" } else { "/" };
    Err(format!(
        "failed to create typed patch object ({namespace}/{name}; {slash}{version}, Kind={kind}): {errors}"
    ))
}

struct Walk {
    path: String,
    errors: Vec<String>,
}

impl Walk {
    fn error(&mut self, text: &str) {
        self.errors.push(format!("{}: {text}", self.path));
    }

    fn at(&mut self, suffix: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(suffix);
        check(self);
        self.path.truncate(length);
    }

    fn value(&mut self, node: Option<&Node>, value: &Value) {
        let Some(node) = node else { return };
        if value.is_null() {
            return;
        }
        let expected = if node.types.is_empty() {
            None
        } else if node.types.has(Types::OBJECT) {
            (!value.is_object()).then_some("expected map")
        } else if node.types.has(Types::ARRAY) {
            (!value.is_array()).then_some("expected list")
        } else if node.int_or_string {
            (value.is_object() || value.is_array()).then_some("expected any scalar")
        } else if node.types.has(Types::STRING) {
            (!value.is_string()).then_some("expected string")
        } else if node.types.has(Types::BOOLEAN) {
            (!value.is_boolean()).then_some("expected boolean")
        } else {
            (!value.is_number()).then_some("expected numeric (int or float)")
        };
        if let Some(expected) = expected {
            let got = match expected {
                "expected map" | "expected list" => format!("&{{{}}}", go_print(value)),
                "expected numeric (int or float)" => go_type(value).to_owned(),
                _ => format!("&value.valueUnstructured{{Value:{}}}", go_source(value)),
            };
            self.error(&format!("{expected}, got {got}"));
            return;
        }
        match value {
            Value::Object(map) => {
                for (key, below) in map {
                    let child = node.child(key);
                    let is_known = child.is_some()
                        || node.preserve_unknown
                        || node.additional.is_some()
                        // An object without any declared field has a type that nobody told us about.
                        || node.properties.is_empty();
                    self.at(&format!(".{key}"), |walk| {
                        if is_known {
                            walk.value(child, below);
                        } else {
                            walk.error("field not declared in schema");
                        }
                    });
                }
            }
            Value::Array(items) => self.items(node, value, items),
            _ => {}
        }
    }

    fn items(&mut self, node: &Node, value: &Value, items: &[Value]) {
        let is_associative = matches!(shape(Some(node), value), Shape::List(..));
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let suffix = if is_associative {
                match item_element(node, item) {
                    Err(why) => {
                        self.error(&format!("element {index}: {why}"));
                        return;
                    }
                    Ok(element) => {
                        let text = element.to_string();
                        if !seen.insert(element) {
                            self.error(&format!("duplicate entries for key {text}"));
                        }
                        text
                    }
                }
            } else {
                format!("[{index}]")
            };
            self.at(&suffix, |walk| walk.value(node.items.as_deref(), item));
        }
    }
}

/// As Go's `%#v` prints a value.
fn go_source(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_source).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", go_source(value))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
