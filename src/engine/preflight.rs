//! What must be so before the engine may work on a hub.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, kind, meta},
    hub::{Hub, HubError},
    model::Hint,
};

/// Where Fleet's hub agent lives, and holds its Lease.
const FLEET_NAMESPACE: &str = "fleet-system";
/// The Deployment that Fleet's chart makes of it.
const HUB_AGENT: &str = "hub-agent";
/// How the name of Fleet's Lease ends; what stands before it changed over time.
const FLEET_LEASE: &str = ".hub.fleet.azure.com";
/// Who renewed a Lease, or sent a heartbeat, so lately may do so again. Long: clocks differ, and a second engine is
/// worse than a late one.
const LATELY: SignedDuration = SignedDuration::from_mins(5);
/// How often a working engine looks whether Fleet's controllers have come.
const LOOK: Duration = Duration::from_secs(15);

/// Whether Fleet's controllers execute runs on a hub, with the testimony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing tells of them.
    Absent,
    /// They were there, and do not work now.
    Idle(String),
    /// They work, or are about to.
    Working(String),
}

/// What of Fleet's controllers can be seen on a hub.
#[derive(Clone, Debug, Default)]
struct Traces {
    /// The Lease of the hub agent: its holder, and when it was renewed.
    lease: Option<(String, Option<Timestamp>)>,
    /// How many hub agents are wanted.
    replicas: Option<i64>,
    /// The last heartbeat of a member agent.
    heartbeat: Option<(String, Timestamp)>,
}

impl Traces {
    fn judge(&self, now: Timestamp) -> Presence {
        let lately = |then: Timestamp| now.duration_since(then) < LATELY;
        if let Some((holder, Some(renewed))) = &self.lease
            && !holder.is_empty()
            && lately(*renewed)
        {
            return Presence::Working(format!(
                "`{holder}` renewed the Lease of Fleet's hub agent in namespace {FLEET_NAMESPACE} at {renewed:.0}"
            ));
        }
        if let Some(replicas) = self.replicas.filter(|replicas| *replicas > 0) {
            return Presence::Working(format!(
                "Deployment {FLEET_NAMESPACE}/{HUB_AGENT} wants {replicas} of Fleet's hub agent"
            ));
        }
        if let Some((cluster, last)) = &self.heartbeat
            && lately(*last)
        {
            return Presence::Working(format!(
                "Fleet's member agent of `{cluster}` sent a heartbeat at {last:.0}"
            ));
        }
        match (&self.lease, self.replicas, &self.heartbeat) {
            (None, None, None) => Presence::Absent,
            (_, Some(_), _) => {
                Presence::Idle(format!("Deployment {FLEET_NAMESPACE}/{HUB_AGENT} is scaled to 0"))
            }
            (Some(_), ..) => Presence::Idle(format!(
                "Fleet's hub agent has left a Lease in namespace {FLEET_NAMESPACE}"
            )),
            (.., Some((cluster, last))) => Presence::Idle(format!(
                "the last heartbeat of a member agent of Fleet's is that of `{cluster}` at {last:.0}"
            )),
        }
    }
}

async fn list(
    hub: &Hub,
    group: &str,
    kind: &str,
    within: Option<&str>,
) -> Result<Vec<Value>, HubError> {
    match hub.locate_any(group, kind).await {
        Ok(resource) => hub.list_objects(&resource, within, None).await,
        Err(HubError::UnknownKind { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

/// Looks for Fleet's controllers on a hub: a Lease that is renewed, a Deployment, heartbeats of member agents.
///
/// # Errors
/// When one of these cannot be read: what is not seen is not absent.
pub async fn presence(hub: &Hub, now: Timestamp) -> Result<Presence, HubError> {
    let leases = list(hub, "coordination.k8s.io", "Lease", Some(FLEET_NAMESPACE)).await?;
    let lease = leases.iter().filter(|lease| name(lease).ends_with(FLEET_LEASE));
    let lease = lease.map(|lease| {
        let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str);
        (holder.unwrap_or_default().to_owned(), time(lease, "/spec/renewTime"))
    });
    let deployments = list(hub, "apps", "Deployment", Some(FLEET_NAMESPACE)).await?;
    let agents = deployments.iter().filter(|deployment| name(deployment) == HUB_AGENT);
    // Absent means one.
    let replicas =
        agents.map(|agent| agent.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1));
    let internal = kind::INTERNAL_MEMBER_CLUSTER;
    let members = list(hub, internal.group, internal.name, None).await?;
    let heartbeats = members.iter().flat_map(|member| {
        let agents = member.pointer("/status/agentStatus").and_then(Value::as_array);
        let beats = agents.into_iter().flatten();
        beats
            .filter_map(|agent| time(agent, "/lastReceivedHeartbeat"))
            .map(|beat| (name(member).to_owned(), beat))
    });
    let traces = Traces {
        lease: lease.max_by_key(|(_, renewed)| *renewed),
        replicas: replicas.max(),
        heartbeat: heartbeats.max_by_key(|(_, beat)| *beat),
    };
    Ok(traces.judge(now))
}

/// Returns when Fleet's controllers have come, with the testimony. A look that fails is tried again.
pub(super) async fn intruder(
    hub: &Hub,
    now: impl Fn() -> Timestamp,
    stop: CancellationToken,
) -> Option<String> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(LOOK) => {}
        }
        match presence(hub, now()).await {
            Ok(Presence::Working(testimony)) => return Some(testimony),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "no look for Fleet's controllers"),
        }
    }
}

/// Names the first few.
fn some(kinds: &[String]) -> String {
    const FEW: usize = 3;
    let first = kinds.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    match kinds.len().checked_sub(FEW) {
        None | Some(0) => first,
        Some(more) => format!("{first} and {more} more"),
    }
}

/// The engine may not work on this hub.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Fleet's controllers do.
    #[error("Fleet's controllers execute the runs on this hub: {testimony}")]
    Fleet {
        /// What tells of them.
        testimony: String,
    },
    /// Kinds are missing.
    #[error("the hub does not know {}", some(kinds))]
    Missing {
        /// Which.
        kinds: Vec<String>,
    },
    /// A kind is defined in another way than this version needs.
    #[error("the hub's definition of {kind} is of another version: it lacks {}", lacks.join(", "))]
    Other {
        /// Which.
        kind: String,
        /// What it does not have.
        lacks: Vec<String>,
    },
    /// There is no place for the engine's own objects.
    #[error("the hub has no namespace `{}`", meta::SYSTEM_NAMESPACE)]
    NoNamespace,
    /// The hub does not answer, or not to us.
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl Hint for Unfit {
    fn hint(&self) -> Option<String> {
        const INSTALL: &str = "tidegate install | kubectl apply --server-side -f -";
        match self {
            Self::Fleet { .. } => Some(
                "let them: use --engine fleet, or uninstall Fleet before using --engine builtin"
                    .into(),
            ),
            Self::Missing { .. } | Self::NoNamespace => {
                Some(format!("install what is missing: {INSTALL}"))
            }
            Self::Other { .. } => Some(format!(
                "install the definitions of this version: {INSTALL} --force-conflicts"
            )),
            Self::Hub(error) => error.hint(),
        }
    }
}

/// Checks that a hub has what the engine needs, at the version that it needs.
///
/// # Errors
/// What is missing, or different.
pub async fn check_hub(hub: &Hub) -> Result<(), Unfit> {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = hub.locate(&gvk).await?;
    let installed = hub.list_objects(&resource, None, None).await?;
    let mut missing = Vec::new();
    // Sources are the daemon's: a hub of an older release is no reason to stand still.
    let is_needed = |definition: &Value| definition["spec"]["names"]["kind"] != kind::SOURCE.name;
    for ours in api::crd::all().into_iter().filter(is_needed) {
        let kind = ours.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default();
        match installed.iter().find(|held| name(held) == name(&ours)) {
            None => missing.push(kind.to_owned()),
            Some(held) => {
                let lacks = api::crd::lacking(held, &ours);
                if !lacks.is_empty() {
                    return Err(Unfit::Other { kind: kind.to_owned(), lacks });
                }
            }
        }
    }
    if !missing.is_empty() {
        return Err(Unfit::Missing { kinds: missing });
    }
    let namespace = hub.locate_any("", "Namespace").await?;
    let namespaces = hub.list_objects(&namespace, None, None).await?;
    match namespaces.iter().any(|held| name(held) == meta::SYSTEM_NAMESPACE) {
        true => Ok(()),
        false => Err(Unfit::NoNamespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_there_lately_is_there() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let ago = |minutes| now - SignedDuration::from_mins(minutes);
        let lease = |holder: &str, minutes| Some((holder.to_owned(), Some(ago(minutes))));
        let beat = |minutes| Some(("member1".to_owned(), ago(minutes)));
        let none = Traces::default();
        for (traces, want) in [
            (none.clone(), "absent"),
            (Traces { lease: lease("hub-agent-0", 1), ..none.clone() }, "works: `hub-agent-0`"),
            (Traces { lease: lease("hub-agent-0", 9), ..none.clone() }, "idle"),
            (Traces { lease: lease("", 1), ..none.clone() }, "idle"),
            (Traces { lease: Some(("x".into(), None)), ..none.clone() }, "idle"),
            (
                Traces { replicas: Some(2), ..none.clone() },
                "works: Deployment fleet-system/hub-agent wants 2",
            ),
            (Traces { replicas: Some(0), lease: lease("x", 9), ..none.clone() }, "idle"),
            (
                Traces { heartbeat: beat(1), ..none.clone() },
                "works: Fleet's member agent of `member1`",
            ),
            (Traces { heartbeat: beat(60), ..none }, "idle"),
        ] {
            let found = match traces.judge(now) {
                Presence::Absent => "absent".to_owned(),
                Presence::Idle(_) => "idle".to_owned(),
                Presence::Working(testimony) => format!("works: {testimony}"),
            };
            assert!(found.starts_with(want), "{traces:?}: {found}");
        }
    }
}
