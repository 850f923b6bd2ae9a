//! `tidegate leave`.

use std::time::Duration;

use kube::{Api, runtime::wait};
use serde_json::Value;

use super::{args::LeaveArgs, exit::Exit, failure::OrHint, hub, output};
use crate::{
    api::{MemberCluster, kind, meta},
    hub::{Delete, Hub},
    model::ObjectKey,
};

pub(super) async fn run(args: &LeaveArgs) -> anyhow::Result<Exit> {
    let hub = Hub::new(hub::connect(&args.hub).await?.client);
    let name = args.name.as_str();
    let allowed = || "check the hub's context, and the rights of its credentials".to_owned();
    let key = |group: &str, kind: &str, namespace: &str, name: String| ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name,
    };
    let cluster = key(kind::CLUSTER_GROUP, kind::MEMBER_CLUSTER.name, "", name.to_owned());
    let secret = key("", "Secret", meta::SYSTEM_NAMESPACE, meta::member_secret(name));
    let found = hub.get_object(&cluster).await.or_hint("cannot read the hub's members", allowed)?;
    let held = hub.get_object(&secret).await.or_hint("cannot read the member's Secret", allowed)?;
    if let Some(found) = &found {
        hub.delete_object(&cluster, &Delete::default())
            .await
            .or_hint(format!("cannot delete MemberCluster `{name}`"), allowed)?;
        let uid = found.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let api: Api<MemberCluster> =
            Api::all_with(hub.client().clone(), &kind::MEMBER_CLUSTER.resource());
        let gone = wait::await_condition(api, name, wait::conditions::is_deleted(uid));
        let patience = Duration::from_nanos(u64::try_from(args.timeout.nanoseconds()).unwrap_or(0));
        match tokio::time::timeout(patience, gone).await {
            Ok(ended) => drop(ended.or_hint("cannot watch the hub's members", allowed)?),
            Err(_) => {
                anstream::eprintln!(
                    "error: `{name}` has not left within {}\n\nhint: the built-in engine lets members go; see that it runs (`tidegate run --engine builtin`), and that namespace fleet-member-{name} can go (kubectl describe namespace fleet-member-{name}); then `tidegate leave {name}` again",
                    args.timeout
                );
                return Ok(Exit::TimedOut);
            }
        }
    }
    // Last: until the cluster is gone, its works may still need the way to it.
    if held.is_some() {
        hub.delete_object(&secret, &Delete::default())
            .await
            .or_hint("cannot delete the member's Secret", allowed)?;
    }
    let said = match (found, held) {
        (None, None) => format!("{name} is not a member\n"),
        _ => format!(
            "{name} has left. What was applied to it stays there; to remove that too, delete the AppliedWorks on it, which own it:\n\n  kubectl --context MEMBER delete appliedworks.{} --all\n",
            kind::PLACEMENT_GROUP
        ),
    };
    output::write(said.as_bytes())
}
