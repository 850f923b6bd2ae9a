//! What members make of works.

use serde_json::{Value, json};

use super::world::{PLACEMENT, World, because, is, key, list};

/// A placement of the namespace with everything in it, rolled out by itself.
async fn place(world: &World, strategy: Value) {
    let mut spec = json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "test-namespace"}],
        "policy": {"placementType": "PickAll"}});
    if !strategy.is_null() {
        spec["strategy"] = json!({"type": "RollingUpdate", "applyStrategy": strategy});
    }
    world
        .create(json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": "ClusterResourcePlacement", "metadata": {"name": "web"}, "spec": spec}))
        .await;
}

fn placement() -> tidegate::model::ObjectKey {
    key(PLACEMENT, "ClusterResourcePlacement", "", "web")
}

fn config() -> tidegate::model::ObjectKey {
    key("", "ConfigMap", "test-namespace", "test-cm")
}

async fn one_member() -> World {
    let world = World::new(&[("member1", json!({}))]).await;
    world.create_content("value1").await;
    world
}

async fn available(world: &World) {
    let available = "ClusterResourcePlacementAvailable";
    world.until(&placement(), "available", |object| is(object, available, "True")).await;
}

async fn merge(world: &World, patch: Value) {
    let member = &world.members["member1"];
    let resource = member.locate_any("", "ConfigMap").await.unwrap();
    member.merge_object(&resource, &config(), &patch, "somebody").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_changes_on_a_member_is_put_right_and_what_is_not_ours_stays() {
    let world = one_member().await;
    place(&world, Value::Null).await;
    available(&world).await;
    merge(&world, json!({"data": {"key": "by hand", "theirs": "stays"}})).await;
    world.until_values(&[Some("value1")]).await;
    let member = &world.members["member1"];
    let held = member.get_object(&config()).await.unwrap().unwrap();
    assert_eq!(held["data"], json!({"key": "value1", "theirs": "stays"}));
    member.delete_object(&config(), &tidegate::hub::Delete::default()).await.unwrap();
    world.until_values(&[Some("value1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_leaves_the_content_leaves_the_members() {
    let world = one_member().await;
    place(&world, Value::Null).await;
    available(&world).await;
    world.until_values(&[Some("value1")]).await;
    world.delete(&config()).await;
    world.until_values(&[None]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_objects_are_taken_over_only_if_the_strategy_says_so() {
    let world = one_member().await;
    let member = &world.members["member1"];
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-namespace"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-cm", "namespace": "test-namespace"}, "data": {"key": "theirs"}}),
    ] {
        member.create_object(&object, "somebody").await.unwrap();
    }
    place(&world, json!({"whenToTakeOver": "Never"})).await;
    let told = world
        .until(&placement(), "refused", |object| {
            let failed = object.pointer("/status/placementStatuses/0/failedPlacements");
            because(object, "ClusterResourcePlacementApplied") == "ApplyFailed" && failed.is_some()
        })
        .await;
    let failed = told["status"]["placementStatuses"][0]["failedPlacements"].as_array().unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["condition"]["reason"], "NotTakenOver");
    assert_eq!(world.values().await, [Some("theirs".to_owned())]);
    let strategy = json!({"spec": {"strategy": {"applyStrategy": {"whenToTakeOver": "Always"}}}});
    world.patch(&placement(), strategy).await;
    world.until_values(&[Some("value1")]).await;
    available(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_available_when_its_status_says_so() {
    let world = one_member().await;
    world
        .create(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "test-namespace"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}))
        .await;
    place(&world, Value::Null).await;
    world
        .until(&placement(), "waiting", |object| {
            because(object, "ClusterResourcePlacementAvailable") == "ResourceNotAvailableYet"
        })
        .await;
    let deployment = key("apps", "Deployment", "test-namespace", "web");
    let status = json!({"status": {"observedGeneration": 1, "replicas": 1, "availableReplicas": 1, "updatedReplicas": 1, "readyReplicas": 1}});
    world.members["member1"].merge_object_status(&deployment, &status, "kubelet").await.unwrap();
    available(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_leaves_keeps_what_it_has() {
    let world = one_member().await;
    place(&world, Value::Null).await;
    available(&world).await;
    let cluster = key("cluster.kubernetes-fleet.io", "MemberCluster", "", "member1");
    world.delete(&cluster).await;
    world.until_gone(&cluster).await;
    world.until_gone(&key("", "Namespace", "", "fleet-member-member1")).await;
    assert_eq!(world.values().await, [Some("value1".to_owned())]);
    world.delete(&placement()).await;
    world.until_gone(&placement()).await;
    assert_eq!(list(&world.hub, PLACEMENT, "ClusterResourceBinding", None).await.len(), 0);
    assert_eq!(world.values().await, [Some("value1".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_waits_for_its_namespace() {
    let world = one_member().await;
    let spec = json!({"resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "test-cm"}]});
    world
        .create(json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": "ResourcePlacement", "metadata": {"name": "web", "namespace": "test-namespace"}, "spec": spec}))
        .await;
    let placement = key(PLACEMENT, "ResourcePlacement", "test-namespace", "web");
    let told = world
        .until(&placement, "refused", |object| {
            object.pointer("/status/placementStatuses/0/failedPlacements").is_some()
        })
        .await;
    let failed = &told["status"]["placementStatuses"][0]["failedPlacements"][0]["condition"];
    assert_eq!(failed["reason"], "ManifestApplyFailed");
    assert_eq!(
        failed["message"],
        "Failed to apply the manifest (error: namespaces \"test-namespace\" not found)"
    );
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-namespace"}});
    world.members["member1"].create_object(&namespace, "somebody").await.unwrap();
    let available = "ResourcePlacementAvailable";
    world.until(&placement, "available", |object| is(object, available, "True")).await;
    world.until_values(&[Some("value1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_applies_follows_the_hub() {
    let world = one_member().await;
    place(&world, json!({"type": "ServerSideApply"})).await;
    available(&world).await;
    world.edit_content("value2").await;
    world.until_values(&[Some("value2")]).await;
    available(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_reported_stays_as_it_is_and_is_looked_at_when_it_changes() {
    let world = one_member().await;
    let member = &world.members["member1"];
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-namespace"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-cm", "namespace": "test-namespace"}, "data": {"key": "theirs"}}),
    ] {
        member.create_object(&object, "somebody").await.unwrap();
    }
    place(&world, json!({"type": "ReportDiff"})).await;
    let reported = |object: &Value| {
        let cluster = &object["status"]["placementStatuses"][0];
        let diffed = &cluster["diffedPlacements"][0];
        let differs = (diffed["name"].clone(), diffed["observedDiffs"].clone());
        is(object, "ClusterResourcePlacementDiffReported", "True").then_some(differs)
    };
    let differs = (
        json!("test-cm"),
        json!([{"path": "/data/key", "valueInMember": "theirs", "valueInHub": "value1"}]),
    );
    world.until(&placement(), "differing", |held| reported(held) == Some(differs.clone())).await;
    let held = member.get_object(&config()).await.unwrap().unwrap();
    assert_eq!(held["data"], json!({"key": "theirs"}));
    assert!(held["metadata"].get("ownerReferences").is_none(), "{held}");

    merge(&world, json!({"data": {"key": "value1"}})).await;
    let none = (Value::Null, Value::Null);
    world.until(&placement(), "the same", |held| reported(held) == Some(none.clone())).await;
    member.delete_object(&config(), &tidegate::hub::Delete::default()).await.unwrap();
    let missing = (json!("test-cm"), json!([{"path": "/", "valueInHub": "(the whole object)"}]));
    world.until(&placement(), "missing", |held| reported(held) == Some(missing.clone())).await;
    assert_eq!(member.get_object(&config()).await.unwrap(), None);
}

/// Full comparison tells what only the member has, though all that was wanted is applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_member_has_is_drift_where_everything_is_compared() {
    let world = one_member().await;
    place(&world, json!({"comparisonOption": "FullComparison"})).await;
    available(&world).await;
    merge(&world, json!({"data": {"theirs": "1"}})).await;
    world
        .until(&placement(), "drifted", |held| {
            let drifted = &held["status"]["placementStatuses"][0]["driftedPlacements"][0];
            drifted["name"] == "test-cm"
                && drifted["observedDrifts"]
                    == json!([{"path": "/data/theirs", "valueInMember": "1"}])
        })
        .await;
}
