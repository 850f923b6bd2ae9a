//! Sets of fields and who owns them (`metadata.managedFields`, KEP-555).

use jiff::Timestamp;
use serde_json::Value;

use super::schema::Schema;

/// Writes `metadata.managedFields` of `new` after a create, update or patch by `manager`: what differs from `live` is
/// now owned by `manager` through `Update`, and by nobody else. Without a difference entries and times stay.
pub fn track_update(
    _live: Option<&Value>,
    _new: &mut Value,
    _manager: &str,
    _subresource: Option<&str>,
    _schema: &Schema,
    _now: Timestamp,
) {
}
