//! Rolls out placements that do not leave it to update runs.

use std::{sync::Arc, time::Duration};

use super::{Again, Change, Context, EngineError, Key, Queue};
use crate::{
    api::{
        Binding,
        binding::ROLLOUT_STARTED,
        condition::{self, Claim, Truth},
        placement::EXTERNAL,
    },
    hub::{Delete, HubError},
    placement::{
        rolling::{Move, roll},
        snapshot::{Group, latest},
        status::parent,
    },
};

/// Bindings change in bursts: one pass looks at them all.
const GATHERING: Duration = Duration::from_millis(5);

/// Listens for what concerns rolling updates, and returns the queue of placements to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("rolling update");
    let on_placement = queue.clone();
    ctx.placements.listen(move |change| {
        if change.differs(|placement| placement.metadata.generation) {
            on_placement.add(change.key.clone());
        }
    });
    let on_snapshot = queue.clone();
    ctx.snapshots.listen(move |change: &Change<'_, _>| {
        if let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            on_snapshot.add_after(Key::new(change.key.scope.clone(), name), GATHERING);
        }
    });
    let on_binding = queue.clone();
    ctx.bindings.listen(move |change: &Change<'_, _>| {
        if let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            on_binding.add_after(Key::new(change.key.scope.clone(), name), GATHERING);
        }
    });
    queue
}

/// Moves a placement's bindings towards its latest snapshot.
///
/// # Errors
/// When something could not be written.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let Some(placement) = ctx.placements.get(&key) else { return Ok(Again::No) };
    let deleting = placement.metadata.deletion_timestamp.is_some();
    if deleting || placement.spec.strategy_type() == EXTERNAL {
        return Ok(Again::No);
    }
    let groups = Group::all(&ctx.snapshots.of(&key));
    let Some(latest) = latest(&groups).filter(|group| group.is_complete()) else {
        return Ok(Again::No);
    };
    let rolling = roll(&placement, &ctx.bindings.of(&key), latest, ctx.now());
    for step in rolling.moves {
        match step {
            Move::Bind(binding) => {
                let bound = ctx.bindings.replace(&key.scope, &binding).await?;
                announce(&ctx, &key, &bound, true).await?;
            }
            Move::Confirm(binding) => announce(&ctx, &key, &binding, true).await?,
            Move::Hold(binding) => announce(&ctx, &key, &binding, false).await?,
            Move::Remove(binding) => {
                ctx.bindings.delete(&Key::of(&binding.metadata), &Delete::default()).await?;
            }
        }
    }
    Ok(rolling.wake.map_or(Again::No, |at| {
        Again::After(Duration::try_from(at.duration_since(ctx.now())).unwrap_or_default())
    }))
}

/// Says whether a binding's rollout started, if its status does not say so yet.
async fn announce(
    ctx: &Context,
    key: &Key,
    binding: &Arc<Binding>,
    started: bool,
) -> Result<(), HubError> {
    let truth = if started { Truth::True } else { Truth::False };
    let generation = binding.metadata.generation.unwrap_or_default();
    let mut status = binding.status.clone().unwrap_or_default();
    if condition::fresh_truth(&status.conditions, ROLLOUT_STARTED, generation) == Some(truth) {
        return Ok(());
    }
    let claim = match started {
        true => Claim::new(
            ROLLOUT_STARTED,
            truth,
            "RolloutStarted",
            "Detected the new changes on the resources and started the rollout process",
        ),
        false => Claim::new(
            ROLLOUT_STARTED,
            truth,
            "RolloutNotStartedYet",
            "The resources cannot be updated to the latest because of the rollout strategy",
        ),
    };
    condition::set(&mut status.conditions, claim, generation, ctx.now());
    let mut told = (**binding).clone();
    told.status = Some(status);
    ctx.bindings.replace_status(&key.scope, &told).await?;
    Ok(())
}
