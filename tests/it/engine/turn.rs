//! When the engine touches members: in their turn, and not before.

use std::collections::BTreeSet;

use super::{
    tutorial::{CLUSTER, prepare, until_indexes},
    world::{World, is},
};
use crate::support::wire::Wire;

/// Returns which members were written to, and how often, from which call on.
fn first_writes(calls: &[String]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let writes = calls.iter().filter_map(|call| {
        let (server, call) = call.split_once(' ')?;
        let content = call.contains("/namespaces") && !call.starts_with("GET");
        (server != "hub" && content).then_some(server)
    });
    writes.filter(|server| seen.insert(*server)).collect()
}

/// Staging first, whatever comes; canary not before somebody said yes; and there one cluster after the other, the second
/// when the first has what it should.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_touched_stage_by_stage_and_one_by_one() {
    let mut world = World::tutorial().await;
    world.stop().await;
    let wire = Wire::default();
    world.start_on(&wire);
    prepare(&world, CLUSTER).await;
    until_indexes(&world, CLUSTER, &[("0", "true")]).await;
    world.create(CLUSTER.run("example-run", Some("0"), "Initialize")).await;
    let run = CLUSTER.key("StagedUpdateRun", "example-run");
    world.until(&run, "initialized", |object| is(object, "Initialized", "True")).await;
    assert_eq!(first_writes(&wire.take()), [""; 0], "nothing is touched before the run goes");

    world.patch(&run, serde_json::json!({"spec": {"state": "Run"}})).await;
    let request = CLUSTER.key("ApprovalRequest", "example-run-before-canary");
    world.until(&request, "there", |_| true).await;
    assert_eq!(first_writes(&wire.take()), ["member2"], "canary waits for somebody");

    world.approve(&request).await;
    world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
    let calls = wire.take();
    assert_eq!(first_writes(&calls), ["member3", "member1"]);
    let at = |server: &str| {
        let mut places = calls.iter().enumerate().filter(|(_, call)| {
            call.starts_with(&format!("{server} "))
                && !call.contains(" GET ")
                && call.contains("/namespaces")
        });
        let first = places.next().unwrap().0;
        (first, places.next_back().map_or(first, |(last, _)| last))
    };
    let (third, first) = (at("member3"), at("member1"));
    assert!(third.1 < first.0, "member1 waits until member3 has everything: {calls:#?}");
    let told = calls[third.1..first.0].iter().any(|call| {
        call.starts_with("hub ") && call.contains("/clusterstagedupdateruns/example-run/status")
    });
    assert!(told, "and until the run says so: {calls:#?}");
}
