//! What to write.

use kube::core::{ObjectMeta, TypeMeta};
use serde_json::Value;

use crate::api::Kind;

/// Objects of one kind to write, in this order: create, edit, delete. A crash in between leaves a state that the next
/// judgement recognizes and completes.
#[derive(Clone, Debug)]
pub struct Plan<T> {
    /// Whole objects.
    pub create: Vec<T>,
    /// Names and merge patches.
    pub edit: Vec<(String, Value)>,
    /// Names.
    pub delete: Vec<String>,
}

impl<T> Default for Plan<T> {
    fn default() -> Self {
        Self { create: Vec::new(), edit: Vec::new(), delete: Vec::new() }
    }
}

impl<T> Plan<T> {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.edit.is_empty() && self.delete.is_empty()
    }
}

/// Returns apiVersion and kind for a new object.
pub fn types(kind: Kind) -> Option<TypeMeta> {
    Some(TypeMeta { api_version: kind.api_version(), kind: kind.name.to_owned() })
}

/// Returns the value of a label, or nothing.
pub(super) fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// Returns the value of an annotation, or nothing.
pub(super) fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Returns labels or annotations.
pub(super) fn pairs<const N: usize>(
    pairs: [(&str, String); N],
) -> std::collections::BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
