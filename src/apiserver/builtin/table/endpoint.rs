//! Columns of Endpoints and EndpointSlices, which show the first few of many.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::value::{list, number, text},
    Column,
    shared::{age, text as column},
};

/// How many are shown.
const SHOWN: usize = 3;

/// The columns of Endpoints.
pub(super) fn columns() -> Vec<Column> {
    vec![column("Endpoints", "Addresses that are ready, with their ports.", addresses), age()]
}

/// The columns of EndpointSlices.
pub(super) fn slice() -> Vec<Column> {
    vec![
        column("AddressType", "IPv4, IPv6 or FQDN.", |slice, _| text(slice, "/addressType").into()),
        column("Ports", "Ports of the addresses.", slice_ports),
        column("Endpoints", "The addresses.", slice_addresses),
        age(),
    ]
}

fn addresses(endpoints: &Value, _: Timestamp) -> Value {
    let subsets = list(endpoints, "/subsets");
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let ips: Vec<&str> =
            list(subset, "/addresses").iter().map(|address| text(address, "/ip")).collect();
        let ports = list(subset, "/ports");
        if ports.is_empty() {
            all.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            let port = number(port, "/port").unwrap_or(0);
            all.extend(ips.iter().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{port}"),
                false => format!("{ip}:{port}"),
            }));
        }
    }
    first(&all).into()
}

fn first(all: &[String]) -> String {
    let shown = all.get(..SHOWN).unwrap_or(all).join(",");
    match all.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} + {more} more..."),
        _ => shown,
    }
}

/// The first of what a slice has, where nothing is told apart.
fn first_or_unset(all: &[String]) -> Value {
    if all.is_empty() { "<unset>".into() } else { first(all).into() }
}

fn slice_ports(slice: &Value, _: Timestamp) -> Value {
    let ports = list(slice, "/ports").iter().map(|port| match number(port, "/port") {
        Some(number) => number.to_string(),
        None => port.get("name").and_then(Value::as_str).unwrap_or("*").to_owned(),
    });
    first_or_unset(&ports.collect::<Vec<_>>())
}

fn slice_addresses(slice: &Value, _: Timestamp) -> Value {
    let addresses = list(slice, "/endpoints").iter().flat_map(|e| list(e, "/addresses"));
    let addresses: Vec<String> =
        addresses.map(|a| a.as_str().unwrap_or_default().to_owned()).collect();
    first_or_unset(&addresses)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_three_are_shown() {
        let of = |subsets: Value| addresses(&json!({"subsets": subsets}), Timestamp::UNIX_EPOCH);
        let ips = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]);
        assert_eq!(of(json!([])), "<none>");
        assert_eq!(of(json!([{"addresses": ips}])), "10.0.0.1,fd00::1");
        let ports = json!([{"port": 80}, {"port": 443}]);
        assert_eq!(
            of(json!([{"addresses": ips, "ports": ports}])),
            "10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more..."
        );
    }
}
