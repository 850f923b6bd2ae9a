//! Runs everything.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Context, EngineError, Members, Options,
    agents::{self, Agents},
    binding, content, member, placement, rolling_update, scheduler, status, update_run, work,
};
use crate::hub::Hub;

/// How long the engine takes to give up what it is doing when it is stopped.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Runs all controllers on a hub until `stop`.
///
/// It can be stopped at any moment, and started again on the same hub: all state is in objects.
///
/// # Errors
/// None so far: what fails is tried again, and told in the objects that it concerns.
pub async fn run(
    hub: kube::Client,
    members: Members,
    options: Options,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let ctx = Arc::new(Context::new(Hub::new(hub), members, options));
    let width = ctx.options.width;
    let placements = placement::subscribe(&ctx);
    let schedules = scheduler::subscribe(&ctx);
    let rollings = rolling_update::subscribe(&ctx);
    let bindings = binding::subscribe(&ctx);
    let statuses = status::subscribe(&ctx);
    let works = work::subscribe(&ctx);
    let clusters = member::subscribe(&ctx);
    let runs = update_run::subscribe(&ctx);
    let agents = Arc::new(Agents::default());

    let mut tasks = JoinSet::new();
    keep_collections(&ctx, &stop, &mut tasks);
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = ready(&ctx) => tracing::debug!("every object of the hub is known"),
    }
    tasks.spawn(content::keep(ctx.clone(), placements.clone(), stop.clone()));
    tasks.spawn(agents.clone().keep(ctx.clone(), stop.clone()));
    tasks.spawn(member::keep(ctx.clone(), clusters.clone(), stop.clone()));
    macro_rules! control {
        ($queue:ident, $reconcile:path) => {
            let held = ctx.clone();
            tasks.spawn($queue.run(width, stop.clone(), move |key| $reconcile(held.clone(), key)));
        };
    }
    control!(placements, placement::reconcile);
    control!(schedules, scheduler::reconcile);
    control!(rollings, rolling_update::reconcile);
    control!(bindings, binding::reconcile);
    control!(statuses, status::reconcile);
    control!(clusters, member::reconcile);
    control!(runs, update_run::reconcile);
    let held = ctx.clone();
    tasks.spawn(
        works.run(width, stop.clone(), move |key| agents::route(held.clone(), agents.clone(), key)),
    );
    stop.cancelled().await;
    let finished = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, finished).await.is_err() {
        tracing::warn!("work in progress was given up");
    }
    Ok(())
}

fn keep_collections(ctx: &Arc<Context>, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    macro_rules! keep {
        ($($collection:ident),*) => {$(
            let (held, halt) = (ctx.clone(), stop.clone());
            tasks.spawn(async move { held.$collection.keep(halt).await }.boxed());
        )*};
    }
    keep!(placements, policies, snapshots, bindings, strategies, runs, approvals, clusters, works);
}

async fn ready(ctx: &Context) {
    tokio::join!(
        ctx.placements.ready(),
        ctx.policies.ready(),
        ctx.snapshots.ready(),
        ctx.bindings.ready(),
        ctx.strategies.ready(),
        ctx.runs.ready(),
        ctx.approvals.ready(),
        ctx.clusters.ready(),
        ctx.works.ready(),
    );
}
