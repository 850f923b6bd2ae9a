//! Namespaces: the first ones, and the end of others.

use std::collections::BTreeMap;

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
    } else {
        let conditions = remaining(server, name);
        edit(server, resource, &namespace.key, |object| {
            tell(object, &conditions, &object::time(server.now()))
        })
        .await;
    }
}

/// A condition of a namespace that is going away: its type, status, reason and message.
type Condition = (&'static str, &'static str, &'static str, String);

/// What is left of a namespace's content, as kube-controller-manager's `namespace/deletion` says it.
fn remaining(server: &Server, name: &str) -> Vec<Condition> {
    let range = Range { namespace: Some(name.to_owned()), ..Range::default() };
    let (mut objects, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
    for id in server.store.resources_in(name) {
        let Ok(page) = server.store.list(&id, &range) else { continue };
        objects.insert(format!("{}.{}", id.plural, id.group), page.objects.len());
        for object in &page.objects {
            for finalizer in object::finalizers(&object.value()) {
                *finalizers.entry(finalizer.to_owned()).or_insert(0_usize) += 1;
            }
        }
    }
    let join = |counts: &BTreeMap<String, usize>, verb: &str| {
        let counts =
            counts.iter().map(|(what, count)| format!("{what} {verb} {count} resource instances"));
        counts.collect::<Vec<_>>().join(", ")
    };
    let (has, held) = (join(&objects, "has"), join(&finalizers, "in"));
    let all = |text: &str| text.to_owned();
    vec![
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            all("All resources successfully discovered"),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            all("All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            all("All content successfully deleted, may be waiting on finalization"),
        ),
        if has.is_empty() {
            let message = all("All content successfully removed");
            ("NamespaceContentRemaining", "False", "ContentRemoved", message)
        } else {
            let message = format!("Some resources are remaining: {has}");
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain", message)
        },
        if held.is_empty() {
            let message = all("All content-preserving finalizers finished");
            ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message)
        } else {
            let message = format!("Some content in the namespace has finalizers remaining: {held}");
            ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message)
        },
    ]
}

/// Writes conditions into a namespace's status. Answers whether anything changed.
fn tell(namespace: &mut Value, conditions: &[Condition], now: &str) -> bool {
    let old = namespace.pointer("/status/conditions").cloned().unwrap_or_default();
    let had = |kind: &str| {
        old.as_array().into_iter().flatten().find(|condition| condition["type"] == kind)
    };
    let new: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason, message)| {
            let since = had(kind)
                .filter(|condition| condition["status"] == *status)
                .map_or_else(|| now.into(), |condition| condition["lastTransitionTime"].clone());
            json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": since,
            })
        })
        .collect();
    let new = Value::from(new);
    let changed = old != new;
    namespace["status"]["conditions"] = new;
    changed
}
