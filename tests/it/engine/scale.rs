//! How fast a run over many clusters is.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    tutorial::CLUSTER,
    world::{World, is},
};

/// A run that changes nothing costs only what must be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clusters_that_have_everything_already() {
    let names: Vec<String> = (0..100).map(|number| format!("cluster-{number:03}")).collect();
    let members: Vec<(&str, Value)> =
        names.iter().map(|name| (name.as_str(), json!({"environment": "all"}))).collect();
    let started = Instant::now();
    let world = World::new(&members).await;
    eprintln!("100 members joined after {:?}", started.elapsed());
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
    for (name, limit) in [("first", 300), ("again", 30)] {
        let started = Instant::now();
        world.create(CLUSTER.run(name, None, "Run")).await;
        let run = CLUSTER.key("StagedUpdateRun", name);
        world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
        let took = started.elapsed();
        eprintln!("run `{name}` over 100 clusters: {took:?}");
        assert!(took.as_secs() < limit, "{took:?}");
        world
            .until(&placement, "available", |object| {
                is(object, "ClusterResourcePlacementAvailable", "True")
            })
            .await;
        eprintln!("placement available after {:?}", started.elapsed());
    }
}
