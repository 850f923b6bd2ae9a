//! JSON patch (RFC 6902).

use json_patch::{Patch, PatchOperation};
use serde::Deserialize as _;
use serde_json::Value;

use super::PatchError;

/// How many operations one patch may have, as in kube-apiserver.
const MAX_OPERATIONS: usize = 10_000;

/// How many bytes `copy` operations may add in all. A patch of `copy`s doubles a document with each; upstream has the
/// same guard.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Applies the operations of `patch` to `doc`, all or none.
///
/// # Errors
/// [`PatchError::Malformed`] when `patch` is no list of operations, [`PatchError::Unprocessable`] when one of them
/// fails, [`PatchError::TooLarge`] when there are too many or they copy too much.
pub fn apply(doc: &Value, patch: &Value) -> Result<Value, PatchError> {
    let count = patch.as_array().map_or(0, Vec::len);
    if count > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
        )));
    }
    let Patch(operations) = Patch::deserialize(patch)
        .map_err(|e| PatchError::Malformed(format!("error decoding JSON patch: {e}")))?;
    let mut doc = doc.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = &operation
            && let Ok(source) = copy.from.resolve(&doc)
        {
            copied += source.to_string().len();
            if copied > MAX_COPIED {
                return Err(PatchError::TooLarge(format!(
                    "the accumulated size of copied values exceeds the limit of {MAX_COPIED} bytes"
                )));
            }
        }
        let failed = |e: json_patch::PatchError| PatchError::Unprocessable(e.kind.to_string());
        json_patch::patch_unsafe(&mut doc, &[operation]).map_err(failed)?;
    }
    Ok(doc)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::apiserver::testing::any_json;

    #[test]
    fn operations_apply_in_order() {
        let doc = json!({"a": {"b": [1, 2]}, "l/~": 1});
        let patched = apply(
            &doc,
            &json!([
                {"op": "test", "path": "/a/b/0", "value": 1},
                {"op": "add", "path": "/a/b/-", "value": 3},
                {"op": "replace", "path": "/a/b/0", "value": 0},
                {"op": "remove", "path": "/l~1~0"},
                {"op": "copy", "from": "/a/b", "path": "/c"},
                {"op": "move", "from": "/a/b", "path": "/a/d"},
            ]),
        );
        assert_eq!(patched.unwrap(), json!({"a": {"d": [0, 2, 3]}, "c": [0, 2, 3]}));
    }

    #[test]
    fn a_failure_has_its_status() {
        let doc = json!({"a": 1});
        for (patch, code) in [
            (json!({"op": "add"}), 400),
            (json!([{"op": "frobnicate", "path": "/a"}]), 400),
            (json!([{"op": "test", "path": "/a", "value": 2}]), 422),
            (json!([{"op": "remove", "path": "/b"}]), 422),
            (json!(vec![json!({"op": "test", "path": "/a", "value": 1}); 10_001]), 413),
        ] {
            assert_eq!(apply(&doc, &patch).unwrap_err().code(), code, "{patch:.40}");
        }
    }

    #[test]
    fn copies_cannot_explode() {
        let copies = vec![json!({"op": "copy", "from": "", "path": "/a/-"}); 60];
        assert_eq!(apply(&json!({"a": ["x"]}), &json!(copies)).unwrap_err().code(), 413);
    }

    proptest! {
        #[test]
        fn nothing_panics(doc in any_json(), op in "add|remove|replace|move|copy|test", path in "(/[a-c0-3-]){0,3}",
            from in "(/[a-c0-3-]){0,3}", value in any_json()) {
            let _ = apply(&doc, &json!([{"op": op, "path": path, "from": from, "value": value}]));
        }
    }
}
