//! OpenAPI v3 schemas of the types: one structural schema without references for each kind, and components with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fields::{Field, Required, Shape, TYPES, Type, TypeId};

/// The name of a type among the components of an OpenAPI document, as kube-apiserver has it.
pub(in crate::apiserver::builtin) fn component_name(of: &Type) -> String {
    let place = match of.package {
        "meta/v1" => "io.k8s.apimachinery.pkg.apis.meta.v1".to_owned(),
        "apiextensions/v1" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1".to_owned(),
        "apiregistration/v1" => "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1".to_owned(),
        package => format!("io.k8s.api.{}", package.replace('/', ".")),
    };
    format!("{place}.{}", of.name)
}

/// The structural schema of whole objects of a kind, without `$ref`s and descriptions. Nothing is required in it: what
/// must not be empty is found after absent fields became empty ones ([`missing`](super::missing)).
pub(in crate::apiserver::builtin) fn structural_schema(id: TypeId) -> Value {
    let mut schema = Writer::Inline.message(TYPES.get(id));
    // Our schema adds the fields of a whole object's metadata itself.
    if let Some(metadata) = schema.pointer_mut("/properties/metadata") {
        *metadata = json!({"type": "object"});
    }
    schema
}

/// The components that a type needs, itself included, by name.
pub(in crate::apiserver::builtin) fn open_api_components(
    roots: impl IntoIterator<Item = TypeId>,
) -> BTreeMap<String, Value> {
    let mut components = BTreeMap::new();
    let mut todo: Vec<TypeId> = roots.into_iter().collect();
    let mut seen: BTreeSet<TypeId> = todo.iter().copied().collect();
    while let Some(id) = todo.pop() {
        let of = TYPES.get(id);
        components.insert(component_name(of), Writer::Components.message(of));
        for field in &of.fields {
            if let Some((name, schema)) = named(&field.shape) {
                components.insert(name.to_owned(), schema);
            }
            field.shape.messages(&mut |below| {
                if seen.insert(below) {
                    todo.push(below);
                }
            });
        }
    }
    components
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

/// The component of a value that is no struct and has a name all the same, which clients show.
fn named(shape: &Shape) -> Option<(&'static str, Value)> {
    match shape {
        Shape::List(of) | Shape::Map(of) => named(of),
        Shape::Quantity => Some((
            QUANTITY,
            json!({
                "description": "An amount, such as `100m` or `2Gi`.",
                "oneOf": [{"type": "string"}, {"type": "number"}],
            }),
        )),
        Shape::IntOrString => Some((
            INT_OR_STRING,
            json!({
                "description": "A number, or a text such as a name or a percentage.",
                "format": "int-or-string",
                "oneOf": [{"type": "integer"}, {"type": "string"}],
            }),
        )),
        Shape::Fields => {
            Some((FIELDS, json!({"description": "Names of fields, as a tree.", "type": "object"})))
        }
        _ => None,
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

impl Shape {
    /// Calls `with` for each type that the shape refers to.
    pub(super) fn messages(&self, with: &mut impl FnMut(TypeId)) {
        match self {
            Shape::Message(id) => with(*id),
            Shape::List(of) | Shape::Map(of) => of.messages(with),
            Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings => {
                if let Some(id) = TYPES.named("apiextensions/v1", "JSONSchemaProps") {
                    with(id);
                }
            }
            _ => {}
        }
    }
}

/// For whom a schema is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// For our own [`Schema`](crate::apiserver::schema::Schema).
    Inline,
    /// For clients, with references and descriptions.
    Components,
}

impl Writer {
    fn message(self, of: &Type) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        self.properties(of, &mut properties, &mut required);
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        if of.is_kind {
            for (name, about) in [
                ("apiVersion", "APIVersion defines the form of the object: its group and version."),
                ("kind", "What the object is, in camel case."),
            ] {
                let mut string = json!({"type": "string"});
                if self == Writer::Components {
                    string["description"] = about.into();
                }
                properties.insert(name.to_owned(), string);
            }
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), Value::Object(properties));
        }
        if of.atomic {
            schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
        }
        if self == Writer::Components {
            if !of.about.is_empty() {
                schema.insert("description".to_owned(), of.about.into());
            }
            if !required.is_empty() {
                schema.insert("required".to_owned(), required.into());
            }
            if of.is_kind {
                let version = of.package.rsplit('/').next().unwrap_or_default();
                schema.insert(
                    "x-kubernetes-group-version-kind".to_owned(),
                    json!([{"group": of.group, "version": version, "kind": of.name}]),
                );
            }
        }
        Value::Object(schema)
    }

    fn properties(
        self,
        of: &Type,
        properties: &mut Map<String, Value>,
        required: &mut Vec<&'static str>,
    ) {
        for field in &of.fields {
            match (field.name, &field.shape) {
                (None, Shape::Message(part)) => {
                    self.properties(TYPES.get(*part), properties, required);
                }
                (None, _) => {}
                (Some(name), _) => {
                    properties.insert(name.to_owned(), self.field(field));
                    if field.required != Required::No {
                        required.push(name);
                    }
                }
            }
        }
    }

    fn field(self, field: &Field) -> Value {
        let mut schema = self.shape(&field.shape);
        let is_reference = schema.contains_key("$ref");
        if let Some(map) = schema.get_mut("items").and_then(Value::as_object_mut) {
            self.allowed(field, map);
        } else if !matches!(field.shape, Shape::Map(_)) {
            self.allowed(field, &mut schema);
        }
        let mut put = |key: &str, value: Value| {
            schema.insert(key.to_owned(), value);
        };
        match &field.shape {
            Shape::List(_) if field.set => put("x-kubernetes-list-type", "set".into()),
            Shape::List(_) if !field.map_keys.is_empty() => {
                put("x-kubernetes-list-type", "map".into());
                put("x-kubernetes-list-map-keys", json!(field.map_keys));
            }
            Shape::List(_) if field.atomic => put("x-kubernetes-list-type", "atomic".into()),
            Shape::Message(_) if field.granular => {
                put("x-kubernetes-map-type", "granular".into());
            }
            Shape::Map(_) | Shape::Message(_) if field.atomic => {
                put("x-kubernetes-map-type", "atomic".into());
            }
            _ => {}
        }
        if !field.patch_strategy.is_empty() {
            put("x-kubernetes-patch-strategy", field.patch_strategy.as_str().into());
        }
        if let Some(key) = field.patch_merge_key {
            put("x-kubernetes-patch-merge-key", key.into());
        }
        // Defaults that are no list keys are filled by admission, as in Go, so that they get no second source.
        if let Some(default) = field.default.and_then(|text| default_value(&field.shape, text))
            && (self == Writer::Components || field.name == Some("protocol"))
        {
            put("default", default);
        }
        if self == Writer::Inline && field.always && nullable(field) {
            put("nullable", true.into());
        }
        if self == Writer::Components && !field.about.is_empty() {
            put("description", field.about.into());
        }
        if is_reference && schema.len() > 1 {
            // Siblings of `$ref` are ignored by readers, hence the junction.
            let target = schema.remove("$ref").unwrap_or_default();
            schema.insert("allOf".to_owned(), json!([{"$ref": target}]));
            if field.always && matches!(field.shape, Shape::Message(_)) {
                schema.insert("default".to_owned(), json!({}));
            }
        }
        Value::Object(schema)
    }

    fn allowed(self, field: &Field, schema: &mut Map<String, Value>) {
        if field.allowed.is_empty() {
            return;
        }
        let mut values: Vec<&str> = field.allowed.clone();
        values.sort_unstable();
        schema.insert("enum".to_owned(), json!(values));
    }

    fn shape(self, shape: &Shape) -> Map<String, Value> {
        let schema = match shape {
            Shape::String | Shape::Quantity if self == Writer::Inline => {
                if *shape == Shape::Quantity {
                    json!({"x-kubernetes-int-or-string": true})
                } else {
                    json!({"type": "string"})
                }
            }
            Shape::Quantity => reference(QUANTITY),
            Shape::String | Shape::Duration => json!({"type": "string"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 | Shape::Byte => json!({"type": "integer", "format": "int64"}),
            Shape::Double => json!({"type": "number", "format": "double"}),
            Shape::IntOrString if self == Writer::Inline => {
                json!({"x-kubernetes-int-or-string": true})
            }
            Shape::IntOrString => reference(INT_OR_STRING),
            Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
            Shape::Raw if self == Writer::Inline => {
                json!({
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "x-kubernetes-map-type": "atomic",
                })
            }
            Shape::Fields if self == Writer::Inline => {
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
            }
            Shape::Fields => reference(FIELDS),
            Shape::Raw => json!({"type": "object"}),
            Shape::Json | Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings
                if self == Writer::Inline =>
            {
                json!({"x-kubernetes-preserve-unknown-fields": true})
            }
            Shape::Json | Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings => {
                json!({})
            }
            Shape::List(of) => json!({"type": "array", "items": self.shape(of)}),
            Shape::Map(of) => json!({"type": "object", "additionalProperties": self.shape(of)}),
            Shape::Message(id) => {
                let of = TYPES.get(*id);
                match self {
                    // Schemas contain schemas without end; what is in them is checked as a schema.
                    Writer::Inline if of.name == "JSONSchemaProps" => {
                        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
                    }
                    Writer::Inline => self.message(of),
                    Writer::Components => reference(&component_name(of)),
                }
            }
        };
        match schema {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// Whether an empty value of a field that is always written is `null`.
fn nullable(field: &Field) -> bool {
    field.pointer
        || matches!(
            field.shape,
            Shape::List(_) | Shape::Map(_) | Shape::Time | Shape::MicroTime | Shape::Bytes
        )
}

fn default_value(shape: &Shape, text: &str) -> Option<Value> {
    match shape {
        Shape::String => Some(text.into()),
        _ => serde_json::from_str(text).ok(),
    }
}
