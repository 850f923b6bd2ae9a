//! What a run over many clusters costs.

use super::{
    tutorial::CLUSTER,
    world::{World, is},
};
use crate::support::wire::Wire;
use serde_json::{Value, json};

/// A run that changes nothing costs only what must be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clusters_that_have_everything_already() {
    let names: Vec<String> = (0..100).map(|number| format!("cluster-{number:03}")).collect();
    let members: Vec<(&str, Value)> =
        names.iter().map(|name| (name.as_str(), json!({"environment": "all"}))).collect();
    let mut world = World::new(&members).await;
    world.stop().await;
    let wire = Wire::default();
    world.start_on(&wire);
    world.create_content("value1").await;
    world.create(CLUSTER.placement()).await;
    let mut strategy = CLUSTER.strategy();
    strategy["spec"]["stages"] =
        json!([{"name": "everywhere", "labelSelector": {}, "maxConcurrency": "100%"}]);
    world.create(strategy).await;
    let placement = CLUSTER.key("Placement", "example-placement");
    world
        .until(&placement, "scheduled", |object| {
            is(object, "ClusterResourcePlacementScheduled", "True")
        })
        .await;
    for name in ["first", "again"] {
        wire.take();
        world.create(CLUSTER.run(name, None, "Run")).await;
        let run = CLUSTER.key("StagedUpdateRun", name);
        world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
        world
            .until(&placement, "available", |object| {
                is(object, "ClusterResourcePlacementAvailable", "True")
            })
            .await;
    }
    let writes: Vec<String> = wire
        .take()
        .into_iter()
        .filter(|call| !call.contains(" GET ") && !call.contains("/events"))
        .collect();
    assert!(writes.iter().all(|call| call.starts_with("hub ")), "{writes:#?}");
    assert!(writes.len() < members.len(), "{} writes: {writes:#?}", writes.len());
}
