//! From an OpenAPI v3 document to nodes.
//!
//! Reading is lenient: a keyword of the wrong JSON type is as good as absent, because the shape of a
//! CustomResourceDefinition is the business of its own schema. What makes a document no structural schema is found by
//! [`structural`](super::structural) before.

use serde_json::{Map, Value};

use super::{
    FieldError,
    cel::{self, Rule},
    format::Format,
    node::{Additional, Bound, Checks, ListType, Node, PatchHints, Pattern, Types},
    object_meta, pattern,
    structural::MAX_DEPTH,
};

/// Compiles a document that passed the structural checks, as the schema of whole objects.
pub(super) fn root(schema: &Value) -> Result<Node, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut root = Compiler { errors: &mut errors, uncorrelatable: None }.node(
        schema,
        &mut String::new(),
        true,
        0,
    );
    mark(&mut root);
    if errors.is_empty() { Ok(root) } else { Err(errors) }
}

/// Compiles a piece that is known to be right: the parts of `ObjectMeta`.
pub(super) fn known(schema: &Value) -> Node {
    let mut node = Compiler { errors: &mut Vec::new(), uncorrelatable: None }.node(
        schema,
        &mut String::new(),
        false,
        0,
    );
    mark(&mut node);
    node
}

/// Sets the `…_within` marks, leaves first.
fn mark(node: &mut Node) {
    node.properties.values_mut().for_each(mark);
    if let Some(Additional::Node(below)) = &mut node.additional {
        mark(below);
    }
    if let Some(items) = &mut node.items {
        mark(items);
    }
    let within = |of: fn(&Node) -> bool| node.children().any(of);
    let rules = within(|n| n.rules_within);
    let transitions = within(|n| n.transitions_within);
    let defaults = within(|n| n.defaults_within);
    let is_metadata = |name: &str| node.embedded && name == "metadata";
    let fields = node.properties.iter().filter(|(name, _)| !is_metadata(name)).map(|(_, n)| n);
    let distinct = fields
        .chain(node.additional_node())
        .chain(node.items.as_deref())
        .any(|n| n.distinct_within);
    node.distinct_within = distinct || node.list_type != ListType::Atomic;
    node.rules_within = rules || !node.rules.is_empty();
    node.transitions_within = transitions || node.rules.iter().any(Rule::uses_old_self);
    node.defaults_within = defaults || node.default.is_some();
}

struct Compiler<'a> {
    errors: &'a mut Vec<FieldError>,
    /// The list, if any, whose items cannot be told apart, around the node at hand: rules there have no old value.
    uncorrelatable: Option<String>,
}

impl Compiler<'_> {
    fn node(&mut self, schema: &Value, path: &mut String, is_root: bool, depth: usize) -> Node {
        let Some(map) = schema.as_object() else { return Node::default() };
        if depth > MAX_DEPTH {
            return Node::default();
        }
        let int_or_string = flag(map, "x-kubernetes-int-or-string");
        let types = match text(map, "type").and_then(Types::named) {
            _ if int_or_string => Types::INT_OR_STRING,
            named => named.unwrap_or_default(),
        };
        let mut node = Node {
            types,
            nullable: flag(map, "nullable"),
            int_or_string,
            preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
            embedded: is_root || flag(map, "x-kubernetes-embedded-resource"),
            default: map.get("default").filter(|d| !d.is_null()).cloned(),
            list_type: list_type(map),
            map_atomic: text(map, "x-kubernetes-map-type") == Some("atomic"),
            patch: patch_hints(map),
            ..Node::default()
        };
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let length = path.len();
                path.push_str(&format!(".properties[{name}]"));
                node.properties.insert(name.clone(), self.node(property, path, false, depth + 1));
                path.truncate(length);
            }
        }
        node.additional = match map.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Additional::Anything),
            Some(below @ Value::Object(_)) => Some(Additional::Node(Box::new(self.below(
                below,
                path,
                ".additionalProperties",
                depth,
            )))),
            _ => None,
        };
        if let Some(items) = map.get("items").filter(|i| i.is_object()) {
            let around = self.uncorrelatable.clone();
            if around.is_none() && !matches!(node.list_type, ListType::Map(_)) {
                self.uncorrelatable = Some(path.trim_start_matches('.').to_owned());
            }
            node.items = Some(Box::new(self.below(items, path, ".items", depth)));
            self.uncorrelatable = around;
        }
        if node.embedded {
            object_meta::complete(&mut node);
        }
        node.checks = self.checks(map, types, path, depth);
        node.rules =
            cel::compile_rules(map, &node, path, self.uncorrelatable.as_deref(), self.errors);
        node
    }

    fn below(&mut self, schema: &Value, path: &mut String, suffix: &str, depth: usize) -> Node {
        let length = path.len();
        path.push_str(suffix);
        let node = self.node(schema, path, false, depth + 1);
        path.truncate(length);
        node
    }

    fn checks(
        &mut self,
        map: &Map<String, Value>,
        types: Types,
        path: &mut String,
        depth: usize,
    ) -> Checks {
        let count = |key: &str| map.get(key).and_then(Value::as_u64);
        let bound = |key: &str, exclusive: &str| {
            let limit = map.get(key).and_then(Value::as_number).cloned()?;
            Some(Bound { limit, exclusive: flag(map, exclusive) })
        };
        let mut junction = |compiler: &mut Self, key: &str| -> Vec<Node> {
            let list = map.get(key).and_then(Value::as_array).map(Vec::as_slice);
            list.unwrap_or_default()
                .iter()
                .enumerate()
                .map(|(i, s)| compiler.below(s, path, &format!(".{key}[{i}]"), depth))
                .collect()
        };
        let (all_of, any_of, one_of) =
            (junction(self, "allOf"), junction(self, "anyOf"), junction(self, "oneOf"));
        let not = map.get("not").map(|s| Box::new(self.below(s, path, ".not", depth)));
        Checks {
            allowed: map.get("enum").and_then(Value::as_array).filter(|a| !a.is_empty()).cloned(),
            // A pattern that does not compile was reported by the structural check.
            pattern: text(map, "pattern").filter(|p| !p.is_empty()).and_then(|text| {
                let regex = pattern::compile(text).ok()?;
                Some(Pattern { text: text.to_owned(), regex })
            }),
            format: text(map, "format").and_then(|name| Format::named(name, types)),
            max_length: count("maxLength"),
            min_length: count("minLength"),
            max_items: count("maxItems"),
            min_items: count("minItems"),
            max_properties: count("maxProperties"),
            min_properties: count("minProperties"),
            maximum: bound("maximum", "exclusiveMaximum"),
            minimum: bound("minimum", "exclusiveMinimum"),
            multiple_of: map.get("multipleOf").and_then(Value::as_number).cloned(),
            required: strings(map.get("required")),
            all_of,
            any_of,
            one_of,
            not,
        }
    }
}

fn list_type(map: &Map<String, Value>) -> ListType {
    match text(map, "x-kubernetes-list-type") {
        Some("set") => ListType::Set,
        Some("map") => match strings(map.get("x-kubernetes-list-map-keys")) {
            keys if keys.is_empty() => ListType::Atomic,
            mut keys => {
                keys.sort();
                ListType::Map(keys)
            }
        },
        _ => ListType::Atomic,
    }
}

fn patch_hints(map: &Map<String, Value>) -> PatchHints {
    let strategies = text(map, "x-kubernetes-patch-strategy").unwrap_or_default();
    let has = |name: &str| strategies.split(',').any(|s| s.trim() == name);
    PatchHints {
        merge: has("merge"),
        replace: has("replace"),
        retain_keys: has("retainKeys"),
        merge_key: text(map, "x-kubernetes-patch-merge-key").map(str::to_owned),
    }
}

pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
