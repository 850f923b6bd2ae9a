//! Which objects of a collection a request is about.

use super::Call;
use crate::apiserver::{
    builtin::selectable,
    failure::Failure,
    registry::Resource,
    selector::{FieldSelector, LabelSelector},
    store::Stored,
};

/// A label and a field selector that both must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Call {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(super) fn selection(&self) -> Result<Selection, Failure> {
        let refuse = |error: crate::apiserver::selector::SelectorError| {
            Failure::bad_request(error.to_string())
        };
        let label_text = self.query.get("labelSelector").unwrap_or_default();
        let labels = LabelSelector::parse(label_text).map_err(refuse)?;
        let mut text = self.query.get("fieldSelector").unwrap_or_default().to_owned();
        if let Some(name) = &self.name {
            // The old way to watch one object.
            text = format!("{text},metadata.name={name}");
        }
        let fields = FieldSelector::parse(&text).map_err(refuse)?;
        let definition = self.definition();
        for path in fields.paths() {
            let is_known = path == "metadata.name"
                || path == "metadata.namespace"
                || definition.selectable_fields.iter().any(|known| known == path);
            if is_known {
                continue;
            }
            let why = format!("field label not supported: {path}");
            let is_plain = definition.builtin && definition.selectable_fields.is_empty();
            return Err(Failure::bad_request(if is_plain {
                format!(
                    "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                )
            } else {
                why
            }));
        }
        Ok(Selection { labels, fields })
    }
}

impl Selection {
    /// Whether everything is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether a stored object is selected, as clients of `resource` see it.
    pub(super) fn matches(&self, resource: &Resource, stored: &Stored) -> bool {
        if !self.labels.is_empty() && !self.labels.matches_labels(|key| stored.labels.get(key)) {
            return false;
        }
        if self.fields.is_empty() {
            return true;
        }
        // The key often says enough, and reading the object costs more.
        let may_be =
            |path: &str, is: &str| self.fields.required(path).is_none_or(|name| name == is);
        may_be("metadata.name", &stored.key.name)
            && may_be("metadata.namespace", &stored.key.namespace)
            && (self.asks_for_a_name_only()
                || self.fields.matches(&selectable(&resource.definition, resource.read(stored))))
    }

    fn asks_for_a_name_only(&self) -> bool {
        self.fields.paths().count() == 1 && self.fields.required("metadata.name").is_some()
    }
}
