//! JSON patch (RFC 6902), as kube-apiserver's library reads it: `replace` also adds the key of a map, `copy` and `test`
//! take what is absent as null, a value that is left out is null, and indexes may count from the end.

use serde_json::{Map, Value};

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
    let operations = match patch {
        Value::Null => return Ok(doc.clone()),
        Value::Array(operations) => operations,
        other => {
            return Err(PatchError::Malformed(format!(
                "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                super::json_kind(other)
            )));
        }
    };
    let count = operations.len();
    if count > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
        )));
    }
    let mut doc = doc.clone();
    let mut copied = 0;
    for operation in operations {
        let operation = operation.as_object().ok_or_else(|| {
            PatchError::Malformed(format!(
                "error decoding patch: json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                super::json_kind(operation)
            ))
        })?;
        perform(&mut doc, operation, &mut copied)?;
    }
    Ok(doc)
}

fn perform(
    doc: &mut Value,
    operation: &Map<String, Value>,
    copied: &mut usize,
) -> Result<(), PatchError> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let pointer =
        |name: &str| text(name).ok_or_else(|| does_not_apply(&format!("unable to decode {name}")));
    let value = operation.get("value").cloned().unwrap_or(Value::Null);
    match text("op") {
        Some("add") => add(doc, pointer("path")?, value),
        Some("remove") => remove(doc, pointer("path")?).map(drop),
        Some("replace") => {
            *place(doc, pointer("path")?)? = value;
            Ok(())
        }
        Some("move") => {
            let moved = remove(doc, pointer("from")?)?;
            add(doc, pointer("path")?, moved)
        }
        Some("copy") => {
            let source = find(doc, pointer("from")?)?.cloned().unwrap_or(Value::Null);
            *copied += source.to_string().len();
            if *copied > MAX_COPIED {
                return Err(PatchError::TooLarge(format!(
                    "the accumulated size of copied values exceeds the limit of {MAX_COPIED} bytes"
                )));
            }
            add(doc, pointer("path")?, source)
        }
        Some("test") => match find(doc, pointer("path")?)? {
            Some(found) if *found == value => Ok(()),
            None if value.is_null() => Ok(()),
            _ => Err(does_not_apply("testing value failed")),
        },
        _ => Err(does_not_apply("unexpected kind of operation")),
    }
}

fn does_not_apply(why: &str) -> PatchError {
    PatchError::Unprocessable(why.to_owned())
}

/// The container and the last key of a pointer; none for the whole document.
fn split<'d>(
    doc: &'d mut Value,
    pointer: &str,
) -> Result<Option<(&'d mut Value, String)>, PatchError> {
    let missing = || does_not_apply("doc is missing path");
    let Some(path) = pointer.strip_prefix('/') else {
        return if pointer.is_empty() { Ok(None) } else { Err(missing()) };
    };
    let mut keys: Vec<String> = path.split('/').map(unescape).collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = doc;
    for key in keys {
        at = match at {
            Value::Object(map) => map.get_mut(&key),
            Value::Array(items) => {
                index(&key, items.len()).ok().and_then(|index| items.get_mut(index))
            }
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    if at.is_object() || at.is_array() { Ok(Some((at, last))) } else { Err(missing()) }
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// The place that an index means in a list of so many items. It may be one past the end.
fn index(text: &str, length: usize) -> Result<usize, PatchError> {
    let out_of_range = || does_not_apply("index is out of range");
    let number: i64 = text.parse().map_err(|_| does_not_apply("index is no number"))?;
    let length = i64::try_from(length).map_err(|_| out_of_range())?;
    let from_start = if number < 0 { number + length } else { number };
    usize::try_from(from_start).ok().filter(|i| *i as i64 <= length).ok_or_else(out_of_range)
}

fn find<'d>(doc: &'d mut Value, pointer: &str) -> Result<Option<&'d Value>, PatchError> {
    if pointer.is_empty() {
        return Ok(Some(doc));
    }
    match split(doc, pointer)? {
        Some((Value::Object(map), key)) => Ok(map.get(&key)),
        Some((Value::Array(items), key)) => {
            let at = index(&key, items.len())?;
            items.get(at).map(Some).ok_or_else(|| does_not_apply("index is out of range"))
        }
        _ => Ok(None),
    }
}

/// What a pointer means, to be replaced. The key of a map is made where it is absent.
fn place<'d>(doc: &'d mut Value, pointer: &str) -> Result<&'d mut Value, PatchError> {
    if pointer.is_empty() {
        return Ok(doc);
    }
    match split(doc, pointer)? {
        Some((Value::Object(map), key)) => Ok(map.entry(key).or_insert(Value::Null)),
        Some((Value::Array(items), key)) => {
            let at = index(&key, items.len())?;
            items.get_mut(at).ok_or_else(|| does_not_apply("index is out of range"))
        }
        _ => Err(does_not_apply("doc is missing path")),
    }
}

fn add(doc: &mut Value, pointer: &str, value: Value) -> Result<(), PatchError> {
    if pointer.is_empty() {
        *doc = value;
        return Ok(());
    }
    match split(doc, pointer)? {
        Some((Value::Object(map), key)) => {
            map.insert(key, value);
        }
        Some((Value::Array(items), key)) if key == "-" => items.push(value),
        Some((Value::Array(items), key)) => {
            let at = index(&key, items.len())?;
            items.insert(at, value);
        }
        _ => {}
    }
    Ok(())
}

fn remove(doc: &mut Value, pointer: &str) -> Result<Value, PatchError> {
    match split(doc, pointer)? {
        Some((Value::Object(map), key)) => {
            map.remove(&key).ok_or_else(|| does_not_apply("unable to remove nonexistent key"))
        }
        Some((Value::Array(items), key)) => {
            let at = index(&key, items.len())?;
            if at == items.len() {
                return Err(does_not_apply("index is out of range"));
            }
            Ok(items.remove(at))
        }
        _ => Err(does_not_apply("the whole document cannot be removed")),
    }
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
            (json!([{"op": "frobnicate", "path": "/a"}]), 422),
            (json!([{"op": "replace", "path": "/x/b", "value": 1}]), 422),
            (json!([{"op": "test", "path": "/a", "value": 2}]), 422),
            (json!([{"op": "remove", "path": "/b"}]), 422),
            (json!(vec![json!({"op": "test", "path": "/a", "value": 1}); 10_001]), 413),
        ] {
            assert_eq!(apply(&doc, &patch).unwrap_err().code(), code, "{patch:.40}");
        }
    }

    #[test]
    fn absent_keys_are_null_to_all_but_remove() {
        let doc = json!({"l": [1, 2]});
        let patch = json!([
            {"op": "replace", "path": "/a", "value": 1},
            {"op": "copy", "from": "/z", "path": "/b"},
            {"op": "test", "path": "/z", "value": null},
            {"op": "add", "path": "/c"},
            {"op": "remove", "path": "/l/-1"},
        ]);
        let patched = json!({"a": 1, "b": null, "c": null, "l": [1]});
        assert_eq!(apply(&doc, &patch).unwrap(), patched);
        assert_eq!(apply(&doc, &Value::Null).unwrap(), doc);
    }

    #[test]
    fn copies_cannot_explode() {
        let copies = vec![json!({"op": "copy", "from": "", "path": "/a/-"}); 60];
        assert_eq!(apply(&json!({"a": ["x"]}), &json!(copies)).unwrap_err().code(), 413);
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn nothing_panics(doc in any_json(), op in "add|remove|replace|move|copy|test", path in "(/[a-c0-3-]){0,3}",
            from in "(/[a-c0-3-]){0,3}", value in any_json()) {
            let _ = apply(&doc, &json!([{"op": op, "path": path, "from": from, "value": value}]));
        }
    }
}
