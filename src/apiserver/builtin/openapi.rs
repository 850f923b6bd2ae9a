//! OpenAPI v3: the index at `/openapi/v3` and one document for each group version.
//!
//! The documents hold what clients read: components with descriptions, patch and list hints for `kubectl explain` and
//! `kubectl apply`, and paths whose parameters say that the server validates fields and knows dry runs, so that kubectl
//! leaves validation to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    ResourceDefinition,
    definition::{Verb, api_version},
    types::{self, TYPES},
};

/// The Kubernetes version whose behavior clients may expect.
pub const VERSION: &str = "v1.36.0";

/// The index: every group version with the address of its document. The address changes when the document does, so that
/// clients may keep documents for ever.
#[must_use]
pub fn index(definitions: &[ResourceDefinition]) -> Value {
    let mut versions: BTreeMap<String, Sha256> = BTreeMap::new();
    for definition in definitions {
        let hash = versions.entry(root_of(&definition.group, &definition.version)).or_default();
        add(definition, hash);
    }
    let paths: Map<String, Value> = versions
        .into_iter()
        .map(|(root, hash)| {
            let url = address(&root, &hex::encode_upper(hash.finalize()));
            (root, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The address of a document that has this hash.
#[must_use]
pub fn address(root: &str, hash: &str) -> String {
    format!("/openapi/v3/{root}?hash={hash}")
}

/// The hash of the document of one group version; `None` for what is not served.
#[must_use]
pub fn hash(definitions: &[ResourceDefinition], group: &str, version: &str) -> Option<String> {
    let mut hash = None;
    for definition in definitions.iter().filter(|d| d.group == group && d.version == version) {
        add(definition, hash.get_or_insert_with(Sha256::new));
    }
    hash.map(|hash| hex::encode_upper(hash.finalize()))
}

/// What a document depends on.
fn add(definition: &ResourceDefinition, hash: &mut Sha256) {
    hash.update(definition.kind.as_bytes());
    hash.update([0]);
    hash.update(definition.plural.as_bytes());
    hash.update([u8::from(definition.status), u8::from(definition.scale.is_some())]);
    if definition.builtin {
        hash.update(env!("CARGO_PKG_VERSION"));
    } else {
        hash.update(definition.schema_json().to_string());
        hash.update(definition.selectable_fields.join(","));
    }
}

/// `api/v1` or `apis/GROUP/VERSION`.
fn root_of(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", api_version(group, version))
}

/// The document of one group version, such as (`apps`, `v1`); `None` for what is not served.
#[must_use]
pub fn document(definitions: &[ResourceDefinition], group: &str, version: &str) -> Option<Value> {
    let served: Vec<&ResourceDefinition> =
        definitions.iter().filter(|d| d.group == group && d.version == version).collect();
    if served.is_empty() {
        return None;
    }
    let meta = ["ObjectMeta", "DeleteOptions"].map(|name| TYPES.named("meta/v1", name));
    let mut roots: BTreeSet<_> = meta.into_iter().flatten().collect();
    roots.extend(served.iter().filter_map(|d| d.type_id()));
    if served.iter().any(|d| d.scale.is_some()) {
        roots.extend(TYPES.kind("autoscaling", "v1", "Scale"));
    }
    let mut components = types::open_api_components(roots);
    let mut paths = Map::new();
    for definition in served {
        let component = match definition.type_id() {
            Some(id) => types::component_name(TYPES.get(id)),
            None => {
                let name = custom_component_name(definition);
                components.insert(name.clone(), custom_component(definition));
                name
            }
        };
        if definition.allows(Verb::List) {
            components.insert(LIST_META.to_owned(), list_meta());
            components.insert(list_name(definition, &component), list(definition, &component));
        }
        add_paths(definition, &component, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": components},
    }))
}

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// What lists say of themselves.
fn list_meta() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "description": "What a list says of itself.",
        "type": "object",
        "properties": {
            "continue": text("Asks for what comes after this part of the list."),
            "remainingItemCount": {
                "type": "integer", "format": "int64", "description": "How many objects come after this part.",
            },
            "resourceVersion": text("The version of the store that the list shows."),
            "selfLink": text("Not used any more."),
        },
    })
}

/// `com.example.v1.WidgetList` beside `com.example.v1.Widget`.
fn list_name(of: &ResourceDefinition, component: &str) -> String {
    let (package, _) = component.rsplit_once('.').unwrap_or(("", component));
    format!("{package}.{}", of.list_kind)
}

fn list(of: &ResourceDefinition, component: &str) -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    json!({
        "description": format!("A list of objects of the kind {}.", of.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text(API_VERSION),
            "items": {
                "description": format!("List of {}", of.plural),
                "type": "array",
                "items": {"default": {}, "allOf": [reference(component)]},
            },
            "kind": text(KIND),
            "metadata": {
                "description": "What the list says of itself.",
                "default": {},
                "allOf": [reference(LIST_META)],
            },
        },
        "x-kubernetes-group-version-kind": [
            {"group": of.group, "version": of.version, "kind": of.list_kind},
        ],
    })
}

const API_VERSION: &str = "APIVersion defines the form of the object: its group and version.";
const KIND: &str = "What the object is, in camel case.";

/// `com.example.v1.Widget` for `example.com`.
fn custom_component_name(definition: &ResourceDefinition) -> String {
    let mut parts: Vec<&str> = definition.group.split('.').rev().collect();
    parts.extend([definition.version.as_str(), definition.kind.as_str()]);
    parts.join(".")
}

/// The schema of a custom kind with the fields that every object has.
fn custom_component(definition: &ResourceDefinition) -> Value {
    let mut schema = (**definition.schema_json()).clone();
    embed(&mut schema);
    add_common(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk(definition)]));
        let selectable: Vec<Value> =
            definition.selectable_fields.iter().map(|path| json!({"fieldPath": path})).collect();
        if !selectable.is_empty() {
            schema.insert("x-kubernetes-selectable-fields".to_owned(), selectable.into());
        }
    }
    schema
}

/// Adds the fields that every object has.
fn add_common(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return };
    let text = |about: &str| json!({"type": "string", "description": about});
    properties.insert("apiVersion".to_owned(), text(API_VERSION));
    properties.insert("kind".to_owned(), text(KIND));
    let reference = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    properties.insert(
        "metadata".to_owned(),
        json!({"description": "Standard object's metadata: name, labels and what the server keeps.", "allOf": [{"$ref": reference}]}),
    );
}

/// Adds them wherever an object is embedded in another.
fn embed(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for word in ["items", "additionalProperties"] {
        map.get_mut(word).into_iter().for_each(embed);
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(embed);
    }
    if map.get("x-kubernetes-embedded-resource") != Some(&Value::Bool(true)) {
        return;
    }
    let required = map.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
    }
    add_common(schema);
}

fn gvk(of: &ResourceDefinition) -> Value {
    json!({"group": of.group, "version": of.version, "kind": of.kind})
}

fn add_paths(of: &ResourceDefinition, component: &str, paths: &mut Map<String, Value>) {
    let root = root_of(&of.group, &of.version);
    let scope = if of.namespaced { "namespaces/{namespace}/" } else { "" };
    let collection = format!("/{root}/{scope}{}", of.plural);
    let item = format!("{collection}/{{name}}");
    if of.namespaced {
        let mut operations = Map::new();
        operation(&mut operations, of, Verb::List, component);
        insert(paths, format!("/{root}/{}", of.plural), operations, &[]);
    }
    let names: &[&str] = if of.namespaced { &["namespace"] } else { &[] };
    let mut operations = Map::new();
    for verb in [Verb::List, Verb::Create, Verb::DeleteCollection] {
        operation(&mut operations, of, verb, component);
    }
    insert(paths, collection, operations, names);
    let mut operations = Map::new();
    for verb in [Verb::Get, Verb::Update, Verb::Patch, Verb::Delete] {
        operation(&mut operations, of, verb, component);
    }
    let names: &[&str] = if of.namespaced { &["name", "namespace"] } else { &["name"] };
    if of.status {
        let mut status = operations.clone();
        status.remove("delete");
        insert(paths, format!("{item}/status"), status, names);
    }
    insert(paths, item, operations, names);
}

fn insert(
    paths: &mut Map<String, Value>,
    path: String,
    mut operations: Map<String, Value>,
    names: &[&str],
) {
    if operations.is_empty() {
        return;
    }
    // Readers do not tell an empty list from none, and write none.
    let parameters: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if !parameters.is_empty() {
        operations.insert("parameters".to_owned(), parameters.into());
    }
    paths.insert(path, Value::Object(operations));
}

/// Adds the operation of a verb, if it is served.
fn operation(
    operations: &mut Map<String, Value>,
    of: &ResourceDefinition,
    verb: Verb,
    component: &str,
) {
    if !of.allows(verb) {
        return;
    }
    let (method, action) = match verb {
        Verb::Create => ("post", "post"),
        Verb::Update => ("put", "put"),
        Verb::Patch => ("patch", "patch"),
        Verb::Delete => ("delete", "delete"),
        Verb::DeleteCollection => ("delete", "deletecollection"),
        Verb::Get => ("get", "get"),
        Verb::List | Verb::Watch => ("get", "list"),
    };
    let query = |name: &str, kind: &str, about: &str| json!({"name": name, "in": "query", "description": about, "schema": {"type": kind}});
    let mut parameters = Vec::new();
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Delete) {
        parameters.push(query(
            "dryRun",
            "string",
            "`All` to check the request without storing it.",
        ));
    }
    if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
        parameters.push(query("fieldManager", "string", "Who owns the fields that are set."));
        parameters.push(query(
            "fieldValidation",
            "string",
            "What to do about unknown and duplicate fields: `Ignore`, `Warn` or `Strict`.",
        ));
    }
    if verb == Verb::Patch {
        parameters.push(query(
            "force",
            "boolean",
            "Take fields from their owners, for apply only.",
        ));
    }
    if verb == Verb::List {
        for (name, kind, about) in [
            ("labelSelector", "string", "Restricts the list of returned objects by their labels."),
            ("fieldSelector", "string", "Restricts the list of returned objects by their fields."),
            ("limit", "integer", "How many objects to return at most."),
            ("continue", "string", "Where the last answer ended."),
            ("resourceVersion", "string", "The version to start from."),
            (
                "watch",
                "boolean",
                "Watch for changes to the described resources, and tell each as it happens.",
            ),
        ] {
            parameters.push(query(name, kind, about));
        }
    }
    let shown = match verb {
        Verb::List | Verb::Watch => list_name(of, component),
        _ => component.to_owned(),
    };
    let reference = json!({"$ref": format!("#/components/schemas/{shown}")});
    let content = json!({"application/json": {"schema": reference}});
    let mut operation = json!({
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(of),
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    match verb {
        Verb::Create | Verb::Update => {
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        Verb::Patch => {
            let patch = json!({"schema": {"type": "object"}});
            let mut content = Map::new();
            for name in ["apply-patch+yaml", "json-patch+json", "merge-patch+json"] {
                content.insert(format!("application/{name}"), patch.clone());
            }
            if of.builtin {
                content.insert("application/strategic-merge-patch+json".to_owned(), patch);
            }
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        _ => {}
    }
    operations.insert(method.to_owned(), operation);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::{catalog, from_crd};

    fn served() -> Vec<ResourceDefinition> {
        let mut definitions = catalog();
        definitions.extend(
            from_crd(&json!({"spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "description": "A widget.", "properties": {
                        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                    }}}}],
            }}))
            .unwrap(),
        );
        definitions
    }

    #[test]
    fn the_index_names_every_document() {
        let served = served();
        let index = index(&served);
        for (root, entry) in index["paths"].as_object().unwrap() {
            let (_, api_version) = root.split_once('/').unwrap();
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let document = document(&served, group, version).unwrap();
            assert!(!document["paths"].as_object().unwrap().is_empty(), "{root}");
            let hash = hash(&served, group, version).unwrap();
            assert_eq!(entry["serverRelativeURL"], address(root, &hash));
        }
        assert!(
            index["paths"]["api/v1"].is_object()
                && index["paths"]["apis/example.com/v1"].is_object()
        );
        assert_eq!(document(&served, "example.com", "v2"), None);
    }

    #[test]
    fn a_changed_schema_changes_the_address() {
        let url = |definitions: &[ResourceDefinition]| {
            index(definitions)["paths"]["apis/example.com/v1"]["serverRelativeURL"].clone()
        };
        let mut changed = served();
        let before = url(&changed);
        let last = changed.pop().unwrap();
        let crd = json!({"spec": {
            "group": last.group, "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                          "schema": {"openAPIV3Schema": {"type": "object"}}}],
        }});
        changed.extend(from_crd(&crd).unwrap());
        assert_ne!(url(&changed), before);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(target)) = map.get("$ref") {
                        into.push(target.clone());
                    }
                    map.values().for_each(|v| references(v, into));
                }
                Value::Array(list) => list.iter().for_each(|v| references(v, into)),
                _ => {}
            }
        }
        let served = served();
        for definition in &served {
            let document = document(&served, &definition.group, &definition.version).unwrap();
            let mut targets = Vec::new();
            references(&document, &mut targets);
            for target in targets {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{}: {target}", definition.kind);
            }
        }
    }

    #[test]
    fn kubectl_finds_what_it_looks_for() {
        let served = served();
        let apps = document(&served, "apps", "v1").unwrap();
        let path = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
        let gvk = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        assert_eq!(path["patch"]["x-kubernetes-group-version-kind"], gvk);
        let names: Vec<_> = path["patch"]["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (p["name"].as_str().unwrap(), p["in"].as_str().unwrap()))
            .collect();
        assert!(
            names.contains(&("fieldValidation", "query")) && names.contains(&("dryRun", "query"))
        );
        let schemas = &apps["components"]["schemas"];
        assert_eq!(
            schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
            json!([gvk])
        );
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        assert_eq!(
            containers["items"]["$ref"],
            "#/components/schemas/io.k8s.api.core.v1.Container"
        );
        let own = document(&served, "example.com", "v1").unwrap();
        let widget = &own["components"]["schemas"]["com.example.v1.Widget"];
        assert_eq!(widget["properties"]["spec"]["properties"]["size"]["type"], "integer");
        assert_eq!(widget["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
        assert!(own["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/status"]["patch"].is_object());
    }

    #[test]
    fn lists_are_described_too() {
        let served = served();
        for (group, list, item) in [
            ("apps", "io.k8s.api.apps.v1.DeploymentList", "io.k8s.api.apps.v1.Deployment"),
            ("example.com", "com.example.v1.WidgetList", "com.example.v1.Widget"),
        ] {
            let document = document(&served, group, "v1").unwrap();
            let schema = &document["components"]["schemas"][list];
            let reference = format!("#/components/schemas/{item}");
            assert_eq!(schema["properties"]["items"]["items"]["allOf"][0]["$ref"], reference);
            let kind = list.rsplit('.').next().unwrap();
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], kind);
        }
        let apps = document(&served, "apps", "v1").unwrap();
        let answer = &apps["paths"]["/apis/apps/v1/deployments"]["get"]["responses"]["200"];
        assert_eq!(
            answer["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/io.k8s.api.apps.v1.DeploymentList"
        );
    }

    #[test]
    fn embedded_objects_have_what_objects_have() {
        let mut schema = json!({"type": "object", "properties": {"parts": {"type": "array", "items": {
            "type": "object", "x-kubernetes-embedded-resource": true, "required": ["kind"],
            "properties": {"spec": {"type": "object"}},
        }}}});
        embed(&mut schema);
        let part = &schema["properties"]["parts"]["items"];
        assert_eq!(part["required"], json!(["kind", "apiVersion"]));
        let names: Vec<&String> = part["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["apiVersion", "kind", "metadata", "spec"]);
        assert!(schema["properties"].get("kind").is_none());
    }
}
