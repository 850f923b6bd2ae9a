//! Tells how placements go.

use std::{sync::Arc, time::Duration};

use super::{Again, Change, Context, EngineError, Key, Queue};
use crate::{
    api::Placement,
    placement::{
        policy,
        snapshot::Group,
        status::{Seen, parent, status},
    },
};

/// A status is told at most so often, and more rarely the more clusters it speaks of: it is one object, written whole.
const GATHERING: Duration = Duration::from_millis(10);
const GATHERING_PER_CLUSTER: Duration = Duration::from_millis(2);

/// Listens for what a placement's status tells, and returns the queue of placements to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = ctx.told.clone();
    let on_placement = queue.clone();
    ctx.placements.listen(move |change: &Change<'_, Placement>| {
        if change.differs(|placement| placement.metadata.generation) {
            on_placement.add_after(change.key.clone(), GATHERING);
        }
    });
    let (held, on_binding) = (Arc::downgrade(ctx), queue.clone());
    ctx.bindings.listen(move |change: &Change<'_, _>| {
        let Some(ctx) = held.upgrade() else { return };
        if let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            let placement = Key::new(change.key.scope.clone(), name);
            let clusters = u32::try_from(ctx.bindings.of(&placement).len()).unwrap_or(u32::MAX);
            let delay = GATHERING + GATHERING_PER_CLUSTER.saturating_mul(clusters.min(500));
            on_binding.add_after(placement, delay);
        }
    });
    let on_policy = queue.clone();
    ctx.policies.listen(move |change: &Change<'_, _>| {
        if let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            on_policy.add_after(Key::new(change.key.scope.clone(), name), GATHERING);
        }
    });
    let on_snapshot = queue.clone();
    ctx.snapshots.listen(move |change: &Change<'_, _>| {
        if let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            on_snapshot.add_after(Key::new(change.key.scope.clone(), name), GATHERING);
        }
    });
    queue
}

/// Writes a placement's status, if it is not what it was.
///
/// # Errors
/// When it could not be written.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let Some(placement) = ctx.placements.get(&key) else { return Ok(Again::No) };
    if placement.metadata.deletion_timestamp.is_some() {
        return Ok(Again::No);
    }
    let (policies, bindings) = (ctx.policies.of(&key), ctx.bindings.of(&key));
    let groups = Group::all(&ctx.snapshots.of(&key));
    let invalid = ctx.content.of(&key).invalid;
    let seen = Seen {
        placement: &placement,
        policy: policy::latest(&policies).map(|policy| &**policy),
        bindings: &bindings,
        groups: &groups,
        invalid: invalid.as_deref(),
    };
    let status = status(seen, ctx.now());
    if placement.status.as_ref() == Some(&status) {
        return Ok(Again::No);
    }
    let mut told = (*placement).clone();
    told.status = Some(status);
    ctx.placements.replace_status(&key.scope, &told).await?;
    Ok(Again::No)
}
