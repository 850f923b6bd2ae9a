//! From JSON to the values that rules see.

use std::{collections::HashMap, sync::Arc};

use base64::Engine as _;
use kube_cel::cel::{
    Context, Value as CelValue,
    objects::{Key, Map as CelMap},
    parser::{Expression, Parser},
};
use serde_json::{Number, Value};

use super::{
    field_name::{escape, unescape},
    uses::Part,
};
use crate::apiserver::schema::{
    format::Format,
    node::{Node, Types},
};

/// Converts values and measures them, which bounds every loop of a rule.
pub(super) struct Converter<'c> {
    /// With the functions `timestamp` and `duration`.
    pub(super) context: &'c Context<'static>,
    /// The length of the longest list or map.
    pub(super) longest: u64,
    /// The length of the longest text, in bytes.
    pub(super) longest_text: u64,
}

impl Converter<'_> {
    /// The part of `value` that a rule reads.
    pub(super) fn part(&mut self, value: &Value, node: Option<&Node>, part: &Part) -> CelValue {
        let (Value::Object(map), false) = (value, part.whole) else {
            return self.whole(value, node);
        };
        let mut out = HashMap::with_capacity(part.fields.len());
        for (name, below) in &part.fields {
            let is_map = node.is_some_and(|n| n.additional.is_some() && n.properties.is_empty());
            let key = if is_map { name.clone() } else { unescape(name) };
            if let Some(value) = map.get(&key) {
                let child = node.and_then(|n| n.child(&key));
                out.insert(Key::String(Arc::new(name.clone())), self.part(value, child, below));
            }
        }
        CelValue::Map(CelMap { map: Arc::new(out) })
    }

    /// All of a value, of which no schema is known.
    pub(super) fn any(&mut self, value: &Value) -> CelValue {
        self.whole(value, None)
    }

    fn whole(&mut self, value: &Value, node: Option<&Node>) -> CelValue {
        match value {
            Value::Null => CelValue::Null,
            Value::Bool(b) => CelValue::Bool(*b),
            Value::Number(n) => number(n, node),
            Value::String(text) => self.text(text, node),
            Value::Array(items) => {
                self.longest = self.longest.max(items.len() as u64);
                let child = node.and_then(|n| n.items.as_deref());
                CelValue::List(Arc::new(items.iter().map(|i| self.whole(i, child)).collect()))
            }
            Value::Object(map) => {
                self.longest = self.longest.max(map.len() as u64);
                let mut out = HashMap::with_capacity(map.len());
                for (key, below) in map {
                    // Keys of maps are data, names of fields are names.
                    let declared = node.is_some_and(|n| n.properties.contains_key(key));
                    let name = if declared { escape(key) } else { key.clone() };
                    let child = node.and_then(|n| n.child(key));
                    out.insert(Key::String(Arc::new(name)), self.whole(below, child));
                }
                CelValue::Map(CelMap { map: Arc::new(out) })
            }
        }
    }

    fn text(&mut self, text: &str, node: Option<&Node>) -> CelValue {
        self.longest_text = self.longest_text.max(text.len() as u64);
        let string = || CelValue::String(Arc::new(text.to_owned()));
        match node.and_then(|n| n.checks.format) {
            Some(Format::DateTime) => self.call(&TIMESTAMP, string()),
            Some(Format::Duration) => self.call(&DURATION, string()),
            Some(Format::Byte) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_or_else(|_| string(), |bytes| CelValue::Bytes(Arc::new(bytes))),
            _ => string(),
        }
    }

    /// `function(x)`, or `x` itself when that fails: a malformed time is the format's error, not the rule's.
    fn call(&self, function: &Option<Expression>, x: CelValue) -> CelValue {
        let Some(function) = function else { return x };
        let mut scope = self.context.new_inner_scope();
        scope.add_variable_from_value("x", x.clone());
        CelValue::resolve(function, &scope).unwrap_or(x)
    }
}

static TIMESTAMP: std::sync::LazyLock<Option<Expression>> =
    std::sync::LazyLock::new(|| Parser::new().parse("timestamp(x)").ok());
static DURATION: std::sync::LazyLock<Option<Expression>> =
    std::sync::LazyLock::new(|| Parser::new().parse("duration(x)").ok());

fn number(n: &Number, node: Option<&Node>) -> CelValue {
    let is_double = node.is_some_and(|n| n.types == Types::NUMBER);
    let is_integer = node.is_some_and(|n| n.types.has(Types::INTEGER));
    match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(i), ..) if !is_double => CelValue::Int(i),
        (None, Some(u), _) if !is_double => CelValue::UInt(u),
        // In range, so the conversion is exact.
        (_, _, Some(f)) if is_integer && f.fract() == 0.0 && f.abs() < 9.2e18 => {
            CelValue::Int(f as i64)
        }
        (_, _, f) => CelValue::Float(f.unwrap_or(f64::NAN)),
    }
}
