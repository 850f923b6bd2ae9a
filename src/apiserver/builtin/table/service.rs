//! Cells of Services and Ingresses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::super::value::{list, text};

/// `ClusterIP` and its like.
pub(super) fn service_type(service: &Value, _: Timestamp) -> Value {
    text(service, "/spec/type").into()
}

/// The virtual address, `<none>` where there is none.
pub(super) fn cluster_ip(service: &Value, _: Timestamp) -> Value {
    match text(service, "/spec/clusterIP") {
        "" => "<none>".into(),
        ip => ip.into(),
    }
}

/// Where the service is reached from outside.
pub(super) fn external_ip(service: &Value, _: Timestamp) -> Value {
    let external: Vec<&str> =
        list(service, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    match text(service, "/spec/type") {
        "ExternalName" => text(service, "/spec/externalName").into(),
        "LoadBalancer" => {
            let mut all = load_balancer(service);
            all.extend(external.into_iter().map(str::to_owned));
            if all.is_empty() { "<pending>".into() } else { all.join(",").into() }
        }
        "ClusterIP" | "NodePort" if external.is_empty() => "<none>".into(),
        "ClusterIP" | "NodePort" => external.join(",").into(),
        _ => "<unknown>".into(),
    }
}

/// `80/TCP`, or `80:30080/TCP` with a node port.
pub(super) fn ports(service: &Value, _: Timestamp) -> Value {
    let ports: Vec<String> = list(service, "/spec/ports")
        .iter()
        .map(|port| {
            let number = |name: &str| port.get(name).and_then(Value::as_i64).unwrap_or_default();
            let protocol = text(port, "/protocol");
            match number("nodePort") {
                node if node > 0 => format!("{}:{node}/{protocol}", number("port")),
                _ => format!("{}/{protocol}", number("port")),
            }
        })
        .collect();
    if ports.is_empty() { "<none>".into() } else { ports.join(",").into() }
}

/// Labels of the pods behind the service.
pub(super) fn selector(service: &Value, _: Timestamp) -> Value {
    super::selector_text::labels(service.pointer("/spec/selector")).into()
}

/// The class of an Ingress.
pub(super) fn ingress_class(ingress: &Value, _: Timestamp) -> Value {
    match ingress.pointer("/spec/ingressClassName").and_then(Value::as_str) {
        None => "<none>".into(),
        Some(class) => class.into(),
    }
}

/// At most three hosts, `*` for any.
pub(super) fn hosts(ingress: &Value, _: Timestamp) -> Value {
    const SHOWN: usize = 3;
    let rules = list(ingress, "/spec/rules");
    let (mut hosts, mut more) = (Vec::new(), false);
    for rule in rules {
        more |= hosts.len() == SHOWN;
        let host = text(rule, "/host");
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    let shown = hosts.join(",");
    match (hosts.is_empty(), more) {
        (true, _) => "*".into(),
        (_, true) => format!("{shown} + {} more...", rules.len().saturating_sub(SHOWN)).into(),
        _ => shown.into(),
    }
}

/// Addresses that the load balancer gave, of a Service or an Ingress.
pub(super) fn address(object: &Value, _: Timestamp) -> Value {
    load_balancer(object).join(",").into()
}

/// Ports that an Ingress opens.
pub(super) fn ingress_ports(ingress: &Value, _: Timestamp) -> Value {
    if list(ingress, "/spec/tls").is_empty() { "80".into() } else { "80, 443".into() }
}

fn load_balancer(object: &Value) -> Vec<String> {
    let points = list(object, "/status/loadBalancer/ingress");
    let addresses: BTreeSet<&str> = points
        .iter()
        .map(|point| match text(point, "/ip") {
            "" => text(point, "/hostname"),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.into_iter().map(str::to_owned).collect()
}

/// What an IngressClass refers to: `IngressParameters.example.com/name`.
pub(super) fn class_parameters(class: &Value, _: Timestamp) -> Value {
    let Some(of) = class.pointer("/spec/parameters").filter(|of| of.is_object()) else {
        return "<none>".into();
    };
    let text = |field: &str| of.get(field).and_then(Value::as_str);
    let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
    match text("apiGroup") {
        Some(group) => format!("{kind}.{group}/{name}").into(),
        None => format!("{kind}/{name}").into(),
    }
}
