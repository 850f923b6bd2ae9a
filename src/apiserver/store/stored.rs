//! One stored object in one revision.

use bytes::Bytes;
use serde_json::Value;

use super::{key::Key, labels::Labels};

/// One object as it was at one revision. Never changes.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Its name.
    pub key: Key,
    /// The revision that wrote it; also `metadata.resourceVersion` in its JSON.
    pub revision: u64,
    /// The object in its stored version, as JSON text.
    pub json: Bytes,
    /// Its unique id.
    pub uid: Box<str>,
    /// Its labels.
    pub labels: Labels,
    /// Who owns it.
    pub owners: Box<[Owner]>,
    /// Whether it waits for finalizers to be gone (`metadata.deletionTimestamp`).
    pub deleting: bool,
}

/// One owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// `apiVersion` of the owner.
    pub api_version: Box<str>,
    /// Kind of the owner.
    pub kind: Box<str>,
    /// Name of the owner.
    pub name: Box<str>,
    /// Unique id of the owner.
    pub uid: Box<str>,
    /// Whether foreground deletion of the owner waits for this object.
    pub blocks: bool,
}

impl Stored {
    /// Writes `object` down at `revision`, which becomes its `resourceVersion`.
    pub(crate) fn new(key: Key, revision: u64, mut object: Value) -> Stored {
        set_revision(&mut object, revision);
        // JSON values always serialize: their keys are text and their numbers finite.
        let json = serde_json::to_vec(&object).unwrap_or_default().into();
        Stored::describe(key, revision, json, &object)
    }

    /// Reads an object back.
    pub(super) fn read(key: Key, revision: u64, json: Bytes) -> Result<Stored, serde_json::Error> {
        let object: Value = serde_json::from_slice(&json)?;
        Ok(Stored::describe(key, revision, json, &object))
    }

    fn describe(key: Key, revision: u64, json: Bytes, object: &Value) -> Stored {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let owners = metadata.get("ownerReferences").and_then(Value::as_array);
        Stored {
            uid: text(metadata, "uid"),
            labels: Labels::of(object),
            owners: owners.into_iter().flatten().map(Owner::read).collect(),
            deleting: metadata.get("deletionTimestamp").is_some_and(Value::is_string),
            key,
            revision,
            json,
        }
    }

    /// The object, read anew: the caller may change it.
    pub(crate) fn value(&self) -> Value {
        // What `new` wrote, or what `read` could read.
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}

impl Owner {
    fn read(reference: &Value) -> Owner {
        Owner {
            api_version: text(reference, "apiVersion"),
            kind: text(reference, "kind"),
            name: text(reference, "name"),
            uid: text(reference, "uid"),
            blocks: reference.get("blockOwnerDeletion") == Some(&Value::Bool(true)),
        }
    }
}

/// Writes `metadata.resourceVersion`.
pub(super) fn set_revision(object: &mut Value, revision: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
}

fn text(value: &Value, field: &str) -> Box<str> {
    value.get(field).and_then(Value::as_str).unwrap_or_default().into()
}
