//! The scheduler: bindings between placements and clusters.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, future::BoxFuture, stream,
};

use super::{Again, Change, Context, EngineError, Key, Queue};
use crate::{
    api::{Binding, MemberCluster, Placement, PolicySnapshot, meta},
    hub::{Delete, HubError},
    placement::{
        eligible::ineligible,
        policy,
        schedule::{Fleet, schedule},
        status::parent,
    },
};

/// How many bindings are written at the same time.
const WIDTH: usize = 32;
/// Clusters join in bursts: one cycle looks at them all.
const GATHERING: Duration = Duration::from_millis(10);
/// A deletion is looked at again so often, beside every change.
const LINGER: Duration = Duration::from_secs(5);

/// Listens for what concerns scheduling, and returns the queue of placements to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("scheduler");
    let on_placement = queue.clone();
    ctx.placements.listen(move |change| {
        let facet = |placement: &Placement| {
            (placement.metadata.deletion_timestamp.is_some(), placement.metadata.finalizers.clone())
        };
        if change.differs(facet) {
            on_placement.add(change.key.clone());
        }
    });
    let on_policy = queue.clone();
    ctx.policies.listen(move |change: &Change<'_, PolicySnapshot>| {
        let facet = |policy: &PolicySnapshot| {
            (policy.metadata.annotations.clone(), policy.metadata.labels.clone())
        };
        if change.differs(facet)
            && let Some(name) = change.any().and_then(|policy| parent(&policy.metadata))
        {
            on_policy.add(Key::new(change.key.scope.clone(), name));
        }
    });
    let on_binding = queue.clone();
    ctx.bindings.listen(move |change: &Change<'_, Binding>| {
        let gone = change.new.is_none_or(|held| held.metadata.deletion_timestamp.is_some());
        if gone && let Some(name) = change.any().and_then(|held| parent(&held.metadata)) {
            on_binding.add(Key::new(change.key.scope.clone(), name));
        }
    });
    let (held, on_cluster) = (Arc::downgrade(ctx), queue.clone());
    ctx.clusters.listen(move |change: &Change<'_, MemberCluster>| {
        let Some(ctx) = held.upgrade() else { return };
        let now = ctx.now();
        let facet = |cluster: &MemberCluster| {
            let labels = cluster.metadata.labels.clone();
            (labels, cluster.spec.taints.clone(), ineligible(cluster, now))
        };
        // A heartbeat after a long silence makes a cluster eligible: it was not, at the time of the old one.
        if change.differs(facet) {
            for placement in ctx.placements.all() {
                on_cluster.add_after(Key::of(&placement.metadata), GATHERING);
            }
        }
    });
    queue
}

/// Runs a scheduling cycle for a placement.
///
/// # Errors
/// When something could not be written.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let bindings = ctx.bindings.of(&key);
    for binding in bindings.iter().filter(|held| held.metadata.deletion_timestamp.is_some()) {
        ctx.bindings.remove_finalizer(binding, meta::BINDING_FINALIZER).await?;
    }
    let Some(placement) = ctx.placements.get(&key) else { return Ok(Again::No) };
    if placement.metadata.deletion_timestamp.is_some() {
        return clean_up(&ctx, &key, &placement).await;
    }
    let policies = ctx.policies.of(&key);
    let Some(policy) = policy::latest(&policies) else { return Ok(Again::No) };
    ctx.placements.add_finalizer(&placement, meta::SCHEDULER_FINALIZER).await?;
    let clusters = ctx.clusters.all();
    let fleet = Fleet {
        placement: &key.name,
        scope: &key.scope,
        policy,
        clusters: &clusters,
        bindings: &bindings,
    };
    let mut random = || uuid::Uuid::new_v4().as_fields().0;
    let wanted = schedule(fleet, ctx.now(), &mut random);
    let (ctx, key) = (&ctx, &key);
    let mut writes = Vec::new();
    for binding in &wanted.create {
        writes.push(ctx.bindings.create(&key.scope, binding).map_ok(drop).boxed());
    }
    for binding in &wanted.replace {
        writes.push(ctx.bindings.replace(&key.scope, binding).map_ok(drop).boxed());
    }
    all(writes).await?;
    if policy.status.as_ref() != Some(&wanted.status) {
        let mut told = (**policy).clone();
        told.status = Some(wanted.status);
        ctx.policies.replace_status(&key.scope, &told).await?;
    }
    Ok(Again::No)
}

/// Deletes all bindings of a placement that goes, and lets it go when they are gone.
async fn clean_up(ctx: &Context, key: &Key, placement: &Placement) -> Result<Again, EngineError> {
    let bindings = ctx.bindings.of(key);
    if bindings.is_empty() {
        ctx.placements.remove_finalizer(placement, meta::SCHEDULER_FINALIZER).await?;
        return Ok(Again::No);
    }
    let mut deletions = Vec::new();
    for binding in bindings.iter().filter(|held| held.metadata.deletion_timestamp.is_none()) {
        let binding = Key::of(&binding.metadata);
        let delete = async move { ctx.bindings.delete(&binding, &Delete::default()).await };
        deletions.push(delete.boxed());
    }
    all(deletions).await?;
    Ok(Again::After(LINGER))
}

/// Carries out writes, some at the same time.
async fn all(writes: Vec<BoxFuture<'_, Result<(), HubError>>>) -> Result<(), HubError> {
    stream::iter(writes).buffer_unordered(WIDTH).try_collect().await
}
