//! Applies, one after the other.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ApplyError, Request, apply};
use crate::apiserver::{
    field::track_update,
    schema::Schema,
    testing::{any_json, typed_schema},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec})
}

/// Applies `spec` to `live` as `manager` at second `now`.
fn applied(
    live: Option<&Value>,
    manager: &str,
    spec: Value,
    force: bool,
    now: i64,
) -> Result<Value, ApplyError> {
    let applied = config(spec);
    let request =
        Request { live, applied: &applied, manager, force, subresource: None, now: at(now) };
    apply(&request, typed_schema())
}

fn must(live: Option<&Value>, manager: &str, spec: Value) -> Value {
    applied(live, manager, spec, false, 0).unwrap()
}

fn fields_of<'o>(object: &'o Value, manager: &str) -> &'o Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|e| e["manager"] == manager).map_or(&Value::Null, |e| &e["fieldsV1"])
}

fn conflicts(result: Result<Value, ApplyError>) -> Vec<String> {
    match result {
        Err(ApplyError::Conflicts(found)) => {
            found.iter().map(|c| format!("{} at {}", c.message(), c.path)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_absent_is_created() {
    let created = applied(None, "kubectl", json!({"replicas": 1, "labels": {"a": "b"}}), false, 0);
    assert_eq!(
        created.unwrap(),
        json!({
            "apiVersion": "example.com/v1", "kind": "Thing",
            "metadata": {"name": "a", "managedFields": [{
                "apiVersion": "example.com/v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:labels": {"f:a": {}}, "f:replicas": {}}},
                "manager": "kubectl",
                "operation": "Apply",
                "time": "2023-11-14T22:13:20Z",
            }]},
            "spec": {"replicas": 1, "labels": {"a": "b"}},
        })
    );
}

#[test]
fn applying_the_same_changes_nothing() {
    let spec = json!({"replicas": 1, "list": [{"name": "x", "value": 1}], "set": ["a"]});
    let live = must(None, "one", spec.clone());
    assert_eq!(applied(Some(&live), "one", spec, false, 60).unwrap(), live);
}

#[test]
fn what_is_said_no_more_is_removed_unless_shared() {
    let live = must(
        None,
        "one",
        json!({"replicas": 1, "labels": {"a": "1", "b": "1"}, "set": ["s", "t"],
        "list": [{"name": "x", "value": 1}, {"name": "y"}]}),
    );
    let live = must(
        Some(&live),
        "two",
        json!({"labels": {"b": "1", "c": "1"}, "set": ["t"], "list": [{"name": "y"}]}),
    );
    let live = must(Some(&live), "one", json!({"replicas": 1}));
    assert_eq!(
        live["spec"],
        json!({"replicas": 1, "labels": {"b": "1", "c": "1"}, "set": ["t"], "list": [{"name": "y"}]})
    );
    // Nobody is left: the containers go too.
    let live = must(Some(&live), "two", json!({}));
    assert_eq!(live["spec"], json!({"replicas": 1}));
}

#[test]
fn an_item_goes_with_its_owner() {
    let live = must(None, "one", json!({"list": [{"name": "x", "value": 1}]}));
    let mut edited = live.clone();
    edited["spec"]["list"][0]["protocol"] = json!("UDP");
    track_update(Some(&live), &mut edited, "editor", None, typed_schema(), at(1));
    let live = must(Some(&edited), "one", json!({"replicas": 1}));
    // The editor owned a field inside, but not the item.
    assert_eq!(live["spec"], json!({"list": null, "replicas": 1}));
    assert_eq!(fields_of(&live, "editor"), &Value::Null);
}

#[test]
fn another_value_is_a_conflict() {
    let live = must(None, "one", json!({"replicas": 1, "labels": {"a": "1"}}));
    let result = applied(Some(&live), "two", json!({"replicas": 2}), false, 0);
    assert_eq!(
        result.as_ref().unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas"
    );
    assert_eq!(conflicts(result), ["conflict with \"one\" at .spec.replicas"]);
    let both = applied(Some(&live), "two", json!({"replicas": 2, "labels": {"a": "2"}}), false, 0);
    assert_eq!(
        both.unwrap_err().to_string(),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.replicas\n- .spec.labels.a"
    );
}

#[test]
fn the_owner_is_told_by_operation_version_and_subresource() {
    let schema = typed_schema();
    let mut live = config(json!({"replicas": 1, "list": [{"name": "x", "value": 1}]}));
    track_update(None, &mut live, "kubectl", None, schema, at(0));
    let found = conflicts(applied(
        Some(&live),
        "ssa",
        json!({"list": [{"name": "x", "value": 2}]}),
        false,
        0,
    ));
    assert_eq!(
        found,
        ["conflict with \"kubectl\" using example.com/v1 at .spec.list[name=\"x\"].value"]
    );
    let mut ready = live.clone();
    ready["status"] = json!({"ready": true});
    track_update(Some(&live), &mut ready, "ctl", Some("status"), schema, at(0));
    let mut status = config(json!({}));
    status["status"] = json!({"ready": false});
    let request = Request {
        live: Some(&ready),
        applied: &status,
        manager: "ssa",
        force: false,
        subresource: Some("status"),
        now: at(0),
    };
    assert_eq!(
        conflicts(apply(&request, schema)),
        ["conflict with \"ctl\" with subresource \"status\" using example.com/v1 at .status.ready"]
    );
}

#[test]
fn force_takes_over() {
    let live = must(None, "one", json!({"replicas": 1, "labels": {"a": "1"}}));
    let live = applied(Some(&live), "two", json!({"replicas": 2}), true, 5).unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(fields_of(&live, "one"), &json!({"f:spec": {"f:labels": {"f:a": {}}}}));
    assert_eq!(fields_of(&live, "two"), &json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn the_same_value_is_shared() {
    let live = must(None, "one", json!({"replicas": 1}));
    let shared = applied(Some(&live), "two", json!({"replicas": 1}), false, 9).unwrap();
    assert_eq!(fields_of(&shared, "one"), fields_of(&shared, "two"));
    // The object did not change, so nobody's time did.
    assert_eq!(shared["metadata"]["managedFields"][0].get("time"), None);
    // One of two changes it: conflict with the other.
    assert_eq!(
        conflicts(applied(Some(&shared), "one", json!({"replicas": 3}), false, 9)),
        ["conflict with \"two\" at .spec.replicas"]
    );
}

#[test]
fn lists_merge_by_what_they_are() {
    let live = must(
        None,
        "one",
        json!({
        "list": [{"name": "x", "value": 1}, {"name": "z"}],
        "ports": [{"name": "p", "value": 1}],
        "set": ["a", "b"], "plain": [1, 2], "atomic": {"a": 1}}),
    );
    let merged = must(
        Some(&live),
        "two",
        json!({
        "list": [{"name": "y"}, {"name": "x", "protocol": "TCP"}],
        // The key that is absent has its default, so this is the same port.
        "ports": [{"name": "p", "protocol": "TCP"}, {"name": "p", "protocol": "UDP"}],
        "set": ["b", "c"]}),
    );
    assert_eq!(
        merged["spec"],
        json!({
            "list": [{"name": "y"}, {"name": "x", "value": 1, "protocol": "TCP"}, {"name": "z"}],
            "ports": [{"name": "p", "value": 1, "protocol": "TCP"}, {"name": "p", "protocol": "UDP"}],
            "set": ["a", "b", "c"], "plain": [1, 2], "atomic": {"a": 1},
        })
    );
    // Atomic things have one owner and are replaced as a whole.
    let found = conflicts(applied(
        Some(&merged),
        "two",
        json!({"plain": [1], "atomic": {"b": 1}}),
        false,
        0,
    ));
    assert_eq!(
        found,
        ["conflict with \"one\" at .spec.atomic", "conflict with \"one\" at .spec.plain"]
    );
    let forced =
        applied(Some(&merged), "two", json!({"plain": [1], "atomic": {"b": 1}}), true, 0).unwrap();
    assert_eq!(
        (&forced["spec"]["plain"], &forced["spec"]["atomic"]),
        (&json!([1]), &json!({"b": 1}))
    );
}

#[test]
fn applied_order_wins_among_shared_items() {
    let names = |object: &Value| -> Vec<String> {
        let items = object["spec"]["set"].as_array().unwrap();
        items.iter().map(|i| i.as_str().unwrap().to_owned()).collect()
    };
    for (old, new, merged) in [
        (json!(["a", "b", "c"]), json!(["a", "b", "c"]), "abc"),
        (json!(["a", "b", "c"]), json!(["c", "b", "a"]), "cba"),
        (json!(["a", "b", "c"]), json!(["x", "b"]), "axbc"),
        (json!(["a", "b"]), json!(["b", "a", "c"]), "bac"),
        (json!(["a", "b", "x"]), json!(["b", "a", "c"]), "bxac"),
        (json!([]), json!(["b", "a"]), "ba"),
    ] {
        // Two managers, so that nothing is pruned.
        let live = must(None, "one", json!({"set": old}));
        let object = must(Some(&live), "two", json!({"set": new}));
        assert_eq!(names(&object).concat(), merged, "{old} {new}");
    }
}

#[test]
fn an_object_without_entries_belongs_to_before() {
    let live = config(json!({"replicas": 1, "labels": {"a": "1"}}));
    assert_eq!(
        conflicts(applied(Some(&live), "ssa", json!({"replicas": 2}), false, 0)),
        ["conflict with \"before-first-apply\" using example.com/v1 at .spec.replicas"]
    );
}

#[test]
fn kubectl_takes_over_what_client_side_apply_set() {
    let schema = typed_schema();
    let last = config(json!({"replicas": 1, "labels": {"a": "1"}}));
    let mut live = last.clone();
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    track_update(None, &mut live, "kubectl-client-side-apply", None, schema, at(0));
    assert_eq!(conflicts(applied(Some(&live), "other", json!({"replicas": 2}), false, 0)).len(), 1);
    let taken = must(Some(&live), "kubectl", json!({"replicas": 2}));
    assert_eq!(taken["spec"]["replicas"], 2);
    let annotation =
        &taken["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(annotation, &json!(format!("{}\n", config(json!({"replicas": 2})))));
    // What somebody changed since is not client-side apply's any more.
    let mut edited = live.clone();
    edited["spec"]["replicas"] = json!(5);
    track_update(Some(&live), &mut edited, "editor", None, schema, at(1));
    assert_eq!(
        conflicts(applied(Some(&edited), "kubectl", json!({"replicas": 2}), false, 0)),
        ["conflict with \"editor\" using example.com/v1 at .spec.replicas"]
    );
}

#[test]
fn what_cannot_be_applied_is_refused() {
    let start = "failed to create typed patch object (/a; example.com/v1, Kind=Thing): ";
    for (spec, expected) in [
        (
            json!({"list": [{"name": "x"}, {"name": "x"}]}),
            ".spec.list: duplicate entries for key [name=\"x\"]",
        ),
        (json!({"set": ["s", "s"]}), ".spec.set: duplicate entries for key [=\"s\"]"),
        (json!({"replicas": "x"}), ".spec.replicas: expected numeric (int or float), got string"),
        (json!({"list": {}}), ".spec.list: expected list, got &{map[]}"),
        (
            json!({"strategy": {"unknown": 1}}),
            ".spec.strategy.unknown: field not declared in schema",
        ),
        (
            json!({"list": [{"value": 1}]}),
            ".spec.list: element 0: associative list with keys has an element that omits all key fields [\"name\"] \
             (and doesn't have default values for any key fields)",
        ),
    ] {
        let error = applied(None, "m", spec, false, 0).unwrap_err();
        assert_eq!(error, ApplyError::Mistyped(format!("{start}{expected}")));
    }
    let mut with_entries = config(json!({}));
    with_entries["metadata"]["managedFields"] = json!([]);
    let request = Request {
        live: None,
        applied: &with_entries,
        manager: "m",
        force: false,
        subresource: None,
        now: at(0),
    };
    let error = apply(&request, typed_schema()).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string()),
        (400, "metadata.managedFields must be nil".to_owned())
    );
}

#[test]
fn a_finalizer_and_an_owner_are_their_appliers() {
    let schema = typed_schema();
    let with_metadata = |metadata: Value| {
        let mut applied = config(json!({}));
        for (key, value) in metadata.as_object().unwrap() {
            applied["metadata"][key] = value.clone();
        }
        applied
    };
    let run = |live: Option<&Value>, applied: &Value, manager: &str| {
        apply(
            &Request { live, applied, manager, force: false, subresource: None, now: at(0) },
            schema,
        )
        .unwrap()
    };
    let owner = json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u1"});
    let live = run(
        None,
        &with_metadata(json!({"finalizers": ["x/a"], "ownerReferences": [owner]})),
        "one",
    );
    let live = run(Some(&live), &with_metadata(json!({"finalizers": ["x/b"]})), "two");
    assert_eq!(live["metadata"]["finalizers"], json!(["x/a", "x/b"]));
    assert_eq!(
        fields_of(&live, "one")["f:metadata"],
        json!({"f:finalizers": {"v:\"x/a\"": {}}, "f:ownerReferences": {"k:{\"uid\":\"u1\"}": {}}})
    );
    let live = run(Some(&live), &with_metadata(json!({})), "one");
    assert_eq!(live["metadata"]["finalizers"], json!(["x/b"]));
    assert_eq!(live["metadata"].get("ownerReferences"), None);
}

/// A value without its empty parts.
fn full(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            let parts = map.iter().filter_map(|(key, value)| Some((key.clone(), full(value)?)));
            Some(Value::Object(parts.collect())).filter(|map| *map != json!({}))
        }
        Value::Array(items) => Some(value.clone()).filter(|_| !items.is_empty()),
        other => Some(other.clone()),
    }
}

/// Configurations that the typed schema accepts.
fn any_spec() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[12]", 0..3);
    let list = prop::collection::btree_map("[a-c]", prop::option::of(0_i64..3), 0..3);
    let set = prop::collection::btree_set("[a-c]", 0..3);
    let plain = prop::collection::vec(0_i64..2, 0..3);
    (labels, list, set, plain, any::<u8>()).prop_map(|(labels, list, set, plain, has)| {
        let items: Vec<Value> = list
            .into_iter()
            .map(|(name, value)| match value {
                Some(value) => json!({"name": name, "value": value}),
                None => json!({"name": name}),
            })
            .collect();
        let all = [
            ("labels", json!(labels)),
            ("list", json!(items)),
            ("set", json!(set)),
            ("plain", json!(plain)),
            ("open", json!({"b": {"c": labels}})),
            ("replicas", json!(has % 3)),
        ];
        let some = all.into_iter().enumerate().filter(|(at, _)| has & (1 << at) != 0);
        Value::Object(some.map(|(_, (key, value))| (key.to_owned(), value)).collect())
    })
}

proptest! {
    #![proptest_config(crate::properties::config())]

    #[test]
    fn applying_twice_is_applying_once(a in any_spec(), b in any_spec(), c in any_spec()) {
        // Upstream takes turns in adding and removing containers without parts.
        let mut c = full(&c).unwrap_or_else(|| json!({}));
        // The spec itself is such a container.
        c["replicas"] = json!(1);
        let live = must(None, "one", a);
        let live = applied(Some(&live), "two", b, true, 1).unwrap();
        let once = applied(Some(&live), "one", c.clone(), true, 2).unwrap();
        let twice = applied(Some(&once), "one", c, false, 3).unwrap();
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn what_was_applied_is_there_and_what_was_dropped_is_not(a in any_spec(), b in any_spec()) {
        let live = must(None, "one", a);
        let live = must(Some(&live), "one", b.clone());
        // The only manager gets exactly what it says, but for containers without parts, which are null.
        let fresh = must(None, "one", b);
        prop_assert_eq!(full(&live["spec"]), full(&fresh["spec"]));
    }

    #[test]
    fn nothing_panics(a in any_json(), b in any_json(), force in any::<bool>()) {
        for schema in [typed_schema(), &Schema::open()] {
            let (live, applied) = (config(a.clone()), config(b.clone()));
            let request = Request { live: Some(&live), applied: &applied, manager: "m", force, subresource: None, now: at(0) };
            let _ = apply(&request, schema);
            let request = Request { live: Some(&a), applied: &b, ..request };
            let _ = apply(&request, schema);
        }
    }
}
