//! Nodes and runtime classes.

use serde_json::{Value, json};

use super::{
    super::value::{absent, list, object_at, set, text},
    format::{self, all},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// The taint that a node has until somebody says that it is ready (the admission plugin TaintNodesByCondition).
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Keeps pods away from a new node.
pub(super) fn prepare(node: &mut Value, is_new: bool) {
    if let Some(status) = object_at(node, "status")
        && absent(status, "/allocatable")
        && let Some(capacity) = status.get("capacity").cloned()
    {
        set(status, "allocatable", capacity);
    }
    let Some(spec) = object_at(node, "spec") else { return };
    // The list of addresses and its first item are two ways to say the same.
    let first = text(spec, "/podCIDRs/0").to_owned();
    match text(spec, "/podCIDR").to_owned() {
        only if !only.is_empty() && first != only => set(spec, "podCIDRs", json!([only])),
        only if only.is_empty() && !first.is_empty() => set(spec, "podCIDR", first),
        _ => {}
    }
    if !is_new {
        return;
    }
    let is_tainted = list(spec, "/taints")
        .iter()
        .any(|taint| text(taint, "/key") == NOT_READY && text(taint, "/effect") == "NoSchedule");
    if !is_tainted {
        let mut taints = list(spec, "/taints").to_vec();
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
        set(spec, "taints", taints);
    }
}

/// Validates a Node.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    taints(new, errors);
    let Some(old) = old else { return };
    let said =
        |field: &str| format!("node updates may not change {field} except from \"\" to valid");
    if !list(old, "/spec/podCIDRs").is_empty()
        && list(old, "/spec/podCIDRs") != list(new, "/spec/podCIDRs")
    {
        errors.push(FieldError::forbidden("spec.podCIDRs", &said("podCIDR")));
    }
    let provider = text(old, "/spec/providerID");
    if !provider.is_empty() && provider != text(new, "/spec/providerID") {
        errors.push(FieldError::forbidden("spec.providerID", &said("providerID")));
    }
    if text(old, "/spec/externalID") != text(new, "/spec/externalID") {
        errors.push(FieldError::forbidden("spec.externalID", "may not be updated"));
    }
    let addresses = list(new, "/status/addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses.get(..index).is_some_and(|before| before.contains(address)) {
            let path = format!("status.addresses[{index}]");
            errors.push(FieldError::with_value(path, FieldErrorKind::Duplicate, address, ""));
        }
    }
}

fn taints(node: &Value, errors: &mut Vec<FieldError>) {
    // Where kube-apiserver looks for them when it says what is wrong.
    const PATH: &str = "metadata.taints";
    let mut seen = Vec::new();
    for (index, taint) in list(node, "/spec/taints").iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let [key, value, effect] = ["/key", "/value", "/effect"].map(|field| text(taint, field));
        all(format::qualified_name(key), &format!("{path}.key"), key, errors);
        let faults = format::label_value(value);
        if !faults.is_empty() {
            let path = format!("{path}.value");
            errors.push(FieldError::invalid(path, &value.into(), &faults.join(";")));
        }
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"].map(str::to_owned);
        if effect.is_empty() {
            errors.push(FieldError::required(format!("{path}.effect"), ""));
        } else if !known.iter().any(|known| known == effect) {
            let path = format!("{path}.effect");
            errors.push(FieldError::not_supported(path, &effect.into(), &known));
        }
        if seen.contains(&(key, effect)) {
            errors.push(twice(path, taint));
        }
        seen.push((key, effect));
    }
}

/// A taint that is there twice, quoted as Go has it.
fn twice(path: String, taint: &Value) -> FieldError {
    let [key, value, effect] =
        ["key", "value", "effect"].map(|field| taint.get(field).cloned().unwrap_or("".into()));
    let added = taint.get("timeAdded").unwrap_or(&Value::Null);
    let detail = format!(
        "Duplicate value: {{\"Key\":{key},\"Value\":{value},\"Effect\":{effect},\"TimeAdded\":{added}}}: taints must be \
         unique by key and effect pair"
    );
    FieldError { path, kind: FieldErrorKind::Duplicate, detail }
}

/// Validates a RuntimeClass.
pub(super) fn validate_runtime_class(
    new: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let handler = text(new, "/handler");
    if !handler.is_empty() {
        all(format::dns_label(handler), "handler", handler, errors);
    }
    if old.is_some_and(|old| text(old, "/handler") != handler) {
        errors.push(FieldError::invalid("handler", &handler.into(), "field is immutable"));
    }
}
