//! The form in which objects of built-in kinds are stored: what is left after Go has read and written them.
//!
//! kube-apiserver decodes its own kinds into Go structs. Empty values that Go leaves out disappear, values that Go
//! always writes appear, and quantities, times and bytes get their canonical text. Clients can see all three.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    fields::{Field, Shape, TYPES, Type, TypeId},
    quantity,
};

/// Brings an object of a type into its stored form. Values of a wrong type, and unknown fields, stay as they are.
pub(in crate::apiserver::builtin) fn normalize(id: TypeId, object: &mut Value) {
    if let Some(map) = object.as_object_mut() {
        fields(TYPES.get(id), map);
    }
}

/// An object of a type that nobody has said anything of, as Go writes it.
pub(in crate::apiserver::builtin) fn blank(id: TypeId) -> Value {
    zero(&Shape::Message(id))
}

fn fields(of: &Type, map: &mut Map<String, Value>) {
    for field in &of.fields {
        match (field.name, &field.shape) {
            (None, Shape::Message(part)) => fields(TYPES.get(*part), map),
            (None, _) => {}
            (Some(name), _) => one(name, field, map),
        }
    }
}

fn one(name: &str, field: &Field, map: &mut Map<String, Value>) {
    match map.get_mut(name) {
        None | Some(Value::Null) if field.always => {
            let empty = if field.pointer { Value::Null } else { zero(&field.shape) };
            map.insert(name.to_owned(), empty);
        }
        None => {}
        Some(Value::Null) => {
            map.remove(name);
        }
        Some(value) => {
            canonical(&field.shape, value);
            // Protobuf, in which built-in kinds are stored upstream, does not tell empty from absent.
            if field.always
                && matches!(field.shape, Shape::List(_) | Shape::Map(_))
                && is_zero(&field.shape, value)
            {
                *value = Value::Null;
            }
            if !field.always && !field.pointer && is_zero(&field.shape, value) {
                map.remove(name);
            }
        }
    }
}

/// What Go writes for the zero value.
fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Fields => "".into(),
        Shape::Duration => "0s".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Byte | Shape::IntOrString | Shape::Double => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Message(id) => {
            let mut map = Map::new();
            fields(TYPES.get(*id), &mut map);
            Value::Object(map)
        }
        _ => Value::Null,
    }
}

/// Whether Go leaves the value out. Structs are never empty to Go.
fn is_zero(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Message(_), _) => false,
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Bool(yes)) => !yes,
        (_, Value::Number(n)) => n.as_f64() == Some(0.0),
        (_, Value::Array(list)) => list.is_empty(),
        (Shape::Map(_), Value::Object(map)) => map.is_empty(),
        _ => false,
    }
}

fn canonical(shape: &Shape, value: &mut Value) {
    match (shape, &mut *value) {
        (Shape::Message(id), Value::Object(map)) => fields(TYPES.get(*id), map),
        (Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings, _) => {
            schemas(value);
        }
        (Shape::List(of), Value::Array(list)) => {
            for item in list {
                element(of, item);
            }
        }
        (Shape::Map(of), Value::Object(map)) => {
            for item in map.values_mut() {
                element(of, item);
            }
        }
        (Shape::Quantity, Value::String(text)) => {
            if let Some(canonical) = quantity::canonical(text) {
                *text = canonical;
            }
        }
        (Shape::Quantity, Value::Number(n)) => {
            if let Some(canonical) = quantity::canonical(&n.to_string()) {
                *value = canonical.into();
            }
        }
        (Shape::Time, Value::String(text)) => {
            if let Some(time) = parse_time(text) {
                *text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            }
        }
        (Shape::MicroTime, Value::String(text)) => {
            if let Some(time) = parse_time(text) {
                *text = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            }
        }
        (Shape::Bytes, Value::String(text)) => {
            // Go's decoder skips line breaks.
            let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            if STANDARD.decode(&joined).is_ok() {
                *text = joined;
            }
        }
        _ => {}
    }
}

/// A JSON schema that stands where something else might, or a list of them.
fn schemas(value: &mut Value) {
    let Some(schema) = TYPES.named("apiextensions/v1", "JSONSchemaProps") else { return };
    match value {
        Value::Object(map) => fields(TYPES.get(schema), map),
        Value::Array(list) => list.iter_mut().for_each(schemas),
        _ => {}
    }
}

/// An item of a list or map, which is there even when it is empty.
fn element(shape: &Shape, item: &mut Value) {
    if item.is_null() {
        *item = match shape {
            Shape::Bytes => "".into(),
            shape => zero(shape),
        };
    }
    canonical(shape, item);
}

fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normal(group: &str, kind: &str, mut object: Value) -> Value {
        normalize(TYPES.kind(group, "v1", kind).unwrap(), &mut object);
        object
    }

    #[test]
    fn what_go_leaves_out_is_left_out() {
        let given = json!({
            "metadata": {"name": "c", "labels": {}, "annotations": null, "creationTimestamp": null, "generation": 0},
            "data": {"a": "", "b": null}, "binaryData": {"x": "aGVs\nbG8="}, "immutable": false,
        });
        let stored = json!({
            "metadata": {"name": "c"}, "data": {"a": "", "b": ""}, "binaryData": {"x": "aGVsbG8="}, "immutable": false,
        });
        assert_eq!(normal("", "ConfigMap", given), stored);
    }

    #[test]
    fn what_go_always_writes_is_written() {
        let role = normal("rbac.authorization.k8s.io", "Role", json!({"metadata": {"name": "r"}}));
        assert_eq!(role, json!({"metadata": {"name": "r"}, "rules": null}));
        let service =
            normal("", "Service", json!({"metadata": {}, "spec": {"ports": [{"port": 80}]}}));
        assert_eq!(
            service,
            json!({"metadata": {}, "spec": {"ports": [{"port": 80, "targetPort": 0}]}, "status": {"loadBalancer": {}}})
        );
    }

    #[test]
    fn zero_is_kept_behind_pointers() {
        let given = json!({"metadata": {}, "spec": {
            "replicas": 0, "minReadySeconds": 0, "paused": false, "selector": {}, "strategy": {},
            "template": {"spec": {"containers": [
                {"name": "a", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}, "args": []},
            ]}},
        }});
        let stored = json!({"metadata": {}, "status": {}, "spec": {
            "replicas": 0, "selector": {}, "strategy": {},
            "template": {"metadata": {}, "spec": {"containers": [
                {"name": "a", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}},
            ]}},
        }});
        assert_eq!(normal("apps", "Deployment", given), stored);
    }

    #[test]
    fn schemas_within_schemas_have_the_same_form() {
        let schema = |flags: Value| {
            let mut schema = json!({"type": "array", "items": {"type": "object", "properties": {
                "a": {"type": "string"}}, "additionalProperties": {"type": "string"}}});
            if flags.is_object() {
                for at in ["/items", "/items/properties/a", "/items/additionalProperties"] {
                    let within = schema.pointer_mut(at).and_then(Value::as_object_mut).unwrap();
                    within.extend(flags.as_object().unwrap().clone());
                }
            }
            schema
        };
        let id = TYPES.named("apiextensions/v1", "JSONSchemaProps").unwrap();
        // As protobuf brings them.
        let mut given = schema(json!({"x-kubernetes-int-or-string": false, "nullable": false}));
        normalize(id, &mut given);
        assert_eq!(given, schema(Value::Null));
    }

    #[test]
    fn times_are_utc() {
        let lease = normal(
            "coordination.k8s.io",
            "Lease",
            json!({"metadata": {}, "spec": {"renewTime": "2026-11-23T12:00:00.5+02:00"}}),
        );
        assert_eq!(lease["spec"]["renewTime"], "2026-11-23T10:00:00.500000Z");
    }
}
