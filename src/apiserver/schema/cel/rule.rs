//! One rule, parsed.

use std::sync::Arc;

use kube_cel::cel::parser::{Expression, Parser};
use serde_json::{Map, Value, json};

use super::uses::Uses;
use crate::apiserver::schema::{
    FieldError, FieldErrorKind,
    compile::{flag, text},
    identity::push_child,
    node::{Additional, Node},
};

/// A parsed rule. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rule(Arc<Parsed>);

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) source: String,
    pub(super) message: String,
    pub(super) message_expression: Option<Expression>,
    pub(super) reason: FieldErrorKind,
    /// Where the error is, below the node of the rule, as Go's `field.Path` prints it; empty for the node itself.
    pub(super) field_path: String,
    pub(super) optional_old_self: bool,
    pub(super) expression: Expression,
    /// What the rule and its message read.
    pub(super) uses: Uses,
}

impl Rule {
    /// Whether the rule compares with the old value, and so needs one.
    pub(crate) fn uses_old_self(&self) -> bool {
        self.0.uses.old_self.is_used()
    }

    pub(super) fn parsed(&self) -> &Parsed {
        &self.0
    }
}

impl Parsed {
    /// The message for a rule that does not hold, when no expression makes one.
    pub(super) fn message_or_default(&self) -> String {
        if self.message.is_empty() {
            format!("failed rule: {}", self.source)
        } else {
            self.message.clone()
        }
    }

    /// How errors name the rule.
    pub(super) fn name(&self) -> &str {
        if self.message.is_empty() { &self.source } else { &self.message }
    }
}

/// Parses the rules of a node. `path` is the node's place in the schema document.
pub(in crate::apiserver::schema) fn compile_rules(
    map: &Map<String, Value>,
    node: &Node,
    path: &str,
    uncorrelatable: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> Vec<Rule> {
    let list = map.get("x-kubernetes-validations").and_then(Value::as_array);
    let mut rules = Vec::new();
    for (index, written) in list.into_iter().flatten().enumerate() {
        let Some(written) = written.as_object() else { continue };
        let place = format!("{path}.x-kubernetes-validations[{index}]");
        let place = place.trim_start_matches('.');
        match compile_rule(written, node, place) {
            Ok(rule) => {
                if let (true, Some(within)) = (rule.uses_old_self(), uncorrelatable) {
                    errors.push(FieldError::invalid(
                        format!("{place}.rule"),
                        &written.get("rule").cloned().unwrap_or_default(),
                        &format!(
                            "oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"
                        ),
                    ));
                }
                rules.push(rule);
            }
            Err(error) => errors.push(error),
        }
    }
    rules
}

fn compile_rule(
    written: &Map<String, Value>,
    node: &Node,
    place: &str,
) -> Result<Rule, FieldError> {
    let trimmed = |key: &str| text(written, key).unwrap_or_default().trim().to_owned();
    let (source, message) = (trimmed("rule"), trimmed("message"));
    let below = |key: &str| format!("{place}.{key}");
    if source.is_empty() {
        return Err(FieldError::required(below("rule"), "rule is not specified"));
    }
    if message.contains('\n') {
        let written = text(written, "message").unwrap_or_default().into();
        return Err(FieldError::invalid(
            below("message"),
            &written,
            "must not contain line breaks",
        ));
    }
    if source.contains('\n') && message.is_empty() {
        let text = "message must be specified if rule contains line breaks";
        return Err(FieldError::required(below("message"), text));
    }
    let expression = parse(&source).map_err(|e| refused(written, below("rule"), &e))?;
    let mut uses = Uses::of(&expression);
    if let Some(field) = uses.self_.undeclared(node) {
        let text = format!("undefined field '{field}'");
        return Err(refused(written, below("rule"), &text));
    }
    let message_expression = match trimmed("messageExpression") {
        none if none.is_empty() => None,
        source => {
            let message =
                parse(&source).map_err(|e| refused(written, below("messageExpression"), &e))?;
            // Reading oldSelf in the message alone does not make a transition rule, but it has to be there.
            uses.add(&message);
            Some(message)
        }
    };
    let reason = reason(text(written, "reason"), || below("reason"))?;
    let field_path = match trimmed("fieldPath") {
        none if none.is_empty() => none,
        path => normalize(&path, node).ok_or_else(|| {
            FieldError::invalid(below("fieldPath"), &path.as_str().into(), "must be a valid path")
        })?,
    };
    Ok(Rule(Arc::new(Parsed {
        source,
        message,
        message_expression,
        reason,
        field_path,
        optional_old_self: flag(written, "optionalOldSelf"),
        expression,
        uses,
    })))
}

/// The kind of error that a broken rule is.
fn reason(name: Option<&str>, path: impl Fn() -> String) -> Result<FieldErrorKind, FieldError> {
    match name {
        None | Some("FieldValueInvalid") => Ok(FieldErrorKind::Invalid),
        Some("FieldValueForbidden") => Ok(FieldErrorKind::Forbidden),
        Some("FieldValueRequired") => Ok(FieldErrorKind::Required),
        Some("FieldValueDuplicate") => Ok(FieldErrorKind::Duplicate),
        Some(other) => {
            let known = ["Duplicate", "Forbidden", "Invalid", "Required"];
            let known = known.map(|kind| format!("FieldValue{kind}"));
            Err(FieldError::not_supported(path(), &other.into(), &known))
        }
    }
}

pub(super) fn parse(source: &str) -> Result<Expression, String> {
    Parser::new().enable_optional_syntax(true).parse(source).map_err(|e| e.to_string())
}

/// The rule as Go prints its struct, then why it does not compile.
fn refused(written: &Map<String, Value>, path: String, text: &str) -> FieldError {
    let get = |key: &str, absent: Value| written.get(key).cloned().unwrap_or(absent);
    let value = json!({
        "Rule": get("rule", "".into()),
        "Message": get("message", "".into()),
        "MessageExpression": get("messageExpression", "".into()),
        "Reason": get("reason", Value::Null),
        "FieldPath": get("fieldPath", "".into()),
        "OptionalOldSelf": get("optionalOldSelf", Value::Null),
    });
    FieldError::invalid(path, &value, &format!("compilation failed: {text}"))
}

/// A JSON path of fields and map keys (`.spec['a b'].c`) as `field.Path` prints it, when the schema has such a place.
fn normalize(path: &str, node: &Node) -> Option<String> {
    let (mut node, mut rest, mut out) = (node, path, String::new());
    while !rest.is_empty() {
        let name;
        if let Some(after) = rest.strip_prefix("['") {
            let end = after.find("']")?;
            (name, rest) = (&after[..end], &after[end + 2..]);
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            (name, rest) = after.split_at(end);
        }
        if name.is_empty() {
            return None;
        }
        let declared = node.properties.get(name);
        push_child(&mut out, name, declared.is_some());
        node = match (declared, &node.additional) {
            (Some(property), _) => property,
            (None, Some(Additional::Node(below))) => below,
            (None, _) => return None,
        };
    }
    Some(out)
}
