//! Structural schemas: pruning, defaulting and validation of untyped objects, as kube-apiserver does it for custom
//! resources.
//!
//! A [`Schema`] is compiled once from an OpenAPI v3 document and then shared; every operation walks the schema and the
//! object together.

mod error;

use serde_json::Value;

pub use self::error::{FieldError, FieldErrorKind};

/// A compiled structural schema of one kind in one version.
#[derive(Debug, Default)]
pub struct Schema {}

impl Schema {
    /// Compiles the `openAPIV3Schema` of a kind.
    ///
    /// # Errors
    /// Everything that makes the document no structural schema, worded and located as kube-apiserver does when a
    /// CustomResourceDefinition is written. Paths start below `openAPIV3Schema`.
    pub fn compile(_open_api_v3: &Value) -> Result<Schema, Vec<FieldError>> {
        Ok(Schema::default())
    }

    /// The schema that keeps and accepts everything (`x-kubernetes-preserve-unknown-fields` at the root).
    #[must_use]
    pub fn open() -> Schema {
        Schema::default()
    }

    /// Drops the fields that the schema does not know and returns their paths (`spec.list[0].extra`), sorted.
    pub fn prune(&self, _object: &mut Value) -> Vec<String> {
        Vec::new()
    }

    /// Fills absent fields that have a default, and drops `null` where the schema has a default but is not nullable.
    pub fn apply_defaults(&self, _object: &mut Value) {}

    /// Everything that is wrong with `object`. With `old`, what was already wrong and did not change is forgiven
    /// (ratcheting, KEP-4008), and transition rules are evaluated.
    #[must_use]
    pub fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        Vec::new()
    }
}
