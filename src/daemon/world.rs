//! Everything the daemon sees of the hub, kept by watches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::core::ObjectMeta;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        ApprovalRequest, Binding, Kind, MemberCluster, Placement, PolicySnapshot, ResourceSnapshot,
        Rollout, Run, Strategy, kind, meta,
    },
    engine::{Collection, Key, Queue},
    hub::Hub,
    model::{ObjectKey, ObjectName, Scope},
};

/// Fleet's objects and our Rollouts.
pub(super) struct World {
    pub(super) rollouts: Collection<Rollout>,
    pub(super) placements: Collection<Placement>,
    pub(super) policies: Collection<PolicySnapshot>,
    pub(super) snapshots: Collection<ResourceSnapshot>,
    pub(super) bindings: Collection<Binding>,
    pub(super) strategies: Collection<Strategy>,
    pub(super) runs: Collection<Run>,
    pub(super) requests: Collection<ApprovalRequest>,
    pub(super) clusters: Collection<MemberCluster>,
    /// By placement: the Rollouts that look at it.
    drives: Mutex<BTreeMap<Key, BTreeSet<ObjectName>>>,
    /// By strategy: the Rollouts that look at it.
    follows: Mutex<BTreeMap<Key, BTreeSet<ObjectName>>>,
    /// Rollouts that wait for something that no other watch tells: another member, for example.
    everybody: Mutex<BTreeSet<ObjectName>>,
    /// Rollouts that want what another has.
    contenders: Mutex<BTreeSet<ObjectName>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn labelled(meta: &ObjectMeta, label: &str) -> Option<Key> {
    let name = meta.labels.as_ref()?.get(label)?;
    Some(Key::new(Scope::of(meta.namespace.as_deref()), name))
}

impl World {
    pub(super) fn new(hub: &Hub) -> Arc<Self> {
        macro_rules! both {
            ($cluster:ident, $namespaced:ident, $owner:expr) => {
                Collection::new(hub, Some(kind::$cluster), Some(kind::$namespaced), $owner)
            };
        }
        Arc::new(Self {
            rollouts: Collection::new(hub, None, Some(kind::ROLLOUT), |_| None),
            placements: both!(CLUSTER_RESOURCE_PLACEMENT, RESOURCE_PLACEMENT, |_| None),
            policies: both!(CLUSTER_SCHEDULING_POLICY_SNAPSHOT, SCHEDULING_POLICY_SNAPSHOT, |o| {
                labelled(&o.metadata, meta::PARENT_PLACEMENT)
            }),
            snapshots: both!(CLUSTER_RESOURCE_SNAPSHOT, RESOURCE_SNAPSHOT, |o| {
                labelled(&o.metadata, meta::PARENT_PLACEMENT)
            }),
            bindings: both!(CLUSTER_RESOURCE_BINDING, RESOURCE_BINDING, |o| {
                labelled(&o.metadata, meta::PARENT_PLACEMENT)
            }),
            strategies: both!(CLUSTER_STAGED_UPDATE_STRATEGY, STAGED_UPDATE_STRATEGY, |_| None),
            runs: both!(CLUSTER_STAGED_UPDATE_RUN, STAGED_UPDATE_RUN, |run| {
                let scope = Scope::of(run.metadata.namespace.as_deref());
                Some(Key::new(scope, &run.spec.placement_name))
            }),
            requests: both!(CLUSTER_APPROVAL_REQUEST, APPROVAL_REQUEST, |o| {
                labelled(&o.metadata, meta::TARGET_RUN)
            }),
            clusters: Collection::new(hub, Some(kind::MEMBER_CLUSTER), None, |_| None),
            drives: Mutex::default(),
            follows: Mutex::default(),
            everybody: Mutex::default(),
            contenders: Mutex::default(),
        })
    }

    /// Returns a placement or strategy as a watch has shown it.
    pub(super) fn known(&self, key: &ObjectKey) -> Option<Value> {
        let scope = Scope::of(Some(&key.namespace));
        let held = Key::new(scope.clone(), &key.name);
        let is_of = |kind: Kind| key.group == kind.group && key.kind == kind.name;
        let (kind, object) = if is_of(kind::placement(&scope)) {
            let placement = self.placements.get(&held)?;
            (kind::placement(&scope), serde_json::to_value(&*placement))
        } else if is_of(kind::strategy(&scope)) {
            let strategy = self.strategies.get(&held)?;
            (kind::strategy(&scope), serde_json::to_value(&*strategy))
        } else {
            return None;
        };
        let mut object = object.ok()?;
        // Objects of a list do not say what they are.
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.name.into();
        Some(object)
    }

    /// Notes what a Rollout looks at, so that a change there wakes it.
    pub(super) fn looks_at(&self, name: &ObjectName, placement: Key, strategies: &[Key]) {
        lock(&self.drives).entry(placement).or_default().insert(name.clone());
        for strategy in strategies {
            lock(&self.follows).entry(strategy.clone()).or_default().insert(name.clone());
        }
        lock(&self.everybody).insert(name.clone());
    }

    /// Notes whether a Rollout wants what another has.
    pub(super) fn contend(&self, name: &ObjectName, does: bool) {
        let mut contenders = lock(&self.contenders);
        match does {
            true => contenders.insert(name.clone()),
            false => contenders.remove(name),
        };
    }

    /// Returns the Rollouts that want what another has: whenever one may have let go, they look again.
    pub(super) fn contenders(&self) -> Vec<ObjectName> {
        lock(&self.contenders).iter().cloned().collect()
    }

    /// Wakes Rollouts when something that they look at changes.
    pub(super) fn listen(self: &Arc<Self>, queue: &Arc<Queue<ObjectName>>) {
        macro_rules! by_placement {
            ($collection:ident, |$world:ident, $object:ident| $key:expr) => {
                let (world, queue_held) = (Arc::downgrade(self), queue.clone());
                self.$collection.listen(move |change| {
                    let (Some($world), Some($object)) = (world.upgrade(), change.any()) else {
                        return;
                    };
                    if let Some(key) = $key {
                        for name in lock(&$world.drives).get(&key).into_iter().flatten() {
                            queue_held.add(name.clone());
                        }
                    }
                });
            };
        }
        by_placement!(placements, |_world, object| Some(Key::of(&object.metadata)));
        by_placement!(policies, |_world, object| labelled(
            &object.metadata,
            meta::PARENT_PLACEMENT
        ));
        by_placement!(snapshots, |_world, object| labelled(
            &object.metadata,
            meta::PARENT_PLACEMENT
        ));
        by_placement!(bindings, |_world, object| labelled(
            &object.metadata,
            meta::PARENT_PLACEMENT
        ));
        by_placement!(runs, |_world, object| Some(Key::new(
            Scope::of(object.metadata.namespace.as_deref()),
            &object.spec.placement_name
        )));
        by_placement!(requests, |world, object| {
            let run = labelled(&object.metadata, meta::TARGET_RUN);
            run.and_then(|run| world.runs.get(&run)).map(|run| {
                let scope = Scope::of(run.metadata.namespace.as_deref());
                Key::new(scope, &run.spec.placement_name)
            })
        });
        let (world, held) = (Arc::downgrade(self), queue.clone());
        self.strategies.listen(move |change| {
            let Some(world) = world.upgrade() else { return };
            for name in lock(&world.follows).get(change.key).into_iter().flatten() {
                held.add(name.clone());
            }
        });
        let (world, held) = (Arc::downgrade(self), queue.clone());
        self.clusters.listen(move |change| {
            let Some(world) = world.upgrade() else { return };
            if change.differs(|cluster| cluster.metadata.labels.clone()) {
                for name in lock(&world.everybody).iter() {
                    held.add(name.clone());
                }
            }
        });
        let (world, held) = (Arc::downgrade(self), queue.clone());
        self.rollouts.listen(move |change| {
            if change.new.is_none() {
                let contenders = world.upgrade().map(|world| world.contenders());
                contenders.into_iter().flatten().for_each(|name| held.add(name));
            }
            // Our own status is no news to us, unless somebody took it away.
            let status = |rollout: Option<&Arc<Rollout>>| rollout.map(|held| held.status.is_some());
            let is_lost = status(change.old) == Some(true) && status(change.new) == Some(false);
            let facet = |rollout: &Rollout| {
                (
                    rollout.metadata.generation,
                    rollout.metadata.annotations.clone(),
                    rollout.metadata.deletion_timestamp.is_some(),
                )
            };
            if change.differs(facet) || is_lost {
                let namespace = change.key.scope.namespace().unwrap_or_default().to_owned();
                held.add(ObjectName { namespace, name: change.key.name.clone() });
                held.add(ObjectName { namespace: String::new(), name: change.key.name.clone() });
            }
        });
    }

    /// Keeps all collections until `stop`.
    pub(super) fn keep(self: &Arc<Self>, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
        macro_rules! keep {
            ($($collection:ident),*) => {$(
                let (world, halt) = (self.clone(), stop.clone());
                tasks.spawn(async move { world.$collection.keep(halt).await });
            )*};
        }
        keep!(
            rollouts, placements, policies, snapshots, bindings, strategies, runs, requests,
            clusters
        );
    }

    /// Returns when every object that existed at the beginning is here.
    pub(super) async fn ready(&self) {
        tokio::join!(
            self.rollouts.ready(),
            self.placements.ready(),
            self.policies.ready(),
            self.snapshots.ready(),
            self.bindings.ready(),
            self.strategies.ready(),
            self.runs.ready(),
            self.requests.ready(),
            self.clusters.ready(),
        );
    }
}
