//! What placements select on the hub: gathered, cut into snapshots, and watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use kube::{
    api::ApiResource,
    core::{GroupVersionKind, ObjectMeta},
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Context, EngineError, Key, Queue};
use crate::{
    api::{
        Placement,
        placement::{NAMESPACE_ONLY, NAMESPACE_WITH_RESOURCE_SELECTORS, ResourceSelector},
    },
    hub::{HubError, Resource, Told},
    model::Scope,
    placement::{
        exclude::placeable,
        select::{Catalog, Selection, SelectionError, Served, Want, select, wants},
    },
};

/// How many lists are read at the same time.
const LISTS_AT_ONCE: usize = 16;
/// Changes come in bursts: one look is for them all.
const GATHERING: Duration = Duration::from_millis(5);
/// Watches of many kinds begin at the same time.
const GATHERING_FIRST: Duration = Duration::from_millis(300);

fn served(resource: &Resource) -> Served {
    Served { api: resource.api.clone(), namespaced: resource.namespaced }
}

fn is_content(selector: &ResourceSelector) -> bool {
    selector.group.is_empty()
        && selector.kind == "Namespace"
        && !matches!(
            selector.selection_scope.as_deref(),
            Some(NAMESPACE_ONLY | NAMESPACE_WITH_RESOURCE_SELECTORS)
        )
}

async fn catalog(ctx: &Context, placement: &Placement) -> Result<Catalog, EngineError> {
    let mut catalog = Catalog::default();
    for selector in &placement.spec.resource_selectors {
        let gvk = GroupVersionKind::gvk(&selector.group, &selector.version, &selector.kind);
        match ctx.hub.locate(&gvk).await {
            Ok(resource) => catalog.named.push(served(&resource)),
            Err(HubError::UnknownKind { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let namespaced = placement.metadata.namespace.is_some();
    if !namespaced && placement.spec.resource_selectors.iter().any(is_content) {
        let all = ctx.hub.resources().await?;
        // Content that cannot be seen must not look as if it were gone.
        if let Some(group) = all.missing.iter().find(|group| placeable(group, "")) {
            return Err(EngineError::Awaited(format!("the API server of group `{group}`")));
        }
        let listed = all.resources.iter().filter(|resource| resource.watchable);
        catalog.all = listed.map(served).collect();
    }
    Ok(catalog)
}

/// Reads what a placement selects, from the server, now.
///
/// # Errors
/// Outside, when the hub does not answer; inside, when the selectors cannot be met.
pub(super) async fn gather(
    ctx: &Context,
    placement: &Placement,
) -> Result<Result<Selection, SelectionError>, EngineError> {
    let name = placement.metadata.name.as_deref().unwrap_or_default();
    let scope = Scope::of(placement.metadata.namespace.as_deref());
    let selectors = &placement.spec.resource_selectors;
    let catalog = catalog(ctx, placement).await?;
    let wants = match wants(name, &scope, selectors, &catalog) {
        Ok(wants) => wants,
        Err(error) => return Ok(Err(error)),
    };
    let mut lists = Vec::new();
    for want in wants {
        lists.push(list(ctx, want).boxed());
    }
    let lists: Vec<Vec<serde_json::Value>> =
        stream::iter(lists).buffer_unordered(LISTS_AT_ONCE).try_collect().await?;
    let candidates: Vec<serde_json::Value> = lists.into_iter().flatten().collect();
    Ok(select(name, &scope, selectors, &catalog, &candidates))
}

async fn list(ctx: &Context, want: Want) -> Result<Vec<serde_json::Value>, HubError> {
    let namespaced = want.namespace.is_some();
    let resource = Resource { api: want.resource, namespaced, watchable: true };
    let (within, named) = (want.namespace.as_deref(), want.name.as_deref());
    match ctx.hub.list_objects(&resource, within, named).await {
        // The kind went away since it was discovered.
        Err(HubError::NotFound { .. }) => {
            ctx.hub.forget_resources();
            Ok(Vec::new())
        }
        other => other,
    }
}

/// Returns whether an object of this kind, namespace and name may matter to a placement.
fn touches(
    placement: &Placement,
    resource: &ApiResource,
    namespace: Option<&str>,
    name: &str,
) -> bool {
    let own = placement.metadata.namespace.as_deref();
    if own.is_some() && own != namespace {
        return false;
    }
    placement.spec.resource_selectors.iter().any(|selector| {
        let named = |text: &str| selector.name.as_deref().is_none_or(|n| n.is_empty() || n == text);
        let kind = selector.group == resource.group && selector.kind == resource.kind;
        (kind && named(name))
            || (own.is_none() && is_content(selector) && namespace.is_some_and(named))
    })
}

/// Watches every kind that placements select, and adds placements to `queue` when their content may have changed.
pub(super) async fn keep(ctx: Arc<Context>, queue: Arc<Queue<Key>>, stop: CancellationToken) {
    let changed = Arc::new(Notify::new());
    changed.notify_one();
    let bell = changed.clone();
    ctx.placements.listen(move |change| {
        if change.differs(|placement| placement.spec.resource_selectors.clone()) {
            bell.notify_one();
        }
    });
    let mut watches: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    let definitions = tokio::spawn(watch_definitions(ctx.clone(), changed.clone(), queue.clone()));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = changed.notified() => {}
        }
        let wanted = match wanted(&ctx).await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::warn!(%error, "kinds to watch are not known; trying again");
                let (bell, pause) = (changed.clone(), Duration::from_secs(2));
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    bell.notify_one();
                });
                continue;
            }
        };
        watches.retain(|kind, watch| {
            let kept = wanted.contains_key(kind);
            if !kept {
                watch.abort();
            }
            kept
        });
        for (kind, resource) in wanted {
            watches
                .entry(kind)
                .or_insert_with(|| tokio::spawn(watch(ctx.clone(), resource, queue.clone())));
        }
    }
    definitions.abort();
    watches.values().for_each(JoinHandle::abort);
}

/// Returns the resources that placements select, by a text that names each.
async fn wanted(ctx: &Context) -> Result<BTreeMap<String, ApiResource>, EngineError> {
    let mut wanted = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for placement in ctx.placements.all() {
        let catalog = catalog(ctx, &placement).await?;
        let content = catalog.all.iter().filter(|served| served.namespaced);
        for served in catalog.named.iter().chain(content) {
            let api = &served.api;
            // One version of a kind is enough to learn of changes.
            if placeable(&api.group, &api.kind)
                && seen.insert((api.group.clone(), api.kind.clone()))
            {
                wanted.insert(format!("{}/{}", api.api_version, api.kind), api.clone());
            }
        }
    }
    Ok(wanted)
}

async fn watch(ctx: Arc<Context>, resource: ApiResource, queue: Arc<Queue<Key>>) {
    let touched = |meta: &ObjectMeta| {
        let name = meta.name.as_deref().unwrap_or_default();
        for placement in ctx.placements.all() {
            if touches(&placement, &resource, meta.namespace.as_deref(), name) {
                queue.add_after(Key::of(&placement.metadata), GATHERING);
            }
        }
    };
    let told = |told: Told<'_>| match told {
        Told::Changed(meta) | Told::Gone(meta) => touched(meta),
        // What happened before the watch stood, or while it was broken, is not known.
        Told::ListEnd => {
            for placement in ctx.placements.all() {
                queue.add_after(Key::of(&placement.metadata), GATHERING_FIRST);
            }
        }
        Told::Listing | Told::Listed(_) | Told::Broke(_) => {}
    };
    ctx.hub.watch_metadata(&resource, None, told).await;
}

/// Forgets what was discovered whenever a CustomResourceDefinition changes.
async fn watch_definitions(ctx: Arc<Context>, changed: Arc<Notify>, queue: Arc<Queue<Key>>) {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let told = |told: Told<'_>| match told {
        Told::Changed(_) | Told::Gone(_) | Told::ListEnd => {
            ctx.hub.forget_resources();
            changed.notify_one();
            for placement in ctx.placements.all() {
                queue.add_after(Key::of(&placement.metadata), Duration::from_millis(50));
            }
        }
        Told::Listing | Told::Listed(_) | Told::Broke(_) => {}
    };
    ctx.hub.watch_metadata(&ApiResource::from_gvk(&kind), None, told).await;
}
