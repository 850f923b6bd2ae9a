//! What pods rely on: in each namespace a service account and the authority that signed the server's certificate, and in
//! one the service that stands for the server.

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
            ("serviceaccounts", ACCOUNT)
            | ("configmaps", AUTHORITY)
            | ("services", "kubernetes") => is_gone,
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
    if server.reached.get().is_some() {
        ensure_range(server).await;
    }
    for namespace in page.objects {
        look_at_name(server, &namespace.key.name, true).await;
    }
}

/// The service that stands for the server, at the first address of services.
fn server_itself(port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
            "type": "ClusterIP",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
        "status": {"loadBalancer": {}},
    })
}

/// `anew`: an authority of before is replaced. What another controller wrote meanwhile stays, so that none fights.
async fn look_at_name(server: &Server, namespace: &str, anew: bool) {
    let Some((certificate, port)) = server.reached.get() else { return };
    let meta = |name: &str| json!({"name": name, "namespace": namespace});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ACCOUNT)});
    let authority = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(AUTHORITY),
        "data": {"ca.crt": certificate},
    });
    for (plural, object) in [("serviceaccounts", account), ("configmaps", authority)] {
        ensure(server, plural, namespace, object, anew).await;
    }
    if namespace == "default" {
        ensure(server, "services", namespace, server_itself(*port), anew).await;
    }
}

/// The range that addresses of services are taken from.
fn service_range(now: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": ["10.96.0.0/16"]},
        "status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "", "message": "Addresses are taken from it",
            "lastTransitionTime": now,
        }]},
    })
}

/// Stores the range unless there is one.
async fn ensure_range(server: &Server) {
    let served = server.registry.served();
    let Some(resource) = served.find("networking.k8s.io", "v1", "servicecidrs") else { return };
    let now = object::time(server.now());
    let mut object = service_range(&now);
    let key = Key::new(&resource.id, "", object::name(&object));
    object::set(&mut object, "uid", Uuid::new_v4().to_string().into());
    object::set(&mut object, "creationTimestamp", now.into());
    let write = Write { key: key.clone(), from: None, object, delete: false, relies_on: None };
    if let Err(error) = server.store.commit(write).await
        && error != CommitError::Stale
    {
        tracing::warn!(%key, %error, "it is missing until the server restarts");
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
                tracing::warn!(%key, %error, "what pods rely on is missing until the server restarts");
                return;
            }
        }
    }
}
