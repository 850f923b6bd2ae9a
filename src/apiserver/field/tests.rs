//! Ownership through updates.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Comparison, set_of, track_update, with_declared_fields, without};
use crate::apiserver::{
    schema::Schema,
    testing::{any_json, typed_schema},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a", "uid": "u"}, "spec": spec})
}

fn with_fields(spec: Value, live: &Value) -> Value {
    let mut new = object(spec);
    new["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
    new
}

/// `manager operation fields` for every entry.
fn owners(object: &Value) -> Vec<(String, String, Value)> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let text = |e: &Value, key: &str| e[key].as_str().unwrap_or_default().to_owned();
    entries
        .into_iter()
        .flatten()
        .map(|e| (text(e, "manager"), text(e, "time"), e["fieldsV1"].clone()))
        .collect()
}

#[test]
fn a_set_names_leaves_and_items() {
    let schema = typed_schema();
    let value = object(json!({
        "replicas": 1,
        "labels": {"a": "b"},
        "list": [{"name": "x", "value": 1}],
        "set": ["s"],
        "plain": [1, 2],
        "atomic": {"a": 1},
        "empty": {},
        "open": {"deep": {"x": [1]}},
    }));
    let spec = json!({
        "f:replicas": {},
        "f:labels": {"f:a": {}},
        "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:value": {}}},
        "f:set": {"v:\"s\"": {}},
        "f:plain": {},
        "f:atomic": {},
        "f:empty": {},
        "f:open": {"f:deep": {".": {}, "f:x": {}}},
    });
    assert_eq!(set_of(Some(schema.root()), &value).to_json()["f:spec"], spec);
}

#[test]
fn a_create_belongs_to_its_creator() {
    let schema = typed_schema();
    let mut new = object(json!({"replicas": 1, "labels": {"a": "b"}}));
    new["metadata"]["labels"] = json!({"l": "v"});
    new["status"] = json!({"ready": true});
    track_update(None, &mut new, "kubectl-create", None, schema, at(0));
    assert_eq!(
        new["metadata"]["managedFields"],
        json!([{
            "apiVersion": "example.com/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:l": {}}},
                "f:spec": {".": {}, "f:replicas": {}, "f:labels": {".": {}, "f:a": {}}},
            },
            "manager": "kubectl-create",
            "operation": "Update",
            "time": "2023-11-14T22:13:20Z",
        }])
    );
}

#[test]
fn a_change_moves_ownership_and_nothing_else_does() {
    let schema = typed_schema();
    let mut first = object(json!({"replicas": 1, "labels": {"a": "1", "b": "1"}}));
    track_update(None, &mut first, "one", None, schema, at(0));

    // The same again: nothing moves, no time changes.
    let mut same = with_fields(json!({"replicas": 1, "labels": {"a": "1", "b": "1"}}), &first);
    track_update(Some(&first), &mut same, "two", None, schema, at(5));
    assert_eq!(same, first);

    // A client that forgets the entries does not erase them.
    let mut second = object(json!({"replicas": 2, "labels": {"a": "1", "c": "1"}}));
    track_update(Some(&first), &mut second, "two", None, schema, at(10));
    assert_eq!(
        owners(&second),
        [
            (
                "one".to_owned(),
                "2023-11-14T22:13:20Z".to_owned(),
                json!({"f:spec": {".": {}, "f:labels": {".": {}, "f:a": {}}}})
            ),
            (
                "two".to_owned(),
                "2023-11-14T22:13:30Z".to_owned(),
                json!({"f:spec": {"f:labels": {"f:c": {}}, "f:replicas": {}}})
            ),
        ]
    );
}

#[test]
fn the_status_subresource_owns_status_only() {
    let schema = typed_schema();
    let mut live = object(json!({"replicas": 1}));
    track_update(None, &mut live, "spec", None, schema, at(0));
    let mut new = live.clone();
    new["status"] = json!({"ready": true});
    new["metadata"]["managedFields"] = json!([]);
    track_update(Some(&live), &mut new, "controller", Some("status"), schema, at(1));
    let entries = new["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {".": {}, "f:ready": {}}}));
}

#[test]
fn ownership_can_be_forgotten() {
    let schema = typed_schema();
    let mut live = object(json!({"replicas": 1}));
    track_update(None, &mut live, "one", None, schema, at(0));
    for reset in [json!([]), json!([{}])] {
        let mut new = object(json!({"replicas": 2}));
        new["metadata"]["managedFields"] = reset;
        track_update(Some(&live), &mut new, "two", None, schema, at(1));
        assert_eq!(new["metadata"].get("managedFields"), None);
        // And stays forgotten.
        let mut later = object(json!({"replicas": 3}));
        track_update(Some(&new), &mut later, "two", None, schema, at(2));
        assert_eq!(later["metadata"].get("managedFields"), None);
    }
}

#[test]
fn the_oldest_of_many_updaters_become_one() {
    let schema = typed_schema();
    let mut live = object(json!({}));
    for n in 0..13 {
        let mut new = live.clone();
        new["spec"]["labels"][format!("k{n}")] = json!("v");
        let before = (n > 0).then_some(&live);
        track_update(before, &mut new, &format!("m{n:02}"), None, schema, at(n));
        live = new;
    }
    let found = owners(&live);
    assert_eq!(found.len(), 10);
    assert_eq!(found[0].0, "ancient-changes");
    assert_eq!(found[0].1, "2023-11-14T22:13:23Z");
    assert!(found[0].2["f:spec"]["f:labels"]["f:k3"].is_object());
    assert_eq!(found[9].0, "m12");
}

#[test]
fn duplicates_in_stored_lists_are_survived() {
    let schema = typed_schema();
    let old = object(json!({"list": [{"name": "x", "value": 1}, {"name": "x", "value": 2}]}));
    let new = object(json!({"list": [{"name": "x", "value": 3}]}));
    let change = Comparison::of(Some(schema.root()), &old, &new);
    let key = "k:{\"name\":\"x\"}";
    assert_eq!(change.removed.to_json(), json!({"f:spec": {"f:list": {key: {}}}}));
    assert_eq!(
        change.added.to_json()["f:spec"]["f:list"][key],
        json!({".": {}, "f:name": {}, "f:value": {}})
    );
}

proptest! {
    #![proptest_config(crate::properties::config())]

    #[test]
    fn nothing_panics_and_updates_settle(a in any_json(), b in any_json()) {
        let schema = typed_schema();
        let mut first = object(a);
        track_update(None, &mut first, "one", None, schema, at(0));
        let mut second = with_fields(b, &first);
        track_update(Some(&first), &mut second, "two", None, schema, at(1));
        let mut again = second.clone();
        track_update(Some(&second), &mut again, "three", None, schema, at(2));
        prop_assert_eq!(again, second);
    }

    #[test]
    fn a_comparison_is_empty_only_without_a_difference(a in any_json(), b in any_json()) {
        for schema in [typed_schema(), &Schema::open()] {
            let (a, b) = (object(a.clone()), object(b.clone()));
            let change = Comparison::of(Some(schema.root()), &a, &b);
            let empty = change.changed().union(&change.removed).is_empty();
            // The order of items with owners of their own is nobody's.
            if a == b { prop_assert!(empty); }
            if empty && a != b {
                prop_assert!(!a["spec"]["c"].is_null() || !a["spec"]["d"].is_null() || a["spec"].is_null() || b["spec"].is_null());
            }
        }
    }

    #[test]
    fn removing_all_parts_leaves_none(value in any_json()) {
        let schema = Schema::open();
        let node = Some(schema.root());
        let object = object(value);
        let all = with_declared_fields(node, &set_of(node, &object));
        let bare = without(node, &object, &all);
        prop_assert_eq!(bare, Value::Null);
    }
}
