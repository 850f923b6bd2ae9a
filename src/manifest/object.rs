//! Documents to objects.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{Document, Place};
use crate::model::ObjectKey;

/// One Kubernetes object of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What it is.
    pub key: ObjectKey,
    /// Where it stands.
    pub place: Place,
    /// Which document of its file, from 0.
    pub document: usize,
    /// Where in the document: empty, or `/items/…` in a `List`.
    pub pointer: String,
    /// The whole object.
    pub object: Value,
}

impl Manifest {
    /// Returns `metadata.namespace`, if it is given.
    pub fn namespace(&self) -> Option<&str> {
        (!self.key.namespace.is_empty()).then_some(self.key.namespace.as_str())
    }

    /// Returns the object's `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A document is not a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct ObjectError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub detail: String,
}

/// How deep `List`s may stand in `List`s.
const LISTS_DEEP: usize = 8;

/// Returns the objects of a document: itself, or the items of a `List` kind.
///
/// # Errors
/// When it has no apiVersion, kind or name, or one of a wrong shape.
pub fn manifests(document: Document) -> Result<Vec<Manifest>, ObjectError> {
    let mut found = Vec::new();
    let Document { place, number, value } = document;
    collect(&place, number, String::new(), value, 0, &mut found)?;
    Ok(found)
}

fn collect(
    place: &Place,
    number: usize,
    pointer: String,
    mut object: Value,
    depth: usize,
    into: &mut Vec<Manifest>,
) -> Result<(), ObjectError> {
    let which = if pointer.is_empty() { String::new() } else { format!("`{pointer}`: ") };
    let wrong =
        |detail: &str| ObjectError { place: place.clone(), detail: format!("{which}{detail}") };
    let Some(map) = object.as_object_mut() else {
        return Err(wrong("not a Kubernetes object: expected fields such as apiVersion and kind"));
    };
    let text = |map: &Map<String, Value>, field: &str| match map.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::String(_)) | None | Some(Value::Null) => {
            Err(wrong(&format!("the object has no {field}")))
        }
        Some(_) => Err(wrong(&format!("{field} is not a string; quotes would make it one"))),
    };
    let (api_version, kind) = (text(map, "apiVersion")?, text(map, "kind")?);
    if kind.ends_with("List") && map.contains_key("items") {
        let Some(Value::Array(items)) = map.remove("items") else {
            return Err(wrong("items is not a list"));
        };
        if depth == LISTS_DEEP {
            return Err(wrong("lists are nested too deeply"));
        }
        for (at, item) in items.into_iter().enumerate() {
            collect(place, number, format!("{pointer}/items/{at}"), item, depth + 1, into)?;
        }
        return Ok(());
    }
    let Some(Value::Object(metadata)) = map.get("metadata") else {
        return Err(wrong("the object has no metadata"));
    };
    let name = text(metadata, "name").map_err(|error| ObjectError {
        detail: error.detail.replace("the object has no name", "the object has no metadata.name"),
        ..error
    })?;
    if !is_path_segment(&name) {
        return Err(wrong("metadata.name cannot be a part of an address"));
    }
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(namespace)) if namespace.is_empty() || is_path_segment(namespace) => {
            namespace.clone()
        }
        Some(_) => return Err(wrong("metadata.namespace is not a name")),
    };
    let group = ObjectKey::group_of(&api_version).to_owned();
    if api_version == "v1" && kind == "Secret" {
        fold_texts(map);
    }
    let key = ObjectKey { group, kind, namespace, name };
    into.push(Manifest { key, place: place.clone(), document: number, pointer, object });
    Ok(())
}

/// Folds a Secret's `stringData` into `data`, as every API server does when it stores one: only of what it stores can
/// anybody say whose it is, and whether it is still so. What a server would refuse is left for it to refuse.
fn fold_texts(secret: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = secret.get("stringData") else { return };
    let encoded = texts
        .iter()
        .map(|(name, text)| Some((name.clone(), STANDARD.encode(text.as_str()?).into())));
    let Some(encoded) = encoded.collect::<Option<Vec<(String, Value)>>>() else { return };
    let data = match secret.get("data") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(data)) => data.clone(),
        Some(_) => return,
    };
    let data = data.into_iter().chain(encoded).collect();
    secret.insert("data".to_owned(), Value::Object(data));
    secret.remove("stringData");
}

/// Kubernetes' rule for names that become parts of a URL; each kind has stricter ones, which the hub knows.
fn is_path_segment(name: &str) -> bool {
    !matches!(name, "." | "..") && name.len() <= 253 && !name.contains(['/', '%', '\0', '\n'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Vec<Manifest>, String> {
        let document = Document { place: Place::new("a.yaml", 3, 1), number: 0, value };
        manifests(document).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_flattened() {
        let item = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            item("a"),
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [item("b")]},
        ]});
        let found = read(list).unwrap();
        let found: Vec<_> = found.iter().map(|m| (m.key.to_string(), m.pointer.as_str())).collect();
        assert_eq!(
            found,
            [
                ("ConfigMap n/a".to_owned(), "/items/0"),
                ("ConfigMap n/b".to_owned(), "/items/1/items/0")
            ]
        );
        assert!(read(json!({"apiVersion": "v1", "kind": "List", "items": []})).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (value, want) in [
            (json!("text"), "not a Kubernetes object"),
            (json!([]), "not a Kubernetes object"),
            (json!({"kind": "A"}), "no apiVersion"),
            (json!({"apiVersion": "v1", "kind": ""}), "no kind"),
            (json!({"apiVersion": 1, "kind": "A"}), "apiVersion is not a string"),
            (json!({"apiVersion": "v1", "kind": "A"}), "no metadata"),
            (json!({"apiVersion": "v1", "kind": "A", "metadata": {}}), "no metadata.name"),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a/b"}}),
                "part of an address",
            ),
            (
                json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "namespace": 3}}),
                "metadata.namespace",
            ),
            (json!({"apiVersion": "v1", "kind": "List", "items": {}}), "items is not a list"),
            (
                json!({"apiVersion": "v1", "kind": "List", "items": [{"kind": "A"}]}),
                "a.yaml:3:1: `/items/0`: the object has no apiVersion",
            ),
        ] {
            let error = read(value.clone()).unwrap_err();
            assert!(error.contains(want), "{value}: {error}");
        }
    }

    #[test]
    fn texts_of_a_secret_are_its_data() {
        let secret = |data: Value, texts: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data, "stringData": texts});
        for (data, texts, folded) in [
            (json!(null), json!({"a": "one"}), Some(json!({"a": "b25l"}))),
            (
                json!({"a": "eA==", "b": "eQ=="}),
                json!({"a": "one"}),
                Some(json!({"a": "b25l", "b": "eQ=="})),
            ),
            (json!({"b": "eQ=="}), json!({}), Some(json!({"b": "eQ=="}))),
            // The hub says what is wrong with these.
            (json!(null), json!({"a": 1}), None),
            (json!(null), json!("one"), None),
            (json!("x"), json!({"a": "one"}), None),
        ] {
            let given = secret(data, texts);
            let read = read(given.clone()).unwrap().remove(0).object;
            match folded {
                Some(folded) => {
                    assert_eq!((&read["data"], read.get("stringData")), (&folded, None), "{given}");
                }
                None => assert_eq!(read, given),
            }
        }
        let other = json!({"apiVersion": "example.com/v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "one"}});
        assert_eq!(read(other.clone()).unwrap()[0].object, other);
    }
}
