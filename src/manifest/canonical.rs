//! One spelling for one meaning.

use serde_json::Value;

use super::Manifest;
use crate::model::Digest;

/// Returns the canonical form of an object: without fields that are null or that the hub owns, and without empty
/// labels and annotations. Keys are sorted by `serde_json`.
pub fn canonical(object: &Value) -> Value {
    let mut object = without_null(object);
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
        if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
            for field in
                ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"]
            {
                metadata.remove(field);
            }
            for field in ["labels", "annotations"] {
                if metadata.get(field).and_then(Value::as_object).is_some_and(|map| map.is_empty())
                {
                    metadata.remove(field);
                }
            }
        }
    }
    object
}

/// A null says the same as nothing in an object, and something else in a list.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_null(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.iter().map(without_null).collect()),
        other => other.clone(),
    }
}

/// Returns the digest of objects: of their canonical forms in the order of their keys. Files, documents, formatting
/// and order do not matter.
pub fn digest(manifests: &[Manifest]) -> Digest {
    let mut sorted: Vec<&Manifest> = manifests.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut text = String::from("tidegate content v1\n");
    for manifest in sorted {
        // One object a line: JSON has no raw line break.
        text.push_str(&canonical(&manifest.object).to_string());
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Limits, decode, manifests};

    fn of(text: &str) -> Digest {
        let documents = decode("a.yaml", text.as_bytes(), &Limits::default()).unwrap();
        let all: Vec<_> = documents.into_iter().flat_map(|d| manifests(d).unwrap()).collect();
        digest(&all)
    }

    #[test]
    fn formatting_and_order_do_not_matter_but_values_do() {
        let a = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n";
        let b = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
        let spelled = "# a comment\nkind: ConfigMap\napiVersion: \"v1\"\ndata:\n  k: 'v'\nmetadata:\n  name: a\n  labels: {}\n  annotations: null\nstatus: {}\n";
        assert_eq!(of(a), of(spelled));
        assert_eq!(of(&format!("{a}---\n{b}")), of(&format!("{b}---\n{a}")));
        assert_ne!(of(a), of(&a.replace("k: v", "k: w")));
        assert_ne!(of(a), of(b));
        assert_ne!(of(a), of(""));
    }
}
