//! The labels of a stored object, small.

use serde_json::Value;

/// Labels, sorted by key. A list by label looks at them without reading the object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The labels of `object`.
    pub(super) fn of(object: &Value) -> Labels {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        // Maps of JSON are sorted here, so these are.
        let pairs = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())));
        Labels(pairs.collect())
    }

    /// The value of a label.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }
}
