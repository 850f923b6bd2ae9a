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
        add_paths(definition, &component, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": components},
    }))
}

/// `com.example.v1.Widget` for `example.com`.
fn custom_component_name(definition: &ResourceDefinition) -> String {
    let mut parts: Vec<&str> = definition.group.split('.').rev().collect();
    parts.extend([definition.version.as_str(), definition.kind.as_str()]);
    parts.join(".")
}

/// The schema of a custom kind with the fields that every object has.
fn custom_component(definition: &ResourceDefinition) -> Value {
    let mut schema = (**definition.schema_json()).clone();
    if let Some(schema) = schema.as_object_mut() {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            let text = |about: &str| json!({"type": "string", "description": about});
            properties.insert(
                "apiVersion".to_owned(),
                text("Group and version of this form of the object."),
            );
            properties.insert("kind".to_owned(), text("What the object is, in camel case."));
            let reference = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
            properties.insert(
                "metadata".to_owned(),
                json!({"description": "Name, labels and what the server keeps.", "allOf": [{"$ref": reference}]}),
            );
        }
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk(definition)]));
    }
    schema
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
    let parameters: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    operations.insert("parameters".to_owned(), parameters.into());
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
            ("labelSelector", "string", "Labels of the objects to return."),
            ("fieldSelector", "string", "Fields of the objects to return."),
            ("limit", "integer", "How many objects to return at most."),
            ("continue", "string", "Where the last answer ended."),
            ("resourceVersion", "string", "The version to start from."),
            ("watch", "boolean", "Report changes as they happen."),
        ] {
            parameters.push(query(name, kind, about));
        }
    }
    let reference = json!({"$ref": format!("#/components/schemas/{component}")});
    let content = json!({"application/json": {"schema": reference}});
    let mut operation = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(of),
    });
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
}
