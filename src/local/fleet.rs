//! Servers, kinds, members and engine, started in the right order.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{core::v1::Namespace, rbac::v1::Subject},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::member::Member;
use crate::{
    api::{
        self, MemberCluster,
        condition::is_true,
        kind,
        member::{JOINED, MemberClusterSpec},
        meta::{GITOPS_MANAGER, SYSTEM_NAMESPACE},
    },
    apiserver::{ApiServer, OpenError, Options, StoreKind},
    clock::{self, Clock},
    engine::{self, EngineError, Members, Trouble},
    model::Hint,
};

/// Where clusters keep their objects.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Nowhere: gone with the process.
    Memory,
    /// A file a cluster in this folder, named `<cluster>.redb`.
    Folder(PathBuf),
}

/// A running fleet. Dropping it without [`Fleet::shut_down`] leaves durable stores as a crash would: whole.
pub struct Fleet {
    servers: Vec<(String, ApiServer)>,
    members: Vec<Member>,
    engine: Option<JoinHandle<Result<(), EngineError>>>,
    stop: CancellationToken,
}

/// The fleet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A cluster's store cannot be opened.
    #[error("cannot open the API server of `{cluster}`")]
    Open {
        /// The hub or a member.
        cluster: String,
        /// Why not.
        #[source]
        source: OpenError,
    },
    /// A cluster refused what the fleet is made of.
    #[error("cannot {doing} on `{cluster}`")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// The hub or a member.
        cluster: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine ended before the members joined.
    #[error("the engine ended early")]
    Engine(#[source] Option<EngineError>),
    /// Nothing happened for too long.
    #[error("members {} did not join within {} s", waiting.join(", "), JOIN_DEADLINE.as_secs())]
    NotJoined {
        /// Who is missing.
        waiting: Vec<String>,
    },
}

impl Hint for FleetError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Open { .. } => Some(
                "another `tidegate local` may use this --data-dir; stop it or name another".into(),
            ),
            _ => None,
        }
    }
}

/// Joining takes milliseconds; a machine that needs longer than this has another problem.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);

/// What labels begin with that Fleet gives to members.
const FLEET_LABELS: &str = "kubernetes-fleet.io/";

/// Name of the hub's context.
pub const HUB: &str = "hub";

impl Fleet {
    /// Starts hub, members and engine, and returns when every member has joined. Other clusters may join at any time.
    /// Without an engine they are clusters side by side, of which none is a member yet.
    ///
    /// # Errors
    /// When a store cannot be opened, a cluster refuses its kinds, or the members do not join.
    pub async fn start(
        storage: Storage,
        mut members: Vec<Member>,
        engine: Option<engine::Options>,
    ) -> Result<Self, FleetError> {
        let clock = engine.as_ref().map_or_else(clock::system, |options| options.clock.clone());
        let mut servers = Vec::new();
        for cluster in std::iter::once(HUB).chain(members.iter().map(|member| member.name.as_str()))
        {
            servers.push((cluster.to_owned(), open(&storage, cluster, &clock).await?));
        }
        let client = |at: usize| Client::new(servers[at].1.clone(), "default");
        let kinds = api::crd::all();
        let of_members: Vec<Value> =
            kinds.iter().filter(|kind| is_member_kind(kind)).cloned().collect();
        let mut installing = JoinSet::new();
        installing.spawn(install(client(0), HUB.to_owned(), kinds));
        let registry = Members::default();
        for (at, member) in members.iter().enumerate() {
            let there = client(at + 1);
            installing.spawn(install(there.clone(), member.name.clone(), of_members.clone()));
            registry.insert(member.name.as_str(), there);
        }
        installing.join_all().await.into_iter().collect::<Result<(), _>>()?;
        let (stop, hub) = (CancellationToken::new(), client(0));
        system_namespace(&hub).await?;
        let Some(options) = engine else {
            members.iter_mut().for_each(|member| member.labels.clear());
            return Ok(Self { servers, members, engine: None, stop });
        };
        for member in &members {
            join(&hub, member).await?;
        }
        let mut engine = tokio::spawn(execute(hub.clone(), registry, options, stop.clone()));
        wait_joined(hub, &mut members, &mut engine).await?;
        Ok(Self { servers, members, engine: Some(engine), stop })
    }

    /// Returns a client of the hub, in process.
    pub fn hub(&self) -> Client {
        Client::new(self.servers[0].1.clone(), "default")
    }

    /// Returns a client of each member, in process.
    pub fn member_clients(&self) -> BTreeMap<String, Client> {
        self.servers
            .iter()
            .skip(1)
            .map(|(name, server)| (name.clone(), Client::new(server.clone(), "default")))
            .collect()
    }

    /// Returns the servers by context name, the hub first.
    pub fn servers(&self) -> &[(String, ApiServer)] {
        &self.servers
    }

    /// Returns the members, in order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Waits until the engine ends by itself, which it does only when it is broken.
    pub async fn engine_ended(&mut self) -> Option<EngineError> {
        let Some(engine) = &mut self.engine else { return std::future::pending().await };
        match engine.await {
            Ok(Err(error)) => Some(error),
            _ => None,
        }
    }

    /// Ends the engine, then the servers, each with everything written.
    pub async fn shut_down(self) {
        self.stop.cancel();
        if let Some(engine) = self.engine.filter(|engine| !engine.is_finished()) {
            let _ = engine.await;
        }
        for (_, server) in self.servers {
            server.shutdown().await;
        }
    }
}

/// Waits until every member has joined, and notes the labels that they really have.
async fn wait_joined(
    hub: Client,
    members: &mut [Member],
    engine: &mut JoinHandle<Result<(), EngineError>>,
) -> Result<(), FleetError> {
    let clusters: Api<MemberCluster> = Api::all_with(hub, &kind::MEMBER_CLUSTER.resource());
    let joined = |object: Option<&MemberCluster>| {
        object
            .and_then(|o| o.status.as_ref())
            .is_some_and(|status| is_true(&status.conditions, JOINED))
    };
    let all = futures::future::join_all(
        members.iter().map(|member| await_condition(clusters.clone(), &member.name, joined)),
    );
    let joined = tokio::select! {
        results = all => results,
        ended = engine => {
            return Err(FleetError::Engine(ended.ok().and_then(Result::err)));
        }
        () = tokio::time::sleep(JOIN_DEADLINE) => {
            let waiting = members.iter().map(|member| member.name.clone()).collect();
            return Err(FleetError::NotJoined { waiting });
        }
    };
    for (member, cluster) in members.iter_mut().zip(joined) {
        let cluster = cluster.map_err(|source| FleetError::Refused {
            doing: "watch members",
            cluster: HUB.into(),
            source: source.into(),
        })?;
        // Those of a member that was there before are the user's. Fleet's own are of no use to them.
        member.labels = cluster.and_then(|cluster| cluster.metadata.labels).unwrap_or_default();
        member.labels.retain(|label, _| !label.starts_with(FLEET_LABELS));
    }
    Ok(())
}

async fn open(
    storage: &Storage,
    cluster: &str,
    clock: &Arc<dyn Clock>,
) -> Result<ApiServer, FleetError> {
    let store = match storage {
        Storage::Memory => StoreKind::Memory,
        Storage::Folder(folder) => StoreKind::File(folder.join(format!("{cluster}.redb"))),
    };
    let clock = Arc::clone(clock);
    let options = Options { store, clock: Arc::new(move || clock.now()), ..Options::default() };
    ApiServer::open(options)
        .await
        .map_err(|source| FleetError::Open { cluster: cluster.to_owned(), source })
}

/// Runs the engine while it has the hub's Lease: an engine of another process may want it too.
async fn execute(
    hub: Client,
    members: Members,
    options: engine::Options,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    // Always the same: a hub's store has one process, and its next life need not wait for the Lease's end.
    let election = engine::Election::engine("tidegate-local");
    let run = |term| {
        let (hub, members, options) = (hub.clone(), members.clone(), options.clone());
        engine::run_with_joined(hub, members, stranger, options, term)
    };
    engine::lead(hub.clone(), &election, stop, run).await
}

/// Says that a cluster is none of the fleet's own, and did not join either.
fn stranger(cluster: &str) -> Trouble {
    Trouble {
        reason: "KubeconfigMissing",
        message: format!(
            "the cluster is none of those that run beside the hub, and has no kubeconfig on it; start more with --members, or run `tidegate join {cluster} --member-context CONTEXT`"
        ),
    }
}

async fn system_namespace(hub: &Client) -> Result<(), FleetError> {
    let api: Api<Namespace> = Api::all(hub.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(SYSTEM_NAMESPACE.to_owned());
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(source) => Err(FleetError::Refused {
            doing: "create a namespace",
            cluster: HUB.into(),
            source: source.into(),
        }),
    }
}

fn is_member_kind(definition: &Value) -> bool {
    definition["spec"]["names"]["kind"] == kind::APPLIED_WORK.name
}

async fn install(
    client: Client,
    cluster: String,
    definitions: Vec<Value>,
) -> Result<(), FleetError> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let parameters = PatchParams::apply(GITOPS_MANAGER).force();
    for definition in definitions {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        api.patch(&name, &parameters, &Patch::Apply(definition)).await.map_err(|source| {
            let (doing, cluster) = ("install a definition", cluster.clone());
            FleetError::Refused { doing, cluster, source: source.into() }
        })?;
    }
    Ok(())
}

/// Creates the MemberCluster. One that is there stays as it is: its labels are the user's.
async fn join(hub: &Client, member: &Member) -> Result<(), FleetError> {
    let refused = |source: kube::Error| FleetError::Refused {
        doing: "create a member cluster",
        cluster: HUB.into(),
        source: source.into(),
    };
    let resource = kind::MEMBER_CLUSTER.resource();
    let api: Api<MemberCluster> = Api::all_with(hub.clone(), &resource);
    let identity = Subject {
        kind: "ServiceAccount".into(),
        name: format!("fleet-member-agent-{}", member.name),
        namespace: Some("fleet-system".into()),
        ..Subject::default()
    };
    let mut object = MemberCluster::new(
        &member.name,
        &resource,
        MemberClusterSpec { identity, ..Default::default() },
    );
    object.metadata = ObjectMeta {
        name: Some(member.name.clone()),
        labels: Some(member.labels.clone()),
        ..ObjectMeta::default()
    };
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(refused(error)),
    }
}
