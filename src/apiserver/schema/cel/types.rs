//! What the interpreter lacks or does without a bound: types as values (`type(self) == int`, which Kubernetes rules use
//! for int-or-string), and a `lists.range` that cannot fill the memory.

use std::sync::Arc;

use kube_cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
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

/// How many items `lists.range` makes at most.
pub(super) const MAX_RANGE: i64 = 10_000;

/// Adds the function `type`, the names of types, `dyn`, which only matters to type checkers, and `lists.range`.
pub(super) fn register(context: &mut Context<'_>) {
    for name in NAMES {
        context.add_variable_from_value(name, of(name));
    }
    context.add_function("type", |value: Value| -> ResolveResult { Ok(of(name(&value))) });
    context.add_function("dyn", |value: Value| -> ResolveResult { Ok(value) });
    context.add_function("lists.range", |length: i64| -> ResolveResult {
        if (0..=MAX_RANGE).contains(&length) {
            Ok(Value::List(Arc::new((0..length).map(Value::Int).collect())))
        } else {
            let text = format!("length {length} is not between 0 and {MAX_RANGE}");
            Err(ExecutionError::function_error("lists.range", text))
        }
    });
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
