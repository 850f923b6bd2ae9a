//! What the server does to objects of its own kinds before it stores them, and what it refuses.
//!
//! The order of a write is: patch, drop unknown fields, [`prepare_create`] or [`prepare_update`], apply the schema's
//! defaults, then the schema's validation together with [`validate`].

use jiff::Timestamp;
use serde_json::Value;

use super::ResourceDefinition;
use crate::apiserver::schema::FieldError;

/// What admission must know beside the object.
pub struct Context<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// What is served now, to find names that a CustomResourceDefinition may not take.
    pub served: &'a [ResourceDefinition],
    /// Whether another Service has this cluster address.
    pub cluster_ip_taken: &'a dyn Fn(&str) -> bool,
    /// Whether another Service has this node port.
    pub node_port_taken: &'a dyn Fn(u16) -> bool,
}

/// Fills what the server itself gives to a new object of this kind.
pub fn prepare_create(
    _definition: &ResourceDefinition,
    _object: &mut Value,
    _context: &Context<'_>,
) {
}

/// Fills what the server itself gives to a changed object, and keeps what a client may leave out.
pub fn prepare_update(
    _definition: &ResourceDefinition,
    _old: &Value,
    _new: &mut Value,
    _context: &Context<'_>,
) {
}

/// What is wrong with a prepared object, beyond its schema: names, labels, the rules of its kind, and with `old` the
/// fields that may not change.
#[must_use]
pub fn validate(
    _definition: &ResourceDefinition,
    _new: &Value,
    _old: Option<&Value>,
) -> Vec<FieldError> {
    Vec::new()
}
