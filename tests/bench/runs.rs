//! What the engine adds to a rollout.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tidegate::api::{ApprovalRequest, kind, run::reason::STAGE_WAITING};

use crate::{fleet, median, report, seconds};

async fn start_run(client: &Client, name: &str, index: &str, strategy: &str) {
    let spec = json!({"placementName": "example-placement", "resourceSnapshotIndex": index, "stagedRolloutStrategyName": strategy, "state": "Run"});
    fleet::apply_kind(client, kind::CLUSTER_STAGED_UPDATE_RUN, name, spec).await;
}

fn stages(count: usize) -> Value {
    let stage = |number: usize| json!({"name": format!("s{number}"), "labelSelector": {"matchLabels": {"stage": format!("s{number}")}}, "maxConcurrency": "50%"});
    json!({"stages": (0..count).map(stage).collect::<Vec<_>>()})
}

/// Clusters in 3 stages at 50 %: content that none has, then content that is already everywhere.
pub async fn noop(clusters: usize, rounds: usize, beside: &str) {
    let fleet = fleet::in_memory(clusters, 3).await;
    let hub = fleet.hub();
    fleet::workload(&hub, "value1").await;
    fleet::apply_kind(&hub, kind::CLUSTER_STAGED_UPDATE_STRATEGY, "three", stages(3)).await;
    let started = Instant::now();
    start_run(&hub, "first", "", "three").await;
    fleet::succeeded(&hub, "first").await;
    let what = format!("run over {clusters} clusters, 3 stages, 50 %, first content");
    report(&what, &seconds(started.elapsed()), "");
    let mut samples = Vec::new();
    for round in 0..rounds {
        let name = format!("noop-{round}");
        let started = Instant::now();
        start_run(&hub, &name, "0", "three").await;
        fleet::succeeded(&hub, &name).await;
        samples.push(started.elapsed());
    }
    let what = format!("run over {clusters} no-op clusters, 3 stages, 50 %");
    report(&what, &seconds(median(samples)), beside);
    fleet.shut_down().await;
}

/// As many placements as that, each with a run, all made at once; three members, a stage each.
pub async fn concurrent(placements: usize) {
    let fleet = fleet::in_memory(3, 3).await;
    let hub = fleet.hub();
    fleet::apply_kind(&hub, kind::CLUSTER_STAGED_UPDATE_STRATEGY, "three", stages(3)).await;
    let started = Instant::now();
    let one = async |number: usize| {
        let name = format!("placed-{number:04}");
        fleet::namespace(&hub, &name).await;
        let selector = json!({"group": "", "version": "v1", "kind": "Namespace", "name": name});
        let spec = json!({"resourceSelectors": [selector], "policy": {"placementType": "PickAll"}, "strategy": {"type": "External"}});
        fleet::apply_kind(&hub, kind::CLUSTER_RESOURCE_PLACEMENT, &name, spec).await;
        fleet::scheduled(&hub, &name).await;
        let spec =
            json!({"placementName": name, "stagedRolloutStrategyName": "three", "state": "Run"});
        fleet::apply_kind(&hub, kind::CLUSTER_STAGED_UPDATE_RUN, &name, spec).await;
        fleet::succeeded(&hub, &name).await;
    };
    futures::stream::iter(0..placements).for_each_concurrent(placements, one).await;
    let what = format!("{placements} runs at the same time, placements included");
    report(&what, &seconds(started.elapsed()), "KubeFleet: 1 to 2 h (recorded)");
    fleet.shut_down().await;
}

/// The tutorial's run with a wait of 10 s, approved at once.
pub async fn tutorial_with_ten_seconds() {
    let fleet = tidegate::local::Fleet::start(
        tidegate::local::Storage::Memory,
        tidegate::local::tutorial_members(3),
        Some(tidegate::engine::Options::default()),
    )
    .await
    .unwrap();
    let hub = fleet.hub();
    fleet::workload(&hub, "value1").await;
    let wait = 10;
    let strategy = json!({"stages": [
        {"name": "staging", "labelSelector": {"matchLabels": {"environment": "staging"}}, "maxConcurrency": 1,
            "afterStageTasks": [{"type": "TimedWait", "waitTime": format!("{wait}s")}]},
        {"name": "canary", "labelSelector": {"matchLabels": {"environment": "canary"}}, "maxConcurrency": "50%",
            "sortingLabelKey": "order", "beforeStageTasks": [{"type": "Approval"}]},
    ]});
    fleet::apply_kind(&hub, kind::CLUSTER_STAGED_UPDATE_STRATEGY, "example-strategy", strategy)
        .await;
    let approver = tokio::spawn(approve_everything(hub.clone()));
    let started = Instant::now();
    start_run(&hub, "example-run", "", "example-strategy").await;
    let waiting = fleet::staged(&hub, "example-run", |stages| {
        stages[0].conditions.iter().any(|condition| condition.reason == STAGE_WAITING)
    });
    waiting.await;
    let before = started.elapsed();
    fleet::staged(&hub, "example-run", |stages| stages[0].end_time.is_some()).await;
    let after = Instant::now();
    fleet::succeeded(&hub, "example-run").await;
    let (took, beside_the_wait) = (started.elapsed(), before + after.elapsed());
    let beside = "KubeFleet: 55 s (recorded)";
    report("the tutorial's run with a wait of 10 s", &seconds(took), beside);
    report("  of it, beside the wait", &seconds(beside_the_wait), "KubeFleet: 45 s (recorded)");
    approver.abort();
    fleet.shut_down().await;
}

async fn approve_everything(hub: Client) {
    let requests: Api<ApprovalRequest> =
        Api::all_with(hub, &kind::CLUSTER_APPROVAL_REQUEST.resource());
    let mut events =
        watcher(requests.clone(), watcher::Config::default()).applied_objects().boxed();
    while let Ok(Some(request)) = events.try_next().await {
        if request.status.is_some() {
            continue;
        }
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = json!({"type": "Approved", "status": "True", "reason": "bench", "message": "", "observedGeneration": 1, "lastTransitionTime": now});
        let patch = json!({"status": {"conditions": [condition]}});
        let name = request.metadata.name.unwrap_or_default();
        requests.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
}
