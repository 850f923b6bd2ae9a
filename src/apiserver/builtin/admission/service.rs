//! Services: defaults and addresses.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::value::{absent, fill, flag, items_mut, list, number, object_at, set, text},
    Context,
};

/// The first two bytes of cluster addresses: `10.96.0.0/16`, kubeadm's choice made wider.
const CLUSTER_NETWORK: (u8, u8) = (10, 96);
/// The ports that nodes may open for services.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Fills the defaults of a Service and gives it its addresses. On update, what was given before is kept where the client
/// left it out (a PUT of a manifest has no addresses).
pub(super) fn prepare(service: &mut Value, old: Option<&Value>, context: &Context<'_>) {
    if object_at(service, "spec").is_none() {
        return;
    }
    fill(&mut service["spec"], "sessionAffinity", "None");
    fill(&mut service["spec"], "type", "ClusterIP");
    let kind = text(service, "/spec/type").to_owned();
    if text(service, "/spec/sessionAffinity") == "ClientIP"
        && absent(service, "/spec/sessionAffinityConfig")
    {
        set(
            &mut service["spec"],
            "sessionAffinityConfig",
            json!({"clientIP": {"timeoutSeconds": 10800}}),
        );
    }
    if text(service, "/spec/sessionAffinity") == "None"
        && let Some(spec) = service["spec"].as_object_mut()
    {
        spec.remove("sessionAffinityConfig");
    }
    for port in items_mut(service, "/spec/ports") {
        default_port(port);
    }
    let outside = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    let external = !list(service, "/spec/externalIPs").is_empty();
    if outside || (kind == "ClusterIP" && external) {
        fill(&mut service["spec"], "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        fill(&mut service["spec"], "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(&mut service["spec"], "allocateLoadBalancerNodePorts", true);
    }
    if let Some(old) = old {
        keep(service, old, &kind);
    }
    if kind == "ExternalName" {
        return;
    }
    addresses(service, context);
    families(service);
    if outside && !absent_or_false(service, &kind) {
        node_ports(service, context);
    }
}

/// Whether a load balancer does without node ports.
fn absent_or_false(service: &Value, kind: &str) -> bool {
    kind == "LoadBalancer" && !flag(service, "/spec/allocateLoadBalancerNodePorts")
}

fn default_port(port: &mut Value) {
    fill(port, "protocol", "TCP");
    let unset = match port.get("targetPort") {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) => name.is_empty(),
        Some(number) => number.as_i64() == Some(0),
    };
    if unset {
        let own = port.get("port").cloned().unwrap_or(0.into());
        set(port, "targetPort", own);
    }
}

/// Keeps addresses and node ports that the client left out.
fn keep(service: &mut Value, old: &Value, kind: &str) {
    if kind == "ExternalName" || text(old, "/spec/type") == "ExternalName" {
        return;
    }
    // The address is another: the list, which was only carried along, follows it.
    let address = text(service, "/spec/clusterIP");
    if !address.is_empty()
        && address != text(old, "/spec/clusterIP")
        && list(service, "/spec/clusterIPs") == list(old, "/spec/clusterIPs")
    {
        let address = json!([address]);
        set(&mut service["spec"], "clusterIPs", address);
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if service["spec"].get(field).is_none_or(is_empty)
            && let Some(value) = old["spec"].get(field).filter(|v| !is_empty(v))
        {
            // One address given and the list left out must not be joined with another list.
            if field == "clusterIPs"
                && service["spec"].get("clusterIP") != old["spec"].get("clusterIP")
            {
                continue;
            }
            // Both families were for a service that selects nothing.
            if field == "ipFamilies" && list(old, "/spec/ipFamilies").len() > 1 && selects(service)
            {
                continue;
            }
            set(&mut service["spec"], field, value.clone());
        }
    }
    if kind == "ClusterIP"
        || kind != text(old, "/spec/type") && text(old, "/spec/type") == "ClusterIP"
    {
        return;
    }
    let had: Vec<(Value, Value, Value)> = list(old, "/spec/ports")
        .iter()
        .map(|p| (p["port"].clone(), p["protocol"].clone(), p["nodePort"].clone()))
        .collect();
    for port in items_mut(service, "/spec/ports") {
        let same = had.iter().find(|(number, protocol, node)| {
            *number == port["port"] && *protocol == port["protocol"] && !node.is_null()
        });
        if let Some((_, _, node)) = same
            && number(port, "/nodePort").unwrap_or_default() == 0
        {
            set(port, "nodePort", node.clone());
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Fills `clusterIP` and `clusterIPs` from each other, or allocates.
fn addresses(service: &mut Value, context: &Context<'_>) {
    let single = text(service, "/spec/clusterIP").to_owned();
    let first =
        list(service, "/spec/clusterIPs").first().and_then(Value::as_str).map(str::to_owned);
    match (single.as_str(), first) {
        ("", None) => {
            if let Some(address) = free_address(service, context) {
                set(&mut service["spec"], "clusterIPs", json!([address]));
                set(&mut service["spec"], "clusterIP", address);
            }
        }
        ("", Some(first)) => set(&mut service["spec"], "clusterIP", first),
        (single, None) => {
            let only = json!([single]);
            set(&mut service["spec"], "clusterIPs", only);
        }
        _ => {}
    }
}

/// A number that depends on the object's namespace and name only, so that the same service gets the same address.
fn seed(service: &Value, salt: &str) -> u64 {
    let mut hash = Sha256::new();
    for part in [text(service, "/metadata/namespace"), text(service, "/metadata/name"), salt] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The first address, which is that of the API server's own service.
#[must_use]
pub fn api_address() -> String {
    let (a, b) = CLUSTER_NETWORK;
    format!("{a}.{b}.0.1")
}

/// The range that addresses are taken from.
#[must_use]
pub fn service_range() -> String {
    let (a, b) = CLUSTER_NETWORK;
    format!("{a}.{b}.0.0/16")
}

fn free_address(service: &Value, context: &Context<'_>) -> Option<String> {
    let (a, b) = CLUSTER_NETWORK;
    let start = seed(service, "") % 65536;
    // Neither the network, nor the API server's own address, nor broadcast.
    let usable = (0..65536).map(|i| (start + i) % 65536).filter(|n| !matches!(n, 0 | 1 | 65535));
    // Should every address be taken, the service goes without one.
    usable
        .map(|n| format!("{a}.{b}.{}.{}", n / 256, n % 256))
        .find(|address| !(context.cluster_ip_taken)(address))
}

pub(super) fn selects(service: &Value) -> bool {
    service.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|s| !s.is_empty())
}

/// Families follow from the address; a headless service without selector may have both.
fn families(service: &mut Value) {
    let address = text(service, "/spec/clusterIP").to_owned();
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    let both = address == "None" && !selects(service) && absent(service, "/spec/ipFamilyPolicy");
    if list(service, "/spec/ipFamilies").is_empty() {
        let families = if both { json!(["IPv4", "IPv6"]) } else { json!([family]) };
        set(&mut service["spec"], "ipFamilies", families);
    }
    let policy = if both { "RequireDualStack" } else { "SingleStack" };
    fill(&mut service["spec"], "ipFamilyPolicy", policy);
}

fn node_ports(service: &mut Value, context: &Context<'_>) {
    let count = u64::from(NODE_PORTS.end() - NODE_PORTS.start()) + 1;
    let start = seed(service, "node port") % count;
    let mut used: Vec<(u16, Value)> = list(service, "/spec/ports")
        .iter()
        .filter_map(|p| Some((u16::try_from(number(p, "/nodePort")?).ok()?, p["protocol"].clone())))
        .collect();
    for port in items_mut(service, "/spec/ports") {
        if number(port, "/nodePort").unwrap_or_default() != 0 {
            continue;
        }
        let protocol = port["protocol"].clone();
        let free = (0..count)
            .filter_map(|i| {
                NODE_PORTS.start().checked_add(u16::try_from((start + i) % count).ok()?)
            })
            .find(|n| !used.iter().any(|(u, _)| u == n) && !(context.node_port_taken)(*n));
        if let Some(free) = free {
            set(port, "nodePort", free);
            used.push((free, protocol));
        }
    }
}
