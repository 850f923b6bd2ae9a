//! A CustomResourceDefinition, as what it makes the server serve.

use serde_json::{Value, json};

use super::{
    definition::{ResourceDefinition, Scale, SchemaCell, Verb},
    table::{Cell, Column, ColumnType, JsonPath},
    value::{list, text, texts},
};
use crate::apiserver::schema::{FieldError, Schema};

/// Every verb, in the order in which kube-apiserver has those of custom kinds.
const VERBS: [Verb; 8] = [
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Create,
    Verb::Update,
    Verb::Watch,
];

/// What a CustomResourceDefinition makes the server serve: one definition for each served version, in the order of
/// `spec.versions`. Names are those the server accepted (`status.acceptedNames`), or else those of the spec with
/// their defaults. A definition whose names were refused (condition `Established` is false) serves nothing.
///
/// # Errors
/// The faults of the schemas and columns of served versions, with paths from the root of the object.
pub fn from_crd(crd: &Value) -> Result<Vec<ResourceDefinition>, Vec<FieldError>> {
    if is_refused(crd) {
        return Ok(Vec::new());
    }
    let versions = list(crd, "/spec/versions");
    let flag =
        |version: &Value, name: &str| version.get(name).and_then(Value::as_bool) == Some(true);
    let stored = versions.iter().find(|v| flag(v, "storage")).map(|v| text(v, "/name"));
    let (mut definitions, mut errors) = (Vec::new(), Vec::new());
    for (index, version) in versions.iter().enumerate() {
        if !flag(version, "served") {
            continue;
        }
        match definition(crd, version, stored.unwrap_or_default(), index) {
            Ok(definition) => definitions.push(definition),
            Err(mut faults) => errors.append(&mut faults),
        }
    }
    if errors.is_empty() { Ok(definitions) } else { Err(errors) }
}

fn definition(
    crd: &Value,
    version: &Value,
    stored: &str,
    index: usize,
) -> Result<ResourceDefinition, Vec<FieldError>> {
    let path = format!("spec.versions[{index}]");
    let accepted = crd.pointer("/status/acceptedNames").filter(|n| !text(n, "/kind").is_empty());
    let nothing = json!({});
    let names = accepted.or_else(|| crd.pointer("/spec/names")).unwrap_or(&nothing);
    let (group, name) = (text(crd, "/spec/group"), text(version, "/name"));
    let kind = text(names, "/kind").to_owned();
    let or = |path: &str, default: String| match text(names, path) {
        "" => default,
        given => given.to_owned(),
    };
    let (schema_json, schema) = schema(version, &path)?;
    let status = version.pointer("/subresources/status").is_some_and(Value::is_object);
    Ok(ResourceDefinition {
        list_kind: or("/listKind", format!("{kind}List")),
        singular: or("/singular", kind.to_lowercase()),
        plural: text(names, "/plural").to_owned(),
        short_names: texts(names, "/shortNames"),
        categories: texts(names, "/categories"),
        namespaced: text(crd, "/spec/scope") == "Namespaced",
        verbs: VERBS.to_vec(),
        status,
        scale: version.pointer("/subresources/scale").filter(|s| s.is_object()).map(scale),
        columns: columns(version, &path)?,
        selectable_fields: list(version, "/selectableFields")
            .iter()
            .map(|field| text(field, "/jsonPath").trim_start_matches('.').to_owned())
            .collect(),
        stored_as: (group.to_owned(), stored.to_owned()),
        builtin: false,
        deprecation_warning: deprecation(version, group, name, &kind),
        schema: SchemaCell::ready(schema_json, schema.with_status_subresource(status)),
        group: group.to_owned(),
        version: name.to_owned(),
        kind,
    })
}

/// Whether the server refused the names of a definition, so that it serves nothing.
fn is_refused(crd: &Value) -> bool {
    list(crd, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Established" && text(c, "/status") == "False")
}

/// The schema of one version. A version without one keeps every field, as `spec.preserveUnknownFields` says.
pub(super) fn schema(version: &Value, path: &str) -> Result<(Value, Schema), Vec<FieldError>> {
    let open = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let Some(json) = version.pointer("/schema/openAPIV3Schema").filter(|s| s.is_object()) else {
        return Ok((open(), Schema::open()));
    };
    let compiled = Schema::compile(json).map_err(|mut errors| {
        for error in &mut errors {
            let below = error.path.trim_start_matches('.');
            error.path = match below {
                "" => format!("{path}.schema.openAPIV3Schema"),
                below => format!("{path}.schema.openAPIV3Schema.{below}"),
            };
        }
        errors
    })?;
    Ok((json.clone(), compiled))
}

fn scale(scale: &Value) -> Scale {
    Scale {
        spec_replicas: text(scale, "/specReplicasPath").to_owned(),
        status_replicas: text(scale, "/statusReplicasPath").to_owned(),
        label_selector: Some(text(scale, "/labelSelectorPath").to_owned())
            .filter(|p| !p.is_empty()),
    }
}

/// The name, then the columns that the version declares, or the age when it declares none.
pub(super) fn columns(version: &Value, path: &str) -> Result<Vec<Column>, Vec<FieldError>> {
    let mut columns = vec![super::table::name_column()];
    let declared = list(version, "/additionalPrinterColumns");
    let mut errors = Vec::new();
    for (index, column) in declared.iter().enumerate() {
        let json_path = text(column, "/jsonPath");
        let at = format!("{path}.additionalPrinterColumns[{index}]");
        let kind = text(column, "/type");
        let parsed = (JsonPath::parse(json_path), ColumnType::named(kind));
        let (Ok(parsed), Some(column_type)) = parsed else {
            let (field, value) =
                if parsed.1.is_none() { ("type", kind) } else { ("JSONPath", json_path) };
            let said = if parsed.1.is_none() {
                "must be one of boolean, date, integer, number, string".to_owned()
            } else {
                "is an invalid json path".to_owned()
            };
            errors.push(FieldError::invalid(format!("{at}.{field}"), &value.into(), &said));
            continue;
        };
        let description = match text(column, "/description") {
            "" => format!("Custom resource definition column (in JSONPath format): {json_path}"),
            given => given.to_owned(),
        };
        columns.push(Column {
            name: text(column, "/name").to_owned(),
            column_type,
            format: text(column, "/format").to_owned(),
            description,
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            cell: Cell::Path(parsed),
        });
    }
    if declared.is_empty() {
        columns.push(super::table::age_of_creation());
    }
    if errors.is_empty() { Ok(columns) } else { Err(errors) }
}

fn deprecation(version: &Value, group: &str, name: &str, kind: &str) -> Option<String> {
    if version.get("deprecated").and_then(Value::as_bool) != Some(true) {
        return None;
    }
    Some(match text(version, "/deprecationWarning") {
        "" => format!("{group}/{name} {kind} is deprecated"),
        given => given.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apiserver::testing::any_json;

    fn widgets() -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
                "versions": [
                    {
                        "name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        }}},
                        "subresources": {"status": {}, "scale": {
                            "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                        }},
                        "selectableFields": [{"jsonPath": ".spec.size"}],
                        "additionalPrinterColumns": [
                            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                            {"name": "Ready", "type": "string", "priority": 1,
                             "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                        ],
                    },
                    {"name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                     "schema": {"openAPIV3Schema": {"type": "object"}}},
                    {"name": "v1alpha1", "served": false, "storage": false,
                     "schema": {"openAPIV3Schema": {"type": "object"}}},
                ],
            },
        })
    }

    #[test]
    fn each_served_version_is_a_definition() {
        let definitions = from_crd(&widgets()).unwrap();
        let versions: Vec<_> = definitions.iter().map(ResourceDefinition::api_version).collect();
        assert_eq!(versions, ["example.com/v1", "example.com/v1beta1"]);
        let v1 = &definitions[0];
        assert_eq!((v1.list_kind.as_str(), v1.singular.as_str()), ("WidgetList", "widget"));
        assert!(v1.namespaced && v1.status && !v1.builtin && v1.deprecation_warning.is_none());
        assert_eq!(v1.scale.as_ref().unwrap().spec_replicas, ".spec.size");
        assert_eq!(v1.selectable_fields, ["spec.size"]);
        assert_eq!(v1.qualified_name(), "widgets.example.com");
        let v1beta1 = &definitions[1];
        assert_eq!(v1beta1.stored_as, ("example.com".to_owned(), "v1".to_owned()));
        let warning = v1beta1.deprecation_warning.as_deref();
        assert_eq!(warning, Some("example.com/v1beta1 Widget is deprecated"));
        let names: Vec<_> = v1beta1.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["Name", "Age"]);
    }

    #[test]
    fn faults_are_located() {
        let mut crd = widgets();
        crd["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] = json!(".spec[");
        let errors = from_crd(&crd).unwrap_err();
        assert_eq!(errors[0].path, "spec.versions[0].additionalPrinterColumns[0].JSONPath");

        let mut crd = widgets();
        crd["spec"]["versions"][1]["schema"]["openAPIV3Schema"] = json!({"type": "string"});
        let errors = from_crd(&crd).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "spec.versions[1].schema.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root"
        );
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn any_object_is_read_without_panic(
            spec in any_json(), version in any_json(), schema in any_json(), columns in any_json(),
        ) {
            let _ = from_crd(&spec);
            let _ = from_crd(&json!({"spec": spec, "status": version}));
            let _ = from_crd(&json!({"spec": {"versions": [
                {"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema},
                 "subresources": version, "additionalPrinterColumns": columns},
            ]}}));
        }
    }
}
