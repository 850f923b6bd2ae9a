//! Metadata, labels and selectors of objects of every kind.

use serde_json::Value;

use super::{
    super::{
        ResourceDefinition,
        value::{entries, flag, list, text},
    },
    format::{self, Check, all},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// How large all annotations of an object may be together, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Validates `metadata`. Names, which cannot change, are judged only on create.
pub(super) fn validate(
    definition: &ResourceDefinition,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    if old.is_none() {
        names(definition, object, errors);
        finalizers(object, errors);
        if definition.builtin && definition.group != "apiextensions.k8s.io" {
            qualified_finalizers(object, errors);
        }
    }
    labels(object, "/metadata/labels", "metadata.labels", errors);
    annotations(object, errors);
    owners(object, errors);
}

/// How objects of a kind may be called.
fn name_check(definition: &ResourceDefinition) -> Check {
    if !definition.builtin {
        return format::dns_subdomain;
    }
    match (definition.group.as_str(), definition.kind.as_str()) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => format::dns_label,
        ("rbac.authorization.k8s.io" | "apiregistration.k8s.io", _) | (_, "Event") => {
            format::path_segment
        }
        ("certificates.k8s.io", _) => |_| Vec::new(),
        ("networking.k8s.io", "IPAddress") => super::address::address_name,
        ("batch", "CronJob") => |name| {
            let mut faults = format::dns_subdomain(name);
            if name.len() > 52 {
                // The controller adds eleven characters for the names of jobs.
                faults.push("must be no more than 52 characters".to_owned());
            }
            faults
        },
        _ => format::dns_subdomain,
    }
}

fn names(definition: &ResourceDefinition, object: &Value, errors: &mut Vec<FieldError>) {
    let check = name_check(definition);
    let prefix = text(object, "/metadata/generateName");
    if !prefix.is_empty() {
        // A dash at the end is inside once the rest is added.
        let masked = match prefix.strip_suffix('-') {
            Some(start) if !start.is_empty() => format!("{start}a"),
            _ => prefix.to_owned(),
        };
        all(check(&masked), "metadata.generateName", prefix, errors);
    }
    match text(object, "/metadata/name") {
        "" => {
            errors.push(FieldError::required("metadata.name", "name or generateName is required"))
        }
        name => all(check(name), "metadata.name", name, errors),
    }
    match text(object, "/metadata/namespace") {
        "" if definition.namespaced => errors.push(FieldError::required("metadata.namespace", "")),
        "" => {}
        _ if !definition.namespaced => {
            errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
        }
        namespace => all(format::dns_label(namespace), "metadata.namespace", namespace, errors),
    }
}

/// Validates the map of labels at `pointer`.
pub(super) fn labels(object: &Value, pointer: &str, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in entries(object, pointer) {
        all(format::qualified_name(key), path, key, errors);
        let value = value.as_str().unwrap_or_default();
        all(format::label_value(value), path, value, errors);
    }
}

fn annotations(object: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in entries(object, "/metadata/annotations") {
        // Keys of annotations are compared in lower case, for the sake of old clients.
        all(format::qualified_name(&key.to_lowercase()), "metadata.annotations", key, errors);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATIONS as u64));
    }
}

fn finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    const PATH: &str = "metadata.finalizers";
    let names: Vec<&str> =
        list(object, "/metadata/finalizers").iter().filter_map(Value::as_str).collect();
    for name in &names {
        all(format::qualified_name(name), PATH, name, errors);
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        let said = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(PATH, &Value::from(names), said));
    }
}

/// Finalizers that Kubernetes itself has and that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// The finalizers without a domain that are nobody's.
fn unqualified_finalizers(object: &Value) -> impl Iterator<Item = (usize, &str)> {
    let names = list(object, "/metadata/finalizers").iter().filter_map(Value::as_str).enumerate();
    names.filter(|(_, name)| !name.contains('/') && !STANDARD_FINALIZERS.contains(name))
}

fn qualified_finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    for (index, name) in unqualified_finalizers(object) {
        let said = "name is neither a standard finalizer name nor is it fully qualified";
        let path = format!("metadata.finalizers[{index}]");
        errors.push(FieldError::invalid(path, &name.into(), said));
    }
}

/// What the writer of an object of a custom kind is warned of: finalizers that others may use as well.
pub(super) fn warnings(object: &Value) -> Vec<String> {
    let warning = |name: &str| {
        format!(
            "metadata.finalizers: \"{name}\": prefer a domain-qualified finalizer name to avoid accidental conflicts \
             with other finalizer writers"
        )
    };
    unqualified_finalizers(object).map(|(_, name)| warning(name)).collect()
}

fn owners(object: &Value, errors: &mut Vec<FieldError>) {
    const PATH: &str = "metadata.ownerReferences";
    let owners = list(object, "/metadata/ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        let version = text(owner, "/apiVersion");
        let is_malformed = version.matches('/').count() > 1;
        if is_malformed || version.rsplit('/').next().unwrap_or_default().is_empty() {
            let path = format!("{PATH}.apiVersion");
            errors.push(FieldError::invalid(path, &version.into(), "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                let path = format!("{PATH}.{field}");
                errors.push(FieldError::invalid(path, &"".into(), "must not be empty"));
            }
        }
        if version == "v1" && text(owner, "/kind") == "Event" {
            let said = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(PATH, owner, said));
        }
        if flag(owner, "/controller") {
            let this = format!("{}/{}", text(owner, "/kind"), text(owner, "/name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let said = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for \
                         {first} and {this}"
                    );
                    let path = PATH.to_owned();
                    let detail = format!("Invalid value: {}: {said}", as_go_writes(owners));
                    errors.push(FieldError { path, kind: FieldErrorKind::Invalid, detail });
                }
            }
        }
    }
}

/// Owner references as JSON with Go's order of fields.
fn as_go_writes(owners: &[Value]) -> String {
    const FIELDS: [&str; 6] =
        ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let owner = |owner: &Value| {
        let fields: Vec<String> = FIELDS
            .iter()
            .filter_map(|field| Some(format!("\"{field}\":{}", owner.get(field)?)))
            .collect();
        format!("{{{}}}", fields.join(","))
    };
    let owners: Vec<String> = owners.iter().map(owner).collect();
    format!("[{}]", owners.join(","))
}

/// Validates a `LabelSelector` object.
pub(super) fn label_selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    labels(selector, "/matchLabels", &format!("{path}.matchLabels"), errors);
    for (index, expression) in list(selector, "/matchExpressions").iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        operator_values(expression, &path, errors);
        let operator = text(expression, "/operator");
        if !matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist") {
            let said = "not a valid selector operator";
            errors.push(FieldError::invalid(format!("{path}.operator"), &operator.into(), said));
        }
        label_words(expression, &path, errors);
    }
}

/// Validates that a requirement has values where its operator compares with some, and none where it does not.
pub(super) fn operator_values(requirement: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let values = list(requirement, "/values");
    match text(requirement, "/operator") {
        "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
            format!("{path}.values"),
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
            format!("{path}.values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        _ => {}
    }
}

/// Validates that the key of a requirement may be a label's, and its values, too.
pub(super) fn label_words(requirement: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let key = text(requirement, "/key");
    all(format::qualified_name(key), &format!("{path}.key"), key, errors);
    for (i, value) in list(requirement, "/values").iter().filter_map(Value::as_str).enumerate() {
        all(format::label_value(value), &format!("{path}.values[{i}]"), value, errors);
    }
}

/// Whether a `LabelSelector` object selects these labels. One that is invalid selects nothing.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = entries(selector, "/matchLabels").all(|(key, value)| label(key) == value.as_str());
    equal
        && list(selector, "/matchExpressions").iter().all(|expression| {
            let value = label(text(expression, "/key"));
            let listed = list(expression, "/values")
                .iter()
                .any(|v| v.as_str().is_some() && v.as_str() == value);
            match text(expression, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
