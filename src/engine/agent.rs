//! The agents of member clusters: one each, in this process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    core::ObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Again, Change, Collection, Context, Key, Queue, work};
use crate::{
    api::{
        AppliedWork, MemberCluster,
        condition::is_true,
        kind,
        member::{HEALTHY, MEMBER_AGENT},
        meta,
    },
    hub::Hub,
    model::Scope,
};

/// Foreign changes of applied objects come in bursts: one pass looks at them all.
const GATHERING: Duration = Duration::from_millis(100);

/// What is known of one member.
pub(super) struct Agent {
    /// Hands on the member.
    pub(super) hub: Hub,
    /// The member's AppliedWorks.
    pub(super) anchors: Collection<AppliedWork>,
    cluster: String,
    /// Works that the member needs a look at. Its own queue: a member that does not answer holds up nobody else's works.
    queue: Arc<Queue<Key>>,
    /// Which hands these are: the registry numbers them.
    number: u64,
    /// Resource versions of applied objects, as we last saw them: their changes are no news.
    versions: Mutex<HashMap<String, String>>,
    watches: Mutex<HashMap<String, JoinHandle<()>>>,
}

fn place(resource: &ApiResource, meta: &ObjectMeta) -> String {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    format!("{}/{}/{namespace}/{name}", resource.api_version, resource.plural)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// Returns the work that an AppliedWork of this name anchors.
    fn work(&self, anchor: &str) -> Key {
        Key::new(Scope::Namespace(meta::member_namespace(&self.cluster)), anchor)
    }

    /// Puts a work of the member into its queue.
    pub(super) fn look_at(&self, work: Key) {
        self.queue.add(work);
    }

    fn look_at_all(&self, ctx: &Context) {
        let namespace = Some(meta::member_namespace(&self.cluster));
        for work in ctx.works.all() {
            if work.metadata.namespace == namespace {
                self.look_at(Key::of(&work.metadata));
            }
        }
    }

    /// Notes how an applied object was left, and watches its kind from now on.
    pub(super) fn note(self: &Arc<Self>, resource: &ApiResource, object: &Value) {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let meta = ObjectMeta {
            name: text("/metadata/name"),
            namespace: text("/metadata/namespace"),
            ..Default::default()
        };
        if let Some(version) = text("/metadata/resourceVersion") {
            locked(&self.versions).insert(place(resource, &meta), version);
        }
        let mut watches = locked(&self.watches);
        watches.entry(format!("{}/{}", resource.api_version, resource.kind)).or_insert_with(|| {
            tokio::spawn(watch(Arc::downgrade(self), self.hub.clone(), resource.clone()))
        });
    }

    fn changed(&self, resource: &ApiResource, meta: &ObjectMeta, gone: bool) {
        let place = place(resource, meta);
        let known = locked(&self.versions).get(&place) == meta.resource_version.as_ref();
        if known && !gone {
            return;
        }
        if gone {
            locked(&self.versions).remove(&place);
        }
        for owner in meta.owner_references.iter().flatten() {
            if owner.kind == kind::APPLIED_WORK.name
                && owner.api_version.starts_with(kind::PLACEMENT_GROUP)
            {
                self.queue.add_after(self.work(&owner.name), GATHERING);
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        locked(&self.watches).values().for_each(JoinHandle::abort);
    }
}

/// Watches objects of a kind on a member, and adds the works that own what somebody else changed.
async fn watch(agent: std::sync::Weak<Agent>, hub: Hub, resource: ApiResource) {
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(hub.client().clone(), &resource);
    let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
    loop {
        let event = events.try_next().await;
        let Some(agent) = agent.upgrade() else { return };
        match event {
            Ok(Some(Event::Apply(object) | Event::InitApply(object))) => {
                agent.changed(&resource, &object.metadata, false);
            }
            Ok(Some(Event::Delete(object))) => agent.changed(&resource, &object.metadata, true),
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                let cluster = &agent.cluster;
                tracing::debug!(cluster, kind = resource.kind, %error, "watch broke");
            }
        }
    }
}

/// The agents of all members that the engine has hands on.
#[derive(Default)]
pub(super) struct Agents {
    agents: Mutex<BTreeMap<String, (Arc<Agent>, CancellationToken)>>,
}

impl Agents {
    /// Returns a member's agent.
    pub(super) fn get(&self, cluster: &str) -> Option<Arc<Agent>> {
        locked(&self.agents).get(cluster).map(|(agent, _)| agent.clone())
    }

    /// Starts and stops agents as members come and go, until `stop`.
    pub(super) async fn keep(self: Arc<Self>, ctx: Arc<Context>, stop: CancellationToken) {
        self.listen(&ctx);
        let mut changes = ctx.members.changes();
        loop {
            changes.mark_unchanged();
            self.match_members(&ctx, &stop);
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        locked(&self.agents).clear();
    }

    /// Looks at every work of a member that is well again.
    fn listen(self: &Arc<Self>, ctx: &Arc<Context>) {
        let (agents, held) = (Arc::downgrade(self), Arc::downgrade(ctx));
        ctx.clusters.listen(move |change: &Change<'_, MemberCluster>| {
            let well = |cluster: Option<&Arc<MemberCluster>>| cluster.is_some_and(|c| healthy(c));
            if well(change.new)
                && !well(change.old)
                && let (Some(agents), Some(ctx)) = (agents.upgrade(), held.upgrade())
                && let Some(agent) = agents.get(&change.key.name)
            {
                agent.look_at_all(&ctx);
            }
        });
    }

    fn match_members(&self, ctx: &Arc<Context>, stop: &CancellationToken) {
        let open = ctx.members.open();
        locked(&self.agents).retain(|name, (agent, stop)| {
            let kept = open.iter().any(|(open, _, number)| open == name && *number == agent.number);
            if !kept {
                stop.cancel();
            }
            kept
        });
        for (name, hub, number) in open {
            if self.get(&name).is_none() {
                let stop = stop.child_token();
                let agent = start(ctx, name.clone(), hub, number, stop.clone());
                locked(&self.agents).insert(name, (agent.clone(), stop));
                tokio::spawn(catch_up(ctx.clone(), agent));
            }
        }
    }
}

fn healthy(cluster: &MemberCluster) -> bool {
    let agents = cluster.status.as_ref().and_then(|status| status.agent_status.as_ref());
    let mut agents = agents.into_iter().flatten();
    agents.any(|agent| agent.kind == MEMBER_AGENT && is_true(&agent.conditions, HEALTHY))
}

fn start(
    ctx: &Arc<Context>,
    cluster: String,
    hub: Hub,
    number: u64,
    stop: CancellationToken,
) -> Arc<Agent> {
    let agent = Arc::new(Agent {
        anchors: Collection::new(&hub, Some(kind::APPLIED_WORK), None, |_| None),
        hub,
        cluster,
        queue: Queue::new("work"),
        number,
        versions: Mutex::default(),
        watches: Mutex::default(),
    });
    let listening = Arc::downgrade(&agent);
    agent.anchors.listen(move |change: &Change<'_, AppliedWork>| {
        let gone = change.new.is_none_or(|held| held.metadata.deletion_timestamp.is_some());
        if gone && let Some(agent) = listening.upgrade() {
            agent.queue.add(agent.work(&change.key.name));
        }
    });
    let (kept, halt) = (agent.clone(), stop.clone());
    tokio::spawn(async move { kept.anchors.keep(halt).await });
    let (held, working) = (ctx.clone(), Arc::downgrade(&agent));
    let width = ctx.options.width;
    tokio::spawn(agent.queue.clone().run(width, stop, move |key| {
        let (ctx, agent) = (held.clone(), working.upgrade());
        async move {
            match agent {
                Some(agent) => work::reconcile(ctx, agent, key).await,
                None => Ok(Again::No),
            }
        }
    }));
    agent
}

/// Looks at every work of a member when its agent knows what is there.
async fn catch_up(ctx: Arc<Context>, agent: Arc<Agent>) {
    agent.anchors.ready().await;
    agent.look_at_all(&ctx);
}
