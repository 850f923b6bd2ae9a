//! All objects of a kind, of both scopes, in memory: read from here, written through here.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{
    WatchStreamExt as _,
    watcher::{self, Event},
};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Kind, meta},
    hub::{Delete, Hub, HubError, typed::Wire},
    model::Scope,
};

/// Scope and name of an object whose kind is known from context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where it lives.
    pub scope: Scope,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// Returns a key.
    pub fn new(scope: Scope, name: impl Into<String>) -> Self {
        Self { scope, name: name.into() }
    }

    /// Returns the key of an object with this metadata.
    pub fn of(meta: &kube::core::ObjectMeta) -> Self {
        Self::new(Scope::of(meta.namespace.as_deref()), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for Key {
    /// Writes `namespace/name`, with an empty namespace for the cluster scope, as Fleet does in messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scope.key(&self.name))
    }
}

/// An object came, changed or went.
#[derive(Debug)]
pub struct Change<'a, T> {
    /// Which.
    pub key: &'a Key,
    /// As it was.
    pub old: Option<&'a Arc<T>>,
    /// As it is.
    pub new: Option<&'a Arc<T>>,
}

impl<T> Change<'_, T> {
    /// Returns the object, as it is or, when it is gone, as it was.
    pub fn any(&self) -> Option<&Arc<T>> {
        self.new.or(self.old)
    }

    /// Returns whether `facet` of the object differs before and after; true when it came or went.
    pub fn differs<F: PartialEq>(&self, facet: impl Fn(&T) -> F) -> bool {
        match (self.old, self.new) {
            (Some(old), Some(new)) => facet(old) != facet(new),
            _ => true,
        }
    }
}

type Listener<T> = Box<dyn Fn(&Change<'_, T>) + Send + Sync>;

/// All objects of one kind, both scopes.
///
/// A watch keeps it up to date, and what a write answers is in it at once: whoever writes reads its own writes. An
/// older resource version never replaces a newer one.
pub struct Collection<T> {
    hub: Hub,
    cluster: Option<Kind>,
    namespaced: Option<Kind>,
    /// What [`Collection::of`] finds by: the owner's key.
    owner: fn(&T) -> Option<Key>,
    held: Mutex<Held<T>>,
    listeners: RwLock<Vec<Listener<T>>>,
    ready: watch::Sender<usize>,
}

struct Held<T> {
    objects: BTreeMap<Key, Entry<T>>,
    owned: BTreeMap<Key, BTreeSet<Key>>,
    /// Counts writes, to tell what came after the start of a list.
    sequence: u64,
    /// Uids of deleted objects: a late answer to a write must not bring them back.
    gone: (HashSet<String>, VecDeque<String>),
}

struct Entry<T> {
    object: Arc<T>,
    sequence: u64,
}

/// How many uids of deleted objects are remembered.
const REMEMBERED_GONE: usize = 8192;

fn version(object: &impl Wire) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

impl<T: Wire> Collection<T> {
    /// Returns an empty collection. It fills when it is [kept](Collection::keep).
    pub fn new(
        hub: &Hub,
        cluster: Option<Kind>,
        namespaced: Option<Kind>,
        owner: fn(&T) -> Option<Key>,
    ) -> Self {
        let held = Held {
            objects: BTreeMap::new(),
            owned: BTreeMap::new(),
            sequence: 0,
            gone: Default::default(),
        };
        Self {
            hub: hub.clone(),
            cluster,
            namespaced,
            owner,
            held: Mutex::new(held),
            listeners: RwLock::default(),
            ready: watch::Sender::new(0),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the kind in a scope.
    ///
    /// # Errors
    /// [`HubError::UnknownKind`] when the kind has no such scope.
    fn kind(&self, scope: &Scope) -> Result<Kind, HubError> {
        let kind = match scope {
            Scope::Cluster => self.cluster,
            Scope::Namespace(_) => self.namespaced,
        };
        let other = self.cluster.or(self.namespaced);
        kind.ok_or_else(|| HubError::UnknownKind {
            api_version: other.map(|kind| kind.api_version()).unwrap_or_default(),
            kind: format!("{} in {scope}", other.map_or("", |kind| kind.name)),
        })
    }

    /// Calls `listener` on every change, in order, from now on. It must be quick: it holds up the watch.
    pub fn listen(&self, listener: impl Fn(&Change<'_, T>) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Returns the object, if there is one.
    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        self.held().objects.get(key).map(|entry| entry.object.clone())
    }

    /// Returns the objects that belong to `owner`, by name.
    pub fn of(&self, owner: &Key) -> Vec<Arc<T>> {
        let held = self.held();
        let keys = held.owned.get(owner).into_iter().flatten();
        keys.filter_map(|key| held.objects.get(key)).map(|entry| entry.object.clone()).collect()
    }

    /// Returns all objects, by scope and name.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.held().objects.values().map(|entry| entry.object.clone()).collect()
    }

    /// Watches until `stop`, and comes back with the whole state after every break.
    pub async fn keep(&self, stop: CancellationToken) {
        let kept = [self.cluster, self.namespaced].into_iter().flatten();
        let kept = futures::future::join_all(kept.map(|kind| self.keep_kind(kind)));
        tokio::select! {
            () = stop.cancelled() => {}
            _ = kept => {}
        }
    }

    /// Returns when every object that existed at the beginning is here.
    pub async fn ready(&self) {
        let kinds = usize::from(self.cluster.is_some()) + usize::from(self.namespaced.is_some());
        // The sender lives as long as `self`: it cannot be gone.
        let _ = self.ready.subscribe().wait_for(|ready| *ready >= kinds).await;
    }

    async fn keep_kind(&self, kind: Kind) {
        let api = self.hub.api::<T>(kind, &Scope::Cluster);
        let mut events =
            watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
        let (mut listed, mut since, mut first) = (BTreeSet::new(), 0, true);
        loop {
            match events.try_next().await {
                Ok(None) => return,
                Ok(Some(Event::Apply(object))) => {
                    self.absorb(object);
                }
                Ok(Some(Event::Delete(object))) => self.forget(&object),
                Ok(Some(Event::Init)) => {
                    listed.clear();
                    since = self.held().sequence;
                }
                Ok(Some(Event::InitApply(object))) => {
                    listed.insert(Key::of(object.meta()));
                    self.absorb(object);
                }
                Ok(Some(Event::InitDone)) => {
                    self.drop_unlisted(kind.namespaced, &listed, since);
                    if std::mem::take(&mut first) {
                        self.ready.send_modify(|ready| *ready += 1);
                    }
                }
                Err(error) => {
                    tracing::warn!(kind = kind.name, %error, "watch broke; it is taken up again");
                }
            }
        }
    }

    /// Takes in an object that the server answered or announced.
    pub fn absorb(&self, object: T) -> Arc<T> {
        let (key, object) = (Key::of(object.meta()), Arc::new(object));
        let old = {
            let mut held = self.held();
            let uid = object.meta().uid.as_deref().unwrap_or_default();
            if held.gone.0.contains(uid) {
                return object;
            }
            let old = held.objects.get(&key).map(|entry| entry.object.clone());
            if let Some(old) = &old
                && version(&**old).zip(version(&*object)).is_some_and(|(old, new)| new <= old)
            {
                return old.clone();
            }
            held.sequence += 1;
            let entry = Entry { object: object.clone(), sequence: held.sequence };
            held.objects.insert(key.clone(), entry);
            self.index(&mut held, &key, old.as_deref(), Some(&object));
            old
        };
        self.tell(&Change { key: &key, old: old.as_ref(), new: Some(&object) });
        object
    }

    fn forget(&self, object: &T) {
        let key = Key::of(object.meta());
        let uid = object.meta().uid.clone().unwrap_or_default();
        let old = {
            let mut held = self.held();
            held.remember_gone(uid.clone());
            let same =
                |entry: &Entry<T>| entry.object.meta().uid.as_deref().unwrap_or_default() == uid;
            if !held.objects.get(&key).is_some_and(same) {
                return;
            }
            self.remove(&mut held, &key)
        };
        self.tell(&Change { key: &key, old: old.as_ref(), new: None });
    }

    fn drop_unlisted(&self, namespaced: bool, listed: &BTreeSet<Key>, since: u64) {
        let dropped: Vec<(Key, Arc<T>)> = {
            let mut held = self.held();
            let unlisted: Vec<Key> = held
                .objects
                .iter()
                .filter(|(key, entry)| {
                    (key.scope != Scope::Cluster) == namespaced
                        && entry.sequence <= since
                        && !listed.contains(key)
                })
                .map(|(key, _)| key.clone())
                .collect();
            unlisted
                .into_iter()
                .filter_map(|key| self.remove(&mut held, &key).map(|object| (key, object)))
                .collect()
        };
        for (key, object) in &dropped {
            self.tell(&Change { key, old: Some(object), new: None });
        }
    }

    fn remove(&self, held: &mut Held<T>, key: &Key) -> Option<Arc<T>> {
        let old = held.objects.remove(key)?.object;
        self.index(held, key, Some(&old), None);
        Some(old)
    }

    fn index(&self, held: &mut Held<T>, key: &Key, old: Option<&T>, new: Option<&T>) {
        let (old, new) = (old.and_then(self.owner), new.and_then(self.owner));
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Some(keys) = held.owned.get_mut(&old)
        {
            keys.remove(key);
            if keys.is_empty() {
                held.owned.remove(&old);
            }
        }
        if let Some(new) = new {
            held.owned.entry(new).or_default().insert(key.clone());
        }
    }

    fn tell(&self, change: &Change<'_, T>) {
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(change);
        }
    }
}

/// Writes. What the server answers is in the collection when they return; after a refusal because the object had
/// changed, the object as it is now.
impl<T: Wire> Collection<T> {
    /// Creates an object.
    ///
    /// # Errors
    /// [`HubError::AlreadyExists`] when there is one of this name.
    pub async fn create(&self, scope: &Scope, object: &T) -> Result<Arc<T>, HubError> {
        let kind = self.kind(scope)?;
        let created = self.hub.create(kind, scope, object, meta::ENGINE_MANAGER).await;
        self.settle(scope, object.meta().name.as_deref(), created).await
    }

    /// Replaces an object, all but its status, if it is as `object` was read.
    ///
    /// # Errors
    /// [`HubError::Stale`] when it changed in the meantime.
    pub async fn replace(&self, scope: &Scope, object: &T) -> Result<Arc<T>, HubError> {
        let kind = self.kind(scope)?;
        let replaced = self.hub.replace(kind, scope, object, meta::ENGINE_MANAGER).await;
        self.settle(scope, object.meta().name.as_deref(), replaced).await
    }

    /// Replaces an object's status, if the object is as `object` was read.
    ///
    /// # Errors
    /// [`HubError::Stale`] when it changed in the meantime.
    pub async fn replace_status(&self, scope: &Scope, object: &T) -> Result<Arc<T>, HubError> {
        let kind = self.kind(scope)?;
        let replaced = self.hub.replace_status(kind, scope, object, meta::ENGINE_MANAGER).await;
        self.settle(scope, object.meta().name.as_deref(), replaced).await
    }

    /// Changes an object by a merge patch; a `metadata.resourceVersion` in it is a precondition.
    ///
    /// # Errors
    /// [`HubError::NotFound`] when it is gone.
    pub async fn merge(&self, key: &Key, patch: &Value) -> Result<Arc<T>, HubError> {
        let kind = self.kind(&key.scope)?;
        let merged = self.hub.merge(kind, &key.scope, &key.name, patch, meta::ENGINE_MANAGER).await;
        self.settle(&key.scope, Some(&key.name), merged).await
    }

    /// Changes an object's status by a merge patch of the status: for the only writer of a status, whom changes of the
    /// rest do not concern.
    ///
    /// # Errors
    /// [`HubError::NotFound`] when the object is gone.
    pub async fn merge_status(&self, key: &Key, status: &Value) -> Result<Arc<T>, HubError> {
        let kind = self.kind(&key.scope)?;
        let patch = serde_json::json!({ "status": status });
        let (scope, name) = (&key.scope, key.name.as_str());
        let merged = self.hub.patch_status(kind, scope, name, &patch, meta::ENGINE_MANAGER).await;
        self.settle(scope, Some(name), merged).await
    }

    /// Adds a finalizer, if it is not there.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the object changed in the meantime.
    pub async fn add_finalizer(&self, object: &T, finalizer: &str) -> Result<Arc<T>, HubError> {
        let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
        if finalizers.iter().any(|held| held == finalizer) {
            return Ok(Arc::new(object.clone()));
        }
        finalizers.push(finalizer.to_owned());
        self.set_finalizers(object, &finalizers).await
    }

    /// Removes a finalizer, if it is there. An object that is gone has none.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the object changed in the meantime.
    pub async fn remove_finalizer(&self, object: &T, finalizer: &str) -> Result<(), HubError> {
        let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
        let before = finalizers.len();
        finalizers.retain(|held| held != finalizer);
        if finalizers.len() == before {
            return Ok(());
        }
        match self.set_finalizers(object, &finalizers).await {
            Ok(_) | Err(HubError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn set_finalizers(&self, object: &T, finalizers: &[String]) -> Result<Arc<T>, HubError> {
        let patch = serde_json::json!({"metadata": {
            "uid": object.meta().uid,
            "resourceVersion": object.meta().resource_version,
            "finalizers": finalizers,
        }});
        self.merge(&Key::of(object.meta()), &patch).await
    }

    /// Deletes an object. One that is gone already is no error.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the object has another uid than asked for.
    pub async fn delete(&self, key: &Key, how: &Delete<'_>) -> Result<(), HubError> {
        let kind = self.kind(&key.scope)?;
        self.hub.delete(kind, &key.scope, &key.name, how).await
    }

    /// Reads all objects of a scope from the server now, by label selector.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn list_now(&self, scope: &Scope, labels: &str) -> Result<Vec<Arc<T>>, HubError> {
        let kind = self.kind(scope)?;
        let listed = self.hub.list(kind, scope, Some(labels)).await?;
        Ok(listed.into_iter().map(|object| self.absorb(object)).collect())
    }

    async fn settle(
        &self,
        scope: &Scope,
        name: Option<&str>,
        answer: Result<T, HubError>,
    ) -> Result<Arc<T>, HubError> {
        let error = match answer {
            Ok(object) => return Ok(self.absorb(object)),
            Err(error) => error,
        };
        let name = name.unwrap_or_default();
        match &error {
            HubError::Stale { .. } | HubError::AlreadyExists { .. } => {
                if let Some(object) = self.hub.find(self.kind(scope)?, scope, name).await? {
                    self.absorb(object);
                }
            }
            HubError::NotFound { .. } => {
                if let Some(object) = self.get(&Key::new(scope.clone(), name)) {
                    self.forget(&object);
                }
            }
            _ => {}
        }
        Err(error)
    }
}

impl<T> Held<T> {
    fn remember_gone(&mut self, uid: String) {
        if uid.is_empty() || !self.gone.0.insert(uid.clone()) {
            return;
        }
        self.gone.1.push_back(uid);
        if self.gone.1.len() > REMEMBERED_GONE
            && let Some(oldest) = self.gone.1.pop_front()
        {
            self.gone.0.remove(&oldest);
        }
    }
}
