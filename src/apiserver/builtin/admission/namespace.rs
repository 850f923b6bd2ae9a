//! Namespaces, Events and Leases: small rules.

use serde_json::{Value, json};

use super::super::value::{absent, number, object_at, set, text};
use crate::apiserver::schema::FieldError;

/// The label that every namespace has, so that selectors can name it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Gives a namespace its label and, when it is new, its finalizer and phase.
pub(super) fn prepare(namespace: &mut Value, is_new: bool) {
    let name = text(namespace, "/metadata/name").to_owned();
    if !name.is_empty()
        && let Some(metadata) = object_at(namespace, "metadata")
        && let Some(labels) = object_at(metadata, "labels")
    {
        set(labels, NAME_LABEL, name);
    }
    if !is_new {
        return;
    }
    if let Some(spec) = object_at(namespace, "spec") {
        let mut finalizers =
            spec.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
        if !finalizers.contains(&"kubernetes".into()) {
            finalizers.push("kubernetes".into());
        }
        set(spec, "finalizers", finalizers);
    }
    set(namespace, "status", json!({"phase": "Active"}));
}

/// A namespace is terminating exactly when it is being deleted.
pub(super) fn validate(namespace: &Value, errors: &mut Vec<FieldError>) {
    let phase = text(namespace, "/status/phase");
    let (is_right, said) = if absent(namespace, "/metadata/deletionTimestamp") {
        (phase != "Terminating", "may only be 'Active' if `deletionTimestamp` is empty")
    } else {
        (phase == "Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    };
    if !is_right {
        errors.push(FieldError::invalid("status.Phase", &phase.into(), said));
    }
}

/// The namespace of an Event is that of what it is about.
pub(super) fn validate_event(event: &Value, errors: &mut Vec<FieldError>) {
    let field = if event.get("regarding").is_some() { "regarding" } else { "involvedObject" };
    let about = event.get(field).map_or("", |o| text(o, "/namespace"));
    let own = text(event, "/metadata/namespace");
    let fits =
        if about.is_empty() { own == "default" || own == "kube-system" } else { about == own };
    if !fits {
        let said = "does not match event.namespace";
        errors.push(FieldError::invalid(format!("{field}.namespace"), &about.into(), said));
    }
}

/// Validates a Lease.
pub(super) fn validate_lease(lease: &Value, errors: &mut Vec<FieldError>) {
    if let Some(n) = number(lease, "/spec/leaseDurationSeconds").filter(|n| *n <= 0) {
        let path = "spec.leaseDurationSeconds";
        errors.push(FieldError::invalid(path, &n.into(), "must be greater than 0"));
    }
    if let Some(n) = number(lease, "/spec/leaseTransitions").filter(|n| *n < 0) {
        let said = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", &n.into(), said));
    }
    if !text(lease, "/spec/preferredHolder").is_empty() && absent(lease, "/spec/strategy") {
        let said = "may only be specified if `strategy` is defined";
        errors.push(FieldError::forbidden("spec.preferredHolder", said));
    }
}
