//! What pods rely on: in each namespace a service account, and the authority that signed the server's certificate.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{
    field, object,
    server::Server,
    store::{Change, CommitError, Event, Key, Range, Write},
};

/// The account of pods that name none.
const ACCOUNT: &str = "default";
/// The ConfigMap with the authority.
const AUTHORITY: &str = "kube-root-ca.crt";
/// Who owns what is made here.
const MANAGER: &str = "kube-controller-manager";

/// Whether an event makes something of this missing.
pub(super) fn matters(event: &Event) -> bool {
    let key = &event.object.key;
    let is_gone = event.change == Change::Deleted;
    key.resource.group.is_empty()
        && match (&*key.resource.plural, &*key.name) {
            ("namespaces", _) => !is_gone,
            ("serviceaccounts", ACCOUNT) | ("configmaps", AUTHORITY) => is_gone,
            _ => false,
        }
}

/// Makes what an event has made missing.
pub(super) async fn react(server: &Server, event: &Event) {
    if matters(event) {
        let key = &event.object.key;
        let is_namespace = &*key.resource.plural == "namespaces";
        let namespace = if is_namespace { &key.name } else { &key.namespace };
        look_at_name(server, namespace, false).await;
    }
}

/// Makes what is missing anywhere.
pub(super) async fn look_at_everything(server: &Server) {
    let served = server.registry.served();
    let Some(namespaces) = served.find("", "v1", "namespaces") else { return };
    let Ok(page) = server.store.list(&namespaces.id, &Range::default()) else { return };
    for namespace in page.objects {
        look_at_name(server, &namespace.key.name, true).await;
    }
}

/// `anew`: an authority of before is replaced. What another controller wrote meanwhile stays, so that none fights.
async fn look_at_name(server: &Server, namespace: &str, anew: bool) {
    let Some(authority) = server.authority.get() else { return };
    let meta = |name: &str| json!({"name": name, "namespace": namespace});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ACCOUNT)});
    let certificate = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(AUTHORITY),
        "data": {"ca.crt": authority},
    });
    for (plural, object) in [("serviceaccounts", account), ("configmaps", certificate)] {
        ensure(server, plural, namespace, object, anew).await;
    }
}

/// Stores an object unless it is there as it should be, and its namespace is not going away.
async fn ensure(server: &Server, plural: &str, namespace: &str, wanted: Value, anew: bool) {
    let served = server.registry.served();
    let Some(resource) = served.find("", "v1", plural) else { return };
    let key = Key::new(&resource.id, namespace, object::name(&wanted));
    loop {
        let Some(within) = server.namespace(namespace).filter(|within| !within.deleting) else {
            return;
        };
        let stored = server.store.get(&key);
        let before = stored.as_ref().map(|stored| stored.value());
        if before.as_ref().is_some_and(|b| !anew || b.get("data") == wanted.get("data")) {
            return;
        }
        let mut object = before.clone().unwrap_or_else(|| wanted.clone());
        if let Some(data) = wanted.get("data") {
            object["data"] = data.clone();
        }
        if before.is_none() {
            object::set(&mut object, "uid", Uuid::new_v4().to_string().into());
            object::set(&mut object, "creationTimestamp", object::time(server.now()).into());
        }
        let schema = resource.definition.schema();
        field::track_update(before.as_ref(), &mut object, MANAGER, None, schema, server.now());
        let write = Write {
            key: key.clone(),
            from: stored.map(|stored| stored.revision),
            object,
            delete: false,
            relies_on: Some((within.key.clone(), within.revision)),
        };
        match server.store.commit(write).await {
            Ok(_) => return,
            Err(CommitError::Stale) => {}
            Err(error) => {
                tracing::warn!(%key, %error, "what pods rely on is missing");
                return;
            }
        }
    }
}
