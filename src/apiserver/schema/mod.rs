//! Structural schemas: pruning, defaulting and validation of untyped objects, as kube-apiserver does it for custom
//! resources.
//!
//! A [`Schema`] is compiled once from an OpenAPI v3 document and then shared; every operation walks the schema and the
//! object together.

mod cel;
mod compile;
mod defaults;
mod error;
mod format;
mod identity;
mod node;
mod number;
mod object_meta;
mod pattern;
mod prune;
mod structural;
mod validate;

use serde_json::{Value, json};

pub use self::error::{FieldError, FieldErrorKind};
pub(crate) use self::{
    cel::{Scope, Script},
    error::quote,
    node::{ListType, Node, Types},
    number::compare as compare_numbers,
};

/// A compiled structural schema of one kind in one version.
#[derive(Debug)]
pub struct Schema {
    root: Node,
    status_subresource: bool,
    status_brings_metadata: bool,
    blank: Value,
}

impl Schema {
    /// Compiles the `openAPIV3Schema` of a kind.
    ///
    /// # Errors
    /// Everything that makes the document no structural schema, worded and located as kube-apiserver does when a
    /// CustomResourceDefinition is written. Paths start below `openAPIV3Schema`, without a leading dot.
    pub fn compile(open_api_v3: &Value) -> Result<Schema, Vec<FieldError>> {
        let errors = structural::check(open_api_v3);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Schema::of(compile::root(open_api_v3)?))
    }

    /// The schema that keeps and accepts everything (`x-kubernetes-preserve-unknown-fields` at the root).
    #[must_use]
    pub fn open() -> Schema {
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        Schema::of(compile::root(&open).unwrap_or_default())
    }

    fn of(root: Node) -> Schema {
        let status_subresource = root.properties.contains_key("status");
        Schema { root, status_subresource, status_brings_metadata: false, blank: json!({}) }
    }

    /// Says what an object is before anybody says anything, so that what is always there is owned by nobody: the empty
    /// structs of Go, for built-in kinds. Nothing, unless said.
    #[must_use]
    pub fn with_blank(mut self, blank: Value) -> Schema {
        self.blank = blank;
        self
    }

    /// What an object is before anybody says anything.
    pub(crate) const fn blank(&self) -> &Value {
        &self.blank
    }

    /// Says whether the kind has a status subresource, so that requests through the main resource do not own fields of
    /// `status`. Assumed where the schema has a `status`.
    #[must_use]
    pub fn with_status_subresource(mut self, has: bool) -> Schema {
        self.status_subresource = has;
        self
    }

    /// Whether the kind has a status subresource.
    pub(crate) const fn has_status_subresource(&self) -> bool {
        self.status_subresource
    }

    /// Says that a request through the status subresource may write metadata as well, as for most built-in kinds.
    #[must_use]
    pub fn with_metadata_beside_status(mut self, has: bool) -> Schema {
        self.status_brings_metadata = has;
        self
    }

    /// Whether a request through the status subresource may write metadata as well.
    pub(crate) const fn has_metadata_beside_status(&self) -> bool {
        self.status_brings_metadata
    }

    /// Drops the fields that the schema does not know and returns their paths (`spec.list[0].extra`), sorted.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(&self.root, object)
    }

    /// Fills absent fields that have a default, replaces `null` by the default where the schema is not nullable, and
    /// drops the other `null`s of fields that are not nullable.
    pub fn apply_defaults(&self, object: &mut Value) {
        defaults::drop_nulls(&self.root, object);
        defaults::fill(&self.root, object);
    }

    /// Fills defaults as [`Schema::apply_defaults`] does, but leaves other `null`s in place, as server-side apply does.
    pub fn fill_defaults(&self, object: &mut Value) {
        defaults::fill(&self.root, object);
    }

    /// Everything that is wrong with `object`. With `old`, what was already wrong and did not change is forgiven
    /// (ratcheting, KEP-4008), and transition rules are evaluated.
    #[must_use]
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        self.validate_beside(object, old, Vec::new())
    }

    /// Like [`Schema::validate`], with what else is wrong with the object's shape: rules are told of after it.
    #[must_use]
    pub(crate) fn validate_beside(
        &self,
        object: &Value,
        old: Option<&Value>,
        beside: Vec<FieldError>,
    ) -> Vec<FieldError> {
        let mut errors = validate::check(&self.root, object, old);
        // As upstream, lists that already had duplicates are not looked at again.
        let duplicates = |of: &Value| identity::duplicates(&self.root, of);
        if old.is_none_or(|old| duplicates(old).is_empty()) {
            errors.extend(duplicates(object));
        }
        errors.extend(beside);
        if self.root.rules_within {
            if errors.iter().any(blocks_rules) {
                errors.extend(self.unchecked_rules());
            } else {
                errors.extend(cel::evaluate(&self.root, object, old));
            }
        }
        errors
    }

    /// What is said when rules are not evaluated because of what else is wrong; nothing without rules.
    pub(crate) fn unchecked_rules(&self) -> Option<FieldError> {
        let error = || FieldError::invalid("<nil>", &Value::Null, RULES_NOT_CHECKED);
        self.root.rules_within.then(error)
    }

    /// The node of whole objects.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// Said instead of evaluating rules over a value whose shape is wrong.
const RULES_NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; correct the \
                                 existing errors to complete validation";

/// Whether rules make no sense over an object with this error.
fn blocks_rules(error: &FieldError) -> bool {
    use FieldErrorKind as K;
    matches!(error.kind, K::NotSupported | K::Required | K::TooLong | K::TooMany | K::TypeInvalid)
}

#[cfg(test)]
mod tests;
