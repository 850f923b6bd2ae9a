//! Objects that we write, held against what real KubeFleet wrote.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    tutorial::{CLUSTER, NAMESPACED, prepare},
    world::{PLACEMENT, World, is, key, list},
};

/// Returns the objects of a recorded dump, by kind and name, with what differs from run to run blanked.
fn recorded(file: &str) -> BTreeMap<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fleet-trace").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let documents: Vec<Value> =
        text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect();
    blanked(documents)
}

fn blanked(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let mut by_name = BTreeMap::new();
    for mut object in objects {
        let (kind, name) = (text(&object, "kind"), text(&object["metadata"], "name"));
        let namespace = text(&object["metadata"], "namespace");
        blank(&mut object);
        object["apiVersion"] = Value::Null;
        let name = without_suffix(&kind, &name);
        by_name.insert(format!("{kind} {namespace}/{name}"), object);
    }
    by_name
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

/// A binding's name ends in random digits.
fn without_suffix(kind: &str, name: &str) -> String {
    match name.rsplit_once('-') {
        Some((stem, _)) if kind.ends_with("Binding") => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// Removes what differs from run to run, and what only kubectl writes.
fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for volatile in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "lastTransitionTime",
                "lastReceivedHeartbeat",
                "observationTime",
                "managedFields",
                "generation",
                "observedGeneration",
                "observedCRPGeneration",
                "kubernetes-fleet.io/CRP-generation",
                "kubectl.kubernetes.io/last-applied-configuration",
            ] {
                map.remove(volatile);
            }
            let label = "kubernetes-fleet.io/parent-resource-binding";
            if let Some(Value::String(name)) = map.get_mut(label) {
                *name = without_suffix("Binding", name);
            }
            let named = map.get("metadata").map(|metadata| text(metadata, "name"));
            let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(name) = named {
                map["metadata"]["name"] = json!(without_suffix(&kind, &name));
            }
            let last_applied = "kubernetes-fleet.io/last-applied-configuration";
            if let Some(Value::String(text)) = map.get_mut(last_applied) {
                assert!(text.ends_with('\n'));
                let mut applied: Value = serde_json::from_str(text).unwrap();
                blank(&mut applied);
                *text = applied.to_string();
            }
            // Fleet prints the index that the run asked for, which may be none; we print the one that it used.
            if let Some(Value::String(message)) = map.get_mut("message")
                && let Some((head, tail)) = message.split_once("resourceSnapshotIndex: ")
                && let Some((_, tail)) = tail.split_once(',')
            {
                *message = format!("{head}resourceSnapshotIndex: _,{tail}");
            }
            map.values_mut().for_each(blank);
            map.retain(|_, held| *held != json!({}));
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}

fn assert_same(ours: BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>, names: &[&str]) {
    for name in names {
        let (ours, theirs) = (ours.get(*name), theirs.get(*name));
        let text = |object: Option<&Value>| serde_yaml::to_string(&object).unwrap();
        assert!(theirs.is_some(), "{name} was not recorded");
        assert_eq!(text(ours), text(theirs), "{name}");
    }
}

async fn dump(world: &World, kinds: &[&str]) -> BTreeMap<String, Value> {
    let mut objects = Vec::new();
    for kind in kinds {
        let group =
            if *kind == "MemberCluster" { "cluster.kubernetes-fleet.io" } else { PLACEMENT };
        objects.extend(world.list(group, kind, None).await);
    }
    blanked(objects)
}

const KINDS: &[&str] = &[
    "ClusterResourcePlacement",
    "ClusterResourceSnapshot",
    "ClusterSchedulingPolicySnapshot",
    "ClusterResourceBinding",
    "ResourcePlacement",
    "ResourceSnapshot",
    "SchedulingPolicySnapshot",
    "ResourceBinding",
    "MemberCluster",
    "Work",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_scoped_placement_before_and_after_a_run() {
    let world = World::tutorial().await;
    prepare(&world, CLUSTER).await;
    let placement = CLUSTER.key("Placement", "example-placement");
    let rollout = "ClusterResourcePlacementRolloutStarted";
    world.until(&placement, "placed", |object| is(object, rollout, "Unknown")).await;
    let objects = [
        "ClusterResourcePlacement /example-placement",
        "ClusterSchedulingPolicySnapshot /example-placement-0",
        "ClusterResourceBinding /example-placement-member1",
        "ClusterResourceBinding /example-placement-member2",
        "ClusterResourceBinding /example-placement-member3",
    ];
    assert_same(dump(&world, KINDS).await, &recorded("01-placed.yaml"), &objects);
    let members = recorded("23-members.yaml");
    let member = ["MemberCluster /member1", "MemberCluster /member2", "MemberCluster /member3"];
    assert_same(dump(&world, KINDS).await, &members, &member);

    world.create(CLUSTER.run("first", None, "Run")).await;
    let request = CLUSTER.key("ApprovalRequest", "first-before-canary");
    world.until(&request, "there", |_| true).await;
    world.approve(&request).await;
    let available = "ClusterResourcePlacementAvailable";
    world.until(&placement, "available", |object| is(object, available, "True")).await;
    let objects: Vec<&str> = objects
        .into_iter()
        .chain(["ClusterResourceSnapshot /example-placement-0-snapshot"])
        .collect();
    assert_same(dump(&world, KINDS).await, &recorded("10-succeeded.yaml"), &objects);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespaced_placement_and_the_one_for_its_namespace() {
    let world = World::tutorial().await;
    prepare(&world, NAMESPACED).await;
    let only = [
        "ClusterResourcePlacement /ns-only-crp",
        "ClusterResourceSnapshot /ns-only-crp-0-snapshot",
        "ClusterResourceBinding /ns-only-crp-member1",
        "ClusterResourceBinding /ns-only-crp-member3",
    ];
    assert_same(dump(&world, KINDS).await, &recorded("20-ns-only-crp.yaml"), &only);
    let placement = NAMESPACED.key("Placement", "example-placement");
    let rollout = "ResourcePlacementRolloutStarted";
    world.until(&placement, "placed", |object| is(object, rollout, "Unknown")).await;
    let objects = [
        "ResourcePlacement test-namespace/example-placement",
        "SchedulingPolicySnapshot test-namespace/example-placement-0",
        "ResourceBinding test-namespace/example-placement-member1",
    ];
    assert_same(dump(&world, KINDS).await, &recorded("20-ns-placed.yaml"), &objects);

    // The recorded works and members hold value2, rolled out by a run without an index.
    world.edit_content("value2").await;
    world.create(NAMESPACED.run("example-run", None, "Run")).await;
    let request = NAMESPACED.key("ApprovalRequest", "example-run-before-canary");
    world.until(&request, "there", |_| true).await;
    world.approve(&request).await;
    let run = NAMESPACED.key("StagedUpdateRun", "example-run");
    world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
    let works = [
        "Work fleet-member-member1/ns-only-crp-work",
        "Work fleet-member-member1/test-namespace.example-placement-work",
        "Work fleet-member-member2/test-namespace.example-placement-work",
    ];
    let mut ours = dump(&world, KINDS).await;
    let mut theirs = recorded("23-works.yaml");
    // Theirs has cut one snapshot, at the run; ours one when the content changed, too.
    for (_, work) in ours.iter_mut().chain(&mut theirs) {
        work["metadata"]["labels"]["kubernetes-fleet.io/parent-resource-snapshot-index"] =
            Value::Null;
        work["metadata"]["annotations"]["kubernetes-fleet.io/parent-resource-snapshot-name"] =
            Value::Null;
    }
    assert_same(ours, &theirs, &works);
    for name in ["member1", "member2", "member3"] {
        let member = &world.members[name];
        let config = key("", "ConfigMap", "test-namespace", "test-cm");
        let config = member.get_object(&config).await.unwrap().unwrap();
        let config_name = "ConfigMap test-namespace/test-cm";
        let theirs = recorded(&format!("23-cm-{name}.yaml"));
        assert_same(blanked(vec![config]), &theirs, &[config_name]);
    }
    let anchors = blanked(list(&world.members["member1"], PLACEMENT, "AppliedWork", None).await);
    let names =
        ["AppliedWork /ns-only-crp-work", "AppliedWork /test-namespace.example-placement-work"];
    assert_same(anchors, &recorded("23-appliedworks-member1.yaml"), &names);
}
