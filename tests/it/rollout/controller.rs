//! The controller of update runs on the embedded API server: no scheduler and no agents but what a test does itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tidegate::{
    api::{self, Binding, Kind, binding::AVAILABLE, condition::is_true, kind, meta},
    apiserver::{ApiServer, Options as ServerOptions},
    engine::{Context, Members, Options, update_run},
    hub::Hub,
    model::Scope,
    rollout::progress,
};
use tokio_util::sync::CancellationToken;

use super::world::object;
use crate::support::wire::Wire;

struct Fixture {
    client: Client,
    server: ApiServer,
    /// The controller's own client, if it is another than the test's.
    wired: Option<Client>,
    scope: Scope,
    stop: CancellationToken,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fixture {
    async fn new(scope: Scope) -> Self {
        let server = ApiServer::open(ServerOptions::default()).await.unwrap();
        let fixture = Self {
            client: Client::new(server.clone(), "default"),
            server,
            wired: None,
            scope,
            stop: CancellationToken::new(),
        };
        let definitions: Api<DynamicObject> = Api::all_with(
            fixture.client.clone(),
            &kube::core::ApiResource::erase::<
                k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
            >(&()),
        );
        for definition in api::crd::all() {
            definitions.create(&PostParams::default(), &object(definition)).await.unwrap();
        }
        if let Some(namespace) = fixture.scope.namespace() {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> =
                Api::all(fixture.client.clone());
            let namespace = object(json!({"metadata": {"name": namespace}}));
            namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        }
        let placement = json!({"metadata": {"name": "web"}, "spec": {
            "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "c"}],
            "strategy": {"type": "External"},
        }});
        fixture.create(kind::placement(&fixture.scope), placement).await;
        let policy = fixture
            .create(kind::policy_snapshot(&fixture.scope), json!({
                "metadata": {"name": "web-0", "labels": {
                    meta::PARENT_PLACEMENT: "web", meta::IS_LATEST_SNAPSHOT: "true", meta::POLICY_INDEX: "0",
                }},
                "spec": {"policyHash": ""},
            }))
            .await;
        let condition = json!({
            "type": "Scheduled", "status": "True", "reason": "SchedulingPolicyFulfilled", "message": "",
            "observedGeneration": policy.metadata.generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        fixture
            .set_status(
                kind::policy_snapshot(&fixture.scope),
                "web-0",
                json!({
                    "observedCRPGeneration": 1, "conditions": [condition], "targetClusters": [],
                }),
            )
            .await;
        for index in ["0", "1"] {
            fixture
                .create(
                    kind::resource_snapshot(&fixture.scope),
                    json!({
                        "metadata": {
                            "name": format!("web-{index}-snapshot"),
                            "labels": {
                                meta::PARENT_PLACEMENT: "web", meta::RESOURCE_INDEX: index,
                                meta::IS_LATEST_SNAPSHOT: (index == "1").to_string(),
                            },
                            "annotations": {meta::RESOURCE_HASH: index, meta::SNAPSHOT_COUNT: "1"},
                        },
                        "spec": {"selectedResources": []},
                    }),
                )
                .await;
        }
        fixture
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        match self.scope.namespace().filter(|_| kind.namespaced) {
            Some(namespace) => {
                Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
            }
            None => Api::all_with(self.client.clone(), &kind.resource()),
        }
    }

    async fn create(&self, kind: Kind, mut value: Value) -> DynamicObject {
        value["apiVersion"] = json!(kind.api_version());
        value["kind"] = json!(kind.name);
        self.api(kind).create(&PostParams::default(), &object(value)).await.unwrap()
    }

    async fn patch(&self, kind: Kind, name: &str, patch: Value) {
        self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn set_status(&self, kind: Kind, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.api(kind).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Adds a member with a binding.
    async fn join(&self, cluster: &str, stage: &str) {
        let member = json!({
            "metadata": {"name": cluster, "labels": {"stage": stage}},
            "spec": {"identity": {"kind": "User", "name": cluster, "apiGroup": ""}},
        });
        self.create(kind::MEMBER_CLUSTER, member).await;
        let binding = json!({
            "metadata": {"name": format!("web-{cluster}"), "labels": {meta::PARENT_PLACEMENT: "web"}},
            "spec": {
                "state": "Scheduled", "resourceSnapshotName": "", "schedulingPolicySnapshotName": "web-0",
                "targetCluster": cluster,
                "clusterDecision": {"clusterName": cluster, "selected": true, "reason": "picked"},
            },
        });
        self.create(kind::binding(&self.scope), binding).await;
    }

    async fn strategy(&self, stages: Value) {
        let strategy = json!({"metadata": {"name": "plan"}, "spec": {"stages": stages}});
        self.create(kind::strategy(&self.scope), strategy).await;
    }

    async fn create_run(&self, name: &str, index: &str) {
        let run = json!({"metadata": {"name": name}, "spec": {
            "placementName": "web", "resourceSnapshotIndex": index, "stagedRolloutStrategyName": "plan", "state": "Run",
        }});
        self.create(kind::run(&self.scope), run).await;
    }

    /// Starts the controller; it ends with the token.
    async fn engine(&self) -> CancellationToken {
        let stop = self.stop.child_token();
        let ctx = Arc::new(Context::new(
            Hub::new(self.wired.as_ref().unwrap_or(&self.client).clone()),
            Members::new(),
            Options::default(),
        ));
        let queue = update_run::subscribe(&ctx);
        macro_rules! keep {
            ($($collection:ident),*) => {$(
                let (held, halt) = (ctx.clone(), stop.clone());
                tokio::spawn(async move { held.$collection.keep(halt).await });
                ctx.$collection.ready().await;
            )*};
        }
        keep!(placements, policies, snapshots, bindings, strategies, runs, approvals, clusters);
        let halt = stop.clone();
        tokio::spawn(queue.run(8, halt, move |key| update_run::reconcile(ctx.clone(), key)));
        stop
    }

    /// Makes every bound binding available, whenever one changes, until the fixture ends.
    fn agents(&self) {
        let (api, stop) = (self.api(kind::binding(&self.scope)), self.stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                for binding in api.list(&ListParams::default()).await.unwrap() {
                    let binding: Binding = object(serde_json::to_value(binding).unwrap());
                    make_available(&api, &binding).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }

    async fn run(&self, name: &str) -> Option<api::Run> {
        let run = self.api(kind::run(&self.scope)).get_opt(name).await.unwrap()?;
        Some(object(serde_json::to_value(run).unwrap()))
    }

    /// Waits until the run's progress is as wanted.
    async fn until(
        &self,
        name: &str,
        wanted: impl Fn(&tidegate::rollout::Progress) -> bool,
    ) -> api::Run {
        let begin = Instant::now();
        loop {
            let run = self.run(name).await.unwrap();
            let progress = progress(&(&run).into(), jiff::Timestamp::now());
            if wanted(&progress) {
                return run;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{name} is {progress}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn approve(&self, request: &str) {
        let condition = json!({
            "type": "Approved", "status": "True", "reason": "lgtm", "message": "lgtm",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        self.set_status(
            kind::approval_request(&self.scope),
            request,
            json!({"conditions": [condition]}),
        )
        .await;
    }

    async fn requests(&self) -> Vec<String> {
        let requests = self
            .api(kind::approval_request(&self.scope))
            .list(&ListParams::default())
            .await
            .unwrap();
        requests.into_iter().filter_map(|request| request.metadata.name).collect()
    }
}

async fn make_available(api: &Api<DynamicObject>, binding: &Binding) {
    let held = binding.status.clone().unwrap_or_default().conditions;
    let generation = binding.metadata.generation;
    let fresh = held.iter().any(|c| c.type_ == AVAILABLE && c.observed_generation == generation);
    let started =
        held.iter().any(|c| c.type_ == "RolloutStarted" && c.observed_generation == generation);
    if fresh || !started {
        return;
    }
    let mut conditions = serde_json::to_value(held).unwrap();
    let conditions = conditions.as_array_mut().unwrap();
    conditions.retain(|condition| condition["type"] != AVAILABLE);
    conditions.push(json!({
        "type": AVAILABLE, "status": "True", "reason": "AllWorkAreAvailable", "message": "",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
    }));
    let patch = json!({
        "metadata": {"resourceVersion": binding.metadata.resource_version},
        "status": {"conditions": conditions},
    });
    let name = binding.metadata.name.as_deref().unwrap();
    // Somebody may have been quicker: then it is looked at again.
    let _ = api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await;
}

fn stage(name: &str) -> Value {
    json!({"name": name, "labelSelector": {"matchLabels": {"stage": name}}, "maxConcurrency": "50%"})
}

#[tokio::test]
async fn a_run_goes_through_its_gates_in_both_scopes_and_leaves_nothing_behind() {
    for scope in [Scope::Cluster, Scope::Namespace("team".to_owned())] {
        let fixture = Fixture::new(scope).await;
        fixture.join("a", "one").await;
        for cluster in ["b", "c", "d"] {
            fixture.join(cluster, "two").await;
        }
        let mut two = stage("two");
        two["beforeStageTasks"] = json!([{"type": "Approval"}]);
        fixture.engine().await;
        fixture.agents();
        // A young run waits for its strategy.
        fixture.create_run("r", "1").await;
        fixture.strategy(json!([stage("one"), two])).await;

        let run = fixture.until("r", |progress| progress.phase.to_string() == "waiting").await;
        let now = jiff::Timestamp::now();
        assert_eq!(progress(&(&run).into(), now).updated, 1);
        assert_eq!(fixture.requests().await, ["r-before-two"]);
        fixture.approve("r-before-two").await;
        let run = fixture.until("r", tidegate::rollout::Progress::is_over).await;
        let ended = progress(&(&run).into(), now);
        assert_eq!((ended.failure, ended.updated), (None, 4));
        let request =
            fixture.api(kind::approval_request(&fixture.scope)).get("r-before-two").await.unwrap();
        let request: api::ApprovalRequest = object(serde_json::to_value(request).unwrap());
        assert!(is_true(&request.status.unwrap().conditions, "ApprovalAccepted"));

        let runs = fixture.api(kind::run(&fixture.scope));
        runs.delete("r", &kube::api::DeleteParams::default()).await.unwrap();
        while fixture.run("r").await.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(fixture.requests().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_controller_that_starts_anew_goes_on_where_the_last_one_ended() {
    let fixture = Fixture::new(Scope::Cluster).await;
    for at in 0..6 {
        fixture.join(&format!("c{at}"), "one").await;
    }
    let mut one = stage("one");
    one["maxConcurrency"] = json!(1);
    fixture.strategy(json!([one])).await;
    fixture.create_run("r", "1").await;
    let bindings = fixture.api(kind::binding(&fixture.scope));
    for at in 0..6 {
        let engine = fixture.engine().await;
        fixture
            .until("r", |progress| progress.in_flight().any(|c| c.name == format!("c{at}")))
            .await;
        engine.cancel();
        let binding = bindings.get(&format!("web-c{at}")).await.unwrap();
        assert_eq!(binding.data["spec"]["resourceSnapshotName"], "web-1-snapshot");
        make_available(&bindings, &object(serde_json::to_value(binding).unwrap())).await;
    }
    fixture.engine().await;
    let run = fixture.until("r", tidegate::rollout::Progress::is_over).await;
    assert_eq!(progress(&(&run).into(), jiff::Timestamp::now()).updated, 6);
}

#[tokio::test]
async fn a_stop_and_a_taken_over_binding_are_noticed_without_polling() {
    let fixture = Fixture::new(Scope::Cluster).await;
    fixture.join("a", "one").await;
    fixture.join("b", "one").await;
    fixture.strategy(json!([stage("one")])).await;
    fixture.engine().await;
    fixture.create_run("old", "0").await;
    fixture.until("old", |progress| progress.in_flight().count() == 1).await;
    fixture.patch(kind::run(&fixture.scope), "old", json!({"spec": {"state": "Stop"}})).await;
    fixture.until("old", |progress| progress.phase.to_string() == "stopping").await;
    fixture.create_run("new", "1").await;
    let run = fixture.until("old", tidegate::rollout::Progress::is_over).await;
    let failure = progress(&(&run).into(), jiff::Timestamp::now()).failure.unwrap();
    assert!(failure.contains("is not up-to-date with the desired status"), "{failure}");
    fixture.agents();
    let run = fixture.until("new", tidegate::rollout::Progress::is_over).await;
    assert_eq!(progress(&(&run).into(), jiff::Timestamp::now()).updated, 2);
}

#[tokio::test]
async fn what_happens_is_told_in_events() {
    let fixture = Fixture::new(Scope::Namespace("team".to_owned())).await;
    fixture.join("a", "one").await;
    fixture.strategy(json!([stage("one")])).await;
    fixture.engine().await;
    fixture.create_run("r", "9").await;
    fixture.until("r", tidegate::rollout::Progress::is_over).await;
    let events: Api<k8s_openapi::api::core::v1::Event> =
        Api::namespaced(fixture.client.clone(), "team");
    let begin = Instant::now();
    loop {
        let found = events.list(&ListParams::default()).await.unwrap();
        if let Some(event) = found.items.first() {
            assert_eq!(event.reason.as_deref(), Some("UpdateRunInitializedFailed"));
            assert_eq!(event.type_.as_deref(), Some("Warning"));
            assert_eq!(event.involved_object.name.as_deref(), Some("r"));
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no event");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_nothing_to_do_costs_fewer_writes_than_it_has_clusters() {
    let mut fixture = Fixture::new(Scope::Cluster).await;
    for at in 0..100 {
        fixture.join(&format!("c{at:03}"), ["one", "two", "three"][at % 3]).await;
    }
    fixture.strategy(json!([stage("one"), stage("two"), stage("three")])).await;
    let engine = fixture.engine().await;
    fixture.agents();
    fixture.create_run("first", "1").await;
    fixture.until("first", tidegate::rollout::Progress::is_over).await;
    engine.cancel();
    let wire = Wire::default();
    fixture.wired = Some(wire.client(fixture.server.clone()));
    fixture.engine().await;
    wire.take();
    fixture.create_run("second", "1").await;
    fixture.until("second", tidegate::rollout::Progress::is_over).await;
    let writes: Vec<String> = wire
        .take()
        .into_iter()
        .filter(|call| !call.starts_with("GET") && !call.contains("/events"))
        .collect();
    assert!(writes.len() < 50, "{} writes for 100 clusters: {writes:#?}", writes.len());
}
