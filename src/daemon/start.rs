//! Runs everything.

use std::sync::Arc;

use kube::core::GroupVersionKind;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    DaemonError, Options, Source, drift,
    follow::Followed,
    marks::Marks,
    reconcile::{Daemon, reconcile},
    world::World,
};
use crate::{
    api::kind,
    engine::Queue,
    hub::{Hub, HubError},
    model::{ObjectName, Scope},
};

/// Follows the sources and looks after their Rollouts until `stop`.
///
/// It can be stopped at any moment, and started again anywhere: all state is on the hub. Rollouts without a namespace in
/// Git are kept in the client's default namespace.
///
/// # Errors
/// When the hub does not know the kinds that are needed, or does not answer at the beginning. Later failures are tried
/// again, and told in the Rollouts that they concern.
pub async fn run(
    hub: kube::Client,
    sources: Vec<Source>,
    options: Options,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let hub = Hub::new(hub);
    for needed in [kind::ROLLOUT, kind::CLUSTER_RESOURCE_PLACEMENT, kind::CLUSTER_STAGED_UPDATE_RUN]
    {
        let gvk = GroupVersionKind::gvk(needed.group, needed.version, needed.name);
        match hub.locate(&gvk).await {
            Ok(_) => {}
            Err(HubError::UnknownKind { .. }) => {
                return Err(DaemonError::NoKind { kind: needed.name, group: needed.group });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let found = hub.list(kind::SOURCE, &Scope::Cluster, None).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the hub does not tell how far repositories were read");
        Vec::new()
    });
    let width = options.width;
    let world = World::new(&hub);
    let queue: Arc<Queue<ObjectName>> = Queue::new("rollouts");
    world.listen(&queue);
    let marks = Arc::new(Marks::default());
    drift::listen(&world, &marks, &queue);
    let limits = options.limits;
    let sources: Vec<Arc<Followed>> =
        sources.into_iter().map(|source| Followed::new(source, limits, &found)).collect();
    let mut tasks = JoinSet::new();
    world.keep(&stop, &mut tasks);
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = world.ready() => tracing::debug!("every object of the hub is known"),
    }
    tasks.spawn(drift::keep(hub.clone(), marks.clone(), queue.clone(), stop.clone()));
    let daemon = Arc::new(Daemon::new(hub, world, marks, sources.clone(), options));
    for source in sources {
        let (held, followed, halt) = (daemon.clone(), source.clone(), stop.clone());
        tasks.spawn(async move { followed.report.keep(&held.hub, &halt).await });
        let (held, followed, queue) = (daemon.clone(), source.clone(), queue.clone());
        tasks.spawn(source.keep(stop.clone(), move |turn| {
            let names = held.turned(&followed, turn);
            for name in names.into_iter().chain(held.world.contenders()) {
                queue.add(name);
            }
        }));
    }
    queue.run(width, stop, move |name| reconcile(daemon.clone(), name)).await;
    while tasks.join_next().await.is_some() {}
    Ok(())
}
