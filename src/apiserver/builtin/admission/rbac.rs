//! Roles and their bindings.

use serde_json::{Value, json};

use super::{
    super::value::{fill, items_mut, list, object_at, text},
    format::{self, all},
    metadata::label_selector,
};
use crate::apiserver::schema::FieldError;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Gives references and subjects the group that they mean.
pub(super) fn prepare_binding(binding: &mut Value) {
    if let Some(role) = object_at(binding, "roleRef") {
        fill(role, "apiGroup", GROUP);
    }
    for subject in items_mut(binding, "/subjects") {
        if matches!(text(subject, "/kind"), "User" | "Group") {
            fill(subject, "apiGroup", GROUP);
        }
    }
}

/// Validates a Role or, not `namespaced`, a ClusterRole.
pub(super) fn validate_role(role: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    for (index, rule) in list(role, "/rules").iter().enumerate() {
        let path = format!("rules[{index}]");
        let empty = |field: &str| list(rule, field).is_empty();
        let mut need = |field: &str, said: &str| {
            errors.push(FieldError::required(format!("{path}.{field}"), said));
        };
        if empty("/verbs") {
            need("verbs", "verbs must contain at least one value");
        }
        if empty("/nonResourceURLs") {
            if empty("/apiGroups") {
                need("apiGroups", "resource rules must supply at least one api group");
            }
            if empty("/resources") {
                need("resources", "resource rules must supply at least one resource");
            }
            continue;
        }
        let urls = &rule["nonResourceURLs"];
        let path = format!("{path}.nonResourceURLs");
        if namespaced {
            let said = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(path.as_str(), urls, said));
        }
        if !(empty("/apiGroups") && empty("/resources") && empty("/resourceNames")) {
            let said = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(path, urls, said));
        }
    }
    if role.get("aggregationRule").is_some_and(Value::is_object) && !namespaced {
        let path = "aggregationRule.clusterRoleSelectors";
        let selectors = list(role, "/aggregationRule/clusterRoleSelectors");
        if selectors.is_empty() {
            let said = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(FieldError::required(path, said));
        }
        for (index, selector) in selectors.iter().enumerate() {
            label_selector(selector, &format!("{path}[{index}]"), errors);
        }
    }
}

/// Validates a RoleBinding or, not `namespaced`, a ClusterRoleBinding.
pub(super) fn validate_binding(
    new: &Value,
    old: Option<&Value>,
    namespaced: bool,
    errors: &mut Vec<FieldError>,
) {
    let group = text(new, "/roleRef/apiGroup");
    if group != GROUP {
        let known = [GROUP.to_owned()];
        errors.push(FieldError::not_supported("roleRef.apiGroup", &group.into(), &known));
    }
    let kind = text(new, "/roleRef/kind");
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&kind) {
        let known: Vec<String> = kinds.iter().map(|&k| k.to_owned()).collect();
        errors.push(FieldError::not_supported("roleRef.kind", &kind.into(), &known));
    }
    match text(new, "/roleRef/name") {
        "" => errors.push(FieldError::required("roleRef.name", "")),
        name => all(format::path_segment(name), "roleRef.name", name, errors),
    }
    for (index, one) in list(new, "/subjects").iter().enumerate() {
        subject(one, namespaced, &format!("subjects[{index}]"), errors);
    }
    if let Some(old) = old
        && old.get("roleRef") != new.get("roleRef")
    {
        // The Go struct that upstream prints has no JSON names.
        let name = text(new, "/roleRef/name");
        let printed = json!({"APIGroup": group, "Kind": kind, "Name": name});
        errors.push(FieldError::invalid("roleRef", &printed, "cannot change roleRef"));
    }
}

fn subject(subject: &Value, namespaced: bool, path: &str, errors: &mut Vec<FieldError>) {
    let (name, group) = (text(subject, "/name"), text(subject, "/apiGroup"));
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    let expected = match text(subject, "/kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                all(format::dns_subdomain(name), &format!("{path}.name"), name, errors);
            }
            if !namespaced && text(subject, "/namespace").is_empty() {
                errors.push(FieldError::required(format!("{path}.namespace"), ""));
            }
            ""
        }
        "User" | "Group" => GROUP,
        other => {
            let known = ["ServiceAccount", "User", "Group"].map(str::to_owned);
            let path = format!("{path}.kind");
            errors.push(FieldError::not_supported(path, &other.into(), &known));
            return;
        }
    };
    if group != expected {
        let known = [expected.to_owned()];
        let path = format!("{path}.apiGroup");
        errors.push(FieldError::not_supported(path, &group.into(), &known));
    }
}
