//! Does an object stand on the hub as we would apply it? Then a new process need not write to find out.
//!
//! The API server keeps under our name which fields we applied (KEP-555), and takes away each one that somebody else changes
//! since. So an object stands when those are exactly the fields that are wanted now, and each has the wanted value. Whatever
//! cannot be told by this does not stand: applying it once more does no harm.

use kube::core::ObjectMeta;
use serde_json::{Map, Value};

use super::drift::Trace;
use crate::api::meta;

/// Marks the item itself among its fields.
const ITSELF: &str = ".";
/// Where an object says what was applied. As long as that is ours, and the digest of what is wanted, nothing else was
/// applied since.
const SEAL: &str = "/metadata/annotations/gitops.tidegate.dev~1spec-digest";
const NAMES: [&str; 2] = ["name", "namespace"];

/// Returns whether applying `wanted` would change nothing about `stored`, read in the version of `wanted`.
pub fn stands(wanted: &Value, stored: &Value) -> bool {
    if stored["apiVersion"] != wanted["apiVersion"] {
        return false;
    }
    let metadata = serde_json::from_value::<ObjectMeta>(stored["metadata"].clone());
    let Ok(metadata) = metadata else { return false };
    let bare = bare(wanted);
    let Value::Object(fields) = Trace::of(&metadata).ours else {
        // Whoever sets no field is not kept.
        return bare.as_object().is_some_and(Map::is_empty);
    };
    let version = wanted["apiVersion"].as_str();
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    // Fields are called what they are called in the version that they were applied in.
    let is_of_version = entries.iter().any(|entry| {
        entry.manager.as_deref() == Some(meta::GITOPS_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.api_version.as_deref() == version
    });
    let is_sealed = wanted.pointer(SEAL).is_some();
    let reading = if is_sealed { Reading::Filled } else { Reading::Exact };
    is_of_version && !fields.is_empty() && reading.same(&fields, &bare, stored)
}

/// Returns an object without what it is called, which is never kept among the fields of a manager.
fn bare(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    if let Some(object) = wanted.as_object_mut() {
        object.retain(|field, _| field != "apiVersion" && field != "kind");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| !NAMES.contains(&field.as_str()));
            if metadata.is_empty() {
                object.remove("metadata");
            }
        }
    }
    wanted
}

/// How values that are ours as a whole are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As they are.
    Exact,
    /// As they are, but for what the hub filled in. Only where it is known that nothing else was applied.
    Filled,
}

impl Reading {
    /// Returns whether these fields of ours are those of `wanted`, with its values.
    fn same(self, fields: &Map<String, Value>, wanted: &Value, stored: &Value) -> bool {
        let inner: Vec<(&str, &Value)> = fields
            .iter()
            .filter(|(key, _)| *key != ITSELF)
            .map(|(key, inner)| (key.as_str(), inner))
            .collect();
        match inner.first() {
            None => !wanted.is_null() && self.equals(wanted, stored),
            Some((key, _)) if key.starts_with("f:") => self.members(&inner, wanted, stored),
            Some((key, _)) if key.starts_with("k:") => self.items(&inner, wanted, stored),
            Some((key, _)) if key.starts_with("v:") => values(&inner, wanted, stored),
            // By index: such lists are rare, and kept by no type that we know.
            Some(_) => false,
        }
    }

    fn members(self, fields: &[(&str, &Value)], wanted: &Value, stored: &Value) -> bool {
        let Some(wanted) = wanted.as_object() else { return false };
        wanted.len() == fields.len()
            && fields.iter().all(|(key, inner)| {
                let Some(name) = key.strip_prefix("f:") else { return false };
                let (Some(wanted), Some(stored)) = (wanted.get(name), stored.get(name)) else {
                    return false;
                };
                inner.as_object().is_some_and(|inner| self.same(inner, wanted, stored))
            })
    }

    /// Items of a list, told apart by the fields that are their key. A wanted one may leave out those with a default.
    fn items(self, fields: &[(&str, &Value)], wanted: &Value, stored: &Value) -> bool {
        let (Some(wanted), Some(stored)) = (wanted.as_array(), stored.as_array()) else {
            return false;
        };
        let mut places = vec![None; wanted.len()];
        for (key, inner) in fields {
            let keys =
                key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Value>(keys).ok());
            let Some((keys, inner)) =
                keys.as_ref().and_then(Value::as_object).zip(inner.as_object())
            else {
                return false;
            };
            let has_all =
                |item: &Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
            let may_be = |item: &&Value| {
                keys.iter().all(|(key, value)| item.get(key).is_none_or(|own| own == value))
            };
            let mut fitting = wanted.iter().enumerate().filter(|(_, item)| may_be(item));
            let (Some((at, item)), None) = (fitting.next(), fitting.next()) else { return false };
            let Some(place) = stored.iter().position(has_all) else { return false };
            if places[at].replace(place).is_some() || !self.same(inner, item, &stored[place]) {
                return false;
            }
        }
        are_in_order(&places)
    }

    fn equals(self, wanted: &Value, stored: &Value) -> bool {
        match (wanted, stored) {
            (Value::Object(wanted), Value::Object(stored)) if self == Self::Filled => {
                wanted.iter().all(|(key, value)| {
                    stored.get(key).is_some_and(|stored| self.equals(value, stored))
                })
            }
            (Value::Array(wanted), Value::Array(stored)) if self == Self::Filled => {
                let mut pairs = wanted.iter().zip(stored);
                wanted.len() == stored.len()
                    && pairs.all(|(wanted, stored)| self.equals(wanted, stored))
            }
            _ => wanted == stored,
        }
    }
}

fn values(fields: &[(&str, &Value)], wanted: &Value, stored: &Value) -> bool {
    let (Some(wanted), Some(stored)) = (wanted.as_array(), stored.as_array()) else { return false };
    let mut places = vec![None; wanted.len()];
    for (key, _) in fields {
        let value =
            key.strip_prefix("v:").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(value) = value else { return false };
        let at = wanted.iter().position(|item| *item == value);
        let (Some(at), Some(place)) = (at, stored.iter().position(|item| *item == value)) else {
            return false;
        };
        places[at] = Some(place);
    }
    are_in_order(&places)
}

/// Returns whether each wanted item has its place, one after the other.
fn are_in_order(places: &[Option<usize>]) -> bool {
    places.iter().all(Option::is_some) && places.is_sorted_by(|one, next| one < next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(mut object: Value, fields: Value) -> Value {
        object["metadata"]["managedFields"] = json!([
            {"manager": "tidegate", "operation": "Apply", "apiVersion": object["apiVersion"], "fieldsV1": fields},
            {"manager": "tidegate", "operation": "Update", "subresource": "status", "apiVersion": "v1", "fieldsV1": {"f:status": {}}},
        ]);
        object
    }

    fn map(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "n"}, "data": data})
    }

    #[test]
    fn an_object_stands_when_our_fields_are_the_wanted_ones_with_the_wanted_values() {
        let ours = json!({"f:data": {"f:a": {}}});
        for (wanted, held, fields, want) in [
            (json!({"a": "1"}), json!({"a": "1"}), ours.clone(), true),
            (json!({"a": "1"}), json!({"a": "1", "theirs": "2"}), ours.clone(), true),
            (json!({"a": "1"}), json!({"a": "2"}), ours.clone(), false),
            (json!({"a": "1"}), json!({}), ours.clone(), false),
            // Somebody set it, and set it back: it is theirs by now.
            (
                json!({"a": "1", "b": "2"}),
                json!({"a": "1", "b": "2"}),
                json!({"f:data": {"f:b": {}}}),
                false,
            ),
            (json!({"a": "1", "b": "2"}), json!({"a": "1", "b": "2"}), ours.clone(), false),
            // Ours, and no longer wanted.
            (json!({}), json!({"a": "1"}), ours.clone(), false),
            (json!({"a": null}), json!({"a": null}), ours.clone(), false),
            (json!({"a": "1"}), json!({"a": "1"}), json!({}), false),
            (json!({"a": "1"}), json!({"a": "1"}), json!({"i:0": {}}), false),
        ] {
            let held = stored(map(held), fields.clone());
            assert_eq!(stands(&map(wanted.clone()), &held), want, "{wanted} {fields}");
        }
        let mut other = stored(map(json!({"a": "1"})), ours);
        other["metadata"]["managedFields"][0]["apiVersion"] = "v2".into();
        assert!(!stands(&map(json!({"a": "1"})), &other), "fields of another version");
        other["metadata"]["managedFields"][0]["apiVersion"] = "v1".into();
        other["metadata"]["managedFields"][0]["manager"] = "kubectl".into();
        assert!(!stands(&map(json!({"a": "1"})), &other), "another's fields");
    }

    #[test]
    fn one_that_sets_nothing_stands_when_it_is_there() {
        let bare = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
        let mut held = bare.clone();
        held["metadata"]["labels"] = json!({"theirs": "1"});
        assert!(stands(&bare, &held));
        let labelled = stored(bare.clone(), json!({"f:metadata": {"f:labels": {"f:a": {}}}}));
        assert!(!stands(&bare, &labelled), "a label of ours is no longer wanted");
        let mut wanted = bare;
        wanted["metadata"]["labels"] = json!({"a": "1"});
        assert!(!stands(&wanted, &held));
    }

    #[test]
    fn what_the_hub_filled_in_counts_unless_it_is_known_what_was_applied() {
        let of = |list: Value, seal: &[&str]| {
            let mut object =
                json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "m"}, "list": list});
            for digest in seal {
                object["metadata"]["annotations"] =
                    json!({"gitops.tidegate.dev/spec-digest": digest});
            }
            object
        };
        let seal = json!({"f:annotations": {"f:gitops.tidegate.dev/spec-digest": {}}});
        let sealed = json!({"f:list": {}, "f:metadata": seal});
        let (wanted, filled) = (json!([{"a": 1}]), json!([{"a": 1, "default": 2}]));
        for (wanted, held, fields, want) in [
            (of(wanted.clone(), &[]), of(filled.clone(), &[]), json!({"f:list": {}}), false),
            (of(wanted.clone(), &["x"]), of(filled.clone(), &["x"]), sealed.clone(), true),
            (of(wanted.clone(), &["x"]), of(filled.clone(), &["y"]), sealed.clone(), false),
            (of(wanted.clone(), &["x"]), of(filled.clone(), &["x"]), json!({"f:list": {}}), false),
            (of(wanted, &["x"]), of(json!([{"a": 2, "default": 2}]), &["x"]), sealed, false),
        ] {
            assert_eq!(stands(&wanted, &stored(held.clone(), fields)), want, "{wanted} {held}");
        }
    }

    #[test]
    fn items_are_found_by_their_keys_and_keep_their_order() {
        let port = |port: u32, name: &str| json!({"port": port, "name": name});
        let kept = |port: u32, name: &str| json!({"port": port, "name": name, "protocol": "TCP"});
        let key = |port: u32| format!("k:{{\"port\":{port},\"protocol\":\"TCP\"}}");
        let fields = json!({".": {}, "f:port": {}, "f:name": {}});
        let ours = json!({"f:ports": {(key(80)): fields, (key(81)): fields}});
        let of = |items: Value| json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "m"}, "ports": items});
        for (wanted, held, want) in [
            (json!([port(80, "a"), port(81, "b")]), json!([kept(80, "a"), kept(81, "b")]), true),
            (
                json!([port(80, "a"), port(81, "b")]),
                json!([kept(80, "a"), kept(9, "theirs"), kept(81, "b")]),
                true,
            ),
            (json!([port(81, "b"), port(80, "a")]), json!([kept(80, "a"), kept(81, "b")]), false),
            (json!([port(80, "a"), port(81, "c")]), json!([kept(80, "a"), kept(81, "b")]), false),
            (json!([port(80, "a")]), json!([kept(80, "a"), kept(81, "b")]), false),
            (json!([port(80, "a"), port(81, "b")]), json!([kept(80, "a")]), false),
            (json!([port(80, "a"), port(80, "a")]), json!([kept(80, "a"), kept(81, "b")]), false),
            (json!([kept(80, "a"), port(81, "b")]), json!([kept(80, "a"), kept(81, "b")]), false),
        ] {
            let held = stored(of(held), ours.clone());
            assert_eq!(stands(&of(wanted.clone()), &held), want, "{wanted}");
        }
    }

    #[test]
    fn sets_and_whole_values_are_compared_as_they_are() {
        let of = |value: Value| json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "m"}, "x": value});
        let set = json!({"v:\"a\"": {}, "v:\"b\"": {}});
        for (wanted, held, fields, want) in [
            (json!(["a", "b"]), json!(["a", "c", "b"]), set.clone(), true),
            (json!(["b", "a"]), json!(["a", "b"]), set.clone(), false),
            (json!(["a"]), json!(["a", "b"]), set.clone(), false),
            (json!(["a", "b", "c"]), json!(["a", "b", "c"]), set.clone(), false),
            (json!(["a", "b"]), json!(["a", "b"]), json!({}), true),
            (json!(["a", "b"]), json!(["a"]), json!({}), false),
            (json!({}), json!({}), json!({".": {}}), true),
            (json!({}), json!({"theirs": 1}), json!({".": {}}), false),
            (json!(1), json!(1), json!({}), true),
            (json!("500m"), json!("0.5"), json!({}), false),
        ] {
            let held = stored(of(held), json!({ "f:x": fields }));
            assert_eq!(stands(&of(wanted.clone()), &held), want, "{wanted} {fields}");
        }
    }
}
