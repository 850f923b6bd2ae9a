//! What makes no question of whether somebody may do something.

use serde_json::Value;

use super::{
    super::value::{list, text},
    metadata::{label_words, operator_values},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// What is wrong with an access review of this kind.
pub fn review_faults(kind: &str, review: &Value) -> Vec<FieldError> {
    let part = |name: &str| review.pointer(&format!("/spec/{name}")).filter(|p| p.is_object());
    let (resource, path) = (part("resourceAttributes"), part("nonResourceAttributes"));
    let is_local = kind == "LocalSubjectAccessReview";
    let mut errors = Vec::new();
    if let (Some(_), Some(path)) = (resource, path) {
        let said = "cannot be specified in combination with resourceAttributes";
        errors.push(invalid("spec.nonResourceAttributes", &path_in_go(path), said));
    }
    if resource.is_none() && path.is_none() {
        let said = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid("spec.resourceAttributes", &Value::Null, said));
    }
    let is_nobody =
        text(review, "/spec/user").is_empty() && list(review, "/spec/groups").is_empty();
    if kind != "SelfSubjectAccessReview" && is_nobody {
        let said = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", &"".into(), said));
    }
    for name in ["fieldSelector", "labelSelector"] {
        if let Some(selector) = resource.and_then(|r| r.get(name)).filter(|s| s.is_object()) {
            let path = format!("spec.resourceAttributes.{name}");
            selector_faults(selector, name == "labelSelector", &path, &mut errors);
        }
    }
    let is_empty = |(field, value): (&String, &Value)| {
        value.is_null() || field == "managedFields" || (is_local && field == "namespace")
    };
    let metadata = review.get("metadata").unwrap_or(&Value::Null);
    if !metadata.as_object().is_none_or(|fields| fields.iter().all(is_empty)) {
        let said = if is_local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(invalid("metadata", &metadata_in_go(metadata), said));
    }
    if is_local && let Some(resource) = resource {
        let at = text(resource, "/namespace");
        if at != text(review, "/metadata/namespace") {
            let said = "must match metadata.namespace";
            let field = "spec.resourceAttributes.namespace";
            errors.push(FieldError::invalid(field, &at.into(), said));
        }
    }
    if is_local && let Some(path) = path {
        let said = "disallowed on this kind of request";
        errors.push(invalid("spec.nonResourceAttributes", &path_in_go(path), said));
    }
    errors
}

fn invalid(path: &str, value: &str, said: &str) -> FieldError {
    FieldError::new(path, FieldErrorKind::Invalid, &format!("{value}: {said}"))
}

/// As kube-apiserver quotes it: by then, it has names that are not in the API.
fn path_in_go(attributes: &Value) -> String {
    let quoted = |field: &str| Value::from(text(attributes, field));
    format!("{{\"Path\":{},\"Verb\":{}}}", quoted("/path"), quoted("/verb"))
}

/// Metadata with its fields in the order in which Go writes them, in which people read it.
fn metadata_in_go(metadata: &Value) -> String {
    const FIELDS: &[&str] = &[
        "name",
        "generateName",
        "namespace",
        "resourceVersion",
        "generation",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    ];
    const MANAGER: &[&str] =
        &["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
    let ordered = |value: &Value, fields: &[&str]| -> Vec<String> {
        let given = fields.iter().filter_map(|field| Some((field, value.get(field)?)));
        given.map(|(field, value)| format!("\"{field}\":{value}")).collect()
    };
    let mut all = ordered(metadata, FIELDS);
    let managers = list(metadata, "/managedFields").iter();
    let managers: Vec<String> =
        managers.map(|entry| format!("{{{}}}", ordered(entry, MANAGER).join(","))).collect();
    if !managers.is_empty() {
        all.push(format!("\"managedFields\":[{}]", managers.join(",")));
    }
    format!("{{{}}}", all.join(","))
}

/// What is wrong with a selector that a review limits a list with. Operators that are not known are left to those who
/// know them.
fn selector_faults(selector: &Value, is_of_labels: bool, path: &str, errors: &mut Vec<FieldError>) {
    let (raw, requirements) = (text(selector, "/rawSelector"), list(selector, "/requirements"));
    if !raw.is_empty() && !requirements.is_empty() {
        let said = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(format!("{path}.rawSelector"), &raw.into(), said));
    }
    if raw.is_empty() && requirements.is_empty() {
        let said = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(format!("{path}.requirements"), &said));
    }
    for (index, requirement) in requirements.iter().enumerate() {
        let path = format!("{path}.requirements[{index}]");
        if !is_of_labels && text(requirement, "/key").is_empty() {
            errors.push(FieldError::required(format!("{path}.key"), "must be specified"));
        }
        operator_values(requirement, &path, errors);
        if is_of_labels {
            label_words(requirement, &path, errors);
        }
    }
}
