//! Fleet's tutorial, both tabs, at the level of the API: placed, edited, run, approved, rolled back, cleaned up.

use serde_json::{Value, json};
use tidegate::model::ObjectKey;

use super::world::{PLACEMENT, World, because, is, key, list};

/// Which tab: where the objects live and what their kinds are called.
#[derive(Clone, Copy)]
pub struct Tab {
    pub namespace: &'static str,
    prefix: &'static str,
    pub placement: &'static str,
}

pub const CLUSTER: Tab =
    Tab { namespace: "", prefix: "Cluster", placement: "ClusterResourcePlacement" };
pub const NAMESPACED: Tab =
    Tab { namespace: "test-namespace", prefix: "", placement: "ResourcePlacement" };

impl Tab {
    pub fn key(&self, kind: &str, name: &str) -> ObjectKey {
        key(PLACEMENT, &self.kind(kind), self.namespace, name)
    }

    fn kind(&self, kind: &str) -> String {
        if kind == "Placement" {
            self.placement.to_owned()
        } else {
            format!("{}{kind}", self.prefix)
        }
    }

    fn object(&self, kind: &str, name: &str, spec: Value) -> Value {
        let mut object = json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": self.kind(kind), "metadata": {"name": name}, "spec": spec});
        if !self.namespace.is_empty() {
            object["metadata"]["namespace"] = json!(self.namespace);
        }
        object
    }

    pub fn placement(&self) -> Value {
        let selector = match self.namespace {
            "" => {
                json!({"group": "", "version": "v1", "kind": "Namespace", "name": "test-namespace"})
            }
            _ => json!({"group": "", "version": "v1", "kind": "ConfigMap", "name": "test-cm"}),
        };
        self.object(
            "Placement",
            "example-placement",
            json!({"resourceSelectors": [selector], "policy": {"placementType": "PickAll"}, "strategy": {"type": "External"}}),
        )
    }

    pub fn strategy(&self) -> Value {
        self.object(
            "StagedUpdateStrategy",
            "example-strategy",
            json!({"stages": [
                {"name": "staging", "labelSelector": {"matchLabels": {"environment": "staging"}},
                    "afterStageTasks": [{"type": "TimedWait", "waitTime": "1s"}], "maxConcurrency": 1},
                {"name": "canary", "labelSelector": {"matchLabels": {"environment": "canary"}}, "sortingLabelKey": "order",
                    "maxConcurrency": "50%", "beforeStageTasks": [{"type": "Approval"}]},
            ]}),
        )
    }

    pub fn run(&self, name: &str, index: Option<&str>, state: &str) -> Value {
        let mut spec = json!({"placementName": "example-placement", "stagedRolloutStrategyName": "example-strategy", "state": state});
        if let Some(index) = index {
            spec["resourceSnapshotIndex"] = json!(index);
        }
        self.object("StagedUpdateRun", name, spec)
    }

    pub fn condition(&self, kind: &str) -> String {
        format!("{}{kind}", self.placement)
    }
}

/// Creates content, and for the namespaced tab the placement that brings its namespace to the members.
pub async fn prepare(world: &World, tab: Tab) {
    world.create_content("value1").await;
    if !tab.namespace.is_empty() {
        world
            .create(json!({"apiVersion": format!("{PLACEMENT}/v1beta1"), "kind": "ClusterResourcePlacement", "metadata": {"name": "ns-only-crp"},
                "spec": {"resourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": "test-namespace",
                "selectionScope": "NamespaceOnly"}], "policy": {"placementType": "PickAll"}, "strategy": {"type": "RollingUpdate"}}}))
            .await;
        let placement = key(PLACEMENT, "ClusterResourcePlacement", "", "ns-only-crp");
        let available = "ClusterResourcePlacementAvailable";
        world.until(&placement, "available", |object| is(object, available, "True")).await;
    }
    world.create(tab.placement()).await;
    world.create(tab.strategy()).await;
}

pub async fn until_indexes(world: &World, tab: Tab, wanted: &[(&str, &str)]) {
    for (index, latest) in wanted {
        let snapshot = tab.key("ResourceSnapshot", &format!("example-placement-{index}-snapshot"));
        world
            .until(&snapshot, "labelled", |object| {
                object["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"] == **latest
            })
            .await;
    }
}

async fn tutorial(tab: Tab, restarts: bool) {
    let mut world = World::tutorial().await;
    macro_rules! phase {
        () => {
            if restarts {
                world.restart().await;
            }
        };
    }
    prepare(&world, tab).await;
    let placement = tab.key("Placement", "example-placement");
    let (scheduled, rollout, available) =
        (tab.condition("Scheduled"), tab.condition("RolloutStarted"), tab.condition("Available"));
    phase!();
    let placed = world
        .until(&placement, "scheduled", |object| {
            is(object, &scheduled, "True")
                && because(object, &rollout) == "RolloutControlledByExternalController"
        })
        .await;
    assert_eq!(placed["metadata"]["generation"], 1);
    assert_eq!(world.values().await, [None, None, None]);
    until_indexes(&world, tab, &[("0", "true")]).await;

    world.edit_content("value2").await;
    phase!();
    until_indexes(&world, tab, &[("0", "false"), ("1", "true")]).await;
    assert_eq!(world.values().await, [None, None, None]);

    world.create(tab.run("example-run", Some("1"), "Initialize")).await;
    let run = tab.key("StagedUpdateRun", "example-run");
    world.until(&run, "initialized", |object| is(object, "Initialized", "True")).await;
    phase!();
    world.patch(&run, json!({"spec": {"state": "Run"}})).await;
    let request = tab.key("ApprovalRequest", "example-run-before-canary");
    phase!();
    world.until(&request, "there", |_| true).await;
    world.until_values(&[None, Some("value2"), None]).await;
    phase!();
    world.approve(&request).await;
    world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
    world.until_values(&[Some("value2"), Some("value2"), Some("value2")]).await;
    let done = world.until(&placement, "available", |object| is(object, &available, "True")).await;
    assert_eq!(done["status"]["observedResourceIndex"], "1");
    phase!();

    world.create(tab.run("example-run-2", Some("0"), "Run")).await;
    let request = tab.key("ApprovalRequest", "example-run-2-before-canary");
    world.until(&request, "there", |_| true).await;
    world.until_values(&[Some("value2"), Some("value1"), Some("value2")]).await;
    phase!();
    world.approve(&request).await;
    let run = tab.key("StagedUpdateRun", "example-run-2");
    world.until(&run, "succeeded", |object| is(object, "Succeeded", "True")).await;
    world.until_values(&[Some("value1"), Some("value1"), Some("value1")]).await;
    world
        .until(&placement, "available at 0", |object| {
            is(object, &available, "True") && object["status"]["observedResourceIndex"] == "0"
        })
        .await;
    until_indexes(&world, tab, &[("0", "false"), ("1", "true")]).await;
    clean_up(&mut world, tab, restarts).await;
}

async fn clean_up(world: &mut World, tab: Tab, restarts: bool) {
    for run in ["example-run", "example-run-2"] {
        world.delete(&tab.key("StagedUpdateRun", run)).await;
        world.until_gone(&tab.key("StagedUpdateRun", run)).await;
    }
    assert_eq!(world.list(PLACEMENT, &tab.kind("ApprovalRequest"), None).await.len(), 0);
    world.until_values(&[Some("value1"), Some("value1"), Some("value1")]).await;
    world.delete(&tab.key("StagedUpdateStrategy", "example-strategy")).await;
    world.delete(&tab.key("Placement", "example-placement")).await;
    if restarts {
        world.restart().await;
    }
    world.until_gone(&tab.key("Placement", "example-placement")).await;
    if !tab.namespace.is_empty() {
        world.until_values(&[None, None, None]).await;
        let placement = key(PLACEMENT, "ClusterResourcePlacement", "", "ns-only-crp");
        world.delete(&placement).await;
        world.until_gone(&placement).await;
    }
    for kind in [
        "Work",
        "ClusterResourceBinding",
        "ResourceBinding",
        "ClusterResourceSnapshot",
        "ResourceSnapshot",
        "ClusterSchedulingPolicySnapshot",
        "SchedulingPolicySnapshot",
        "ClusterStagedUpdateRun",
        "StagedUpdateRun",
    ] {
        assert_eq!(world.list(PLACEMENT, kind, None).await, [] as [Value; 0], "{kind}");
    }
    for (name, member) in &world.members {
        assert_eq!(list(member, PLACEMENT, "AppliedWork", None).await.len(), 0, "{name}");
        let namespace = key("", "Namespace", "", "test-namespace");
        assert_eq!(member.get_object(&namespace).await.unwrap(), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_scoped_tab() {
    tutorial(CLUSTER, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_namespaced_tab() {
    tutorial(NAMESPACED, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_restarted_in_every_phase_gets_there_too() {
    tutorial(CLUSTER, true).await;
}
