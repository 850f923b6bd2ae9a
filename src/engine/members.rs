//! The member clusters that the engine knows a way to, and why it knows none to others.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    /// To clusters that whoever started the engine knows.
    own: BTreeMap<String, Way>,
    /// To clusters that joined. Who joins one under the name of another means the one that joined.
    joined: BTreeMap<String, Way>,
    /// What is wrong with a cluster that nobody named a way to; nothing while that cannot be said.
    otherwise: Option<fn(&str) -> Trouble>,
}

impl Known {
    fn named(&self, name: &str) -> Option<&Way> {
        self.joined.get(name).or_else(|| self.own.get(name))
    }
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
            known.own.insert(name, Way::Open(Hub::new(client), count));
        });
    }

    /// Adds a cluster that joined, or gives it another client.
    pub(super) fn join(&self, name: &str, client: kube::Client) {
        self.change(|known, count| {
            known.joined.insert(name.to_owned(), Way::Open(Hub::new(client), count));
        });
    }

    /// Notes that there is no way to a cluster that joined, and why.
    pub(super) fn close(&self, name: &str, trouble: Trouble) {
        self.change(|known, _| {
            known.joined.insert(name.to_owned(), Way::Closed(trouble));
        });
    }

    /// Forgets a cluster that joined. What was applied to it stays there.
    pub(super) fn part(&self, name: &str) {
        self.change(|known, _| {
            known.joined.remove(name);
        });
    }

    /// Says what is wrong with every cluster that was not named: from now on, all that there are have been.
    pub(super) fn complete(&self, otherwise: fn(&str) -> Trouble) {
        self.change(|known, _| known.otherwise = Some(otherwise));
    }

    /// Returns the hands on a cluster.
    pub fn get(&self, name: &str) -> Option<Hub> {
        match self.read().named(name) {
            Some(Way::Open(hub, _)) => Some(hub.clone()),
            _ => None,
        }
    }

    /// Returns the way to a cluster; nothing while that is not known.
    pub(super) fn way(&self, name: &str) -> Option<Way> {
        let known = self.read();
        let way = known.named(name).cloned();
        way.or_else(|| known.otherwise.map(|trouble| Way::Closed(trouble(name))))
    }

    /// Returns the clusters that there is a way to, with the number of the hands on each.
    pub(super) fn open(&self) -> Vec<(String, Hub, u64)> {
        let known = self.read();
        let names: BTreeSet<&String> = known.own.keys().chain(known.joined.keys()).collect();
        let open = names.into_iter().filter_map(|name| match known.named(name)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_joined_is_meant_before_who_was_there() {
        let client = || {
            kube::Client::new(
                tower::service_fn(|_: http::Request<kube::client::Body>| async {
                    Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("mute"))
                }),
                "default",
            )
        };
        let members = Members::new();
        members.insert("member1", client());
        let number = || members.open().first().map(|(_, _, number)| *number);
        assert_eq!(number(), Some(1));
        members.join("member1", client());
        assert_eq!(number(), Some(2));
        members.close("member1", Trouble { reason: "KubeconfigInvalid", message: String::new() });
        assert_eq!(number(), None);
        assert!(matches!(members.way("member1"), Some(Way::Closed(_))));
        members.part("member1");
        assert_eq!(number(), Some(1));
    }
}
