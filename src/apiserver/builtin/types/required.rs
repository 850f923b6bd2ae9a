//! Fields that must not be empty.

use serde_json::{Map, Value};

use super::fields::{Field, Required, Shape, TYPES, Type, TypeId};
use crate::apiserver::schema::FieldError;

/// Fields of `object` that must not be empty but are. The status is not looked at: whoever writes one knows it.
pub(in crate::apiserver::builtin) fn missing(id: TypeId, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(map) = object.as_object() {
        fields(TYPES.get(id), map, &mut String::new(), &mut errors);
    }
    errors
}

fn fields(of: &Type, map: &Map<String, Value>, path: &mut String, errors: &mut Vec<FieldError>) {
    for field in &of.fields {
        match (field.name, &field.shape) {
            (None, Shape::Message(part)) => fields(TYPES.get(*part), map, path, errors),
            (None, _) => {}
            // Metadata has rules of its own.
            (Some("status" | "metadata"), _) if of.is_kind => {}
            (Some(name), _) => {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                let value = map.get(name).unwrap_or(&Value::Null);
                if field.required == Required::Enforced && is_empty(field, value) {
                    errors.push(FieldError::required(path.as_str(), ""));
                } else {
                    below(&field.shape, value, path, errors);
                }
                path.truncate(length);
            }
        }
    }
}

fn below(shape: &Shape, value: &Value, path: &mut String, errors: &mut Vec<FieldError>) {
    match (shape, value) {
        (Shape::Message(id), Value::Object(map)) => fields(TYPES.get(*id), map, path, errors),
        (Shape::List(of), Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                below(of, item, path, errors);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Numbers and booleans are judged by their kind's own rules, which know what zero means.
fn is_empty(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => {
            field.pointer || matches!(field.shape, Shape::String | Shape::List(_) | Shape::Map(_))
        }
        Value::String(text) => text.is_empty() && field.shape == Shape::String,
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_fields_are_found_where_they_are() {
        let id = TYPES.kind("apps", "v1", "Deployment").unwrap();
        let object = json!({"spec": {"selector": null, "template": {"spec": {"containers": [
            {"name": "a", "image": "i"}, {"name": "", "volumeMounts": [{"name": "v"}]},
        ]}}}});
        let errors: Vec<String> = missing(id, &object).iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "spec.selector: Required value",
                "spec.template.spec.containers[1].name: Required value",
                "spec.template.spec.containers[1].volumeMounts[0].mountPath: Required value",
            ]
        );
    }
}
