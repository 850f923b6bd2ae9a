//! Types as values: `type(self) == int`, which the interpreter lacks and Kubernetes rules use for int-or-string.

use std::sync::Arc;

use kube_cel::cel::{
    Context, ResolveResult, Value,
    objects::{Opaque, ValueType},
};

#[derive(Debug, PartialEq, Eq)]
struct TypeName(&'static str);

impl Opaque for TypeName {
    fn runtime_type_name(&self) -> &str {
        "type"
    }
}

/// The types by the names that rules use.
const NAMES: [&str; 10] =
    ["bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "uint"];

/// Adds the function `type`, the names of types, and `dyn`, which only matters to type checkers.
pub(super) fn register(context: &mut Context<'_>) {
    for name in NAMES {
        context.add_variable_from_value(name, of(name));
    }
    context.add_function("type", |value: Value| -> ResolveResult { Ok(of(name(&value))) });
    context.add_function("dyn", |value: Value| -> ResolveResult { Ok(value) });
}

fn of(name: &'static str) -> Value {
    Value::Opaque(Arc::new(TypeName(name)))
}

fn name(value: &Value) -> &'static str {
    match value.type_of() {
        ValueType::List => "list",
        ValueType::Map => "map",
        ValueType::Int => "int",
        ValueType::UInt => "uint",
        ValueType::Float => "double",
        ValueType::String => "string",
        ValueType::Bytes => "bytes",
        ValueType::Bool => "bool",
        ValueType::Duration => "duration",
        ValueType::Timestamp => "google.protobuf.Timestamp",
        ValueType::Null => "null_type",
        ValueType::Function | ValueType::Opaque => "type",
    }
}
