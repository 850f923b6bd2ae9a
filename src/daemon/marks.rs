//! How the objects of every Rollout were left, and how they are now: what hand edits are noticed by.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    api::kind,
    model::{ObjectKey, ObjectName},
    sync::drift::{Drift, Mark, Patience, Sight, drift},
};

/// What one watch is about: a kind, in one namespace or everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub(super) group: String,
    pub(super) kind: String,
    /// Nothing for all namespaces, and for kinds that have none.
    pub(super) namespace: Option<String>,
}

/// A kind that is used in more namespaces than this is watched in all of them at once.
const NAMESPACES_MAX: usize = 16;

/// How objects were left, and how they are.
#[derive(Default)]
pub(super) struct Marks {
    state: Mutex<State>,
    /// Rings when there may be another kind to watch, or one less.
    pub(super) bell: Notify,
}

#[derive(Default)]
struct State {
    /// By Rollout and object: how it was left. Nothing while it was not applied yet.
    left: BTreeMap<ObjectName, BTreeMap<ObjectKey, Option<Mark>>>,
    objects: BTreeMap<ObjectKey, Tracked>,
    /// By Rollout: the object that others claim, and whether it changed since we were refused.
    contested: BTreeMap<ObjectName, (ObjectKey, bool)>,
    settled: BTreeSet<Subject>,
    patience: Patience,
    /// Counts marks, to tell what was there before a watch began.
    sequence: u64,
}

#[derive(Default)]
struct Tracked {
    rollouts: BTreeSet<ObjectName>,
    sight: Option<Sight>,
    marked: u64,
}

impl Marks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an object is about to be applied: from now on, what happens to it is kept.
    pub(super) fn expect(&self, name: &ObjectName, key: &ObjectKey) {
        let mut state = self.state();
        let known = state.objects.contains_key(key);
        state.objects.entry(key.clone()).or_default().rollouts.insert(name.clone());
        state.left.entry(name.clone()).or_default().entry(key.clone()).or_default();
        drop(state);
        if !known {
            self.bell.notify_one();
        }
    }

    /// Notes how an object was left.
    pub(super) fn mark(&self, name: &ObjectName, key: &ObjectKey, mark: Mark) {
        let mut state = self.state();
        state.sequence += 1;
        let sequence = state.sequence;
        if let Some(tracked) = state.objects.get_mut(key) {
            tracked.marked = sequence;
        }
        state.left.entry(name.clone()).or_default().insert(key.clone(), Some(mark));
    }

    /// Returns whether it is not known how the object was left.
    pub(super) fn is_new(&self, name: &ObjectName, key: &ObjectKey) -> bool {
        let state = self.state();
        state.left.get(name).and_then(|left| left.get(key)?.as_ref()).is_none()
    }

    /// Returns whether this was the last that was applied to the object.
    pub(super) fn was_applied(&self, name: &ObjectName, key: &ObjectKey, wanted: &Value) -> bool {
        let state = self.state();
        let mark = state.left.get(name).and_then(|left| left.get(key)?.as_ref());
        mark.is_some_and(|mark| mark.is_of(wanted))
    }

    /// Returns whether these fields of an object were ours when it was applied last.
    pub(super) fn were_ours<'a>(
        &self,
        name: &ObjectName,
        key: &ObjectKey,
        mut paths: impl Iterator<Item = &'a str>,
    ) -> bool {
        let state = self.state();
        let mark = state.left.get(name).and_then(|left| left.get(key)?.as_ref());
        mark.is_some_and(|mark| paths.all(|path| mark.trace.sets(path)))
    }

    /// Returns what somebody did to an object since it was applied.
    pub(super) fn drift_of(&self, name: &ObjectName, key: &ObjectKey) -> Option<Drift> {
        self.state().drift_of(name, key)
    }

    /// Returns whether somebody changed what is ours in any object of a Rollout.
    pub(super) fn any_drift(&self, name: &ObjectName) -> bool {
        let state = self.state();
        let mut keys = state.left.get(name).into_iter().flat_map(BTreeMap::keys);
        keys.any(|key| state.drift_of(name, key).is_some())
    }

    /// Returns whether a watch shows the object exactly as it was left.
    pub(super) fn is_untouched(&self, name: &ObjectName, key: &ObjectKey) -> bool {
        let state = self.state();
        let mark = state.left.get(name).and_then(|left| left.get(key)?.as_ref());
        let sight = state.objects.get(key).and_then(|tracked| tracked.sight.as_ref());
        let same = match (mark, sight) {
            (Some(mark), Some(Sight::There(now))) => *now == mark.trace,
            _ => false,
        };
        same && (has_collection(key) || state.settled.iter().any(|subject| subject.covers(key)))
    }

    /// Forgets all objects of a Rollout but these.
    pub(super) fn keep_only(&self, name: &ObjectName, keys: &BTreeSet<ObjectKey>) {
        let mut state = self.state();
        let State { left, objects, .. } = &mut *state;
        if let Some(left) = left.get_mut(name) {
            left.retain(|key, _| keys.contains(key));
        }
        let mut fewer = false;
        objects.retain(|key, tracked| {
            if !keys.contains(key) {
                tracked.rollouts.remove(name);
            }
            fewer |= tracked.rollouts.is_empty();
            !tracked.rollouts.is_empty()
        });
        drop(state);
        if fewer {
            self.bell.notify_one();
        }
    }

    /// Forgets a Rollout.
    pub(super) fn forget(&self, name: &ObjectName) {
        self.keep_only(name, &BTreeSet::new());
        let mut state = self.state();
        state.left.remove(name);
        state.contested.remove(name);
    }

    /// Notes which object others claim, if one is.
    pub(super) fn contest(&self, name: &ObjectName, key: Option<ObjectKey>) {
        let mut state = self.state();
        match key {
            Some(key) => state.contested.insert(name.clone(), (key, false)),
            None => state.contested.remove(name),
        };
    }

    /// Returns whether the object that others claim changed since we were refused.
    pub(super) fn is_stirred(&self, name: &ObjectName) -> bool {
        self.state().contested.get(name).is_some_and(|(_, stirred)| *stirred)
    }

    /// Notes that an object is put back now; an error, until when it must be left alone.
    pub(super) fn put_back(&self, key: &ObjectKey, now: Timestamp) -> Result<(), Timestamp> {
        self.state().patience.put_back(key, now)
    }

    /// Takes in how an object is. Returns the Rollouts that have to do something about it.
    pub(super) fn saw(&self, key: &ObjectKey, sight: Sight) -> Vec<ObjectName> {
        let mut state = self.state();
        let State { objects, contested, .. } = &mut *state;
        let Some(tracked) = objects.get_mut(key) else { return Vec::new() };
        if let (Some(Sight::There(held)), Sight::There(new)) = (&tracked.sight, &sight)
            && new.version <= held.version
        {
            return Vec::new();
        }
        tracked.sight = Some(sight);
        let rollouts = tracked.rollouts.clone();
        let mut stirred = BTreeSet::new();
        for (name, (claimed, moved)) in contested.iter_mut() {
            if claimed == key {
                *moved = true;
                stirred.insert(name.clone());
            }
        }
        let concerned =
            |name: &ObjectName| stirred.contains(name) || state.drift_of(name, key).is_some();
        rollouts.into_iter().filter(concerned).collect()
    }

    /// Returns what has to be watched.
    pub(super) fn subjects(&self) -> BTreeSet<Subject> {
        let mut namespaces: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for key in self.state().objects.keys().filter(|key| !has_collection(key)) {
            let kind = (key.group.clone(), key.kind.clone());
            namespaces.entry(kind).or_default().insert(key.namespace.clone());
        }
        let mut subjects = BTreeSet::new();
        for ((group, kind), namespaces) in namespaces {
            let subject = |namespace: Option<String>| Subject {
                group: group.clone(),
                kind: kind.clone(),
                namespace,
            };
            if namespaces.len() > NAMESPACES_MAX || namespaces.contains("") {
                subjects.insert(subject(None));
            } else {
                subjects.extend(namespaces.into_iter().map(|namespace| subject(Some(namespace))));
            }
        }
        subjects
    }

    /// A watch begins to list. Returns what [`Marks::listed`] wants to be given.
    pub(super) fn listing(&self, subject: &Subject) -> u64 {
        let mut state = self.state();
        state.settled.remove(subject);
        state.sequence
    }

    /// A watch has listed everything. What was left before that, and is not there, is gone. Returns the Rollouts that have
    /// to do something about it.
    pub(super) fn listed(
        &self,
        subject: &Subject,
        listed: &BTreeSet<ObjectKey>,
        since: u64,
    ) -> BTreeSet<ObjectName> {
        let gone: Vec<(ObjectKey, String)> = {
            let mut state = self.state();
            state.settled.insert(subject.clone());
            let missing = state.objects.iter().filter(|(key, tracked)| {
                subject.covers(key) && tracked.marked <= since && !listed.contains(*key)
            });
            let uid = |key: &ObjectKey, tracked: &Tracked| {
                let mut left = tracked.rollouts.iter().filter_map(|name| state.left.get(name));
                left.find_map(|left| Some(left.get(key)?.as_ref()?.trace.uid.clone()))
            };
            missing.filter_map(|(key, tracked)| Some((key.clone(), uid(key, tracked)?))).collect()
        };
        gone.into_iter().flat_map(|(key, uid)| self.saw(&key, Sight::Gone(uid))).collect()
    }

    /// A watch broke, or is not kept any more: what it knows may be out of date.
    pub(super) fn broke(&self, subject: &Subject) {
        self.state().settled.remove(subject);
    }
}

impl State {
    fn drift_of(&self, name: &ObjectName, key: &ObjectKey) -> Option<Drift> {
        let mark = self.left.get(name)?.get(key)?.as_ref()?;
        drift(&mark.trace, self.objects.get(key)?.sight.as_ref()?)
    }
}

impl Subject {
    fn covers(&self, key: &ObjectKey) -> bool {
        self.group == key.group
            && self.kind == key.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }
}

/// Returns whether a collection of the daemon's holds objects of this kind anyway.
pub(super) fn has_collection(key: &ObjectKey) -> bool {
    [
        kind::CLUSTER_RESOURCE_PLACEMENT,
        kind::RESOURCE_PLACEMENT,
        kind::CLUSTER_STAGED_UPDATE_STRATEGY,
        kind::STAGED_UPDATE_STRATEGY,
    ]
    .iter()
    .any(|kind| key.group == kind.group && key.kind == kind.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn stored(version: &str, fields: Value) -> Value {
        json!({"metadata": {"uid": "u", "resourceVersion": version, "managedFields": [
            {"manager": "tidegate", "operation": "Apply", "fieldsV1": fields}]}})
    }

    fn sight(version: &str, fields: Value) -> Sight {
        Sight::There(crate::sync::drift::Trace::of_object(&stored(version, fields)))
    }

    fn rollout(name: &str) -> ObjectName {
        ObjectName { namespace: String::new(), name: name.into() }
    }

    #[test]
    fn only_the_rollout_concerned_is_woken_and_only_by_what_is_ours() {
        let (marks, web, api) = (Marks::default(), rollout("web"), rollout("api"));
        let fields = json!({"f:data": {"f:a": {}}});
        for (name, object) in [(&web, "a"), (&api, "b")] {
            marks.expect(name, &key("n", object));
            marks.mark(name, &key("n", object), Mark::new(&json!(1), &stored("5", fields.clone())));
        }
        let none: Vec<ObjectName> = Vec::new();
        assert_eq!(marks.saw(&key("n", "a"), sight("5", fields.clone())), none, "our own write");
        assert_eq!(marks.saw(&key("n", "a"), sight("6", fields.clone())), none, "a foreign field");
        assert_eq!(marks.saw(&key("n", "z"), sight("6", json!({}))), none, "nobody's object");
        assert_eq!(marks.saw(&key("n", "a"), sight("7", json!({}))), std::slice::from_ref(&web));
        assert!(marks.any_drift(&web) && !marks.any_drift(&api));
        marks.mark(&web, &key("n", "a"), Mark::new(&json!(1), &stored("8", fields)));
        assert!(!marks.any_drift(&web), "it was put back");
        assert_eq!(marks.saw(&key("n", "b"), Sight::Gone("u".into())), [api]);
    }

    #[test]
    fn watches_are_as_few_as_the_objects_need() {
        let (marks, web) = (Marks::default(), rollout("web"));
        marks.expect(&web, &key("n", "a"));
        marks.expect(&web, &key("n", "b"));
        marks.expect(&web, &key("m", "a"));
        let namespaces = |marks: &Marks| {
            marks.subjects().into_iter().map(|subject| subject.namespace).collect::<Vec<_>>()
        };
        assert_eq!(namespaces(&marks), [Some("m".to_owned()), Some("n".to_owned())]);
        marks.keep_only(&web, &[key("n", "b")].into());
        assert_eq!(namespaces(&marks), [Some("n".to_owned())]);
        for namespace in 0..=NAMESPACES_MAX {
            marks.expect(&web, &key(&namespace.to_string(), "a"));
        }
        assert_eq!(namespaces(&marks), [None]);
        marks.forget(&web);
        assert_eq!(marks.subjects(), BTreeSet::new());
    }

    #[test]
    fn what_a_list_lacks_is_gone_if_it_was_left_before() {
        let (marks, web) = (Marks::default(), rollout("web"));
        let fields = json!({"f:data": {}});
        let subject =
            Subject { group: String::new(), kind: "ConfigMap".into(), namespace: Some("n".into()) };
        marks.expect(&web, &key("n", "a"));
        marks.mark(&web, &key("n", "a"), Mark::new(&json!(1), &stored("5", fields.clone())));
        let since = marks.listing(&subject);
        // Applied while the list was read: it may be too old to hold it.
        marks.expect(&web, &key("n", "b"));
        marks.mark(&web, &key("n", "b"), Mark::new(&json!(1), &stored("6", fields.clone())));
        assert_eq!(marks.listed(&subject, &BTreeSet::new(), since), [web.clone()].into());
        assert_eq!(marks.drift_of(&web, &key("n", "a")), Some(Drift::Deleted));
        assert_eq!(marks.drift_of(&web, &key("n", "b")), None);
        marks.saw(&key("n", "b"), sight("6", fields));
        assert!(marks.is_untouched(&web, &key("n", "b")));
        marks.broke(&subject);
        assert!(!marks.is_untouched(&web, &key("n", "b")), "nobody looks any more");
    }
}
