//! Placements: policy snapshots, resource snapshots, and what is left behind when a placement goes.

use std::{sync::Arc, time::Duration};

use super::{
    Again, Change, Context, EngineError, Key, Queue,
    capture::{Taken, take},
    context::SnapshotMode,
};
use crate::{
    api::{Placement, meta, placement::EXTERNAL},
    hub::{Delete, HubError},
    placement::policy::policy_snapshot,
    placement::status::parent,
};

/// Selectors that cannot be met are looked at again so often, beside every change.
const RECHECK: Duration = Duration::from_secs(30 * 60);
/// A deletion is looked at again so often, beside every change.
const LINGER: Duration = Duration::from_secs(5);

/// Listens for what concerns a placement's snapshots, and returns the queue of placements to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("placement");
    let on_placement = queue.clone();
    ctx.placements.listen(move |change| {
        let facet = |placement: &Placement| {
            let meta = &placement.metadata;
            let digest =
                meta.annotations.as_ref().and_then(|held| held.get(meta::CONTENT_DIGEST).cloned());
            let deleting = meta.deletion_timestamp.is_some();
            (meta.generation, deleting, meta.finalizers.clone(), digest)
        };
        if change.differs(facet) {
            on_placement.add(change.key.clone());
        }
    });
    // Snapshots that somebody deletes come back; those of a placement that goes must all be gone.
    let on_snapshot = queue.clone();
    ctx.snapshots.listen(move |change: &Change<'_, _>| {
        if let (None, Some(old)) = (change.new, change.old)
            && let Some(name) = parent(&old.metadata)
        {
            on_snapshot.add(Key::new(change.key.scope.clone(), name));
        }
    });
    let on_policy = queue.clone();
    ctx.policies.listen(move |change: &Change<'_, _>| {
        if let (None, Some(old)) = (change.new, change.old)
            && let Some(name) = parent(&old.metadata)
        {
            on_policy.add(Key::new(change.key.scope.clone(), name));
        }
    });
    queue
}

/// Looks at a placement: policy snapshot first, then its content.
///
/// # Errors
/// When the hub does not answer, or something could not be written.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let Some(placement) = ctx.placements.get(&key) else {
        ctx.content.forget(&key);
        return Ok(Again::No);
    };
    if placement.metadata.deletion_timestamp.is_some() {
        return clean_up(&ctx, &key, &placement).await;
    }
    let placement = ctx.placements.add_finalizer(&placement, meta::PLACEMENT_FINALIZER).await?;
    write_policy(&ctx, &key, &placement).await?;
    let external = placement.spec.strategy_type() == EXTERNAL;
    if external && ctx.options.snapshot_mode == SnapshotMode::OnRun {
        return Ok(Again::No);
    }
    let taken = take(&ctx, &key, &placement, false).await?;
    let invalid = match &taken {
        Taken::Invalid(error) => Some(error.to_string()),
        Taken::Index(_) | Taken::Settling(_) => None,
    };
    if ctx.content.of(&key).invalid != invalid {
        ctx.content.note(&key, |content| content.invalid = invalid);
        ctx.told.add(key);
    }
    Ok(match taken {
        Taken::Index(_) => Again::No,
        Taken::Invalid(_) => Again::After(RECHECK),
        Taken::Settling(until) => {
            let left = until.duration_since(ctx.now());
            Again::After(Duration::try_from(left).unwrap_or_default())
        }
    })
}

async fn write_policy(ctx: &Context, key: &Key, placement: &Placement) -> Result<(), HubError> {
    let plan = policy_snapshot(placement, &ctx.policies.of(key));
    for snapshot in &plan.create {
        ctx.policies.create(&key.scope, snapshot).await?;
    }
    for (name, patch) in &plan.edit {
        ctx.policies.merge(&Key::new(key.scope.clone(), name), patch).await?;
    }
    for name in &plan.delete {
        ctx.policies.delete(&Key::new(key.scope.clone(), name), &Delete::default()).await?;
    }
    Ok(())
}

/// Deletes all snapshots of a placement that goes, and lets it go when they are gone.
async fn clean_up(ctx: &Context, key: &Key, placement: &Placement) -> Result<Again, EngineError> {
    let (snapshots, policies) = (ctx.snapshots.of(key), ctx.policies.of(key));
    if snapshots.is_empty() && policies.is_empty() {
        ctx.placements.remove_finalizer(placement, meta::PLACEMENT_FINALIZER).await?;
        return Ok(Again::No);
    }
    for snapshot in snapshots.iter().filter(|held| held.metadata.deletion_timestamp.is_none()) {
        ctx.snapshots.delete(&Key::of(&snapshot.metadata), &Delete::default()).await?;
    }
    for policy in policies.iter().filter(|held| held.metadata.deletion_timestamp.is_none()) {
        ctx.policies.delete(&Key::of(&policy.metadata), &Delete::default()).await?;
    }
    Ok(Again::After(LINGER))
}
