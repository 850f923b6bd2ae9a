//! Objects that real KubeFleet wrote (`tests/golden/fleet-trace`): none of our types loses a field of them, and our
//! definitions accept them as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tidegate::{
    api::{
        self, AppliedWork, ApprovalRequest, Binding, MemberCluster, Placement, PolicySnapshot,
        ResourceSnapshot, Run, Strategy, Work,
    },
    apiserver::schema::Schema,
};

/// Every object of the trace with its file.
fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = path.file_stem().unwrap().to_string_lossy().into_owned();
            objects.extend(objects_of(&file).into_iter().map(|object| (file.clone(), object)));
        }
    }
    objects
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet-trace")
}

/// Every object of one file.
pub fn objects_of(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(format!("{file}.yaml"))).unwrap();
    let documents: Vec<Value> = serde_yaml::from_multiple(&text).unwrap();
    let items = documents.into_iter().flat_map(|document| match document.get("items") {
        Some(Value::Array(items)) => items.clone(),
        _ => vec![document],
    });
    items.collect()
}

fn round_trip(kind: &str, object: &Value) -> Option<Value> {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
    }
    Some(match kind.trim_start_matches("Cluster") {
        "ResourcePlacement" => through::<Placement>(object),
        "SchedulingPolicySnapshot" => through::<PolicySnapshot>(object),
        "ResourceSnapshot" => through::<ResourceSnapshot>(object),
        "ResourceBinding" => through::<Binding>(object),
        "StagedUpdateStrategy" => through::<Strategy>(object),
        "StagedUpdateRun" => through::<Run>(object),
        "ApprovalRequest" => through::<ApprovalRequest>(object),
        "Work" => through::<Work>(object),
        "AppliedWork" => through::<AppliedWork>(object),
        "MemberCluster" => through::<MemberCluster>(object),
        _ => return None,
    })
}

/// Every field of `before` that is not in `after` with the same value. Go leaves out what our types leave out, too, so
/// nothing may differ.
fn lost(path: &str, before: &Value, after: &Value, into: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                match after.get(key) {
                    Some(other) => lost(&format!("{path}.{key}"), value, other, into),
                    None => into.push(format!("{path}.{key} = {value}")),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (number, (value, other)) in before.iter().zip(after).enumerate() {
                lost(&format!("{path}[{number}]"), value, other, into);
            }
        }
        _ if before == after => {}
        _ => into.push(format!("{path} = {before}, not {after}")),
    }
}

#[test]
fn no_field_is_lost() {
    let mut kinds = BTreeSet::new();
    for (file, object) in objects() {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let Some(after) = round_trip(&kind, &object) else { continue };
        let mut missing = Vec::new();
        lost("", &object, &after, &mut missing);
        assert!(missing.is_empty(), "{file} {kind} {}: {missing:#?}", object["metadata"]["name"]);
        kinds.insert(kind);
    }
    assert!(kinds.len() >= 17, "the trace has more kinds than {kinds:?}");
}

#[test]
fn our_definitions_accept_what_real_kubefleet_wrote() {
    let definitions = api::crd::all();
    let mut schemas: BTreeMap<(String, String), Schema> = BTreeMap::new();
    let mut checked = 0;
    for (file, object) in objects() {
        let (group, version) =
            object["apiVersion"].as_str().unwrap_or_default().split_once('/').unwrap_or_default();
        let Some(definition) = definitions.iter().find(|definition| {
            definition["spec"]["group"] == group
                && definition["spec"]["names"]["kind"] == object["kind"]
        }) else {
            continue;
        };
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let served = versions.iter().find(|served| served["name"] == version).unwrap();
        let schema = schemas
            .entry((object["kind"].to_string(), version.to_owned()))
            .or_insert_with(|| Schema::compile(&served["schema"]["openAPIV3Schema"]).unwrap());
        let what = format!("{file} {} {}", object["kind"], object["metadata"]["name"]);
        let mut stored = object.clone();
        assert_eq!(schema.prune(&mut stored), Vec::<String>::new(), "{what} is pruned");
        schema.apply_defaults(&mut stored);
        let mut changed = Vec::new();
        // The older release lacked fields that have defaults today.
        if !file.starts_with("v0.2.2") {
            lost("", &stored, &object, &mut changed);
        }
        assert!(
            changed.is_empty(),
            "{what} gets defaults that Fleet's definitions do not give: {changed:#?}"
        );
        let errors: Vec<String> =
            schema.validate(&stored, None).iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{what} is refused: {errors:#?}");
        checked += 1;
    }
    assert!(checked > 100, "only {checked} objects of the trace are of our kinds");
}
