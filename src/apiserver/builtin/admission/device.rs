//! Devices and claims for them.

use serde_json::Value;

use super::{
    super::value::{fill, items_mut, list, number, set, text},
    Context,
    format::{self, all},
};
use crate::apiserver::{object, schema::FieldError};

/// Fills the defaults of a kind of `resource.k8s.io`.
pub(super) fn prepare(kind: &str, object: &mut Value, context: &Context<'_>) {
    match kind {
        "ResourceClaim" => prepare_claim(object.get_mut("spec")),
        "ResourceClaimTemplate" => prepare_claim(object.pointer_mut("/spec/spec")),
        "ResourceSlice" => {
            for device in items_mut(object, "/spec/devices") {
                for taint in items_mut(device, "/taints") {
                    fill(taint, "timeAdded", object::time(context.now));
                }
            }
        }
        _ => {}
    }
}

fn prepare_claim(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    for request in items_mut(spec, "/devices/requests") {
        for choice in items_mut(request, "/firstAvailable") {
            prepare_request(choice);
        }
        if let Some(exactly) = request.get_mut("exactly").filter(|exactly| exactly.is_object()) {
            prepare_request(exactly);
        }
    }
}

fn prepare_request(request: &mut Value) {
    fill(request, "allocationMode", "ExactCount");
    let is_zero = number(request, "/count").unwrap_or(0) == 0;
    if is_zero && text(request, "/allocationMode") == "ExactCount" {
        set(request, "count", 1);
    }
    for toleration in items_mut(request, "/tolerations") {
        fill(toleration, "operator", "Equal");
    }
}

/// Validates a kind of `resource.k8s.io`.
pub(super) fn validate(kind: &str, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    match kind {
        "ResourceClaim" | "ResourceClaimTemplate" => {
            // What cannot change is not judged again.
            match old {
                Some(old) if old.get("spec") != new.get("spec") => {
                    let spec = new.get("spec").cloned().unwrap_or_default();
                    errors.push(FieldError::invalid("spec", &spec, "field is immutable"));
                }
                Some(_) => {}
                None if kind == "ResourceClaim" => claim(new.get("spec"), "spec", errors),
                None => claim(new.pointer("/spec/spec"), "spec.spec", errors),
            }
        }
        "ResourceSlice" => slice(new, old, errors),
        _ => {}
    }
}

fn claim(spec: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
    let Some(spec) = spec else { return };
    for (index, request) in list(spec, "/devices/requests").iter().enumerate() {
        let path = format!("{path}.devices.requests[{index}]");
        let name = text(request, "/name");
        if !name.is_empty() {
            all(format::dns_label(name), &format!("{path}.name"), name, errors);
        }
        let exactly = request.get("exactly").filter(|exactly| exactly.is_object());
        let choices = list(request, "/firstAvailable");
        match (exactly, choices.is_empty()) {
            (None, true) => {
                let said = "exactly one of `exactly` or `firstAvailable` is required";
                errors.push(FieldError::required(path, said));
            }
            (Some(_), false) => {
                let said = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
                errors.push(FieldError::invalid(path, &Value::Null, said));
            }
            (Some(exactly), true) => {
                claim_request(exactly, &format!("{path}.exactly"), errors);
            }
            (None, false) => {
                for (index, choice) in choices.iter().enumerate() {
                    claim_request(choice, &format!("{path}.firstAvailable[{index}]"), errors);
                }
            }
        }
    }
}

fn claim_request(request: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let class = text(request, "/deviceClassName");
    if !class.is_empty() {
        all(format::dns_subdomain(class), &format!("{path}.deviceClassName"), class, errors);
    }
    let count = number(request, "/count").unwrap_or(0);
    match text(request, "/allocationMode") {
        "All" if count != 0 => {
            let said = "must not be specified when allocationMode is 'All'";
            errors.push(FieldError::invalid(format!("{path}.count"), &count.into(), said));
        }
        "ExactCount" if count <= 0 => {
            let said = "must be greater than zero";
            errors.push(FieldError::invalid(format!("{path}.count"), &count.into(), said));
        }
        "All" | "ExactCount" => {}
        other => {
            let known = ["All", "ExactCount"].map(str::to_owned);
            let path = format!("{path}.allocationMode");
            errors.push(FieldError::not_supported(path, &other.into(), &known));
        }
    }
}

fn slice(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    for field in ["spec.pool.name", "spec.driver", "spec.nodeName"] {
        let at = format!("/{}", field.replace('.', "/"));
        let given = new.pointer(&at).cloned().unwrap_or_default();
        if old.is_some_and(|old| old.pointer(&at).cloned().unwrap_or_default() != given) {
            errors.push(FieldError::invalid(field, &given, "field is immutable"));
        }
    }
    if number(new, "/spec/pool/resourceSliceCount").unwrap_or(0) <= 0 {
        let count = new.pointer("/spec/pool/resourceSliceCount").cloned().unwrap_or(0.into());
        let path = "spec.pool.resourceSliceCount";
        errors.push(FieldError::invalid(path, &count, "must be greater than zero"));
    }
}
