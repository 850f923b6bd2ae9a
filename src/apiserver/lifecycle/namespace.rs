//! Namespaces: which are there from the start, and the end of others.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{
        object,
        server::Server,
        store::{Event, Range},
        verb::delete_all,
    },
    edit::edit,
};

/// Namespaces that cannot be deleted.
pub(super) const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// Namespaces that exist from the start.
pub(super) const FIRST: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// The finalizer in a namespace's spec that stands for its content.
const CONTENT: &str = "kubernetes";

/// How long a namespace is seen to end before its content goes, so that who writes into it hears why, and who ends it
/// alone can. kube-controller-manager waits 5 seconds.
const GRACE: Duration = Duration::from_millis(200);

/// Namespaces that are to end, and are not looked at before their time.
#[derive(Debug, Default)]
pub(super) struct Grace {
    /// In the order in which they are due.
    waiting: VecDeque<(Instant, String)>,
}

impl Grace {
    /// Takes in that a namespace begins to end, or has ended.
    pub(super) fn note(&mut self, event: &Event) {
        if !is_namespace(event) {
            return;
        }
        let name = &*event.object.key.name;
        match event.current() {
            None => self.waiting.retain(|(_, waiting)| waiting != name),
            Some(now) => {
                let was_ending = event.previous.as_ref().is_some_and(|before| before.deleting);
                if now.deleting && !was_ending {
                    self.waiting.push_back((Instant::now() + GRACE, name.to_owned()));
                }
            }
        }
    }

    /// Whether a namespace waits for its time.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.waiting.iter().any(|(_, waiting)| waiting == name)
    }

    /// Whether an event is about a namespace that does.
    pub(super) fn is_about(&self, event: &Event) -> bool {
        is_namespace(event) && self.covers(&event.object.key.name)
    }

    /// The next namespace whose time has come.
    pub(super) async fn over(&mut self) -> String {
        match self.waiting.front() {
            Some((due, _)) => tokio::time::sleep_until(*due).await,
            None => std::future::pending().await,
        }
        self.waiting.pop_front().map(|(_, name)| name).unwrap_or_default()
    }
}

fn is_namespace(event: &Event) -> bool {
    let of = &event.object.key.resource;
    of.group.is_empty() && of.plural == "namespaces"
}

/// A namespace that exists from the start.
pub(super) fn first(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": [CONTENT]},
        "status": {"phase": "Active"},
    })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::apiserver::store::{Change, Key, ResourceId, Stored};

    fn namespace(name: &str, deleting: bool) -> Arc<Stored> {
        let id = ResourceId { group: String::new(), plural: "namespaces".to_owned() };
        let mut object = first(name);
        if deleting {
            object::set(&mut object, "deletionTimestamp", "2026-01-01T00:00:00Z".into());
        }
        Arc::new(Stored::new(Key::new(&Arc::new(id), "", name), 1, object))
    }

    fn event(change: Change, name: &str, was_deleting: bool) -> Event {
        let previous = Some(namespace(name, was_deleting));
        Event { change, object: namespace(name, true), previous }
    }

    #[tokio::test]
    async fn namespaces_are_left_alone_for_a_moment_in_the_order_in_which_they_end() {
        let mut grace = Grace::default();
        for name in ["a", "b", "c"] {
            grace.note(&event(Change::Modified, name, false));
        }
        let another = event(Change::Modified, "a", true);
        grace.note(&another);
        assert!(grace.covers("b") && grace.is_about(&another));
        // Somebody else ended it.
        grace.note(&event(Change::Deleted, "b", true));
        assert!(!grace.covers("b"));
        assert_eq!((grace.over().await, grace.over().await), ("a".to_owned(), "c".to_owned()));
        assert!(!grace.covers("a"));
    }
}
