//! The engine, killed at each of its writes in turn, whether the write arrived or not: the next one goes on, and what it comes
//! to is the same.

use serde_json::{Value, json};

use super::{
    tutorial::{CLUSTER, prepare, until_indexes},
    world::{World, is},
};
use crate::support::wire::{Fate, Wire};

/// Takes out what differs from run to run: times, and generations, which grow with every repeated order.
fn still(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !name.ends_with("Time"))
            .map(|(name, value)| (name.clone(), still(value)))
            .collect(),
        Value::Array(items) => items.iter().map(still).collect(),
        other => other.clone(),
    }
}

async fn world() -> World {
    let mut world = World::tutorial().await;
    prepare(&world, CLUSTER).await;
    until_indexes(&world, CLUSTER, &[("0", "true")]).await;
    let strategy = CLUSTER.key("StagedUpdateStrategy", "example-strategy");
    world
        .patch(&strategy, json!({"spec": {"stages": [
            {"name": "staging", "labelSelector": {"matchLabels": {"environment": "staging"}}},
            {"name": "canary", "labelSelector": {"matchLabels": {"environment": "canary"}}, "sortingLabelKey": "order"},
        ]}}))
        .await;
    world.edit_content("value2").await;
    until_indexes(&world, CLUSTER, &[("1", "true")]).await;
    world.stop().await;
    world
}

/// Every run brings what the one before took away, to three members in two stages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_comes_to_the_same_wherever_the_engine_is_killed() {
    let mut world = world().await;
    let mut calm = None;
    for nth in 0.. {
        let fate = [Fate::Lost, Fate::Unanswered][nth % 2];
        let wire = if nth == 0 { Wire::default() } else { Wire::cut_at(nth, fate) };
        let (name, index) = (format!("run-{nth}"), (nth % 2).to_string());
        world.start_on(&wire);
        world.create(CLUSTER.run(&name, Some(&index), "Run")).await;
        let run = CLUSTER.key("StagedUpdateRun", &name);
        let succeeded = |run: &Value| is(run, "Succeeded", "True");
        let what = format!("succeeded, killed at write {nth} ({fate:?})");
        let lived = tokio::select! {
            () = wire.cut() => false,
            _ = world.until(&run, &what, succeeded) => true,
        };
        world.kill().await;
        world.start();
        let run = world.until(&run, &what, succeeded).await;
        let value = ["value1", "value2"][nth % 2];
        world.until_values(&[Some(value); 3]).await;
        let placement = CLUSTER.key("Placement", "example-placement");
        world
            .until(&placement, "available", |placement| {
                is(placement, "ClusterResourcePlacementAvailable", "True")
                    && placement["status"]["observedResourceIndex"] == index.as_str()
            })
            .await;
        world.stop().await;
        let mut status = still(&run["status"]);
        status["resourceSnapshotIndexUsed"].take();
        assert_eq!(&status, calm.get_or_insert(status.clone()), "{what}");
        if lived && nth > 0 {
            assert!(nth > 20, "{nth} writes are too few to be the whole story");
            break;
        }
    }
}
