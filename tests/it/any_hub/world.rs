//! A hub and clusters that can be reached over TLS with a kubeconfig, and by nothing else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::{
    api,
    apiserver::{
        ApiServer, Options,
        listen::{self, Tls},
    },
    hub::Hub,
    model::ObjectKey,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::support::hub::key;
use crate::support::{
    hub,
    kubernetes::{Kubernetes, Plan, User},
    process::{Running, tidegate},
    transcript,
};

pub const PLACEMENT: &str = "placement.kubernetes-fleet.io";
pub const CLUSTER: &str = "cluster.kubernetes-fleet.io";
pub const SYSTEM: &str = "tidegate-system";

/// A cluster as kubeconfigs name it.
struct Endpoint {
    name: String,
    server: String,
    authority: String,
}

pub struct World {
    pub home: TempDir,
    /// With every right, and a context a cluster; the hub's is current.
    pub kubeconfig: PathBuf,
    /// With the rights of the account that `tidegate install` makes, where the servers know rights.
    pub account_kubeconfig: PathBuf,
    /// Clients of all clusters, with every right.
    pub clusters: BTreeMap<String, Hub>,
    /// The real servers, where they are.
    pub real: Option<Kubernetes>,
    endpoints: Vec<Endpoint>,
    /// The embedded servers end with it.
    _stop: Option<DropGuard>,
}

pub const TOKEN: &str = "secret-token";
/// Who the program is when it runs as `tidegate install` would have it.
pub const ACCOUNT: &str = "system:serviceaccount:tidegate-system:tidegate";

fn names(members: usize) -> Vec<String> {
    let members = (1..=members).map(|number| format!("member{number}"));
    std::iter::once("hub".to_owned()).chain(members).collect()
}

impl World {
    /// Bare embedded clusters: a hub, and `members` named member1, member2, …
    pub async fn embedded(members: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let tls = Tls::open(&home.path().join("tls")).unwrap();
        let (mut endpoints, mut clusters) = (Vec::new(), BTreeMap::new());
        let stop = CancellationToken::new();
        for name in names(members) {
            let server = ApiServer::open(Options::default()).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            clusters.insert(name.clone(), Hub::new(Client::new(server.clone(), "default")));
            let (tls, halt) = (tls.clone(), stop.clone());
            tokio::spawn(listen::serve(listener, tls.clone(), TOKEN.to_owned(), server, halt));
            let authority = tls.authority_pem().to_owned();
            endpoints.push(Endpoint {
                name,
                server: format!("https://127.0.0.1:{port}"),
                authority,
            });
        }
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_text(&endpoints, TOKEN)).unwrap();
        let account_kubeconfig = kubeconfig.clone();
        Self {
            home,
            kubeconfig,
            account_kubeconfig,
            clusters,
            real: None,
            endpoints,
            _stop: Some(stop.drop_guard()),
        }
    }

    /// Bare real clusters, likewise, with audit logs. None, loudly, where there are no programs for them.
    pub async fn real(suite: &str, members: usize) -> Option<Self> {
        let names = names(members);
        let account = User::service_account(SYSTEM, "tidegate");
        let mut plan =
            Plan::servers(names.iter().map(String::as_str)).with_user(account).with_audit();
        for name in &names {
            plan = plan.with_controllers(name);
        }
        let real = Kubernetes::start(suite, plan)?;
        let mut clusters = BTreeMap::new();
        let mut endpoints = Vec::new();
        for server in real.servers() {
            clusters.insert(server.name.clone(), Hub::new(real.client(&server.name).await));
            endpoints.push(Endpoint {
                name: server.name.clone(),
                server: server.address.clone(),
                authority: server.authority.clone(),
            });
        }
        let home = tempfile::tempdir().unwrap();
        let (kubeconfig, account_kubeconfig) = (real.kubeconfig(), real.kubeconfig_of(ACCOUNT));
        Some(Self {
            home,
            kubeconfig,
            account_kubeconfig,
            clusters,
            real: Some(real),
            endpoints,
            _stop: None,
        })
    }

    pub fn hub(&self) -> &Hub {
        &self.clusters["hub"]
    }

    pub fn server(&self, cluster: &str) -> &str {
        &self.endpoints.iter().find(|endpoint| endpoint.name == cluster).unwrap().server
    }

    /// Returns the text of a kubeconfig of one cluster.
    pub fn kubeconfig_of(&self, cluster: &str, token: &str) -> String {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == cluster).unwrap();
        kubeconfig_text(std::slice::from_ref(endpoint), token)
    }

    /// Returns what `tidegate install` prints.
    pub fn manifests(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.tidegate(&["install"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        documents(&String::from_utf8(output.stdout).unwrap())
    }

    /// Gives the hub what `tidegate install` prints.
    pub async fn install(&self, arguments: &[&str]) {
        for object in self.manifests(arguments) {
            self.hub().apply(&object, "installer", false).await.unwrap();
        }
    }

    /// Gives the members what joining would.
    pub async fn define_on_members(&self) {
        for (name, cluster) in &self.clusters {
            for definition in api::crd::all() {
                if name != "hub" && definition["spec"]["names"]["kind"] == "AppliedWork" {
                    cluster.create_object(&definition, "test").await.unwrap();
                }
            }
        }
    }

    /// Joins the tutorial's members, as a person would.
    pub fn join_tutorial_members(&self) {
        for (name, labels) in [
            ("member1", "environment=canary,order=2"),
            ("member2", "environment=staging"),
            ("member3", "environment=canary,order=1"),
        ] {
            let (code, said) = self.run(&[
                "join",
                name,
                "--context",
                "hub",
                "--member-context",
                name,
                "--labels",
                labels,
            ]);
            assert_eq!(code, Some(0), "{said}");
        }
    }

    /// Returns the command `tidegate` with the world's kubeconfig.
    pub fn tidegate(&self, arguments: &[&str]) -> Command {
        let mut command = tidegate(self.home.path());
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        command
    }

    /// Runs `tidegate`, and returns its exit code and what it said on both streams.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.tidegate(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    }

    /// Starts the engine as a process of its own.
    pub fn engine(&self, more: &[&str]) -> Running {
        let mut command = self.tidegate(&["run", "--engine", "builtin"]);
        command.env("KUBECONFIG", &self.account_kubeconfig).args(more);
        Running::start(command)
    }

    /// Starts what plays Fleet's controllers: the engine again, with every right.
    pub fn controllers(&self, more: &[&str]) -> Running {
        let mut command = self.tidegate(&["run", "--engine", "builtin"]);
        command.args(more);
        let mut controllers = Running::start(command);
        controllers.wait_for("this engine executes runs");
        controllers
    }

    /// Plays a transcript with the real kubectl, which must be there.
    pub fn play(&self, transcript: &str, kubectl: &Path) {
        transcript::run(transcript, self.home.path(), kubectl, &self.kubeconfig);
    }

    pub async fn create(&self, object: Value) -> Value {
        self.hub().create_object(&object, "test").await.unwrap()
    }

    pub async fn patch(&self, key: &ObjectKey, patch: &Value) {
        hub::patch(self.hub(), key, patch).await;
    }

    pub async fn until(
        &self,
        key: &ObjectKey,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        hub::until(key, what, async || self.hub().get_object(key).await.unwrap(), wanted).await
    }

    /// Creates a MemberCluster, as a person may by hand.
    pub async fn create_member(&self, name: &str) {
        self.create(json!({"apiVersion": format!("{CLUSTER}/v1beta1"), "kind": "MemberCluster", "metadata": {"name": name},
            "spec": {"identity": {"kind": "ServiceAccount", "name": format!("fleet-member-agent-{name}"), "namespace": "fleet-system"}}}))
            .await;
    }

    /// Creates the Secret with a member's kubeconfig.
    pub async fn create_secret(&self, name: &str, kubeconfig: &str) {
        self.create(json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"kubeconfig": kubeconfig},
            "metadata": {"name": format!("tidegate-member-{name}"), "namespace": SYSTEM, "labels": {"gitops.tidegate.dev/member": name}}}))
            .await;
    }
}

pub fn member(name: &str) -> ObjectKey {
    key(CLUSTER, "MemberCluster", "", name)
}

/// Returns the condition of a MemberCluster's agent, as status, reason and message.
pub fn health(cluster: &Value) -> (String, String, String) {
    let agents = cluster.pointer("/status/agentStatus").and_then(Value::as_array);
    let conditions = agents.and_then(|agents| agents.first()).map(|agent| &agent["conditions"]);
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    let health = conditions.find(|held| held["type"] == "Healthy");
    let text = |field: &str| {
        let value = health.and_then(|health| health[field].as_str());
        value.unwrap_or_default().to_owned()
    };
    (text("status"), text("reason"), text("message"))
}

pub fn is_healthy(cluster: &Value) -> bool {
    health(cluster).0 == "True"
}

fn kubeconfig_text(endpoints: &[Endpoint], token: &str) -> String {
    let named = |field: &str, of: &dyn Fn(&Endpoint) -> Value| -> Value {
        endpoints
            .iter()
            .map(|endpoint| json!({"name": endpoint.name, field: of(endpoint)}))
            .collect()
    };
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": endpoints[0].name,
        "clusters": named("cluster", &|endpoint| json!({
            "server": endpoint.server, "certificate-authority-data": STANDARD.encode(&endpoint.authority),
        })),
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": named("context", &|endpoint| json!({"cluster": endpoint.name, "user": "user"})),
    })
    .to_string()
}

/// Returns the objects of a stream of YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n").filter(|part| part.contains("apiVersion"));
    parts.map(|part| serde_yaml::from_str(part).unwrap()).collect()
}
