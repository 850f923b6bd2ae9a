//! Webhooks and policies of admission: their defaults, and what is wrong with them. Webhooks are never asked.

use serde_json::Value;

use super::super::value::{fill, items_mut, list, object_at, text};
use crate::apiserver::schema::FieldError;

/// Fills the defaults of a kind of `admissionregistration.k8s.io`.
pub(super) fn prepare(kind: &str, object: &mut Value) {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            for hook in items_mut(object, "/webhooks") {
                default_webhook(hook);
                if kind == "MutatingWebhookConfiguration" {
                    fill(hook, "reinvocationPolicy", "Never");
                }
            }
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            if let Some(spec) = object_at(object, "spec") {
                fill(spec, "failurePolicy", "Fail");
            }
            match_defaults(object.pointer_mut("/spec/matchConstraints"));
        }
        _ => match_defaults(object.pointer_mut("/spec/matchResources")),
    }
}

fn default_webhook(hook: &mut Value) {
    fill(hook, "failurePolicy", "Fail");
    fill(hook, "matchPolicy", "Equivalent");
    fill(hook, "timeoutSeconds", 10);
    object_at(hook, "namespaceSelector");
    object_at(hook, "objectSelector");
    for rule in items_mut(hook, "/rules") {
        fill(rule, "scope", "*");
    }
    if let Some(service) = hook.pointer_mut("/clientConfig/service").filter(|s| s.is_object()) {
        fill(service, "port", 443);
    }
}

fn match_defaults(of: Option<&mut Value>) {
    let Some(of) = of.filter(|of| of.is_object()) else { return };
    fill(of, "matchPolicy", "Equivalent");
    object_at(of, "namespaceSelector");
    object_at(of, "objectSelector");
    for rules in ["/resourceRules", "/excludeResourceRules"] {
        for rule in items_mut(of, rules) {
            fill(rule, "scope", "*");
        }
    }
}

/// Validates a configuration of webhooks, as far as it would be asked.
pub(super) fn validate(kind: &str, new: &Value, errors: &mut Vec<FieldError>) {
    if !kind.ends_with("WebhookConfiguration") {
        return;
    }
    for (index, hook) in list(new, "/webhooks").iter().enumerate() {
        let path = format!("webhooks[{index}]");
        let config = hook.get("clientConfig").unwrap_or(&Value::Null);
        let given = ["url", "service"].map(|field| config.get(field).is_some_and(|v| !v.is_null()));
        if given[0] == given[1] {
            let said = "exactly one of url or service is required";
            errors.push(FieldError::required(format!("{path}.clientConfig"), said));
        }
        let known = ["None", "NoneOnDryRun"].map(str::to_owned);
        match text(hook, "/sideEffects") {
            "None" | "NoneOnDryRun" => {}
            "" => {
                let path = format!("{path}.sideEffects");
                errors.push(FieldError::required(path, "must specify one of None, NoneOnDryRun"));
            }
            other => {
                let path = format!("{path}.sideEffects");
                errors.push(FieldError::not_supported(path, &other.into(), &known));
            }
        }
        if list(hook, "/admissionReviewVersions").is_empty() {
            let path = format!("{path}.admissionReviewVersions");
            errors.push(FieldError::required(path, "must specify one of v1, v1beta1"));
        }
    }
}
