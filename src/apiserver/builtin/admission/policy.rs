//! Defaults of the kinds that scale, rank and separate workloads.

use serde_json::{Value, json};

use super::{
    super::{
        types::quantity_amount,
        value::{fill, items_mut, list, number, object_at, set, text},
    },
    format::{self, all},
    metadata::label_selector,
    service_rules::port_number,
};
use crate::apiserver::schema::FieldError;

/// Fills the defaults of a NetworkPolicy.
pub(super) fn prepare_network_policy(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    for direction in ["/ingress", "/egress"] {
        for rule in items_mut(spec, direction) {
            for port in items_mut(rule, "/ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }
    if list(spec, "/policyTypes").is_empty() {
        let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|e| !e.is_empty());
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        set(spec, "policyTypes", types);
    }
}

/// Validates a NetworkPolicy: who may send what to which ports.
pub(super) fn validate_network_policy(object: &Value, errors: &mut Vec<FieldError>) {
    let selector = object.pointer("/spec/podSelector").unwrap_or(&Value::Null);
    label_selector(selector, "spec.podSelector", errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(object, &format!("/spec/{direction}")).iter().enumerate() {
            let path = format!("spec.{direction}[{index}]");
            for (index, port) in list(rule, "/ports").iter().enumerate() {
                network_port(port, &format!("{path}.ports[{index}]"), errors);
            }
            for (index, peer) in list(rule, &format!("/{peers}")).iter().enumerate() {
                network_peer(peer, &format!("{path}.{peers}[{index}]"), errors);
            }
        }
    }
}

fn network_port(port: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let end = port.get("endPort").filter(|end| !end.is_null());
    let mut refuse_end = |value: &Value, said: &str| {
        errors.push(FieldError::invalid(format!("{path}.endPort"), value, said));
    };
    match (port.get("port"), end) {
        (Some(Value::String(name)), end) => {
            if let Some(end) = end {
                refuse_end(end, "may not be specified when `port` is non-numeric");
            }
            all(format::port_name(name), &format!("{path}.port"), name, errors);
        }
        (Some(Value::Number(number)), end) => {
            let first = number.as_i64().unwrap_or_default();
            let end = end.and_then(Value::as_i64);
            if end.is_some_and(|end| end < first) {
                refuse_end(&first.into(), "must be greater than or equal to `port`");
            }
            port_number(first, &format!("{path}.port"), errors);
            if let Some(end) = end {
                port_number(end, &format!("{path}.endPort"), errors);
            }
        }
        (_, Some(end)) => refuse_end(end, "may not be specified when `port` is not specified"),
        (_, None) => {}
    }
}

fn network_peer(peer: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let part = |field: &str| peer.get(field).filter(|part| part.is_object());
    let selectors = ["podSelector", "namespaceSelector"];
    for field in selectors {
        if let Some(selector) = part(field) {
            label_selector(selector, &format!("{path}.{field}"), errors);
        }
    }
    let selects = selectors.iter().any(|field| part(field).is_some());
    match (selects, part("ipBlock").is_some()) {
        (false, false) => errors.push(FieldError::required(path, "must specify a peer")),
        (true, true) => {
            let said = "may not specify both ipBlock and another peer";
            errors.push(FieldError::forbidden(path, said));
        }
        _ => {}
    }
}

/// Fills the defaults of a LimitRange: limits of containers follow from each other.
pub(super) fn prepare_limit_range(object: &mut Value) {
    for item in items_mut(object, "/spec/limits") {
        if text(item, "/type") != "Container" {
            continue;
        }
        for (to, from) in
            [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
        {
            let given = item.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            if given.is_empty() {
                continue;
            }
            if let Some(target) = object_at(item, to) {
                for (resource, amount) in given {
                    fill(target, &resource, amount);
                }
            }
        }
    }
}

/// Validates a HorizontalPodAutoscaler.
pub(super) fn validate_autoscaler(object: &Value, errors: &mut Vec<FieldError>) {
    let (min, max) =
        (number(object, "/spec/minReplicas"), number(object, "/spec/maxReplicas").unwrap_or(0));
    if let Some(min) = min.filter(|min| *min < 1) {
        let said = "must be greater than or equal to 1";
        errors.push(FieldError::invalid("spec.minReplicas", &min.into(), said));
    }
    let share = number(object, "/spec/targetCPUUtilizationPercentage");
    if let Some(share) = share.filter(|share| *share < 1) {
        let field = "spec.metrics[0].resource.target.averageUtilization";
        errors.push(FieldError::invalid(field, &share.into(), "must be greater than 0"));
    }
    if max < 1 {
        errors.push(FieldError::invalid("spec.maxReplicas", &max.into(), "must be greater than 0"));
    } else if min.is_some_and(|min| max < min) {
        let said = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid("spec.maxReplicas", &max.into(), said));
    }
}

/// Validates a PodDisruptionBudget.
pub(super) fn validate_disruption_budget(object: &Value, errors: &mut Vec<FieldError>) {
    let given =
        |name: &str| object.get("spec").and_then(|s| s.get(name)).is_some_and(|v| !v.is_null());
    if given("minAvailable") && given("maxUnavailable") {
        let printed = object.get("spec").cloned().unwrap_or_default();
        let said = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid("spec", &printed, said));
    }
}

/// Validates a ResourceQuota: amounts are not negative.
pub(super) fn validate_quota(object: &Value, errors: &mut Vec<FieldError>) {
    for (name, amount) in super::super::value::entries(object, "/spec/hard") {
        if amount.as_str().and_then(quantity_amount).is_some_and(|n| n < 0) {
            let path = format!("spec.hard[{name}]");
            errors.push(FieldError::invalid(path, amount, super::pod_rules::NOT_NEGATIVE));
        }
    }
}

/// Validates a PriorityClass, whose number never changes.
pub(super) fn validate_priority_class(
    new: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    const HIGHEST: i64 = 1_000_000_000;
    let value = number(new, "/value").unwrap_or_default();
    let name = text(new, "/metadata/name");
    if old.is_none() && name.starts_with("system-") {
        let said = "priority class names with 'system-' prefix are reserved for system use only. error: the name is \
                    not one of the system priority classes";
        errors.push(FieldError::forbidden("metadata.name", said));
    } else if value > HIGHEST {
        let said = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden("value", &said));
    }
    let Some(old) = old else { return };
    if number(old, "/value").unwrap_or_default() != value {
        errors.push(FieldError::forbidden("value", "may not be changed in an update."));
    }
    if text(old, "/preemptionPolicy") != text(new, "/preemptionPolicy") {
        let policy = text(new, "/preemptionPolicy");
        errors.push(FieldError::invalid("preemptionPolicy", &policy.into(), "field is immutable"));
    }
}
