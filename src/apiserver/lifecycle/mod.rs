//! What happens to objects after a request: ends of namespaces and definitions, and garbage.
//!
//! One task is woken by what was stored and looks at nothing else. Every step reads the present state and can be taken
//! again, so a server that died in the middle goes on when it is opened: it looks at everything once.

mod account;
mod definition;
mod edit;
mod feed;
mod first;
mod garbage;
mod mend;
mod namespace;
mod quota;

use std::{collections::BTreeSet, sync::Arc};

pub(super) use self::{
    feed::{Feed, Feeder, feed},
    quota::count,
};
use serde_json::Value;

use self::feed::News;
use super::{
    failure::Failure,
    object,
    options::OpenError,
    registry::Resource,
    server::Server,
    store::{Change, Event, Stored},
};

/// Holds an object until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an object until its dependents have no owner.
pub(super) const ORPHAN: &str = "orphan";

/// Makes what always exists, and starts looking after objects.
pub(super) async fn start(server: &Arc<Server>, mut feed: Feed) -> Result<(), OpenError> {
    first::make(server).await?;
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let stop = server.stop.clone();
        let work = async {
            look_at_everything(&server).await;
            let mut grace = namespace::Grace::default();
            // Namespaces whose quotas are counted when nothing else waits: many objects may go at once.
            let mut uncounted = BTreeSet::new();
            loop {
                tokio::select! {
                    news = feed.next() => match news {
                        Some(News::Event(event)) => {
                            react(&server, &event, &mut grace).await;
                            account::react(&server, &event).await;
                            uncounted.extend(quota::namespace_of(&server, &event));
                        }
                        Some(News::Uncounted(namespace)) => {
                            uncounted.insert(namespace);
                        }
                        Some(News::Anything) => look_at_everything(&server).await,
                        None => break,
                    },
                    name = grace.over() => namespace::look_at_name(&server, &name).await,
                }
                if feed.is_idle() {
                    for namespace in std::mem::take(&mut uncounted) {
                        quota::recount(&server, &namespace).await;
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = mend::watch_over(Arc::clone(&server)) => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(())
}

async fn look_at_everything(server: &Server) {
    account::look_at_everything(server).await;
    for object in server.store.everything() {
        if object.deleting || !object.owners.is_empty() {
            look_at(server, &object).await;
        }
    }
}

/// Whether an event is worth looking at.
fn matters(event: &Event) -> bool {
    let has_owners = |object: &Arc<Stored>| !object.owners.is_empty();
    quota::matters(event)
        || account::matters(event)
        || event.current().is_none_or(|object| object.deleting || has_owners(object))
        || event.previous.as_ref().is_some_and(has_owners)
}

async fn react(server: &Server, event: &Event, grace: &mut namespace::Grace) {
    grace.note(event);
    if let Some(previous) = &event.previous {
        // Owners may wait for objects that are gone, or no longer theirs.
        garbage::tell_owners(server, previous).await;
    }
    if event.change == Change::Deleted {
        garbage::collect_dependents(server, &event.object).await;
        if !grace.covers(&event.object.key.namespace) {
            namespace::look_at_name(server, &event.object.key.namespace).await;
        }
        definition::look_at_resource(server, &event.object.key.resource).await;
    } else if !grace.is_about(event) {
        look_at(server, &event.object).await;
    }
}

/// Does what can be done now about an object.
async fn look_at(server: &Server, seen: &Stored) {
    let Some(object) = server.store.get(&seen.key) else { return };
    let served = server.registry.served();
    let Some(resource) = served.any_version(&object.key.resource).cloned() else { return };
    if object.deleting {
        let value = object.value();
        let finalizers = object::finalizers(&value);
        if finalizers.contains(&ORPHAN) {
            garbage::orphan_dependents(server, &resource, &object).await;
        }
        if finalizers.contains(&FOREGROUND) {
            garbage::collect_first(server, &resource, &object).await;
        }
        if resource.is("", "Namespace") {
            namespace::look_at_name(server, &object.key.name).await;
        }
        if resource.is(definition::GROUP, definition::KIND) {
            definition::empty(server, &resource, &object).await;
        }
    }
    if !object.owners.is_empty() {
        garbage::collect_if_unowned(server, &resource, &object).await;
    }
}

/// Refuses to delete what always exists.
pub(super) fn may_go(resource: &Resource, name: &str) -> Result<(), Failure> {
    if resource.is("", "Namespace") && namespace::IMMORTAL.contains(&name) {
        return Err(Failure::forbidden(
            &resource.definition,
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}

/// Whether nothing holds an object any more that waits for its end.
pub(super) fn is_done(resource: &Resource, object: &Value) -> bool {
    let own = object.pointer("/spec/finalizers").and_then(Value::as_array);
    let holds_itself = resource.is("", "Namespace") && own.is_some_and(|list| !list.is_empty());
    let grace = object::metadata(object, "deletionGracePeriodSeconds").and_then(Value::as_i64);
    let has_time = grace.is_some_and(|seconds| seconds > 0);
    object::is_deleting(object)
        && object::finalizers(object).is_empty()
        && !holds_itself
        && !has_time
}

/// Gives an object that is to go what lets it end in order. Answers whether it needs that.
pub(super) fn protect(resource: &Resource, object: &mut Value, now: &str) -> bool {
    let is_definition = resource.is(definition::GROUP, definition::KIND);
    if is_definition {
        definition::protect(object, now);
    }
    is_definition
}
