//! Member clusters: joining, heartbeats, leaving.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{Again, Change, Context, EngineError, Key, Queue, Trouble, members::Way};
use crate::{
    api::{
        AppliedWork, MemberCluster,
        condition::{self, Claim, Truth, whole_seconds},
        kind,
        member::{AgentStatus, HEALTHY, JOINED, MEMBER_AGENT, MemberClusterStatus, READY_TO_JOIN},
        meta,
    },
    hub::{Delete, Hub, HubError},
    model::{ObjectKey, Scope},
};

const HEARTBEAT_SECONDS: i32 = 60;
/// How long a member may take to answer a heartbeat.
const ANSWER: Duration = Duration::from_secs(5);
/// A member that is not well is looked at again so often, or more.
const UNWELL: Duration = Duration::from_secs(5);
/// A deletion is looked at again so often, beside every change.
const LINGER: Duration = Duration::from_millis(500);

/// Listens for what concerns members, and returns the queue of members to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("member cluster");
    let on_cluster = queue.clone();
    ctx.clusters.listen(move |change: &Change<'_, MemberCluster>| {
        let facet = |cluster: &MemberCluster| {
            let meta = &cluster.metadata;
            let named = meta.labels.as_ref().and_then(|held| held.get(meta::MEMBER_NAME).cloned());
            (meta.generation, meta.deletion_timestamp.is_some(), meta.finalizers.clone(), named)
        };
        if change.differs(facet) {
            on_cluster.add(change.key.clone());
        }
    });
    queue
}

/// Adds every member to `queue` whenever the registry of members changes.
pub(super) async fn keep(
    ctx: Arc<Context>,
    queue: Arc<Queue<Key>>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut changes = ctx.members.changes();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        ctx.clusters.all().iter().for_each(|cluster| queue.add(Key::of(&cluster.metadata)));
    }
}

fn namespace_of(cluster: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "Namespace".into(),
        namespace: String::new(),
        name: meta::member_namespace(cluster),
    }
}

/// Joins a member, refreshes its heartbeat, or lets it leave.
///
/// # Errors
/// When the hub does not answer.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let Some(cluster) = ctx.clusters.get(&key) else { return Ok(Again::No) };
    if cluster.metadata.deletion_timestamp.is_some() {
        return leave(&ctx, &key, &cluster).await;
    }
    let cluster = ctx.clusters.add_finalizer(&cluster, meta::MEMBER_FINALIZER).await?;
    let label = json!({"metadata": {"labels": {meta::MEMBER_NAME: key.name}}});
    let labels = cluster.metadata.labels.as_ref();
    let cluster = match labels.and_then(|labels| labels.get(meta::MEMBER_NAME)) {
        Some(held) if *held == key.name => cluster,
        _ => ctx.clusters.merge(&key, &label).await?,
    };
    let status = cluster.status.clone().unwrap_or_default();
    if !condition::is_true(&status.conditions, READY_TO_JOIN) {
        create_namespace(&ctx, &key).await?;
    }
    let health = match ctx.members.way(&key.name) {
        None => None,
        Some(Way::Open(member, _)) => Some(check(&member, &key.name).await),
        Some(Way::Closed(trouble)) => Some(Err(trouble)),
    };
    let now = ctx.now();
    let generation = cluster.metadata.generation.unwrap_or_default();
    let period = cluster.spec.heartbeat_period_seconds.unwrap_or(HEARTBEAT_SECONDS).clamp(1, 600);
    let told = tell(status.clone(), health.as_ref(), generation, now);
    let fresh = heartbeat(&status).is_some_and(|last| {
        now.duration_since(last) < SignedDuration::from_secs(i64::from(period) / 2)
    });
    if !(fresh && same_but_heartbeat(&status, &told)) && status != told {
        ctx.clusters.merge_status(&key, &json!(told)).await?;
    }
    let period = Duration::from_secs(u64::try_from(period).unwrap_or(60));
    Ok(match ctx.members.way(&key.name) {
        // The registry's change wakes it up.
        None | Some(Way::Closed(_)) => Again::No,
        Some(Way::Open(..)) if matches!(health, Some(Ok(()))) => Again::After(period),
        Some(Way::Open(..)) => Again::After(period.min(UNWELL)),
    })
}

async fn create_namespace(ctx: &Context, key: &Key) -> Result<(), HubError> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": meta::member_namespace(&key.name),
        "labels": {meta::IS_FLEET_RESOURCE: "true"},
    }});
    match ctx.hub.create_object(&namespace, meta::ENGINE_MANAGER).await {
        Ok(_) | Err(HubError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a member is well.
type Health = Result<(), Trouble>;

/// Asks a member for what its agent needs first: that one question tells of network, credentials, rights and kinds.
///
/// # Errors
/// What is wrong with the member, and what would help.
pub async fn check(member: &Hub, cluster: &str) -> Result<(), Trouble> {
    let api = member.api::<AppliedWork>(kind::APPLIED_WORK, &Scope::Cluster);
    let few = ListParams::default().limit(1);
    match tokio::time::timeout(ANSWER, api.list_metadata(&few)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(trouble(&error, cluster)),
        Err(_) => Err(Trouble {
            reason: "Unreachable",
            message: format!(
                "the cluster did not answer within {} s; check that it runs and can be reached from here",
                ANSWER.as_secs()
            ),
        }),
    }
}

/// Returns what a failed question to a member means, and what would help.
fn trouble(error: &kube::Error, cluster: &str) -> Trouble {
    let code = match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    };
    let again = format!("run `tidegate join {cluster}` again");
    let (reason, message) = match code {
        401 => (
            "CredentialsRefused",
            format!(
                "the cluster refuses the credentials in its kubeconfig, which expired or were withdrawn; {again} with new ones"
            ),
        ),
        403 => (
            "NoPermission",
            format!(
                "the credentials in the cluster's kubeconfig do not suffice ({}); give their account the rights of cluster-admin, or {again} with others",
                text(error)
            ),
        ),
        404 => (
            "DefinitionMissing",
            format!("the cluster does not know the kind AppliedWork; {again}, which installs it"),
        ),
        _ => (
            "Unreachable",
            format!(
                "the cluster cannot be reached ({}); check that it runs, and that address and certificates in its kubeconfig are right, or {again}",
                text(error)
            ),
        ),
    };
    Trouble { reason, message }
}

/// Returns an error with its causes in one line.
fn text(error: &kube::Error) -> String {
    let mut text = match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

fn heartbeat(status: &MemberClusterStatus) -> Option<Timestamp> {
    let agents = status.agent_status.iter().flatten();
    agents.filter_map(|agent| agent.last_received_heartbeat.as_ref()).map(|time| time.0).max()
}

fn same_but_heartbeat(a: &MemberClusterStatus, b: &MemberClusterStatus) -> bool {
    let without = |status: &MemberClusterStatus| {
        let mut status = status.clone();
        for agent in status.agent_status.iter_mut().flatten() {
            agent.last_received_heartbeat = None;
        }
        status.properties = None;
        status.resource_usage = None;
        status
    };
    without(a) == without(b)
}

fn tell(
    mut status: MemberClusterStatus,
    health: Option<&Health>,
    generation: i64,
    now: Timestamp,
) -> MemberClusterStatus {
    let ready = Claim::new(
        READY_TO_JOIN,
        Truth::True,
        "MemberClusterReadyToJoin",
        "Member cluster is ready to join the fleet",
    );
    condition::set(&mut status.conditions, ready, generation, now);
    let Some(health) = health else { return status };
    let joined = match health {
        Err(trouble) if !condition::is_true(&status.conditions, JOINED) => {
            Claim::new(JOINED, Truth::Unknown, trouble.reason, &trouble.message)
        }
        _ => Claim::new(
            JOINED,
            Truth::True,
            "MemberClusterJoined",
            "Member cluster has successfully joined the fleet",
        ),
    };
    condition::set(&mut status.conditions, joined, generation, now);
    let mut agents = status.agent_status.take().unwrap_or_default();
    if !agents.iter().any(|agent| agent.kind == MEMBER_AGENT) {
        agents.push(AgentStatus { kind: MEMBER_AGENT.to_owned(), ..Default::default() });
    }
    for agent in agents.iter_mut().filter(|agent| agent.kind == MEMBER_AGENT) {
        let healthy = match health {
            Ok(()) => Claim::new(HEALTHY, Truth::True, "InternalMemberClusterHealthy", ""),
            Err(trouble) => {
                Claim::new(HEALTHY, Truth::False, trouble.reason, trouble.message.as_str())
            }
        };
        let answered = healthy.truth == Truth::True;
        condition::set(&mut agent.conditions, healthy, generation, now);
        if answered {
            let joined = Claim::new(JOINED, Truth::True, "InternalMemberClusterJoined", "");
            condition::set(&mut agent.conditions, joined, generation, now);
            agent.last_received_heartbeat = Some(Time(whole_seconds(now)));
        }
    }
    status.agent_status = Some(agents);
    let observed = whole_seconds(now).to_string();
    status.properties.get_or_insert_with(|| {
        let nodes = json!({"value": "0", "observationTime": observed});
        BTreeMap::from([("kubernetes-fleet.io/node-count".to_owned(), nodes)])
    });
    status.resource_usage.get_or_insert_with(|| no_usage(&observed));
    status
}

/// What a cluster without nodes has to offer.
fn no_usage(observed: &str) -> Value {
    let none = json!({"cpu": "0", "memory": "0"});
    json!({"allocatable": none, "available": none, "capacity": none, "observationTime": observed})
}

/// Lets a member go: its works are dropped, what was applied stays, and its namespace on the hub goes with it.
async fn leave(ctx: &Context, key: &Key, cluster: &MemberCluster) -> Result<Again, EngineError> {
    let namespace = namespace_of(&key.name);
    for work in ctx.works.all() {
        if work.metadata.namespace.as_ref() == Some(&namespace.name) {
            ctx.works.remove_finalizer(&work, meta::WORK_FINALIZER).await?;
        }
    }
    let Some(held) = ctx.hub.get_object(&namespace).await? else {
        ctx.clusters.remove_finalizer(cluster, meta::MEMBER_FINALIZER).await?;
        return Ok(Again::No);
    };
    if held.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null) {
        ctx.hub.delete_object(&namespace, &Delete::default()).await?;
    }
    Ok(Again::After(LINGER))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_is_wrong_names_cause_and_fix() {
        for (code, reason, part) in [
            (401, "CredentialsRefused", "`tidegate join member1` again with new ones"),
            (403, "NoPermission", "give their account the rights of cluster-admin"),
            (404, "DefinitionMissing", "which installs it"),
            (503, "Unreachable", "check that it runs"),
        ] {
            let status = Status::failure("the server's words", "Reason").with_code(code);
            let trouble = trouble(&kube::Error::Api(status.boxed()), "member1");
            assert_eq!(trouble.reason, reason);
            assert!(trouble.message.contains(part), "{}", trouble.message);
        }
    }

    #[test]
    fn a_member_has_joined_once_it_answered_and_is_unwell_when_it_does_not() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let trouble = Trouble { reason: "Unreachable", message: "why".to_owned() };
        let told = |status: &MemberClusterStatus, kind: &str| {
            let agents = status.agent_status.iter().flatten();
            let agents = agents.flat_map(|agent| &agent.conditions).chain(&status.conditions);
            let mut all = agents.filter(|held| held.type_ == kind);
            all.next_back().map(|held| (held.status.clone(), held.reason.clone()))
        };
        let pair = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
        let never = tell(MemberClusterStatus::default(), Some(&Err(trouble.clone())), 1, at(1));
        assert_eq!(told(&never, JOINED), pair("Unknown", "Unreachable"));
        assert_eq!(told(&never, HEALTHY), pair("False", "Unreachable"));
        assert_eq!(heartbeat(&never), None);
        let once = tell(never, Some(&Ok(())), 1, at(2));
        assert_eq!(told(&once, JOINED), pair("True", "MemberClusterJoined"));
        assert_eq!(heartbeat(&once), Some(at(2)));
        let later = tell(once, Some(&Err(trouble)), 1, at(3));
        assert_eq!(told(&later, JOINED), pair("True", "MemberClusterJoined"));
        assert_eq!(told(&later, HEALTHY), pair("False", "Unreachable"));
        assert_eq!(heartbeat(&later), Some(at(2)), "a heartbeat is an answer");
    }
}
