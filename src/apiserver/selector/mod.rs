//! Label and field selectors in their query-parameter syntax.

mod field;
mod label;

pub use self::{field::FieldSelector, label::LabelSelector};

/// Why a selector cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);
