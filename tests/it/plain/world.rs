//! A hub and clusters that can be reached over TLS with a kubeconfig, and by nothing else.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

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
    local::{Context, kubeconfig},
    model::ObjectKey,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::support::hub::key;
use crate::support::{
    hub,
    process::{Running, tidegate},
};

pub const CLUSTER: &str = "cluster.kubernetes-fleet.io";
pub const SYSTEM: &str = "tidegate-system";

pub struct World {
    pub home: TempDir,
    /// A context a cluster, the hub's is current.
    pub kubeconfig: PathBuf,
    pub contexts: Vec<Context>,
    pub authority: String,
    /// Clients of all clusters, with every right.
    pub clusters: BTreeMap<String, Hub>,
    #[allow(dead_code)]
    stops: BTreeMap<String, CancellationToken>,
}

pub const TOKEN: &str = "secret-token";

impl World {
    /// Bare embedded clusters: a hub, and `members` named member1, member2, …
    pub async fn embedded(members: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let tls = Tls::open(&home.path().join("tls")).unwrap();
        let (mut contexts, mut clusters, mut stops) =
            (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let names = (1..=members).map(|number| format!("member{number}"));
        for name in std::iter::once("hub".to_owned()).chain(names) {
            let server = ApiServer::open(Options::default()).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let stop = CancellationToken::new();
            clusters.insert(name.clone(), Hub::new(Client::new(server.clone(), "default")));
            tokio::spawn(listen::serve(
                listener,
                tls.clone(),
                TOKEN.to_owned(),
                server,
                stop.clone(),
            ));
            stops.insert(name.clone(), stop);
            contexts.push(Context { name, server: format!("https://127.0.0.1:{port}") });
        }
        let path = home.path().join("kubeconfig");
        let authority = tls.authority_pem().to_owned();
        std::fs::write(&path, kubeconfig(&contexts, &authority, TOKEN)).unwrap();
        Self { home, kubeconfig: path, contexts, authority, clusters, stops }
    }

    pub fn hub(&self) -> &Hub {
        &self.clusters["hub"]
    }

    /// Takes a cluster off the network.
    #[allow(dead_code)]
    pub fn cut_off(&self, cluster: &str) {
        self.stops[cluster].cancel();
    }

    /// Returns the text of a kubeconfig of one cluster.
    pub fn kubeconfig_of(&self, cluster: &str, token: &str) -> String {
        let context = self.contexts.iter().find(|context| context.name == cluster).unwrap();
        kubeconfig(std::slice::from_ref(context), &self.authority, token)
    }

    /// Gives hub and members the definitions, and the hub the engine's namespace.
    pub async fn install(&self) {
        for (name, cluster) in &self.clusters {
            for definition in api::crd::all() {
                if name == "hub" || definition["spec"]["names"]["kind"] == "AppliedWork" {
                    cluster.create_object(&definition, "test").await.unwrap();
                }
            }
        }
        self.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}))
            .await;
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
        command.args(more);
        Running::start(command)
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

    #[allow(dead_code)]
    pub async fn until_gone(&self, key: &ObjectKey) {
        let gone = async || {
            let found = self.hub().get_object(key).await.unwrap();
            Some(found.unwrap_or(Value::Null))
        };
        hub::until(key, "gone", gone, Value::is_null).await;
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
