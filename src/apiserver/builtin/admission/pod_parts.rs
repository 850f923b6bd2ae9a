//! Changes of one part of a pod: containers that look at it, and resources of those it has.

use serde_json::Value;

use super::{
    super::value::{absent, entries, items_mut, list, set, text},
    format::{self, all},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

const KINDS: [&str; 2] = ["containers", "initContainers"];

/// Gives the containers of `pod` the resources that they have in `new`. Where the containers are others, they are taken
/// as they are, to be refused.
pub fn take_sizes(pod: &mut Value, new: &Value) {
    let names = |of: &Value| -> Vec<String> {
        let all = KINDS.iter().flat_map(|kind| list(of, &format!("/spec/{kind}")));
        all.map(|container| text(container, "/name").to_owned()).collect()
    };
    let same = names(pod) == names(new);
    for kind in KINDS {
        let at = format!("/spec/{kind}");
        let given = list(new, &at).to_vec();
        if !same {
            set(&mut pod["spec"], kind, given);
            continue;
        }
        for (container, given) in items_mut(pod, &at).zip(given) {
            for field in ["resources", "resizePolicy"] {
                let value = given.get(field).cloned().unwrap_or_default();
                set(container, field, value);
            }
        }
    }
}

/// What is wrong with a pod whose ephemeral containers changed.
#[must_use]
pub fn validate_debugging(new: &Value, old: &Value) -> Vec<FieldError> {
    const PATH: &str = "spec.ephemeralContainers";
    let mut errors = Vec::new();
    let now = list(new, "/spec/ephemeralContainers");
    let mut names: Vec<&str> = KINDS
        .iter()
        .flat_map(|kind| list(new, &format!("/spec/{kind}")))
        .map(|container| text(container, "/name"))
        .collect();
    let others = names.clone();
    for (index, container) in now.iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let name = text(container, "/name");
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else {
            all(format::dns_label(name), &format!("{path}.name"), name, &mut errors);
        }
        if names.contains(&name) {
            let kind = FieldErrorKind::Duplicate;
            let path = format!("{path}.name");
            errors.push(FieldError::with_value(path, kind, &name.into(), ""));
        }
        names.push(name);
        if text(container, "/image").is_empty() {
            errors.push(FieldError::required(format!("{path}.image"), ""));
        }
        let target = text(container, "/targetContainerName");
        if !target.is_empty() && !others.contains(&target) {
            let path = format!("{path}.targetContainerName");
            let kind = FieldErrorKind::NotFound;
            errors.push(FieldError::with_value(path, kind, &target.into(), ""));
        }
        const NEVER: [&str; 6] = [
            "lifecycle",
            "livenessProbe",
            "ports",
            "readinessProbe",
            "resizePolicy",
            "startupProbe",
        ];
        for field in NEVER {
            if !absent(container, &format!("/{field}")) {
                let said = "cannot be set for an Ephemeral Container";
                errors.push(FieldError::forbidden(format!("{path}.{field}"), said));
            }
        }
    }
    for before in list(old, "/spec/ephemeralContainers") {
        let name = text(before, "/name");
        let why = match now.iter().find(|container| text(container, "/name") == name) {
            None => format!("existing ephemeral containers \"{name}\" may not be removed\n"),
            Some(after) if after != before => {
                format!("existing ephemeral containers \"{name}\" may not be changed")
            }
            Some(_) => continue,
        };
        errors.push(FieldError::forbidden(PATH, &why));
    }
    errors
}

/// What is wrong with a pod whose resources changed.
#[must_use]
pub fn validate_resize(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (class, had) = (super::bare_pod::quality_of_service(new), text(old, "/status/qosClass"));
    if class != had {
        let said = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid("spec", &had.into(), said));
    }
    for kind in KINDS {
        let at = format!("/spec/{kind}");
        let (now, before) = (list(new, &at), list(old, &at));
        if kind == "containers" && now.is_empty() {
            errors.push(FieldError::required("spec.containers", ""));
        }
        if now.len() != before.len() {
            let said = format!("{kind} may not be added or removed on resize");
            errors.push(FieldError::forbidden(format!("spec.{kind}"), &said));
            continue;
        }
        for (index, (now, before)) in now.iter().zip(before).enumerate() {
            let path = format!("spec.{kind}[{index}]");
            if text(now, "/name") != text(before, "/name") {
                let said = format!("{kind} may not be renamed or reordered on resize");
                errors.push(FieldError::forbidden(format!("{path}.name"), &said));
                continue;
            }
            container(now, before, &path, &mut errors);
        }
    }
    errors
}

/// Only amounts of processors and memory may change, and none may go.
fn container(now: &Value, before: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (field, what) in [("requests", "resource requests"), ("limits", "resource limits")] {
        let at = format!("/resources/{field}");
        let amount =
            |of: &Value, name: &str| of.pointer(&at).and_then(|all| all.get(name)).cloned();
        if entries(before, &at).any(|(name, _)| amount(now, name).is_none()) {
            let said = format!("{what} cannot be removed");
            errors.push(FieldError::forbidden(format!("{path}.resources.{field}"), &said));
        }
        let fixed = |name: &str| !matches!(name, "cpu" | "memory");
        let changed = entries(now, &at)
            .chain(entries(before, &at))
            .any(|(name, _)| fixed(name) && amount(now, name) != amount(before, name));
        if changed {
            errors.push(FieldError::forbidden("spec", "only cpu and memory resources are mutable"));
        }
    }
}
