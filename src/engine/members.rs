//! The member clusters that the engine knows a way to, and why it knows none to others.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::watch;

use crate::hub::Hub;

/// The member clusters that this engine applies to. Cheap to clone; clusters may come and go at any time.
#[derive(Clone)]
pub struct Members {
    known: Arc<RwLock<Known>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Known {
    ways: BTreeMap<String, Way>,
    /// What is wrong with a cluster that nobody named a way to; nothing while that cannot be said.
    otherwise: Option<fn(&str) -> Trouble>,
}

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Hands on it. The number tells them from earlier ones.
    Open(Hub, u64),
    /// None, because.
    Closed(Trouble),
}

/// Why a cluster cannot be worked with, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A word for machines.
    pub reason: &'static str,
    /// Cause and fix, for people.
    pub message: String,
}

impl Members {
    /// Returns a registry without clusters.
    pub fn new() -> Self {
        Self { known: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Known, u64)) {
        // The count is that of the change to come: no two hands on a cluster ever have the same.
        self.changes.send_modify(|count| {
            *count += 1;
            change(&mut self.write(), *count);
        });
    }

    /// Adds a cluster, or gives it another client.
    pub fn insert(&self, name: impl Into<String>, client: kube::Client) {
        let name = name.into();
        self.change(|known, count| {
            known.ways.insert(name, Way::Open(Hub::new(client), count));
        });
    }

    /// Notes that there is no way to a cluster, and why.
    pub fn close(&self, name: impl Into<String>, trouble: Trouble) {
        let name = name.into();
        self.change(|known, _| {
            known.ways.insert(name, Way::Closed(trouble));
        });
    }

    /// Forgets a cluster. What was applied to it stays there.
    pub fn remove(&self, name: &str) {
        self.change(|known, _| {
            known.ways.remove(name);
        });
    }

    /// Says what is wrong with every cluster that was not named: from now on, all that there are have been.
    pub fn complete(&self, otherwise: fn(&str) -> Trouble) {
        self.change(|known, _| known.otherwise = Some(otherwise));
    }

    /// Returns the hands on a cluster.
    pub fn get(&self, name: &str) -> Option<Hub> {
        match self.read().ways.get(name) {
            Some(Way::Open(hub, _)) => Some(hub.clone()),
            _ => None,
        }
    }

    /// Returns the way to a cluster; nothing while that is not known.
    pub(super) fn way(&self, name: &str) -> Option<Way> {
        let known = self.read();
        let way = known.ways.get(name).cloned();
        way.or_else(|| known.otherwise.map(|trouble| Way::Closed(trouble(name))))
    }

    /// Returns the clusters that there is a way to, with the number of the hands on each.
    pub(super) fn open(&self) -> Vec<(String, Hub, u64)> {
        let known = self.read();
        let open = known.ways.iter().filter_map(|(name, way)| match way {
            Way::Open(hub, number) => Some((name.clone(), hub.clone(), *number)),
            Way::Closed(_) => None,
        });
        open.collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<(String, kube::Client)> for Members {
    fn from_iter<I: IntoIterator<Item = (String, kube::Client)>>(clusters: I) -> Self {
        let members = Self::new();
        for (name, client) in clusters {
            members.insert(name, client);
        }
        members
    }
}
