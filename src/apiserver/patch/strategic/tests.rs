//! Tables over a kind with every strategy.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::apply;
use crate::apiserver::{
    schema::Schema,
    testing::{any_json, typed_schema},
};

fn patched(spec: Value, patch: Value) -> Value {
    let doc = json!({"kind": "Thing", "spec": spec});
    apply(&doc, &json!({"spec": patch}), typed_schema()).unwrap()["spec"].clone()
}

#[test]
fn patches_merge_by_strategy() {
    let list = json!([{"name": "a", "value": 1}, {"name": "b", "value": 2}]);
    for (spec, patch, expected) in [
        // Maps merge, null removes, scalars and plain lists are replaced.
        (
            json!({"replicas": 1, "labels": {"a": "1", "b": "1"}, "plain": [1]}),
            json!({"replicas": null, "labels": {"a": null, "c": "1"}, "plain": [2]}),
            json!({"labels": {"b": "1", "c": "1"}, "plain": [2]}),
        ),
        // Items merge by key; new ones keep the place that the patch gives them.
        (
            json!({"list": list}),
            json!({"list": [{"name": "b", "protocol": "UDP"}, {"name": "c"}]}),
            json!({"list": [{"name": "a", "value": 1}, {"name": "b", "value": 2, "protocol": "UDP"}, {"name": "c"}]}),
        ),
        (
            json!({"list": list}),
            json!({"list": [{"name": "a", "$patch": "delete"}]}),
            json!({"list": [{"name": "b", "value": 2}]}),
        ),
        (
            json!({"list": list}),
            json!({"list": [{"name": "x"}, {"$patch": "replace"}]}),
            json!({"list": [{"name": "x"}]}),
        ),
        (json!({"list": list}), json!({"list": []}), json!({"list": list})),
        (
            json!({"list": list}),
            json!({"$setElementOrder/list": [{"name": "b"}, {"name": "a"}]}),
            json!({"list": [{"name": "b", "value": 2}, {"name": "a", "value": 1}]}),
        ),
        (
            json!({"list": list}),
            json!({"$setElementOrder/list": [{"name": "c"}, {"name": "a"}], "list": [{"name": "c"}]}),
            json!({"list": [{"name": "c"}, {"name": "a", "value": 1}, {"name": "b", "value": 2}]}),
        ),
        // Scalars are a set.
        (json!({"set": ["a", "b"]}), json!({"set": ["b", "c"]}), json!({"set": ["a", "b", "c"]})),
        (
            json!({"set": ["a", "b", "c"]}),
            json!({"$deleteFromPrimitiveList/set": ["a", "x"]}),
            json!({"set": ["b", "c"]}),
        ),
        (
            json!({"set": ["a", "b"]}),
            json!({"$deleteFromPrimitiveList/set": ["a"], "$setElementOrder/set": ["c", "b"], "set": ["c"]}),
            json!({"set": ["c", "b"]}),
        ),
        // Other keys go.
        (
            json!({"strategy": {"type": "Rolling", "rolling": 1}}),
            json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
            json!({"strategy": {"type": "Recreate"}}),
        ),
        // A map replaced or emptied.
        (
            json!({"labels": {"a": "1"}}),
            json!({"labels": {"$patch": "replace", "b": "1"}}),
            json!({"labels": {"b": "1"}}),
        ),
        (
            json!({"labels": {"a": "1"}}),
            json!({"labels": {"$patch": "delete"}}),
            json!({"labels": {}}),
        ),
        // What is new comes without directives and nulls.
        (
            json!({}),
            json!({"labels": {"a": "1", "b": null}, "list": [{"name": "x", "$patch": "delete"}, {"name": "y"}]}),
            json!({"labels": {"a": "1"}, "list": [{"name": "y"}]}),
        ),
        (json!({}), json!({"labels": {"$patch": "delete"}}), json!({})),
    ] {
        assert_eq!(patched(spec.clone(), patch.clone()), expected, "{spec} {patch}");
    }
}

#[test]
fn metadata_has_its_strategies() {
    let doc =
        json!({"metadata": {"finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "n"}]}});
    let patch = json!({"metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "2"}],
        "$deleteFromPrimitiveList/finalizers": ["a"]}});
    // An item that the document does not know goes before those that the patch does not name, as upstream.
    assert_eq!(
        apply(&doc, &patch, typed_schema()).unwrap(),
        json!({"metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "2"}, {"uid": "1", "name": "n"}]}})
    );
}

#[test]
fn what_is_no_patch_is_refused() {
    let doc = json!({"spec": {"list": [{"name": "a"}], "labels": {"a": "1"}, "strategy": {}}});
    for (patch, code, text) in [
        (json!([]), 400, "invalid JSON document"),
        (
            json!({"spec": {"strategy": {"$retainKeys": "x"}}}),
            400,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"spec": {"strategy": {"$retainKeys": [], "type": "x"}}}),
            400,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"spec": {"$setElementOrder/list": {}}}),
            400,
            "invalid patch format of setElementOrder list",
        ),
        (
            json!({"spec": {"$setElementOrder": []}}),
            400,
            "invalid patch format of setElementOrder list",
        ),
        (
            json!({"spec": {"$deleteFromPrimitiveList": []}}),
            400,
            "invalid patch format of primitive list",
        ),
        (
            json!({"spec": {"list": [{"value": 1}]}}),
            500,
            "map: map[value:1] does not contain declared merge key: name",
        ),
        (json!({"spec": {"list": [[]]}}), 422, "lists of lists are not supported"),
        (json!({"spec": {"list": ["x"]}}), 422, "expected a map"),
        (
            json!({"spec": {"list": [{"$patch": "merge"}]}}),
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        (json!({"spec": {"labels": {"$patch": "x"}}}), 500, "unknown patch type: x in map: "),
        (
            json!({"spec": {"$setElementOrder/list": [{"name": "a"}], "list": [{"name": "b"}]}}),
            422,
            "The order in patch list:",
        ),
    ] {
        let error = apply(&doc, &patch, typed_schema()).expect_err(text);
        assert_eq!(error.code(), code, "{patch}");
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

/// The patch that kubectl would compute: changes, removals, and the order of lists.
fn diff(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match (key.as_str(), old.get(key), value) {
            (_, Some(before), _) if before == value => {}
            ("labels", Some(Value::Object(before)), Value::Object(after)) => {
                patch.insert(key.clone(), Value::Object(diff(before, after)));
            }
            ("list", Some(Value::Array(before)), Value::Array(after)) => {
                let named = |list: &[Value], name: &Value| {
                    list.iter().find(|i| i["name"] == *name).cloned()
                };
                let mut items = Vec::new();
                for item in after {
                    match named(before, &item["name"]) {
                        Some(Value::Object(b)) if Value::Object(b.clone()) != *item => {
                            let mut change = diff(&b, item.as_object().unwrap());
                            change.insert("name".to_owned(), item["name"].clone());
                            items.push(Value::Object(change));
                        }
                        Some(_) => {}
                        None => items.push(item.clone()),
                    }
                }
                for item in before.iter().filter(|i| named(after, &i["name"]).is_none()) {
                    items.push(json!({"name": item["name"], "$patch": "delete"}));
                }
                let order: Vec<Value> = after.iter().map(|i| json!({"name": i["name"]})).collect();
                patch.insert("$setElementOrder/list".to_owned(), json!(order));
                patch.insert(key.clone(), json!(items));
            }
            ("set", Some(Value::Array(before)), Value::Array(after)) => {
                let less = |a: &[Value], b: &[Value]| -> Vec<Value> {
                    a.iter().filter(|i| !b.contains(i)).cloned().collect()
                };
                patch.insert("$deleteFromPrimitiveList/set".to_owned(), json!(less(before, after)));
                patch.insert("$setElementOrder/set".to_owned(), value.clone());
                patch.insert(key.clone(), json!(less(after, before)));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    patch
}

fn any_spec() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[12]", 1..3);
    let list = prop::collection::btree_map("[a-e]", prop::option::of(0_i64..3), 1..4);
    let set = prop::collection::btree_set("[a-e]", 1..4);
    (labels, list, set, any::<u8>()).prop_map(|(labels, list, set, has)| {
        let mut items: Vec<Value> = list
            .into_iter()
            .map(|(name, value)| match value {
                Some(value) => json!({"name": name, "value": value}),
                None => json!({"name": name}),
            })
            .collect();
        let mut set: Vec<String> = set.into_iter().collect();
        if has & 16 != 0 {
            items.reverse();
            set.reverse();
        }
        let all = [
            ("labels", json!(labels)),
            ("list", json!(items)),
            ("set", json!(set)),
            ("replicas", json!(has % 3)),
        ];
        let some = all.into_iter().enumerate().filter(|(at, _)| has & (1 << at) != 0);
        Value::Object(some.map(|(_, (key, value))| (key.to_owned(), value)).collect())
    })
}

proptest! {
    #![proptest_config(crate::properties::config())]

    #[test]
    fn a_computed_patch_arrives(old in any_spec(), new in any_spec()) {
        let patch = diff(old.as_object().unwrap(), new.as_object().unwrap());
        prop_assert_eq!(patched(old, Value::Object(patch)), new);
    }

    #[test]
    fn an_object_patched_with_itself_stays(spec in any_spec()) {
        prop_assert_eq!(patched(spec.clone(), spec.clone()), spec);
    }

    #[test]
    fn nothing_panics(doc in any_json(), patch in any_json()) {
        for schema in [typed_schema(), &Schema::open()] {
            let _ = apply(&doc, &patch, schema);
            let _ = apply(&json!({"spec": doc}), &json!({"spec": patch}), schema);
        }
    }
}
