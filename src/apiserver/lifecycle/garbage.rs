//! Owners and dependents: what nobody owns any more goes.

use futures::future::join_all;
use serde_json::Value;

use super::{
    super::{
        object,
        registry::{Resource, Served},
        server::Server,
        store::{Key, Owner, Stored},
        verb::{Deletion, Propagation, delete},
    },
    FOREGROUND, ORPHAN,
    edit::{edit, remove_finalizer},
};

/// Most dependents that are looked at together; their deletions share transactions of the store.
const AT_ONCE: usize = 64;

/// What is known about an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is there.
    Solid,
    /// It is there, and waits for its dependents to go first.
    Waits,
    /// It is not there, or another object has its name.
    Absent,
    /// Its kind is not served, so nobody knows.
    Unknown,
}

/// Looks at what a gone object owned.
pub(super) async fn collect_dependents(server: &Server, owner: &Stored) {
    let dependents = server.store.dependents(&owner.uid);
    let served = server.registry.served();
    for some in dependents.chunks(AT_ONCE) {
        join_all(some.iter().filter_map(|dependent| {
            let resource = served.any_version(&dependent.key.resource)?;
            Some(collect_if_unowned(server, resource, dependent))
        }))
        .await;
    }
}

/// Deletes an object whose owners are all gone or going, and drops references to gone owners from others.
pub(super) async fn collect_if_unowned(server: &Server, resource: &Resource, dependent: &Stored) {
    let served = server.registry.served();
    let standings: Vec<Standing> =
        dependent.owners.iter().map(|owner| standing(server, &served, dependent, owner)).collect();
    let any = |standing: Standing| standings.contains(&standing);
    if any(Standing::Unknown) || !(any(Standing::Absent) || any(Standing::Waits)) {
        return;
    }
    if any(Standing::Solid) {
        let going = dependent.owners.iter().zip(&standings).filter(|(_, s)| **s != Standing::Solid);
        let uids: Vec<&str> = going.map(|(owner, _)| &*owner.uid).collect();
        disown(server, resource, &dependent.key, &uids).await;
        return;
    }
    if dependent.deleting {
        return;
    }
    // Who waits for this object also waits for what this object owns.
    let goes_last = any(Standing::Waits) && !server.store.dependents(&dependent.uid).is_empty();
    let deletion = Deletion {
        propagation: goes_last.then_some(Propagation::Foreground),
        uid: Some(dependent.uid.to_string()),
        // A newer state is looked at on its own.
        revision: Some(dependent.revision),
        ..Deletion::default()
    };
    if let Err(failure) = delete(server, resource, &dependent.key, &deletion).await
        && !failure.is_not_found()
    {
        tracing::debug!(key = %dependent.key, ?failure, "not deleted with its owner");
    }
}

fn standing(server: &Server, served: &Served, dependent: &Stored, owner: &Owner) -> Standing {
    let Some(resource) = served.of_kind(&owner.api_version, &owner.kind) else {
        return Standing::Unknown;
    };
    let namespace = if resource.definition.namespaced { &*dependent.key.namespace } else { "" };
    let key = Key::new(&resource.id, namespace, &owner.name);
    match server.store.get(&key).filter(|stored| stored.uid == owner.uid) {
        None => Standing::Absent,
        Some(stored)
            if stored.deleting && object::finalizers(&stored.value()).contains(&FOREGROUND) =>
        {
            Standing::Waits
        }
        Some(_) => Standing::Solid,
    }
}

/// Deletes what an object owns that waits for it, and lets the object go when nothing is left that blocks it.
pub(super) async fn collect_first(server: &Server, resource: &Resource, owner: &Stored) {
    collect_dependents(server, owner).await;
    let dependents = server.store.dependents(&owner.uid);
    let blocks =
        |dependent: &Stored| dependent.owners.iter().any(|o| o.uid == owner.uid && o.blocks);
    if !dependents.iter().any(|dependent| blocks(dependent)) {
        remove_finalizer(server, resource, &owner.key, FOREGROUND).await;
    }
}

/// Removes an object from its dependents' owners, and lets it go.
pub(super) async fn orphan_dependents(server: &Server, resource: &Resource, owner: &Stored) {
    let served = server.registry.served();
    for dependent in server.store.dependents(&owner.uid) {
        if let Some(resource) = served.any_version(&dependent.key.resource) {
            disown(server, resource, &dependent.key, &[&owner.uid]).await;
        }
    }
    remove_finalizer(server, resource, &owner.key, ORPHAN).await;
}

/// Looks again at owners that may have waited for an object.
pub(super) async fn tell_owners(server: &Server, dependent: &Stored) {
    let served = server.registry.served();
    for owner in &dependent.owners {
        let Some(resource) = served.of_kind(&owner.api_version, &owner.kind) else { continue };
        let namespace = if resource.definition.namespaced { &*dependent.key.namespace } else { "" };
        let key = Key::new(&resource.id, namespace, &owner.name);
        let Some(stored) = server.store.get(&key) else { continue };
        if stored.deleting && object::finalizers(&stored.value()).contains(&FOREGROUND) {
            collect_first(server, resource, &stored).await;
        }
    }
}

async fn disown(server: &Server, resource: &Resource, key: &Key, uids: &[&str]) {
    edit(server, resource, key, |object| {
        let owners = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
        let Some(owners) = owners else { return false };
        let before = owners.len();
        owners.retain(|owner| {
            !owner.get("uid").and_then(Value::as_str).is_some_and(|uid| uids.contains(&uid))
        });
        let changed = owners.len() != before;
        if owners.is_empty() {
            object::set(object, "ownerReferences", Value::Null);
        }
        changed
    })
    .await;
}
