//! OpenAPI v2: one document about everything, at `/openapi/v2`.
//!
//! It says what the documents of version 3 say, in the older words. kubectl asks for it, in protobuf, about kinds that
//! version 3 does not know, and before 1.27 for everything; code generators read the JSON.

mod protobuf;

use serde_json::{Map, Value, json};

pub use self::protobuf::encode;
use super::{ResourceDefinition, openapi};

/// The whole document.
#[must_use]
pub fn document(definitions: &[ResourceDefinition]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    let mut versions: Vec<_> =
        definitions.iter().map(|of| (of.group.as_str(), of.version.as_str())).collect();
    versions.sort_unstable();
    versions.dedup();
    for (group, version) in versions {
        let Some(mut of_version) = openapi::document(definitions, group, version) else { continue };
        for (path, item) in taken(&mut of_version["paths"]) {
            paths.insert(path, path_item(item));
        }
        for (name, schema) in taken(&mut of_version["components"]["schemas"]) {
            schemas.entry(name).or_insert_with(|| component(schema));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": openapi::VERSION},
        "paths": paths,
        "definitions": schemas,
    })
}

fn taken(value: &mut Value) -> Map<String, Value> {
    match value.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// kubectl takes the fields that it is told of for the only ones, so that a kind with others has none.
fn component(mut of: Value) -> Value {
    if !keeps_unknown(&of) {
        return schema(of);
    }
    const KIND: &str = "x-kubernetes-group-version-kind";
    json!({"type": "object", KIND: of[KIND].take()})
}

fn keeps_unknown(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}

fn is_nullable(schema: &Value) -> bool {
    schema.get("nullable") == Some(&Value::Bool(true))
}

/// Drops from `required` what may be null, which version 2 cannot say.
fn forget_nullable(map: &mut Map<String, Value>) {
    if map.get("additionalProperties").is_some_and(is_nullable) {
        map.remove("required");
    }
    let Some(Value::Object(properties)) = map.get("properties") else { return };
    let nullable: Vec<String> = properties
        .iter()
        .filter(|(_, field)| is_nullable(field))
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !nullable.iter().any(|nullable| name == nullable));
        if required.is_empty() {
            map.remove("required");
        }
    }
}

/// Version 2 has neither alternatives nor `nullable`, and puts nothing beside a reference but words.
fn schema(schema: Value) -> Value {
    let keeps_unknown = keeps_unknown(&schema);
    let Value::Object(mut map) = schema else { return schema };
    forget_nullable(&mut map);
    for word in ["oneOf", "anyOf", "not"] {
        map.remove(word);
    }
    if keeps_unknown {
        map.remove("items");
        map.remove("properties");
    }
    // kubectl cannot read a list of it knows not what, nor an object with fields of which it is not told.
    let is_of_type = |kind: &str| map.get("type").is_some_and(|of| of == kind);
    if (is_of_type("array") && !map.contains_key("items"))
        || (is_of_type("object") && keeps_unknown)
    {
        map.remove("type");
    }
    if map.remove("nullable") == Some(Value::Bool(true)) {
        // Its type would forbid the null.
        for word in ["type", "items", "properties", "additionalProperties"] {
            map.remove(word);
        }
    }
    let mut wrapped = map.remove("allOf");
    if let Some(Value::Array(parts)) = &mut wrapped
        && let [only] = parts.as_mut_slice()
    {
        map.extend(taken(only));
        map.remove("default");
    }
    let converted = map.into_iter().map(|(word, value)| {
        let value = match (word.as_str(), value) {
            ("$ref", Value::String(target)) => {
                target.replacen("#/components/schemas/", "#/definitions/", 1).into()
            }
            ("items" | "additionalProperties", value) => self::schema(value),
            ("properties", Value::Object(fields)) => {
                fields.into_iter().map(|(name, field)| (name, self::schema(field))).collect()
            }
            (_, value) => value,
        };
        (word, value)
    });
    converted.collect()
}

fn path_item(item: Value) -> Value {
    let Value::Object(map) = item else { return item };
    let converted = map.into_iter().map(|(word, value)| match word.as_str() {
        "parameters" => (word, parameters(value)),
        _ => (word, operation(value)),
    });
    converted.collect()
}

fn operation(mut of: Value) -> Value {
    let mut asked: Vec<Value> = match parameters(of["parameters"].take()) {
        Value::Array(asked) => asked,
        _ => Vec::new(),
    };
    if let Some(mut body) = of.as_object_mut().and_then(|map| map.remove("requestBody")) {
        let contents = taken(&mut body["content"]);
        of["consumes"] = contents.keys().cloned().collect();
        let schema = contents.into_iter().next().map(|(_, mut content)| content["schema"].take());
        let schema = self::schema(schema.unwrap_or_default());
        asked.insert(0, json!({"name": "body", "in": "body", "required": true, "schema": schema}));
    }
    of["parameters"] = asked.into();
    of["produces"] = json!(["application/json", "application/yaml"]);
    if let Some(responses) = of["responses"].as_object_mut() {
        for response in responses.values_mut() {
            let content = response.as_object_mut().and_then(|map| map.remove("content"));
            let schema = content.and_then(|mut content| {
                taken(&mut content).into_iter().next().map(|(_, mut form)| form["schema"].take())
            });
            response["schema"] = self::schema(schema.unwrap_or_default());
        }
    }
    of
}

fn parameters(of: Value) -> Value {
    let Value::Array(list) = of else { return of };
    let converted = list.into_iter().map(|mut parameter| {
        let schema = taken(&mut parameter["schema"]);
        if let Some(map) = parameter.as_object_mut() {
            map.remove("schema");
            map.extend(schema);
            map.insert("uniqueItems".to_owned(), true.into());
        }
        parameter
    });
    converted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::catalog;

    #[test]
    fn older_words_say_the_same() {
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        for (new, old) in [
            (
                json!({"description": "d", "default": {}, "allOf": [reference("a.B")]}),
                json!({"description": "d", "$ref": "#/definitions/a.B"}),
            ),
            (
                json!({"type": "array", "items": {"default": {}, "allOf": [reference("a.B")]}}),
                json!({"type": "array", "items": {"$ref": "#/definitions/a.B"}}),
            ),
            (
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
                json!({"format": "int-or-string"}),
            ),
            (json!({"type": "string", "nullable": true, "pattern": "a"}), json!({"pattern": "a"})),
            (
                json!({"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true}),
                json!({"x-kubernetes-preserve-unknown-fields": true}),
            ),
            (json!({"type": "array"}), json!({})),
            (
                json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "nullable": true}}}),
                json!({"type": "object", "properties": {"a": {}}}),
            ),
            // A field may have the name of a word.
            (
                json!({"type": "object", "properties": {"oneOf": {"type": "string", "not": {}}}}),
                json!({"type": "object", "properties": {"oneOf": {"type": "string"}}}),
            ),
        ] {
            assert_eq!(schema(new), old);
        }
    }

    #[test]
    fn kinds_with_unknown_fields_tell_of_none() {
        let kind = json!([{"group": "g", "version": "v1", "kind": "K"}]);
        let of = json!({
            "type": "object", "properties": {"metadata": {"type": "object"}},
            "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-group-version-kind": kind,
        });
        let told = json!({"type": "object", "x-kubernetes-group-version-kind": kind});
        assert_eq!(component(of), told);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(target)) = map.get("$ref") {
                        let found = document.pointer(target.strip_prefix('#').unwrap());
                        assert!(found.is_some(), "{target}");
                    }
                    map.values().for_each(|value| check(value, document));
                }
                Value::Array(list) => list.iter().for_each(|value| check(value, document)),
                _ => {}
            }
        }
        let document = document(&catalog());
        check(&document, &document);
        let patch = &document["paths"]["/api/v1/namespaces/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Namespace");
        assert_eq!(patch["parameters"][0]["in"], "body");
        assert!(
            patch["consumes"].as_array().unwrap().contains(&json!("application/apply-patch+yaml"))
        );
        assert_eq!(
            patch["responses"]["200"]["schema"]["$ref"],
            "#/definitions/io.k8s.api.core.v1.Namespace"
        );
    }
}
