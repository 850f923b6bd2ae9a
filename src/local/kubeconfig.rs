//! The file that tells kubectl where the clusters are.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::config::{Kubeconfig, NamedCluster};
use serde_json::{Value, json};

/// One cluster as a kubeconfig names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name of the context, of its cluster and of its user.
    pub name: String,
    /// `https://127.0.0.1:PORT`.
    pub server: String,
}

/// Returns a kubeconfig with a context a cluster, the first one current. JSON is YAML.
///
/// The text holds the token: whoever can read it owns the fleet.
pub fn kubeconfig(contexts: &[Context], authority_pem: &str, token: &str) -> String {
    let named = |field: &str, of: &dyn Fn(&Context) -> Value| -> Value {
        contexts.iter().map(|context| json!({"name": context.name, field: of(context)})).collect()
    };
    let authority = STANDARD.encode(authority_pem);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": contexts.first().map_or("", |context| context.name.as_str()),
        "clusters": named("cluster", &|context| {
            json!({"server": context.server, "certificate-authority-data": authority})
        }),
        "users": named("user", &|_| json!({"token": token})),
        "contexts": named("context", &|context| {
            json!({"cluster": context.name, "user": context.name, "namespace": "default"})
        }),
    });
    format!("{config:#}\n")
}

/// Returns what a file that stands where a kubeconfig is to be written would lose: the contexts that are not of an
/// embedded fleet on loopback, or that it is no kubeconfig at all. Nothing when nothing would be lost.
pub fn loses(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let Ok(held) = Kubeconfig::from_yaml(text) else {
        return Some("something that is no kubeconfig".to_owned());
    };
    let is_ours = |name: &str| {
        let of_a_fleet = name == "hub" || name.starts_with("member");
        let server = |cluster: &NamedCluster| cluster.cluster.as_ref()?.server.clone();
        let server = held.clusters.iter().find(|cluster| cluster.name == name).and_then(server);
        of_a_fleet && server.is_some_and(|server| server.starts_with("https://127.0.0.1:"))
    };
    let others: Vec<&str> = held
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .filter(|name| !is_ours(name))
        .collect();
    (!others.is_empty()).then(|| format!("contexts of other clusters: {}", others.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_context_is_current_and_kube_reads_it() {
        let contexts = ["hub", "member1"]
            .map(|name| Context { name: name.into(), server: format!("https://127.0.0.1/{name}") });
        let text = kubeconfig(&contexts, "PEM", "secret");
        let read: kube::config::Kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("hub"));
        assert_eq!(read.contexts.len(), 2);
    }

    #[test]
    fn what_is_somebody_elses_is_not_lost() {
        let contexts = ["hub", "member1"]
            .map(|name| Context { name: name.into(), server: "https://127.0.0.1:1234".into() });
        let ours = kubeconfig(&contexts, "PEM", "secret");
        assert_eq!(loses(&ours), None);
        assert_eq!(loses("\n"), None);
        let elsewhere = ours.replace("127.0.0.1", "10.0.0.1");
        assert_eq!(loses(&elsewhere).unwrap(), "contexts of other clusters: hub, member1");
        let named = ours.replace("member1", "prod");
        assert_eq!(loses(&named).unwrap(), "contexts of other clusters: prod");
        assert_eq!(loses("- a list\n").unwrap(), "something that is no kubeconfig");
    }
}
