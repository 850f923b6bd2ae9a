//! When a resource snapshot group is cut, reused or dropped (fleet-semantics §3.6 to §3.10).
//!
//! Two departures from Fleet: content that a retained group holds makes that group the latest again, so that a revert
//! costs no new snapshot; and a group that a binding or an unfinished run names is never dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::{
    canonical,
    plan::{Plan, annotation, label, pairs, types},
    select::Selection,
};
use crate::{
    api::{Placement, ResourceSnapshot, kind, meta, snapshot::ResourceSnapshotSpec},
    model::{Scope, SnapshotIndex},
};

/// How much raw JSON goes into one object: 800 KiB, softly. A bigger object gets a snapshot of its own.
pub const PIECE_BYTES: usize = 819_200;
/// A change is cut when nothing else has changed for so long …
pub const QUIET: SignedDuration = SignedDuration::from_secs(1);
/// … or when the first change is so old.
pub const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(15);
/// Fleet's default for `revisionHistoryLimit`.
const HISTORY_LIMIT: i32 = 10;

/// A resource snapshot group: everything with one index.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its place in history.
    pub index: SnapshotIndex,
    /// The object with hash and counts.
    pub master: Option<Arc<ResourceSnapshot>>,
    /// The master and the objects after it, in order.
    pub pieces: Vec<Arc<ResourceSnapshot>>,
}

impl Group {
    /// Returns the groups of a placement's snapshots, oldest first.
    pub fn all(snapshots: &[Arc<ResourceSnapshot>]) -> Vec<Self> {
        let mut groups: BTreeMap<SnapshotIndex, Self> = BTreeMap::new();
        for snapshot in snapshots {
            let index = label(&snapshot.metadata, meta::RESOURCE_INDEX);
            let Some(index) = index.and_then(|text| text.parse().ok()) else { continue };
            let group = groups.entry(index).or_insert_with(|| Self {
                index,
                master: None,
                pieces: Vec::new(),
            });
            if annotation(&snapshot.metadata, meta::RESOURCE_HASH).is_some() {
                group.master = Some(snapshot.clone());
            }
            group.pieces.push(snapshot.clone());
        }
        for group in groups.values_mut() {
            group.pieces.sort_by_key(|piece| {
                let place = annotation(&piece.metadata, meta::SNAPSHOT_SUBINDEX);
                place.and_then(|text| text.parse::<u32>().ok()).map_or(0, |place| place + 1)
            });
        }
        groups.into_values().collect()
    }

    /// Returns the hash of the whole content.
    pub fn hash(&self) -> Option<&str> {
        annotation(&self.master.as_ref()?.metadata, meta::RESOURCE_HASH)
    }

    /// Returns whether the group is labelled latest.
    pub fn labelled_latest(&self) -> bool {
        self.master
            .as_ref()
            .is_some_and(|master| label(&master.metadata, meta::IS_LATEST_SNAPSHOT) == Some("true"))
    }

    /// Returns whether every object that the master counts is there.
    pub fn is_complete(&self) -> bool {
        let counted = self.master.as_ref().and_then(|master| {
            annotation(&master.metadata, meta::SNAPSHOT_COUNT)?.parse::<usize>().ok()
        });
        counted == Some(self.pieces.len())
    }

    /// Returns when the content was first seen to have changed since, as it was noted.
    pub fn change_detected(&self) -> Option<&str> {
        annotation(&self.master.as_ref()?.metadata, meta::CHANGE_DETECTED)
    }

    /// Returns all objects of the group, in order.
    pub fn content(&self) -> impl Iterator<Item = &Value> {
        self.pieces.iter().flat_map(|piece| &piece.spec.selected_resources)
    }

    fn digest(&self) -> Option<&str> {
        annotation(&self.master.as_ref()?.metadata, meta::CONTENT_DIGEST)
    }
}

/// Returns the latest group: the highest that is labelled so, or else the highest.
pub fn latest(groups: &[Group]) -> Option<&Group> {
    groups.iter().rev().find(|group| group.labelled_latest()).or_else(|| groups.last())
}

/// How long a change may settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Cut now: a run asks for the content as it is.
    AtOnce,
    /// More changes may follow.
    Settle {
        /// When the content was first seen to differ.
        first: Timestamp,
        /// When it last changed.
        last: Timestamp,
    },
}

/// What to do about a placement's content.
#[derive(Clone, Debug)]
pub enum Cut {
    /// The latest group holds it; the plan repairs what is missing, if anything.
    Unchanged(SnapshotIndex, Plan<ResourceSnapshot>),
    /// An older group holds it: it becomes the latest.
    Reuse(SnapshotIndex, Plan<ResourceSnapshot>),
    /// It is new.
    New(SnapshotIndex, Plan<ResourceSnapshot>),
    /// Let it settle until then.
    Wait(Timestamp),
}

/// Decides what to do about a placement's content.
///
/// A content digest annotation on the placement that the latest group does not carry says that a commit's content is
/// complete: such a change is not left to settle. `referenced` are the indexes that bindings and unfinished runs name.
pub fn cut(
    placement: &Placement,
    groups: &[Group],
    selection: &Selection,
    haste: Haste,
    referenced: &BTreeSet<SnapshotIndex>,
    now: Timestamp,
) -> Cut {
    let digest = annotation(&placement.metadata, meta::CONTENT_DIGEST);
    let Some(latest) = latest(groups) else {
        return new_group(placement, groups, SnapshotIndex::FIRST, selection, referenced);
    };
    if latest.hash() == Some(selection.hash.as_str()) {
        let mut plan = Plan::default();
        if !latest.is_complete() {
            plan.create = missing(placement, latest, selection);
        }
        plan.edit = labels(groups, latest.index, digest);
        return Cut::Unchanged(latest.index, plan);
    }
    let complete = digest.is_some() && digest != latest.digest();
    if let Haste::Settle { first, last } = haste
        && !complete
    {
        let due = (last + QUIET).min(first + LONGEST_WAIT);
        if now < due {
            return Cut::Wait(due);
        }
    }
    let same =
        |group: &&Group| group.hash() == Some(selection.hash.as_str()) && group.is_complete();
    if let Some(same) = groups.iter().rev().find(same) {
        let plan = Plan { edit: labels(groups, same.index, digest), ..Plan::default() };
        return Cut::Reuse(same.index, plan);
    }
    let highest = groups.last().map_or(SnapshotIndex::FIRST, |group| group.index);
    // After four billion snapshots the highest is cut again; its objects exist, so nothing happens.
    let next = highest.next().unwrap_or(highest);
    new_group(placement, groups, next, selection, referenced)
}

fn new_group(
    placement: &Placement,
    groups: &[Group],
    index: SnapshotIndex,
    selection: &Selection,
    referenced: &BTreeSet<SnapshotIndex>,
) -> Cut {
    let digest = annotation(&placement.metadata, meta::CONTENT_DIGEST);
    let plan = Plan {
        create: pieces(placement, index, selection),
        // The new group is labelled before the old one loses its label: at every moment one is.
        edit: labels(groups, index, digest),
        delete: expired(placement, groups, referenced),
    };
    Cut::New(index, plan)
}

/// Returns the patches that make `latest` the only group with the label.
fn labels(groups: &[Group], latest: SnapshotIndex, digest: Option<&str>) -> Vec<(String, Value)> {
    let mut edits = Vec::new();
    let chosen = groups.iter().filter(|group| group.index == latest);
    let others = groups.iter().filter(|group| group.index != latest);
    for group in chosen.chain(others) {
        let Some(master) = &group.master else { continue };
        let wanted = group.index == latest;
        let mut metadata = json!({});
        if group.labelled_latest() != wanted {
            metadata["labels"] = json!({ meta::IS_LATEST_SNAPSHOT: wanted.to_string() });
        }
        if wanted && digest.is_some() && group.digest() != digest {
            metadata["annotations"] = json!({ meta::CONTENT_DIGEST: digest });
        }
        if metadata != json!({}) {
            let name = master.metadata.name.clone().unwrap_or_default();
            edits.push((name, json!({ "metadata": metadata })));
        }
    }
    edits
}

fn missing(placement: &Placement, group: &Group, selection: &Selection) -> Vec<ResourceSnapshot> {
    let held: BTreeSet<_> = group.pieces.iter().map(|piece| piece.metadata.name.clone()).collect();
    let mut pieces = pieces(placement, group.index, selection);
    pieces.retain(|piece| !held.contains(&piece.metadata.name));
    pieces
}

/// Returns the names of snapshots that the history limit leaves no room for, next to a new group.
fn expired(
    placement: &Placement,
    groups: &[Group],
    referenced: &BTreeSet<SnapshotIndex>,
) -> Vec<String> {
    let limit = placement.spec.revision_history_limit.unwrap_or(HISTORY_LIMIT).max(1);
    let kept = usize::try_from(limit).unwrap_or(1).saturating_sub(1);
    let old = groups.iter().rev().skip(kept);
    old.filter(|group| !referenced.contains(&group.index))
        .flat_map(|group| &group.pieces)
        .filter_map(|piece| piece.metadata.name.clone())
        .collect()
}

/// Returns the objects of a new group, the master first.
pub fn pieces(
    placement: &Placement,
    index: SnapshotIndex,
    selection: &Selection,
) -> Vec<ResourceSnapshot> {
    let scope = Scope::of(placement.metadata.namespace.as_deref());
    let name = placement.metadata.name.clone().unwrap_or_default();
    let contents = split(&selection.objects);
    let count = contents.len();
    let object = |(piece, selected_resources): (usize, Vec<Value>)| {
        let place = u32::try_from(piece).unwrap_or(u32::MAX);
        let mut labels = pairs([
            (meta::PARENT_PLACEMENT, name.clone()),
            (meta::RESOURCE_INDEX, index.to_string()),
        ]);
        let annotations = if piece == 0 {
            labels.insert(meta::IS_LATEST_SNAPSHOT.to_owned(), "true".to_owned());
            let mut annotations = pairs([
                (meta::RESOURCE_HASH, selection.hash.clone()),
                (meta::SNAPSHOT_COUNT, count.to_string()),
                (meta::ENVELOPE_COUNT, selection.envelopes().to_string()),
            ]);
            if let Some(digest) = annotation(&placement.metadata, meta::CONTENT_DIGEST) {
                annotations.insert(meta::CONTENT_DIGEST.to_owned(), digest.to_owned());
            }
            annotations
        } else {
            pairs([(meta::SNAPSHOT_SUBINDEX, (piece - 1).to_string())])
        };
        ResourceSnapshot {
            types: types(kind::resource_snapshot(&scope)),
            metadata: ObjectMeta {
                name: Some(index.piece_name(&name, place)),
                namespace: scope.namespace().map(str::to_owned),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: Some(vec![owner(placement, &scope)]),
                ..Default::default()
            },
            spec: ResourceSnapshotSpec { selected_resources },
            status: None,
        }
    };
    contents.into_iter().enumerate().map(object).collect()
}

/// Returns the owner reference from a placement's snapshots to the placement.
pub fn owner(placement: &Placement, scope: &Scope) -> OwnerReference {
    let kind = kind::placement(scope);
    OwnerReference {
        api_version: kind.api_version(),
        kind: kind.name.to_owned(),
        name: placement.metadata.name.clone().unwrap_or_default(),
        uid: placement.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Splits greedily, in order; nothing makes one empty piece.
fn split(objects: &[Value]) -> Vec<Vec<Value>> {
    let mut pieces = vec![Vec::new()];
    let mut room = PIECE_BYTES;
    for object in objects {
        let size = canonical::text(object).len();
        if size > room && pieces.last().is_some_and(|piece| !piece.is_empty()) {
            pieces.push(Vec::new());
            room = PIECE_BYTES;
        }
        room = room.saturating_sub(size);
        if let Some(piece) = pieces.last_mut() {
            piece.push(object.clone());
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::placement::PlacementSpec;

    fn placement(digest: Option<&str>, limit: Option<i32>) -> Placement {
        let mut object = Placement {
            types: None,
            metadata: ObjectMeta {
                name: Some("web".into()),
                uid: Some("u".into()),
                ..Default::default()
            },
            spec: PlacementSpec { revision_history_limit: limit, ..Default::default() },
            status: None,
        };
        object.metadata.annotations =
            digest.map(|digest| pairs([(meta::CONTENT_DIGEST, digest.to_owned())]));
        object
    }

    fn content(value: &str) -> Selection {
        Selection::of(vec![
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": value}}),
        ])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A placement's snapshots, changed as the engine would by carrying out plans.
    #[derive(Default)]
    struct World(BTreeMap<String, ResourceSnapshot>);

    impl World {
        fn groups(&self) -> Vec<Group> {
            Group::all(&self.0.values().cloned().map(Arc::new).collect::<Vec<_>>())
        }

        fn carry_out(&mut self, plan: &Plan<ResourceSnapshot>, steps: usize) {
            let mut done = 0;
            let mut step = || {
                done += 1;
                done <= steps
            };
            for object in &plan.create {
                if step() {
                    self.0.insert(object.metadata.name.clone().unwrap(), object.clone());
                }
            }
            for (name, patch) in &plan.edit {
                if step()
                    && let Some(object) = self.0.get_mut(name)
                {
                    for (field, into) in [
                        ("labels", object.metadata.labels.get_or_insert_default()),
                        ("annotations", object.metadata.annotations.get_or_insert_default()),
                    ] {
                        for (key, value) in
                            patch["metadata"][field].as_object().into_iter().flatten()
                        {
                            into.insert(key.clone(), value.as_str().unwrap().to_owned());
                        }
                    }
                }
            }
            for name in &plan.delete {
                if step() {
                    self.0.remove(name);
                }
            }
        }

        fn cut(&mut self, placement: &Placement, value: &str, referenced: &[u32]) -> String {
            let referenced = referenced.iter().copied().map(SnapshotIndex::new).collect();
            let cut =
                cut(placement, &self.groups(), &content(value), Haste::AtOnce, &referenced, at(0));
            let (text, plan) = match &cut {
                Cut::Unchanged(index, plan) => (format!("same {index}"), plan),
                Cut::Reuse(index, plan) => (format!("reuse {index}"), plan),
                Cut::New(index, plan) => (format!("new {index}"), plan),
                Cut::Wait(until) => return format!("wait {until}"),
            };
            self.carry_out(plan, usize::MAX);
            text
        }

        fn latest(&self) -> Vec<u32> {
            let groups = self.groups();
            groups.iter().filter(|g| g.labelled_latest()).map(|g| g.index.number()).collect()
        }
    }

    #[test]
    fn content_that_is_retained_is_reused_and_indexes_only_grow() {
        let (mut world, placement) = (World::default(), placement(None, None));
        for (value, want, latest) in [
            ("a", "new 0", 0),
            ("a", "same 0", 0),
            ("b", "new 1", 1),
            ("a", "reuse 0", 0),
            ("c", "new 2", 2),
            ("b", "reuse 1", 1),
            ("b", "same 1", 1),
        ] {
            assert_eq!(world.cut(&placement, value, &[]), want);
            assert_eq!(world.latest(), [latest]);
        }
    }

    #[test]
    fn history_keeps_what_is_referenced() {
        let (mut world, placement) = (World::default(), placement(None, Some(2)));
        for value in ["a", "b", "c"] {
            world.cut(&placement, value, &[0]);
        }
        let held: Vec<_> = world.groups().iter().map(|group| group.index.number()).collect();
        assert_eq!(held, [0, 1, 2]);
        world.cut(&placement, "d", &[]);
        let held: Vec<_> = world.groups().iter().map(|group| group.index.number()).collect();
        assert_eq!(held, [2, 3]);
    }

    #[test]
    fn a_change_settles_unless_the_commit_is_complete() {
        let mut world = World::default();
        world.cut(&placement(Some("one"), None), "a", &[]);
        let decide = |digest, first, last, now| {
            let haste = Haste::Settle { first: at(first), last: at(last) };
            let (groups, none) = (world.groups(), BTreeSet::new());
            cut(&placement(Some(digest), None), &groups, &content("b"), haste, &none, at(now))
        };
        assert!(matches!(decide("one", 100, 100, 100), Cut::Wait(due) if due == at(101)));
        assert!(matches!(decide("one", 100, 114, 114), Cut::Wait(due) if due == at(115)));
        assert_eq!(decide("one", 100, 115, 115).name(), "new");
        assert_eq!(decide("one", 100, 100, 101).name(), "new");
        assert_eq!(decide("two", 100, 100, 100).name(), "new");
    }

    #[test]
    fn a_new_digest_of_the_same_content_is_noted() {
        let mut world = World::default();
        world.cut(&placement(Some("one"), None), "a", &[]);
        assert_eq!(world.cut(&placement(Some("two"), None), "a", &[]), "same 0");
        assert_eq!(world.groups()[0].digest(), Some("two"));
    }

    #[test]
    fn every_crash_is_repaired_by_the_next_look() {
        let placement = placement(None, Some(2));
        let big = |value: &str| {
            Selection::of(
                (0..3)
                    .map(|n| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{n}")}, "data": {"key": value.repeat(PIECE_BYTES / 2)}}))
                    .collect(),
            )
        };
        let none = BTreeSet::new();
        for steps in 0..8 {
            let mut world = World::default();
            world.cut(&placement, "a", &[]);
            world.cut(&placement, "b", &[]);
            for left in [steps, usize::MAX] {
                let cut = cut(&placement, &world.groups(), &big("x"), Haste::AtOnce, &none, at(0));
                world.carry_out(cut.plan().unwrap(), left);
            }
            assert_eq!(world.latest(), [2], "after {steps} steps");
            let groups = world.groups();
            let latest = latest(&groups).unwrap();
            assert!(latest.is_complete(), "after {steps} steps");
            assert_eq!(latest.content().count(), 3);
            let names: Vec<_> =
                latest.pieces.iter().map(|piece| piece.metadata.name.clone().unwrap()).collect();
            assert_eq!(names, ["web-2-snapshot", "web-2-0", "web-2-1"]);
        }
    }

    impl Cut {
        fn plan(&self) -> Option<&Plan<ResourceSnapshot>> {
            match self {
                Self::Unchanged(_, plan) | Self::Reuse(_, plan) | Self::New(_, plan) => Some(plan),
                Self::Wait(_) => None,
            }
        }

        fn name(&self) -> &'static str {
            match self {
                Self::Unchanged(..) => "same",
                Self::Reuse(..) => "reuse",
                Self::New(..) => "new",
                Self::Wait(_) => "wait",
            }
        }
    }
}
