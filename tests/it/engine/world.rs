//! A hub, its members, and an engine that can be stopped and started.

use std::{collections::BTreeMap, path::Path, sync::OnceLock, time::Duration};

use serde_json::{Value, json};
use tidegate::{
    apiserver::ApiServer,
    engine::{self, Members, Options},
    hub::{Delete, Hub, HubError},
    model::ObjectKey,
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

pub use crate::support::hub::key;
use crate::support::{
    hub::{self, server},
    process::PATIENCE,
    wire::Wire,
};

pub const PLACEMENT: &str = "placement.kubernetes-fleet.io";
const CLUSTER: &str = "cluster.kubernetes-fleet.io";

pub struct World {
    pub hub: Hub,
    pub members: BTreeMap<String, Hub>,
    registry: Members,
    pub options: Options,
    engine: Option<(JoinHandle<()>, CancellationToken)>,
    /// By name; the hub's is empty.
    servers: BTreeMap<String, ApiServer>,
}

/// Fleet's definitions, as they are shipped.
fn definitions() -> &'static [Value] {
    static HELD: OnceLock<Vec<Value>> = OnceLock::new();
    HELD.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crds");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = |file: &std::path::PathBuf| {
            serde_yaml::from_str::<Value>(&std::fs::read_to_string(file).unwrap()).unwrap()
        };
        files.iter().map(read).collect()
    })
}

impl World {
    /// Three members, as in the tutorial, and a running engine.
    pub async fn tutorial() -> Self {
        let labels =
            |environment: &str, order: &str| json!({"environment": environment, "order": order});
        Self::new(&[
            ("member1", labels("canary", "2")),
            ("member2", labels("staging", "0")),
            ("member3", labels("canary", "1")),
        ])
        .await
    }

    pub async fn new(members: &[(&str, Value)]) -> Self {
        if std::env::var_os("RUST_LOG").is_some() {
            let filter = tracing_subscriber::EnvFilter::from_default_env();
            let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        }
        let all: Vec<&Value> = definitions().iter().collect();
        let (hub_server, hub) = server(all.iter().copied()).await;
        let anchors: Vec<&Value> = all
            .iter()
            .filter(|definition| definition["spec"]["names"]["kind"] == "AppliedWork")
            .copied()
            .collect();
        let mut world = Self {
            hub,
            members: BTreeMap::new(),
            registry: Members::new(),
            options: Options::default(),
            engine: None,
            servers: BTreeMap::from([(String::new(), hub_server)]),
        };
        for (name, labels) in members {
            let (member_server, member) = server(anchors.iter().copied()).await;
            world.registry.insert(*name, member.client().clone());
            world.members.insert((*name).to_owned(), member);
            world.servers.insert((*name).to_owned(), member_server);
            world
                .create(json!({"apiVersion": format!("{CLUSTER}/v1beta1"), "kind": "MemberCluster", "metadata": {"name": name, "labels": labels},
                    "spec": {"identity": {"kind": "ServiceAccount", "name": format!("fleet-member-agent-{name}"), "namespace": "fleet-system"}}}))
                .await;
        }
        world.start();
        for (name, _) in members {
            let cluster = key(CLUSTER, "MemberCluster", "", name);
            world.until(&cluster, "joined", |object| is(object, "Joined", "True")).await;
        }
        world
    }

    pub fn start(&mut self) {
        self.start_with(self.hub.client().clone(), self.registry.clone());
    }

    /// Starts the engine with this wire to the hub and to every member.
    pub fn start_on(&mut self, wire: &Wire) {
        let members = Members::new();
        for (name, server) in self.servers.iter().filter(|(name, _)| !name.is_empty()) {
            members.insert(name.as_str(), wire.client_of(name, server.clone()));
        }
        self.start_with(wire.client_of("hub", self.servers[""].clone()), members);
    }

    fn start_with(&mut self, hub: kube::Client, members: Members) {
        let stop = CancellationToken::new();
        let run = engine::run(hub, members, self.options.clone(), stop.clone());
        self.engine = Some((tokio::spawn(async move { run.await.unwrap() }), stop));
    }

    pub async fn stop(&mut self) {
        if let Some((engine, stop)) = self.engine.take() {
            stop.cancel();
            engine.await.unwrap();
        }
    }

    /// Ends the engine as a killed process ends: in the middle of whatever it does.
    pub async fn kill(&mut self) {
        if let Some((engine, _)) = self.engine.take() {
            engine.abort();
            assert!(engine.await.is_err_and(|error| error.is_cancelled()), "it had ended before");
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    pub async fn create(&self, object: Value) -> Value {
        self.hub.create_object(&object, "test").await.unwrap()
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, key: &ObjectKey, patch: Value) {
        hub::patch(&self.hub, key, &patch).await;
    }

    pub async fn delete(&self, key: &ObjectKey) {
        self.hub.delete_object(key, &Delete::default()).await.unwrap();
    }

    pub async fn get(&self, key: &ObjectKey) -> Option<Value> {
        self.hub.get_object(key).await.unwrap()
    }

    pub async fn list(&self, group: &str, kind: &str, namespace: Option<&str>) -> Vec<Value> {
        list(&self.hub, group, kind, namespace).await
    }

    /// Waits until an object is as wanted, and returns it.
    pub async fn until(
        &self,
        key: &ObjectKey,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        hub::until(key, what, async || self.get(key).await, wanted).await
    }

    /// Waits until an object is gone.
    pub async fn until_gone(&self, key: &ObjectKey) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(found) = self.get(key).await {
            if Instant::now() > deadline {
                panic!("{key} is not gone:\n{}", serde_yaml::to_string(&found).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns `test-cm`'s value on every member.
    pub async fn values(&self) -> Vec<Option<String>> {
        hub::values(&self.members, &key("", "ConfigMap", "test-namespace", "test-cm")).await
    }

    pub async fn until_values(&self, wanted: &[Option<&str>]) {
        let map = key("", "ConfigMap", "test-namespace", "test-cm");
        hub::until_values(&self.members, &map, wanted).await;
    }

    pub async fn create_content(&self, value: &str) {
        self.create(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-namespace",
            "labels": {"kubernetes.io/metadata.name": "test-namespace"}}}),
        )
        .await;
        self.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-cm", "namespace": "test-namespace"}, "data": {"key": value}}))
            .await;
    }

    pub async fn edit_content(&self, value: &str) {
        let config = key("", "ConfigMap", "test-namespace", "test-cm");
        self.patch(&config, json!({"data": {"key": value}})).await;
    }

    pub async fn approve(&self, request: &ObjectKey) {
        let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "lgtm", "message": "lgtm",
            "lastTransitionTime": "2026-11-23T11:34:27Z", "observedGeneration": 1}]}});
        self.hub.merge_object_status(request, &approved, "test").await.unwrap();
    }
}

pub async fn list(hub: &Hub, group: &str, kind: &str, namespace: Option<&str>) -> Vec<Value> {
    match hub.locate_any(group, kind).await {
        Ok(resource) => hub.list_objects(&resource, namespace, None).await.unwrap(),
        Err(HubError::UnknownKind { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|held| held["type"] == kind)
}

pub fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|held| held["status"] == status)
}

pub fn because(object: &Value, kind: &str) -> String {
    condition(object, kind).and_then(|held| held["reason"].as_str()).unwrap_or_default().to_owned()
}
