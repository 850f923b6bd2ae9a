//! How ownership moves when an object changes.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    element::Element,
    managed::{self, Entry, Operation},
    set::Set,
    walk::Comparison,
};
use crate::apiserver::schema::Schema;

/// Fields of `metadata` that the server writes, or that name the object: nobody owns them.
const UNOWNED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// The part of `set` that a request through `subresource` can change: the status subresource only `status`, and where
/// the kind lets it metadata, and the main resource everything but `status`, where there is a status subresource.
pub(crate) fn in_reach(set: &Set, subresource: Option<&str>, schema: &Schema) -> Set {
    let is_status = |element: &Element| matches!(element, Element::Field(name) if name == "status");
    let is_metadata =
        |element: &Element| matches!(element, Element::Field(name) if name == "metadata");
    match subresource {
        Some("status") if schema.has_metadata_beside_status() => {
            set.only(|element| is_status(element) || is_metadata(element))
        }
        Some("status") => set.only(is_status),
        None if schema.has_status_subresource() => set.only(|element| !is_status(element)),
        _ => set.clone(),
    }
}

/// The part of `set` that somebody can own.
pub(crate) fn ownable(set: &Set) -> Set {
    let mut unowned = Set::default();
    let field = |name: &str| Element::Field(name.to_owned());
    for name in ["apiVersion", "kind", "metadata"] {
        unowned.insert(&[field(name)]);
    }
    for name in UNOWNED_METADATA {
        unowned.insert(&[field("metadata"), field(name)]);
    }
    set.difference(&unowned)
}

/// Takes from all entries what was changed or removed; entries that own nothing more go.
pub(crate) fn dispossess(entries: &mut Vec<Entry>, change: &Comparison) {
    let lost = change.changed().union(&change.removed);
    for entry in entries.iter_mut() {
        entry.fields = entry.fields.difference(&lost);
    }
    entries.retain(|e| !e.fields.is_empty());
}

/// The entry for an update by `manager`, still without fields.
pub(crate) fn updater(object: &Value, manager: &str, subresource: Option<&str>) -> Entry {
    Entry {
        manager: if manager.is_empty() { "unknown" } else { manager }.to_owned(),
        operation: Operation::Update,
        api_version: object
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        subresource: subresource.unwrap_or_default().to_owned(),
        time: None,
        fields: Set::default(),
    }
}

/// Gives what changed from `live` to `new` to the updater `own`, and takes it from everyone else.
pub(crate) fn record_update(
    entries: &mut Vec<Entry>,
    live: &Value,
    new: &Value,
    own: Entry,
    schema: &Schema,
    now: Timestamp,
) {
    let subresource = Some(own.subresource.as_str()).filter(|s| !s.is_empty());
    let change = Comparison::of(Some(schema.root()), live, new)
        .filter(|set| in_reach(set, subresource, schema));
    dispossess(entries, &change);
    let changed = ownable(&change.changed());
    if !changed.is_empty() {
        let time = Some(managed::stamp(now));
        match entries.iter_mut().find(|e| e.is_same_manager(&own)) {
            Some(entry) => {
                entry.fields.add(&changed);
                entry.time = time;
            }
            None => entries.push(Entry { time, fields: changed, ..own }),
        }
    }
    managed::cap(entries);
}
