//! What is wrong with one field, in the words of Kubernetes' `field.Error`.

use std::fmt;

/// What is wrong with one field of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// Where: `spec.stages[0].name`. `<nil>` for the object itself.
    pub path: String,
    /// What kind of fault, which becomes the reason of a Status cause.
    pub kind: FieldErrorKind,
    /// The text after the path and a colon, such as `Required value` or `Invalid value: "x": must be …`.
    pub detail: String,
}

/// The kinds of fault, as in `k8s.io/apimachinery/pkg/util/validation/field`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldErrorKind {
    /// The value refers to something that is not there.
    NotFound,
    /// A value is missing.
    Required,
    /// A value that must be unique is there twice.
    Duplicate,
    /// The value is malformed or out of bounds.
    Invalid,
    /// The value is none of an enumeration.
    NotSupported,
    /// The value is well formed but not allowed here.
    Forbidden,
    /// The text is too long.
    TooLong,
    /// The list or map has too many entries.
    TooMany,
    /// The value has the wrong JSON type.
    TypeInvalid,
    /// The server could not judge the value.
    Internal,
}

impl FieldErrorKind {
    /// The `reason` of a Status cause.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    /// How the fault is announced before its value and text.
    const fn announcement(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

impl FieldError {
    /// An error without a value: `Required value: TEXT`, `Forbidden: TEXT`. `text` may be empty.
    #[must_use]
    pub fn new(path: impl Into<String>, kind: FieldErrorKind, text: &str) -> Self {
        let mut detail = kind.announcement().to_owned();
        if !text.is_empty() {
            detail.push_str(": ");
            detail.push_str(text);
        }
        Self { path: path.into(), kind, detail }
    }

    /// An error that quotes its value: `Invalid value: VALUE: TEXT`. `text` may be empty.
    #[must_use]
    pub fn with_value(
        path: impl Into<String>,
        kind: FieldErrorKind,
        value: &serde_json::Value,
        text: &str,
    ) -> Self {
        let value = match value {
            serde_json::Value::String(text) => quote(text),
            serde_json::Value::Number(n) => super::number::print(n),
            other => other.to_string(),
        };
        let mut detail = format!("{}: {value}", kind.announcement());
        if !text.is_empty() {
            detail.push_str(": ");
            detail.push_str(text);
        }
        Self { path: path.into(), kind, detail }
    }

    /// `Required value: TEXT`.
    #[must_use]
    pub fn required(path: impl Into<String>, text: &str) -> Self {
        Self::new(path, FieldErrorKind::Required, text)
    }

    /// `Too long: may not be more than MAX bytes`.
    #[must_use]
    pub fn too_long(path: impl Into<String>, max: u64) -> Self {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        Self::new(path, FieldErrorKind::TooLong, &format!("may not be more than {max} {bytes}"))
    }

    /// `Forbidden: TEXT`.
    #[must_use]
    pub fn forbidden(path: impl Into<String>, text: &str) -> Self {
        Self::new(path, FieldErrorKind::Forbidden, text)
    }

    /// `Invalid value: VALUE: TEXT`.
    #[must_use]
    pub fn invalid(path: impl Into<String>, value: &serde_json::Value, text: &str) -> Self {
        Self::with_value(path, FieldErrorKind::Invalid, value, text)
    }

    /// `Unsupported value: VALUE: supported values: "A", "B"`, in the order given.
    #[must_use]
    pub fn not_supported(
        path: impl Into<String>,
        value: &serde_json::Value,
        supported: &[String],
    ) -> Self {
        let text = if supported.is_empty() {
            String::new()
        } else {
            let quoted: Vec<String> = supported.iter().map(|s| quote(s)).collect();
            format!("supported values: {}", quoted.join(", "))
        };
        Self::with_value(path, FieldErrorKind::NotSupported, value, &text)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.path.is_empty() { "<nil>" } else { &self.path }, self.detail)
    }
}

impl std::error::Error for FieldError {}

/// Quotes as Go's `%q` does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x80 && c.is_control() => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
