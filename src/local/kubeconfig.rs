//! The file that tells kubectl where the clusters are.

use base64::{Engine, engine::general_purpose::STANDARD};
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
}
