//! The agent of a member cluster, in this process: what is known of the member, and which works need a look there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use kube::{api::ApiResource, core::ObjectMeta};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Change, Collection, Context, Key, Queue};
use crate::{
    api::{AppliedWork, kind, meta},
    hub::{Hub, Told},
    model::{ObjectKey, Scope},
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
    pub(super) queue: Arc<Queue<Key>>,
    /// Which hands these are: the registry numbers them.
    pub(super) number: u64,
    /// Resource versions of applied objects, as we last saw them: their changes are no news.
    versions: Mutex<HashMap<String, String>>,
    /// Places of objects that are compared and not owned, each with its work.
    compared: Mutex<HashMap<String, Key>>,
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
    /// Returns an agent that knows nothing yet, and looks at nothing until its queue is worked on.
    pub(super) fn new(cluster: String, hub: Hub, number: u64) -> Arc<Self> {
        let agent = Arc::new(Self {
            anchors: Collection::new(&hub, Some(kind::APPLIED_WORK), None, |_| None),
            hub,
            cluster,
            queue: Queue::new("work"),
            number,
            versions: Mutex::default(),
            compared: Mutex::default(),
            watches: Mutex::default(),
        });
        let listening = Arc::downgrade(&agent);
        agent.anchors.listen(move |change: &Change<'_, AppliedWork>| {
            let gone = change.new.is_none_or(|held| held.metadata.deletion_timestamp.is_some());
            if gone && let Some(agent) = listening.upgrade() {
                agent.queue.add(agent.work(&change.key.name));
            }
        });
        agent
    }

    /// Returns the work that an AppliedWork of this name anchors.
    fn work(&self, anchor: &str) -> Key {
        Key::new(Scope::Namespace(meta::member_namespace(&self.cluster)), anchor)
    }

    /// Puts a work of the member into its queue.
    pub(super) fn look_at(&self, work: Key) {
        self.queue.add(work);
    }

    /// Puts every work of the member into its queue.
    pub(super) fn look_at_all(&self, ctx: &Context) {
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
        self.watch_kind(resource);
    }

    /// Looks at a work again whenever the object changes that was compared, comes, or goes.
    pub(super) fn compare(
        self: &Arc<Self>,
        resource: &ApiResource,
        object: &ObjectKey,
        work: &Key,
    ) {
        let meta = ObjectMeta {
            name: Some(object.name.clone()),
            namespace: Some(object.namespace.clone()),
            ..Default::default()
        };
        locked(&self.compared).insert(place(resource, &meta), work.clone());
        self.watch_kind(resource);
    }

    /// Forgets what was compared for a work.
    pub(super) fn compare_nothing(&self, work: &Key) {
        locked(&self.compared).retain(|_, held| held != work);
    }

    fn watch_kind(self: &Arc<Self>, resource: &ApiResource) {
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
        if let Some(work) = locked(&self.compared).get(&place) {
            self.queue.add_after(work.clone(), GATHERING);
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
async fn watch(agent: Weak<Agent>, hub: Hub, resource: ApiResource) {
    let told = |told: Told<'_>| {
        // The watch ends with the agent.
        let Some(agent) = agent.upgrade() else { return };
        match told {
            Told::Listed(meta) | Told::Changed(meta) => agent.changed(&resource, meta, false),
            Told::Gone(meta) => agent.changed(&resource, meta, true),
            Told::Listing | Told::ListEnd | Told::Broke(_) => {}
        }
    };
    hub.watch_metadata(&resource, None, told).await;
}
