//! Ranges of addresses for services, and the addresses in them.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    super::value::{text, texts},
    format::{self, all},
};
use crate::apiserver::schema::FieldError;

const IMMUTABLE: &str = "field is immutable";

/// Validates an IPAddress.
pub(super) fn validate_address(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.parentRef";
    let parent = |object: &Value| object.pointer("/spec/parentRef").cloned().unwrap_or_default();
    let given = parent(new);
    if !given.is_object() {
        errors.push(FieldError::required(PATH, ""));
    } else {
        let group = text(&given, "/group");
        if !group.is_empty() {
            all(format::dns_subdomain(group), &format!("{PATH}.group"), group, errors);
        }
        for (field, needed) in [("resource", true), ("name", true), ("namespace", false)] {
            let path = format!("{PATH}.{field}");
            match text(&given, &format!("/{field}")) {
                "" if needed => errors.push(FieldError::required(path, "")),
                "" => {}
                value => all(format::path_segment(value), &path, value, errors),
            }
        }
    }
    if old.is_some_and(|old| parent(old) != given) {
        errors.push(FieldError::invalid(PATH, &given, IMMUTABLE));
    }
}

/// Faults of the name of an IPAddress, which is the address in its shortest form.
pub(super) fn address_name(name: &str) -> Vec<String> {
    match name.parse::<IpAddr>() {
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        Ok(address) if address.to_string() != name => {
            vec![format!("must be in canonical form (\"{address}\")")]
        }
        Ok(_) => Vec::new(),
    }
}

/// Validates a ServiceCIDR. Its ranges stay; a second one of the other family may come.
pub(super) fn validate_range(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.cidrs";
    let given = texts(new, "/spec/cidrs");
    let Some(had) = old.map(|old| texts(old, "/spec/cidrs")) else {
        return ranges(&given, PATH, errors);
    };
    let grows = had.len() == 1 && given.len() == 2;
    if had.len() != given.len() && !grows {
        errors.push(FieldError::invalid(PATH, &given.into(), IMMUTABLE));
        return;
    }
    for (index, (had, given)) in had.iter().zip(&given).enumerate() {
        if had != given {
            let path = format!("{PATH}[{index}]");
            errors.push(FieldError::invalid(path, &given.as_str().into(), IMMUTABLE));
        }
    }
    if grows {
        ranges(&given, PATH, errors);
    }
}

fn ranges(given: &[String], path: &str, errors: &mut Vec<FieldError>) {
    if given.is_empty() {
        errors.push(FieldError::required(path, "at least one CIDR required"));
        return;
    }
    if given.len() > 2 {
        let spec = serde_json::json!({"CIDRs": given});
        errors.push(FieldError::invalid(path, &spec, "may only hold up to 2 values"));
        return;
    }
    for (index, range) in given.iter().enumerate() {
        let path = format!("{path}[{index}]");
        for fault in range_faults(range) {
            errors.push(FieldError::invalid(&*path, &range.as_str().into(), &fault));
        }
    }
    let families: Vec<bool> =
        given.iter().filter_map(|range| Some(split(range)?.0.is_ipv6())).collect();
    if matches!(families[..], [first, second] if first == second) {
        let said = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(path, &given.to_vec().into(), said));
    }
}

/// The address and the length of the prefix.
fn split(range: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = range.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    (length <= bits).then_some((address, length))
}

fn range_faults(range: &str) -> Vec<String> {
    let Some((address, length)) = split(range) else {
        return vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()];
    };
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    if bits.checked_shl(length).is_some_and(|beyond| beyond != 0) {
        return vec!["must not have bits set beyond the prefix length".to_owned()];
    }
    let canonical = format!("{address}/{length}");
    match canonical == range {
        true => Vec::new(),
        false => vec![format!("must be in canonical form (\"{canonical}\")")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_addresses_are_judged() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "2001:db8::/64", "::1/128"] {
            assert!(range_faults(good).is_empty(), "{good}");
        }
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "nowhere/8", "2001:DB8::/64"] {
            assert!(!range_faults(bad).is_empty(), "{bad}");
        }
        assert!(address_name("2001:db8::1").is_empty());
        assert!(!address_name("2001:DB8::1").is_empty());
        assert!(!address_name("10.0.0.01").is_empty());
    }
}
