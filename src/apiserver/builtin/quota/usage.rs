//! How much one object uses.

use serde_json::Value;

use super::{
    super::{
        ResourceDefinition,
        types::Quantity,
        value::{list, number, text},
    },
    amounts::Amounts,
    pod,
};

/// What of the quota's names an object is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Pod,
    Service,
    Claim,
    /// By its number alone.
    Other,
}

impl Counted {
    pub(super) fn of(definition: &ResourceDefinition) -> Counted {
        match (definition.group.as_str(), definition.plural.as_str()) {
            ("", "pods") => Counted::Pod,
            ("", "services") => Counted::Service,
            ("", "persistentvolumeclaims") => Counted::Claim,
            _ => Counted::Other,
        }
    }
}

/// The kinds that had a name of their own in quotas before every kind had one.
const OLD_NAMES: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];

const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";

/// Whether quotas count objects of this kind at all.
pub(crate) fn is_counted(definition: &ResourceDefinition) -> bool {
    // Events come in numbers, and are refused nothing.
    definition.namespaced && definition.kind != "Event"
}

/// `count/deployments.apps`.
fn count_name(definition: &ResourceDefinition) -> String {
    format!("count/{}", definition.qualified_name())
}

/// Whether this name in a quota is about objects of this kind.
pub(super) fn is_about(definition: &ResourceDefinition, name: &str) -> bool {
    if name == count_name(definition) {
        return true;
    }
    match Counted::of(definition) {
        Counted::Pod => pod::is_about(name),
        Counted::Service => {
            matches!(name, "services" | "services.nodeports" | "services.loadbalancers")
        }
        Counted::Claim => {
            let of_class = name.split_once(CLASS_SUFFIX).map_or("", |(_, what)| what);
            let what = if of_class.is_empty() { name } else { of_class };
            matches!(what, "persistentvolumeclaims" | "requests.storage")
        }
        Counted::Other => {
            definition.group.is_empty() && OLD_NAMES.contains(&name) && name == definition.plural
        }
    }
}

/// How much an object uses of what.
pub(super) fn usage(definition: &ResourceDefinition, object: &Value) -> Amounts {
    let one = Quantity::of(1);
    let mut amounts = Amounts::default();
    amounts.put(count_name(definition), one);
    match Counted::of(definition) {
        Counted::Pod => amounts.add(&pod::usage(object)),
        Counted::Service => service(object, &mut amounts),
        Counted::Claim => claim(object, &mut amounts),
        Counted::Other => {
            if definition.group.is_empty() && OLD_NAMES.contains(&definition.plural.as_str()) {
                amounts.put(definition.plural.as_str(), one);
            }
        }
    }
    amounts
}

fn service(object: &Value, amounts: &mut Amounts) {
    let ports = list(object, "/spec/ports");
    let chosen = ports.iter().filter(|port| number(port, "/nodePort").unwrap_or(0) != 0).count();
    let allocates = object.pointer("/spec/allocateLoadBalancerNodePorts") != Some(&false.into());
    let (node_ports, balancers) = match text(object, "/spec/type") {
        "NodePort" => (ports.len(), 0),
        "LoadBalancer" if allocates => (ports.len(), 1),
        "LoadBalancer" => (chosen, 1),
        _ => (0, 0),
    };
    amounts.put("services", Quantity::of(1));
    amounts.put("services.nodeports", Quantity::of(node_ports));
    amounts.put("services.loadbalancers", Quantity::of(balancers));
}

fn claim(object: &Value, amounts: &mut Amounts) {
    let storage = text(object, "/spec/resources/requests/storage");
    let old = object.pointer("/metadata/annotations");
    let old = old.and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
    let class = old.and_then(Value::as_str).unwrap_or(text(object, "/spec/storageClassName"));
    let prefixes = match class {
        "" => vec![String::new()],
        class => vec![String::new(), format!("{class}{CLASS_SUFFIX}")],
    };
    for prefix in prefixes {
        amounts.put(format!("{prefix}persistentvolumeclaims"), Quantity::of(1));
        if let Some(storage) = Quantity::read(storage) {
            amounts.put(format!("{prefix}requests.storage"), storage);
        }
    }
}
