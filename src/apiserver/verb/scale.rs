//! The `scale` subresource: numbers of replicas as `autoscaling/v1` Scale, wherever a kind keeps them.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Call, Part, create::Made};
use crate::apiserver::{
    answer::Answer,
    builtin::{ResourceDefinition, table},
    failure::Failure,
    object,
    patch::{go_print, go_type},
    schema::FieldError,
};

/// The Scale of an object; none when the kind has no such subresource.
pub(super) fn read(definition: &ResourceDefinition, object: &Value) -> Option<Value> {
    let scale = definition.scale.as_ref()?;
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let selector = scale.label_selector.as_deref().and_then(|path| at(object, path));
    let metadata = |field: &str| object::metadata(object, field).cloned().unwrap_or(Value::Null);
    let mut read = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata("name"),
            "namespace": metadata("namespace"),
            "uid": metadata("uid"),
            "resourceVersion": metadata("resourceVersion"),
            "creationTimestamp": metadata("creationTimestamp"),
        },
        "spec": {"replicas": number(&scale.spec_replicas)},
        "status": {"replicas": number(&scale.status_replicas)},
    });
    if !definition.namespaced {
        object::set(&mut read, "namespace", Value::Null);
    }
    if let Some(selector) = selector {
        read["status"]["selector"] = selector_text(selector).into();
    }
    Some(read)
}

/// The object with the number of replicas that a Scale asks for.
pub(super) fn write(
    definition: &ResourceDefinition,
    old: &Value,
    scale: &Value,
) -> Result<Value, Failure> {
    let name = object::name(old);
    let paths = definition.scale.as_ref().ok_or_else(|| Failure::not_found(definition, name))?;
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 && definition.builtin {
        let text = "must be greater than or equal to 0";
        let error = FieldError::invalid("spec.replicas", &replicas.into(), text);
        return Err(Failure::invalid(definition, name, &[error]));
    }
    let mut new = old.clone();
    match scale.pointer("/metadata/resourceVersion") {
        Some(version) if !version.is_null() => {
            object::set(&mut new, "resourceVersion", version.clone())
        }
        _ => {}
    }
    let mut into = &mut new;
    for name in steps(&paths.spec_replicas) {
        if !into.is_object() {
            *into = json!({});
        }
        into = &mut into[name];
    }
    *into = replicas.into();
    Ok(new)
}

/// What applying a Scale says of the object itself.
pub(super) fn applied(
    definition: &ResourceDefinition,
    live: &Value,
    scale: &Value,
) -> Result<Value, Failure> {
    let field = |name: &str| live.get(name).cloned().unwrap_or_default();
    let mut blank = json!({
        "apiVersion": field("apiVersion"), "kind": field("kind"),
        "metadata": {"name": object::name(live)},
    });
    match scale.pointer("/spec/replicas") {
        Some(replicas) if !replicas.is_null() => write(definition, &blank, scale),
        _ => {
            object::copy(&mut blank, scale, "resourceVersion");
            Ok(blank)
        }
    }
}

/// Answers a write with the Scale when it was about the Scale.
pub(super) fn or_whole(
    call: &Call,
    part: Part,
    made: Made,
    code: StatusCode,
) -> Result<Answer, Failure> {
    if part != Part::Scale {
        return made.answer(call, code);
    }
    let (object, warnings) = match made {
        Made::Stored(stored, warnings) => (call.resource.read(&stored), warnings),
        Made::Dry(object, warnings) => (object, warnings),
    };
    let scale = read(&call.resource.definition, &object).unwrap_or_default();
    Ok(call.present_in(&table::of_scale(call.definition().builtin), code, &scale)?.warn(warnings))
}

/// What is wrong with the numbers that the Scale of a custom kind shows.
pub(super) fn validate(definition: &ResourceDefinition, object: &Value) -> Vec<FieldError> {
    let Some(scale) = definition.scale.as_ref().filter(|_| !definition.builtin) else {
        return Vec::new();
    };
    let fault = |path: &String| -> Option<FieldError> {
        let mut value = object;
        for step in steps(path) {
            if value.is_null() {
                return None;
            }
            let Some(map) = value.as_object() else {
                return Some(inaccessible(path, value, "map[string]interface{}"));
            };
            value = map.get(step)?;
        }
        match value.as_i64() {
            Some(number) if number < 0 => {
                let said = "should be a non-negative integer";
                Some(FieldError::invalid(path.as_str(), value, said))
            }
            Some(_) => None,
            None => Some(inaccessible(path, value, "int64")),
        }
    };
    [&scale.spec_replicas, &scale.status_replicas].into_iter().filter_map(fault).collect()
}

fn inaccessible(path: &str, value: &Value, expected: &str) -> FieldError {
    let said = format!(
        "{path} accessor error: {} is of the type {}, expected {expected}",
        go_print(value),
        go_type(value)
    );
    FieldError::invalid(path, &0.into(), &said)
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|step| !step.is_empty())
}

fn at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    steps(path).try_fold(object, |at, step| at.get(step))
}

/// A selector as text, whether the kind keeps it as text or as a `LabelSelector`.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    // A ReplicationController has the labels themselves.
    let is_plain = selector.as_object().is_some_and(|map| map.values().all(Value::is_string));
    let labels = if is_plain { Some(selector) } else { selector.get("matchLabels") };
    let mut terms: Vec<String> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in
        selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
    {
        let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (key, values) = (text("key"), values.join(","));
        terms.push(match text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}
