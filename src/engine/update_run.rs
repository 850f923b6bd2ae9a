//! Executes staged update runs of both scopes: gathers what [`rollout::advance`] looks at, carries out what it orders,
//! and records what it says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Again, Change, Context, EngineError, Key, Queue, event, order};
use crate::{
    api::{
        self, ApprovalRequest, Binding, PolicySnapshot,
        condition::truth,
        meta,
        run::{INITIALIZED, SUCCEEDED, TaskStatus},
    },
    hub::HubError,
    model::Scope,
    rollout::{self, Captured, Order, Run, Seen, Step, Transition, Wake, Weight},
};

/// How many passes a run gets before others have their turn.
const PASSES_MAX: usize = 64;
/// Bindings of a stage change in bursts: one pass looks at them all.
const GATHERING: Duration = Duration::from_millis(10);

/// Listens for what concerns runs, and returns the queue of runs to look at.
pub fn subscribe(ctx: &Arc<Context>) -> Arc<Queue<Key>> {
    let queue = Queue::new("update run");
    let on_run = queue.clone();
    ctx.runs.listen(move |change| {
        let facet = |run: &api::Run| {
            let meta = &run.metadata;
            (meta.generation, meta.deletion_timestamp.is_some(), meta.finalizers.clone())
        };
        if change.differs(facet) {
            on_run.add(change.key.clone());
        }
    });
    let on_approval = queue.clone();
    ctx.approvals.listen(move |change: &Change<'_, ApprovalRequest>| {
        if let Some(request) = change.any()
            && change.differs(|request| (request.metadata.generation, request.status.clone()))
        {
            let run = &request.spec.parent_stage_rollout;
            on_approval.add(Key::new(change.key.scope.clone(), run));
        }
    });
    listen_to_placement(ctx, &queue);
    listen_to_beginnings(ctx, &queue);
    queue
}

/// What concerns every unfinished run of a placement.
fn listen_to_placement(ctx: &Arc<Context>, queue: &Arc<Queue<Key>>) {
    let (held, on_binding) = (Arc::downgrade(ctx), queue.clone());
    ctx.bindings.listen(move |change: &Change<'_, Binding>| {
        if let (Some(ctx), Some(placement)) =
            (held.upgrade(), parent(change.any().map(|b| &b.metadata)))
        {
            for run in unfinished(&ctx, &placement) {
                on_binding.add_after(run, GATHERING);
            }
        }
    });
    let (held, on_policy) = (Arc::downgrade(ctx), queue.clone());
    ctx.policies.listen(move |change: &Change<'_, PolicySnapshot>| {
        if let (Some(ctx), Some(placement)) =
            (held.upgrade(), parent(change.any().map(|p| &p.metadata)))
        {
            unfinished(&ctx, &placement).into_iter().for_each(|run| on_policy.add(run));
        }
    });
    let (held, on_placement) = (Arc::downgrade(ctx), queue.clone());
    ctx.placements.listen(move |change| {
        if let Some(ctx) = held.upgrade()
            && change.differs(|placement| placement.metadata.generation)
        {
            unfinished(&ctx, change.key).into_iter().for_each(|run| on_placement.add(run));
        }
    });
    let (held, on_cluster) = (Arc::downgrade(ctx), queue.clone());
    ctx.clusters.listen(move |change| {
        if let Some(ctx) = held.upgrade()
            && change.differs(|cluster| cluster.metadata.labels.clone())
        {
            let runs = ctx.runs.all().into_iter().filter(|run| !is_over(run));
            runs.for_each(|run| on_cluster.add_after(Key::of(&run.metadata), GATHERING));
        }
    });
}

/// What a run that is not initialized yet may be waiting for.
fn listen_to_beginnings(ctx: &Arc<Context>, queue: &Arc<Queue<Key>>) {
    let (held, on_strategy) = (Arc::downgrade(ctx), queue.clone());
    ctx.strategies.listen(move |change| {
        let Some(ctx) = held.upgrade() else { return };
        for run in ctx.runs.all().into_iter().filter(|run| is_new(run)) {
            let key = Key::of(&run.metadata);
            if key.scope == change.key.scope
                && run.spec.staged_rollout_strategy_name == change.key.name
            {
                on_strategy.add(key);
            }
        }
    });
    let (held, on_snapshot) = (Arc::downgrade(ctx), queue.clone());
    ctx.snapshots.listen(move |change| {
        if let (Some(ctx), Some(placement)) =
            (held.upgrade(), parent(change.any().map(|s| &s.metadata)))
        {
            let runs = ctx.runs.of(&placement).into_iter().filter(|run| is_new(run));
            runs.for_each(|run| on_snapshot.add(Key::of(&run.metadata)));
        }
    });
}

fn parent(metadata: Option<&kube::core::ObjectMeta>) -> Option<Key> {
    let metadata = metadata?;
    let name = metadata.labels.as_ref()?.get(meta::PARENT_PLACEMENT)?;
    Some(Key::new(Scope::of(metadata.namespace.as_deref()), name))
}

fn is_new(run: &api::Run) -> bool {
    run.status.as_ref().is_none_or(|status| truth(&status.conditions, INITIALIZED).is_none())
}

fn is_over(run: &api::Run) -> bool {
    let conditions = run.status.as_ref().map_or(&[][..], |status| &status.conditions);
    truth(conditions, SUCCEEDED).is_some()
        || truth(conditions, INITIALIZED) == Some(api::condition::Truth::False)
}

fn unfinished(ctx: &Context, placement: &Key) -> Vec<Key> {
    let runs = ctx.runs.of(placement);
    runs.iter().filter(|run| !is_over(run)).map(|run| Key::of(&run.metadata)).collect()
}

/// Looks at a run until there is nothing more to do now.
///
/// Collections show what was written as soon as it is, so a pass whose orders were carried out is followed by another
/// look before anything is recorded: one write of the status tells what both reached.
///
/// # Errors
/// When an order failed, or the status could not be recorded. What was recorded is true all the same.
pub async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Again, EngineError> {
    let mut captured = None;
    let mut unrecorded = false;
    for _ in 0..PASSES_MAX {
        let Some(run) = ctx.runs.get(&key) else { return Ok(Again::No) };
        let mut seen = gather(&ctx, &key, &run);
        seen.captured = captured.clone();
        let mut step = rollout::advance(&Run::from(&*run), &seen, ctx.now());
        if step.verdict {
            let Some((fresh, reread)) = confirm(&ctx, &key, captured.clone()).await? else {
                return Ok(Again::No);
            };
            if fresh.metadata.resource_version != run.metadata.resource_version {
                continue;
            }
            step = rollout::advance(&Run::from(&*run), &reread, ctx.now());
            seen = reread;
        }
        if let Some(why) = &step.held {
            tracing::debug!(run = %key, why, "held");
        }
        if step.orders.is_empty() && step.status.is_none() {
            return Ok(again(&ctx, step.wake));
        }
        let shows = !step.orders.is_empty() && step.orders.iter().all(is_seen_at_once);
        let carried = order::carry_out(&ctx, &key, &run, &seen, &step.orders).await;
        let carried = carried.map(|result| captured = result.or(captured.take()));
        if carried.is_ok() && shows && !unrecorded {
            unrecorded = true;
            continue;
        }
        unrecorded = false;
        let wake = step.wake;
        let recorded = record(&ctx, &key, &run, step).await;
        match carried.and(recorded) {
            Ok(()) if wake == Wake::Now || shows => {}
            Ok(()) => return Ok(again(&ctx, wake)),
            // Somebody else wrote in between; what they wrote is in the collections.
            Err(EngineError::Hub(HubError::Stale { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Again::Now)
}

/// Whether the collections show the order's effect as soon as it is carried out.
fn is_seen_at_once(order: &Order) -> bool {
    match order {
        Order::AddFinalizer
        | Order::CaptureSnapshot
        | Order::Bind(_)
        | Order::MarkRolloutStarted { .. }
        | Order::CreateApproval { .. }
        | Order::AcceptApproval { .. } => true,
        Order::RemoveFinalizer | Order::DeleteBinding { .. } | Order::DeleteApprovals => false,
    }
}

fn again(ctx: &Context, wake: Wake) -> Again {
    match wake {
        Wake::Now => Again::Now,
        Wake::OnChange => Again::No,
        Wake::At(time) => {
            let left = time.duration_since(ctx.now());
            Again::After(Duration::try_from(left).unwrap_or(Duration::ZERO))
        }
    }
}

fn gather(ctx: &Context, key: &Key, run: &api::Run) -> Seen {
    let placement = Key::new(key.scope.clone(), &run.spec.placement_name);
    let mut seen = Seen {
        placement: ctx.placements.get(&placement),
        policy_snapshots: ctx.policies.of(&placement),
        bindings: ctx.bindings.of(&placement),
        members: labels_of(&ctx.clusters.all()),
        ..Seen::default()
    };
    gather_beginnings(ctx, key, run, &placement, &mut seen);
    for name in requests_of(run) {
        if let Some(request) = ctx.approvals.get(&Key::new(key.scope.clone(), name)) {
            seen.approvals.insert(name.to_owned(), request);
        }
    }
    seen
}

/// What is looked at until a run is initialized.
fn gather_beginnings(ctx: &Context, key: &Key, run: &api::Run, placement: &Key, seen: &mut Seen) {
    if is_new(run) {
        let strategy = &run.spec.staged_rollout_strategy_name;
        seen.strategy = ctx.strategies.get(&Key::new(key.scope.clone(), strategy));
        seen.snapshots = ctx.snapshots.of(placement);
    }
}

fn labels_of(clusters: &[Arc<api::MemberCluster>]) -> BTreeMap<String, BTreeMap<String, String>> {
    clusters
        .iter()
        .map(|cluster| {
            let metadata = &cluster.metadata;
            (metadata.name.clone().unwrap_or_default(), metadata.labels.clone().unwrap_or_default())
        })
        .collect()
}

/// Returns the names of the approval requests that the run's status speaks of.
fn requests_of(run: &api::Run) -> impl Iterator<Item = &str> {
    let stages = run.status.iter().flat_map(|status| status.stages_status.iter().flatten());
    stages
        .flat_map(|stage| {
            let before = stage.before_stage_task_status.iter().flatten();
            before.chain(stage.after_stage_task_status.iter().flatten())
        })
        .filter_map(|task: &TaskStatus| task.approval_request_name.as_deref())
}

/// Reads everything from the server, for a verdict: collections of different kinds may be of different moments.
async fn confirm(
    ctx: &Context,
    key: &Key,
    captured: Option<Captured>,
) -> Result<Option<(Arc<api::Run>, Seen)>, EngineError> {
    let scope = &key.scope;
    let Some(run) = ctx.hub.find(api::kind::run(scope), scope, &key.name).await? else {
        return Ok(None);
    };
    let run = ctx.runs.absorb(run);
    let placement = Key::new(scope.clone(), &run.spec.placement_name);
    let labels = format!("{}={}", meta::PARENT_PLACEMENT, placement.name);
    let found = ctx.hub.find(api::kind::placement(scope), scope, &placement.name).await?;
    let mut seen = Seen {
        placement: found.map(|placement| ctx.placements.absorb(placement)),
        policy_snapshots: ctx.policies.list_now(scope, &labels).await?,
        bindings: ctx.bindings.list_now(scope, &labels).await?,
        members: labels_of(&ctx.clusters.list_now(&Scope::Cluster, "").await?),
        captured,
        ..Seen::default()
    };
    if is_new(&run) {
        let strategy = &run.spec.staged_rollout_strategy_name;
        let found = ctx.hub.find(api::kind::strategy(scope), scope, strategy).await?;
        seen.strategy = found.map(|strategy| ctx.strategies.absorb(strategy));
        seen.snapshots = ctx.snapshots.list_now(scope, &labels).await?;
    }
    for name in requests_of(&run) {
        let found = ctx.hub.find(api::kind::approval_request(scope), scope, name).await?;
        if let Some(request) = found {
            seen.approvals.insert(name.to_owned(), ctx.approvals.absorb(request));
        }
    }
    Ok(Some((run, seen)))
}

async fn record(
    ctx: &Arc<Context>,
    key: &Key,
    run: &Arc<api::Run>,
    step: Step,
) -> Result<(), EngineError> {
    let Some(status) = step.status else { return Ok(()) };
    let transitions = rollout::transitions(run.status.as_ref(), &status);
    let mut told = (**run).clone();
    told.status = Some(status);
    let told = ctx.runs.replace_status(&key.scope, &told).await?;
    for transition in &transitions {
        log(key, transition);
    }
    event::tell(ctx, key, &told, transitions);
    Ok(())
}

fn log(run: &Key, transition: &Transition) {
    let Transition { reason, message, weight } = transition;
    match weight {
        Weight::Detail => tracing::debug!(%run, reason, "{message}"),
        Weight::Normal => tracing::info!(%run, reason, "{message}"),
        Weight::Warning => tracing::warn!(%run, reason, "{message}"),
    }
}
