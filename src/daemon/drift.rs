//! What somebody else did to objects that were applied, learnt from watches of their metadata.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::core::ObjectMeta;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Queue,
    hub::{Hub, HubError, Told},
    model::{ObjectKey, ObjectName},
};

/// A kind that cannot be found out is asked for again after so long.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(10);

/// Objects that Rollouts have applied, and whether they are still as they were applied.
pub(super) struct Drift {
    objects: Mutex<BTreeMap<ObjectKey, BTreeMap<ObjectName, Watched>>>,
    /// Rung when there may be other kinds to watch.
    kinds: Notify,
    queue: Arc<Queue<ObjectName>>,
}

/// One object of one Rollout.
struct Watched {
    state: State,
    version: u64,
    /// Somebody changed or deleted it since it was applied.
    drifted: bool,
    /// Not in the list that is being read.
    unlisted: bool,
}

/// What of an object counts as a change. Writes of a status are none.
#[derive(Clone, Debug, PartialEq)]
struct State {
    uid: Option<String>,
    /// The generation, or the resource version of what has none.
    generation: Result<i64, Option<String>>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    is_deleted: bool,
}

impl State {
    fn of(meta: &ObjectMeta) -> Self {
        let generation = meta.generation.filter(|generation| *generation > 0);
        Self {
            uid: meta.uid.clone(),
            generation: generation.ok_or_else(|| meta.resource_version.clone()),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: meta.annotations.clone().unwrap_or_default(),
            is_deleted: meta.deletion_timestamp.is_some(),
        }
    }
}

/// A version that cannot be compared counts as newer than any.
fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl Drift {
    pub(super) fn new(queue: Arc<Queue<ObjectName>>) -> Arc<Self> {
        Arc::new(Self { objects: Mutex::default(), kinds: Notify::new(), queue })
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, BTreeMap<ObjectName, Watched>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A Rollout's objects are about to be applied: what is known of them so far is about to be mended.
    pub(super) fn begin(&self, rollout: &ObjectName) {
        for watched in self.objects().values_mut().filter_map(|by| by.get_mut(rollout)) {
            watched.drifted = false;
        }
    }

    /// An object was applied, and this is how the hub has it.
    pub(super) fn applied(&self, rollout: &ObjectName, key: &ObjectKey, stored: &Value) {
        let Ok(meta) = ObjectMeta::deserialize(&stored["metadata"]) else { return };
        let (state, at) = (State::of(&meta), version(&meta));
        let mut objects = self.objects();
        let is_new_kind = !objects.keys().any(|k| (&k.group, &k.kind) == (&key.group, &key.kind));
        let by_rollout = objects.entry(key.clone()).or_default();
        // The watch may have told of somebody's write after ours already.
        let newer = by_rollout.get(rollout).is_some_and(|held| held.drifted && held.version > at);
        if !newer {
            let watched = Watched { state, version: at, drifted: false, unlisted: false };
            by_rollout.insert(rollout.clone(), watched);
        }
        drop(objects);
        if is_new_kind {
            self.kinds.notify_one();
        }
    }

    /// All of a Rollout was applied: other objects are no longer its own.
    pub(super) fn end(&self, rollout: &ObjectName, keys: &BTreeSet<ObjectKey>) {
        let mut objects = self.objects();
        objects.retain(|key, by_rollout| {
            if !keys.contains(key) {
                by_rollout.remove(rollout);
            }
            !by_rollout.is_empty()
        });
        drop(objects);
        self.kinds.notify_one();
    }

    /// Returns whether somebody changed an object of this Rollout since it was applied.
    pub(super) fn has(&self, rollout: &ObjectName) -> bool {
        self.objects().values().filter_map(|by| by.get(rollout)).any(|watched| watched.drifted)
    }

    /// Keeps a watch of every kind that was applied, until `stop`.
    pub(super) async fn keep(self: Arc<Self>, hub: Hub, stop: CancellationToken) {
        let mut watches: BTreeMap<(String, String), JoinHandle<()>> = BTreeMap::new();
        let mut pause = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.kinds.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            let wanted: BTreeSet<(String, String)> =
                self.objects().keys().map(|key| (key.group.clone(), key.kind.clone())).collect();
            watches.retain(|kind, watch| {
                let kept = wanted.contains(kind);
                if !kept {
                    watch.abort();
                }
                kept
            });
            pause = None;
            for kind in wanted {
                if watches.contains_key(&kind) {
                    continue;
                }
                match self.start(&hub, &kind).await {
                    Ok(watch) => drop(watches.insert(kind, watch)),
                    Err(error) => {
                        tracing::warn!(kind = kind.1, %error, "changes by hand are not seen; looking again");
                        pause = Some(LOOK_UP_AGAIN);
                    }
                }
            }
        }
        watches.values().for_each(JoinHandle::abort);
    }

    async fn start(
        self: &Arc<Self>,
        hub: &Hub,
        kind: &(String, String),
    ) -> Result<JoinHandle<()>, HubError> {
        let resource = hub.locate_any(&kind.0, &kind.1).await?;
        let (drift, hub) = (self.clone(), hub.clone());
        Ok(tokio::spawn(async move {
            let (group, kind) = (resource.api.group.clone(), resource.api.kind.clone());
            hub.watch_metadata(&resource.api, |told| drift.hear(&group, &kind, told)).await;
        }))
    }

    fn hear(&self, group: &str, kind: &str, told: Told<'_>) {
        let key = |meta: &ObjectMeta| ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        let mut objects = self.objects();
        let of_kind = |key: &ObjectKey| key.group == group && key.kind == kind;
        let mut drifted = BTreeSet::new();
        match told {
            Told::Listing => {
                for (_, by_rollout) in objects.iter_mut().filter(|(key, _)| of_kind(key)) {
                    by_rollout.values_mut().for_each(|watched| watched.unlisted = true);
                }
            }
            Told::ListEnd => {
                for (_, by_rollout) in objects.iter_mut().filter(|(key, _)| of_kind(key)) {
                    for (rollout, watched) in by_rollout.iter_mut().filter(|(_, w)| w.unlisted) {
                        watched.drifted = true;
                        drifted.insert(rollout.clone());
                    }
                }
            }
            Told::Listed(meta) | Told::Changed(meta) | Told::Gone(meta) => {
                let is_gone = matches!(told, Told::Gone(_));
                for (rollout, watched) in objects.get_mut(&key(meta)).into_iter().flatten() {
                    watched.unlisted = false;
                    let (state, at) = (State::of(meta), version(meta));
                    if at > watched.version && (is_gone || state != watched.state) {
                        *watched = Watched { state, version: at, drifted: true, unlisted: false };
                        drifted.insert(rollout.clone());
                    }
                }
            }
        }
        drop(objects);
        for rollout in drifted {
            tracing::debug!(%rollout, kind, "an applied object was changed by somebody else");
            self.queue.add(rollout);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn web() -> ObjectName {
        ObjectName { namespace: String::new(), name: "web".into() }
    }

    fn key(kind: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: kind.into(),
            namespace: "web".into(),
            name: "settings".into(),
        }
    }

    fn stored(version: u64, generation: Option<i64>, label: &str) -> Value {
        json!({"metadata": {"name": "settings", "namespace": "web", "uid": "u", "generation": generation,
            "resourceVersion": version.to_string(), "labels": {"colour": label}}})
    }

    fn meta(version: u64, generation: Option<i64>, label: &str) -> ObjectMeta {
        ObjectMeta::deserialize(&stored(version, generation, label)["metadata"]).unwrap()
    }

    fn applied(kind: &str, generation: Option<i64>) -> Arc<Drift> {
        let drift = Drift::new(Queue::new("test"));
        drift.begin(&web());
        drift.applied(&web(), &key(kind), &stored(5, generation, "red"));
        drift.end(&web(), &[key(kind)].into());
        assert!(!drift.has(&web()));
        drift
    }

    #[test]
    fn what_counts_as_a_change() {
        let cases = [
            ("our own write", Some(1), meta(5, Some(1), "red"), false),
            ("an older write, told late", Some(1), meta(4, Some(1), "blue"), false),
            ("a write of the status", Some(1), meta(6, Some(1), "red"), false),
            ("a new generation", Some(1), meta(6, Some(2), "red"), true),
            ("another label", Some(1), meta(6, Some(1), "blue"), true),
            ("any write of what has no generation", None, meta(6, None, "red"), true),
        ];
        for (what, generation, told, expected) in cases {
            let drift = applied("ConfigMap", generation);
            drift.hear("", "ConfigMap", Told::Changed(&told));
            assert_eq!(drift.has(&web()), expected, "{what}");
        }
        let drift = applied("ConfigMap", Some(1));
        drift.hear("", "Secret", Told::Changed(&meta(6, Some(2), "blue")));
        assert!(!drift.has(&web()), "another kind's");
        drift.hear("", "ConfigMap", Told::Gone(&meta(6, Some(1), "red")));
        assert!(drift.has(&web()), "a deletion");
    }

    #[test]
    fn a_write_that_is_told_while_we_apply_is_not_lost() {
        let drift = applied("ConfigMap", None);
        drift.begin(&web());
        drift.hear("", "ConfigMap", Told::Changed(&meta(7, None, "red")));
        drift.applied(&web(), &key("ConfigMap"), &stored(6, None, "red"));
        assert!(drift.has(&web()), "somebody wrote after us");
        drift.begin(&web());
        drift.hear("", "ConfigMap", Told::Changed(&meta(8, None, "red")));
        drift.applied(&web(), &key("ConfigMap"), &stored(8, None, "red"));
        assert!(!drift.has(&web()), "that was our own");
    }

    #[test]
    fn what_is_gone_after_a_break_of_the_watch_is_missed() {
        let drift = applied("ConfigMap", Some(1));
        drift.hear("", "ConfigMap", Told::Listing);
        drift.hear("", "ConfigMap", Told::Listed(&meta(5, Some(1), "red")));
        drift.hear("", "ConfigMap", Told::ListEnd);
        assert!(!drift.has(&web()));
        drift.hear("", "ConfigMap", Told::Listing);
        drift.hear("", "ConfigMap", Told::ListEnd);
        assert!(drift.has(&web()));
    }

    #[test]
    fn what_a_commit_drops_is_not_looked_at_any_more() {
        let drift = applied("ConfigMap", Some(1));
        drift.end(&web(), &BTreeSet::new());
        drift.hear("", "ConfigMap", Told::Gone(&meta(6, Some(1), "red")));
        assert!(!drift.has(&web()));
    }
}
