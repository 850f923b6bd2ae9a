//! From bindings to works, and from works back to bindings.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::{Again, Change, Context, EngineError, Key, Queue};
use crate::{
    api::{
        Binding, Work,
        binding::{BindingStatus, ROLLOUT_STARTED, STATE_BOUND},
        condition, meta,
    },
    hub::{Delete, HubError},
    model::Scope,
    placement::{
        binding::{Sync, status},
        snapshot::Group,
        status::parent,
        works::{Difference, WorksError, difference, updated, works},
    },
};

/// How many works of a binding are written at the same time.
const WIDTH: usize = 8;
/// What should come soon is looked for again so often, beside every change.
const LINGER: Duration = Duration::from_secs(5);

/// Listens for what concerns works, and returns the queue of bindings to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("binding");
    let on_binding = queue.clone();
    ctx.bindings.listen(move |change: &Change<'_, Binding>| {
        let facet = |binding: &Binding| {
            let meta = &binding.metadata;
            let conditions = binding.status.as_ref().map(|status| &status.conditions);
            let started = conditions
                .and_then(|conditions| condition::find(conditions, ROLLOUT_STARTED).cloned());
            (meta.generation, meta.deletion_timestamp.is_some(), meta.finalizers.clone(), started)
        };
        if change.differs(facet) {
            on_binding.add(change.key.clone());
        }
    });
    let on_work = queue.clone();
    ctx.works.listen(move |change: &Change<'_, Work>| {
        let facet = |work: &Work| {
            let conditions = work.status.as_ref().map(|status| status.conditions.clone());
            let manifests = work.status.iter().flat_map(|status| &status.manifest_conditions);
            let differing: Vec<_> = manifests
                .filter(|held| held.drift_details.is_some() || held.diff_details.is_some())
                .cloned()
                .collect();
            (work.metadata.generation, conditions, differing)
        };
        if change.differs(facet)
            && let Some(binding) = change.any().and_then(|work| binding_of(work))
        {
            on_work.add(binding);
        }
    });
    let (held, on_snapshot) = (Arc::downgrade(ctx), queue.clone());
    ctx.snapshots.listen(move |change: &Change<'_, _>| {
        let Some(ctx) = held.upgrade() else { return };
        if let (None, Some(new)) = (change.old, change.new)
            && let Some(name) = parent(&new.metadata)
        {
            for binding in ctx.bindings.of(&Key::new(change.key.scope.clone(), name)) {
                on_snapshot.add(Key::of(&binding.metadata));
            }
        }
    });
    let (held, on_cluster) = (Arc::downgrade(ctx), queue.clone());
    ctx.clusters.listen(move |change: &Change<'_, _>| {
        let Some(ctx) = held.upgrade() else { return };
        if change.old.is_none() {
            let of_cluster = ctx.bindings.all().into_iter();
            of_cluster
                .filter(|binding| binding.spec.target_cluster == change.key.name)
                .for_each(|binding| on_cluster.add(Key::of(&binding.metadata)));
        }
    });
    queue
}

fn binding_of(work: &Work) -> Option<Key> {
    let labels = work.metadata.labels.as_ref()?;
    let namespace = labels.get(meta::PARENT_PLACEMENT_NAMESPACE).map(String::as_str);
    Some(Key::new(Scope::of(namespace), labels.get(meta::PARENT_BINDING)?))
}

/// Brings a binding's works up to date, and tells in its status how they are.
///
/// # Errors
/// When something could not be written.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let Some(binding) = ctx.bindings.get(&key) else { return Ok(Again::No) };
    if binding.metadata.deletion_timestamp.is_some() {
        return clean_up(&ctx, &key, &binding).await;
    }
    let generation = binding.metadata.generation.unwrap_or_default();
    let conditions = binding.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let started = condition::fresh_truth(conditions, ROLLOUT_STARTED, generation).is_some();
    let cluster = Key::new(Scope::Cluster, &binding.spec.target_cluster);
    if binding.spec.state != STATE_BOUND
        || !started
        || binding.spec.resource_snapshot_name.is_empty()
        || ctx.clusters.get(&cluster).is_none()
    {
        return Ok(Again::No);
    }
    let binding = ctx.bindings.add_finalizer(&binding, meta::WORK_FINALIZER).await?;
    let placement = Key::new(key.scope.clone(), parent(&binding.metadata).unwrap_or_default());
    let groups = Group::all(&ctx.snapshots.of(&placement));
    let held = ctx.works.of(&key);
    let wanted = match works(&key.scope, &binding, &groups) {
        Ok(wanted) => wanted,
        Err(WorksError::Incomplete(_)) => return Ok(Again::After(LINGER)),
        // The snapshot was dropped, but the works come from it: they are as they should be.
        Err(WorksError::Missing(name)) if all_from(&held, &name) => {
            let sync = Sync::Done { works: &held, changed: false };
            tell(&ctx, &key, &binding, status(&binding, &sync, ctx.now())).await?;
            return Ok(Again::No);
        }
        Err(error) => {
            let told = status(&binding, &Sync::NotMade(&error), ctx.now());
            tell(&ctx, &key, &binding, told).await?;
            return Ok(Again::After(LINGER));
        }
    };
    match write(&ctx, &held, &wanted).await {
        Ok((works, changed)) => {
            let sync = Sync::Done { works: &works, changed };
            tell(&ctx, &key, &binding, status(&binding, &sync, ctx.now())).await?;
            Ok(Again::No)
        }
        Err(error) => {
            let sync = Sync::NotWritten(error.to_string());
            if error.recovery() != crate::hub::Recovery::Reread || error.is_not_found() {
                tell(&ctx, &key, &binding, status(&binding, &sync, ctx.now())).await?;
            }
            Err(error.into())
        }
    }
}

fn all_from(works: &[Arc<Work>], snapshot: &str) -> bool {
    let from = |work: &Arc<Work>| {
        let annotations = work.metadata.annotations.as_ref();
        annotations.and_then(|held| held.get(meta::PARENT_SNAPSHOT_NAME)).map(String::as_str)
            == Some(snapshot)
    };
    !works.is_empty() && works.iter().all(from)
}

async fn tell(
    ctx: &Context,
    key: &Key,
    binding: &Arc<Binding>,
    status: BindingStatus,
) -> Result<(), HubError> {
    if binding.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut told = (**binding).clone();
    told.status = Some(status);
    ctx.bindings.replace_status(&key.scope, &told).await?;
    Ok(())
}

/// Writes works, deletes those that are too many, and returns them as stored, and whether agents got something to do.
async fn write(
    ctx: &Context,
    held: &[Arc<Work>],
    wanted: &[Work],
) -> Result<(Vec<Arc<Work>>, bool), HubError> {
    let same = |held: &Work, wanted: &Work| {
        held.metadata.name == wanted.metadata.name
            && held.metadata.namespace == wanted.metadata.namespace
    };
    let mut writes = Vec::new();
    for wanted in wanted {
        let held = held.iter().find(|held| same(held, wanted)).cloned();
        writes.push(write_one(ctx, held.or_else(|| orphan(ctx, wanted)), wanted).boxed());
    }
    let written: Vec<(Arc<Work>, bool)> =
        stream::iter(writes).buffered(WIDTH).try_collect().await?;
    for work in held.iter().filter(|held| !wanted.iter().any(|wanted| same(held, wanted))) {
        if work.metadata.deletion_timestamp.is_none() {
            ctx.works.delete(&Key::of(&work.metadata), &Delete::default()).await?;
        }
    }
    let changed = written.iter().any(|(_, changed)| *changed);
    Ok((written.into_iter().map(|(work, _)| work).collect(), changed))
}

/// Returns the work of the wanted name whose binding is gone: it is taken over.
fn orphan(ctx: &Context, wanted: &Work) -> Option<Arc<Work>> {
    let held = ctx.works.get(&Key::of(&wanted.metadata))?;
    let owner = binding_of(&held).and_then(|binding| ctx.bindings.get(&binding));
    (owner.is_none() && held.metadata.deletion_timestamp.is_none()).then_some(held)
}

/// Writes a work, and returns it as stored, and whether its agent got something to do.
async fn write_one(
    ctx: &Context,
    held: Option<Arc<Work>>,
    wanted: &Work,
) -> Result<(Arc<Work>, bool), HubError> {
    let scope = Scope::of(wanted.metadata.namespace.as_deref());
    let Some(held) = held else { return Ok((ctx.works.create(&scope, wanted).await?, true)) };
    match difference(&held, wanted) {
        Difference::None => Ok((held, false)),
        Difference::Metadata(patch) => {
            Ok((ctx.works.merge(&Key::of(&held.metadata), &patch).await?, false))
        }
        Difference::Content => {
            Ok((ctx.works.replace(&scope, &updated(&held, wanted)).await?, true))
        }
    }
}

/// Deletes the works of a binding that goes, and lets it go when they are gone.
async fn clean_up(ctx: &Context, key: &Key, binding: &Binding) -> Result<Again, EngineError> {
    let works = ctx.works.of(key);
    if works.is_empty() {
        ctx.bindings.remove_finalizer(binding, meta::WORK_FINALIZER).await?;
        return Ok(Again::No);
    }
    for work in works.iter().filter(|work| work.metadata.deletion_timestamp.is_none()) {
        ctx.works.delete(&Key::of(&work.metadata), &Delete::default()).await?;
    }
    Ok(Again::After(LINGER))
}
