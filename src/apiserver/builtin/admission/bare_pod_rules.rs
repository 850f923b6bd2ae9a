//! Pods themselves: what is refused beyond what a template is refused.

use serde_json::Value;

use super::{
    super::value::{absent, list, number, text},
    Context,
    format::{self, all},
    pod_rules,
};
use crate::apiserver::schema::FieldError;

/// What may change in the spec of a pod, as kube-apiserver lists it.
const CHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                          `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                          `spec.tolerations` (only additions to existing tolerations),\
                          `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Why a pod may not come, by its priority (the admission plugin Priority).
pub(super) fn forbids(pod: &Value, context: &Context<'_>) -> Option<String> {
    let named = text(pod, "/spec/priorityClassName");
    let class = (context.priority_class)(named);
    if class.is_none() && !named.is_empty() {
        return Some(format!("no PriorityClass with name {named} was found"));
    }
    let value = class.as_ref().and_then(|class| number(class, "/value")).unwrap_or(0);
    let given = number(pod, "/spec/priority").filter(|given| *given != value)?;
    Some(format!(
        "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed \
         {value} from the given PriorityClass name"
    ))
}

/// What the writer of a new pod is warned of.
pub(super) fn warnings(pod: &Value) -> Vec<String> {
    let faults = format::dns_label(text(pod, "/metadata/name"));
    if faults.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
         recommended: [{}]",
        faults.join(" ")
    )]
}

/// Validates a Pod.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(spec) = new.get("spec") else { return };
    let status_only = old.is_some_and(|old| old.get("spec") == Some(spec));
    if !status_only {
        pod_rules::validate_spec(spec, "spec", &[], errors);
        only_for_pods(spec, errors);
    }
    match old {
        None => first(spec, errors),
        Some(old) => {
            changes(spec, old.get("spec").unwrap_or(&Value::Null), errors);
            status(new, old, errors);
        }
    }
}

fn only_for_pods(spec: &Value, errors: &mut Vec<FieldError>) {
    for kind in ["containers", "initContainers"] {
        for (index, container) in list(spec, &format!("/{kind}")).iter().enumerate() {
            let image = text(container, "/image");
            if image.trim().len() != image.len() {
                let path = format!("spec.{kind}[{index}].image");
                let said = "must not have leading or trailing whitespace";
                errors.push(FieldError::invalid(path, &image.into(), said));
            }
        }
    }
    if let Some(n) = number(spec, "/activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&n)
    {
        let said = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid("spec.activeDeadlineSeconds", &n.into(), said));
    }
    tolerations(spec, errors);
    for (index, gate) in list(spec, "/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        if !name.is_empty() {
            let path = format!("spec.schedulingGates[{index}].name");
            all(format::qualified_name(name), &path, name, errors);
        }
    }
}

fn tolerations(spec: &Value, errors: &mut Vec<FieldError>) {
    for (index, toleration) in list(spec, "/tolerations").iter().enumerate() {
        let path = format!("spec.tolerations[{index}]");
        let [key, operator, value, effect] =
            ["/key", "/operator", "/value", "/effect"].map(|field| text(toleration, field));
        if !key.is_empty() {
            all(format::qualified_name(key), &format!("{path}.key"), key, errors);
        } else if operator != "Exists" {
            let said = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(format!("{path}.operator"), &operator.into(), said));
        }
        if !absent(toleration, "/tolerationSeconds") && effect != "NoExecute" {
            let said = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(format!("{path}.effect"), &effect.into(), said));
        }
        let path = format!("{path}.operator");
        match operator {
            "" | "Equal" => {
                let faults = format::label_value(value);
                if !faults.is_empty() {
                    errors.push(FieldError::invalid(path, &value.into(), &faults.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                let said = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(path, &value.into(), said));
            }
            _ => {}
        }
    }
}

fn first(spec: &Value, errors: &mut Vec<FieldError>) {
    if !list(spec, "/ephemeralContainers").is_empty() {
        let said = "cannot be set on create";
        errors.push(FieldError::forbidden("spec.ephemeralContainers", said));
    }
    if !list(spec, "/schedulingGates").is_empty() && !text(spec, "/nodeName").is_empty() {
        let said = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden("spec.nodeName", said));
    }
}

/// Most of a pod never changes.
fn changes(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new == old {
        return;
    }
    for kind in ["containers", "initContainers"] {
        let count = |spec| list(spec, &format!("/{kind}")).len();
        if count(new) != count(old) {
            let said = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(format!("spec.{kind}"), said));
            return;
        }
    }
    if deadline(new, old, errors) {
        return;
    }
    more_tolerations(new, old, errors);
    fewer_gates(new, old, errors);
    let gated = !list(old, "/schedulingGates").is_empty();
    let fixed = |spec: &Value, like: &Value| {
        let mut spec = spec.clone();
        let Some(fields) = spec.as_object_mut() else { return spec };
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            fields.remove(field);
        }
        if gated {
            fields.remove("nodeSelector");
        }
        for kind in ["containers", "initContainers"] {
            for container in super::super::value::items_mut(&mut spec, &format!("/{kind}")) {
                container.as_object_mut().map(|container| container.remove("image"));
            }
        }
        let was_negative = number(like, "/terminationGracePeriodSeconds").is_some_and(|n| n < 0);
        if was_negative && number(&spec, "/terminationGracePeriodSeconds") == Some(1) {
            let before = like.get("terminationGracePeriodSeconds").cloned();
            super::super::value::set(
                &mut spec,
                "terminationGracePeriodSeconds",
                before.unwrap_or_default(),
            );
        }
        spec
    };
    if fixed(new, old) != fixed(old, old) {
        errors.push(FieldError::forbidden("spec", CHANGEABLE));
    }
}

/// The time that a pod has may only become less. Answers whether that is all there is to say.
fn deadline(new: &Value, old: &Value, errors: &mut Vec<FieldError>) -> bool {
    const PATH: &str = "spec.activeDeadlineSeconds";
    let [now, before] = [new, old].map(|spec| number(spec, "/activeDeadlineSeconds"));
    match (now, before) {
        (Some(now), Some(before)) if before < now => {
            let said = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(PATH, &now.into(), said));
            true
        }
        (None, Some(_)) => {
            let said = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(PATH, &Value::Null, said));
            false
        }
        _ => false,
    }
}

fn more_tolerations(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let timeless = |toleration: &Value| {
        let mut fields = toleration.as_object().cloned().unwrap_or_default();
        fields.remove("tolerationSeconds");
        fields
    };
    let now: Vec<_> = list(new, "/tolerations").iter().map(timeless).collect();
    if list(old, "/tolerations").iter().any(|old| !now.contains(&timeless(old))) {
        let said = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden("spec.tolerations", said));
    }
}

fn fewer_gates(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let had: Vec<&str> =
        list(old, "/schedulingGates").iter().map(|gate| text(gate, "/name")).collect();
    for (index, gate) in list(new, "/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        if !had.contains(&name) {
            let said = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            let path = format!("spec.schedulingGates[{index}].name");
            errors.push(FieldError::forbidden(path, &said));
        }
    }
}

/// What may not be said in a status.
fn status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new.get("status") == old.get("status") {
        return;
    }
    let class = text(new, "/status/qosClass");
    if class != text(old, "/status/qosClass") {
        errors.push(FieldError::invalid("status.qosClass", &class.into(), "field is immutable"));
    }
    if let Some(n) = number(new, "/status/observedGeneration").filter(|n| *n < 0) {
        let said = "must be a non-negative integer";
        errors.push(FieldError::invalid("status.observedGeneration", &n.into(), said));
    }
    let nominated = text(new, "/status/nominatedNodeName");
    if !text(old, "/spec/nodeName").is_empty()
        && !nominated.is_empty()
        && nominated != text(old, "/status/nominatedNodeName")
    {
        let said = "may not be set on pods that are already bound to a node";
        errors.push(FieldError::forbidden("status.nominatedNodeName", said));
    }
    addresses(new, errors);
    for kind in ["containerStatuses", "initContainerStatuses"] {
        restarts(kind, new, old, errors);
    }
}

/// Addresses are such.
fn addresses(new: &Value, errors: &mut Vec<FieldError>) {
    for field in ["podIPs", "hostIPs"] {
        let given = list(new, &format!("/status/{field}"));
        for (index, item) in given.iter().enumerate() {
            let address = text(item, "/ip");
            if address.parse::<std::net::IpAddr>().is_err() {
                let said = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                let path = format!("status.{field}[{index}]");
                errors.push(FieldError::invalid(path, &address.into(), said));
            }
        }
    }
}

/// What has ended for good does not start again.
fn restarts(kind: &str, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let policy = text(old, "/spec/restartPolicy");
    if policy == "Always" {
        return;
    }
    let now = list(new, &format!("/status/{kind}"));
    for before in list(old, &format!("/status/{kind}")) {
        if absent(before, "/state/terminated") {
            continue;
        }
        let failed = number(before, "/state/terminated/exitCode").unwrap_or(0) != 0;
        if failed && policy == "OnFailure" {
            continue;
        }
        let same = now.iter().position(|c| text(c, "/name") == text(before, "/name"));
        if let Some(index) = same
            && absent(&now[index], "/state/terminated")
        {
            let path = format!("status.{kind}[{index}].state");
            let said = "may not be transitioned to non-terminated state";
            errors.push(FieldError::forbidden(path, said));
        }
    }
}
