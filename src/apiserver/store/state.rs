//! The truth in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::Notify;

use super::{
    history::{Bounds, Change, Event, History},
    key::{Key, ResourceId},
    stored::Stored,
};

/// Namespace and name within a resource.
pub(super) type Place = (Arc<str>, Arc<str>);

/// The objects of one resource.
#[derive(Debug)]
pub(super) struct Collection {
    pub objects: BTreeMap<Place, Arc<Stored>>,
    pub history: History,
    /// Rung after every event.
    pub bell: Arc<Notify>,
}

/// Everything that is committed.
#[derive(Debug)]
pub(super) struct State {
    pub revision: u64,
    collections: BTreeMap<Arc<ResourceId>, Collection>,
    /// Keys of the objects that name a uid as an owner.
    dependents: HashMap<Box<str>, BTreeSet<Key>>,
    bounds: Bounds,
    /// History before this revision is not known for any resource.
    opened_at: u64,
}

impl State {
    /// A state that holds `objects`, all of them at most as new as `revision`.
    pub(super) fn new(revision: u64, objects: Vec<Stored>, bounds: Bounds) -> State {
        let mut state = State {
            revision,
            collections: BTreeMap::new(),
            dependents: HashMap::new(),
            bounds,
            opened_at: revision,
        };
        for object in objects {
            state.index(&object);
            let place = place(&object.key);
            let resource = Arc::clone(&object.key.resource);
            state.collection_mut(&resource).objects.insert(place, Arc::new(object));
        }
        state
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.collections.get(&key.resource)?.objects.get(&place(key))
    }

    pub(super) fn collection(&self, resource: &ResourceId) -> Option<&Collection> {
        self.collections.get(resource)
    }

    /// The collection of `resource`, made when nobody asked for it before.
    pub(super) fn collection_mut(&mut self, resource: &Arc<ResourceId>) -> &mut Collection {
        let opened_at = self.opened_at;
        self.collections.entry(Arc::clone(resource)).or_insert_with(|| Collection {
            objects: BTreeMap::new(),
            history: History::starting_at(opened_at),
            bell: Arc::new(Notify::new()),
        })
    }

    pub(super) fn collections(&self) -> impl Iterator<Item = (&Arc<ResourceId>, &Collection)> {
        self.collections.iter()
    }

    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Makes a committed write visible: `object` is the new state, or the last one when `deleted`.
    pub(super) fn publish(&mut self, object: Arc<Stored>, deleted: bool) -> Event {
        self.revision = object.revision;
        let key = object.key.clone();
        let bounds = self.bounds;
        let collection = self.collection_mut(&key.resource);
        let previous = if deleted {
            collection.objects.remove(&place(&key))
        } else {
            collection.objects.insert(place(&key), Arc::clone(&object))
        };
        let change = match (&previous, deleted) {
            (_, true) => Change::Deleted,
            (None, false) => Change::Added,
            (Some(_), false) => Change::Modified,
        };
        let event = Event { change, object, previous };
        collection.history.push(event.clone(), bounds);
        collection.bell.notify_waiters();
        if let Some(previous) = &event.previous {
            self.forget(previous);
        }
        if let Some(current) = event.current() {
            self.index(&Arc::clone(current));
        }
        event
    }

    fn index(&mut self, object: &Stored) {
        for owner in &object.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(object.key.clone());
        }
    }

    fn forget(&mut self, object: &Stored) {
        for owner in &object.owners {
            if let Some(keys) = self.dependents.get_mut(&owner.uid) {
                keys.remove(&object.key);
                if keys.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }
}

pub(super) fn place(key: &Key) -> Place {
    (Arc::clone(&key.namespace), Arc::clone(&key.name))
}
