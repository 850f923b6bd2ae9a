//! Namespaces: the first ones, and the end of others.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        object,
        options::OpenError,
        server::Server,
        store::{CommitError, Key, Range, Write},
        verb::delete_all,
    },
    edit::edit,
};

/// Namespaces that cannot be deleted.
pub(super) const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// Namespaces that exist from the start.
const FIRST: [&str; 2] = ["default", "kube-system"];
/// The finalizer in a namespace's spec that stands for its content.
const CONTENT: &str = "kubernetes";

/// Makes the namespaces that every cluster has.
pub(super) async fn make_first(server: &Server) -> Result<(), OpenError> {
    let served = server.registry.served();
    let Some(resource) = served.find("", "v1", "namespaces") else { return Ok(()) };
    for name in FIRST {
        let key = Key::new(&resource.id, "", name);
        if server.store.get(&key).is_some() {
            continue;
        }
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": Uuid::new_v4().to_string(),
                "creationTimestamp": object::time(server.now()),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": [CONTENT]},
            "status": {"phase": "Active"},
        });
        let write = Write { key, from: None, object, delete: false, relies_on: None };
        match server.store.commit(write).await {
            Ok(_) | Err(CommitError::Stale) => {}
            Err(error) => return Err(OpenError::Namespaces(error.to_string())),
        }
    }
    Ok(())
}

/// Gives a new namespace the finalizer for its content.
pub(super) fn protect(namespace: &mut Value) {
    namespace["spec"]["finalizers"] = json!([CONTENT]);
    namespace["status"]["phase"] = "Active".into();
}

/// Empties a namespace that is going away, and lets it go when it is empty.
pub(super) async fn look_at_name(server: &Server, name: &str) {
    let Some(namespace) = server.namespace(name).filter(|stored| stored.deleting) else { return };
    let served = server.registry.served();
    let Some(resource) = served.find("", "v1", "namespaces") else { return };
    let range = Range { namespace: Some(name.to_owned()), ..Range::default() };
    for id in server.store.resources_in(name) {
        let Some(resource) = served.any_version(&id) else { continue };
        let Ok(page) = server.store.list(&id, &range) else { continue };
        delete_all(server, resource, page.objects.iter().filter(|object| !object.deleting)).await;
    }
    if server.store.resources_in(name).is_empty() {
        edit(server, resource, &namespace.key, |object| {
            let list = object.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut);
            let Some(list) = list else { return false };
            let before = list.len();
            list.retain(|finalizer| finalizer != CONTENT);
            list.len() != before
        })
        .await;
    }
}
