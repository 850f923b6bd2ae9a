//! `tidegate join`.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{Client, Config, config::Kubeconfig};
use serde_json::{Map, Value, json};

use super::{
    args::JoinArgs,
    exit::Exit,
    failure::{OrHint, hinted},
    hub, output,
};
use crate::{
    api::{crd, kind, meta},
    engine,
    hub::{
        Apply, Hub, HubError,
        kubeconfig::{KubeconfigProblem, configure_contained, self_contained},
    },
    model::{Hint as _, ObjectKey},
};

/// Field manager of what joining writes.
const MANAGER: &str = "tidegate-join";

pub(super) async fn run(args: &JoinArgs) -> anyhow::Result<Exit> {
    let labels = labels(&args.labels)?;
    // Everything is asked for before anything is written.
    let kubeconfig = member_kubeconfig(args)?;
    let member = reach(&args.name, &kubeconfig).await?;
    let hub = Hub::new(hub::connect(&args.hub).await?.client);
    let known = known_member(&hub, &args.name).await?;
    let definition = anchor_definition(&member, &args.name).await?;
    let secret = secret(&args.name, &kubeconfig);
    let cluster = (known.is_none() || !labels.is_empty()).then(|| cluster(&args.name, &labels));
    let mut writes = Vec::new();
    writes.extend(definition.map(|object| Write { to: &member, on: "the member", object }));
    writes.push(Write { to: &hub, on: "the hub", object: secret });
    writes.extend(cluster.map(|object| Write { to: &hub, on: "the hub", object }));
    for write in &writes {
        write.carry_out(true).await?;
    }
    if !args.dry_run {
        for write in &writes {
            write.carry_out(false).await?;
        }
    }
    let joined = match known {
        None => "joins as soon as the built-in engine runs on the hub",
        Some(_) => "is a member already; its credentials are those given now",
    };
    let dry = if args.dry_run { " (dry run: nothing was written)" } else { "" };
    output::write(format!("{} {joined}{dry}\n", args.name).as_bytes())
}

/// An object to apply.
struct Write<'a> {
    to: &'a Hub,
    on: &'static str,
    object: Value,
}

impl Write<'_> {
    async fn carry_out(&self, dry_run: bool) -> anyhow::Result<()> {
        let kind = self.object["kind"].as_str().unwrap_or_default();
        // The Secret is ours alone. The rest may have other owners, whose word counts.
        let how = Apply { manager: MANAGER, force: kind == "Secret", dry_run };
        let applied = self.to.apply_with(&self.object, how).await;
        let hint = |error: &HubError| {
            error.hint().unwrap_or_else(|| "correct what the API server names and try again".into())
        };
        applied.map(drop).map_err(|error| {
            let (hint, on) = (hint(&error), self.on);
            let failed =
                Err::<(), _>(error).or_hint(format!("cannot write {kind} on {on}"), || hint);
            failed.err().unwrap_or_else(|| anyhow::anyhow!("cannot write {kind}"))
        })
    }
}

fn labels(texts: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut labels = Map::new();
    for text in texts {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                labels.insert(key.to_owned(), value.into());
            }
            _ => {
                return Err(hinted(
                    format!("`{text}` is not a label"),
                    "write labels as key=value, several with commas between",
                ));
            }
        }
    }
    Ok(labels)
}

/// Reads the member's kubeconfig, and returns a text that stands alone.
fn member_kubeconfig(args: &JoinArgs) -> anyhow::Result<String> {
    let read = match (&args.member_kubeconfig, &args.hub.kubeconfig) {
        (Some(file), _) | (None, Some(file)) => Kubeconfig::read_from(file),
        (None, None) => Kubeconfig::read(),
    };
    let read = read.or_hint("cannot read the member's kubeconfig", || {
        "name it with --member-kubeconfig".to_owned()
    })?;
    let mut alone = self_contained(read, args.member_context.as_deref())
        .map_err(|problem| unusable(&args.name, problem))?;
    if let Some(server) = &args.member_server {
        for cluster in alone.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(server.clone());
        }
    }
    serde_json::to_string_pretty(&alone).context("cannot write the kubeconfig")
}

fn unusable(name: &str, problem: KubeconfigProblem) -> anyhow::Error {
    let hint = match &problem {
        KubeconfigProblem::NoContext { .. } | KubeconfigProblem::NoCurrentContext => {
            "name a context of the kubeconfig with --member-context".to_owned()
        }
        _ => problem.hint().unwrap_or_default(),
    };
    let attempt = format!("cannot use the kubeconfig of `{name}`");
    let failed = Err::<(), _>(problem).or_hint(attempt, || hint);
    failed.err().unwrap_or_else(|| anyhow::anyhow!("cannot use the kubeconfig of `{name}`"))
}

/// Connects to the member as the engine will, and asks it something that needs credentials.
async fn reach(name: &str, kubeconfig: &str) -> anyhow::Result<Hub> {
    let mut config: Config =
        configure_contained(kubeconfig).await.map_err(|problem| unusable(name, problem))?;
    config.connect_timeout = Some(std::time::Duration::from_secs(5));
    let server = config.cluster_url.to_string();
    let hint = || "check address, certificates and credentials of the member's context".to_owned();
    let client =
        Client::try_from(config).or_hint(format!("cannot use the kubeconfig of `{name}`"), hint)?;
    let member = Hub::new(client);
    match engine::member::check(&member, name).await {
        Ok(()) => Ok(member),
        // Joining installs what is missing.
        Err(trouble) if trouble.reason == "DefinitionMissing" => Ok(member),
        Err(trouble) => {
            Err(hinted(format!("member `{name}` at {server}: {}", trouble.message), hint()))
        }
    }
}

/// Returns the member if the hub knows it, and checks that the hub is ready for members.
async fn known_member(hub: &Hub, name: &str) -> anyhow::Result<Option<Value>> {
    let key = |group: &str, kind: &str, name: &str| ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    };
    let install = || "install what is missing: tidegate install | kubectl apply --server-side -f -";
    let found =
        match hub.get_object(&key(kind::CLUSTER_GROUP, kind::MEMBER_CLUSTER.name, name)).await {
            Err(error @ HubError::UnknownKind { .. }) => {
                return Err(error)
                    .or_hint("the hub is not ready for members", || install().to_owned());
            }
            other => other.or_hint("cannot read the hub's members", || {
                "check the hub's context and its credentials".to_owned()
            })?,
        };
    let namespace = hub.get_object(&key("", "Namespace", meta::SYSTEM_NAMESPACE)).await;
    let namespace = namespace.or_hint("cannot read the hub's namespaces", || {
        "check the hub's context and its credentials".to_owned()
    })?;
    if namespace.is_none() {
        let message = format!("the hub has no namespace `{}`", meta::SYSTEM_NAMESPACE);
        return Err(hinted(message, install()));
    }
    let leaves = |found: &Value| found.pointer("/metadata/deletionTimestamp").is_some();
    if found.as_ref().is_some_and(leaves) {
        return Err(hinted(
            format!("`{name}` is about to leave the fleet"),
            format!("wait until `tidegate leave {name}` has ended, and join then"),
        ));
    }
    Ok(found)
}

/// Returns the definition that the member needs, if it has none that will do.
async fn anchor_definition(member: &Hub, name: &str) -> anyhow::Result<Option<Value>> {
    let anchor =
        |definition: &Value| definition["spec"]["names"]["kind"] == kind::APPLIED_WORK.name;
    let Some(ours) = crd::all().into_iter().find(anchor) else { return Ok(None) };
    let key = ObjectKey {
        group: "apiextensions.k8s.io".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        namespace: String::new(),
        name: ours["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
    };
    let held = member
        .get_object(&key)
        .await
        .or_hint(format!("cannot read the definitions of `{name}`"), || {
            "give the member's account the rights of cluster-admin".to_owned()
        })?;
    Ok(match held {
        Some(held) if crd::lacking(&held, &ours).is_empty() => None,
        _ => Some(ours),
    })
}

fn secret(name: &str, kubeconfig: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": meta::member_secret(name),
            "namespace": meta::SYSTEM_NAMESPACE,
            "labels": {meta::MEMBER_SECRET: name},
        },
        "type": "Opaque",
        "data": {meta::MEMBER_SECRET_KEY: STANDARD.encode(kubeconfig)},
    })
}

/// Fleet demands an identity: that of the member's agent on the hub. Our engine needs none.
fn cluster(name: &str, labels: &Map<String, Value>) -> Value {
    json!({
        "apiVersion": kind::MEMBER_CLUSTER.api_version(),
        "kind": kind::MEMBER_CLUSTER.name,
        "metadata": {"name": name, "labels": labels},
        "spec": {"identity": {
            "kind": "ServiceAccount",
            "name": format!("fleet-member-agent-{name}"),
            "namespace": "fleet-system",
        }},
    })
}
