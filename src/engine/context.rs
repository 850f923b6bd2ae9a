//! What every controller has at hand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::{
    collection::{Collection, Key},
    members::Members,
    queue::Queue,
};
use crate::{
    api::{
        ApprovalRequest, Binding, MemberCluster, Placement, PolicySnapshot, ResourceSnapshot, Run,
        Strategy, Work, kind, meta,
    },
    clock::{self, Clock},
    hub::Hub,
    model::Scope,
};

/// Who cuts resource snapshots of placements whose rollout is external, and when (fleet-semantics §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotMode {
    /// When content changes, and when a run with an empty index initializes.
    #[default]
    Both,
    /// When content changes. A run with an empty index takes the latest.
    OnChange,
    /// When a run with an empty index initializes.
    OnRun,
}

/// How the engine works.
#[derive(Clone)]
pub struct Options {
    /// When snapshots are cut.
    pub snapshot_mode: SnapshotMode,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How many objects of a kind are worked on at once.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { snapshot_mode: SnapshotMode::default(), clock: clock::system(), width: 32 }
    }
}

/// What every controller has at hand: the hub, the members, the time, and every object of Fleet's in memory.
pub struct Context {
    /// The hub.
    pub hub: Hub,
    /// The members.
    pub members: Members,
    /// How to work.
    pub options: Options,
    /// Placements.
    pub placements: Collection<Placement>,
    /// Policy snapshots, of a placement.
    pub policies: Collection<PolicySnapshot>,
    /// Resource snapshots, of a placement.
    pub snapshots: Collection<ResourceSnapshot>,
    /// Bindings, of a placement.
    pub bindings: Collection<Binding>,
    /// Staged update strategies.
    pub strategies: Collection<Strategy>,
    /// Staged update runs, of a placement.
    pub runs: Collection<Run>,
    /// Approval requests, of a run.
    pub approvals: Collection<ApprovalRequest>,
    /// Member clusters.
    pub clusters: Collection<MemberCluster>,
    /// Works, of a binding.
    pub works: Collection<Work>,
    /// Placements whose status may need to be told anew.
    pub(super) told: Arc<Queue<Key>>,
    /// What is known of placements' content, beside their snapshots.
    pub(super) content: Contents,
}

/// What is known of placements' content, beside their snapshots.
#[derive(Debug, Default)]
pub(super) struct Contents {
    placements: Mutex<HashMap<Key, Content>>,
}

/// What is known of a placement's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// One cut at a time.
    pub(super) cutting: Arc<tokio::sync::Mutex<()>>,
    /// A change that settles.
    pub(super) settling: Option<Settling>,
    /// Why the selectors cannot be met, if so.
    pub(super) invalid: Option<String>,
}

/// A change of content that may not be the last.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// What the content is now.
    pub(super) hash: String,
    /// When it was first seen to differ from the latest snapshot.
    pub(super) first: Timestamp,
    /// When it last changed.
    pub(super) last: Timestamp,
}

impl Contents {
    fn locked(&self) -> MutexGuard<'_, HashMap<Key, Content>> {
        self.placements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known.
    pub(super) fn of(&self, placement: &Key) -> Content {
        self.locked().entry(placement.clone()).or_default().clone()
    }

    /// Changes what is known.
    pub(super) fn note(&self, placement: &Key, note: impl FnOnce(&mut Content)) {
        note(self.locked().entry(placement.clone()).or_default());
    }

    /// Forgets a placement that is gone.
    pub(super) fn forget(&self, placement: &Key) {
        self.locked().remove(placement);
    }
}

/// Returns the owner that a label names, in the object's own scope.
fn labelled(meta: &ObjectMeta, label: &str) -> Option<Key> {
    let name = meta.labels.as_ref()?.get(label)?;
    Some(Key::new(Scope::of(meta.namespace.as_deref()), name))
}

/// Returns the binding that a work was made from.
fn binding_of(work: &Work) -> Option<Key> {
    let labels = work.metadata.labels.as_ref()?;
    let namespace = labels.get(meta::PARENT_PLACEMENT_NAMESPACE).map(String::as_str);
    Some(Key::new(Scope::of(namespace), labels.get(meta::PARENT_BINDING)?))
}

impl Context {
    /// Returns a context whose collections are empty.
    pub fn new(hub: Hub, members: Members, options: Options) -> Self {
        Self {
            placements: Collection::new(
                &hub,
                Some(kind::CLUSTER_RESOURCE_PLACEMENT),
                Some(kind::RESOURCE_PLACEMENT),
                |_| None,
            ),
            policies: Collection::new(
                &hub,
                Some(kind::CLUSTER_SCHEDULING_POLICY_SNAPSHOT),
                Some(kind::SCHEDULING_POLICY_SNAPSHOT),
                |object| labelled(&object.metadata, meta::PARENT_PLACEMENT),
            ),
            snapshots: Collection::new(
                &hub,
                Some(kind::CLUSTER_RESOURCE_SNAPSHOT),
                Some(kind::RESOURCE_SNAPSHOT),
                |object| labelled(&object.metadata, meta::PARENT_PLACEMENT),
            ),
            bindings: Collection::new(
                &hub,
                Some(kind::CLUSTER_RESOURCE_BINDING),
                Some(kind::RESOURCE_BINDING),
                |object| labelled(&object.metadata, meta::PARENT_PLACEMENT),
            ),
            strategies: Collection::new(
                &hub,
                Some(kind::CLUSTER_STAGED_UPDATE_STRATEGY),
                Some(kind::STAGED_UPDATE_STRATEGY),
                |_| None,
            ),
            runs: Collection::new(
                &hub,
                Some(kind::CLUSTER_STAGED_UPDATE_RUN),
                Some(kind::STAGED_UPDATE_RUN),
                |run| {
                    let scope = Scope::of(run.metadata.namespace.as_deref());
                    Some(Key::new(scope, &run.spec.placement_name))
                },
            ),
            approvals: Collection::new(
                &hub,
                Some(kind::CLUSTER_APPROVAL_REQUEST),
                Some(kind::APPROVAL_REQUEST),
                |object| labelled(&object.metadata, meta::TARGET_RUN),
            ),
            clusters: Collection::new(&hub, Some(kind::MEMBER_CLUSTER), None, |_| None),
            works: Collection::new(&hub, None, Some(kind::WORK), binding_of),
            told: Queue::new("placement status"),
            content: Contents::default(),
            hub,
            members,
            options,
        }
    }

    /// Returns the present instant.
    pub fn now(&self) -> Timestamp {
        self.options.clock.now()
    }
}
