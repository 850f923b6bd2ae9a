//! Pod templates: what is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{
        types::quantity_amount,
        value::{absent, entries, list, number, text},
    },
    format::{self, all},
    metadata::labels,
    service_rules::{port_number, target_port},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// Validates the pod template at `path`. Not everything that kube-apiserver refuses is refused here: security contexts,
/// affinity and the sources of volumes are the scheduler's and the node's to judge, of which there are none. `claims` are
/// volumes that come from elsewhere.
pub(super) fn validate(
    template: &Value,
    path: &str,
    claims: &[&str],
    errors: &mut Vec<FieldError>,
) {
    labels(template, "/metadata/labels", &format!("{path}.labels"), errors);
    let Some(spec) = template.get("spec") else { return };
    let path = format!("{path}.spec");
    validate_spec(spec, &path, claims, errors);
    if !list(spec, "/ephemeralContainers").is_empty() {
        let said = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(format!("{path}.ephemeralContainers"), said));
    }
}

/// Validates the spec at `path`, of a pod or a template.
pub(super) fn validate_spec(
    spec: &Value,
    path: &str,
    claims: &[&str],
    errors: &mut Vec<FieldError>,
) {
    let mut volumes = volumes(spec, path, errors);
    volumes.extend(claims);
    let mut names = BTreeSet::new();
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, &format!("/{field}")).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let name = text(container, "/name");
            if !name.is_empty() {
                all(format::dns_label(name), &format!("{path}.name"), name, errors);
                if !names.insert(name) {
                    errors.push(duplicate(&format!("{path}.name"), name));
                }
            }
            one(container, &path, &volumes, errors);
        }
    }
    for (field, known) in [
        ("restartPolicy", &["Always", "OnFailure", "Never"][..]),
        ("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]),
    ] {
        let value = text(spec, &format!("/{field}"));
        if !value.is_empty() && !known.contains(&value) {
            let known: Vec<String> = known.iter().map(|&known| known.to_owned()).collect();
            let path = format!("{path}.{field}");
            errors.push(FieldError::not_supported(path, &value.into(), &known));
        }
    }
    if let Some(n) = number(spec, "/terminationGracePeriodSeconds").filter(|n| *n < 0) {
        let path = format!("{path}.terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(path, &n.into(), NOT_NEGATIVE));
    }
    labels(spec, "/nodeSelector", &format!("{path}.nodeSelector"), errors);
    for field in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = text(spec, &format!("/{field}"));
        if !name.is_empty() {
            all(format::dns_subdomain(name), &format!("{path}.{field}"), name, errors);
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, &format!("/{field}"));
        if !name.is_empty() {
            all(format::dns_label(name), &format!("{path}.{field}"), name, errors);
        }
    }
}

/// What a number below zero is told.
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

fn duplicate(path: &str, value: &str) -> FieldError {
    FieldError::with_value(path, FieldErrorKind::Duplicate, &value.into(), "")
}

/// Common sources of volumes, in the order in which they are looked for.
const VOLUME_SOURCES: [&str; 10] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
];

/// The names of valid volumes.
fn volumes<'v>(spec: &'v Value, path: &str, errors: &mut Vec<FieldError>) -> BTreeSet<&'v str> {
    let mut names = BTreeSet::new();
    for (index, volume) in list(spec, "/volumes").iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = text(volume, "/name");
        let given = volume
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| *key != "name" && !value.is_null());
        let mut sources: Vec<&String> = given.map(|(source, _)| source).collect();
        sources.sort_by_key(|source| VOLUME_SOURCES.iter().position(|known| known == source));
        let before = errors.len();
        if sources.is_empty() {
            errors.push(FieldError::required(path.as_str(), "must specify a volume type"));
        }
        for source in sources.into_iter().skip(1) {
            let said = "may not specify more than 1 volume type";
            errors.push(FieldError::forbidden(format!("{path}.{source}"), said));
        }
        if !name.is_empty() {
            all(format::dns_label(name), &format!("{path}.name"), name, errors);
            if names.contains(name) {
                errors.push(duplicate(&format!("{path}.name"), name));
            }
        }
        if errors.len() == before {
            names.insert(name);
        }
    }
    names
}

fn one(container: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    if text(container, "/image").is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    let mut port_names = BTreeSet::new();
    for (index, port) in list(container, "/ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "/name");
        if !name.is_empty() {
            all(format::port_name(name), &format!("{path}.name"), name, errors);
            if !port_names.insert(name) {
                errors.push(duplicate(&format!("{path}.name"), name));
            }
        }
        match number(port, "/containerPort").unwrap_or_default() {
            0 => errors.push(FieldError::required(format!("{path}.containerPort"), "")),
            n => port_number(n, &format!("{path}.containerPort"), errors),
        }
        if let Some(n) = number(port, "/hostPort").filter(|n| *n != 0) {
            port_number(n, &format!("{path}.hostPort"), errors);
        }
    }
    for (index, variable) in list(container, "/env").iter().enumerate() {
        variable_name(text(variable, "/name"), &format!("{path}.env[{index}].name"), errors);
        if !text(variable, "/value").is_empty() && !absent(variable, "/valueFrom") {
            let said = "may not be specified when `value` is not empty";
            let path = format!("{path}.env[{index}].valueFrom");
            errors.push(FieldError::invalid(path, &"".into(), said));
        }
    }
    mounts(container, path, volumes, errors);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(of) = container.get(name).filter(|probe| probe.is_object()) {
            probe(of, name, &format!("{path}.{name}"), errors);
        }
    }
    resources(container, path, errors);
}

fn variable_name(name: &str, path: &str, errors: &mut Vec<FieldError>) {
    let printable = |c: char| (' '..='~').contains(&c) && c != '=';
    if !name.is_empty() && !name.chars().all(printable) {
        let said = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        errors.push(FieldError::invalid(path, &name.into(), said));
    }
}

fn mounts(container: &Value, path: &str, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut places = BTreeSet::new();
    for (index, mount) in list(container, "/volumeMounts").iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        if !volumes.contains(name) {
            let path = format!("{path}.name");
            errors.push(FieldError::with_value(path, FieldErrorKind::NotFound, &name.into(), ""));
        }
        if !places.insert(place) {
            let path = format!("{path}.mountPath");
            errors.push(FieldError::invalid(path, &place.into(), "must be unique"));
        }
    }
}

fn probe(probe: &Value, name: &str, path: &str, errors: &mut Vec<FieldError>) {
    let kinds = ["exec", "httpGet", "tcpSocket", "grpc"];
    let mut given = kinds.iter().filter(|kind| probe.get(kind).is_some_and(Value::is_object));
    if given.next().is_none() {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
    for kind in given {
        let said = "may not specify more than 1 handler type";
        errors.push(FieldError::forbidden(format!("{path}.{kind}"), said));
    }
    for kind in ["httpGet", "tcpSocket"] {
        if let Some(port) = probe.get(kind).and_then(|handler| handler.get("port")) {
            target_port(port, &format!("{path}.{kind}.port"), errors);
        }
    }
    if probe.pointer("/exec").is_some() && list(probe, "/exec/command").is_empty() {
        errors.push(FieldError::required(format!("{path}.exec.command"), ""));
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if let Some(n) = number(probe, &format!("/{field}")).filter(|n| *n < 0) {
            errors.push(FieldError::invalid(format!("{path}.{field}"), &n.into(), NOT_NEGATIVE));
        }
    }
    let threshold = number(probe, "/successThreshold").unwrap_or(1);
    if name != "readinessProbe" && threshold != 1 {
        let path = format!("{path}.successThreshold");
        errors.push(FieldError::invalid(path, &threshold.into(), "must be 1"));
    }
}

/// Requests may not exceed limits, where both are amounts of the same notation.
fn resources(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (name, request) in entries(container, "/resources/requests") {
        let path = format!("{path}.resources.requests");
        let amount = |v: &Value| v.as_str().and_then(quantity_amount);
        let limit = container.pointer("/resources/limits").and_then(|l| l.get(name));
        if let (Some(wanted), Some(allowed)) = (amount(request), limit.and_then(amount))
            && wanted > allowed
        {
            let said = format!(
                "must be less than or equal to {name} limit of {}",
                limit.and_then(Value::as_str).unwrap_or_default()
            );
            errors.push(FieldError::invalid(path, request, &said));
        }
    }
}
