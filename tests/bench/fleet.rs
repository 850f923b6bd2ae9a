//! Fleets to measure on, and what is put on them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tidegate::{
    api::{
        self,
        condition::{self, Truth},
        kind::{self, Kind},
        run::{SUCCEEDED, StageStatus},
    },
    engine::Options,
    local::{Fleet, Member, Storage},
};

/// Starts a fleet in memory whose members are spread over `stages` by the label `stage`.
pub async fn in_memory(members: usize, stages: usize) -> Fleet {
    let members = (0..members)
        .map(|number| Member {
            name: format!("member-{number:04}"),
            labels: BTreeMap::from([(
                "stage".to_owned(),
                format!("s{}", number * stages / members),
            )]),
        })
        .collect();
    Fleet::start(Storage::Memory, members, Some(Options::default())).await.unwrap()
}

/// Applies an object as `kubectl apply --server-side` would.
pub async fn apply(client: &Client, resource: &ApiResource, object: &Value) {
    let namespace = object["metadata"]["namespace"].as_str();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &PatchParams::apply("bench").force(), &Patch::Apply(object)).await.unwrap();
}

/// Applies an object of one of Fleet's kinds.
pub async fn apply_kind(client: &Client, kind: Kind, name: &str, spec: Value) {
    let object = json!({"apiVersion": kind.api_version(), "kind": kind.name, "metadata": {"name": name}, "spec": spec});
    apply(client, &kind.resource(), &object).await;
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

/// Applies a namespace.
pub async fn namespace(client: &Client, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(client, &core("Namespace", "namespaces"), &namespace).await;
}

/// Waits until a placement's clusters are chosen.
pub async fn scheduled(client: &Client, name: &str) {
    let placements: Api<api::Placement> =
        Api::all_with(client.clone(), &kind::CLUSTER_RESOURCE_PLACEMENT.resource());
    wait(placements, name, |placement: &api::Placement| {
        placement.status.as_ref().is_some_and(|status| {
            condition::truth(&status.conditions, "ClusterResourcePlacementScheduled")
                == Some(Truth::True)
        })
    })
    .await;
}

/// Applies the tutorial's namespace, ConfigMap and placement.
pub async fn workload(client: &Client, value: &str) {
    namespace(client, "test-namespace").await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-cm", "namespace": "test-namespace"}, "data": {"key": value}});
    apply(client, &core("ConfigMap", "configmaps"), &map).await;
    let selector =
        json!({"group": "", "version": "v1", "kind": "Namespace", "name": "test-namespace"});
    let spec = json!({"resourceSelectors": [selector], "policy": {"placementType": "PickAll"}, "strategy": {"type": "External"}});
    apply_kind(client, kind::CLUSTER_RESOURCE_PLACEMENT, "example-placement", spec).await;
}

/// Waits until an object is as wanted.
pub async fn wait<K>(api: Api<K>, name: &str, wanted: impl Fn(&K) -> bool)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api, config).default_backoff().applied_objects().boxed();
    while let Some(object) = events.try_next().await.unwrap() {
        if wanted(&object) {
            return;
        }
    }
}

/// Waits until a run's stages are as wanted.
pub async fn staged(client: &Client, name: &str, wanted: impl Fn(&[StageStatus]) -> bool) {
    let runs: Api<api::Run> =
        Api::all_with(client.clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
    wait(runs, name, |run: &api::Run| {
        let stages = run.status.as_ref().and_then(|status| status.stages_status.as_deref());
        stages.is_some_and(&wanted)
    })
    .await;
}

/// Waits until a run succeeds.
pub async fn succeeded(client: &Client, name: &str) {
    let runs: Api<api::Run> =
        Api::all_with(client.clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource());
    wait(runs, name, |run: &api::Run| {
        let truth =
            run.status.as_ref().and_then(|status| condition::truth(&status.conditions, SUCCEEDED));
        assert_ne!(truth, Some(Truth::False), "run {name} failed: {:?}", run.status);
        truth == Some(Truth::True)
    })
    .await;
}
