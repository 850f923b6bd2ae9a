//! Patches of kinds that everybody patches: the hints in their schemas have to be there.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{apply, strategic};
use crate::apiserver::{
    builtin::{ResourceDefinition, catalog},
    field::track_update,
};

fn definition(kind: &str) -> ResourceDefinition {
    catalog().into_iter().find(|d| d.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn deployment(containers: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"},
        "spec": {"selector": {}, "template": {"spec": {"containers": containers}}},
    })
}

#[test]
fn a_deployment_is_patched_by_container() {
    let doc = deployment(json!([
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80}]},
        {"name": "b", "image": "b:1"},
    ]));
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}]}}}});
    let patched = strategic::apply(&doc, &patch, definition("Deployment").schema()).unwrap();
    assert_eq!(
        patched["spec"]["template"]["spec"]["containers"],
        json!([
            {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}],
                "ports": [{"containerPort": 80}]},
            {"name": "b", "image": "b:1"},
        ])
    );
}

#[test]
fn a_deployment_is_applied_by_container() {
    let schema = Arc::clone(definition("Deployment").schema());
    let now = Timestamp::UNIX_EPOCH;
    let run = |live: Option<&Value>, applied: &Value, manager: &str| {
        let request =
            apply::Request { live, applied, manager, force: false, subresource: None, now };
        apply::apply(&request, &schema)
    };
    let live = run(None, &deployment(json!([{"name": "a", "image": "a:1"}])), "one").unwrap();
    let sidecar = deployment(
        json!([{"name": "b", "image": "b:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]),
    );
    let live = run(Some(&live), &sidecar, "two").unwrap();
    let containers = live["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    let error =
        run(Some(&live), &deployment(json!([{"name": "a", "image": "a:2"}])), "two").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.template.spec.containers[name=\"a\"].image"
    );
}

#[test]
fn a_config_map_is_owned_by_key() {
    let schema = Arc::clone(definition("ConfigMap").schema());
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    let now = Timestamp::UNIX_EPOCH;
    let mut live = map(json!({"key": "1", "other": "1"}));
    track_update(None, &mut live, "kubectl", None, &schema, now);
    let applied = map(json!({"key": "2"}));
    let request = apply::Request {
        live: Some(&live),
        applied: &applied,
        manager: "m",
        force: false,
        subresource: None,
        now,
    };
    let error = apply::apply(&request, &schema).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl\" using v1: .data.key"
    );
}
