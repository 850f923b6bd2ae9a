//! Tables over whole schemas.

mod rules;
mod settle;
mod values;

use serde_json::{Value, json};

use super::Schema;

/// A schema whose `spec` is `spec`.
fn with_spec(spec: Value) -> Schema {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    Schema::compile(&schema).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn fields(properties: Value) -> Schema {
    with_spec(json!({"type": "object", "properties": properties}))
}

fn errors(schema: &Schema, spec: Value) -> Vec<String> {
    schema.validate(&json!({"spec": spec}), None).iter().map(ToString::to_string).collect()
}
