//! Whether Go could read an object of a built-in kind at all, and what it says when it could not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    fields::{Shape, TYPES, Type, TypeId},
    quantity,
};

/// Checks that every value has a type that its field can hold.
///
/// # Errors
/// The first one that has not, in the words of Go's JSON decoder.
pub(in crate::apiserver::builtin) fn check(id: TypeId, object: &Value) -> Result<(), String> {
    let of = TYPES.get(id);
    match object {
        Value::Object(map) => fields(of, of, map, &mut Vec::new()),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type {}",
            kind_of(other),
            go_name(&Shape::Message(id))
        )),
    }
}

/// Checks one value that stands in no struct.
///
/// # Errors
/// As [`check`].
pub(super) fn value(shape: &Shape, value: &Value) -> Result<(), String> {
    value_fits(shape, value, &UNNAMED, &mut Vec::new())
}

/// Where a value is not in a struct.
static UNNAMED: Type = Type {
    package: "",
    group: "",
    name: "",
    is_kind: false,
    atomic: false,
    about: "",
    fields: Vec::new(),
};

fn fields<'v>(
    of: &Type,
    outer: &Type,
    map: &'v Map<String, Value>,
    path: &mut Vec<&'v str>,
) -> Result<(), String> {
    for (key, value) in map {
        if let Some((shape, holder)) = find(of, outer, key) {
            path.push(key);
            value_fits(shape, value, holder, path)?;
            path.pop();
        }
    }
    Ok(())
}

/// The shape of a field, and the struct that Go says it is in.
fn find<'t>(of: &'t Type, outer: &'t Type, key: &str) -> Option<(&'t Shape, &'t Type)> {
    of.fields.iter().find_map(|field| match (field.name, &field.shape) {
        (Some(name), shape) if name == key => Some((shape, outer)),
        (None, Shape::Message(part)) => find(TYPES.get(*part), outer, key),
        _ => None,
    })
}

fn value_fits<'v>(
    shape: &Shape,
    value: &'v Value,
    holder: &Type,
    path: &mut Vec<&'v str>,
) -> Result<(), String> {
    match (shape, value) {
        (_, Value::Null)
        | (Shape::String | Shape::Duration, Value::String(_))
        | (Shape::Bool, Value::Bool(_))
        | (Shape::Double, Value::Number(_))
        | (Shape::IntOrString, Value::String(_))
        | (Shape::Raw | Shape::Json | Shape::Fields, _)
        | (Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings, _) => Ok(()),
        (Shape::Int32 | Shape::Int64 | Shape::Byte, Value::Number(n)) if whole(shape, n) => Ok(()),
        (Shape::Int32 | Shape::Int64 | Shape::Byte, Value::Number(n)) => {
            Err(cannot(&format!("number {n}"), shape, holder, path))
        }
        (Shape::IntOrString, Value::Number(n)) if whole(&Shape::Int32, n) => Ok(()),
        (Shape::IntOrString, other) => {
            Err(format!("json: cannot unmarshal {} into Go value of type int32", kind_of(other)))
        }
        (Shape::Quantity, Value::String(text)) if text.is_empty() => Ok(()),
        (Shape::Quantity, Value::String(text)) => {
            quantity::canonical(text).map(drop).ok_or_else(|| quantity::NO_QUANTITY.to_owned())
        }
        (Shape::Quantity, Value::Number(_)) => Ok(()),
        (Shape::Quantity, _) => Err(quantity::NO_QUANTITY.to_owned()),
        (Shape::Time, Value::String(text)) => time(text, "2006-01-02T15:04:05Z07:00"),
        (Shape::MicroTime, Value::String(text)) => time(text, "2006-01-02T15:04:05.000000Z07:00"),
        (Shape::Bytes, Value::String(text)) => bytes(text),
        (Shape::List(of), Value::Array(list)) => {
            list.iter().try_for_each(|item| value_fits(of, item, holder, path))
        }
        // Go names the map, not the key.
        (Shape::Map(of), Value::Object(map)) => {
            map.values().try_for_each(|item| value_fits(of, item, holder, path))
        }
        (Shape::Message(id), Value::Object(map)) => {
            let of = TYPES.get(*id);
            // Schemas have fields that hold either of two types; they are checked as schemas.
            if of.name == "JSONSchemaProps" { Ok(()) } else { fields(of, of, map, path) }
        }
        (shape, other) => Err(cannot(kind_of(other), shape, holder, path)),
    }
}

fn whole(shape: &Shape, n: &serde_json::Number) -> bool {
    match (shape, n.as_i64()) {
        (Shape::Int32, Some(n)) => i32::try_from(n).is_ok(),
        (Shape::Byte, Some(n)) => u8::try_from(n).is_ok(),
        (_, n) => n.is_some(),
    }
}

fn time(text: &str, layout: &str) -> Result<(), String> {
    let separated = text.as_bytes().get(10) == Some(&b'T');
    if separated && text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(());
    }
    Err(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
}

fn bytes(text: &str) -> Result<(), String> {
    let joined: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    if STANDARD.decode(&joined).is_ok() {
        return Ok(());
    }
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let at = joined.iter().position(|b| !plain(b)).unwrap_or(joined.len() / 4 * 4);
    Err(format!("illegal base64 data at input byte {at}"))
}

fn cannot(value: &str, shape: &Shape, holder: &Type, path: &[&str]) -> String {
    format!(
        "json: cannot unmarshal {value} into Go struct field {}.{} of type {}",
        holder.name,
        path.join("."),
        go_name(shape)
    )
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::Int32 => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Double => "float64".to_owned(),
        Shape::Byte => "uint8".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::List(of) => format!("[]{}", go_name(of)),
        Shape::Map(of) => format!("map[string]{}", go_name(of)),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Message(id) => {
            let of = TYPES.get(*id);
            format!("{}.{}", of.package.rsplit('/').next().unwrap_or_default(), of.name)
        }
        _ => "string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_types_are_told_as_go_tells_them() {
        let table = [
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": "3"}}),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"replicas": 1.5}}),
                "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                "apps",
                "Deployment",
                json!({"spec": {"template": {"spec": {"containers": {"name": "a"}}}}}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                "",
                "ConfigMap",
                json!({"data": {"a": 1}}),
                "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
            (
                "",
                "ConfigMap",
                json!({"data": []}),
                "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
            ),
            ("", "Secret", json!({"data": {"a": "b?"}}), "illegal base64 data at input byte 1"),
            (
                "",
                "ResourceQuota",
                json!({"spec": {"hard": {"cpu": "lots"}}}),
                quantity::NO_QUANTITY,
            ),
        ];
        for (group, kind, object, said) in table {
            let id = TYPES.kind(group, "v1", kind).unwrap();
            assert_eq!(check(id, &object), Err(said.to_owned()));
        }
        let id = TYPES.kind("", "v1", "Service").unwrap();
        assert_eq!(
            check(
                id,
                &json!({"spec": {"ports": [{"targetPort": "http", "port": 80}, {"targetPort": 1}]}})
            ),
            Ok(())
        );
    }
}
