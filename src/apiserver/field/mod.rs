//! Sets of fields and who owns them (`metadata.managedFields`, KEP-555).
//!
//! The behavior is that of structured-merge-diff and of apimachinery's `managedfields`, with one simplification: all
//! versions of a kind have the same fields here, so that nothing is converted.

mod element;
mod managed;
mod ownership;
mod set;
mod shape;
mod walk;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use self::{
    element::Element,
    managed::{Entry, Operation, read, remove, stamp, write},
    ownership::{dispossess, in_reach, ownable, record_update, updater},
    set::Set,
    shape::{Shape, item_element, shape},
    walk::{Comparison, set_of, with_declared_fields, without},
};
use super::schema::Schema;

/// Writes `metadata.managedFields` of `new` after a create, update or patch by `manager`: what differs from `live` is
/// now owned by `manager` through `Update`, and by nobody else. Without a difference entries and times stay.
///
/// A new object is compared with what one of its kind is before anybody says anything ([`Schema::blank`]).
///
/// `new` is the object as it will be stored, but for its `resourceVersion`. A stored object without entries stays
/// without, until somebody applies.
pub fn track_update(
    live: Option<&Value>,
    new: &mut Value,
    manager: &str,
    subresource: Option<&str>,
    schema: &Schema,
    now: Timestamp,
) {
    let stored = || live.and_then(managed::read).unwrap_or_default();
    let mut entries = if subresource.is_some() {
        // A subresource cannot say who owns what.
        stored()
    } else if managed::is_reset(new) {
        Vec::new()
    } else {
        managed::read(new).filter(|entries| !entries.is_empty()).unwrap_or_else(stored)
    };
    managed::remove(new);
    if entries.is_empty() && live.is_some() {
        return;
    }
    let own = ownership::updater(new, manager, subresource);
    // The old entries differ from none, but nobody owns the field that they are in.
    ownership::record_update(&mut entries, live.unwrap_or(schema.blank()), new, own, schema, now);
    managed::write(new, entries);
}
