//! A hub, three members, an engine, a repository, and a daemon that can be stopped and started.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidegate::{
    api::crd,
    apiserver::ApiServer,
    config,
    daemon::{self, FirstPolicy, Source},
    engine::{self, Members, SnapshotMode},
    hub::{Hub, HubError},
    model::{CommitId, ObjectKey},
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::support::hub::key;
use crate::support::{
    git_server::GitServer,
    hub::{self, server},
    repository::TestRepository,
    wire::Wire,
};

pub const PLACEMENT: &str = "placement.kubernetes-fleet.io";

pub struct Stage {
    pub hub: Hub,
    pub members: BTreeMap<String, Hub>,
    pub repository: TestRepository,
    daemon: Option<(JoinHandle<()>, CancellationToken)>,
    engine: CancellationToken,
    registry: Members,
    pub first_policy: FirstPolicy,
    /// The daemon's own client, if it is another than the tests'.
    pub daemons: Option<kube::Client>,
    pub interval: &'static str,
    /// The folder that is followed.
    pub path: &'static str,
    _servers: Vec<ApiServer>,
}

pub fn fleet(kind: &str, name: &str) -> ObjectKey {
    key(PLACEMENT, kind, "", name)
}

pub const ROLLOUT: &str = "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  manifests: ./manifests\n  placementName: web\n  strategyName: slow\n";
pub const PLACEMENT_FILE: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterResourcePlacement\nmetadata: {name: web}\nspec:\n  resourceSelectors: [{group: '', version: v1, kind: Namespace, name: web}]\n  policy: {placementType: PickAll}\n  strategy: {type: External}\n";
pub const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n";
pub const TWO_STAGES: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec:\n  stages:\n  - {name: staging, labelSelector: {matchLabels: {environment: staging}}}\n  - {name: canary, labelSelector: {matchLabels: {environment: canary}}, sortingLabelKey: order}\n";
/// Canary waits for an approval.
pub const GATED: &str = "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateStrategy\nmetadata: {name: slow}\nspec:\n  stages:\n  - {name: staging, labelSelector: {matchLabels: {environment: staging}}}\n  - name: canary\n    labelSelector: {matchLabels: {environment: canary}}\n    beforeStageTasks: [{type: Approval}]\n";

pub fn config_map(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: web}}\ndata: {{key: {value}}}\n"
    )
}

impl Stage {
    /// Everything but the daemon; the repository is empty.
    pub async fn bare(mode: SnapshotMode) -> Self {
        Self::bare_over(mode, None).await
    }

    /// The same; the engine's own wire, to the hub and all members.
    pub async fn bare_over(mode: SnapshotMode, wire: Option<&Wire>) -> Self {
        if std::env::var_os("RUST_LOG").is_some() {
            let filter = tracing_subscriber::EnvFilter::from_default_env();
            let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        }
        let all = crd::all();
        let (hub_server, hub) = server(&all).await;
        let mut stage = Self {
            hub,
            members: BTreeMap::new(),
            repository: TestRepository::new(),
            daemon: None,
            engine: CancellationToken::new(),
            registry: Members::new(),
            first_policy: FirstPolicy::FirstCommit,
            daemons: None,
            interval: "1s",
            path: ".",
            _servers: vec![hub_server],
        };
        for (name, environment, order) in
            [("member1", "canary", "2"), ("member2", "staging", "0"), ("member3", "canary", "1")]
        {
            stage.join_over(name, environment, order, wire).await;
        }
        let options = engine::Options { snapshot_mode: mode, ..engine::Options::default() };
        let client = match wire {
            Some(wire) => wire.client_of("hub", stage._servers[0].clone()),
            None => stage.hub.client().clone(),
        };
        let run = engine::run(client, stage.registry.clone(), options, stage.engine.clone());
        tokio::spawn(async move { run.await.unwrap() });
        stage
    }

    /// One more member.
    pub async fn join(&mut self, name: &str, environment: &str, order: &str) {
        self.join_over(name, environment, order, None).await;
    }

    async fn join_over(&mut self, name: &str, environment: &str, order: &str, wire: Option<&Wire>) {
        let all = crd::all();
        let anchors =
            all.iter().filter(|definition| definition["spec"]["names"]["kind"] == "AppliedWork");
        let (member_server, member) = server(anchors).await;
        let client = match wire {
            Some(wire) => wire.client_of(name, member_server.clone()),
            None => member.client().clone(),
        };
        self.registry.insert(name, client);
        self.members.insert(name.to_owned(), member);
        self._servers.push(member_server);
        let cluster = json!({"apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "MemberCluster",
            "metadata": {"name": name, "labels": {"environment": environment, "order": order}},
            "spec": {"identity": {"kind": "ServiceAccount", "name": name, "namespace": "fleet-system"}}});
        self.hub.create_object(&cluster, "test").await.unwrap();
    }

    /// A Rollout `web` with this strategy, pushed, and a running daemon.
    pub async fn web(strategy: &str) -> Self {
        let mut stage = Self::bare(SnapshotMode::Both).await;
        stage.write_web(strategy);
        stage.repository.commit("first");
        stage.start();
        stage
    }

    pub fn write_web(&self, strategy: &str) {
        self.write_web_into("", strategy, "one");
    }

    /// Writes the Rollout and all that it needs below a folder, which ends with `/` or is the whole repository.
    pub fn write_web_into(&self, folder: &str, strategy: &str, value: &str) {
        for (path, text) in [
            ("apps/web/rollout.yaml", ROLLOUT),
            ("apps/web/placement.yaml", PLACEMENT_FILE),
            ("apps/web/manifests/namespace.yaml", NAMESPACE),
            ("apps/web/manifests/settings.yaml", &config_map(value)),
            ("strategies/slow.yaml", strategy),
        ] {
            self.repository.write(&format!("{folder}{path}"), text);
        }
    }

    pub fn start(&mut self) {
        let path = self.repository.path().display().to_string();
        self.start_on(&path);
    }

    pub fn start_on(&mut self, path: &str) {
        self.start_with(config::Repository::new(path));
    }

    /// Starts the daemon on a server's repository.
    pub fn start_on_server(&mut self, server: &GitServer) {
        let mut settings = config::Repository::new(server.url.as_str());
        settings.token_file = Some(server.file("token"));
        settings.ca_file = Some(server.file("ca.pem"));
        self.start_with(settings);
    }

    fn start_with(&mut self, settings: config::Repository) {
        self.daemon = Some(self.daemon(settings, self.path));
    }

    /// Starts one more daemon, on another folder of the repository. It ends with what is returned.
    pub fn start_another(&self, folder: &str) -> DropGuard {
        let path = self.repository.path().display().to_string();
        let (_, stop) = self.daemon(config::Repository::new(path.as_str()), folder);
        stop.drop_guard()
    }

    fn daemon(
        &self,
        mut settings: config::Repository,
        folder: &str,
    ) -> (JoinHandle<()>, CancellationToken) {
        settings.interval = self.interval.parse().unwrap();
        folder.clone_into(&mut settings.path);
        let mirrors = self.repository.path().with_file_name("mirrors");
        let source = Source::new(&settings, &mirrors, self.first_policy.clone()).unwrap();
        let stop = CancellationToken::new();
        let options = daemon::Options {
            patience: SignedDuration::from_secs(2),
            ..daemon::Options::default()
        };
        let client = self.daemons.clone().unwrap_or_else(|| self.hub.client().clone());
        let run = daemon::run(client, vec![source], options, stop.clone());
        (tokio::spawn(async move { run.await.unwrap() }), stop)
    }

    /// Gives the daemon this wire from its next start on.
    pub fn wire(&mut self, wire: &Wire) {
        self.daemons = Some(wire.client(self._servers[0].clone()));
    }

    /// Ends the daemon as a killed process ends: in the middle of whatever it does.
    pub async fn kill(&mut self) {
        if let Some((daemon, _)) = self.daemon.take() {
            daemon.abort();
            assert!(daemon.await.is_err_and(|error| error.is_cancelled()), "it had ended before");
        }
    }

    pub async fn stop(&mut self) {
        if let Some((daemon, stop)) = self.daemon.take() {
            stop.cancel();
            daemon.await.unwrap();
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    /// Pushes another value of the ConfigMap.
    pub fn push(&self, value: &str) -> CommitId {
        self.repository.write("apps/web/manifests/settings.yaml", &config_map(value));
        self.repository.commit(&format!("value {value}"))
    }

    pub async fn get(&self, key: &ObjectKey) -> Option<Value> {
        match self.hub.get_object(key).await {
            Ok(found) => found,
            Err(HubError::UnknownKind { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn until(
        &self,
        key: &ObjectKey,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        hub::until(key, what, async || self.get(key).await, wanted).await
    }

    pub async fn until_rollout(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let rollout = key("gitops.tidegate.dev", "Rollout", "default", name);
        self.until(&rollout, what, |object| wanted(&object["status"])).await["status"].clone()
    }

    /// Waits until the Rollout has released this commit, and everything is done.
    pub async fn until_done(&self, commit: &CommitId) -> Value {
        self.until_rollout("web", &format!("done with {commit}"), |status| {
            status["commit"] == commit.as_str() && is(status, "Ready", "True")
        })
        .await
    }

    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let resource = self.hub.locate_any(PLACEMENT, kind).await.unwrap();
        self.hub.list_objects(&resource, None, None).await.unwrap()
    }

    pub async fn count(&self, kind: &str) -> usize {
        self.list(kind).await.len()
    }

    pub async fn until_values<const N: usize>(&self, wanted: [Option<&str>; N]) {
        hub::until_values(&self.members, &key("", "ConfigMap", "web", "settings"), &wanted).await;
    }

    pub async fn patch(&self, key: &ObjectKey, patch: Value) {
        hub::patch(&self.hub, key, &patch).await;
    }

    /// Approves a commit's canary stage as somebody does who may patch the request.
    pub async fn approve_on_the_hub(&self, commit: &CommitId) {
        let name = format!("web-{}-before-canary", commit.short());
        self.approve_request(&fleet("ClusterApprovalRequest", &name)).await;
    }

    pub async fn approve_request(&self, request: &ObjectKey) {
        let patch = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "lgtm",
            "message": "lgtm", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        self.hub.merge_object_status(request, &patch, "test").await.unwrap();
    }

    /// Returns a commit's Approval document.
    pub fn approval(commit: &CommitId, stage: &str, rollout: &str) -> String {
        format!(
            "apiVersion: gitops.tidegate.dev/v1alpha1\nkind: Approval\nmetadata: {{name: {stage}}}\nspec:\n  rollout: {rollout}\n  commit: {commit}\n  stage: {stage}\n  task: BeforeStage\n  decision: Approve\n"
        )
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.engine.cancel();
        if let Some((_, stop)) = &self.daemon {
            stop.cancel();
        }
    }
}

pub fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub fn is(status: &Value, kind: &str, wanted: &str) -> bool {
    condition(status, kind).is_some_and(|condition| condition["status"] == wanted)
}

pub fn reason<'a>(status: &'a Value, kind: &str) -> &'a str {
    condition(status, kind).and_then(|c| c["reason"].as_str()).unwrap_or_default()
}

pub fn message(status: &Value) -> &str {
    status["message"].as_str().unwrap_or_default()
}

pub fn waits_for_approval(status: &Value) -> bool {
    reason(status, "Ready") == "WaitingForApproval"
}
