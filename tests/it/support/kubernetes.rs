//! Real API servers on this machine: one etcd, and as many kube-apiservers as a test asks for.
//!
//! ```ignore
//! let Some(real) = Kubernetes::start("joining members", Plan::servers(["hub", "member1"])) else { return };
//! let client = real.client("hub").await;              // or real.kubeconfig(), with one context a server
//! ```
//!
//! Programs are found as envtest finds them: in the folder `KUBEBUILDER_ASSETS`. `.ci/run` builds what is missing;
//! where nothing is, a suite says so and passes.

mod start;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::{
    process::say_skipped,
    watchdog::{SweptFolder, Watched},
};

/// The user who may do everything, on every server.
pub const ADMIN: &str = "admin";

/// The programs.
#[derive(Debug, Clone)]
pub struct Assets {
    pub etcd: PathBuf,
    pub apiserver: PathBuf,
    pub controller_manager: Option<PathBuf>,
}

impl Assets {
    /// Finds them, or says what is missing.
    pub fn find() -> Result<Assets, String> {
        let folder = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let Some(folder) = folder else {
            return Err("KUBEBUILDER_ASSETS is not set; .ci/run sets it".to_owned());
        };
        let here = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = |name: &str| {
            std::env::split_paths(&path).map(|f| f.join(name)).find(|path| path.is_file())
        };
        let missing = |name: &str| format!("there is no {name} in {}", folder.display());
        Ok(Assets {
            etcd: here("etcd")
                .or_else(|| in_path("etcd"))
                .ok_or_else(|| format!("{}, nor in PATH", missing("etcd")))?,
            apiserver: here("kube-apiserver").ok_or_else(|| missing("kube-apiserver"))?,
            controller_manager: here("kube-controller-manager"),
        })
    }
}

/// A user with a token, beside the administrator.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    /// Someone who is nobody's service account.
    pub fn named(name: &str) -> User {
        User { name: name.to_owned(), groups: Vec::new() }
    }

    /// Who a pod of this service account would be.
    pub fn service_account(namespace: &str, name: &str) -> User {
        User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ],
        }
    }
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Names of the kube-apiservers, which are also their contexts and etcd prefixes.
    pub servers: Vec<String>,
    /// Users beside the administrator, known to every server.
    pub users: Vec<User>,
    /// Servers whose kube-controller-manager ends namespaces and collects garbage.
    pub controlled: Vec<String>,
    /// Whether each server writes down who asked it for what.
    pub audit: bool,
    /// Further flags of every kube-apiserver.
    pub flags: Vec<String>,
}

impl Plan {
    /// Servers with these names and nothing else.
    pub fn servers<'n>(names: impl IntoIterator<Item = &'n str>) -> Plan {
        Plan { servers: names.into_iter().map(str::to_owned).collect(), ..Plan::default() }
    }

    /// Adds a user.
    pub fn with_user(mut self, user: User) -> Plan {
        self.users.push(user);
        self
    }

    /// Runs the controllers of namespaces and garbage on this server.
    pub fn with_controllers(mut self, server: &str) -> Plan {
        self.controlled.push(server.to_owned());
        self
    }

    /// Writes audit logs.
    pub fn with_audit(mut self) -> Plan {
        self.audit = true;
        self
    }
}

/// Running API servers. They end when this is dropped, and when the process ends.
#[derive(Debug)]
pub struct Kubernetes {
    // Programs end before their folder goes.
    programs: Vec<Watched>,
    folder: SweptFolder,
    etcd: String,
    servers: Vec<Server>,
    tokens: Vec<(String, String)>,
}

/// One kube-apiserver.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    /// `https://127.0.0.1:<port>`.
    pub address: String,
    /// The certificates to trust, PEM.
    pub authority: String,
}

/// A line of an audit log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Audited {
    pub user: String,
    pub verb: String,
    pub group: String,
    /// With `/<subresource>` where one was meant.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub code: u64,
}

impl Kubernetes {
    /// Starts what the plan says and waits until it is ready. None, loudly, where the programs are missing.
    pub fn start(suite: &str, plan: Plan) -> Option<Kubernetes> {
        let assets = match Assets::find() {
            Ok(assets) if plan.controlled.is_empty() || assets.controller_manager.is_some() => {
                assets
            }
            Ok(_) => {
                say_skipped(suite, "there is no kube-controller-manager in KUBEBUILDER_ASSETS");
                return None;
            }
            Err(why) => {
                say_skipped(suite, &why);
                return None;
            }
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Waiting blocks, which a runtime's threads must not.
        Some(thread::spawn(move || start::start(&assets, &plan)).join().unwrap())
    }

    /// The servers, in the order of the plan.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The processes of the programs.
    pub fn processes(&self) -> Vec<u32> {
        self.programs.iter().map(Watched::id).collect()
    }

    /// A server by name.
    pub fn server(&self, name: &str) -> &Server {
        self.servers.iter().find(|server| server.name == name).unwrap()
    }

    /// The token of a user by name, [`ADMIN`] included.
    pub fn token(&self, user: &str) -> &str {
        &self.tokens.iter().find(|(name, _)| name == user).unwrap().1
    }

    /// A file for further use: it goes with the servers.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The administrator's kubeconfig: one context a server, the first is current.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Writes another user's kubeconfig, likewise, and returns its path.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        let name = user.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let path = self.folder.path().join(format!("kubeconfig-{name}"));
        start::write_kubeconfig(&path, &self.servers, self.token(user));
        path
    }

    /// An administrator's client of a server.
    pub async fn client(&self, server: &str) -> Client {
        client(&self.kubeconfig(), server).await
    }

    /// Another user's client of a server.
    pub async fn client_of(&self, user: &str, server: &str) -> Client {
        client(&self.kubeconfig_of(user), server).await
    }

    /// Everything that was asked of a server so far, by its audit log. What runs now may be missing.
    pub fn audited(&self, server: &str) -> Vec<Audited> {
        let log = fs::read_to_string(self.folder.path().join(format!("{server}-audit.log")));
        let log = log.expect("the plan asks for audit logs");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).map(audited).collect()
    }

    /// Forgets the history of all servers, as etcd does after some minutes: older revisions answer 410.
    pub fn forget_history(&self) {
        let etcd = self.etcd.clone();
        thread::spawn(move || {
            let client = reqwest::blocking::Client::new();
            let post = |path: &str, body: Value| -> Value {
                let sent = client.post(format!("{etcd}{path}")).body(body.to_string()).send();
                serde_json::from_str(&sent.unwrap().text().unwrap()).unwrap()
            };
            let seen = post("/v3/kv/range", json!({"key": STANDARD.encode("/")}));
            let revision = &seen["header"]["revision"];
            post("/v3/kv/compaction", json!({"revision": revision, "physical": true}));
        })
        .join()
        .unwrap();
    }
}

/// Reads a client from a kubeconfig's context.
pub async fn client(kubeconfig: &Path, context: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options =
        KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()).unwrap()
}

fn audited(line: Value) -> Audited {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &line["objectRef"];
    let subresource = text(&object["subresource"]);
    let mut resource = text(&object["resource"]);
    if !subresource.is_empty() {
        resource = format!("{resource}/{subresource}");
    }
    Audited {
        user: text(&line["user"]["username"]),
        verb: text(&line["verb"]),
        group: text(&object["apiGroup"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
    }
}
