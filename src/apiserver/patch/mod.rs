//! The four ways to patch an object: JSON patch, JSON merge patch, strategic merge patch and server-side apply.

pub mod apply;
pub mod json;
pub mod merge;
pub mod strategic;

#[cfg(test)]
mod builtin_tests;

use serde_json::Value;

/// What Go calls a JSON value.
pub(super) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// As Go's `%v` prints a value.
pub(super) fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_print).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_print(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        Value::Number(number) if number.as_i64().is_none() => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    }
}

/// What Go calls the type of a value.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Why a patch could not be applied. The HTTP status is [`PatchError::code`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: 400 `BadRequest`.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed but does not fit the object: 422 `Invalid`. kube-apiserver's message for it is "the
    /// server rejected our request due to an error in our request", without a cause.
    #[error("{0}")]
    Unprocessable(String),
    /// The patch is well formed but says something that kube-apiserver cannot do: 500.
    #[error("{0}")]
    Faulty(String),
    /// The patch is over a limit: 413 `RequestEntityTooLarge`.
    #[error("{0}")]
    TooLarge(String),
}

impl PatchError {
    /// The HTTP status that kube-apiserver answers with.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unprocessable(_) => 422,
            Self::Faulty(_) => 500,
            Self::TooLarge(_) => 413,
        }
    }
}
