//! OpenAPI v3: the index at `/openapi/v3` and one document for each group version.

use serde_json::{Value, json};

use super::ResourceDefinition;

/// The index: every group version with the address and hash of its document.
#[must_use]
pub fn index(_definitions: &[ResourceDefinition]) -> Value {
    json!({"paths": {}})
}

/// The document of one group version, such as (`apps`, `v1`); `None` for what is not served.
#[must_use]
pub fn document(
    _definitions: &[ResourceDefinition],
    _group: &str,
    _version: &str,
) -> Option<Value> {
    None
}
