//! One column: what it is called and where its cells come from.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{JsonPath, age::age_of};

/// A column of a Table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Heading, before kubectl makes it upper case.
    pub name: String,
    /// Type of its cells.
    pub column_type: ColumnType,
    /// Format within the type; `name` marks the primary identifier.
    pub format: String,
    /// One sentence for people.
    pub description: String,
    /// Zero is always shown, more than zero only by `-o wide`.
    pub priority: i64,
    /// Where cells come from.
    pub cell: Cell,
}

/// Types of cells, as OpenAPI names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    String,
    /// Whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A time, shown as an age.
    Date,
}

impl ColumnType {
    /// The type called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<ColumnType> {
        Some(match name {
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

/// Where the cells of a column come from.
#[derive(Debug, Clone)]
pub enum Cell {
    /// The object's name.
    Name,
    /// The object's name, with ` (default)` where the function says so.
    Marked(fn(&Value) -> bool),
    /// What a path finds first; nothing when it finds nothing or a value of another type.
    Path(JsonPath),
    /// What the server computes for one of its own kinds.
    Computed(fn(&Value, Timestamp) -> Value),
}

impl Column {
    /// The entry in `columnDefinitions`.
    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.column_type.name(),
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    /// The cell of one object.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Name => object.pointer("/metadata/name").cloned().unwrap_or_default(),
            Cell::Marked(is_default) => {
                let name = object.pointer("/metadata/name").and_then(Value::as_str);
                let mark = if is_default(object) { " (default)" } else { "" };
                format!("{}{mark}", name.unwrap_or_default()).into()
            }
            Cell::Computed(compute) => compute(object, now),
            Cell::Path(path) => match path.first(object) {
                None | Some(Value::Null) => Value::Null,
                Some(found) => self.convert(found, now),
            },
        }
    }

    /// Fits a found value to the column's type as apiextensions-apiserver does: text columns print anything, the
    /// others are empty when the value has another type.
    fn convert(&self, found: &Value, now: Timestamp) -> Value {
        match self.column_type {
            ColumnType::String => match found {
                Value::String(_) => found.clone(),
                other => Value::String(other.to_string()),
            },
            ColumnType::Integer => match found.as_i64() {
                Some(whole) => whole.into(),
                // Go converts a float by cutting it; `as` saturates where Go's result is undefined.
                None => found.as_f64().map_or(Value::Null, |n| (n.trunc() as i64).into()),
            },
            ColumnType::Number if found.is_number() => found.clone(),
            ColumnType::Boolean if found.is_boolean() => found.clone(),
            ColumnType::Date if found.is_string() => age_of(Some(found), now).into(),
            ColumnType::Number | ColumnType::Boolean | ColumnType::Date => Value::Null,
        }
    }
}
