//! Services: what is refused.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    super::value::{absent, list, number, text},
    format::{self, all},
    metadata::labels,
    service::selects,
};
use crate::apiserver::{
    object,
    schema::{FieldError, FieldErrorKind},
};

/// Validates a Service.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let kind = text(new, "/spec/type");
    if kind != "ExternalName" {
        // Upstream settles families first, and says nothing else when it cannot.
        let found = errors.len();
        families(new, errors);
        if errors.len() > found {
            return;
        }
    }
    let address = text(new, "/spec/clusterIP");
    let headless = address == "None";
    if list(new, "/spec/ports").is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if headless && matches!(kind, "LoadBalancer" | "NodePort") {
        let said = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &address.into(), &said));
    }
    if kind == "ExternalName" {
        external_name(new, errors);
    }
    ports(new, kind, errors);
    labels(new, "/spec/selector", "spec.selector", errors);
    if kind != "ExternalName" {
        addresses(new, old, errors);
    }
    for (index, ip) in list(new, "/spec/externalIPs").iter().enumerate() {
        let ip = ip.as_str().unwrap_or_default();
        if ip.parse::<IpAddr>().is_err() {
            let said = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid(
                format!("spec.externalIPs[{index}]"),
                &ip.into(),
                said,
            ));
        }
    }
    let only_for_load_balancers = [
        ("allocateLoadBalancerNodePorts", "spec.allocateLoadBalancerNodePorts"),
        ("loadBalancerSourceRanges", "spec.LoadBalancerSourceRanges"),
    ];
    for (field, path) in only_for_load_balancers {
        if kind != "LoadBalancer" && !absent(new, &format!("/spec/{field}")) {
            errors.push(FieldError::forbidden(
                path,
                "may only be used when `type` is 'LoadBalancer'",
            ));
        }
    }
    if kind != "LoadBalancer" && !text(new, "/spec/loadBalancerClass").is_empty() {
        let said = "may only be used when `type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden("spec.loadBalancerClass", said));
    }
}

/// What has no effect on a service without an address.
pub(super) fn warnings(service: &Value) -> Vec<String> {
    let has_external_ips = !list(service, "/spec/externalIPs").is_empty();
    let is_named = text(service, "/spec/type") == "ExternalName";
    let is_headless = text(service, "/spec/clusterIP") == "None";
    let mut said = Vec::new();
    if object::metadata(service, "annotations").is_some_and(|all| all.get(HINTS).is_some()) {
        said.push(format!("annotation {HINTS} is deprecated, please use {TOPOLOGY} instead"));
    }
    if is_headless {
        let ignored = [
            ("spec.loadBalancerIP", !text(service, "/spec/loadBalancerIP").is_empty()),
            ("spec.externalIPs", has_external_ips),
            ("spec.SessionAffinity", text(service, "/spec/sessionAffinity") == "ClientIP"),
        ];
        let ignored = ignored.into_iter().filter(|(_, is_set)| *is_set);
        said.extend(ignored.map(|(field, _)| format!("{field} is ignored for headless services")));
    } else if has_external_ips && !is_named {
        let why = "is deprecated and may no longer be implemented in some clusters";
        said.push(format!("spec.externalIPs {why}"));
    }
    if is_named && has_external_ips {
        said.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !is_named && !text(service, "/spec/externalName").is_empty() {
        said.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(service, "/spec/trafficDistribution") == "PreferClose" {
        let why = "\"PreferClose\" is deprecated; use \"PreferSameZone\"";
        said.push(format!("spec.trafficDistribution: {why}"));
    }
    said
}

/// The older annotation of two that say how traffic keeps near.
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY: &str = "service.kubernetes.io/topology-mode";

/// There is one family here, and only what has no address and selects nothing may ask for another.
fn families(service: &Value, errors: &mut Vec<FieldError>) {
    if text(service, "/spec/clusterIP") == "None" && !selects(service) {
        return;
    }
    for (index, family) in list(service, "/spec/ipFamilies").iter().enumerate() {
        if family != "IPv4" {
            let path = format!("spec.ipFamilies[{index}]");
            errors.push(FieldError::invalid(path, family, "not configured on this cluster"));
        }
    }
    let policy = text(service, "/spec/ipFamilyPolicy");
    if policy == "RequireDualStack" {
        let said = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", &policy.into(), said));
    }
}

fn external_name(service: &Value, errors: &mut Vec<FieldError>) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !absent(service, &format!("/spec/{field}")) {
            let said = "may not be set for ExternalName services";
            errors.push(FieldError::forbidden(format!("spec.{field}"), said));
        }
    }
    let name = text(service, "/spec/externalName");
    match name.strip_suffix('.').unwrap_or(name) {
        "" => errors.push(FieldError::required("spec.externalName", "")),
        name => all(format::dns_subdomain(name), "spec.externalName", name, errors),
    }
}

fn ports(service: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let ports = list(service, "/spec/ports");
    let (mut names, mut numbers, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let duplicate = |at: &str, value: &Value| {
            FieldError::with_value(format!("{path}{at}"), FieldErrorKind::Duplicate, value, "")
        };
        let (name, protocol) = (text(port, "/name"), text(port, "/protocol"));
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if !name.is_empty() {
            all(format::dns_label(name), &format!("{path}.name"), name, errors);
            if names.contains(&name) {
                errors.push(duplicate(".name", &name.into()));
            }
            names.push(name);
        }
        let own = number(port, "/port").unwrap_or_default();
        port_number(own, &format!("{path}.port"), errors);
        target_port(&port["targetPort"], &format!("{path}.targetPort"), errors);
        if numbers.contains(&(own, protocol)) {
            // Upstream prints its Go struct, of which only these two fields are set.
            let detail = format!(
                "Duplicate value: {{\"Name\":\"\",\"Protocol\":\"{protocol}\",\"AppProtocol\":null,\"Port\":{own},\"TargetPort\":0,\"NodePort\":0}}"
            );
            errors.push(FieldError { path: path.clone(), kind: FieldErrorKind::Duplicate, detail });
        }
        numbers.push((own, protocol));
        let node = number(port, "/nodePort").unwrap_or_default();
        if node == 0 {
            continue;
        }
        if kind == "ClusterIP" {
            let said = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(format!("{path}.nodePort"), said));
        }
        if nodes.contains(&(node, protocol)) {
            errors.push(duplicate(".nodePort", &node.into()));
        }
        nodes.push((node, protocol));
    }
}

/// A port is between 1 and 65535.
pub(super) fn port_number(port: i64, path: &str, errors: &mut Vec<FieldError>) {
    if !(1..=65535).contains(&port) {
        let said = "must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(path, &port.into(), said));
    }
}

/// A port by number or name.
pub(super) fn target_port(port: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match port {
        Value::String(name) => all(format::port_name(name), path, name, errors),
        other => port_number(other.as_i64().unwrap_or_default(), path, errors),
    }
}

fn addresses(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let addresses = list(new, "/spec/clusterIPs");
    let first = addresses.first().and_then(Value::as_str).unwrap_or_default();
    let single = text(new, "/spec/clusterIP");
    if single != first {
        let said = "first value must match `clusterIP`";
        errors.push(FieldError::invalid("spec.clusterIPs", &Value::from(addresses), said));
    }
    for (index, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        if address != "None" && address.parse::<IpAddr>().is_err() {
            let said = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            let path = format!("spec.clusterIPs[{index}]");
            errors.push(FieldError::invalid(path, &address.into(), said));
        }
    }
    let Some(old) = old.filter(|old| text(old, "/spec/type") != "ExternalName") else { return };
    let before = list(old, "/spec/clusterIPs").first().and_then(Value::as_str).unwrap_or_default();
    if !before.is_empty() && before != first {
        let value = Value::from(addresses);
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
    }
    let families = |of: &Value| list(of, "/spec/ipFamilies").first().cloned();
    if let (Some(had), Some(has)) = (families(old), families(new))
        && had != has
    {
        let value = Value::from(list(new, "/spec/ipFamilies"));
        errors.push(FieldError::invalid("spec.ipFamilies[0]", &value, "may not change once set"));
    }
}
