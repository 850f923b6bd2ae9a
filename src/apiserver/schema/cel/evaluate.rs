//! Evaluating rules over an object.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, LazyLock},
};

use kube_cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, Value as CelValue, objects::OptionalValue, parser::Expression},
};
use serde_json::Value;

use super::{
    rule::{Parsed, Rule},
    types,
    value::Converter,
};
use crate::apiserver::schema::{
    FieldError, FieldErrorKind,
    identity::{correlate, push_child},
    node::{Node, Types},
};

/// The functions that rules may call. Building it costs more than most rules, so there is one.
pub(super) static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    types::register(&mut context);
    context
});

/// How many steps one rule may take at worst: its size times its longest list to the power of its nested loops. A
/// second of work or so; upstream counts the cost of every call instead, and also refuses at a limit.
pub(super) const BUDGET: u64 = 5_000_000;

/// The longest text of a message expression, in bytes, as upstream.
const MESSAGE_LIMIT: usize = 5120;

/// Evaluates all rules at and below `root`. What did not change since `old` is only held to transition rules.
pub(in crate::apiserver::schema) fn evaluate(
    root: &Node,
    object: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut walk = Walk { path: String::new(), errors: Vec::new(), exhausted: false };
    walk.node(root, object, old, false);
    walk.errors
}

struct Walk {
    path: String,
    errors: Vec<FieldError>,
    exhausted: bool,
}

impl Walk {
    /// `unchanged`: this value is part of one that did not change.
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, unchanged: bool) {
        if value.is_null() || !node.rules_within || self.exhausted {
            return;
        }
        let unchanged = unchanged || old.is_some_and(|old| old == value);
        if unchanged && !node.transitions_within {
            return;
        }
        for rule in &node.rules {
            self.rule(rule, node, value, old.filter(|o| !o.is_null()), unchanged);
        }
        match value {
            Value::Array(items) => {
                let Some(child) = &node.items else { return };
                for (index, item) in items.iter().enumerate() {
                    let length = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    let old = correlate(&node.list_type, item, old);
                    self.node(child, item, old, unchanged);
                    self.path.truncate(length);
                }
            }
            Value::Object(map) => {
                for (key, below) in map {
                    let Some(child) = node.child(key) else { continue };
                    let length = self.path.len();
                    push_child(&mut self.path, key, node.properties.contains_key(key));
                    self.node(child, below, old.and_then(|old| old.get(key)), unchanged);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        node: &Node,
        value: &Value,
        old: Option<&Value>,
        unchanged: bool,
    ) {
        let is_transition = rule.uses_old_self();
        let rule = rule.parsed();
        let skipped =
            if is_transition { old.is_none() && !rule.optional_old_self } else { unchanged };
        if skipped || self.exhausted {
            return;
        }
        let mut converter = Converter { context: &FUNCTIONS, longest: 1, longest_text: 0 };
        let mut scope = FUNCTIONS.new_inner_scope();
        scope.add_variable_from_value("self", converter.part(value, Some(node), &rule.uses.self_));
        if is_transition {
            let old = old.map(|old| converter.part(old, Some(node), &rule.uses.old_self));
            let old = match (old, rule.optional_old_self) {
                (old, true) => CelValue::Opaque(Arc::new(
                    old.map_or_else(OptionalValue::none, OptionalValue::of),
                )),
                (Some(old), false) => old,
                (None, false) => return,
            };
            scope.add_variable_from_value("oldSelf", old);
        }
        let mut longest = converter.longest;
        if rule.uses.makes_lists {
            longest = longest.max(converter.longest_text).max(types::MAX_RANGE.unsigned_abs());
        }
        let steps = longest.saturating_pow(rule.uses.loops).saturating_mul(rule.uses.size);
        if steps > BUDGET {
            self.exhausted = true;
            self.fault(node, "validation failed due to running out of cost budget, no further validation rules will be run");
            return;
        }
        match resolve(&rule.expression, &scope) {
            Ok(CelValue::Bool(true)) => {}
            Ok(CelValue::Bool(false)) => self.broken(rule, node, value, &scope),
            Ok(_) => self.fault(node, &format!("rule does not evaluate to a bool: {}", rule.name())),
            Err(ExecutionError::NoSuchOverload) => self.fault(
                node,
                &format!(
                    "'no such overload': call arguments did not match a supported operator, function or macro \
                     signature for rule: {}",
                    rule.name()
                ),
            ),
            Err(error) => {
                self.fault(node, &format!("{} evaluating rule: {}", describe(&error), rule.name()));
            }
        }
    }

    /// The rule could not be judged.
    fn fault(&mut self, node: &Node, text: &str) {
        let value = Value::from(node.type_name());
        self.errors.push(FieldError::invalid(self.place(""), &value, text));
    }

    /// The rule does not hold.
    fn broken(&mut self, rule: &Parsed, node: &Node, value: &Value, scope: &Context<'_>) {
        let message = rule
            .message_expression
            .as_ref()
            .and_then(|expression| message(expression, scope))
            .unwrap_or_else(|| rule.message_or_default());
        let path = self.place(&rule.field_path);
        let error = match rule.reason {
            FieldErrorKind::Forbidden | FieldErrorKind::Required => {
                FieldError::new(path, rule.reason, &message)
            }
            kind if node.types.has(Types::OBJECT) || node.types.has(Types::ARRAY) => {
                let message = if kind == FieldErrorKind::Duplicate { "" } else { &message };
                FieldError::new(path, kind, message)
            }
            FieldErrorKind::Duplicate => {
                FieldError::with_value(path, FieldErrorKind::Duplicate, value, "")
            }
            kind => FieldError::with_value(path, kind, value, &message),
        };
        self.errors.push(error);
    }

    fn place(&self, below: &str) -> String {
        match (self.path.as_str(), below) {
            ("", "") => "<nil>".to_owned(),
            (path, "") => path.to_owned(),
            ("", below) => below.to_owned(),
            (path, below) => format!("{path}.{below}"),
        }
    }
}

/// Evaluates. The interpreter's arithmetic panics on a few overflows when built with checks (`-self.n` of the least
/// number, huge quantities), and a rule must not take a server down.
pub(super) fn resolve(
    expression: &Expression,
    scope: &Context<'_>,
) -> Result<CelValue, ExecutionError> {
    // Nothing that the closure touches is used after a panic: the scope is dropped, the functions have no state.
    std::panic::catch_unwind(AssertUnwindSafe(|| CelValue::resolve(expression, scope)))
        .unwrap_or_else(|_| Err(ExecutionError::function_error("arithmetic", "overflow")))
}

/// What the message expression says, when it says something fit to print.
fn message(expression: &Expression, scope: &Context<'_>) -> Option<String> {
    said(resolve(expression, scope).ok()?)
}

/// A text that is fit to print.
pub(super) fn said(value: CelValue) -> Option<String> {
    let CelValue::String(text) = value else { return None };
    let text = text.trim();
    let fit = !text.is_empty() && text.len() <= MESSAGE_LIMIT && !text.contains('\n');
    fit.then(|| text.to_owned())
}

/// Runtime errors in the words of cel-go.
pub(super) fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        other => other.to_string(),
    }
}
