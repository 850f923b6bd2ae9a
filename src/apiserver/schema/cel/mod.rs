//! Validation rules in CEL (`x-kubernetes-validations`, KEP-2876).
//!
//! Rules are parsed once, when the schema is compiled. Evaluation walks only where rules are, and converts only those
//! fields of `self` and `oldSelf` that a rule names.

mod evaluate;
mod field_name;
mod rule;
mod script;
mod types;
mod uses;
mod value;

pub(super) use self::evaluate::evaluate;
pub(super) use self::rule::compile_rules;
pub(crate) use self::{
    rule::Rule,
    script::{Scope, Script},
};
