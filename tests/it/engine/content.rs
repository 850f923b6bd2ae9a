//! When content becomes a snapshot, and which.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tidegate::{clock::Clock, engine::SnapshotMode, hub::HubError};

use super::{
    tutorial::{CLUSTER, NAMESPACED, prepare, until_indexes},
    world::{PLACEMENT, World, because, condition, is},
};
use crate::support::process::PATIENCE;

async fn indexes(world: &World) -> Vec<String> {
    let snapshots = world.list(PLACEMENT, "ClusterResourceSnapshot", None).await;
    let label = |snapshot: &Value, label: &str| {
        snapshot["metadata"]["labels"][format!("kubernetes-fleet.io/{label}")]
            .as_str()
            .unwrap()
            .to_owned()
    };
    snapshots
        .iter()
        .map(|held| {
            format!("{} {}", label(held, "resource-index"), label(held, "is-latest-snapshot"))
        })
        .collect()
}

async fn scheduled(world: &World) {
    let placement = CLUSTER.key("Placement", "example-placement");
    let scheduled = "ClusterResourcePlacementScheduled";
    world.until(&placement, "scheduled", |object| is(object, scheduled, "True")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_comes_back_needs_no_new_snapshot() {
    let world = World::new(&[]).await;
    prepare(&world, CLUSTER).await;
    until_indexes(&world, CLUSTER, &[("0", "true")]).await;
    world.edit_content("value2").await;
    until_indexes(&world, CLUSTER, &[("1", "true"), ("0", "false")]).await;
    world.edit_content("value1").await;
    until_indexes(&world, CLUSTER, &[("0", "true"), ("1", "false")]).await;
    world.edit_content("value3").await;
    until_indexes(&world, CLUSTER, &[("2", "true"), ("0", "false")]).await;
    assert_eq!(indexes(&world).await, ["0 false", "1 false", "2 true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_settles_unless_a_commit_is_complete() {
    let clock = Arc::new(Stopped(Mutex::new(jiff::Timestamp::now())));
    let mut world = World::new(&[]).await;
    world.stop().await;
    world.options.clock = clock.clone();
    world.start();
    prepare(&world, CLUSTER).await;
    until_indexes(&world, CLUSTER, &[("0", "true")]).await;
    for value in ["a", "b", "c"] {
        world.edit_content(value).await;
    }
    // As long as no time goes by, the change is young.
    let placement = CLUSTER.key("Placement", "example-placement");
    let digest = |value: &str| json!({"metadata": {"annotations": {"gitops.tidegate.dev/content-digest": format!("sha256:{value}")}}});
    world.patch(&placement, digest("c")).await;
    until_indexes(&world, CLUSTER, &[("1", "true"), ("0", "false")]).await;
    assert_eq!(indexes(&world).await, ["0 false", "1 true"], "three edits are one snapshot");

    for value in ["d", "e"] {
        world.edit_content(value).await;
    }
    let next = CLUSTER.key("ResourceSnapshot", "example-placement-2-snapshot");
    let time_goes_by = async {
        while world.get(&next).await.is_none() {
            *clock.0.lock().unwrap() += jiff::SignedDuration::from_millis(100);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, time_goes_by).await.expect("the change settles");
    until_indexes(&world, CLUSTER, &[("2", "true"), ("1", "false")]).await;
    assert_eq!(indexes(&world).await, ["0 false", "1 false", "2 true"], "so are two that settled");
}

/// A clock that a test moves.
struct Stopped(Mutex<jiff::Timestamp>);

impl Clock for Stopped {
    fn now(&self) -> jiff::Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_an_index_captures_the_content_of_that_moment() {
    let mut world = World::tutorial().await;
    world.stop().await;
    world.options.snapshot_mode = SnapshotMode::OnRun;
    world.start();
    prepare(&world, CLUSTER).await;
    scheduled(&world).await;
    for (at, value) in ["value2", "value3"].into_iter().enumerate() {
        assert_eq!(indexes(&world).await.len(), at, "nobody asked");
        world.edit_content(value).await;
        let name = format!("run-{at}");
        world.create(CLUSTER.run(&name, None, "Initialize")).await;
        let run = CLUSTER.key("StagedUpdateRun", &name);
        let run =
            world.until(&run, "initialized", |object| is(object, "Initialized", "True")).await;
        assert_eq!(run["status"]["resourceSnapshotIndexUsed"], at.to_string());
        let snapshot = format!("example-placement-{at}-snapshot");
        let snapshot = world.get(&CLUSTER.key("ResourceSnapshot", &snapshot)).await.unwrap();
        let map = snapshot["spec"]["selectedResources"].as_array().unwrap().last().unwrap();
        assert_eq!(map["data"]["key"], value, "{snapshot}");
        // What comes after that moment is not this run's.
        world.edit_content("later").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_that_cannot_be_met_are_told() {
    let world = World::new(&[]).await;
    world.create_content("value1").await;
    let mut placement = NAMESPACED.placement();
    placement["spec"]["resourceSelectors"] =
        json!([{"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole"}]);
    world.create(placement).await;
    let placement = NAMESPACED.key("Placement", "example-placement");
    let told = world
        .until(&placement, "judged", |object| {
            because(object, "ResourcePlacementScheduled") == "InvalidResourceSelectors"
        })
        .await;
    assert_eq!(
        condition(&told, "ResourcePlacementScheduled").unwrap()["message"],
        "The resource selectors are invalid: failed to process the request due to a client error: invalid placement test-namespace/example-placement: cannot select cluster-scoped resource rbac.authorization.k8s.io/v1, Resource=clusterroles in a resourcePlacement"
    );
    let mended = json!([{"group": "", "version": "v1", "kind": "ConfigMap", "name": "test-cm"}]);
    world.patch(&placement, json!({"spec": {"resourceSelectors": mended}})).await;
    world
        .until(&placement, "mended", |object| is(object, "ResourcePlacementScheduled", "True"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_custom_kinds_count_as_soon_as_they_are_defined() {
    let world = World::new(&[]).await;
    prepare(&world, CLUSTER).await;
    until_indexes(&world, CLUSTER, &[("0", "true")]).await;
    world
        .create(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "scope": "Namespaced", "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}))
        .await;
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "test-namespace"}, "size": 1});
    while let Err(error) = world.hub.create_object(&widget, "test").await {
        assert!(
            matches!(error, HubError::UnknownKind { .. } | HubError::NotFound { .. }),
            "{error}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_indexes(&world, CLUSTER, &[("1", "true")]).await;
    let snapshot =
        world.get(&CLUSTER.key("ResourceSnapshot", "example-placement-1-snapshot")).await.unwrap();
    let kinds: Vec<_> = snapshot["spec"]["selectedResources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Namespace", "ConfigMap", "Widget"]);
}
