//! What makes an OpenAPI v3 document a structural schema, checked as when a CustomResourceDefinition is written.
//!
//! The rules and their words are those of apiextensions-apiserver (`schema/validation.go` and
//! `apis/apiextensions/validation`): the structure is said outside of `allOf`, `anyOf`, `oneOf` and `not`, and those
//! only restrict values.

use serde_json::{Map, Value};

use super::{
    FieldError,
    compile::{flag, strings, text},
    node::Types,
    pattern,
};

/// How deep a schema may nest. Deeper documents do not come from people, and every walk recurses.
pub(super) const MAX_DEPTH: usize = 100;

/// Where in the document a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Everything that keeps `schema` from being structural, sorted by text.
pub(super) fn check(schema: &Value) -> Vec<FieldError> {
    let mut walk = Walk { errors: Vec::new(), path: String::new() };
    walk.structure(schema, Level::Root, 0);
    walk.errors.sort_by_cached_key(ToString::to_string);
    walk.errors
}

struct Walk {
    errors: Vec<FieldError>,
    path: String,
}

impl Walk {
    fn at(&mut self, suffix: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(suffix);
        check(self);
        self.path.truncate(length);
    }

    fn required(&mut self, below: &str, text: &str) {
        self.at(below, |walk| walk.errors.push(FieldError::required(walk.path.as_str(), text)));
    }

    fn forbidden(&mut self, below: &str, text: &str) {
        self.at(below, |walk| walk.errors.push(FieldError::forbidden(walk.path.as_str(), text)));
    }

    fn invalid(&mut self, below: &str, value: &Value, text: &str) {
        self.at(below, |walk| {
            walk.errors.push(FieldError::invalid(walk.path.as_str(), value, text));
        });
    }

    /// A node of the structure: what is not inside a junction.
    fn structure(&mut self, schema: &Value, level: Level, depth: usize) {
        let Some(map) = schema.as_object() else { return };
        if depth > MAX_DEPTH {
            self.forbidden("properties", "the schema is nested too deeply");
            return;
        }
        self.type_of(map, level);
        self.below(map, level, depth);
        self.extensions(map);
        self.list_hints(map);
        self.embedded(map, level);
        let two_types = is_int_or_string_any_of(map.get("anyOf"));
        self.values(map, two_types, depth);
        if level != Level::Root {
            self.default_fits(schema, map);
        }
    }

    fn type_of(&mut self, map: &Map<String, Value>, level: Level) {
        let name = text(map, "type").unwrap_or_default();
        let open = flag(map, "x-kubernetes-int-or-string")
            || flag(map, "x-kubernetes-preserve-unknown-fields")
            || flag(map, "x-kubernetes-embedded-resource");
        if name.is_empty() {
            if !open {
                let text = match level {
                    Level::Root => "must not be empty at the root",
                    Level::Item => "must not be empty for specified array items",
                    Level::Field => "must not be empty for specified object fields",
                };
                self.required("type", text);
            }
        } else if level == Level::Root && name != "object" {
            self.invalid("type", &name.into(), "must be object at the root");
        } else if Types::named(name).is_none() {
            let known = ["array", "boolean", "integer", "number", "object", "string"];
            self.at("type", |walk| {
                walk.errors.push(FieldError::not_supported(
                    walk.path.as_str(),
                    &name.into(),
                    &known.map(str::to_owned),
                ));
            });
        }
    }

    fn below(&mut self, map: &Map<String, Value>, level: Level, depth: usize) {
        if text(map, "type") == Some("array") && map.get("items").is_none_or(Value::is_null) {
            self.required("items", "must be specified");
        }
        match map.get("items") {
            Some(items @ Value::Object(_)) => {
                self.at("items", |walk| walk.structure(items, Level::Item, depth + 1));
            }
            Some(Value::Array(_)) => {
                self.forbidden("items", "items must be a schema object and not an array");
            }
            _ => {}
        }
        let properties = map.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            self.at(&format!("properties[{name}]"), |walk| {
                walk.structure(property, Level::Field, depth + 1);
            });
        }
        let Some(additional) = map.get("additionalProperties") else { return };
        if level == Level::Root {
            self.forbidden("additionalProperties", "must not be used at the root");
        }
        if properties.is_some_and(|p| !p.is_empty()) && additional != &Value::Bool(true) {
            self.forbidden(
                "additionalProperties",
                "additionalProperties and properties are mutual exclusive",
            );
        } else if additional == &Value::Bool(false) {
            self.forbidden("additionalProperties", "additionalProperties cannot be set to false");
        }
        self.at("additionalProperties", |walk| {
            walk.structure(additional, Level::Field, depth + 1);
        });
    }

    fn extensions(&mut self, map: &Map<String, Value>) {
        const KEEP: &str = "x-kubernetes-preserve-unknown-fields";
        const EMBEDDED: &str = "x-kubernetes-embedded-resource";
        if flag(map, "x-kubernetes-int-or-string") {
            for other in [KEEP, EMBEDDED] {
                if flag(map, other) {
                    let text = "must be false if x-kubernetes-int-or-string is true";
                    self.invalid(other, &true.into(), text);
                }
            }
        }
        if map.get(KEEP) == Some(&Value::Bool(false)) {
            self.invalid(KEEP, &false.into(), "must be true or undefined");
        }
        if flag(map, "uniqueItems") {
            self.forbidden(
                "uniqueItems",
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            );
        }
        if map.get("$ref").is_some_and(|r| !r.is_null()) {
            self.forbidden("$ref", "$ref is not supported");
        }
    }

    fn list_hints(&mut self, map: &Map<String, Value>) {
        self.typed_hint(map, "x-kubernetes-map-type", "object", &["atomic", "granular"]);
        self.typed_hint(map, "x-kubernetes-list-type", "array", &["atomic", "set", "map"]);
        let list_type = text(map, "x-kubernetes-list-type");
        let keys = strings(map.get("x-kubernetes-list-map-keys"));
        if !keys.is_empty() && list_type != Some("map") {
            let text = "must be map if x-kubernetes-list-map-keys is non-empty";
            match list_type {
                None => self.required("x-kubernetes-list-type", text),
                Some(other) => self.invalid("x-kubernetes-list-type", &other.into(), text),
            }
        }
        if list_type != Some("map") {
            return;
        }
        if keys.is_empty() {
            self.required(
                "x-kubernetes-list-map-keys",
                "must not be empty if x-kubernetes-list-type is map",
            );
        }
        let Some(items) = map.get("items").and_then(Value::as_object) else { return };
        if text(items, "type") != Some("object") {
            let name = text(items, "type").unwrap_or_default();
            self.at("items", |walk| {
                let text = "must be object if parent array's x-kubernetes-list-type is map";
                walk.invalid("type", &name.into(), text);
            });
            return;
        }
        let known = items.get("properties").and_then(Value::as_object);
        for (index, key) in keys.iter().enumerate() {
            let all = Value::from(keys.clone());
            if !known.is_some_and(|p| p.contains_key(key)) {
                let text = "entries must all be names of item properties";
                self.invalid("x-kubernetes-list-map-keys", &all, text);
            } else if keys[..index].contains(key) {
                self.invalid(
                    "x-kubernetes-list-map-keys",
                    &all,
                    "must not contain duplicate entries",
                );
            }
        }
    }

    fn typed_hint(&mut self, map: &Map<String, Value>, hint: &str, needs: &str, values: &[&str]) {
        let Some(value) = text(map, hint) else { return };
        let name = text(map, "type").unwrap_or_default();
        let must = format!("must be {needs} if {hint} is specified");
        if name.is_empty() {
            self.required("type", &must);
        } else if name != needs {
            self.invalid("type", &name.into(), &must);
        }
        if !values.contains(&value) {
            let values: Vec<String> = values.iter().map(|&v| v.to_owned()).collect();
            self.at(hint, |walk| {
                walk.errors.push(FieldError::not_supported(
                    walk.path.as_str(),
                    &value.into(),
                    &values,
                ));
            });
        }
    }

    fn embedded(&mut self, map: &Map<String, Value>, level: Level) {
        let embedded = flag(map, "x-kubernetes-embedded-resource");
        let name = text(map, "type").unwrap_or_default();
        let properties = map.get("properties").and_then(Value::as_object);
        if embedded {
            let must = "must be object if x-kubernetes-embedded-resource is true";
            if name.is_empty() {
                self.required("type", must);
            } else if name != "object" {
                self.invalid("type", &name.into(), must);
            }
            if map.contains_key("additionalProperties") {
                self.forbidden(
                    "additionalProperties",
                    "must not be used if x-kubernetes-embedded-resource is set",
                );
            }
            if !flag(map, "x-kubernetes-preserve-unknown-fields")
                && properties.is_none_or(Map::is_empty)
            {
                self.required(
                    "properties",
                    "must not be empty if x-kubernetes-embedded-resource is true without \
                     x-kubernetes-preserve-unknown-fields",
                );
            }
        }
        if !embedded && level != Level::Root {
            return;
        }
        for (field, needs) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")]
        {
            let Some(declared) = properties.and_then(|p| p.get(field)).and_then(Value::as_object)
            else {
                continue;
            };
            let name = text(declared, "type").unwrap_or_default();
            if name != needs {
                self.invalid(
                    &format!("properties[{field}].type"),
                    &name.into(),
                    &format!("must be {needs}"),
                );
            }
        }
    }

    /// Junctions and patterns. `two_types` allows the `anyOf` that says int-or-string.
    fn values(&mut self, map: &Map<String, Value>, two_types: bool, depth: usize) {
        if let Some(pattern) = text(map, "pattern")
            && let Err(error) = pattern::compile(pattern)
        {
            let text = format!("must be a valid regular expression, but isn't: {error}");
            self.invalid("pattern", &pattern.into(), &text);
        }
        for junction in ["allOf", "anyOf", "oneOf"] {
            let list = map.get(junction).and_then(Value::as_array).into_iter().flatten();
            for (index, nested) in list.enumerate() {
                if junction == "anyOf" && two_types {
                    continue;
                }
                let first = junction == "allOf" && index == 0;
                self.at(&format!("{junction}[{index}]"), |walk| {
                    walk.nested(nested, first, depth + 1);
                });
            }
        }
        if let Some(not) = map.get("not") {
            self.at("not", |walk| walk.nested(not, false, depth + 1));
        }
    }

    /// A node inside a junction, which may only restrict values.
    fn nested(&mut self, schema: &Value, first_all_of: bool, depth: usize) {
        let Some(map) = schema.as_object() else { return };
        if depth > MAX_DEPTH {
            self.forbidden("properties", "the schema is nested too deeply");
            return;
        }
        let two_types = first_all_of && is_int_or_string_any_of(map.get("anyOf"));
        self.values(map, two_types, depth);
        const FORBIDDEN: [(&str, &str); 12] = [
            ("type", "empty"),
            ("additionalProperties", "undefined"),
            ("default", "undefined"),
            ("title", "empty"),
            ("description", "empty"),
            ("nullable", "false"),
            ("x-kubernetes-preserve-unknown-fields", "false"),
            ("x-kubernetes-embedded-resource", "false"),
            ("x-kubernetes-int-or-string", "false"),
            ("x-kubernetes-list-map-keys", "empty"),
            ("x-kubernetes-list-type", "undefined"),
            ("x-kubernetes-map-type", "undefined"),
        ];
        for (key, must) in FORBIDDEN {
            let said = match map.get(key) {
                None | Some(Value::Null | Value::Bool(false)) => false,
                Some(Value::String(text)) => !text.is_empty() || must == "undefined",
                Some(_) => true,
            };
            if said {
                self.forbidden(key, &format!("must be {must} to be structural"));
            }
        }
        if map.get("x-kubernetes-validations").is_some_and(|v| !v.is_null()) {
            self.forbidden("x-kubernetes-validations", "must be empty to be structural");
        }
        if let Some(items) = map.get("items") {
            self.at("items", |walk| walk.nested(items, false, depth + 1));
        }
        let properties = map.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            self.at(&format!("properties[{name}]"), |walk| walk.nested(property, false, depth + 1));
            if name == "metadata" {
                self.forbidden("properties[metadata]", "must not be specified in a nested context");
            }
        }
    }

    /// A default must itself be valid where it stands.
    fn default_fits(&mut self, schema: &Value, map: &Map<String, Value>) {
        let Some(default) = map.get("default").filter(|d| !d.is_null()) else { return };
        let mut bare = schema.clone();
        if let Some(bare) = bare.as_object_mut() {
            bare.remove("x-kubernetes-validations");
        }
        let node = super::compile::known(&bare);
        let mut complete = default.clone();
        super::defaults::fill(&node, &mut complete);
        let errors = super::validate::check(&node, &complete, None);
        self.at("default", |walk| {
            for mut error in errors {
                error.path = match error.path.as_str() {
                    "<nil>" => walk.path.clone(),
                    below if below.starts_with('[') => format!("{}{below}", walk.path),
                    below => format!("{}.{below}", walk.path),
                };
                walk.errors.push(error);
            }
        });
    }
}

/// `[{type: integer}, {type: string}]`, the one junction with types.
fn is_int_or_string_any_of(any_of: Option<&Value>) -> bool {
    let Some([a, b]) = any_of.and_then(Value::as_array).map(Vec::as_slice) else { return false };
    let only = |v: &Value, name: &str| {
        v.as_object().is_some_and(|m| m.len() == 1 && text(m, "type") == Some(name))
    };
    only(a, "integer") && only(b, "string")
}
