//! Endpoints, EndpointSlices and IngressClasses.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    super::value::{absent, fill, items_mut, list, number, set, text},
    format::{self, all},
    service_rules::port_number,
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// Fills the defaults of Endpoints.
pub(super) fn prepare(endpoints: &mut Value) {
    for subset in items_mut(endpoints, "/subsets") {
        for port in items_mut(subset, "/ports") {
            fill(port, "protocol", "TCP");
        }
    }
}

/// Fills the defaults of an EndpointSlice.
pub(super) fn prepare_slice(slice: &mut Value) {
    for port in items_mut(slice, "/ports") {
        if absent(port, "/name") {
            set(port, "name", "");
        }
        fill(port, "protocol", "TCP");
    }
}

/// Fills the defaults of an IngressClass.
pub(super) fn prepare_class(class: &mut Value) {
    if let Some(parameters) = class.pointer_mut("/spec/parameters").filter(|p| p.is_object()) {
        fill(parameters, "scope", "Cluster");
    }
}

/// Validates Endpoints.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if old.is_some_and(|old| old.get("subsets") == new.get("subsets")) {
        return;
    }
    for (index, subset) in list(new, "/subsets").iter().enumerate() {
        let path = format!("subsets[{index}]");
        let [ready, others] = ["/addresses", "/notReadyAddresses"].map(|at| list(subset, at));
        if ready.is_empty() && others.is_empty() {
            let said = "must specify `addresses` or `notReadyAddresses`";
            errors.push(FieldError::required(path.as_str(), said));
        }
        for (field, list) in [("addresses", ready), ("notReadyAddresses", others)] {
            for (index, item) in list.iter().enumerate() {
                address(text(item, "/ip"), &format!("{path}.{field}[{index}].ip"), errors);
            }
        }
        let ports = list(subset, "/ports");
        for (index, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{index}]");
            let name = text(port, "/name");
            if ports.len() > 1 && name.is_empty() {
                errors.push(FieldError::required(format!("{path}.name"), ""));
            } else if !name.is_empty() {
                all(format::dns_label(name), &format!("{path}.name"), name, errors);
            }
            let port = number(port, "/port").unwrap_or(0);
            port_number(port, &format!("{path}.port"), errors);
        }
    }
}

/// Where traffic may be sent: no address that means a host itself, or many at once.
fn address(text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let Ok(ip) = text.parse::<IpAddr>() else {
        // It is looked at twice, in other words.
        for said in [
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "must be a valid IP address",
        ] {
            errors.push(FieldError::invalid(path, &text.into(), said));
        }
        return;
    };
    let mut refuse = |said: &str| errors.push(FieldError::invalid(path, &text.into(), said));
    if ip.is_unspecified() {
        refuse(&format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (link_local, local_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => {
            (ip.segments()[0] & 0xffc0 == 0xfe80, ip.segments()[0] & 0xff0f == 0xff02)
        }
    };
    if link_local {
        refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if local_multicast {
        refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// What the writer of a new EndpointSlice is warned of.
pub(super) fn slice_warnings(slice: &Value) -> Vec<String> {
    match text(slice, "/addressType") {
        "FQDN" => vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()],
        _ => Vec::new(),
    }
}

/// Validates an EndpointSlice.
pub(super) fn validate_slice(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let kind = text(new, "/addressType");
    let known = ["FQDN", "IPv4", "IPv6"];
    if !kind.is_empty() && !known.contains(&kind) {
        let known = known.map(str::to_owned);
        errors.push(FieldError::not_supported("addressType", &kind.into(), &known));
    }
    if old.is_some_and(|old| text(old, "/addressType") != kind) {
        errors.push(FieldError::invalid("addressType", &kind.into(), "field is immutable"));
    }
    let mut names = Vec::new();
    for (index, port) in list(new, "/ports").iter().enumerate() {
        let path = format!("ports[{index}].name");
        let name = text(port, "/name");
        if !name.is_empty() {
            all(format::dns_label(name), &path, name, errors);
        }
        if names.contains(&name) {
            let kind = FieldErrorKind::Duplicate;
            errors.push(FieldError::with_value(path, kind, &name.into(), ""));
        }
        names.push(name);
    }
    if old.is_some_and(|old| old.get("endpoints") == new.get("endpoints")) {
        return;
    }
    for (index, endpoint) in list(new, "/endpoints").iter().enumerate() {
        let path = format!("endpoints[{index}].addresses");
        let addresses = list(endpoint, "/addresses");
        if addresses.is_empty() {
            let said = "must contain at least 1 address";
            errors.push(FieldError::required(path.as_str(), said));
        }
        for (index, given) in addresses.iter().filter_map(Value::as_str).enumerate() {
            let item = format!("{path}[{index}]");
            let parsed = given.parse::<IpAddr>();
            match (kind, parsed) {
                ("IPv4", Ok(IpAddr::V6(_))) => {
                    let said = "must be an IPv4 address";
                    errors.push(FieldError::invalid(path.as_str(), &given.into(), said));
                }
                ("IPv6", Ok(IpAddr::V4(_))) => {
                    let said = "must be an IPv6 address";
                    errors.push(FieldError::invalid(path.as_str(), &given.into(), said));
                }
                _ => {}
            }
            match (kind, given.parse::<IpAddr>()) {
                ("IPv4" | "IPv6", Ok(_)) => address(given, &item, errors),
                ("IPv4" | "IPv6", Err(_)) => {
                    let said = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                    errors.push(FieldError::invalid(item, &given.into(), said));
                }
                _ => {}
            }
        }
    }
}

/// Validates an IngressClass.
pub(super) fn validate_class(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let controller = text(new, "/spec/controller");
    if old.is_some_and(|old| text(old, "/spec/controller") != controller) {
        let said = "field is immutable";
        errors.push(FieldError::invalid("spec.controller", &controller.into(), said));
    }
    if controller.is_empty() {
        errors.push(FieldError::required("spec.controller", ""));
    } else if !controller.contains('/') {
        let said = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid("spec.controller", &controller.into(), said));
    }
    let Some(of) = new.pointer("/spec/parameters").filter(|of| of.is_object()) else { return };
    let path = "spec.parameters.namespace";
    match (text(of, "/scope"), absent(of, "/namespace")) {
        ("Cluster", false) => {
            let said = "`parameters.scope` is set to 'Cluster'";
            errors.push(FieldError::forbidden(path, said));
        }
        ("Namespace", true) => {
            let said = "`parameters.scope` is set to 'Namespace'";
            errors.push(FieldError::required(path, said));
        }
        ("Cluster" | "Namespace", _) => {}
        (other, _) => {
            let known = ["Cluster", "Namespace"].map(str::to_owned);
            errors.push(FieldError::not_supported("spec.parameters.scope", &other.into(), &known));
        }
    }
}
