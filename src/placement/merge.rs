//! Three-way merge: what an object becomes when its manifest is applied (fleet-semantics §7.4).
//!
//! Fields that were applied last time and are not in the manifest any more go; fields of the manifest win; everything
//! else stays as others left it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How lists of objects merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// Item by item where Kubernetes' own types have a merge key.
    ByKey,
    /// As a whole: custom resources.
    Whole,
}

/// Groups of Kubernetes' own types.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

impl Lists {
    /// Returns how lists of a group's types merge.
    pub fn of(group: &str) -> Self {
        if BUILT_IN.contains(&group) { Self::ByKey } else { Self::Whole }
    }
}

/// How one list merges.
enum Rule {
    Whole,
    /// Plain values, each once.
    Set,
    /// Objects, by the first of these fields that the items have.
    Key(&'static [&'static str]),
}

/// Returns the rule of the list in field `name`, under `parent`.
fn rule(lists: Lists, parent: &str, name: &str) -> Rule {
    match (parent, name) {
        ("metadata", "ownerReferences") => return Rule::Key(&["uid"]),
        ("metadata", "finalizers") => return Rule::Set,
        _ if lists == Lists::Whole => return Rule::Whole,
        _ => {}
    }
    match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims"
        | "webhooks" => Rule::Key(&["name"]),
        "volumeMounts" => Rule::Key(&["mountPath"]),
        "volumeDevices" => Rule::Key(&["devicePath"]),
        "hostAliases" => Rule::Key(&["ip"]),
        "topologySpreadConstraints" => Rule::Key(&["topologyKey"]),
        "conditions" => Rule::Key(&["type"]),
        // A container's ports merge by containerPort, a Service's by port; a NetworkPolicy's do not merge.
        "ports" if parent == "containers" || parent == "initContainers" => {
            Rule::Key(&["containerPort"])
        }
        "ports" if parent == "spec" => Rule::Key(&["port"]),
        _ => Rule::Whole,
    }
}

/// Returns what `live` becomes when `desired` is applied to it, after `base` was applied last time.
pub fn three_way(base: Option<&Value>, live: &Value, desired: &Value, lists: Lists) -> Value {
    merge(base, Some(live), desired, lists, "", "")
}

fn merge(
    base: Option<&Value>,
    live: Option<&Value>,
    desired: &Value,
    lists: Lists,
    parent: &str,
    name: &str,
) -> Value {
    match desired {
        Value::Object(desired) => {
            let empty = Map::new();
            let live = live.and_then(Value::as_object).unwrap_or(&empty);
            let base = base.and_then(Value::as_object).unwrap_or(&empty);
            // The items of a list carry its name, so that their own lists know where they are.
            Value::Object(merge_maps(base, live, desired, lists, name))
        }
        Value::Array(desired) => {
            let items = |value: Option<&Value>| {
                value.and_then(Value::as_array).cloned().unwrap_or_default()
            };
            let (base, live) = (items(base), items(live));
            Value::Array(match rule(lists, parent, name) {
                Rule::Whole => desired.clone(),
                Rule::Set => merge_sets(&base, &live, desired),
                Rule::Key(keys) => {
                    let all = || base.iter().chain(&live).chain(desired);
                    let key = keys.iter().find(|key| all().all(|item| item.get(key).is_some()));
                    match key.filter(|key| unique(desired, key)) {
                        Some(key) => merge_items(&base, &live, desired, key, lists, name),
                        None => desired.clone(),
                    }
                }
            })
        }
        other => other.clone(),
    }
}

fn merge_maps(
    base: &Map<String, Value>,
    live: &Map<String, Value>,
    desired: &Map<String, Value>,
    lists: Lists,
    name: &str,
) -> Map<String, Value> {
    let mut merged = live.clone();
    merged.retain(|key, _| !base.contains_key(key) || desired.contains_key(key));
    for (key, value) in desired {
        if value.is_null() {
            merged.remove(key);
        } else {
            let value = merge(base.get(key), live.get(key), value, lists, name, key);
            merged.insert(key.clone(), value);
        }
    }
    merged
}

fn merge_sets(base: &[Value], live: &[Value], desired: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = live
        .iter()
        .filter(|item| !base.contains(item) || desired.contains(item))
        .cloned()
        .collect();
    for item in desired {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    merged
}

fn unique(items: &[Value], key: &str) -> bool {
    let keys: BTreeSet<String> =
        items.iter().filter_map(|item| item.get(key)).map(Value::to_string).collect();
    keys.len() == items.len()
}

fn merge_items(
    base: &[Value],
    live: &[Value],
    desired: &[Value],
    key: &str,
    lists: Lists,
    name: &str,
) -> Vec<Value> {
    let find = |items: &[Value], like: &Value| {
        items.iter().find(|item| item.get(key) == like.get(key)).cloned()
    };
    let mut wanted: Vec<Value> = desired
        .iter()
        .map(|item| {
            let (base, live) = (find(base, item), find(live, item));
            merge(base.as_ref(), live.as_ref(), item, lists, "", name)
        })
        .collect();
    let kept: Vec<&Value> = live
        .iter()
        .filter(|item| find(desired, item).is_some() || find(base, item).is_none())
        .collect();
    // Others may have put items in between: their places stay unless the manifest's own order changed.
    let order: Vec<_> = kept.iter().filter(|item| find(desired, item).is_some()).collect();
    let held: Vec<_> = desired.iter().filter(|item| find(live, item).is_some()).collect();
    let same_order =
        order.iter().map(|item| item.get(key)).eq(held.iter().map(|item| item.get(key)));
    if !same_order {
        let others = kept.into_iter().filter(|item| find(desired, item).is_none());
        wanted.extend(others.cloned());
        return wanted;
    }
    let mut merged: Vec<Value> =
        kept.into_iter().map(|item| find(&wanted, item).unwrap_or_else(|| item.clone())).collect();
    wanted.retain(|item| find(live, item).is_none());
    merged.extend(wanted);
    merged
}

/// Returns the RFC 7386 merge patch from `before` to `after`, or nothing when they are the same.
pub fn patch(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut changed = Map::new();
    for (key, value) in after {
        match before.get(key) {
            None => {
                changed.insert(key.clone(), value.clone());
            }
            Some(held) => {
                if let Some(change) = patch(held, value) {
                    changed.insert(key.clone(), change);
                }
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        changed.insert(key.clone(), Value::Null);
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_applied_goes_and_what_others_wrote_stays() {
        for (base, live, desired, want) in [
            (
                json!({"data": {"mine": "1", "old": "1"}}),
                json!({"data": {"mine": "9", "old": "1", "theirs": "1"}}),
                json!({"data": {"mine": "2"}}),
                json!({"data": {"mine": "2", "theirs": "1"}}),
            ),
            (
                json!({"data": {"a": "1"}}),
                json!({"data": {"a": "1"}, "other": 1}),
                json!({}),
                json!({"other": 1}),
            ),
            (json!(null), json!({"a": 1}), json!({"b": {"c": 2}}), json!({"a": 1, "b": {"c": 2}})),
            (json!({}), json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
            (
                json!({"spec": {"containers": [{"name": "web", "image": "1", "env": [{"name": "A", "value": "1"}]}, {"name": "gone"}]}}),
                json!({"spec": {"containers": [{"name": "injected"}, {"name": "web", "image": "1", "env": [{"name": "A", "value": "1"},
                    {"name": "THEIRS"}], "defaulted": true}, {"name": "gone"}]}}),
                json!({"spec": {"containers": [{"name": "web", "image": "2"}, {"name": "new"}]}}),
                json!({"spec": {"containers": [{"name": "injected"}, {"name": "web", "image": "2", "defaulted": true}, {"name": "new"}]}}),
            ),
            (
                json!({}),
                json!({"spec": {"containers": [{"name": "a"}, {"name": "theirs"}, {"name": "b"}]}}),
                json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}}),
                json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}, {"name": "theirs"}]}}),
            ),
            (
                json!({"metadata": {"finalizers": ["mine"]}}),
                json!({"metadata": {"finalizers": ["theirs", "mine"]}}),
                json!({"metadata": {"finalizers": ["new"]}}),
                json!({"metadata": {"finalizers": ["theirs", "new"]}}),
            ),
            (
                json!({}),
                json!({"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}),
                json!({"spec": {"ports": [{"port": 80}, {"port": 443}]}}),
                json!({"spec": {"ports": [{"port": 80, "nodePort": 30000}, {"port": 443}]}}),
            ),
            (
                json!({}),
                json!({"spec": {"args": ["a", "b"]}}),
                json!({"spec": {"args": ["c"]}}),
                json!({"spec": {"args": ["c"]}}),
            ),
        ] {
            let merged = three_way(Some(&base), &live, &desired, Lists::ByKey);
            assert_eq!(merged, want, "{base} {live} {desired}");
        }
    }

    #[test]
    fn custom_resources_merge_lists_as_a_whole_but_keep_other_owners() {
        let live = json!({"metadata": {"ownerReferences": [{"uid": "theirs"}]}, "spec": {"containers": [{"name": "a"}]}});
        let desired = json!({"metadata": {"ownerReferences": [{"uid": "ours"}]}, "spec": {"containers": [{"name": "b"}]}});
        let merged = three_way(None, &live, &desired, Lists::of("example.com"));
        let want = json!({"metadata": {"ownerReferences": [{"uid": "theirs"}, {"uid": "ours"}]}, "spec": {"containers": [{"name": "b"}]}});
        assert_eq!(merged, want);
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "metadata",
            "spec",
            "containers",
            "env",
            "finalizers",
            "ports",
            "name",
            "port",
            "a",
            "b",
        ]);
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab]".prop_map(Value::from),
        ];
        let inner = leaf.prop_recursive(4, 30, 4, {
            let key = key.clone();
            move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                    prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                        .prop_map(|map| Value::Object(map.into_iter().collect())),
                ]
            }
        });
        prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    fn lists() -> impl Strategy<Value = Lists> {
        prop_oneof![Just(Lists::ByKey), Just(Lists::Whole)]
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn applying_twice_is_applying_once(base in any_object(), live in any_object(), desired in any_object(), lists in lists()) {
            let once = three_way(Some(&base), &live, &desired, lists);
            prop_assert_eq!(three_way(Some(&desired), &once, &desired, lists), once);
        }

        #[test]
        fn what_only_we_applied_leaves_no_trace(base in any_object(), desired in any_object(), lists in lists()) {
            let fresh = three_way(None, &Value::Null, &desired, lists);
            prop_assert_eq!(three_way(Some(&base), &base, &desired, lists), fresh);
        }

        #[test]
        fn the_patch_leads_there(before in any_object(), after in any_object()) {
            let mut patched = before.clone();
            if let Some(patch) = patch(&before, &after) {
                json_patch::merge(&mut patched, &patch);
            }
            prop_assert_eq!(patched, after);
        }
    }
}
