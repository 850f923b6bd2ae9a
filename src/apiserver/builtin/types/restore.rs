//! Whether Go could turn a merged object into its type, and what it says when it could not.
//!
//! After a strategic merge, kube-apiserver converts without JSON in between (`apimachinery/pkg/runtime/converter.go`),
//! which has words of its own, and is content with numbers that the JSON decoder refuses.

use serde_json::{Map, Value};

use super::{
    decode,
    fields::{Shape, TYPES, Type, TypeId},
};

/// Checks that every value can become one of its field's type.
///
/// # Errors
/// The first one that cannot, in the words of Go's converter.
pub(in crate::apiserver::builtin) fn check(id: TypeId, object: &Value) -> Result<(), String> {
    restore(&Shape::Message(id), object)
}

fn restore(shape: &Shape, value: &Value) -> Result<(), String> {
    match (shape, value) {
        (_, Value::Null) => Ok(()),
        (Shape::Map(of), Value::Object(map)) => map.values().try_for_each(|item| restore(of, item)),
        (Shape::Map(_), other) => Err(format!("cannot restore map from {}", kind_of(other))),
        (Shape::Bytes, Value::String(_)) => {
            decode::value(shape, value).map_err(|why| format!("error decoding from json: {why}"))
        }
        (Shape::List(of), Value::Array(list)) => list.iter().try_for_each(|item| restore(of, item)),
        (Shape::List(_) | Shape::Bytes, other) => {
            Err(format!("cannot restore slice from {}", kind_of(other)))
        }
        (Shape::Message(id), Value::Object(map)) => fields(TYPES.get(*id), map),
        (Shape::Message(_), other) => {
            Err(format!("cannot restore struct from: {}", kind_of(other)))
        }
        (Shape::String, other) => match other {
            Value::String(_) => Ok(()),
            Value::Number(n) if !n.is_f64() => Err("cannot convert int64 to string".to_owned()),
            _ => Err("unrecognized type: string".to_owned()),
        },
        (Shape::Bool, Value::Bool(_)) | (Shape::Double, Value::Number(_)) => Ok(()),
        (Shape::Bool, _) => Err("unrecognized type: bool".to_owned()),
        (Shape::Double, _) => Err("unrecognized type: float64".to_owned()),
        (Shape::Int32, other) => whole("int32", other),
        (Shape::Int64, other) => whole("int64", other),
        (Shape::Byte, other) => whole("uint8", other),
        // These read JSON themselves.
        (shape, other) => match (shape, other) {
            (Shape::Time | Shape::MicroTime | Shape::Duration, Value::String(_)) => {
                decode::value(shape, other)
            }
            (Shape::Time | Shape::MicroTime | Shape::Duration, other) => Err(format!(
                "json: cannot unmarshal {} into Go value of type string",
                decode::kind_of(other)
            )),
            _ => decode::value(shape, other),
        },
    }
}

/// Whole numbers fit into every integer, as Go's conversion cuts them.
fn whole(to: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Number(n) if n.as_f64().is_some_and(|n| n.fract() != 0.0) => {
            Err(format!("cannot convert float64 to {to}"))
        }
        Value::Number(_) => Ok(()),
        _ => Err(format!("unrecognized type: {to}")),
    }
}

fn fields(of: &Type, map: &Map<String, Value>) -> Result<(), String> {
    // Schemas have fields that hold either of two types; they are checked as schemas.
    if of.name == "JSONSchemaProps" {
        return Ok(());
    }
    of.fields.iter().try_for_each(|field| match (field.name, &field.shape) {
        (Some(name), shape) => map.get(name).map_or(Ok(()), |value| restore(shape, value)),
        (None, Shape::Message(part)) => fields(TYPES.get(*part), map),
        (None, _) => Ok(()),
    })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_types_are_told_as_go_tells_them() {
        let table = [
            ("", "ConfigMap", json!({"data": ["a"]}), "cannot restore map from slice"),
            ("", "ConfigMap", json!({"data": "a"}), "cannot restore map from string"),
            ("", "ConfigMap", json!({"data": {"a": 1}}), "cannot convert int64 to string"),
            ("", "ConfigMap", json!({"data": {"a": 1.5}}), "unrecognized type: string"),
            ("", "ConfigMap", json!({"immutable": "x"}), "unrecognized type: bool"),
            ("", "ConfigMap", json!({"metadata": [1]}), "cannot restore struct from: slice"),
            (
                "",
                "ConfigMap",
                json!({"metadata": {"finalizers": true}}),
                "cannot restore slice from bool",
            ),
            (
                "",
                "ConfigMap",
                json!({"metadata": {"creationTimestamp": 1}}),
                "json: cannot unmarshal number into Go value of type string",
            ),
            (
                "",
                "Secret",
                json!({"data": {"a": "b?"}}),
                "error decoding from json: illegal base64 data at input byte 1",
            ),
            ("apps", "Deployment", json!({"spec": {"replicas": "3"}}), "unrecognized type: int32"),
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": 1.5}}),
                "cannot convert float64 to int32",
            ),
        ];
        for (group, kind, object, said) in table {
            let id = TYPES.kind(group, "v1", kind).unwrap();
            assert_eq!(check(id, &object), Err(said.to_owned()), "{object}");
        }
        let id = TYPES.kind("apps", "v1", "Deployment").unwrap();
        assert_eq!(check(id, &json!({"spec": {"replicas": 2.0, "paused": null}})), Ok(()));
    }
}
