//! Watches of what was applied: metadata only, and only kinds that are applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kube::core::ObjectMeta;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    marks::{Marks, Subject},
    world::World,
};
use crate::{
    api::{Kind, kind},
    engine::{Change, Queue},
    hub::{Hub, HubError, Resource, Told, typed::Wire},
    model::{ObjectKey, ObjectName, Scope},
    sync::drift::{Sight, Trace},
};

/// A kind that the hub does not know yet is asked for again after so long, and then ever more rarely.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(1);
const UNKNOWN_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Hears of placements and strategies from the collections that hold them anyway.
pub(super) fn listen(world: &World, marks: &Arc<Marks>, queue: &Arc<Queue<ObjectName>>) {
    let (held, told) = (marks.clone(), queue.clone());
    world.placements.listen(move |change| hear(change, kind::placement, &held, &told));
    let (held, told) = (marks.clone(), queue.clone());
    world.strategies.listen(move |change| hear(change, kind::strategy, &held, &told));
}

fn hear<T: Wire>(
    change: &Change<'_, T>,
    kind: fn(&Scope) -> Kind,
    marks: &Marks,
    queue: &Queue<ObjectName>,
) {
    let key = kind(&change.key.scope).key(&change.key.scope, &change.key.name);
    let sight = match (change.new, change.old) {
        (Some(new), _) => Sight::There(Trace::of(new.meta())),
        (None, Some(old)) => Sight::Gone(old.meta().uid.clone().unwrap_or_default()),
        (None, None) => return,
    };
    marks.saw(&key, sight).into_iter().for_each(|name| queue.add(name));
}

/// Watches what is applied, no more and no less, until `stop`. Rollouts whose objects were changed go into `queue`.
pub(super) async fn keep(
    hub: Hub,
    marks: Arc<Marks>,
    queue: Arc<Queue<ObjectName>>,
    stop: CancellationToken,
) {
    let mut watches: BTreeMap<Subject, JoinHandle<()>> = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = marks.bell.notified() => {}
        }
        let wanted = marks.subjects();
        watches.retain(|subject, watch| {
            let kept = wanted.contains(subject) && !watch.is_finished();
            if !kept {
                watch.abort();
                marks.broke(subject);
            }
            kept
        });
        for subject in wanted {
            let start =
                || tokio::spawn(watch(hub.clone(), subject.clone(), marks.clone(), queue.clone()));
            watches.entry(subject.clone()).or_insert_with(start);
        }
    }
    watches.values().for_each(JoinHandle::abort);
}

async fn watch(hub: Hub, subject: Subject, marks: Arc<Marks>, queue: Arc<Queue<ObjectName>>) {
    let Some(resource) = locate(&hub, &subject).await else { return };
    let key = |metadata: &ObjectMeta| ObjectKey {
        group: subject.group.clone(),
        kind: subject.kind.clone(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    let saw = |metadata: &ObjectMeta, sight: Sight| {
        marks.saw(&key(metadata), sight).into_iter().for_each(|name| queue.add(name));
    };
    let (mut listed, mut since, mut is_broken) = (BTreeSet::new(), 0, false);
    let told = |told: Told<'_>| match told {
        Told::Listing => {
            listed.clear();
            since = marks.listing(&subject);
        }
        Told::Listed(metadata) => {
            listed.insert(key(metadata));
            saw(metadata, Sight::There(Trace::of(metadata)));
        }
        Told::ListEnd => {
            let missed = marks.listed(&subject, &std::mem::take(&mut listed), since);
            missed.into_iter().for_each(|name| queue.add(name));
            is_broken = false;
        }
        Told::Changed(metadata) => saw(metadata, Sight::There(Trace::of(metadata))),
        Told::Gone(metadata) => {
            saw(metadata, Sight::Gone(metadata.uid.clone().unwrap_or_default()))
        }
        Told::Broke(error) => {
            marks.broke(&subject);
            if !std::mem::replace(&mut is_broken, true) {
                let (kind, namespace) = (&subject.kind, &subject.namespace);
                tracing::warn!(%kind, namespace, %error, "cannot watch for hand edits: until this works again, the next commit puts them back");
            }
        }
    };
    hub.watch_metadata(&resource.api, subject.namespace.as_deref(), told).await;
}

/// Waits until the hub serves the kind. Nothing when it cannot be watched.
async fn locate(hub: &Hub, subject: &Subject) -> Option<Resource> {
    let mut wait = UNKNOWN_AGAIN;
    loop {
        match hub.locate_any(&subject.group, &subject.kind).await {
            Ok(resource) => return resource.watchable.then_some(resource),
            Err(HubError::UnknownKind { .. }) => {}
            Err(error) => tracing::debug!(kind = subject.kind, %error, "kind not found"),
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(UNKNOWN_AGAIN_MAX);
    }
}
