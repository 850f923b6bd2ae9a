//! JSON exactly as Go's `encoding/json` writes it, and hashes over it (fleet-semantics §3.5).
//!
//! Two controllers agree on a hash only when they agree on every byte: keys sorted, no white space, `<`, `>`, `&`,
//! U+2028 and U+2029 escaped, integers as integers, other numbers in the shortest form that reads back.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use crate::api::placement::PlacementPolicy;

/// Returns `value` as Go writes it.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Returns the lower-case hexadecimal SHA-256 of `text`.
pub fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Returns the hash of a whole resource snapshot group: pruned objects in snapshot order.
pub fn hash(objects: &[Value]) -> String {
    let mut out = String::from("{\"selectedResources\":[");
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(object, &mut out);
    }
    out.push_str("]}");
    sha256(&out)
}

/// Returns the hash of an override list on a binding; an empty one counts as absent.
pub fn override_hash<T: serde::Serialize>(overrides: Option<&Vec<T>>) -> String {
    let overrides = overrides.filter(|list| !list.is_empty());
    sha256(&serde_json::to_value(overrides).map_or_else(|_| "null".to_owned(), |v| text(&v)))
}

/// Returns the hash of a policy without its number of clusters, which may change without a new policy snapshot.
///
/// Top-level fields go in Go's order of declaration, which is the order of [`PlacementPolicy`]'s fields.
pub fn policy_hash(policy: Option<&PlacementPolicy>) -> String {
    let Some(policy) = policy else { return sha256("null") };
    let mut out = String::from("{");
    let field = |out: &mut String, name: &str, value: Option<Value>| {
        if let Some(value) = value {
            if out.len() > 1 {
                out.push(',');
            }
            string(name, out);
            out.push(':');
            write(&value, out);
        }
    };
    let some = |value: Value| match &value {
        Value::Null => None,
        Value::Array(list) if list.is_empty() => None,
        _ => Some(value),
    };
    let json = |value: serde_json::Result<Value>| value.ok().and_then(some);
    field(&mut out, "placementType", json(serde_json::to_value(&policy.placement_type)));
    field(&mut out, "clusterNames", json(serde_json::to_value(&policy.cluster_names)));
    field(&mut out, "affinity", json(serde_json::to_value(&policy.affinity)));
    let spread = serde_json::to_value(&policy.topology_spread_constraints);
    field(&mut out, "topologySpreadConstraints", json(spread));
    field(&mut out, "tolerations", json(serde_json::to_value(&policy.tolerations)));
    out.push('}');
    sha256(&out)
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => write_map(map, out),
    }
}

fn write_map(map: &Map<String, Value>, out: &mut String) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes a number as Kubernetes holds it: a 64-bit signed integer if it is one, else a float.
fn write_number(number: &Number, out: &mut String) {
    if let Some(integer) = number.as_i64() {
        let _ = write!(out, "{integer}");
    } else {
        float(number.as_f64().unwrap_or_default(), out);
    }
}

/// Writes a float as Go does: shortest digits that read back, exponent form below 1e-6 and from 1e21 on.
fn float(value: f64, out: &mut String) {
    if value == 0.0 {
        out.push_str(if value.is_sign_negative() { "-0" } else { "0" });
        return;
    }
    let magnitude = value.abs();
    if (1e-6..1e21).contains(&magnitude) {
        let _ = write!(out, "{value}");
        return;
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    let _ = write!(out, "{digits}e{sign}{exponent}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn namespace() -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": {"kubernetes.io/metadata.name": "test-namespace"},
            "name": "test-namespace"}, "spec": {"finalizers": ["kubernetes"]}})
    }

    fn config(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"key": value}, "metadata": {"name": "test-cm", "namespace": "test-namespace"}})
    }

    #[test]
    fn golden_hashes_of_content() {
        for (objects, want) in [
            (
                vec![namespace(), config("value2")],
                "10dd7a3d1e5f9849afe956cfbac080a60671ad771e9bda7dd34415f867c75648",
            ),
            (
                vec![namespace(), config("value1")],
                "0130c875defa5c7ebcfaa8e16ef8b3c3e10285f3a0e8cc6f39be8c802f03c479",
            ),
            (
                vec![config("value2")],
                "478a18eedf2725edc3639ab9cd78297b32875483c4b8b2a28b4a4afd56fbe298",
            ),
            (
                vec![config("value1")],
                "6d3be3825781451dcf24b6d79845bec4393454359bfb8b3518576d18e53c0013",
            ),
            (vec![namespace()], "1b18842a2263a5101f0ab450ca9160e3b476a4d64c2a702086744b4c59c192ae"),
            (vec![], "83ff749c5d8eb5a0b62d714175bcbaef1409b371fc5a229a002db6fcc1f144e1"),
        ] {
            assert_eq!(hash(&objects), want);
        }
    }

    #[test]
    fn golden_hashes_of_policies_and_overrides() {
        let policy = |kind: &str, number| PlacementPolicy {
            placement_type: Some(kind.to_owned()),
            number_of_clusters: number,
            ..Default::default()
        };
        let all = "8cc57dee59684ff88766e26936c8fb125f4bde234a2beb5c54aded4569db0d5a";
        let some = "479f405eb7808cfc58366b2648680a3a815ef914fe6756ae8df0d6f74885416a";
        let none = "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b";
        assert_eq!(policy_hash(Some(&policy("PickAll", None))), all);
        assert_eq!(policy_hash(Some(&policy("PickN", Some(3)))), some);
        assert_eq!(policy_hash(None), none);
        assert_eq!(override_hash::<String>(None), none);
        assert_eq!(override_hash(Some(&Vec::<String>::new())), none);
    }

    #[test]
    fn text_is_gos() {
        for (value, want) in [
            (json!("<a href=\"x\">&</a>"), r#""\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e""#),
            (json!("\u{2028}\u{2029}\u{7f}é\u{1F600}"), "\"\\u2028\\u2029\u{7f}é\u{1F600}\""),
            (json!("\n\r\t\u{8}\u{c}\u{1}\\"), r#""\n\r\t\b\f\u0001\\""#),
            (json!({"b": 1, "a": [true, null], "B": {}}), r#"{"B":{},"a":[true,null],"b":1}"#),
            (json!(9_007_199_254_740_993_i64), "9007199254740993"),
            (json!(i64::MIN), "-9223372036854775808"),
            (json!(u64::MAX), "18446744073709552000"),
            (json!(1.0), "1"),
            (json!(0.1), "0.1"),
            (json!(1.5e-7), "1.5e-7"),
            (json!(1e21), "1e+21"),
            (json!(-2.5e300), "-2.5e+300"),
            (json!(1e20), "100000000000000000000"),
        ] {
            assert_eq!(text(&value), want);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn what_is_written_reads_back(value in any_json()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text(&value)).unwrap(), value);
        }

        #[test]
        fn floats_read_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let written = text(&json!(value));
            prop_assert_eq!(written.parse::<f64>().unwrap(), value);
        }
    }
}
