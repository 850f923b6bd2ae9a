//! Lists: a part of a resource as it was at one revision.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError},
};

use super::{
    commit::Store,
    history::Outrun,
    key::ResourceId,
    state::{Collection, Place, State},
    stored::Stored,
};

/// Which part of a resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Range {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only objects after this namespace and name, in the order of keys.
    pub after: Option<(String, String)>,
    /// As it was at this revision, rather than now.
    pub revision: Option<u64>,
}

/// Objects, in the order of their keys.
#[derive(Debug)]
pub(crate) struct Page {
    /// The revision of which this is the state.
    pub revision: u64,
    /// The objects of the range.
    pub objects: Vec<Arc<Stored>>,
}

impl Store {
    /// The objects of `resource` in `range`.
    ///
    /// # Errors
    /// [`Outrun`] when the state at the asked revision is no longer known.
    pub(crate) fn list(&self, resource: &ResourceId, range: &Range) -> Result<Page, Outrun> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(collection) = state.collection(resource) else {
            return Ok(Page {
                revision: range.revision.unwrap_or(state.revision),
                objects: Vec::new(),
            });
        };
        let lower = lower_bound(range);
        let within = |place: &Place| range.namespace.as_deref().is_none_or(|n| *place.0 == *n);
        let current = collection
            .objects
            .range((lower, Bound::Unbounded))
            .take_while(|(place, _)| within(place));
        let Some(revision) = range.revision.filter(|revision| *revision < state.revision) else {
            let objects = current.map(|(_, object)| Arc::clone(object)).collect();
            return Ok(Page { revision: state.revision, objects });
        };
        let changed = undone(collection, revision)?;
        let mut objects: BTreeMap<Place, Arc<Stored>> = current
            .filter(|(place, _)| !changed.contains_key(*place))
            .map(|(place, object)| (place.clone(), Arc::clone(object)))
            .collect();
        let was_there = changed.into_iter().filter_map(|(place, object)| Some((place, object?)));
        let after = |place: &Place| match &range.after {
            Some((namespace, name)) => (&*place.0, &*place.1) > (namespace.as_str(), name.as_str()),
            None => true,
        };
        objects.extend(was_there.filter(|(place, _)| within(place) && after(place)));
        Ok(Page { revision, objects: objects.into_values().collect() })
    }

    /// How many objects there are of each resource that has some or had.
    pub(crate) fn counts(&self) -> Vec<(Arc<ResourceId>, usize)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let all = state.collections();
        all.map(|(resource, of)| (Arc::clone(resource), of.objects.len())).collect()
    }

    /// Whether `namespace` holds any object of any resource.
    pub(crate) fn resources_in(&self, namespace: &str) -> Vec<Arc<ResourceId>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        resources_in(&state, namespace)
    }
}

fn resources_in(state: &State, namespace: &str) -> Vec<Arc<ResourceId>> {
    let start: Place = (namespace.into(), "".into());
    state
        .collections()
        .filter(|(_, collection)| {
            collection
                .objects
                .range(start.clone()..)
                .next()
                .is_some_and(|(p, _)| *p.0 == *namespace)
        })
        .map(|(resource, _)| Arc::clone(resource))
        .collect()
}

fn lower_bound(range: &Range) -> Bound<Place> {
    match (&range.after, &range.namespace) {
        (Some((namespace, name)), _) => {
            Bound::Excluded((namespace.as_str().into(), name.as_str().into()))
        }
        (None, Some(namespace)) => Bound::Included((namespace.as_str().into(), "".into())),
        (None, None) => Bound::Unbounded,
    }
}

/// What changed after `revision`, as it was then.
fn undone(
    collection: &Collection,
    revision: u64,
) -> Result<BTreeMap<Place, Option<Arc<Stored>>>, Outrun> {
    let mut was = BTreeMap::new();
    // The oldest event of an object says what was before it; it is visited last.
    for event in collection.history.after(revision)?.rev() {
        was.insert(super::state::place(&event.object.key), event.previous.clone());
    }
    Ok(was)
}
