//! Members of a hub that are reached by kubeconfigs: Secrets in [`meta::SYSTEM_NAMESPACE`], as `tidegate join` writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use tokio_util::sync::CancellationToken;

use super::{Members, Trouble};
use crate::{api::meta, hub::kubeconfig::configure_contained, model::Hint as _};

/// How long a member may take to take up a connection. Longer than the check of its health waits for an answer, which
/// has a better word for it.
const CONNECT: Duration = Duration::from_secs(10);

/// Keeps `members` as the Secrets on the hub say, until `stop`.
///
/// A kubeconfig that cannot be used closes the way to its own member, and to no other. One that is changed replaces the
/// connection at once. `missing` says what is wrong with a cluster that has none.
pub async fn keep(
    hub: Client,
    members: Members,
    missing: fn(&str) -> Trouble,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow(hub, members, missing) => {}
    }
}

async fn follow(hub: Client, members: Members, missing: fn(&str) -> Trouble) {
    let secrets: Api<Secret> = Api::namespaced(hub, meta::SYSTEM_NAMESPACE);
    let config = watcher::Config::default().labels(meta::MEMBER_SECRET);
    let mut events = watcher::watcher(secrets, config).default_backoff().boxed();
    let mut roster = Roster { members, held: BTreeMap::new() };
    let mut listed = BTreeSet::new();
    loop {
        match events.try_next().await {
            Ok(None) => return,
            Ok(Some(Event::Apply(secret))) => drop(roster.learn(&secret).await),
            Ok(Some(Event::Delete(secret))) => {
                if let Some(cluster) = cluster_of(&secret) {
                    roster.forget(&cluster);
                }
            }
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(secret))) => listed.extend(roster.learn(&secret).await),
            Ok(Some(Event::InitDone)) => {
                let gone: Vec<String> =
                    roster.held.keys().filter(|held| !listed.contains(*held)).cloned().collect();
                gone.iter().for_each(|cluster| roster.forget(cluster));
                roster.members.complete(missing);
            }
            Err(error) => tracing::warn!(%error, "the watch of members' credentials broke"),
        }
    }
}

/// Says that a cluster has no Secret.
pub fn missing(cluster: &str) -> Trouble {
    let (secret, namespace) = (meta::member_secret(cluster), meta::SYSTEM_NAMESPACE);
    Trouble {
        reason: "KubeconfigMissing",
        message: format!(
            "there is no Secret {namespace}/{secret} with a kubeconfig of the cluster; run `tidegate join {cluster} --member-context CONTEXT`"
        ),
    }
}

fn broken(cluster: &str, why: &str) -> Trouble {
    let (secret, namespace) = (meta::member_secret(cluster), meta::SYSTEM_NAMESPACE);
    Trouble {
        reason: "KubeconfigInvalid",
        message: format!(
            "the kubeconfig in Secret {namespace}/{secret} cannot be used: {why}; run `tidegate join {cluster} --member-context CONTEXT` again"
        ),
    }
}

/// Returns the cluster that a Secret is for. The name counts: a label alone could name another Secret's cluster.
fn cluster_of(secret: &Secret) -> Option<String> {
    let cluster = secret.metadata.labels.as_ref()?.get(meta::MEMBER_SECRET)?;
    let named = secret.metadata.name.as_deref() == Some(&meta::member_secret(cluster));
    named.then(|| cluster.clone())
}

struct Roster {
    members: Members,
    /// Each cluster's kubeconfig, to tell changes of it from others of the Secret's.
    held: BTreeMap<String, Option<Vec<u8>>>,
}

impl Roster {
    /// Takes a Secret in, and returns the cluster that it is for.
    async fn learn(&mut self, secret: &Secret) -> Option<String> {
        let cluster = cluster_of(secret)?;
        let data = secret.data.as_ref().and_then(|data| data.get(meta::MEMBER_SECRET_KEY));
        let bytes = data.map(|bytes| bytes.0.clone());
        if self.held.get(&cluster) == Some(&bytes) {
            return Some(cluster);
        }
        match client(bytes.as_deref()).await {
            Ok(client) => {
                tracing::info!(cluster, "connected as its kubeconfig says");
                self.members.join(&cluster, client);
            }
            Err(why) => {
                tracing::warn!(cluster, why, "its kubeconfig cannot be used");
                self.members.close(&cluster, broken(&cluster, &why));
            }
        }
        self.held.insert(cluster.clone(), bytes);
        Some(cluster)
    }

    fn forget(&mut self, cluster: &str) {
        if self.held.remove(cluster).is_some() {
            tracing::info!(cluster, "its kubeconfig is gone");
            self.members.part(cluster);
        }
    }
}

async fn client(kubeconfig: Option<&[u8]>) -> Result<Client, String> {
    let missing = || format!("it has no key `{}`", meta::MEMBER_SECRET_KEY);
    let text = std::str::from_utf8(kubeconfig.ok_or_else(missing)?)
        .map_err(|_| "it is not a kubeconfig".to_owned())?;
    let mut config = configure_contained(text).await.map_err(|problem| {
        let hint = problem.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{problem}{hint}")
    })?;
    config.connect_timeout = Some(CONNECT);
    // What kube says of certificates and keys that it cannot use names no content.
    Client::try_from(config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_secret_speaks_only_for_the_cluster_of_its_own_name() {
        let secret = |name: &str, label: Option<&str>| {
            let mut secret = Secret::default();
            secret.metadata.name = Some(name.to_owned());
            secret.metadata.labels = label
                .map(|label| BTreeMap::from([(meta::MEMBER_SECRET.to_owned(), label.to_owned())]));
            secret
        };
        let of = |name, label| cluster_of(&secret(name, label));
        assert_eq!(of("tidegate-member-a", Some("a")).as_deref(), Some("a"));
        assert_eq!(of("tidegate-member-a", Some("b")), None);
        assert_eq!(of("tidegate-member-a", None), None);
    }
}
